//! `soak`: silence counts only where a refusal would show.

use super::fixture::*;
use crate::rotation::*;

/// Two minutes after the disable; the soak is one.
const LATER: i64 = OFF + 120;

fn soak(run: &Run, reading: &Reading) -> Judged {
    ask(run, Point::Soaked, Ask::Soak { key: Which::Old, at_least: Span::minutes(1) }, reading)
}

/// A reading that shows our own refused call, made just before it.
fn quiet(s: i64) -> Reading {
    let mut reading = reading(s);
    usage(&mut reading).own.insert(RequestId::new("refused"), own(Some(Which::Old), true, s - 1));
    reading
}

#[test]
fn nobody_refused_where_our_refusal_shows_passes() {
    let judged = soak(&run_off(), &quiet(LATER));
    is(&judged, Verdict::Pass, "nobody but us");
    assert_eq!(judged.counts["own_refused"], 1);
    is(&soak(&run_off(), &quiet(OFF + 64)), Verdict::Inconclusive, "wait 1s more");
    is(&soak(&run_off(), &quiet(OFF + 65)), Verdict::Pass, "");
}

#[test]
fn a_source_without_refusals_makes_silence_certain() {
    let mut plan = plan();
    plan.usage.sees_refused = false;
    let mut run = run_of(plan);
    run.since.disabled = Some(stamp(OFF));
    is(&soak(&run, &quiet(LATER)), Verdict::NoData, "not observable here");
}

#[test]
fn our_own_refusal_must_show_after_the_disable_and_under_the_key() {
    is(&soak(&run_off(), &reading(LATER)), Verdict::NoData, "our own refused call");
    for row in [own(Some(Which::Old), true, OFF - 1), own(None, true, OFF + 1), own(Some(Which::Old), false, OFF + 1)] {
        let mut other = reading(LATER);
        usage(&mut other).own.insert(RequestId::new("refused"), row);
        is(&soak(&run_off(), &other), Verdict::NoData, "our own refused call");
    }
}

#[test]
fn that_others_are_served_shows_no_refusal() {
    // Only for a provider key are served calls the sign of life: our own pass its log by.
    let mut served = reading(LATER);
    usage(&mut served).new.insert(App::new("chat"), uses(LATER - 1));
    is(&soak(&run_off(), &served), Verdict::NoData, "our own refused call");
}

#[test]
fn a_pipe_that_broke_in_between_shows_silence_too() {
    let mut broke = reading(LATER);
    usage(&mut broke).own.insert(RequestId::new("refused"), own(Some(Which::Old), true, OFF + 1));
    is(&soak(&run_off(), &broke), Verdict::NoData, "no refused call of ours shows since the end");
}

#[test]
fn a_refused_caller_fails_under_its_plain_name() {
    let mut hurt = quiet(LATER);
    usage(&mut hurt).old.insert(App::new("batch"), refusal(OFF + 30));
    usage(&mut hurt).old.insert(App::new(""), refusal(OFF + 30));
    let judged = soak(&run_off(), &hurt);
    is(&judged, Verdict::Fail, "batch (owner team-data)");
    assert_eq!(judged.about, ["(unnamed caller)", "batch"]);
}

#[test]
fn a_refusal_between_the_disable_and_its_record_counts() {
    // The answer to the disable was lost, and looked up only at OFF.
    let mut hurt = quiet(LATER);
    usage(&mut hurt).old.insert(App::new("batch"), refusal(OFF - 500));
    is(&soak(&run_off(), &hurt), Verdict::Fail, "batch");
    usage(&mut hurt).old.insert(App::new("batch"), refusal(HOLD - 1));
    is(&soak(&run_off(), &hurt), Verdict::Pass, "");
}

#[test]
fn refusals_of_an_earlier_attempt_are_over() {
    let mut run = run_off();
    run.since.hold = Some(stamp(6_000));
    run.since.enabled = Some(stamp(6_010));
    let mut hurt = quiet(LATER);
    // The gateway may go on refusing for settling and cache: 30 seconds.
    usage(&mut hurt).old.insert(App::new("batch"), refusal(6_039));
    is(&soak(&run, &hurt), Verdict::Pass, "");
    usage(&mut hurt).old.insert(App::new("batch"), refusal(6_040));
    is(&soak(&run, &hurt), Verdict::Fail, "batch");
}

#[test]
fn a_refusal_before_our_clock_jumped_still_counts() {
    // The windows begin again with the jump; what the log shows in its own time does not go away with them.
    let jump = OFF + 60;
    let mut run = run_off();
    run.since.before_jump = [run.since.hold.clone(), None, None];
    run.clock_broke = Some(stamp(jump));
    run.since.hold = Some(stamp(jump));
    run.since.disabled = Some(stamp(jump));
    run.stamp = Some(stamp(jump));
    let mut hurt = quiet(jump + 120);
    usage(&mut hurt).old.insert(App::new("batch"), refusal(OFF + 1));
    is(&soak(&run, &hurt), Verdict::Fail, "batch");
    usage(&mut hurt).old.insert(App::new("batch"), refusal(HOLD - 1));
    is(&soak(&run, &hurt), Verdict::Pass, "");
    // Of another boot nobody can tell when it was, so everything counts; without a jump the wall clock is believed.
    let boot = |s: i64| Stamp { boot: "another".into(), ..stamp(s) };
    run.since.before_jump = [Some(boot(HOLD)), None, None];
    is(&soak(&run, &hurt), Verdict::Fail, "batch");
    let mut calm = run_off();
    calm.since.hold = Some(boot(HOLD));
    let mut seen = quiet(LATER);
    usage(&mut seen).old.insert(App::new("batch"), refusal(HOLD - 1));
    is(&soak(&calm, &seen), Verdict::Pass, "");
    // So for the cached refusals of a key that was enabled again.
    let mut again = run_off();
    again.since.before_jump = [Some(stamp(HOLD)), None, Some(stamp(6_010))];
    again.clock_broke = Some(stamp(jump));
    again.since.hold = Some(stamp(jump));
    again.since.enabled = Some(stamp(jump));
    again.since.disabled = Some(stamp(jump));
    again.stamp = Some(stamp(jump));
    usage(&mut hurt).old.insert(App::new("batch"), refusal(6_039));
    is(&soak(&again, &hurt), Verdict::Pass, "");
    usage(&mut hurt).old.insert(App::new("batch"), refusal(6_040));
    is(&soak(&again, &hurt), Verdict::Fail, "batch");
}

#[test]
fn an_excepted_caller_is_named_and_hurts_nobody() {
    let mut run = run_off();
    run.exceptions.push(Exception { app: App::new("batch"), until: at(LATER + 1), owner: "o".into(), why: "w".into() });
    let mut hurt = quiet(LATER);
    usage(&mut hurt).old.insert(App::new("batch"), refusal(OFF + 30));
    is(&soak(&run, &hurt), Verdict::Pass, "under an exception: batch");
}

#[test]
fn a_caller_that_is_still_accepted_blocks() {
    let mut odd = quiet(LATER);
    usage(&mut odd).old.insert(App::new("chat"), uses(OFF + 13));
    is(&soak(&run_off(), &odd), Verdict::Pass, "");
    usage(&mut odd).old.insert(App::new("chat"), uses(OFF + 14));
    is(&soak(&run_off(), &odd), Verdict::Inconclusive, "still accepted from chat");
}

#[test]
fn a_silent_shard_or_a_short_source_shows_no_soak() {
    let mut silent = quiet(LATER);
    usage(&mut silent).shards[0].newest = None;
    is(&soak(&run_off(), &silent), Verdict::NoData, "nothing was heard from a");
    let mut short = quiet(LATER);
    usage(&mut short).reaches = Some(src(OFF + 1));
    is(&soak(&run_off(), &short), Verdict::Inconclusive, "reaches back only to");
}

#[test]
fn a_key_that_others_switched_off_soaks_since_hold() {
    let mut run = run_off();
    run.since.disabled = None;
    run.since.hold = Some(stamp(LATER - 30));
    let mut seen = quiet(LATER);
    usage(&mut seen).own.insert(RequestId::new("refused"), own(Some(Which::Old), true, LATER - 20));
    is(&soak(&run, &seen), Verdict::Inconclusive, "covers only 25s of 1m");
}

#[test]
fn the_new_key_soaks_on_the_way_back() {
    let mut run = run_back();
    run.since.disabled = Some(stamp(OFF));
    run.stamp = Some(stamp(OFF));
    let ask_new = |r: &Reading| ask(&run, Point::NewSoaked, Ask::Soak { key: Which::New, at_least: Span::minutes(1) }, r);
    let mut seen = reading(LATER);
    usage(&mut seen).new.clear();
    usage(&mut seen).own.insert(RequestId::new("refused"), own(Some(Which::New), true, LATER - 1));
    is(&ask_new(&seen), Verdict::Pass, "the new key");
    usage(&mut seen).new.insert(App::new("chat"), refusal(OFF + 9));
    is(&ask_new(&seen), Verdict::Fail, "chat");
}
