//! What an answer means: by its status, by what is in it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::policy::scalar::Pointer;

/// A class of answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The status; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 599))]
    pub status: Option<u16>,
    /// Conditions on the answer's JSON; all of them hold.
    #[serde(default, rename = "where", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// A piece of text in the answer, upper and lower case alike; for answers that are no JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A condition on one place of a JSON answer. With `at` alone: something is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Which place.
    pub at: Pointer,
    /// It is this, or one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is: Option<OneOrMore>,
    /// It is not this, nor one of these; also when nothing is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not: Option<OneOrMore>,
    /// It is a text that holds this, upper and lower case alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
}

/// A value, or a list of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMore {
    /// One.
    One(Plain),
    /// Several.
    Many(#[schemars(length(min = 1))] Vec<Plain>),
}

/// A value without parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Plain {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Number(i64),
    /// Text.
    Text(String),
}

/// Whether something is so.
pub trait Is {
    /// Whether it is so in this document.
    fn holds(&self, document: &Value) -> bool;
}

impl Is for Condition {
    fn holds(&self, document: &Value) -> bool {
        let found = document.pointer(self.at.as_str()).filter(|value| !value.is_null());
        let is = self.is.as_ref().is_none_or(|wanted| found.is_some_and(|value| wanted.has(value)));
        let not = self.not.as_ref().is_none_or(|unwanted| !found.is_some_and(|value| unwanted.has(value)));
        let contains = self.contains.as_ref().is_none_or(|part| {
            found.and_then(Value::as_str).is_some_and(|text| text.to_ascii_lowercase().contains(&part.to_ascii_lowercase()))
        });
        let there = self.is.is_some() || self.not.is_some() || self.contains.is_some() || found.is_some();
        is && not && contains && there
    }
}

impl OneOrMore {
    /// Whether the value is among these.
    pub fn has(&self, value: &Value) -> bool {
        let same = |plain: &Plain| match plain {
            Plain::Bool(wanted) => value.as_bool() == Some(*wanted),
            Plain::Number(wanted) => value.as_i64() == Some(*wanted),
            Plain::Text(wanted) => value.as_str() == Some(wanted),
        };
        match self {
            OneOrMore::One(one) => same(one),
            OneOrMore::Many(many) => many.iter().any(same),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may")]
    use super::*;
    use serde_json::json;

    fn condition(value: Value) -> Condition {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn conditions_hold_as_they_are_written() {
        let document = json!({"success": false, "status": 2, "error": {"message": "Key Expired"}, "gone": null});
        for (written, holds) in [
            (json!({"at": "/success", "is": false}), true),
            (json!({"at": "/success", "is": true}), false),
            (json!({"at": "/status", "is": [1, 2]}), true),
            (json!({"at": "/status", "is": "2"}), false),
            (json!({"at": "/status", "not": [1, 2]}), false),
            (json!({"at": "/gone", "not": true}), true),
            (json!({"at": "/gone"}), false),
            (json!({"at": "/error"}), true),
            (json!({"at": "/error/message", "contains": "expired"}), true),
            (json!({"at": "/error/code", "contains": "expired"}), false),
        ] {
            assert_eq!(condition(written.clone()).holds(&document), holds, "{written}");
        }
    }
}
