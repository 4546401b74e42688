//! `usage:` and `probes:` — where use can be seen, and which calls are tried.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::scalar::{Name, Pointer};

/// A source of usage rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Usage {
    /// What the gateway itself answers.
    GatewayLog(GatewayLog),
    /// Log files with one JSON document per line.
    Jsonl(JsonlLog),
}

impl Usage {
    /// The name of the variant, as the policy writes it.
    pub fn kind(&self) -> &'static str {
        match self {
            Usage::GatewayLog(_) => "gateway_log",
            Usage::Jsonl(_) => "jsonl",
        }
    }
}

/// What the gateway itself answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewayLog {}

/// Log files with one JSON document per line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonlLog {
    /// Paths; `*` stands for any part of a file name.
    #[schemars(length(min = 1))]
    pub paths: Vec<String>,
    /// A known format, or where each field is.
    pub format: LogFormat,
    /// How many independent writers there are; fewer seen than this blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub shards: Option<u32>,
    /// Whether refused calls leave a line; they do when absent. Without such lines soak cannot be judged, which must be accepted in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sees_refused: Option<bool>,
}

/// How a log line is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum LogFormat {
    /// A format that keyroll knows by name.
    Known(Name),
    /// Where each field is.
    Fields(Box<FieldMap>),
}

/// Where each field of a log line is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldMap {
    /// When.
    pub time: Pointer,
    /// Which request.
    pub request_id: Pointer,
    /// Which key, by its id.
    pub key_id: Pointer,
    /// The status.
    pub status: Pointer,
    /// Who called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<Pointer>,
    /// The owner the call was attributed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Pointer>,
    /// The route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Pointer>,
    /// The model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Pointer>,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<Pointer>,
    /// Tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Pointer>,
    /// Cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Pointer>,
    /// Which writer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Pointer>,
    /// The status of a call whose credential was refused; 401 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 599))]
    pub refused_status: Option<u16>,
    /// The class of an error, where the status alone does not tell a refused credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_type: Option<Pointer>,
    /// The classes that mean a refused credential.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_types: Vec<String>,
}

/// A call that is tried with the old and the new key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Probe {
    /// Chat completions.
    Chat(StreamProbe),
    /// A chat that must answer with a tool call.
    Tools(ModelProbe),
    /// Embeddings.
    Embeddings(ModelProbe),
    /// Responses.
    Responses(StreamProbe),
    /// A chat that must answer with a given JSON shape.
    Structured(ModelProbe),
}

impl Probe {
    /// The family, as the policy writes it.
    pub fn family(&self) -> &'static str {
        match self {
            Probe::Chat(_) => "chat",
            Probe::Tools(_) => "tools",
            Probe::Embeddings(_) => "embeddings",
            Probe::Responses(_) => "responses",
            Probe::Structured(_) => "structured",
        }
    }

    /// The model that is called.
    pub fn model(&self) -> &str {
        match self {
            Probe::Chat(probe) | Probe::Responses(probe) => &probe.model,
            Probe::Tools(probe) | Probe::Embeddings(probe) | Probe::Structured(probe) => &probe.model,
        }
    }

    /// Whether the answer is streamed.
    pub fn stream(&self) -> bool {
        match self {
            Probe::Chat(probe) | Probe::Responses(probe) => probe.stream.unwrap_or(false),
            Probe::Tools(_) | Probe::Embeddings(_) | Probe::Structured(_) => false,
        }
    }
}

/// A probe of a family that can stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamProbe {
    /// The model; a cheap one is enough.
    pub model: String,
    /// Whether the answer is streamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
}

/// A probe of a family that does not stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelProbe {
    /// The model; a cheap one is enough.
    pub model: String,
}
