//! What the journal says so far, kept apart from the fold so that the oracle does not trust what it judges.

use keyroll::rotation::{Drift, Effect, EffectKind, KeyId, Outcome, Phase, Place, Record, Verdict, Which};

/// The oracle's own reading of the journal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trail {
    /// The intent without an outcome.
    pub(crate) open: Option<EffectKind>,
    /// The run turned back.
    pub(crate) undo: bool,
    /// Emergency mode.
    pub(crate) emergency: bool,
    /// Gates that let through since the last thing that made them worthless, and when.
    passed: Vec<(Place, i64)>,
    /// The run is in hold or revoke.
    beyond: bool,
    /// The old key's end was begun once: from there on it only goes forward.
    pub(crate) delete_begun: bool,
    /// The old key was found dead in prepare, and the run goes on to save its consumers.
    saves: bool,
    /// The old key was disabled with fresh gates, and not enabled since: doing it again needs no more.
    disable_begun: bool,
    /// Keys that the journal named as unexpected.
    pub(crate) named: Vec<KeyId>,
    /// The new key was made current somewhere, or a model was pointed at it.
    pub(crate) flipped: bool,
    /// When, for the first time.
    pub(crate) flipped_at: Option<i64>,
    /// Somebody accepted a difference in permissions.
    pub(crate) scope_accepted: bool,
    /// Somebody accepted a difference at all.
    pub(crate) accepted: bool,
    /// Callers that may stay.
    pub(crate) excepted: Vec<String>,
    /// A question was answered with yes since the last thing that voids it.
    pub(crate) approved: bool,
    /// The intent to disable had an agreement of its own.
    pub(crate) agreed: bool,
    /// The end is written.
    pub(crate) finished: bool,
    /// Where the new value comes from is asked once: a later process cannot try the key, and goes on with what was shown.
    pub(crate) asked_once: bool,
    /// Somebody asked to turn back, and it was written.
    pub(crate) turned: bool,
}

impl Trail {
    /// Nothing is written yet.
    pub(crate) fn of(asked_once: bool) -> Self {
        Self { asked_once, ..Self::default() }
    }

    /// This gate let through, and when.
    pub(crate) fn passed(&self, place: Place) -> Option<i64> {
        self.passed.iter().find(|(p, _)| *p == place).map(|(_, at)| *at)
    }

    /// Takes in a line, and whether the old key is accepted then. Answers what the line must not have said, if it is so.
    pub(crate) fn take(&mut self, record: &Record, now: i64, old_works: bool) -> Option<(u8, &'static str)> {
        match record {
            Record::Began { effect, .. } => {
                self.open = Some(effect.kind());
                self.began(effect, now)
            }
            Record::Ended { outcome, .. } => {
                match outcome {
                    Outcome::Unknown { .. } => {}
                    Outcome::Done(_) | Outcome::NotDone { .. } | Outcome::Refused { .. } | Outcome::Conflict { .. } => self.open = None,
                }
                None
            }
            Record::Judged { point, checks, .. } => {
                let place = point.place();
                // Whoever finds in prepare that the old key is dead saves its consumers by going on.
                let saves = |id: &str| place == Place::Prepared && id == "old_accepted" && !old_works;
                let good = !checks.is_empty()
                    && checks.iter().all(|c| match c.verdict {
                        Verdict::Pass | Verdict::Waived => true,
                        Verdict::Skipped => self.emergency,
                        Verdict::Fail if saves(&c.check) => true,
                        Verdict::Fail | Verdict::Inconclusive | Verdict::NoData | Verdict::Error => false,
                    });
                self.passed.retain(|(p, _)| *p != place);
                if good {
                    self.saves |= checks.iter().any(|c| c.verdict == Verdict::Fail);
                    self.passed.push((place, now));
                }
                if checks.iter().any(|c| c.verdict == Verdict::Fail) {
                    self.approved = false;
                }
                None
            }
            Record::Moved { to } => {
                let gate = match to {
                    Phase::Prepare => return None,
                    Phase::Canary => Place::Prepared,
                    Phase::Flip => Place::Canary,
                    Phase::Hold => Place::Flipped,
                    Phase::Revoke => Place::Drained,
                    Phase::Archive => Place::Gone,
                };
                let saved = self.saves && *to == Phase::Flip;
                // Back for a model that came later: nothing is left behind, and every gate on the way is judged again.
                let back = *to == Phase::Flip && self.beyond;
                if back {
                    self.passed.retain(|(p, _)| !matches!(p, Place::Flipped | Place::Drained));
                }
                self.beyond = matches!(to, Phase::Hold | Phase::Revoke);
                (self.passed(gate).is_none() && !saved && !back).then_some((2, "a phase was left although its gate had not passed"))
            }
            Record::Turned { .. } => {
                self.undo = true;
                self.turned = true;
                self.forget();
                None
            }
            Record::Reopened { .. } => {
                self.forget();
                None
            }
            Record::Amended { accepts, .. } => {
                self.accepted = true;
                self.disable_begun &= !accepts.contains(&Drift::OldEnabled);
                self.scope_accepted |= accepts.iter().any(|d| matches!(d, Drift::OldScope { .. } | Drift::NewScope { .. }));
                // What led to the phase the run is in is accepted with it; what must be fresh is not.
                self.approved = false;
                self.passed.retain(|(p, _)| *p == Place::Bound);
                None
            }
            Record::Answered { yes, .. } => {
                self.approved = *yes;
                None
            }
            Record::Excepted { exception, .. } => {
                self.excepted.push(exception.app.as_str().to_owned());
                None
            }
            Record::Emergency { .. } => {
                self.emergency = true;
                None
            }
            Record::Finished { .. } => {
                self.finished = true;
                None
            }
            Record::Looked { drift, .. } => {
                // A model that came later is taken along; it says nothing about what was judged of the keys.
                if drift.iter().any(|d| !matches!(d, Drift::NewReference { .. })) {
                    // Whatever becomes of the difference, what was judged was judged of another world.
                    self.passed.retain(|(p, _)| *p == Place::Bound);
                }
                for d in drift {
                    if let Drift::Twins { ids } = d {
                        self.named.extend(ids.iter().cloned());
                    }
                }
                None
            }
            Record::Opened { .. } => {
                // What must be fresh was judged by a process that is gone.
                let kept = self.asked_once;
                self.passed.retain(|(p, _)| match p {
                    Place::Canary => kept,
                    Place::BeforeDisable | Place::BeforeDelete | Place::OldAccepted => false,
                    _ => true,
                });
                None
            }
            Record::Planned { .. }
            | Record::Spawned { .. }
            | Record::Calls { .. }
            | Record::Asked { .. }
            | Record::Waived { .. }
            | Record::Parked { .. }
            | Record::Stuck { .. }
            | Record::Noted { .. }
            | Record::Unlocked { .. }
            | Record::Checkpoint { .. } => None,
        }
    }

    fn began(&mut self, effect: &Effect, now: i64) -> Option<(u8, &'static str)> {
        if let Effect::Disable { key: Which::Old, .. } = effect {
            // An agreement is used once, by the intent that comes first.
            self.agreed = self.approved;
            self.approved = false;
        }
        let passed = self.passed.clone();
        let lacks = |place: Place, what: &'static str| passed.iter().all(|(p, _)| *p != place).then_some((2, what));
        match effect {
            Effect::Mint { .. } => lacks(Place::Bound, "a key was made although nothing had shown that the slots hold the old one"),
            Effect::Promote { .. } | Effect::Repoint { to: Which::New, .. } => {
                self.flipped = true;
                self.flipped_at = self.flipped_at.or(Some(now));
                // Once the old key's end has begun, the new one is the only one that can help.
                let needless = self.delete_begun;
                (!needless && self.passed(Place::Canary).is_none()).then_some((2, "the new key was made current without a canary"))
            }
            Effect::Demote { .. } | Effect::Repoint { to: Which::Old, .. } => {
                lacks(Place::OldAccepted, "consumers were sent back before the old key was seen accepted")
            }
            Effect::Disable { key: Which::Old, .. } if self.disable_begun => None,
            Effect::Disable { key: Which::Old, .. } => {
                self.disable_begun = true;
                lacks(Place::BeforeDisable, "the old key was disabled without fresh gates")
            }
            Effect::Enable { key: Which::Old, .. } => {
                self.disable_begun = false;
                None
            }
            // A second delete goes on from the point of no return.
            Effect::Delete { key: Which::Old, .. } if self.delete_begun => None,
            Effect::Delete { key: Which::Old, .. } => {
                self.delete_begun = true;
                lacks(Place::BeforeDelete, "the old key was deleted without fresh gates")
            }
            Effect::Disable { key: Which::New, .. } if self.flipped => {
                lacks(Place::NewDrained, "the new key was disabled before it was seen unused")
            }
            Effect::Delete { key: Which::New, .. } if self.flipped => lacks(Place::NewSoaked, "the new key was deleted without a soak"),
            Effect::Stage { .. }
            | Effect::Reload { .. }
            | Effect::Disable { .. }
            | Effect::Enable { .. }
            | Effect::Delete { .. }
            | Effect::Discard { .. }
            | Effect::Fence { .. }
            | Effect::DropPending { .. }
            | Effect::Retire { .. }
            | Effect::MarkLive { .. }
            | Effect::Scan
            | Effect::Seal => None,
        }
    }

    fn forget(&mut self) {
        self.passed.clear();
        self.approved = false;
    }
}
