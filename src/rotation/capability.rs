//! What a gateway and a store can do, as facts that say *how*, frozen into the plan.

use super::{Endpoint, KeyId, Span, Time, VersionId};
use crate::secret::Fingerprint;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How old and new credential relate while both live; decides the recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// A: two ids, two secrets.
    SeparateIds,
    /// B: one id that accepts two secrets for a while; usage cannot tell them apart.
    OneIdTwoSecrets,
    /// B0: one id whose old secret dies at once.
    OneIdNoOverlap,
    /// C: two fixed slots; making a new secret kills what the slot held.
    TwoSlots,
    /// D: the first use of the new secret starts the end of the old one.
    ActivateOnFirstUse,
    /// E: a person makes the key in a console.
    HumanMints,
}

/// How a new credential comes to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mint {
    /// The gateway draws the value and shows it once.
    ShownOnce,
    /// We choose the value: it is staged first, and the crash window disappears.
    CallerChooses,
    /// The policy names where the value lies; it can be read there again.
    Supplied,
    /// Somebody else makes the value when asked, perhaps a new one each time: it is asked once for each mint and kept in memory only.
    Issued,
}

/// Whether a lost key can be found again by our text on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkerRule {
    /// No field holds it.
    None,
    /// A label of at most this many bytes.
    Label(u32),
}

/// How a key is refused without being deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disable {
    /// A switch that can be turned back.
    Reversible,
    /// By moving its expiry into the past, which can be undone.
    ByExpiry,
    /// Once disabled it stays so.
    Irreversible,
    /// There is only deletion.
    None,
}

/// What a usage source can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageKind {
    /// One row a request.
    Rows,
    /// A counter a key.
    Counters,
    /// Only money.
    Spend,
    /// Nothing.
    None,
}

/// How sure a fact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownBy {
    /// Read in the vendor's documentation.
    Documentation,
    /// Measured on the real software.
    Measured,
    /// Tried on this gateway on the day.
    Probe,
}

/// What a gateway can do with keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayCaps {
    /// Overlap class.
    pub overlap: Overlap,
    /// How a credential is made.
    pub mint: Mint,
    /// How a lost one is found.
    pub marker: MarkerRule,
    /// How one is switched off.
    pub disable: Disable,
    /// Longest time until every node has seen a change.
    pub settles_in: Span,
    /// How long a node may go on refusing a key that was enabled again.
    pub refusal_cache: Span,
    /// The listing tells the gateway's own creation time.
    pub created_at: bool,
    /// How sure all this is.
    pub known_by: KnownBy,
}

/// How a store makes the new value the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Swap {
    /// One guarded step: refused when the slot changed since it was read.
    CompareAndSet,
    /// Last write wins: read before and after, and say so.
    LastWriteWins,
}

/// What a write whose answer was lost may still do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LateWrite {
    /// Nothing: the writer was this process.
    Impossible,
    /// It may land later; moving the guard stops it.
    Fenceable,
    /// It may land later; only waiting helps.
    WaitOut,
}

/// What a secret store can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreCaps {
    /// How promote works.
    pub swap: Swap,
    /// The value can be read again.
    pub read_back: bool,
    /// What a lost write may still do.
    pub late_write: LateWrite,
    /// The slot shares its document with other fields.
    pub shared_document: bool,
}

/// Who we are talking to, frozen in the plan: a look elsewhere proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayIdentity {
    /// Base address of the admin API.
    pub base: String,
    /// The gateway's own name for itself, or its organisation or project.
    pub tenant: String,
    /// The admin principal, as the gateway names it.
    pub principal: String,
    /// Version or build, where told.
    pub build: String,
}

/// What a key may do. Compared as a whole document: an unknown restriction is a difference too.
pub type Scope = BTreeMap<String, serde_json::Value>;

/// One row of the gateway's listing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyFacts {
    /// Its id.
    pub id: KeyId,
    /// Its display name, cleaned.
    pub name: String,
    /// The marker field, cleaned; empty where none.
    pub marker: String,
    /// Accepted, as far as the admin API says.
    pub enabled: bool,
    /// When it was made, by the gateway's clock.
    pub created_at: Option<Time>,
    /// When it ends by itself.
    pub expires_at: Option<Time>,
    /// Last use, where the listing tells.
    pub last_used_at: Option<Time>,
    /// Owner as the gateway knows it, cleaned.
    pub owner: String,
    /// Everything that restricts it.
    pub scope: Scope,
}

/// What a store shows of one slot; never a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Snapshot {
    /// Version id of what consumers read.
    pub current: Option<VersionId>,
    /// Version id of what waits beside it.
    pub pending: Option<VersionId>,
    /// Version id of what it was before.
    pub previous: Option<VersionId>,
    /// Fingerprint of the current value of *our field*.
    pub current_is: Option<Fingerprint>,
    /// Fingerprint of the pending value.
    pub pending_is: Option<Fingerprint>,
    /// Fingerprint of the previous value.
    pub previous_is: Option<Fingerprint>,
    /// Which run the pending version says it belongs to.
    pub pending_run: Option<String>,
    /// Changes whenever the document changes, in any field.
    pub guard: String,
    /// What a person should know (foreign owner, managed rotation, other fields).
    pub warnings: Vec<String>,
    /// Why nothing may be written here, whoever asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unusable: Option<String>,
}

/// One place where the data plane can be tried by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointFacts {
    /// Its address.
    pub endpoint: Endpoint,
    /// The log shard that holds its rows, where one is known.
    pub shard: Option<String>,
}
