//! One executor at a time.
#![expect(clippy::unwrap_used, reason = "a test may")]

use super::*;
use crate::journal::testing::{begin, run, state, taker};

#[test]
fn a_held_lease_names_its_holder_and_its_age() {
    let (_dir, state) = state();
    let (lease, _journal) = begin(&state, "r1", &["k"]).unwrap();
    let later = Taker { at: Time(60_000 + 185_000), ..taker("there") };
    let Err(StateError::Held(held)) = Lease::take(&state, &run("r1"), &later) else { unreachable!("it is held") };
    assert_eq!(held.holder, Some(taker("here").holder));
    assert_eq!(held.age, Some(Span(185_000)));
    let text = held.to_string();
    assert!(text.contains("process 7 of ann on here") && text.contains("3m 5s"), "{text}");
    assert_eq!(Lease::holder(&state, &run("r1")), Some((taker("here").holder, Time(60_000))));
    drop(lease);
    assert_eq!(Lease::holder(&state, &run("r1")), None);
    assert!(Lease::take(&state, &run("r1"), &later).is_ok());
}

#[test]
fn taken_over_means_another_machine_or_boot_that_did_not_give_it_back() {
    let (_dir, state) = state();
    drop(begin(&state, "r1", &["k"]).unwrap());
    let left = |host: &str, boot: &str| {
        let body = Body { holder: taker(host).holder, since: Time(0), boot: boot.into() };
        std::fs::write(state.lease_path(&run("r1")), serde_json::to_vec(&body).unwrap()).unwrap();
        Lease::take(&state, &run("r1"), &taker("here")).unwrap().taken_over()
    };
    assert!(left("there", "boot-1"));
    assert!(left("here", "boot-0"));
    assert!(!left("here", "boot-1"), "the same machine: the kernel knows that the process is gone");
    // Given back by the drop above.
    assert!(!Lease::take(&state, &run("r1"), &taker("elsewhere")).unwrap().taken_over());
}

#[test]
fn a_garbled_lease_text_stops_nobody() {
    let (_dir, state) = state();
    drop(begin(&state, "r1", &["k"]).unwrap());
    std::fs::write(state.lease_path(&run("r1")), b"\x00{{").unwrap();
    assert!(!Lease::take(&state, &run("r1"), &taker("here")).unwrap().taken_over());
}

#[test]
fn no_lease_without_a_run() {
    let (_dir, state) = state();
    assert!(matches!(Lease::take(&state, &run("nope"), &taker("here")), Err(StateError::NoSuchRun { .. })));
}
