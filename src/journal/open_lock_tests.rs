//! The engine's view of exclusivity.
#![expect(clippy::unwrap_used, reason = "a test may")]

use super::*;
use crate::journal::testing::{begin, finished, noted, now, run, state};
use crate::ports::Journal;
use crate::rotation::{Record, Time};

fn turn(why: &str) -> Message {
    Message::Turn { by: "ann".into(), why: why.into() }
}

fn asked(why: &str) -> Option<(String, String)> {
    Some(("ann".into(), why.into()))
}

#[test]
fn a_request_to_turn_is_repeated_until_the_journal_says_turned() {
    let (_dir, state) = state();
    let (lease, mut journal) = begin(&state, "r1", &["k"]).unwrap();
    let lock = OpenLock::new(state.clone(), lease, &journal, Arc::default()).unwrap();
    assert_eq!(lock.asked_to_turn(), None);
    lock.inbox().put(&turn("latency"), Time(1)).unwrap();
    assert_eq!(lock.asked_to_turn(), asked("latency"));
    // Another record comes first: the request is not lost.
    journal.append(&noted("something else")).unwrap();
    assert_eq!(lock.asked_to_turn(), asked("latency"));
    journal.append(&Record::Turned { why: "latency".into(), by: Some("ann".into()) }).unwrap();
    assert_eq!(lock.asked_to_turn(), None);
    assert!(lock.inbox().peek().unwrap().messages.is_empty());
}

#[test]
fn stop_comes_from_signals_and_from_messages_but_not_from_messages_to_an_earlier_process() {
    let (_dir, state) = state();
    let (lease, journal) = begin(&state, "r1", &["k"]).unwrap();
    let inbox = Inbox::of(&state, &run("r1")).unwrap();
    inbox.put(&Message::Stop, Time(1)).unwrap();
    inbox.put(&turn("stays"), Time(1)).unwrap();
    let flag = Arc::new(AtomicBool::new(false));
    let lock = OpenLock::new(state.clone(), lease, &journal, Arc::clone(&flag)).unwrap();
    assert!(!lock.asked_to_stop());
    inbox.put(&Message::Stop, Time(2)).unwrap();
    assert!(lock.asked_to_stop());
    assert!(lock.asked_to_stop(), "it is not forgotten");
    assert!(flag.load(Ordering::Relaxed));
    assert_eq!(lock.asked_to_turn(), asked("stays"));

    let (lease, journal) = begin(&state, "r2", &["l"]).unwrap();
    let flag = Arc::new(AtomicBool::new(false));
    let lock = OpenLock::new(state.clone(), lease, &journal, Arc::clone(&flag)).unwrap();
    flag.store(true, Ordering::Relaxed);
    assert!(lock.asked_to_stop());
}

#[test]
fn a_freeze_is_on_until_it_is_cleared_and_an_unreadable_one_is_on() {
    let (_dir, state) = state();
    let (lease, journal) = begin(&state, "r1", &["k"]).unwrap();
    let lock = OpenLock::new(state.clone(), lease, &journal, Arc::default()).unwrap();
    assert_eq!(lock.frozen(), None);
    let freeze = Freeze { by: "ann".into(), why: "incident 7".into(), since: now() };
    freeze.set(&state).unwrap();
    assert_eq!(lock.frozen().as_deref(), Some("incident 7 (by ann, since 2026-01-02T03:04:05.678Z)"));
    assert_eq!(Freeze::clear(&state).unwrap(), Some(freeze));
    assert_eq!(lock.frozen(), None);
    std::fs::write(state.root().join("freeze.json"), b"?").unwrap();
    assert!(lock.frozen().is_some());
    assert_eq!(Freeze::clear(&state).unwrap(), None);
    assert_eq!(lock.frozen(), None);
}

#[test]
fn the_end_gives_the_claims_up() {
    let (_dir, state) = state();
    let (lease, mut journal) = begin(&state, "r1", &["k"]).unwrap();
    let lock = OpenLock::new(state.clone(), lease, &journal, Arc::default()).unwrap();
    journal.append(&finished()).unwrap();
    lock.release();
    assert!(state.claims().all().unwrap().is_empty());
    assert_eq!(lock.lease().run(), &run("r1"));
}
