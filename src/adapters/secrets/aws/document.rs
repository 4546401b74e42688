//! What of a secret's text is ours, and how it is changed without touching anything else.

use crate::secret::SecretText;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::fmt;
use zeroize::Zeroizing;

/// AWS keeps at most this many bytes in one version.
const LARGEST: usize = 64 * 1024;

/// The text of one version; it leaves memory when dropped.
pub(super) struct Document(Zeroizing<String>);

/// What of the text is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// One member of a JSON object.
    Field(String),
    /// Everything, but for a line end.
    Whole,
}

impl Document {
    pub(super) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// As a secret, to be fingerprinted as a whole.
    pub(super) fn whole(&self) -> SecretText {
        SecretText::new(self.0.as_str())
    }

    /// What its fields are called.
    pub(super) fn names(&self) -> Vec<String> {
        self.members().map(|m| m.into_iter().map(|(name, _)| name).collect()).unwrap_or_default()
    }

    fn members(&self) -> Result<Vec<(String, &RawValue)>, String> {
        serde_json::from_str::<Members<'_>>(self.text())
            .map(|m| m.0)
            .map_err(|e| format!("it is no JSON object with each name once (line {}, column {})", e.line(), e.column()))
    }
}

impl Part {
    pub(super) fn of(field: Option<&str>) -> Self {
        field.map_or(Self::Whole, |name| Self::Field(name.to_owned()))
    }

    /// Our part of a document; none when it is not there or empty.
    pub(super) fn value(&self, document: &Document) -> Result<Option<SecretText>, String> {
        let value = match self {
            Self::Whole => {
                let value = document.text().trim_end_matches(['\n', '\r']);
                if value.contains(['\n', '\r']) {
                    return Err("it has more than one line; name a `field`, or give the value a secret of its own".into());
                }
                SecretText::new(value)
            }
            Self::Field(name) => {
                let members = document.members()?;
                let Some((_, raw)) = members.iter().find(|(n, _)| n == name) else { return Ok(None) };
                SecretText::new(serde_json::from_str::<String>(raw.get()).map_err(|_| format!("its field {name} is no text"))?)
            }
        };
        Ok((!value.is_empty()).then_some(value))
    }

    /// The document with our part changed, and every other byte as it is.
    pub(super) fn with_value(&self, document: &Document, value: &SecretText) -> Result<Document, String> {
        let changed = match self {
            Self::Whole => Document::new(value.expose().to_owned()),
            Self::Field(name) => {
                let members = document.members()?;
                let (_, raw) = members.iter().find(|(n, _)| n == name).ok_or_else(|| format!("it has no field {name}"))?;
                let text = document.text();
                // The raw value is a piece of the text: where it begins is a difference of two addresses.
                let start = (raw.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
                let (before, rest) = text.split_at_checked(start).ok_or("its field cannot be found in it")?;
                let after = rest.get(raw.get().len()..).ok_or("its field cannot be found in it")?;
                let quoted = Zeroizing::new(serde_json::to_string(value.expose()).map_err(|_| "the value has no JSON form".to_owned())?);
                // Room for all at once: a text that grows leaves copies of secrets behind.
                let mut whole = String::with_capacity(before.len() + quoted.len() + after.len());
                whole.push_str(before);
                whole.push_str(&quoted);
                whole.push_str(after);
                Document::new(whole)
            }
        };
        if changed.text().len() > LARGEST {
            return Err("with the new value it would be longer than the 64 KiB that AWS keeps".into());
        }
        Ok(changed)
    }

    /// Names of the fields, other than ours, in which two documents differ.
    pub(super) fn others_differ(&self, a: &Document, b: &Document) -> Result<Vec<String>, String> {
        let Self::Field(ours) = self else { return Ok(Vec::new()) };
        let (a, b) = (a.members()?, b.members()?);
        let names: BTreeSet<&str> = a.iter().chain(&b).map(|(name, _)| name.as_str()).filter(|name| *name != ours).collect();
        let at = |members: &[(String, &RawValue)], name: &str| members.iter().find(|(n, _)| n == name).map(|(_, raw)| raw.get().to_owned());
        Ok(names.into_iter().filter(|name| !same(at(&a, name), at(&b, name))).map(|n| crate::support::text::clean_to(n, 64)).collect())
    }
}

/// Equal as JSON, whatever the spacing.
fn same(a: Option<String>, b: Option<String>) -> bool {
    let (a, b) = (a.map(Zeroizing::new), b.map(Zeroizing::new));
    match (&a, &b) {
        (Some(a), Some(b)) if a == b => true,
        (Some(a), Some(b)) => {
            let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
            read(a).is_some_and(|a| Some(a) == read(b))
        }
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// The members of an object in the order of the text; a name that comes twice is refused, because readers disagree on which counts.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(String, &'de RawValue)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    if members.iter().any(|(n, _)| *n == name) {
                        return Err(A::Error::custom("a name comes twice"));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    fn field() -> Part {
        Part::of(Some("api_key"))
    }

    fn document(text: &str) -> Document {
        Document::new(text.into())
    }

    #[test]
    fn one_field_changes_and_every_other_byte_stays() {
        let before = document("{\n  \"z\": 1.50,  \"api_key\" : \"old\\u0041\",\t\"db\": {\"p\": \"x\"} }\n");
        let after = field().with_value(&before, &SecretText::new("new\"quoted")).unwrap();
        assert_eq!(after.text(), "{\n  \"z\": 1.50,  \"api_key\" : \"new\\\"quoted\",\t\"db\": {\"p\": \"x\"} }\n");
        assert_eq!(field().value(&before).unwrap().unwrap().expose(), "oldA");
        assert!(field().others_differ(&before, &after).unwrap().is_empty());
    }

    #[test]
    fn differing_fields_are_named_and_spacing_is_no_difference() {
        let a = document(r#"{"api_key":"a","db":"1","same":{"x":1}}"#);
        let b = document(r#"{"api_key":"b","db":"2","extra":true,"same":{ "x" : 1 }}"#);
        assert_eq!(field().others_differ(&a, &b).unwrap(), ["db", "extra"]);
        assert!(Part::Whole.others_differ(&a, &b).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_object_with_each_name_once_is_refused_without_being_repeated() {
        for text in ["needle-value", "[\"needle-value\"]", r#"{"api_key":"needle-value","api_key":"x"}"#, r#"{"api_key":"needle-value""#] {
            let error = field().value(&document(text)).err().unwrap();
            assert!(!error.contains("needle") && error.contains("JSON object"), "{error}");
        }
        assert!(field().value(&document(r#"{"api_key":42}"#)).err().unwrap().contains("no text"));
        assert!(field().value(&document(r#"{"other":"x"}"#)).unwrap().is_none());
    }

    #[test]
    fn a_whole_value_is_one_line() {
        assert_eq!(Part::Whole.value(&document("sk-1\n")).unwrap().unwrap().expose(), "sk-1");
        assert!(Part::Whole.value(&document("a\nb")).is_err());
        assert!(Part::Whole.value(&document("")).unwrap().is_none());
    }

    #[test]
    fn a_document_longer_than_aws_keeps_is_refused_before_it_is_sent() {
        let long = document(&format!(r#"{{"api_key":"a","pad":"{}"}}"#, "x".repeat(65_500)));
        assert!(field().with_value(&long, &SecretText::new("b".repeat(200))).err().unwrap().contains("64 KiB"));
    }
}
