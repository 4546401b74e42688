//! Models of a provider key: those that come later, those that others point elsewhere, and the key that they leave.

use super::fixture::*;
use super::tale::{Tale, not_done};
use crate::rotation::*;

/// A rotation that takes along what appears, brought to a step.
fn follows(to: &str) -> Tale {
    let mut plan = provider();
    plan.kind = Kind::Provider { models: ["m1", "m2"].map(ModelName::new).to_vec(), all: true };
    let mut tale = Tale::of(plan);
    tale.until(to);
    tale
}

/// One that moves a list of models.
fn listed(to: &str) -> Tale {
    let mut tale = Tale::of(provider());
    tale.until(to);
    tale
}

fn comes(model: &str) -> Drift {
    Drift::NewReference { model: ModelName::new(model) }
}

fn at(tale: &Tale, model: &str) -> Option<Which> {
    tale.run.models.get(&ModelName::new(model)).copied()
}

#[test]
fn only_a_new_reference_is_taken_along_and_what_came_after_it_is_shown_again() {
    let mut tale = follows("judge drained");
    assert!(tale.run.passed.contains(&Point::Flipped));
    let twins = Drift::Twins { ids: vec![KeyId::new("k")] };
    tale.drifts(&[comes("m3"), twins.clone()]);
    assert_eq!((at(&tale, "m3"), tale.run.drift.as_slice()), (Some(Which::Old), [twins].as_slice()));
    assert!(!tale.run.passed.contains(&Point::Flipped));
    // A list takes nothing along.
    let mut tale = listed("judge drained");
    tale.drifts(&[comes("m3")]);
    assert_eq!((at(&tale, "m3"), tale.run.drift.as_slice()), (None, [comes("m3")].as_slice()));
}

#[test]
fn back_in_a_phase_only_what_binds_the_run_stands() {
    let mut tale = Tale::at("judge canary");
    tale.say(Record::Moved { to: Phase::Prepare });
    assert_eq!(tale.run.passed.iter().cloned().collect::<Vec<_>>(), [Point::Bound]);
}

#[test]
fn a_model_that_is_stranded_on_the_disabled_key_opens_it_again() {
    let mut tale = listed("judge soaked");
    tale.drifts(&[comes("m3")]);
    assert!(tale.next().starts_with("reopen"), "{}", tale.next());
    let mut back = listed("judge soaked");
    back.turns(None).drifts(&[comes("m3")]);
    assert!(!back.next().starts_with("reopen"), "{}", back.next());
}

#[test]
fn a_model_that_others_moved_is_theirs_unless_it_is_on_one_of_the_two_keys() {
    let mut tale = listed("judge drained");
    let moved = |model: &str, seen: &str| Drift::Model { model: ModelName::new(model), seen: seen.into() };
    tale.drifts(&[moved("m1", "elsewhere"), moved("m2", "old")]);
    tale.amends(&[moved("m1", "elsewhere"), moved("m2", "old")]);
    assert_eq!([at(&tale, "m1"), at(&tale, "m2")], [None, Some(Which::Old)]);
}

#[test]
fn a_provider_key_that_was_not_deleted_is_looked_at_first_and_one_that_lives_on_is_for_a_person() {
    let mut tale = listed("delete_old");
    tale.begins(Effect::Delete { key: Which::Old, id: KeyId::new("old") }).ends(not_done(), By::Look);
    let steps = tale.until("delete_old");
    assert!(steps.contains(&"look".to_owned()), "{steps:?}");
    let mut gone = listed("judge gone");
    let check = gone.checks(&Point::Gone, &[]).first().map(|c| c.check.clone()).unwrap();
    gone.judges(Point::Gone, &[(&check, Verdict::Fail)]);
    assert!(gone.next().starts_with("wait, person"), "{}", gone.next());
}
