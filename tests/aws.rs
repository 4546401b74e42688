//! The store contract on AWS Secrets Manager as it is documented, by the strict stand-in; and what the contract is worth: an adapter that
//! does it wrong does not pass.
#![expect(clippy::unwrap_used, reason = "a test may")]

#[path = "doubles/aws.rs"]
mod aws;
#[path = "servers/proxy.rs"]
mod proxy;
mod stores;
#[path = "doubles/world.rs"]
mod world;

use stores::suite;
use world::Service;

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn a_field_of_a_document() {
    let ran = wait(suite(&Service::strict(true)));
    assert!(ran.left_out.is_empty(), "{ran:?}");
}

#[test]
fn a_whole_secret() {
    let ran = wait(suite(&Service::strict(false)));
    assert_eq!(ran.left_out, ["other_fields_are_kept_as_they_are_now", "demote_changes_our_field_only"]);
}
