//! What `doctor` says of a Secret and of the workloads that read it: each mistake by name, with its fix, and nothing written.

use crate::double::{READER, secret_path, workload_path};
use crate::stage::{SECRET, Stage};
use crate::wait;
use crate::world::{KEY, NAMESPACE, kubeconfig};
use serde_json::{Value, json};

/// What it says of one stage, after a change.
fn said(stage: &Stage) -> (Option<i32>, String) {
    let _before = stage.cluster.double.calls();
    let policy = stage.whole.dir.path().join("policy.yaml");
    let said = stage.whole.keyroll(&["--output", "json", "doctor", policy.to_str().unwrap()]);
    let wrote: Vec<String> =
        stage.cluster.double.calls().into_iter().filter(|c| !c.starts_with("GET ") && !c.contains("/selfsubject")).collect();
    assert_eq!(wrote, Vec::<String>::new(), "it wrote");
    (said.code, format!("{}{}", said.out, said.err))
}

#[test]
fn each_mistake_is_named_with_its_fix() {
    wait(async {
        let stage = Stage::pods().await;
        let (code, text) = said(&stage);
        assert_eq!(code, Some(0), "{text}");
        for word in ["v1.37.0", "it may do all that a rotation does", "deployment web reads it as a variable"] {
            assert!(text.contains(word), "`{word}` is not in {text}");
        }
        let double = &stage.cluster.double;
        // Somebody else keeps the Secret; a rollout is paused; the clock is off.
        let owner = json!([{ "kind": "ExternalSecret", "name": "router", "uid": "u", "controller": true }]);
        double.edit(&secret_path(NAMESPACE, SECRET), |o| o["metadata"]["ownerReferences"] = owner);
        double.edit(&workload_path(NAMESPACE, "deployments", "web"), |w| w["spec"]["paused"] = true.into());
        double.ahead(600);
        let (code, text) = said(&stage);
        assert_eq!(code, Some(40), "{text}");
        for word in ["ExternalSecret router owns it", "change the value in the store", "rollout is paused", "resume it", "its clock is"] {
            assert!(text.contains(word), "`{word}` is not in {text}");
        }
        double.ahead(0);
        // A login that may only read; a workload that is not there; a key that is not there.
        std::fs::write(stage.whole.dir.path().join("kubeconfig"), kubeconfig(stage.tap.port, READER).to_string()).unwrap();
        double.remove(&workload_path(NAMESPACE, "statefulsets", "worker"));
        double.edit(&secret_path(NAMESPACE, SECRET), |o| {
            o["metadata"]["ownerReferences"] = Value::Null;
            o["data"].as_object_mut().unwrap().remove(KEY);
        });
        let (code, text) = said(&stage);
        assert_eq!(code, Some(40), "{text}");
        for word in ["may not create secrets", "verbs: [patch]", "there is no statefulset worker", "the Secret has no key api_key"] {
            assert!(text.contains(word), "`{word}` is not in {text}");
        }
    });
}
