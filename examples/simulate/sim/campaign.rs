//! Many runs: every single and double death of six scenarios, then sampled worlds by seed; and a tally of where processes died.

use super::death::Crash;
use super::drive::{Left, Report, Spec, run};
use super::judge::Violation;
use super::people::People;
use super::rng::Rng;
use super::scenarios::{Prepared, Scenario};
use super::world::Faults;
use keyroll::rotation::EffectKind;
use std::collections::BTreeMap;

/// Scenarios whose deaths are tried one by one.
pub(crate) const EXHAUSTIVE: usize = 6;
const SLOW: bool = true;
/// Patience of a process that waits for everything.
const PATIENT: u64 = 25_000;

/// One promise that was broken, and how to see it again.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) replay: String,
    pub(crate) scenario: Scenario,
    pub(crate) violation: Violation,
    pub(crate) left: Left,
}

/// Where processes died, and what became of their runs.
pub(crate) type Cell = (EffectKind, Crash, Left);

/// What many runs showed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) runs: u64,
    pub(crate) last: Option<std::time::Instant>,
    pub(crate) left: BTreeMap<Left, u64>,
    pub(crate) matrix: BTreeMap<Cell, u64>,
    pub(crate) broken: u64,
    pub(crate) found: Vec<Found>,
    pub(crate) died: u64,
    pub(crate) strangers: u64,
    pub(crate) reopened: u64,
    /// Runs without faults or people that did not come to an end by themselves.
    pub(crate) stalled: Vec<String>,
}

impl Tally {
    pub(crate) fn add(&mut self, scenario: Scenario, report: &Report, calm: bool, replay: impl Fn() -> String) {
        self.runs += 1;
        if SLOW && self.last.is_some_and(|l| l.elapsed().as_millis() > 60) {
            eprintln!("SLOW {:?} {}", self.last.map(|l| l.elapsed()), replay());
        }
        self.last = Some(std::time::Instant::now());
        *self.left.entry(report.left).or_default() += 1;
        self.died += u64::from(!report.died.is_empty());
        self.strangers += u64::from(report.strangers_refused);
        self.reopened += u64::from(report.reopened);
        for (effect, crash) in &report.died {
            if let (Some(effect), true) = (effect, *crash != Crash::Between) {
                *self.matrix.entry((*effect, *crash, report.left)).or_default() += 1;
            }
        }
        if calm && !matches!(report.left, Left::Done | Left::RolledBack) && self.stalled.len() < 10 {
            self.stalled.push(format!("{} ({}: {})", replay(), report.left.name(), report.why));
        }
        if !report.violations.is_empty() {
            self.broken += 1;
            for (_, violation) in &report.violations {
                let known = self.found.iter().filter(|f| f.violation == *violation && f.scenario == scenario).count();
                if known < 2 {
                    self.found.push(Found { replay: replay(), scenario, violation: *violation, left: report.left });
                }
            }
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.runs += other.runs;
        self.broken += other.broken;
        self.died += other.died;
        self.strangers += other.strangers;
        self.reopened += other.reopened;
        for (k, n) in other.left {
            *self.left.entry(k).or_default() += n;
        }
        for (k, n) in other.matrix {
            *self.matrix.entry(k).or_default() += n;
        }
        self.found.extend(other.found);
        self.stalled.extend(other.stalled);
    }
}

/// The scenarios, prepared once a thread.
pub(crate) fn prepare() -> Result<Vec<Prepared>, String> {
    Scenario::ALL.into_iter().map(Prepared::new).collect()
}

/// A run without faults whose sessions die at these boundaries.
pub(crate) fn calm(deaths: &[u32]) -> Spec {
    Spec { seed: 1, deaths: deaths.to_vec(), patience: PATIENT, ..Spec::default() }
}

/// How many boundaries a run without deaths has.
pub(crate) fn boundaries(prepared: &Prepared) -> u32 {
    run(prepared, &calm(&[])).boundaries.first().copied().unwrap_or(0)
}

/// A death at one boundary, and then (every `stride`th of) a second one wherever the next session can have it.
pub(crate) fn deaths_from(prepared: &Prepared, first: u32, stride: u32, tally: &mut Tally) {
    let name = |deaths: &[u32]| {
        let list: Vec<String> = deaths.iter().map(u32::to_string).collect();
        format!("{:?}:{}", prepared.scenario, list.join(":"))
    };
    let once = run(prepared, &calm(&[first]));
    tally.add(prepared.scenario, &once, true, || name(&[first]));
    let second = once.boundaries.get(1).copied().unwrap_or(0);
    let mut at = if stride > 1 { first % stride } else { 0 };
    while at < second {
        let twice = run(prepared, &calm(&[first, at]));
        tally.add(prepared.scenario, &twice, true, || name(&[first, at]));
        at += stride.max(1);
    }
}

/// The world of a seed: the same seed, the same world.
pub(crate) fn spec_of(seed: u64) -> (usize, Spec) {
    let mut rng = Rng::new(seed);
    let scenario = usize::try_from(rng.below(8)).unwrap_or(0);
    let kind = rng.below(100);
    let mut death = |likely: u64| -> Vec<u32> {
        let n = rng.below(likely);
        (0..n).map(|i| u32::try_from(rng.below(230 - 40 * i)).unwrap_or(0)).collect()
    };
    let deaths = if kind < 40 { [death(2), death(4), death(4)].concat().into_iter().take(3).collect() } else { death(4) };
    let mut rng = Rng::new(seed ^ 0xabcd);
    let mut spec = Spec { seed, deaths, torn: rng.chance(300), patience: PATIENT, ..Spec::default() };
    if rng.chance(250) {
        spec.patience = [300, 1_500, 6_000][usize::try_from(rng.below(3)).unwrap_or(0)];
    }
    if kind >= 40 {
        let some = |rng: &mut Rng, most: u64| if rng.chance(400) { u32::try_from(rng.below(most)).unwrap_or(0) } else { 0 };
        spec.wild.faults = Faults {
            lost: some(&mut rng, 80),
            unsent: some(&mut rng, 60),
            late: some(&mut rng, 80),
            refused: some(&mut rng, 25),
            unread: some(&mut rng, 15),
            broad: if rng.chance(30) { 1000 } else { 0 },
        };
        let chance = if rng.chance(600) { u32::try_from(1 + rng.below(20)).unwrap_or(1) } else { 0 };
        spec.wild.people =
            People { chance, left: if chance > 0 { u8::try_from(1 + rng.below(3)).unwrap_or(1) } else { 0 }, ..People::default() };
    }
    if (80..90).contains(&kind) {
        spec.pause = Some(u32::try_from(1 + rng.below(200)).unwrap_or(1));
    }
    if kind >= 90 {
        spec.restore = Some(usize::try_from(1 + rng.below(40)).unwrap_or(1));
        if spec.deaths.is_empty() {
            spec.deaths.push(u32::try_from(rng.below(200)).unwrap_or(0));
        }
    }
    (scenario, spec)
}

/// One sampled run.
pub(crate) fn sampled(prepared: &[Prepared], seed: u64, tally: &mut Tally) {
    let (scenario, spec) = spec_of(seed);
    let calm = spec.wild.people.chance == 0 && spec.wild.faults.any() == 0 && spec.restore.is_none() && spec.pause.is_none();
    let calm = calm && spec.patience == PATIENT;
    let report = run(&prepared[scenario], &spec);
    tally.add(prepared[scenario].scenario, &report, calm, || seed.to_string());
}

/// A run as its failure named it: a seed, or a scenario and its deaths.
pub(crate) fn replay(prepared: &[Prepared], text: &str) -> Option<Report> {
    if let Ok(seed) = text.parse::<u64>() {
        let (scenario, spec) = spec_of(seed);
        return Some(run(&prepared[scenario], &Spec { story: true, ..spec }));
    }
    let mut parts = text.split(':');
    let name = parts.next()?;
    let chosen = prepared.iter().find(|p| format!("{:?}", p.scenario) == name)?;
    let deaths: Option<Vec<u32>> = parts.map(|p| p.parse().ok()).collect();
    Some(run(chosen, &Spec { story: true, ..calm(&deaths?) }))
}

/// Outcomes that a death at this effect must have been seen to lead to.
pub(crate) fn reachable(effect: EffectKind) -> &'static [Left] {
    match effect {
        EffectKind::Mint
        | EffectKind::Stage
        | EffectKind::Promote
        | EffectKind::Repoint
        | EffectKind::Reload
        | EffectKind::DisableOld
        | EffectKind::EnableOld
        | EffectKind::Scan
        | EffectKind::Seal
        | EffectKind::Fence
        | EffectKind::Discard => &[Left::Done, Left::RolledBack],
        EffectKind::DeleteOld | EffectKind::MarkLive | EffectKind::Retire => &[Left::Done],
        EffectKind::Demote | EffectKind::DropPending | EffectKind::DisableNew | EffectKind::DeleteNew | EffectKind::EnableNew => {
            &[Left::RolledBack]
        }
    }
}

/// Cells of the matrix that must not be empty and are.
pub(crate) fn empty(tally: &Tally) -> Vec<Cell> {
    let mut empty = Vec::new();
    for effect in EffectKind::ALL {
        for crash in Crash::OF_EFFECTS {
            let cells = reachable(effect).iter().map(|left| (effect, crash, *left));
            empty.extend(cells.filter(|cell| !tally.matrix.contains_key(cell)));
        }
    }
    empty
}
