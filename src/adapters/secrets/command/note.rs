//! What runs now and changes something: noted before it gets its input, because a process that is killed cannot end its children.
//!
//! The next process ends what an earlier one left before it looks or acts, else its look would say what is not yet so.

use crate::secret::sha256_hex;
use crate::support::atomic::{self, Options};
use crate::support::process::{self, Started};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The notes of one slot.
pub(super) struct Notes {
    folder: PathBuf,
    prefix: String,
}

/// Who started what.
#[derive(Serialize, Deserialize)]
struct Note {
    owner: Started,
    child: Started,
}

/// What an earlier call left.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing, or nothing any more.
    Nothing,
    /// Another process of this number is at work here at this moment.
    AtWork(u32),
    /// Something that does not end.
    Stuck(u32),
}

/// A note that is taken away when the call is over.
pub(super) struct Noted(PathBuf);

impl Drop for Noted {
    fn drop(&mut self) {
        let _it_only_costs_a_look_later = std::fs::remove_file(&self.0);
    }
}

impl Notes {
    /// Notes of the slot with this address. The folder is made when the first one is written.
    pub(super) fn new(folder: &Path, address: &str) -> Self {
        let digest: String = sha256_hex(address.as_bytes()).chars().take(24).collect();
        Self { folder: folder.to_owned(), prefix: format!("{digest}-") }
    }

    /// Writes down a child that was started here.
    pub(super) fn write(&self, child: &Started) -> Result<Noted, String> {
        std::fs::create_dir_all(&self.folder).map_err(|e| format!("{}: {e}", self.folder.display()))?;
        let path = self.folder.join(format!("{}{}.child", self.prefix, child.pid));
        let note = Note { owner: Started::now(std::process::id()), child: child.clone() };
        // Plain data always has a JSON form.
        let bytes = serde_json::to_vec(&note).unwrap_or_default();
        atomic::replace(&path, &bytes, &Options::tagged("note")).map_err(|e| e.to_string())?;
        Ok(Noted(path))
    }

    /// Ends what a dead process left. Waits a few seconds at most.
    pub(super) fn settle(&self) -> Left {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return Left::Nothing };
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            if !name.starts_with(&self.prefix) || !name.ends_with(".child") {
                continue;
            }
            let Some(note) = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Note>(&bytes).ok()) else { continue };
            if process::alive(&note.child) {
                if note.owner.pid == std::process::id() {
                    continue;
                }
                if owner_lives(&note.owner) {
                    return Left::AtWork(note.owner.pid);
                }
                // Without its start time the number may be somebody else's by now.
                if note.child.start.is_none() || process::end_group(&note.child).is_err() {
                    return Left::Stuck(note.child.pid);
                }
            }
            drop(Noted(path));
        }
        Left::Nothing
    }
}

/// A group that outlives its leader does not count: it is the process itself that holds the run. One that has ended and was not yet asked for
/// its status has no group of its own any more either.
fn owner_lives(owner: &Started) -> bool {
    let same = process::process_start(owner.pid).is_some_and(|start| Some(start) == owner.start);
    same && process::alive(owner)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};

    fn sleeper() -> std::process::Child {
        Command::new("sleep").arg("60").process_group(0).stdin(Stdio::null()).spawn().unwrap()
    }

    fn note(dir: &Path, owner: Started, child: &Started) {
        let bytes = serde_json::to_vec(&Note { owner, child: child.clone() }).unwrap();
        let notes = Notes::new(dir, "command:a");
        std::fs::write(dir.join(format!("{}1.child", notes.prefix)), bytes).unwrap();
    }

    #[test]
    fn what_a_dead_process_left_is_ended_and_what_a_living_one_does_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let notes = Notes::new(dir.path(), "command:a");
        let mut child = sleeper();
        let running = Started::now(child.id());
        // Ours.
        note(dir.path(), Started::now(std::process::id()), &running);
        assert_eq!(notes.settle(), Left::Nothing);
        assert!(process::alive(&running));
        // Another process that lives: the sleeper's own number stands for it.
        note(dir.path(), running.clone(), &running);
        assert_eq!(notes.settle(), Left::AtWork(child.id()));
        assert!(process::alive(&running));
        // Of another slot.
        assert_eq!(Notes::new(dir.path(), "command:b").settle(), Left::Nothing);
        // One that is no more: the number was used again.
        note(dir.path(), Started { start: running.start.map(|s| s + 1), ..running.clone() }, &running);
        assert_eq!(notes.settle(), Left::Nothing);
        assert!(!process::alive(&running));
        child.wait().unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the note is gone with it");
    }
}
