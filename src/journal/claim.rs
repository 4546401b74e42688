//! Durable claims: which run may touch a resource. One file per resource, named by the hash of its canonical text, from before the
//! first effect to the terminal record; parking, a crash and a reboot leave it in place.
//!
//! Changes happen under one lock of the whole state folder that is held for moments. A claim counts for nothing when its run is over, or
//! when its run never began: no line in the journal, none ever noted in the head, and no process about to write one.

use super::{Chain, Head, Lease, StateDir, StateError, Taker, fs};
use crate::rotation::{Holder, Record, RunId, Span, Time};
use crate::secret::sha256_hex;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

const SUFFIX: &str = ".json";
const LIMIT: u64 = 64 * 1024;

/// One claim, as it lies on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Format version.
    pub v: u32,
    /// Canonical text of what is claimed.
    pub resource: String,
    /// By which run.
    pub run: RunId,
    /// The process that took it.
    pub holder: Holder,
    /// Why the run exists.
    pub reason: String,
    /// Since when.
    pub since: Time,
}

impl Claim {
    /// One that is taken now.
    pub(in crate::journal) fn of(resource: &str, run: &RunId, reason: &str, taker: &Taker) -> Self {
        let (holder, since) = (taker.holder.clone(), taker.at);
        Self { v: 1, resource: resource.to_owned(), run: run.clone(), holder, reason: reason.to_owned(), since }
    }
}

/// Another run holds a resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "claim {resource}: run {run} holds it, since {since} ({age} ago), by {user} on {host} ({reason}); `keyroll resume {run}` continues that run, with `--emergency --reason TEXT` at once, and `keyroll unlock {run} --reason TEXT` gives it up",
    resource = claim.resource, run = claim.run, since = claim.since.rfc3339(), user = claim.holder.user, host = claim.holder.host, reason = claim.reason
)]
pub struct Claimed {
    /// The claim in the way.
    pub claim: Claim,
    /// How old it is.
    pub age: Span,
}

/// The claims of a state folder.
#[derive(Debug, Clone, Copy)]
pub struct Claims<'a> {
    state: &'a StateDir,
}

impl<'a> Claims<'a> {
    pub(super) fn of_state(state: &'a StateDir) -> Self {
        Self { state }
    }

    /// Claims every resource for a run, or none. What the run holds already stays as it is.
    ///
    /// # Errors
    /// [`StateError::Claimed`] with the first resource, in sorted order, that another run holds.
    pub fn take_all(&self, run: &RunId, resources: &[String], reason: &str, taker: &Taker) -> Result<(), StateError> {
        let lock = self.state.lock()?;
        self.take_locked(&lock, run, resources, reason, taker)
    }

    /// As [`Self::take_all`], for a caller that holds the state's lock.
    pub(super) fn take_locked(
        &self,
        _lock: &super::store::StateLock,
        run: &RunId,
        resources: &[String],
        reason: &str,
        taker: &Taker,
    ) -> Result<(), StateError> {
        if let Some(shared) = self.state.shared() {
            return shared.claim_all(self.state, run, resources, reason, taker);
        }
        let mut wanted: Vec<&String> = resources.iter().collect();
        wanted.sort();
        wanted.dedup();
        let mut missing = Vec::new();
        for resource in wanted {
            match self.holder(resource)? {
                Some(claim) if claim.run == *run => {}
                Some(claim) if self.counts(&claim.run) => {
                    let age = taker.at.since(claim.since);
                    return Err(StateError::Claimed(Box::new(Claimed { claim, age })));
                }
                Some(_) | None => missing.push(resource),
            }
        }
        let mut made: Vec<PathBuf> = Vec::new();
        for resource in missing {
            let claim = Claim::of(resource, run, reason, taker);
            let path = self.path(resource);
            let written = serde_json::to_vec_pretty(&claim).map_err(io::Error::from).and_then(|text| fs::replace(&path, &text));
            if let Err(e) = written {
                for path in &made {
                    let _ = fs::remove(path);
                }
                return Err(StateError::io("write", &path, &e));
            }
            made.push(path);
        }
        Ok(())
    }

    /// Gives up every claim of a run, and says which there were.
    ///
    /// # Errors
    /// When one cannot be removed. It counts for nothing once the run's last record is its end.
    pub fn release(&self, run: &RunId) -> Result<Vec<String>, StateError> {
        if let Some(shared) = self.state.shared() {
            return shared.release(run);
        }
        let _lock = self.state.lock()?;
        let mut gone = Vec::new();
        for (path, claim) in self.files()? {
            // A file that cannot be read is not known to be ours.
            let Ok(claim) = claim else { continue };
            if claim.run == *run && fs::remove(&path).map_err(|e| StateError::io("remove", &path, &e))? {
                gone.push(claim.resource);
            }
        }
        let dir = self.state.claims_dir();
        fs::sync_dir(&dir).map_err(|e| StateError::io("write", &dir, &e))?;
        gone.sort();
        Ok(gone)
    }

    /// The claim on a resource, whether or not it still counts.
    ///
    /// # Errors
    /// When its file cannot be read: it is then not known to be free.
    pub fn holder(&self, resource: &str) -> Result<Option<Claim>, StateError> {
        if let Some(shared) = self.state.shared() {
            return shared.claim_on(resource);
        }
        let path = self.path(resource);
        let Some(claim) = read(&path)? else { return Ok(None) };
        if claim.resource != resource {
            return Err(StateError::Damaged { path, why: "it is about another resource than its name says".into() });
        }
        Ok(Some(claim))
    }

    /// The claims of a run, by resource.
    ///
    /// # Errors
    /// When any claim cannot be read.
    pub fn of(&self, run: &RunId) -> Result<Vec<Claim>, StateError> {
        Ok(self.all()?.into_iter().filter(|c| c.run == *run).collect())
    }

    /// Every claim, by resource.
    ///
    /// # Errors
    /// When any claim cannot be read.
    pub fn all(&self) -> Result<Vec<Claim>, StateError> {
        if let Some(shared) = self.state.shared() {
            return shared.claims();
        }
        let mut all = self.files()?.into_iter().map(|(_, claim)| claim).collect::<Result<Vec<_>, _>>()?;
        all.sort_by(|a, b| a.resource.cmp(&b.resource));
        Ok(all)
    }

    /// A run's claims stand in the way of others. Whatever cannot be found out counts.
    fn counts(&self, run: &RunId) -> bool {
        if StateDir::check(run).is_err() {
            return true;
        }
        let journal = match std::fs::read(self.state.journal_path(run)) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(_) => return true,
        };
        if journal.contains(&b'\n') {
            let over = |p: &super::Parsed| p.lines.last().is_some_and(|l| matches!(l.record, Record::Finished { .. }));
            return !Chain::parse(&journal).is_ok_and(|p| over(&p));
        }
        // A head that names a line says that there was a journal, and that it was removed.
        let head_path = self.state.head_path(run);
        let noted = match (head_path.exists(), Head::read(&head_path)) {
            (false, _) => false,
            (true, Ok(Some(head))) => head.seq > 0,
            (true, Ok(None) | Err(_)) => true,
        };
        noted || !Lease::is_free(self.state, run)
    }

    fn path(&self, resource: &str) -> PathBuf {
        self.state.claims_dir().join(format!("{}{SUFFIX}", sha256_hex(resource.as_bytes())))
    }

    #[expect(clippy::type_complexity, reason = "a file and what it holds")]
    fn files(&self) -> Result<Vec<(PathBuf, Result<Claim, StateError>)>, StateError> {
        let dir = self.state.claims_dir();
        let names = fs::names(&dir).map_err(|e| StateError::io("read", &dir, &e))?;
        Ok(names
            .into_iter()
            .filter(|n| n.ends_with(SUFFIX))
            .filter_map(|name| {
                let path = dir.join(name);
                let claim = read(&path).transpose()?;
                Some((path, claim))
            })
            .collect())
    }
}

fn read(path: &Path) -> Result<Option<Claim>, StateError> {
    let Some(bytes) = fs::read(path, LIMIT).map_err(|e| StateError::io("read", path, &e))? else { return Ok(None) };
    let damaged = |why: &str| StateError::Damaged { path: path.to_owned(), why: why.to_owned() };
    let claim: Claim = serde_json::from_slice(&bytes).map_err(|_| damaged("it is not a claim"))?;
    if claim.v == 1 { Ok(Some(claim)) } else { Err(damaged("a newer keyroll wrote it")) }
}

#[cfg(test)]
#[path = "claim_tests.rs"]
mod tests;
