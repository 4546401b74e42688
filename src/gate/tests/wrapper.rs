//! Waived and skipped checks, the two clocks, and whole points.

use super::fixture::*;
use crate::gate::{judge, judge_one};
use crate::rotation::*;

const TIMED: [fn() -> Ask; 6] = [
    || Ask::Zero { key: Which::Old },
    || Ask::Coverage { key: Which::New },
    || Ask::Soak { key: Which::Old, at_least: Span::ZERO },
    || Ask::Elapsed { at_least: Span::ZERO },
    || Ask::Attributed,
    || Ask::Invariant(Must::NoneRefused(Which::New)),
];

fn used() -> Reading {
    let mut used = reading(NOW);
    usage(&mut used).old.insert(App::new("chat"), uses(NOW - 60));
    used
}

fn waive(run: &mut Run, until: i64) {
    let waiver = Waiver { point: Point::Drained, check: "check".into(), by: "ann".into(), why: "known job".into(), until: at(until) };
    run.waivers = vec![waiver];
}

#[test]
fn a_waived_check_is_waived_and_keeps_what_was_seen() {
    let mut run = run();
    waive(&mut run, NOW + 1);
    let judged = ask(&run, Point::Drained, Ask::Zero { key: Which::Old }, &used());
    is(&judged, Verdict::Waived, "waived by ann until");
    assert!(
        judged.why.contains("known job") && judged.why.contains("without the waiver: inconclusive, the old key is still in use"),
        "{}",
        judged.why
    );
    assert_eq!(judged.about, ["chat (owner team-chat)"]);
    // A use that somebody let go on must not end every later approval.
    assert!(!judged.counts.contains_key("voids_approval"));
}

#[test]
fn a_waiver_ends_and_is_for_one_point_and_not_needed_for_a_pass() {
    let mut run = run();
    waive(&mut run, NOW);
    let zero = Ask::Zero { key: Which::Old };
    is(&ask(&run, Point::Drained, zero.clone(), &used()), Verdict::Inconclusive, "");
    waive(&mut run, NOW + 1);
    is(&ask(&run, Point::BeforeDisable, zero.clone(), &used()), Verdict::Inconclusive, "");
    is(&ask(&run, Point::Drained, zero, &reading(NOW)), Verdict::Pass, "");
}

#[test]
fn only_an_emergency_skips_and_only_what_may_be_skipped() {
    let mut run = run();
    let check = |skippable| Check { id: "check".into(), ask: Ask::Zero { key: Which::Old }, skippable };
    let verdict = |run: &Run, skippable| judge_one(run, &Point::Drained, &check(skippable), &used());
    is(&verdict(&run, true), Verdict::Inconclusive, "");
    run.emergency = Some(("ann".into(), "leaked".into()));
    is(&verdict(&run, true), Verdict::Skipped, "declared by ann: leaked");
    is(&verdict(&run, false), Verdict::Inconclusive, "still in use");
}

#[test]
fn clocks_apart_stop_everything_that_counts_time() {
    for apart in [61, -61] {
        let mut off = reading(NOW);
        off.source_now = Some(at(NOW + apart));
        for ask_for in TIMED {
            is(&ask(&run_off(), Point::Drained, ask_for(), &off), Verdict::Error, "our clock and the gateway's differ by 1m 1s");
        }
    }
    let mut near = reading(NOW);
    near.source_now = Some(at(NOW + 60));
    is(&ask(&run(), Point::Drained, Ask::Elapsed { at_least: Span::ZERO }, &near), Verdict::Pass, "");
}

#[test]
fn a_gateway_without_a_clock_stops_everything_that_counts_time() {
    let mut blind = reading(NOW);
    blind.source_now = None;
    for ask_for in TIMED {
        is(&ask(&run_off(), Point::Drained, ask_for(), &blind), Verdict::Error, "the gateway's clock could not be read");
    }
}

#[test]
fn a_jump_of_our_clock_stops_everything_that_counts_time() {
    // Wall time went on by three days, the boot clock by ten seconds; the gateway on the same host jumped too.
    for days in [3, -3] {
        let mut woke = reading(NOW);
        woke.stamp.at = Time(woke.stamp.at.0 + days * 86_400_000);
        woke.source_now = Some(woke.stamp.at);
        for ask_for in TIMED.into_iter().chain([(|| Ask::Reject { key: Which::Old }) as fn() -> Ask]) {
            let mut run = run_off();
            run.stamp = Some(stamp(NOW - 10));
            is(&ask(&run, Point::Drained, ask_for(), &woke), Verdict::Error, "our clock jumped");
        }
    }
}

#[test]
fn after_a_jump_the_boot_clock_says_how_long_ago_something_was() {
    // The wall clock was set ahead by three days before the last record: hold, stamped before, did not become three days older.
    let mut run = run();
    let days = 3 * 86_400_000;
    let late = |s: Stamp| Stamp { at: Time(s.at.0 + days), ..s };
    run.stamp = Some(late(stamp(HOLD + 50)));
    let mut woke = reading(HOLD + 60);
    woke.stamp = late(woke.stamp);
    woke.source_now = Some(woke.stamp.at);
    let judged = ask(&run, Point::Drained, Ask::Elapsed { at_least: Span::hours(1) }, &woke);
    is(&judged, Verdict::Inconclusive, "1m of at least 1h");
}

#[test]
fn a_point_is_judged_check_by_check_in_the_plans_order() {
    let mut plan = plan();
    let check = |id: &str, ask| Check { id: id.into(), ask, skippable: false };
    let checks = vec![check("time", Ask::Elapsed { at_least: Span::ZERO }), check("drain", Ask::Zero { key: Which::Old })];
    plan.gates = vec![Gate { point: Place::Drained, checks }];
    let run = run_of(plan);
    let judged = judge(&run, &Point::Drained, &used());
    let seen: Vec<(&str, Verdict)> = judged.iter().map(|j| (j.check.as_str(), j.verdict)).collect();
    assert_eq!(seen, [("time", Verdict::Pass), ("drain", Verdict::Inconclusive)]);
    assert!(judge(&run, &Point::Canary, &used()).is_empty());
}
