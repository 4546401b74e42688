//! What a look finds against what the run expects: one difference at a time, and nothing where there is none.

use super::fixture::*;
use super::tale::Tale;
use crate::rotation::*;
use serde_json::json;

/// The world exactly as this run left it.
fn as_left(run: &Run) -> Seen {
    let mut keys = vec![key("other")];
    if run.old != OldKey::Gone {
        keys.push(KeyFacts { enabled: run.old == OldKey::Enabled, ..key("old") });
    }
    if let Some(new) = &run.new {
        keys.push(KeyFacts { marker: new.marker.as_str().into(), enabled: new.enabled, ..key("new") });
    }
    let value = |which| if which == Which::Old { print("a") } else { print("b") };
    let slots = run.slots.iter().map(|s| Snapshot {
        current_is: Some(value(s.current)),
        pending_is: s.staged.as_ref().filter(|_| s.current == Which::Old).map(|_| print("b")),
        ..Snapshot::default()
    });
    let id = |which| KeyId::new(if which == Which::Old { "old" } else { "new" });
    Seen {
        identity: run.plan.gateway.identity.clone(),
        caps: caps(),
        keys,
        slots: slots.collect(),
        models: run.models.iter().map(|(m, at)| (m.clone(), id(*at))).collect(),
        old_value: None,
    }
}

fn found(tale: &Tale, change: impl FnOnce(&mut Seen)) -> Vec<Drift> {
    let mut seen = as_left(&tale.run);
    change(&mut seen);
    drift(&tale.run, &seen)
}

fn facts<'a>(seen: &'a mut Seen, id: &str) -> &'a mut KeyFacts {
    seen.keys.iter_mut().find(|k| k.id.as_str() == id).unwrap()
}

fn fields(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

#[test]
fn nothing_is_found_where_a_run_left_the_world_itself() {
    for from in ["judge bound", "stage 0", "judge prepared", "promote 1", "judge drained", "judge soaked", "judge gone", "scan"] {
        assert_eq!(found(&Tale::at(from), |_| {}), [], "{from}");
        if from != "judge gone" && from != "scan" {
            let mut back = Tale::at(from);
            back.turns(None);
            assert_eq!(found(&back, |_| {}), [], "back from {from}");
        }
    }
    let mut models = Tale::of(provider());
    models.until("judge flipped");
    assert_eq!(found(&models, |_| {}), []);
}

#[test]
fn another_gateway_or_principal_is_not_ours() {
    let tale = Tale::new();
    let other = |seen: &str| vec![Drift::OtherGateway { seen: seen.into() }];
    assert_eq!(found(&tale, |s| s.identity.tenant = "u".into()), other("u at http://gw"));
    assert_eq!(found(&tale, |s| s.identity.base = "http://x".into()), other("t at http://x"));
    assert_eq!(found(&tale, |s| s.identity.principal = "q".into()), other("principal q"));
    assert_eq!(found(&tale, |s| s.identity.build = "2".into()), []);
}

#[test]
fn only_the_loss_of_a_switch_that_can_be_turned_back_matters() {
    use Disable::{ByExpiry, Irreversible, None, Reversible};
    for (planned, now, lost) in [
        (Reversible, None, true),
        (Reversible, Irreversible, true),
        (ByExpiry, None, true),
        (Reversible, ByExpiry, false),
        (ByExpiry, Reversible, false),
        (Irreversible, None, false),
        (None, None, false),
        (None, Reversible, false),
    ] {
        let mut tale = Tale::new();
        tale.plan_mut().gateway.caps.disable = planned;
        let what = "disable a key and enable it again".to_owned();
        let expected = if lost { vec![Drift::LostCapability { what }] } else { vec![] };
        assert_eq!(found(&tale, |s| s.caps.disable = now), expected, "{planned:?} {now:?}");
    }
}

#[test]
fn the_old_key_gone_switched_or_changed() {
    let flip = |s: &mut Seen| {
        let old = facts(s, "old");
        old.enabled = !old.enabled;
    };
    let remove = |s: &mut Seen| s.keys.retain(|k| k.id.as_str() != "old");
    let widen = |s: &mut Seen| {
        facts(s, "old").scope.insert("models".into(), json!(["m", "n"]));
    };
    let scope = vec![Drift::OldScope { fields: fields(&["models"]) }];
    for (old, switched) in
        [(OldKey::Enabled, vec![Drift::OldDisabled]), (OldKey::DisabledByUs, vec![Drift::OldEnabled]), (OldKey::OffByOthers, vec![])]
    {
        let mut tale = Tale::at("judge drained");
        tale.run.old = old;
        assert_eq!(found(&tale, flip), switched, "{old:?}");
        assert_eq!(found(&tale, remove), [Drift::OldGone]);
        assert_eq!(found(&tale, widen), scope);
    }
    for old in [OldKey::DeleteIntended, OldKey::Gone] {
        let mut tale = Tale::at("judge gone");
        tale.run.old = old;
        assert_eq!(found(&tale, |s| s.keys.push(KeyFacts { enabled: false, scope: Scope::new(), ..key("old") })), [], "{old:?}");
        assert_eq!(found(&tale, remove), []);
    }
}

#[test]
fn the_new_key_gone_switched_or_wider() {
    let tale = Tale::at("judge drained");
    assert_eq!(found(&tale, |s| s.keys.retain(|k| k.id.as_str() != "new")), [Drift::NewGone]);
    assert_eq!(found(&tale, |s| facts(s, "new").enabled = false), [Drift::NewDisabled]);
    let budget = |s: &mut Seen| {
        facts(s, "new").scope.insert("budget".into(), json!(5));
    };
    assert_eq!(found(&tale, budget), [Drift::NewScope { fields: fields(&["budget"]) }]);
    let expiry = |s: &mut Seen| {
        facts(s, "new").scope.insert("expires_at".into(), json!(9));
    };
    assert_eq!(found(&tale, expiry), []);
    let mut back = Tale::at("judge drained");
    back.turns(None);
    assert_eq!(found(&back, budget), [], "on its way out nobody minds");
    // Switched off by us: somebody who switches it on hurts nobody.
    back.until("judge new_soaked");
    assert_eq!(found(&back, |s| facts(s, "new").enabled = true), []);
}

#[test]
fn keys_with_this_runs_marker_that_it_does_not_know_are_twins() {
    let twin = |id: &'static str, marker: &'static str| move |s: &mut Seen| s.keys.push(KeyFacts { marker: marker.into(), ..key(id) });
    let tale = Tale::at("judge prepared");
    assert_eq!(found(&tale, twin("twin", "keyroll:run:2")), [Drift::Twins { ids: vec![KeyId::new("twin")] }]);
    assert_eq!(found(&tale, twin("twin", "keyroll:other:1")), []);
    assert_eq!(found(&tale, twin("twin", "keyroll:live")), []);
    // A key that was there before carries our text by coincidence or copy; a stray is expected.
    let mut known = Tale::at("judge prepared");
    known.plan_mut().known_ids.push(KeyId::new("twin"));
    assert_eq!(found(&known, twin("twin", "keyroll:run:2")), []);
    let mut stray = Tale::at("judge prepared");
    stray.run.strays = vec![(KeyId::new("twin"), Marker::of(&RunId::new("run"), 2))];
    assert_eq!(found(&stray, twin("twin", "keyroll:run:2")), []);
    assert_eq!(found(&stray, twin("third", "keyroll:run:3")), [Drift::Twins { ids: vec![KeyId::new("third")] }]);
}

#[test]
fn a_slot_that_somebody_wrote_to_is_named() {
    let holds = |is: Option<&'static str>| move |s: &mut Seen| s.slots[1].current_is = is.map(print);
    let current = |seen: &str, holds| vec![Drift::SlotCurrent { slot: slot(1), seen: seen.into(), holds }];
    let foreign = "a value that is neither the old key nor the new one";
    let theirs = "the old key although this run had moved it on";
    let ours = "the new key although this run had not put it there, or had put it back";
    let before = Tale::at("promote 0");
    assert_eq!(found(&before, holds(Some("c"))), current(foreign, None));
    assert_eq!(found(&before, holds(Some("b"))), current(ours, Some(Which::New)));
    assert_eq!(found(&before, holds(None)), current("nothing readable", None));
    let after = Tale::at("reload web");
    assert_eq!(found(&after, holds(Some("a"))), current(theirs, Some(Which::Old)));
    assert_eq!(found(&after, holds(Some("c"))), current(foreign, None));
    assert_eq!(found(&after, holds(Some("b"))), []);
    // What the old value is may be known better than the plan knew it.
    let better = |s: &mut Seen| {
        s.old_value = Some(print("c"));
        for slot in &mut s.slots {
            slot.current_is = Some(print("c"));
        }
    };
    assert_eq!(found(&before, better), []);
    // A slot that was left to its owner: what this run knew there is a difference when it comes back, a third value is not.
    let theirs = current("a value that is neither the old key nor the new one", None);
    let mut left = Tale::at("promote 0");
    left.drifts(&theirs).amends(&theirs);
    assert_eq!(found(&left, holds(Some("c"))), []);
    let again = "what this run had left there, and was left to its owner meanwhile";
    assert_eq!(found(&left, holds(Some("a"))), current(again, Some(Which::Old)));
    let mut blind = Tale::at("promote 0");
    blind.plan_mut().slots[1].caps.read_back = false;
    assert_eq!(found(&blind, holds(Some("c"))), []);
    let unread = Drift::SlotCurrent { slot: slot(0), seen: "nothing readable".into(), holds: None };
    assert_eq!(found(&blind, |s| s.slots[0].current_is = None), [unread]);
}

#[test]
fn what_waits_in_a_slot_is_ours_or_named() {
    let waits = |is: Option<&'static str>| move |s: &mut Seen| s.slots[0].pending_is = is.map(print);
    let staged = Tale::at("promote 0");
    assert_eq!(found(&staged, waits(Some("c"))), [Drift::SlotPending { slot: slot(0), seen: "a value of somebody else".into() }]);
    assert_eq!(found(&staged, waits(None)), []);
    assert_eq!(found(&Tale::at("stage 0"), waits(Some("c"))), []);
}

#[test]
fn models_that_point_elsewhere_and_new_references() {
    let mut tale = Tale::of(provider());
    tale.until("repoint m2");
    let at = |model: &'static str, id: &'static str| {
        move |s: &mut Seen| {
            s.models.retain(|(m, _)| m.as_str() != model);
            s.models.push((ModelName::new(model), KeyId::new(id)));
        }
    };
    let model = |m: &str, seen: &str| vec![Drift::Model { model: ModelName::new(m), seen: seen.into() }];
    assert_eq!(found(&tale, at("m1", "old")), model("m1", "old"));
    assert_eq!(found(&tale, at("m2", "new")), model("m2", "new"));
    assert_eq!(found(&tale, at("m1", "new")), []);
    assert_eq!(found(&tale, at("m3", "old")), [Drift::NewReference { model: ModelName::new("m3") }]);
    assert_eq!(found(&tale, at("m3", "other")), []);
    tale.turns(None);
    assert_eq!(found(&tale, at("m3", "old")), []);
    // Before there is a new key nothing can point at it.
    let early = Tale::of(provider());
    assert_eq!(found(&early, at("m1", "new")), model("m1", "new"));
    // A router key has no models of its own.
    assert_eq!(found(&Tale::new(), at("m3", "old")), []);
}

#[test]
fn accepted_differences_are_left_out_and_no_others() {
    let mut tale = Tale::at("judge drained");
    let budget = |n: i32| move |s: &mut Seen| drop(facts(s, "old").scope.insert("budget".into(), json!(n)));
    let scope = Drift::OldScope { fields: fields(&["budget"]) };
    tale.drifts(std::slice::from_ref(&scope)).amends(std::slice::from_ref(&scope));
    assert_eq!(found(&tale, budget(1)), []);
    let both = |s: &mut Seen| {
        budget(1)(s);
        facts(s, "new").enabled = false;
    };
    assert_eq!(found(&tale, both), [Drift::NewDisabled]);
}

#[test]
fn differing_fields_are_named_once_in_order_and_allowed_ones_not() {
    let scope = |json: serde_json::Value| serde_json::from_value::<Scope>(json).unwrap();
    let old = scope(json!({"z": 1, "a": 1, "same": 1, "gone": null}));
    let new = scope(json!({"z": 2, "a": "1", "same": 1, "more": 1}));
    assert_eq!(differing(&old, &new, &[]), ["a", "gone", "more", "z"]);
    assert_eq!(differing(&old, &new, &fields(&["z", "gone"])), ["a", "more"]);
    assert_eq!(differing(&old, &old, &[]), [""; 0]);
}

#[test]
fn every_difference_has_words() {
    let model = || ModelName::new("m");
    let cases = [
        (Drift::OtherGateway { seen: "x".into() }, "the admin API answers as x"),
        (Drift::LostCapability { what: "do x".into() }, "the gateway can no longer do x"),
        (Drift::OldDisabled, "somebody disabled the old key"),
        (Drift::OldEnabled, "somebody enabled the old key again"),
        (Drift::OldGone, "somebody deleted the old key"),
        (Drift::OldScope { fields: fields(&["a", "b"]) }, "the old key's permissions changed: a, b"),
        (Drift::NewDisabled, "somebody disabled the new key"),
        (Drift::NewGone, "somebody deleted the new key"),
        (Drift::NewScope { fields: fields(&["a"]) }, "the new key differs from the old one: a"),
        (Drift::Twins { ids: ["k", "l"].map(KeyId::new).to_vec() }, "unexpected keys carry this run's marker: k, l"),
        (Drift::SlotCurrent { slot: slot(0), seen: "x".into(), holds: None }, "slot 1 holds x"),
        (Drift::SlotPending { slot: slot(4), seen: "x".into() }, "the pending version of slot 5 is x"),
        (Drift::Model { model: model(), seen: "x".into() }, "model m points at x"),
        (Drift::NewReference { model: model() }, "model m appeared on the key that goes"),
    ];
    for (drift, words) in cases {
        assert_eq!(drift.words(), words);
    }
}
