//! `accept`, `reject` and `attributed`: what our own calls show.

use super::fixture::*;
use crate::rotation::*;
use CallClass::{Accepted, Refused};

const SETTLED: i64 = OFF + 10;

fn reject(run: &Run, reading: &Reading) -> Judged {
    ask(run, Point::Soaked, Ask::Reject { key: Which::Old }, reading)
}

/// One round of the negative test at `s`.
fn round(s: i64) -> Vec<CallFacts> {
    let pair = |e| [call(Which::Old, e, "chat", Refused, s), call(Which::New, e, "chat", Accepted, s)];
    ["r1", "r2"].into_iter().flat_map(pair).collect()
}

/// Two rounds on record and a third in the reading.
fn refused_thrice() -> (Run, Reading) {
    let mut run = run_off();
    run.tested = [round(SETTLED), round(SETTLED + 5)].concat();
    let mut reading = reading(SETTLED + 10);
    reading.calls = round(SETTLED + 10);
    (run, reading)
}

fn accept(run: &Run, key: Which, point: Point, reading: &Reading) -> Judged {
    ask(run, point, Ask::Accept { key }, reading)
}

/// A reading in which these keys are accepted everywhere in every family.
fn accepted(s: i64, keys: &[Which]) -> Reading {
    let mut reading = reading(s);
    for key in keys {
        for e in ["r1", "r2"] {
            reading.calls.extend(["chat", "tools"].map(|f| call(*key, e, f, Accepted, s)));
        }
    }
    reading
}

#[test]
fn refused_thrice_everywhere_beside_the_other_key_passes() {
    let (run, reading) = refused_thrice();
    let judged = reject(&run, &reading);
    is(&judged, Verdict::Pass, "refused 6 times at r1, r2");
}

#[test]
fn twice_is_not_thrice_and_one_replica_is_not_both() {
    let (mut run, mut reading) = refused_thrice();
    run.tested = round(SETTLED);
    is(&reject(&run, &reading), Verdict::Inconclusive, "2 of 3 times");
    let (run, _) = refused_thrice();
    reading.calls.retain(|c| c.endpoint.as_str() == "r1");
    is(&reject(&run, &reading), Verdict::NoData, "not tried at r2");
}

#[test]
fn one_replica_that_accepts_fails() {
    let (run, mut reading) = refused_thrice();
    reading.calls[2].class = Accepted;
    let judged = reject(&run, &reading);
    is(&judged, Verdict::Fail, "accepted at r2");
    assert_eq!(judged.about, ["r2"]);
    // Also when it was in an earlier reading: one success decides.
    let (mut run, reading) = refused_thrice();
    run.tested[0].class = Accepted;
    is(&reject(&run, &reading), Verdict::Fail, "accepted at r1");
}

#[test]
fn a_node_that_is_late_to_refuse_the_new_key_begins_the_count_again() {
    let (mut run, mut reading) = refused_thrice();
    for call in run.tested.iter_mut().chain(&mut reading.calls) {
        call.key = if call.key == Which::Old { Which::New } else { Which::Old };
    }
    run.control.extend(["r1", "r2"].map(|e| (Which::New, Endpoint::new(e))));
    let judge = |run: &Run, reading: &Reading| ask(run, Point::NewSoaked, Ask::Reject { key: Which::New }, reading);
    is(&judge(&run, &reading), Verdict::Pass, "refused 6 times");
    run.tested[0].class = Accepted;
    is(&judge(&run, &reading), Verdict::Inconclusive, "2 of 3 times");
    reading.calls[0].class = Accepted;
    is(&judge(&run, &reading), Verdict::Fail, "accepted at r1");
}

#[test]
fn only_a_known_refusal_is_a_refusal() {
    for class in [CallClass::OverLimit, CallClass::Forbidden, CallClass::UpstreamFault, CallClass::Down, CallClass::Unknown] {
        let (run, mut reading) = refused_thrice();
        reading.calls[0].class = class;
        is(&reject(&run, &reading), Verdict::Inconclusive, "no refusal of a credential");
    }
}

#[test]
fn without_a_positive_control_a_refusal_proves_nothing() {
    let (mut run, reading) = refused_thrice();
    run.control.remove(&(Which::Old, Endpoint::new("r2")));
    let judged = reject(&run, &reading);
    is(&judged, Verdict::Inconclusive, "refused-without-control");
    assert_eq!(judged.about, ["r2"]);
}

#[test]
fn a_new_key_that_nobody_ever_had_may_end_untried() {
    let (mut run, mut reading) = refused_thrice();
    for call in run.tested.iter_mut().chain(&mut reading.calls) {
        call.key = if call.key == Which::Old { Which::New } else { Which::Old };
    }
    run.control.retain(|(key, _)| *key == Which::Old);
    let judge = |run: &Run| ask(run, Point::NewSoaked, Ask::Reject { key: Which::New }, &reading);
    assert!(run.was_flipped());
    is(&judge(&run), Verdict::Inconclusive, "refused-without-control");
    run.since.flip = None;
    run.slots.iter_mut().for_each(|s| s.was_promoted = false);
    is(&judge(&run), Verdict::Pass, "refused 6 times");
}

#[test]
fn refusals_before_the_change_settled_do_not_count() {
    let (mut run, reading) = refused_thrice();
    run.tested = [round(SETTLED - 1), round(SETTLED - 2)].concat();
    is(&reject(&run, &reading), Verdict::Inconclusive, "1 of 3 times");
    let mut early = reading.clone();
    early.stamp = stamp(OFF + 4);
    early.source_now = Some(src(OFF + 4));
    is(&reject(&run, &early), Verdict::Inconclusive, "6s more");
    // Nor does a success: a node may not have heard of the change yet.
    run.tested[0].class = Accepted;
    is(&reject(&run, &reading), Verdict::Inconclusive, "1 of 3 times");
}

#[test]
fn the_other_key_must_be_accepted_beside_it() {
    let (run, mut reading) = refused_thrice();
    reading.calls[1].class = CallClass::Down;
    is(&reject(&run, &reading), Verdict::Inconclusive, "about something else");
    let (run, mut reading) = refused_thrice();
    reading.calls[1].at = at(SETTLED + 10 - 61);
    is(&reject(&run, &reading), Verdict::Inconclusive, "about something else");
}

#[test]
fn the_other_key_must_be_accepted_for_the_same_request() {
    let (run, mut reading) = refused_thrice();
    reading.calls[1].family = "tools".into();
    is(&reject(&run, &reading), Verdict::Inconclusive, "was not tried beside the refusal");
}

#[test]
fn a_call_from_a_clock_that_was_set_back_does_not_count() {
    let (mut run, reading) = refused_thrice();
    run.tested.push(call(Which::Old, "r1", "chat", Accepted, SETTLED + 9_000));
    is(&reject(&run, &reading), Verdict::Pass, "");
}

#[test]
fn a_deletion_starts_the_test_again() {
    let (mut run, reading) = refused_thrice();
    run.since.deleted = Some(stamp(SETTLED + 1));
    is(&reject(&run, &reading), Verdict::Inconclusive, "more to hear of the change");
}

#[test]
fn a_value_that_cannot_be_read_is_an_error() {
    let (run, mut reading) = refused_thrice();
    reading.calls.clear();
    reading.errors.insert("old_value".into(), "slot is sealed".into());
    is(&reject(&run, &reading), Verdict::Error, "slot is sealed");
}

#[test]
fn a_key_switched_off_by_others_may_have_been_accepted_before() {
    let (mut run, reading) = refused_thrice();
    run.old = OldKey::OffByOthers;
    run.since.disabled = None;
    run.tested.insert(0, call(Which::Old, "r1", "chat", Accepted, HOLD + 100));
    is(&reject(&run, &reading), Verdict::Pass, "");
}

#[test]
fn accepted_in_every_family_everywhere_passes() {
    let judged = accept(&run(), Which::New, Point::Canary, &accepted(NOW, &[Which::New]));
    is(&judged, Verdict::Pass, "4 of 4 tries");
}

#[test]
fn a_family_that_was_not_tried_is_no_data() {
    let mut part = accepted(NOW, &[Which::New]);
    part.calls.pop();
    is(&accept(&run(), Which::New, Point::Canary, &part), Verdict::NoData, "tools at r2");
    let mut plan = plan();
    plan.probes.clear();
    is(&accept(&run_of(plan), Which::New, Point::Canary, &part), Verdict::Error, "no probe");
    part.errors.insert("new_value".into(), "gone".into());
    is(&accept(&run(), Which::New, Point::Canary, &part), Verdict::Error, "gone");
}

#[test]
fn a_refusal_fails_once_every_node_had_time() {
    let mut run = run();
    run.changed = Some((stamp(NOW - 30), false));
    for (s, verdict) in [(NOW - 1, Verdict::Inconclusive), (NOW, Verdict::Fail)] {
        let mut refused = accepted(s, &[Which::New]);
        refused.calls[3].class = Refused;
        is(&accept(&run, Which::New, Point::Canary, &refused), verdict, "tools at r2");
    }
}

#[test]
fn a_limit_only_the_new_key_meets_makes_it_narrower() {
    for class in [CallClass::OverLimit, CallClass::Forbidden] {
        let mut narrow = accepted(NOW, &[Which::New, Which::Old]);
        narrow.calls[0].class = class;
        is(&accept(&run(), Which::New, Point::Canary, &narrow), Verdict::Fail, "narrower");
        // The old key meets it too: not the new key's fault.
        narrow.calls[4].class = class;
        is(&accept(&run(), Which::New, Point::Canary, &narrow), Verdict::Inconclusive, "no better");
        // The old key alone: nothing of our doing.
        narrow.calls[0].class = Accepted;
        is(&accept(&run(), Which::Old, Point::Prepared, &narrow), Verdict::Inconclusive, "look at the limits");
    }
}

#[test]
fn faults_elsewhere_are_not_the_keys() {
    for class in [CallClass::UpstreamFault, CallClass::Down, CallClass::Unknown] {
        let mut fault = accepted(NOW, &[Which::New, Which::Old]);
        fault.calls[0].class = class;
        is(&accept(&run(), Which::New, Point::Canary, &fault), Verdict::Inconclusive, "chat at r1");
    }
}

#[test]
fn a_failure_outweighs_what_is_unclear() {
    let mut mixed = accepted(NOW, &[Which::New]);
    mixed.calls[0].class = CallClass::Down;
    mixed.calls[1].class = Refused;
    is(&accept(&run(), Which::New, Point::Canary, &mixed), Verdict::Fail, "tools at r1");
}

#[test]
fn a_key_that_was_enabled_again_must_be_accepted_for_longer_than_a_node_lags() {
    let mut run = run_back();
    run.since.enabled = Some(stamp(NOW - 60));
    let old = |s| accepted(s, &[Which::Old]).calls;
    run.tested = [old(NOW - 5), old(NOW - 2)].concat();
    is(&accept(&run, Which::Old, Point::OldAccepted, &accepted(NOW, &[Which::Old])), Verdict::Inconclusive, "over 5s");
    run.tested = [old(NOW - 11), old(NOW - 2)].concat();
    is(&accept(&run, Which::Old, Point::OldAccepted, &accepted(NOW, &[Which::Old])), Verdict::Pass, "");
    // A refusal in between starts the count again.
    run.tested.push(call(Which::Old, "r1", "chat", Refused, NOW - 10));
    is(&accept(&run, Which::Old, Point::OldAccepted, &accepted(NOW, &[Which::Old])), Verdict::Inconclusive, "over 2s");
    run.tested.clear();
    run.since.enabled = None;
    is(&accept(&run, Which::Old, Point::OldAccepted, &accepted(NOW, &[Which::Old])), Verdict::Pass, "");
}

/// Two accepted calls with the new key, a minute old, and their rows.
fn attributed() -> (Run, Reading) {
    let mut run = run();
    run.tested = ["r1", "r2"].map(|e| call(Which::New, e, "chat", Accepted, NOW - 60)).to_vec();
    let mut reading = reading(NOW);
    for c in &run.tested {
        usage(&mut reading).own.insert(c.request.clone(), own(Some(Which::New), false, NOW - 60));
    }
    (run, reading)
}

fn is_attributed(run: &Run, reading: &Reading) -> Judged {
    ask(run, Point::Canary, Ask::Attributed, reading)
}

#[test]
fn our_calls_under_the_new_id_and_the_old_owner_pass() {
    let (run, mut reading) = attributed();
    is(&is_attributed(&run, &reading), Verdict::Pass, "2 of 2");
    // A call made just now has no row yet: that is no reason to wait for ever.
    reading.calls.push(call(Which::New, "r1", "tools", Accepted, NOW));
    is(&is_attributed(&run, &reading), Verdict::Pass, "2 of 3");
}

#[test]
fn the_wrong_owner_or_key_fails() {
    let (run, good) = attributed();
    let id = run.tested[0].request.clone();
    let row = own(Some(Which::New), false, NOW - 60);
    for (row, says) in [
        (OwnRow { owner: "team-x".into(), ..row.clone() }, "under owner team-x"),
        (OwnRow { key: Some(Which::Old), ..row.clone() }, "under the old one"),
        (OwnRow { key: None, ..row.clone() }, "under neither key"),
    ] {
        let mut bad = good.clone();
        usage(&mut bad).own.insert(id.clone(), row);
        is(&is_attributed(&run, &bad), Verdict::Fail, says);
    }
}

#[test]
fn rows_that_do_not_come_are_waited_for_and_none_is_no_data() {
    let (run, mut reading) = attributed();
    usage(&mut reading).own.remove(&run.tested[0].request);
    is(&is_attributed(&run, &reading), Verdict::Inconclusive, "1 of 2");
    usage(&mut reading).own.clear();
    is(&is_attributed(&run, &reading), Verdict::NoData, "none of 2");
    let (mut run, reading) = attributed();
    run.tested.clear();
    is(&is_attributed(&run, &reading), Verdict::NoData, "nothing to look for");
}

#[test]
fn calls_from_before_the_window_need_no_row() {
    let (mut run, mut reading) = attributed();
    run.tested.push(call(Which::New, "r1", "chat", Accepted, NOW - 200));
    is(&is_attributed(&run, &reading), Verdict::Inconclusive, "1 of the others later than its lag");
    usage(&mut reading).from = src(NOW - 100);
    is(&is_attributed(&run, &reading), Verdict::Pass, "2 of 2");
}

#[test]
fn rows_without_any_owner_prove_no_owner() {
    let (run, mut reading) = attributed();
    for row in usage(&mut reading).own.values_mut() {
        row.owner.clear();
    }
    is(&is_attributed(&run, &reading), Verdict::NoData, "names no owner");
}
