//! JSON documents of a gateway nobody knows: taken apart by pointers, and described by their structure, never by their values.

use crate::secret::sha256_hex;
use crate::support::text::clean_to;
use serde_json::{Map, Value};

/// More names than this say nothing to a person.
const MOST_NAMES: usize = 25;

/// Takes away what the pointer leads to, and what is empty without it. `*` stands for any name or place.
pub(super) fn remove(document: &mut Value, pointer: &str) {
    let path: Vec<String> = pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
    take(document, &path);
}

fn take(value: &mut Value, path: &[String]) {
    let Some((first, rest)) = path.split_first() else { return };
    match value {
        Value::Object(fields) if rest.is_empty() => {
            if first == "*" {
                fields.clear();
            } else {
                fields.remove(first);
            }
        }
        Value::Object(fields) => {
            let names: Vec<String> = fields.keys().filter(|name| first == "*" || *name == first).cloned().collect();
            for name in names {
                let Some(inner) = fields.get_mut(&name) else { continue };
                take(inner, rest);
                // A parent that exists for our field's sake is no difference.
                if inner.is_null() || inner.as_object().is_some_and(Map::is_empty) {
                    fields.remove(&name);
                }
            }
        }
        Value::Array(items) if rest.is_empty() => {
            if first == "*" {
                items.clear();
            } else if let Some(at) = first.parse().ok().filter(|at: &usize| *at < items.len()) {
                items.remove(at);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                if first == "*" || first.parse() == Ok(at) {
                    take(item, rest);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The document with everything that looks like a key replaced by a digest, which compares as well and tells nobody.
pub(super) fn harmless(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(harmless_text(text)),
        Value::Array(items) => Value::Array(items.iter().map(harmless).collect()),
        Value::Object(fields) => Value::Object(fields.iter().map(|(name, value)| (harmless_text(name), harmless(value))).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn harmless_text(text: &str) -> String {
    if looks_like_a_key(text) {
        let digest = sha256_hex(text.as_bytes());
        return format!("digest {}", digest.get(..16).unwrap_or_default());
    }
    clean_to(text, 2000)
}

/// Long, without blanks, letters and digits mixed: a key, or something that may as well be treated as one.
fn looks_like_a_key(text: &str) -> bool {
    let word = |word: &str| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        let letters = word.bytes().filter(u8::is_ascii_alphabetic).count();
        word.len() >= 20 && digits >= 3 && letters >= 3
    };
    // Dates, paths and addresses have other signs in between.
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '='))).any(word)
}

/// What a document looks like: names and kinds of its fields, two levels deep, never a value.
pub(super) fn structure(value: &Value) -> String {
    describe(value, 2)
}

fn describe(value: &Value, depth: u8) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "true or false".into(),
        Value::Number(_) => "a number".into(),
        Value::String(text) if text.is_empty() => "an empty text".into(),
        Value::String(_) => "a text".into(),
        Value::Array(items) => match items.first() {
            None => "an empty list".into(),
            Some(first) if depth > 0 => format!("a list of {}, the first being {}", items.len(), describe(first, depth)),
            Some(_) => format!("a list of {}", items.len()),
        },
        Value::Object(fields) if fields.is_empty() => "an empty object".into(),
        Value::Object(fields) if depth == 0 => format!("an object of {} fields", fields.len()),
        Value::Object(fields) => {
            let shown: Vec<String> = fields
                .iter()
                .take(MOST_NAMES)
                .map(|(name, inner)| format!("`{}` ({})", field_name(name), describe(inner, depth - 1)))
                .collect();
            let more = if fields.len() > MOST_NAMES { format!(" and {} more", fields.len() - MOST_NAMES) } else { String::new() };
            format!("an object with {}{more}", shown.join(", "))
        }
    }
}

/// A name as it is, unless it may be a value: some gateways name fields by keys.
fn field_name(name: &str) -> String {
    let plain = name.len() <= 40 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.$".contains(&b));
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    if plain && digits <= 4 && !name.starts_with("sk-") { name.to_owned() } else { "(a name that may be a value)".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_removed_leaves_no_empty_parent() {
        let mut document =
            json!({"id": 1, "metadata": {"keyroll": "x"}, "rules": [{"id": 1, "kind": "a"}, {"id": 2, "kind": "b"}], "tags": {}});
        for pointer in ["/id", "/metadata/keyroll", "/rules/*/id", "/nothing/here"] {
            remove(&mut document, pointer);
        }
        assert_eq!(document, json!({"rules": [{"kind": "a"}, {"kind": "b"}], "tags": {}}));
        let mut empty = json!({"metadata": {}, "other": null, "kept": {"x": 1, "y": 2}});
        for pointer in ["/metadata/keyroll", "/other/x", "/kept/x"] {
            remove(&mut empty, pointer);
        }
        assert_eq!(empty, json!({"kept": {"y": 2}}));
    }

    #[test]
    fn a_structure_repeats_no_value_and_a_scope_no_key() {
        let secret = ["gk", "0123456789abcdef0123456789"].join("_");
        let document = json!({"data": [{"key": secret, "n": 1}], "usage": {secret.clone(): 3}});
        for shown in [structure(&document), harmless(&document).to_string()] {
            assert!(!shown.contains(&secret), "{shown}");
        }
        assert!(structure(&document).contains("`data` (a list of 1, the first being an object"), "{}", structure(&document));
        let plain = json!({"models": ["gpt-4o-mini"], "url": "https://api.example.com/v1", "at": "2026-11-21T10:00:00.000Z"});
        assert_eq!(harmless(&plain), plain);
    }
}
