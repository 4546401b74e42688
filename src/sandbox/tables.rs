//! The gateway's tables: keys, provider keys and models, as data with look-ups.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The fields of a scope that the gateway enforces or at least knows; a row shows each, `null` when unrestricted.
pub(super) const SCOPE_FIELDS: [&str; 6] = ["models", "routes", "budget_usd", "budget_window", "rpm", "tpm"];

/// What a key may do. Kept as the raw document, so that fields of a "newer gateway" survive and can be dropped by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Scope(pub(super) Map<String, Value>);

impl Scope {
    /// Refuses a known field of the wrong kind; says which and what it must be.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        for (name, value) in &self.0 {
            let texts = |value: &Value| value.as_array().is_some_and(|all| all.iter().all(Value::is_string));
            let (fits, must) = match name.as_str() {
                "models" => (texts(value), "models must be a list of texts or null"),
                "routes" => (texts(value), "routes must be a list of texts or null"),
                "budget_usd" => (value.as_f64().is_some_and(|money| money >= 0.0), "budget_usd must be a number or null"),
                "budget_window" => (value.is_string(), "budget_window must be a text or null"),
                "rpm" => (value.is_u64(), "rpm must be a whole number or null"),
                "tpm" => (value.is_u64(), "tpm must be a whole number or null"),
                _ => (true, ""),
            };
            if !fits && !value.is_null() {
                return Err(must);
            }
        }
        Ok(())
    }

    /// True when the list is missing (unrestricted) or names `item`.
    pub(super) fn allows(&self, list: &str, item: &str) -> bool {
        match self.0.get(list) {
            Some(Value::Array(items)) => items.iter().any(|one| one == item),
            _ => true,
        }
    }

    /// A limit that is a number.
    pub(super) fn limit(&self, name: &str) -> Option<f64> {
        self.0.get(name).and_then(Value::as_f64)
    }

    /// The document with every known field present.
    pub(super) fn shown(&self) -> Value {
        let mut all = self.0.clone();
        for field in SCOPE_FIELDS {
            all.entry(field).or_insert(Value::Null);
        }
        Value::Object(all)
    }
}

/// A key that callers present. A deleted key stays as a tombstone: its refused calls can still be attributed.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Key {
    pub(super) id: String,
    /// Order of creation; lists are sorted by it.
    pub(super) seq: u64,
    pub(super) name: String,
    pub(super) marker: Option<String>,
    pub(super) owner: Option<String>,
    /// A demo value that opens nothing but this sandbox.
    pub(super) secret: String,
    pub(super) enabled: bool,
    pub(super) created_at: i64,
    pub(super) expires_at: Option<i64>,
    pub(super) scope: Scope,
    #[serde(default)]
    pub(super) deleted: bool,
    /// From this time on the data plane refuses the key although the admin API calls it enabled.
    #[serde(default)]
    pub(super) dead_from: Option<i64>,
    /// True for a key that was there from the start.
    #[serde(default)]
    pub(super) seeded: bool,
}

/// The upstream credential that models refer to.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct ProviderKey {
    pub(super) id: String,
    pub(super) seq: u64,
    pub(super) name: String,
    pub(super) provider: String,
    pub(super) marker: Option<String>,
    /// A demo value that only the sandbox's own upstream accepts.
    pub(super) value: String,
    pub(super) enabled: bool,
    pub(super) created_at: i64,
}

/// A model that the gateway offers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Model {
    pub(super) name: String,
    pub(super) provider: String,
    pub(super) provider_key_id: String,
}

/// What replicas copy.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Tables {
    pub(super) keys: BTreeMap<String, Key>,
    pub(super) provider_keys: BTreeMap<String, ProviderKey>,
    pub(super) models: BTreeMap<String, Model>,
}

impl Tables {
    /// A key that is not deleted.
    pub(super) fn live(&self, id: &str) -> Option<&Key> {
        self.keys.get(id).filter(|key| !key.deleted)
    }

    /// The same, to change it.
    pub(super) fn live_mut(&mut self, id: &str) -> Option<&mut Key> {
        self.keys.get_mut(id).filter(|key| !key.deleted)
    }

    /// All keys that are not deleted, oldest first.
    pub(super) fn sorted(&self) -> Vec<&Key> {
        let mut keys: Vec<_> = self.keys.values().filter(|key| !key.deleted).collect();
        keys.sort_by_key(|key| key.seq);
        keys
    }

    /// The key with this secret, deleted ones last.
    pub(super) fn by_secret(&self, secret: &str) -> Option<&Key> {
        self.keys.values().filter(|key| key.secret == secret).min_by_key(|key| (key.deleted, key.seq))
    }

    /// The oldest key of an owner that is not deleted, other than `except`.
    pub(super) fn oldest_of(&self, owner: Option<&str>, except: &str) -> Option<&Key> {
        self.sorted().into_iter().find(|key| key.owner.as_deref() == owner && key.id != except)
    }

    /// True for the youngest key of its owner, unless it was there from the start: "the new key" of a rotation.
    pub(super) fn is_newest(&self, key: &Key) -> bool {
        let youngest = self.sorted().into_iter().rfind(|other| other.owner == key.owner);
        !key.seeded && youngest.is_some_and(|other| other.id == key.id)
    }

    /// The names of the models that refer to a provider key.
    pub(super) fn references(&self, provider_key: &str) -> Vec<&str> {
        self.models.values().filter(|model| model.provider_key_id == provider_key).map(|model| model.name.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may")]
    use super::*;
    use serde_json::json;

    fn scope(value: Value) -> Scope {
        Scope(value.as_object().unwrap().clone())
    }

    #[test]
    fn a_missing_list_restricts_nothing_and_an_empty_one_everything() {
        assert!(scope(json!({})).allows("models", "any"));
        assert!(scope(json!({"models": null})).allows("models", "any"));
        assert!(!scope(json!({"models": []})).allows("models", "any"));
        assert!(scope(json!({"models": ["a"]})).allows("models", "a"));
    }

    #[test]
    fn known_fields_have_their_kind_and_unknown_ones_pass() {
        assert!(scope(json!({"rpm": "many"})).check().is_err());
        assert!(scope(json!({"models": "a"})).check().is_err());
        assert!(scope(json!({"rpm": null, "tags": {"x": 1}})).check().is_ok());
        let shown = scope(json!({"tags": ["x"]})).shown();
        assert_eq!(shown.get("rpm"), Some(&Value::Null));
        assert_eq!(shown.get("tags"), Some(&json!(["x"])));
    }
}
