//! `gateway: { openrouter: … }` and `gateway: { arouter: … }`: one family, three dialects.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{gateway::KeySelector, reference::Ref};
use crate::policy::scalar::{Period, Url};

/// OpenRouter, or ARouter which is modelled on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenRouter {
    /// Its address: for OpenRouter with `/api/v1`, for ARouter without a path. Each has its usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Url>,
    /// A management key; it cannot call models, and it is never the key to rotate.
    pub admin: Ref,
    /// The key to rotate; found by the value in the slot when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeySelector>,
    /// Which API an ARouter speaks; `current` when absent. It is never guessed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect: Option<Dialect>,
    /// The workspace whose keys are listed; OpenRouter only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// How long after a call the counter of its key moves: 10m when absent, which is a guess that no document supports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage_lag: Option<Period>,
    /// How long after a change a key may still be served as before: 60s when absent. No document says; the negative test measures it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub propagation: Option<Period>,
    /// Longest time for one call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_timeout: Option<Period>,
    /// File with the certificate of a private authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

/// Which API an ARouter speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// `/api/v1/keys`, with hashes as ids: what its SDKs and reference pages say.
    Current,
    /// `/v1/keys`, with `id` and `spending_limit`: what its rotation guide says. There a key can only be deleted.
    Legacy,
}
