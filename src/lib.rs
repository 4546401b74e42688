//! keyroll rotates AI-gateway keys by evidence.

pub mod secret;
pub mod support;
