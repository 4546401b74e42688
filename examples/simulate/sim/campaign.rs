//! Many runs: every single and double death of six scenarios, then sampled worlds by seed; and a tally of where processes died.

use super::death::Crash;
use super::drive::{Left, Report, Spec, TO_MINT, begin, further, go_on, run};
use super::judge::Violation;
use super::people::People;
use super::rng::Rng;
use super::scenarios::{Prepared, Scenario};
use super::world::Faults;
use keyroll::rotation::EffectKind;
use std::collections::BTreeMap;

/// Scenarios whose deaths are tried one by one.
pub(crate) const EXHAUSTIVE: usize = 6;
/// Patience of a process that waits for everything.
const PATIENT: u64 = 8_000;

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
    pub(crate) left: BTreeMap<Left, u64>,
    pub(crate) matrix: BTreeMap<Cell, u64>,
    pub(crate) broken: u64,
    /// In how many runs of a scenario each promise was broken in the same way.
    pub(crate) kinds: BTreeMap<(Violation, Scenario), u64>,
    pub(crate) found: Vec<Found>,
    pub(crate) died: u64,
    pub(crate) strangers: u64,
    pub(crate) reopened: u64,
    /// Runs without faults or people that did not come to an end by themselves.
    pub(crate) stalled: Vec<String>,
}

impl Tally {
    pub(crate) fn add(&mut self, scenario: Scenario, report: &Report, [calm, quiet]: [bool; 2], replay: impl Fn() -> String) {
        self.runs += 1;
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
        // A third key is the last that is tried, so three deaths may turn back a run that nothing else disturbs.
        let undisturbed = quiet && report.died.len() < 3;
        if undisturbed && scenario.goes_through() && report.left == Left::RolledBack && self.stalled.len() < 10 {
            self.stalled.push(format!("{} (turned back without a cause: {})", replay(), report.why));
        }
        if !report.violations.is_empty() {
            self.broken += 1;
            for (_, violation) in &report.violations {
                *self.kinds.entry((*violation, scenario)).or_default() += 1;
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
        for (k, n) in other.kinds {
            *self.kinds.entry(k).or_default() += n;
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
    begin(prepared, &calm(&[])).boundaries()
}

/// A death at one boundary, and then (every `stride`th of) a second one wherever the next session can have it.
pub(crate) fn deaths_from(prepared: &Prepared, first: u32, stride: u32, tally: &mut Tally) {
    let name = |deaths: &[u32]| {
        let list: Vec<String> = deaths.iter().map(u32::to_string).collect();
        format!("{:?}:{}", prepared.scenario, list.join(":"))
    };
    let begun = begin(prepared, &calm(&[first]));
    let once = go_on(prepared, &calm(&[first]), begun.fork());
    tally.add(prepared.scenario, &once, [true; 2], || name(&[first]));
    let second = once.boundaries.get(1).copied().unwrap_or(0);
    let mut at = if stride > 1 { first % stride } else { 0 };
    while at < second {
        let twice = go_on(prepared, &calm(&[first, at]), begun.fork());
        tally.add(prepared.scenario, &twice, [true; 2], || name(&[first, at]));
        at = at.saturating_add(stride.max(1));
    }
}

/// So many ways to go on are tried after one first session, and after each second one.
pub(crate) const BRANCHES: [u64; 2] = [3, 6];

/// The world of a seed, and one of the ways it goes on: the same seed and branch, the same run.
pub(crate) fn spec_of(seed: u64, branch: [u64; 2]) -> (usize, Spec) {
    let mut rng = Rng::new(seed);
    let scenario = usize::try_from(rng.below(8)).unwrap_or(0);
    // Of the runs with a provider key some ask for it once.
    let once = Rng::new(seed ^ 0x0155).chance(300);
    let scenario = if scenario == PROVIDER && once { ISSUED } else { scenario };
    let kind = rng.below(100);
    let calm = kind < 55;
    let mut spec = Spec { seed, branch, torn: rng.chance(300), patience: PATIENT, ..Spec::default() };
    spec.deaths.push(if calm || rng.chance(800) { u32::try_from(rng.below(190)).unwrap_or(0) } else { NEVER });
    if rng.chance(200) {
        spec.patience = [100, 500, 2_000][usize::try_from(rng.below(3)).unwrap_or(0)];
    }
    if !calm {
        wild(&mut spec, &mut rng);
    }
    if (80..90).contains(&kind) {
        spec.pause = Some(u32::try_from(1 + rng.below(200)).unwrap_or(1));
    }
    if kind >= 90 {
        let back = if rng.chance(250) { TO_MINT } else { usize::try_from(1 + rng.below(40)).unwrap_or(1) };
        spec.restore = Some(back);
    }
    // What comes after the first session differs in each branch.
    let mut stem = seed;
    for (branch, most) in branch.into_iter().zip([160, 120]) {
        stem ^= branch.wrapping_mul(0xd1b5_4a32_d192_ed03).rotate_left(17);
        let mut rng = Rng::new(stem);
        let dies = calm || rng.chance(400);
        spec.deaths.push(if dies { u32::try_from(rng.below(most)).unwrap_or(0) } else { NEVER });
    }
    (scenario, spec)
}

/// Places of two scenarios in the list of all.
const PROVIDER: usize = 5;
const ISSUED: usize = 8;

/// No session has so many boundaries.
const NEVER: u32 = u32::MAX;

fn wild(spec: &mut Spec, rng: &mut Rng) {
    let mut some = |most: u64| if rng.chance(400) { u32::try_from(rng.below(most)).unwrap_or(0) } else { 0 };
    let (lost, late, dropped) = (some(80), some(80), some(40));
    let (unsent, refused, unread, probes) = (some(60), some(25), some(15), some(40));
    spec.wild.faults = Faults { lost, late, dropped, unsent, refused, unread, probes, broad: 0 };
    spec.wild.stirred = rng.chance(800);
    if !spec.wild.stirred {
        // Nothing but lost answers: such a run must come to an end by itself.
        spec.wild.faults.refused = 0;
        return;
    }
    if rng.chance(30) {
        spec.wild.faults.broad = 1000;
    }
    if rng.chance(600) {
        let chance = u32::try_from(1 + rng.below(20)).unwrap_or(1);
        spec.wild.people = People { chance, left: u8::try_from(1 + rng.below(3)).unwrap_or(1), ..People::default() };
    }
}

/// Such a run has no excuse not to end.
fn must_end(spec: &Spec) -> bool {
    spec.wild.people.chance == 0 && !spec.wild.stirred && spec.restore.is_none() && spec.pause.is_none() && spec.patience == PATIENT
}

/// The runs of one seed. Answers how many there were.
pub(crate) fn sampled(prepared: &[Prepared], seed: u64, tally: &mut Tally) -> u64 {
    let (scenario, spec) = spec_of(seed, [1, 1]);
    let prepared = &prepared[scenario];
    let calm = must_end(&spec);
    let quiet = calm && spec.wild.faults == Faults::default();
    let before = tally.runs;
    let stem = begin(prepared, &spec);
    for one in 1..=if stem.goes_on() { BRANCHES[0] } else { 1 } {
        let mut branch = stem.fork();
        let (_, spec) = spec_of(seed, [one, 1]);
        further(prepared, &spec, &mut branch);
        for two in 1..=if branch.goes_on() { BRANCHES[1] } else { 1 } {
            let (_, spec) = spec_of(seed, [one, two]);
            let report = go_on(prepared, &spec, branch.fork());
            tally.add(prepared.scenario, &report, [calm, quiet], || format!("{seed}.{one}.{two}"));
        }
    }
    tally.runs - before
}

/// A run as its failure named it: a seed and its two branches, or a scenario and its deaths.
pub(crate) fn replay(prepared: &[Prepared], text: &str) -> Option<Report> {
    let numbers: Option<Vec<u64>> = text.split('.').map(|n| n.parse().ok()).collect();
    if let Some([seed, one, two]) = numbers.as_deref() {
        let (scenario, spec) = spec_of(*seed, [*one, *two]);
        return Some(run(&prepared[scenario], &Spec { story: true, ..spec }));
    }
    let mut parts = text.split(':');
    let name = parts.next()?;
    let chosen = prepared.iter().find(|p| format!("{:?}", p.scenario) == name)?;
    let deaths: Option<Vec<u32>> = parts.map(|p| p.parse().ok()).collect();
    Some(run(chosen, &Spec { story: true, ..calm(&deaths?) }))
}

/// Parked and stuck are asked of no cell: a run is left there when its operator gives up, which may follow any effect and must follow none.
pub(crate) const NOT_ASKED: &str = "no cell must lead to parked or stuck: that is where an operator gives up, at whatever effect";

/// Outcomes that a death at this effect must have been seen to lead to, and why the other end is impossible.
pub(crate) fn reachable(effect: EffectKind) -> (&'static [Left], Option<&'static str>) {
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
        | EffectKind::Discard => (&[Left::Done, Left::RolledBack], None),
        EffectKind::DeleteOld => (&[Left::Done], Some("its intent is the point of no return")),
        EffectKind::MarkLive | EffectKind::Retire => (&[Left::Done], Some("it comes after the point of no return")),
        EffectKind::Demote | EffectKind::DropPending | EffectKind::DisableNew | EffectKind::DeleteNew | EffectKind::EnableNew => {
            (&[Left::RolledBack], Some("only a run that turned does it, and none turns twice"))
        }
    }
}

/// Cells of the matrix that must not be empty and are.
pub(crate) fn empty(tally: &Tally) -> Vec<Cell> {
    let mut empty = Vec::new();
    for effect in EffectKind::ALL {
        for crash in Crash::OF_EFFECTS {
            let cells = reachable(effect).0.iter().map(|left| (effect, crash, *left));
            empty.extend(cells.filter(|cell| !tally.matrix.contains_key(cell)));
        }
    }
    empty
}

/// How a mistake fared.
#[cfg(feature = "bugs")]
pub(crate) struct Hunt {
    /// Runs until it was caught, or all.
    pub(crate) runs: u64,
    /// The promise that it broke in a run in which the honest engine breaks none.
    pub(crate) broke: Option<Found>,
    /// A run that it kept from its end, where no promise was broken.
    pub(crate) stalled: Option<String>,
}

/// Looks for a run in which this mistake breaks a promise. What the honest engine breaks in the very same world is no catch.
#[cfg(feature = "bugs")]
pub(crate) fn hunt(prepared: &[Prepared], bug: keyroll::bugs::Bug, most: u64) -> Hunt {
    let mut tally = Tally::default();
    let mut seed = 1;
    let mut broke = None;
    while tally.runs < most && broke.is_none() {
        keyroll::bugs::switch(Some(bug));
        sampled(prepared, Rng::new(seed).next(), &mut tally);
        keyroll::bugs::switch(None);
        seed += 1;
        let honest = |found: &Found| replay(prepared, &found.replay).is_some_and(|report| report.violations.is_empty());
        broke = std::mem::take(&mut tally.found).into_iter().find(honest);
    }
    Hunt { runs: tally.runs, broke, stalled: tally.stalled.first().cloned() }
}
