//! Keys as the family lists them, and what they say.

use super::{Counters, Dialect};
use crate::adapters::gateway::wire::is_empty;
use crate::rotation::{KeyFacts, KeyId, Scope, Time};
use crate::support::text::clean_to;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Fields that say who a key is or how it did so far. All others restrict it, also those that are not known here.
const NOT_SCOPE: &[&str] = &[
    "hash",
    "id",
    "key",
    "name",
    "label",
    "disabled",
    "created_at",
    "updated_at",
    "expires_at",
    "last_used_at",
    "creator_user_id",
    "limit_remaining",
    "usage",
    "usage_daily",
    "usage_weekly",
    "usage_monthly",
    "byok_usage",
    "byok_usage_daily",
    "byok_usage_weekly",
    "byok_usage_monthly",
];

/// The field of a scope that names the guardrails a key is under.
pub(super) const GUARDRAILS: &str = "guardrails";
/// What a marker begins with, behind the name.
const MARK: &str = " keyroll:";

/// A page of keys; more fields may say more.
#[derive(Deserialize)]
pub(super) struct Page {
    pub(super) data: Vec<Row>,
}

/// A key as a listing shows it.
#[derive(Deserialize, Clone, PartialEq)]
#[serde(transparent)]
pub(super) struct Row(pub(super) Map<String, Value>);

/// `{data: KEY}`.
#[derive(Deserialize)]
pub(super) struct One {
    pub(super) data: Row,
}

/// Who holds a credential, as it sees itself.
#[derive(Deserialize)]
pub(super) struct Own {
    pub(super) data: Row,
}

/// One finished call; OpenRouter wraps it, ARouter does not.
#[derive(Deserialize)]
pub(super) struct Generation {
    #[serde(default)]
    data: Option<Box<Generation>>,
    id: Option<String>,
    total_cost: Option<f64>,
    usage: Option<Value>,
}

impl Generation {
    /// Its cost in dollars, if it is the call that was asked for.
    pub(super) fn cost_of(&self, id: &str) -> Option<f64> {
        if let Some(inner) = &self.data {
            return inner.cost_of(id);
        }
        if self.id.as_deref() != Some(id) {
            return None;
        }
        let told = match &self.usage {
            Some(Value::Number(cost)) => cost.as_f64(),
            Some(Value::Object(usage)) => usage.get("cost").and_then(Value::as_f64),
            Some(_) | None => None,
        };
        self.total_cost.or(told)
    }
}

/// Which key is under which guardrail.
#[derive(Deserialize)]
pub(super) struct Assignments {
    pub(super) data: Vec<Assignment>,
    pub(super) total_count: Option<u64>,
}

#[derive(Deserialize)]
pub(super) struct Assignment {
    pub(super) key_hash: String,
    pub(super) guardrail_id: String,
}

impl Row {
    pub(super) fn text(&self, field: &str) -> &str {
        self.0.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn is_true(&self, field: &str) -> bool {
        self.0.get(field).and_then(Value::as_bool) == Some(true)
    }

    /// What shows its use: what it cost, with its own money and with keys that were brought along, and when it was used last.
    pub(super) fn counters(&self) -> Counters {
        let number = |field: &str| self.0.get(field).and_then(Value::as_f64);
        let used = |value: &Value| {
            let text = value.as_str().unwrap_or_default();
            Time::parse(text).map_or(0, |at| at.0)
        };
        Counters {
            spent: number("usage").map(|own| own + number("byok_usage").unwrap_or_default()),
            // Milliseconds of this century are exact in a float.
            #[expect(clippy::cast_precision_loss, reason = "less than 2^53")]
            last_used: self.0.get("last_used_at").map(|value| used(value) as f64),
        }
    }

    /// What the listing shows of its value fits this one; none when it shows nothing.
    pub(super) fn shows(&self, value: &str) -> Option<bool> {
        let (head, tail) = self.text("label").split_once("...")?;
        (head.len().saturating_add(tail.len()) >= 8).then(|| value.starts_with(head) && value.ends_with(tail))
    }

    /// A row as facts.
    pub(super) fn facts(&self, id: KeyId, guardrails: Vec<String>) -> KeyFacts {
        let time = |field: &str| Time::parse(self.text(field));
        let (name, marker) = named(self.text("name"));
        let mut scope = scope(&self.0);
        if !guardrails.is_empty() {
            scope.insert(GUARDRAILS.into(), guardrails.into());
        }
        KeyFacts {
            id,
            name: clean_to(name, 200),
            marker,
            enabled: !self.is_true("disabled"),
            created_at: time("created_at"),
            expires_at: time("expires_at"),
            last_used_at: time("last_used_at"),
            owner: clean_to(self.text("creator_user_id"), 200),
            scope,
        }
    }
}

/// Id of a row in this dialect; none when it is a row of another one.
pub(super) fn id(dialect: Dialect, row: &Row) -> Option<&str> {
    let (field, foreign) = dialect.id();
    let id = row.0.get(field)?.as_str()?;
    (KeyId::is_safe(id) && !row.0.contains_key(foreign)).then_some(id)
}

/// A name and the marker behind it.
fn named(whole: &str) -> (&str, String) {
    match whole.rsplit_once(MARK) {
        Some((name, rest)) if !rest.is_empty() && !rest.contains(char::is_whitespace) && clean_to(rest, 300) == rest => {
            (name, format!("{}{rest}", MARK.trim_start()))
        }
        Some(_) | None => (whole, String::new()),
    }
}

/// A name with a marker behind it.
pub(super) fn with_marker(name: &str, marker: &str) -> String {
    format!("{name} {marker}")
}

/// Everything that restricts a key. What is empty or null restricts nothing here. The order of a list of names says nothing.
fn scope(row: &Map<String, Value>) -> Scope {
    let fields = row.iter().filter(|(name, value)| !NOT_SCOPE.contains(&name.as_str()) && !is_empty(value));
    fields.map(|(name, value)| (name.clone(), sorted(value))).collect()
}

fn sorted(value: &Value) -> Value {
    let mut value = value.clone();
    if let Value::Array(items) = &mut value {
        items.sort_by_key(Value::to_string);
    }
    value
}
