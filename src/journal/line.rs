//! One line of a journal, and the chain that ties it to the line before. Pure: bytes in, bytes out.
//!
//! A line is one JSON object with its members in this order, and a newline:
//!
//! ```text
//! {"v":1,"seq":7,"at":"2026-01-02T03:04:05.678Z","prev":"<64 hex>","record":{…},"hash":"<64 hex>"}
//! ```
//!
//! `hash` is the SHA-256 of the line's bytes as they are in the file, without the newline and without the `hash` member (that is,
//! without the text `,"hash":"…"`, the closing brace stays). `prev` is the `hash` of the line before, 64 zeros in the first line, and
//! lies inside the hashed bytes. `seq` starts at 1. An auditor recomputes line 7 with
//!
//! ```text
//! sed -n 7p journal.jsonl | sed 's/,"hash":"[0-9a-f]*"}$/}/' | tr -d '\n' | sha256sum
//! ```
//!
//! Nothing has to be re-encoded for that, so no two JSON libraries have to agree about anything.

use super::JournalError;
use crate::rotation::{Record, Time};
use crate::secret::sha256_hex;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The format version that this program writes and reads.
pub const FORMAT: u32 = 1;

/// `prev` of the first line, and the head of an empty chain.
pub const ROOT: &str = "0000000000000000000000000000000000000000000000000000000000000000";

const HASH_KEY: &[u8] = b",\"hash\":\"";
/// Length of `,"hash":"` + 64 hex digits + `"}`.
const TAIL: usize = 9 + 64 + 2;

/// One verified line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Format version.
    pub v: u32,
    /// Number, from 1.
    pub seq: u64,
    /// When it was written, by our wall clock. For people; nothing is decided by it.
    pub at: Time,
    /// Hash of the line before.
    pub prev: String,
    /// What happened.
    pub record: Record,
    /// Hash of this line.
    pub hash: String,
}

/// The end of a chain of lines: all that is needed to write the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    seq: u64,
    head: String,
}

/// What a journal's bytes hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The complete lines, all verified.
    pub lines: Vec<Line>,
    /// Where the next line goes on.
    pub chain: Chain,
    /// How many bytes the complete lines take.
    pub intact: usize,
    /// Something without a newline follows them: a write that was cut off. Its record never counted.
    pub torn: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    v: u32,
    seq: u64,
    #[serde(borrow)]
    at: Cow<'a, str>,
    #[serde(borrow)]
    prev: Cow<'a, str>,
    #[serde(borrow)]
    record: &'a RawValue,
    #[serde(borrow)]
    hash: Cow<'a, str>,
}

#[derive(Deserialize)]
struct OnlyVersion {
    v: u32,
}

impl Default for Chain {
    fn default() -> Self {
        Self::new()
    }
}

impl Chain {
    /// The chain of an empty journal.
    pub fn new() -> Self {
        Self { seq: 0, head: ROOT.to_owned() }
    }

    /// Number of the last line, 0 when there is none.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Hash of the last line, [`ROOT`] when there is none.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// The bytes of the next line, newline included; the chain then ends with it.
    ///
    /// # Errors
    /// When the record has no JSON form. The chain is then unchanged.
    pub fn append(&mut self, record: &Record, at: Time) -> Result<Vec<u8>, JournalError> {
        // A reading is a good kilobyte: growing to it step by step costs more than asking for it.
        let mut line = Vec::with_capacity(2048);
        self.append_to(&mut line, record, at)?;
        Ok(line)
    }

    /// Writes the next line behind what is there already; the chain then ends with it.
    ///
    /// # Errors
    /// When the record has no JSON form. The chain and the bytes are then unchanged.
    pub fn append_to(&mut self, bytes: &mut Vec<u8>, record: &Record, at: Time) -> Result<(), JournalError> {
        let seq = self.seq.saturating_add(1);
        let start = bytes.len();
        let head = format!("{{\"v\":{FORMAT},\"seq\":{seq},\"at\":\"{}\",\"prev\":\"{}\",\"record\":", at.rfc3339(), self.head);
        bytes.extend_from_slice(head.as_bytes());
        if let Err(e) = serde_json::to_writer(&mut *bytes, record) {
            bytes.truncate(start);
            return Err(JournalError::Encode { why: e.to_string() });
        }
        bytes.push(b'}');
        let hash = sha256_hex(bytes.get(start..).unwrap_or_default());
        bytes.pop();
        bytes.extend_from_slice(HASH_KEY);
        bytes.extend_from_slice(hash.as_bytes());
        bytes.extend_from_slice(b"\"}\n");
        self.seq = seq;
        self.head = hash;
        Ok(())
    }

    /// How a journal that ends with this chain ends; empty for an empty one.
    pub(super) fn tail(&self) -> Vec<u8> {
        if self.seq == 0 { Vec::new() } else { [HASH_KEY, self.head.as_bytes(), b"\"}\n"].concat() }
    }

    /// Reads and verifies a whole journal. One unterminated piece at the end is tolerated and reported.
    ///
    /// # Errors
    /// With the number of the first line that is damaged, newer than this program, or of an unknown kind.
    pub fn parse(bytes: &[u8]) -> Result<Parsed, JournalError> {
        let mut out = Parsed { lines: Vec::new(), chain: Self::new(), intact: 0, torn: false };
        let mut scratch = Vec::new();
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let Some((b'\n', text)) = piece.split_last() else {
                out.torn = true;
                break;
            };
            let line = out.chain.read(text, &mut scratch)?;
            out.chain = Self { seq: line.seq, head: line.hash.clone() };
            out.intact = out.intact.saturating_add(piece.len());
            out.lines.push(line);
        }
        Ok(out)
    }

    /// One line, if it is the next of this chain.
    fn read(&self, text: &[u8], scratch: &mut Vec<u8>) -> Result<Line, JournalError> {
        let number = self.seq.saturating_add(1);
        let damaged = |why| JournalError::Damaged { line: number, why };
        let Ok(wire) = serde_json::from_slice::<Wire<'_>>(text) else {
            // A later format may have other members: its version says more than "damaged".
            return Err(match serde_json::from_slice::<OnlyVersion>(text) {
                Ok(only) if only.v > FORMAT => JournalError::NewerFormat { line: number, v: only.v },
                Ok(_) | Err(_) => damaged("it is not a line of this format"),
            });
        };
        if wire.v > FORMAT {
            return Err(JournalError::NewerFormat { line: number, v: wire.v });
        }
        if wire.v != FORMAT {
            return Err(damaged("it has a format version that never was"));
        }
        let hashed = hashed_part(text, scratch).ok_or_else(|| damaged("its hash is not where it belongs"))?;
        if hashed != wire.hash || sha256_hex(scratch) != hashed {
            return Err(damaged("its hash is not the hash of its bytes"));
        }
        if wire.seq != number {
            return Err(damaged("its number is not one more than that of the line before"));
        }
        if wire.prev != self.head {
            return Err(damaged("it does not name the hash of the line before"));
        }
        let at = Time::parse(&wire.at).ok_or_else(|| damaged("its time is not a time"))?;
        let record: Record = serde_json::from_str(wire.record.get())
            .map_err(|_| JournalError::UnknownRecord { line: number, kind: kind_of(wire.record.get()) })?;
        Ok(Line { v: wire.v, seq: wire.seq, at, prev: wire.prev.into_owned(), record, hash: wire.hash.into_owned() })
    }
}

/// Splits a line's text: the hash it states, and (in `scratch`) the bytes that hash covers.
fn hashed_part<'a>(text: &'a [u8], scratch: &mut Vec<u8>) -> Option<&'a str> {
    let (body, tail) = text.split_at_checked(text.len().checked_sub(TAIL)?)?;
    let hash = tail.strip_prefix(HASH_KEY)?.strip_suffix(b"\"}")?;
    scratch.clear();
    scratch.extend_from_slice(body);
    scratch.push(b'}');
    std::str::from_utf8(hash).ok()
}

/// The name of a record that could not be read, and nothing else of it.
fn kind_of(record: &str) -> String {
    let name: String = record
        .trim_start_matches(|c: char| c == '{' || c == '"' || c.is_ascii_whitespace())
        .chars()
        .take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_')
        .take(40)
        .collect();
    if name.is_empty() { "nameless".to_owned() } else { name }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
