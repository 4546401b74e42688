//! Recovery against the smallest world that can answer it; whole runs are the simulator's.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may")]

mod recover;
mod world;
