//! The names and sentences that files and report share.

use crate::rotation::{Ask, By, Effect, Must, Outcome, Phase, Point, Reload, Run, SlotNo, Verdict, Which};

/// A part of a run: one of its six phases, or the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Going forward.
    Phase(Phase),
    /// Going back to the old key.
    WayBack,
}

impl Stage {
    /// All of them, in order.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        Phase::ALL.into_iter().map(Self::Phase).chain([Self::WayBack])
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Phase(phase) => phase.name(),
            Self::WayBack => "way-back",
        }
    }

    /// Where a point belongs.
    pub(super) fn of(point: &Point) -> Self {
        match point {
            Point::Bound | Point::Prepared => Self::Phase(Phase::Prepare),
            Point::Canary => Self::Phase(Phase::Canary),
            Point::Reloaded(_) | Point::Flipped => Self::Phase(Phase::Flip),
            Point::Drained => Self::Phase(Phase::Hold),
            Point::BeforeDisable | Point::Soaked | Point::BeforeDelete | Point::Gone => Self::Phase(Phase::Revoke),
            Point::Complete => Self::Phase(Phase::Archive),
            Point::OldAccepted | Point::Returned(_) | Point::NewDrained | Point::NewSoaked | Point::Undone => Self::WayBack,
        }
    }
}

/// A point's name, without its consumer.
pub(super) fn point(point: &Point) -> &'static str {
    match point {
        Point::Bound => "bound",
        Point::Prepared => "prepared",
        Point::Canary => "canary",
        Point::Reloaded(_) => "reloaded",
        Point::Flipped => "flipped",
        Point::Drained => "drained",
        Point::BeforeDisable => "before-disable",
        Point::Soaked => "soaked",
        Point::BeforeDelete => "before-delete",
        Point::Gone => "gone",
        Point::Complete => "complete",
        Point::OldAccepted => "old-accepted",
        Point::Returned(_) => "returned",
        Point::NewDrained => "new-drained",
        Point::NewSoaked => "new-soaked",
        Point::Undone => "undone",
    }
}

/// The consumer a point is about, if it is about one.
pub(super) fn consumer(point: &Point) -> Option<&str> {
    match point {
        Point::Reloaded(app) | Point::Returned(app) => Some(app.as_str()),
        Point::Bound
        | Point::Prepared
        | Point::Canary
        | Point::Flipped
        | Point::Drained
        | Point::BeforeDisable
        | Point::Soaked
        | Point::BeforeDelete
        | Point::Gone
        | Point::Complete
        | Point::OldAccepted
        | Point::NewDrained
        | Point::NewSoaked
        | Point::Undone => None,
    }
}

/// What an effect does, for a reader who has not seen the code.
pub(super) fn effect(run: &Run, effect: &Effect) -> String {
    let slot = |no: &SlotNo| match run.plan.slots.get(usize::from(no.0)) {
        Some(slot) => slot.name.clone(),
        None => format!("slot {}", no.0 + 1),
    };
    let key = |which: &Which| format!("the {} key", which.name());
    match effect {
        Effect::Mint { .. } => "make the new key".into(),
        Effect::Stage { slot: no, .. } => format!("put the new value beside the current one in {}", slot(no)),
        Effect::Promote { slot: no, .. } => format!("make the new value current in {}", slot(no)),
        Effect::Repoint { model, to } => format!("point model {model} at {}", key(to)),
        Effect::Reload { app, .. } => format!("make {app} read the value again"),
        Effect::Disable { key: which, .. } => format!("disable {}", key(which)),
        Effect::Enable { key: which, .. } => format!("enable {} again", key(which)),
        Effect::Delete { key: which, .. } => format!("delete {}", key(which)),
        Effect::Discard { id, .. } => format!("remove key {id} of this run, whose value was lost"),
        Effect::Demote { slot: no, .. } => format!("make the old value current again in {}", slot(no)),
        Effect::Fence { slot: no, .. } => format!("stop a late write to {}", slot(no)),
        Effect::DropPending { slot: no } => format!("remove the waiting value from {}", slot(no)),
        Effect::Retire { slot: no } => format!("unlink the old version in {}", slot(no)),
        Effect::MarkLive { .. } => "mark the new key as live".into(),
        Effect::Scan => "scan the evidence for secrets".into(),
        Effect::Seal => "write the bundle".into(),
    }
}

/// How an effect came out: a word, and why where there is a reason.
pub(super) fn outcome(outcome: &Outcome) -> (&'static str, &str) {
    match outcome {
        Outcome::Done(_) => ("done", ""),
        Outcome::NotDone { why } => ("not done", why),
        Outcome::Refused { why } => ("refused", why),
        Outcome::Unknown { why } => ("unknown", why),
        Outcome::Conflict { why } => ("conflict", why),
    }
}

/// How an outcome is known.
pub(super) fn by(by: By) -> &'static str {
    match by {
        By::Answer => "answer",
        By::Look => "look",
        By::Person => "person",
    }
}

/// A verdict's name.
pub(super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Inconclusive => "inconclusive",
        Verdict::NoData => "no data",
        Verdict::Error => "error",
        Verdict::Waived => "WAIVED",
        Verdict::Skipped => "SKIPPED",
    }
}

/// How a consumer comes to read a new value.
pub(super) fn reload(reload: &Reload) -> String {
    match reload {
        Reload::Dynamic { ttl } => format!("reads by itself within {ttl}"),
        Reload::Told { how } => how.clone(),
        Reload::ByHand => "by hand".into(),
    }
}

/// The question a check asks, in words.
pub(super) fn ask(ask: &Ask) -> String {
    match ask {
        Ask::Equal { allow } if allow.is_empty() => "may the new key do exactly what the old one may?".into(),
        Ask::Equal { allow } => format!("may the new key do exactly what the old one may (apart from {})?", allow.join(", ")),
        Ask::Accept { key } => format!("is the {} key accepted everywhere?", key.name()),
        Ask::Reject { key } => format!("is the {} key refused everywhere?", key.name()),
        Ask::Zero { key } => format!("has nothing used the {} key for long enough?", key.name()),
        Ask::Coverage { key } => format!("is every consumer on the {} key?", key.name()),
        Ask::UnknownCallers => "are all callers of the old key known?".into(),
        Ask::Attributed => "does the usage show our calls under the new key and its owner?".into(),
        Ask::Invariant(must) => must_words(must),
        Ask::Elapsed { at_least } => format!("have {at_least} passed?"),
        Ask::Soak { key, at_least } => format!("was nobody refused for {at_least} while the {} key was disabled?", key.name()),
        Ask::Human { role } => format!("does {role} agree?"),
        Ask::Later { kind } => format!("{kind} (this build cannot judge it)"),
    }
}

fn must_words(must: &Must) -> String {
    match must {
        Must::SlotsHoldOld => "do the slots hold the key that is rotated?".into(),
        Must::PendingIsNew => "does every slot hold the new value beside the current one?".into(),
        Must::SlotsHold(which) => format!("is the {} value current in every slot?", which.name()),
        Must::AdminDiffers => "is the admin identity another than the rotated key?".into(),
        Must::WayBack => "can the old value still be put back?".into(),
        Must::SingleNew => "did this run leave exactly one new key?".into(),
        Must::NoneNew => "is no key of this run left?".into(),
        Must::Listed(which) => format!("does the gateway list the {} key as accepted?", which.name()),
        Must::Serves(which) => format!("are consumers' calls served with the {} key?", which.name()),
        Must::NoReference(which) => format!("does no model reference the {} key?", which.name()),
        Must::Projected(which) => format!("does every replica serve the models with the {} key?", which.name()),
        Must::Absent(which) => format!("does the gateway list the {} key as gone?", which.name()),
        Must::NoneRefused(which) => format!("was no consumer refused on the {} key?", which.name()),
        Must::CadenceKnown => "does every consumer name how often it calls?".into(),
        Must::EvidenceComplete => "is every required item of evidence there?".into(),
        Must::Searchable => "can the evidence be searched for every value?".into(),
    }
}
