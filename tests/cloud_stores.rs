//! The store contract on the secret managers of clouds, each on a strict stand-in written from its documentation.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::indexing_slicing, reason = "a test may")]

#[path = "doubles/azure.rs"]
mod azure;
#[path = "cloud/azure.rs"]
mod azure_world;
#[path = "doubles/google.rs"]
mod google;
#[path = "cloud/google.rs"]
mod google_world;
#[path = "servers/proxy.rs"]
mod proxy;
#[path = "doubles/rest.rs"]
mod rest;
mod stores;
#[path = "doubles/vercel.rs"]
mod vercel;
#[path = "cloud/vercel.rs"]
mod vercel_world;

use azure_world::Vault;
use google_world::Project;

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn an_alias_in_google_secret_manager() {
    assert_eq!(wait(stores::suite(&Project::new())).left_out, Vec::<&str>::new());
}

/// Without compare-and-set there is no fence and no single winner; all else holds.
#[test]
fn a_secret_in_azure_key_vault() {
    let left_out = ["a_fence_moves_the_guard_and_nothing_else", "racing_promotes_have_one_winner", "a_late_promote_is_fenced"];
    assert_eq!(wait(stores::suite(&Vault::new())).left_out, left_out);
}

/// As there; what deployments do with it is another matter.
#[test]
fn a_variable_in_vercel() {
    let left_out = ["a_fence_moves_the_guard_and_nothing_else", "racing_promotes_have_one_winner", "a_late_promote_is_fenced"];
    assert_eq!(wait(stores::suite(&vercel_world::Project::new())).left_out, left_out);
}
