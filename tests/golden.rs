//! The shapes of JSON answers: what a program may rely on. A change here is a change of the interface, and of the docs that describe it.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

mod common;

use common::{Place, Said};
use serde_json::Value;
use std::collections::BTreeSet;

/// Every path with the kind of its values, one per line. Lists count as their elements.
fn shape(value: &Value) -> String {
    let mut lines = BTreeSet::new();
    walk("", value, &mut lines);
    lines.into_iter().collect::<Vec<_>>().join("\n")
}

fn walk(path: &str, value: &Value, lines: &mut BTreeSet<String>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(items) => {
            items.iter().for_each(|item| walk(&format!("{path}[]"), item, lines));
            if !items.is_empty() {
                return;
            }
            "list"
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| walk(&format!("{path}.{name}"), value, lines));
            return;
        }
    };
    lines.insert(format!("{path}: {kind}"));
}

fn json(said: &Said) -> Value {
    serde_json::from_str(said.out.lines().last().unwrap()).unwrap()
}

#[test]
fn answers_keep_their_shape() {
    let place = Place::new();
    let policy = place.policy();
    let policy = policy.to_str().unwrap();
    let ask = |args: &[&str]| json(&place.keyroll(&[&["--output", "json"], args].concat()));
    let plan = ask(&["plan", policy]);
    let parked = ask(&["run", policy, "--until", "hold", "--timeout", "40s"]);
    let status = ask(&["status"]);
    let keys = ask(&["keys", policy]);
    let orphans = ask(&["orphans", policy]);
    let done = ask(&["resume", "--timeout", "40s"]);
    let ended = ask(&["status"]);
    for answer in [&plan, &parked, &status, &keys, &orphans, &done, &ended] {
        assert_eq!(answer["v"], 1, "{answer}");
    }
    assert_eq!((&parked["kind"], &parked["exit"], &parked["state"]), (&"finished".into(), &11.into(), &"parked".into()));
    assert_eq!((&done["kind"], &done["exit"], &done["state"]), (&"finished".into(), &0.into(), &"done".into()));
    assert_eq!((&status["state"], &ended["state"]), (&"parked".into(), &"done".into()));
    assert_eq!(plan["plan_id"].as_str().map(str::len), Some(64), "the digest of the plan");
    insta::assert_snapshot!("plan", shape(&plan));
    insta::assert_snapshot!("finished_parked", shape(&parked));
    insta::assert_snapshot!("finished_done", shape(&done));
    insta::assert_snapshot!("status_parked", shape(&status));
    insta::assert_snapshot!("status_done", shape(&ended));
    insta::assert_snapshot!("keys", shape(&keys));
    insta::assert_snapshot!("orphans_none", shape(&orphans));
    // Every field has a line in the docs.
    let docs = include_str!("../src/cli/json.md");
    for (name, answer) in [("status", &status), ("finished", &done), ("keys", &keys), ("orphans", &orphans), ("plan", &plan)] {
        for field in answer.as_object().unwrap().keys() {
            assert!(docs.contains(&format!("`{field}`")), "`{field}` of {name} is not described");
        }
    }
}

#[test]
fn an_orphan_and_an_error_keep_their_shape() {
    let place = Place::new();
    let policy = place.policy();
    let policy = policy.to_str().unwrap();
    let mut run = place.run(&[]).spawn().unwrap();
    place.wait_for(|r| r["ended"]["kind"] == "stage");
    run.kill().unwrap();
    run.wait().unwrap();
    // Another state folder knows nothing of the run that made the key.
    let other = place.dir.path().join("other");
    let said = place.keyroll(&["--output", "json", "--state", other.to_str().unwrap(), "orphans", policy]);
    said.ends(20);
    insta::assert_snapshot!("orphans_two", shape(&json(&said)));
    let error = place.keyroll(&["--output", "json", "run", policy]);
    error.ends(30);
    insta::assert_snapshot!("error", shape(&json(&error)));
    assert_eq!((&json(&error)["v"], &json(&error)["exit"]), (&1.into(), &30.into()));
}
