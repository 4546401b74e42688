//! One file per verb, or per family of verbs that answer the same question.

pub mod drill;
pub mod evidence;
pub mod help;
pub mod init;
pub mod keys;
pub mod lint;
pub mod look;
pub mod people;
pub mod plan;
pub mod resume;
pub mod run;
pub mod sandbox;
pub mod state;
