//! The Vault store on OpenBao, the real server.
#![cfg(feature = "vault")]
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::indexing_slicing, reason = "a test may")]

#[path = "stores/bao_logins.rs"]
mod bao_logins;
#[path = "stores/bao_stage.rs"]
mod bao_stage;
mod common;
#[path = "stores/consumers.rs"]
mod consumers;
#[path = "stores/openbao.rs"]
mod openbao;
#[path = "servers/proxy.rs"]
mod proxy;
#[expect(unreachable_pub, reason = "shared by test binaries")]
mod servers;
mod stores;
#[path = "stores/whole.rs"]
mod whole;

use bao_stage::Stage;
use keyroll::adapters::reference::{self, References};
use keyroll::policy::model::reference::{Ref, VaultAuth};
use keyroll::ports::{PortError, Retire, SecretStore as _};
use keyroll::secret::Scrubber;
use openbao::Bao;
use reqwest::Method;
use serde_json::json;
use std::rc::Rc;
use std::time::Duration;
use stores::{NEW, OLD, TestSlot as _, World as _, look, no, ok, quiet, run, value};

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

#[test]
fn a_whole_rotation_with_consumers_that_read_the_store() {
    wait(async { Stage::new(Bao::plain().await).await.rotates().await });
}

#[test]
fn a_whole_rotation_over_tls_in_a_namespace_by_approle() {
    wait(async { Stage::new(Bao::tls_namespace_approle().await).await.rotates().await });
}

#[test]
fn the_way_back_from_hold() {
    wait(async { Stage::new(Bao::plain().await).await.goes_back_from_hold().await });
}

#[test]
fn the_way_back_from_hold_over_tls_in_a_namespace_by_approle() {
    wait(async { Stage::new(Bao::tls_namespace_approle().await).await.goes_back_from_hold().await });
}

#[test]
fn logins_by_jwt_and_by_kubernetes() {
    wait(async {
        let bao = Rc::new(Bao::tls_namespace_approle().await);
        let slot = bao.slot().await;
        let (signer, by_jwt) = bao_logins::jwt(&bao).await;
        let by_kubernetes = bao_logins::kubernetes(&bao, &signer).await;
        for (name, auth) in [("r1", by_jwt), ("r2", by_kubernetes)] {
            let store = slot.open_as(auth);
            let (_, staged) = ok(store.stage(&run(name), &value(&format!("{NEW}-{name}"))).await);
            assert!(staged.warnings.iter().any(|w| w.contains("written as") && w.contains("keyroll")), "{:?}", staged.warnings);
            let promoted = ok(store.promote(&run(name), &staged.guard).await);
            assert!(promoted.previous.is_some());
            ok(store.drop_pending(&run(name)).await);
            ok(store.retire(&run(name), Retire::Unlink).await);
            assert_eq!(slot.consumer().await, Some(format!("{NEW}-{name}")));
        }
        // A token by somebody else's signature is refused, and told nowhere.
        let claims = json!({ "sub": "x", "aud": "keyroll", "exp": 4_000_000_000_u64 });
        let forged = bao_logins::Signer::new().sign(&claims);
        let VaultAuth::Jwt(mut login) = bao_logins::jwt_again(&bao, &forged) else { panic!("a JWT login") };
        let e = no(&bao, slot.open_as(VaultAuth::Jwt(login.clone())).observe().await);
        assert!(matches!(e, PortError::Refused { .. }) && !format!("{e:?}").contains(&forged), "{e:?}");
        login.mount = Some("no-such-mount".into());
        let e = no(&bao, slot.open_as(VaultAuth::Jwt(login)).observe().await);
        assert!(e.to_string().contains("mount"), "{e}");
    });
}

#[test]
fn a_sealed_server_and_a_quota_are_no_answers() {
    wait(async {
        let bao = Rc::new(Bao::plain().await);
        let slot = bao.slot().await;
        let store = slot.open();
        let (_, staged) = ok(store.stage(&run("r1"), &value(NEW)).await);
        bao.call(Method::POST, "sys/quotas/rate-limit/tight", json!({ "rate": 1, "interval": "1h", "path": "secret/" })).await;
        // The one call that is allowed may be ours.
        let _one = store.observe().await;
        let verbs = [store.observe().await, store.promote(&run("r1"), &staged.guard).await, store.fence(&staged.guard).await];
        for e in verbs.into_iter().map(|r| no(&bao, r)) {
            assert!(e.to_string().contains("429") && !e.may_have_happened(), "{e:?}");
        }
        bao.call(Method::DELETE, "sys/quotas/rate-limit/tight", serde_json::Value::Null).await;
        assert_eq!(look(&bao, &store).await, staged);
        bao.call(Method::PUT, "sys/seal", json!({})).await;
        let verbs = [
            store.observe().await,
            store.promote(&run("r1"), &staged.guard).await,
            store.demote(&run("r1"), &staged.guard, &value(OLD)).await,
            store.drop_pending(&run("r1")).await,
            store.stage(&run("r1"), &value(NEW)).await.map(|(_, s)| s),
        ];
        for e in verbs.into_iter().map(|r| no(&bao, r)) {
            assert!(e.to_string().contains("sealed"), "{e:?}");
        }
    });
}

#[test]
fn what_cannot_be_kept_is_refused_or_said_before() {
    wait(async {
        let bao = Rc::new(Bao::plain().await);
        // Other fields, of whatever kind, come out of a promote as they went in.
        let slot =
            bao.slot_with(json!({ "api_key": OLD, "serial": 12_345_678_901_234_567_890.0_f64, "deep": [{ "a": null, "b": "é\n" }] })).await;
        let before = bao.raw_read(&slot.path).await;
        let data = |text: &str| text.split_once("\"data\":{\"data\":").unwrap().1.split_once(",\"metadata\"").unwrap().0.to_owned();
        let store = slot.open();
        let (_, staged) = ok(store.stage(&run("r1"), &value(NEW)).await);
        ok(store.promote(&run("r1"), &staged.guard).await);
        assert_eq!(data(&bao.raw_read(&slot.path).await), data(&before).replace(OLD, NEW), "another field changed");
        // Too short a history.
        let slot = bao.slot().await;
        bao.call(Method::POST, &format!("secret/metadata/{}", slot.path), json!({ "max_versions": 2, "delete_version_after": "720h" }))
            .await;
        let seen = look(&bao, &slot.open()).await;
        let warned = |word: &str| seen.warnings.iter().any(|w| w.contains(word));
        assert!(warned("only 2 versions") && warned("720h"), "{:?}", seen.warnings);
        let e = no(&bao, slot.open().stage(&run("r1"), &value(NEW)).await);
        assert!(e.to_string().contains("max_versions"), "{e}");
        // No field, and a field that is no text.
        let slot = bao.slot_with(json!({ "db_password": "x" })).await;
        assert_eq!(look(&bao, &slot.open()).await.current, None);
        assert!(matches!(no(&bao, slot.open().stage(&run("r1"), &value(NEW)).await), PortError::Conflict { .. }));
        let slot = bao.slot_with(json!({ "api_key": { "nested": OLD } })).await;
        assert!(matches!(no(&bao, slot.open().observe().await), PortError::Refused { .. }));
    });
}

#[test]
fn a_wrong_place_is_said_and_never_taken_for_an_empty_one() {
    wait(async {
        let bao = Rc::new(Bao::plain().await);
        bao.call(Method::POST, "sys/mounts/old", json!({ "type": "kv", "options": { "version": "1" } })).await;
        let slot = bao.slot().await;
        let root = bao.token_file("root.token", &bao.root);
        for (mount, path) in [("no-such-mount", "apps/a"), ("old", "apps/a"), ("secret", "apps/never-made"), ("sys", "apps/a")] {
            let mut place = bao.place(&bao.address, path, root.clone());
            place.mount = mount.into();
            let references = Rc::new(References { withhold: Vec::new(), scrubber: Scrubber::new(), ask: None });
            let store = ok(keyroll::adapters::secrets::VaultStore::new(&place, references, slot.key(), Duration::from_secs(5)));
            match store.observe().await {
                Ok(seen) => assert!(seen.current.is_none() && seen.warnings.iter().any(|w| w.contains("version 2")), "{mount}: {seen:?}"),
                Err(e) => quiet(&bao, &e),
            }
            no(&bao, store.stage(&run("r1"), &value(NEW)).await);
        }
        // Nobody listens, nobody we trust listens, and a server that redirects gets no token.
        let mut dead = bao.place(&format!("http://127.0.0.1:{}", servers::free_port()), &slot.path, root.clone());
        let references = References { withhold: Vec::new(), scrubber: Scrubber::new(), ask: None };
        let e = no(&bao, references.resolve(&Ref::Vault(dead.clone())).await);
        assert!(matches!(e, PortError::Unreachable { may_have_happened: false, .. }), "{e:?}");
        dead.ca_file = Some("/dev/null".into());
        let e = no(&bao, references.resolve(&Ref::Vault(dead)).await);
        assert!(e.to_string().contains("certificate authority"), "{e}");
    });
}

#[test]
fn a_reference_reads_a_field_and_names_its_variables() {
    wait(async {
        let bao = Rc::new(Bao::tls_namespace_approle().await);
        let slot = bao.slot().await;
        let references = References { withhold: Vec::new(), scrubber: Scrubber::new(), ask: None };
        let mut place = bao.place(&bao.address, &slot.path, bao.auth.clone());
        assert_eq!(ok(references.resolve(&Ref::Vault(place.clone())).await).expose(), OLD);
        // A login whose token comes from Vault itself.
        let inner = bao.slot_with(json!({ "api_key": bao.token("keyroll", "10m").await })).await;
        let inner = bao.place(&bao.address, &inner.path, bao.auth.clone());
        place.auth = Some(VaultAuth::Token(Box::new(Ref::Vault(inner))));
        assert_eq!(ok(references.resolve(&Ref::Vault(place.clone())).await).expose(), OLD);
        place.field = "nothing-here".into();
        let e = no(&bao, references.resolve(&Ref::Vault(place.clone())).await);
        assert!(e.to_string().contains("no such field"), "{e}");
        place.auth = None;
        assert_eq!(reference::variables([&Ref::Vault(place)]), ["VAULT_TOKEN"]);
    });
}

#[test]
fn a_token_that_may_be_renewed_is_renewed_before_it_ends() {
    wait(async {
        let bao = Rc::new(Bao::plain().await);
        let slot = bao.slot().await;
        let token = bao.token("keyroll", "8s").await;
        let store = slot.open_as(bao.token_file("short.token", &token));
        look(&bao, &store).await;
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        look(&bao, &store).await;
        // Its first eight seconds are over now.
        tokio::time::sleep(std::time::Duration::from_secs(4)).await;
        look(&bao, &store).await;
    });
}
