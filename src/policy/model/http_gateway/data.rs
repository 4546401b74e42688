//! The data plane: where keys are tried, and what its answers mean.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AuthHeader, HttpRequest, Rule};
use crate::policy::{
    model::Nothing,
    scalar::{Pointer, Url},
};

/// The data plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// The addresses that applications use as base address, mostly ending in `/v1`: one for each replica that can be reached by itself.
    #[schemars(length(min = 1))]
    pub urls: Vec<Url>,
    /// How a key is presented; as a bearer token when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<KeyAuth>,
    /// Headers of every call. Never secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The header in which the gateway takes a request id of ours and keeps it in its log; `x-request-id` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Other calls than the usual ones, by family of `probes`: `chat`, `responses`, `embeddings`, `tools`, `structured`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub calls: BTreeMap<String, CustomCall>,
    /// Answers that refuse the credential itself: revoked, unknown, expired. Only these close the revoke gate.
    #[schemars(length(min = 1))]
    pub refused: Vec<Rule>,
    /// Answers that are a limit and say nothing about the credential; status 429 always is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limited: Vec<Rule>,
    /// Answers that forbid this call to a valid credential; status 403 is, unless it is listed elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forbidden: Vec<Rule>,
    /// Answers that blame the provider behind the gateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstream: Vec<Rule>,
}

/// How a key is presented.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum KeyAuth {
    /// `Authorization: Bearer …`.
    Bearer(Nothing),
    /// In a header of its own.
    Header(AuthHeader),
}

/// A call of the data plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomCall {
    /// The call; POST when no method is written, and the family's usual body when none is. `{{model}}` is the probe's model.
    pub request: HttpRequest,
    /// Answers that show that the call was served; the family's usual shape when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<Rule>,
}

/// How to tell whose key a value is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Identify {
    /// The id is the SHA-256 of the key, in lower-case hex.
    Sha256(Nothing),
    /// The listing shows every key in clear (`fields.secret`).
    Listed(Nothing),
    /// The data plane tells the holder of a key who it is.
    Data(IdentifyCall),
    /// The admin API tells; `{{secret}}` in the body, or `{{sha256}}` anywhere, is the value.
    Admin(IdentifyCall),
}

/// A call that tells whose key a value is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentifyCall {
    /// The call; GET when no method is written.
    pub request: HttpRequest,
    /// Where the id is in the answer.
    pub id: Pointer,
}
