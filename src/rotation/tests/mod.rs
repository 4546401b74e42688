//! The state machine, rule by rule: a small plan, a run that is fed records, and what `next` says then.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may")]

mod data;
mod drift;
mod elsewhere;
mod failures;
mod fixture;
mod fold;
mod fold_effects;
mod forward;
mod hostile;
mod models;
mod records;
mod revoke;
mod tale;
mod undo;
mod waits;
mod whole;
