//! Golden reports and files, determinism.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

use super::super::fixture;
use super::super::payload::is_safe_path;
use super::super::{EndState, report, summary};
use super::*;
use crate::rotation::{CallClass, Effect, KeyId, Point, Record, Verdict, Which};

fn text(payload: &Payload, path: &str) -> String {
    String::from_utf8(payload.files[path].clone()).unwrap()
}

fn collected(story: &fixture::Story) -> (Run, Payload) {
    collect_journal(&story.bytes()).unwrap()
}

fn end_state(payload: &Payload) -> EndState {
    let value: serde_json::Value = serde_json::from_slice(&payload.files["negative-test.json"]).unwrap();
    serde_json::from_value(value["end_state"].clone()).unwrap()
}

#[test]
fn a_done_run_explains_itself() {
    let (_, payload) = collected(&fixture::done());
    insta::assert_snapshot!("done_report", text(&payload, "report.md"));
    let names: Vec<&str> = payload.files.keys().map(String::as_str).collect();
    insta::assert_snapshot!("done_files", names.join("\n"));
    for path in [
        "negative-test.json",
        "approvals.json",
        "versions.json",
        "gaps.json",
        "phases/05-revoke.json",
        "gates/hold/drained-old-unused.json",
    ] {
        insta::assert_snapshot!(format!("done_{}", path.replace(['/', '.'], "_")), text(&payload, path));
    }
    assert_eq!(end_state(&payload), EndState::RejectedProven);
}

#[test]
fn a_rolled_back_run_explains_itself() {
    let (_, payload) = collected(&fixture::rolled_back());
    insta::assert_snapshot!("rolled_back_report", text(&payload, "report.md"));
    assert!(payload.files.contains_key("phases/07-way-back.json"));
}

#[test]
fn an_emergency_shows_what_was_left_out() {
    let (_, payload) = collected(&fixture::emergency());
    let report = text(&payload, "report.md");
    insta::assert_snapshot!("emergency_report", report);
    insta::assert_snapshot!("emergency_exceptions", text(&payload, "exceptions.json"));
    assert!(!report.contains("<script>") && !report.contains("no use seen since") && !report.contains("No consumer request was refused"));
}

#[test]
fn a_status_is_a_stable_shape() {
    let story = fixture::done();
    let (run, _) = collected(&story);
    insta::assert_json_snapshot!("done_summary", summary(&run));
}

#[test]
fn the_same_journal_gives_the_same_bytes_and_only_safe_names() {
    for story in [fixture::done(), fixture::rolled_back(), fixture::emergency()] {
        let (run, one) = collected(&story);
        let (_, two) = collected(&story);
        assert_eq!(one, two);
        assert!(one.files.keys().all(|p| is_safe_path(p)), "{:?}", one.files.keys());
        let lines = lines::read(&story.bytes()).unwrap();
        assert_eq!(report(&run, &lines.entries), text(&one, "report.md"));
        assert_eq!(crate::secret::sha256_hex(&one.files["plan.json"]), one.plan_id);
    }
}

#[test]
fn an_unfinished_last_line_is_not_part_of_the_bundle() {
    let story = fixture::done();
    let mut bytes = story.bytes();
    let whole = collect_journal(&bytes).unwrap().1;
    bytes.extend_from_slice(b"{\"v\":1,\"seq\":99");
    assert_eq!(collect_journal(&bytes).unwrap().1, whole);
}

#[test]
fn less_than_a_proof_is_never_called_one() {
    // The same calls, but nobody ever saw the old key accepted at the second address.
    let mut story = fixture::done();
    for (_, record) in &mut story.records {
        if let Record::Judged { point: Point::Canary, reading, .. } = record {
            reading.calls.retain(|c| c.endpoint.as_str() != fixture::B);
        }
    }
    assert_eq!(end_state(&collected(&story).1), EndState::RefusedWithoutControl);

    // The gate did not pass.
    let mut story = fixture::done();
    for (_, record) in &mut story.records {
        if let Record::Judged { point: Point::Gone, checks, .. } = record {
            checks[0].verdict = Verdict::Waived;
        }
    }
    assert_eq!(end_state(&collected(&story).1), EndState::RefusedWithoutControl);

    // One node accepted it at last.
    let mut story = fixture::done();
    for (_, record) in &mut story.records {
        if let Record::Judged { point: Point::Gone, reading, .. } = record {
            reading.calls[0].class = CallClass::Accepted;
        }
    }
    assert_eq!(end_state(&collected(&story).1), EndState::Unknown);

    // Nobody called.
    let mut story = fixture::done();
    for (_, record) in &mut story.records {
        if let Record::Judged { point: Point::Gone | Point::Soaked, reading, .. } = record {
            reading.calls.clear();
        }
    }
    assert_eq!(end_state(&collected(&story).1), EndState::Disabled);
}

#[test]
fn a_key_that_was_enabled_again_is_not_refused_any_more() {
    let mut story = fixture::done();
    let after_soak = story.records.iter().position(|(_, r)| matches!(r, Record::Began { effect: Effect::Delete { .. }, .. })).unwrap();
    story.records.truncate(after_soak);
    assert_eq!(end_state(&collected(&story).1), EndState::RejectedProven);
    story.begin(Effect::Enable { key: Which::Old, id: KeyId::new("key-old") });
    assert_eq!(end_state(&collected(&story).1), EndState::Unknown);
}

#[test]
fn a_use_after_the_drain_gate_moves_the_sentence() {
    let mut story = fixture::done();
    let mut late = None;
    for (at, record) in &mut story.records {
        if let Record::Judged { point: Point::Soaked, reading, .. } = record {
            let used = crate::rotation::CallerCount { accepted: 1, last_used: Some(*at), ..Default::default() };
            reading.usage.as_mut().unwrap().old.insert(crate::rotation::App::new("late"), used);
            late = Some(*at);
        }
    }
    let (_, payload) = collected(&story);
    assert!(text(&payload, "report.md").contains(&format!("no use seen since {}", late.unwrap().rfc3339())));
}

#[test]
fn refusals_are_only_denied_where_they_could_be_seen() {
    let mut story = fixture::done();
    for (_, record) in &mut story.records {
        if let Record::Judged { reading, .. } = record
            && let Some(usage) = &mut reading.usage
        {
            usage.own.clear();
        }
    }
    let said = text(&collected(&story).1, "report.md");
    assert!(!said.contains("No consumer request was refused") && said.contains("was not proven in this run"));

    let mut story = fixture::done();
    for (_, record) in &mut story.records {
        if let Record::Judged { point: Point::Soaked, reading, .. } = record {
            let refused = crate::rotation::CallerCount { refused: 2, ..Default::default() };
            reading.usage.as_mut().unwrap().old.insert(crate::rotation::App::new(""), refused);
        }
    }
    assert!(text(&collected(&story).1, "report.md").contains("an unnamed caller at least 2 on the old key"));
}

fn gaps_of(story: &fixture::Story) -> Vec<String> {
    let value: serde_json::Value = serde_json::from_slice(&collected(story).1.files["gaps.json"]).unwrap();
    value["gaps"].as_array().unwrap().iter().map(|g| format!("{}: {}", g["kind"].as_str().unwrap(), g["what"].as_str().unwrap())).collect()
}

#[test]
fn what_people_did_not_do_is_a_gap() {
    let has = |story: &fixture::Story, begins: &str| gaps_of(story).iter().any(|g| g.starts_with(begins));
    assert!(!has(&fixture::done(), "no approval"));
    let mut story = fixture::done();
    story.records.retain(|(_, r)| !matches!(r, Record::Asked { .. } | Record::Answered { .. }));
    assert!(has(&story, "no approval: the policy asks security to agree to revoke; nobody did"));

    let mut story = fixture::done();
    for (_, record) in &mut story.records {
        if let Record::Answered { proof, .. } = record {
            *proof = crate::rotation::Proof::Asserted;
        }
    }
    assert!(has(&story, "asserted: the answer of noor"));

    // Nobody looked for an hour while a refused caller would have needed somebody.
    assert!(!has(&fixture::done(), "unwatched"));
    let mut story = fixture::done();
    let soak = story.records.iter().position(|(_, r)| matches!(r, Record::Judged { point: Point::Soaked, .. })).unwrap();
    for (at, _) in story.records.iter_mut().skip(soak) {
        *at = at.plus(crate::rotation::Span::hours(1));
    }
    assert!(has(&story, "unwatched: while the old key was disabled nobody looked for 1h,"));
}

#[test]
fn a_way_back_that_leaves_the_new_key_says_so() {
    let mut story = fixture::rolled_back();
    assert!(!gaps_of(&story).iter().any(|g| g.starts_with("key left")));
    let gone = |r: &Record| match r {
        Record::Began { effect, .. } => matches!(effect, Effect::Delete { .. }),
        Record::Ended { kind, .. } => *kind == crate::rotation::EffectKind::DeleteNew,
        _ => false,
    };
    story.records.retain(|(_, r)| !gone(r));
    assert!(gaps_of(&story).iter().any(|g| g.starts_with("key left: the new key key-new still exists")));
}
