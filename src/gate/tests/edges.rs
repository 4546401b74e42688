//! One instant, one row, or one call more or less: where each rule turns over. Found by changing the rules one operator at a time.

use super::fixture::*;
use crate::rotation::*;
use CallClass::{Accepted, Refused};

fn drained(run: &Run, reading: &Reading) -> Judged {
    ask(run, Point::Drained, Ask::Zero { key: Which::Old }, reading)
}

fn voids(judged: &Judged) -> bool {
    judged.counts.contains_key("voids_approval")
}

/// A run whose key was enabled again a minute ago, and what its last look showed.
fn enabled_again() -> (Run, Reading) {
    let mut run = run_back();
    run.since.enabled = Some(stamp(NOW - 60));
    let mut reading = reading(NOW);
    for e in ["r1", "r2"] {
        reading.calls.extend(["chat", "tools"].map(|f| call(Which::Old, e, f, Accepted, NOW)));
    }
    (run, reading)
}

fn everywhere(key: Which, class: CallClass, s: i64) -> [CallFacts; 2] {
    ["r1", "r2"].map(|e| call(key, e, "chat", class, s))
}

fn old_accepted(run: &Run, reading: &Reading) -> Judged {
    ask(run, Point::OldAccepted, Ask::Accept { key: Which::Old }, reading)
}

#[test]
fn three_successes_over_more_than_the_settling_time_and_no_fewer() {
    let (mut run, reading) = enabled_again();
    run.tested = everywhere(Which::Old, Accepted, NOW - 11).to_vec();
    is(&old_accepted(&run, &reading), Verdict::Pass, "4 of 4 tries");
    run.tested = everywhere(Which::Old, Accepted, NOW - 10).to_vec();
    is(&old_accepted(&run, &reading), Verdict::Inconclusive, "accepted 3 of 3 times since it was enabled, over 10s");
    let mut two = reading.clone();
    for call in two.calls.iter_mut().filter(|c| c.family == "chat") {
        call.at = at(NOW - 20);
    }
    run.tested.clear();
    is(&old_accepted(&run, &two), Verdict::Inconclusive, "accepted 2 of 3 times since it was enabled, over 20s");
    run.caps.settles_in = Span::ZERO;
    run.tested = everywhere(Which::Old, Accepted, NOW).to_vec();
    is(&old_accepted(&run, &reading), Verdict::Pass, "");
}

#[test]
fn only_calls_of_that_key_there_and_since_it_was_enabled_count() {
    for (call, says) in [
        (everywhere(Which::New, Accepted, NOW - 20), "of the other key"),
        (everywhere(Which::Old, Accepted, NOW - 61), "from before it was enabled"),
        (everywhere(Which::Old, Accepted, NOW + 100), "from the future"),
        (everywhere(Which::Old, Accepted, NOW - 20).map(|c| CallFacts { endpoint: Endpoint::new("r3"), ..c }), "from elsewhere"),
    ] {
        let (mut run, reading) = enabled_again();
        run.tested = call.to_vec();
        let judged = old_accepted(&run, &reading);
        assert_eq!(judged.verdict, Verdict::Inconclusive, "{says}");
        assert!(judged.why.contains("accepted 2 of 3 times"), "{says}: {}", judged.why);
    }
}

#[test]
fn a_success_at_the_instant_of_a_refusal_is_not_after_it() {
    let (mut run, reading) = enabled_again();
    run.tested = [everywhere(Which::Old, Accepted, NOW - 30), everywhere(Which::Old, Refused, NOW - 30)].concat();
    is(&old_accepted(&run, &reading), Verdict::Inconclusive, "accepted 2 of 3 times");
    run.tested = [everywhere(Which::Old, Accepted, NOW - 30), everywhere(Which::Old, Refused, NOW - 31)].concat();
    is(&old_accepted(&run, &reading), Verdict::Pass, "");
}

#[test]
fn an_unclear_answer_is_named_as_what_it_is() {
    for (class, name, hint) in [
        (CallClass::OverLimit, "a limit (status 429)", "look at the limits"),
        (CallClass::Forbidden, "a prohibition (status 403)", "look at the limits"),
        (CallClass::UpstreamFault, "a fault of the provider (status 502)", "wait for it"),
        (CallClass::Down, "no working gateway (status 0)", "bring it back"),
        (CallClass::Unknown, "an answer that is not known (status 404)", "look at that endpoint's log"),
    ] {
        let (run, mut reading) = enabled_again();
        reading.calls[0].class = class;
        reading.calls[0].status = call(Which::Old, "r1", "chat", class, 0).status;
        let judged = old_accepted(&run, &reading);
        is(&judged, Verdict::Inconclusive, name);
        assert!(judged.why.contains(hint), "{}", judged.why);
    }
}

#[test]
fn on_the_way_back_the_new_keys_time_still_begins_at_its_own_flip() {
    let mut run = run_back();
    run.reloads.insert(App::new("chat"), (2, stamp(7_010)));
    let mut early = reading(NOW);
    usage(&mut early).new.insert(App::new("chat"), refusal(5_000));
    is(&ask(&run, Point::Flipped, Ask::Invariant(Must::NoneRefused(Which::New)), &early), Verdict::Fail, "chat");
    usage(&mut early).new.insert(App::new("chat"), uses(5_000));
    is(&ask(&run, Point::Drained, Ask::Coverage { key: Which::New }, &early), Verdict::Pass, "3 of 3");
}

#[test]
fn a_word_may_be_older_than_the_move_by_the_jitter_of_two_clocks_and_no_more() {
    // `worker` was reloaded at 55.
    for (before, verdict) in [(250, Verdict::Pass), (251, Verdict::Inconclusive)] {
        let mut told = reading(NOW);
        usage(&mut told).new.remove(&App::new("worker"));
        told.acks.push(ack("worker", 55, Some("b")));
        told.acks[0].loaded_at = Time(src(55).0 - before);
        is(&ask(&run(), Point::Drained, Ask::Coverage { key: Which::New }, &told), verdict, "");
    }
}

#[test]
fn a_word_that_names_a_value_nobody_can_compare_needs_the_keys_id() {
    let mut run = run_back();
    let mut plan = plan();
    plan.slots[0].current_is = None;
    run.plan = std::sync::Arc::new(plan);
    let returned = |r: &Reading| ask(&run, Point::Returned(App::new("worker")), Ask::Coverage { key: Which::Old }, r);
    let mut told = reading(NOW);
    told.acks.push(ack("worker", 7_001, Some("a")));
    is(&returned(&told), Verdict::Inconclusive, "it names a value, and the old value is not known here");
    told.acks[0].key = Some(KeyId::new("old"));
    is(&returned(&told), Verdict::Pass, "");
    told.acks[0].key = Some(KeyId::new("new"));
    is(&returned(&told), Verdict::Inconclusive, "holds another value");
}

#[test]
fn a_consumer_that_calls_within_the_time_of_a_reload_is_waited_for_there() {
    let mut plan = plan();
    plan.consumers[0].cadence = Span::seconds(30);
    let mut silent = reading(FLIP + 1);
    usage(&mut silent).new.clear();
    let chat = |plan: &Plan| {
        let mut run = run_of(plan.clone());
        run.stamp = Some(stamp(FLIP));
        ask(&run, Point::Reloaded(App::new("chat")), Ask::Coverage { key: Which::New }, &silent)
    };
    is(&chat(&plan), Verdict::Inconclusive, "0 of 1 consumer seen");
    plan.consumers[0].cadence = Span(30_001);
    is(&chat(&plan), Verdict::Pass, "acknowledges at its next call");
}

#[test]
fn what_could_still_be_shown_is_waited_for() {
    let mut plan = plan();
    plan.usage.names_caller = false;
    plan.consumers[0].cadence = Span::seconds(5);
    let mut silent = reading(200);
    usage(&mut silent).new.clear();
    let asked = |plan: &Plan, only: usize, reading: &Reading| {
        let mut plan = plan.clone();
        plan.consumers = vec![plan.consumers[only].clone()];
        let app = plan.consumers[0].app.clone();
        let mut run = run_of(plan);
        run.stamp = Some(stamp(FLIP));
        [Point::Drained, Point::Reloaded(app)].map(|p| ask(&run, p, Ask::Coverage { key: Which::New }, reading).verdict)
    };
    // `worker` would tell by itself; `chat` would not, and the log names nobody.
    assert_eq!(asked(&plan, 1, &silent), [Verdict::Inconclusive, Verdict::Fail]);
    assert_eq!(asked(&plan, 0, &silent), [Verdict::NoData, Verdict::NoData]);
    let mut other = silent.clone();
    other.acks.push(ack("worker", FLIP, Some("a")));
    assert_eq!(asked(&plan, 0, &other), [Verdict::NoData, Verdict::NoData]);
    let mut own = silent.clone();
    own.acks.push(ack("chat", FLIP, Some("a")));
    assert_eq!(asked(&plan, 0, &own), [Verdict::Inconclusive, Verdict::Inconclusive]);
    // Where the log names callers, it must have got that far.
    plan.usage.names_caller = true;
    assert_eq!(asked(&plan, 0, &silent), [Verdict::Inconclusive, Verdict::Fail]);
    usage(&mut silent).shards[0].newest = None;
    assert_eq!(asked(&plan, 0, &silent), [Verdict::Inconclusive, Verdict::Inconclusive]);
}

#[test]
fn one_name_of_three_and_one_more_than_three() {
    let mut plan = plan();
    plan.consumers =
        (1..=4).map(|i| ConsumerPlan { app: App::new(format!("c{i}")), seen_as: vec![], ..plan.consumers[0].clone() }).collect();
    let judged = |plan: &Plan| ask(&run_of(plan.clone()), Point::Drained, Ask::Coverage { key: Which::New }, &reading(NOW));
    let four = judged(&plan);
    is(&four, Verdict::Inconclusive, "0 of 4 consumers seen");
    assert!(four.why.ends_with(" and 1 more") && four.why.contains("c3 (owner") && !four.why.contains("c4 (owner"), "{}", four.why);
    plan.consumers.truncate(3);
    let three = judged(&plan);
    assert!(three.why.contains("c3 (owner") && !three.why.contains("more"), "{}", three.why);
}

#[test]
fn what_can_be_done_is_said_with_what_does_not_hold() {
    for (must, says) in [
        (Must::SlotsHoldOld, "name the key that the slots really hold"),
        (Must::PendingIsNew, "find out who before going on"),
        (Must::SlotsHold(Which::New), "look at the slot's history"),
        (Must::AdminDiffers, "would lock keyroll out"),
        (Must::WayBack, "consumers could not be put back"),
        (Must::NoneNew, "keyroll orphans"),
        (Must::Absent(Which::Old), "look at the gateway's console"),
        (Must::CadenceKnown, "write a `cadence:`"),
        (Must::EvidenceComplete, "waive it by name"),
    ] {
        let mut read = reading(NOW);
        read.facts.insert(must.key(), Looked { holds: false, seen: "seen".into() });
        is(&ask(&run(), Point::Bound, Ask::Invariant(must), &read), Verdict::Fail, says);
    }
}

#[test]
fn counts_without_a_time_are_from_just_now_and_empty_ones_are_nothing() {
    let none_refused = |r: &Reading| ask(&run(), Point::Flipped, Ask::Invariant(Must::NoneRefused(Which::New)), r);
    let mut counted = reading(NOW);
    usage(&mut counted).new.insert(App::new("chat"), CallerCount::default());
    is(&none_refused(&counted), Verdict::Pass, "");
    usage(&mut counted).new.insert(App::new("chat"), CallerCount { refused: 1, ..CallerCount::default() });
    is(&none_refused(&counted), Verdict::Fail, "chat");
    let mut old = reading(NOW);
    usage(&mut old).old.insert(App::new("chat"), CallerCount::default());
    usage(&mut old).old.insert(App::new("ghost"), CallerCount::default());
    is(&drained(&run(), &old), Verdict::Pass, "");
    is(&ask(&run(), Point::Drained, Ask::UnknownCallers, &old), Verdict::Pass, "");
    usage(&mut old).old.insert(App::new("chat"), CallerCount { other: 1, ..CallerCount::default() });
    is(&drained(&run(), &old), Verdict::Inconclusive, "still in use");
    usage(&mut old).old.insert(App::new("ghost"), CallerCount { other: 1, ..CallerCount::default() });
    is(&drained(&run(), &old), Verdict::Inconclusive, "ghost (in no consumer entry)");
}

#[test]
fn across_boots_the_wall_clock_tells_how_long_ago_something_was() {
    let elapsed = |run: &Run, r: &Reading| ask(run, Point::Drained, Ask::Elapsed { at_least: Span::minutes(5) }, r);
    for (then, now) in [("before", "boot"), ("", "")] {
        let mut run = run();
        run.since.hold = Some(Stamp { boot: then.into(), mono: 0, ..stamp(HOLD) });
        run.stamp = None;
        let mut read = reading(HOLD + 299);
        read.stamp.boot = now.into();
        is(&elapsed(&run, &read), Verdict::Inconclusive, "wait 1s more");
    }
}

#[test]
fn clocks_that_differ_say_which_way() {
    for (apart, way) in [(61, "ours is behind the gateway's"), (-61, "ours is ahead of the gateway's")] {
        let mut off = reading(NOW);
        off.source_now = Some(at(NOW + apart));
        is(&drained(&run(), &off), Verdict::Error, way);
    }
    for (jump, way) in [(61_000, "jumped ahead by 1m 1s"), (-61_000, "jumped back by 1m 1s")] {
        let mut woke = reading(NOW);
        woke.stamp.at = Time(woke.stamp.at.0 + jump);
        is(&drained(&run(), &woke), Verdict::Error, way);
    }
}

#[test]
fn the_negative_test_begins_at_the_instant_the_change_has_settled() {
    let mut run = run_off();
    run.stamp = Some(stamp(OFF));
    let mut first = reading(OFF + 10);
    first.calls = everywhere(Which::Old, Refused, OFF + 10).into_iter().chain(everywhere(Which::New, Accepted, OFF + 10)).collect();
    let reject = |run: &Run, r: &Reading| ask(run, Point::Soaked, Ask::Reject { key: Which::Old }, r);
    is(&reject(&run, &first), Verdict::Inconclusive, "refused 1 of 3 times");
    first.calls[0].class = CallClass::Down;
    first.calls[0].status = 0;
    is(&reject(&run, &first), Verdict::Inconclusive, "the old key met no working gateway (status 0)");
    // Somebody else's switch, but our own deletion: a success after that is one.
    let mut gone = run_off();
    gone.since.disabled = None;
    gone.since.deleted = Some(stamp(OFF));
    gone.tested = everywhere(Which::Old, Accepted, OFF + 11).to_vec();
    let mut later = reading(OFF + 20);
    later.calls = everywhere(Which::Old, Refused, OFF + 20).into_iter().chain(everywhere(Which::New, Accepted, OFF + 20)).collect();
    is(&reject(&gone, &later), Verdict::Fail, "accepted at r2");
}

#[test]
fn as_many_rows_as_the_keys_name_are_enough() {
    let mut exact = reading(NOW);
    usage(&mut exact).rows = 3;
    is(&drained(&run(), &exact), Verdict::Pass, "");
}

#[test]
fn a_part_is_named_behind_only_when_it_is_by_itself() {
    // Lag 2 s, longest request 3 s, four polls of 10 s, and one call of 10 s are allowed.
    let early = HOLD + 600;
    let mut run = run();
    run.stamp = Some(stamp(early));
    for (late, who) in [(55, "the usage is 1m behind"), (56, "b is 1m 1s behind")] {
        let mut behind = reading(early);
        usage(&mut behind).shards[1].newest = Some(src(early - late));
        is(&drained(&run, &behind), Verdict::NoData, who);
    }
    let mut within = reading(early);
    usage(&mut within).shards[1].newest = Some(src(early - 50));
    is(&drained(&run, &within), Verdict::Inconclusive, "of the window of 1h");
}

#[test]
fn a_window_that_is_just_covered_needs_no_more_of_a_part_that_fell_behind() {
    let mut covered = reading(NOW);
    usage(&mut covered).shards[1].newest = Some(src(HOLD + 3_600 + 5));
    is(&drained(&run(), &covered), Verdict::Pass, "");
    usage(&mut covered).shards[1].newest = Some(Time(src(HOLD + 3_600 + 5).0 - 1));
    is(&drained(&run(), &covered), Verdict::NoData, "b is");
}

#[test]
fn a_use_ends_an_approval_while_its_window_runs_or_is_not_yet_covered() {
    let used = |s: i64| {
        let mut used = reading(NOW);
        usage(&mut used).old.insert(App::new("chat"), uses(s));
        used
    };
    // The window has run out, and the usage does not cover its end yet.
    let judged = drained(&run(), &used(NOW - 3_602));
    is(&judged, Verdict::Inconclusive, "still in use");
    assert!(voids(&judged));
    // Nothing is known, but the use is a window ago.
    for (s, expected) in [(NOW - 3_599, true), (NOW - 3_600, false), (NOW - 3_700, false)] {
        let mut silent = used(s);
        usage(&mut silent).shards[1].newest = None;
        let judged = drained(&run(), &silent);
        assert_eq!((judged.verdict, voids(&judged)), (Verdict::NoData, expected), "{s}");
    }
}

#[test]
fn a_use_at_the_first_instant_of_the_window_is_before_it() {
    for (s, used) in [(HOLD, 0), (HOLD + 1, 1)] {
        let mut read = reading(NOW);
        usage(&mut read).old.insert(App::new("chat"), uses(s));
        let judged = drained(&run(), &read);
        is(&judged, Verdict::Pass, "");
        assert_eq!(judged.counts["used"], used);
    }
}

#[test]
fn the_slowest_silent_consumer_decides_to_the_second() {
    let day = 86_400;
    for (s, verdict, says) in [(NOW - 5 - day, Verdict::Pass, ""), (NOW - 4 - day, Verdict::Inconclusive, "wait 1s more")] {
        let mut read = reading(NOW);
        usage(&mut read).old.insert(App::new("batch"), uses(s));
        is(&drained(&run(), &read), verdict, says);
    }
    let mut plan = plan();
    plan.consumers[0].cadence = Span::hours(24);
    for (chat, who) in [(30, "batch"), (31, "chat"), (29, "batch")] {
        let mut read = reading(NOW);
        usage(&mut read).old.insert(App::new("batch"), uses(30));
        usage(&mut read).old.insert(App::new("chat"), uses(chat));
        is(&drained(&run_of(plan.clone()), &read), Verdict::Inconclusive, &format!("{who} (owner"));
    }
}

#[test]
fn a_bound_without_a_fraction_is_written_without_one() {
    let mut read = reading(HOLD + 3_605);
    usage(&mut read).new.clear();
    let mut run = run();
    run.stamp = Some(stamp(HOLD + 3_600));
    is(&drained(&run, &read), Verdict::Pass, "zero calls in 1h means at most 72 a day (95 %)");
}

#[test]
fn only_our_accepted_calls_with_the_new_key_must_show() {
    let attributed = |run: &Run, r: &Reading| ask(run, Point::Canary, Ask::Attributed, r);
    let rows = |run: &Run, s: i64| {
        let mut read = reading(NOW);
        for c in &run.tested {
            usage(&mut read).own.insert(c.request.clone(), own(Some(Which::New), false, s));
        }
        read
    };
    let mut run = run();
    run.tested = everywhere(Which::New, Accepted, NOW - 60).to_vec();
    let read = rows(&run, NOW - 60);
    run.tested.push(call(Which::Old, "r1", "tools", Accepted, NOW - 60));
    run.tested.push(call(Which::New, "r1", "tools", Refused, NOW - 60));
    is(&attributed(&run, &read), Verdict::Pass, "2 of 2");
    // Made just now: all that show are enough, some are not yet.
    run.tested = everywhere(Which::New, Accepted, NOW).to_vec();
    let mut fresh = rows(&run, NOW);
    is(&attributed(&run, &fresh), Verdict::Pass, "2 of 2");
    usage(&mut fresh).own.remove(&run.tested[0].request);
    is(&attributed(&run, &fresh), Verdict::Inconclusive, "1 of 2");
}

#[test]
fn an_owner_is_compared_where_both_sides_name_one() {
    let attributed = |run: &Run, r: &Reading| ask(run, Point::Canary, Ask::Attributed, r);
    let mut run = run();
    run.tested = everywhere(Which::New, Accepted, NOW - 60).to_vec();
    let mut read = reading(NOW);
    for (c, owner) in run.tested.iter().zip(["", "team-chat"]) {
        usage(&mut read).own.insert(c.request.clone(), OwnRow { owner: owner.into(), ..own(Some(Which::New), false, NOW - 60) });
    }
    is(&attributed(&run, &read), Verdict::Pass, "owner team-chat, as before");
    let mut plan = plan();
    plan.old.owner.clear();
    run.plan = std::sync::Arc::new(plan);
    is(&attributed(&run, &read), Verdict::Pass, "knows no owner");
}

#[test]
fn a_pipe_that_broke_after_the_window_is_no_silence_either() {
    // What is recent is 55 seconds: lag, longest request, four polls, one call.
    for (s, verdict) in [(HOLD + 3_700, Verdict::NoData), (NOW - 56, Verdict::NoData), (NOW - 55, Verdict::Pass)] {
        let mut broken = reading(NOW);
        usage(&mut broken).own.insert(RequestId::new("tracer"), own(Some(Which::New), false, s));
        is(&drained(&run(), &broken), verdict, "");
    }
}
