//! `rotation:` — the published template, field for field, and a little more.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::scalar::{Name, Period, Reason, Url};

/// What is rotated, whose it is, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// Name of the credential, the same in every rotation of it.
    pub credential: Name,
    /// The team that answers for the credential.
    pub owner: String,
    /// The environment; `production` has the strictest floors.
    pub environment: EnvironmentName,
    /// Why: scheduled, suspected-leak, offboarding, vendor-change or incident, with more words if wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Who asked for the rotation; needed where the approver must be somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<String>,
    /// The change ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// How often this credential is rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Period>,
    /// Applications, address and routes of the credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Attestations by the person who wrote the policy; what can be derived is derived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_checks: Option<PreChecks>,
    /// How the change-over goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cutover: Option<Cutover>,
    /// Which evidence the bundle must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceWanted>,
}

/// The name of an environment: free, with `production` meaning the strict one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct EnvironmentName(pub Name);

impl EnvironmentName {
    /// Whether the floors of production hold. Usual abbreviations count.
    pub fn is_production(&self) -> bool {
        let name = self.0.as_str().to_ascii_lowercase();
        name == "production"
            || name == "prod"
            || name == "prd"
            || name == "live"
            || name.starts_with("prod-")
            || name.starts_with("production-")
    }
}

/// Applications, address and routes of the credential.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The applications that use the key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apps: Vec<Name>,
    /// The address applications call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_base_url: Option<Url>,
    /// The routes the key may use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_routes: Vec<String>,
}

/// What a person attests. Recorded as attested, never as measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PreChecks {
    /// Every consumer is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory_confirmed: Option<bool>,
    /// A new version of the secret exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_secret_version_created: Option<bool>,
    /// The previous version can be brought back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_secret_version_available: Option<bool>,
    /// A request that was made with the new key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_request_id: Option<String>,
}

/// How the change-over goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cutover {
    /// How consumers get the new value, in the words of the team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy_method: Option<String>,
    /// The least length of hold; never the drain window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 525_600))]
    pub observation_window_minutes: Option<u32>,
    /// Must be true: the old key is revoked only when nothing uses it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke_old_key_after_old_key_traffic_zero: Option<bool>,
}

/// Which evidence the bundle must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvidenceWanted {
    /// Authentication errors before and after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_error_check: Option<Need>,
    /// Use is attributed to the right owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage_owner_check: Option<Need>,
    /// Cost before and after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_anomaly_check: Option<Need>,
    /// The old key is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_key_negative_test: Option<Need>,
}

/// Whether a piece of evidence must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// Without it the run needs a waiver.
    Required,
    /// It is there when it can be had.
    Optional,
}
