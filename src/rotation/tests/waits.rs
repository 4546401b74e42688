//! What comes before any phase: the end, an open intent, a stuck run, a first look, drift; and when a look is worth its calls.

use super::fixture::*;
use super::tale::{Tale, unknown};
use crate::rotation::*;

/// When the gate of the next step may be judged, in milliseconds since the run began.
fn not_before(tale: &Tale) -> Option<i64> {
    match next(&tale.run) {
        Step::Judge { not_before, .. } => not_before.map(|t| t.0 - at(0).0),
        other => panic!("not a gate: {other:?}"),
    }
}

#[test]
fn these_come_first_in_this_order() {
    let mut tale = Tale::at("judge prepared");
    tale.run.failed = Some(Failed { effect: Effect::Scan, why: "w".into(), times: 1, how: Failure::Conflict });
    assert_eq!(tale.next(), "wait, effect: scan: w");
    tale.run.drift = vec![Drift::OldGone, Drift::NewGone];
    assert_eq!(tale.next(), "wait, drift: somebody deleted the old key; somebody deleted the new key");
    tale.run.session_looked = false;
    assert_eq!(tale.next(), "look");
    tale.run.stuck = Some(("s".into(), vec!["one".into()]));
    assert_eq!(next(&tale.run), Step::Stuck { why: "s".into(), steps: vec!["one".into()] });
    tale.run.open = Some(Open { n: 9, effect: Effect::Scan, began: stamp(100), child: None, unresolved: true, taken_over: false });
    assert_eq!(tale.next(), "resolve at 111");
    tale.run.ended = Some(End::Done);
    assert_eq!(tale.next(), "over done");
}

#[test]
fn a_lost_call_is_resolved_when_it_can_have_landed_and_later_if_its_sender_may_live() {
    let mut tale = Tale::at("mint");
    tale.begins(Effect::Mint { marker: tale.run.next_marker() });
    let began = tale.now;
    assert_eq!(tale.next(), format!("resolve at {}", began + 11));
    tale.ends(unknown(), By::Answer);
    assert_eq!(tale.next(), format!("resolve at {}", began + 11));
    tale.say(Record::Opened { holder: Holder::default(), stamp: stamp(began + 50), taken_over: true, gate_semantics: GATE_SEMANTICS });
    assert_eq!(tale.next(), format!("resolve at {}", began + 11 + 30));
}

#[test]
fn a_new_session_looks_before_it_does_anything() {
    for from in ["mint", "promote 1", "disable_old", "delete_old", "seal"] {
        let mut tale = Tale::at(from);
        tale.open();
        assert_eq!(tale.next(), "look", "{from}");
    }
    let mut back = Tale::at("judge soaked");
    back.turns(None).open();
    assert_eq!(back.next(), "look");
}

#[test]
fn the_first_reading_waits_until_every_node_has_heard_and_a_cached_refusal_has_ended() {
    let mut tale = Tale::new();
    assert_eq!(not_before(&tale), None);
    tale.until("judge prepared");
    let minted = tale.run.since.minted.clone().unwrap();
    assert_eq!(not_before(&tale), Some(minted.at.0 - at(0).0 + 7_000));
    tale.until("judge soaked");
    let disabled = tale.run.since.disabled.clone().unwrap();
    assert_eq!(not_before(&tale), Some(disabled.at.0 - at(0).0 + 7_000));
    tale.turns(None).until("judge old_accepted");
    let enabled = tale.run.since.enabled.clone().unwrap();
    assert_eq!(not_before(&tale), Some(enabled.at.0 - at(0).0 + 27_000));
    // The slower of plan and now is believed.
    let mut slower = caps();
    slower.settles_in = Span::seconds(100);
    tale.say(Record::Looked { drift: vec![], guards: vec![], weaker: Some(Box::new(slower)) });
    assert_eq!(not_before(&tale), Some(enabled.at.0 - at(0).0 + 120_000));
}

#[test]
fn looks_at_one_gate_get_rarer_up_to_the_poll_interval() {
    let mut tale = Tale::at("judge drained");
    for wait in [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000] {
        tale.judges(Point::Drained, &[("drain", Verdict::Inconclusive)]);
        assert_eq!(not_before(&tale), Some(tale.now * 1000 + wait));
    }
    tale.plan_mut().timing.poll = Span::minutes(5);
    assert_eq!(not_before(&tale), Some(tale.now * 1000 + 25_600));
    // A gate of another point says nothing about this one.
    tale.run.gate = tale.run.gate.clone().map(|g| GateState { point: Point::Flipped, ..g });
    let changed = tale.run.changed.clone().unwrap();
    assert_eq!(not_before(&tale), Some(changed.0.at.0 - at(0).0 + 7_000));
}

#[test]
fn every_verdict_but_a_pass_holds_a_gate_and_only_a_failure_turns() {
    for verdict in [Verdict::Inconclusive, Verdict::NoData, Verdict::Error, Verdict::Skipped] {
        let mut tale = Tale::at("judge drained");
        tale.judges(Point::Drained, &[("drain", verdict)]);
        assert_eq!(tale.next(), "judge drained", "{verdict:?}");
    }
    let mut tale = Tale::at("judge drained");
    tale.judges(Point::Drained, &[("drain", Verdict::Fail), ("coverage", Verdict::Fail)]);
    assert_eq!(tale.next(), "turn: drain: seen; coverage: seen");
    tale.judges(Point::Drained, &[("drain", Verdict::Waived)]);
    assert_eq!(tale.next(), "move revoke");
}

#[test]
fn drift_blocks_until_it_is_accepted_by_name() {
    let mut tale = Tale::at("promote 0");
    tale.drifts(&[Drift::NewScope { fields: vec!["models".into()] }]);
    assert_eq!(tale.next(), "wait, drift: the new key differs from the old one: models");
    tale.amends(&[Drift::NewGone]);
    assert!(tale.next().starts_with("wait, drift"));
    tale.amends(&[Drift::NewScope { fields: vec!["models".into()] }]);
    assert_eq!(tale.next(), "judge canary");
}
