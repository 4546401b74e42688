//! The state of a run: a fold over its records. `apply` is the only way in.

use super::{
    App, Ask, CallFacts, Child, Course, Drift, Effect, End, Endpoint, Exception, GatewayCaps, Judged, KeyId, Marker, Mint, ModelName, Must,
    Phase, Plan, PlanId, Point, Proof, RequestId, RunId, SlotNo, Stamp, Time, Verdict, VersionId, Which,
};
use crate::secret::Fingerprint;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything a run knows about itself.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The plan it obeys.
    pub plan: Arc<Plan>,
    /// The plan's digest.
    pub plan_id: PlanId,
    /// Where it is.
    pub phase: Phase,
    /// Which way it goes.
    pub course: Course,
    /// Why it turned, and whether a person asked.
    pub turned: Option<(String, bool)>,
    /// The phase it turned in.
    pub turned_in: Option<Phase>,
    /// Number of the latest flip or way back; acknowledgements bind to it.
    pub flip: u32,
    /// Attempt at revoke; a re-open begins the next.
    pub attempt: u32,
    /// Emergency mode: who and why.
    pub emergency: Option<(String, String)>,
    /// The outgoing key.
    pub old: OldKey,
    /// The replacement.
    pub new: Option<NewKey>,
    /// Keys of this run whose value is lost.
    pub strays: Vec<(KeyId, Marker)>,
    /// How many mints were begun.
    pub mints: u32,
    /// The slots, in the plan's order.
    pub slots: Vec<SlotState>,
    /// Where each model points.
    pub models: BTreeMap<ModelName, Which>,
    /// The flip each consumer was last reloaded for, and when that reload began.
    pub reloads: BTreeMap<App, (u32, Stamp)>,
    /// The intent without an outcome.
    pub open: Option<Open>,
    /// The effect that began last.
    pub last_effect: Option<Effect>,
    /// How often this session has switched the old key off.
    pub disables: u32,
    /// Effects begun so far.
    pub effects: u32,
    /// The last effect that did not succeed.
    pub failed: Option<Failed>,
    /// Points that passed since the last thing that undid them.
    pub passed: BTreeSet<Point>,
    /// The gate that was judged last.
    pub gate: Option<GateState>,
    /// When things began.
    pub since: Since,
    /// Waivers in force.
    pub waivers: Vec<Waiver>,
    /// Exceptions in force, those of the plan included.
    pub exceptions: Vec<Exception>,
    /// Differences a person accepted.
    pub amended: Vec<Drift>,
    /// Differences nobody accepted yet.
    pub drift: Vec<Drift>,
    /// Somebody else had switched a key when the world was last compared.
    pub switched_by_others: bool,
    /// The world was compared since the last thing that could change it.
    pub looked: bool,
    /// The world was compared since this session began.
    pub session_looked: bool,
    /// The open question.
    pub asked: Option<Asked>,
    /// The answer in force.
    pub approved: Option<Approval>,
    /// A person said no.
    pub rejected: Option<String>,
    /// Our own calls, by exact id.
    pub own: BTreeMap<RequestId, Which>,
    /// Calls of ours since a key was last switched: what a negative test repeats.
    pub tested: Vec<CallFacts>,
    /// Where each key was accepted before it was switched off: the positive control.
    pub control: BTreeSet<(Which, Endpoint)>,
    /// The last verdict of every check, for the review at the end.
    pub verdicts: BTreeMap<(Point, String), Verdict>,
    /// The last change at the gateway that its nodes must first hear of, and whether it was an enable.
    pub changed: Option<(Stamp, bool)>,
    /// What the gateway can do: the weaker of plan and now.
    pub caps: GatewayCaps,
    /// A re-open by an unknown caller waits for a person; on the way back, that of any caller.
    pub reopened_by_unknown: bool,
    /// Steps that keep the run from going on.
    pub stuck: Option<(String, Vec<String>)>,
    /// It waits without a process.
    pub parked: Option<Parked>,
    /// It is over.
    pub ended: Option<End>,
    /// The bundle, once sealed.
    pub sealed: Option<(String, String)>,
    /// The payload was scanned with every needle.
    pub scanned: bool,
    /// The new key carries the `live` marker.
    pub marked_live: bool,
    /// This session minted the new key and still has its value in memory.
    pub value_at_hand: bool,
    /// Clocks of the last record that carried them.
    pub stamp: Option<Stamp>,
    /// When the wall clock last jumped.
    pub clock_broke: Option<Stamp>,
    /// Records applied.
    pub records: u64,
}

/// The outgoing key, as far as this run knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldKey {
    /// As it was.
    Enabled,
    /// Our own journaled disable was the last change.
    DisabledByUs,
    /// Somebody else switched it off; it is never enabled again by us.
    OffByOthers,
    /// An intent to delete it is synced: there is only forward.
    DeleteIntended,
    /// Deleted.
    Gone,
}

/// The replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// Its id.
    pub id: KeyId,
    /// Fingerprint of its value.
    pub value: Fingerprint,
    /// Accepted, as far as this run knows.
    pub enabled: bool,
    /// Somebody else switched it off; it is never enabled again by us.
    pub off_by_others: bool,
    /// Its marker.
    pub marker: Marker,
}

/// One slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotState {
    /// The new value waits beside the current one.
    pub staged: Option<(Option<VersionId>, Fingerprint)>,
    /// What consumers read.
    pub current: Which,
    /// Guard after the last look or change.
    pub guard: String,
    /// It was promoted at least once.
    pub was_promoted: bool,
    /// A promote with an unknown end must be fenced before its absence counts.
    pub fence: bool,
    /// The old version is unlinked.
    pub retired: bool,
    /// Every promote was guarded by the store.
    pub atomic: bool,
}

/// An intent without outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Its number.
    pub n: u32,
    /// What it is.
    pub effect: Effect,
    /// Clocks when it began.
    pub began: Stamp,
    /// A child that may still run.
    pub child: Option<Child>,
    /// Its outcome is unknown: look.
    pub unresolved: bool,
    /// The former holder may be a live process on another machine.
    pub taken_over: bool,
}

/// An effect that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Which.
    pub effect: Effect,
    /// Why.
    pub why: String,
    /// How often in a row.
    pub times: u32,
    /// How.
    pub how: Failure,
}

/// In which way an effect did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// It certainly did not happen.
    NotDone,
    /// The system said no.
    Refused,
    /// The world differs.
    Conflict,
}

/// The gate that was judged last.
#[derive(Debug, Clone, PartialEq)]
pub struct GateState {
    /// Where.
    pub point: Point,
    /// Clocks at its first judgement in a row.
    pub first: Stamp,
    /// Clocks at its last.
    pub last: Stamp,
    /// How often in a row.
    pub times: u32,
    /// What each check said.
    pub checks: Vec<Judged>,
}

/// When things began, by our clocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Since {
    /// The run's first session.
    pub start: Option<Stamp>,
    /// The mint of the new key.
    pub minted: Option<Stamp>,
    /// The last effect that brought consumers to the new key.
    pub flip: Option<Stamp>,
    /// Hold, or its restart.
    pub hold: Option<Stamp>,
    /// The outgoing key (old, or new in an undo) was disabled.
    pub disabled: Option<Stamp>,
    /// It was enabled again.
    pub enabled: Option<Stamp>,
    /// It was deleted.
    pub deleted: Option<Stamp>,
    /// The last effect that brought consumers back.
    pub back: Option<Stamp>,
    /// `hold`, `back` and `enabled` as they were before a clock jumped and moved them: refusals since then still count.
    pub before_jump: [Option<Stamp>; 3],
}

/// A waiver in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// Where.
    pub point: Point,
    /// Which check.
    pub check: String,
    /// Who.
    pub by: String,
    /// Why.
    pub why: String,
    /// Until when.
    pub until: Time,
}

/// The open question to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// About which phase.
    pub phase: Phase,
    /// Which attempt.
    pub attempt: u32,
    /// Whose agreement.
    pub role: String,
    /// The state it is about.
    pub head: String,
}

/// An agreement in force. It is used once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Number of the record.
    pub record: u64,
    /// For which phase.
    pub phase: Phase,
    /// Which attempt.
    pub attempt: u32,
    /// Who.
    pub by: String,
    /// How the name is known.
    pub proof: Proof,
}

/// A run without a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// What for.
    pub why: String,
    /// When to look again.
    pub wake_at: Option<Time>,
    /// A person must do something.
    pub person: bool,
}

/// A record that cannot follow what came before: the journal is not this program's, or is damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "apply record {number}: {why}; the journal is damaged or from another program, keep it and use `keyroll unlock --reason` only after checking the gateway by hand"
)]
pub struct Illegal {
    /// Which record.
    pub number: u64,
    /// Why not.
    pub why: &'static str,
}

impl Run {
    /// A run from its first record.
    pub fn new(id: RunId, plan: Arc<Plan>, plan_id: PlanId) -> Self {
        let slots = plan
            .slots
            .iter()
            .map(|s| SlotState {
                staged: None,
                current: Which::Old,
                guard: s.guard.clone(),
                was_promoted: false,
                fence: false,
                retired: false,
                atomic: true,
            })
            .collect();
        let models = plan.models().iter().map(|m| (m.clone(), Which::Old)).collect();
        let exceptions = plan.exceptions.clone();
        let caps = plan.gateway.caps.clone();
        Self {
            id,
            plan,
            plan_id,
            phase: Phase::Prepare,
            course: Course::Forward,
            turned: None,
            turned_in: None,
            flip: 1,
            attempt: 1,
            emergency: None,
            old: OldKey::Enabled,
            new: None,
            strays: Vec::new(),
            mints: 0,
            slots,
            models,
            reloads: BTreeMap::new(),
            open: None,
            last_effect: None,
            disables: 0,
            effects: 0,
            failed: None,
            passed: BTreeSet::new(),
            gate: None,
            since: Since::default(),
            waivers: Vec::new(),
            exceptions,
            amended: Vec::new(),
            drift: Vec::new(),
            switched_by_others: false,
            looked: false,
            session_looked: false,
            asked: None,
            approved: None,
            rejected: None,
            own: BTreeMap::new(),
            tested: Vec::new(),
            control: BTreeSet::new(),
            verdicts: BTreeMap::new(),
            changed: None,
            caps,
            reopened_by_unknown: false,
            stuck: None,
            parked: None,
            ended: None,
            sealed: None,
            scanned: false,
            marked_live: false,
            value_at_hand: false,
            stamp: None,
            clock_broke: None,
            records: 1,
        }
    }

    /// The outgoing key can still come back.
    pub fn can_go_back(&self) -> bool {
        match self.old {
            OldKey::Enabled | OldKey::DisabledByUs => self.ended.is_none(),
            #[cfg(feature = "bugs")]
            OldKey::OffByOthers if crate::bugs::on(crate::bugs::Bug::EnablesForeignDisable) => true,
            OldKey::OffByOthers | OldKey::DeleteIntended | OldKey::Gone => false,
        }
    }

    /// Required evidence that no passed check has shown.
    pub fn missing_evidence(&self) -> Vec<String> {
        let passed = |wanted: fn(&Ask) -> bool| {
            self.verdicts
                .iter()
                .any(|((point, id), v)| *v == Verdict::Pass && self.plan.checks(point).iter().any(|c| c.id == *id && wanted(&c.ask)))
        };
        let shown = |item: &str| match item {
            "old_key_negative_test" => passed(|a| matches!(a, Ask::Reject { key: Which::Old })),
            "usage_owner_check" => passed(|a| matches!(a, Ask::Attributed)),
            "auth_error_check" => passed(|a| matches!(a, Ask::Invariant(Must::NoneRefused(Which::New)))),
            // This build has no check that could show it, so only the policy's own words can let it go.
            other => self.plan.accepts(&format!("{other}_not_made")),
        };
        self.plan.evidence.iter().filter(|item| !shown(item)).cloned().collect()
    }

    /// A slot of this run, if the number is one.
    pub fn slot(&self, slot: SlotNo) -> Option<&SlotState> {
        self.slots.get(usize::from(slot.0))
    }

    /// The marker of the next mint.
    pub fn next_marker(&self) -> Marker {
        Marker::of(&self.id, self.mints.saturating_add(1))
    }

    /// A waiver of this check that has not ended.
    pub fn waiver(&self, point: &Point, check: &str, now: Time) -> Option<&Waiver> {
        self.waivers.iter().find(|w| w.point == *point && w.check == check && w.until > now)
    }

    /// This consumer may stay on the old key now.
    pub fn excepted(&self, app: &App, now: Time) -> bool {
        self.exceptions.iter().any(|e| e.app == *app && e.until > now)
    }

    /// The consumers this run moved in either direction were reloaded for the current flip.
    pub fn reloaded(&self, app: &App) -> bool {
        self.reloads.get(app).is_some_and(|(flip, _)| *flip == self.flip)
    }

    /// The new key lives but nobody can read its value any more: it died with the process that minted it.
    pub fn value_lost(&self) -> bool {
        let readable = |i: usize| self.plan.slots.get(i).is_some_and(|s| s.caps.read_back);
        let kept = self.slots.iter().enumerate().any(|(i, s)| readable(i) && (s.staged.is_some() || s.current == Which::New));
        let supplied = self.plan.gateway.caps.mint == Mint::Supplied;
        // An issuer that is asked once leaves its value in the memory of one process.
        self.new.is_some() && !self.value_at_hand && !kept && !supplied && !self.was_flipped()
    }

    /// A person accepted that this slot holds what is neither key: it is its owner's, and this run writes its current value no more.
    pub fn is_left(&self, slot: usize) -> bool {
        let ours = |d: &Drift| matches!(d, Drift::SlotCurrent { slot: n, holds: None, .. } if usize::from(n.0) == slot);
        self.amended.iter().any(ours)
    }

    /// The first slot that holds this key and is not left to its owner.
    pub fn slot_with(&self, key: Which) -> Option<usize> {
        self.slots.iter().enumerate().position(|(i, s)| s.current == key && !self.is_left(i))
    }

    /// Some consumer may hold the new value.
    pub fn was_flipped(&self) -> bool {
        self.slots.iter().any(|s| s.was_promoted) || self.since.flip.is_some()
    }
}
