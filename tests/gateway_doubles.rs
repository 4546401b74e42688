//! The doubles of OpenRouter's family and of new-api behave as their contracts say.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

#[path = "doubles/openrouter/mod.rs"]
mod openrouter;
