//! The lines of a journal as evidence needs them: number, time, record, and the proof that none was changed.
//!
//! A line is `{"v":1,"seq":…,"at":"…","prev":"…","record":{…},"hash":"…"}` and a newline; `hash` is the SHA-256 of the line's
//! bytes without the newline and without `,"hash":"…"`; `prev` is the hash of the line before, 64 zeros in the first.
//! Everything else in `evidence/` sees only [`Entry`]: this file is the one place that knows the format.

use crate::rotation::{Record, Time};
use crate::secret::sha256_hex;
use serde::Deserialize;
use serde_json::value::RawValue;

/// `prev` of the first line.
const ROOT: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// What stands before the hash, and the length of all that is not hashed.
const KEY: &str = ",\"hash\":\"";
const TAIL: usize = KEY.len() + 64 + 2;

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

/// A journal that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read line {line} of the journal: {why}")]
pub struct BadLine {
    /// Which line, from 1.
    pub line: u64,
    /// What does not fit.
    pub why: &'static str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    v: u32,
    seq: u64,
    at: String,
    prev: String,
    #[serde(borrow)]
    record: &'a RawValue,
    hash: String,
}

/// Reads a journal and checks its chain. One unfinished line at the end is left out.
///
/// # Errors
/// With the first line that does not fit.
pub fn read(bytes: &[u8]) -> Result<Lines, BadLine> {
    let mut lines = Lines { entries: Vec::new(), head: ROOT.to_owned(), intact: 0 };
    for piece in bytes.split_inclusive(|b| *b == b'\n') {
        let Some((b'\n', text)) = piece.split_last() else { break };
        let number = u64::try_from(lines.entries.len()).unwrap_or(u64::MAX).saturating_add(1);
        let (entry, hash) = line(text, number, &lines.head).map_err(|why| BadLine { line: number, why })?;
        lines.entries.push(entry);
        lines.head = hash;
        lines.intact = lines.intact.saturating_add(piece.len());
    }
    Ok(lines)
}

fn line(text: &[u8], number: u64, prev: &str) -> Result<(Entry, String), &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not text")?;
    let wire: Wire<'_> = serde_json::from_str(text).map_err(|_| "it is not a line of this format")?;
    if wire.v != 1 {
        return Err("it has a format version that this program does not read");
    }
    let (body, tail) = text.len().checked_sub(TAIL).and_then(|at| text.split_at_checked(at)).ok_or("its hash is missing")?;
    if tail != format!("{KEY}{}\"}}", wire.hash) || sha256_hex(format!("{body}}}").as_bytes()) != wire.hash {
        return Err("its hash is not the hash of its bytes");
    }
    if wire.seq != number {
        return Err("its number is not one more than that of the line before");
    }
    if wire.prev != prev {
        return Err("it does not name the hash of the line before");
    }
    let at = Time::parse(&wire.at).ok_or("its time is not a time")?;
    let record = serde_json::from_str(wire.record.get()).map_err(|_| "it is intact, but of a kind that this program does not know")?;
    Ok((Entry { seq: number, at, record }, wire.hash))
}

/// Writes a journal the way `journal/` does, for tests that build one by hand.
#[cfg(test)]
pub(super) fn write(entries: &[(Time, Record)]) -> Vec<u8> {
    let (mut out, mut prev) = (Vec::new(), ROOT.to_owned());
    for (i, (at, record)) in entries.iter().enumerate() {
        let record = serde_json::to_string(record).unwrap_or_default();
        let seq = i + 1;
        let body = format!("{{\"v\":1,\"seq\":{seq},\"at\":\"{}\",\"prev\":\"{prev}\",\"record\":{record}", at.rfc3339());
        prev = sha256_hex(format!("{body}}}").as_bytes());
        out.extend_from_slice(format!("{body}{KEY}{prev}\"}}\n").as_bytes());
    }
    out
}
