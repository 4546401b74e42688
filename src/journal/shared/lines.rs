//! The lines of a journal as objects, and their mirror on this machine.

use super::{Created, Shared};
use crate::journal::head::{Head, HeadFile};
use crate::journal::{Chain, JournalError, StateDir, StateError, fs};
use crate::ports::AppendError;
use crate::rotation::RunId;
use crate::support::objects::ObjectProblem;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// In place of a first line: this run never began, and never will.
pub(super) const VOID: &[u8] = b"void\n";
/// Somebody who appends needs one call.
const FILE_LOCK: Duration = Duration::from_secs(30);

pub(super) fn folder(run: &RunId) -> String {
    format!("runs/{run}/lines/")
}

pub(super) fn key(run: &RunId, seq: u64) -> String {
    format!("{}{seq:010}", folder(run))
}

impl Shared {
    /// Writes line n if nobody did. The second of the error says whether it may be there all the same.
    pub(in crate::journal) fn append(&self, run: &RunId, seq: u64, line: &[u8]) -> Result<(), (AppendError, bool)> {
        match self.create(&key(run, seq), line) {
            Ok(Created::Ours(_)) => Ok(()),
            Ok(Created::Others(_)) => Err((AppendError::Fenced, true)),
            Err(e) => Err((AppendError::Storage { why: format!("{}: {e}", self.place) }, true)),
        }
    }

    /// Brings the mirror of a run up to the bucket. A run that never began has no journal afterwards.
    pub(in crate::journal) fn pull(&self, state: &StateDir, run: &RunId) -> Result<(), StateError> {
        let path = state.journal_path(run);
        let mirrored = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(StateError::io("read", &path, &e)),
        };
        let known = Chain::parse(&mirrored)?.chain;
        if known.seq() > 0 {
            self.still_there(run, &known)?;
        }
        let after = (known.seq() > 0).then(|| format!("{:010}", known.seq()));
        let names = self.objects.list(&folder(run), after.as_deref(), false).map_err(|e| self.failed("read", &e))?;
        let mut lines = Vec::with_capacity(names.len());
        for name in names {
            let there = self.get("read", &format!("{}{name}", folder(run)))?;
            let there = there.ok_or_else(|| self.damaged(&name, "it was listed and is gone"))?;
            lines.push(there.bytes);
        }
        if lines.is_empty() || lines.first().is_some_and(|l| l == VOID) {
            return Ok(());
        }
        self.extend(state, run, known.seq(), &lines)
    }

    /// What the mirror ends with is in the bucket: else the bucket was restored, or tells another history.
    fn still_there(&self, run: &RunId, known: &Chain) -> Result<(), StateError> {
        match self.get("read", &key(run, known.seq()))? {
            Some(there) if there.bytes.ends_with(&known.tail()) => Ok(()),
            Some(_) => Err(JournalError::OtherHistory { line: known.seq() }.into()),
            None => {
                let left = self.objects.list(&folder(run), None, false).map_err(|e| self.failed("read", &e))?;
                let last = left.last().and_then(|name| name.parse().ok()).unwrap_or(0);
                Err(JournalError::Restored { journal: last, head: known.seq() }.into())
            }
        }
    }

    /// Writes behind what is there, under the lock that appends hold: a process of this machine that executes the run is not disturbed.
    fn extend(&self, state: &StateDir, run: &RunId, after: u64, lines: &[Vec<u8>]) -> Result<(), StateError> {
        let path = state.journal_path(run);
        let failed = |e: io::Error| StateError::io("write", &path, &e);
        std::fs::create_dir_all(state.run_dir(run)).map_err(failed)?;
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        if !fs::lock_within(&file, FILE_LOCK).map_err(failed)? {
            return Err(StateError::Busy { path });
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let now = Chain::parse(&bytes)?;
        bytes.truncate(now.intact);
        let skip = usize::try_from(now.chain.seq().saturating_sub(after)).unwrap_or(usize::MAX);
        for line in lines.iter().skip(skip) {
            bytes.extend_from_slice(line);
        }
        // Verified as a whole before anything of it is believed: numbers without a gap, each line naming the one before.
        let whole = Chain::parse(&bytes)?;
        if whole.torn {
            return Err(self.damaged(&folder(run), "a line in it is not whole"));
        }
        let rest = bytes.get(now.intact..).unwrap_or_default();
        let from = u64::try_from(now.intact).unwrap_or(u64::MAX);
        file.set_len(from).and_then(|()| file.write_all_at(rest, from)).and_then(|()| file.sync_data()).map_err(failed)?;
        let head = state.head_path(run);
        match HeadFile::open(&head) {
            Ok(note) => note.write(whole.chain.seq(), whole.chain.head()),
            Err(_) => Head::put(&head, whole.chain.seq(), whole.chain.head())?,
        }
        file.unlock().map_err(failed)
    }

    /// Every run that has a folder in the bucket.
    pub(in crate::journal) fn runs(&self) -> Result<Vec<RunId>, StateError> {
        let names = self.objects.list("runs/", None, true).map_err(|e| self.failed("list", &e))?;
        Ok(names.into_iter().map(RunId::new).filter(|run| StateDir::check(run).is_ok()).collect())
    }

    /// The run never began, and never will.
    pub(in crate::journal) fn is_void(&self, run: &RunId) -> Result<bool, StateError> {
        Ok(self.get("read", &key(run, 1))?.is_some_and(|there| there.bytes == VOID))
    }

    /// Makes sure that a run without a first line never gets one; false when it has one.
    pub(super) fn void(&self, run: &RunId) -> Result<bool, ObjectProblem> {
        Ok(match self.create(&key(run, 1), VOID)? {
            Created::Ours(_) => true,
            Created::Others(there) => there.bytes == VOID,
        })
    }
}
