//! Journal, lock, and seal before a run is held: absent, and therefore refusing.

use crate::evidence::FileSeal;
use crate::journal::{JournalFile, OpenLock};
use crate::ports::{AppendError, Journal, Lock, Seal, SealError, Sealed};
use crate::rotation::{Record, Run};
use crate::secret::SecretText;

/// Before a run is held there is nothing to append to: no line, no effect.
impl Journal for Option<JournalFile> {
    fn append(&mut self, record: &Record) -> Result<u64, AppendError> {
        match self {
            Some(journal) => journal.append(record),
            None => Err(AppendError::Storage { why: "no run is held".into() }),
        }
    }
    fn head(&self) -> String {
        self.as_ref().map(Journal::head).unwrap_or_default()
    }
}

impl Lock for Option<OpenLock> {
    fn frozen(&self) -> Option<String> {
        self.as_ref().and_then(Lock::frozen)
    }
    fn asked_to_stop(&self) -> bool {
        self.as_ref().is_some_and(Lock::asked_to_stop)
    }
    fn asked_to_turn(&self) -> Option<(String, String)> {
        self.as_ref().and_then(Lock::asked_to_turn)
    }
    fn release(&self) {
        if let Some(lock) = self {
            lock.release();
        }
    }
}

impl Seal for Option<FileSeal> {
    fn scan(&self, run: &Run, needles: &[(&str, &SecretText)]) -> Result<Sealed, SealError> {
        match self {
            Some(seal) => seal.scan(run, needles),
            None => Err(SealError::Storage { why: "no run is held".into() }),
        }
    }
    fn seal(&self, run: &Run, needles: &[(&str, &SecretText)]) -> Result<Sealed, SealError> {
        match self {
            Some(seal) => seal.seal(run, needles),
            None => Err(SealError::Storage { why: "no run is held".into() }),
        }
    }
}
