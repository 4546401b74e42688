//! Two machines over one store in memory, which loses answers when it is told to.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may")]

use super::Shared;
use super::lines::{self, VOID};
use crate::journal::testing::{finished, noted, now, run, taker};
use crate::journal::{Freeze, Inbox, JournalError, JournalFile, Lease, Message, StateDir, StateError};
use crate::ports::{AppendError, Journal};
use crate::rotation::Time;
use crate::support::objects::{Object, ObjectProblem, Objects, When};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Clone)]
struct Stored {
    bytes: Vec<u8>,
    etag: String,
    session: String,
}

/// What all machines see.
#[derive(Default)]
struct Bucket {
    objects: BTreeMap<String, Stored>,
    writes: u64,
    /// The answers to so many writes are lost after they were done.
    lose: u32,
    ignores_conditions: bool,
    age: u64,
}

struct Memory {
    bucket: Arc<Mutex<Bucket>>,
    session: String,
}

impl Objects for Memory {
    fn put(&self, key: &str, body: Vec<u8>, when: &When) -> Result<String, ObjectProblem> {
        let mut bucket = self.bucket.lock().unwrap();
        let there = bucket.objects.get(key).map(|s| s.etag.clone());
        let holds = match when {
            When::Absent => there.is_none(),
            When::Is(etag) => there.as_ref() == Some(etag),
            When::Always => true,
        };
        if !holds && !bucket.ignores_conditions {
            return Err(ObjectProblem::Condition);
        }
        bucket.writes += 1;
        let etag = format!("e{}", bucket.writes);
        bucket.objects.insert(key.into(), Stored { bytes: body, etag: etag.clone(), session: self.session.clone() });
        if bucket.lose > 0 {
            bucket.lose -= 1;
            return Err(ObjectProblem::Unclear { why: "lost".into() });
        }
        Ok(etag)
    }

    fn get(&self, key: &str) -> Result<Option<Object>, ObjectProblem> {
        let bucket = self.bucket.lock().unwrap();
        let object =
            |s: &Stored| Object { bytes: s.bytes.clone(), etag: s.etag.clone(), session: s.session.clone(), age: Some(bucket.age) };
        Ok(bucket.objects.get(key).map(object))
    }

    fn remove(&self, key: &str) -> Result<(), ObjectProblem> {
        self.bucket.lock().unwrap().objects.remove(key);
        Ok(())
    }

    fn list(&self, folder: &str, after: Option<&str>, folders: bool) -> Result<Vec<String>, ObjectProblem> {
        let bucket = self.bucket.lock().unwrap();
        let names = bucket.objects.keys().filter_map(|k| k.strip_prefix(folder));
        if folders {
            let names: BTreeSet<String> = names.filter_map(|n| n.split_once('/')).map(|(n, _)| n.to_owned()).collect();
            return Ok(names.into_iter().collect());
        }
        Ok(names.filter(|n| after.is_none_or(|a| *n > a)).map(str::to_owned).collect())
    }
}

/// A bucket, and two machines with mirrors of their own.
struct World {
    bucket: Arc<Mutex<Bucket>>,
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self { bucket: Arc::default(), dir: tempfile::tempdir().unwrap() }
    }

    /// A process on a machine.
    fn on(&self, machine: &str, session: &str, term: Duration) -> StateDir {
        let objects = Box::new(Memory { bucket: self.bucket.clone(), session: session.into() });
        let shared = Arc::new(Shared::over(objects, "s3://bucket/x", session.into(), term));
        StateDir::mirrored(shared, self.dir.path().join(machine)).unwrap()
    }

    fn keys(&self) -> Vec<String> {
        self.bucket.lock().unwrap().objects.keys().cloned().collect()
    }
}

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(120);

fn begin(state: &StateDir, id: &str) -> (Lease, JournalFile) {
    let (lease, mut journal) = state.create_run(&run(id), &["gateway:g/key:1".into(), "slot:a".into()], "why", &taker("one"), now).unwrap();
    journal.append(&noted("begins")).unwrap();
    (lease, journal)
}

/// Asks again while that is worth it.
fn resume(state: &StateDir, id: &str) -> Result<crate::journal::Opened, StateError> {
    for _ in 0..100 {
        match state.resume_run(&run(id), &taker("two"), now) {
            Err(StateError::Held(held)) if held.watched => std::thread::sleep(Duration::from_millis(20)),
            other => return other,
        }
    }
    panic!("it never came to an end");
}

#[test]
fn who_slept_through_its_lease_can_append_nothing_any_more() {
    let world = World::new();
    let one = world.on("m1", "s1", SHORT);
    let (lease, mut journal) = begin(&one, "r1");
    journal.append(&noted("a")).unwrap();
    // It sleeps: its lease is not renewed and its process goes on later.
    lease.beat().unwrap().stop_for_test();
    let two = world.on("m2", "s2", SHORT);
    let mut opened = resume(&two, "r1").unwrap();
    assert!(opened.lease.taken_over());
    assert_eq!(opened.records.len(), 2);
    assert_eq!(opened.journal.append(&noted("b")), Ok(3));
    assert_eq!(journal.append(&noted("late")), Err(AppendError::Fenced));
    assert_eq!(journal.append(&noted("again")), Err(AppendError::Fenced), "for good");
    let (records, loaded) = two.load(&run("r1")).unwrap();
    assert_eq!((records.len(), loaded.seq), (3, 3));
    // Dropping the lost lease does not give back what is another's.
    drop(lease);
    assert!(matches!(world.on("m3", "s3", LONG).resume_run(&run("r1"), &taker("three"), now), Err(StateError::Held(_))));
}

#[test]
fn a_lease_that_was_given_back_is_taken_at_once_and_one_that_beats_is_not() {
    let world = World::new();
    let one = world.on("m1", "s1", SHORT);
    let (lease, journal) = begin(&one, "r1");
    let two = world.on("m2", "s2", LONG);
    let held = (0..200).find_map(|_| match two.resume_run(&run("r1"), &taker("two"), now) {
        Err(StateError::Held(held)) if held.watched => {
            std::thread::sleep(Duration::from_millis(5));
            None
        }
        Err(StateError::Held(held)) => Some(held),
        other => panic!("{other:?}"),
    });
    assert!(held.unwrap().holder.is_some(), "it beats, so it lives");
    drop((lease, journal));
    let opened = world.on("m2", "s3", LONG).resume_run(&run("r1"), &taker("two"), now).unwrap();
    assert!(!opened.lease.taken_over());
}

#[test]
fn a_lost_answer_to_an_append_is_one_line() {
    let world = World::new();
    let one = world.on("m1", "s1", LONG);
    let (_lease, mut journal) = begin(&one, "r1");
    world.bucket.lock().unwrap().lose = 1;
    assert_eq!(journal.append(&noted("a")), Ok(2));
    assert_eq!(journal.append(&noted("b")), Ok(3));
    let lines = world.keys().iter().filter(|k| k.starts_with(&lines::folder(&run("r1")))).count();
    assert_eq!((lines, one.load(&run("r1")).unwrap().1.seq), (3, 3));
}

#[test]
fn the_same_line_of_another_session_is_not_ours() {
    let world = World::new();
    let one = world.on("m1", "s1", LONG);
    let (_lease, mut journal) = begin(&one, "r1");
    // Another machine writes the very same bytes first.
    let mut chain = crate::journal::Chain::parse(&std::fs::read(one.journal_path(&run("r1"))).unwrap()).unwrap().chain;
    let line = chain.append(&noted("same"), now()).unwrap();
    let other = Memory { bucket: world.bucket.clone(), session: "s2".into() };
    other.put(&lines::key(&run("r1"), 2), line, &When::Absent).unwrap();
    assert_eq!(journal.append(&noted("same")), Err(AppendError::Fenced));
}

#[test]
fn two_runs_never_hold_one_resource_and_one_that_is_over_is_in_nobodys_way() {
    let world = World::new();
    let (one, two) = (world.on("m1", "s1", LONG), world.on("m2", "s2", LONG));
    let (_lease, mut journal) = begin(&one, "r1");
    let wanted = ["slot:a".to_owned(), "slot:z".to_owned()];
    let Err(StateError::Claimed(claimed)) = two.create_run(&run("r2"), &wanted, "why", &taker("two"), now) else { panic!("it got both") };
    assert_eq!(claimed.claim.run, run("r1"));
    assert!(two.claims().of(&run("r2")).unwrap().is_empty(), "all or none");
    journal.append(&finished()).unwrap();
    // Its claims are still written there, and count for nothing.
    let (_lease, mut journal) = two.create_run(&run("r2"), &wanted, "why", &taker("two"), now).unwrap();
    journal.append(&noted("begins")).unwrap();
    assert_eq!(one.claims().holder("slot:a").unwrap().unwrap().run, run("r2"));
    // The release of the run that is over comes late, and takes nothing away.
    assert_eq!(one.claims().release(&run("r1")).unwrap(), ["gateway:g/key:1"]);
    assert_eq!(two.claims().of(&run("r2")).unwrap().len(), 2);
    assert_eq!(two.claims().release(&run("r2")).unwrap(), wanted);
    assert_eq!(two.claims().all().unwrap(), []);
    assert_eq!(two.claims().holder("slot:a").unwrap(), None);
}

#[test]
fn a_run_that_never_began_is_stopped_from_beginning_before_its_claims_are_taken() {
    let world = World::new();
    let (one, two) = (world.on("m1", "s1", LONG), world.on("m2", "s2", LONG));
    let (_lease, mut journal) = one.create_run(&run("r1"), &["slot:a".into()], "why", &taker("one"), now).unwrap();
    let again = |state: &StateDir| state.create_run(&run("r2"), &["slot:a".into()], "why", &taker("two"), now);
    assert!(matches!(again(&two), Err(StateError::Claimed(_))), "it may be about to begin");
    world.bucket.lock().unwrap().age = 300_000;
    let (_held, mut second) = again(&two).unwrap();
    second.append(&noted("begins")).unwrap();
    assert_eq!(world.bucket.lock().unwrap().objects[&lines::key(&run("r1"), 1)].bytes, VOID);
    assert_eq!(journal.append(&noted("begins late")), Err(AppendError::Fenced));
    let listed: Vec<_> = two.list().unwrap().into_iter().map(|r| r.id).collect();
    assert_eq!(listed, [run("r2")]);
    assert!(matches!(two.resume_run(&run("r1"), &taker("two"), now), Err(StateError::NoSuchRun { .. })));
}

#[test]
fn a_store_that_ignores_conditions_is_refused_before_anything_is_claimed() {
    let world = World::new();
    world.bucket.lock().unwrap().ignores_conditions = true;
    let one = world.on("m1", "s1", LONG);
    let refused = one.create_run(&run("r1"), &["slot:a".into()], "why", &taker("one"), now);
    let Err(StateError::Remote { why, .. }) = refused else { panic!("{refused:?}") };
    assert!(why.contains("ignores the conditions"), "{why}");
    assert_eq!(world.keys(), ["probe.json"]);
}

#[test]
fn a_mirror_may_be_lost_and_a_bucket_may_not_go_back() {
    let world = World::new();
    let one = world.on("m1", "s1", LONG);
    let (lease, mut journal) = begin(&one, "r1");
    journal.append(&noted("a")).unwrap();
    drop((lease, journal));
    std::fs::remove_dir_all(one.run_dir(&run("r1"))).unwrap();
    assert_eq!(one.load(&run("r1")).unwrap().0.len(), 2);
    world.bucket.lock().unwrap().objects.remove(&lines::key(&run("r1"), 2));
    let restored = StateError::Journal(JournalError::Restored { journal: 1, head: 2 });
    assert_eq!(one.load(&run("r1")).unwrap_err(), restored);
    // A machine that never saw line 2 cannot know.
    assert_eq!(world.on("m2", "s2", LONG).load(&run("r1")).unwrap().0.len(), 1);
    let changed = b"{}\n".to_vec();
    world.bucket.lock().unwrap().objects.get_mut(&lines::key(&run("r1"), 1)).unwrap().bytes = changed;
    assert!(matches!(world.on("m3", "s3", LONG).load(&run("r1")), Err(StateError::Journal(JournalError::Damaged { .. }))));
}

#[test]
fn messages_and_a_freeze_cross_from_machine_to_machine() {
    let world = World::new();
    let (one, two) = (world.on("m1", "s1", SHORT), world.on("m2", "s2", LONG));
    let (lease, _journal) = begin(&one, "r1");
    let turn = Message::Turn { by: "ann".into(), why: "because".into() };
    Inbox::of(&two, &run("r1")).unwrap().put(&turn, Time(5)).unwrap();
    let inbox = Inbox::of(&one, &run("r1")).unwrap().fetched(&lease);
    let seen = (0..100).find_map(|_| {
        std::thread::sleep(Duration::from_millis(20));
        inbox.peek().unwrap().messages.into_iter().next()
    });
    let seen = seen.unwrap();
    assert_eq!(seen.message, turn);
    inbox.consume(&seen.name).unwrap();
    assert_eq!(inbox.peek().unwrap().messages, []);
    assert_eq!(Inbox::of(&two, &run("r1")).unwrap().peek().unwrap().messages, []);
    let freeze = Freeze { by: "ann".into(), why: "incident".into(), since: Time(1) };
    freeze.set(&two).unwrap();
    assert_eq!(Freeze::read(&one).unwrap(), Some(freeze.clone()));
    assert_eq!(Freeze::clear(&one).unwrap(), Some(freeze));
    assert_eq!(Freeze::read(&two).unwrap(), None);
}

#[test]
fn what_the_address_says_of_the_lease() {
    let said = |text: &str| super::term(text);
    assert_eq!(said("s3://b/x"), Some(Duration::from_secs(20)));
    assert_eq!(said("s3://b/x?lease=30s"), Some(Duration::from_secs(30)));
    for bad in ["s3://b/x?lease=1s", "s3://b/x?lease=1h", "s3://b/x?lease=x", "s3://b/x?other=1"] {
        assert_eq!(said(bad), None, "{bad}");
    }
}
