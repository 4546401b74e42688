//! AWS Secrets Manager on two servers that imitate it: the store contract, and whole rotations through the binary.
//!
//! What the two get wrong is different, and what both get wrong is held against the strict stand-in in `aws.rs`.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::indexing_slicing, unreachable_pub, reason = "a test may")]

#[path = "doubles/aws.rs"]
mod aws;
#[path = "servers/proxy.rs"]
mod proxy;
#[path = "real_aws/rotation.rs"]
mod rotation;
mod servers;
mod stores;
#[path = "doubles/world.rs"]
mod world;

use rotation::{Stage, at};
use servers::Server;
use std::path::Path;
use std::process::Command;
use stores::suite;
use world::Service;

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn moto(dir: &Path) -> Server {
    let (program, port) = (servers::install("moto"), servers::free_port());
    let mut command = Command::new(program);
    command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    Server::start(&mut command, dir, "moto", port, || servers::http_status(port, "/moto-api/").is_some())
}

fn ministack(dir: &Path) -> Server {
    let (program, port) = (servers::install("ministack"), servers::free_port());
    let mut command = Command::new(program);
    // Without BIND_HOST it listens on every address of the machine.
    command.env("BIND_HOST", "127.0.0.1").env("GATEWAY_PORT", port.to_string()).env("SERVICES", "secretsmanager,sts").current_dir(dir);
    Server::start(&mut command, dir, "ministack", port, || servers::http_status(port, "/_ministack/health").is_some())
}

/// What none of the two can show: they ask nobody for permission.
const NO_PERMISSIONS: &str = "powerless_handles_change_nothing";
const ONE_FIELD: [&str; 2] = ["other_fields_are_kept_as_they_are_now", "demote_changes_our_field_only"];

fn contract(port: u16, field: bool) {
    let mut left_out = if field { Vec::new() } else { ONE_FIELD.to_vec() };
    left_out.push(NO_PERMISSIONS);
    assert_eq!(wait(suite(&Service::at(port, field))).left_out, left_out);
}

#[test]
fn the_contract_for_a_field_on_moto() {
    let dir = tempfile::tempdir().unwrap();
    let server = moto(dir.path());
    contract(server.port, true);
}

#[test]
fn the_contract_for_a_whole_secret_on_moto() {
    let dir = tempfile::tempdir().unwrap();
    let server = moto(dir.path());
    contract(server.port, false);
}

#[test]
fn the_contract_for_a_field_on_ministack() {
    let dir = tempfile::tempdir().unwrap();
    let server = ministack(dir.path());
    contract(server.port, true);
}

#[test]
fn the_contract_for_a_whole_secret_on_ministack() {
    let dir = tempfile::tempdir().unwrap();
    let server = ministack(dir.path());
    contract(server.port, false);
}

/// Forward to the end: consumers follow, and the old version has no label any more.
fn forward(port: u16) {
    let stage = Stage::new(port, "ai/forward");
    let old = stage.key();
    stage.ends(&["run", "policy.yaml"], &[0]);
    let new = stage.key();
    assert_ne!(old, new);
    stage.nobody_was_refused();
    assert_eq!(stage.refused_in_the_log(), 0);
    let labels = stage.labels();
    assert!(matches!(labels.as_slice(), [(_, current)] if *current == ["AWSCURRENT"]), "{labels:?}");
    stage.nothing_leaked(&[&old, &new]);
}

/// Into hold, and from there back.
fn back(port: u16) {
    let stage = Stage::new(port, "ai/back");
    let old = stage.key();
    assert!(stage.killed_at(&["run", "policy.yaml"], |r| r["moved"]["to"] == "hold"));
    let new = stage.key();
    assert_ne!(old, new);
    if stage.ends(&["rollback", "--reason", "test"], &[0, 10]) == 10 {
        stage.ends(&["resume", "--timeout", "60s"], &[0]);
    }
    assert_eq!(stage.key(), old);
    stage.nobody_was_refused();
    assert_eq!(stage.refused_in_the_log(), 0);
    let labels = stage.labels();
    assert!(matches!(labels.as_slice(), [(_, current)] if *current == ["AWSCURRENT"]), "{labels:?}");
    stage.nothing_leaked(&[&old, &new]);
}

/// Killed right after the record that begins, and that ends, each effect on the store, and resumed; one gateway and one secret for all.
fn killed(port: u16, effects: &[&str], from_hold: bool) {
    let stage = Stage::new(port, "ai/killed");
    let mut needles = vec![stage.key()];
    for effect in effects {
        for end in [false, true] {
            let before = stage.key();
            if from_hold {
                assert!(stage.killed_at(&["run", "policy.yaml"], |r| r["moved"]["to"] == "hold"), "no hold before {effect}");
                needles.push(stage.key());
                let mut reached = stage.killed_at(&["rollback", "--reason", "test"], |r| at(r, effect, end));
                for _ in 0..3 {
                    // It may have parked on its way: a machine with much to do is slow.
                    reached = reached || stage.killed_at(&["resume"], |r| at(r, effect, end));
                }
                assert!(reached, "no {effect}");
            } else {
                assert!(stage.killed_at(&["run", "policy.yaml"], |r| at(r, effect, end)), "no {effect}");
            }
            if stage.ends(&["resume", "--timeout", "120s"], &[0, 10]) == 10 {
                stage.ends(&["resume", "--timeout", "120s"], &[0]);
            }
            let after = stage.key();
            assert_eq!(before == after, from_hold, "after a kill at {effect}, end {end}");
            needles.push(after);
            let labels = stage.labels();
            assert!(matches!(labels.as_slice(), [(_, current)] if *current == ["AWSCURRENT"]), "{effect}, end {end}: {labels:?}");
        }
    }
    stage.nobody_was_refused();
    assert_eq!(stage.refused_in_the_log(), 0);
    let needles: Vec<&str> = needles.iter().map(String::as_str).collect();
    stage.nothing_leaked(&needles);
}

const FORWARD: [&str; 3] = ["stage", "promote", "retire"];
const BACK: [&str; 2] = ["demote", "drop_pending"];

#[test]
fn a_whole_rotation_on_moto() {
    let dir = tempfile::tempdir().unwrap();
    let server = moto(dir.path());
    forward(server.port);
}

#[test]
fn a_whole_rotation_on_ministack() {
    let dir = tempfile::tempdir().unwrap();
    let server = ministack(dir.path());
    forward(server.port);
}

#[test]
fn back_from_hold_on_moto() {
    let dir = tempfile::tempdir().unwrap();
    let server = moto(dir.path());
    back(server.port);
}

#[test]
fn back_from_hold_on_ministack() {
    let dir = tempfile::tempdir().unwrap();
    let server = ministack(dir.path());
    back(server.port);
}

#[test]
fn killed_at_each_effect_on_moto() {
    let dir = tempfile::tempdir().unwrap();
    let server = moto(dir.path());
    killed(server.port, &FORWARD, false);
}

#[test]
fn killed_at_each_effect_on_ministack() {
    let dir = tempfile::tempdir().unwrap();
    let server = ministack(dir.path());
    killed(server.port, &FORWARD, false);
}

#[test]
fn killed_at_each_effect_on_the_way_back_on_moto() {
    let dir = tempfile::tempdir().unwrap();
    let server = moto(dir.path());
    killed(server.port, &BACK, true);
}

#[test]
fn killed_at_each_effect_on_the_way_back_on_ministack() {
    let dir = tempfile::tempdir().unwrap();
    let server = ministack(dir.path());
    killed(server.port, &BACK, true);
}
