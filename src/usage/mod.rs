//! Readers of usage: request logs in, tables of counts by key and caller out.
//!
//! Level 3. May import levels 0 to 2; `adapters/` wraps these readers as ports, nobody else imports them. A reader has no method
//! that changes anything outside: what judges has no way to act.
//!
//! | file | idea |
//! |---|---|
//! | `mapping` | where each field of a line is, and which answers refuse a credential |
//! | `line` | one line, read without a copy |
//! | `aisix` | one line of a log that is text |
//! | `files` | patterns, rotated siblings, and which writer a file belongs to |
//! | `tail` | one file, read on from where the last reading ended |
//! | `tally` | rows → [`crate::rotation::UsageTable`] |
//! | `jsonl` | all of it together: [`JsonlReader`] |
//!
//! Whatever is in doubt counts as a use: a row with a key and a time is counted even when its other fields are broken, and a line
//! that cannot be placed is counted as malformed and never silently left out.

mod aisix;
mod files;
mod jsonl;
mod line;
mod mapping;
mod tail;
mod tally;

#[cfg(test)]
mod tests;

pub use jsonl::{AisixCaller, JsonlReader, Ours, ReadProblem, Settings, Shape};
pub use mapping::{Field, Mapping, Refusal};
