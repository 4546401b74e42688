//! Phases, directions and ends.

use serde::{Deserialize, Serialize};

/// The six phases, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Make the new key and put it beside the old one.
    Prepare,
    /// Try it where nobody is hurt.
    Canary,
    /// Make it current and let consumers read it.
    Flip,
    /// Watch until nothing uses the old one.
    Hold,
    /// Disable, soak, delete.
    Revoke,
    /// Review, scan, seal.
    Archive,
}

impl Phase {
    /// All phases, in order.
    pub const ALL: [Self; 6] = [Self::Prepare, Self::Canary, Self::Flip, Self::Hold, Self::Revoke, Self::Archive];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Canary => "canary",
            Self::Flip => "flip",
            Self::Hold => "hold",
            Self::Revoke => "revoke",
            Self::Archive => "archive",
        }
    }

    /// From its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name() == name)
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Which way the run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Course {
    /// Towards done.
    Forward,
    /// Back to the old key.
    Undo,
}

/// How a run is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Rotated.
    Done,
    /// Back on the old key, nothing of the run is left.
    RolledBack {
        /// Why it turned.
        why: String,
        /// A person asked for it.
        asked: bool,
    },
}
