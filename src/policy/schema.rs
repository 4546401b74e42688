//! The schema of a policy: derived from the types, tidied once, used by editors and by the walk over a file.
//!
//! Deriving it costs more than everything else that `lint` does, so the result is kept beside this file as `schema.json`, and a test says
//! when it is no longer what the types say: `KEYROLL_BLESS=1 cargo test --lib schema` writes it again.

use std::sync::LazyLock;

use serde_json::Value;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(include_str!("schema.json")).unwrap_or_default());

/// JSON Schema (2020-12) of a policy file, for editors.
pub fn schema() -> Value {
    SCHEMA.clone()
}

/// The same schema, borrowed.
pub(crate) fn shared() -> &'static Value {
    &SCHEMA
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
            std::fs::write(path, serde_json::to_string_pretty(&now).unwrap() + "\n").unwrap();
        }
        let kept: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert!(kept == now, "src/policy/schema.json is not what the types say; KEYROLL_BLESS=1 cargo test --lib schema");
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
