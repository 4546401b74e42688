//! Names of things: each its own type, so that a key id never travels where a run id is meant.

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps a text that was checked where it entered.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// One execution of one plan; at least 80 random bits.
    RunId
);
name!(
    /// The SHA-256 of a plan's canonical JSON: what approvers approve.
    PlanId
);
name!(
    /// The gateway's own id of a key.
    KeyId
);
name!(
    /// The run's own text on a key it made, to find it again after a lost answer; never by itself a reason to delete.
    Marker
);
name!(
    /// A consumer's name.
    App
);
name!(
    /// A model, or route, that references a provider key.
    ModelName
);
name!(
    /// The unguessable id of one call of ours, journaled before it is sent.
    RequestId
);
name!(
    /// A data-plane address that can be tried by itself: one replica, or the one address there is.
    Endpoint
);
name!(
    /// A store's name for one version of a slot; opaque, never a value.
    VersionId
);

/// Position of a slot in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlotNo(pub u16);

impl KeyId {
    /// The shape every id must have before it may become part of a request path.
    ///
    /// 1 to 256 of `A-Z a-z 0-9 . _ : @ -`, and never only dots.
    pub fn is_safe(text: &str) -> bool {
        !text.is_empty()
            && text.len() <= 256
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:@-".contains(&b))
            && text.bytes().any(|b| b != b'.')
    }
}

impl Marker {
    /// The marker of a run's mint attempt: carries the whole run id.
    pub fn of(run: &RunId, attempt: u32) -> Self {
        Self(format!("keyroll:{run}:{attempt}"))
    }

    /// What a finished run leaves on its key.
    pub fn live() -> Self {
        Self("keyroll:live".into())
    }

    /// The run that made a marked key, if the text is a marker of ours (`live` names no run).
    pub fn run(text: &str) -> Option<RunId> {
        let rest = text.strip_prefix("keyroll:")?;
        let (run, attempt) = rest.split_once(':')?;
        (!run.is_empty() && attempt.parse::<u32>().is_ok()).then(|| RunId::new(run))
    }
}

/// A key's name without the date that an earlier rotation put behind it.
pub fn undated(name: &str) -> &str {
    match name.rsplit_once(' ') {
        Some((base, date)) if is_date(date) => base,
        Some(_) | None => name,
    }
}

/// The name of a replacement: the old name, dated anew. `day` is `YYYY-MM-DD`.
pub fn redated(name: &str, day: &str) -> String {
    format!("{} {day}", undated(name))
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && text.bytes().enumerate().all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_names_its_run_and_live_names_none() {
        let run = RunId::new("abc");
        assert_eq!(Marker::run(Marker::of(&run, 2).as_str()), Some(run));
        assert_eq!(Marker::run(Marker::live().as_str()), None);
        assert_eq!(Marker::run("keyroll:abc:x"), None);
    }

    #[test]
    fn a_date_is_replaced_and_never_piled_up() {
        assert_eq!(redated("demo key", "2026-11-21"), "demo key 2026-11-21");
        assert_eq!(redated("demo key 2026-10-01", "2026-11-21"), "demo key 2026-11-21");
        assert_eq!(undated("demo 2026"), "demo 2026");
    }

    #[test]
    fn ids_that_could_leave_their_path_segment_are_unsafe() {
        for bad in ["", "..", "a/b", "a b", "a%2f", "a\n"] {
            assert!(!KeyId::is_safe(bad), "{bad:?}");
        }
        assert!(KeyId::is_safe("key_01.a:b@c-d"));
    }
}
