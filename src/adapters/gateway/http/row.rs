//! One listed key: where the description says things are, as facts.

use super::document::{harmless, remove, structure};
use super::times;
use super::values::shown;
use crate::policy::model::http_gateway::{Condition, DisableCalls, HttpGateway, IdAt, Is, NameAt};
use crate::rotation::{KeyFacts, KeyId, Scope, Time};
use crate::secret::{SecretText, sha256_hex};
use crate::support::text::clean_to;
use serde_json::{Map, Value};

/// A key of the listing.
pub(super) struct Row {
    /// What everybody may know.
    pub(super) facts: KeyFacts,
    /// Its document, without the key itself.
    pub(super) document: Value,
    /// The key itself, where the listing shows it.
    pub(super) secret: Option<SecretText>,
    /// When it ends by itself, also when that is how it was switched off.
    pub(super) ends: Option<Time>,
}

impl Row {
    /// Both say the same of what matters.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        let (a, b) = (&self.facts, &other.facts);
        (&a.name, &a.marker, a.enabled, &a.scope, self.ends) == (&b.name, &b.marker, b.enabled, &b.scope, other.ends)
    }
}

/// A row that is no object becomes one with the field `value`.
pub(super) fn as_object(row: &Value) -> Value {
    match row {
        Value::Object(_) => row.clone(),
        other => Value::Object(Map::from_iter([("value".to_owned(), other.clone())])),
    }
}

/// A row of an object of rows gets the name under which it stands as the field `_name`.
pub(super) fn named(name: &str, row: &Value) -> Value {
    let mut row = as_object(row);
    if let Some(fields) = row.as_object_mut() {
        fields.insert("_name".to_owned(), Value::String(name.to_owned()));
    }
    row
}

/// The id of a row, if there is one.
pub(super) fn id_text(described: &HttpGateway, document: &Value) -> Option<String> {
    match &described.fields.id {
        IdAt::Field(at) => document.pointer(at.as_str()).filter(|v| v.is_string() || v.is_number()).map(shown),
        IdAt::Sha256Of(of) => document.pointer(of.sha256_of.as_str()).and_then(Value::as_str).map(|secret| sha256_hex(secret.as_bytes())),
    }
}

/// Reads a row. The error is a sentence with the field of the policy and the structure of the row.
pub(super) fn read(described: &HttpGateway, mut document: Value, now: Time) -> Result<Row, String> {
    let fields = &described.fields;
    let Some(id) = id_text(described, &document) else {
        return Err(format!("`gateway.http.fields.id` leads to nothing in a listed key, which is {}", structure(&document)));
    };
    if !KeyId::is_safe(&id) {
        return Err("`gateway.http.fields.id` leads to an id whose shape cannot be used in a path; is it the right field?".into());
    }
    let at = |pointer: &crate::policy::scalar::Pointer| document.pointer(pointer.as_str()).filter(|v| !v.is_null());
    let secret = fields.secret.as_ref().and_then(at).and_then(Value::as_str).map(SecretText::new);
    let whole = fields.name.as_ref().and_then(|name| at(name.at())).map(shown).unwrap_or_default();
    let name = match &fields.name {
        Some(NameAt::Part(part)) => whole.split_once(part.before.as_str()).map_or(whole.as_str(), |(name, _)| name),
        Some(NameAt::Field(_)) | None => whole.as_str(),
    };
    let time = |pointer: &Option<crate::policy::scalar::Pointer>| match pointer.as_ref().and_then(at) {
        None => Ok(None),
        Some(value) => times::read(value),
    };
    let ends = time(&fields.expires_at).map_err(|()| "`gateway.http.fields.expires_at` leads to something that is no time".to_owned())?;
    let over = ends.is_some_and(|end| end <= now);
    let by_expiry = matches!(described.disable, DisableCalls::Expiry(_));
    let on = match &fields.enabled {
        None => true,
        Some(enabled) => {
            if enabled.is.is_some() && at(&enabled.at).is_none() {
                let shape = structure(&document);
                return Err(format!("`gateway.http.fields.enabled: {}` leads to nothing in a listed key, which is {shape}", enabled.at));
            }
            let condition = Condition { at: enabled.at.clone(), is: enabled.is.clone(), not: enabled.not.clone(), contains: None };
            condition.holds(&document)
        }
    };
    let facts = KeyFacts {
        id: KeyId::new(id),
        name: clean_to(name.trim_end(), 200),
        marker: marker(described, at(&fields.marker.at)),
        enabled: on && !over,
        created_at: time(&fields.created_at).unwrap_or(None),
        // Moved into the past to switch the key off, it is no end that the key had of its own.
        expires_at: ends.filter(|_| !(by_expiry && over)),
        last_used_at: time(&fields.last_used_at).unwrap_or(None),
        owner: fields.owner.as_ref().and_then(at).map(|owner| clean_to(&shown(owner), 200)).unwrap_or_default(),
        scope: scope(described, &document),
    };
    without_secret(described, &mut document);
    Ok(Row { facts, document, secret, ends })
}

/// Takes the key itself out of its document.
pub(super) fn without_secret(described: &HttpGateway, document: &mut Value) {
    let hashed = match &described.fields.id {
        IdAt::Sha256Of(of) => Some(&of.sha256_of),
        IdAt::Field(_) => None,
    };
    for pointer in described.fields.secret.iter().chain(hashed) {
        remove(document, pointer.as_str());
    }
}

/// Everything that is not known to be something else restricts the key. An unknown field is compared, too.
fn scope(described: &HttpGateway, document: &Value) -> Scope {
    let mut rest = document.clone();
    // A marker among tags is not the other tags.
    if let Some(Value::Array(tags)) = rest.pointer_mut(described.fields.marker.at.as_str()) {
        tags.retain(|tag| !tag.as_str().is_some_and(|text| is_ours(described, text)));
    } else {
        remove(&mut rest, described.fields.marker.at.as_str());
    }
    for pointer in described.pointers() {
        if *pointer != described.fields.marker.at {
            remove(&mut rest, pointer.as_str());
        }
    }
    if let IdAt::Sha256Of(of) = &described.fields.id {
        remove(&mut rest, of.sha256_of.as_str());
    }
    match harmless(&rest) {
        // Not set and set to nothing is the same.
        Value::Object(fields) => fields.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        Value::Null => Scope::new(),
        other => Scope::from([("document".to_owned(), other)]),
    }
}

fn marker(described: &HttpGateway, found: Option<&Value>) -> String {
    let at = &described.fields.marker;
    let text = match found {
        None => return String::new(),
        Some(Value::Array(tags)) => {
            tags.iter().filter_map(Value::as_str).find(|text| is_ours(described, text)).unwrap_or_default().to_owned()
        }
        Some(other) => shown(other),
    };
    let text = match &at.after {
        Some(after) => text.rsplit_once(after.as_str()).map(|(_, marker)| marker.to_owned()).unwrap_or_default(),
        None => text,
    };
    let text = match at.colon.as_deref() {
        Some(sign) if is_ours(described, &text) => text.replace(sign, ":"),
        Some(_) | None => text,
    };
    // A marker that is not clean text is not one of ours, also not after cleaning.
    let clean = clean_to(&text, 512);
    if clean == text { clean } else { format!("(not plain) {clean}") }
}

fn is_ours(described: &HttpGateway, text: &str) -> bool {
    let sign = described.fields.marker.colon.as_deref().unwrap_or(":");
    text.strip_prefix("keyroll").is_some_and(|rest| rest.starts_with(sign))
}

/// A marker as this gateway takes it.
pub(super) fn marker_text(described: &HttpGateway, marker: &str) -> String {
    match described.fields.marker.colon.as_deref() {
        Some(sign) => marker.replace(':', sign),
        None => marker.to_owned(),
    }
}
