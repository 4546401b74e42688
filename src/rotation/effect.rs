//! What a run does to the outside, and what came of it. Both are data, both are journaled, neither holds a secret.

use super::{App, KeyId, Marker, ModelName, SlotNo, Time, VersionId, Which};
use crate::secret::Fingerprint;
use serde::{Deserialize, Serialize};

/// One thing done to the outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Make the new key, with the old one's scope and the run's marker.
    Mint {
        /// How to find it after a lost answer.
        marker: Marker,
    },
    /// Put the new value beside the current one.
    Stage {
        /// Where.
        slot: SlotNo,
        /// What it must be, where we chose the value before minting.
        value: Option<Fingerprint>,
    },
    /// Make pending current, under a guard.
    Promote {
        /// Where.
        slot: SlotNo,
        /// The guard that was read when it was staged.
        guard: String,
    },
    /// Point a model at a provider key, only if it points at the other one.
    Repoint {
        /// Which model.
        model: ModelName,
        /// Towards which key.
        to: Which,
    },
    /// Make a consumer read the value again.
    Reload {
        /// Which consumer.
        app: App,
        /// The flip, or the way back, that this reload belongs to.
        flip: u32,
    },
    /// Refuse a key without deleting it.
    Disable {
        /// Which key.
        key: Which,
        /// Its id.
        id: KeyId,
        /// The approval this step uses up, by the record's number.
        approval: Option<u64>,
    },
    /// Accept it again.
    Enable {
        /// Which key.
        key: Which,
        /// Its id.
        id: KeyId,
    },
    /// Remove a key for good. For the old key this intent is the point of no return.
    Delete {
        /// Which key.
        key: Which,
        /// Its id.
        id: KeyId,
    },
    /// Remove a key of this run whose value is lost.
    Discard {
        /// Its id.
        id: KeyId,
        /// The marker it was made with.
        marker: Marker,
    },
    /// Make the old value current again, in our field only.
    Demote {
        /// Where.
        slot: SlotNo,
        /// The guard that promote left behind.
        guard: String,
    },
    /// Move the slot's guard so that a promote on its way is refused.
    Fence {
        /// Where.
        slot: SlotNo,
        /// The guard to move.
        guard: String,
    },
    /// Remove what waits beside the current value.
    DropPending {
        /// Where.
        slot: SlotNo,
    },
    /// Unlink the old version.
    Retire {
        /// Where.
        slot: SlotNo,
    },
    /// The run's marker on the new key becomes `live`.
    MarkLive {
        /// The new key.
        id: KeyId,
    },
    /// Collect the payload and scan it for every secret of the run, while all are still readable.
    Scan,
    /// Write the bundle.
    Seal,
}

/// The kind of an effect, without its details.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the effect of the same name")]
pub enum EffectKind {
    Mint,
    Stage,
    Promote,
    Repoint,
    Reload,
    DisableOld,
    DisableNew,
    EnableOld,
    EnableNew,
    DeleteOld,
    DeleteNew,
    Discard,
    Demote,
    Fence,
    DropPending,
    Retire,
    MarkLive,
    Scan,
    Seal,
}

impl EffectKind {
    /// All kinds, in the order of a rotation.
    pub const ALL: [Self; 19] = [
        Self::Mint,
        Self::Stage,
        Self::Promote,
        Self::Repoint,
        Self::Reload,
        Self::DisableOld,
        Self::DeleteOld,
        Self::MarkLive,
        Self::Scan,
        Self::Retire,
        Self::Seal,
        Self::EnableOld,
        Self::Demote,
        Self::Fence,
        Self::DropPending,
        Self::DisableNew,
        Self::DeleteNew,
        Self::EnableNew,
        Self::Discard,
    ];

    /// Its name in messages, policies and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mint => "mint",
            Self::Stage => "stage",
            Self::Promote => "promote",
            Self::Repoint => "repoint",
            Self::Reload => "reload",
            Self::DisableOld => "disable_old",
            Self::DisableNew => "disable_new",
            Self::EnableOld => "enable_old",
            Self::EnableNew => "enable_new",
            Self::DeleteOld => "delete_old",
            Self::DeleteNew => "delete_new",
            Self::Discard => "discard",
            Self::Demote => "demote",
            Self::Fence => "fence",
            Self::DropPending => "drop_pending",
            Self::Retire => "retire",
            Self::MarkLive => "mark_live",
            Self::Scan => "scan",
            Self::Seal => "seal",
        }
    }
}

impl Effect {
    /// What kind it is.
    pub fn kind(&self) -> EffectKind {
        match self {
            Self::Mint { .. } => EffectKind::Mint,
            Self::Stage { .. } => EffectKind::Stage,
            Self::Promote { .. } => EffectKind::Promote,
            Self::Repoint { .. } => EffectKind::Repoint,
            Self::Reload { .. } => EffectKind::Reload,
            Self::Disable { key: Which::Old, .. } => EffectKind::DisableOld,
            Self::Disable { key: Which::New, .. } => EffectKind::DisableNew,
            Self::Enable { key: Which::Old, .. } => EffectKind::EnableOld,
            Self::Enable { key: Which::New, .. } => EffectKind::EnableNew,
            Self::Delete { key: Which::Old, .. } => EffectKind::DeleteOld,
            Self::Delete { key: Which::New, .. } => EffectKind::DeleteNew,
            Self::Discard { .. } => EffectKind::Discard,
            Self::Demote { .. } => EffectKind::Demote,
            Self::Fence { .. } => EffectKind::Fence,
            Self::DropPending { .. } => EffectKind::DropPending,
            Self::Retire { .. } => EffectKind::Retire,
            Self::MarkLive { .. } => EffectKind::MarkLive,
            Self::Scan => EffectKind::Scan,
            Self::Seal => EffectKind::Seal,
        }
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is so.
    Done(Done),
    /// It certainly did not happen; it may be tried again.
    NotDone {
        /// Why.
        why: String,
    },
    /// The system said no and nothing changed.
    Refused {
        /// Why.
        why: String,
    },
    /// It may have happened; look before anything else.
    Unknown {
        /// Why.
        why: String,
    },
    /// The world is not as it was left; a person must look.
    Conflict {
        /// What differs.
        why: String,
    },
}

/// What an effect leaves behind that later steps need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// Nothing but the fact.
    Plain,
    /// A new key exists.
    Minted {
        /// Its id.
        id: KeyId,
        /// Fingerprint of its value; none when only a look found it, and so its value is lost.
        value: Option<Fingerprint>,
        /// By the gateway's clock.
        created_at: Option<Time>,
    },
    /// The value waits beside the current one.
    Staged {
        /// Its version.
        version: Option<VersionId>,
        /// Its fingerprint.
        value: Fingerprint,
        /// The slot's guard now.
        guard: String,
    },
    /// The slot changed.
    Moved {
        /// The slot's guard now.
        guard: String,
        /// The step was guarded by the store itself.
        atomic: bool,
    },
    /// It had been so already.
    Already,
    /// A payload or bundle was written.
    Written {
        /// SHA-256 of its manifest.
        digest: String,
        /// Where.
        place: String,
    },
}

/// A child process that an effect started, named in the journal so that a later process can find it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// Process id, which is also its group.
    pub pid: u32,
    /// Start time as the system counts it; a reused pid has another.
    pub start: Option<u64>,
}
