//! Which field of which document in which server: checked before anything is asked, because a dot segment is quietly another path.

use crate::policy::model::reference::VaultPlace;
use crate::support::http;
use reqwest::Url;

/// What the path of the pending document ends with.
const PENDING: &str = ".pending";
/// In a pending document: which run wrote it.
pub(super) const RUN: &str = "keyroll_run";
/// In a pending document: the fingerprint of the value that the run wrote.
pub(super) const VALUE: &str = "keyroll_value";

/// One field of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) base: Url,
    pub(super) namespace: Option<String>,
    pub(super) mount: String,
    pub(super) path: String,
    pub(super) field: String,
}

/// What the environment says where the policy says nothing.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Surroundings {
    pub(super) address: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) ca_file: Option<String>,
}

impl Surroundings {
    pub(super) fn of_process() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        Self { address: variable("VAULT_ADDR"), namespace: variable("VAULT_NAMESPACE"), ca_file: variable("VAULT_CACERT") }
    }
}

impl Place {
    /// The place that a policy means; else what is wrong with it.
    pub(super) fn of(written: &VaultPlace, around: &Surroundings) -> Result<Self, String> {
        let address = written.address.as_ref().map(|a| a.as_str()).or(around.address.as_deref());
        let address = address.ok_or("it has no address; write `address`, or set VAULT_ADDR")?;
        let base = http::address(address).map_err(|e| e.to_string())?;
        if !matches!(base.path(), "" | "/") || base.query().is_some() || base.fragment().is_some() {
            return Err("its address has a path; give scheme, host and port alone".into());
        }
        let namespace = written.namespace.as_deref().or(around.namespace.as_deref()).map(|n| n.trim_matches('/'));
        let namespace = namespace.filter(|n| !n.is_empty() && *n != "root").map(|n| path("namespace", n)).transpose()?;
        let place = Self {
            base,
            namespace,
            mount: path("mount", written.mount.trim_matches('/'))?,
            path: path("path", written.path.trim_matches('/'))?,
            field: written.field.clone(),
        };
        if place.path.ends_with(PENDING) {
            return Err(format!("its path ends with {PENDING}, where the value of a run waits; name the document that consumers read"));
        }
        let field = place.field.as_str();
        if field.is_empty() || field.len() > 256 || field.chars().any(char::is_control) || field == RUN || field == VALUE {
            return Err("its field cannot be used: empty, too long, with control characters, or one of keyroll's own".into());
        }
        Ok(place)
    }

    /// The document where a value waits.
    pub(super) fn pending(&self) -> String {
        format!("{}{PENDING}", self.path)
    }

    /// How messages name it.
    pub(super) fn name(&self) -> String {
        format!("vault {}/{} field {}", self.mount, self.path, self.field)
    }

    /// The same for every way to write this place down; for claims.
    pub(super) fn address(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        let port = self.base.port_or_known_default().unwrap_or_default();
        let namespace = self.namespace.as_deref().unwrap_or_default();
        format!("vault:{host}:{port}/{namespace}#{}/{}#{}", self.mount, self.path, self.field)
    }
}

/// A path of plain segments. The server would take `..` for another place, and so would a person who reads it.
pub(super) fn path(what: &str, text: &str) -> Result<String, String> {
    let plain = |s: &str| {
        !s.is_empty() && s.bytes().any(|b| b != b'.') && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    if text.len() <= 512 && text.split('/').all(plain) {
        Ok(text.to_owned())
    } else {
        Err(format!("its {what} is not made of plain parts (letters, digits, `.`, `_`, `-`) with `/` between them"))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;
    use crate::policy::scalar::Url as Written;

    fn written(address: Option<&str>, mount: &str, path: &str, field: &str) -> VaultPlace {
        VaultPlace {
            address: address.map(|a| Written::parse(a).unwrap()),
            namespace: None,
            ca_file: None,
            mount: mount.into(),
            path: path.into(),
            field: field.into(),
            auth: None,
        }
    }

    fn of(address: &str, mount: &str, path: &str, field: &str) -> Result<Place, String> {
        Place::of(&written(Some(address), mount, path, field), &Surroundings::default())
    }

    #[test]
    fn one_place_has_one_address() {
        let a = of("https://vault.example.com", "/secret/", "apps/chat/", "api_key").unwrap();
        let b = of("https://VAULT.example.com:443/", "secret", "/apps/chat", "api_key").unwrap();
        assert_eq!(a.address(), b.address());
        assert_eq!(a.pending(), "apps/chat.pending");
        assert_ne!(a.address(), of("https://vault.example.com", "secret", "apps/chat", "other").unwrap().address());
    }

    #[test]
    fn what_leads_elsewhere_is_refused() {
        for path in ["", "..", "a/../b", "a//b", "a/./b", "a b", "a?b", "a%2fb", "a\nb", "a#b", "apps/chat.pending", &"a".repeat(600)] {
            assert!(of("http://127.0.0.1:8200", "secret", path, "key").is_err(), "{path:?}");
        }
        for address in ["http://127.0.0.1:8200/prefix", "http://127.0.0.1:8200/?a=b"] {
            assert!(of(address, "secret", "a", "key").unwrap_err().contains("address"), "{address}");
        }
        for field in ["", "a\nb", RUN, VALUE] {
            assert!(of("http://127.0.0.1:8200", "secret", "a", field).is_err(), "{field:?}");
        }
        assert!(of("http://127.0.0.1:8200", "../sys", "a", "key").unwrap_err().contains("mount"));
    }

    #[test]
    fn the_environment_fills_in() {
        let around = Surroundings { address: Some("http://127.0.0.1:8200".into()), namespace: Some("team/a/".into()), ca_file: None };
        let mut policy = written(None, "secret", "a", "key");
        assert_eq!(Place::of(&policy, &around).unwrap().namespace.as_deref(), Some("team/a"));
        policy.namespace = Some("root".into());
        assert_eq!(Place::of(&policy, &around).unwrap().namespace, None);
        assert!(Place::of(&policy, &Surroundings::default()).unwrap_err().contains("VAULT_ADDR"));
        let bad = Surroundings { namespace: Some("a b".into()), ..around };
        policy.namespace = None;
        assert!(Place::of(&policy, &bad).unwrap_err().contains("namespace"));
    }
}
