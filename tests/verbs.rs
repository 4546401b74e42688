//! The verbs through the binary, on a sandbox that is a process of its own.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

mod common;

use common::{Place, Said, keyroll};
use std::process::Command;

fn ended(kind: &str) -> impl Fn(&serde_json::Value) -> bool {
    move |r| r["ended"]["kind"] == kind
}

#[test]
fn the_published_template_lints_says_what_is_missing_and_is_completed() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy("tests/policies/good/template.yaml", dir.path().join("t.yaml")).unwrap();
    keyroll(&["lint", "t.yaml"], dir.path()).ends(0);
    let plan = keyroll(&["plan", "t.yaml"], dir.path());
    plan.ends(40);
    for block in ["gateway", "slots", "consumers"] {
        assert!(plan.err.contains(block), "{block} is not named: {}", plan.err);
    }
    keyroll(&["init", "--from", "t.yaml", "--out", "full.yaml"], dir.path()).ends(0);
    keyroll(&["lint", "full.yaml"], dir.path()).ends(0);
    keyroll(&["init", "--from", "t.yaml", "--out", "full.yaml"], dir.path()).ends(2);
}

#[test]
fn a_second_run_names_the_first_and_a_dead_one_is_taken_over() {
    let place = Place::new();
    let mut first = place.run(&[]).spawn().unwrap();
    place.wait_for(|r| r["moved"]["to"] == "hold");
    let second = Said::of(place.run(&[]).output().unwrap());
    second.ends(30);
    assert!(second.err.contains("keyroll resume") && second.err.contains("pid"), "{}", second.err);
    first.kill().unwrap();
    first.wait().unwrap();
    place.keyroll(&["resume"]).ends(0);
    assert_eq!(place.refused(), Vec::<String>::new());
    assert!(place.marked().is_empty());
}

#[test]
fn rollback_from_disabled_accepts_first_and_leaves_nothing() {
    let place = Place::new();
    let before = place.slot();
    let mut run = place.run(&[]).spawn().unwrap();
    place.wait_for(ended("disable_old"));
    run.kill().unwrap();
    run.wait().unwrap();
    assert_ne!(place.slot(), before);
    place.keyroll(&["rollback", "--reason", "test"]).ends(0);
    assert_eq!(place.slot(), before);
    assert!(place.marked().is_empty());
    let order: Vec<String> = place.records().iter().filter_map(|r| r["ended"]["kind"].as_str().map(str::to_owned)).collect();
    let at = |kind: &str| order.iter().position(|k| k == kind).unwrap();
    assert!(at("enable_old") < at("demote") && at("demote") < at("disable_new") && at("disable_new") < at("delete_new"), "{order:?}");
    assert_eq!(place.refused(), Vec::<String>::new());
}

#[test]
fn an_emergency_says_who_may_break_and_keeps_what_it_skipped() {
    let place = Place::new();
    let said = Said::of(place.run(&["--emergency", "--reason", "leaked in a log"]).output().unwrap());
    assert!(said.err.contains("refused if they do not follow in time") && said.err.contains("web"), "{}", said.err);
    assert!(said.err.contains("left out, on record"), "{}", said.err);
    said.ends(0);
    let skipped =
        place.records().iter().any(|r| r["judged"]["checks"].as_array().is_some_and(|c| c.iter().any(|c| c["verdict"] == "skipped")));
    assert!(skipped);
    let report = place.keyroll(&["report"]);
    report.ends(0);
    assert!(report.out.to_lowercase().contains("emergency") && report.out.contains("leaked in a log"));
}

#[test]
fn an_interrupt_parks_and_resume_goes_on() {
    let place = Place::new();
    let run = place.run(&[]).spawn().unwrap();
    place.wait_for(|r| r["moved"]["to"] == "hold");
    Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
    let parked = Said::of(run.wait_with_output().unwrap());
    parked.ends(10);
    let status = place.keyroll(&["--output", "json", "status"]);
    let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!((status["state"].as_str(), status["v"].as_u64()), (Some("parked"), Some(1)));
    // The reader of the output has gone away: the rotation goes on all the same.
    let mut resumed = place.command(&["--output", "json", "resume"]).spawn().unwrap();
    drop(resumed.stdout.take());
    assert_eq!(resumed.wait().unwrap().code(), Some(0));
}

#[test]
fn a_saved_plan_is_used_once_and_a_changed_one_is_stale() {
    let place = Place::new();
    let policy = place.policy();
    let saved = place.dir.path().join("plan.json");
    let saved = saved.to_str().unwrap();
    place.keyroll(&["plan", policy.to_str().unwrap(), "--out", saved]).ends(0);
    let text = std::fs::read_to_string(saved).unwrap().replace("platform-ai", "somebody-else");
    let changed = place.dir.path().join("changed.json");
    std::fs::write(&changed, text).unwrap();
    place.keyroll(&["run", "--plan", changed.to_str().unwrap()]).ends(31);
    place.keyroll(&["run", "--plan", saved]).ends(0);
    // The same plan again: the world it was made for is gone, and the refusal leaves no claim behind.
    place.keyroll(&["run", "--plan", saved]).ends(31);
    Said::of(place.run(&[]).output().unwrap()).ends(0);
}

#[test]
fn an_approval_is_waited_for_and_a_freeze_stops_what_goes_forward() {
    let place = Place::new();
    let policy = place.policy();
    let text = std::fs::read_to_string(&policy).unwrap() + "approvals: { revoke: { role: security } }\n";
    std::fs::write(&policy, text).unwrap();
    let asked = Said::of(place.run(&["--timeout", "8s"]).output().unwrap());
    asked.ends(11);
    place.keyroll(&["approve"]).ends(0);
    place.keyroll(&["freeze", "--reason", "incident"]).ends(0);
    let frozen = place.keyroll(&["resume"]);
    frozen.ends(11);
    assert!(frozen.err.contains("incident"), "{}", frozen.err);
    place.keyroll(&["freeze", "--lift"]).ends(0);
    place.keyroll(&["resume"]).ends(0);
    assert_eq!(place.refused(), Vec::<String>::new());
}
