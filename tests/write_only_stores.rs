//! Stores that give no value back, each on a strict stand-in: what they can say, what they cannot, and that they say so.
#![cfg(feature = "github")]
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::indexing_slicing, reason = "a test may")]

mod common;
#[path = "stores/consumers.rs"]
mod consumers;
#[path = "doubles/github.rs"]
mod github;
#[path = "write_only/github.rs"]
mod github_cases;
#[path = "servers/proxy.rs"]
mod proxy;
#[path = "doubles/rest.rs"]
mod rest;
#[path = "write_only/rotation.rs"]
mod rotation;
#[path = "stores/whole.rs"]
mod whole;

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
