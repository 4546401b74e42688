//! Consumers that are workloads: restarted, waited for, and asked what their pods hold.

use crate::double::{Double, Habits, OWNER, UID, Wired, spec, workload_path};
use crate::proxy::{Fault, Tap};
use crate::stores::{NEW, OLD};
use crate::wait;
use crate::world::{KEY, NAMESPACE, fingerprints, kubeconfig, written};
use keyroll::adapters::consumers::kubernetes::{Settings, Workloads};
use keyroll::policy::model::consumer::KubernetesReload;
use keyroll::ports::PortError;
use keyroll::rotation::{Ack, App, Time};
use keyroll::secret::{Fingerprint, Scrubber, SecretText};
use serde_json::{Value, json};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SECRET: &str = "router-key";

/// A cluster whose Secret holds the old value, and the slot's value, which a chain may bring there later.
struct Stage {
    double: Double,
    slot: Arc<Mutex<String>>,
    stop: Rc<Cell<bool>>,
}

fn print(text: &str) -> Fingerprint {
    fingerprints().of(&SecretText::new(text))
}

fn now() -> Time {
    Time(keyroll::support::clock::wall_millis())
}

/// As a policy writes it.
fn reload(more: Value) -> KubernetesReload {
    let mut written = json!({ "namespace": NAMESPACE, "restart": true, "within": "20s" });
    written.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(written).unwrap()
}

impl Stage {
    fn new() -> Self {
        let double = Double::start();
        double.habits(Habits { start: Duration::from_millis(300), end: Duration::from_millis(200), behind: Duration::from_millis(1500) });
        double.secret(NAMESPACE, SECRET, &[(KEY, OLD)], Value::Null);
        Self { double, slot: Arc::new(Mutex::new(OLD.into())), stop: Rc::default() }
    }

    fn workloads(&self, port: u16, in_slot: bool) -> Workloads {
        let (slot, stop) = (self.slot.clone(), self.stop.clone());
        Workloads::new(Settings {
            timeout: Duration::from_secs(5),
            withhold: Vec::new(),
            scrubber: Scrubber::new(),
            kubeconfig: Some(serde_json::from_value(kubeconfig(port, OWNER)).unwrap()),
            slots: if in_slot { vec![written(SECRET, UID)] } else { Vec::new() },
            fingerprints: fingerprints(),
            holds: Rc::new(move || {
                let value = slot.lock().unwrap().clone();
                Box::pin(async move { Ok(Some(print(&value))) })
            }),
            pause: Rc::new(move |length| {
                let stop = stop.clone();
                Box::pin(async move {
                    tokio::time::sleep(length).await;
                    !stop.get()
                })
            }),
        })
    }

    /// The slot is the Secret itself.
    fn direct(&self) -> Workloads {
        self.workloads(self.double.port, true)
    }

    /// The value reaches the Secret in other ways.
    fn chained(&self) -> Workloads {
        self.workloads(self.double.port, false)
    }

    fn promote(&self) {
        self.double.secret(NAMESPACE, SECRET, &[(KEY, NEW)], Value::Null);
    }
}

async fn reloaded(workloads: &Workloads, how: &KubernetesReload) -> Ack {
    let began = now();
    if let Err(e) = workloads.reload(&App::new("web"), how).await {
        panic!("failed to {e}");
    }
    let ack = acknowledged(workloads, how).await.unwrap_or_else(|e| panic!("failed to {e}"));
    assert!(ack.loaded_at >= began && ack.loaded_at <= now(), "an acknowledgement of another restart: {ack:?}");
    assert_eq!(ack.holds, Some(print(NEW)));
    ack
}

async fn acknowledged(workloads: &Workloads, how: &KubernetesReload) -> Result<Ack, PortError> {
    workloads.acknowledged(&App::new("web"), how).await.map(|ack| ack.unwrap())
}

/// Who is missing.
async fn missing(workloads: &Workloads, how: &KubernetesReload) -> String {
    let e = acknowledged(workloads, how).await.unwrap_err();
    assert!(matches!(e, PortError::Unreadable { .. }), "{e:?}");
    e.to_string()
}

#[test]
fn a_restart_ends_when_no_pod_of_before_is_left() {
    wait(async {
        for (kind, field, how) in [
            ("deployments", "deployment", Wired::Env),
            ("statefulsets", "statefulset", Wired::EnvFrom),
            ("daemonsets", "daemonset", Wired::InitEnv),
        ] {
            let stage = Stage::new();
            // More than one page of the stand-in.
            stage.double.workload(NAMESPACE, kind, "web", 4, spec(how, SECRET, KEY));
            stage.promote();
            let (workloads, how) = (stage.direct(), reload(json!({ field: "web" })));
            let why = missing(&workloads, &how).await;
            assert!(why.contains("0 of 4 pods") && why.contains("started before the value was there"), "{why}");
            reloaded(&workloads, &how).await;
            assert_eq!(stage.double.held(NAMESPACE, kind, "web"), [NEW; 4], "{kind}");
            assert_eq!(stage.double.restarts(), 1);
        }
    });
}

#[test]
fn a_restart_that_picked_up_the_old_value_does_not_count() {
    wait(async {
        let stage = Stage::new();
        stage.double.workload(NAMESPACE, "deployments", "web", 2, spec(Wired::Env, SECRET, KEY));
        let (workloads, how) = (stage.direct(), reload(json!({ "deployment": "web" })));
        // A restart by us, and one by somebody else, before the new value is there.
        workloads.reload(&App::new("web"), &how).await.unwrap();
        let path = workload_path(NAMESPACE, "deployments", "web");
        stage.promote();
        let why = missing(&workloads, &how).await;
        assert!(why.contains("0 of 2 pods"), "{why}");
        assert_eq!(stage.double.held(NAMESPACE, "deployments", "web"), [OLD, OLD]);
        // And the same value put there again later voids what was acknowledged before.
        let first = reloaded(&workloads, &how).await;
        stage.double.secret(NAMESPACE, SECRET, &[(KEY, OLD)], Value::Null);
        assert!(missing(&workloads, &how).await.contains("0 of 2 pods"));
        stage.promote();
        assert!(acknowledged(&workloads, &how).await.is_ok_and(|again| again.loaded_at == first.loaded_at), "it is as old as it is");
        assert!(stage.double.edit(&path, |w| w["spec"]["template"]["metadata"]["annotations"]["keyroll/value"].is_string()));
    });
}

#[test]
fn clocks_that_differ_by_minutes_change_nothing() {
    wait(async {
        for ahead in [-300, 300] {
            let stage = Stage::new();
            stage.double.ahead(ahead);
            stage.double.workload(NAMESPACE, "deployments", "web", 1, spec(Wired::Env, SECRET, KEY));
            stage.promote();
            reloaded(&stage.direct(), &reload(json!({ "deployment": "web" }))).await;
        }
    });
}

#[test]
fn a_selector_restarts_one_after_the_other() {
    wait(async {
        let stage = Stage::new();
        for (kind, name) in [("deployments", "api"), ("deployments", "web"), ("statefulsets", "queue"), ("daemonsets", "edge")] {
            stage.double.workload(NAMESPACE, kind, name, 2, spec(Wired::Env, SECRET, KEY));
        }
        stage.promote();
        let _before = stage.double.calls();
        reloaded(&stage.direct(), &reload(json!({ "selector": "tier=apps" }))).await;
        let calls = stage.double.calls();
        let at = |what: &str| calls.iter().position(|c| c.starts_with("PATCH") && c.ends_with(what)).unwrap();
        assert!(at("/api") < at("/web") && at("/web") < at("/queue") && at("/queue") < at("/edge"));
        let between = &calls[at("/api")..at("/web")];
        assert!(between.iter().any(|c| c.ends_with("/pods")), "the second was restarted before the first was seen: {between:?}");
        let e = stage.direct().reload(&App::new("web"), &reload(json!({ "selector": "tier=none" }))).await.unwrap_err();
        assert!(e.to_string().contains("no workload"), "{e}");
    });
}

#[test]
fn a_nightly_job_is_on_the_new_value_after_its_next_run() {
    wait(async {
        let stage = Stage::new();
        stage.double.workload(NAMESPACE, "cronjobs", "nightly", 1, spec(Wired::Env, SECRET, KEY));
        let how: KubernetesReload = serde_json::from_value(json!({ "namespace": NAMESPACE, "cronjob": "nightly" })).unwrap();
        let workloads = stage.direct();
        let last_night = stage.double.fires(NAMESPACE, "nightly");
        stage.promote();
        workloads.reload(&App::new("nightly"), &how).await.unwrap();
        assert_eq!(stage.double.restarts(), 0, "a job is not restarted");
        assert!(missing(&workloads, &how).await.contains("0 of 1 pods"), "the run from before is still at work");
        stage.double.ends(&last_night);
        assert!(missing(&workloads, &how).await.contains("has not run since"), "that it is over does not show the new value");
        tokio::time::sleep(Duration::from_millis(3500)).await;
        let tonight = stage.double.fires(NAMESPACE, "nightly");
        assert_eq!(acknowledged(&workloads, &how).await.unwrap().holds, Some(print(NEW)));
        stage.double.ends(&tonight);
        assert!(acknowledged(&workloads, &how).await.is_ok(), "a run that is over was one all the same");
    });
}

#[test]
fn what_cannot_be_restarted_or_does_not_come_up_is_named() {
    wait(async {
        let stage = Stage::new();
        for name in ["web", "paused", "other", "sick"] {
            let wired = if name == "other" { Wired::Nothing } else { Wired::Env };
            stage.double.workload(NAMESPACE, "deployments", name, 2, spec(wired, SECRET, KEY));
        }
        stage.double.workload(NAMESPACE, "statefulsets", "by-hand", 1, spec(Wired::Env, SECRET, KEY));
        stage.double.edit(&workload_path(NAMESPACE, "deployments", "paused"), |w| w["spec"]["paused"] = true.into());
        let strategy = json!({ "type": "OnDelete" });
        stage.double.edit(&workload_path(NAMESPACE, "statefulsets", "by-hand"), |w| w["spec"]["updateStrategy"] = strategy);
        stage.promote();
        let workloads = stage.direct();
        for (how, word) in [
            (json!({ "deployment": "paused" }), "paused"),
            (json!({ "statefulset": "by-hand" }), "OnDelete"),
            (json!({ "deployment": "other" }), "does not read key"),
            (json!({ "deployment": "never-made" }), "there is no deployment"),
        ] {
            let e = workloads.reload(&App::new("web"), &reload(how)).await.unwrap_err();
            assert!(matches!(&e, PortError::Refused { why, .. } if why.contains(word)), "{e:?}");
        }
        assert_eq!(stage.double.restarts(), 0);
        // New pods that never become ready.
        stage.double.habits(Habits { start: Duration::from_secs(60), ..Habits::default() });
        let e = workloads.reload(&App::new("web"), &reload(json!({ "deployment": "sick", "within": "1s" }))).await.unwrap_err();
        let why = e.to_string();
        assert!(matches!(e, PortError::Refused { .. }) && why.contains("0 of 3 pods") && why.contains("sick-"), "{why}");
    });
}

#[test]
fn a_lost_answer_is_looked_up_and_a_stop_is_obeyed() {
    wait(async {
        let stage = Stage::new();
        stage.double.workload(NAMESPACE, "deployments", "web", 1, spec(Wired::Env, SECRET, KEY));
        stage.promote();
        let tap = Tap::before(stage.double.port);
        let how = reload(json!({ "deployment": "web" }));
        tap.arm(Fault::LostAnswer, 1, |head| head.starts_with("PATCH"));
        reloaded(&stage.workloads(tap.port, true), &how).await;
        assert!(tap.fired() && stage.double.restarts() == 1, "it was sent again");
        tap.arm(Fault::HangUp, 1, |head| head.starts_with("PATCH"));
        let e = stage.workloads(tap.port, true).reload(&App::new("web"), &how).await.unwrap_err();
        assert!(e.may_have_happened() && stage.double.restarts() == 1, "{e:?}");
        for status in [403, 429, 503] {
            tap.arm(Fault::Status(status), 1, |head| head.starts_with("PATCH"));
            let e = stage.workloads(tap.port, true).reload(&App::new("web"), &how).await.unwrap_err();
            assert!(e.to_string().contains(&status.to_string()), "{e}");
        }
        stage.stop.set(true);
        let e = stage.direct().reload(&App::new("web"), &how).await.unwrap_err();
        assert!(!e.may_have_happened() && e.to_string().contains("asked to stop"), "{e:?}");
    });
}

/// What copies the slot's value into the Secret.
fn sync(stage: &Stage, every: Duration, manager: &'static str) {
    let path = format!("/apis/external-secrets.io/v1/namespaces/{NAMESPACE}/externalsecrets/router");
    let object = json!({ "kind": "ExternalSecret", "metadata": { "name": "router", "namespace": NAMESPACE, "annotations": {} } });
    stage.double.sync(&path, object, (NAMESPACE, SECRET, KEY), &stage.slot, every, manager);
}

fn through(chain: &str, refresh: &str) -> KubernetesReload {
    reload(json!({
        "deployment": "web", "context": "test", "cluster": UID, "reads": { "secret": SECRET, "key": KEY },
        "through": { chain: { "name": "router", "refresh": refresh } },
    }))
}

#[test]
fn a_copy_that_would_come_in_an_hour_is_asked_for_and_awaited_before_the_restart() {
    wait(async {
        let stage = Stage::new();
        sync(&stage, Duration::from_secs(3600), "external-secrets");
        stage.double.workload(NAMESPACE, "deployments", "web", 2, spec(Wired::Env, SECRET, KEY));
        *stage.slot.lock().unwrap() = NEW.into();
        let (workloads, how) = (stage.chained(), through("external_secret", "1h"));
        assert_eq!(stage.double.value(NAMESPACE, SECRET, KEY).as_deref(), Some(OLD), "the copy is not there yet");
        reloaded(&workloads, &how).await;
        assert_eq!(stage.double.held(NAMESPACE, "deployments", "web"), [NEW, NEW]);
    });
}

#[test]
fn a_copy_that_cannot_be_hurried_is_waited_for_and_a_restart_before_it_does_not_count() {
    wait(async {
        let stage = Stage::new();
        sync(&stage, Duration::from_secs(6), "vault-secrets-operator");
        stage.double.workload(NAMESPACE, "deployments", "web", 1, spec(Wired::Env, SECRET, KEY));
        *stage.slot.lock().unwrap() = NEW.into();
        let (workloads, how) = (stage.chained(), through("vault_static_secret", "6s"));
        // A person restarts it while the copy is still the old one.
        let path = workload_path(NAMESPACE, "deployments", "web");
        stage.double.restarted_by_a_person(&path);
        reloaded(&workloads, &how).await;
        assert_eq!(stage.double.held(NAMESPACE, "deployments", "web"), [NEW]);
        // A copy that never comes is a failure that names the chain, and nothing is restarted.
        *stage.slot.lock().unwrap() = "sk-another-value-that-is-not-copied".into();
        sync(&stage, Duration::from_secs(3600), "nobody");
        let before = stage.double.restarts();
        let mut never = through("vault_static_secret", "1s");
        never.within = Some(serde_json::from_value(json!("1s")).unwrap());
        never.reads = serde_json::from_value(json!({ "secret": "elsewhere", "key": KEY })).unwrap();
        stage.double.secret(NAMESPACE, "elsewhere", &[(KEY, OLD)], Value::Null);
        let e = workloads.reload(&App::new("web"), &never).await.unwrap_err();
        assert!(matches!(&e, PortError::Refused { why, .. } if why.contains("VaultStaticSecret router")), "{e:?}");
        assert_eq!(stage.double.restarts(), before);
    });
}
