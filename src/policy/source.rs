//! A policy file, read once: its path, text and digest. Everything later works on this value, never on the file.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest;

use super::{
    code::Code,
    diagnostic::{Diagnostic, Span},
};

/// The largest file that is read at all. A policy for forty consumers has about ten kilobytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// One file as it was on the disk at one moment.
#[derive(Clone)]
pub struct Source {
    /// The path as it was given.
    pub path: PathBuf,
    /// The text, without a byte order mark.
    pub text: String,
    /// SHA-256 of the bytes on the disk, in hex.
    pub sha256: String,
}

impl std::fmt::Debug for Source {
    // Without the text: it may hold a key that somebody pasted, and the checks have not seen it yet.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("path", &self.path).field("sha256", &self.sha256).finish_non_exhaustive()
    }
}

/// Why a file cannot be read as a policy.
#[derive(Debug, thiserror::Error)]
pub enum ReadProblem {
    /// The system refused.
    #[error("read the policy {path}: {why}; check the path and its permissions", path = path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// The system's answer.
        why: std::io::Error,
    },
    /// A folder was named.
    #[error("read the policy {path}: it is a folder; name a YAML file in it", path = path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
    },
    /// More than [`MAX_BYTES`].
    #[error("read the policy {path}: it is larger than {limit} kB; check that this is a policy and not a log or a backup",
        path = path.display(), limit = MAX_BYTES / 1024)]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// Not text.
    #[error("read the policy {path}: it is not UTF-8 text (line {line}, byte {offset}); save it again as UTF-8",
        path = path.display())]
    NotUtf8 {
        /// Which file.
        path: PathBuf,
        /// The first bad byte.
        offset: usize,
        /// Its line, counted from 1.
        line: usize,
    },
}

impl ReadProblem {
    /// The same problem in the form in which all others of a policy are shown.
    pub fn diagnostic(&self) -> Diagnostic {
        let (code, path, span, message, help) = match self {
            ReadProblem::Unreadable { path, why } => (
                Code::Unreadable,
                path,
                Span::default(),
                format!("cannot read the file: {}", in_words(why)),
                "check the path, and that you may read it",
            ),
            ReadProblem::Folder { path } => {
                (Code::Unreadable, path, Span::default(), "this is a folder, not a file".to_owned(), "name a YAML file in it")
            }
            ReadProblem::TooLarge { path } => (
                Code::TooLarge,
                path,
                Span::default(),
                format!("the file is larger than {} kB", MAX_BYTES / 1024),
                "check that this is a policy and not a log or a backup; many keys belong into a CSV file named by `for_each:`",
            ),
            ReadProblem::NotUtf8 { path, offset, line } => (
                Code::NotUtf8,
                path,
                Span { line: *line, column: 1, ..Span::default() },
                format!("the file is not UTF-8 text (byte {offset})"),
                "save it again as UTF-8; some Windows programs write UTF-16 unless told otherwise",
            ),
        };
        let mut diagnostic = Diagnostic::at(code, span, message, help);
        diagnostic.file = shown_path(path);
        diagnostic
    }
}

impl Source {
    /// Reads a file. At most [`MAX_BYTES`] are taken into memory, whatever the file is.
    pub fn read(path: impl Into<PathBuf>) -> Result<Self, ReadProblem> {
        let path = path.into();
        let unreadable = |why| ReadProblem::Unreadable { path: path.clone(), why };
        let file = File::open(&path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(ReadProblem::Folder { path });
        }
        if metadata.len() > MAX_BYTES as u64 {
            return Err(ReadProblem::TooLarge { path });
        }
        let mut bytes = Vec::new();
        // One byte more than allowed, so that a pipe or a growing file is noticed too.
        file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        Self::from_bytes(path, bytes)
    }

    /// Takes bytes that were read elsewhere (standard input, a test, a built-in file).
    pub fn from_bytes(path: impl Into<PathBuf>, bytes: Vec<u8>) -> Result<Self, ReadProblem> {
        let path = path.into();
        if bytes.len() > MAX_BYTES {
            return Err(ReadProblem::TooLarge { path });
        }
        let sha256 = hex(digest::digest(&digest::SHA256, &bytes).as_ref());
        let text = String::from_utf8(bytes).map_err(|error| {
            let offset = error.utf8_error().valid_up_to();
            let before = error.as_bytes().get(..offset).unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            ReadProblem::NotUtf8 { path: path.clone(), offset, line }
        })?;
        let text = match text.strip_prefix('\u{feff}') {
            Some(rest) => rest.to_owned(),
            None => text,
        };
        Ok(Self { path, text, sha256 })
    }

    /// The path for people, with `/` on every platform and without control characters.
    pub fn shown_path(&self) -> String {
        shown_path(&self.path)
    }
}

fn in_words(why: &std::io::Error) -> String {
    match why.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        other => other.to_string(),
    }
}

fn shown_path(path: &Path) -> String {
    path.display().to_string().chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may")]
    use super::*;

    #[test]
    fn digest_is_of_the_bytes_and_the_mark_is_dropped() {
        let source = Source::from_bytes("p.yaml", b"\xef\xbb\xbfversion: 1\n".to_vec()).unwrap();
        assert_eq!(source.text, "version: 1\n");
        assert!(!format!("{source:?}").contains("version"));
        let plain = Source::from_bytes("p.yaml", b"version: 1\n".to_vec()).unwrap();
        assert_ne!(source.sha256, plain.sha256);
        let empty = Source::from_bytes("p.yaml", Vec::new()).unwrap();
        assert_eq!(empty.sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn bad_files_have_codes() {
        let folder = tempfile::tempdir().unwrap();
        let problem = Source::read(folder.path()).unwrap_err();
        assert_eq!(problem.diagnostic().code, Code::Unreadable);
        let problem = Source::read(folder.path().join("absent")).unwrap_err();
        assert_eq!(problem.diagnostic().code, Code::Unreadable);
        let big = folder.path().join("big.yaml");
        std::fs::write(&big, vec![b'a'; 10 * 1024 * 1024]).unwrap();
        assert!(matches!(Source::read(&big).unwrap_err(), ReadProblem::TooLarge { .. }));
        let problem = Source::from_bytes("p", b"a: 1\nb: \xff".to_vec()).unwrap_err();
        assert!(matches!(problem, ReadProblem::NotUtf8 { offset: 8, line: 2, .. }));
    }
}
