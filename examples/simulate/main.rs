//! The real engine over a fake world, a million times.
//!
//! ```text
//! cargo run --release --example simulate -- --runs 1000000 --seed 7
//! cargo run --release --example simulate -- --replay 1234567890.2.1
//! cargo run --release --example simulate -- --replay Forward:12:40
//! ```
#![expect(clippy::print_stdout, clippy::indexing_slicing, reason = "a program that reports, over tables that it made itself")]

mod sim;

use sim::campaign::{self, Found, Tally};
use sim::death::Crash;
use sim::drive::Left;
use sim::rng::Rng;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

struct Args {
    runs: u64,
    seed: u64,
    threads: usize,
    replay: Option<String>,
    bugs: bool,
    /// A short run does not reach every cell of the matrix: empty ones are shown, and are no failure.
    short: bool,
}

fn main() -> ExitCode {
    let args = match arguments() {
        Ok(args) => args,
        Err(why) => {
            println!(
                "{why}\nusage: simulate [--runs N] [--seed N] [--threads N] [--short] [--bugs] [--replay SEED.BRANCH.BRANCH | --replay Scenario:DEATH:DEATH]"
            );
            return ExitCode::from(2);
        }
    };
    match (&args.replay, args.bugs) {
        (Some(text), _) => replay(text),
        (None, true) => bugs(&args),
        (None, false) => all(&args),
    }
}

/// Each deliberate mistake must break a promise within so many runs.
#[cfg(feature = "bugs")]
fn bugs(args: &Args) -> ExitCode {
    let Ok(prepared) = campaign::prepare() else { return ExitCode::FAILURE };
    let mut missed = 0;
    for bug in keyroll::bugs::Bug::ALL {
        let hunt = campaign::hunt(&prepared, bug, args.runs);
        match (&hunt.broke, &hunt.stalled) {
            (Some(found), _) => println!("{bug:?}: caught after {} runs, {}", hunt.runs, broken(found)),
            (None, stalled) => {
                missed += 1;
                println!("{bug:?}: MISSED in {} runs; stalled: {stalled:?}", hunt.runs);
            }
        }
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(not(feature = "bugs"))]
fn bugs(_: &Args) -> ExitCode {
    println!("this build has no bugs to switch on: --features bugs");
    ExitCode::from(2)
}

fn arguments() -> Result<Args, String> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut args = Args { runs: 100_000, seed: 7, threads, replay: None, bugs: false, short: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--short" {
            args.short = true;
            continue;
        }
        if word == "--bugs" {
            args.bugs = true;
            continue;
        }
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{word} needs a number, not {value}"));
        match word.as_str() {
            "--runs" => args.runs = number()?,
            "--seed" => args.seed = number()?,
            "--threads" => args.threads = usize::try_from(number()?).unwrap_or(1).max(1),
            "--replay" => args.replay = Some(value),
            other => return Err(format!("{other} is not known")),
        }
    }
    Ok(args)
}

fn replay(text: &str) -> ExitCode {
    let report = campaign::prepare().ok().and_then(|prepared| campaign::replay(&prepared, text));
    let Some(report) = report else {
        println!("{text} is neither a seed nor Scenario:DEATH:DEATH");
        return ExitCode::from(2);
    };
    for line in &report.story {
        println!("{line}");
    }
    println!("{} {}", report.left.name(), report.why);
    for (at, violation) in &report.violations {
        println!("promise {} broken at {} ms: {}", violation.promise, at - sim::world::EPOCH, violation.what);
    }
    if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn all(args: &Args) -> ExitCode {
    let began = Instant::now();
    let next = AtomicU64::new(0);
    let prepared = match campaign::prepare() {
        Ok(prepared) => prepared,
        Err(why) => {
            println!("{why}");
            return ExitCode::FAILURE;
        }
    };
    // Every first boundary of every scenario is one piece of work.
    let firsts: Vec<(usize, u32)> =
        (0..campaign::EXHAUSTIVE).flat_map(|s| (0..campaign::boundaries(&prepared[s])).map(move |b| (s, b))).collect();
    // About half of the double deaths are left over once the first is fixed; few runs skip some of them.
    let doubles: u64 = firsts.len() as u64 * 120;
    let stride = u32::try_from(doubles / (args.runs / 2).max(1) + 1).unwrap_or(u32::MAX);
    let done = AtomicU64::new(0);
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..args.threads).map(|_| scope.spawn(|| work(args, &firsts, stride, &next, &done))).collect();
        workers.into_iter().filter_map(|w| w.join().ok()).collect()
    });
    let complete = tallies.len() == args.threads;
    let mut tally = Tally::default();
    for t in tallies {
        tally.merge(t);
    }
    report(args, &tally, stride, began.elapsed().as_secs_f64(), complete)
}

fn work(args: &Args, firsts: &[(usize, u32)], stride: u32, next: &AtomicU64, done: &AtomicU64) -> Tally {
    let mut tally = Tally::default();
    let Ok(prepared) = campaign::prepare() else { return tally };
    loop {
        let piece = next.fetch_add(1, Ordering::Relaxed);
        let Some((scenario, first)) = usize::try_from(piece).ok().and_then(|p| firsts.get(p)) else { break };
        let before = (tally.runs, tally.found.len());
        campaign::deaths_from(&prepared[*scenario], *first, stride, &mut tally);
        progress(args, done, tally.runs - before.0, &tally.found[before.1..]);
    }
    loop {
        if done.load(Ordering::Relaxed) >= args.runs {
            return tally;
        }
        let n = next.fetch_add(1, Ordering::Relaxed);
        let seed = Rng::new(args.seed.wrapping_mul(0x9e37_79b9).wrapping_add(n)).next();
        let before = tally.found.len();
        let runs = campaign::sampled(&prepared, seed, &mut tally);
        progress(args, done, runs, &tally.found[before..]);
    }
}

/// Long runs say how far they are, and what they find at once.
fn progress(args: &Args, done: &AtomicU64, runs: u64, found: &[Found]) {
    const EVERY: u64 = 100_000;
    let before = done.fetch_add(runs, Ordering::Relaxed);
    if before / EVERY != (before + runs) / EVERY {
        println!("{} of {} runs", before + runs, args.runs);
    }
    for one in found {
        println!("{}", broken(one));
    }
}

fn broken(found: &Found) -> String {
    let v = found.violation;
    format!("BROKEN promise {}: {} ({}, {}); --replay {}", v.promise, v.what, found.scenario.name(), found.left.name(), found.replay)
}

fn report(args: &Args, tally: &Tally, stride: u32, seconds: f64, complete: bool) -> ExitCode {
    println!("effect        crash point      {}", Left::ALL.map(|l| format!("{:>12}", l.name())).join(""));
    for effect in keyroll::rotation::EffectKind::ALL {
        for crash in Crash::OF_EFFECTS {
            let cells = Left::ALL.map(|left| tally.matrix.get(&(effect, crash, left)).copied().unwrap_or(0));
            println!("{:<13} {:<16} {}", effect.name(), crash.name(), cells.map(|n| format!("{n:>12}")).join(""));
        }
    }
    println!("\n{}", campaign::NOT_ASKED);
    for effect in keyroll::rotation::EffectKind::ALL {
        if let (only, Some(why)) = campaign::reachable(effect) {
            println!("{} must lead only to {}: {why}", effect.name(), only.iter().map(|l| l.name()).collect::<Vec<_>>().join(", "));
        }
    }
    let left: Vec<String> = tally.left.iter().map(|(l, n)| format!("{n} {}", l.name())).collect();
    println!("\n{} runs, seed {}: {}; {} of them died at least once", tally.runs, args.seed, left.join(", "), tally.died);
    println!("unlisted callers were refused {} times, the old key was enabled again {} times", tally.strangers, tally.reopened);
    let doubles = if stride == 1 { "all double deaths".to_owned() } else { format!("every {stride}th double death") };
    println!("all single deaths and {doubles} of {} scenarios, the rest sampled", campaign::EXHAUSTIVE);
    println!("{seconds:.1} s, {:.0} runs a second on {} threads", tally.runs as f64 / seconds, args.threads);
    for found in &tally.found {
        println!("{}", broken(found));
    }
    for ((violation, scenario), n) in &tally.kinds {
        println!("{n} runs broke promise {}: {} ({})", violation.promise, violation.what, scenario.name());
    }
    for stalled in tally.stalled.iter().take(10) {
        println!("STALLED {stalled}");
    }
    let empty = campaign::empty(tally);
    for (effect, crash, left) in &empty {
        println!("EMPTY {} / {} / {}", effect.name(), crash.name(), left.name());
    }
    if !complete {
        println!("a thread of the simulator ended early");
    }
    println!("{} violations", tally.broken);
    let good = tally.broken == 0 && tally.stalled.is_empty() && (empty.is_empty() || args.short) && complete;
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
