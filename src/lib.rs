//! keyroll rotates AI-gateway keys by evidence.

pub mod adapters;
pub mod engine;
pub mod gate;
pub mod journal;
pub mod plan;
pub mod policy;
pub mod ports;
pub mod rotation;
pub mod sandbox;
pub mod secret;
pub mod support;
