//! `equal`, `invariant`, `elapsed`, `human` and the kinds that come later.

use super::fixture::*;
use crate::rotation::*;

fn with_fact(key: &str, holds: bool) -> Reading {
    let mut reading = reading(NOW);
    reading.facts.insert(key.to_owned(), Looked { holds, seen: "what was seen".into() });
    reading
}

#[test]
fn a_scope_that_differs_fails_with_what_was_seen() {
    let equal = |r: &Reading| ask(&run(), Point::Prepared, Ask::Equal { allow: vec!["name".into()] }, r);
    is(&equal(&with_fact(SCOPE_FACT, true)), Verdict::Pass, "apart from name");
    is(&equal(&with_fact(SCOPE_FACT, false)), Verdict::Fail, "what was seen");
    is(&equal(&reading(NOW)), Verdict::Error, "was not looked up");
    let mut unread = with_fact(SCOPE_FACT, true);
    unread.errors.insert(SCOPE_FACT.into(), "timed out".into());
    is(&equal(&unread), Verdict::Error, "timed out");
}

#[test]
fn facts_hold_fail_or_were_not_asked() {
    let musts = [
        Must::SlotsHoldOld,
        Must::PendingIsNew,
        Must::SlotsHold(Which::New),
        Must::AdminDiffers,
        Must::WayBack,
        Must::SingleNew,
        Must::NoneNew,
        Must::Listed(Which::Old),
        Must::Searchable,
        Must::Absent(Which::Old),
        Must::CadenceKnown,
        Must::EvidenceComplete,
    ];
    for must in musts {
        let judge = |r: &Reading| ask(&run(), Point::Bound, Ask::Invariant(must.clone()), r);
        is(&judge(&with_fact(&must.key(), true)), Verdict::Pass, "what was seen");
        is(&judge(&with_fact(&must.key(), false)), Verdict::Fail, "what was seen");
        is(&judge(&reading(NOW)), Verdict::Error, "was not looked up");
    }
}

#[test]
fn a_replica_that_is_late_is_not_wrong() {
    let must = Must::Projected(Which::New);
    let judged = ask(&run(), Point::Flipped, Ask::Invariant(must.clone()), &with_fact(&must.key(), false));
    is(&judged, Verdict::Inconclusive, "every replica");
}

#[test]
fn a_reference_that_came_later_is_followed_and_turns_nothing_back() {
    let must = Must::NoReference(Which::Old);
    let judged = |holds| ask(&run(), Point::Drained, Ask::Invariant(must.clone()), &with_fact(&must.key(), holds));
    is(&judged(true), Verdict::Pass, "what was seen");
    is(&judged(false), Verdict::Inconclusive, "moved like the others");
}

fn none_refused(run: &Run, key: Which, reading: &Reading) -> Judged {
    ask(run, Point::Flipped, Ask::Invariant(Must::NoneRefused(key)), reading)
}

#[test]
fn the_first_refused_call_since_the_flip_fails() {
    is(&none_refused(&run(), Which::New, &reading(NOW)), Verdict::Pass, "no caller of the new key was refused");
    // The first reload of this flip began at 50.
    for (s, verdict) in [(49, Verdict::Pass), (50, Verdict::Fail)] {
        let mut refused = reading(NOW);
        usage(&mut refused).new.insert(App::new("chat"), refusal(s));
        is(&none_refused(&run(), Which::New, &refused), verdict, "");
    }
}

#[test]
fn refusals_that_leave_no_row_or_no_row_at_all_show_nothing() {
    let mut plan = plan();
    plan.usage.sees_refused = false;
    is(&none_refused(&run_of(plan), Which::New, &reading(NOW)), Verdict::NoData, "not observable here");
    let mut stale = reading(NOW);
    usage(&mut stale).own.clear();
    for shard in &mut usage(&mut stale).shards {
        shard.newest = Some(src(10));
    }
    is(&none_refused(&run(), Which::New, &stale), Verdict::NoData, "has no row since");
    stale.usage = None;
    is(&none_refused(&run(), Which::New, &stale), Verdict::NoData, "no usage was read");
}

#[test]
fn refusals_of_a_key_that_was_just_enabled_again_are_the_caches() {
    let mut run = run_back();
    run.since.enabled = Some(stamp(7_100));
    for (s, verdict) in [(7_129, Verdict::Pass), (7_130, Verdict::Fail)] {
        let mut refused = reading(NOW);
        usage(&mut refused).old.insert(App::new("chat"), refusal(s));
        is(&none_refused(&run, Which::Old, &refused), verdict, "");
    }
}

#[test]
fn time_is_counted_from_hold_by_the_gateways_clock() {
    let elapsed = |run: &Run, s| ask(run, Point::Drained, Ask::Elapsed { at_least: Span::minutes(5) }, &reading(s));
    let mut run = run();
    run.stamp = Some(stamp(HOLD));
    is(&elapsed(&run, HOLD + 299), Verdict::Inconclusive, "wait 1s more");
    is(&elapsed(&run, HOLD + 300), Verdict::Pass, "5m of at least 5m");
    run.since.hold = None;
    is(&elapsed(&run, HOLD + 300), Verdict::Error, "hold has not begun");
}

#[test]
fn a_role_is_waited_for_until_somebody_agrees() {
    let human = |run: &Run| ask(run, Point::BeforeDisable, Ask::Human { role: "security".into() }, &reading(NOW));
    let mut run = run();
    is(&human(&run), Verdict::Inconclusive, "waiting for security");
    run.approved = Some(Approval { record: 1, phase: Phase::Revoke, attempt: 1, by: "ann".into(), proof: Proof::Asserted });
    is(&human(&run), Verdict::Pass, "agreed by ann for revoke, asserted");
}

#[test]
fn a_kind_of_a_later_build_is_an_error() {
    let judged = ask(&run(), Point::Canary, Ask::Later { kind: "rate".into() }, &reading(NOW));
    is(&judged, Verdict::Error, "cannot judge `rate` yet");
}
