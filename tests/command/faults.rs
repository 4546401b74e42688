//! Every change, with the program failing before it and after it: a look tells which, and doing it once more ends right.

use crate::folder::{FolderSlot, Folders, program};
use crate::stores::{NEW, OLD, OTHER, TestSlot as _, is, look, ok, quiet, run, value};
use crate::wait;
use keyroll::adapters::secrets::CommandStore;
use keyroll::ports::{PortError, Retire, SecretStore as _};
use keyroll::rotation::Snapshot;
use serde_json::json;

const VERBS: [&str; 6] = ["stage", "promote", "demote", "fence", "drop-pending", "retire"];

async fn before(verb: &str, store: &CommandStore) -> Snapshot {
    if verb == "stage" {
        return ok(store.observe().await);
    }
    let staged = ok(store.stage(&run("r1"), &value(NEW)).await).1;
    if !["demote", "retire"].contains(&verb) {
        return staged;
    }
    let promoted = ok(store.promote(&run("r1"), &staged.guard).await);
    if verb == "demote" { promoted } else { ok(store.drop_pending(&run("r1")).await) }
}

async fn act(verb: &str, store: &CommandStore, guard: &str) -> Result<Snapshot, PortError> {
    match verb {
        "stage" => store.stage(&run("r1"), &value(NEW)).await.map(|(_, seen)| seen),
        "promote" => store.promote(&run("r1"), guard).await,
        "demote" => store.demote(&run("r1"), guard, &value(OLD)).await,
        "fence" => store.fence(guard).await,
        "drop-pending" => store.drop_pending(&run("r1")).await,
        _ => store.retire(&run("r1"), Retire::Unlink).await,
    }
}

fn reached(verb: &str, slot: &FolderSlot, seen: &Snapshot) -> bool {
    match verb {
        "stage" => seen.pending_is == is(slot, NEW) && seen.current_is == is(slot, OLD) && seen.pending_run.as_deref() == Some("r1"),
        "promote" => seen.current_is == is(slot, NEW) && seen.previous_is == is(slot, OLD),
        "demote" => seen.current_is == is(slot, OLD),
        "fence" => seen.current_is == is(slot, OLD) && seen.pending_is == is(slot, NEW),
        "drop-pending" => seen.pending.is_none() && seen.current_is == is(slot, OLD),
        _ => seen.previous.is_none() && seen.current_is == is(slot, NEW),
    }
}

async fn one(verb: &str, when: &str, what: &str) {
    let at = format!("{verb} {when} {what}");
    let world = Folders { compare_and_set: true };
    let slot = FolderSlot::new(OLD, true);
    let store = slot.store(&[program().to_str().unwrap(), slot.dir.path().to_str().unwrap()], &json!({ "call_timeout": "1s" }));
    let first = before(verb, &store).await;
    slot.fault(&at);
    let result = act(verb, &store, &first.guard).await;
    assert!(slot.faulted().is_some(), "{at}: it never came to that");
    let seen = look(&world, &store).await;
    match &result {
        Ok(told) => {
            assert_eq!((told, when), (&seen, "after"), "{at}: a success that is none");
            assert!(reached(verb, &slot, &seen), "{at}: {seen:?}");
        }
        Err(e) => {
            quiet(&world, e);
            if when == "before" || !e.may_have_happened() {
                assert_eq!(seen, first, "{at}: {e:?}");
            }
            let clear = ["exit-3", "exit-4", "exit-5", "exit-6"].contains(&what);
            assert_eq!(e.may_have_happened(), !clear, "{at}: {e:?}");
        }
    }
    assert_eq!(slot.other().await.as_deref(), Some(OTHER[0]), "{at}");
    // Another process looks, and does it again if it is not done.
    let another = slot.open();
    let fresh = look(&world, &another).await;
    let end = if reached(verb, &slot, &fresh) { fresh } else { ok(act(verb, &another, &fresh.guard).await) };
    assert!(reached(verb, &slot, &end), "{at}: done again and not reached: {end:?}");
}

#[test]
fn a_program_that_fails_before_its_change() {
    wait(async {
        for verb in VERBS {
            for what in ["exit-1", "exit-3", "exit-4", "exit-5", "exit-6", "die"] {
                one(verb, "before", what).await;
            }
        }
    });
}

#[test]
fn a_program_that_fails_after_its_change() {
    wait(async {
        for verb in VERBS {
            for what in ["exit-1", "die"] {
                one(verb, "after", what).await;
            }
        }
    });
}

#[test]
fn a_program_that_hangs() {
    wait(async {
        for (verb, when) in [("stage", "before"), ("promote", "before"), ("promote", "after"), ("demote", "after")] {
            one(verb, when, "hang").await;
        }
    });
}
