//! The exit codes that no other test of the binary reaches, each with the words that come with it.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

mod common;

use common::{Place, Said, keyroll};
use serde_json::json;
use std::fs;

fn ran(place: &Place, more: &[&str]) -> Said {
    Said::of(place.run(more).output().unwrap())
}

#[test]
fn a_wrong_call_or_policy_is_2() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("bad.yaml"), "version: 1\nrotaton: {}\n").unwrap();
    keyroll(&["run", "bad.yaml"], dir.path()).ends(2);
    keyroll(&["run", "absent.yaml"], dir.path()).ends(2);
    keyroll(&["rotate"], dir.path()).ends(2);
    let said = keyroll(&["run", "bad.yaml", "--until", "lunch"], dir.path());
    said.ends(2);
    let place = Place::new();
    let said = ran(&place, &["--until", "lunch"]);
    said.ends(2);
    assert!(said.err.contains("canary"), "the phases are named: {}", said.err);
    assert!(ran(&place, &["--timeout", "soon"]).ends(2).err.contains("30s"));
}

#[test]
fn a_gateway_that_is_not_there_is_12_and_changes_nothing() {
    let place = Place::new();
    let text = fs::read_to_string(place.policy()).unwrap().replace(place.urls["admin"].as_str().unwrap(), "http://127.0.0.1:9");
    fs::write(place.policy(), text).unwrap();
    let said = ran(&place, &[]);
    said.ends(12);
    assert!(said.err.contains("nothing was changed") && said.err.contains("127.0.0.1:9"), "{}", said.err);
    assert!(place.records().is_empty());
}

#[test]
fn a_refused_login_is_12() {
    let place = Place::new();
    let wrong = place.dir.path().join("wrong.key");
    fs::write(&wrong, "sk-admin-nobody-knows-this-one-0000\n").unwrap();
    let text = fs::read_to_string(place.policy()).unwrap();
    let key = place.dir.path().join("sandbox/admin.key");
    fs::write(place.policy(), text.replace(key.to_str().unwrap(), wrong.to_str().unwrap())).unwrap();
    let said = ran(&place, &[]);
    said.ends(12);
    assert!(said.err.contains("login") || said.err.contains("refused"), "{}", said.err);
    assert!(!said.err.contains("nobody-knows"), "the value is not repeated: {}", said.err);
}

#[test]
fn a_failed_check_is_21_and_with_stop_it_is_20() {
    let place = Place::new();
    place.fault("scope_dropped", json!({ "field": "models" }));
    let said = ran(&place, &[]);
    said.ends(21);
    assert!(said.err.contains("rolled back") && said.err.contains("models"), "{}", said.err);
    assert!(place.marked().is_empty());
    assert_eq!(place.refused(), Vec::<String>::new());

    let place = Place::new();
    place.add("on_fail: stop");
    place.fault("scope_dropped", json!({ "field": "models" }));
    let before = place.slot();
    let said = ran(&place, &[]);
    said.ends(20);
    assert!(said.err.contains("nothing advanced"), "{}", said.err);
    assert_eq!(place.slot(), before);
    place.keyroll(&["rollback"]).ends(0);
    assert!(place.marked().is_empty());
}

#[test]
fn a_journal_that_was_changed_is_22_and_is_not_continued() {
    let place = Place::new();
    ran(&place, &["--until", "prepare"]).ends(11);
    let journal = fs::read_dir(place.dir.path().join("state/runs")).unwrap().next().unwrap().unwrap().path().join("journal.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, text.replacen("prepare", "prepaid", 1)).unwrap();
    for verb in [&["resume"][..], &["rollback"], &["status"]] {
        let said = place.keyroll(verb);
        said.ends(22);
        assert!(said.err.contains("line") && said.err.contains("changed after it was written"), "{verb:?}: {}", said.err);
    }
    fs::write(&journal, text).unwrap();
    place.keyroll(&["rollback"]).ends(0);
}

#[test]
fn a_policy_that_cannot_be_honoured_is_40() {
    let place = Place::new();
    let text = fs::read_to_string(place.policy()).unwrap();
    fs::write(place.policy(), text.replace("usage: [{ gateway_log: {} }]\n", "")).unwrap();
    let said = ran(&place, &[]);
    said.ends(40);
    assert!(said.err.contains("usage:") && said.err.contains("silence cannot be shown"), "{}", said.err);
    fs::write(place.policy(), text).unwrap();
    fs::write(place.policy(), fs::read_to_string(place.policy()).unwrap().replace("accept: [local_state]\n", "")).unwrap();
    // Nobody can be asked, and the state would be lost with the machine.
    let said = Said::of(place.command(&["run", place.policy().to_str().unwrap()]).env_remove("KEYROLL_STATE").output().unwrap());
    said.ends(40);
    assert!(said.err.contains("--state") && said.err.contains("--accept-local-state"), "{}", said.err);
}

#[test]
fn a_changed_bundle_is_50_and_a_secret_in_the_evidence_is_51() {
    let place = Place::new();
    let secret = place.slot();
    ran(&place, &["--until", "prepare"]).ends(11);
    // Somebody pastes the key into a reason: it is not written down.
    let said = place.keyroll(&["rollback", "--reason", &format!("leaked: {secret}")]);
    said.ends(2);
    assert!(said.err.contains("looks like a key") && !said.err.contains(&secret), "{}", said.err);
    // Disguised it gets as far as the scan, and such a record is not sealed.
    let disguised: String = secret.bytes().map(|b| format!("%{b:02x}")).collect();
    let said = place.keyroll(&["rollback", "--reason", &disguised]);
    said.ends(51);
    assert!(said.err.contains("nothing was sealed") && !said.err.contains(&secret), "{}", said.err);
    assert!(place.slot() == secret && place.tries(&secret) == [200, 200], "the way back itself was gone");

    let place = Place::new();
    ran(&place, &["--timeout", "40s"]).ends(0);
    let bundle = fs::read_dir(place.dir.path().join("state/runs")).unwrap().next().unwrap().unwrap().path().join("bundle");
    let bundle = bundle.to_str().unwrap();
    place.keyroll(&["evidence", "verify", bundle]).ends(0);
    fs::write(format!("{bundle}/extra.txt"), "x").unwrap();
    let said = place.keyroll(&["evidence", "verify", bundle]);
    said.ends(50);
    assert!(said.err.contains("extra.txt"), "{}", said.err);
}
