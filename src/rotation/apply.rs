//! The fold: how each record changes what a run knows.

use super::{
    Approval, Asked, By, CallClass, Course, Done, Effect, EffectKind, Failed, Failure, GateState, Illegal, Judged, NewKey, OldKey, Open,
    Outcome, Parked, Phase, Point, Reading, Record, Run, SlotNo, SlotState, Stamp, Verdict, Waiver, Which,
};
use std::sync::Arc;

impl Run {
    /// Rebuilds a run from its records.
    ///
    /// # Errors
    /// When the first record is not a plan, or a record cannot follow the ones before it.
    pub fn replay<'a>(records: impl IntoIterator<Item = &'a Record>) -> Result<Self, Illegal> {
        let mut records = records.into_iter();
        let Some(Record::Planned { run, plan, plan_id }) = records.next() else {
            return Err(Illegal { number: 1, why: "the first record is not a plan" });
        };
        let mut state = Self::new(run.clone(), Arc::new((**plan).clone()), plan_id.clone());
        for record in records {
            state.apply(record)?;
        }
        Ok(state)
    }

    /// Takes in one record.
    ///
    /// # Errors
    /// When it cannot follow the ones before it.
    pub fn apply(&mut self, record: &Record) -> Result<(), Illegal> {
        self.records = self.records.saturating_add(1);
        let number = self.records;
        let illegal = |why| Err(Illegal { number, why });
        match record {
            Record::Planned { .. } => return illegal("a second plan"),
            Record::Opened { stamp, taken_over, gate_semantics, .. } => {
                self.clocks(stamp);
                self.opened(*taken_over, *gate_semantics, stamp);
            }
            Record::Looked { drift, guards, weaker } => {
                if let Some(caps) = weaker {
                    self.caps = (**caps).clone();
                }
                for (slot, guard) in guards {
                    if let Some(s) = self.slot_mut(*slot) {
                        s.guard.clone_from(guard);
                    }
                }
                self.drift = self.carry(drift);
                self.switched();
                self.session_looked = true;
                self.looked = self.drift.is_empty();
            }
            Record::Began { n, effect, stamp, .. } => {
                if self.open.is_some() {
                    return illegal("an effect began while another was open");
                }
                self.clocks(stamp);
                self.began(*n, effect, stamp);
            }
            Record::Spawned { n, child } => match &mut self.open {
                Some(open) if open.n == *n => open.child = Some(child.clone()),
                _ => return illegal("a child of no open effect"),
            },
            Record::Ended { n, outcome, by, stamp, .. } => {
                self.clocks(stamp);
                match self.open.take() {
                    Some(open) if open.n == *n => self.closed(open, outcome, *by, stamp),
                    _ => return illegal("an outcome without its intent"),
                }
            }
            Record::Calls { ids } => self.own.extend(ids.iter().cloned()),
            Record::Judged { point, reading, checks } => {
                self.clocks(&reading.stamp);
                self.judged(point, reading, checks);
            }
            Record::Moved { to } => {
                if *to < self.phase {
                    self.back_to(*to);
                }
                self.phase = *to;
                self.gate = None;
                if *to == Phase::Hold {
                    self.since.hold.clone_from(&self.stamp);
                }
            }
            Record::Turned { why, by } => {
                if self.old == OldKey::DeleteIntended || self.old == OldKey::Gone {
                    return illegal("a way back after the point of no return");
                }
                self.turn(why, by.is_some());
            }
            Record::Reopened { unknown, .. } => {
                self.forget_gates();
                self.attempt = self.attempt.saturating_add(1);
                self.reopened_by_unknown = *unknown;
                self.phase = Phase::Hold;
                self.since.hold.clone_from(&self.stamp);
            }
            Record::Asked { phase, attempt, role, head } => {
                self.rejected = None;
                self.asked = Some(Asked { phase: *phase, attempt: *attempt, role: role.clone(), head: head.clone() });
            }
            Record::Answered { phase, attempt, head, by, yes, why, proof } => {
                let fits = self.asked.as_ref().is_some_and(|a| a.phase == *phase && a.attempt == *attempt && a.head == *head);
                if fits {
                    self.asked = None;
                    if *yes {
                        let proof = proof.clone();
                        self.approved = Some(Approval { record: self.records, phase: *phase, attempt: *attempt, by: by.clone(), proof });
                    } else {
                        self.rejected = Some(format!("{by}: {why}"));
                    }
                }
            }
            Record::Waived { point, check, by, why, until } => {
                let waiver = Waiver { point: point.clone(), check: check.clone(), by: by.clone(), why: why.clone(), until: *until };
                self.waivers.push(waiver);
            }
            Record::Excepted { exception, .. } => self.exceptions.push(exception.clone()),
            Record::Amended { accepts, .. } => self.amend(accepts),
            Record::Emergency { by, why, .. } => {
                self.emergency = Some((by.clone(), why.clone()));
                self.gate = None;
            }
            Record::Parked { why, wake_at, person } => {
                self.parked = Some(Parked { why: why.clone(), wake_at: *wake_at, person: *person });
            }
            Record::Stuck { why, steps } => self.stuck = Some((why.clone(), steps.clone())),
            Record::Noted { .. } | Record::Unlocked { .. } | Record::Checkpoint { .. } => {}
            Record::Finished { end, .. } => {
                if self.open.is_some() {
                    return illegal("an end with an open effect");
                }
                self.ended = Some(end.clone());
            }
        }
        Ok(())
    }

    fn began(&mut self, n: u32, effect: &Effect, stamp: &Stamp) {
        self.effects = self.effects.max(n);
        self.last_effect = Some(effect.clone());
        match effect {
            Effect::Mint { .. } => self.mints = self.mints.saturating_add(1),
            // From here on the run only goes forward, whatever the outcome says.
            Effect::Delete { key: Which::Old, .. } => self.old = OldKey::DeleteIntended,
            Effect::Disable { key: Which::Old, .. } => {
                self.disables = self.disables.saturating_add(1);
                self.gate = None;
                // The agreement is used once, by the intent that names it.
                #[cfg(feature = "bugs")]
                let kept = crate::bugs::on(crate::bugs::Bug::ApprovalReused).then(|| self.approved.clone()).flatten();
                self.approved = None;
                #[cfg(feature = "bugs")]
                self.approved.clone_from(&kept);
                // Whatever becomes of the intent, a later enable undoes our own change and nobody else's.
                if self.old == OldKey::Enabled {
                    self.old = OldKey::DisabledByUs;
                }
            }
            Effect::Promote { slot, .. } => {
                if let Some(s) = self.slot_mut(*slot) {
                    s.was_promoted = true;
                }
            }
            Effect::Stage { .. }
            | Effect::Repoint { .. }
            | Effect::Reload { .. }
            | Effect::Disable { key: Which::New, .. }
            | Effect::Enable { .. }
            | Effect::Delete { key: Which::New, .. }
            | Effect::Discard { .. }
            | Effect::Demote { .. }
            | Effect::Fence { .. }
            | Effect::DropPending { .. }
            | Effect::Retire { .. }
            | Effect::MarkLive { .. }
            | Effect::Scan
            | Effect::Seal => {}
        }
        self.looked = false;
        match effect.kind() {
            // From here on an earlier answer says nothing about this key.
            EffectKind::DisableOld
            | EffectKind::DisableNew
            | EffectKind::EnableOld
            | EffectKind::EnableNew
            | EffectKind::DeleteOld
            | EffectKind::DeleteNew => self.tested.clear(),
            EffectKind::Mint
            | EffectKind::Stage
            | EffectKind::Promote
            | EffectKind::Repoint
            | EffectKind::Reload
            | EffectKind::Discard
            | EffectKind::Demote
            | EffectKind::Fence
            | EffectKind::DropPending
            | EffectKind::Retire
            | EffectKind::MarkLive
            | EffectKind::Scan
            | EffectKind::Seal => {}
        }
        self.open = Some(Open { n, effect: effect.clone(), began: stamp.clone(), child: None, unresolved: false, taken_over: false });
    }

    fn closed(&mut self, open: Open, outcome: &Outcome, by: By, stamp: &Stamp) {
        match outcome {
            Outcome::Done(done) => {
                self.failed = None;
                if let Effect::Reload { app, flip } = &open.effect {
                    // A consumer loads the value while its reload runs, not after it.
                    self.reloads.insert(app.clone(), (*flip, open.began.clone()));
                }
                self.done(&open.effect, done, by, stamp);
            }
            #[cfg(feature = "bugs")]
            Outcome::Unknown { why } if crate::bugs::on(crate::bugs::Bug::UnknownIsNotDone) => self.failed(open, why, Failure::NotDone),
            Outcome::Unknown { .. } => self.open = Some(Open { unresolved: true, ..open }),
            Outcome::NotDone { why } => self.failed(open, why, Failure::NotDone),
            Outcome::Refused { why } => self.failed(open, why, Failure::Refused),
            Outcome::Conflict { why } => self.failed(open, why, Failure::Conflict),
        }
    }

    fn failed(&mut self, open: Open, why: &str, how: Failure) {
        if let Effect::Promote { slot, .. } = &open.effect {
            let late = self.plan.slots.get(usize::from(slot.0)).map(|s| s.caps.late_write);
            let fence = open.unresolved && late == Some(super::LateWrite::Fenceable);
            if let Some(s) = self.slot_mut(*slot) {
                s.fence |= fence;
            }
        }
        if let (Effect::Disable { key: Which::Old, .. }, Failure::NotDone | Failure::Refused) = (&open.effect, how) {
            self.old = OldKey::Enabled;
        }
        let times = match &self.failed {
            Some(f) if f.effect.kind() == open.effect.kind() => f.times.saturating_add(1),
            _ => 1,
        };
        self.failed = Some(Failed { effect: open.effect, why: why.to_owned(), times, how });
    }

    fn done(&mut self, effect: &Effect, done: &Done, by: By, stamp: &Stamp) {
        match effect {
            Effect::Mint { .. } | Effect::Disable { .. } | Effect::Delete { .. } | Effect::Repoint { .. } => {
                self.changed = Some((stamp.clone(), false));
            }
            Effect::Enable { .. } => self.changed = Some((stamp.clone(), true)),
            Effect::Stage { .. }
            | Effect::Promote { .. }
            | Effect::Reload { .. }
            | Effect::Discard { .. }
            | Effect::Demote { .. }
            | Effect::Fence { .. }
            | Effect::DropPending { .. }
            | Effect::Retire { .. }
            | Effect::MarkLive { .. }
            | Effect::Scan
            | Effect::Seal => {}
        }
        match effect {
            Effect::Mint { marker } => {
                self.since.minted = Some(stamp.clone());
                self.minted(marker, done, by);
            }
            Effect::Stage { slot, .. } => {
                if let (Done::Staged { version, value, guard }, Some(s)) = (done, self.slot_mut(*slot)) {
                    s.staged = Some((version.clone(), value.clone()));
                    s.guard.clone_from(guard);
                }
            }
            Effect::Promote { slot, .. } => {
                self.moved(*slot, done, Which::New);
                self.since.flip = Some(stamp.clone());
            }
            Effect::Demote { slot, .. } => {
                self.moved(*slot, done, Which::Old);
                self.since.back = Some(stamp.clone());
            }
            Effect::Fence { slot, .. } => {
                if let (Done::Moved { guard, .. }, Some(s)) = (done, self.slot_mut(*slot)) {
                    s.guard.clone_from(guard);
                }
                if let Some(s) = self.slot_mut(*slot) {
                    s.fence = false;
                }
            }
            Effect::Repoint { model, to } => {
                self.models.insert(model.clone(), *to);
                match to {
                    Which::New => self.since.flip = Some(stamp.clone()),
                    Which::Old => self.since.back = Some(stamp.clone()),
                }
            }
            Effect::Reload { .. } => match self.course {
                Course::Forward => self.since.flip = Some(stamp.clone()),
                Course::Undo => self.since.back = Some(stamp.clone()),
            },
            Effect::Disable { key, .. } => {
                self.since.disabled = Some(stamp.clone());
                match key {
                    Which::Old => self.old = OldKey::DisabledByUs,
                    Which::New => self.new_enabled(false),
                }
            }
            Effect::Enable { key, .. } => {
                self.since.enabled = Some(stamp.clone());
                match key {
                    Which::Old => self.old = OldKey::Enabled,
                    Which::New => {
                        self.new_enabled(true);
                        self.reopened_by_unknown = true;
                        self.since.back = Some(stamp.clone());
                        self.passed.remove(&Point::NewDrained);
                        self.passed.remove(&Point::NewSoaked);
                    }
                }
                self.gate = None;
            }
            Effect::Delete { key, .. } => {
                self.since.deleted = Some(stamp.clone());
                match key {
                    Which::Old => self.old = OldKey::Gone,
                    Which::New => self.new = None,
                }
            }
            Effect::Discard { id, .. } => {
                self.strays.retain(|(s, _)| s != id);
                if self.new.as_ref().is_some_and(|n| n.id == *id) {
                    self.new = None;
                    self.forget_gates();
                }
            }
            Effect::DropPending { slot } => {
                if let Some(s) = self.slot_mut(*slot) {
                    s.staged = None;
                }
            }
            Effect::Retire { slot } => {
                if let Some(s) = self.slot_mut(*slot) {
                    s.retired = true;
                }
            }
            Effect::MarkLive { .. } => self.marked_live = true,
            Effect::Scan => self.scanned = true,
            Effect::Seal => {
                if let Done::Written { digest, place } = done {
                    self.sealed = Some((digest.clone(), place.clone()));
                }
            }
        }
    }

    fn minted(&mut self, marker: &super::Marker, done: &Done, by: By) {
        let Done::Minted { id, value, .. } = done else { return };
        match value {
            Some(value) => {
                let (id, value, marker) = (id.clone(), value.clone(), marker.clone());
                self.new = Some(NewKey { id, value, enabled: true, off_by_others: false, marker });
                self.value_at_hand = by == By::Answer;
            }
            // Found by a look: it lives, and nobody has its value any more.
            None => self.strays.push((id.clone(), marker.clone())),
        }
    }

    fn moved(&mut self, slot: SlotNo, done: &Done, to: Which) {
        if let Some(s) = self.slot_mut(slot) {
            s.current = to;
            if let Done::Moved { guard, atomic } = done {
                s.guard.clone_from(guard);
                s.atomic &= *atomic;
            }
        }
    }

    pub(super) fn new_enabled(&mut self, enabled: bool) {
        if let Some(new) = &mut self.new {
            new.enabled = enabled;
        }
    }

    fn slot_mut(&mut self, slot: SlotNo) -> Option<&mut SlotState> {
        self.slots.get_mut(usize::from(slot.0))
    }

    fn judged(&mut self, point: &Point, reading: &Reading, checks: &[Judged]) {
        self.looked = false;
        let (first, times) = match self.gate.take() {
            Some(g) if g.point == *point => (g.first, g.times.saturating_add(1)),
            _ => (reading.stamp.clone(), 1),
        };
        let advances = |v: Verdict| match v {
            #[cfg(feature = "bugs")]
            Verdict::NoData if crate::bugs::on(crate::bugs::Bug::NoDataPasses) => true,
            #[cfg(feature = "bugs")]
            Verdict::Fail if crate::bugs::on(crate::bugs::Bug::FailPasses) => true,
            Verdict::Pass | Verdict::Waived => true,
            Verdict::Skipped => self.emergency.is_some(),
            Verdict::Fail | Verdict::Inconclusive | Verdict::NoData | Verdict::Error => false,
        };
        // A gate without checks shows nothing, so it never passes.
        if !checks.is_empty() && checks.iter().all(|c| advances(c.verdict)) {
            self.passed.insert(point.clone());
        }
        let voids = checks.iter().any(|c| c.verdict == Verdict::Fail || c.counts.contains_key("voids_approval"));
        if voids {
            self.approved = None;
            self.asked = None;
        }
        for check in checks {
            self.verdicts.insert((point.clone(), check.check.clone()), check.verdict);
        }
        for call in &reading.calls {
            if call.class == CallClass::Accepted {
                self.control.insert((call.key, call.endpoint.clone()));
            }
        }
        self.tested.extend(reading.calls.iter().cloned());
        self.gate = Some(GateState { point: point.clone(), first, last: reading.stamp.clone(), times, checks: checks.to_vec() });
    }

    fn turn(&mut self, why: &str, asked: bool) {
        self.course = Course::Undo;
        self.turned = Some((why.to_owned(), asked));
        self.turned_in = Some(self.phase);
        self.flip = self.flip.saturating_add(1);
        self.failed = None;
        // Whom the way forward waited for keeps the key that he needs.
        self.reopened_by_unknown = false;
        self.forget_gates();
    }

    pub(super) fn forget_gates(&mut self) {
        self.passed.clear();
        self.gate = None;
        self.asked = None;
        self.approved = None;
        self.looked = false;
    }
}
