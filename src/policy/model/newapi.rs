//! `gateway: { new_api: … }`: new-api, and what speaks its dialect.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{gateway::KeySelector, reference::Ref};
use crate::policy::scalar::{Period, Url};

/// A new-api, where a user's own tokens are rotated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApi {
    /// A product that is taken for a new-api; it brings its addresses. Nobody has confirmed it: the plan and the evidence say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// Address of the console, where tokens are managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Url>,
    /// Address of the router, where models are called, without `/v1`; the console's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Url>,
    /// The user's access token, from the personal settings; not an `sk-` key.
    pub admin: Ref,
    /// The user's number, which older versions want in a header beside the access token.
    pub user: u64,
    /// The token to rotate; found by the value in the slot when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeySelector>,
    /// What the new token may spend when the old one has a limited quota. It is a slice paid in advance, so this must be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
    /// How long a changed token may still be served as before: 60s when absent, the usual sync interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub propagation: Option<Period>,
    /// How long after a call its row is in the log: 5s when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_lag: Option<Period>,
    /// Longest time for one call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_timeout: Option<Period>,
    /// File with the certificate of a private authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

/// A product that is taken for a new-api.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// flatkey.ai: almost certainly a new-api; what lies behind its login was never seen.
    Flatkey,
}

/// What a new token may spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quota {
    /// As much as the old one has left when the run is planned: for the overlap both can spend it.
    SameAsLeft,
}
