//! The way back: accept first, move consumers second, drain the new key by evidence, delete it last.

use super::{Gate, Step, Wait, disabled_by_us, forward, gate, pace};
use crate::rotation::{Ask, Disable, Effect, End, Point, Reload, Run, SlotNo, Verdict, Which};

pub(super) fn next(run: &Run) -> Step {
    if !run.can_go_back() {
        return no_way_back(run);
    }
    if disabled_by_us(run) {
        return Step::Do(Effect::Enable { key: Which::Old, id: run.plan.old.id.clone() });
    }
    #[cfg(feature = "bugs")]
    if crate::bugs::on(crate::bugs::Bug::RollbackDeletesNewFirst)
        && let Some(new) = &run.new
    {
        return look_then(run, Effect::Delete { key: Which::New, id: new.id.clone() });
    }
    if let Some(step) = consumers_back(run) {
        return step;
    }
    if let Some(step) = new_key_out(run) {
        return step;
    }
    match gate(run, &Point::Undone) {
        Gate::Passed => {}
        Gate::Judge(not_before) => return Step::Judge { point: Point::Undone, not_before },
        Gate::Failed(why) => return stuck(run, &why),
    }
    let (why, asked) = run.turned.clone().unwrap_or_default();
    forward::closing(run, End::RolledBack { why, asked })
}

fn consumers_back(run: &Run) -> Option<Step> {
    if !run.was_flipped() && run.model_behind().is_none() {
        return None;
    }
    match gate(run, &Point::OldAccepted) {
        #[cfg(feature = "bugs")]
        Gate::Judge(_) | Gate::Failed(_) if crate::bugs::on(crate::bugs::Bug::RollbackBeforeAccepted) => {}
        Gate::Passed => {}
        Gate::Judge(not_before) => return Some(Step::Judge { point: Point::OldAccepted, not_before }),
        Gate::Failed(_) => return Some(no_way_back(run)),
    }
    if let Some(i) = run.slot_with(Which::New) {
        let guard = run.slots.get(i).map(|s| s.guard.clone()).unwrap_or_default();
        return Some(look_then(run, Effect::Demote { slot: slot_no(i), guard }));
    }
    if let Some((model, _)) = run.models.iter().find(|(_, at)| **at == Which::New) {
        return Some(look_then(run, Effect::Repoint { model: model.clone(), to: Which::Old }));
    }
    for consumer in run.plan.readers() {
        match &consumer.reload {
            Reload::Dynamic { .. } => continue,
            Reload::Told { .. } | Reload::ByHand => {}
        }
        if !run.reloaded(&consumer.app) {
            return Some(Step::Do(Effect::Reload { app: consumer.app.clone(), flip: run.flip }));
        }
        if let Some(step) = judge(run, Point::Returned(consumer.app.clone())) {
            return Some(step);
        }
    }
    None
}

fn new_key_out(run: &Run) -> Option<Step> {
    if let Some(new) = &run.new {
        // Draining once more by itself would refuse the same caller again and again, for ever.
        if run.reopened_by_unknown && new.enabled {
            return Some(Step::Wait(Wait::Person {
                why: "a caller was refused on the new key, which is accepted again: find who uses it, move it or except it by name, then amend".into(),
            }));
        }
        if let Some(step) = judge(run, Point::NewDrained) {
            return Some(step);
        }
        // What waits in the slots stays there: a process that comes after this one reads from it the value that it must see refused
        // and must look for in the evidence.
        let switch = run.plan.gateway.caps.disable != Disable::None;
        if switch && new.enabled {
            return Some(look_then(run, Effect::Disable { key: Which::New, id: new.id.clone(), approval: None }));
        }
        if switch {
            match gate(run, &Point::NewSoaked) {
                Gate::Passed => {}
                Gate::Judge(not_before) => return Some(Step::Judge { point: Point::NewSoaked, not_before }),
                // A node that still accepts it hurts nobody: it is asked again until patience ends, and the run parks.
                Gate::Failed(_) if only_still_accepted(run) => {
                    let not_before = run.gate.as_ref().map(|g| g.last.at.plus(pace(run, g.times)));
                    return Some(Step::Judge { point: Point::NewSoaked, not_before });
                }
                // Nobody asked for it, or somebody else switched it off: it is not enabled.
                Gate::Failed(why) if new.off_by_others || !still_needed(run) => return Some(stuck(run, &why)),
                // Somebody still needs it: accept it again, and let a person find out who.
                Gate::Failed(_) => return Some(Step::Do(Effect::Enable { key: Which::New, id: new.id.clone() })),
            }
        }
        return Some(look_then(run, Effect::Delete { key: Which::New, id: new.id.clone() }));
    }
    if let Some((id, marker)) = run.strays.first().cloned() {
        return Some(look_then(run, Effect::Discard { id, marker }));
    }
    None
}

/// The soak that failed names somebody who was refused.
fn still_needed(run: &Run) -> bool {
    failed_asks(run).any(|ask| matches!(ask, Ask::Soak { .. }))
}

/// Nothing failed but the refusal itself.
fn only_still_accepted(run: &Run) -> bool {
    failed_asks(run).all(|ask| matches!(ask, Ask::Reject { key: Which::New }))
}

/// What the failed checks of the new key's soak asked for.
fn failed_asks(run: &Run) -> impl Iterator<Item = &Ask> {
    let failed = |id: &str| run.gate.iter().flat_map(|g| &g.checks).any(|j| j.verdict == Verdict::Fail && j.check == id);
    run.plan.checks(&Point::NewSoaked).iter().filter(move |c| failed(&c.id)).map(|c| &c.ask)
}

fn judge(run: &Run, point: Point) -> Option<Step> {
    match gate(run, &point) {
        Gate::Passed => None,
        Gate::Judge(not_before) => Some(Step::Judge { point, not_before }),
        Gate::Failed(why) => Some(stuck(run, &why)),
    }
}

fn look_then(run: &Run, effect: Effect) -> Step {
    if run.looked { Step::Do(effect) } else { Step::LookAround }
}

fn stuck(run: &Run, why: &str) -> Step {
    Step::Stuck {
        why: format!("the way back cannot go on: {why}"),
        steps: vec![
            "both keys are still accepted and no consumer is refused; find what the message names".into(),
            format!("then `keyroll resume {}` goes on with the way back", run.id),
        ],
    }
}

fn no_way_back(run: &Run) -> Step {
    Step::Stuck {
        why: "there is no way back: the old key is not accepted and this run did not switch it off".into(),
        steps: vec![
            "do not touch the new key: consumers need it".into(),
            "decide whether the old key may come back; if so, enable it at the gateway by hand".into(),
            format!("then `keyroll resume {}`; or start a new rotation once this run is unlocked", run.id),
        ],
    }
}

fn slot_no(i: usize) -> SlotNo {
    SlotNo(u16::try_from(i).unwrap_or(u16::MAX))
}
