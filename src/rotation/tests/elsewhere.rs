//! What others change and change back: slots that are put back to the outgoing key, keys that are switched and switched again.

use super::fixture::*;
use super::tale::Tale;
use crate::rotation::*;

fn holds(i: u16, which: Which) -> Drift {
    Drift::SlotCurrent { slot: slot(i), seen: "the other one".into(), holds: Some(which) }
}

/// Up to here, and then a person accepts that slot 2 holds the old key again.
fn put_back(to: &str) -> Tale {
    let mut tale = Tale::at(to);
    tale.drifts(&[holds(1, Which::Old)]);
    assert_eq!(tale.next(), "wait, drift: slot 2 holds the other one");
    tale.amends(&[holds(1, Which::Old)]);
    tale
}

const AGAIN: [&str; 5] = ["judge canary", "look", "promote 1 promoted1", "reload web 2", "judge reloaded web"];

#[test]
fn a_slot_that_was_put_back_is_moved_on_again_and_everybody_is_reloaded() {
    for from in ["reload api", "judge flipped"] {
        let mut tale = put_back(from);
        assert_eq!(tale.until("reload api 2"), AGAIN, "{from}");
    }
    for from in ["judge drained", "judge before_disable"] {
        let mut tale = put_back(from);
        assert_eq!(tale.goes(), "move flip", "{from}");
        assert_eq!(tale.until("reload api 2"), AGAIN, "{from}");
    }
    // The same may happen again: it is a new difference.
    assert!(put_back("reload api").run.amended.is_empty());
}

#[test]
fn a_slot_that_was_put_back_to_the_disabled_key_reopens_before_it_is_moved() {
    let mut tale = put_back("judge soaked");
    assert_eq!(tale.next(), "reopen for : slot 2 was put back to the disabled key");
    tale.say(Record::Reopened { why: "w".into(), callers: vec![], unknown: false });
    assert_eq!(tale.until("promote 1"), ["enable_old old", "judge old_accepted", "move flip", "judge canary", "look"]);
}

#[test]
fn while_the_key_is_disabled_nobody_is_reloaded_for_a_slot_that_is_where_it_should_be() {
    let mut tale = Tale::at("judge soaked");
    tale.drifts(&[holds(1, Which::New)]).amends(&[holds(1, Which::New)]);
    assert!(!tale.next().starts_with("reload"), "{}", tale.next());
}

#[test]
fn in_an_emergency_the_slot_is_moved_on_and_the_old_key_stays_off() {
    let mut tale = Tale::at("judge soaked");
    tale.say(Record::Emergency { by: "ann".into(), why: "leaked".into(), breaks: vec![] });
    tale.drifts(&[holds(1, Which::Old)]).amends(&[holds(1, Which::Old)]);
    assert_eq!(
        tale.until("judge soaked"),
        ["judge canary", "look", "promote 1 promoted1", "reload web 2", "reload api 2"],
        "nothing is killed before every slot is moved"
    );
    tale.drifts(&[holds(1, Which::Old)]).amends(&[holds(1, Which::Old)]);
    tale.judges(Point::Canary, &[("new_accepted", Verdict::Fail)]);
    assert_eq!(tale.next(), "turn: new_accepted: seen");
}

#[test]
fn behind_the_point_of_no_return_a_slot_is_moved_on_without_a_canary() {
    for from in ["judge gone", "judge complete", "mark_live", "scan", "retire 1"] {
        let mut tale = put_back(from);
        let back = tale.until("reload api 2");
        assert_eq!(back, ["look", "promote 1 promoted1", "reload web 2"], "{from}");
        tale.until("over done");
    }
    let mut begun = Tale::at("delete_old");
    begun.begins(Effect::Delete { key: Which::Old, id: KeyId::new("old") }).ends(super::tale::not_done(), By::Look);
    begun.drifts(&[holds(1, Which::Old)]).amends(&[holds(1, Which::Old)]);
    assert_eq!(begun.until("delete_old"), ["look", "promote 1 promoted1", "reload web 2", "reload api 2"]);
}

#[test]
fn a_retired_slot_and_a_value_of_somebody_else_are_left_to_them() {
    let mut tale = Tale::at("seal");
    tale.drifts(&[holds(1, Which::Old)]).amends(&[holds(1, Which::Old)]);
    assert_eq!((tale.until("seal"), tale.run.amended.len(), tale.run.flip), (vec!["judge complete".to_owned()], 1, 1));
    let mut tale = Tale::at("judge drained");
    let theirs = Drift::SlotCurrent { slot: slot(1), seen: "a third value".into(), holds: None };
    tale.drifts(std::slice::from_ref(&theirs)).amends(std::slice::from_ref(&theirs));
    assert_eq!((tale.next().as_str(), tale.run.amended.as_slice()), ("judge drained", [theirs].as_slice()));
    let mut nowhere = Tale::at("judge drained");
    nowhere.drifts(&[holds(9, Which::Old)]).amends(&[holds(9, Which::Old)]);
    assert_eq!((nowhere.next().as_str(), nowhere.run.amended.len()), ("judge drained", 1));
}

#[test]
fn a_slot_that_was_moved_by_somebody_else_counts_as_moved() {
    let mut tale = Tale::at("promote 0");
    tale.drifts(&[holds(0, Which::New)]).amends(&[holds(0, Which::New)]);
    assert!(tale.run.slots[0].was_promoted);
    assert_eq!(tale.run.since.flip, tale.run.stamp);
    assert_eq!(tale.until("reload"), ["judge canary", "look", "promote 1 staged1"]);
    // And on the way back it is one more to bring back; one that others brought back is not.
    let mut back = Tale::at("judge drained");
    back.turns(None).until("demote 0");
    let since = back.run.since.back.clone();
    back.drifts(&[holds(0, Which::Old)]).amends(&[holds(0, Which::Old)]);
    assert_ne!(back.run.since.back, since);
    assert_eq!(back.until("reload"), ["judge old_accepted", "look", "demote 1 promoted1"]);
    back.goes();
    back.drifts(&[holds(0, Which::New)]).amends(&[holds(0, Which::New)]);
    assert_eq!(back.until("reload"), ["judge old_accepted", "look", "demote 0 promoted0"]);
    assert_eq!(back.next(), "reload web 4");
}

#[test]
fn what_was_judged_before_a_difference_is_judged_again_even_if_it_goes_away() {
    let mut tale = Tale::at("promote 0");
    tale.drifts(&[Drift::NewDisabled]);
    assert!(tale.run.passed.is_empty() && tale.run.approved.is_none());
    tale.open().look();
    assert_eq!(tale.until("promote 0"), ["judge canary", "look"]);
    // What nobody switched leaves the clock of the last change alone.
    let mut twins = Tale::at("promote 0");
    let changed = twins.run.changed.clone();
    twins.drifts(&[Drift::Twins { ids: vec![KeyId::new("k")] }]).open().look();
    assert_eq!(twins.run.changed, changed);
}

#[test]
fn a_switch_that_others_took_back_must_be_heard_by_every_node_first() {
    for drift in [Drift::NewDisabled, Drift::OldDisabled, Drift::OldEnabled] {
        let mut tale = Tale::at("promote 0");
        tale.drifts(std::slice::from_ref(&drift)).open();
        let earlier = tale.run.changed.clone();
        tale.drifts(&[drift]);
        assert_eq!(tale.run.changed, earlier, "not before it is taken back");
        tale.open().look();
        assert_eq!(tale.run.changed, tale.run.stamp.clone().map(|s| (s, true)));
        let changed = tale.run.changed.clone();
        tale.open().look();
        assert_eq!(tale.run.changed, changed, "once");
    }
    // Accepted, it is no surprise any more.
    let mut tale = Tale::at("promote 0");
    tale.drifts(&[Drift::NewDisabled]).amends(&[Drift::NewDisabled]);
    let changed = tale.run.changed.clone();
    tale.open().look();
    assert_eq!(tale.run.changed, changed);
}

#[test]
fn a_slot_that_is_left_to_its_owner_is_not_written_again_until_it_is_given_back() {
    let theirs = |i| Drift::SlotCurrent { slot: slot(i), seen: "a third value".into(), holds: None };
    // On the way back only the other one is put back.
    let mut tale = Tale::at("judge drained");
    tale.drifts(&[theirs(0)]).amends(&[theirs(0)]).turns(None);
    assert_eq!(tale.until("reload"), ["judge old_accepted", "look", "demote 1 promoted1"]);
    // Forward only the other one is moved.
    let mut tale = Tale::at("promote 0");
    tale.drifts(&[theirs(0)]).amends(&[theirs(0)]);
    assert_eq!(tale.until("reload"), ["judge canary", "look", "promote 1 staged1"]);
    // Its owner puts back what was there, and a person takes that in: it goes on like the others.
    tale.drifts(&[holds(0, Which::Old)]).amends(&[holds(0, Which::Old)]);
    assert!(!tale.run.is_left(0));
    assert_eq!(tale.until("reload"), ["judge canary", "look", "promote 0 staged0"]);
}
