//! The documents of the sandbox's admin API, as far as they are read.

use crate::rotation::{KeyFacts, KeyId, Scope, Time};
use crate::support::text::clean_to;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Fields of a row that are no part of what a key may do, but that this build does not know either, get this prefix in the scope:
/// a restriction that is not understood is still compared.
const UNKNOWN: &str = "row.";
/// The scope field that holds a provider key's provider.
const PROVIDER: &str = "provider";

#[derive(Deserialize)]
pub(super) struct Identity {
    pub(super) gateway_id: String,
    pub(super) org: String,
    pub(super) principal: String,
    pub(super) build: String,
    pub(super) time: String,
}

#[derive(Deserialize)]
pub(super) struct Replicas {
    pub(super) replicas: Vec<Replica>,
    pub(super) settles_in_ms: u64,
    pub(super) refusal_cache_ms: u64,
    pub(super) capabilities: Capabilities,
}

#[derive(Deserialize)]
pub(super) struct Replica {
    pub(super) replica: u64,
    pub(super) url: String,
    pub(super) log: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Capabilities {
    pub(super) mint: String,
    pub(super) disable: String,
    pub(super) marker: Option<MarkerField>,
}

#[derive(Deserialize)]
pub(super) struct MarkerField {
    pub(super) max_len: u32,
}

#[derive(Deserialize)]
pub(super) struct Page {
    pub(super) data: Vec<Row>,
    pub(super) next_cursor: Option<String>,
}

/// A router key or a provider key.
#[derive(Deserialize)]
pub(super) struct Row {
    pub(super) id: String,
    name: Option<String>,
    marker: Option<String>,
    owner: Option<String>,
    pub(super) enabled: bool,
    created_at: Option<String>,
    last_used_at: Option<String>,
    expires_at: Option<String>,
    #[serde(default)]
    scope: Map<String, Value>,
    provider: Option<String>,
    /// Which models reference a provider key: read from the models themselves.
    #[serde(default, rename = "models")]
    _models: Value,
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Deserialize)]
pub(super) struct MintRow {
    pub(super) id: String,
    pub(super) secret: Option<String>,
    pub(super) created_at: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Models {
    pub(super) data: Vec<ModelRow>,
}

#[derive(Deserialize)]
pub(super) struct ModelRow {
    pub(super) name: String,
    pub(super) provider_key_id: String,
}

#[derive(Deserialize)]
pub(super) struct Projection {
    pub(super) replicas: Vec<ServedBy>,
}

#[derive(Deserialize)]
pub(super) struct ServedBy {
    pub(super) replica: u64,
    pub(super) provider_key_id: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct WhoAmI {
    pub(super) key_id: String,
}

/// A row as facts.
pub(super) fn facts(id: KeyId, row: Row) -> KeyFacts {
    let time = |text: Option<String>| text.as_deref().and_then(Time::parse);
    let mut scope: Scope = row.scope.into_iter().collect();
    scope.extend(row.more.into_iter().map(|(name, value)| (format!("{UNKNOWN}{name}"), value)));
    if let Some(provider) = row.provider {
        scope.insert(PROVIDER.into(), Value::String(clean_to(&provider, 200)));
    }
    KeyFacts {
        id,
        name: clean_to(&row.name.unwrap_or_default(), 200),
        marker: marker(&row.marker.unwrap_or_default()),
        enabled: row.enabled,
        created_at: time(row.created_at),
        expires_at: time(row.expires_at),
        last_used_at: time(row.last_used_at),
        owner: clean_to(&row.owner.unwrap_or_default(), 200),
        scope,
    }
}

/// A marker that is not clean text is not one of ours, also not after cleaning.
fn marker(text: &str) -> String {
    let clean = clean_to(text, 512);
    if clean == text { clean } else { format!("(not plain) {clean}") }
}

/// What of a scope is sent when a key like it is made.
pub(super) fn sendable(scope: &Scope) -> Map<String, Value> {
    scope.iter().filter(|(name, _)| !name.starts_with(UNKNOWN)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The provider of a provider key.
pub(super) fn provider_of(key: &KeyFacts) -> &str {
    key.scope.get(PROVIDER).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_scope_held_is_sent_to_make_a_key_like_it() {
        let scope: Scope = [("rpm".to_owned(), Value::from(1)), (format!("{UNKNOWN}ip_allow_list"), Value::from("x"))].into();
        assert_eq!(sendable(&scope).keys().collect::<Vec<_>>(), ["rpm"]);
    }
}
