//! A provider key: our own calls pass the gateway's log by, so consumers' rows are the sign of life.

use super::fixture::*;
use crate::rotation::*;

fn provider(mut run: Run) -> Run {
    let mut plan = (*run.plan).clone();
    plan.kind = Kind::Provider { models: vec![ModelName::new("m")], all: true };
    plan.slots.clear();
    run.plan = std::sync::Arc::new(plan);
    run.slots.clear();
    run.models.insert(ModelName::new("m"), Which::New);
    run
}

/// A reading without any row of ours, in which `chat` was served with the new key at `s`.
fn served(now: i64, s: i64) -> Reading {
    let mut reading = reading(now);
    let usage = usage(&mut reading);
    usage.own.clear();
    usage.new.clear();
    usage.new.insert(App::new("chat"), uses(s));
    reading
}

fn zero(run: &Run, reading: &Reading) -> Judged {
    ask(run, Point::Drained, Ask::Zero { key: Which::Old }, reading)
}

#[test]
fn silence_counts_while_consumers_are_served_with_the_other_key() {
    let run = provider(run());
    is(&zero(&run, &served(NOW, NOW - 5)), Verdict::Pass, "no use of the old key");
    // A row from before the window is no sign of life.
    is(&zero(&run, &served(NOW, FLIP - 5)), Verdict::NoData, "no call of a consumer shows under the new key");
    // A refused call is not a served one.
    let mut refused = served(NOW, FLIP - 5);
    usage(&mut refused).new.insert(App::new("chat"), refusal(NOW - 5));
    is(&zero(&run, &refused), Verdict::NoData, "no call of a consumer");
    let mut uncounted = served(NOW, NOW - 5);
    usage(&mut uncounted).new.values_mut().for_each(|count| count.accepted = 0);
    is(&zero(&run, &uncounted), Verdict::NoData, "no call of a consumer");
}

#[test]
fn use_of_the_old_key_starts_the_window_again_whatever_the_callers_rhythm() {
    let run = provider(run());
    let mut used = served(NOW, NOW - 5);
    usage(&mut used).old.insert(App::new("chat"), uses(NOW - 3));
    let judged = zero(&run, &used);
    is(&judged, Verdict::Inconclusive, "still in use");
    assert!(judged.counts.contains_key("voids_approval"));
    // `batch` calls once a day: that it used the old key long ago, before the flip, is no reason to wait for its next call.
    let mut slow = served(NOW, NOW - 5);
    usage(&mut slow).old.insert(App::new("batch"), uses(FLIP - 5));
    is(&zero(&run, &slow), Verdict::Pass, "no use of the old key");
}

#[test]
fn soak_needs_calls_that_were_served_and_fails_at_the_first_that_was_not() {
    let run = provider(run_off());
    let soak = |r: &Reading| ask(&run, Point::Soaked, Ask::Soak { key: Which::Old, at_least: Span::seconds(60) }, r);
    let now = OFF + 200;
    is(&soak(&served(now, now - 2)), Verdict::Pass, "nobody but us was refused");
    is(&soak(&served(now, OFF - 1)), Verdict::NoData, "no call of a consumer was served with the new key");
    is(&soak(&served(now, OFF + 10)), Verdict::NoData, "no served call of a consumer shows since the end");
    let mut stranded = served(now, now - 2);
    usage(&mut stranded).old.insert(App::new("web"), refusal(OFF + 20));
    is(&soak(&stranded), Verdict::Fail, "still needed by web");
}

#[test]
fn a_key_serves_when_a_consumer_says_so_since_it_was_last_touched() {
    let run = provider(run_off());
    let serves = |r: &Reading| ask(&run, Point::Soaked, Ask::Invariant(Must::Serves(Which::New)), r);
    is(&serves(&served(OFF + 50, OFF + 40)), Verdict::Pass, "chat");
    is(&serves(&served(OFF + 50, OFF - 40)), Verdict::NoData, "no call of a consumer was served with the new key");
}
