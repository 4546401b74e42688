//! What a look at one system found before a rotation needs it: for people who set things up.

use super::PortError;
use crate::rotation::{Span, Time};
use serde::Serialize;

/// Clocks farther apart than this make every check that counts time an error.
const APART: Span = Span::seconds(60);
/// Clocks farther apart than this are worth a word.
const NOTABLE: Span = Span::seconds(5);

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum About {
    /// Whether anybody answers.
    Reach,
    /// Whether we are who we say we are there.
    Login,
    /// Whether we may do what a rotation does.
    Permission,
    /// Whether the thing that the policy names is there.
    Place,
    /// How far its clock is from ours.
    Clock,
    /// What it is.
    Version,
    /// What is set up on this side.
    Setup,
}

impl About {
    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reach => "reach",
            Self::Login => "login",
            Self::Permission => "permission",
            Self::Place => "place",
            Self::Clock => "clock",
            Self::Version => "version",
            Self::Setup => "setup",
        }
    }
}

/// How good it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Good,
    /// A person should know it; among these is what cannot be tried without changing something.
    Note,
    /// A rotation would not go through.
    Bad,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about.
    pub about: About,
    /// How good it is.
    pub health: Health,
    /// What was found, in words.
    pub what: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn good(about: About, what: impl Into<String>) -> Self {
        Self { about, health: Health::Good, what: what.into(), fix: None }
    }

    /// Worth knowing.
    pub fn note(about: About, what: impl Into<String>) -> Self {
        Self { about, health: Health::Note, what: what.into(), fix: None }
    }

    /// In the way of a rotation.
    pub fn bad(about: About, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { about, health: Health::Bad, what: what.into(), fix: Some(fix.into()) }
    }

    /// With what to do about it.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// An error of a port. What follows the last semicolon of its text says what to do.
    pub fn of(error: &PortError) -> Self {
        let about = match error {
            PortError::Unreachable { .. } | PortError::Unreadable { .. } => About::Reach,
            PortError::Refused { .. } => About::Login,
            PortError::Conflict { .. } => About::Place,
            PortError::Unsupported { .. } => About::Setup,
        };
        let text = error.to_string();
        let (what, fix) = match text.rsplit_once("; ") {
            Some((what, fix)) => (what.to_owned(), fix.to_owned()),
            None => (text, "check what the policy says about it".to_owned()),
        };
        Self::bad(about, format!("failed to {what}"), fix)
    }

    /// How far two clocks are apart.
    pub fn clock(theirs: Option<Time>, ours: Time) -> Self {
        let Some(theirs) = theirs else { return Self::note(About::Clock, "it tells no time, so its clock cannot be compared") };
        let (apart, direction) = if theirs >= ours { (theirs.since(ours), "ahead of") } else { (ours.since(theirs), "behind") };
        if apart > APART {
            return Self::bad(
                About::Clock,
                format!("its clock is {apart} {direction} this machine's"),
                "set the clock that is wrong (time synchronisation, such as chrony): more than a minute makes every check that counts time an error",
            );
        }
        if apart > NOTABLE {
            return Self::note(About::Clock, format!("its clock is {apart} {direction} this machine's"));
        }
        Self::good(About::Clock, "its clock and this machine's agree within seconds")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_compared_both_ways_and_the_limits_belong_to_the_better_side() {
        let health = |theirs: i64| Finding::clock(Some(Time(1_000_000 + theirs)), Time(1_000_000)).health;
        for (apart, expected) in
            [(0, Health::Good), (5_000, Health::Good), (5_001, Health::Note), (60_000, Health::Note), (60_001, Health::Bad)]
        {
            assert_eq!((health(apart), health(-apart)), (expected, expected), "{apart}");
        }
        let said = Finding::clock(Some(Time(0)), Time(600_000));
        assert!(said.what.contains("10m") && said.what.contains("behind"), "{said:?}");
        assert_eq!(Finding::clock(None, Time(0)).health, Health::Note);
    }

    #[test]
    fn the_fix_of_an_error_is_what_its_text_says_last() {
        let error = PortError::Refused { system: "x".into(), action: "log in".into(), why: "status 403; check its policy".into() };
        let finding = Finding::of(&error);
        assert_eq!((finding.about, finding.fix.as_deref()), (About::Login, Some("check its policy")));
        assert!(!finding.what.contains("check its policy"), "{finding:?}");
    }
}
