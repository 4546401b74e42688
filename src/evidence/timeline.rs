//! The journal sorted into what a reader asks for: stays in phases, effects, looks at gates, events.

use super::lines::Entry;
use super::words::Stage;
use crate::rotation::{By, Drift, Effect, End, Holder, Judged, Outcome, Phase, Point, Proof, Reading, Record, Time};

/// One stay in a phase.
#[derive(Debug)]
pub(super) struct Stay {
    pub(super) stage: Stage,
    pub(super) from: Time,
    pub(super) to: Option<Time>,
    pub(super) left: String,
}

/// One effect, from intent to outcome.
#[derive(Debug)]
pub(super) struct Did<'a> {
    pub(super) n: u32,
    pub(super) record: u64,
    pub(super) stage: Stage,
    pub(super) effect: &'a Effect,
    pub(super) began: Time,
    pub(super) ended: Option<Time>,
    pub(super) outcome: Option<&'a Outcome>,
    pub(super) by: Option<By>,
    /// For a while nobody knew whether it had happened.
    pub(super) was_unknown: bool,
}

/// One judgement of a gate.
#[derive(Debug)]
pub(super) struct Look<'a> {
    pub(super) record: u64,
    pub(super) at: Time,
    pub(super) point: &'a Point,
    pub(super) reading: &'a Reading,
    pub(super) checks: &'a [Judged],
}

/// Something else that a reader should know.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) record: u64,
    pub(super) at: Time,
    pub(super) stage: Stage,
    pub(super) what: String,
}

/// A journal, sorted.
#[derive(Debug)]
pub(super) struct Timeline<'a> {
    pub(super) first: Time,
    pub(super) last: Time,
    pub(super) stays: Vec<Stay>,
    pub(super) effects: Vec<Did<'a>>,
    pub(super) looks: Vec<Look<'a>>,
    pub(super) events: Vec<Event>,
    pub(super) holders: Vec<&'a Holder>,
}

impl<'a> Timeline<'a> {
    /// Sorts a journal.
    pub(super) fn of(entries: &'a [Entry]) -> Self {
        let first = entries.first().map(|e| e.at).unwrap_or_default();
        let start = Stage::Phase(Phase::Prepare);
        let mut line = Self {
            first,
            last: entries.last().map_or(first, |e| e.at),
            stays: vec![Stay { stage: start, from: first, to: None, left: String::new() }],
            effects: Vec::new(),
            looks: Vec::new(),
            events: Vec::new(),
            holders: Vec::new(),
        };
        for entry in entries {
            line.take(entry);
        }
        line
    }

    /// Where the run is at the end.
    pub(super) fn stage(&self) -> Stage {
        self.stays.last().map_or(Stage::Phase(Phase::Prepare), |s| s.stage)
    }

    fn take(&mut self, entry: &'a Entry) {
        let (record, at, stage) = (entry.seq, entry.at, self.stage());
        match &entry.record {
            Record::Began { n, effect, .. } => {
                let (n, began) = (*n, at);
                self.effects.push(Did { n, record, stage, effect, began, ended: None, outcome: None, by: None, was_unknown: false });
            }
            Record::Ended { n, outcome, by, .. } => self.ended(*n, outcome, *by, at),
            Record::Judged { point, reading, checks } => self.looks.push(Look { record, at, point, reading, checks }),
            Record::Moved { to } => self.enter(Stage::Phase(*to), at, format!("on to {to}")),
            Record::Turned { why, by } => {
                let who = by.as_ref().map(|b| format!(" by {b}")).unwrap_or_default();
                self.event(entry, format!("turned back{who}: {why}"));
                self.enter(Stage::WayBack, at, "turned back".into());
            }
            Record::Reopened { why, .. } => {
                self.event(entry, format!("the old key is enabled again, consumers stay on the new one: {why}"));
                self.enter(Stage::Phase(Phase::Hold), at, "re-opened".into());
            }
            Record::Opened { holder, taken_over, .. } => {
                if !self.holders.contains(&holder) {
                    self.holders.push(holder);
                }
                let how = if *taken_over { "took over" } else { "began" };
                self.event(entry, format!("{} on {} {how} a session", holder.user, holder.host));
            }
            other => {
                if let Some(what) = said(other) {
                    self.event(entry, what);
                }
            }
        }
    }

    fn event(&mut self, entry: &Entry, what: String) {
        self.events.push(Event { record: entry.seq, at: entry.at, stage: self.stage(), what });
    }

    fn ended(&mut self, n: u32, outcome: &'a Outcome, by: By, at: Time) {
        let Some(did) = self.effects.iter_mut().rev().find(|d| d.n == n) else { return };
        did.was_unknown |= match outcome {
            Outcome::Unknown { .. } => true,
            Outcome::Done(_) | Outcome::NotDone { .. } | Outcome::Refused { .. } | Outcome::Conflict { .. } => false,
        };
        did.ended = Some(at);
        did.outcome = Some(outcome);
        did.by = Some(by);
    }

    fn enter(&mut self, stage: Stage, at: Time, left: String) {
        if let Some(stay) = self.stays.last_mut() {
            stay.to = Some(at);
            stay.left = left;
        }
        self.stays.push(Stay { stage, from: at, to: None, left: String::new() });
    }
}

/// A record in words; none for those that are shown elsewhere or say nothing to a reader.
fn said(record: &Record) -> Option<String> {
    Some(match record {
        Record::Looked { drift, .. } if !drift.is_empty() => {
            format!("the world differed from what was expected: {}", drift.iter().map(Drift::words).collect::<Vec<_>>().join("; "))
        }
        Record::Asked { phase, role, .. } => format!("asked {role} to agree to {phase}"),
        Record::Answered { phase, by, yes, why, proof, .. } => {
            let said = if *yes { "agreed to" } else { "rejected" };
            let how = match proof {
                Proof::Asserted => " (name asserted, not signed)",
                Proof::Signed { .. } => " (signed)",
            };
            let why = if why.is_empty() { String::new() } else { format!(": {why}") };
            format!("{by}{how} {said} {phase}{why}")
        }
        Record::Waived { point, check, by, why, until } => {
            format!("{by} waived {check} at {} until {}: {why}", super::words::point(point), until.rfc3339())
        }
        Record::Excepted { exception, by } => {
            format!("{by} lets {} stay on the old key until {}: {}", exception.app, exception.until.rfc3339(), exception.why)
        }
        Record::Amended { accepts, by, why } => {
            format!("{by} accepted that {}: {why}", accepts.iter().map(Drift::words).collect::<Vec<_>>().join("; "))
        }
        Record::Emergency { by, why, breaks } => {
            let who = breaks.iter().map(|a| a.as_str()).collect::<Vec<_>>().join(", ");
            let who = if who.is_empty() { "nobody seen lately".to_owned() } else { who };
            format!("{by} switched to emergency mode: {why}; seen on the old key lately: {who}")
        }
        Record::Parked { why, .. } => format!("waits without a process: {why}"),
        Record::Stuck { why, .. } => format!("stuck: {why}"),
        Record::Noted { what } => what.clone(),
        Record::Unlocked { by, why } => format!("{by} removed a lock: {why}"),
        Record::Finished { end: End::Done, took } => format!("finished after {took}: rotated"),
        Record::Finished { end: End::RolledBack { why, .. }, took } => format!("finished after {took}: back on the old key ({why})"),
        Record::Planned { .. }
        | Record::Opened { .. }
        | Record::Looked { .. }
        | Record::Began { .. }
        | Record::Spawned { .. }
        | Record::Ended { .. }
        | Record::Calls { .. }
        | Record::Judged { .. }
        | Record::Moved { .. }
        | Record::Turned { .. }
        | Record::Reopened { .. }
        | Record::Checkpoint { .. } => return None,
    })
}
