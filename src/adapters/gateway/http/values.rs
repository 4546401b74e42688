//! Placeholders filled in. A secret goes into a body and nowhere else.

use crate::policy::model::http_gateway::placeholder::{Into, Piece, Slot, pieces};
use crate::secret::SecretText;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What placeholders stand for in one call.
#[derive(Default)]
pub(super) struct Values<'a> {
    words: BTreeMap<&'static str, Value>,
    secrets: BTreeMap<&'static str, &'a SecretText>,
}

impl<'a> Values<'a> {
    /// With one more word.
    pub(super) fn with(mut self, word: &'static str, value: impl std::convert::Into<Value>) -> Self {
        self.words.insert(word, value.into());
        self
    }

    /// With one more word, if there is a value.
    pub(super) fn maybe(self, word: &'static str, value: Option<impl std::convert::Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(word, value),
            None => self,
        }
    }

    /// With one more word that is secret.
    pub(super) fn secret(mut self, word: &'static str, value: &'a SecretText) -> Self {
        self.secrets.insert(word, value);
        self
    }

    /// Sets a word for the next of several calls.
    pub(super) fn set(&mut self, word: &'static str, value: Value) {
        self.words.insert(word, value);
    }

    /// The path as segments, and whether it ends with a slash. An error names what has no value.
    pub(super) fn path(&self, template: &str) -> Result<(Vec<String>, bool), String> {
        let mut segments = vec![String::new()];
        for piece in pieces(template).ok_or("a placeholder cannot be read")? {
            match piece {
                Piece::Text(text) => {
                    for (i, part) in text.split('/').enumerate() {
                        if i > 0 {
                            segments.push(String::new());
                        }
                        if let Some(last) = segments.last_mut() {
                            last.push_str(part);
                        }
                    }
                }
                Piece::Slot(slot) => {
                    let text = self.plain(&slot)?.filter(|text| !text.is_empty());
                    let text = text.ok_or_else(|| format!("`{{{{{}{}}}}}` has no value here", slot.name, slot.pointer))?;
                    if let Some(last) = segments.last_mut() {
                        last.push_str(&text);
                    }
                }
            }
        }
        let slash = segments.len() > 1 && segments.last().is_some_and(String::is_empty);
        Ok((segments.into_iter().filter(|segment| !segment.is_empty()).collect(), slash))
    }

    /// A text outside of a body; none when a placeholder has no value.
    pub(super) fn text(&self, template: &str) -> Result<Option<String>, String> {
        let mut whole = String::new();
        for piece in pieces(template).ok_or("a placeholder cannot be read")? {
            match piece {
                Piece::Text(text) => whole.push_str(&text),
                Piece::Slot(slot) => match self.plain(&slot)? {
                    Some(text) => whole.push_str(&text),
                    None => return Ok(None),
                },
            }
        }
        Ok(Some(whole))
    }

    /// A body; none when it is nothing but a placeholder without a value.
    pub(super) fn body(&self, template: &Value) -> Result<Option<Value>, String> {
        Ok(match template {
            Value::String(text) => self.body_text(text)?,
            Value::Array(items) => {
                let filled: Result<Vec<Option<Value>>, String> = items.iter().map(|item| self.body(item)).collect();
                Some(Value::Array(filled?.into_iter().flatten().collect()))
            }
            Value::Object(fields) => {
                let mut filled = Map::new();
                for (name, value) in fields {
                    if let Some(value) = self.body(value)? {
                        filled.insert(name.clone(), value);
                    }
                }
                Some(Value::Object(filled))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Some(template.clone()),
        })
    }

    fn body_text(&self, text: &str) -> Result<Option<Value>, String> {
        let pieces = pieces(text).ok_or("a placeholder cannot be read")?;
        if let [Piece::Slot(slot)] = pieces.as_slice() {
            return self.value(slot);
        }
        let mut whole = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => whole.push_str(&text),
                Piece::Slot(slot) => match self.value(&slot)? {
                    Some(value) => whole.push_str(&shown(&value)),
                    None => return Ok(None),
                },
            }
        }
        Ok(Some(Value::String(whole)))
    }

    fn value(&self, slot: &Slot) -> Result<Option<Value>, String> {
        if slot.name == "null" {
            return Ok(Some(Value::Null));
        }
        if let Some(secret) = self.secrets.get(slot.name.as_str()) {
            return Ok(Some(Value::String(secret.expose().to_owned())));
        }
        let found = self.words.get(slot.name.as_str()).and_then(|value| value.pointer(&slot.pointer));
        let Some(found) = found else { return Ok(None) };
        Ok(Some(match slot.into {
            Into::Same => found.clone(),
            Into::Text => Value::String(shown(found)),
            Into::Number => {
                let number: Option<serde_json::Number> = serde_json::from_str(shown(found).trim()).ok();
                Value::Number(number.ok_or_else(|| format!("`{{{{{}{}|number}}}}` is no number here", slot.name, slot.pointer))?)
            }
        }))
    }

    /// A value outside of a body.
    fn plain(&self, slot: &Slot) -> Result<Option<String>, String> {
        if self.secrets.contains_key(slot.name.as_str()) {
            return Err(format!("`{{{{{}}}}}` is secret and stands outside of a body", slot.name));
        }
        match self.value(slot)? {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(_) | Value::Object(_)) => {
                Err(format!("`{{{{{}{}}}}}` has parts, and stands where only a text can", slot.name, slot.pointer))
            }
            Some(value @ (Value::Bool(_) | Value::Number(_) | Value::String(_))) => Ok(Some(shown(&value))),
        }
    }
}

/// A value as text.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may")]
    use super::*;
    use serde_json::json;

    #[test]
    fn values_keep_their_type_and_what_has_none_is_left_out() {
        let values = Values::default().with("id", "7").with("old", json!({"models": ["a"], "limit": null, "n": 3})).with("name", "x");
        let body = json!({"id": "{{id|number}}", "models": "{{old/models}}", "limit": "{{old/limit}}", "gone": "{{old/gone}}",
            "end": "{{null}}", "label": "{{name}} #{{id}}", "n": "{{old/n|text}}", "deep": [{"x": "{{old/gone}}", "y": true}]});
        let wanted = json!({"id": 7, "models": ["a"], "limit": null, "end": null, "label": "x #7", "n": "3", "deep": [{"y": true}]});
        assert_eq!(values.body(&body).unwrap(), Some(wanted));
        assert_eq!(values.text("a{{old/gone}}").unwrap(), None);
        assert!(values.text("{{old/models}}").is_err());
    }

    #[test]
    fn a_placeholder_is_one_segment_and_a_secret_none() {
        let secret = SecretText::new("s");
        let values = Values::default().with("id", "a/../b").secret("secret", &secret);
        assert_eq!(values.path("/v1/keys/{{id}}/off/").unwrap(), (vec!["v1".into(), "keys".into(), "a/../b".into(), "off".into()], true));
        assert_eq!(values.path("/").unwrap(), (vec![], true));
        assert!(values.path("/keys/{{none}}").is_err() && values.path("/keys/{{secret}}").is_err() && values.text("{{secret}}").is_err());
        assert_eq!(values.body(&json!({"k": "{{secret}}"})).unwrap(), Some(json!({"k": "s"})));
    }
}
