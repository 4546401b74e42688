//! The fold of effects: what an intent changes by itself, and what only its outcome does.

use super::fixture::*;
use super::tale::{Tale, conflict, minted, not_done, refused, unknown};
use crate::rotation::*;

fn disable(key: Which) -> Effect {
    Effect::Disable { key, id: KeyId::new(key.name()), approval: None }
}

fn enable(key: Which) -> Effect {
    Effect::Enable { key, id: KeyId::new(key.name()) }
}

fn delete(key: Which) -> Effect {
    Effect::Delete { key, id: KeyId::new(key.name()) }
}

fn promote(i: u16) -> Effect {
    Effect::Promote { slot: slot(i), guard: "g".into() }
}

fn seconds(stamp: Option<&Stamp>) -> Option<i64> {
    stamp.map(|s| (s.at.0 - at(0).0) / 1000)
}

#[test]
fn an_intent_counts_even_before_its_outcome() {
    let mut tale = Tale::new();
    tale.begins(Effect::Mint { marker: tale.run.next_marker() });
    assert_eq!((tale.run.mints, tale.run.effects, tale.run.looked), (1, 1, false));
    assert_eq!(tale.run.next_marker().as_str(), "keyroll:run:2");
    assert_eq!(tale.run.last_effect, tale.run.open.as_ref().map(|o| o.effect.clone()));
    tale.ends(not_done(), By::Answer);
    assert_eq!((tale.run.mints, tale.run.new.as_ref()), (1, None));
    // Numbers never go back, whatever a line says.
    tale.say(Record::Began { n: 1, effect: Effect::Scan, stamp: stamp(9), send_before: at(0) });
    assert_eq!(tale.run.effects, 1);
}

#[test]
fn the_intent_to_disable_the_old_key_makes_it_ours_whatever_comes_of_it() {
    let mut tale = Tale::at("disable_old");
    tale.judges(Point::BeforeDisable, &[]).look().begins(disable(Which::Old));
    assert_eq!((tale.run.old, tale.run.disables, tale.run.gate.as_ref()), (OldKey::DisabledByUs, 1, None));
    tale.ends(unknown(), By::Answer);
    assert_eq!(tale.run.old, OldKey::DisabledByUs);
    assert!(tale.run.open.as_ref().is_some_and(|o| o.unresolved));
    for (outcome, old, since) in [
        (not_done(), OldKey::Enabled, false),
        (refused(), OldKey::Enabled, false),
        (conflict(), OldKey::DisabledByUs, false),
        (Outcome::Done(Done::Already), OldKey::DisabledByUs, true),
    ] {
        let mut tale = Tale::at("disable_old");
        tale.tries(disable(Which::Old), outcome.clone());
        assert_eq!((tale.run.old, tale.run.since.disabled.is_some()), (old, since), "{outcome:?}");
        assert_eq!(tale.run.changed.is_some_and(|(s, enabled)| s.at == at(tale.now) && !enabled), since);
    }
    // What somebody else switched off does not become ours by trying.
    let mut tale = Tale::at("disable_old");
    tale.run.old = OldKey::OffByOthers;
    tale.begins(disable(Which::Old));
    assert_eq!(tale.run.old, OldKey::OffByOthers);
}

#[test]
fn switching_the_new_key_is_another_matter() {
    let mut tale = Tale::at("disable_old");
    let gate = tale.run.gate.clone();
    tale.does(disable(Which::New));
    let run = &tale.run;
    assert_eq!((run.old, run.disables, run.gate.clone()), (OldKey::Enabled, 0, gate));
    assert!(run.new.as_ref().is_some_and(|n| !n.enabled && !n.off_by_others));
    assert_eq!(seconds(run.since.disabled.as_ref()), Some(tale.now));
    tale.run.passed = [Point::NewDrained, Point::NewSoaked, Point::OldAccepted].into();
    tale.does(enable(Which::New));
    let run = &tale.run;
    assert!(run.new.as_ref().is_some_and(|n| n.enabled));
    assert_eq!(run.passed, [Point::OldAccepted].into());
    assert_eq!((seconds(run.since.enabled.as_ref()), seconds(run.since.back.as_ref())), (Some(tale.now), Some(tale.now)));
    assert_eq!((run.gate.as_ref(), run.changed.as_ref().map(|c| c.1)), (None, Some(true)));
    tale.tries(disable(Which::New), not_done());
    assert_eq!(tale.run.old, OldKey::Enabled);
    tale.run.old = OldKey::DisabledByUs;
    tale.tries(disable(Which::New), refused());
    assert_eq!(tale.run.old, OldKey::DisabledByUs);
    tale.does(delete(Which::New));
    assert_eq!((tale.run.new.as_ref(), tale.run.old), (None, OldKey::DisabledByUs));
}

#[test]
fn enabling_the_old_key_again_is_known_only_by_its_outcome() {
    let mut tale = Tale::at("judge soaked");
    tale.judges(Point::Soaked, &[("old_refused", Verdict::Inconclusive)]);
    tale.begins(enable(Which::Old));
    assert_eq!(tale.run.old, OldKey::DisabledByUs);
    assert!(tale.run.gate.is_some());
    tale.ends(Outcome::Done(Done::Plain), By::Look);
    assert_eq!((tale.run.old, tale.run.gate.as_ref()), (OldKey::Enabled, None));
    assert_eq!((seconds(tale.run.since.enabled.as_ref()), tale.run.since.back.as_ref()), (Some(tale.now), None));
}

#[test]
fn the_intent_to_delete_the_old_key_cannot_be_taken_back() {
    for outcome in [not_done(), refused(), conflict(), unknown()] {
        let mut tale = Tale::at("delete_old");
        tale.tries(delete(Which::Old), outcome);
        assert_eq!((tale.run.old, tale.run.since.deleted.as_ref()), (OldKey::DeleteIntended, None));
    }
    let mut tale = Tale::at("delete_old");
    tale.does(delete(Which::Old));
    assert_eq!((tale.run.old, seconds(tale.run.since.deleted.as_ref())), (OldKey::Gone, Some(tale.now)));
    assert_eq!(tale.run.changed.as_ref().map(|c| c.1), Some(false));
}

#[test]
fn a_mint_answered_is_a_key_and_a_mint_found_is_a_stray() {
    let mut tale = Tale::at("mint");
    let marker = tale.run.next_marker();
    tale.does(Effect::Mint { marker: marker.clone() });
    let new = NewKey { id: KeyId::new("new"), value: print("b"), enabled: true, off_by_others: false, marker: marker.clone() };
    assert_eq!((tale.run.new.as_ref(), tale.run.value_at_hand, tale.run.value_lost()), (Some(&new), true, false));
    assert_eq!(seconds(tale.run.since.minted.as_ref()), Some(tale.now));
    // Found by a look although its value is known: it is not in this process's memory.
    let mut found = Tale::at("mint");
    found.begins(Effect::Mint { marker: marker.clone() }).ends(Outcome::Done(minted("new", Some("b"))), By::Look);
    assert_eq!((found.run.new.as_ref(), found.run.value_at_hand, found.run.value_lost()), (Some(&new), false, true));
    let mut stray = Tale::at("mint");
    stray.begins(Effect::Mint { marker: marker.clone() }).ends(Outcome::Done(minted("lost", None)), By::Look);
    assert_eq!((stray.run.new.as_ref(), stray.run.strays.clone()), (None, vec![(KeyId::new("lost"), marker.clone())]));
    let mut odd = Tale::at("mint");
    odd.begins(Effect::Mint { marker }).ends(Outcome::Done(Done::Plain), By::Answer);
    assert!(odd.run.new.is_none() && odd.run.strays.is_empty());
}

#[test]
fn a_discard_removes_the_stray_it_names_or_the_new_key_with_its_gates() {
    let marker = Marker::of(&RunId::new("run"), 1);
    let discard = |id: &str| Effect::Discard { id: KeyId::new(id), marker: marker.clone() };
    let mut tale = Tale::at("stage 1");
    tale.run.strays = ["x", "y"].map(|id| (KeyId::new(id), marker.clone())).to_vec();
    tale.does(discard("x"));
    assert_eq!(tale.run.strays, [(KeyId::new("y"), marker.clone())]);
    assert!(tale.run.new.is_some() && tale.run.passed.contains(&Point::Bound));
    tale.does(discard("new"));
    assert!(tale.run.new.is_none() && tale.run.passed.is_empty() && tale.run.strays.len() == 1);
}

#[test]
fn slots_follow_the_outcome_and_remember_that_they_were_promoted() {
    let mut tale = Tale::at("promote 0");
    assert_eq!(tale.run.slots[1].staged, Some((Some(VersionId::new("v2")), print("b"))));
    assert_eq!((tale.run.slots[1].guard.as_str(), tale.run.was_flipped(), tale.run.since.flip.as_ref()), ("staged1", false, None));
    tale.begins(promote(0));
    assert!(tale.run.slots[0].was_promoted && !tale.run.slots[1].was_promoted && tale.run.was_flipped());
    assert_eq!((tale.run.slots[0].current, tale.run.since.flip.as_ref()), (Which::Old, None));
    tale.ends(Outcome::Done(Done::Moved { guard: "after".into(), atomic: true }), By::Answer);
    let s = &tale.run.slots[0];
    assert_eq!((s.current, s.guard.as_str(), s.atomic), (Which::New, "after", true));
    assert_eq!(seconds(tale.run.since.flip.as_ref()), Some(tale.now));
    let demote = Effect::Demote { slot: slot(0), guard: "after".into() };
    tale.begins(demote.clone()).ends(Outcome::Done(Done::Moved { guard: "back".into(), atomic: false }), By::Look);
    let s = &tale.run.slots[0];
    assert_eq!((s.current, s.guard.as_str(), s.atomic, s.was_promoted), (Which::Old, "back", false, true));
    assert_eq!(seconds(tale.run.since.back.as_ref()), Some(tale.now));
    // Once not guarded, always said.
    tale.begins(demote).ends(Outcome::Done(Done::Moved { guard: "back".into(), atomic: true }), By::Look);
    assert!(!tale.run.slots[0].atomic);
    tale.does(Effect::DropPending { slot: slot(1) });
    assert_eq!(tale.run.slots.iter().map(|s| s.staged.is_some()).collect::<Vec<_>>(), [true, false]);
    tale.does(Effect::Retire { slot: slot(1) });
    assert_eq!(tale.run.slots.iter().map(|s| s.retired).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_promote_whose_end_is_unknown_is_fenced_where_it_could_land_late() {
    let lost = |late, resolve: Outcome, unresolved: bool| {
        let mut plan = plan();
        plan.slots[0].caps.late_write = late;
        let mut tale = Tale::of(plan);
        tale.until("promote 0");
        tale.begins(promote(0));
        if unresolved {
            tale.ends(unknown(), By::Answer);
        }
        tale.ends(resolve, By::Look);
        (tale.run.slots[0].fence, tale.run.slots[1].fence, tale)
    };
    for (late, unresolved, fence) in [
        (LateWrite::Fenceable, true, true),
        (LateWrite::Fenceable, false, false),
        (LateWrite::WaitOut, true, false),
        (LateWrite::Impossible, true, false),
    ] {
        let (first, second, _) = lost(late, not_done(), unresolved);
        assert_eq!((first, second), (fence, false), "{late:?} {unresolved}");
    }
    let (fence, _, mut tale) = lost(LateWrite::Fenceable, not_done(), true);
    assert!(fence);
    assert_eq!(tale.next(), "fence 0 staged0");
    // A second loss does not take the need away, and neither does one that is known not to have happened.
    tale.begins(promote(0)).ends(unknown(), By::Answer).ends(not_done(), By::Look);
    assert!(tale.run.slots[0].fence);
    tale.tries(promote(0), not_done());
    assert!(tale.run.slots[0].fence);
    tale.look().does(Effect::Fence { slot: slot(0), guard: "staged0".into() });
    assert_eq!((tale.run.slots[0].fence, tale.run.slots[0].guard.as_str()), (false, "fenced0"));
}

#[test]
fn models_and_reloads_say_when_consumers_were_brought_over_or_back() {
    let mut tale = Tale::of(provider());
    tale.until("repoint m1");
    tale.does(Effect::Repoint { model: ModelName::new("m1"), to: Which::New });
    assert_eq!(tale.run.models.values().copied().collect::<Vec<_>>(), [Which::New, Which::Old]);
    assert_eq!((seconds(tale.run.since.flip.as_ref()), tale.run.since.back.as_ref()), (Some(tale.now), None));
    assert_eq!(tale.run.changed.as_ref().map(|c| (c.0.at, c.1)), Some((at(tale.now), false)));
    let flip = tale.now;
    tale.does(Effect::Repoint { model: ModelName::new("m1"), to: Which::Old });
    assert_eq!(tale.run.models.values().copied().collect::<Vec<_>>(), [Which::Old, Which::Old]);
    assert_eq!((seconds(tale.run.since.flip.as_ref()), seconds(tale.run.since.back.as_ref())), (Some(flip), Some(tale.now)));

    let web = App::new("web");
    let mut tale = Tale::at("reload web");
    let changed = tale.run.changed.clone();
    tale.begins(Effect::Reload { app: web.clone(), flip: 1 });
    let began = tale.now;
    assert!(!tale.run.reloaded(&web));
    tale.ends(Outcome::Done(Done::Plain), By::Answer);
    // A consumer may read while its reload runs: it counts from the beginning.
    assert_eq!(tale.run.reloads.get(&web), Some(&(1, stamp(began))));
    assert!(tale.run.reloaded(&web) && !tale.run.reloaded(&App::new("api")) && tale.run.changed == changed);
    assert_eq!((seconds(tale.run.since.flip.as_ref()), tale.run.since.back.as_ref()), (Some(tale.now), None));
    tale.turns(None);
    assert!(!tale.run.reloaded(&web));
    let flip = tale.run.since.flip.clone();
    tale.does(Effect::Reload { app: web.clone(), flip: 2 });
    assert!(tale.run.reloaded(&web));
    assert_eq!((tale.run.since.flip.clone(), seconds(tale.run.since.back.as_ref())), (flip, Some(tale.now)));
    tale.tries(Effect::Reload { app: App::new("api"), flip: 2 }, not_done());
    assert!(!tale.run.reloaded(&App::new("api")));
}

#[test]
fn the_end_is_marked_scanned_and_sealed() {
    let mut tale = Tale::at("mark_live");
    assert!(!tale.run.marked_live && !tale.run.scanned && tale.run.sealed.is_none());
    tale.does(Effect::MarkLive { id: KeyId::new("new") });
    assert!(tale.run.marked_live && !tale.run.scanned);
    tale.does(Effect::Scan);
    assert!(tale.run.scanned && tale.run.sealed.is_none());
    tale.tries(Effect::Seal, Outcome::Done(Done::Plain));
    assert_eq!(tale.run.sealed, None);
    tale.does(Effect::Seal);
    assert_eq!(tale.run.sealed, Some(("d".into(), "p".into())));
}

#[test]
fn failures_in_a_row_are_counted_by_kind_and_forgotten_by_success() {
    let mut tale = Tale::at("stage 0");
    let stage = |i| Effect::Stage { slot: slot(i), value: None };
    let failed = |tale: &Tale| tale.run.failed.clone().map(|f| (f.effect.kind(), f.times, f.how, f.why));
    tale.tries(stage(0), not_done());
    assert_eq!(failed(&tale), Some((EffectKind::Stage, 1, Failure::NotDone, "timed out".into())));
    tale.tries(stage(1), refused());
    assert_eq!(failed(&tale), Some((EffectKind::Stage, 2, Failure::Refused, "no".into())));
    tale.tries(promote(0), conflict());
    assert_eq!(failed(&tale), Some((EffectKind::Promote, 1, Failure::Conflict, "differs".into())));
    assert_eq!(tale.run.slots[0].current, Which::Old);
    tale.tries(promote(0), unknown());
    assert_eq!(failed(&tale).map(|f| f.1), Some(1));
    tale.ends(Outcome::Done(Done::Already), By::Look);
    assert_eq!((failed(&tale), tale.run.slots[0].current), (None, Which::New));
}
