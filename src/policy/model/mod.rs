//! The typed policy: plain owned data, one file per block. These types are also the schema: what a file may contain
//! is read off them (see `shape`), so a field exists in exactly one place.

pub mod aisix;
pub mod consumer;
pub mod gate;
pub mod gateway;
pub mod http_gateway;
pub mod newapi;
pub mod openrouter;
pub mod process;
pub mod reference;
pub mod rotation;
pub mod slot;
pub mod statistic;
pub mod usage;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalar::{Name, StatePlace, Url};
use consumer::{Consumers, Exception, Unclaimed};
use gate::{Approval, Emergency, Gates};
use gateway::Gateway;
use process::{Accept, EvidenceOut, ForEach, Notify, OnFail, OnRefusedCaller, PhaseName, Timing, Watcher, WhoActs, Windows};
use rotation::{EnvironmentName, Rotation};
use slot::Slot;
use usage::{Probe, Usage};

/// One rotation policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Version of the policy language; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// A file with the blocks that many policies share: gateway, state, evidence_out, notify, windows and the like.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub use_file: Option<String>,
    /// Makes one policy into many runs: one per row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<ForEach>,
    /// What is rotated, whose it is, and why.
    pub rotation: Rotation,
    /// The gateway that issues the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Gateway>,
    /// The places in secret stores that consumers read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<Slot>,
    /// The applications, jobs and notebooks that use the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumers: Option<Consumers>,
    /// Where use of the keys can be seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usage: Vec<Usage>,
    /// One probe for each family of calls the applications make.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<Probe>,
    /// The checks of each phase; `auto` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gates: Option<Gates>,
    /// Who must agree before a phase.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub approvals: BTreeMap<PhaseName, Approval>,
    /// What `--emergency` may shorten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emergency: Option<Emergency>,
    /// When irreversible effects may happen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<Windows>,
    /// Where runs keep their state: a folder, or an object store that CI runners share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StatePlace>,
    /// Who is told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<Notify>,
    /// How the evidence is signed and fingerprinted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_out: Option<EvidenceOut>,
    /// Lengths of time that have sensible defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing: Option<Timing>,
    /// Who looks while the run is parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watcher: Option<Watcher>,
    /// Risks that are accepted in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept: Vec<Accept>,
    /// What a failed check before revoke does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_fail: Option<OnFail>,
    /// What the first refused caller during soak does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_refused_caller: Option<OnRefusedCaller>,
    /// Effects that a person or another tool carries out; keyroll prints the call and checks the result.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by: BTreeMap<process::EffectName, WhoActs>,
    /// Consumers that may stay on the old key for a while.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<Exception>,
    /// Callers that were seen and belong to no consumer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unclaimed: Vec<Unclaimed>,
    /// Other addresses for other environments, chosen with `--env NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub overlays: BTreeMap<String, OverlayBlock>,
}

/// What an environment may change: addresses, and where references point. Never gates, approvals or acceptances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-overlay" = true))]
pub struct OverlayBlock {
    /// Fields laid over `rotation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<OverlayRotation>,
    /// Fields laid over the gateway of the same kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<serde_json::Map<String, serde_json::Value>>,
    /// The slots of this environment: as many, and of the same kinds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<Slot>,
    /// Other ways to reload consumers that the policy lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consumers: Vec<OverlayConsumer>,
    /// Where use can be seen in this environment: as many sources, and of the same kinds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usage: Vec<Usage>,
    /// Where runs of this environment keep their state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StatePlace>,
    /// Who is told in this environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<Notify>,
}

/// What an overlay may say about the rotation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-overlay" = true))]
pub struct OverlayRotation {
    /// Name of this credential in this environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Name>,
    /// The environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentName>,
    /// The change ticket of this environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// Addresses of the scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<OverlayScope>,
}

/// What an overlay may say about the scope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OverlayScope {
    /// The address applications call in this environment.
    pub gateway_base_url: Url,
}

/// How a consumer is reloaded in an environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OverlayConsumer {
    /// The consumer, as the policy names it.
    pub app: Name,
    /// How it is told here.
    pub reload: consumer::Reload,
}

/// The word `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Auto {
    /// keyroll decides, and says what and why.
    Auto,
}

/// The words `all-referencing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AllReferencing {
    /// Everything that refers to the credential when it is looked at.
    AllReferencing,
}

/// The word `hand`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Hand {
    /// A person does it.
    Hand,
}

/// A kind without settings, written `{}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}
