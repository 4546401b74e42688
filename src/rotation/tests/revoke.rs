//! Revoke: agreement, the soak, the re-open, and the point of no return.

use super::fixture::*;
use super::tale::{Tale, not_done, unknown};
use crate::rotation::*;

/// The soak ends so, naming these callers.
fn soaks(tale: &mut Tale, point: Point, but: &[(&str, Verdict)], about: &[&str]) {
    let mut checks = tale.checks(&point, but);
    for check in &mut checks {
        check.about = about.iter().map(|a| (*a).to_owned()).collect();
    }
    tale.now += 1;
    let reading = super::tale::reading(stamp(tale.now));
    tale.say(Record::Judged { point, reading: Box::new(reading), checks });
}

#[test]
fn a_refused_caller_reopens_and_the_key_is_enabled_and_seen_accepted_before_hold_goes_on() {
    for point in [Point::Soaked, Point::BeforeDelete] {
        let mut tale = Tale::at("judge soaked");
        tale.until(if point == Point::Soaked { "judge soaked" } else { "judge before_delete" });
        soaks(&mut tale, point, &[("soak", Verdict::Fail)], &["web-job"]);
        assert_eq!(tale.next(), "reopen for web-job: soak: seen");
        tale.say(Record::Reopened { why: "w".into(), callers: vec![App::new("web-job")], unknown: false });
        let said = tale.until("disable_old");
        let expected = ["enable_old old", "judge old_accepted", "judge drained", "move revoke", "judge before_disable", "look"];
        assert_eq!(said, expected);
        assert_eq!(tale.run.attempt, 2);
    }
}

#[test]
fn a_key_that_stays_refused_after_it_was_enabled_needs_a_person() {
    let mut tale = Tale::at("judge soaked");
    tale.say(Record::Reopened { why: "w".into(), callers: vec![], unknown: false });
    tale.goes();
    tale.judges(Point::OldAccepted, &[("old_accepted", Verdict::Fail)]);
    assert_eq!(tale.next(), "wait, person: the old key was enabled again and is still refused: old_accepted: seen");
    // Off by somebody else's hand, there is nothing to see accepted.
    tale.run.old = OldKey::OffByOthers;
    assert_eq!(tale.next(), "judge drained");
}

#[test]
fn a_caller_whom_nobody_listed_is_found_by_a_person_first() {
    let mut tale = Tale::at("judge soaked");
    soaks(&mut tale, Point::Soaked, &[("soak", Verdict::Fail)], &["web", "stranger"]);
    assert_eq!(tale.next(), "reopen for web,stranger (unknown): soak: seen");
    tale.say(Record::Reopened { why: "w".into(), callers: vec![], unknown: true });
    let said = tale.until("wait, person: an unlisted caller was refused");
    assert_eq!(said, ["enable_old old", "judge old_accepted"]);
    tale.amends(&[]);
    assert_eq!(tale.next(), "judge old_accepted");
}

#[test]
fn the_policy_may_ask_instead_of_reopening() {
    let mut tale = Tale::at("judge soaked");
    tale.plan_mut().on_refused_caller = OnRefused::Ask;
    soaks(&mut tale, Point::Soaked, &[("soak", Verdict::Fail), ("old_refused", Verdict::Fail)], &["web"]);
    assert_eq!(tale.next(), "wait, person: old_refused: seen; soak: seen; `keyroll rollback` or `keyroll amend` decides");
}

#[test]
fn a_switch_that_did_not_take_everywhere_is_thrown_three_times() {
    let mut tale = Tale::at("judge soaked");
    for times in [1, 2] {
        assert_eq!(tale.run.disables, times);
        soaks(&mut tale, Point::Soaked, &[("old_refused", Verdict::Fail)], &[]);
        assert_eq!(tale.next(), "look");
        tale.look();
        assert_eq!(tale.next(), "disable_old old");
        tale.goes();
        assert_eq!(tale.next(), "judge soaked");
    }
    soaks(&mut tale, Point::Soaked, &[("old_refused", Verdict::Fail)], &[]);
    let said = tale.next();
    assert_eq!(said, "wait, person: old_refused: seen; the gateway goes on accepting a key it calls disabled");
    // A new session may throw it again.
    tale.open().look();
    assert_eq!(tale.next(), "judge soaked");
    soaks(&mut tale, Point::Soaked, &[("old_refused", Verdict::Fail)], &[]);
    tale.look();
    assert_eq!(tale.next(), "disable_old old");
}

#[test]
fn what_somebody_else_switched_off_is_left_to_them() {
    for check in ["soak", "old_refused"] {
        let mut tale = Tale::at("judge soaked");
        tale.run.old = OldKey::OffByOthers;
        soaks(&mut tale, Point::Soaked, &[(check, Verdict::Fail)], &["web"]);
        let why = format!("wait, person: {check}: seen; the old key was switched off by somebody else, so this run will not enable it");
        assert_eq!(tale.next(), why);
    }
    // And its way forward is the same as ours.
    let mut tale = Tale::at("judge soaked");
    tale.run.old = OldKey::OffByOthers;
    assert_eq!(tale.until("delete_old"), ["judge soaked", "judge before_delete", "look"]);
}

#[test]
fn another_failed_check_before_the_deletion_turns_back_even_where_the_policy_stops() {
    let mut tale = Tale::at("judge before_delete");
    tale.plan_mut().on_fail = OnFail::Stop;
    soaks(&mut tale, Point::BeforeDelete, &[("scope", Verdict::Fail), ("soak", Verdict::Inconclusive)], &[]);
    assert_eq!(tale.next(), "turn: scope: seen");
}

#[test]
fn after_the_written_intent_to_delete_there_is_only_forward() {
    let mut tale = Tale::at("delete_old");
    tale.begins(Effect::Delete { key: Which::Old, id: KeyId::new("old") }).ends(unknown(), By::Answer);
    assert!(tale.next().starts_with("resolve"));
    tale.ends(not_done(), By::Look);
    // No gate and no look stands between: it was decided.
    assert_eq!(tale.next(), "delete_old old");
    tale.open().look();
    assert_eq!(tale.next(), "delete_old old");
    assert_eq!(tale.until("judge gone"), ["delete_old old"]);
    assert!(!tale.run.can_go_back());
}

#[test]
fn the_way_back_is_open_until_the_intent_to_delete_or_the_end() {
    for (old, open) in [
        (OldKey::Enabled, true),
        (OldKey::DisabledByUs, true),
        (OldKey::OffByOthers, false),
        (OldKey::DeleteIntended, false),
        (OldKey::Gone, false),
    ] {
        let mut run = Tale::new().run;
        run.old = old;
        assert_eq!(run.can_go_back(), open, "{old:?}");
        run.ended = Some(End::Done);
        assert!(!run.can_go_back());
    }
}

#[test]
fn a_no_waits_until_somebody_asks_again() {
    let mut tale = Tale::of(with_approval());
    tale.until("wait for owner");
    tale.answers(Phase::Revoke, false);
    assert_eq!(tale.next(), "wait, rejected: ann: no");
    tale.amends(&[]);
    assert_eq!(tale.next(), "ask owner for revoke");
}

#[test]
fn a_question_about_another_attempt_or_phase_is_asked_anew() {
    let mut tale = Tale::of(with_approval());
    tale.until("wait for owner");
    tale.run.attempt = 2;
    assert_eq!(tale.next(), "ask owner for revoke");
    tale.run.attempt = 1;
    tale.run.asked = tale.run.asked.clone().map(|a| Asked { phase: Phase::Flip, ..a });
    assert_eq!(tale.next(), "ask owner for revoke");
}

#[test]
fn an_emergency_needs_no_agreement_and_no_rule_asks_nobody() {
    let mut tale = Tale::of(with_approval());
    tale.until("wait for owner");
    tale.say(Record::Emergency { by: "ann".into(), why: "leaked".into(), breaks: vec![] });
    assert_eq!(tale.next(), "judge before_disable");
    let mut other = with_approval();
    other.approvals[0].phase = Phase::Flip;
    let mut tale = Tale::of(other);
    tale.until("move revoke");
    tale.goes();
    assert_eq!(tale.next(), "judge before_disable");
}

#[test]
fn a_second_disable_after_the_first_did_not_happen_asks_for_agreement_again() {
    let mut tale = Tale::of(with_approval());
    tale.until("disable_old");
    let Step::Do(effect) = next(&tale.run) else { panic!("{}", tale.next()) };
    tale.tries(effect, not_done());
    assert_eq!(tale.next(), "ask owner for revoke");
}

#[test]
fn the_end_scans_before_it_retires_and_seals_last() {
    let mut tale = Tale::at("scan");
    tale.open().look();
    assert_eq!(tale.until("over done"), ["scan", "retire 0", "retire 1", "seal", "finish done"]);
    let mut tale = Tale::at("retire 1");
    tale.open().look();
    assert_eq!(tale.until("over done"), ["retire 1", "seal", "finish done"]);
}
