//! The lines of a journal as evidence needs them: number, time, record, and the proof that none was changed.
//!
//! The format and its chain are `journal::line`'s. Everything else in `evidence/` sees only [`Entry`]: this file is the one place
//! that knows where records come from.

use crate::journal::{Chain, JournalError};
use crate::rotation::{Record, Time};

/// One record with its place in the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its number, from 1.
    pub seq: u64,
    /// When it was written, by our wall clock.
    pub at: Time,
    /// What happened.
    pub record: Record,
}

/// A verified journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Lines {
    /// Its records.
    pub entries: Vec<Entry>,
    /// The hash of its last line.
    pub head: String,
    /// How many bytes its complete lines take; what follows them was never finished and never counted.
    pub intact: usize,
}

/// A journal that is not what was written. What to do about it differs: a run has a state folder, a bundle has not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read line {line} of the journal: {why}")]
pub struct BadLine {
    /// Which line, from 1.
    pub line: u64,
    /// What does not fit.
    pub why: String,
}

/// Reads a journal and checks its chain. One unfinished line at the end is left out.
///
/// # Errors
/// With the first line that does not fit.
pub fn read(bytes: &[u8]) -> Result<Lines, BadLine> {
    let parsed = Chain::parse(bytes).map_err(bad)?;
    let entries = parsed.lines.into_iter().map(|l| Entry { seq: l.seq, at: l.at, record: l.record }).collect();
    Ok(Lines { entries, head: parsed.chain.head().to_owned(), intact: parsed.intact })
}

fn bad(error: JournalError) -> BadLine {
    let (line, why) = match error {
        JournalError::Damaged { line, why } => (line, why.to_owned()),
        JournalError::NewerFormat { line, v } => (line, format!("it has format {v}; use the version that wrote it")),
        JournalError::UnknownRecord { line, kind } => {
            (line, format!("it is intact, but this keyroll cannot read its `{kind}` record; use the version that wrote it"))
        }
        other => (0, other.to_string()),
    };
    BadLine { line, why }
}

/// Writes a journal, for tests that build one by hand.
#[cfg(test)]
pub(super) fn write(entries: &[(Time, Record)]) -> Vec<u8> {
    let mut chain = Chain::new();
    entries.iter().flat_map(|(at, record)| chain.append(record, *at).unwrap_or_default()).collect()
}
