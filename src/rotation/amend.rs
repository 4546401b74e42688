//! What becomes of a run when a person accepts that the world differs from what was left.

use super::{Course, Drift, KeyId, ModelName, OldKey, Phase, Run, SlotNo, Which};

impl Run {
    /// Takes in what was accepted, by name.
    pub(super) fn amend(&mut self, accepts: &[Drift]) {
        for drift in accepts {
            self.drift.retain(|d| d != drift);
            // What becomes part of the run's own state is no difference any more; the same thing happening again is a new one.
            if matches!(drift, Drift::OldDisabled | Drift::OldEnabled | Drift::NewDisabled) {
                // What others switched, the nodes must hear of too before a reading counts.
                self.changed = self.stamp.clone().map(|stamp| (stamp, *drift == Drift::OldEnabled));
            }
            let absorbed = matches!(
                drift,
                Drift::OldDisabled
                    | Drift::OldEnabled
                    | Drift::NewDisabled
                    | Drift::NewGone
                    | Drift::NewReference { .. }
                    | Drift::Model { .. }
            );
            let absorbed = absorbed || self.takes_slot(drift);
            if !absorbed {
                self.amended.push(drift.clone());
            }
            match drift {
                Drift::OldDisabled | Drift::OldGone => self.old = OldKey::OffByOthers,
                Drift::OldEnabled => self.old = OldKey::Enabled,
                Drift::NewDisabled => {
                    self.new_enabled(false);
                    if let Some(new) = &mut self.new {
                        new.off_by_others = true;
                    }
                }
                Drift::NewGone => self.new = None,
                Drift::NewReference { model } => self.take_along(model),
                Drift::Model { model, seen } => self.leave_model(model, seen),
                Drift::OtherGateway { .. }
                | Drift::LostCapability { .. }
                | Drift::OldScope { .. }
                | Drift::NewScope { .. }
                | Drift::Twins { .. }
                | Drift::SlotCurrent { .. }
                | Drift::SlotPending { .. } => {}
            }
        }
        self.switched_by_others = false;
        self.failed = None;
        self.reopened_by_unknown = false;
        self.rejected = None;
        self.forget_gates();
    }

    /// A slot that holds one of the two keys is where it is, and goes on from there like the others: nobody may be left on a key that goes.
    /// A retired slot has nothing to go on with, and what is neither key is somebody else's ([`Run::is_left`]).
    fn takes_slot(&mut self, drift: &Drift) -> bool {
        let Drift::SlotCurrent { slot: SlotNo(slot), holds: Some(which), .. } = drift else { return false };
        let stamp = self.stamp.clone();
        let Some(state) = self.slots.get_mut(usize::from(*slot)).filter(|s| !s.retired) else { return false };
        state.current = *which;
        // It was somebody else's meanwhile, and is not any more.
        self.amended.retain(|d| !matches!(d, Drift::SlotCurrent { slot: other, .. } if other.0 == *slot));
        match which {
            Which::New => {
                state.was_promoted = true;
                self.since.flip = stamp;
            }
            Which::Old if self.course == Course::Undo => self.since.back = stamp,
            Which::Old => {}
        }
        // Whoever was reloaded may have read what lay there meanwhile.
        self.flip = self.flip.saturating_add(1);
        true
    }

    /// A person accepts where others pointed a model: it is theirs, unless it points at one of the two keys.
    fn leave_model(&mut self, model: &ModelName, seen: &str) {
        let at = |id: &KeyId| id.as_str() == seen;
        if at(&self.plan.old.id) {
            self.models.insert(model.clone(), Which::Old);
        } else if self.new.as_ref().is_some_and(|n| at(&n.id)) {
            self.models.insert(model.clone(), Which::New);
        } else {
            self.models.remove(model);
        }
        self.back_to(Phase::Flip);
    }
}
