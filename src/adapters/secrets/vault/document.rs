//! A document of the KV engine: every field as the JSON text it came as, so that nothing but our field is ever changed, not even the
//! digits of a long number.

use super::place::{RUN, VALUE};
use crate::secret::{Fingerprint, SecretText};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// The fields of a document. They may all be secrets: no `Debug`, and they leave memory.
pub(super) struct Document(BTreeMap<String, Zeroizing<String>>);

/// How it comes off the wire.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Raw(BTreeMap<String, Box<RawValue>>);

impl From<Raw> for Document {
    fn from(raw: Raw) -> Self {
        let owned = |text: Box<RawValue>| Zeroizing::new(String::from(Box::<str>::from(text)));
        Self(raw.0.into_iter().map(|(name, text)| (name, owned(text))).collect())
    }
}

impl Document {
    /// A document of a run: its value, whose it is, and what it is bound to.
    pub(super) fn pending(field: &str, value: &SecretText, run: &str, is: &Fingerprint) -> Self {
        let mut document = Self(BTreeMap::new());
        document.set(field, value.expose());
        document.set(RUN, run);
        document.set(VALUE, is.as_str());
        document
    }

    /// Another document with one field changed.
    pub(super) fn with(&self, field: &str, value: &SecretText) -> Self {
        let mut changed = Self(self.0.clone());
        changed.set(field, value.expose());
        changed
    }

    fn set(&mut self, field: &str, text: &str) {
        // A text always has a JSON form.
        self.0.insert(field.to_owned(), Zeroizing::new(serde_json::to_string(text).unwrap_or_default()));
    }

    /// A field that is a text; none when it is not there or empty.
    pub(super) fn text(&self, field: &str) -> Result<Option<SecretText>, &'static str> {
        let Some(json) = self.0.get(field) else { return Ok(None) };
        let text: String = serde_json::from_str(json).map_err(|_| "the field is not a text")?;
        let text = SecretText::new(text);
        Ok((!text.is_empty()).then_some(text))
    }

    /// What its fields are called; keyroll's own are left out.
    pub(super) fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).filter(|name| *name != RUN && *name != VALUE).collect()
    }

    /// The body of a write that is refused unless the document is at this version.
    pub(super) fn body(&self, cas: u64) -> Zeroizing<String> {
        let mut length: usize = 64;
        for (name, json) in &self.0 {
            length = length.saturating_add(name.len().saturating_mul(6)).saturating_add(json.len()).saturating_add(8);
        }
        // Room for all at once: a text that grows leaves copies of secrets behind.
        let mut body = Zeroizing::new(String::with_capacity(length));
        body.push_str("{\"options\":{\"cas\":");
        body.push_str(&cas.to_string());
        body.push_str("},\"data\":{");
        for (i, (name, json)) in self.0.iter().enumerate() {
            if i > 0 {
                body.push(',');
            }
            body.push_str(&serde_json::to_string(name).unwrap_or_default());
            body.push(':');
            body.push_str(json);
        }
        body.push_str("}}");
        body
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        serde_json::from_str::<Raw>(text).unwrap().into()
    }

    #[test]
    fn one_field_changes_and_the_digits_of_the_others_stay() {
        let was = document(r#"{"key":"old \"x\"", "id":12345678901234567890123.50, "nested":{"b":1,"a":[1e2]}, "ümlaut\n":"é"}"#);
        assert_eq!(was.text("key").unwrap().unwrap().expose(), "old \"x\"");
        let body = was.with("key", &SecretText::new("new\\\"\n")).body(7);
        let expected =
            r#"{"options":{"cas":7},"data":{"id":12345678901234567890123.50,"key":"new\\\"\n","nested":{"b":1,"a":[1e2]},"ümlaut\n":"é"}}"#;
        assert_eq!(body.as_str(), expected);
    }

    #[test]
    fn only_a_text_is_a_value() {
        let document = document(r#"{"a":1,"b":"","c":{"d":"e"},"n":null}"#);
        assert!(document.text("a").is_err() && document.text("c").is_err() && document.text("n").is_err());
        assert!(document.text("b").unwrap().is_none() && document.text("x").unwrap().is_none());
    }
}
