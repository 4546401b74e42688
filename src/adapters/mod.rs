//! One file per vendor, behind the ports.

pub mod approve;
pub mod consumers;
pub mod gateway;
pub mod notify;
pub mod reference;
pub mod secrets;
pub mod usage;
