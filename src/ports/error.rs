//! The one error of all ports.

/// Why a port could not do what was asked. `why` is written for a person and never holds a body or a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// No answer, or none that can be understood as one.
    #[error("reach {system}: {why}")]
    Unreachable {
        /// Which system.
        system: String,
        /// Why.
        why: String,
        /// The request may have left: the change may exist. Look, do not retry.
        may_have_happened: bool,
    },
    /// The system said no, and nothing changed.
    #[error("{action} at {system}: refused, {why}")]
    Refused {
        /// Which system.
        system: String,
        /// What was asked.
        action: String,
        /// Why.
        why: String,
    },
    /// The thing is not in the state that the request relied on, and nothing changed.
    #[error("{action} at {system}: {why}")]
    Conflict {
        /// Which system.
        system: String,
        /// What was asked.
        action: String,
        /// What differs.
        why: String,
    },
    /// This system has no such operation.
    #[error("{action}: {system} cannot do that")]
    Unsupported {
        /// Which system.
        system: String,
        /// What was asked.
        action: String,
    },
    /// It answered, and the answer cannot be relied on.
    #[error("read the answer of {system}: {why}")]
    Unreadable {
        /// Which system.
        system: String,
        /// Why.
        why: String,
    },
}

impl PortError {
    /// The change may have happened although no proper answer came.
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Unreachable { may_have_happened, .. } => *may_have_happened,
            // An answer that cannot be understood may well have been a success.
            Self::Unreadable { .. } => true,
            Self::Refused { .. } | Self::Conflict { .. } | Self::Unsupported { .. } => false,
        }
    }
}
