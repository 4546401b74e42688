//! The sandbox's admin API, described in YAML like any stranger's: a whole rotation under load from its own consumers.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

mod common;

use common::Place;
use std::fs;

#[test]
fn the_sandbox_is_rotated_by_its_description() {
    let place = Place::new();
    let data: Vec<String> = place.urls["data"].as_array().unwrap().iter().map(|u| format!("{}/v1", u.as_str().unwrap())).collect();
    let text = include_str!("doubles/http_gateways/sandbox.yaml")
        .replace("$ADMIN", place.urls["admin"].as_str().unwrap())
        .replace("$DATA", &data.join(", "))
        .replace("$CONTROL", place.urls["control"].as_str().unwrap())
        .replace("$LOG", place.urls["log"].as_str().unwrap())
        .replace("$STORE", place.urls["store"].as_str().unwrap())
        .replace("$DIR", place.dir.path().join("sandbox").to_str().unwrap());
    fs::write(place.policy(), text).unwrap();
    let before = place.slot();
    let policy = place.policy();
    place.keyroll(&["run", policy.to_str().unwrap()]).ends(0);
    assert_ne!(place.slot(), before);
    assert!(place.refused().is_empty(), "{:?}", place.refused());
    // Through the sandbox's own adapter nothing is left over, and the next plan is made as if nothing special had been.
    assert!(place.marked().is_empty());
    place.keyroll(&["plan", policy.to_str().unwrap()]).ends(0);
}
