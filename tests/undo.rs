//! `rollback` from each phase, through the binary: consumers are on the old key, it is accepted, the new key is gone, nobody was refused.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

mod common;

use common::{Place, Said};
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Brings a run somewhere, takes it back, and looks at what is left.
fn back_from(bring: impl FnOnce(&Place), flipped: bool) {
    let place = Place::new();
    let old = place.slot();
    bring(&place);
    let new = new_value(&place, &old);
    assert_eq!(place.slot() != old, flipped, "the slot holds what this phase leaves in it");
    // Before the flip nobody has the new key, and a call with it would rightly be a stranger's.
    if let Some(new) = new.as_ref().filter(|_| flipped) {
        // A replica hears of a new key a moment later; asked earlier, the refusal would stand in the log.
        std::thread::sleep(Duration::from_millis(1500));
        assert_eq!(place.tries(new), [200, 200], "the new key was alive: its end can be shown");
    }
    assert!(new.is_some(), "the value of the new key is at hand for the negative test");
    place.keyroll(&["rollback", "--reason", "test", "--timeout", "40s"]).ends(0);
    assert_eq!(place.slot(), old, "consumers read the old value");
    assert_eq!(place.tries(&old), [200, 200], "the old key is accepted everywhere");
    assert!(place.marked().is_empty(), "no key and no pending value is left: {:?}", place.marked());
    assert!(place.records().iter().any(|r| r["finished"]["end"]["rolled_back"]["asked"] == true), "{:?}", place.records().last());
    // Every consumer calls again, on its own clock, and is served.
    let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    std::thread::sleep(Duration::from_millis(3500));
    assert!(now > 0 && place.consumers().iter().all(|c| c["last_status"] == 200), "{:?}", place.consumers());
    assert_eq!(place.refused(), Vec::<String>::new());
    // Last, because the log names it: the new key is refused.
    assert_eq!(place.tries(&new.unwrap()), [401, 401], "the new key is gone");
}

/// The value that waits in the slot's neighbour, or is current.
fn new_value(place: &Place, old: &str) -> Option<String> {
    let store = std::path::PathBuf::from(place.urls["store"].as_str().unwrap());
    let mut texts: Vec<String> = Vec::new();
    for file in fs::read_dir(store.parent().unwrap()).unwrap().flatten() {
        texts.extend(fs::read_to_string(file.path()));
    }
    let values = texts.iter().flat_map(|t| t.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')));
    let prefix: String = old.chars().take(3).collect();
    values.filter(|v| v.len() == old.len() && v.starts_with(&prefix) && *v != old).map(str::to_owned).next()
}

fn until(phase: &'static str) -> impl FnOnce(&Place) {
    move |place| {
        Said::of(place.run(&["--until", phase, "--timeout", "40s"]).output().unwrap()).ends(11);
    }
}

/// Kills the run when this effect has ended.
fn killed_after(effect: &'static str) -> impl FnOnce(&Place) {
    move |place| {
        let mut run = place.run(&[]).spawn().unwrap();
        place.wait_for(|r| r["ended"]["kind"] == effect);
        run.kill().unwrap();
        run.wait().unwrap();
    }
}

#[test]
fn from_prepare() {
    back_from(until("prepare"), false);
}

#[test]
fn from_the_middle_of_prepare() {
    back_from(killed_after("stage"), false);
}

#[test]
fn from_canary() {
    back_from(until("canary"), false);
}

#[test]
fn from_the_middle_of_flip() {
    back_from(killed_after("promote"), true);
}

#[test]
fn from_flip() {
    back_from(until("flip"), true);
}

#[test]
fn from_hold() {
    back_from(until("hold"), true);
}

#[test]
fn from_disabled_but_not_deleted() {
    back_from(killed_after("disable_old"), true);
}
