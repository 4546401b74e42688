//! The folder: made, found, refused.
#![expect(clippy::unwrap_used, reason = "a test may")]

use super::*;
use crate::journal::testing::{begin, finished, noted, now, run, state, taker};
use crate::ports::Journal;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_missing_folder_and_a_file_in_its_place_are_typed() {
    let (dir, state) = state();
    let nowhere = dir.path().join("nowhere");
    assert_eq!(StateDir::open(&nowhere), Err(StateError::Missing { path: nowhere.clone() }));
    std::fs::write(&nowhere, b"").unwrap();
    assert!(matches!(StateDir::open(&nowhere), Err(StateError::Damaged { .. })));
    assert_eq!(StateDir::open(state.root()).as_ref(), Ok(&state));
}

#[test]
fn a_new_folder_is_its_owners_and_git_does_not_see_it() {
    let (_dir, state) = state();
    assert_eq!(std::fs::metadata(state.root()).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(std::fs::read(state.root().join(".gitignore")).unwrap(), b"*\n");
    assert_eq!(StateDir::make(state.root()).as_ref(), Ok(&state), "making it again changes nothing");
}

#[test]
fn what_cannot_be_written_is_said_and_leaves_nothing() {
    for (kind, typed) in [
        (io::ErrorKind::PermissionDenied, "ReadOnly"),
        (io::ErrorKind::ReadOnlyFilesystem, "ReadOnly"),
        (io::ErrorKind::StorageFull, "Full"),
        (io::ErrorKind::Other, "Io"),
    ] {
        let error = StateError::io("write", Path::new("x"), &kind.into());
        assert!(format!("{error:?}").starts_with(typed), "{error:?}");
    }
    let (_dir, state) = state();
    // The place of the run's folder is taken: claims that were made for it go again.
    std::fs::write(state.run_dir(&run("r1")), b"").unwrap();
    assert!(begin(&state, "r1", &["k"]).is_err());
    assert!(state.claims().all().unwrap().is_empty());
}

#[test]
fn folders_that_a_cache_forgot_because_they_were_empty_are_made_again() {
    let (_dir, state) = state();
    for name in ["claims", "heads", "runs"] {
        std::fs::remove_dir(state.root().join(name)).unwrap();
    }
    assert!(state.list().unwrap().is_empty() && state.claims().all().unwrap().is_empty());
    assert!(begin(&state, "r1", &["k"]).is_ok());
}

#[test]
fn runs_are_listed_and_found_by_the_beginning_of_their_id() {
    let (_dir, state) = state();
    for (id, resource) in [("ab12", "1"), ("ab34", "2"), ("ab", "3"), ("cd", "4")] {
        let (_lease, mut journal) = begin(&state, id, &[resource]).unwrap();
        journal.append(&noted("begun")).unwrap();
    }
    state.make_run_dir(&run("zz")).unwrap();
    let ids: Vec<String> = state.list().unwrap().into_iter().map(|r| r.id.to_string()).collect();
    assert_eq!(ids, ["ab", "ab12", "ab34", "cd"], "a folder without a journal is no run");
    assert_eq!(state.find("c").unwrap(), run("cd"));
    assert_eq!(state.find("ab").unwrap(), run("ab"), "the whole id wins");
    assert!(matches!(state.find("a"), Err(StateError::Ambiguous { candidates, .. }) if candidates.len() == 3));
    for nobody in ["", "x", "zz"] {
        assert!(matches!(state.find(nobody), Err(StateError::NoSuchRun { .. })), "{nobody:?}");
    }
}

#[test]
fn an_id_that_could_leave_its_folder_is_refused() {
    let (_dir, state) = state();
    for bad in ["", ".", "..", "a/b", "-a", "a b", "a\0", &"x".repeat(65)] {
        assert_eq!(begin(&state, bad, &["k"]).err(), Some(StateError::UnsafeRun), "{bad:?}");
        assert_eq!(state.load(&run(bad)).err(), Some(StateError::UnsafeRun), "{bad:?}");
    }
    assert!(state.claims().all().unwrap().is_empty());
}

#[test]
fn a_journal_that_was_removed_is_not_the_same_as_no_run() {
    let (_dir, state) = state();
    let (_lease, mut journal) = begin(&state, "r1", &["k"]).unwrap();
    journal.append(&noted("begun")).unwrap();
    std::fs::remove_file(state.journal_path(&run("r1"))).unwrap();
    let restored = StateError::Journal(JournalError::Restored { journal: 0, head: 1 });
    assert_eq!(state.load(&run("r1")).err(), Some(restored));
    assert!(matches!(state.load(&run("r2")), Err(StateError::NoSuchRun { .. })));
}

/// A plan of nothing that claims something.
fn planned(id: &str, claims: &[&str]) -> Record {
    let plan = serde_json::json!({
        "v": 1, "gate_semantics": 1, "made_at": "2026-01-02T03:04:05Z",
        "about": { "credential": "c", "owner": "o", "environment": "e", "reason": "r", "reason_kind": "scheduled", "ticket": null, "requester": null },
        "policy": { "file": "f", "sha256": "", "text": "", "effective": "" },
        "gateway": {
            "driver": "d", "identity": { "base": "b", "tenant": "t", "principal": "p", "build": "" }, "endpoints": [],
            "caps": {
                "overlap": "separate_ids", "mint": "shown_once", "marker": "none", "disable": "reversible",
                "settles_in": 0, "refusal_cache": 0, "created_at": true, "known_by": "probe"
            }
        },
        "kind": "router",
        "old": {
            "id": "k", "name": "n", "marker": "", "enabled": true, "created_at": null, "expires_at": null, "last_used_at": null,
            "owner": "", "scope": { "budget": 1.5 }
        },
        "sentinel": null, "known_ids": [], "slots": [], "consumers": [], "unclaimed": [], "probes": [],
        "usage": { "kind": "rows", "sees_refused": true, "names_caller": true, "lag": 0, "shards": [], "reaches": null, "source": "s" },
        "gates": [], "approvals": [],
        "timing": {
            "poll": 0, "call_timeout": 0, "send_before": 0, "observation": 0, "drain_window": 0, "soak": 0, "undo_window": 0, "repeats": 1,
            "longest_request": 0, "longest_gap": 0, "reload_within": 0
        },
        "windows": null, "accept": [], "on_fail": "rollback", "on_refused_caller": "reopen", "by_hand": [], "watcher": null,
        "exceptions": [], "claims": claims, "hosts": [], "evidence": [], "gaps": [], "warnings": [], "fingerprint_check": ""
    });
    serde_json::from_value(serde_json::json!({ "planned": { "run": id, "plan": plan, "plan_id": "p" } })).unwrap()
}

#[test]
fn a_run_taken_up_again_claims_what_its_plan_claims_unless_another_run_has_it_or_it_is_over() {
    let (_dir, state) = state();
    let resume = |id: &str| state.resume_run(&run(id), &taker("here"), now);
    let (lease, mut journal) = begin(&state, "r1", &["a", "b"]).unwrap();
    journal.append(&planned("r1", &["a", "b"])).unwrap();
    state.unlock(&lease, "ann", "by mistake", now()).unwrap();
    drop((lease, journal));
    assert!(state.claims().all().unwrap().is_empty());
    let opened = resume("r1").unwrap();
    assert_eq!(opened.records, [planned("r1", &["a", "b"])], "a plan survives its journal unchanged");
    assert_eq!(state.claims().of(&run("r1")).unwrap().len(), 2);
    state.unlock(&opened.lease, "ann", "r2 goes first", now()).unwrap();
    drop(opened);
    let (_lease, mut journal) = begin(&state, "r2", &["b"]).unwrap();
    journal.append(&planned("r2", &["b"])).unwrap();
    assert!(matches!(resume("r1"), Err(StateError::Claimed(c)) if c.claim.run == run("r2")));
    assert!(state.claims().of(&run("r1")).unwrap().is_empty());
    drop(begin(&state, "r3", &["c"]).map(|(_lease, mut journal)| {
        journal.append(&planned("r3", &["c"])).unwrap();
        journal.append(&finished()).unwrap();
        state.claims().release(&run("r3")).unwrap();
    }));
    assert_eq!(resume("r3").unwrap().records.len(), 2);
    assert!(state.claims().of(&run("r3")).unwrap().is_empty(), "a run that is over claims nothing");
}
