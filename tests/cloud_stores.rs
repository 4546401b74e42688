//! The store contract on the secret managers of clouds, each on a strict stand-in written from its documentation.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::indexing_slicing, reason = "a test may")]

#[path = "doubles/google.rs"]
mod google;
#[path = "cloud/google.rs"]
mod google_world;
#[path = "servers/proxy.rs"]
mod proxy;
#[path = "doubles/rest.rs"]
mod rest;
mod stores;

use google_world::Project;

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn an_alias_in_google_secret_manager() {
    assert_eq!(wait(stores::suite(&Project::new())).left_out, Vec::<&str>::new());
}
