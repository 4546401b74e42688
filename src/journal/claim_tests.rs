//! Claims: all or none, kept by whoever began, free of those who did not.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

use super::*;
use crate::journal::testing::{begin, finished, noted, run, state, taker};
use crate::ports::Journal;

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

/// A run with one line and no process: parked.
fn park(state: &StateDir, id: &str, resources: &[&str]) {
    let (_lease, mut journal) = begin(state, id, resources).unwrap();
    journal.append(&noted("begun")).unwrap();
}

fn held_by(state: &StateDir) -> Vec<(String, String)> {
    state.claims().all().unwrap().into_iter().map(|c| (c.resource, c.run.to_string())).collect()
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn a_parked_run_keeps_its_claims_and_the_refusal_says_how_to_go_on() {
    let (_dir, state) = state();
    park(&state, "r1", &["key:1", "slot:a"]);
    let later = Taker { at: Time(60_000 + 3_600_000), ..taker("there") };
    let refused = state.claims().take_all(&run("r2"), &texts(&["slot:b", "slot:a", "key:2"]), "x", &later);
    let Err(StateError::Claimed(claimed)) = refused else { unreachable!("it is claimed") };
    assert_eq!((claimed.claim.resource.as_str(), claimed.claim.run.as_str(), claimed.age), ("slot:a", "r1", Span(3_600_000)));
    let text = claimed.to_string();
    for part in ["run r1", "1h ago", "ann on here", "keyroll resume r1", "--emergency", "keyroll unlock r1"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    assert_eq!(held_by(&state), pairs(&[("key:1", "r1"), ("slot:a", "r1")]), "none of the others was taken");
}

#[test]
fn taking_twice_is_taking_once_and_release_gives_up_only_ones_own() {
    let (_dir, state) = state();
    park(&state, "r1", &["a", "b"]);
    park(&state, "r2", &["c"]);
    state.claims().take_all(&run("r1"), &texts(&["b", "a", "b"]), "x", &taker("there")).unwrap();
    assert_eq!(state.claims().of(&run("r1")).unwrap()[0].holder.host, "here", "the first claim stays as it was");
    assert_eq!(state.claims().release(&run("r1")).unwrap(), texts(&["a", "b"]));
    assert_eq!(held_by(&state), pairs(&[("c", "r2")]));
    assert!(state.claims().holder("a").unwrap().is_none());
}

#[test]
fn claims_of_a_run_that_never_began_or_is_over_stand_in_nobodys_way() {
    let (_dir, state) = state();
    // Died between the claims and the journal.
    state.claims().take_all(&run("r1"), &texts(&["a"]), "x", &taker("here")).unwrap();
    park(&state, "r2", &["a"]);
    assert_eq!(held_by(&state), pairs(&[("a", "r2")]));
    // Died between an empty journal and its first line.
    drop(begin(&state, "r3", &["b"]).unwrap());
    park(&state, "r4", &["b"]);
    // Died between the end and the release.
    let (lease, mut journal) = begin(&state, "r5", &["c"]).unwrap();
    journal.append(&noted("begun")).unwrap();
    journal.append(&finished()).unwrap();
    drop((lease, journal));
    park(&state, "r6", &["c"]);
    assert_eq!(held_by(&state), pairs(&[("a", "r2"), ("b", "r4"), ("c", "r6")]));
}

#[test]
fn a_live_process_before_its_first_line_counts() {
    let (_dir, state) = state();
    let (_lease, _journal) = begin(&state, "r1", &["a"]).unwrap();
    assert!(matches!(begin(&state, "r2", &["a"]), Err(StateError::Claimed(_))));
}

#[test]
fn a_damaged_or_removed_journal_keeps_its_claims() {
    let (_dir, state) = state();
    park(&state, "r1", &["a"]);
    park(&state, "r2", &["b"]);
    std::fs::write(state.journal_path(&run("r1")), b"rubbish\n").unwrap();
    std::fs::remove_dir_all(state.run_dir(&run("r2"))).unwrap();
    for resource in ["a", "b"] {
        assert!(matches!(begin(&state, "r9", &[resource]), Err(StateError::Claimed(_))), "{resource}");
    }
    // A person can still give both up.
    for id in ["r1", "r2"] {
        let lease = state.lease_to_unlock(&run(id), &taker("here")).unwrap();
        let note = state.unlock(&lease, "ann", "checked by hand", Time(1)).unwrap();
        assert_eq!(note.resources.len(), 1);
        let kept = std::fs::read_to_string(state.run_dir(&run(id)).join("unlocked.json")).unwrap();
        assert!(kept.contains("checked by hand"));
    }
    park(&state, "r9", &["a", "b"]);
    assert!(matches!(state.lease_to_unlock(&run("r8"), &taker("here")), Err(StateError::NoSuchRun { .. })));
}

#[test]
fn a_claim_that_cannot_be_read_is_not_free() {
    let (_dir, state) = state();
    park(&state, "r1", &["a"]);
    std::fs::write(state.claims().path("a"), b"{").unwrap();
    assert!(matches!(begin(&state, "r2", &["a"]), Err(StateError::Damaged { .. })));
    assert!(state.claims().release(&run("r1")).unwrap().is_empty(), "what cannot be read is not removed");
    // A claim moved under another's name.
    park(&state, "r3", &["c"]);
    std::fs::rename(state.claims().path("c"), state.claims().path("d")).unwrap();
    assert!(matches!(begin(&state, "r4", &["d"]), Err(StateError::Damaged { .. })));
}

#[test]
fn two_threads_never_both_get_an_overlapping_set() {
    for round in 0..20 {
        let (_dir, state) = state();
        let sets = [["a", "b", "x"], ["b", "a", "y"]];
        let gate = std::sync::Barrier::new(2);
        let won = std::thread::scope(|s| {
            let takers: Vec<_> = sets
                .iter()
                .enumerate()
                .map(|(i, set)| {
                    let (state, gate) = (&state, &gate);
                    s.spawn(move || {
                        gate.wait();
                        // What was made is kept: a lease that is dropped early would free the claims rightly.
                        begin(state, &format!("r{i}"), set)
                    })
                })
                .collect();
            takers.into_iter().map(|t| t.join().unwrap()).collect::<Vec<_>>()
        });
        let winners: Vec<usize> = won.iter().enumerate().filter(|(_, w)| w.is_ok()).map(|(i, _)| i).collect();
        assert_eq!(winners.len(), 1, "round {round}");
        let run = format!("r{}", winners[0]);
        let mut expected: Vec<_> = sets[winners[0]].iter().map(|r| ((*r).to_owned(), run.clone())).collect();
        expected.sort();
        assert_eq!(held_by(&state), expected, "round {round}");
    }
}

#[test]
fn a_failed_write_takes_back_what_was_claimed_before_it() {
    let (_dir, state) = state();
    // The second claim's name is taken by a folder, so that its file cannot be put there.
    let mut names = ["m", "n"].map(|n| (state.claims().path(n), n));
    names.sort_by_key(|(_, n)| *n);
    std::fs::create_dir(&names[1].0).unwrap();
    std::fs::write(names[1].0.join("x"), b"").unwrap();
    assert!(begin(&state, "r1", &["m", "n"]).is_err());
    assert!(!names[0].0.exists());
}
