//! What a look says about every effect that may or may not have happened.

use super::world::*;
use crate::engine::perform::Failed;
use crate::engine::{Stop, Unwatched};
use crate::ports::Ports;
use crate::rotation::*;
use std::sync::Arc;

fn slot() -> SlotNo {
    SlotNo(0)
}

fn marker() -> Marker {
    Marker::of(&RunId::new("run"), 1)
}

fn mint() -> Effect {
    Effect::Mint { marker: marker() }
}

fn began(s: i64) -> Stamp {
    Stamp { at: at(s), mono: 0, boot: String::new() }
}

/// One look in a world, at an effect that began at second 60.
fn look_in(world: &mut World, run: Run, effect: &Effect) -> Outcome {
    let mut watched = Unwatched;
    now(engine(world, &mut watched, run).look_at(effect, Some(&began(60)))).unwrap()
}

fn look(mut world: World, effect: &Effect) -> Outcome {
    look_in(&mut world, run(), effect)
}

/// In one word, with the reason where there is one.
fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done(Done::Plain) => "done".into(),
        Outcome::Done(Done::Moved { guard, atomic }) => format!("moved to {guard}{}", if *atomic { "" } else { " unguarded" }),
        Outcome::Done(Done::Staged { version, guard, .. }) => format!("staged as {} under {guard}", version.as_ref().unwrap()),
        Outcome::Done(done) => format!("{done:?}"),
        Outcome::NotDone { why } => format!("not done: {why}"),
        Outcome::Refused { why } => format!("refused: {why}"),
        Outcome::Unknown { why } => format!("unknown: {why}"),
        Outcome::Conflict { why } => format!("conflict: {why}"),
    }
}

#[track_caller]
fn says(world: World, effect: &Effect, wanted: &str) {
    let word = word(&look(world, effect));
    assert!(word.starts_with(wanted), "`{word}` is not `{wanted}`");
}

fn holding(current: Option<&str>) -> Snapshot {
    Snapshot { current_is: current.map(print), guard: "now".into(), ..Snapshot::default() }
}

fn minted(id: &str, value: Option<crate::secret::Fingerprint>) -> Outcome {
    Outcome::Done(Done::Minted { id: KeyId::new(id), value, created_at: Some(at(0)) })
}

const OURS: &str = "keyroll:run:1";

#[test]
fn one_key_with_the_whole_marker_is_the_minted_one_and_its_value_is_lost() {
    assert_eq!(look(World::new().lists(&[&[key("k", OURS)]]), &mint()), minted("k", None));
    for other in ["keyroll:run:2", "keyroll:run:11", "keyroll:live", ""] {
        says(World::new().lists(&[&[key("k", other)]]), &mint(), "not done: no key carries the marker of this mint");
    }
    let two = World::new().lists(&[&[key("k", OURS), key("l", OURS)]]);
    says(two, &mint(), "conflict: 2 keys carry the marker of one mint (k, l); none is deleted");
}

#[test]
fn a_key_that_was_there_before_or_is_older_than_the_intent_is_not_ours() {
    says(World::new().lists(&[&[key("other", OURS)]]), &mint(), "not done");
    // The two clocks may differ by a minute: the intent is of second 60.
    let made = |at| vec![KeyFacts { created_at: at, ..key("k", OURS) }];
    assert_eq!(look(World::new().lists(&[&made(Some(at(0)))]), &mint()), minted("k", None));
    says(World::new().lists(&[&made(Some(Time(at(0).0 - 1)))]), &mint(), "not done");
    says(World::new().lists(&[&made(None)]), &mint(), "Minted");
    let mut world = World::new().lists(&[&made(Some(at(-9_999)))]);
    let mut watched = Unwatched;
    let outcome = now(engine(&mut world, &mut watched, run()).look_at(&mint(), None)).unwrap();
    assert!(word(&outcome).starts_with("Minted"));
}

#[test]
fn a_mint_that_does_not_show_is_looked_for_again_after_the_settling_time() {
    let mut late = World::new().lists(&[&[], &[key("k", OURS)]]);
    assert_eq!(look_in(&mut late, run(), &mint()), minted("k", None));
    assert_eq!(late.listed.take(), [at(0), at(7)]);
    let mut at_once = World::new().lists(&[&[key("k", OURS)], &[]]);
    assert_eq!(look_in(&mut at_once, run(), &mint()), minted("k", None));
    assert_eq!(at_once.sleeps.get(), 0);
}

#[test]
fn a_value_that_we_chose_or_were_given_is_known_again() {
    let found = || World::new().lists(&[&[key("k", OURS)]]);
    let with = |how| {
        let mut run = run();
        run.caps.mint = how;
        run.slots[1].staged = Some((None, print("c")));
        run
    };
    assert_eq!(look_in(&mut found(), with(Mint::CallerChooses), &mint()), minted("k", Some(print("c"))));
    assert_eq!(look_in(&mut found(), with(Mint::ShownOnce), &mint()), minted("k", None));
    let mut world = World { supplied: Some("a value"), ..found() };
    let expected = world.fingerprints().of(&crate::secret::SecretText::new("a value"));
    assert_eq!(look_in(&mut world, with(Mint::Supplied), &mint()), minted("k", Some(expected)));
}

#[test]
fn a_listing_without_its_sentinel_shows_no_absence() {
    let listing = |keys: &[&str]| keys.iter().map(|id| key(id, "")).collect::<Vec<_>>();
    let world = |keys: &[&str]| World {
        keys: [listing(keys)].to_vec().into_iter().collect::<std::collections::VecDeque<_>>().into(),
        ..World::new()
    };
    let mut watched = Unwatched;
    let mut lacking = world(&["old"]);
    let stop = now(engine(&mut lacking, &mut watched, run()).look_at(&mint(), None)).unwrap_err();
    let Stop::Parked { why, person: false, .. } = stop else { panic!("{stop:?}") };
    assert!(why.contains("the gateway's whole listing: it lacks other"), "{why}");
    let gone = Effect::Delete { key: Which::Old, id: KeyId::new("old") };
    says(world(&["new"]), &gone, "conflict: the listing lacks other too, so it proves nothing about old");
    says(world(&["other"]), &gone, "done");
    let mut run = run();
    Arc::make_mut(&mut run.plan).sentinel = None;
    assert_eq!(word(&look_in(&mut world(&["new"]), run.clone(), &gone)), "done");
    assert!(word(&look_in(&mut world(&["old"]), run, &mint())).starts_with("not done"));
}

#[test]
fn a_key_is_gone_when_two_listings_agree_that_are_far_enough_apart() {
    for effect in [Effect::Delete { key: Which::New, id: KeyId::new("k") }, Effect::Discard { id: KeyId::new("k"), marker: marker() }] {
        let mut twice = World::new();
        assert_eq!(word(&look_in(&mut twice, run(), &effect)), "done");
        assert_eq!((twice.listed.take(), twice.wall.get()), (vec![at(0), at(7)], at(7).0));
        says(World::new().lists(&[&[], &[key("k", "")]]), &effect, "not done: the key is still listed");
        says(World::new().lists(&[&[key("k", "")]]), &effect, "not done: the key is still listed");
    }
}

#[test]
fn what_is_staged_is_known_by_its_value_and_where_that_cannot_be_read_by_its_run() {
    let stage = |value: Option<&str>| Effect::Stage { slot: slot(), value: value.map(print) };
    let pending = |is: Option<&str>, run: Option<&str>| {
        let pending_run = run.map(str::to_owned);
        World::new().shows(&[Snapshot { pending: Some(VersionId::new("v")), pending_is: is.map(print), pending_run, ..holding(Some("a")) }])
    };
    let blind = |world: World| World { store: StoreCaps { read_back: false, ..world.store.clone() }, ..world };
    says(World::new(), &stage(Some("b")), "not done: nothing is staged");
    says(World::new(), &stage(None), "not done: nothing is staged");
    says(pending(Some("b"), None), &stage(Some("b")), "staged as v under now");
    says(pending(Some("c"), Some("run")), &stage(Some("b")), "not done: an earlier value of this run is staged");
    says(pending(None, Some("run")), &stage(Some("b")), "not done: an earlier value of this run is staged");
    says(pending(Some("b"), Some("run")), &stage(None), "not done: an earlier value");
    says(pending(Some("c"), Some("elsewhere")), &stage(Some("b")), "conflict: slot 1 has a pending version of elsewhere");
    says(pending(Some("c"), None), &stage(Some("b")), "conflict: slot 1 has a pending version of somebody else");
    says(blind(pending(None, Some("run"))), &stage(Some("b")), "staged as v under now");
    says(blind(pending(None, Some("elsewhere"))), &stage(Some("b")), "conflict: slot 1");
}

#[test]
fn what_a_slot_holds_says_whether_it_moved() {
    let promote = Effect::Promote { slot: slot(), guard: "g".into() };
    let demote = Effect::Demote { slot: slot(), guard: "g".into() };
    let holds = |is: Option<&str>| World::new().shows(&[holding(is)]);
    says(holds(Some("b")), &promote, "moved to now");
    says(holds(Some("a")), &promote, "not done: the slot is as it was before");
    says(holds(Some("a")), &demote, "moved to now");
    says(holds(Some("b")), &demote, "not done: the slot is as it was before");
    for effect in [&promote, &demote] {
        says(holds(Some("c")), effect, "conflict: slot 1 holds neither the old nor the new value");
        says(holds(None), effect, "conflict: slot 1 holds neither");
    }
    let mut run = run();
    Arc::make_mut(&mut run.plan).slots[0].caps.swap = Swap::LastWriteWins;
    assert_eq!(word(&look_in(&mut holds(Some("b")), run.clone(), &promote)), "moved to now unguarded");
    run.new = None;
    assert!(word(&look_in(&mut holds(Some("b")), run, &promote)).starts_with("conflict"));
}

#[test]
fn a_write_that_can_only_be_waited_for_is_looked_at_twice() {
    let promote = Effect::Promote { slot: slot(), guard: "g".into() };
    let late = |late_write, second: &str| {
        let world = World::new().shows(&[holding(Some("a")), holding(Some(second))]);
        let mut world = World { store: StoreCaps { late_write, ..world.store.clone() }, ..world };
        let outcome = look_in(&mut world, run(), &promote);
        (word(&outcome), world.wall.get() - at(0).0)
    };
    assert_eq!(late(LateWrite::WaitOut, "b"), ("moved to now".into(), 11_000));
    assert_eq!(late(LateWrite::WaitOut, "a"), ("not done: the slot is as it was before".into(), 11_000));
    assert_eq!(late(LateWrite::Fenceable, "b"), ("not done: the slot is as it was before".into(), 0));
    assert_eq!(late(LateWrite::Impossible, "b"), ("not done: the slot is as it was before".into(), 0));
}

#[test]
fn a_fence_stands_when_the_guard_moved() {
    let fence = |guard: &str| Effect::Fence { slot: slot(), guard: guard.into() };
    says(World::new().shows(&[holding(Some("a"))]), &fence("now"), "not done: the guard has not moved");
    says(World::new().shows(&[holding(Some("a"))]), &fence("before"), "moved to now");
}

#[test]
fn a_model_points_at_one_of_the_two_or_a_person_must_look() {
    let model = ModelName::new("m");
    let points = |at: Option<&str>| {
        let others = [(ModelName::new("n"), KeyId::new("new"))];
        World { models: others.into_iter().chain(at.map(|id| (ModelName::new("m"), KeyId::new(id)))).collect(), ..World::new() }
    };
    let to = |to| Effect::Repoint { model: model.clone(), to };
    for (at, new, old) in [
        (Some("new"), "done", "not done: the model points where it pointed before"),
        (Some("old"), "not done: the model points where it pointed before", "done"),
        (Some("x"), "conflict: model m points at x, which is neither old nor new", "conflict: model m points at x"),
        (None, "conflict: model m does not exist any more", "conflict: model m does not exist"),
    ] {
        says(points(at), &to(Which::New), new);
        says(points(at), &to(Which::Old), old);
    }
}

#[test]
fn a_switch_stands_as_the_listing_says() {
    let id = || KeyId::new("old");
    let off = Effect::Disable { key: Which::Old, id: id(), approval: None };
    let on = Effect::Enable { key: Which::Old, id: id() };
    let disabled = || {
        let keys = vec![KeyFacts { enabled: false, ..key("old", "") }, key("other", "")];
        World { keys: std::collections::VecDeque::from([keys]).into(), ..World::new() }
    };
    says(World::new(), &on, "done");
    says(World::new(), &off, "not done: the key is as it was before");
    says(disabled(), &off, "done");
    says(disabled(), &on, "not done: the key is as it was before");
    let missing = Effect::Enable { key: Which::New, id: KeyId::new("k") };
    says(World::new(), &missing, "conflict: key k is not in the listing any more");
}

#[test]
fn what_waits_what_was_and_who_lives_is_seen_directly() {
    let version = || Some(VersionId::new("v"));
    let drop_pending = Effect::DropPending { slot: slot() };
    says(World::new(), &drop_pending, "done");
    says(World::new().shows(&[Snapshot { pending: version(), ..Snapshot::default() }]), &drop_pending, "not done: the pending version");
    let retire = Effect::Retire { slot: slot() };
    says(World::new(), &retire, "done");
    says(World::new().shows(&[Snapshot { previous: version(), ..Snapshot::default() }]), &retire, "not done: the old version");
    let live = Effect::MarkLive { id: KeyId::new("new") };
    says(World::new().lists(&[&[key("new", "keyroll:live")]]), &live, "done");
    says(World::new().lists(&[&[key("new", OURS), key("x", "keyroll:live")]]), &live, "not done: the key still carries");
    says(World::new(), &Effect::Reload { app: App::new("web"), flip: 1 }, "not done: a reload is simply done again");
    for effect in [Effect::Scan, Effect::Seal] {
        says(World::new(), &effect, "not done: the bundle is built again");
    }
}

#[test]
fn a_world_out_of_reach_decides_nothing() {
    let mut watched = Unwatched;
    for effect in [mint(), Effect::Retire { slot: slot() }, Effect::Disable { key: Which::Old, id: KeyId::new("old"), approval: None }] {
        let mut down = World::new();
        down.down.set(true);
        let stop = now(engine(&mut down, &mut watched, run()).look_at(&effect, None)).unwrap_err();
        assert!(matches!(&stop, Stop::Parked { why, person: false, .. } if why == "reach it: down"), "{stop:?}");
    }
}

/// A run whose last session died within this effect.
fn died_in(effect: Effect, child: Option<Child>) -> Run {
    let mut run = run();
    run.open = Some(Open { n: 4, effect, began: began(0), child, unresolved: false, taken_over: false });
    run
}

#[test]
fn an_open_intent_is_ended_by_what_a_look_found() {
    let mut watched = Unwatched;
    let mut world = World::new();
    now(engine(&mut world, &mut watched, died_in(Effect::Retire { slot: slot() }, None)).resolve()).unwrap();
    let Some(Record::Ended { n: 4, kind: EffectKind::Retire, outcome, by: By::Look, .. }) = world.lines.last() else {
        panic!("{:?}", world.lines)
    };
    assert_eq!(word(outcome), "done");
    assert!(world.ended.borrow().is_empty());
    let mut quiet = World::new();
    now(engine(&mut quiet, &mut watched, run()).resolve()).unwrap();
    assert_eq!(quiet.lines.len(), 1);
}

fn with_child() -> Run {
    died_in(Effect::Reload { app: App::new("web"), flip: 1 }, Some(Child { pid: 7, start: None }))
}

#[test]
fn a_child_that_lives_on_is_given_its_time_and_then_ended() {
    let mut watched = Unwatched;
    let mut gone = World { child: std::collections::VecDeque::from([true, true, false]).into(), ..World::new() };
    now(engine(&mut gone, &mut watched, with_child()).resolve()).unwrap();
    let asked: Vec<(bool, i64)> = gone.ended.borrow().iter().map(|(end, t)| (*end, t.0 - at(0).0)).collect();
    assert_eq!(asked, [(false, 0), (false, 50), (false, 100)]);
    assert!(matches!(gone.lines.last(), Some(Record::Ended { .. })));

    let mut slow = World { child: std::collections::VecDeque::from([true]).into(), ..World::new() };
    now(engine(&mut slow, &mut watched, with_child()).resolve()).unwrap();
    let asked = slow.ended.borrow();
    let last = asked.last().map(|(end, t)| (*end, t.0 - at(0).0));
    assert_eq!((last, asked.iter().filter(|(end, _)| *end).count()), (Some((true, 11_000)), 1));
}

#[test]
fn a_child_that_cannot_be_ended_or_asked_about_parks() {
    let mut watched = Unwatched;
    let mut immortal = World { child: std::collections::VecDeque::from([true]).into(), immortal: true, ..World::new() };
    let stop = now(engine(&mut immortal, &mut watched, with_child()).resolve()).unwrap_err();
    assert!(
        matches!(&stop, Stop::Parked { why, person: true, .. } if why.starts_with("child process 7 of an earlier session")),
        "{stop:?}"
    );
    assert!(matches!(immortal.lines.as_slice(), [Record::Opened { .. }]));
    let mut deaf = World::new();
    deaf.down.set(true);
    let stop = now(engine(&mut deaf, &mut watched, with_child()).resolve()).unwrap_err();
    assert!(matches!(stop, Stop::Parked { person: false, .. }), "{stop:?}");
}

fn discard(mut world: World, run: Run) -> Result<Inquiry, String> {
    let mut watched = Unwatched;
    let said = match now(engine(&mut world, &mut watched, run).may_discard(&KeyId::new("k"), &marker())) {
        Ok(()) => Ok(()),
        Err(Failed::World(why)) => Err(why),
        Err(Failed::Port(e)) => Err(e.to_string()),
        Err(Failed::Stop(_) | Failed::Seal(_) | Failed::Unsure(_)) => Err("something else".into()),
    };
    said.map(|()| world.asked.borrow().clone())
}

#[test]
fn a_key_is_discarded_only_if_it_is_ours_and_nobody_uses_it() {
    let ours = || World::new().lists(&[&[key("k", OURS)]]);
    // Asked about the whole run, by the gateway's clock, a minute earlier for the two clocks.
    let asked = (KeyId::new("old"), Some(KeyId::new("k")), at(-160), at(7));
    assert_eq!(discard(ours(), run()), Ok(Some(asked)));
    assert!(discard(World::new(), run()).is_ok());
    let not_ours = "key k does not carry this run's marker any more; it is not deleted";
    assert_eq!(discard(World::new().lists(&[&[key("k", "keyroll:live")]]), run()), Err(not_ours.into()));
    let mut known = run();
    Arc::make_mut(&mut known.plan).known_ids.push(KeyId::new("k"));
    assert_eq!(discard(ours(), known), Err(not_ours.into()));
    let uses = |count: CallerCount| World { used: [(App::new("web"), count)].into(), ..ours() };
    assert!(discard(uses(CallerCount::default()), run()).is_ok());
    let used = discard(uses(CallerCount { refused: 1, ..CallerCount::default() }), run());
    assert_eq!(used, Err("the world is ahead of the journal: web uses key k; nothing is cleaned up".into()));
    let mut fresh = run();
    fresh.since.start = None;
    let from = discard(ours(), fresh).map(|asked| asked.map(|(_, _, from, _)| from));
    // The session's own beginning is the run's, then.
    assert_eq!(from, Ok(Some(at(-60))));
}

#[test]
fn a_pause_ends_by_either_clock() {
    let pause = |naps| {
        let mut watched = Unwatched;
        let mut world = World { naps, ..World::new() };
        now(engine(&mut world, &mut watched, run()).pause(Span::seconds(10)));
        world.sleeps.get()
    };
    assert_eq!(pause(None), 1);
    // The wall clock is set back while the boot clock goes on, or runs ahead of it.
    assert_eq!(pause(Some((-1_000, 2_000))), 5);
    assert_eq!(pause(Some((5_000, 0))), 2);
    assert_eq!(pause(Some((0, 9_999))), 2);
    // Neither moves: it ends all the same.
    assert_eq!(pause(Some((0, 0))), 100_000);
    let mut watched = Unwatched;
    let mut world = World::new();
    now(engine(&mut world, &mut watched, run()).pause(Span::ZERO));
    assert_eq!(world.sleeps.get(), 0);
}
