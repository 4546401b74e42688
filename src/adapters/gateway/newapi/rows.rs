//! Tokens as new-api lists them. A name of at most 50 bytes is the only text of ours that a token can carry.

use crate::rotation::{KeyFacts, KeyId, Marker, Scope, Time, undated};
use crate::support::text::clean_to;
use serde_json::{Map, Value};

/// The longest name.
pub(super) const NAME_BYTES: usize = 50;
/// What a marker begins with, behind the name: short, because a name is.
const MARK: &str = " kr.";

/// Fields that say who a token is or how it did so far. All others restrict it, also those that are not known here.
const NOT_SCOPE: &[&str] = &[
    "id",
    "user_id",
    "key",
    "name",
    "status",
    "created_time",
    "accessed_time",
    "expired_time",
    // A slice that was paid in advance, not a limit.
    "remain_quota",
    "used_quota",
    "DeletedAt",
];
/// What the server keeps by itself; a full update does not carry it.
const NOT_SENT: &[&str] = &["key", "user_id", "created_time", "accessed_time", "used_quota", "DeletedAt"];

/// A token's status: accepted.
pub(super) const ENABLED: u64 = 1;
/// A token's status: switched off.
pub(super) const DISABLED: u64 = 2;

/// A token as the console shows it.
#[derive(Clone, PartialEq)]
pub(crate) struct Token(pub(super) Map<String, Value>);

impl Token {
    pub(super) fn id(&self) -> Option<KeyId> {
        self.0.get("id").and_then(Value::as_u64).map(|id| KeyId::new(id.to_string()))
    }

    pub(crate) fn name(&self) -> &str {
        self.0.get("name").and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn status(&self) -> Option<u64> {
        self.0.get("status").and_then(Value::as_u64)
    }

    pub(super) fn user(&self) -> Option<u64> {
        self.0.get("user_id").and_then(Value::as_u64)
    }

    pub(super) fn is_true(&self, field: &str) -> bool {
        self.0.get(field).and_then(Value::as_bool) == Some(true)
    }

    /// Its value, where this version shows it in clear.
    pub(super) fn clear(&self) -> Option<&str> {
        self.0.get("key").and_then(Value::as_str).filter(|key| key.len() >= 20 && !key.contains('*'))
    }

    /// What is shown of its value could be this one's. Nothing shown fits nothing.
    pub(super) fn looks_like(&self, value: &str) -> bool {
        let shown = self.0.get("key").and_then(Value::as_str).unwrap_or_default().trim_start_matches("sk-");
        let value = value.trim_start_matches("sk-");
        let (Some(first), Some(last)) = (shown.find('*'), shown.rfind('*')) else { return shown == value && !value.is_empty() };
        let head = shown.get(..first).unwrap_or_default();
        let tail = shown.get(last..).map(|rest| rest.trim_start_matches('*')).unwrap_or_default();
        head.len() + tail.len() >= 6 && value.starts_with(head) && value.ends_with(tail)
    }

    /// A moment in seconds; zero and less are none.
    pub(crate) fn second(&self, field: &str) -> Option<Time> {
        self.0.get(field).and_then(Value::as_i64).filter(|s| *s > 0).map(|s| Time(s.saturating_mul(1000)))
    }

    /// When it ends: −1 is never. Zero is a token that was broken by an update that left the field out: it ended in 1970.
    fn end(&self) -> Option<Time> {
        self.0.get("expired_time").and_then(Value::as_i64).filter(|s| *s >= 0).map(|s| Time(s.saturating_mul(1000)))
    }

    /// As facts.
    pub(super) fn facts(&self, id: KeyId) -> KeyFacts {
        let (name, marker) = named(self.name());
        KeyFacts {
            id,
            name: clean_to(name, 200),
            marker,
            enabled: self.status() == Some(ENABLED),
            created_at: self.second("created_time"),
            expires_at: self.end(),
            last_used_at: self.second("accessed_time"),
            owner: self.user().map(owner).unwrap_or_default(),
            scope: self.scope(),
        }
    }

    /// Everything that restricts it. What is empty, null or off restricts nothing here; the order of a list says nothing.
    fn scope(&self) -> Scope {
        let fields = self.0.iter().filter(|(name, value)| !NOT_SCOPE.contains(&name.as_str()) && !is_empty(value));
        fields.map(|(name, value)| (name.clone(), plain(name, value))).collect()
    }

    /// All that a full update must carry, because it makes nothing of what it leaves out.
    pub(super) fn update(&self, name: &str) -> Map<String, Value> {
        let kept = self.0.iter().filter(|(field, _)| !NOT_SENT.contains(&field.as_str()));
        let mut body: Map<String, Value> = kept.map(|(field, value)| (field.clone(), value.clone())).collect();
        body.insert("name".into(), name.into());
        body
    }

    /// It is restricted and ends like another one, whatever it is called.
    pub(super) fn same_limits(&self, other: &Self) -> bool {
        let fixed = |token: &Self| (token.scope(), token.end(), token.status(), token.is_true("unlimited_quota"));
        fixed(self) == fixed(other)
    }
}

/// How the user is named as an owner.
pub(crate) fn owner(user: u64) -> String {
    format!("user {user}")
}

/// A name and the marker behind it.
pub(super) fn named(whole: &str) -> (&str, String) {
    let none = || (whole, String::new());
    let Some((name, rest)) = whole.rsplit_once(MARK) else { return none() };
    if rest == "live" {
        return (name, Marker::live().as_str().to_owned());
    }
    let text = format!("keyroll:{}", rest.replace('.', ":"));
    if Marker::run(&text).is_some() && clean_to(&text, 200) == text { (name, text) } else { none() }
}

/// A name with a marker behind it, as long as it may be. The marker is never cut; the name's date goes first, then its end.
pub(super) fn with_marker(name: &str, marker: &Marker) -> Option<String> {
    let short = marker.as_str().strip_prefix("keyroll:")?.replace(':', ".");
    let room = NAME_BYTES.checked_sub(MARK.len().checked_add(short.len())?)?;
    let mut name = undated(name);
    while name.len() > room {
        let (at, _) = name.char_indices().next_back()?;
        name = name.get(..at)?;
    }
    Some(format!("{}{MARK}{short}", name.trim_end()))
}

fn plain(name: &str, value: &Value) -> Value {
    let split = match name {
        "model_limits" => ',',
        "allow_ips" => '\n',
        _ => return value.clone(),
    };
    let Some(text) = value.as_str() else { return value.clone() };
    let mut parts: Vec<&str> = text.split(split).map(str::trim).filter(|part| !part.is_empty()).collect();
    parts.sort_unstable();
    parts.dedup();
    Value::String(parts.join(&split.to_string()))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Number(_) => false,
    }
}
