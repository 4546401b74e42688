//! A finished run's evidence in the bucket: the machine that sealed it may be gone tomorrow.

use super::{Created, Shared};
use crate::journal::{StateError, fs};
use crate::rotation::RunId;
use std::io;
use std::path::Path;

/// A bundle has some dozens of files; more is no bundle of ours.
const MOST: usize = 2000;

fn folder(run: &RunId) -> String {
    format!("runs/{run}/bundle/")
}

impl Shared {
    /// Copies a bundle into the bucket; what is there already stays.
    pub(in crate::journal) fn publish(&self, run: &RunId, dir: &Path) -> Result<usize, StateError> {
        let mut files = Vec::new();
        walk(dir, dir, &mut files).map_err(|e| StateError::io("read", dir, &e))?;
        for name in &files {
            let path = dir.join(name);
            let bytes = std::fs::read(&path).map_err(|e| StateError::io("read", &path, &e))?;
            let key = format!("{}{name}", folder(run));
            match self.create(&key, &bytes).map_err(|e| self.failed("write to", &e))? {
                Created::Others(there) if there.bytes != bytes => {
                    return Err(self.damaged(&key, "another bundle of this run is there"));
                }
                Created::Ours(_) | Created::Others(_) => {}
            }
        }
        Ok(files.len())
    }

    /// Copies the bundle of a run to this machine; false when there is none.
    pub(in crate::journal) fn fetch(&self, run: &RunId, dir: &Path) -> Result<bool, StateError> {
        let names = self.objects.list(&folder(run), None, false).map_err(|e| self.failed("list", &e))?;
        if names.is_empty() || names.len() > MOST {
            return Ok(false);
        }
        for name in names {
            if name.split('/').any(|part| part.is_empty() || part.bytes().all(|b| b == b'.')) {
                return Err(self.damaged(&folder(run), "a name in it leads elsewhere"));
            }
            let there = self.get("read", &format!("{}{name}", folder(run)))?;
            let there = there.ok_or_else(|| self.damaged(&name, "it was listed and is gone"))?;
            let path = dir.join(&name);
            let failed = |e: io::Error| StateError::io("write", &path, &e);
            std::fs::create_dir_all(path.parent().unwrap_or(dir)).map_err(failed)?;
            fs::replace(&path, &there.bytes).map_err(failed)?;
        }
        Ok(true)
    }
}

fn walk(root: &Path, dir: &Path, files: &mut Vec<String>) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(root, &path, files)?;
        } else if let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str)
            && files.len() < MOST
        {
            files.push(name.to_owned());
        }
    }
    Ok(())
}
