//! `phases/*.json`: what happened in each phase, with times.

use super::timeline::Timeline;
use super::words::{self, Stage};
use crate::rotation::{Place, Point, Run, Time, Verdict};
use serde::Serialize;

/// One phase, also one that was never entered: the structure is the same every time.
#[derive(Debug, Serialize)]
pub(super) struct PhaseFile {
    v: u32,
    phase: &'static str,
    pub(super) stays: Vec<StayLine>,
    pub(super) effects: Vec<EffectLine>,
    pub(super) gates: Vec<GateLine>,
    pub(super) events: Vec<EventLine>,
}

/// One stay.
#[derive(Debug, Serialize)]
pub(super) struct StayLine {
    pub(super) from: Time,
    pub(super) to: Option<Time>,
    pub(super) left: String,
}

/// One effect.
#[derive(Debug, Serialize)]
pub(super) struct EffectLine {
    pub(super) n: u32,
    pub(super) record: u64,
    kind: &'static str,
    pub(super) what: String,
    pub(super) began: Time,
    pub(super) ended: Option<Time>,
    /// `open` when the journal holds no outcome.
    pub(super) outcome: &'static str,
    pub(super) why: String,
    pub(super) known_by: Option<&'static str>,
    pub(super) was_unknown: bool,
}

/// One check as the plan has it, and its last verdict.
#[derive(Debug, Serialize)]
pub(super) struct GateLine {
    point: &'static str,
    check: String,
    /// None: not judged in this phase.
    last: Option<Verdict>,
}

/// Something else.
#[derive(Debug, Serialize)]
pub(super) struct EventLine {
    record: u64,
    pub(super) at: Time,
    pub(super) what: String,
}

/// The file's name.
pub(super) fn path(stage: Stage, number: usize) -> String {
    format!("phases/{number:02}-{}.json", stage.name())
}

/// One phase of a run.
pub(super) fn phase(run: &Run, line: &Timeline<'_>, stage: Stage) -> PhaseFile {
    let stays = line.stays.iter().filter(|s| s.stage == stage);
    PhaseFile {
        v: 1,
        phase: stage.name(),
        stays: stays.map(|s| StayLine { from: s.from, to: s.to, left: s.left.clone() }).collect(),
        effects: effects(run, line).filter(|(s, _)| *s == stage).map(|(_, e)| e).collect(),
        gates: gates(run, line, stage),
        events: line
            .events
            .iter()
            .filter(|e| e.stage == stage)
            .map(|e| EventLine { record: e.record, at: e.at, what: super::text::plain(&e.what) })
            .collect(),
    }
}

/// Every effect, in order.
pub(super) fn effects<'a>(run: &'a Run, line: &'a Timeline<'_>) -> impl Iterator<Item = (Stage, EffectLine)> + 'a {
    line.effects.iter().map(|did| {
        let (outcome, why) = did.outcome.map_or(("open", ""), words::outcome);
        let effect = EffectLine {
            n: did.n,
            record: did.record,
            kind: did.effect.kind().name(),
            what: words::effect(run, did.effect),
            began: did.began,
            ended: did.ended,
            outcome,
            why: super::text::plain(why),
            known_by: did.by.map(words::by),
            was_unknown: did.was_unknown,
        };
        (did.stage, effect)
    })
}

fn gates(run: &Run, line: &Timeline<'_>, stage: Stage) -> Vec<GateLine> {
    let planned = run.plan.gates.iter().filter(|g| stage_of(g.point) == stage);
    let lines = planned.flat_map(|gate| {
        gate.checks.iter().map(move |check| {
            let looks = line.looks.iter().rev().filter(|l| l.point.place() == gate.point);
            let last = looks.flat_map(|l| l.checks.iter().find(|j| j.check == check.id)).map(|j| j.verdict).next();
            GateLine { point: place(gate.point), check: check.id.clone(), last }
        })
    });
    lines.collect()
}

fn stage_of(place: Place) -> Stage {
    Stage::of(&any_point(place))
}

fn place(place: Place) -> &'static str {
    words::point(&any_point(place))
}

/// A point at this place, for its name.
fn any_point(place: Place) -> Point {
    let nobody = || crate::rotation::App::new("");
    match place {
        Place::Bound => Point::Bound,
        Place::Prepared => Point::Prepared,
        Place::Canary => Point::Canary,
        Place::Reloaded => Point::Reloaded(nobody()),
        Place::Flipped => Point::Flipped,
        Place::Drained => Point::Drained,
        Place::BeforeDisable => Point::BeforeDisable,
        Place::Soaked => Point::Soaked,
        Place::BeforeDelete => Point::BeforeDelete,
        Place::Gone => Point::Gone,
        Place::Complete => Point::Complete,
        Place::OldAccepted => Point::OldAccepted,
        Place::Returned => Point::Returned(nobody()),
        Place::NewDrained => Point::NewDrained,
        Place::NewSoaked => Point::NewSoaked,
        Place::Undone => Point::Undone,
    }
}
