//! The oracle: it knows the whole world and says when a promise of the mission is broken.

/// A broken promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    /// Which promise.
    pub(crate) promise: u8,
    /// In words.
    pub(crate) what: &'static str,
}

/// Everything that was seen to be wrong in one run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Judge {
    pub(crate) violations: Vec<(i64, Violation)>,
    /// Refused calls of callers that nobody had listed: counted, not a violation.
    pub(crate) strangers_refused: u32,
    /// Times the old key was enabled again by the run.
    pub(crate) reopened: u32,
}

impl Judge {
    /// Writes down a violation; the first of each kind is enough.
    pub(crate) fn broken(&mut self, at: i64, promise: u8, what: &'static str) {
        let violation = Violation { promise, what };
        if !self.violations.iter().any(|(_, v)| *v == violation) {
            self.violations.push((at, violation));
        }
    }
}
