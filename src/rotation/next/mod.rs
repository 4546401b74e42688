//! What a run does next: a pure function of what it knows.

mod forward;
mod undo;

use super::{App, Course, Effect, End, Failure, OldKey, Phase, Point, Run, Span, Time, Verdict, Which};

/// The one thing to do now.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Compare the world with what the journal expects.
    LookAround,
    /// Do this.
    Do(Effect),
    /// Find out by looking what became of the open intent, not before this instant.
    Resolve {
        /// A call that is still on its way has landed by then.
        not_before: Time,
    },
    /// Judge this gate, not before this instant.
    Judge {
        /// Where.
        point: Point,
        /// When the next look is worth its calls.
        not_before: Option<Time>,
    },
    /// Enter this phase.
    Move(Phase),
    /// Go on although a gate failed, because every other direction hurts: said loudly, and on record.
    Press {
        /// Why.
        why: String,
        /// To this phase.
        to: Phase,
    },
    /// Turn back.
    Turn {
        /// Why.
        why: String,
    },
    /// Enable the old key again and return to hold.
    Reopen {
        /// Why.
        why: String,
        /// Who was refused.
        callers: Vec<App>,
        /// Somebody whom nobody listed is among them.
        unknown: bool,
    },
    /// Ask a person to agree.
    Ask {
        /// To this phase.
        phase: Phase,
        /// In this role.
        role: String,
    },
    /// Nothing to do until something changes.
    Wait(Wait),
    /// The run cannot go on or back by itself.
    Stuck {
        /// Why.
        why: String,
        /// What to do, in order.
        steps: Vec<String>,
    },
    /// Write the end.
    Finish(End),
    /// It is over.
    Finished(End),
}

/// What a run waits for that it cannot bring about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// A person must agree.
    Approval {
        /// To this phase.
        phase: Phase,
        /// In this role.
        role: String,
    },
    /// A person said no.
    Rejected {
        /// Who, and why.
        why: String,
    },
    /// The world differs; a person must amend, or roll back.
    Drift {
        /// In words.
        what: Vec<String>,
    },
    /// An effect was refused or met a conflict; a person must look.
    Effect {
        /// Which and why.
        why: String,
    },
    /// An effect could not be sent, repeatedly.
    Unreachable {
        /// Which and why.
        why: String,
    },
    /// A check failed and the policy says to leave all in place.
    Stopped {
        /// Which and why.
        why: String,
    },
    /// A check failed where neither forward nor back is safe without a person.
    Person {
        /// What to decide.
        why: String,
    },
}

/// What a gate says about going on.
enum Gate {
    Passed,
    Judge(Option<Time>),
    Failed(String),
}

/// What to do now.
pub fn next(run: &Run) -> Step {
    if let Some(end) = &run.ended {
        return Step::Finished(end.clone());
    }
    if let Some(open) = &run.open {
        // A sender that was cut off may still have a call on its way; on another machine it may even wake up and send.
        let late = run.plan.timing.call_timeout;
        let late = if open.taken_over { late.plus(run.plan.timing.send_before) } else { late };
        return Step::Resolve { not_before: open.began.at.plus(late) };
    }
    if let Some((why, steps)) = &run.stuck {
        return Step::Stuck { why: why.clone(), steps: steps.clone() };
    }
    if !run.session_looked {
        return Step::LookAround;
    }
    if run.strands_a_model() {
        return match run.phase {
            Phase::Hold => Step::Do(Effect::Enable { key: Which::Old, id: run.plan.old.id.clone() }),
            Phase::Prepare | Phase::Canary | Phase::Flip | Phase::Revoke | Phase::Archive => {
                Step::Reopen { why: "a model that this run may not move uses the disabled key".into(), callers: Vec::new(), unknown: false }
            }
        };
    }
    if !run.drift.is_empty() {
        return Step::Wait(Wait::Drift { what: run.drift.iter().map(super::Drift::words).collect() });
    }
    if let Some(step) = after_failure(run) {
        return step;
    }
    if let Some(slot) = run.slots.iter().position(|s| s.fence) {
        let guard = run.slots.get(slot).map(|s| s.guard.clone()).unwrap_or_default();
        return Step::Do(Effect::Fence { slot: super::SlotNo(u16::try_from(slot).unwrap_or(u16::MAX)), guard });
    }
    if run.reference_seen() && !run.looked {
        return Step::LookAround;
    }
    match run.course {
        Course::Forward => forward::next(run),
        Course::Undo => undo::next(run),
    }
}

/// An effect that certainly did not happen is tried three times; a refusal turns the run while it can turn.
fn after_failure(run: &Run) -> Option<Step> {
    let failed = run.failed.as_ref()?;
    let what = format!("{}: {}", failed.effect.kind().name(), failed.why);
    match failed.how {
        Failure::NotDone if failed.times < 3 => None,
        // What certainly did not happen, again and again, is a system out of reach: that never rolls back, it waits.
        Failure::NotDone => Some(Step::Wait(Wait::Unreachable { why: what })),
        Failure::Conflict => Some(Step::Wait(Wait::Effect { why: what })),
        Failure::Refused => Some(match (run.course, run.phase) {
            (Course::Undo, _) => Step::Stuck {
                why: format!("the way back cannot go on: {what}"),
                steps: vec![
                    format!("make this possible again: {what}"),
                    format!("then `keyroll resume {}`; until then the new key stays valid and consumers keep working", run.id),
                ],
            },
            (Course::Forward, Phase::Prepare | Phase::Canary | Phase::Flip | Phase::Hold) => turn(run, what),
            (Course::Forward, Phase::Revoke | Phase::Archive) => Step::Wait(Wait::Effect { why: what }),
        }),
    }
}

fn turn(run: &Run, why: String) -> Step {
    match run.plan.on_fail {
        super::OnFail::Rollback => Step::Turn { why },
        super::OnFail::Stop => Step::Wait(Wait::Stopped { why }),
    }
}

fn gate(run: &Run, point: &Point) -> Gate {
    if run.passed.contains(point) {
        return Gate::Passed;
    }
    #[cfg(feature = "bugs")]
    if *point == Point::Drained && crate::bugs::on(crate::bugs::Bug::GateSkipped) {
        return Gate::Passed;
    }
    match &run.gate {
        Some(g) if g.point == *point => {
            let failed: Vec<String> =
                g.checks.iter().filter(|c| c.verdict == Verdict::Fail).map(|c| format!("{}: {}", c.check, c.why)).collect();
            if failed.is_empty() { Gate::Judge(Some(g.last.at.plus(pace(run, g.times)))) } else { Gate::Failed(failed.join("; ")) }
        }
        Some(_) | None => Gate::Judge(settled(run)),
    }
}

/// No reading counts before every node has heard of the last change; and a key that was enabled again is left alone for as long
/// as a refusal may be cached, because asking would refresh the refusal.
fn settled(run: &Run) -> Option<Time> {
    #[cfg(feature = "bugs")]
    if crate::bugs::on(crate::bugs::Bug::SettlingIgnored) {
        return None;
    }
    let (stamp, enabled) = run.changed.as_ref()?;
    let cache = if *enabled { run.caps.refusal_cache } else { Span::ZERO };
    Some(stamp.at.plus(run.caps.settles_in).plus(cache))
}

/// Looks are frequent at first and then every poll interval: most gates settle within seconds.
fn pace(run: &Run, times: u32) -> Span {
    let early = Span(100u64.saturating_mul(1 << times.min(8)));
    early.min(run.plan.timing.poll)
}

/// The old key is (or may be) refused by our doing and can be enabled again.
fn disabled_by_us(run: &Run) -> bool {
    #[cfg(feature = "bugs")]
    if run.old == OldKey::OffByOthers && crate::bugs::on(crate::bugs::Bug::EnablesForeignDisable) {
        return true;
    }
    run.old == OldKey::DisabledByUs
}
