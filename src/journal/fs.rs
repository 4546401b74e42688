//! Small files that appear whole or not at all, and locks with a limit.

use std::fs::{File, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Writes a file that must not exist yet: `AlreadyExists` otherwise.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (dir, temp) = temporary(path, bytes)?;
    temp.persist_noclobber(path).map_err(|e| e.error)?;
    sync_dir(dir)
}

/// Writes a file, in place of one that may exist.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (dir, temp) = temporary(path, bytes)?;
    temp.persist(path).map_err(|e| e.error)?;
    sync_dir(dir)
}

fn temporary<'a>(path: &'a Path, bytes: &[u8]) -> io::Result<(&'a Path, tempfile::NamedTempFile)> {
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    // The umask decides who may read: none of these files holds a secret, and a shared state folder has several users.
    let mut temp = tempfile::Builder::new().prefix(".new-").permissions(Permissions::from_mode(0o666)).tempfile_in(dir)?;
    temp.write_all(bytes)?;
    temp.as_file().sync_all()?;
    Ok((dir, temp))
}

/// Makes names in a folder durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Reads a file of at most `limit` bytes; none when it does not exist.
pub(super) fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is larger than such a file can be"));
    }
    Ok(Some(bytes))
}

/// Removes a file; false when it was not there.
pub(super) fn remove(path: &Path) -> io::Result<bool> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// The plain file names in a folder, sorted, without those that are still being written; none when there is no such folder.
pub(super) fn names(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut names = Vec::new();
    for entry in entries {
        if let Ok(name) = entry?.file_name().into_string()
            && !name.starts_with('.')
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Takes an exclusive lock; false when somebody else still has it after `limit`.
pub(super) fn lock_within(file: &File, limit: Duration) -> io::Result<bool> {
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if start.elapsed() >= limit => return Ok(false),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(2)),
            Err(TryLockError::Error(e)) => return Err(e),
        }
    }
}

/// Gives a lock back when dropped, on every way out.
pub(super) struct Guard<'a>(pub(super) &'a File);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        // Closing the file would free it too; nothing can be done about a failure.
        let _ = self.0.unlock();
    }
}
