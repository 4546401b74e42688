//! One file per verb, or per family of verbs that answer the same question.

pub(crate) mod doctor;
pub(crate) mod drill;
pub(crate) mod evidence;
pub(crate) mod help;
pub(crate) mod init;
pub(crate) mod keys;
pub(crate) mod lint;
pub(crate) mod look;
pub(crate) mod people;
pub(crate) mod plan;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod sandbox;
pub(crate) mod state;
