//! The cases without a fault of the network.

use super::{NEW, OLD, OTHER, THIRD, TestSlot, World, conflict, is, look, no, ok, quiet, read, run, value};
use keyroll::ports::{Place, PortError, Retire, SecretStore};
use keyroll::rotation::{LateWrite, Swap};

/// Stage, promote, drop, retire; readers see exactly one change.
pub(super) async fn the_whole_way<W: World>(world: &W) -> bool {
    let slot = world.slot().await;
    let store = slot.open();
    let before = look(world, &store).await;
    assert_eq!((before.current_is.clone(), before.pending_is.clone(), before.pending_run.clone()), (is(&slot, OLD), None, None));
    assert!(before.current.is_some() && before.pending.is_none() && !before.guard.is_empty());
    let (_, staged) = ok(store.stage(&run("r1"), &value(NEW)).await);
    assert_eq!(slot.consumer().await.as_deref(), Some(OLD), "readers do not notice a stage");
    assert_eq!((staged.current_is.clone(), staged.pending_is.clone()), (is(&slot, OLD), is(&slot, NEW)));
    assert_eq!(staged.pending_run.as_deref(), Some("r1"));
    if store.caps().read_back {
        assert_eq!(read(&store, Place::Pending).await.as_deref(), Some(NEW));
        assert_eq!(read(&store, Place::Current).await.as_deref(), Some(OLD));
    }
    // Another process sees the same.
    let other = slot.open();
    assert_eq!(look(world, &other).await.pending_run, staged.pending_run);
    let promoted = ok(other.promote(&run("r1"), &staged.guard).await);
    assert_eq!(slot.consumer().await.as_deref(), Some(NEW));
    assert_eq!(slot.other().await, slot.other().await.map(|_| OTHER[0].to_owned()));
    assert_eq!((promoted.current_is.clone(), promoted.previous_is.clone()), (is(&slot, NEW), is(&slot, OLD)));
    assert_ne!(promoted.guard, staged.guard, "a guard changes with the document");
    if store.caps().read_back {
        assert_eq!(read(&store, Place::Previous).await.as_deref(), Some(OLD), "there is a way back");
    }
    // A consumer on the pending version still reads it until it is dropped.
    let dropped = ok(store.drop_pending(&run("r1")).await);
    assert_eq!((dropped.pending, dropped.pending_run, dropped.current_is), (None, None, is(&slot, NEW)));
    let retired = ok(store.retire(&run("r1"), Retire::Unlink).await);
    assert_eq!((retired.previous, retired.previous_is, retired.current_is), (None, None, is(&slot, NEW)));
    assert_eq!(slot.consumer().await.as_deref(), Some(NEW));
    // The next run starts from there.
    let next = look(world, &slot.open()).await;
    let (_, staged) = ok(store.stage(&run("r2"), &value(THIRD)).await);
    assert_eq!(staged.current_is, next.current_is);
    let second = ok(store.promote(&run("r2"), &staged.guard).await);
    assert_eq!((second.current_is, second.previous_is), (is(&slot, THIRD), is(&slot, NEW)));
    true
}

/// Promote, and back; then forward again by another run.
pub(super) async fn the_whole_way_back<W: World>(world: &W) -> bool {
    let slot = world.slot().await;
    let store = slot.open();
    let (_, staged) = ok(store.stage(&run("r1"), &value(NEW)).await);
    let promoted = ok(store.promote(&run("r1"), &staged.guard).await);
    let demoted = ok(store.demote(&run("r1"), &promoted.guard, &value(OLD)).await);
    assert_eq!(slot.consumer().await.as_deref(), Some(OLD));
    assert_eq!(demoted.current_is, is(&slot, OLD));
    assert_ne!(demoted.guard, promoted.guard);
    // Doing it again with the present guard changes nothing for readers.
    let again = ok(store.demote(&run("r1"), &demoted.guard, &value(OLD)).await);
    assert_eq!(again.current_is, is(&slot, OLD));
    let dropped = ok(store.drop_pending(&run("r1")).await);
    assert_eq!((dropped.pending, dropped.current_is), (None, is(&slot, OLD)));
    let (_, staged) = ok(store.stage(&run("r2"), &value(THIRD)).await);
    let promoted = ok(store.promote(&run("r2"), &staged.guard).await);
    assert_eq!((promoted.current_is, promoted.previous_is), (is(&slot, THIRD), is(&slot, OLD)));
    ok(store.drop_pending(&run("r2")).await);
    let retired = ok(store.retire(&run("r2"), Retire::Unlink).await);
    assert_eq!((retired.previous, retired.current_is), (None, is(&slot, THIRD)));
    true
}

/// The same stage again is a success; so is another value of the same run, which replaces the first.
pub(super) async fn a_stage_again_is_the_same_stage<W: World>(world: &W) -> bool {
    let slot = world.slot().await;
    ok(slot.open().stage(&run("r1"), &value(NEW)).await);
    let (_, again) = ok(slot.open().stage(&run("r1"), &value(NEW)).await);
    assert_eq!((again.pending_run.as_deref(), again.pending_is.clone()), (Some("r1"), is(&slot, NEW)));
    // The value of a lost mint is replaced by the one of the next try.
    let (_, third) = ok(slot.open().stage(&run("r1"), &value(THIRD)).await);
    assert_eq!((third.pending_run.as_deref(), third.pending_is.clone()), (Some("r1"), is(&slot, THIRD)));
    let promoted = ok(slot.open().promote(&run("r1"), &third.guard).await);
    assert_eq!((promoted.current_is, slot.consumer().await.as_deref()), (is(&slot, THIRD), Some(THIRD)));
    // The stage, or the promote, that comes once more when all is done changes nothing for readers.
    let seen = look(world, &slot.open()).await;
    let same = ok(slot.open().promote(&run("r1"), &seen.guard).await);
    assert_eq!((same.current_is, same.previous_is), (is(&slot, THIRD), is(&slot, OLD)));
    true
}

/// What waits for another run is never taken, overwritten or removed.
pub(super) async fn the_pending_of_another_run_is_named_and_left_alone<W: World>(world: &W) -> bool {
    let slot = world.slot().await;
    let (_, staged) = ok(slot.open().stage(&run("first-run"), &value(NEW)).await);
    let other = slot.open();
    let why = conflict(world, other.stage(&run("second-run"), &value(THIRD)).await);
    assert!(why.contains("first-run"), "{why}");
    let why = conflict(world, other.promote(&run("second-run"), &staged.guard).await);
    assert!(why.contains("first-run"), "{why}");
    ok(other.drop_pending(&run("second-run")).await);
    let seen = ok(other.retire(&run("second-run"), Retire::Unlink).await);
    assert_eq!((seen.pending_run.as_deref(), seen.pending_is, seen.current_is), (Some("first-run"), is(&slot, NEW), is(&slot, OLD)));
    assert_eq!(slot.consumer().await.as_deref(), Some(OLD));
    true
}

/// Somebody wrote our field meanwhile: nothing is overwritten, forward or back.
pub(super) async fn a_stale_guard_changes_nothing<W: World>(world: &W) -> bool {
    let slot = world.slot().await;
    let store = slot.open();
    let (_, staged) = ok(store.stage(&run("r1"), &value(NEW)).await);
    slot.stranger_writes_ours(THIRD).await;
    conflict(world, store.promote(&run("r1"), &staged.guard).await);
    assert_eq!(slot.consumer().await.as_deref(), Some(THIRD), "somebody's value is overwritten");
    let seen = look(world, &store).await;
    assert_eq!((seen.current_is.clone(), seen.pending_is.clone()), (is(&slot, THIRD), is(&slot, NEW)));
    assert_ne!(seen.guard, staged.guard);
    conflict(world, store.demote(&run("r1"), &staged.guard, &value(OLD)).await);
    conflict(world, store.demote(&run("r1"), "no-guard-of-this-store", &value(OLD)).await);
    conflict(world, store.promote(&run("r1"), "").await);
    assert_eq!(slot.consumer().await.as_deref(), Some(THIRD));
    true
}

/// Somebody wrote another field meanwhile: the guard no longer fits; with a new one that field is kept as it is now (F17).
pub(super) async fn other_fields_are_kept_as_they_are_now<W: World>(world: &W) -> bool {
    let slot = world.slot().await;
    let store = slot.open();
    let (_, staged) = ok(store.stage(&run("r1"), &value(NEW)).await);
    if !slot.stranger_writes_other(OTHER[1]).await {
        return false;
    }
    conflict(world, store.promote(&run("r1"), &staged.guard).await);
    assert_eq!(slot.consumer().await.as_deref(), Some(OLD));
    let seen = look(world, &store).await;
    match (store.promote(&run("r1"), &seen.guard).await, world.merges()) {
        (Ok(_), _) => assert_eq!(slot.consumer().await.as_deref(), Some(NEW)),
        (Err(e), false) => quiet(world, &e),
        (Err(e), true) => panic!("failed to {e}"),
    }
    assert_eq!(slot.other().await.as_deref(), Some(OTHER[1]), "another field went back");
    true
}

/// The way back puts our field back and leaves the rest as it is now (F17).
pub(super) async fn demote_changes_our_field_only<W: World>(world: &W) -> bool {
    let slot = world.slot().await;
    let store = slot.open();
    let (_, staged) = ok(store.stage(&run("r1"), &value(NEW)).await);
    let promoted = ok(store.promote(&run("r1"), &staged.guard).await);
    if !slot.stranger_writes_other(OTHER[1]).await {
        return false;
    }
    conflict(world, store.demote(&run("r1"), &promoted.guard, &value(OLD)).await);
    assert_eq!(slot.consumer().await.as_deref(), Some(NEW));
    let seen = look(world, &store).await;
    assert_eq!(seen.previous_is, is(&slot, OLD), "the way back is still there");
    match (store.demote(&run("r1"), &seen.guard, &value(OLD)).await, world.merges()) {
        (Ok(_), _) => assert_eq!(slot.consumer().await.as_deref(), Some(OLD)),
        (Err(e), false) => quiet(world, &e),
        (Err(e), true) => panic!("failed to {e}"),
    }
    assert_eq!(slot.other().await.as_deref(), Some(OTHER[1]), "another field went back");
    true
}

/// Both are successes when there is nothing (any more).
pub(super) async fn drop_and_retire_can_be_done_again<W: World>(world: &W) -> bool {
    let slot = world.slot().await;
    let store = slot.open();
    let first = look(world, &store).await;
    for _ in 0..2 {
        let seen = ok(store.drop_pending(&run("r1")).await);
        assert_eq!((seen.current_is, seen.pending), (first.current_is.clone(), None));
    }
    let (_, staged) = ok(store.stage(&run("r1"), &value(NEW)).await);
    ok(store.promote(&run("r1"), &staged.guard).await);
    for _ in 0..2 {
        assert_eq!(ok(store.drop_pending(&run("r1")).await).pending, None);
    }
    for _ in 0..3 {
        let seen = ok(store.retire(&run("r1"), Retire::Unlink).await);
        assert_eq!((seen.previous, seen.current_is), (None, is(&slot, NEW)));
    }
    if store.caps().read_back {
        assert_eq!((read(&store, Place::Pending).await, read(&store, Place::Previous).await), (None, None));
    }
    assert_eq!(slot.consumer().await.as_deref(), Some(NEW));
    true
}

/// The strongest level leaves the current value, and says what it cannot do.
pub(super) async fn destroy_leaves_no_way_to_the_old_value<W: World>(world: &W) -> bool {
    let slot = world.slot().await;
    let store = slot.open();
    let (_, staged) = ok(store.stage(&run("r1"), &value(NEW)).await);
    ok(store.promote(&run("r1"), &staged.guard).await);
    for _ in 0..2 {
        let seen = ok(store.retire(&run("r1"), Retire::Destroy).await);
        assert_eq!((seen.previous, seen.pending, seen.current_is), (None, None, is(&slot, NEW)));
    }
    assert_eq!(read(&slot.open(), Place::Previous).await, None);
    assert_eq!(slot.consumer().await.as_deref(), Some(NEW));
    assert_eq!(slot.other().await, slot.other().await.map(|_| OTHER[0].to_owned()));
    true
}

/// A secret that somebody deleted is not brought back to life.
pub(super) async fn a_deleted_secret_is_not_made_again<W: World>(world: &W) -> bool {
    let slot = world.slot().await;
    let store = slot.open();
    let (_, staged) = ok(store.stage(&run("r1"), &value(NEW)).await);
    slot.stranger_deletes().await;
    match store.observe().await {
        Ok(seen) => {
            assert_eq!((seen.current, seen.current_is), (None, None));
            assert_ne!(seen.guard, staged.guard);
            no(world, store.promote(&run("r1"), &seen.guard).await);
            no(world, store.demote(&run("r1"), &seen.guard, &value(OLD)).await);
        }
        Err(e) => quiet(world, &e),
    }
    let why = no(world, store.promote(&run("r1"), &staged.guard).await);
    assert!(matches!(why, PortError::Conflict { .. } | PortError::Refused { .. }), "{why:?}");
    no(world, slot.open().stage(&run("r2"), &value(THIRD)).await);
    assert_eq!(slot.consumer().await, None, "it was made again");
    true
}

/// A fence lets no promote with an older guard through.
pub(super) async fn a_fence_moves_the_guard_and_nothing_else<W: World>(world: &W) -> bool {
    let slot = world.slot().await;
    let store = slot.open();
    if store.caps().late_write != LateWrite::Fenceable {
        return false;
    }
    let (_, staged) = ok(store.stage(&run("r1"), &value(NEW)).await);
    let fenced = ok(store.fence(&staged.guard).await);
    assert_ne!(fenced.guard, staged.guard);
    assert_eq!((fenced.current_is.clone(), fenced.pending_is.clone()), (is(&slot, OLD), is(&slot, NEW)));
    assert_eq!(slot.consumer().await.as_deref(), Some(OLD));
    assert_eq!(slot.other().await, slot.other().await.map(|_| OTHER[0].to_owned()));
    conflict(world, store.promote(&run("r1"), &staged.guard).await);
    conflict(world, store.fence(&staged.guard).await);
    assert_eq!(slot.consumer().await.as_deref(), Some(OLD));
    let promoted = ok(store.promote(&run("r1"), &fenced.guard).await);
    assert_eq!((promoted.current_is, promoted.previous_is), (is(&slot, NEW), is(&slot, OLD)), "the way back survives a fence");
    ok(store.drop_pending(&run("r1")).await);
    let retired = ok(store.retire(&run("r1"), Retire::Unlink).await);
    assert_eq!((retired.previous, retired.current_is), (None, is(&slot, NEW)));
    true
}

/// Several processes with one guard: the document changes once.
pub(super) async fn racing_promotes_have_one_winner<W: World>(world: &W) -> bool {
    let slot = world.slot().await;
    // Where the last write wins, nothing tells one winner from three.
    if slot.open().caps().swap != Swap::CompareAndSet {
        return false;
    }
    let (_, staged) = ok(slot.open().stage(&run("r1"), &value(NEW)).await);
    let (a, b, c) = (slot.open(), slot.open(), slot.open());
    let r1 = run("r1");
    let (x, y, z) = tokio::join!(a.promote(&r1, &staged.guard), b.promote(&r1, &staged.guard), c.promote(&r1, &staged.guard));
    let mut guards = Vec::new();
    for result in [x, y, z] {
        match result {
            Ok(seen) => guards.push(seen.guard),
            Err(e) => {
                quiet(world, &e);
                assert!(matches!(e, PortError::Conflict { .. }), "{e:?}");
            }
        }
    }
    guards.dedup();
    assert_eq!(guards.len(), 1, "who came second may see the first one's success, never make another: {guards:?}");
    assert_eq!(slot.consumer().await.as_deref(), Some(NEW));
    true
}

/// Without the right to do it, every verb says so and changes nothing.
pub(super) async fn powerless_handles_change_nothing<W: World>(world: &W) -> bool {
    let slot = world.slot().await;
    let store = slot.open();
    let (_, staged) = ok(store.stage(&run("r1"), &value(NEW)).await);
    let handles = slot.powerless().await;
    if handles.is_empty() {
        return false;
    }
    for (name, weak) in handles {
        let errors = [
            no(world, weak.stage(&run("r1"), &value(THIRD)).await),
            no(world, weak.promote(&run("r1"), &staged.guard).await),
            no(world, weak.demote(&run("r1"), &staged.guard, &value(THIRD)).await),
            no(world, weak.drop_pending(&run("r1")).await),
        ];
        for error in errors {
            assert!(!error.may_have_happened(), "{name}: a clear no is not unknown: {error:?}");
            assert!(error.to_string().len() > 30, "{name}: says what to do: {error}");
        }
        let seen = look(world, &store).await;
        assert_eq!(seen, staged, "{name}");
        assert_eq!(slot.consumer().await.as_deref(), Some(OLD), "{name}");
    }
    true
}
