//! Small helpers that any part may use: text for people, durations, files that are never half written, child
//! processes, clocks, HTTP clients, objects in a bucket.
//!
//! Level 0, after `secret`, which is the only module of this crate that it imports.

pub mod atomic;
pub mod child;
pub mod clock;
pub mod dotenv;
pub mod duration;
pub mod escaped_id;
pub mod http;
pub mod objects;
pub mod own_call;
pub mod process;
#[cfg(feature = "aws")]
pub mod s3;
pub mod text;
