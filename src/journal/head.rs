//! Where a journal ended: number and hash of its last line, kept outside the run's folder so that a restored run is noticed.
//!
//! It is overwritten after each line without a sync of its own: after a power loss it may be older than the journal, which is fine, and
//! it can only be newer when the journal lost a line that had been safe on disk, which is what it is for. It is synced where claims
//! change: when it is made, after a run's end, and after an unlock.

use super::{JournalError, StateError, fs, line::ROOT};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Where a journal ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Number of the last line; 0 before the first.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
}

impl Head {
    /// Before the first line.
    pub(super) fn none() -> Self {
        Self { seq: 0, hash: ROOT.to_owned() }
    }

    /// A fixed length, so that overwriting never changes the file's size.
    fn bytes(seq: u64, hash: &str) -> Vec<u8> {
        format!("{seq:020} {hash}\n").into_bytes()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (seq, hash) = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?.split_once(' ')?;
        let hex = hash.len() == ROOT.len() && hash.bytes().all(|b| b.is_ascii_hexdigit());
        (seq.len() == 20 && hex).then_some(())?;
        Some(Self { seq: seq.parse().ok()?, hash: hash.to_owned() })
    }

    /// What the note says; none when there is no readable one.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, StateError> {
        let bytes = fs::read(path, 256).map_err(|e| StateError::io("read", path, &e))?;
        Ok(bytes.and_then(|b| Self::parse(&b)))
    }

    /// Writes the note anew and safely.
    pub(super) fn put(path: &Path, seq: u64, hash: &str) -> Result<(), StateError> {
        fs::replace(path, &Self::bytes(seq, hash)).map_err(|e| StateError::io("write", path, &e))
    }
}

/// The note, open for overwriting.
#[derive(Debug)]
pub(super) struct HeadFile {
    file: File,
}

impl HeadFile {
    pub(super) fn open(path: &Path) -> Result<Self, StateError> {
        let file = File::options().write(true).open(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => JournalError::HeadLost { place: path.to_owned() }.into(),
            _ => StateError::io("write", path, &e),
        })?;
        Ok(Self { file })
    }

    /// A failure is no reason to take back a line that is safe: the note is then old, and the next line writes it again.
    pub(super) fn write(&self, seq: u64, hash: &str) {
        let _ = self.file.write_all_at(&Head::bytes(seq, hash), 0);
    }

    pub(super) fn sync(&self) {
        let _ = self.file.sync_data();
    }
}
