//! A small run of the simulator: the real engine over a fake world. The long one is the example `simulate`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may")]

#[path = "../examples/simulate/sim/mod.rs"]
#[expect(dead_code, reason = "the example uses more of it than this test")]
mod sim;

use sim::campaign::{self, Tally};

fn clean(tally: &Tally) {
    assert!(tally.found.is_empty(), "{:#?}", tally.found);
    assert!(tally.stalled.is_empty(), "{:#?}", tally.stalled);
}

#[test]
fn single_deaths_of_every_scenario_break_no_promise() {
    let prepared = campaign::prepare().unwrap();
    let mut tally = Tally::default();
    for scenario in prepared.iter().take(campaign::EXHAUSTIVE) {
        let boundaries = campaign::boundaries(scenario);
        assert!(boundaries > 60, "{} has only {boundaries} boundaries", scenario.scenario.name());
        for first in (0..boundaries).step_by(7) {
            campaign::deaths_from(scenario, first, u32::MAX, &mut tally);
        }
    }
    assert!(tally.died * 10 >= tally.runs * 9, "only {} of {} runs died", tally.died, tally.runs);
    clean(&tally);
}

#[test]
fn sampled_worlds_break_no_promise() {
    let prepared = campaign::prepare().unwrap();
    let mut tally = Tally::default();
    for seed in 1..=60 {
        campaign::sampled(&prepared, seed, &mut tally);
    }
    assert!(tally.runs >= 300, "only {} runs", tally.runs);
    clean(&tally);
}

#[test]
fn the_same_seed_is_the_same_run() {
    let prepared = campaign::prepare().unwrap();
    for token in ["5.1.2", "17.3.4", "Forward:31:12"] {
        let [one, two] = [(), ()].map(|()| campaign::replay(&prepared, token).unwrap());
        assert_eq!((one.left, one.boundaries, one.died), (two.left, two.boundaries, two.died), "{token}");
        assert_eq!(one.story.len(), two.story.len(), "{token}");
    }
}

#[cfg(feature = "bugs")]
#[test]
fn every_deliberate_mistake_is_caught() {
    let prepared = campaign::prepare().unwrap();
    let missed: Vec<_> =
        keyroll::bugs::Bug::ALL.into_iter().filter(|bug| campaign::hunt(&prepared, *bug, 12_000).broke.is_none()).collect();
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

/// Each place that asks for a mistake is compiled only with the feature, and the feature is off unless asked for.
#[test]
fn an_ordinary_build_has_no_deliberate_mistakes() {
    let manifest = std::fs::read_to_string("Cargo.toml").unwrap();
    let default = manifest.lines().find(|l| l.starts_with("default = ")).unwrap();
    assert!(!default.contains("bugs"), "the mistakes are on by default: {default}");
    let mut folders = vec![std::path::PathBuf::from("src")];
    let mut asked = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("bugs.rs") {
                asked += guarded(&path);
            }
        }
    }
    assert!(asked >= 20, "only {asked} places ask for a mistake");
}

/// Counts the places in one file, and stops at one that is not guarded.
fn guarded(path: &std::path::Path) -> usize {
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let places: Vec<usize> =
        (0..lines.len()).filter(|i| lines.get(*i).is_some_and(|l| l.contains("bugs::") || l.contains("mod bugs"))).collect();
    for at in &places {
        let before = lines.iter().take(at + 1).rev().take(3).any(|l| l.contains("#[cfg(feature = \"bugs\")]"));
        if !before {
            panic!("{}:{} is compiled without the feature `bugs`, too", path.display(), at + 1);
        }
    }
    places.len()
}
