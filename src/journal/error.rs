//! What can go wrong with a run's memory, in words that read after "failed to".

use super::{Claimed, Held};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A journal that cannot be relied on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Its bytes are not what was written.
    #[error(
        "read line {line} of the journal: {why}; the file was changed after it was written, so nothing of it is used: put an intact copy back, or check the gateway by hand and then `keyroll unlock`"
    )]
    Damaged {
        /// Which line, from 1.
        line: u64,
        /// What does not fit.
        why: &'static str,
    },
    /// A later format.
    #[error("read line {line} of the journal: it has format {v} and this keyroll reads format 1; use the version that wrote it")]
    NewerFormat {
        /// Which line, from 1.
        line: u64,
        /// Its format.
        v: u32,
    },
    /// A record of a kind, or with contents, that this program does not know.
    #[error(
        "read line {line} of the journal: it is intact, but this keyroll cannot read its `{kind}` record; use the version that wrote it"
    )]
    UnknownRecord {
        /// Which line, from 1.
        line: u64,
        /// The record's name.
        kind: String,
    },
    /// The journal ends before a line that is known to have been written.
    #[error(
        "continue the journal: it ends at line {journal}, and line {head} had been written; the state folder was restored from an earlier point, so the world is ahead of it and nothing is cleaned up: put the newer copy back"
    )]
    Restored {
        /// Where the journal ends.
        journal: u64,
        /// Where it had ended.
        head: u64,
    },
    /// The journal holds another line than the one that was written.
    #[error(
        "continue the journal: line {line} is not the line that was written here; this is the journal of another history, put the right copy back"
    )]
    OtherHistory {
        /// Which line.
        line: u64,
    },
    /// The record of where the journal ended is gone or cannot be read.
    #[error(
        "continue the journal: the note of where it ended ({place}) is missing or unreadable, so a restored journal could not be told from a current one; put the file back, or check the gateway by hand and accept the journal as it is"
    )]
    HeadLost {
        /// Its file.
        place: PathBuf,
    },
    /// There is no complete line.
    #[error("continue the run: it never began, nothing was done; start it again with `keyroll run`")]
    Empty,
    /// A record without a JSON form.
    #[error("write a record: {why}; this is a mistake in keyroll")]
    Encode {
        /// Why.
        why: String,
    },
}

/// The state folder cannot do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// No such folder.
    #[error("open the state folder {}: it does not exist; `--state` names another one, `keyroll run` makes one", path.display())]
    Missing {
        /// Which.
        path: PathBuf,
    },
    /// It cannot be written.
    #[error("write {}: {why}; nothing was done, make the state folder writable for this user", path.display())]
    ReadOnly {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// No room.
    #[error("write {}: {why}; nothing was done, make room and try again", path.display())]
    Full {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Another error of the file system.
    #[error("{action} {}: {why}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        why: String,
    },
    /// A file of ours that is not as we write it.
    #[error("read {}: {why}; nothing is assumed about it, restore or remove the file after looking at it", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Another process is changing the state and did not finish in time.
    #[error("lock {}: another keyroll process is changing the state; try again", path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
    },
    /// A run id that could leave its folder.
    #[error("use a run id: it is 1 to 64 of a-z, A-Z, 0-9, - and _, and begins with a letter or digit")]
    UnsafeRun,
    /// No run of this name.
    #[error("find a run `{given}`: there is none in {}; `keyroll status` lists them", path.display())]
    NoSuchRun {
        /// What was asked for.
        given: String,
        /// Where.
        path: PathBuf,
    },
    /// More than one run begins like this.
    #[error("find a run `{given}`: several begin like that ({}); give more of the id", candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        given: String,
        /// Some that fit.
        candidates: Vec<String>,
    },
    /// A run of this id exists already.
    #[error("create run {run}: it exists already; `keyroll resume {run}` continues it")]
    Exists {
        /// Its id.
        run: String,
    },
    /// State that several machines share cannot be reached or relied on.
    #[error("use the state at {place}: {why}")]
    Remote {
        /// Its address.
        place: String,
        /// Why, and what to do.
        why: String,
    },
    /// Another run holds a resource.
    #[error(transparent)]
    Claimed(Box<Claimed>),
    /// Another process executes this run.
    #[error(transparent)]
    Held(Box<Held>),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl StateError {
    pub(super) fn io(action: &'static str, path: &Path, e: &std::io::Error) -> Self {
        let path = path.to_owned();
        let why = plain(e);
        match e.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem if action != "read" => Self::ReadOnly { path, why },
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Self::Full { path, why },
            _ => Self::Io { action, path, why },
        }
    }
}

/// An error of the operating system without its number.
pub(super) fn plain(e: &std::io::Error) -> String {
    let text = match e.kind() {
        ErrorKind::StorageFull => "no space is left on the device".to_owned(),
        ErrorKind::QuotaExceeded => "the disk quota of this user is used up".to_owned(),
        ErrorKind::FileTooLarge => "the file would exceed this process's limit on file sizes (`ulimit -f`)".to_owned(),
        ErrorKind::ReadOnlyFilesystem => "the file system is mounted read-only".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => e.to_string(),
    };
    match text.find(" (os error") {
        Some(at) => text.get(..at).unwrap_or_default().to_lowercase(),
        None => text,
    }
}
