//! What every secret store must do, whatever is behind it: one suite, generic over [`SecretStore`].
//!
//! A store takes part by a [`World`] that makes slots, and a [`TestSlot`] that looks at one slot as everybody but keyroll does: as a
//! consumer through the store's own API, and as a stranger who writes and deletes. [`suite`] runs every case and names those it ran; a store
//! without a network between (no [`Tap`]) leaves out those about lost answers, and its test says so.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses a part of this")]

mod boundaries;
mod cases;

use crate::proxy::{Counts, Tap};
use keyroll::ports::{PortError, SecretStore};
use keyroll::rotation::{RunId, Snapshot};
use keyroll::secret::{Fingerprint, FingerprintKey, SecretText};
use std::rc::Rc;

/// The value before.
pub(crate) const OLD: &str = "sk-old-9d1c40f7a2b85e63";
/// The value of the run.
pub(crate) const NEW: &str = "sk-new-58e2b7c90f14da36";
/// The value of a person who interferes.
pub(crate) const THIRD: &str = "sk-third-6b3f8e02c7d159a4";
/// A field that is nobody's business, and what a person makes of it.
pub(crate) const OTHER: [&str; 2] = ["monday-db-password-71", "tuesday-db-password-28"];

/// A kind of store, running.
pub(crate) trait World {
    /// Its slots.
    type Slot: TestSlot;
    /// A slot that nobody else has, with [`OLD`] in our field and `OTHER[0]` in another one, where there are others.
    async fn slot(&self) -> Self::Slot;
    /// What else must never be said: tokens, passwords of the store.
    fn secrets(&self) -> Vec<String>;
    /// Promote and demote keep other fields that changed since stage; where it cannot, it refuses.
    fn merges(&self) -> bool {
        true
    }
}

/// One slot, as everybody but keyroll sees it.
pub(crate) trait TestSlot {
    /// The store under test.
    type Store: SecretStore;
    /// A handle of its own, as another process would have it.
    fn open(&self) -> Self::Store;
    /// What its fingerprints are made with.
    fn key(&self) -> Rc<FingerprintKey>;
    /// A handle whose calls go through the tap.
    fn open_tapped(&self) -> Option<(Self::Store, &Tap)> {
        None
    }
    /// Which requests change something, by their head.
    fn changing(&self) -> Counts {
        |head| !head.starts_with("GET ")
    }
    /// Handles that may not do what is asked: expired, without permission, and what they are called.
    async fn powerless(&self) -> Vec<(&'static str, Self::Store)> {
        Vec::new()
    }
    /// Our field, as a consumer reads it.
    async fn consumer(&self) -> Option<String>;
    /// The other field, as a consumer reads it; none where the document has only ours.
    async fn other(&self) -> Option<String>;
    /// A person writes our field.
    async fn stranger_writes_ours(&self, value: &str);
    /// A person writes the other field; false where there is none.
    async fn stranger_writes_other(&self, value: &str) -> bool;
    /// A person deletes the secret.
    async fn stranger_deletes(&self);
}

/// What a suite did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ran {
    /// Cases that ran.
    pub(crate) cases: Vec<&'static str>,
    /// Cases that this store cannot have.
    pub(crate) left_out: Vec<&'static str>,
}

/// Runs every case.
pub(crate) async fn suite<W: World>(world: &W) -> Ran {
    let mut ran = Ran::default();
    macro_rules! run {
        ($($module:ident :: $case:ident),* $(,)?) => {
            $(
                if $module::$case(world).await { ran.cases.push(stringify!($case)) } else { ran.left_out.push(stringify!($case)) }
            )*
        };
    }
    run!(
        cases::the_whole_way,
        cases::the_whole_way_back,
        cases::a_stage_again_is_the_same_stage,
        cases::the_pending_of_another_run_is_named_and_left_alone,
        cases::a_stale_guard_changes_nothing,
        cases::other_fields_are_kept_as_they_are_now,
        cases::demote_changes_our_field_only,
        cases::drop_and_retire_can_be_done_again,
        cases::destroy_leaves_no_way_to_the_old_value,
        cases::a_deleted_secret_is_not_made_again,
        cases::a_fence_moves_the_guard_and_nothing_else,
        cases::racing_promotes_have_one_winner,
        cases::powerless_handles_change_nothing,
        boundaries::every_fault_at_every_write,
        boundaries::reads_that_fail_say_so,
        boundaries::a_late_promote_is_fenced,
    );
    ran
}

/// A run of this name.
pub(crate) fn run(name: &str) -> RunId {
    RunId::new(name)
}

/// A value as the store takes it.
pub(crate) fn value(text: &str) -> SecretText {
    SecretText::new(text)
}

/// What a value looks like in a snapshot of this slot.
pub(crate) fn is<S: TestSlot>(slot: &S, text: &str) -> Option<Fingerprint> {
    Some(slot.key().of(&value(text)))
}

/// What a place holds.
pub(crate) async fn read<S: SecretStore>(store: &S, place: keyroll::ports::Place) -> Option<String> {
    ok(store.read(place).await).map(|v| v.expose().to_owned())
}

/// The value of a call that must go through.
#[track_caller]
pub(crate) fn ok<T>(result: Result<T, PortError>) -> T {
    match result {
        Ok(value) => value,
        Err(e) => panic!("failed to {e}"),
    }
}

/// The error of a call that must not go through; nothing secret is in it.
#[track_caller]
pub(crate) fn no<W: World, T>(world: &W, result: Result<T, PortError>) -> PortError {
    match result {
        Ok(_) => panic!("it went through"),
        Err(e) => {
            quiet(world, &e);
            e
        }
    }
}

/// The error of a call that must be a conflict.
#[track_caller]
pub(crate) fn conflict<W: World, T>(world: &W, result: Result<T, PortError>) -> String {
    let e = no(world, result);
    assert!(matches!(e, PortError::Conflict { .. }), "no conflict but: {e:?}");
    e.to_string()
}

/// Neither form of an error holds a value, a password or a token, and it reads on one line.
#[track_caller]
pub(crate) fn quiet<W: World>(world: &W, error: &PortError) {
    let said = format!("{error} {error:?}");
    silent(world, &said);
    assert!(!error.to_string().contains('\n'), "more than one line: {said}");
}

/// A text holds none of the secrets.
#[track_caller]
pub(crate) fn silent<W: World>(world: &W, said: &str) {
    let known = [OLD, NEW, THIRD, OTHER[0], OTHER[1]];
    for secret in known.iter().map(|s| (*s).to_owned()).chain(world.secrets()) {
        assert!(!said.contains(&secret), "a secret is told: {said}");
    }
}

/// A snapshot, with nothing secret in it.
pub(crate) async fn look<W: World, S: SecretStore>(world: &W, store: &S) -> Snapshot {
    let seen = ok(store.observe().await);
    silent(world, &format!("{seen:?}"));
    seen
}
