//! Effects and gates that do not succeed, going forward: again, turn back, stop, or wait for a person.

use super::tale::{Tale, conflict, not_done, refused};
use crate::rotation::*;

/// The effect that comes next ends so, this many times.
fn fails(from: &str, outcome: &Outcome, times: u32) -> Tale {
    let mut tale = Tale::at(from);
    for _ in 0..times {
        let Step::Do(effect) = next(&tale.run) else { panic!("no effect: {}", tale.next()) };
        tale.tries(effect, outcome.clone()).look();
    }
    tale
}

#[test]
fn what_did_not_happen_is_tried_three_times_and_then_waits_without_turning() {
    for from in ["mint", "promote 1", "reload web", "disable_old", "delete_old", "scan"] {
        assert!(!fails(from, &not_done(), 2).next().starts_with("wait"), "{from}");
        let said = fails(from, &not_done(), 3).next();
        assert!(said.starts_with("wait, unreachable: ") && said.ends_with(": timed out"), "{from}: {said}");
    }
}

#[test]
fn a_conflict_waits_for_a_person_at_once() {
    for from in ["stage 0", "promote 1", "disable_old", "mark_live"] {
        let said = fails(from, &conflict(), 1).next();
        assert!(said.starts_with("wait, effect: ") && said.ends_with(": differs"), "{from}: {said}");
    }
}

#[test]
fn a_refusal_turns_the_run_while_it_can_turn_and_waits_later() {
    for (from, expected) in [
        ("mint", "turn: mint: no"),
        ("stage 1", "turn: stage: no"),
        ("promote 1", "turn: promote: no"),
        ("reload api", "turn: reload: no"),
        ("disable_old", "wait, effect: disable_old: no"),
        ("delete_old", "wait, effect: delete_old: no"),
        ("mark_live", "wait, effect: mark_live: no"),
    ] {
        assert_eq!(fails(from, &refused(), 1).next(), expected);
    }
    for phase in [Phase::Canary, Phase::Hold] {
        let mut tale = fails("mint", &refused(), 1);
        tale.run.phase = phase;
        assert_eq!(tale.next(), "turn: mint: no");
    }
}

#[test]
fn a_refusal_on_the_way_back_is_stuck_and_says_what_to_do() {
    for from in ["promote 1", "judge soaked", "judge prepared"] {
        let mut tale = Tale::at(from);
        tale.turns(None).until(if from == "judge prepared" { "disable_new" } else { "demote 0" });
        let Step::Do(effect) = next(&tale.run) else { panic!("{}", tale.next()) };
        let name = effect.kind().name();
        tale.tries(effect, refused());
        let Step::Stuck { why, steps } = next(&tale.run) else { panic!("{}", tale.next()) };
        assert_eq!((why, steps.len()), (format!("the way back cannot go on: {name}: no"), 2));
        assert!(steps[0].contains(name) && steps[1].contains("keyroll resume run"), "{steps:?}");
    }
}

#[test]
fn a_failed_gate_turns_back_or_stops_as_the_policy_says() {
    for (from, point, check) in [
        ("judge bound", Point::Bound, "slots_hold_old"),
        ("judge prepared", Point::Prepared, "scope"),
        ("judge canary", Point::Canary, "attributed"),
        ("judge reloaded web", Point::Reloaded(App::new("web")), "acknowledged"),
        ("judge flipped", Point::Flipped, "none_refused"),
        ("judge drained", Point::Drained, "coverage"),
        ("judge before_disable", Point::BeforeDisable, "drain"),
    ] {
        let mut tale = Tale::at(from);
        tale.judges(point, &[(check, Verdict::Fail)]);
        assert_eq!(tale.next(), format!("turn: {check}: seen"));
        tale.plan_mut().on_fail = OnFail::Stop;
        assert_eq!(tale.next(), format!("wait, stopped: {check}: seen"));
    }
}

#[test]
fn where_turning_helps_nobody_a_person_is_asked() {
    let mut tale = Tale::at("judge complete");
    tale.judges(Point::Complete, &[("evidence", Verdict::Fail)]);
    assert_eq!(tale.next(), "wait, person: the evidence is not complete: evidence: seen; waive the item by name, or supply it");
    let mut tale = Tale::at("judge gone");
    tale.judges(Point::Gone, &[("old_refused", Verdict::Fail)]);
    let Step::Stuck { why, steps } = next(&tale.run) else { panic!("{}", tale.next()) };
    assert_eq!(why, "the old key was deleted and yet: old_refused: seen");
    assert!(steps.len() == 2 && steps[1].contains("keyroll resume run"));
}
