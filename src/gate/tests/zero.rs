//! `zero` and `unknown_callers`.

use super::fixture::*;
use crate::rotation::*;

fn drained(run: &Run, reading: &Reading) -> Judged {
    ask(run, Point::Drained, Ask::Zero { key: Which::Old }, reading)
}

fn unknown(run: &Run, reading: &Reading) -> Judged {
    ask(run, Point::Drained, Ask::UnknownCallers, reading)
}

#[test]
fn silence_through_a_covered_window_passes_and_says_what_it_is_worth() {
    let judged = drained(&run(), &reading(NOW));
    is(&judged, Verdict::Pass, "no use of the old key seen since");
    // Covered is two hours less the lag of 2 s and the longest request of 3 s.
    assert_eq!(judged.counts["covered_ms"], 7_195_000);
    assert!(judged.why.contains("at most 36.03 a day"), "{}", judged.why);
    assert!(!judged.counts.contains_key("voids_approval"));
}

#[test]
fn the_window_is_counted_in_the_gateways_time() {
    // Hold + window + lag + longest request, to the second: a rule that forgets the offset passes five seconds early or late.
    let ready = HOLD + 3_600 + 2 + 3;
    let mut run = run();
    run.stamp = Some(stamp(ready - 10));
    is(&drained(&run, &reading(ready - 1)), Verdict::Inconclusive, "wait 1s more");
    is(&drained(&run, &reading(ready)), Verdict::Pass, "");
}

#[test]
fn a_pipe_that_broke_in_the_window_is_no_silence() {
    let mut run = run();
    run.stamp = Some(stamp(HOLD + 3_600));
    let mut broken = reading(HOLD + 3_606);
    usage(&mut broken).own.insert(RequestId::new("tracer"), own(Some(Which::New), false, HOLD + 3_599));
    is(&drained(&run, &broken), Verdict::NoData, "none of our own calls");
    usage(&mut broken).own.insert(RequestId::new("tracer"), own(Some(Which::New), false, HOLD + 3_600));
    is(&drained(&run, &broken), Verdict::Pass, "");
}

#[test]
fn no_rows_are_no_pass() {
    let mut empty = reading(NOW);
    usage(&mut empty).rows = 0;
    usage(&mut empty).own.clear();
    usage(&mut empty).new.clear();
    is(&drained(&run(), &empty), Verdict::NoData, "no row at all");

    let mut untraced = reading(NOW);
    usage(&mut untraced).own.clear();
    is(&drained(&run(), &untraced), Verdict::NoData, "none of our own calls");

    let mut old_trace = reading(NOW);
    usage(&mut old_trace).own.insert(RequestId::new("tracer"), own(Some(Which::New), false, HOLD - 1));
    is(&drained(&run(), &old_trace), Verdict::NoData, "none of our own calls");

    let mut keyless = reading(NOW);
    usage(&mut keyless).own.insert(RequestId::new("tracer"), own(None, false, NOW - 1));
    is(&drained(&run(), &keyless), Verdict::NoData, "under neither key");
}

#[test]
fn a_silent_or_missing_shard_blocks() {
    let mut silent = reading(NOW);
    usage(&mut silent).shards[1].newest = None;
    let judged = drained(&run(), &silent);
    is(&judged, Verdict::NoData, "nothing was heard from b");
    assert_eq!(judged.about, ["b"]);

    let mut missing = reading(NOW);
    usage(&mut missing).shards.pop();
    is(&drained(&run(), &missing), Verdict::NoData, "nothing was heard from b");

    let mut none = reading(NOW);
    let mut plan = plan();
    plan.usage.shards.clear();
    usage(&mut none).shards.clear();
    is(&drained(&run_of(plan), &none), Verdict::NoData, "none of its parts");
}

#[test]
fn our_own_row_moves_the_watermark_of_its_shard_only() {
    let mut behind = reading(NOW);
    usage(&mut behind).shards[1].newest = Some(src(HOLD + 60));
    is(&drained(&run(), &behind), Verdict::NoData, "b is 1h 59m behind although we call through it");
}

#[test]
fn rows_from_the_future_cover_nothing() {
    let early = HOLD + 3_500;
    let mut run = run();
    run.stamp = Some(stamp(early));
    let mut ahead = reading(early);
    for shard in &mut usage(&mut ahead).shards {
        shard.newest = Some(src(NOW));
    }
    usage(&mut ahead).to = src(NOW);
    is(&drained(&run, &ahead), Verdict::Inconclusive, "of the window of 1h");
    // Nor do rows that came after the query was made.
    let mut cut = reading(NOW);
    usage(&mut cut).to = src(early);
    is(&drained(&run, &cut), Verdict::NoData, "behind although we call through it");
}

#[test]
fn the_planned_lag_counts_when_the_source_forgets_it() {
    let mut hasty = reading(NOW);
    usage(&mut hasty).lag = Span::ZERO;
    assert_eq!(drained(&run(), &hasty).counts["covered_ms"], 7_195_000);
}

#[test]
fn a_source_that_does_not_reach_back_shows_no_window() {
    let mut short = reading(NOW);
    usage(&mut short).reaches = Some(src(HOLD + 1));
    is(&drained(&run(), &short), Verdict::Inconclusive, "reaches back only to");
    let mut late = reading(NOW);
    usage(&mut late).from = src(HOLD + 1);
    is(&drained(&run(), &late), Verdict::Inconclusive, "reaches back only to");
}

#[test]
fn unreadable_lines_are_unknown_and_a_few_are_tolerated() {
    let mut bad = reading(NOW);
    usage(&mut bad).malformed = 11;
    is(&drained(&run(), &bad), Verdict::NoData, "never zero");
    usage(&mut bad).malformed = 10;
    is(&drained(&run(), &bad), Verdict::Pass, "");
}

#[test]
fn counts_that_disagree_are_no_evidence() {
    let mut lost = reading(NOW);
    usage(&mut lost).rows = 2;
    is(&drained(&run(), &lost), Verdict::NoData, "lost or counted twice");
}

#[test]
fn a_use_blocks_names_its_owner_and_ends_an_approval() {
    let mut used = reading(NOW);
    usage(&mut used).old.insert(App::new("chat"), uses(NOW - 600));
    let judged = drained(&run(), &used);
    is(&judged, Verdict::Inconclusive, "still in use");
    assert_eq!(judged.about, ["chat (owner team-chat)"]);
    assert_eq!(judged.counts["voids_approval"], 1);
    assert_eq!(judged.counts["used"], 1);
}

#[test]
fn a_use_ends_an_approval_even_when_a_shard_is_silent() {
    let mut used = reading(NOW);
    usage(&mut used).old.insert(App::new("chat"), uses(NOW - 600));
    usage(&mut used).shards[1].newest = None;
    let judged = drained(&run(), &used);
    assert_eq!((judged.verdict, judged.counts.get("voids_approval")), (Verdict::NoData, Some(&1)));
}

#[test]
fn a_use_that_is_a_window_ago_no_longer_blocks() {
    let mut used = reading(NOW);
    usage(&mut used).old.insert(App::new("chat"), uses(NOW - 3_700));
    is(&drained(&run(), &used), Verdict::Pass, "no use of the old key seen since");
}

#[test]
fn a_slow_consumer_without_acknowledgement_must_be_quiet_for_its_cadence() {
    let mut used = reading(NOW);
    usage(&mut used).old.insert(App::new("batch"), uses(HOLD - 50));
    let judged = drained(&run(), &used);
    is(&judged, Verdict::Inconclusive, "batch (owner team-data)");
    assert!(!judged.counts.contains_key("voids_approval"), "the use was before the window");
    used.acks.push(ack("batch", FLIP + 1, Some("b")));
    is(&drained(&run(), &used), Verdict::Pass, "");
}

#[test]
fn an_excepted_consumer_may_go_on_and_is_named() {
    let mut used = reading(NOW);
    usage(&mut used).old.insert(App::new("batch"), uses(NOW - 30));
    let mut run = run();
    let exception = Exception { app: App::new("batch"), until: at(NOW + 60), owner: "o".into(), why: "w".into() };
    run.exceptions.push(exception);
    is(&drained(&run, &used), Verdict::Pass, "under an exception: batch");
    run.exceptions[0].until = at(NOW);
    is(&drained(&run, &used), Verdict::Inconclusive, "still in use");
}

#[test]
fn a_caller_without_a_name_is_a_use_that_nobody_can_except() {
    let mut used = reading(NOW);
    usage(&mut used).old.insert(App::new(""), uses(NOW - 30));
    let mut run = run();
    run.exceptions.push(Exception { app: App::new(""), until: at(NOW + 60), owner: "o".into(), why: "w".into() });
    is(&drained(&run, &used), Verdict::Inconclusive, "(unnamed caller)");
    let judged = unknown(&run, &used);
    is(&judged, Verdict::Inconclusive, "(unnamed caller)");
    assert_eq!((judged.about.as_slice(), judged.counts["voids_approval"]), (["(unnamed caller)".to_owned()].as_slice(), 1));
}

#[test]
fn refused_attempts_are_counted_and_are_no_use() {
    let mut tried = reading(NOW);
    usage(&mut tried).old.insert(App::new("chat"), refusal(NOW - 30));
    let judged = drained(&run(), &tried);
    is(&judged, Verdict::Pass, "");
    assert_eq!((judged.counts["refused_attempts"], judged.counts["used"]), (1, 0));
}

#[test]
fn a_counter_that_moved_without_a_time_moved_now() {
    let mut counted = reading(NOW);
    usage(&mut counted).old.insert(App::new("chat"), CallerCount { accepted: 3, ..CallerCount::default() });
    is(&drained(&run(), &counted), Verdict::Inconclusive, "still in use");
}

#[test]
fn money_alone_shows_no_use() {
    for kind in [UsageKind::Spend, UsageKind::None] {
        let mut plan = plan();
        plan.usage.kind = kind;
        is(&drained(&run_of(plan), &reading(NOW)), Verdict::Error, "not observable");
    }
}

#[test]
fn unread_usage_says_why() {
    let mut unread = reading(NOW);
    unread.usage = None;
    is(&drained(&run(), &unread), Verdict::NoData, "no usage was read");
    unread.errors.insert("usage".into(), "permission denied".into());
    is(&drained(&run(), &unread), Verdict::Error, "permission denied");
}

#[test]
fn a_reopen_starts_the_window_again() {
    let mut run = run();
    run.since.enabled = Some(stamp(NOW - 600));
    is(&drained(&run, &reading(NOW)), Verdict::Inconclusive, "of the window of 1h");
}

#[test]
fn the_new_key_drains_over_its_own_window_on_the_way_back() {
    let zero = |run: &Run, reading: &Reading| ask(run, Point::NewDrained, Ask::Zero { key: Which::New }, reading);
    let mut quiet = reading(NOW);
    usage(&mut quiet).new.clear();
    is(&zero(&run_back(), &quiet), Verdict::Inconclusive, "of the window of 10m");
    let mut run = run_back();
    run.since.back = Some(stamp(NOW - 620));
    is(&zero(&run, &quiet), Verdict::Pass, "");
    is(&zero(&run, &reading(NOW)), Verdict::Inconclusive, "the new key is still in use");
}

#[test]
fn a_new_key_nobody_was_given_needs_no_window_but_still_a_sign_of_life() {
    let zero = |run: &Run, reading: &Reading| ask(run, Point::NewDrained, Ask::Zero { key: Which::New }, reading);
    let mut run = run_back();
    run.since.flip = None;
    run.since.back = None;
    run.slots[0].was_promoted = false;
    let mut quiet = reading(NOW);
    usage(&mut quiet).new.clear();
    is(&zero(&run, &quiet), Verdict::Pass, "no use of the new key");
    usage(&mut quiet).own.clear();
    is(&zero(&run, &quiet), Verdict::NoData, "none of our own calls");
}

#[test]
fn a_use_of_a_key_that_nobody_was_given_shows_that_the_journal_is_an_old_one() {
    let zero = |run: &Run, reading: &Reading| ask(run, Point::NewDrained, Ask::Zero { key: Which::New }, reading);
    let mut plan = plan();
    let mut run = run_back();
    let unborn = |run: &mut Run| {
        run.since.flip = None;
        run.since.back = None;
        run.since.minted = Some(stamp(FLIP));
        run.slots[0].was_promoted = false;
    };
    unborn(&mut run);
    let mut used = reading(NOW);
    usage(&mut used).new = [(App::new("batch"), uses(FLIP + 1))].into();
    let judged = zero(&run, &used);
    is(&judged, Verdict::Fail, "the world is ahead of the journal: the new key is used by batch (owner team-data)");
    assert_eq!(judged.about, ["batch (owner team-data)"]);
    // It is no matter of how long ago, only of whether it was after the mint.
    usage(&mut used).new = [(App::new("batch"), uses(FLIP))].into();
    is(&zero(&run, &used), Verdict::Inconclusive, "less than its cadence");
    usage(&mut used).new = [(App::new("chat"), uses(FLIP))].into();
    is(&zero(&run, &used), Verdict::Pass, "");
    // Where rows are only counted, our own calls are among them.
    plan.usage.kind = UsageKind::Counters;
    let mut counted = run_of(plan);
    counted.course = Course::Undo;
    unborn(&mut counted);
    usage(&mut used).new = [(App::new("chat"), uses(FLIP + 1))].into();
    is(&zero(&counted, &used), Verdict::Pass, "");
    // And a run that did give it away drains it over its window.
    let mut given = run_back();
    given.since.back = Some(stamp(NOW - 620));
    is(&zero(&given, &used), Verdict::Pass, "");
}

#[test]
fn a_caller_that_nobody_listed_blocks_until_it_is_excepted() {
    let mut used = reading(NOW);
    usage(&mut used).old.insert(App::new("quarter-end"), refusal(NOW - 30));
    let mut run = run();
    is(&unknown(&run, &used), Verdict::Inconclusive, "quarter-end");
    run.exceptions.push(Exception { app: App::new("quarter-end"), until: at(NOW + 60), owner: "o".into(), why: "w".into() });
    is(&unknown(&run, &used), Verdict::Pass, "listed or excepted");
}

#[test]
fn a_caller_of_the_look_back_blocks_without_a_fresh_row() {
    let mut plan = plan();
    plan.unclaimed.push(App::new("quarter-end"));
    let mut unread = reading(NOW);
    unread.usage = None;
    is(&unknown(&run_of(plan), &unread), Verdict::Inconclusive, "quarter-end");
    is(&unknown(&run(), &unread), Verdict::NoData, "no usage was read");
}

#[test]
fn a_source_that_names_nobody_shows_no_unknown_caller() {
    let mut plan = plan();
    plan.usage.names_caller = false;
    is(&unknown(&run_of(plan), &reading(NOW)), Verdict::NoData, "cannot name callers");
}
