//! A new session, and clocks that jump: what was shown before is worth only so much.

use super::{Drift, GATE_SEMANTICS, Mint, Point, Run, Since, Stamp, Verdict};

/// Wall and boot clock may differ by this much between two records before it counts as a jump (milliseconds).
pub const CLOCK_TOLERANCE: i64 = 60_000;

impl Run {
    pub(super) fn clocks(&mut self, stamp: &Stamp) {
        let jumped = self.stamp.as_ref().and_then(|s| stamp.jump_since(s)).is_some_and(|by| by.abs() > CLOCK_TOLERANCE);
        if jumped {
            // Whatever was measured across the jump is worth nothing: every window begins again.
            let before = self.clock_broke.replace(stamp.clone());
            self.since.remember(before.as_ref());
            for start in [&mut self.since.hold, &mut self.since.disabled, &mut self.since.back, &mut self.since.enabled] {
                if start.is_some() {
                    *start = Some(stamp.clone());
                }
            }
            self.approved = None;
            self.gate = None;
        }
        if self.since.start.is_none() {
            self.since.start = Some(stamp.clone());
        }
        self.stamp = Some(stamp.clone());
    }

    pub(super) fn opened(&mut self, taken_over: bool, semantics: u32, _stamp: &Stamp) {
        if let Some(open) = &mut self.open {
            open.unresolved = true;
            open.taken_over |= taken_over;
        }
        self.value_at_hand = false;
        self.looked = false;
        self.session_looked = false;
        self.drift.clear();
        self.parked = None;
        self.stuck = None;
        self.failed = None;
        // What must be fresh at the instant of an effect that sends consumers elsewhere, or cannot be taken back, was judged by a process
        // that is gone.
        for point in [Point::BeforeDisable, Point::BeforeDelete, Point::OldAccepted, Point::NewSoaked] {
            self.passed.remove(&point);
        }
        // A value that only the process had that asked for it can be tried by nobody else: what it showed is all that will ever be.
        if self.plan.gateway.caps.mint != Mint::Issued || !self.slots.is_empty() {
            self.passed.remove(&Point::Canary);
        }
        // On the way back the new key is the one that goes. Once it is switched off, its drain is history.
        if self.new.as_ref().is_some_and(|n| n.enabled) {
            self.passed.remove(&Point::NewDrained);
        }
        // A failure that a person was asked about is judged afresh once somebody goes on.
        if self.gate.as_ref().is_some_and(|g| g.checks.iter().any(|c| c.verdict == Verdict::Fail)) {
            self.gate = None;
            // What was accepted before the person acted says nothing about what is accepted now.
            self.tested.clear();
        }
        self.disables = 0;
        if semantics != GATE_SEMANTICS || semantics != self.plan.gate_semantics {
            self.gate = None;
        }
    }

    /// What somebody switched is not what was judged; once he switches it back, every node must hear of that, too.
    pub(super) fn switched(&mut self) {
        let others = |d: &Drift| matches!(d, Drift::OldDisabled | Drift::OldEnabled | Drift::NewDisabled);
        if self.drift.iter().any(others) {
            self.switched_by_others = true;
        } else if std::mem::take(&mut self.switched_by_others) {
            self.changed = self.stamp.clone().map(|stamp| (stamp, true));
        }
        if !self.drift.is_empty() {
            self.forget_gates();
        }
    }
}

impl Since {
    /// Keeps the instants that a jump is about to move; those that an earlier jump moved are kept already.
    fn remember(&mut self, jumped: Option<&Stamp>) {
        let now = [&self.hold, &self.back, &self.enabled];
        for (kept, now) in self.before_jump.iter_mut().zip(now) {
            if now.as_ref() != jumped {
                kept.clone_from(now);
            }
        }
    }

    /// When hold began, when consumers were brought back, and when the key was enabled again, whatever clocks did since then.
    pub fn unmoved(&self, jumped: Option<&Stamp>) -> [Option<&Stamp>; 3] {
        let [hold, back, enabled] = &self.before_jump;
        let pick = |(now, kept): (&'_ Option<Stamp>, &'_ Option<Stamp>)| now.is_some() && now.as_ref() == jumped && kept.is_some();
        let [hold, back, enabled] =
            [(&self.hold, hold), (&self.back, back), (&self.enabled, enabled)].map(|pair| if pick(pair) { pair.1 } else { pair.0 });
        [hold.as_ref(), back.as_ref(), enabled.as_ref()]
    }
}
