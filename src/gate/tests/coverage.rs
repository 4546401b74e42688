//! `coverage`: who is on the key, by sight or by word.

use super::fixture::*;
use crate::rotation::*;

fn all(run: &Run, reading: &Reading) -> Judged {
    ask(run, Point::Drained, Ask::Coverage { key: Which::New }, reading)
}

fn reloaded(app: &str, run: &Run, reading: &Reading) -> Judged {
    ask(run, Point::Reloaded(App::new(app)), Ask::Coverage { key: Which::New }, reading)
}

/// Nobody is seen on the new key.
fn unseen(s: i64) -> Reading {
    let mut reading = reading(s);
    usage(&mut reading).new.clear();
    reading
}

/// A run whose `worker` was just reloaded.
fn just_reloaded() -> Run {
    let mut run = run();
    run.phase = Phase::Flip;
    run.stamp = Some(stamp(FLIP));
    run
}

#[test]
fn everybody_seen_since_the_move_passes() {
    let judged = all(&run(), &reading(NOW));
    is(&judged, Verdict::Pass, "3 of 3 consumers");
    assert_eq!((judged.counts["seen"], judged.counts["missing"]), (3, 0));
}

#[test]
fn a_missing_consumer_is_named_with_its_owner_and_its_way() {
    let mut without = reading(NOW);
    usage(&mut without).new.remove(&App::new("batch"));
    let judged = all(&run(), &without);
    is(&judged, Verdict::Inconclusive, "2 of 3 consumers seen on the new key; waiting for batch (owner team-data): reload it (restart)");
    assert_eq!(judged.about, ["batch"]);
}

#[test]
fn a_row_from_before_its_reload_does_not_count() {
    // `chat` was reloaded at 50; the gateway's clock is five seconds ahead.
    for (s, verdict) in [(49, Verdict::Inconclusive), (50, Verdict::Pass)] {
        let mut early = reading(NOW);
        usage(&mut early).new.insert(App::new("chat"), uses(s));
        is(&all(&run(), &early), verdict, "");
    }
}

#[test]
fn a_reload_of_an_earlier_flip_says_nothing() {
    let mut run = run();
    run.flip = 2;
    run.since.flip = Some(stamp(5_000));
    let mut early = reading(NOW);
    usage(&mut early).new.insert(App::new("chat"), uses(4_999));
    is(&all(&run, &early), Verdict::Inconclusive, "chat");
}

#[test]
fn refusals_on_the_key_are_not_being_on_it() {
    let mut refused = reading(NOW);
    usage(&mut refused).new.insert(App::new("chat"), refusal(NOW - 5));
    is(&all(&run(), &refused), Verdict::Inconclusive, "chat");
}

#[test]
fn an_acknowledgement_with_the_value_counts() {
    let mut told = unseen(NOW);
    for app in ["chat", "worker", "batch"] {
        told.acks.push(ack(app, FLIP + 1, Some("b")));
    }
    let judged = all(&run(), &told);
    is(&judged, Verdict::Pass, "");
    assert_eq!(judged.counts["acknowledged"], 3);
}

#[test]
fn an_acknowledgement_may_name_the_keys_id_instead() {
    let mut told = reading(NOW);
    usage(&mut told).new.remove(&App::new("worker"));
    told.acks.push(Ack { key: Some(KeyId::new("new")), ..ack("worker", FLIP, None) });
    is(&all(&run(), &told), Verdict::Pass, "");
    told.acks[0].key = Some(KeyId::new("old"));
    is(&all(&run(), &told), Verdict::Inconclusive, "another value");
}

#[test]
fn an_acknowledgement_without_a_value_counts_for_nothing() {
    let mut told = reading(NOW);
    usage(&mut told).new.remove(&App::new("worker"));
    told.acks.push(ack("worker", FLIP + 1, None));
    is(&all(&run(), &told), Verdict::Inconclusive, "without saying which value");
}

#[test]
fn a_restart_that_loaded_the_old_value_counts_for_nothing() {
    let mut told = reading(NOW);
    usage(&mut told).new.remove(&App::new("worker"));
    told.acks.push(ack("worker", FLIP + 1, Some("a")));
    is(&all(&run(), &told), Verdict::Inconclusive, "holds another value");
}

#[test]
fn an_acknowledgement_of_an_earlier_flip_counts_for_nothing() {
    // Back on the old key: an answer that holds it, but from before anybody moved.
    let run = run_back();
    let returned = |r: &Reading| ask(&run, Point::Returned(App::new("worker")), Ask::Coverage { key: Which::Old }, r);
    let mut told = unseen(NOW);
    told.acks.push(ack("worker", 30, Some("a")));
    is(&returned(&told), Verdict::Inconclusive, "before it was moved");
    told.acks[0].loaded_at = src(7_000);
    is(&returned(&told), Verdict::Pass, "");
}

#[test]
fn one_part_on_the_old_value_spoils_the_word_of_the_others() {
    let mut told = reading(NOW);
    usage(&mut told).new.remove(&App::new("worker"));
    told.acks.push(ack("worker", FLIP + 1, Some("b")));
    told.acks.push(ack("worker", FLIP + 1, Some("a")));
    is(&all(&run(), &told), Verdict::Inconclusive, "another value");
}

#[test]
fn an_exception_is_named_and_ends() {
    let mut without = reading(NOW);
    usage(&mut without).new.remove(&App::new("batch"));
    let mut run = run();
    run.exceptions.push(Exception { app: App::new("batch"), until: at(NOW + 1), owner: "o".into(), why: "w".into() });
    is(&all(&run, &without), Verdict::Pass, "under an exception: batch");
    run.exceptions[0].until = at(NOW);
    is(&all(&run, &without), Verdict::Inconclusive, "batch");
}

#[test]
fn nobody_listed_is_an_error_except_for_a_provider_key() {
    let mut plan = plan();
    plan.consumers.clear();
    is(&all(&run_of(plan.clone()), &reading(NOW)), Verdict::Error, "no consumers listed");
    plan.kind = Kind::Provider { models: vec![], all: true };
    is(&all(&run_of(plan), &reading(NOW)), Verdict::Pass, "no consumer of its own");
}

#[test]
fn a_reload_without_an_answer_turns_the_run_only_after_its_time() {
    // `worker` was reloaded at 55 and has 30 seconds.
    for (s, verdict) in [(84, Verdict::Inconclusive), (85, Verdict::Fail)] {
        is(&reloaded("worker", &just_reloaded(), &unseen(s)), verdict, "worker (owner team-work)");
    }
}

#[test]
fn a_reload_that_could_not_be_asked_about_never_turns_the_run() {
    let mut deaf = unseen(200);
    deaf.errors.insert("ack_worker".into(), "connection refused".into());
    is(&reloaded("worker", &just_reloaded(), &deaf), Verdict::Error, "connection refused");
}

#[test]
fn where_only_the_log_could_tell_a_late_log_never_turns_the_run() {
    let mut late = unseen(200);
    usage(&mut late).shards[0].newest = Some(src(60));
    let mut plan = plan();
    plan.consumers[0].cadence = Span::seconds(5);
    let mut run = run_of(plan);
    run.stamp = Some(stamp(FLIP));
    is(&reloaded("chat", &run, &late), Verdict::Inconclusive, "chat");
    is(&reloaded("chat", &run, &unseen(200)), Verdict::Fail, "after its reload");
}

#[test]
fn a_slow_silent_consumer_is_waited_for_in_the_drain_not_at_its_reload() {
    let judged = reloaded("batch", &just_reloaded(), &unseen(FLIP + 1));
    is(&judged, Verdict::Pass, "acknowledges at its next call");
    assert_eq!(judged.counts["at_next_call"], 1);
    is(&all(&just_reloaded(), &unseen(FLIP + 1)), Verdict::Inconclusive, "batch");
}

#[test]
fn a_silent_consumer_that_names_another_value_is_not_waited_for_in_the_drain() {
    let mut wrong = unseen(FLIP + 1);
    wrong.acks.push(ack("batch", FLIP + 1, Some("a")));
    is(&reloaded("batch", &just_reloaded(), &wrong), Verdict::Inconclusive, "another value");
}

#[test]
fn a_consumer_that_does_not_come_back_never_fails_the_way_back() {
    let judged = ask(&run_back(), Point::Returned(App::new("worker")), Ask::Coverage { key: Which::Old }, &unseen(NOW));
    is(&judged, Verdict::Inconclusive, "worker");
}

#[test]
fn what_nothing_could_show_has_no_data() {
    let mut plan = plan();
    plan.usage.names_caller = false;
    plan.consumers.truncate(1);
    is(&all(&run_of(plan), &unseen(NOW)), Verdict::NoData, "names no caller");
}

#[test]
fn the_first_reload_of_a_flip_bounds_those_that_read_by_themselves() {
    let mut plan = plan();
    plan.consumers[0].reload = Reload::Dynamic { ttl: Span::seconds(10) };
    let mut run = run_of(plan);
    run.reloads.remove(&App::new("chat"));
    for (loaded, verdict) in [(54, Verdict::Inconclusive), (55, Verdict::Pass)] {
        let mut told = reading(NOW);
        usage(&mut told).new.remove(&App::new("chat"));
        told.acks.push(ack("chat", loaded, Some("b")));
        is(&all(&run, &told), verdict, "");
    }
}
