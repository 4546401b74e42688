//! Every write of every verb, with its answer lost, itself lost, and refused: after each the slot is as before or as after, a look tells
//! which, and the verb done once more ends right.

use super::{NEW, OLD, OTHER, TestSlot, World, conflict, is, look, no, ok, quiet, run, value};
use crate::proxy::Fault;
use keyroll::ports::{PortError, Retire, SecretStore};
use keyroll::rotation::{LateWrite, Snapshot};

/// No verb has more writes.
const MOST_WRITES: usize = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Stage,
    Promote,
    Demote,
    Fence,
    Drop,
    Retire,
    Destroy,
}

const VERBS: [Verb; 7] = [Verb::Stage, Verb::Promote, Verb::Demote, Verb::Fence, Verb::Drop, Verb::Retire, Verb::Destroy];
const FAULTS: [Fault; 6] =
    [Fault::LostAnswer, Fault::HangUp, Fault::Status(500), Fault::Status(503), Fault::Status(429), Fault::Status(403)];

impl Verb {
    /// The state from which it starts.
    async fn before<S: SecretStore>(self, store: &S) -> Snapshot {
        let staged = match self {
            Self::Stage => return ok(store.observe().await),
            Self::Promote | Self::Demote | Self::Fence | Self::Drop | Self::Retire | Self::Destroy => {
                ok(store.stage(&run("r1"), &value(NEW)).await).1
            }
        };
        match self {
            Self::Stage | Self::Promote | Self::Fence | Self::Drop => staged,
            Self::Demote => ok(store.promote(&run("r1"), &staged.guard).await),
            Self::Retire | Self::Destroy => {
                ok(store.promote(&run("r1"), &staged.guard).await);
                ok(store.drop_pending(&run("r1")).await)
            }
        }
    }

    async fn act<S: SecretStore>(self, store: &S, guard: &str) -> Result<Snapshot, PortError> {
        match self {
            Self::Stage => store.stage(&run("r1"), &value(NEW)).await.map(|(_, seen)| seen),
            Self::Promote => store.promote(&run("r1"), guard).await,
            Self::Demote => store.demote(&run("r1"), guard, &value(OLD)).await,
            Self::Fence => store.fence(guard).await,
            Self::Drop => store.drop_pending(&run("r1")).await,
            Self::Retire => store.retire(&run("r1"), Retire::Unlink).await,
            Self::Destroy => store.retire(&run("r1"), Retire::Destroy).await,
        }
    }

    /// What it is for.
    fn reached<S: TestSlot>(self, slot: &S, seen: &Snapshot) -> bool {
        match self {
            Self::Stage => {
                seen.pending_is == is(slot, NEW) && seen.current_is == is(slot, OLD) && seen.pending_run.as_deref() == Some("r1")
            }
            Self::Promote => seen.current_is == is(slot, NEW) && seen.previous_is == is(slot, OLD),
            Self::Demote => seen.current_is == is(slot, OLD),
            Self::Fence => seen.current_is == is(slot, OLD) && seen.pending_is == is(slot, NEW),
            Self::Drop => seen.pending.is_none() && seen.current_is == is(slot, OLD),
            Self::Retire | Self::Destroy => seen.previous.is_none() && seen.current_is == is(slot, NEW),
        }
    }

    /// What a consumer may read while it is being done.
    fn readable(self) -> &'static [&'static str] {
        match self {
            Self::Stage | Self::Fence | Self::Drop => &[OLD],
            Self::Promote | Self::Demote => &[OLD, NEW],
            Self::Retire | Self::Destroy => &[NEW],
        }
    }
}

/// See the module.
pub(super) async fn every_fault_at_every_write<W: World>(world: &W) -> bool {
    if world.slot().await.open_tapped().is_none() {
        return false;
    }
    let mut met = 0;
    for verb in VERBS {
        for fault in FAULTS {
            for nth in 1..=MOST_WRITES {
                if !one(world, verb, fault, nth).await {
                    let fences = verb != Verb::Fence || world.slot().await.open().caps().late_write == LateWrite::Fenceable;
                    assert!(nth > 1 || !fences, "{verb:?} writes nothing, so nothing was tested");
                    break;
                }
                met += 1;
                assert!(nth < MOST_WRITES, "{verb:?} has more than {MOST_WRITES} writes");
            }
        }
    }
    println!("{met} faults met, each at another write");
    true
}

/// One fault; false when the verb has no such write.
async fn one<W: World>(world: &W, verb: Verb, fault: Fault, nth: usize) -> bool {
    let slot = world.slot().await;
    let clean = slot.open();
    let before = verb.before(&clean).await;
    let Some((tapped, tap)) = slot.open_tapped() else { return false };
    tap.arm(fault, nth, slot.changing());
    let result = verb.act(&tapped, &before.guard).await;
    if !tap.fired() {
        tap.disarm();
        assert!(verb.reached(&slot, &ok(result)), "{verb:?} without a fault");
        return false;
    }
    let at = format!("{verb:?}, {fault:?} at write {nth}: {:?}", tap.seen());
    let seen = look(world, &clean).await;
    match &result {
        Ok(told) => {
            assert_eq!(told.current_is, seen.current_is, "{at}: what was told is not so");
            assert!(verb.reached(&slot, &seen), "{at}: a success that is none: {seen:?}");
        }
        Err(e) => {
            quiet(world, e);
            let clear_no = !e.may_have_happened();
            if clear_no && nth == 1 {
                assert_eq!(seen.current_is, before.current_is, "{at}: said not to have happened, and did: {e:?}");
                assert_eq!(seen.pending_is, before.pending_is, "{at}: said not to have happened, and did: {e:?}");
            }
            match fault {
                Fault::LostAnswer => assert!(!clear_no, "{at}: a lost answer is no clear no: {e:?}"),
                Fault::HangUp | Fault::Late | Fault::Status(_) | Fault::FrozenBefore | Fault::FrozenAfter => {}
            }
            assert!(!matches!(e, PortError::Conflict { .. }), "{at}: nobody else was there: {e:?}");
        }
    }
    let read = slot.consumer().await;
    assert!(verb.readable().contains(&read.as_deref().unwrap_or_default()), "{at}: a consumer reads what it must not");
    assert_eq!(slot.other().await, slot.other().await.map(|_| OTHER[0].to_owned()), "{at}");
    // Another process looks, and does it again if it is not done.
    let another = slot.open();
    let fresh = look(world, &another).await;
    let done = verb.reached(&slot, &fresh);
    let end = if done { fresh } else { ok(verb.act(&another, &fresh.guard).await) };
    assert!(verb.reached(&slot, &end), "{at}: done again and not reached: {end:?}");
    let end = ok(verb.act(&another, &end.guard).await);
    assert!(verb.reached(&slot, &end), "{at}: a third time: {end:?}");
    true
}

/// A read that gets no answer, or a no, is an error and never "there is nothing".
pub(super) async fn reads_that_fail_say_so<W: World>(world: &W) -> bool {
    let slot = world.slot().await;
    let clean = slot.open();
    ok(clean.stage(&run("r1"), &value(NEW)).await);
    for fault in FAULTS {
        for nth in 1..=MOST_WRITES {
            let Some((tapped, tap)) = slot.open_tapped() else { return false };
            tap.arm(fault, nth, |_| true);
            let seen = tapped.observe().await;
            if !tap.fired() {
                tap.disarm();
                assert!(nth > 1, "observe asks nothing");
                break;
            }
            match seen {
                // What is only nice to know may be left out.
                Ok(seen) => {
                    assert_eq!(
                        (seen.current_is, seen.pending_is),
                        (is(&slot, OLD), is(&slot, NEW)),
                        "{fault:?} at {nth}: {:?}",
                        tap.seen()
                    );
                }
                Err(e) => {
                    quiet(world, &e);
                    assert!(matches!(e, PortError::Unreachable { .. } | PortError::Refused { .. }), "{fault:?} at {nth}: {e:?}");
                }
            }
        }
    }
    true
}

/// A promote that is still on its way when a fence has moved the guard never lands (F5).
pub(super) async fn a_late_promote_is_fenced<W: World>(world: &W) -> bool {
    let slot = world.slot().await;
    let clean = slot.open();
    if clean.caps().late_write != LateWrite::Fenceable {
        return false;
    }
    // A verb may write a helper before it writes the slot: the write that matters is the last one.
    let mut last = 0;
    for nth in 1..=MOST_WRITES {
        let probe = world.slot().await;
        let staged = Verb::Promote.before(&probe.open()).await;
        let Some((tapped, tap)) = probe.open_tapped() else { return false };
        tap.arm(Fault::HangUp, nth, probe.changing());
        let _only_counted = Verb::Promote.act(&tapped, &staged.guard).await;
        if !tap.fired() {
            tap.disarm();
            break;
        }
        last = nth;
    }
    let staged = Verb::Promote.before(&clean).await;
    let Some((tapped, tap)) = slot.open_tapped() else { return false };
    tap.arm(Fault::Late, last, slot.changing());
    let e = no(world, tapped.promote(&run("r1"), &staged.guard).await);
    assert!(e.may_have_happened(), "a promote on its way may still happen: {e:?}");
    let fenced = ok(slot.open().fence(&staged.guard).await);
    assert_ne!(fenced.guard, staged.guard);
    let status = tap.release();
    assert!(!(200..300).contains(&status), "the store took a promote with an old guard");
    assert_eq!(slot.consumer().await.as_deref(), Some(OLD), "a late promote landed after the fence");
    conflict(world, clean.promote(&run("r1"), &staged.guard).await);
    true
}
