//! Which process executes a run now: an exclusive lock of the operating system on a file that says who holds it.
//!
//! The lock ends with the process, however it ends; the text in the file stays unless the holder gave the lease back. A text of another
//! machine (or of another boot: two machines may share a name) that was left behind means that the run was taken over, and that a call of
//! the former holder may still be on its way.

use super::shared::{Beat, RemoteLease};
use super::{StateDir, StateError, fs};
use crate::rotation::{Holder, RunId, Span, Time};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Somebody who only asks whether a lease is free has the lock for microseconds.
const GLANCE: Duration = Duration::from_millis(100);

/// Who asks for something in the state folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taker {
    /// This process.
    pub holder: Holder,
    /// This boot of this machine.
    pub boot: String,
    /// Now.
    pub at: Time,
}

/// Another process executes the run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "take the lease of run {run}: {} executes it{}; wait for it, or stop that process (`keyroll resume {run}` works afterwards)",
    who(holder.as_ref()),
    since(*age)
)]
pub struct Held {
    /// Which run.
    pub run: RunId,
    /// Who, if it has said so yet.
    pub holder: Option<Holder>,
    /// For how long.
    pub age: Option<Span>,
    /// It may be gone: whether it is will be known when this is asked again for a while.
    pub watched: bool,
}

/// The right to execute a run; given back when dropped. Children do not inherit it: the descriptor is closed when they start.
#[derive(Debug)]
pub struct Lease {
    run: RunId,
    file: File,
    taken_over: bool,
    remote: Option<RemoteLease>,
}

#[derive(Serialize, Deserialize)]
struct Body {
    holder: Holder,
    since: Time,
    boot: String,
}

impl Lease {
    /// Takes the lease of a run whose folder exists.
    ///
    /// # Errors
    /// [`StateError::Held`] while another process has it.
    pub fn take(state: &StateDir, run: &RunId, taker: &Taker) -> Result<Self, StateError> {
        let path = state.lease_path(run);
        let file = open_locked(&path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => state.no_journal(run, &e),
            _ => StateError::io("lock", &path, &e),
        })?;
        let Some(file) = file else {
            let body = read(&path);
            return Err(StateError::Held(Box::new(Held {
                run: run.clone(),
                age: body.as_ref().map(|b| taker.at.since(b.since)),
                holder: body.map(|b| b.holder),
                watched: false,
            })));
        };
        let left_behind = read(&path);
        let taken_over = left_behind.is_some_and(|b| b.holder.host != taker.holder.host || b.boot != taker.boot);
        let body = Body { holder: taker.holder.clone(), since: taker.at, boot: taker.boot.clone() };
        let text = serde_json::to_vec(&body).map_err(|e| StateError::io("write", &path, &e.into()))?;
        let written = file.set_len(0).and_then(|()| file.write_all_at(&text, 0)).and_then(|()| file.sync_data());
        written.map_err(|e| StateError::io("write", &path, &e))?;
        let mut lease = Self { run: run.clone(), file, taken_over, remote: None };
        if let Some(shared) = state.shared() {
            // On one machine the kernel knows who is gone; among machines only the shared lease tells.
            let (remote, taken_over) = shared.lease(run, taker)?;
            (lease.remote, lease.taken_over) = (Some(remote), taken_over);
        }
        Ok(lease)
    }

    /// Nobody executes this run at this instant; false also when that cannot be found out.
    pub(super) fn is_free(state: &StateDir, run: &RunId) -> bool {
        match File::open(state.lease_path(run)) {
            // A shared lock is enough to know that nobody has the exclusive one.
            Ok(file) => file.try_lock_shared().is_ok(),
            Err(e) => e.kind() == io::ErrorKind::NotFound,
        }
    }

    /// Who executes the run now, and since when; none when nobody does.
    pub fn holder(state: &StateDir, run: &RunId) -> Option<(Holder, Time)> {
        if let Some(shared) = state.shared() {
            return shared.lease_holder(run);
        }
        if Self::is_free(state, run) {
            return None;
        }
        Some(read(&state.lease_path(run)).map_or((Holder::default(), Time(0)), |b| (b.holder, b.since)))
    }

    /// Which run.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// What goes on beside the run, where many machines share its state.
    pub(super) fn beat(&self) -> Option<&Arc<Beat>> {
        self.remote.as_ref().map(RemoteLease::beat)
    }

    /// It was taken from somebody on another machine, or another boot, who did not give it back.
    pub fn taken_over(&self) -> bool {
        self.taken_over
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // An empty file says that the lease was given back. The lock itself goes with the descriptor.
        let _ = self.file.set_len(0);
    }
}

/// The locked lease file; none when somebody else has the lock.
fn open_locked(path: &Path) -> io::Result<Option<File>> {
    loop {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        if !fs::lock_within(&file, GLANCE)? {
            return Ok(None);
        }
        // A lock on a file that was removed meanwhile locks nobody out.
        let ours = file.metadata()?;
        if std::fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
            return Ok(Some(file));
        }
    }
}

fn read(path: &Path) -> Option<Body> {
    let bytes = fs::read(path, 4096).ok()??;
    serde_json::from_slice(&bytes).ok()
}

fn who(holder: Option<&Holder>) -> String {
    holder.map_or_else(|| "another process".to_owned(), |h| format!("process {} of {} on {}", h.pid, h.user, h.host))
}

fn since(age: Option<Span>) -> String {
    age.map(|a| format!(", for {a}")).unwrap_or_default()
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
