//! The schema of a policy: derived from the types, tidied once, used by editors and by the walk over a file.
//!
//! Deriving it costs more than everything else that `lint` does, so the result is kept beside this file as `schema.json`, a line for every
//! definition, and a test says when it is no longer what the types say: `KEYROLL_BLESS=1 cargo test --lib schema` writes it again.
//! A definition is parsed when a policy first uses it: most policies use a few of them.

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use serde_json::{Map, Value, value::RawValue};

const TEXT: &str = include_str!("schema.json");

/// Where the types that fields refer to are kept.
const DEFINITIONS: &str = "$defs";

static SHARED: LazyLock<Shared> = LazyLock::new(Shared::read);

struct Shared {
    root: Value,
    definitions: BTreeMap<&'static str, Definition>,
}

struct Definition {
    text: &'static RawValue,
    parsed: OnceLock<Value>,
}

impl Shared {
    fn read() -> Self {
        let mut parts: BTreeMap<&str, &RawValue> = serde_json::from_str(TEXT).unwrap_or_default();
        let definitions: BTreeMap<&str, &RawValue> =
            parts.remove(DEFINITIONS).and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        let root: Map<String, Value> = parts.into_iter().map(|(name, raw)| (name.to_owned(), parsed(raw))).collect();
        let definitions = definitions.into_iter().map(|(name, text)| (name, Definition { text, parsed: OnceLock::new() })).collect();
        Self { root: Value::Object(root), definitions }
    }
}

fn parsed(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

/// JSON Schema (2020-12) of a policy file, for editors.
pub fn schema() -> Value {
    serde_json::from_str(TEXT).unwrap_or_default()
}

/// The same schema without its definitions.
pub(crate) fn root() -> &'static Value {
    &SHARED.root
}

/// One of its definitions, by name or by the `$ref` that points to it.
pub(crate) fn definition(name: &str) -> Option<&'static Value> {
    let definition = SHARED.definitions.get(name.strip_prefix("#/$defs/").unwrap_or(name))?;
    Some(definition.parsed.get_or_init(|| parsed(definition.text)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]
    use super::*;
    use crate::policy::model::Policy;
    use serde_json::json;

    #[test]
    fn the_file_is_what_the_types_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/policy/schema.json");
        let now = build();
        if std::env::var_os("KEYROLL_BLESS").is_some() {
            std::fs::write(path, lined(&now)).unwrap();
        }
        let kept: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert!(kept == now, "src/policy/schema.json is not what the types say; KEYROLL_BLESS=1 cargo test --lib schema");
    }

    /// A line for each field of a policy and for each definition, so that a change is one line of a diff.
    fn lined(schema: &Value) -> String {
        let part = |(name, value): (&String, &Value)| match value {
            Value::Object(inner) if name == DEFINITIONS || name == "properties" => {
                let lines: Vec<String> = inner.iter().map(|(name, value)| format!("{}: {value}", json!(name))).collect();
                format!("{}: {{\n{}\n}}", json!(name), lines.join(",\n"))
            }
            value => format!("{}: {value}", json!(name)),
        };
        let parts: Vec<String> = schema.as_object().unwrap().iter().map(part).collect();
        format!("{{\n{}\n}}\n", parts.join(",\n"))
    }

    fn build() -> Value {
        let mut schema = schemars::schema_for!(Policy).to_value();
        tidy(&mut schema);
        if let Some(root) = schema.as_object_mut() {
            root.insert("title".to_owned(), json!("keyroll rotation policy"));
        }
        schema
    }

    /// Makes what schemars derives into what we mean: an optional field may be left out, but not written without a value.
    fn tidy(value: &mut Value) {
        match value {
            Value::Object(object) => {
                drop_null(object);
                object.remove("default");
                for child in object.values_mut() {
                    tidy(child);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(tidy),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn drop_null(object: &mut Map<String, Value>) {
        if let Some(Value::Array(types)) = object.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                object.insert("type".to_owned(), only);
            }
        }
        let Some(Value::Array(options)) = object.get_mut("anyOf") else {
            return;
        };
        options.retain(|option| option.get("type").is_none_or(|name| name != "null"));
        if let [only] = options.as_slice() {
            let only = only.clone();
            object.remove("anyOf");
            if let Value::Object(only) = only {
                for (name, value) in only {
                    // The field's own description is nearer to the reader than the type's.
                    object.entry(name).or_insert(value);
                }
            }
        }
    }

    fn each(value: &Value, visit: &mut impl FnMut(&Map<String, Value>)) {
        match value {
            Value::Object(object) => {
                visit(object);
                object.values().for_each(|child| each(child, visit));
            }
            Value::Array(items) => items.iter().for_each(|child| each(child, visit)),
            _ => {}
        }
    }

    #[test]
    fn nothing_may_be_null_and_every_reference_resolves() {
        let schema = schema();
        each(&schema, &mut |object| {
            assert_ne!(object.get("type"), Some(&json!("null")), "{object:?}");
            assert!(object.get("type").is_none_or(|name| !name.is_array()), "{object:?}");
            if let Some(Value::String(reference)) = object.get("$ref") {
                assert!(schema.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
            }
        });
    }

    #[test]
    fn fields_are_described_and_closed() {
        let schema = schema();
        assert_eq!(schema["additionalProperties"], json!(false));
        for (name, property) in schema["properties"].as_object().unwrap() {
            assert!(property.get("description").is_some(), "{name}");
        }
    }
}
