//! One described request.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Condition;
use crate::policy::scalar::Pointer;

/// A request with placeholders.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpRequest {
    /// The method; each place of a policy has a usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// Path below the base address, such as `/keys/{{id}}`; a placeholder is encoded as one segment.
    pub path: String,
    /// Query parameters; one whose placeholder has no value is left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// Headers of this call. Never secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body, sent as JSON. A text that is nothing but a placeholder becomes its value with its type; a field whose placeholder has
    /// no value is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// Begin the body with a whole document, and lay `body` over it: for calls that replace everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Document>,
    /// Fields of that document which are not sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<Pointer>,
    /// Send the body as a form instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<bool>,
    /// Conditions of success of this call, in place of the gateway's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<Vec<Condition>>,
}

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

/// A document that a body may begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Document {
    /// The key that the call is about, as it is listed now.
    Key,
    /// The outgoing key, as it is listed now.
    Old,
}

/// A JSON object or list with placeholders.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Body {
    /// An object.
    Object(Map<String, Value>),
    /// A list.
    List(Vec<Value>),
}

impl JsonSchema for Body {
    fn schema_name() -> Cow<'static, str> {
        "Body".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "object" }, { "type": "array" }], "description": "A JSON object or list with placeholders." })
    }
}

impl Body {
    /// Every text of the body, also below.
    pub fn texts(&self) -> Vec<&str> {
        let mut found = Vec::new();
        match self {
            Body::Object(fields) => fields.values().for_each(|value| texts(value, &mut found)),
            Body::List(items) => items.iter().for_each(|value| texts(value, &mut found)),
        }
        found
    }

    /// Some text of the body holds this placeholder.
    pub fn mentions(&self, placeholder: &str) -> bool {
        self.texts().iter().any(|text| text.contains(&format!("{{{{{placeholder}}}}}")))
    }
}

fn texts<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(fields) => fields.values().for_each(|item| texts(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The name of a header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct HeaderName(#[schemars(length(min = 1, max = 100))] pub String);

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
