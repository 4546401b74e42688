//! The plan as data: policy plus what existed, frozen. Built by `plan/`, obeyed by everything after it.

use super::{
    App, Ask, Check, EffectKind, EndpointFacts, GatewayCaps, GatewayIdentity, KeyFacts, KeyId, ModelName, Phase, PlanId, Point, Span,
    StoreCaps, Time, UsageKind, Which,
};
use crate::secret::Fingerprint;
use serde::{Deserialize, Serialize};

/// Changes whenever a gate judges the same data differently; another number resets an open gate's evidence.
pub const GATE_SEMANTICS: u32 = 1;

/// A frozen rotation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Format version.
    pub v: u32,
    /// See [`GATE_SEMANTICS`].
    pub gate_semantics: u32,
    /// When it was made.
    pub made_at: Time,
    /// What the ticket calls it.
    pub about: About,
    /// The frozen policy text and its digest; adapters are wired from this, never from the file.
    pub policy: FrozenPolicy,
    /// Who the gateway is and what it can do.
    pub gateway: GatewayPlan,
    /// Router key or provider key.
    pub kind: Kind,
    /// The outgoing key as it was.
    pub old: KeyFacts,
    /// A key that must appear in every listing, so that absence means something.
    pub sentinel: Option<KeyId>,
    /// Every key id that existed; none of them is ever deleted in recovery.
    pub known_ids: Vec<KeyId>,
    /// Where consumers read the value.
    pub slots: Vec<SlotPlan>,
    /// Who uses it.
    pub consumers: Vec<ConsumerPlan>,
    /// Callers that nobody claims; they block revoke.
    pub unclaimed: Vec<App>,
    /// What to call, by family.
    pub probes: Vec<Probe>,
    /// What can be seen of the use.
    pub usage: UsagePlan,
    /// The checks of every gate, in order.
    pub gates: Vec<Gate>,
    /// Who must agree.
    pub approvals: Vec<ApprovalRule>,
    /// Every length of time.
    pub timing: Timing,
    /// When irreversible steps may happen.
    pub windows: Option<Windows>,
    /// What the policy accepts in words.
    pub accept: Vec<String>,
    /// What follows a failed check before revoke.
    pub on_fail: OnFail,
    /// What follows a refused caller in soak.
    pub on_refused_caller: OnRefused,
    /// Effects that a person makes; keyroll prints the call and checks the result.
    pub by_hand: Vec<EffectKind>,
    /// Who looks while nobody is at a terminal.
    pub watcher: Option<Span>,
    /// Consumers that may stay on the old key, and until when.
    pub exceptions: Vec<Exception>,
    /// Canonical resources this run claims, sorted.
    pub claims: Vec<String>,
    /// Every host that will be contacted.
    pub hosts: Vec<String>,
    /// Evidence items that must be there at the end.
    pub evidence: Vec<String>,
    /// What this rotation cannot show, in words.
    pub gaps: Vec<String>,
    /// Things a reader should know before saying yes.
    pub warnings: Vec<String>,
    /// Check value of the fingerprint key this run uses.
    pub fingerprint_check: String,
}

/// The human side of a rotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Its name.
    pub credential: String,
    /// Who owns it.
    pub owner: String,
    /// Where it is used.
    pub environment: String,
    /// Why, in the policy's words.
    pub reason: String,
    /// Why, as a kind.
    pub reason_kind: ReasonKind,
    /// Change ticket.
    pub ticket: Option<String>,
    /// Who asked, and whether that is only what the operating system says.
    pub requester: Option<String>,
}

/// Why a key is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonKind {
    /// It is time.
    Scheduled,
    /// Somebody may have it.
    SuspectedLeak,
    /// A person left.
    Offboarding,
    /// A vendor changed.
    VendorChange,
    /// Something happened.
    Incident,
}

impl ReasonKind {
    /// Going back to the old key would undo the purpose of the rotation.
    pub fn old_is_tainted(self) -> bool {
        match self {
            Self::SuspectedLeak | Self::Offboarding | Self::Incident => true,
            Self::Scheduled | Self::VendorChange => false,
        }
    }
}

/// The policy as it was when the plan was made. It holds references to secrets, never secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenPolicy {
    /// Where it was read.
    pub file: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// The file's text.
    pub text: String,
    /// The effective policy, `use` and overlay applied, as JSON: adapters are wired from this.
    pub effective: String,
}

/// The gateway's side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayPlan {
    /// The driver's name.
    pub driver: String,
    /// Who it is.
    pub identity: GatewayIdentity,
    /// What it can do.
    pub caps: GatewayCaps,
    /// Where the data plane can be tried.
    pub endpoints: Vec<EndpointFacts>,
}

/// Which kind of credential is rotated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// What applications present to the gateway.
    Router,
    /// What the gateway presents upstream.
    Provider {
        /// The models that reference it.
        models: Vec<ModelName>,
        /// New references are followed; else they block.
        all: bool,
    },
}

/// One slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotPlan {
    /// How messages name it, e.g. `file store/.env GATEWAY_API_KEY`.
    pub name: String,
    /// Canonical address, for claims.
    pub address: String,
    /// What the store can do.
    pub caps: StoreCaps,
    /// Guard when planned.
    pub guard: String,
    /// Fingerprint of the current value when planned.
    pub current_is: Option<Fingerprint>,
}

/// One consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerPlan {
    /// Its name.
    pub app: App,
    /// Who to call.
    pub owner: String,
    /// How it comes to read the new value.
    pub reload: Reload,
    /// Longest time between two of its calls: the larger of declared and observed.
    pub cadence: Span,
    /// How usage rows name it.
    pub seen_as: Vec<String>,
    /// It tells by itself what it holds.
    pub acks: bool,
}

/// How a consumer comes to read a new value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reload {
    /// It reads by itself within this time.
    Dynamic {
        /// Longest time it may cache.
        ttl: Span,
    },
    /// We tell it to.
    Told {
        /// How, in words for the plan.
        how: String,
    },
    /// A person does it.
    ByHand,
}

/// One probe family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// chat, tools, embeddings, …
    pub family: String,
    /// Model to call.
    pub model: String,
    /// As a stream.
    pub stream: bool,
}

/// What can be seen of the use of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsagePlan {
    /// Rows, counters, or less.
    pub kind: UsageKind,
    /// Refused calls leave a row.
    pub sees_refused: bool,
    /// Rows name the caller.
    pub names_caller: bool,
    /// A row may appear this late.
    pub lag: Span,
    /// The parts that must all be heard from.
    pub shards: Vec<String>,
    /// How far back it was read at plan time.
    pub reaches: Option<Time>,
    /// The source, in words.
    pub source: String,
}

/// The checks of one point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Where.
    pub point: Place,
    /// What.
    pub checks: Vec<Check>,
}

/// A point without the name of a consumer, so that a plan can list it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// [`Point::Bound`]
    Bound,
    /// [`Point::Prepared`]
    Prepared,
    /// [`Point::Canary`]
    Canary,
    /// [`Point::Reloaded`]
    Reloaded,
    /// [`Point::Flipped`]
    Flipped,
    /// [`Point::Drained`]
    Drained,
    /// [`Point::BeforeDisable`]
    BeforeDisable,
    /// [`Point::Soaked`]
    Soaked,
    /// [`Point::BeforeDelete`]
    BeforeDelete,
    /// [`Point::Gone`]
    Gone,
    /// [`Point::Complete`]
    Complete,
    /// [`Point::OldAccepted`]
    OldAccepted,
    /// [`Point::Returned`]
    Returned,
    /// [`Point::NewDrained`]
    NewDrained,
    /// [`Point::NewSoaked`]
    NewSoaked,
    /// [`Point::Undone`]
    Undone,
}

impl Point {
    /// The place in the plan where this point's checks stand.
    pub fn place(&self) -> Place {
        match self {
            Self::Bound => Place::Bound,
            Self::Prepared => Place::Prepared,
            Self::Canary => Place::Canary,
            Self::Reloaded(_) => Place::Reloaded,
            Self::Flipped => Place::Flipped,
            Self::Drained => Place::Drained,
            Self::BeforeDisable => Place::BeforeDisable,
            Self::Soaked => Place::Soaked,
            Self::BeforeDelete => Place::BeforeDelete,
            Self::Gone => Place::Gone,
            Self::Complete => Place::Complete,
            Self::OldAccepted => Place::OldAccepted,
            Self::Returned(_) => Place::Returned,
            Self::NewDrained => Place::NewDrained,
            Self::NewSoaked => Place::NewSoaked,
            Self::Undone => Place::Undone,
        }
    }
}

/// Who must agree before a phase's irreversible step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRule {
    /// Which phase.
    pub phase: Phase,
    /// Which role.
    pub role: String,
    /// The requester does not count.
    pub not_requester: bool,
}

/// Every length of time a run uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Between two looks at one gate.
    pub poll: Span,
    /// Longest time of one call.
    pub call_timeout: Span,
    /// An intent older than this is not sent any more.
    pub send_before: Span,
    /// Least length of hold.
    pub observation: Span,
    /// No use of the old key for this long.
    pub drain_window: Span,
    /// The old key stays disabled, and can come back, for this long.
    pub soak: Span,
    /// The same for the new key in an undo.
    pub undo_window: Span,
    /// How often a negative test is repeated.
    pub repeats: u32,
    /// Longest a request may run before its row is written.
    pub longest_request: Span,
    /// How long a gate may be silent before an evidence gap restarts its window.
    pub longest_gap: Span,
    /// A reload is given this long to be acknowledged.
    pub reload_within: Span,
}

/// Hours in which irreversible effects may happen. Times are minutes since midnight in `timezone`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Windows {
    /// IANA name.
    pub timezone: String,
    /// Allowed times; none means always.
    pub allow: Vec<Allowed>,
    /// Never in these.
    pub blackouts: Vec<Blackout>,
}

/// One allowed stretch of a week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowed {
    /// Monday is 0.
    pub days: Vec<u8>,
    /// From this minute of the day.
    pub from: u16,
    /// To this minute of the day.
    pub to: u16,
}

/// One stretch in which nothing irreversible happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blackout {
    /// From.
    pub from: Time,
    /// To.
    pub to: Time,
    /// Why.
    pub why: String,
}

/// What follows a failed check before revoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFail {
    /// Roll back.
    Rollback,
    /// Leave all in place and end with 20.
    Stop,
}

/// What follows the first refused caller in soak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnRefused {
    /// Enable the old key again and return to hold.
    Reopen,
    /// Ask a person.
    Ask,
}

/// A consumer that may stay on the old key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// Which.
    pub app: App,
    /// Until when.
    pub until: Time,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub why: String,
}

impl Plan {
    /// The checks of one point, in order.
    pub fn checks(&self, point: &Point) -> &[Check] {
        let place = point.place();
        self.gates.iter().find(|g| g.point == place).map_or(&[], |g| &g.checks)
    }

    /// The rule for approving a phase, if there is one.
    pub fn approval(&self, phase: Phase) -> Option<&ApprovalRule> {
        self.approvals.iter().find(|a| a.phase == phase)
    }

    /// The policy says this in words.
    pub fn accepts(&self, word: &str) -> bool {
        self.accept.iter().any(|a| a == word)
    }

    /// Every model a provider-key rotation moves.
    pub fn models(&self) -> &[ModelName] {
        match &self.kind {
            Kind::Router => &[],
            Kind::Provider { models, .. } => models,
        }
    }

    /// The consumers that read the rotated value themselves. A provider key is read by the gateway alone.
    pub fn readers(&self) -> impl Iterator<Item = &ConsumerPlan> {
        let router = matches!(self.kind, Kind::Router);
        self.consumers.iter().filter(move |_| router)
    }

    /// The outgoing value is known here: it lies in a slot, or a reference of the policy leads to it.
    pub fn knows_old(&self) -> bool {
        let asked = self.checks(&Point::Bound).iter().any(|c| matches!(c.ask, Ask::Accept { key: Which::Old }));
        asked || !self.slots.is_empty() || matches!(self.kind, Kind::Router)
    }

    /// Which consumer a usage row's caller is, if any.
    pub fn claimed_by(&self, caller: &str) -> Option<&ConsumerPlan> {
        self.consumers.iter().find(|c| c.seen_as.iter().any(|s| s == caller))
    }

    /// The id: SHA-256 over the canonical JSON.
    pub fn id(&self) -> PlanId {
        // A plan is plain data with text keys: it always has a JSON form.
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        PlanId::new(crate::secret::sha256_hex(&bytes))
    }

    /// The extra waiting that a map of gates needs is bounded by these consumers.
    pub fn slowest_consumer(&self) -> Option<&ConsumerPlan> {
        self.consumers.iter().filter(|c| !c.acks).max_by_key(|c| c.cadence)
    }
}
