//! The state folder: where runs live, how one begins, is found and is taken up again.

use super::shared::{SCHEME, Shared};
use super::{Chain, Claims, Head, JournalError, JournalFile, Lease, Line, Parsed, StateError, Taker, fs};
use crate::rotation::{Record, RunId, Time};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Changes under this lock take milliseconds.
const STATE_LOCK: Duration = Duration::from_secs(10);

/// A state folder that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir {
    root: PathBuf,
    shared: Option<Arc<Shared>>,
}

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEntry {
    /// Its id.
    pub id: RunId,
    /// Its folder.
    pub path: PathBuf,
}

/// What is known about a journal besides its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// An unfinished line follows the last one: a crash, or a process that is writing right now.
    pub torn: bool,
    /// Number of the last line.
    pub seq: u64,
    /// Its hash.
    pub head: String,
}

/// A run that this process may execute.
#[derive(Debug)]
pub struct Opened {
    /// The right to do so.
    pub lease: Lease,
    /// Its memory.
    pub journal: JournalFile,
    /// What the memory holds.
    pub records: Vec<Record>,
    /// A torn last line was cut off.
    pub torn: bool,
}

/// What a removed claim leaves behind besides its record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unlock {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Time,
    /// The resources that are free now.
    pub resources: Vec<String>,
}

/// The lock around changes of claims; free when dropped.
#[derive(Debug)]
pub(super) struct StateLock {
    _file: File,
}

impl StateDir {
    /// A state folder that exists, or state that many machines share (`s3://BUCKET/PREFIX`).
    ///
    /// # Errors
    /// [`StateError::Missing`] when there is none.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StateError> {
        let root = root.into();
        if let Some(address) = shared_address(&root) {
            return Self::over(Shared::open(address)?);
        }
        match std::fs::metadata(&root) {
            Ok(there) if there.is_dir() => Ok(Self { root, shared: None }),
            Ok(_) => Err(StateError::Damaged { path: root, why: "it is not a folder".into() }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(StateError::Missing { path: root }),
            Err(e) => Err(StateError::io("read", &root, &e)),
        }
    }

    /// A state folder, made if need be: for its owner alone, and invisible to git. Or state that many machines share.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn make(root: impl Into<PathBuf>) -> Result<Self, StateError> {
        use std::os::unix::fs::DirBuilderExt;
        let root = root.into();
        if let Some(address) = shared_address(&root) {
            return Self::over(Shared::open(address)?);
        }
        let failed = |e: io::Error| StateError::io("create", &root, &e);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&root).map_err(failed)?;
        for name in ["claims", "heads", "runs"] {
            std::fs::create_dir_all(root.join(name)).map_err(failed)?;
        }
        match fs::write_new(&root.join(".gitignore"), b"*\n") {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(failed(e)),
            Ok(()) | Err(_) => {}
        }
        Ok(Self { root, shared: None })
    }

    /// State that many machines share, with its mirror on this one.
    pub(super) fn over(shared: Arc<Shared>) -> Result<Self, StateError> {
        let mirror = shared.mirror();
        Self::mirrored(shared, mirror)
    }

    pub(super) fn mirrored(shared: Arc<Shared>, mirror: PathBuf) -> Result<Self, StateError> {
        Ok(Self { shared: Some(shared), ..Self::make(mirror)? })
    }

    /// Many machines share it.
    pub fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Copies a sealed bundle to where all machines find it; nothing to do where there is one machine.
    ///
    /// # Errors
    /// When it cannot be copied. The run is over all the same.
    pub fn publish(&self, run: &RunId, bundle: &Path) -> Result<(), StateError> {
        match &self.shared {
            Some(shared) => shared.publish(run, bundle).map(drop),
            None => Ok(()),
        }
    }

    /// The bundle of a run that another machine sealed, copied to this one; none when no machine published it.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn fetch_bundle(&self, run: &RunId) -> Result<Option<PathBuf>, StateError> {
        let Some(shared) = &self.shared else { return Ok(None) };
        let dir = self.bundle_dir(run);
        Ok(shared.fetch(run, &dir)?.then_some(dir))
    }

    /// Whether state can be kept there, in words: a shared one is reached, and keeps what is there when it is asked to.
    ///
    /// # Errors
    /// When it cannot.
    pub fn usable(&self) -> Result<String, StateError> {
        match &self.shared {
            Some(shared) => {
                shared.prove()?;
                Ok("it can be written, and it refuses a second writer".into())
            }
            None => self.lock().map(|_lock| "it can be written".into()),
        }
    }

    pub(super) fn shared(&self) -> Option<&Arc<Shared>> {
        self.shared.as_ref()
    }

    /// Brings what this machine knows of a run up to what all machines know.
    pub(super) fn pull(&self, run: &RunId) -> Result<(), StateError> {
        match &self.shared {
            Some(shared) => shared.pull(self, run),
            None => Ok(()),
        }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Its claims.
    pub fn claims(&self) -> Claims<'_> {
        Claims::of_state(self)
    }

    /// A run's folder.
    pub fn run_dir(&self, run: &RunId) -> PathBuf {
        self.root.join("runs").join(run.as_str())
    }

    /// A run's journal.
    pub fn journal_path(&self, run: &RunId) -> PathBuf {
        self.run_dir(run).join("journal.jsonl")
    }

    /// Where a run keeps the key of its fingerprints, when the organisation has none.
    pub fn fingerprint_key_path(&self, run: &RunId) -> PathBuf {
        self.run_dir(run).join("fingerprint.key")
    }

    /// Where a run's bundle goes.
    pub fn bundle_dir(&self, run: &RunId) -> PathBuf {
        self.run_dir(run).join("bundle")
    }

    pub(super) fn lease_path(&self, run: &RunId) -> PathBuf {
        self.run_dir(run).join("lease")
    }

    pub(super) fn inbox_dir(&self, run: &RunId) -> PathBuf {
        self.run_dir(run).join("inbox")
    }

    pub(super) fn head_path(&self, run: &RunId) -> PathBuf {
        self.root.join("heads").join(run.as_str())
    }

    pub(super) fn claims_dir(&self) -> PathBuf {
        self.root.join("claims")
    }

    pub(super) fn freeze_path(&self) -> PathBuf {
        self.root.join("freeze.json")
    }

    /// A run id becomes part of paths: letters, digits, `-` and `_`, at most 64, not beginning with a sign.
    pub(super) fn check(run: &RunId) -> Result<(), StateError> {
        let text = run.as_str();
        let fine = text.len() <= 64
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if fine { Ok(()) } else { Err(StateError::UnsafeRun) }
    }

    /// Makes a run's folder, so that what must exist before the first record (the fingerprint key) can be put there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make_run_dir(&self, run: &RunId) -> Result<PathBuf, StateError> {
        Self::check(run)?;
        let dir = self.run_dir(run);
        let failed = |e: io::Error| StateError::io("create", &dir, &e);
        std::fs::create_dir_all(dir.join("inbox").join("done")).map_err(failed)?;
        fs::sync_dir(&self.root.join("runs")).and_then(|()| fs::sync_dir(&dir)).map_err(failed)?;
        Ok(dir)
    }

    /// Begins a run: claims, lease and an empty journal. The caller appends the plan as the first record before anything else; a
    /// process that dies before that leaves claims that stand in nobody's way.
    ///
    /// # Errors
    /// [`StateError::Claimed`], [`StateError::Exists`], or what the disk said. Nothing is left claimed then.
    pub fn create_run(
        &self,
        run: &RunId,
        claims: &[String],
        reason: &str,
        taker: &Taker,
        now: fn() -> Time,
    ) -> Result<(Lease, JournalFile), StateError> {
        Self::check(run)?;
        if let Some(shared) = &self.shared {
            shared.prove()?;
        }
        // One lock from the first claim to the lease: whoever meets these claims sees a process that is about to write.
        let lock = self.lock()?;
        if self.journal_path(run).exists() {
            return Err(StateError::Exists { run: run.to_string() });
        }
        self.claims().take_locked(&lock, run, claims, reason, taker)?;
        let made = self.make_run_dir(run).and_then(|_| {
            let lease = Lease::take(self, run, taker)?;
            let journal = JournalFile::create(self, &lease, now)?;
            Ok((lease, journal))
        });
        drop(lock);
        if made.is_err() {
            let _ = self.claims().release(run);
        }
        made
    }

    /// Takes a run up again: lease, then the verified journal, then the plan's claims unless the run is over.
    ///
    /// # Errors
    /// [`StateError::Held`] while another process executes it, [`StateError::Claimed`] when its claims were given up and another run
    /// has them, [`StateError::Journal`] when its memory cannot be relied on.
    pub fn resume_run(&self, run: &RunId, taker: &Taker, now: fn() -> Time) -> Result<Opened, StateError> {
        Self::check(run)?;
        if let Some(shared) = &self.shared {
            shared.prove()?;
            if shared.is_void(run)? {
                return Err(StateError::NoSuchRun { given: run.to_string(), path: self.root.clone() });
            }
            // The folder that the lease of this machine lies in.
            shared.pull(self, run)?;
        }
        let lease = Lease::take(self, run, taker)?;
        let (journal, parsed) = JournalFile::open(self, &lease, now)?;
        let torn = parsed.torn;
        let records: Vec<Record> = parsed.lines.into_iter().map(|l| l.record).collect();
        if let (Some(Record::Planned { plan, .. }), false) = (records.first(), matches!(records.last(), Some(Record::Finished { .. }))) {
            self.claims().take_all(run, &plan.claims, &plan.about.reason, taker)?;
        }
        Ok(Opened { lease, journal, records, torn })
    }

    /// The lease of a run whose claims are to be given up, also when its folder was removed.
    ///
    /// # Errors
    /// [`StateError::Held`] while a process executes it, [`StateError::NoSuchRun`] when nothing here knows it.
    pub fn lease_to_unlock(&self, run: &RunId, taker: &Taker) -> Result<Lease, StateError> {
        Self::check(run)?;
        if !self.run_dir(run).exists() {
            if self.claims().of(run)?.is_empty() {
                return Err(StateError::NoSuchRun { given: run.to_string(), path: self.root.clone() });
            }
            self.make_run_dir(run)?;
        }
        Lease::take(self, run, taker)
    }

    /// Gives a run's claims up by a person's word. The caller has the lease, and has appended the record if the journal allows; the
    /// run's folder keeps a note in any case.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn unlock(&self, lease: &Lease, by: &str, reason: &str, at: Time) -> Result<Unlock, StateError> {
        let claims = self.claims();
        let held = claims.of(lease.run())?.into_iter().map(|c| c.resource).collect();
        let note = Unlock { by: by.to_owned(), reason: reason.to_owned(), at, resources: held };
        let path = self.run_dir(lease.run()).join("unlocked.json");
        let text = serde_json::to_vec_pretty(&note).map_err(|e| StateError::io("write", &path, &e.into()))?;
        fs::replace(&path, &text).map_err(|e| StateError::io("write", &path, &e))?;
        if let Some(shared) = &self.shared {
            shared.note(lease.run(), "unlocked.json", text)?;
        }
        claims.release(lease.run())?;
        Ok(note)
    }

    /// Accepts a journal as it is although the note of where it ended says otherwise. For a person who has looked at the gateway.
    ///
    /// # Errors
    /// When the journal itself is damaged, or the disk refuses.
    pub fn accept_journal(&self, lease: &Lease) -> Result<Loaded, StateError> {
        let (_, loaded) = self.load_lines(lease.run())?;
        Head::put(&self.head_path(lease.run()), loaded.seq, &loaded.head)?;
        Ok(loaded)
    }

    /// Every run, by id.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> Result<Vec<RunEntry>, StateError> {
        let dir = self.root.join("runs");
        if let Some(shared) = &self.shared {
            shared.runs()?.iter().try_for_each(|run| shared.pull(self, run))?;
        }
        let names = fs::names(&dir).map_err(|e| StateError::io("read", &dir, &e))?;
        Ok(names
            .into_iter()
            .map(|name| RunEntry { path: dir.join(&name), id: RunId::new(name) })
            // A folder whose run never got a journal is no run.
            .filter(|r| Self::check(&r.id).is_ok() && r.path.join("journal.jsonl").is_file())
            .collect())
    }

    /// The one run whose id is, or begins with, this text.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn find(&self, given: &str) -> Result<RunId, StateError> {
        let all = self.list()?;
        if let Some(exact) = all.iter().find(|r| r.id.as_str() == given) {
            return Ok(exact.id.clone());
        }
        let mut fits = all.into_iter().map(|r| r.id).filter(|id| !given.is_empty() && id.as_str().starts_with(given));
        let none = || StateError::NoSuchRun { given: given.chars().take(64).collect(), path: self.root.clone() };
        let first = fits.next().ok_or_else(none)?;
        let more: Vec<String> = fits.take(4).map(|id| id.to_string()).collect();
        if more.is_empty() {
            return Ok(first);
        }
        let candidates = std::iter::once(first.to_string()).chain(more).collect();
        Err(StateError::Ambiguous { given: given.to_owned(), candidates })
    }

    /// Reads a journal without a lock: for looking, not for executing.
    ///
    /// # Errors
    /// When there is no such run, or its journal is damaged.
    pub fn load(&self, run: &RunId) -> Result<(Vec<Record>, Loaded), StateError> {
        let (lines, loaded) = self.load_lines(run)?;
        Ok((lines.into_iter().map(|l| l.record).collect(), loaded))
    }

    /// As [`Self::load`], with the lines themselves.
    ///
    /// # Errors
    /// When there is no such run, or its journal is damaged.
    pub fn load_lines(&self, run: &RunId) -> Result<(Vec<Line>, Loaded), StateError> {
        Self::check(run)?;
        self.pull(run)?;
        let bytes = std::fs::read(self.journal_path(run)).map_err(|e| self.no_journal(run, &e))?;
        let Parsed { lines, chain, torn, .. } = Chain::parse(&bytes)?;
        let loaded = Loaded { torn, seq: chain.seq(), head: chain.head().to_owned() };
        Ok((lines, loaded))
    }

    /// What an error on opening a run's journal means: a missing file may be no run, or one that was removed.
    pub(super) fn no_journal(&self, run: &RunId, e: &io::Error) -> StateError {
        if e.kind() != io::ErrorKind::NotFound {
            return StateError::io("read", &self.journal_path(run), e);
        }
        match Head::read(&self.head_path(run)) {
            Ok(Some(head)) if head.seq > 0 => JournalError::Restored { journal: 0, head: head.seq }.into(),
            Ok(_) | Err(_) => StateError::NoSuchRun { given: run.to_string(), path: self.root.clone() },
        }
    }

    pub(super) fn lock(&self) -> Result<StateLock, StateError> {
        let path = self.root.join("lock");
        let failed = |e: io::Error| StateError::io("write", &path, &e);
        // Caches and archives forget folders that were empty.
        for name in ["claims", "heads", "runs"] {
            std::fs::create_dir_all(self.root.join(name)).map_err(failed)?;
        }
        let file = File::options().write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        if fs::lock_within(&file, STATE_LOCK).map_err(failed)? { Ok(StateLock { _file: file }) } else { Err(StateError::Busy { path }) }
    }
}

/// The address of state that many machines share.
fn shared_address(root: &Path) -> Option<&str> {
    root.to_str().filter(|text| text.starts_with(SCHEME))
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
