//! How a check ends, and the facts it was judged on.

use super::{App, Endpoint, KeyId, RequestId, Span, Stamp, Time};
use crate::secret::Fingerprint;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Five verdicts of which one advances, and two that say a person decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Shown.
    Pass,
    /// Shown to be wrong.
    Fail,
    /// Data, but not enough to decide.
    Inconclusive,
    /// No rows, or the source is behind.
    NoData,
    /// The question could not be asked.
    Error,
    /// A person waived it, by name and with an end; never shown as pass.
    Waived,
    /// Emergency mode left it out, with a reason.
    Skipped,
}

impl Verdict {
    /// The rotation may go on past it.
    pub fn advances(self) -> bool {
        match self {
            Self::Pass | Self::Waived | Self::Skipped => true,
            Self::Fail | Self::Inconclusive | Self::NoData | Self::Error => false,
        }
    }
}

/// Where in a rotation checks are judged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// Before anything is made: the slots hold this key, and we are who we should be.
    Bound,
    /// Leaving prepare.
    Prepared,
    /// Leaving canary.
    Canary,
    /// One consumer after its reload.
    Reloaded(App),
    /// Leaving flip.
    Flipped,
    /// Leaving hold: nothing uses the outgoing key any more.
    Drained,
    /// Just before the outgoing key is disabled.
    BeforeDisable,
    /// While it is disabled and can still be enabled.
    Soaked,
    /// Just before it is deleted.
    BeforeDelete,
    /// After it was deleted.
    Gone,
    /// Leaving archive: every required item is there.
    Complete,
    /// Undo: the old key is accepted everywhere.
    OldAccepted,
    /// Undo: one consumer after its reload back.
    Returned(App),
    /// Undo: nothing uses the new key any more.
    NewDrained,
    /// Undo: the new key is refused and nobody noticed.
    NewSoaked,
    /// Undo: no key of this run is left and all is as before.
    Undone,
}

/// What a check asks. The kinds of decision; see `gate/` for the rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// The scopes of old and new are equal, under an allow-list of fields.
    Equal {
        /// Fields that may differ.
        allow: Vec<String>,
    },
    /// The key is accepted in every family at every endpoint.
    Accept {
        /// Which key.
        key: Which,
    },
    /// The key is refused everywhere, with all of the negative test's conditions.
    Reject {
        /// Which key.
        key: Which,
    },
    /// No use of the key in a window that readings cover.
    Zero {
        /// Which key.
        key: Which,
    },
    /// Every consumer is seen on the key, acknowledged, or excepted.
    Coverage {
        /// Which key they should be on.
        key: Which,
    },
    /// Callers seen in the look-back that no consumer entry claims.
    UnknownCallers,
    /// Our own calls with the new key appear in the usage under its id and owner.
    Attributed,
    /// A count that must never, or must always, be.
    Invariant(Must),
    /// So much time has passed, by the source's clock.
    Elapsed {
        /// How long.
        at_least: Span,
    },
    /// No caller of others was refused while the key is disabled, and a refusal of ours shows in the source.
    Soak {
        /// Which key is disabled.
        key: Which,
        /// How long.
        at_least: Span,
    },
    /// A named role states a judgement.
    Human {
        /// The role.
        role: String,
    },
    /// A kind that this build knows by name and cannot judge yet.
    Later {
        /// Its kind in the policy.
        kind: String,
    },
}

/// What must always hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Must {
    /// Every slot's current value is the rotated key, accepted as that key's id.
    SlotsHoldOld,
    /// The pending value of every slot is the new key.
    PendingIsNew,
    /// The current value of every slot is this key.
    SlotsHold(Which),
    /// Admin, store and usage identities differ from old and new key.
    AdminDiffers,
    /// The value to go back to is readable and is the old key.
    WayBack,
    /// Exactly one key carries this run's marker.
    SingleNew,
    /// No key carries this run's marker.
    NoneNew,
    /// The gateway lists this key, and as accepted: all that can be asked about a key whose value nobody here knows.
    Listed(Which),
    /// Consumers' calls were served with this key since the last change.
    Serves(Which),
    /// No model references this key any more.
    NoReference(Which),
    /// Every replica serves the models with this provider key.
    Projected(Which),
    /// The gateway lists the key as gone, with a sentinel in the same listing.
    Absent(Which),
    /// No call of the consumers was refused on this key.
    NoneRefused(Which),
    /// Every consumer names a cadence.
    CadenceKnown,
    /// The required evidence items exist.
    EvidenceComplete,
    /// Every value that the evidence must be searched for can still be read.
    Searchable,
}

impl Must {
    /// The question's name in [`Reading::facts`] and [`Reading::errors`].
    pub fn key(&self) -> String {
        let which = |w: &Which| w.name();
        match self {
            Self::SlotsHoldOld => "slots_hold_old".into(),
            Self::PendingIsNew => "pending_is_new".into(),
            Self::SlotsHold(w) => format!("slots_hold_{}", which(w)),
            Self::AdminDiffers => "admin_differs".into(),
            Self::WayBack => "way_back".into(),
            Self::SingleNew => "single_new".into(),
            Self::NoneNew => "none_new".into(),
            Self::Listed(w) => format!("listed_{}", which(w)),
            Self::Serves(w) => format!("serves_{}", which(w)),
            Self::NoReference(w) => format!("no_reference_{}", which(w)),
            Self::Projected(w) => format!("projected_{}", which(w)),
            Self::Absent(w) => format!("absent_{}", which(w)),
            Self::NoneRefused(w) => format!("none_refused_{}", which(w)),
            Self::CadenceKnown => "cadence_known".into(),
            Self::EvidenceComplete => "evidence_complete".into(),
            Self::Searchable => "searchable".into(),
        }
    }
}

impl Which {
    /// `old` or `new`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }
}

/// The name of the scope comparison in [`Reading::facts`].
pub const SCOPE_FACT: &str = "scope";

/// Old or new credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// The outgoing key.
    Old,
    /// The replacement.
    New,
}

/// One check of a gate, fixed in the plan before any data came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its name, unique within its point.
    pub id: String,
    /// What it asks.
    pub ask: Ask,
    /// Emergency mode may leave it out.
    pub skippable: bool,
}

/// What a call with a credential showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallClass {
    /// Success.
    Accepted,
    /// The gateway's own, known way to say that the credential is refused.
    Refused,
    /// A limit or quota.
    OverLimit,
    /// Not allowed, for another reason than the credential.
    Forbidden,
    /// The provider behind the gateway failed.
    UpstreamFault,
    /// The gateway failed or could not be reached.
    Down,
    /// Anything else.
    Unknown,
}

/// One call of ours at one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallFacts {
    /// The id we sent.
    pub request: RequestId,
    /// Where.
    pub endpoint: Endpoint,
    /// Probe family: chat, tools, …
    pub family: String,
    /// With which key.
    pub key: Which,
    /// What it showed.
    pub class: CallClass,
    /// HTTP status, 0 when none came.
    pub status: u16,
    /// When it was sent, by our clock.
    pub at: Time,
}

/// Requests of one caller on one key, in one window of a usage source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallerCount {
    /// Requests that were accepted by the gateway.
    pub accepted: u64,
    /// Requests refused for the credential.
    pub refused: u64,
    /// Other failures.
    pub other: u64,
    /// First row.
    pub first: Option<Time>,
    /// Newest row that was not refused for the credential: a use.
    pub last_used: Option<Time>,
    /// Newest refused row.
    pub last_refused: Option<Time>,
    /// Longest gap between two rows.
    pub longest_gap: Span,
}

impl CallerCount {
    /// All rows.
    pub fn total(&self) -> u64 {
        self.accepted.saturating_add(self.refused).saturating_add(self.other)
    }
}

/// The newest row of one part of a usage source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// File, replica, exporter or partition.
    pub name: String,
    /// Newest row in it, ours or not.
    pub newest: Option<Time>,
}

/// A table of integer counts by stratum, with everything a judge needs to know about where it came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageTable {
    /// Start of the window, in the source's time.
    pub from: Time,
    /// End of the window, in the source's time.
    pub to: Time,
    /// By key, then by caller (empty name: the row named none). Our own calls are not in here.
    pub old: BTreeMap<App, CallerCount>,
    /// The same for the new key.
    pub new: BTreeMap<App, CallerCount>,
    /// Our own calls, recognised by exact id: id → (key the source attributes it to, owner, refused).
    pub own: BTreeMap<RequestId, OwnRow>,
    /// All rows of the window, whatever the key.
    pub rows: u64,
    /// Lines that could not be read.
    pub malformed: u64,
    /// Every part of the source and its newest row.
    pub shards: Vec<Shard>,
    /// The source may show a row this much after its time stamp.
    pub lag: Span,
    /// The oldest instant the source reaches back to.
    pub reaches: Option<Time>,
    /// The query, for somebody who wants to repeat it.
    pub query: String,
}

/// How the source recorded one call of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnRow {
    /// The key it was attributed to.
    pub key: Option<Which>,
    /// The owner it was attributed to, cleaned.
    pub owner: String,
    /// It is a refusal.
    pub refused: bool,
    /// When, by the source.
    pub at: Time,
}

impl UsageTable {
    /// The instant up to which every part of the source is known to be complete; none when a part is silent.
    pub fn watermark(&self) -> Option<Time> {
        if self.shards.is_empty() {
            return None;
        }
        let newest = self.shards.iter().map(|s| s.newest).collect::<Option<Vec<_>>>()?;
        newest.into_iter().min().map(|t| t.minus(self.lag))
    }

    /// The table of one key.
    pub fn of(&self, key: Which) -> &BTreeMap<App, CallerCount> {
        match key {
            Which::Old => &self.old,
            Which::New => &self.new,
        }
    }
}

/// What a consumer's own acknowledgement says, bound to the value at the last hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// Which consumer.
    pub app: App,
    /// When it loaded what it holds now.
    pub loaded_at: Time,
    /// What it holds, where it can tell.
    pub holds: Option<Fingerprint>,
    /// The key id it holds, where it can tell that instead.
    pub key: Option<KeyId>,
}

/// Everything that was read for one gate, once, before its checks are judged. No secret is in here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Our clocks when it was taken.
    pub stamp: Stamp,
    /// The gateway's clock when it was taken.
    pub source_now: Option<Time>,
    /// Calls made for it.
    pub calls: Vec<CallFacts>,
    /// Usage since the start of what is judged.
    pub usage: Option<UsageTable>,
    /// Acknowledgements asked for it.
    pub acks: Vec<Ack>,
    /// Facts looked up for it, by name of the question; true is what must be.
    pub facts: BTreeMap<String, Looked>,
    /// Questions that could not be asked, and why.
    pub errors: BTreeMap<String, String>,
}

/// The answer to one looked-up question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    /// It is as it must be.
    pub holds: bool,
    /// What was seen, in words, cleaned.
    pub seen: String,
}

/// The verdict of one check, with the reason and the counts it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The check's id.
    pub check: String,
    /// How it ended.
    pub verdict: Verdict,
    /// One sentence: why, and what would change it.
    pub why: String,
    /// The numbers behind it.
    pub counts: BTreeMap<String, u64>,
    /// Whom it concerns: consumers, callers, endpoints.
    pub about: Vec<String>,
}
