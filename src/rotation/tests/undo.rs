//! The way back where it does not go by itself.

use super::fixture::*;
use super::tale::{Tale, judged, minted, reading};
use crate::rotation::*;

/// Turned back in hold, everything went well until this is next.
fn back(from: &str, to: &str) -> Tale {
    let mut tale = Tale::at(from);
    tale.turns(None).until(to);
    tale
}

#[track_caller]
fn no_way_back(tale: &Tale) {
    let Step::Stuck { why, steps } = next(&tale.run) else { panic!("{}", tale.next()) };
    assert_eq!(why, "there is no way back: the old key is not accepted and this run did not switch it off");
    assert!(steps.len() == 3 && steps[0].contains("do not touch the new key") && steps[2].contains("keyroll resume run"), "{steps:?}");
}

#[test]
fn consumers_are_not_sent_to_a_key_that_is_not_accepted() {
    let mut tale = back("judge drained", "judge old_accepted");
    tale.judges(Point::OldAccepted, &[("old_accepted", Verdict::NoData)]);
    assert_eq!(tale.next(), "judge old_accepted");
    tale.judges(Point::OldAccepted, &[("old_accepted", Verdict::Fail)]);
    no_way_back(&tale);
    let mut foreign = Tale::at("judge soaked");
    foreign.turns(None);
    foreign.run.old = OldKey::OffByOthers;
    no_way_back(&foreign);
}

#[test]
fn a_failed_gate_on_the_way_back_is_stuck_with_both_keys_valid() {
    for (to, point, check) in [
        ("judge returned web", Point::Returned(App::new("web")), "acknowledged"),
        ("judge new_drained", Point::NewDrained, "drain"),
        ("judge undone", Point::Undone, "none_new"),
    ] {
        let mut tale = back("judge drained", to);
        tale.judges(point, &[(check, Verdict::Fail)]);
        let Step::Stuck { why, steps } = next(&tale.run) else { panic!("{}", tale.next()) };
        assert_eq!(why, format!("the way back cannot go on: {check}: seen"));
        assert!(steps[0].contains("both keys are still accepted") && steps[1].contains("keyroll resume run"), "{steps:?}");
    }
}

#[test]
fn a_consumer_that_still_needs_the_new_key_gets_it_back() {
    let mut tale = back("judge drained", "judge new_soaked");
    assert!(tale.run.new.as_ref().is_some_and(|n| !n.enabled));
    tale.judges(Point::NewSoaked, &[("soak", Verdict::Fail)]);
    assert_eq!(tale.next(), "enable_new new");
    tale.goes();
    // Not in a circle: a person finds out who it is, and only then the new key is drained and switched off again.
    assert!(tale.next().starts_with("wait, person: a caller was refused on the new key"), "{}", tale.next());
    tale.amends(&[]);
    let said = tale.until("delete_new");
    assert_eq!(said.iter().filter(|s| *s == "disable_new new").count(), 1, "{said:?}");
    // Both at once: somebody is refused at one node while another still accepts it.
    let mut both = back("judge drained", "judge new_soaked");
    both.judges(Point::NewSoaked, &[("soak", Verdict::Fail), ("new_refused", Verdict::Fail)]);
    assert_eq!(both.next(), "enable_new new");
}

#[test]
fn a_node_that_still_accepts_the_new_key_is_asked_again() {
    let mut tale = back("judge drained", "judge new_soaked");
    tale.judges(Point::NewSoaked, &[("new_refused", Verdict::Fail)]);
    tale.judges(Point::NewSoaked, &[("new_refused", Verdict::Fail)]);
    let Step::Judge { point, not_before } = next(&tale.run) else { panic!("{}", tale.next()) };
    assert_eq!((point, not_before), (Point::NewSoaked, Some(Time(at(tale.now).0 + 400))));
}

#[test]
fn a_new_key_that_others_switched_off_is_not_enabled_by_us() {
    let mut tale = back("judge drained", "judge new_soaked");
    tale.judges(Point::NewSoaked, &[("soak", Verdict::Fail)]);
    tale.run.new = tale.run.new.clone().map(|n| NewKey { off_by_others: true, ..n });
    assert_eq!(tale.next(), "stuck: the way back cannot go on: soak: seen");
}

#[test]
fn a_failure_that_is_nobodys_need_does_not_enable_the_new_key() {
    let mut plan = plan();
    let soaked = plan.gates.iter_mut().find(|g| g.point == Place::NewSoaked).unwrap();
    soaked.checks.push(Check { id: "scope".into(), ask: Ask::Equal { allow: vec![] }, skippable: false });
    let mut tale = Tale::of(plan);
    tale.until("judge drained");
    tale.turns(None).until("judge new_soaked");
    tale.judges(Point::NewSoaked, &[("scope", Verdict::Fail)]);
    assert_eq!(tale.next(), "stuck: the way back cannot go on: scope: seen");
    tale.judges(Point::NewSoaked, &[("scope", Verdict::Fail), ("new_refused", Verdict::Fail)]);
    assert!(tale.next().starts_with("stuck: "), "{}", tale.next());
}

#[test]
fn a_key_that_was_amended_away_is_not_looked_for_and_a_stray_is_discarded() {
    let mut tale = back("judge drained", "judge new_drained");
    tale.drifts(&[Drift::NewGone]).amends(&[Drift::NewGone]);
    tale.run.slots[0].current = Which::Old;
    assert_eq!(tale.until("scan"), ["judge old_accepted", "judge returned web", "judge returned api", "judge undone"]);

    let mut stray = Tale::at("mint");
    let marker = stray.run.next_marker();
    stray.begins(Effect::Mint { marker }).ends(Outcome::Done(minted("lost", None)), By::Look);
    stray.turns(None);
    assert_eq!(stray.until("judge undone"), ["look", "discard lost keyroll:run:1"]);
}

#[test]
fn each_consumer_is_seen_back_before_the_next() {
    let mut tale = back("judge drained", "judge returned web");
    let point = Point::Returned(App::new("web"));
    tale.judges(point, &[("acknowledged", Verdict::Inconclusive)]);
    assert_eq!(tale.next(), "judge returned web");
}

#[test]
fn the_end_says_who_turned_it_and_why() {
    let mut tale = Tale::new();
    tale.say(Record::Turned { why: "scope: differs".into(), by: None });
    assert_eq!(tale.until("over"), ["judge undone", "scan", "seal", "finish rolled back: scope: differs"]);
    assert_eq!(tale.next(), "over rolled back: scope: differs");
    let mut undone = back("judge prepared", "judge undone");
    undone.say(Record::Judged {
        point: Point::Undone,
        reading: Box::new(reading(stamp(500))),
        checks: vec![judged("none_new", Verdict::Error)],
    });
    assert_eq!(undone.next(), "judge undone");
}
