//! Versions and their labels: whose is whose.
//!
//! A version is immutable and its id is the token of the call that made it, so our ids say which run made them and from what. Three
//! labels are ours; `AWSPENDING` belongs to managed rotation and is never touched.

use crate::rotation::RunId;
use crate::secret::{Fingerprint, FingerprintKey, SecretText};
use crate::support::text::clean_to;
use std::collections::BTreeMap;

/// What readers get when they name nothing.
pub(super) const CURRENT: &str = "AWSCURRENT";
/// AWS puts it on the version that `AWSCURRENT` left.
pub(super) const PREVIOUS: &str = "AWSPREVIOUS";
/// The label of managed rotation.
pub(super) const MANAGED: &str = "AWSPENDING";

/// A label of ours. Every put names one of these, so a put can never be the flip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    /// The new value, from stage until the run is over; a canary consumer may read it by this name.
    Pending,
    /// The value to go back to. `AWSPREVIOUS` moves on when anybody writes, and a version without a label may be purged.
    Kept,
    /// The present document written once more, on its way to become current.
    Rewritten,
}

impl Own {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Pending => "KEYROLL_PENDING",
            Self::Kept => "KEYROLL_PREVIOUS",
            Self::Rewritten => "KEYROLL_REWRITTEN",
        }
    }
}

/// The shortest and the longest token that AWS takes.
const TOKEN: std::ops::RangeInclusive<usize> = 32..=64;
const PREFIX: &str = "keyroll-";

/// The id of the version in which a run stages a document: the same after a restart, and another one for another document, because
/// AWS refuses a token that comes again with another value.
pub(super) fn token(run: &RunId, document: &SecretText, key: &FingerprintKey) -> Result<String, String> {
    made(run.as_str(), &key.of(document))
}

/// The id of the version that a rewrite makes.
pub(super) fn rewrite_token(what: &str, guard: &str, document: &SecretText, key: &FingerprintKey) -> Result<String, String> {
    let both = SecretText::new(format!("{guard} {}", key.of(document).as_str()));
    made(what, &key.of(&both))
}

fn made(first: &str, fingerprint: &Fingerprint) -> Result<String, String> {
    let room = TOKEN.end().saturating_sub(PREFIX.len() + first.len() + 1);
    let rest: String = digits(fingerprint).chars().take(room.min(32)).collect();
    let token = format!("{PREFIX}{first}-{rest}");
    // Less than 64 bits of the fingerprint would make two documents one.
    if rest.len() < 16 || !TOKEN.contains(&token.len()) {
        return Err("the run's name leaves no room for a version id".into());
    }
    Ok(token)
}

/// The digits of a fingerprint, without the name of the method.
pub(super) fn digits(fingerprint: &Fingerprint) -> &str {
    fingerprint.as_str().rsplit(':').next().unwrap_or_default()
}

/// The run that made a version; none when it is not ours.
pub(super) fn run_of(version: &str) -> Option<&str> {
    version.strip_prefix(PREFIX)?.rsplit_once('-').map(|(run, _)| run).filter(|run| !run.is_empty())
}

/// A secret without its values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Versions {
    /// Version ids and their labels.
    pub(super) labels: BTreeMap<String, Vec<String>>,
    /// It is scheduled for deletion.
    pub(super) deleted: bool,
    /// AWS rotates it by itself.
    pub(super) managed: bool,
    /// The AWS service that owns it.
    pub(super) owner: Option<String>,
    /// It is a copy; the region of the original.
    pub(super) copy_of: Option<String>,
    /// Copies in other regions that are not up to date: region and state.
    pub(super) behind: Vec<(String, String)>,
}

impl Versions {
    /// The versions that carry a label. More than one is a fault of the store.
    pub(super) fn with(&self, label: &str) -> Vec<&str> {
        self.labels.iter().filter(|(_, labels)| labels.iter().any(|l| l == label)).map(|(id, _)| id.as_str()).collect()
    }

    /// The version that carries a label.
    pub(super) fn at(&self, label: &str) -> Result<Option<&str>, String> {
        match self.with(label).as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            several => Err(format!("{} versions carry the label {label}; remove it from the wrong one", several.len())),
        }
    }

    pub(super) fn carries(&self, version: &str, label: &str) -> bool {
        self.labels.get(version).is_some_and(|labels| labels.iter().any(|l| l == label))
    }

    /// Why nothing new may be put here; none when it may.
    pub(super) fn unusable(&self) -> Option<String> {
        if self.deleted {
            return Some("it is scheduled for deletion; restore it first".into());
        }
        if let Some(region) = &self.copy_of {
            return Some(format!("it is a copy of a secret in {region}, where it has to be changed"));
        }
        if let Some(owner) = &self.owner {
            return Some(format!("the AWS service {owner} owns it and would undo the change; rotate it there"));
        }
        if self.managed {
            return Some("AWS rotates it by itself (managed rotation); turn that off, or leave the rotation to it".into());
        }
        let rotating = self.with(MANAGED).into_iter().find(|version| !self.carries(version, CURRENT));
        if let Some(version) = rotating {
            return Some(format!(
                "version {} carries {MANAGED}: another rotation is on its way; let it end, or remove that label",
                clean_to(version, 64)
            ));
        }
        None
    }

    /// Why some readers would not see a change; none when all would.
    pub(super) fn lagging(&self) -> Option<String> {
        if self.behind.is_empty() {
            return None;
        }
        let copies: Vec<String> = self.behind.iter().map(|(region, state)| format!("{region} ({state})")).collect();
        Some(format!("its copies are not up to date: {}; consumers there still read another version", copies.join(", ")))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    fn key() -> FingerprintKey {
        FingerprintKey::from_bytes(&[7; 32]).unwrap()
    }

    #[test]
    fn a_token_is_the_same_again_and_names_its_run() {
        let (run, value) = (RunId::new("abcdefghijklmnop"), SecretText::new("v1"));
        let token = token(&run, &value, &key()).unwrap();
        assert_eq!(token, super::token(&run, &value, &key()).unwrap());
        assert_ne!(token, super::token(&run, &SecretText::new("v2"), &key()).unwrap());
        assert!(TOKEN.contains(&token.len()));
        assert_eq!(run_of(&token), Some("abcdefghijklmnop"));
    }

    #[test]
    fn short_and_long_names_of_runs_fit_or_are_refused() {
        let token = |run: &str| token(&RunId::new(run), &SecretText::new("v"), &key());
        assert!(TOKEN.contains(&token("r").unwrap().len()));
        assert_eq!(run_of(&token("a-b-c").unwrap()), Some("a-b-c"));
        assert_eq!(token(&"x".repeat(39)).unwrap().len(), 64);
        assert!(token(&"x".repeat(40)).is_err());
    }

    #[test]
    fn versions_of_others_have_no_run() {
        assert_eq!(run_of("8a0b9c1e-1111-4222-8333-944455556666"), None);
        assert_eq!(run_of("keyroll-"), None);
    }

    #[test]
    fn a_label_on_two_versions_is_a_fault() {
        let mut versions = Versions::default();
        versions.labels.insert("a".into(), vec![CURRENT.into()]);
        versions.labels.insert("b".into(), vec![CURRENT.into()]);
        assert!(versions.at(CURRENT).is_err());
        assert_eq!(versions.at(PREVIOUS).unwrap(), None);
    }

    #[test]
    fn each_reason_not_to_write_is_named() {
        let with = |change: fn(&mut Versions)| {
            let mut versions = Versions::default();
            change(&mut versions);
            versions.unusable().unwrap_or_default()
        };
        assert!(with(|v| v.deleted = true).contains("deletion"));
        assert!(with(|v| v.managed = true).contains("managed rotation"));
        assert!(with(|v| v.owner = Some("rds".into())).contains("rds"));
        assert!(with(|v| v.copy_of = Some("us-east-1".into())).contains("us-east-1"));
        assert!(with(|v| drop(v.labels.insert("x".into(), vec![MANAGED.into()]))).contains(MANAGED));
        // After a managed rotation has ended, its label stays on the current version.
        assert!(with(|v| drop(v.labels.insert("x".into(), vec![MANAGED.into(), CURRENT.into()]))).is_empty());
    }
}
