//! A run and the records that made it: what happens is told step by step, and every step can be asked for in words.

use super::fixture::{at, plan, print, stamp};
use crate::rotation::*;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) struct Tale {
    pub(super) run: Run,
    pub(super) now: i64,
    pub(super) lines: Vec<Record>,
}

pub(super) fn opened(s: i64) -> Record {
    Record::Opened { holder: Holder::default(), stamp: stamp(s), taken_over: false, gate_semantics: GATE_SEMANTICS }
}

impl Tale {
    /// Planned, and nothing else.
    pub(super) fn planned(plan: Plan) -> Self {
        let plan_id = plan.id();
        let first = Record::Planned { run: RunId::new("run"), plan: Box::new(plan), plan_id };
        Self { run: Run::replay([&first]).unwrap(), now: 0, lines: vec![first] }
    }

    /// Planned, opened, looked.
    pub(super) fn of(plan: Plan) -> Self {
        let mut tale = Self::planned(plan);
        tale.open().look();
        tale
    }

    pub(super) fn new() -> Self {
        Self::of(plan())
    }

    /// A run in which this is the next step: the steps before it went well.
    pub(super) fn at(words: &str) -> Self {
        let mut tale = Self::new();
        tale.until(words);
        tale
    }

    pub(super) fn plan_mut(&mut self) -> &mut Plan {
        Arc::make_mut(&mut self.run.plan)
    }

    fn tick(&mut self) -> Stamp {
        self.now += 1;
        stamp(self.now)
    }

    #[track_caller]
    pub(super) fn say(&mut self, record: Record) -> &mut Self {
        self.run.apply(&record).unwrap();
        self.lines.push(record);
        self
    }

    /// The record cannot follow, for this reason.
    #[track_caller]
    pub(super) fn refuses(&self, record: &Record, why: &str) {
        let illegal = self.run.clone().apply(record).unwrap_err();
        assert_eq!((illegal.number, illegal.why), (self.run.records + 1, why));
    }

    pub(super) fn open(&mut self) -> &mut Self {
        self.now += 1;
        self.say(opened(self.now))
    }

    pub(super) fn look(&mut self) -> &mut Self {
        self.drifts(&[])
    }

    pub(super) fn drifts(&mut self, drift: &[Drift]) -> &mut Self {
        self.say(Record::Looked { drift: drift.to_vec(), guards: vec![], weaker: None })
    }

    pub(super) fn amends(&mut self, drift: &[Drift]) -> &mut Self {
        self.say(Record::Amended { accepts: drift.to_vec(), by: "ann".into(), why: "on purpose".into() })
    }

    pub(super) fn begins(&mut self, effect: Effect) -> &mut Self {
        let (n, stamp) = (self.run.effects + 1, self.tick());
        let send_before = stamp.at.plus(self.run.plan.timing.send_before);
        self.say(Record::Began { n, effect, stamp, send_before })
    }

    /// The open effect ends so.
    pub(super) fn ends(&mut self, outcome: Outcome, by: By) -> &mut Self {
        let open = self.run.open.clone().unwrap();
        let stamp = self.tick();
        self.say(Record::Ended { n: open.n, kind: open.effect.kind(), outcome, by, stamp })
    }

    /// Begun, and done as it should be.
    pub(super) fn does(&mut self, effect: Effect) -> &mut Self {
        let done = ideal(&effect);
        self.begins(effect).ends(Outcome::Done(done), By::Answer)
    }

    /// Begun, and ended otherwise.
    pub(super) fn tries(&mut self, effect: Effect, outcome: Outcome) -> &mut Self {
        self.begins(effect).ends(outcome, By::Answer)
    }

    /// Every check of a point passes, but these.
    pub(super) fn judges(&mut self, point: Point, but: &[(&str, Verdict)]) -> &mut Self {
        let stamp = self.tick();
        let checks = self.checks(&point, but);
        self.say(Record::Judged { point, reading: Box::new(reading(stamp)), checks })
    }

    pub(super) fn checks(&self, point: &Point, but: &[(&str, Verdict)]) -> Vec<Judged> {
        for (id, _) in but {
            assert!(self.run.plan.checks(point).iter().any(|c| c.id == *id), "{point:?} has no check {id}");
        }
        let verdict = |id: &str| but.iter().find(|(b, _)| *b == id).map_or(Verdict::Pass, |(_, v)| *v);
        self.run.plan.checks(point).iter().map(|c| judged(&c.id, verdict(&c.id))).collect()
    }

    /// What `next` says, in words.
    pub(super) fn next(&self) -> String {
        words(&next(&self.run))
    }

    /// Takes the next step, and it goes well.
    pub(super) fn goes(&mut self) -> String {
        let step = next(&self.run);
        let said = words(&step);
        match step {
            Step::LookAround => self.look(),
            Step::Do(effect) => self.does(effect),
            Step::Judge { point, .. } => self.judges(point, &[]),
            Step::Move(to) => self.say(Record::Moved { to }),
            Step::Ask { phase, role } => {
                let attempt = self.run.attempt;
                self.say(Record::Asked { phase, attempt, role, head: "h".into() })
            }
            Step::Wait(Wait::Approval { phase, .. }) => self.answers(phase, true),
            Step::Finish(end) => self.say(Record::Finished { end, took: Span::ZERO }),
            Step::Resolve { .. }
            | Step::Press { .. }
            | Step::Turn { .. }
            | Step::Reopen { .. }
            | Step::Wait(_)
            | Step::Stuck { .. }
            | Step::Finished(_) => panic!("cannot go on by itself: {said}"),
        };
        said
    }

    pub(super) fn answers(&mut self, phase: Phase, yes: bool) -> &mut Self {
        let attempt = self.run.attempt;
        self.say(Record::Answered { phase, attempt, head: "h".into(), by: "ann".into(), yes, why: "no".into(), proof: Proof::Asserted })
    }

    /// Goes on until the next step begins with these words.
    #[track_caller]
    pub(super) fn until(&mut self, wanted: &str) -> Vec<String> {
        let mut said = Vec::new();
        for _ in 0..200 {
            if self.next().starts_with(wanted) {
                return said;
            }
            said.push(self.goes());
        }
        panic!("never came to `{wanted}`: {said:?}");
    }

    pub(super) fn turns(&mut self, by: Option<&str>) -> &mut Self {
        self.say(Record::Turned { why: "enough".into(), by: by.map(str::to_owned) })
    }
}

pub(super) fn judged(check: &str, verdict: Verdict) -> Judged {
    Judged { check: check.into(), verdict, why: "seen".into(), counts: BTreeMap::new(), about: vec![] }
}

pub(super) fn reading(stamp: Stamp) -> Reading {
    Reading { stamp, source_now: None, calls: vec![], usage: None, acks: vec![], facts: BTreeMap::new(), errors: BTreeMap::new() }
}

pub(super) fn not_done() -> Outcome {
    Outcome::NotDone { why: "timed out".into() }
}

pub(super) fn refused() -> Outcome {
    Outcome::Refused { why: "no".into() }
}

pub(super) fn conflict() -> Outcome {
    Outcome::Conflict { why: "differs".into() }
}

pub(super) fn unknown() -> Outcome {
    Outcome::Unknown { why: "cut off".into() }
}

pub(super) fn minted(id: &str, value: Option<&str>) -> Done {
    Done::Minted { id: KeyId::new(id), value: value.map(print), created_at: Some(at(1)) }
}

/// What an effect leaves behind when all is well.
pub(super) fn ideal(effect: &Effect) -> Done {
    match effect {
        Effect::Mint { .. } => minted("new", Some("b")),
        Effect::Stage { slot, .. } => {
            Done::Staged { version: Some(VersionId::new("v2")), value: print("b"), guard: format!("staged{}", slot.0) }
        }
        Effect::Promote { slot, .. } => Done::Moved { guard: format!("promoted{}", slot.0), atomic: true },
        Effect::Demote { slot, .. } => Done::Moved { guard: format!("demoted{}", slot.0), atomic: true },
        Effect::Fence { slot, .. } => Done::Moved { guard: format!("fenced{}", slot.0), atomic: true },
        Effect::Scan | Effect::Seal => Done::Written { digest: "d".into(), place: "p".into() },
        Effect::Repoint { .. }
        | Effect::Reload { .. }
        | Effect::Disable { .. }
        | Effect::Enable { .. }
        | Effect::Delete { .. }
        | Effect::Discard { .. }
        | Effect::DropPending { .. }
        | Effect::Retire { .. }
        | Effect::MarkLive { .. } => Done::Plain,
    }
}

/// A step in one line.
pub(super) fn words(step: &Step) -> String {
    match step {
        Step::LookAround => "look".into(),
        Step::Do(effect) => effect_words(effect),
        Step::Resolve { not_before } => format!("resolve at {}", seconds(*not_before)),
        Step::Judge { point, .. } => format!("judge {}", point_words(point)),
        Step::Move(to) => format!("move {to}"),
        Step::Press { to, .. } => format!("press {to}"),
        Step::Turn { why } => format!("turn: {why}"),
        Step::Reopen { why, callers, unknown } => {
            let who: Vec<&str> = callers.iter().map(App::as_str).collect();
            format!("reopen for {}{}: {why}", who.join(","), if *unknown { " (unknown)" } else { "" })
        }
        Step::Ask { phase, role } => format!("ask {role} for {phase}"),
        Step::Wait(wait) => wait_words(wait),
        Step::Stuck { why, .. } => format!("stuck: {why}"),
        Step::Finish(end) => format!("finish {}", end_words(end)),
        Step::Finished(end) => format!("over {}", end_words(end)),
    }
}

fn wait_words(wait: &Wait) -> String {
    match wait {
        Wait::Approval { phase, role } => format!("wait for {role} about {phase}"),
        Wait::Rejected { why } => format!("wait, rejected: {why}"),
        Wait::Drift { what } => format!("wait, drift: {}", what.join("; ")),
        Wait::Effect { why } => format!("wait, effect: {why}"),
        Wait::Unreachable { why } => format!("wait, unreachable: {why}"),
        Wait::Stopped { why } => format!("wait, stopped: {why}"),
        Wait::Person { why } => format!("wait, person: {why}"),
    }
}

fn end_words(end: &End) -> String {
    match end {
        End::Done => "done".into(),
        End::RolledBack { why, asked } => format!("rolled back{}: {why}", if *asked { " as asked" } else { "" }),
    }
}

fn seconds(time: Time) -> i64 {
    (time.0 - at(0).0) / 1000
}

pub(super) fn point_words(point: &Point) -> String {
    match point {
        Point::Reloaded(app) => format!("reloaded {app}"),
        Point::Returned(app) => format!("returned {app}"),
        other => serde_json::to_value(other.place()).unwrap().as_str().unwrap().to_owned(),
    }
}

fn effect_words(effect: &Effect) -> String {
    let kind = effect.kind().name();
    match effect {
        Effect::Mint { marker } => format!("{kind} {marker}"),
        Effect::Stage { slot, .. } | Effect::DropPending { slot } | Effect::Retire { slot } => format!("{kind} {}", slot.0),
        Effect::Promote { slot, guard } | Effect::Demote { slot, guard } | Effect::Fence { slot, guard } => {
            format!("{kind} {} {guard}", slot.0)
        }
        Effect::Repoint { model, to } => format!("{kind} {model} {}", to.name()),
        Effect::Reload { app, flip } => format!("{kind} {app} {flip}"),
        Effect::Disable { id, approval: Some(n), .. } => format!("{kind} {id} by {n}"),
        Effect::Disable { id, .. } | Effect::Enable { id, .. } | Effect::Delete { id, .. } | Effect::MarkLive { id } => {
            format!("{kind} {id}")
        }
        Effect::Discard { id, marker } => format!("{kind} {id} {marker}"),
        Effect::Scan | Effect::Seal => kind.into(),
    }
}
