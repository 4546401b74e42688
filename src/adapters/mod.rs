//! One file per vendor, behind the ports.

pub mod approve;
pub mod consumers;
pub mod notify;
pub mod reference;
