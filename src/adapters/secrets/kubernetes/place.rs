//! Which key of which Secret, and what its helpers are called: checked before anything is asked.

use crate::policy::model::slot::KubernetesSlot;
use crate::secret::sha256_hex;
use crate::support::text::clean_to;

/// Kubernetes takes no longer name.
const LONGEST: usize = 253;
/// What every helper's name holds.
const HELPER: &str = ".keyroll-";

/// One key of one Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) namespace: String,
    pub(super) secret: String,
    pub(super) key: String,
}

/// A Secret of ours beside the one that consumers read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Helper {
    /// Where the new value waits; a canary consumer may read it there.
    Pending,
    /// Where the old value is kept: Kubernetes has no history.
    Previous,
}

impl Helper {
    fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Previous => "previous",
        }
    }
}

impl Place {
    /// The place that a policy means; else what is wrong with it.
    pub(super) fn of(written: &KubernetesSlot) -> Result<Self, String> {
        let place = Self { namespace: written.namespace.clone(), secret: written.secret.clone(), key: written.key.clone() };
        if !is_label(&place.namespace) {
            return Err("its namespace is no name of Kubernetes (lower-case letters, digits and `-`, at most 63)".into());
        }
        if !is_subdomain(&place.secret) || place.helper(Helper::Previous).len() > LONGEST {
            return Err("its secret is no name of Kubernetes (lower-case letters, digits, `-` and `.`), or too long for its helpers".into());
        }
        if place.secret.contains(HELPER) {
            return Err("its secret is a helper that keyroll makes; name the Secret that consumers read".into());
        }
        if !is_key(&place.key) {
            return Err("its key is no key of a Secret (letters, digits, `-`, `_` and `.`)".into());
        }
        Ok(place)
    }

    /// The name of a helper. It is the same for every run, so that two runs meet there; and another one for another key.
    pub(super) fn helper(&self, helper: Helper) -> String {
        let digest = sha256_hex(self.key.as_bytes());
        format!("{}{HELPER}{}-{}", self.secret, helper.word(), digest.get(..8).unwrap_or(&digest))
    }

    /// The path of all Secrets here.
    pub(super) fn all(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets", self.namespace)
    }

    /// The path of the Secret that consumers read.
    pub(super) fn path(&self) -> String {
        format!("{}/{}", self.all(), self.secret)
    }

    /// The path of a helper.
    pub(super) fn helper_path(&self, helper: Helper) -> String {
        format!("{}/{}", self.all(), self.helper(helper))
    }

    /// How messages name it.
    pub(super) fn name(&self) -> String {
        clean_to(&format!("kubernetes {}/{} key {}", self.namespace, self.secret, self.key), 300)
    }
}

/// A name that is one label of a host name.
pub fn is_label(text: &str) -> bool {
    text.len() <= 63 && !text.contains('.') && is_subdomain(text)
}

/// A name as most objects of Kubernetes have it. Nothing else gets into a path.
pub fn is_subdomain(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let label = |part: &str| {
        part.bytes().next().is_some_and(plain) && part.bytes().last().is_some_and(plain) && part.bytes().all(|b| plain(b) || b == b'-')
    };
    (1..=LONGEST).contains(&text.len()) && text.split('.').all(label)
}

fn is_key(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=LONGEST).contains(&text.len()) && !text.bytes().all(|b| b == b'.') && text.bytes().all(plain)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    fn of(namespace: &str, secret: &str, key: &str) -> Result<Place, String> {
        Place::of(&KubernetesSlot { context: None, cluster: None, namespace: namespace.into(), secret: secret.into(), key: key.into() })
    }

    #[test]
    fn helpers_are_names_too_and_differ_by_key() {
        let place = of("chat", "router-key", "API_KEY").unwrap();
        assert!(is_subdomain(&place.helper(Helper::Pending)), "{}", place.helper(Helper::Pending));
        assert_ne!(place.helper(Helper::Pending), place.helper(Helper::Previous));
        assert_ne!(place.helper(Helper::Pending), of("chat", "router-key", "other").unwrap().helper(Helper::Pending));
        assert!(of("chat", &place.helper(Helper::Pending), "API_KEY").unwrap_err().contains("helper"));
    }

    #[test]
    fn what_leads_elsewhere_is_refused() {
        for name in ["", "..", "a/b", "a b", "A", "-a", "a-", "a..b", "a%2fb", "a?b", &"a".repeat(254)] {
            assert!(of("chat", name, "k").is_err(), "{name:?}");
            assert!(of(name, "router-key", "k").is_err(), "{name:?}");
        }
        for key in ["", ".", "..", "a/b", "a b", "a\nb"] {
            assert!(of("chat", "router-key", key).unwrap_err().contains("key"), "{key:?}");
        }
        assert!(of("a.b", "router-key", "k").is_err());
    }
}
