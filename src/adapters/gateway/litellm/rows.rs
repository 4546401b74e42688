//! The documents of LiteLLM's management API, as far as they are read.

use crate::adapters::gateway::wire::is_empty;
use crate::rotation::{KeyFacts, KeyId, Scope, Time};
use crate::support::text::clean_to;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The field of a key's metadata that holds our text.
pub(super) const MARKER: &str = "keyroll";
/// What an alias ends with where a run made the key: aliases are unique, and a key may be rotated twice on one day.
pub(super) const RUN: &str = " r-";

/// Fields that say who a key is, how it did so far, or what it is called. All others restrict it, also those that are not known here.
const NOT_SCOPE: &[&str] = &[
    "token",
    "token_id",
    "key_name",
    "key_alias",
    "api_key",
    "blocked",
    "expires",
    "created_at",
    "created_by",
    "created_by_user",
    "updated_at",
    "updated_by",
    "settings_updated_at",
    "last_active",
    "last_refreshed_at",
    "last_rotation_at",
    "key_rotation_at",
    "rotation_count",
    "spend",
    "total_spend",
    "model_spend",
    "team_spend",
    "team_member_spend",
    "user_spend",
    "budget_reset_at",
    "soft_budget_cooldown",
    "team_blocked",
    "is_session_token",
    "object_permission_id",
];

/// Fields of documents inside a key's that say when they were written, or which of several equal ones it is.
const NOT_INNER: &[&str] = &["object_permission_id", "created_at", "created_by", "updated_at", "updated_by", "budget_reset_at"];

#[derive(Deserialize)]
pub(super) struct Page {
    pub(super) keys: Vec<Row>,
    pub(super) total_count: u64,
    pub(super) current_page: u64,
    pub(super) total_pages: u64,
}

/// A key as the listing shows it.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Row(pub(super) Map<String, Value>);

impl Row {
    fn text(&self, field: &str) -> &str {
        self.0.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// Its id.
    pub(super) fn token(&self) -> &str {
        self.text("token")
    }
}

#[derive(Deserialize)]
pub(super) struct Info {
    pub(super) info: Inner,
}

#[derive(Deserialize)]
pub(super) struct Inner {
    pub(super) status: Option<String>,
    pub(super) metadata: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
pub(super) struct Blocked {
    pub(super) blocked: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct Deleted {
    pub(super) deleted_keys: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Updated {
    #[serde(default)]
    pub(super) metadata: Map<String, Value>,
}

#[derive(Deserialize)]
pub(super) struct User {
    pub(super) user_id: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Ready {
    pub(super) litellm_version: Option<String>,
}

/// A row as facts.
pub(super) fn facts(id: KeyId, row: &Row) -> KeyFacts {
    let time = |field: &str| Time::parse(row.text(field));
    let metadata = row.0.get("metadata");
    KeyFacts {
        id,
        name: clean_to(without_run(row.text("key_alias")), 200),
        marker: marker(metadata.and_then(|m| m.get(MARKER)).and_then(Value::as_str).unwrap_or_default()),
        enabled: row.0.get("blocked").and_then(Value::as_bool) != Some(true),
        created_at: time("created_at"),
        expires_at: time("expires"),
        last_used_at: time("last_active"),
        owner: owner(row.text("team_id"), row.text("user_id")),
        scope: scope(&row.0),
    }
}

/// Who answers for a key: its team, else its user. The log names both.
pub(crate) fn owner(team: &str, user: &str) -> String {
    clean_to(if team.is_empty() { user } else { team }, 200)
}

/// A marker that is not clean text is not one of ours, also not after cleaning.
fn marker(text: &str) -> String {
    let clean = clean_to(text, 512);
    if clean == text { clean } else { format!("(not plain) {clean}") }
}

/// An alias without what makes it unique.
fn without_run(alias: &str) -> &str {
    match alias.rsplit_once(RUN) {
        Some((name, run)) if !run.is_empty() && run.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => name,
        Some(_) | None => alias,
    }
}

/// Everything that restricts a key. What is empty or null restricts nothing here.
fn scope(row: &Map<String, Value>) -> Scope {
    let fields = row.iter().filter(|(name, _)| !NOT_SCOPE.contains(&name.as_str()));
    fields.map(|(name, value)| (name.clone(), plain(name, value))).filter(|(_, value)| !is_empty(value)).collect()
}

/// A value without our own text and without what says only when it was written.
fn plain(name: &str, value: &Value) -> Value {
    let Value::Object(fields) = value else { return value.clone() };
    let kept = fields.iter().filter(|(field, inner)| match name {
        "metadata" => field.as_str() != MARKER,
        "object_permission" | "litellm_budget_table" => !NOT_INNER.contains(&field.as_str()) && !is_empty(inner),
        _ => true,
    });
    Value::Object(kept.map(|(field, inner)| (field.clone(), inner.clone())).collect())
}
