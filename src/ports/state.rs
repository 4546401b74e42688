//! Time, memory, exclusivity, evidence.

use crate::rotation::{Record, Run, Stamp, Time};
use crate::secret::SecretText;

/// Our own clocks.
pub trait Clock {
    /// What they say now.
    fn now(&self) -> Stamp;
    /// Sleeps until a wall-clock instant, or less: the caller looks again.
    async fn sleep_until(&self, at: Time);
}

/// Why a line could not be written. After any of these nothing more may be done to the outside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Somebody else wrote this line: another process executes the run.
    #[error("append to the journal: another process holds the run now; this one stops at once")]
    Fenced,
    /// The disk refused.
    #[error("append to the journal: {why}; no line means no effect, so the run stops here; make room and `keyroll resume`")]
    Storage {
        /// Why.
        why: String,
    },
}

/// The run's memory. `append` returns after the line is safe on disk.
pub trait Journal {
    /// Writes one record as line n+1, only if line n is still the last.
    fn append(&mut self, record: &Record) -> Result<u64, AppendError>;
    /// Hash of the last line.
    fn head(&self) -> String;
}

/// Exclusivity, as far as the engine asks.
pub trait Lock {
    /// An incident freeze is on, and why.
    fn frozen(&self) -> Option<String>;
    /// Somebody asked this process to stop at the next safe point.
    fn asked_to_stop(&self) -> bool;
    /// A person asked, by another process, to turn back: who, and why.
    fn asked_to_turn(&self) -> Option<(String, String)>;
    /// The end is written: the claim goes.
    fn release(&self);
}

/// A payload or bundle that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// SHA-256 of the manifest.
    pub digest: String,
    /// Where.
    pub place: String,
}

/// Why no bundle was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// A secret is in the payload.
    #[error("seal the bundle: a secret was found in {places}; nothing was sealed, the run folder is kept for inspection")]
    Leak {
        /// Where, never what.
        places: String,
    },
    /// A secret that the scan needs cannot be read any more.
    #[error("seal the bundle: the scan lacks {needle}; absence of a needle is not zero hits, so nothing was sealed")]
    MissingNeedle {
        /// Its label.
        needle: String,
    },
    /// The disk refused.
    #[error("write the bundle: {why}")]
    Storage {
        /// Why.
        why: String,
    },
}

/// The evidence, as far as the engine asks.
pub trait Seal {
    /// Collects the payload and scans it with every needle, these included.
    fn scan(&self, run: &Run, needles: &[(&str, &SecretText)]) -> Result<Sealed, SealError>;
    /// Writes the bundle over the journal as it is now. The same head gives the same bytes.
    fn seal(&self, run: &Run, needles: &[(&str, &SecretText)]) -> Result<Sealed, SealError>;
}
