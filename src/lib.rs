//! x
pub mod engine;
pub mod gate;
pub mod ports;
pub mod rotation;
pub mod secret;
