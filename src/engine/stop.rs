//! How driving a run ends, and the exit code that says so.

use crate::ports::{AppendError, SealError};
use crate::rotation::{End, Time};

/// Why the engine handed the run back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The run is over.
    Finished(End),
    /// The run waits without a process.
    Parked {
        /// What for.
        why: String,
        /// When to look again.
        wake_at: Option<Time>,
        /// A person must do something.
        person: bool,
    },
    /// A check failed and the policy says to leave all in place.
    GateFailed {
        /// Which, and why.
        why: String,
    },
    /// Neither forward nor back is possible without a person.
    Stuck {
        /// Why.
        why: String,
        /// What to do, in order.
        steps: Vec<String>,
    },
    /// A system could not be reached or refused the login; nothing was changed.
    Unreachable {
        /// Which, and why.
        why: String,
    },
    /// Another process executes the run.
    Fenced,
    /// The journal could not be written.
    Storage {
        /// Why.
        why: String,
    },
    /// The journal does not fit together.
    Damaged {
        /// Why.
        why: String,
    },
    /// The bundle could not be sealed.
    Unsealed {
        /// Why.
        why: String,
        /// A secret was found, or could not be looked for.
        leak: bool,
    },
}

impl Stop {
    pub(super) fn parked(why: &str, wake_at: Option<Time>, person: bool) -> Self {
        Self::Parked { why: why.to_owned(), wake_at, person }
    }

    /// The exit code of the process.
    pub fn exit(&self) -> u8 {
        match self {
            Self::Finished(End::Done) | Self::Finished(End::RolledBack { asked: true, .. }) => 0,
            Self::Finished(End::RolledBack { asked: false, .. }) => 21,
            Self::Parked { person: false, .. } => 10,
            Self::Parked { person: true, .. } => 11,
            Self::Unreachable { .. } => 12,
            Self::GateFailed { .. } => 20,
            Self::Stuck { .. } => 22,
            Self::Fenced => 30,
            Self::Unsealed { leak: true, .. } => 51,
            Self::Unsealed { leak: false, .. } | Self::Storage { .. } | Self::Damaged { .. } => 1,
        }
    }

    /// One sentence for a person.
    pub fn words(&self) -> String {
        match self {
            Self::Finished(End::Done) => "done".into(),
            Self::Finished(End::RolledBack { why, .. }) => format!("rolled back: {why}"),
            Self::Parked { why, .. } => format!("parked: {why}"),
            Self::GateFailed { why } => format!("stopped, nothing advanced: {why}"),
            Self::Stuck { why, .. } => format!("stuck: {why}"),
            Self::Unreachable { why } => format!("nothing was changed: failed to {why}"),
            Self::Fenced => "another process holds the run now; this one stopped at once".into(),
            Self::Storage { why } | Self::Damaged { why } | Self::Unsealed { why, .. } => why.clone(),
        }
    }
}

impl From<AppendError> for Stop {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Fenced => Self::Fenced,
            AppendError::Storage { .. } => Self::Storage { why: format!("failed to {error}") },
        }
    }
}

impl From<SealError> for Stop {
    fn from(error: SealError) -> Self {
        let leak = match error {
            SealError::Leak { .. } | SealError::MissingNeedle { .. } => true,
            SealError::Storage { .. } => false,
        };
        Self::Unsealed { why: format!("failed to {error}"), leak }
    }
}
