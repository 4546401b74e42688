//! What exists now, as read for a plan. It can be saved and planned on offline.

use super::{
    App, CallerCount, EndpointFacts, GatewayCaps, GatewayIdentity, KeyFacts, KeyId, ModelName, Snapshot, StoreCaps, Time, UsagePlan,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One read of everything a plan rests on. No secret is in here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    /// Format version.
    pub v: u32,
    /// When it was read.
    pub at: Time,
    /// The gateway driver.
    pub driver: String,
    /// Who answered.
    pub identity: GatewayIdentity,
    /// What it can do.
    pub caps: GatewayCaps,
    /// Where the data plane can be tried.
    pub endpoints: Vec<EndpointFacts>,
    /// Every key.
    pub keys: Vec<KeyFacts>,
    /// Which provider key each model references.
    pub models: Vec<(ModelName, KeyId)>,
    /// Each slot of the policy, in its order.
    pub slots: Vec<SlotSeen>,
    /// What the usage source can show.
    pub usage: UsagePlan,
    /// Callers of the outgoing key in the look-back.
    pub callers: BTreeMap<App, CallerCount>,
    /// Check value of the fingerprint key.
    pub fingerprint_check: String,
}

/// A slot as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotSeen {
    /// How messages name it.
    pub name: String,
    /// Canonical address.
    pub address: String,
    /// What its store can do.
    pub caps: StoreCaps,
    /// What is in it.
    pub snapshot: Snapshot,
    /// The key id the gateway takes its value for, where it can tell.
    pub holds: Option<KeyId>,
}
