//! GitHub Actions secrets.

use crate::github::{ENDED, Github, OWNER, READER};
use crate::proxy::{Fault, Tap};
use crate::wait;
use keyroll::adapters::reference::References;
use keyroll::adapters::secrets::GithubStore;
use keyroll::policy::model::slot::GithubSlot;
use keyroll::ports::{Place, PortError, Retire, SecretStore};
use keyroll::rotation::{RunId, Snapshot, Swap};
use keyroll::secret::{Fingerprint, FingerprintKey, Scrubber, SecretText};
use serde_json::json;
use std::rc::Rc;
use std::time::Duration;

const OLD: &str = "sk-old-9d1c40f7a2b85e63";
const NEW: &str = "sk-new-58e2b7c90f14da36";
const THIRD: &str = "sk-third-6b3f8e02c7d159a4";
const NAME: &str = "ROUTER_KEY";

struct World {
    github: Github,
    tap: Tap,
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let github = Github::start();
        github.by_hand(NAME, OLD);
        let tap = Tap::before(github.port());
        Self { github, tap, dir: tempfile::tempdir().unwrap() }
    }

    fn open_at(&self, port: u16, token: &str, environment: Option<&str>) -> GithubStore {
        let file = self.dir.path().join("token");
        std::fs::write(&file, token).unwrap();
        let mut slot = json!({ "repository": "example/chat", "secret": "router_key", "token": { "file": file }, "url": format!("http://127.0.0.1:{port}") });
        if let Some(environment) = environment {
            slot["environment"] = environment.into();
        }
        let slot: GithubSlot = serde_json::from_value(slot).unwrap();
        let references = Rc::new(References { withhold: Vec::new(), scrubber: Scrubber::new(), ask: None });
        GithubStore::new(slot, references, Rc::new(FingerprintKey::from_bytes(&[7; 32]).unwrap()), Duration::from_secs(5)).unwrap()
    }

    fn open(&self) -> GithubStore {
        self.open_at(self.github.port(), OWNER, None)
    }

    fn tapped(&self) -> GithubStore {
        self.open_at(self.tap.port, OWNER, None)
    }
}

fn is(text: &str) -> Option<Fingerprint> {
    Some(FingerprintKey::from_bytes(&[7; 32]).unwrap().of(&value(text)))
}

fn value(text: &str) -> SecretText {
    SecretText::new(text)
}

fn run(name: &str) -> RunId {
    RunId::new(name)
}

#[track_caller]
fn ok<T>(result: Result<T, PortError>) -> T {
    result.unwrap_or_else(|e| panic!("failed to {e}"))
}

#[track_caller]
fn no<T>(result: Result<T, PortError>) -> PortError {
    let e = result.err().unwrap();
    let said = format!("{e} {e:?}");
    for secret in [OLD, NEW, THIRD, OWNER, READER, ENDED] {
        assert!(!said.contains(secret), "{said}");
    }
    e
}

#[track_caller]
fn silent(seen: &Snapshot) {
    let said = format!("{seen:?}");
    assert!(![OLD, NEW, THIRD].iter().any(|s| said.contains(s)), "{said}");
}

async fn staged(store: &GithubStore) -> Snapshot {
    ok(store.stage(&run("r1"), &value(NEW)).await).1
}

#[test]
fn the_whole_way_and_back() {
    wait(async {
        let world = World::new();
        for environment in [None, Some("production")] {
            let store = world.open_at(world.github.port(), OWNER, environment);
            assert!(!store.caps().read_back && store.caps().swap == Swap::LastWriteWins);
            let seen = ok(store.observe().await);
            // Before the first write of ours nothing is known, and that is said.
            assert!(seen.current.is_some() && seen.pending.is_none());
            assert!(seen.warnings.iter().any(|w| w.contains("no value back")), "{:?}", seen.warnings);
            let (version, seen) = ok(store.stage(&run("r1"), &value(NEW)).await);
            assert!(version.is_some());
            assert_eq!((seen.pending_run.as_deref(), seen.pending_is.clone()), (Some("r1"), is(NEW)));
            assert_eq!(world.github.workflow(NAME).as_deref(), Some(OLD), "workflows do not notice a stage");
            assert_eq!(world.github.workflow("ROUTER_KEY_PENDING").as_deref(), Some(NEW));
            let seen = ok(store.promote(&run("r1"), &seen.guard).await);
            assert_eq!((seen.current_is.clone(), world.github.workflow(NAME).as_deref()), (is(NEW), Some(NEW)));
            // Another process knows the same.
            let other = world.open_at(world.github.port(), OWNER, environment);
            assert_eq!(ok(other.observe().await), seen);
            let seen = ok(other.demote(&run("r1"), &seen.guard, &value(OLD)).await);
            assert_eq!((seen.current_is.clone(), world.github.workflow(NAME).as_deref()), (is(OLD), Some(OLD)));
            for _ in 0..2 {
                let seen = ok(other.drop_pending(&run("r1")).await);
                assert_eq!((seen.pending, seen.pending_run, seen.current_is), (None, None, is(OLD)));
            }
            let seen = ok(other.retire(&run("r1"), Retire::Destroy).await);
            assert_eq!((seen.previous.clone(), seen.current_is.clone()), (None, is(OLD)));
            silent(&seen);
            for place in [Place::Current, Place::Pending, Place::Previous] {
                assert!(ok(store.read(place).await).is_none());
            }
            assert!(matches!(no(store.fence(&seen.guard).await), PortError::Unsupported { .. }));
        }
        let notes = format!("{:?}", world.github.world().variables);
        assert!(notes.contains("hmac-sha256") && ![OLD, NEW].iter().any(|s| notes.contains(s)), "{notes}");
    });
}

#[test]
fn what_somebody_else_wrote_is_not_overwritten_and_not_claimed() {
    wait(async {
        let world = World::new();
        let store = world.open();
        let seen = staged(&store).await;
        world.github.by_hand(NAME, THIRD);
        assert!(matches!(no(store.promote(&run("r1"), &seen.guard).await), PortError::Conflict { .. }));
        assert!(matches!(no(store.demote(&run("r1"), &seen.guard, &value(OLD)).await), PortError::Conflict { .. }));
        assert_eq!(world.github.workflow(NAME).as_deref(), Some(THIRD));
        let seen = ok(store.observe().await);
        assert_eq!(seen.current_is, None);
        // After our own write as well.
        let seen = ok(store.promote(&run("r1"), &seen.guard).await);
        assert_eq!(seen.current_is, is(NEW));
        world.github.by_hand(NAME, THIRD);
        let seen = ok(store.observe().await);
        assert!(seen.current_is.is_none() && seen.warnings.iter().any(|w| w.contains("not by keyroll")), "{:?}", seen.warnings);
        // Deleted: it is not made again.
        world.github.world().secrets.remove(NAME);
        let gone = ok(store.observe().await);
        assert!(gone.current.is_none() && gone.guard != seen.guard);
        no(store.demote(&run("r1"), &gone.guard, &value(OLD)).await);
        no(store.stage(&run("r1"), &value(NEW)).await);
        assert_eq!(world.github.workflow(NAME), None);
    });
}

#[test]
fn the_pending_of_another_run_and_of_a_person_are_left_alone() {
    wait(async {
        let world = World::new();
        let seen = staged(&world.open()).await;
        let other = world.open();
        for e in [no(other.stage(&run("r2"), &value(THIRD)).await), no(other.promote(&run("r2"), &seen.guard).await)] {
            assert!(matches!(&e, PortError::Conflict { why, .. } if why.contains("r1")), "{e:?}");
        }
        ok(other.drop_pending(&run("r2")).await);
        ok(other.retire(&run("r2"), Retire::Unlink).await);
        assert_eq!(world.github.workflow("ROUTER_KEY_PENDING").as_deref(), Some(NEW));
        // A person writes there: it is not ours any more.
        world.github.by_hand("ROUTER_KEY_PENDING", THIRD);
        assert!(matches!(no(world.open().stage(&run("r1"), &value(NEW)).await), PortError::Conflict { .. }));
        ok(world.open().drop_pending(&run("r1")).await);
        assert_eq!(world.github.workflow("ROUTER_KEY_PENDING").as_deref(), Some(THIRD));
    });
}

#[test]
fn the_value_ends_with_the_process_that_staged_it() {
    wait(async {
        let world = World::new();
        let seen = staged(&world.open()).await;
        let e = no(world.open().promote(&run("r1"), &seen.guard).await);
        assert!(matches!(&e, PortError::Refused { why, .. } if why.contains("gives back none")), "{e:?}");
        assert_eq!(world.github.workflow(NAME).as_deref(), Some(OLD));
        // Who has the value stages it again, which writes nothing, and may promote.
        let before = world.github.world().written.len();
        let again = world.open();
        let seen = staged(&again).await;
        assert_eq!(world.github.world().written.len(), before);
        assert_eq!(ok(again.promote(&run("r1"), &seen.guard).await).current_is, is(NEW));
    });
}

async fn act(verb: &str, store: &GithubStore, guard: &str) -> Result<Snapshot, PortError> {
    match verb {
        "stage" => store.stage(&run("r1"), &value(NEW)).await.map(|(_, seen)| seen),
        "promote" => store.promote(&run("r1"), guard).await,
        "demote" => store.demote(&run("r1"), guard, &value(OLD)).await,
        _ => store.drop_pending(&run("r1")).await,
    }
}

/// One fault; false when the verb has no such write. `clean` stands for another process.
async fn one(world: &World, clean: &GithubStore, store: &GithubStore, verb: &str, fault: Fault, nth: usize) -> bool {
    *world.github.world() = crate::github::World::default();
    world.github.by_hand(NAME, OLD);
    let mut first = staged(store).await;
    if verb == "demote" {
        first = ok(store.promote(&run("r1"), &first.guard).await);
    }
    if verb == "stage" {
        first = ok(clean.drop_pending(&run("r1")).await);
    }
    let reached = |seen: &Snapshot| match verb {
        "stage" => seen.pending_is == is(NEW) && seen.pending_run.as_deref() == Some("r1"),
        "promote" => seen.current_is == is(NEW) && world.github.workflow(NAME).as_deref() == Some(NEW),
        "demote" => seen.current_is == is(OLD) && world.github.workflow(NAME).as_deref() == Some(OLD),
        _ => seen.pending.is_none(),
    };
    world.tap.arm(fault, nth, |head| !head.starts_with("GET "));
    let result = act(verb, store, &first.guard).await;
    if !world.tap.fired() {
        world.tap.disarm();
        assert!(nth > 1 && reached(&ok(result)), "{verb} without a fault");
        return false;
    }
    let at = format!("{verb} {fault:?} at {nth}: {:?}", world.tap.seen());
    let seen = ok(clean.observe().await);
    silent(&seen);
    match &result {
        Ok(told) => assert!(told.current_is == seen.current_is && reached(&seen), "{at}: {seen:?}"),
        Err(e) => {
            no(Err::<(), _>(e.clone()));
            assert!(!matches!(e, PortError::Conflict { .. }), "{at}: nobody else was there: {e:?}");
            if !e.may_have_happened() && nth == 1 {
                assert_eq!((&seen.current, &seen.pending), (&first.current, &first.pending), "{at}: {e:?}");
            }
        }
    }
    // The same process does it again, on what it sees now.
    let now = ok(store.observe().await);
    let end = if reached(&now) { now } else { ok(act(verb, store, &now.guard).await) };
    assert!(reached(&end), "{at}: done again: {end:?}");
    true
}

/// Each write of each verb with its answer lost, itself lost, and refused: a look by another process tells what is so, and doing it again ends
/// right.
#[test]
fn every_fault_at_every_write() {
    wait(async {
        let world = World::new();
        let (clean, store) = (world.open(), world.tapped());
        let mut met = 0;
        for verb in ["stage", "promote", "demote", "drop"] {
            for fault in [Fault::LostAnswer, Fault::HangUp, Fault::Status(500), Fault::Status(403)] {
                for nth in 1..=6 {
                    if !one(&world, &clean, &store, verb, fault, nth).await {
                        break;
                    }
                    met += 1;
                }
            }
        }
        println!("{met} faults met");
        assert!(met > 30);
    });
}

#[test]
fn who_may_not_changes_nothing_and_absence_is_not_believed_blindly() {
    wait(async {
        let world = World::new();
        let seen = staged(&world.open()).await;
        for token in [READER, ENDED] {
            let weak = world.open_at(world.github.port(), token, None);
            for e in [
                no(weak.stage(&run("r1"), &value(THIRD)).await),
                no(weak.promote(&run("r1"), &seen.guard).await),
                no(weak.demote(&run("r1"), &seen.guard, &value(THIRD)).await),
                no(weak.drop_pending(&run("r1")).await),
            ] {
                assert!(!e.may_have_happened(), "{e:?}");
            }
        }
        assert_eq!(
            (world.github.workflow(NAME).as_deref(), world.github.workflow("ROUTER_KEY_PENDING").as_deref()),
            (Some(OLD), Some(NEW))
        );
        // A token that may not see secrets is told "not found", which is no absence.
        world.github.world().secrets.clear();
        assert!(matches!(no(world.open_at(world.github.port(), READER, None).observe().await), PortError::Refused { .. }));
        assert!(ok(world.open().observe().await).current.is_none());
        // Too many calls are waited for, not failed.
        world.github.world().busy = 1;
        let e = no(world.open().observe().await);
        assert!(matches!(e, PortError::Unreachable { may_have_happened: false, .. }), "{e:?}");
    });
}

#[test]
fn a_key_that_turns_in_between_and_a_variable_of_somebody_else() {
    wait(async {
        let world = World::new();
        world.github.world().turns = true;
        let store = world.open();
        let e = no(store.stage(&run("r1"), &value(NEW)).await);
        assert!(!e.may_have_happened(), "sealed for the wrong key, nothing was taken: {e:?}");
        assert_eq!(staged(&store).await.pending_is, is(NEW));
        world.github.world().variables.insert("ROUTER_KEY_KEYROLL".into(), ("their own".into(), 1));
        let e = no(store.observe().await);
        assert!(matches!(&e, PortError::Refused { why, .. } if why.contains("ROUTER_KEY_KEYROLL")), "{e:?}");
    });
}
