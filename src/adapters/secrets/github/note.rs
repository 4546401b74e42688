//! The note beside a secret that cannot be read: what was written last, as far as we wrote it.

use crate::secret::Fingerprint;
use chrono::DateTime;
use serde::{Deserialize, Serialize};

/// A write that is answered or lost has happened within this many seconds of its note, by GitHub's own clock.
const WITHIN: i64 = 60;

/// The content of the variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    keyroll: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) current: Option<Mark>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pending: Option<Mark>,
}

impl Default for Note {
    fn default() -> Self {
        Self { keyroll: 1, current: None, pending: None }
    }
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Fingerprint of what was written.
    pub(super) is: Fingerprint,
    /// For which run.
    pub(super) run: String,
    /// The secret's time before.
    pub(super) before: Option<String>,
    /// The secret's time after; absent until the write was seen to have happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<String>,
    /// Fingerprint of what was there before, where that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) was: Option<Fingerprint>,
}

/// What a note says of a secret that was last written at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Says {
    /// It holds this, written for this run.
    Holds(Fingerprint, String),
    /// It holds this by all appearances: the write had begun, and the secret was written in that minute.
    Assumed(Fingerprint, String),
    /// The write that was noted has not happened; it still holds this, where that was known.
    NotYet(Option<Fingerprint>),
    /// Nothing: it was written at another time, by somebody else.
    Nothing,
}

impl Note {
    /// Reads the variable; none when it is no note of ours.
    pub(super) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str::<Self>(text).ok().filter(|note| note.keyroll == 1)
    }

    pub(super) fn text(&self) -> String {
        // Plain data always has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// `written` is the secret's own time, `noted` the variable's.
pub(super) fn says(mark: Option<&Mark>, written: &str, noted: Option<&str>) -> Says {
    let Some(mark) = mark else { return Says::Nothing };
    match &mark.at {
        Some(at) if at == written => Says::Holds(mark.is.clone(), mark.run.clone()),
        Some(_) => Says::Nothing,
        None if mark.before.as_deref() == Some(written) => Says::NotYet(mark.was.clone()),
        None => {
            let time = |text: &str| DateTime::parse_from_rfc3339(text).ok().map(|t| t.timestamp());
            match (time(written), noted.and_then(time)) {
                (Some(written), Some(noted)) if (-1..=WITHIN).contains(&written.saturating_sub(noted)) => {
                    Says::Assumed(mark.is.clone(), mark.run.clone())
                }
                _ => Says::Nothing,
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;
    use crate::secret::{FingerprintKey, SecretText};

    fn print(text: &str) -> Fingerprint {
        FingerprintKey::from_bytes(&[7; 32]).unwrap().of(&SecretText::new(text))
    }

    fn mark(at: Option<&str>) -> Mark {
        let before = Some("2026-01-01T00:00:00Z".to_owned());
        Mark { is: print("new"), run: "r1".into(), before, at: at.map(str::to_owned), was: Some(print("old")) }
    }

    #[test]
    fn only_equal_times_are_certain() {
        let done = mark(Some("2026-01-02T00:00:00Z"));
        assert_eq!(says(Some(&done), "2026-01-02T00:00:00Z", None), Says::Holds(print("new"), "r1".into()));
        assert_eq!(says(Some(&done), "2026-01-02T00:00:01Z", Some("2026-01-02T00:00:00Z")), Says::Nothing);
        assert_eq!(says(None, "2026-01-02T00:00:00Z", None), Says::Nothing);
    }

    #[test]
    fn a_write_that_had_begun_is_told_from_one_that_had_not_and_from_a_later_one() {
        let begun = mark(None);
        let noted = Some("2026-01-02T00:00:00Z");
        assert_eq!(says(Some(&begun), "2026-01-01T00:00:00Z", noted), Says::NotYet(Some(print("old"))));
        assert_eq!(says(Some(&begun), "2026-01-02T00:00:03Z", noted), Says::Assumed(print("new"), "r1".into()));
        assert_eq!(says(Some(&begun), "2026-01-02T00:05:00Z", noted), Says::Nothing);
        assert_eq!(says(Some(&begun), "2026-01-01T12:00:00Z", noted), Says::Nothing);
        assert_eq!(says(Some(&begun), "yesterday", noted), Says::Nothing);
    }

    #[test]
    fn a_variable_of_somebody_else_is_no_note() {
        let note = Note { current: Some(mark(None)), ..Note::default() };
        assert_eq!(Note::parse(&note.text()), Some(note));
        for text in ["", "production", "{}", r#"{"keyroll":2}"#] {
            assert_eq!(Note::parse(text), None, "{text}");
        }
    }
}
