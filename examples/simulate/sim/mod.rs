//! The real engine over a fake world.
//!
//! | file | idea |
//! |---|---|
//! | `world` | virtual time, and everything that happens in it |
//! | `gateway`, `slots`, `fleet` | keys and replicas; documents; consumers and the log of their calls |
//! | `people` | edits between any two steps |
//! | `acts` | every change as data, and what the oracle says to it |
//! | `ports`, `store`, `usage`, `chain` | the engine's ports over the world; the journal over bytes in memory |
//! | `death` | where processes die |
//! | `trail`, `judge`, `verdict` | the oracle |
//! | `scenarios` | plans and worlds to run them in |
//! | `drive` | one run: sessions, operators, rivals |
//! | `campaign` | many runs, and the matrix of where they died |
#![expect(clippy::indexing_slicing, reason = "the fake world is ours: an index out of bounds is a bug in it, and must stop it")]

pub(crate) mod acts;
pub(crate) mod campaign;
pub(crate) mod chain;
pub(crate) mod death;
pub(crate) mod drive;
pub(crate) mod fleet;
pub(crate) mod gateway;
pub(crate) mod judge;
pub(crate) mod people;
pub(crate) mod ports;
pub(crate) mod rng;
pub(crate) mod scenarios;
pub(crate) mod slots;
pub(crate) mod store;
pub(crate) mod trail;
pub(crate) mod usage;
pub(crate) mod verdict;
pub(crate) mod world;
