//! The way forward, phase by phase.

use super::{Gate, Step, Wait, gate, turn};
use crate::rotation::{App, Ask, Disable, Effect, End, Kind, Mint, OldKey, OnRefused, Phase, Point, Reload, Run, SlotNo, Verdict, Which};

pub(super) fn next(run: &Run) -> Step {
    match run.phase {
        Phase::Prepare => prepare(run),
        Phase::Canary => canary(run),
        Phase::Flip => flip(run),
        Phase::Hold => hold(run),
        Phase::Revoke => revoke(run),
        Phase::Archive => archive(run),
    }
}

fn prepare(run: &Run) -> Step {
    if let Some(step) = early_gate(run, &Point::Bound) {
        return step;
    }
    // No look is older than the resume it belongs to: a journal from yesterday must not discard today's key.
    let lost = run.strays.first().cloned().or_else(|| match &run.new {
        Some(new) if run.value_lost() => Some((new.id.clone(), new.marker.clone())),
        Some(_) | None => None,
    });
    if let Some((id, marker)) = lost {
        return after_look(run, Effect::Discard { id, marker });
    }
    let unstaged = || run.slots.iter().position(|s| s.staged.is_none()).map(slot_no);
    let stage_first = run.plan.gateway.caps.mint == Mint::CallerChooses;
    if let (true, Some(slot)) = (stage_first, unstaged()) {
        return Step::Do(Effect::Stage { slot, value: None });
    }
    if run.new.is_none() && run.mints >= 3 {
        return turn(run, "three keys were minted and none could be kept".into());
    }
    if run.new.is_none() {
        return after_look(run, Effect::Mint { marker: run.next_marker() });
    }
    if let Some(slot) = unstaged() {
        return Step::Do(Effect::Stage { slot, value: None });
    }
    if killed_by_the_mint(run) {
        return Step::Press {
            why: "the gateway ended the old key when the new one was made: consumers are refused now, and only the new key can help them"
                .into(),
            to: Phase::Canary,
        };
    }
    early_gate(run, &Point::Prepared).unwrap_or(Step::Move(Phase::Canary))
}

/// Both keys were tried side by side, the new one works everywhere and the old one, which worked before the mint, is refused.
fn killed_by_the_mint(run: &Run) -> bool {
    let Some(gate) = run.gate.as_ref().filter(|g| g.point == Point::Prepared) else { return false };
    let checks = run.plan.checks(&Point::Prepared);
    let of = |wanted: Which| {
        let id = checks.iter().find(|c| c.ask == Ask::Accept { key: wanted }).map(|c| &c.id);
        gate.checks.iter().find(|j| Some(&j.check) == id).map(|j| j.verdict)
    };
    let others = gate.checks.iter().filter(|j| !j.verdict.advances()).count();
    of(Which::Old) == Some(Verdict::Fail) && of(Which::New) == Some(Verdict::Pass) && others == 1
}

fn canary(run: &Run) -> Step {
    if lost_without_slot(run) {
        return Step::Move(Phase::Prepare);
    }
    early_gate(run, &Point::Canary).unwrap_or(Step::Move(Phase::Flip))
}

/// The value died with a process, nobody holds it yet, and no slot keeps it: the key is made again.
fn lost_without_slot(run: &Run) -> bool {
    run.value_lost() && run.slots.is_empty()
}

fn flip(run: &Run) -> Step {
    if lost_without_slot(run) {
        return Step::Move(Phase::Prepare);
    }
    let to_move = run.slot_with(Which::Old).is_some() || run.models.values().any(|at| *at == Which::Old);
    // Whatever a person accepted in between, nobody is sent to a key that was not seen to work since.
    if let (true, Some(step)) = (to_move, early_gate(run, &Point::Canary)) {
        return step;
    }
    if let Some(i) = run.slot_with(Which::Old) {
        let guard = run.slots.get(i).map(|s| s.guard.clone()).unwrap_or_default();
        return after_look(run, Effect::Promote { slot: slot_no(i), guard });
    }
    if let Some((model, _)) = run.models.iter().find(|(_, at)| **at == Which::Old) {
        return after_look(run, Effect::Repoint { model: model.clone(), to: Which::New });
    }
    // One consumer at a time, healthy and seen before the next.
    for consumer in run.plan.readers() {
        match &consumer.reload {
            Reload::Dynamic { .. } => continue,
            Reload::Told { .. } | Reload::ByHand => {}
        }
        if !run.reloaded(&consumer.app) {
            return Step::Do(Effect::Reload { app: consumer.app.clone(), flip: run.flip });
        }
        if let Some(step) = early_gate(run, &Point::Reloaded(consumer.app.clone())) {
            return step;
        }
    }
    early_gate(run, &Point::Flipped).unwrap_or(Step::Move(Phase::Hold))
}

fn hold(run: &Run) -> Step {
    if run.old == OldKey::DisabledByUs {
        // A re-open: the key is accepted again before anything else is judged.
        return Step::Do(Effect::Enable { key: Which::Old, id: run.plan.old.id.clone() });
    }
    if run.attempt > 1 && run.old == OldKey::Enabled {
        match gate(run, &Point::OldAccepted) {
            Gate::Passed => {}
            Gate::Judge(not_before) => return Step::Judge { point: Point::OldAccepted, not_before },
            Gate::Failed(why) => {
                return Step::Wait(Wait::Person { why: format!("the old key was enabled again and is still refused: {why}") });
            }
        }
    }
    if run.reopened_by_unknown {
        return Step::Wait(Wait::Person {
            why: "an unlisted caller was refused while the old key was disabled; the key is enabled again: find the caller, list it or except it, then amend".into(),
        });
    }
    if run.model_behind().is_some() || slot_behind(run).is_some() {
        // A model that came later, or a slot that was put back, is moved like the others, and all is watched again.
        return Step::Move(Phase::Flip);
    }
    early_gate(run, &Point::Drained).unwrap_or(Step::Move(Phase::Revoke))
}

fn revoke(run: &Run) -> Step {
    let switch = match run.plan.gateway.caps.disable {
        Disable::Reversible | Disable::ByExpiry | Disable::Irreversible => true,
        Disable::None => false,
    };
    if let Some(model) = run.model_behind() {
        return match run.old {
            OldKey::Enabled | OldKey::OffByOthers => Step::Move(Phase::Flip),
            // Its calls fail now: the key is accepted again before the model is moved.
            OldKey::DisabledByUs => {
                Step::Reopen { why: format!("model {model} appeared on the disabled key"), callers: Vec::new(), unknown: false }
            }
            OldKey::DeleteIntended | OldKey::Gone => Step::Do(Effect::Repoint { model: model.clone(), to: Which::New }),
        };
    }
    if let Some(step) = put_back(run) {
        return step;
    }
    let provider = matches!(run.plan.kind, Kind::Provider { .. });
    match run.old {
        OldKey::Enabled if switch => before(run, &Point::BeforeDisable, || Effect::Disable {
            key: Which::Old,
            id: run.plan.old.id.clone(),
            approval: run.approved.as_ref().map(|a| a.record),
        }),
        // Without a switch the deletion itself needs the agreement.
        OldKey::Enabled => before(run, &Point::BeforeDelete, || delete_old(run)),
        OldKey::DisabledByUs | OldKey::OffByOthers => {
            if let Some(step) = soak_gate(run, &Point::Soaked) {
                return step;
            }
            if let Some(step) = soak_gate(run, &Point::BeforeDelete) {
                return step;
            }
            after_look(run, delete_old(run))
        }
        // The synced intent to delete is the point of no return: a delete that did not happen is done again.
        // A gateway that refuses to leave a model without its key is believed: the model is found by a look.
        OldKey::DeleteIntended if provider => after_look(run, delete_old(run)),
        OldKey::DeleteIntended => Step::Do(delete_old(run)),
        OldKey::Gone => match gate(run, &Point::Gone) {
            Gate::Passed => Step::Move(Phase::Archive),
            Gate::Judge(not_before) => Step::Judge { point: Point::Gone, not_before },
            Gate::Failed(why) if provider => Step::Wait(Wait::Person {
                why: format!(
                    "the gateway has let go of the old key, and yet: {why}; revoke it at the provider, or waive the check by name to end with it alive there"
                ),
            }),
            Gate::Failed(why) => Step::Stuck {
                why: format!("the old key was deleted and yet: {why}"),
                steps: vec![
                    "revoke the old key at the gateway's console and restart the node that still accepts it".into(),
                    format!("then `keyroll resume {}` tests it again", run.id),
                ],
            },
        },
    }
}

/// A slot that somebody put back to the old key, and who may have read it there: moved on again, whatever that takes now.
fn put_back(run: &Run) -> Option<Step> {
    let behind = slot_behind(run);
    let reopens = run.emergency.is_none();
    match (run.old, behind) {
        (OldKey::Enabled | OldKey::OffByOthers, Some(_)) => return Some(Step::Move(Phase::Flip)),
        // Who reads it is refused now: the key is accepted again before the slot is moved.
        (OldKey::DisabledByUs, Some(slot)) if reopens => {
            let why = format!("slot {} was put back to the disabled key", slot.saturating_add(1));
            return Some(Step::Reopen { why, callers: Vec::new(), unknown: false });
        }
        (OldKey::DisabledByUs, _) if reopens => return None,
        (OldKey::Enabled | OldKey::OffByOthers, None) => return None,
        // In an emergency the old key stays off, and a deletion that has begun cannot be stopped: only the new key can help.
        (OldKey::DisabledByUs | OldKey::DeleteIntended | OldKey::Gone, _) => {}
    }
    if let Some(slot) = behind {
        let seen_to_work = || if run.old == OldKey::DisabledByUs { early_gate(run, &Point::Canary) } else { None };
        let guard = run.slots.get(slot).map(|s| s.guard.clone()).unwrap_or_default();
        return Some(seen_to_work().unwrap_or_else(|| after_look(run, Effect::Promote { slot: slot_no(slot), guard })));
    }
    let told = run.plan.readers().find(|c| !matches!(c.reload, Reload::Dynamic { .. }) && !run.reloaded(&c.app));
    told.map(|consumer| Step::Do(Effect::Reload { app: consumer.app.clone(), flip: run.flip }))
}

/// A slot that holds the old key and can still be moved.
fn slot_behind(run: &Run) -> Option<usize> {
    run.slots.iter().enumerate().position(|(i, s)| s.current == Which::Old && !s.retired && !run.is_left(i))
}

fn archive(run: &Run) -> Step {
    if let Some(step) = put_back(run) {
        return step;
    }
    match gate(run, &Point::Complete) {
        Gate::Passed => {}
        Gate::Judge(not_before) => return Step::Judge { point: Point::Complete, not_before },
        Gate::Failed(why) => {
            return Step::Wait(Wait::Person { why: format!("the evidence is not complete: {why}; waive the item by name, or supply it") });
        }
    }
    if let (false, Some(new)) = (run.marked_live, &run.new) {
        return Step::Do(Effect::MarkLive { id: new.id.clone() });
    }
    closing(run, End::Done)
}

/// Scan while every secret can still be read, unlink the old versions or remove what waits, seal.
pub(super) fn closing(run: &Run, end: End) -> Step {
    if !run.scanned {
        return Step::Do(Effect::Scan);
    }
    if let (Some(i), End::Done) = (run.slots.iter().position(|s| !s.retired), &end) {
        return Step::Do(Effect::Retire { slot: slot_no(i) });
    }
    if let (Some(i), End::RolledBack { .. }) = (run.slots.iter().position(|s| s.staged.is_some()), &end) {
        return Step::Do(Effect::DropPending { slot: slot_no(i) });
    }
    if run.sealed.is_none() {
        return Step::Do(Effect::Seal);
    }
    Step::Finish(end)
}

fn delete_old(run: &Run) -> Effect {
    Effect::Delete { key: Which::Old, id: run.plan.old.id.clone() }
}

/// Agreement, then fresh gates, then a look, then the effect: nothing comes in between.
fn before(run: &Run, point: &Point, effect: impl FnOnce() -> Effect) -> Step {
    if let (Some(rule), None, None) = (run.plan.approval(Phase::Revoke), &run.emergency, &run.approved) {
        if let Some(why) = &run.rejected {
            return Step::Wait(Wait::Rejected { why: why.clone() });
        }
        let role = rule.role.clone();
        let asked = run.asked.as_ref().is_some_and(|a| a.phase == Phase::Revoke && a.attempt == run.attempt);
        return if asked { Step::Wait(Wait::Approval { phase: Phase::Revoke, role }) } else { Step::Ask { phase: Phase::Revoke, role } };
    }
    early_gate(run, point).unwrap_or_else(|| after_look(run, effect()))
}

fn after_look(run: &Run, effect: Effect) -> Step {
    if run.looked { Step::Do(effect) } else { Step::LookAround }
}

/// A gate whose failure turns the run back; none when it passed.
fn early_gate(run: &Run, point: &Point) -> Option<Step> {
    match gate(run, point) {
        Gate::Passed => None,
        Gate::Judge(not_before) => Some(Step::Judge { point: point.clone(), not_before }),
        Gate::Failed(why) => Some(turn(run, why)),
    }
}

/// A gate while the old key is disabled: a refused caller re-opens, an accepted old key is disabled again.
fn soak_gate(run: &Run, point: &Point) -> Option<Step> {
    let why = match gate(run, point) {
        Gate::Passed => return None,
        Gate::Judge(not_before) => return Some(Step::Judge { point: point.clone(), not_before }),
        Gate::Failed(why) => why,
    };
    let failed = |wanted: fn(&Ask) -> bool| {
        let checks = run.plan.checks(point);
        run.gate
            .iter()
            .flat_map(|g| &g.checks)
            .find(|j| j.verdict == Verdict::Fail && checks.iter().any(|c| c.id == j.check && wanted(&c.ask)))
    };
    if run.old == OldKey::OffByOthers {
        return Some(Step::Wait(Wait::Person {
            why: format!("{why}; the old key was switched off by somebody else, so this run will not enable it"),
        }));
    }
    if let Some(soak) = failed(|a| matches!(a, Ask::Soak { .. })) {
        let callers: Vec<App> = soak.about.iter().map(|a| App::new(a.as_str())).collect();
        // Behind a provider key stand models; whose call met one of them is nobody's mistake.
        let router = matches!(run.plan.kind, Kind::Router);
        let unknown = router && callers.iter().any(|c| run.plan.claimed_by(c.as_str()).is_none());
        return Some(match run.plan.on_refused_caller {
            OnRefused::Reopen => Step::Reopen { why, callers, unknown },
            OnRefused::Ask => Step::Wait(Wait::Person { why: format!("{why}; `keyroll rollback` or `keyroll amend` decides") }),
        });
    }
    if failed(|a| matches!(a, Ask::Reject { key: Which::Old })).is_some() {
        // The switch did not take everywhere: it is thrown again, and then a person must look. Nobody is hurt by that.
        if run.disables < 3 && run.old == OldKey::DisabledByUs {
            // Not blindly: a person who enabled it again on purpose is not overruled.
            return Some(after_look(run, Effect::Disable { key: Which::Old, id: run.plan.old.id.clone(), approval: None }));
        }
        return Some(Step::Wait(Wait::Person { why: format!("{why}; the gateway goes on accepting a key it calls disabled") }));
    }
    Some(Step::Turn { why })
}

fn slot_no(i: usize) -> SlotNo {
    SlotNo(u16::try_from(i).unwrap_or(u16::MAX))
}
