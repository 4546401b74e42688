//! The Vault store on OpenBao, the real server.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::indexing_slicing, reason = "a test may")]

#[path = "stores/openbao.rs"]
mod openbao;
#[path = "servers/proxy.rs"]
mod proxy;
mod servers;
mod stores;

use openbao::Bao;
use std::rc::Rc;

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn the_contract_with_a_token() {
    wait(async {
        let bao = Rc::new(Bao::plain().await);
        assert_eq!(stores::suite(&bao).await.left_out, Vec::<&str>::new());
    });
}

#[test]
fn the_contract_over_tls_in_a_namespace_by_approle() {
    wait(async {
        let bao = Rc::new(Bao::tls_namespace_approle().await);
        // Nobody can listen in on TLS: the faults of the network are shown without it.
        let tapped = ["every_fault_at_every_write", "reads_that_fail_say_so", "a_late_promote_is_fenced"];
        assert_eq!(stores::suite(&bao).await.left_out, tapped);
    });
}
