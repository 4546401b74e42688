//! What people and schedules do with a run: stop it, step it, tick it, answer it, unlock it, and write policies the short way.
#![cfg(unix)]
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may")]

mod common;

use common::{Place, Said, http};
use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn ran(place: &Place, more: &[&str]) -> Said {
    Said::of(place.run(more).output().unwrap())
}

fn change(place: &Place, from: &str, to: &str) {
    let text = fs::read_to_string(place.policy()).unwrap();
    assert!(text.contains(from), "{from} is in the policy");
    fs::write(place.policy(), text.replace(from, to)).unwrap();
}

#[test]
fn a_policy_in_parts_with_the_admin_key_from_a_command() {
    let place = Place::new();
    let key = place.dir.path().join("sandbox/admin.key");
    change(&place, &format!("{{ file: {} }}", key.display()), &format!("{{ command: [cat, \"{}\"] }}", key.display()));
    // Shared blocks in a file of their own; the address of this environment in an overlay.
    fs::write(place.dir.path().join("shared.yaml"), "usage: [{ gateway_log: {} }]\nprobes: [{ chat: { model: demo-small } }]\n").unwrap();
    change(&place, "usage: [{ gateway_log: {} }]\nprobes: [{ chat: { model: demo-small } }]\n", "use: shared.yaml\n");
    let admin = place.urls["admin"].as_str().unwrap().to_owned();
    change(&place, &format!("admin: {admin}"), "admin: http://127.0.0.1:9");
    place.add(&format!("overlays: {{ here: {{ gateway: {{ sandbox: {{ admin: \"{admin}\" }} }} }} }}"));
    let policy = place.policy();
    let policy = policy.to_str().unwrap();
    place.keyroll(&["lint", policy, "--env", "here"]).ends(0);
    place.keyroll(&["plan", policy, "--env", "elsewhere"]).ends(2);
    place.keyroll(&["plan", policy]).ends(12);
    place.keyroll(&["plan", policy, "--env", "here"]).ends(0);
    // Without a terminal nobody can say yes to a step: it stops before the first one.
    let stepped = ran(&place, &["--env", "here", "--step"]);
    stepped.ends(11);
    assert!(stepped.err.contains("next: mint the new key") && stepped.err.contains("--step"), "{}", stepped.err);
    assert!(!place.records().iter().any(|r| r.get("began").is_some()), "no effect was begun");
    place.keyroll(&["resume", "--until", "canary", "--timeout", "40s"]).ends(11);
    place.keyroll(&["resume", "--timeout", "60s"]).ends(0);
    assert_eq!(place.refused(), Vec::<String>::new());
}

#[test]
fn a_reload_by_hand_is_asked_for_and_checked() {
    let place = Place::new();
    let control = place.urls["control"].as_str().unwrap().to_owned();
    change(&place, &format!("{{ http: {{ url: {control}/consumers/batch/reload }} }}"), "{ by: hand }");
    let asked = ran(&place, &["--timeout", "20s"]);
    assert!(matches!(asked.code, Some(10 | 11)), "{:?} {}", asked.code, asked.err);
    assert!(asked.err.contains("ask platform-ai to reload batch by hand"), "who must act is said: {}", asked.err);
    // Nobody acts: nothing advances on a word alone.
    let still = place.keyroll(&["resume", "--timeout", "6s"]);
    assert!(matches!(still.code, Some(10 | 11)), "{:?} {}", still.code, still.err);
    assert_eq!(http("POST", &format!("{control}/consumers/batch/reload"), "", "").0, 200);
    place.keyroll(&["resume", "--timeout", "60s"]).ends(0);
    assert_eq!(place.refused(), Vec::<String>::new());
}

#[test]
fn a_closed_window_parks_with_the_hour_and_a_tick_leaves_it_alone() {
    let place = Place::new();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let hour = (now / 3600 + 3) % 24;
    let days = "mon, tue, wed, thu, fri, sat, sun";
    place.add(&format!("windows: {{ timezone: UTC, allow: [{{ days: [{days}], from: \"{hour:02}:00\", to: \"{hour:02}:59\" }}] }}"));
    let policy = place.policy();
    let plan = place.keyroll(&["plan", policy.to_str().unwrap()]);
    plan.ends(0);
    assert!(plan.out.contains("moved by the change windows"), "{}", plan.out);
    let parked = ran(&place, &["--timeout", "40s"]);
    parked.ends(10);
    assert!(parked.err.contains("allowed hours") && parked.err.contains(&format!("T{hour:02}:00")), "{}", parked.err);
    let began = Instant::now();
    place.keyroll(&["tick", "--all"]).ends(10);
    assert!(began.elapsed() < Duration::from_secs(10), "what is not due is not begun");
    place.keyroll(&["rollback", "--timeout", "60s"]).ends(0);
}

#[test]
fn a_rejection_stops_it_an_unlock_frees_it_and_looking_never_hurts() {
    let place = Place::new();
    place.add("approvals: { revoke: { role: security } }");
    ran(&place, &["--timeout", "25s"]).ends(11);
    let why = place.keyroll(&["why"]);
    assert!(why.ends(0).out.contains("keyroll approve"), "{}", why.out);
    place.keyroll(&["watch"]).ends(10);
    place.keyroll(&["reject", "--reason", "not today"]).ends(0);
    let rejected = place.keyroll(&["resume"]);
    rejected.ends(11);
    assert!(rejected.err.contains("not today"), "{}", rejected.err);
    let run = place.keyroll(&["--output", "json", "status"]);
    let run: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    let id = run.pointer("/run").unwrap().as_str().unwrap();
    // Without a reason nothing is unlocked.
    place.keyroll(&["unlock", id]).ends(2);
    place.keyroll(&["unlock", id, "--reason", "the runner is gone"]).ends(0);
    assert!(place.records().iter().any(|r| r.pointer("/unlocked/why").is_some_and(|w| w == "the runner is gone")), "it is on record");
    assert_eq!(fs::read_dir(place.dir.path().join("state/claims")).unwrap().count(), 0);
    assert_eq!(place.refused(), Vec::<String>::new());
}

#[test]
fn an_unlisted_caller_waits_for_a_person_who_excepts_it_by_name() {
    let place = Place::new();
    change(&place, "  - { app: agent, cadence: 2s, reload: { dynamic: { ttl: 2s } } }\n", "");
    let parked = ran(&place, &["--timeout", "20s"]);
    assert!(matches!(parked.code, Some(10 | 11)), "{:?} {}", parked.code, parked.err);
    let why = place.keyroll(&["why"]);
    assert!(why.out.contains("agent") && why.out.contains("amend"), "{}", why.out);
    // It reads the same slot, so it is on the new key by now; what is left is to say that somebody knows it.
    let amended = place.keyroll(&["amend", "--waive", "drained/unknown_callers", "--reason", "it is ours, CHG-1"]);
    assert!(matches!(amended.code, Some(0 | 10 | 11)), "{:?} {}", amended.code, amended.err);
    assert!(place.records().iter().any(|r| r.pointer("/waived/why").is_some_and(|w| w == "it is ours, CHG-1")));
}
