//! Reading our own schema: the ways in which a value may be written, in words of the schema and in words for people.

use serde_json::{Map, Value as Json};

use super::Object;
use crate::policy::{
    diagnostic::Span,
    mask, schema,
    tree::{Entry, Node, Value},
};

/// The ways in which a value may be written.
pub(super) struct Options<'s> {
    pub(super) list: Vec<&'s Object>,
    /// Whether a map must name exactly one of several kinds.
    pub(super) tagged: bool,
    pub(super) secret: bool,
}

impl Options<'_> {
    pub(super) fn takes(&self, kind: &str) -> bool {
        self.list.iter().any(|option| is(option, kind))
    }

    pub(super) fn words(&self) -> Vec<&str> {
        self.list.iter().flat_map(|option| words_of(option)).collect()
    }

    pub(super) fn tags(&self) -> Vec<&str> {
        if self.tagged { self.list.iter().filter_map(|option| required(option).next()).collect() } else { Vec::new() }
    }

    /// What may be written, in words.
    pub(super) fn wanted(&self) -> String {
        let mut wanted: Vec<String> = Vec::new();
        let tags = self.tags();
        if !tags.is_empty() {
            wanted.push(format!("a map with one of {}", join_words(&tags)));
        }
        for option in &self.list {
            let words = words_of(option);
            let part = match option.get("type").and_then(Json::as_str) {
                _ if !words.is_empty() => join_words(&words),
                Some("string") => match option.get("format").and_then(Json::as_str) {
                    Some("duration-text") => "a length of time such as `24h`".to_owned(),
                    Some("rate") => "a percentage such as `5%`".to_owned(),
                    Some("http-url") => "an http or https address".to_owned(),
                    Some("day") => "a day such as `2026-12-24`".to_owned(),
                    Some("time-of-day") => "a time such as `09:00`".to_owned(),
                    _ => "text".to_owned(),
                },
                Some("integer") => "a whole number".to_owned(),
                Some("number") => "a number".to_owned(),
                Some("boolean") => "true or false".to_owned(),
                Some("array") => "a list".to_owned(),
                _ if self.tagged => continue,
                _ => "a map".to_owned(),
            };
            if !wanted.contains(&part) {
                wanted.push(part);
            }
        }
        wanted.join(" or ")
    }
}

/// Follows references and collects the ways in which a value may be written.
pub(super) fn options(schema: &Json) -> Options<'_> {
    let mut found = Options { list: Vec::new(), tagged: false, secret: false };
    collect(schema, &mut found, 0);
    found
}

pub(super) fn collect<'s>(schema: &'s Json, found: &mut Options<'s>, depth: usize) {
    // Our own schema has no longer chains; the bound only keeps a mistake in it from becoming endless.
    let Some(object) = schema.as_object().filter(|_| depth < 16) else {
        return;
    };
    found.secret |= object.contains_key("x-secret");
    if let Some(target) = object.get("$ref").and_then(Json::as_str) {
        if let Some(schema) = schema::definition(target) {
            collect(schema, found, depth + 1);
        }
        return;
    }
    if let Some(Json::Array(kinds)) = object.get("oneOf") {
        found.tagged |= kinds.iter().any(|kind| kind.get("properties").is_some());
        kinds.iter().for_each(|kind| collect(kind, found, depth + 1));
        return;
    }
    if let Some(Json::Array(kinds)) = object.get("anyOf") {
        kinds.iter().for_each(|kind| collect(kind, found, depth + 1));
        return;
    }
    found.list.push(object);
}

pub(super) fn is(option: &Object, kind: &str) -> bool {
    option.get("type").and_then(Json::as_str) == Some(kind)
}

pub(super) fn words_of(option: &Object) -> Vec<&str> {
    let listed = option.get("enum").and_then(Json::as_array).into_iter().flatten();
    listed.chain(option.get("const")).filter_map(Json::as_str).collect()
}

pub(super) fn properties(option: &Object) -> Option<&Object> {
    option.get("properties").and_then(Json::as_object)
}

pub(super) fn required(option: &Object) -> impl Iterator<Item = &str> {
    option.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str)
}

pub(super) fn properties_of_policy() -> &'static Object {
    static NONE: std::sync::LazyLock<Object> = std::sync::LazyLock::new(Map::new);
    schema::root().as_object().and_then(properties).unwrap_or(&NONE)
}

/// The block a field belongs to, when it is one of the well-known ones.
pub(super) fn home_of(name: &str) -> Option<&'static str> {
    if properties_of_policy().contains_key(name) {
        return Some("policy");
    }
    let blocks = [
        ("Rotation", "rotation"),
        ("Scope", "scope"),
        ("Cutover", "cutover"),
        ("EvidenceWanted", "evidence"),
        ("PreChecks", "pre_checks"),
        ("Timing", "timing"),
    ];
    blocks.iter().find_map(|(definition, block)| {
        let fields = schema::definition(definition)?.as_object().and_then(properties)?;
        fields.contains_key(name).then_some(*block)
    })
}

/// The places of all single values in a subtree.
pub(super) fn scalars(node: &Node) -> Vec<Span> {
    match &node.value {
        Value::List(items) => items.iter().flat_map(scalars).collect(),
        Value::Map(entries) => entries.iter().flat_map(|entry| scalars(&entry.value)).collect(),
        Value::Null | Value::Broken | Value::Bool(_) => Vec::new(),
        Value::Int(_) | Value::Float(_) | Value::Text(_) => vec![node.span],
    }
}

/// The places of values that a field's name announces as secret, in a part of the file that has no schema.
pub(super) fn secrets_by_name(entry: &Entry) -> Vec<Span> {
    if mask::secret_name(&entry.key) {
        return scalars(&entry.value);
    }
    let inner = entry.value.entries().iter().chain(entry.value.items().iter().flat_map(Node::entries));
    inner.flat_map(secrets_by_name).collect()
}

pub(super) fn join_words(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [rest @ .., last] => {
            let rest: Vec<String> = rest.iter().map(|word| format!("`{word}`")).collect();
            format!("{} or `{last}`", rest.join(", "))
        }
    }
}

pub(super) fn first_sentence(text: &str) -> String {
    let text = text.split(['.', '\n']).next().unwrap_or(text).trim();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
