//! Documents of the store: what a row may do, who refers to it, and how one like it is made.

use super::ids;
use super::store::Keys;
use crate::rotation::{KeyFacts, KeyId, Marker, ModelName, Scope, Time};
use crate::secret::{FingerprintKey, SecretText};
use crate::support::text::clean_to;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What a display name ends with where a run made the row: names of provider keys are unique at some gateways.
const RUN: &str = " r-";
/// The restriction that stands for rules elsewhere which name the row.
const REFERRED: &str = "referenced_by";
/// The restriction that stands for other rows with the same credential.
const TWINS: &str = "same_credential_as";

/// One row of the store.
#[derive(Clone)]
pub(super) struct Document {
    pub(super) kind: String,
    /// As the store knows it.
    pub(super) id: String,
    /// None: it is no JSON object.
    pub(super) fields: Option<Map<String, Value>>,
    /// When it was last changed, by the store's count.
    pub(super) revision: i64,
}

/// What we keep beside a row.
#[derive(Clone, Default)]
pub(super) struct Note {
    pub(super) marker: String,
    pub(super) made_at: Option<Time>,
}

/// The whole store at one instant.
pub(super) struct Resources {
    /// The store's count then.
    pub(super) revision: i64,
    /// Of a file, its digest.
    pub(super) digest: String,
    pub(super) documents: Vec<Document>,
    /// By kind and id.
    pub(super) notes: BTreeMap<(String, String), Note>,
}

impl Document {
    pub(super) fn text(&self, name: &str) -> &str {
        self.fields.as_ref().and_then(|f| f.get(name)).and_then(Value::as_str).unwrap_or_default()
    }

    /// What a caller's bearer is compared with, or what is presented upstream.
    fn credential(&self, keys: Keys) -> &str {
        match keys {
            Keys::Caller => self.text("key_hash"),
            Keys::Provider if self.text("api_key").is_empty() => self.text("secret"),
            Keys::Provider => self.text("api_key"),
        }
    }
}

impl Resources {
    pub(super) fn of(&self, kind: &str) -> impl Iterator<Item = &Document> {
        self.documents.iter().filter(move |d| d.kind == kind)
    }

    pub(super) fn find(&self, kind: &str, id: &str) -> Option<&Document> {
        self.of(kind).find(|d| d.id == id)
    }

    /// Rows that authenticate the same bearer.
    pub(super) fn with_hash<'a>(&'a self, hash: &'a str) -> impl Iterator<Item = &'a Document> {
        self.of(Keys::Caller.kind()).filter(move |d| d.text("key_hash") == hash)
    }

    /// Other rows of the same kind with the same credential.
    pub(super) fn twins(&self, keys: Keys, of: &Document) -> Vec<String> {
        let credential = of.credential(keys);
        let same = |d: &&Document| d.id != of.id && !credential.is_empty() && d.credential(keys) == credential;
        self.of(keys.kind()).filter(same).map(|d| clean_to(&d.id, 200)).collect()
    }

    /// Everything that points at a provider key, and where its name is: a model, or a route that passes through.
    pub(super) fn models(&self) -> Vec<(ModelName, &Document)> {
        let pointing = |d: &&Document| d.fields.as_ref().is_some_and(|f| f.get("provider_key_id").is_some_and(Value::is_string));
        let name = |d: &Document| {
            let shown = d.text("display_name");
            let alone = || self.of(&d.kind).filter(|other| other.text("display_name") == shown).count() == 1;
            let name = if shown.is_empty() || !alone() { d.id.clone() } else { shown.to_owned() };
            ModelName::new(clean_to(&if d.kind == "models" { name } else { format!("{}/{name}", d.kind) }, 200))
        };
        self.documents.iter().filter(pointing).map(|d| (name(d), d)).collect()
    }

    /// Where else a row is named by its id: rules that would not follow to another row, or would dangle.
    pub(super) fn references(&self, keys: Keys, id: &str) -> Vec<String> {
        let mut found = Vec::new();
        for document in &self.documents {
            if document.kind == keys.kind() && document.id == id {
                continue;
            }
            for (name, value) in document.fields.iter().flatten() {
                // Models are moved one by one; they are counted apart.
                let moved = keys == Keys::Provider && name == "provider_key_id";
                if !moved && names(name, value, id) {
                    found.push(clean_to(&format!("{}/{} ({name})", document.kind, document.id), 200));
                }
            }
        }
        found
    }

    /// Every key, as facts.
    pub(super) fn facts(&self, keys: Keys, veil: &FingerprintKey) -> Result<Vec<KeyFacts>, String> {
        self.of(keys.kind()).map(|document| self.fact(keys, document, veil)).collect()
    }

    fn fact(&self, keys: Keys, document: &Document, veil: &FingerprintKey) -> Result<KeyFacts, String> {
        let id = ids::shown(&document.id).ok_or("a row's id is empty or too long")?;
        let note = self.notes.get(&(document.kind.clone(), document.id.clone())).cloned().unwrap_or_default();
        let marker = if note.marker.is_empty() { marker_in(keys, document) } else { note.marker };
        let flag = document.fields.as_ref().and_then(|f| f.get("disabled"));
        let mut scope = scope(keys, document, veil);
        let referred = self.references(keys, &document.id);
        let twins = self.twins(keys, document);
        for (name, list) in [(REFERRED, referred), (TWINS, twins)] {
            if !list.is_empty() {
                scope.insert(name.into(), json!(list));
            }
        }
        Ok(KeyFacts {
            id,
            name: name_of(document),
            marker: plain_marker(&marker),
            enabled: flag != Some(&Value::Bool(true)),
            created_at: note.made_at,
            expires_at: Time::parse(document.text("expires_at")),
            last_used_at: None,
            // A log of this gateway names no owner. Team and user are among the restrictions.
            owner: String::new(),
            scope,
        })
    }
}

/// The name without what makes it unique; the id where there is none.
fn name_of(document: &Document) -> String {
    let shown = document.text("display_name");
    let shown = shown.split(" [keyroll:").next().unwrap_or_default();
    let name = match shown.rsplit_once(RUN) {
        Some((name, run)) if !run.is_empty() && run.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => name,
        Some(_) | None => shown,
    };
    clean_to(if name.is_empty() { &document.id } else { name }, 200)
}

/// A marker that is not clean text is not one of ours, also not after cleaning.
fn plain_marker(text: &str) -> String {
    let clean = clean_to(text, 512);
    if clean == text { clean } else { format!("(not plain) {clean}") }
}

/// Our text inside a document, where it cannot be kept beside it: as the name of a model that does not exist, or behind the display name.
fn marker_in(keys: Keys, document: &Document) -> String {
    match keys {
        Keys::Caller => models_of(document).find(|m| is_marker(m)).unwrap_or_default().to_owned(),
        Keys::Provider => {
            let (_, marker) = document.text("display_name").rsplit_once(" [").unwrap_or_default();
            marker.strip_suffix(']').filter(|m| is_marker(m)).unwrap_or_default().to_owned()
        }
    }
}

fn is_marker(text: &str) -> bool {
    text == Marker::live().as_str() || Marker::run(text).is_some()
}

fn models_of(document: &Document) -> impl Iterator<Item = &str> {
    document.fields.iter().filter_map(|f| f.get("allowed_models")).filter_map(Value::as_array).flatten().filter_map(Value::as_str)
}

/// Everything that restricts a row. What is not known here is compared all the same, by its fingerprint: it may hold anything.
fn scope(keys: Keys, document: &Document, veil: &FingerprintKey) -> Scope {
    let Some(fields) = &document.fields else { return [("document".to_owned(), json!("no JSON object"))].into() };
    let (plain, left_out): (&[&str], &[&str]) = match keys {
        Keys::Caller => {
            (&["allowed_models", "rate_limit", "team_id", "user_id", "user_name"], &["key_hash", "display_name", "expires_at", "disabled"])
        }
        Keys::Provider => (&["provider", "adapter", "telemetry_tags", "strip_headers"], &["api_key", "secret", "display_name"]),
    };
    let shown = |name: &str, value: &Value| {
        let address = name == "api_base" && value.as_str().is_some_and(|url| !url.contains(['@', '?']));
        if name == "allowed_models" {
            return without_marker(value);
        }
        if plain.contains(&name) || address {
            return value.clone();
        }
        json!(format!("unlisted, {}", veil.of(&SecretText::new(value.to_string())).as_str()))
    };
    fields
        .iter()
        .filter(|(name, _)| !left_out.contains(&name.as_str()))
        .map(|(name, value)| (clean_to(name, 100), shown(name, value)))
        .collect()
}

fn without_marker(models: &Value) -> Value {
    match models.as_array() {
        Some(list) => list.iter().filter(|m| !m.as_str().is_some_and(is_marker)).cloned().collect(),
        None => models.clone(),
    }
}

/// A value names an id: as a whole, or as a word of a condition. Fields that hold names of other things do not count.
fn names(field: &str, value: &Value, id: &str) -> bool {
    const OTHER_NAMES: &[&str] = &[
        "display_name",
        "provider",
        "provider_key",
        "model",
        "model_name",
        "allowed_models",
        "adapter",
        "api_base",
        "api_key",
        "secret",
        "key_hash",
        "team_id",
        "user_id",
        "user_name",
        "telemetry_tags",
        "strategy",
    ];
    if OTHER_NAMES.contains(&field) {
        return false;
    }
    match value {
        Value::String(text) => text == id || (id.len() > 1 && word_in(text, id)),
        Value::Array(items) => items.iter().any(|item| names("", item, id)),
        Value::Object(fields) => fields.iter().any(|(name, inner)| name == id || names(name, inner, id)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn word_in(text: &str, id: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || "_-.@/".contains(c));
    text.match_indices(id).any(|(at, _)| {
        let before = text.get(..at).and_then(|t| t.chars().next_back());
        let after = text.get(at + id.len()..).and_then(|t| t.chars().next());
        !part(before) && !part(after)
    })
}

/// How a new row is called.
pub(super) struct Naming<'a> {
    /// What it is to be called.
    pub(super) name: &'a str,
    pub(super) marker: &'a Marker,
    /// Our text must be inside the document.
    pub(super) inside: bool,
    /// No two rows may have one name.
    pub(super) unique: bool,
}

/// A document like another one, with a new credential: whatever is not known here is kept.
pub(super) fn like(keys: Keys, old: &Document, value: &SecretText, naming: &Naming<'_>, ends: Option<Time>) -> Option<Map<String, Value>> {
    let mut fields = old.fields.clone()?;
    let run = ids::run_of(naming.marker);
    match keys {
        Keys::Caller => {
            fields.insert("key_hash".into(), json!(crate::secret::sha256_hex(value.expose().as_bytes())));
            for other in ["disabled", "key", "key_env"] {
                fields.remove(other);
            }
            if let Some(ends) = ends {
                fields.insert("expires_at".into(), json!(ends.rfc3339()));
            }
            if naming.unique {
                fields.insert("display_name".into(), json!(unique(naming.name, &run)));
            } else if fields.contains_key("display_name") {
                fields.insert("display_name".into(), json!(naming.name));
            }
        }
        Keys::Provider => {
            let field = if old.text("api_key").is_empty() { "secret" } else { "api_key" };
            fields.insert(field.into(), json!(value.expose()));
            fields.insert("display_name".into(), json!(unique(naming.name, &run)));
        }
    }
    if naming.inside {
        mark(keys, &mut fields, naming.marker);
    } else if keys == Keys::Caller {
        let models = fields.get("allowed_models").map(without_marker);
        fields.extend(models.map(|m| ("allowed_models".to_owned(), m)));
    }
    Some(fields)
}

/// A name that no other run gives.
fn unique(name: &str, run: &str) -> String {
    let attempt = run.rsplit('-').next().unwrap_or_default();
    format!("{name}{RUN}{}-{attempt}", run.get(..8).unwrap_or(run))
}

/// Puts our text into a document in place of any other of ours.
pub(super) fn mark(keys: Keys, fields: &mut Map<String, Value>, marker: &Marker) {
    match keys {
        Keys::Caller => {
            let mut models = fields.get("allowed_models").map(without_marker).unwrap_or_else(|| json!([]));
            if let Some(list) = models.as_array_mut() {
                list.push(json!(marker));
            }
            fields.insert("allowed_models".into(), models);
        }
        Keys::Provider => {
            let name = fields.get("display_name").and_then(Value::as_str).unwrap_or_default();
            let name = name.split(" [keyroll:").next().unwrap_or_default();
            let name = format!("{name} [{marker}]");
            fields.insert("display_name".into(), json!(name));
        }
    }
}

/// The one provider key that a policy names, for where its provider is.
pub(super) fn chosen<'a>(all: &'a Resources, id: Option<&str>, name: Option<&str>) -> Vec<&'a Document> {
    let live = |d: &Document| {
        let note = all.notes.get(&(d.kind.clone(), d.id.clone())).map(|n| n.marker.clone()).unwrap_or_default();
        let marker = if note.is_empty() { marker_in(Keys::Provider, d) } else { note };
        Marker::run(&marker).is_none()
    };
    let is = |d: &&Document| match (id, name) {
        (Some(id), _) => ids::shown(&d.id) == Some(KeyId::new(id)),
        (None, Some(name)) => {
            let shown = name_of(d);
            live(d) && (shown == name || crate::rotation::undated(&shown) == name)
        }
        (None, None) => false,
    };
    all.of(Keys::Provider.kind()).filter(is).collect()
}
