//! The schema of a policy: derived from the types, tidied once, used by editors and by the walk over a file.
//!
//! Deriving it costs more than everything else that `lint` does, so the result is kept beside this file as `schema.json`, a line for every
//! definition, and a test says when it is no longer what the types say: `KEYROLL_BLESS=1 cargo test --lib schema` writes it again.
//! A definition is parsed when a policy first uses it: most policies use a few of them.

use std::sync::{LazyLock, OnceLock};

use serde_json::Value;

const TEXT: &str = include_str!("schema.json");

/// Where the types that fields refer to are kept.
const DEFINITIONS: &str = "$defs";

static SHARED: LazyLock<Shared> = LazyLock::new(Shared::read);

struct Shared {
    root: Value,
    /// By name, as in the file.
    definitions: Vec<(&'static str, Definition)>,
}

struct Definition {
    text: &'static str,
    parsed: OnceLock<Value>,
}

impl Shared {
    /// Takes the file apart by its lines, which a test keeps in this form, and parses what every policy needs.
    fn read() -> Self {
        let (mut rest, mut definitions, mut inside) = (String::with_capacity(16 * 1024), Vec::with_capacity(256), false);
        for line in TEXT.lines() {
            match line.split_once(": ") {
                Some((name, "{")) if name.trim_matches('"') == DEFINITIONS => inside = true,
                Some((name, text)) if inside => {
                    let text = text.strip_suffix(',').unwrap_or(text);
                    definitions.push((name.trim_matches('"'), Definition { text, parsed: OnceLock::new() }));
                }
                _ if inside => inside = false,
                _ => rest.push_str(line),
            }
        }
        Self { root: serde_json::from_str(&rest).unwrap_or_default(), definitions }
    }
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
    let name = name.strip_prefix("#/$defs/").unwrap_or(name);
    let (_, definition) = SHARED.definitions.iter().find(|(known, _)| *known == name)?;
    Some(definition.parsed.get_or_init(|| serde_json::from_str(definition.text).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]
    use super::*;
    use crate::policy::model::Policy;
    use serde_json::{Map, json};

    #[test]
    fn the_file_is_what_the_types_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/policy/schema.json");
        let now = build();
        if std::env::var_os("KEYROLL_BLESS").is_some() {
            std::fs::write(path, lined(&now)).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap();
        assert!(kept == lined(&now), "src/policy/schema.json is not what the types say; KEYROLL_BLESS=1 cargo test --lib schema");
    }

    #[test]
    fn taken_apart_it_is_the_same_schema() {
        let mut whole = schema();
        let definitions = whole.as_object_mut().unwrap().remove(DEFINITIONS).unwrap();
        assert_eq!(root(), &whole);
        assert_eq!(SHARED.definitions.len(), definitions.as_object().unwrap().len());
        for (name, value) in definitions.as_object().unwrap() {
            assert_eq!(definition(name), Some(value), "{name}");
            assert_eq!(definition(&format!("#/$defs/{name}")), Some(value), "{name}");
        }
    }

    /// A line for each field of a policy and for each definition, so that a change is one line of a diff.
    fn lined(schema: &Value) -> String {
        let lines = |of: &Map<String, Value>| of.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect::<Vec<_>>().join(",\n");
        let part = |(name, value): (&String, &Value)| match value {
            Value::Object(inner) if name == DEFINITIONS || name == "properties" => format!("\"{name}\": {{\n{}\n}}", lines(inner)),
            value => format!("\"{name}\": {value}"),
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
