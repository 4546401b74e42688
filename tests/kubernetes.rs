//! Kubernetes: the store contract, refusals, consumers, and whole rotations, on the strict stand-in for its API server.
#![cfg(feature = "kubernetes")]
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::indexing_slicing, reason = "a test may")]

#[path = "kubernetes/check.rs"]
mod check;
mod common;
#[path = "stores/consumers.rs"]
mod consumers;
#[path = "kubernetes/doctor.rs"]
mod doctor;
#[path = "doubles/kubernetes/mod.rs"]
mod double;
#[path = "servers/proxy.rs"]
mod proxy;
#[path = "kubernetes/refusals.rs"]
mod refusals;
#[path = "kubernetes/rotation.rs"]
mod rotation;
#[path = "kubernetes/stage.rs"]
mod stage;
mod stores;
#[path = "stores/whole.rs"]
mod whole;
#[path = "kubernetes/workloads.rs"]
mod workloads;
#[path = "kubernetes/world.rs"]
mod world;

use stores::suite;
use world::Cluster;

/// Runs a future to its end.
fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn the_contract() {
    let cluster = Cluster::start();
    let ran = wait(suite(&&cluster));
    assert!(ran.left_out.is_empty(), "{ran:?}");
}
