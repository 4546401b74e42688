//! Questions to people, answers, and what a person may say to a run.

use super::{Engine, Observer, Stop};
use crate::ports::{Approver, Clock, Gateway, Ports, Question, UsageQuery, UsageSource};
use crate::rotation::{App, Drift, Effect, Exception, OldKey, Phase, Plan, Point, Record, Run, Span, Time, UsageTable, Which};

impl<P: Ports, O: Observer> Engine<'_, P, O> {
    /// Asks for the agreement that the run waits for; parks when nobody has answered within this process's patience.
    pub(super) async fn ask(&mut self, phase: Phase, role: &str) -> Result<(), Stop> {
        let Some(asked) = self.run.asked.clone() else { return Ok(()) };
        let rule = self.run.plan.approval(phase).cloned();
        let not = rule.filter(|r| r.not_requester).and_then(|_| self.run.plan.about.requester.clone());
        let question = Question {
            run: self.run.id.clone(),
            plan: self.run.plan_id.clone(),
            phase,
            attempt: asked.attempt,
            head: asked.head.clone(),
            role: role.to_owned(),
            not: not.clone(),
        };
        let began = self.stamp();
        for _ in 0..1_000_000 {
            let answer = self.ports.approver().ask(&question).await.map_err(|e| self.unreachable(&e.to_string()))?;
            match answer {
                Some(a) if a.yes && not.as_ref() == Some(&a.by) => {
                    self.record(Record::Noted { what: format!("{} asked for this rotation and cannot approve it", a.by) }).await?;
                }
                Some(a) => {
                    let (by, yes, why, proof) = (a.by, a.yes, a.why, a.proof);
                    return self.record(Record::Answered { phase, attempt: asked.attempt, head: asked.head, by, yes, why, proof }).await;
                }
                None => {}
            }
            let now = self.stamp();
            if now.mono.saturating_sub(began.mono) >= self.options.patience.0 || crate::ports::Lock::asked_to_stop(self.ports.lock()) {
                break;
            }
            self.observer.waits(&self.run, now.at, &format!("{role} must approve {phase}"));
            self.ports.clock().sleep_until(now.at.plus(Span(500))).await;
        }
        Err(Stop::parked(&format!("{role} must approve {phase}: `keyroll approve {}`", self.run.id), None, true))
    }

    /// Turns the run back.
    ///
    /// # Errors
    /// When the point of no return has passed, or the journal refuses.
    pub async fn turn(&mut self, by: &str, why: &str) -> Result<(), Stop> {
        match self.run.old {
            OldKey::DeleteIntended | OldKey::Gone => Err(Stop::GateFailed {
                why: "the old key's deletion has begun, so there is no way back; a new rotation is the way forward".into(),
            }),
            OldKey::Enabled | OldKey::DisabledByUs | OldKey::OffByOthers if self.run.course == crate::rotation::Course::Undo => Ok(()),
            OldKey::Enabled | OldKey::DisabledByUs | OldKey::OffByOthers => {
                self.record(Record::Turned { why: why.to_owned(), by: Some(by.to_owned()) }).await
            }
        }
    }

    /// Accepts by name what differs from what was left.
    ///
    /// # Errors
    /// When the journal refuses.
    pub async fn amend(&mut self, by: &str, why: &str) -> Result<Vec<Drift>, Stop> {
        let accepts = self.run.drift.clone();
        self.record(Record::Amended { accepts: accepts.clone(), by: by.to_owned(), why: why.to_owned() }).await?;
        Ok(accepts)
    }

    /// Looks at the world once, so that what differs can be shown and amended.
    ///
    /// # Errors
    /// When a system is out of reach, or the journal refuses.
    pub async fn look_once(&mut self) -> Result<(), Stop> {
        if self.run.open.is_some() {
            return Ok(());
        }
        self.look_around().await
    }

    /// Lets one check go, by name and with an end.
    ///
    /// # Errors
    /// When the journal refuses.
    pub async fn waive(&mut self, point: Point, check: &str, by: &str, why: &str, until: Time) -> Result<(), Stop> {
        self.record(Record::Waived { point, check: check.to_owned(), by: by.to_owned(), why: why.to_owned(), until }).await
    }

    /// Lets one consumer stay on the old key.
    ///
    /// # Errors
    /// When the journal refuses.
    pub async fn except(&mut self, exception: Exception, by: &str) -> Result<(), Stop> {
        self.record(Record::Excepted { exception, by: by.to_owned() }).await
    }

    /// Enters emergency mode. What may break is printed by the caller before.
    ///
    /// # Errors
    /// When the journal refuses.
    pub async fn emergency(&mut self, by: &str, why: &str) -> Result<(), Stop> {
        // Who will break is read now, and kept whether or not it can be read.
        let breaks = match self.ports.gateway().now().await {
            Ok(now) => {
                let from = now.minus(Span::hours(24));
                let new = self.run.new.as_ref().map(|n| &n.id);
                let query = UsageQuery { old: &self.run.plan.old.id, new, from, to: now, own: &self.run.own };
                self.ports.usage().read(query).await.map(|table| who_breaks(&self.run.plan, &table, Span::hours(24))).unwrap_or_default()
            }
            Err(_) => Vec::new(),
        };
        self.record(Record::Emergency { by: by.to_owned(), why: why.to_owned(), breaks }).await
    }

    /// A line that a person's command leaves behind.
    ///
    /// # Errors
    /// When the journal refuses.
    pub async fn note(&mut self, what: &str) -> Result<(), Stop> {
        self.record(Record::Noted { what: what.to_owned() }).await
    }
}

/// Who was seen on the old key within a length of time: an emergency refuses them.
pub fn who_breaks(plan: &Plan, usage: &UsageTable, lately: Span) -> Vec<App> {
    let since = usage.to.minus(lately);
    let mut breaks: Vec<App> = usage
        .of(Which::Old)
        .iter()
        .filter(|(_, count)| count.last_used.is_some_and(|last| last >= since))
        .map(|(caller, _)| plan.claimed_by(caller.as_str()).map_or_else(|| caller.clone(), |c| c.app.clone()))
        .collect();
    breaks.sort();
    breaks.dedup();
    breaks
}

/// What a person has to do when an effect is `by: hand`.
pub(super) fn instruction(run: &Run, effect: &Effect) -> String {
    let slot =
        |n: &crate::rotation::SlotNo| run.plan.slots.get(usize::from(n.0)).map_or_else(|| format!("slot {}", n.0 + 1), |s| s.name.clone());
    match effect {
        Effect::Mint { marker } => format!("make a key like {} and put `{marker}` into its marker field", run.plan.old.name),
        Effect::Stage { slot: n, .. } => format!("put the new value beside the current one in {}", slot(n)),
        Effect::Promote { slot: n, .. } => format!("make the pending value current in {}", slot(n)),
        Effect::Demote { slot: n, .. } => format!("put the old value back in {}", slot(n)),
        Effect::Fence { slot: n, .. } => format!("rewrite {} without changing it", slot(n)),
        Effect::DropPending { slot: n } => format!("remove the pending value from {}", slot(n)),
        Effect::Retire { slot: n } => format!("remove the previous value from {}", slot(n)),
        Effect::Repoint { model, to } => format!("point model {model} at the {} provider key", to.name()),
        Effect::Reload { app, .. } => format!("reload {app}"),
        Effect::Disable { id, .. } => format!("disable key {id} at {}", run.plan.gateway.identity.base),
        Effect::Enable { id, .. } => format!("enable key {id} at {}", run.plan.gateway.identity.base),
        Effect::Delete { id, .. } | Effect::Discard { id, .. } => format!("delete key {id} at {}", run.plan.gateway.identity.base),
        Effect::MarkLive { id } => format!("set the marker of key {id} to `{}`", crate::rotation::Marker::live()),
        Effect::Scan | Effect::Seal => "nothing: keyroll does this".into(),
    }
}

/// The event and the sentence that people are told, for the few records worth it.
pub(super) fn news(record: &Record, run: &Run) -> Option<(&'static str, String)> {
    match record {
        Record::Moved { to } => Some(("moved", format!("entered {to}"))),
        Record::Turned { why, .. } => Some(("turned", format!("rolling back: {why}"))),
        Record::Reopened { why, .. } => Some(("reopened", format!("the old key is enabled again: {why}"))),
        Record::Asked { phase, role, .. } => Some(("asked", format!("{role} must approve {phase}"))),
        Record::Emergency { why, .. } => Some(("emergency", why.clone())),
        Record::Parked { why, person: true, .. } => Some(("parked", why.clone())),
        Record::Stuck { why, .. } => Some(("stuck", why.clone())),
        Record::Finished { .. } => Some((
            "finished",
            match &run.ended {
                Some(crate::rotation::End::RolledBack { why, .. }) => format!("rolled back: {why}"),
                Some(crate::rotation::End::Done) | None => "done".into(),
            },
        )),
        Record::Planned { .. }
        | Record::Opened { .. }
        | Record::Looked { .. }
        | Record::Began { .. }
        | Record::Spawned { .. }
        | Record::Ended { .. }
        | Record::Calls { .. }
        | Record::Judged { .. }
        | Record::Answered { .. }
        | Record::Waived { .. }
        | Record::Excepted { .. }
        | Record::Amended { .. }
        | Record::Parked { .. }
        | Record::Noted { .. }
        | Record::Unlocked { .. }
        | Record::Checkpoint { .. } => None,
    }
}
