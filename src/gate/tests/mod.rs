//! Every kind, every verdict it can reach, and the mistakes each rule exists for.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

mod calls;
mod coverage;
mod edges;
mod facts;
mod fixture;
mod provider;
mod soak;
mod wrapper;
mod zero;
