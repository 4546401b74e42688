//! What went wrong, for the process's end: a sentence, a hint, and an exit code.

use crate::engine::Stop;
use crate::journal::StateError;
use crate::plan::Refusal;
use crate::ports::PortError;

/// Exit codes; see the README.
pub(crate) mod exit {
    /// Internal.
    pub(crate) const INTERNAL: u8 = 1;
    /// Usage or policy.
    pub(crate) const USAGE: u8 = 2;
    /// Parked for time or evidence.
    pub(crate) const PARKED: u8 = 10;
    /// A system could not be reached; nothing changed.
    pub(crate) const UNREACHABLE: u8 = 12;
    /// A check found something.
    pub(crate) const FOUND: u8 = 20;
    /// Neither forward nor back.
    pub(crate) const STUCK: u8 = 22;
    /// Held or claimed.
    pub(crate) const HELD: u8 = 30;
    /// Stale plan.
    pub(crate) const STALE: u8 = 31;
    /// Refused.
    pub(crate) const REFUSED: u8 = 40;
    /// Evidence invalid.
    pub(crate) const INVALID: u8 = 50;
    /// Ended at once by a second signal.
    pub(crate) const SECOND_SIGNAL: u8 = 130;
}

/// An end that is not success.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The exit code.
    pub code: u8,
    /// What failed and why; reads after "failed to" unless it begins with a capital letter.
    pub what: String,
    /// What to do next.
    pub hints: Vec<String>,
    /// It was shown already.
    pub shown: bool,
}

impl Fault {
    /// A fault with a code.
    pub(crate) fn new(code: u8, what: impl Into<String>) -> Self {
        Self { code, what: what.into(), hints: Vec::new(), shown: false }
    }

    /// A mistake in the call or in a file the user gave.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(exit::USAGE, what)
    }

    /// An end whose reason is on the screen already.
    pub(crate) fn shown(code: u8) -> Self {
        Self { code, what: String::new(), hints: Vec::new(), shown: true }
    }

    /// Adds what to do next.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl From<PortError> for Fault {
    fn from(error: PortError) -> Self {
        Self::new(exit::UNREACHABLE, error.to_string()).hint("nothing was changed")
    }
}

impl From<StateError> for Fault {
    fn from(error: StateError) -> Self {
        let what = error.to_string();
        match error {
            StateError::Claimed(claimed) => Self::new(exit::HELD, what).hint(format!("keyroll resume {}", claimed.claim.run)),
            StateError::Held(_) | StateError::Busy { .. } => Self::new(exit::HELD, what),
            StateError::NoSuchRun { .. } | StateError::Ambiguous { .. } | StateError::UnsafeRun | StateError::Missing { .. } => {
                Self::usage(what)
            }
            StateError::Remote { .. } => Self::new(exit::UNREACHABLE, what),
            StateError::Journal(_) => Self::new(exit::STUCK, what),
            StateError::ReadOnly { .. } | StateError::Full { .. } | StateError::Io { .. } => {
                Self::new(exit::INTERNAL, what).hint("`--state DIR` names another place for the state folder, for runs that begin there")
            }
            StateError::Damaged { .. } | StateError::Exists { .. } => Self::new(exit::INTERNAL, what),
        }
    }
}

impl From<Vec<Refusal>> for Fault {
    fn from(refusals: Vec<Refusal>) -> Self {
        let mut fault = Self::new(exit::REFUSED, "plan this rotation: the gateway, the slots, or the policy do not allow it");
        for r in refusals {
            fault.hints.push(format!("lacks {}: {}\n      what works: {}", r.lacks, r.why, r.nearest));
        }
        fault
    }
}

impl From<Stop> for Fault {
    fn from(stop: Stop) -> Self {
        Self::new(stop.exit(), stop.words())
    }
}
