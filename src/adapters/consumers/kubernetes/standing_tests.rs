//! Who counts as moved, and who does not.
#![expect(clippy::unwrap_used, reason = "a test may")]

use super::*;
use crate::secret::{FingerprintKey, SecretText};

/// Noon.
const NOON: i64 = 1_800_014_400_000;
const HOUR: i64 = 3_600_000;

fn print(text: &str) -> Fingerprint {
    FingerprintKey::from_bytes(&[7; 32]).unwrap().of(&SecretText::new(text))
}

fn pod(name: &str, started: i64) -> PodSeen {
    PodSeen { name: name.into(), ended: false, ending: false, ready: true, started: Some(started), restart: None, ways: vec![Way::Env] }
}

fn new_since(since: i64) -> LastHop {
    LastHop { is: print("new"), since: Some(since) }
}

fn at(cluster: i64) -> Clocks {
    Clocks { cluster, ours: cluster }
}

fn missing(pods: &[PodSeen], hop: &LastHop, clocks: Clocks) -> Vec<String> {
    judge(pods, hop, clocks).missing
}

#[test]
fn every_pod_must_have_started_after_the_value_was_there() {
    let hop = new_since(NOON);
    let late = pod("a", NOON + SPREAD + 1_000);
    let standing = judge(&[late.clone(), pod("b", NOON + 60_000)], &hop, at(NOON + 90_000));
    assert!(standing.complete() && standing.on == 2);
    assert_eq!(standing.loaded_at, Some(NOON + SPREAD + 2_000), "the earliest of them, rounded to the later side");
    assert_eq!(missing(&[late, pod("old", NOON - 1)], &hop, at(NOON + 90_000)), ["old started before the value was there"]);
    assert!(!missing(&[pod("same second", NOON)], &hop, at(NOON + 90_000)).is_empty());
    assert!(!missing(&[pod("too soon for its node", NOON + SPREAD)], &hop, at(NOON + 90_000)).is_empty());
}

#[test]
fn a_restart_before_the_copy_arrived_does_not_count_however_late_it_was_asked_for() {
    // The store was changed at noon; the copy came at one; everything was restarted at half past twelve.
    let hop = new_since(NOON + HOUR);
    let restarted = pod("a", NOON + HOUR / 2);
    assert_eq!(missing(std::slice::from_ref(&restarted), &hop, at(NOON + 2 * HOUR)), ["a started before the value was there"]);
    // Our own restart that saw the old value does not count either.
    let by_us = PodSeen { restart: Some((NOON + HOUR / 2, print("old"))), ..restarted };
    assert_eq!(missing(std::slice::from_ref(&by_us), &hop, at(NOON + 2 * HOUR)), ["a started before the value was there"]);
    // The one that saw the new value does, whatever the clocks of nodes say.
    let after = PodSeen { restart: Some((NOON + HOUR + 3_000, print("new"))), started: Some(0), ..by_us };
    let standing = judge(&[after], &hop, at(NOON + 2 * HOUR));
    assert_eq!((standing.on, standing.loaded_at), (1, Some(NOON + HOUR + 3_000)));
}

#[test]
fn who_is_ending_or_not_ready_is_not_there_yet_and_who_has_ended_is_nobody() {
    let hop = new_since(NOON);
    let fresh = pod("a", NOON + 60_000);
    let ending = PodSeen { ending: true, ..pod("b", NOON + 60_000) };
    let unready = PodSeen { ready: false, ..pod("c", NOON + 60_000) };
    let ended = PodSeen { ended: true, ..pod("d", NOON - HOUR) };
    let starting = PodSeen { started: None, ..pod("e", 0) };
    let standing = judge(&[fresh, ending, unready, ended, starting], &hop, at(NOON + HOUR));
    assert_eq!((standing.on, standing.missing.len()), (1, 3));
    let words = standing.words();
    assert!(words.starts_with("1 of 4 pods") && words.contains("b is still being ended") && words.contains("c is not ready"), "{words}");
}

#[test]
fn a_mounted_file_is_renewed_after_a_while_and_a_single_one_never() {
    let hop = new_since(NOON);
    let mounted = PodSeen { ways: vec![Way::Volume], ..pod("a", NOON - HOUR) };
    assert_eq!(missing(std::slice::from_ref(&mounted), &hop, at(NOON + FILES)), ["a may not have the new file yet"]);
    assert!(missing(std::slice::from_ref(&mounted), &hop, at(NOON + FILES + 1_000)).is_empty());
    for ways in [vec![Way::SubPath], vec![Way::Volume, Way::Env], vec![Way::Init], Vec::new()] {
        let pod = PodSeen { ways, ..mounted.clone() };
        assert!(!missing(std::slice::from_ref(&pod), &hop, at(NOON + HOUR)).is_empty(), "{pod:?}");
    }
}

#[test]
fn clocks_that_differ_neither_help_nor_harm() {
    let hop = new_since(NOON);
    // The cluster is five minutes ahead of us: the order is judged by its clock, the load is told by ours.
    let clocks = Clocks { cluster: NOON + 60_000, ours: NOON - 240_000 };
    let standing = judge(&[pod("a", NOON + 30_000)], &hop, clocks);
    assert_eq!(standing.loaded_at, Some(NOON - 270_000 + 1_000));
    assert!(!missing(&[pod("b", NOON - 1_000)], &hop, clocks).is_empty());
    let just_now = judge(&[pod("c", NOON + 60_000)], &hop, clocks);
    assert_eq!(just_now.loaded_at, Some(clocks.ours), "never later than now");
}

#[test]
fn without_a_date_only_our_own_restart_counts() {
    let hop = LastHop { is: print("new"), since: None };
    assert!(!missing(&[pod("a", NOON)], &hop, at(NOON)).is_empty());
    let ours = PodSeen { restart: Some((NOON, print("new"))), ..pod("b", NOON) };
    assert!(missing(&[ours], &hop, at(NOON)).is_empty());
}

#[test]
fn many_are_counted_and_few_are_named() {
    let pods: Vec<PodSeen> = (0..9).map(|i| pod(&format!("p{i}"), NOON - 1)).collect();
    let words = judge(&pods, &new_since(NOON), at(NOON + HOUR)).words();
    assert!(words.contains("p4 started") && !words.contains("p5") && words.ends_with("and 4 more"), "{words}");
}
