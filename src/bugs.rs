//! Deliberate mistakes, each behind the feature `bugs` and off until it is switched on: the simulator must catch every one.
//!
//! A build without the feature has neither this module nor the places that ask it.

use std::cell::Cell;

/// One mistake that somebody could make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A mint whose answer was lost is simply done again.
    MintRetried,
    /// An effect is sent before its intent is on disk.
    IntentAfterEffect,
    /// An unknown outcome counts as certainly not done.
    UnknownIsNotDone,
    /// Hold is left without its gate.
    GateSkipped,
    /// No data counts as pass.
    NoDataPasses,
    /// A failed check counts as pass.
    FailPasses,
    /// The way back deletes the new key before consumers have left it.
    RollbackDeletesNewFirst,
    /// The way back moves consumers before the old key is accepted.
    RollbackBeforeAccepted,
    /// The usage counts as complete up to now.
    WatermarkIgnored,
    /// Silence counts without a call of our own in the same source.
    ControlIgnored,
    /// The gateway's filter for the marker is believed.
    MarkerFilterTrusted,
    /// A run that parks gives its claim up.
    ClaimDroppedOnPark,
    /// The way back writes a whole document from an earlier read.
    WholeDocumentRollback,
    /// An agreement is used more than once.
    ApprovalReused,
    /// A needle that cannot be read counts as zero hits.
    MissingNeedleIsZeroHits,
    /// An acknowledgement from before the move counts.
    AckOfEarlierFlip,
    /// The way back enables a key that somebody else switched off.
    EnablesForeignDisable,
    /// Parity is not compared again after prepare.
    ParityNotRechecked,
    /// A key that is not found was deleted.
    NotFoundIsDeleted,
    /// Absence counts in any listing.
    SentinelIgnored,
    /// A refusal counts before every node has heard of the switch.
    SettlingIgnored,
    /// Any answer but success counts as a refusal of the credential.
    AnyErrorIsRefusal,
    /// One consumer on the new key stands for all.
    OneConsumerIsAll,
    /// Nobody looks whether somebody was refused while the key was disabled.
    SoakIgnored,
    /// A line that another process wrote does not stop this one.
    FenceIgnored,
    /// Differences of the world do not block.
    DriftIgnored,
    /// Calls are taken for our own by how their id begins.
    OwnCallsByPrefix,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 27] = [
        Self::MintRetried,
        Self::IntentAfterEffect,
        Self::UnknownIsNotDone,
        Self::GateSkipped,
        Self::NoDataPasses,
        Self::FailPasses,
        Self::RollbackDeletesNewFirst,
        Self::RollbackBeforeAccepted,
        Self::WatermarkIgnored,
        Self::ControlIgnored,
        Self::MarkerFilterTrusted,
        Self::ClaimDroppedOnPark,
        Self::WholeDocumentRollback,
        Self::ApprovalReused,
        Self::MissingNeedleIsZeroHits,
        Self::AckOfEarlierFlip,
        Self::EnablesForeignDisable,
        Self::ParityNotRechecked,
        Self::NotFoundIsDeleted,
        Self::SentinelIgnored,
        Self::SettlingIgnored,
        Self::AnyErrorIsRefusal,
        Self::OneConsumerIsAll,
        Self::SoakIgnored,
        Self::FenceIgnored,
        Self::DriftIgnored,
        Self::OwnCallsByPrefix,
    ];
}

thread_local! {
    static ON: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// This mistake is switched on, on this thread.
pub fn on(bug: Bug) -> bool {
    ON.get() == Some(bug)
}

/// Switches one mistake on, on this thread, or all off.
pub fn switch(bug: Option<Bug>) {
    ON.set(bug);
}
