//! All files of `src/`, read and made ready for the rules.

use crate::text::{self, TestModule};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// One file that is part of the library or the program.
pub struct File {
    /// `src/…`, with `/` on every system.
    pub path: String,
    /// The text as it is.
    pub raw: String,
    /// Without comments, strings, and tests.
    pub bare: String,
    /// Without comments and tests.
    pub with_strings: String,
    /// Only tests have it.
    pub test: bool,
}

impl File {
    /// The first name below `src/`, without `.rs`.
    pub fn module(&self) -> &str {
        let rest = self.path.strip_prefix("src/").unwrap_or(&self.path);
        rest.split('/').next().unwrap_or(rest).trim_end_matches(".rs")
    }

    /// The names of the modules around the file's items: `src/a/b.rs` and `src/a/b/mod.rs` are both `[a, b]`.
    pub fn module_path(&self) -> Vec<&str> {
        let rest = self.path.strip_prefix("src/").unwrap_or(&self.path).trim_end_matches(".rs");
        rest.split('/').filter(|name| !matches!(*name, "mod" | "lib" | "main")).collect()
    }

    /// `src/a.rs:7: what`
    pub fn at(&self, byte: usize, what: &str) -> String {
        format!("{}:{}: {what}", self.path, text::line_of(&self.bare, byte))
    }
}

/// The files, in the order of their paths.
pub struct Tree {
    pub files: Vec<File>,
}

impl Tree {
    /// This project's own.
    pub fn of_this_project() -> Self {
        // The test runner says where the project is now; where it was compiled may be another place.
        let root = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = root.as_path();
        let mut paths = Vec::new();
        collect(&root.join("src"), &mut paths);
        let texts = paths.iter().map(|path| {
            let name = path.strip_prefix(root).unwrap().components().map(|c| c.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/");
            (name, fs::read_to_string(path).unwrap())
        });
        Self::of(texts.collect())
    }

    /// Of paths and texts.
    pub fn of(texts: Vec<(String, String)>) -> Self {
        let mut files = Vec::new();
        let mut tests = BTreeSet::new();
        for (path, raw) in texts {
            let code = text::without_tests(text::strip(&raw));
            for module in &code.test_modules {
                tests.extend(homes(&path, module));
            }
            files.push(File { path, raw, bare: code.bare, with_strings: code.with_strings, test: false });
        }
        for file in &mut files {
            file.test = tests.iter().any(|home| file.path == *home || (home.ends_with('/') && file.path.starts_with(home.as_str())));
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self { files }
    }

    /// The files that are in the built program.
    pub fn built(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| !file.test)
    }
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// Where a module that is declared in a file may live: files, and the folder of its own modules (ending in `/`).
fn homes(declared_in: &str, module: &TestModule) -> Vec<String> {
    let folder = declared_in.rsplit_once('/').map_or("", |(folder, _)| folder);
    if let Some(path) = &module.path {
        return vec![format!("{folder}/{path}")];
    }
    let is_root = ["/mod.rs", "/lib.rs", "/main.rs"].iter().any(|end| declared_in.ends_with(end));
    let base = if is_root { folder.to_owned() } else { declared_in.trim_end_matches(".rs").to_owned() };
    vec![format!("{base}/{}.rs", module.name), format!("{base}/{}/", module.name)]
}
