//! What a failed call means for the outside, in words that repeat no answer: the API server repeats what it was sent.

use crate::ports::PortError;

/// Why a call gave nothing that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It certainly did nothing.
    NotSent(String),
    /// It may have been acted on.
    Lost(String),
    /// The server said no.
    Refused(String),
    /// The server does not take the login.
    Login,
    /// There is no such thing.
    Missing,
    /// It is not as the call relied on.
    Stale,
    /// An answer that makes no sense.
    Unreadable(String),
}

impl Problem {
    /// By the status of an answer.
    pub(super) fn of_status(status: u16, doing: &str) -> Self {
        match status {
            401 => Self::Login,
            403 => Self::Refused(format!("the permission to {doing} is missing (403); `kubectl auth can-i` shows what this login may do")),
            404 => Self::Missing,
            409 => Self::Stale,
            // Turned away before anything was done.
            429 => Self::NotSent("too many calls (429); wait a little".into()),
            // A server that failed may have done it before it failed.
            500.. => Self::Lost(format!("the API server failed ({status})")),
            _ => Self::Refused(format!("the API server did not accept the call ({status})")),
        }
    }

    /// As the error of a port.
    pub fn into_port(self, system: &str, action: &str, changes: bool) -> PortError {
        let (system, action) = (system.to_owned(), action.to_owned());
        match self {
            Self::NotSent(why) => PortError::Unreachable { system, why, may_have_happened: false },
            Self::Lost(why) => PortError::Unreachable { system, why, may_have_happened: changes },
            Self::Refused(why) => PortError::Refused { system, action, why },
            Self::Login => {
                let why = "the login is not accepted (401); log in again, or check which kubeconfig and context are used".into();
                PortError::Refused { system, action, why }
            }
            Self::Missing => PortError::Conflict { system, action, why: "it is not there (any more)".into() },
            Self::Stale => {
                PortError::Conflict { system, action, why: "somebody else changed it since it was read; nothing was written".into() }
            }
            Self::Unreadable(why) if changes => PortError::Unreadable { system, why },
            Self::Unreadable(why) => PortError::Unreachable { system, why, may_have_happened: false },
        }
    }

    /// A change that was answered so may have gone through: the answer was lost, or our own first try was met.
    pub(super) fn is_unclear(&self) -> bool {
        match self {
            Self::Lost(_) | Self::Stale | Self::Unreadable(_) => true,
            Self::NotSent(_) | Self::Refused(_) | Self::Login | Self::Missing => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_means() {
        let of = |status| Problem::of_status(status, "patch secrets").into_port("s", "promote", true);
        assert!(matches!(of(401), PortError::Refused { .. }));
        assert!(matches!(of(403), PortError::Refused { why, .. } if why.contains("patch secrets")));
        assert!(matches!(of(404), PortError::Conflict { .. }));
        assert!(matches!(of(409), PortError::Conflict { .. }));
        assert!(!of(429).may_have_happened() && of(503).may_have_happened() && of(500).may_have_happened());
        assert!(matches!(of(422), PortError::Refused { .. }));
        assert!(!Problem::Lost("x".into()).into_port("s", "read", false).may_have_happened());
    }
}
