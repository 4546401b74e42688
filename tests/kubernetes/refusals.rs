//! What is refused, before anything is written.

use crate::double::{OWNER, UID};
use crate::stores::{NEW, OLD, TestSlot as _, World as _, conflict, look, no, ok, quiet, run, value};
use crate::wait;
use crate::world::{Cluster, fingerprints, settings, written};
use keyroll::adapters::secrets::KubernetesStore;
use keyroll::ports::{PortError, SecretStore as _};
use serde_json::json;

#[test]
fn another_cluster_than_the_policy_names_is_refused_before_anything_is_asked_of_it() {
    wait(async {
        let cluster = Cluster::start();
        let slot = (&cluster).slot().await;
        let _made_so_far = cluster.double.calls();
        let wrong = written(&slot.name, "11111111-2222-4333-8444-555555555555");
        let store = ok(KubernetesStore::new(&wrong, fingerprints(), settings(cluster.double.port, OWNER)));
        for e in [
            no(&&cluster, store.observe().await),
            no(&&cluster, store.stage(&run("r1"), &value(NEW)).await),
            no(&&cluster, store.promote(&run("r1"), "g").await),
            no(&&cluster, store.demote(&run("r1"), "g", &value(OLD)).await),
        ] {
            assert!(matches!(&e, PortError::Refused { why, .. } if why.contains(UID)), "{e:?}");
        }
        assert!(cluster.double.calls().iter().all(|c| c == "GET /api/v1/namespaces/kube-system"), "something else was asked");
        let by_address = written(&slot.name, "https://other.example.com:6443");
        let e = KubernetesStore::new(&by_address, fingerprints(), settings(cluster.double.port, OWNER)).err().unwrap();
        assert!(e.to_string().contains("another cluster"), "{e}");
        let by_address = written(&slot.name, &format!("http://127.0.0.1:{}", cluster.double.port));
        ok(ok(KubernetesStore::new(&by_address, fingerprints(), settings(cluster.double.port, OWNER))).observe().await);
    });
}

#[test]
fn a_secret_that_somebody_else_keeps_is_left_alone_and_its_owner_named() {
    wait(async {
        let cluster = Cluster::start();
        let owned =
            |kind: &str| json!({ "metadata": { "ownerReferences": [{ "kind": kind, "name": "router", "uid": "u", "controller": true }] } });
        let cases = [
            (owned("ExternalSecret"), "External Secrets"),
            (owned("SealedSecret"), "seal the new value"),
            (owned("VaultStaticSecret"), "in Vault"),
            (json!({ "metadata": { "labels": { "app.kubernetes.io/managed-by": "Helm" } } }), "Helm"),
            (json!({ "metadata": { "annotations": { "argocd.argoproj.io/tracking-id": "x" } } }), "Argo CD"),
            (json!({ "immutable": true }), "immutable"),
        ];
        for (more, word) in cases {
            let slot = (&cluster).slot().await;
            cluster.double.secret("chat", &slot.name, &[], more);
            let store = slot.open();
            let seen = look(&&cluster, &store).await;
            assert!(seen.unusable.as_ref().is_some_and(|why| why.contains(word)), "{word}: {seen:?}");
            let why = conflict(&&cluster, store.stage(&run("r1"), &value(NEW)).await);
            assert!(why.contains(word), "{why}");
            assert_eq!(cluster.double.paths(&slot.name).len(), 1, "a helper was made");
        }
        // A controller that takes it over after the stage stops the promote.
        let slot = (&cluster).slot().await;
        let (_, _) = ok(slot.open().stage(&run("r1"), &value(NEW)).await);
        cluster.double.secret("chat", &slot.name, &[], owned("ExternalSecret"));
        let seen = look(&&cluster, &slot.open()).await;
        let why = conflict(&&cluster, slot.open().promote(&run("r1"), &seen.guard).await);
        assert!(why.contains("External Secrets"), "{why}");
        assert_eq!(slot.consumer().await.as_deref(), Some(OLD));
    });
}

#[test]
fn too_many_calls_and_a_dead_server_are_no_answers() {
    wait(async {
        let cluster = Cluster::start();
        let slot = (&cluster).slot().await;
        let store = slot.open();
        let (_, staged) = ok(store.stage(&run("r1"), &value(NEW)).await);
        for _ in 0..2 {
            cluster.double.throttle(1);
            let e = no(&&cluster, store.promote(&run("r1"), &staged.guard).await);
            assert!(e.to_string().contains("429") && !e.may_have_happened(), "{e:?}");
        }
        assert_eq!(look(&&cluster, &store).await, staged);
        let dead = slot.handle(OWNER, 1);
        let e = no(&&cluster, dead.observe().await);
        assert!(matches!(e, PortError::Unreachable { may_have_happened: false, .. }), "{e:?}");
        quiet(&&cluster, &e);
    });
}

#[test]
fn a_pending_value_that_was_exchanged_is_never_promoted() {
    wait(async {
        let cluster = Cluster::start();
        let slot = (&cluster).slot().await;
        let store = slot.open();
        let (_, staged) = ok(store.stage(&run("r1"), &value(NEW)).await);
        let pending = cluster.double.paths(&format!("{}.keyroll-pending", slot.name)).pop().unwrap();
        let name = pending.rsplit('/').next().unwrap().to_owned();
        cluster.double.secret("chat", &name, &[("api_key", "sk-planted-by-a-third-person")], json!(null));
        let why = conflict(&&cluster, store.promote(&run("r1"), &staged.guard).await);
        assert!(why.contains("not the one that this run wrote"), "{why}");
        assert_eq!(slot.consumer().await.as_deref(), Some(OLD));
    });
}

#[test]
fn a_slot_that_is_gone_or_has_no_such_key_is_said() {
    wait(async {
        let cluster = Cluster::start();
        let slot = (&cluster).slot().await;
        let mut elsewhere = written(&slot.name, UID);
        elsewhere.key = "other-key".into();
        let store = ok(KubernetesStore::new(&elsewhere, fingerprints(), settings(cluster.double.port, OWNER)));
        let seen = look(&&cluster, &store).await;
        assert!(seen.current.is_none() && seen.warnings.iter().any(|w| w.contains("no such key")), "{seen:?}");
        conflict(&&cluster, store.stage(&run("r1"), &value(NEW)).await);
        let store = ok(KubernetesStore::new(&written("never-made", UID), fingerprints(), settings(cluster.double.port, OWNER)));
        assert!(look(&&cluster, &store).await.warnings.iter().any(|w| w.contains("no such Secret")));
        conflict(&&cluster, store.stage(&run("r1"), &value(NEW)).await);
        // What the login may not do is said before it is needed.
        let weak = slot.handle(crate::double::READER, cluster.double.port);
        let seen = look(&&cluster, &weak).await;
        assert!(seen.warnings.iter().any(|w| w.contains("may not create secrets")), "{seen:?}");
    });
}

#[test]
fn what_a_policy_cannot_mean_is_said_at_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("policy.yaml");
    for (how, word) in [
        ("{ namespace: chat }", "exactly one way"),
        ("{ namespace: chat, deployment: web, selector: app=web }", "exactly one way"),
        ("{ namespace: chat, cronjob: nightly, restart: true }", "next run"),
        ("{ namespace: chat, deployment: web, through: { external_secret: { name: x, refresh: 1h } } }", "does not say into which"),
    ] {
        let rotation = "rotation: { credential: c, owner: o, environment: development }";
        let text = format!("version: 1\n{rotation}\nconsumers:\n  - {{ app: web, cadence: 1h, reload: {{ kubernetes: {how} }} }}\n");
        std::fs::write(&path, text).unwrap();
        let source = keyroll::policy::Source::read(&path).unwrap_or_else(|_| panic!("unreadable"));
        let parsed = keyroll::policy::parse(&source, &keyroll::policy::Overlay::none());
        let said = keyroll::policy::render::text(&parsed.diagnostics, &parsed.sources, false);
        assert!(parsed.has_errors() && said.contains(word), "{how}: {said}");
    }
}

#[test]
fn without_a_kubeconfig_a_pod_is_what_it_runs_in() {
    let dir = tempfile::tempdir().unwrap();
    let whole = crate::whole::Whole::new();
    let plan = |cluster: &str, inside: bool| {
        whole.policy(&format!("{{ kubernetes: {{ {cluster}namespace: chat, secret: s, key: k }} }}"));
        let mut command = whole.command(&["plan", whole.dir.path().join("policy.yaml").to_str().unwrap()]);
        command.env_remove("KUBECONFIG").env("HOME", dir.path());
        if inside {
            command.env("KUBERNETES_SERVICE_HOST", "127.0.0.1").env("KUBERNETES_SERVICE_PORT", "1");
        }
        crate::common::Said::of(command.output().unwrap()).err
    };
    assert!(plan("cluster: some-uid, ", true).contains("service account cannot be read"));
    assert!(plan("cluster: some-uid, ", false).contains("kubeconfig cannot be read"));
    assert!(plan("context: prod, ", true).contains("kubeconfig cannot be read"), "a context is one of a kubeconfig");
    assert!(plan("", true).contains("names no cluster"));
    assert!(plan("cluster: \"https://10.0.0.1\", ", true).contains("another cluster"));
}
