//! The store contract on AWS Secrets Manager as it is documented, by the strict stand-in; and what the contract is worth: an adapter that
//! does it wrong does not pass.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::indexing_slicing, reason = "a test may")]

#[path = "doubles/aws.rs"]
mod aws;
#[path = "aws/careless.rs"]
mod careless;
#[path = "aws/check.rs"]
mod check;
#[path = "servers/proxy.rs"]
mod proxy;
#[path = "aws/refusals.rs"]
mod refusals;
mod stores;
#[path = "aws/strict.rs"]
mod strict;
#[path = "doubles/world.rs"]
mod world;

use careless::{Careless, Mistake};
use stores::suite;
use world::Service;

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A port that nobody listens on.
fn closed_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
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

/// Whether the contract lets an adapter with this mistake through.
fn passes(mistake: Mistake) -> bool {
    std::panic::catch_unwind(|| wait(suite(&Careless::new(mistake)))).is_ok()
}

#[test]
fn a_careless_adapter_does_not_pass() {
    for mistake in [
        Mistake::PutWithoutLabels,
        Mistake::OneToken,
        Mistake::PromoteWithoutGuard,
        Mistake::LostIsRefused,
        Mistake::RetireDoesNothing,
        Mistake::DropsEverybodys,
    ] {
        assert!(!passes(mistake), "{mistake:?} was not noticed");
    }
}

#[test]
fn without_a_mistake_the_same_frame_passes() {
    assert!(passes(Mistake::None));
}
