//! keyroll rotates AI-gateway keys by evidence.
#![doc = include_str!("architecture.md")]

pub mod adapters;
#[cfg(feature = "bugs")]
pub mod bugs;
pub mod cli;
pub mod engine;
pub mod evidence;
pub mod gate;
pub mod journal;
pub mod plan;
pub mod policy;
pub mod ports;
pub mod rotation;
pub mod sandbox;
pub mod secret;
pub mod support;
pub mod usage;
