//! One writer at a time, among those who ask: a lock file beside the slot, gone again when nobody holds it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// So often it is tried.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// Held until dropped; the system also frees it when the process dies. Children do not inherit it.
pub(super) struct Held {
    path: PathBuf,
    file: File,
}

impl Drop for Held {
    fn drop(&mut self) {
        // Removed while it is held: whoever waits on this file notices that its name is gone, and takes the next one.
        let _a_leftover_is_harmless = fs::remove_file(&self.path);
        let _closing_frees_it_anyway = self.file.unlock();
    }
}

/// Takes the lock within a few seconds; none when somebody else keeps it.
pub(super) async fn take(path: &Path) -> io::Result<Option<Held>> {
    for _ in 0..TRIES {
        let file = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) if still_named(&file, path)? => return Ok(Some(Held { path: path.to_owned(), file })),
            // The holder before us removed the name: this is a lock that nobody else will ever see.
            Ok(()) => continue,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(e)) => return Err(e),
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(None)
}

fn still_named(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (ours.dev(), ours.ino())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}
