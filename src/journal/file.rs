//! The journal file: appended under a fence, synced line by line.
//!
//! The fence: each append holds a lock on the file for its own duration, checks that the file at this path is still the one that was
//! opened, has the length we left and ends with our last line, and only then writes behind it. Record n+1 exists therefore at most once,
//! whoever sleeps and wakes in between.

use super::head::{Head, HeadFile};
use super::shared::{Beat, Shared};
use super::{Chain, JournalError, Lease, Parsed, StateDir, StateError, error, fs};
use crate::ports::{AppendError, Journal};
use crate::rotation::{Effect, Record, RunId, Time, Which};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Somebody who appends needs milliseconds; who blocks longer than this executes the run.
const APPEND_LOCK: Duration = Duration::from_secs(5);

/// A journal that this process may append to.
#[derive(Debug)]
pub struct JournalFile {
    path: PathBuf,
    file: File,
    len: u64,
    chain: Chain,
    head: HeadFile,
    now: fn() -> Time,
    /// The run has turned, or passed the point of no return. Shared with the lock, which then drops requests to turn.
    one_way: Arc<AtomicBool>,
    /// The same lines among many machines, and whether the right to write them is still ours.
    shared: Option<(Arc<Shared>, RunId, Arc<Beat>)>,
    /// Set by an error after which the file's state on disk is unknown: nothing is appended any more.
    broken: Option<AppendError>,
}

impl JournalFile {
    /// A new, empty journal. Folder and file are on disk when this returns.
    pub(super) fn create(state: &StateDir, lease: &Lease, now: fn() -> Time) -> Result<Self, StateError> {
        let path = state.journal_path(lease.run());
        let file = File::options().read(true).write(true).create_new(true).open(&path).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => StateError::Exists { run: lease.run().to_string() },
            _ => StateError::io("create", &path, &e),
        })?;
        let dir = state.run_dir(lease.run());
        file.sync_all().and_then(|()| fs::sync_dir(&dir)).map_err(|e| StateError::io("create", &path, &e))?;
        let head_path = state.head_path(lease.run());
        let none = Head::none();
        Head::put(&head_path, none.seq, &none.hash)?;
        let head = HeadFile::open(&head_path)?;
        let shared = shared_of(state, lease);
        Ok(Self { path, file, len: 0, chain: Chain::new(), head, now, one_way: Arc::default(), shared, broken: None })
    }

    /// An existing journal, verified from its first byte, compared with the head, its torn tail cut off.
    pub(super) fn open(state: &StateDir, lease: &Lease, now: fn() -> Time) -> Result<(Self, Parsed), StateError> {
        let path = state.journal_path(lease.run());
        state.pull(lease.run())?;
        let mut file = File::options().read(true).write(true).open(&path).map_err(|e| state.no_journal(lease.run(), &e))?;
        let busy = || StateError::Busy { path: path.clone() };
        let failed = |e: io::Error| StateError::io("read", &path, &e);
        if !fs::lock_within(&file, APPEND_LOCK).map_err(failed)? {
            return Err(busy());
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let parsed = Chain::parse(&bytes)?;
        let head_path = state.head_path(lease.run());
        compare(&parsed, &head_path)?;
        if parsed.lines.is_empty() {
            return Err(JournalError::Empty.into());
        }
        let len = u64::try_from(parsed.intact).unwrap_or(u64::MAX);
        if parsed.torn {
            file.set_len(len).and_then(|()| file.sync_data()).map_err(|e| StateError::io("write", &path, &e))?;
        }
        file.unlock().map_err(failed)?;
        let head = HeadFile::open(&head_path)?;
        let one_way = Arc::new(AtomicBool::new(parsed.lines.iter().any(|l| is_one_way(&l.record))));
        let shared = shared_of(state, lease);
        Ok((Self { path, file, len, chain: parsed.chain.clone(), head, now, one_way, shared, broken: None }, parsed))
    }

    /// Number of the last line, 0 when there is none.
    pub fn seq(&self) -> u64 {
        self.chain.seq()
    }

    pub(super) fn one_way(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.one_way)
    }

    /// The line before is still the last one, in the file that this path leads to.
    fn is_last(&self) -> io::Result<bool> {
        let ours = self.file.metadata()?;
        let there = match std::fs::metadata(&self.path) {
            Ok(there) => there,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(e),
        };
        if (ours.dev(), ours.ino()) != (there.dev(), there.ino()) || ours.len() != self.len {
            return Ok(false);
        }
        let expected = self.chain.tail();
        let mut found = vec![0; expected.len()];
        let Some(at) = self.len.checked_sub(u64::try_from(expected.len()).unwrap_or(u64::MAX)) else { return Ok(false) };
        self.file.read_exact_at(&mut found, at)?;
        Ok(found == expected)
    }

    /// Writes and syncs one line, or leaves the file as it was.
    fn write(&self, line: &[u8]) -> Result<(), (AppendError, bool)> {
        if let Err(e) = self.file.write_all_at(line, self.len) {
            // What did get written is cut off; where even that fails it is a torn line, which the next reader tolerates.
            let clean = self.file.set_len(self.len).is_ok();
            return Err((storage(&e), !clean));
        }
        if let Err(e) = self.file.sync_data() {
            // The kernel may have dropped the pages and would report success next time: this descriptor is not trusted again.
            let _ = self.file.set_len(self.len);
            return Err((storage(&e), true));
        }
        Ok(())
    }

    fn try_append(&self, record: &Record) -> Result<(Chain, usize), (AppendError, bool)> {
        let mut chain = self.chain.clone();
        let line = chain.append(record, (self.now)()).map_err(|e| (AppendError::Storage { why: e.to_string() }, false))?;
        match fs::lock_within(&self.file, APPEND_LOCK) {
            Ok(true) => {}
            Ok(false) => return Err((AppendError::Fenced, true)),
            Err(e) => return Err((storage(&e), false)),
        }
        let _guard = fs::Guard(&self.file);
        if !self.is_last().map_err(|e| (storage(&e), false))? {
            return Err((AppendError::Fenced, true));
        }
        if let Some((shared, run, beat)) = &self.shared {
            if beat.is_lost() {
                return Err((AppendError::Fenced, true));
            }
            // There first: what is here only may be lost with this machine.
            shared.append(run, chain.seq(), &line)?;
            // From here on the line is written, whatever this disk says.
            self.write(&line).map_err(|(e, _)| (e, true))?;
        } else {
            self.write(&line)?;
        }
        self.head.write(chain.seq(), chain.head());
        if matches!(record, Record::Finished { .. } | Record::Unlocked { .. }) {
            // Claims go after these, and nothing may follow for a long time.
            self.head.sync();
        }
        Ok((chain, line.len()))
    }
}

impl Journal for JournalFile {
    fn append(&mut self, record: &Record) -> Result<u64, AppendError> {
        if let Some(e) = &self.broken {
            return Err(e.clone());
        }
        match self.try_append(record) {
            Ok((chain, written)) => {
                self.chain = chain;
                if is_one_way(record) {
                    self.one_way.store(true, Ordering::Relaxed);
                }
                self.len = self.len.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
                Ok(self.chain.seq())
            }
            Err((e, for_good)) => {
                if for_good {
                    self.broken = Some(e.clone());
                }
                Err(e)
            }
        }
    }

    fn head(&self) -> String {
        self.chain.head().to_owned()
    }
}

fn shared_of(state: &StateDir, lease: &Lease) -> Option<(Arc<Shared>, RunId, Arc<Beat>)> {
    Some((state.shared()?.clone(), lease.run().clone(), lease.beat()?.clone()))
}

/// After this record a request to turn back means nothing: the run is on its way back, or can only go forward.
fn is_one_way(record: &Record) -> bool {
    matches!(record, Record::Turned { .. } | Record::Began { effect: Effect::Delete { key: Which::Old, .. }, .. })
}

/// The journal may be ahead of the note (a crash came between), never behind it, and never beside it.
fn compare(parsed: &Parsed, place: &Path) -> Result<(), StateError> {
    let Some(head) = Head::read(place)? else {
        if parsed.lines.is_empty() {
            // Creation was cut off between the two files.
            return Err(JournalError::Empty.into());
        }
        return Err(JournalError::HeadLost { place: place.to_owned() }.into());
    };
    if head.seq > parsed.chain.seq() {
        return Err(JournalError::Restored { journal: parsed.chain.seq(), head: head.seq }.into());
    }
    let at = usize::try_from(head.seq).unwrap_or(usize::MAX);
    match at.checked_sub(1).and_then(|i| parsed.lines.get(i)) {
        Some(line) if line.hash != head.hash => Err(JournalError::OtherHistory { line: head.seq }.into()),
        Some(_) | None => Ok(()),
    }
}

fn storage(e: &io::Error) -> AppendError {
    AppendError::Storage { why: error::plain(e) }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
