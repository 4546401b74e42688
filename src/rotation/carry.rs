//! Models of a provider key that appear, or are moved by others, while the run is under way.

use super::{Ask, Course, Drift, Kind, ModelName, Must, OldKey, Phase, Point, Run, Verdict, Which};

impl Run {
    /// Takes along every model that appeared on the key that goes, where the policy says so; what is left is for a person.
    pub(super) fn carry(&mut self, drift: &[Drift]) -> Vec<Drift> {
        let follows = matches!(self.plan.kind, Kind::Provider { all: true, .. });
        let (carried, left): (Vec<&Drift>, Vec<&Drift>) = drift.iter().partition(|d| follows && matches!(d, Drift::NewReference { .. }));
        for drift in carried {
            if let Drift::NewReference { model } = drift {
                self.take_along(model);
            }
        }
        left.into_iter().cloned().collect()
    }

    /// The model moves with the others from here on.
    pub(super) fn take_along(&mut self, model: &ModelName) {
        self.models.insert(model.clone(), self.outgoing());
        self.back_to(Phase::Flip);
        for point in [Point::NewDrained, Point::NewSoaked] {
            self.passed.remove(&point);
        }
    }

    /// What was shown in this phase and after it must be shown again.
    pub(super) fn back_to(&mut self, phase: Phase) {
        self.passed.retain(|point| shown_in(point).is_none_or(|p| p < phase || (p == phase && *point == Point::Bound)));
        self.gate = None;
        self.asked = None;
        self.approved = None;
    }

    /// The key that goes, in the direction of the run.
    pub(super) fn outgoing(&self) -> Which {
        match self.course {
            Course::Forward => Which::Old,
            Course::Undo => Which::New,
        }
    }

    /// A model of this run that still references the key that goes.
    pub fn model_behind(&self) -> Option<&ModelName> {
        let going = self.outgoing();
        self.models.iter().find(|(_, at)| **at == going).map(|(model, _)| model)
    }

    /// The last look of a gate found a reference that nobody here knows: only comparing the world tells whose it is.
    pub(super) fn reference_seen(&self) -> bool {
        let Some(gate) = &self.gate else { return false };
        let asks = |id: &str| {
            let checks = self.plan.checks(&gate.point);
            checks.iter().any(|c| c.id == id && matches!(c.ask, Ask::Invariant(Must::NoReference(_))))
        };
        gate.checks.iter().any(|j| j.verdict == Verdict::Inconclusive && asks(&j.check))
    }

    /// A model that this run may not move appeared on the old key while that is switched off: its calls fail.
    pub(super) fn strands_a_model(&self) -> bool {
        let off = match self.old {
            OldKey::DisabledByUs => true,
            OldKey::Enabled | OldKey::OffByOthers | OldKey::DeleteIntended | OldKey::Gone => false,
        };
        off && self.course == Course::Forward && self.drift.iter().any(|d| matches!(d, Drift::NewReference { .. }))
    }
}

/// The phase on the way forward in which a point is judged; none on the way back.
fn shown_in(point: &Point) -> Option<Phase> {
    match point {
        Point::Bound | Point::Prepared => Some(Phase::Prepare),
        Point::Canary => Some(Phase::Canary),
        Point::Reloaded(_) | Point::Flipped => Some(Phase::Flip),
        Point::Drained => Some(Phase::Hold),
        Point::BeforeDisable | Point::Soaked | Point::BeforeDelete | Point::Gone => Some(Phase::Revoke),
        Point::Complete => Some(Phase::Archive),
        Point::OldAccepted | Point::Returned(_) | Point::NewDrained | Point::NewSoaked | Point::Undone => None,
    }
}
