//! Whole rotations, step by step: the order of things forward, and back from every phase.

use super::fixture::{plan, provider, with_approval};
use super::tale::Tale;
use crate::rotation::*;

const PREPARE: &[&str] = &["judge bound", "look", "mint keyroll:run:1", "stage 0", "stage 1", "judge prepared", "move canary"];
const CANARY: &[&str] = &["judge canary", "move flip"];
const FLIP: &[&str] = &[
    "look",
    "promote 0 staged0",
    "look",
    "promote 1 staged1",
    "reload web 1",
    "judge reloaded web",
    "reload api 1",
    "judge reloaded api",
    "judge flipped",
    "move hold",
];
const HOLD: &[&str] = &["judge drained", "move revoke"];
const REVOKE: &[&str] = &[
    "judge before_disable",
    "look",
    "disable_old old",
    "judge soaked",
    "judge before_delete",
    "look",
    "delete_old old",
    "judge gone",
    "move archive",
];
const ARCHIVE: &[&str] = &["judge complete", "mark_live new", "scan", "retire 0", "retire 1", "seal", "finish done"];

const CONSUMERS_BACK: &[&str] = &[
    "judge old_accepted",
    "look",
    "demote 0 promoted0",
    "look",
    "demote 1 promoted1",
    "reload web 2",
    "judge returned web",
    "reload api 2",
    "judge returned api",
];
const NEW_OUT: &[&str] = &["judge new_drained", "look", "disable_new new", "judge new_soaked", "look", "delete_new new"];
const CLOSE: &[&str] = &["judge undone", "scan", "drop_pending 0", "drop_pending 1", "seal", "finish rolled back as asked: enough"];

/// From where it stands to its end.
fn rest(tale: &mut Tale) -> Vec<String> {
    tale.until("over")
}

#[test]
fn a_router_key_moves_through_six_phases_in_this_order() {
    let said = rest(&mut Tale::new());
    assert_eq!(said, [PREPARE, CANARY, FLIP, HOLD, REVOKE, ARCHIVE].concat());
}

#[test]
fn a_provider_key_moves_its_models_after_its_slot_and_reloads_nobody() {
    let mut tale = Tale::of(provider());
    tale.until("move flip");
    tale.goes();
    let said = tale.until("move hold");
    assert_eq!(said, ["look", "promote 0 staged0", "look", "repoint m1 new", "look", "repoint m2 new", "judge flipped"]);
}

#[test]
fn agreement_is_asked_for_before_the_disable_and_used_by_it() {
    let mut tale = Tale::of(with_approval());
    tale.until("move revoke");
    tale.goes();
    let answered = tale.run.records + 2;
    let said = tale.until("judge soaked");
    let disable = format!("disable_old old by {answered}");
    assert_eq!(said, ["ask owner for revoke", "wait for owner about revoke", "judge before_disable", "look", &disable]);
    assert_eq!(tale.run.approved, None);
}

#[test]
fn where_nothing_can_be_disabled_the_deletion_needs_the_agreement() {
    let mut plan = with_approval();
    plan.gateway.caps.disable = Disable::None;
    let mut tale = Tale::of(plan);
    tale.until("move revoke");
    tale.goes();
    let said = tale.until("judge gone");
    assert_eq!(said, ["ask owner for revoke", "wait for owner about revoke", "judge before_delete", "look", "delete_old old"]);
}

#[test]
fn each_switch_that_a_gateway_can_have_is_used() {
    for disable in [Disable::Reversible, Disable::ByExpiry, Disable::Irreversible] {
        let mut plan = plan();
        plan.gateway.caps.disable = disable;
        let said = Tale::of(plan).until("delete_old");
        assert!(said.contains(&"disable_old old".to_owned()), "{disable:?}");
    }
}

#[test]
fn a_value_that_we_choose_is_staged_before_the_mint() {
    let mut plan = plan();
    plan.gateway.caps.mint = Mint::CallerChooses;
    let said = Tale::of(plan).until("move canary");
    assert_eq!(said, ["judge bound", "stage 0", "stage 1", "look", "mint keyroll:run:1", "judge prepared"]);
}

#[test]
fn the_way_back_from_every_phase() {
    let cases: [(&str, Vec<&[&str]>); 8] = [
        ("judge bound", vec![]),
        ("stage 1", vec![NEW_OUT]),
        ("judge canary", vec![NEW_OUT]),
        ("promote 1", vec![&["judge old_accepted", "look", "demote 0 promoted0"], &CONSUMERS_BACK[5..], NEW_OUT]),
        ("judge flipped", vec![CONSUMERS_BACK, NEW_OUT]),
        ("judge drained", vec![CONSUMERS_BACK, NEW_OUT]),
        ("judge soaked", vec![&["enable_old old"], CONSUMERS_BACK, NEW_OUT]),
        ("delete_old", vec![&["enable_old old"], CONSUMERS_BACK, NEW_OUT]),
    ];
    for (from, parts) in cases {
        let mut tale = Tale::at(from);
        let staged = tale.run.slots.iter().filter(|s| s.staged.is_some()).count();
        tale.turns(Some("ann"));
        let mut expected = parts.concat();
        expected.extend(CLOSE.iter().filter(|step| match **step {
            "drop_pending 0" => staged > 0,
            "drop_pending 1" => staged > 1,
            _ => true,
        }));
        assert_eq!(rest(&mut tale), expected, "from {from}");
    }
}

#[test]
fn a_provider_key_goes_back_slot_first_and_then_its_models() {
    let mut tale = Tale::of(provider());
    tale.until("judge drained");
    tale.turns(None);
    let said = tale.until("judge new_drained");
    assert_eq!(said, ["judge old_accepted", "look", "demote 0 promoted0", "look", "repoint m1 old", "look", "repoint m2 old"]);
}

#[test]
fn a_model_that_alone_was_moved_is_moved_back() {
    let mut plan = provider();
    plan.slots.clear();
    let mut tale = Tale::of(plan);
    tale.until("repoint m2");
    tale.turns(None);
    let said = tale.until("judge new_drained");
    assert_eq!(said, ["judge old_accepted", "look", "repoint m1 old"]);
}

#[test]
fn without_a_switch_the_new_key_is_deleted_once_it_is_silent() {
    let mut plan = plan();
    plan.gateway.caps.disable = Disable::None;
    let mut tale = Tale::of(plan);
    tale.until("judge canary");
    tale.turns(None);
    assert_eq!(tale.until("judge undone"), ["judge new_drained", "look", "delete_new new"]);
}

#[test]
fn a_run_whose_every_line_is_replayed_is_the_same_run() {
    for (end, turn) in [("over done", None), ("over rolled back", Some("judge soaked"))] {
        let mut tale = Tale::new();
        if let Some(at) = turn {
            tale.until(at);
            tale.turns(None);
        }
        tale.until(end);
        let written: Vec<String> = tale.lines.iter().map(|r| serde_json::to_string(r).unwrap()).collect();
        let read: Vec<Record> = written.iter().map(|l| serde_json::from_str(l).unwrap()).collect();
        let again = Run::replay(&read).unwrap();
        assert_eq!(format!("{again:?}"), format!("{:?}", tale.run));
    }
}

#[test]
fn no_first_line_and_no_second_plan() {
    let tale = Tale::new();
    assert_eq!(Run::replay(&tale.lines[1..]).unwrap_err().number, 1);
    assert_eq!(Run::replay([]).unwrap_err().why, "the first record is not a plan");
    tale.refuses(&tale.lines[0], "a second plan");
    let said = Run::replay([]).unwrap_err().to_string();
    assert!(said.starts_with("apply record 1: the first record is not a plan; the journal is damaged"), "{said}");
}
