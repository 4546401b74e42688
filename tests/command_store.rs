//! The store behind a program: the contract, every way in which a program can fail, and whole rotations with consumers that read it.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::indexing_slicing, reason = "a test may")]

mod common;
#[path = "stores/consumers.rs"]
mod consumers;
#[path = "command/faults.rs"]
mod faults;
#[path = "stores/folder.rs"]
mod folder;
#[path = "command/programs.rs"]
mod programs;
#[path = "servers/proxy.rs"]
mod proxy;
#[path = "command/rotation.rs"]
mod rotation;
mod stores;
#[path = "stores/whole.rs"]
mod whole;

use folder::Folders;

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// There is no network between: `faults` shows the same with the program's own misbehaviour.
const NO_NETWORK: [&str; 3] = ["every_fault_at_every_write", "reads_that_fail_say_so", "a_late_promote_is_fenced"];

#[test]
fn the_contract_with_compare_and_set() {
    assert_eq!(wait(stores::suite(&Folders { compare_and_set: true })).left_out, NO_NETWORK);
}

#[test]
fn the_contract_where_the_last_write_wins() {
    let mut left_out = vec!["a_fence_moves_the_guard_and_nothing_else", "racing_promotes_have_one_winner"];
    left_out.extend(NO_NETWORK);
    assert_eq!(wait(stores::suite(&Folders { compare_and_set: false })).left_out, left_out);
}
