//! Whole rotations through the binary.

use crate::common::Said;
use crate::double::{READER, secret_path};
use crate::proxy::Fault;
use crate::stage::{SECRET, Stage};
use crate::wait;
use crate::world::{KEY, NAMESPACE, kubeconfig};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Requests that change something in the cluster, by their head.
fn changing(head: &str) -> bool {
    !head.starts_with("GET ") && !head.contains("/selfsubject")
}

#[test]
fn with_consumers_that_ask_the_api() {
    wait(async {
        let mut stage = Stage::asking().await;
        let said = Said::of(stage.whole.run().output().unwrap());
        said.ends(0);
        stage.judge(true, &[&said]);
    });
}

#[test]
fn with_pods_that_keep_what_they_were_started_with() {
    wait(async {
        let mut stage = Stage::pods().await;
        let said = Said::of(stage.whole.run().output().unwrap());
        said.ends(0);
        for (kind, name) in [("deployments", "web"), ("statefulsets", "worker"), ("daemonsets", "agent")] {
            let held = stage.cluster.double.held(NAMESPACE, kind, name);
            assert_eq!(held, [stage.value(), stage.value()], "{name}");
        }
        assert_eq!(stage.cluster.double.restarts(), 3, "each once, and the job never");
        stage.judge(true, &[&said]);
    });
}

#[test]
fn through_a_copy_that_would_come_within_the_hour() {
    wait(async {
        let mut stage = Stage::copied().await;
        let said = Said::of(stage.whole.run().output().unwrap());
        said.ends(0);
        for (kind, name) in [("deployments", "web"), ("statefulsets", "worker"), ("daemonsets", "agent")] {
            assert_eq!(stage.cluster.double.held(NAMESPACE, kind, name), [stage.value(), stage.value()], "{name}");
        }
        assert_eq!(stage.cluster.double.restarts(), 3, "nobody was restarted before the copy came, and again after it");
        stage.judge(true, &[&said]);
    });
}

#[test]
fn back_from_the_hold_with_pods() {
    wait(async {
        let mut stage = Stage::pods().await;
        stage.to_the_hold();
        // While the run holds, a person adds a value: the way back must not undo that (F17).
        stage.cluster.double.secret(NAMESPACE, SECRET, &[("note", "written while the run held")], Value::Null);
        let said = stage.whole.keyroll(&["rollback", "--reason", "test"]);
        said.ends(0);
        let held = stage.cluster.double.held(NAMESPACE, "deployments", "web");
        assert_eq!(held, [stage.first.clone(), stage.first.clone()]);
        assert_eq!(stage.cluster.double.value(NAMESPACE, SECRET, "note").as_deref(), Some("written while the run held"));
        stage.judge(false, &[&said]);
    });
}

#[test]
fn with_the_answer_of_every_write_lost() {
    wait(async {
        let mut stage = Stage::asking().await;
        stage.tap.arm(Fault::LostAnswer, 1, changing);
        let mut run = stage.whole.run().spawn().unwrap();
        let (began, mut lost) = (Instant::now(), 0);
        while run.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_secs(120), "it does not end");
            if stage.tap.fired() {
                lost += 1;
                stage.tap.arm(Fault::LostAnswer, 1, changing);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        stage.tap.disarm();
        let said = Said::of(run.wait_with_output().unwrap());
        if said.code != Some(0) {
            stage.to_the_end("lost answers");
        }
        println!("{lost} answers lost");
        assert!(lost >= 5, "only {lost} answers were lost");
        stage.judge(true, &[&said]);
    });
}

#[test]
fn killed_and_gone_on_with() {
    wait(async {
        let mut stage = Stage::asking().await;
        // Stage, then the old value that is kept, then the flip.
        for (fault, nth) in [(Fault::FrozenAfter, 1), (Fault::FrozenBefore, 3), (Fault::FrozenAfter, 3)] {
            let (what, before) = (format!("{fault:?} write {nth}"), stage.value());
            stage.tap.arm(fault, nth, changing);
            let mut run = stage.whole.run().spawn().unwrap();
            let began = Instant::now();
            while !stage.tap.fired() {
                assert!(began.elapsed() < Duration::from_secs(60) && run.try_wait().unwrap().is_none(), "{what}: {:?}", stage.tap.seen());
                std::thread::sleep(Duration::from_millis(2));
            }
            run.kill().unwrap();
            run.wait().unwrap();
            stage.to_the_end(&what);
            assert_ne!(stage.value(), before, "{what}");
        }
        stage.judge(true, &[]);
    });
}

#[test]
fn consumers_are_found_and_frozen_into_the_plan() {
    wait(async {
        let stage = Stage::pods().await;
        let double = &stage.cluster.double;
        double.workload(NAMESPACE, "deployments", "mounted", 1, crate::double::spec(crate::double::Wired::Projected, SECRET, KEY));
        double.workload(NAMESPACE, "deployments", "stranger", 1, crate::double::spec(crate::double::Wired::Nothing, SECRET, KEY));
        stage.consumers("consumers: { discover: { kubernetes: all-referencing } }\n");
        let policy = stage.whole.dir.path().join("policy.yaml");
        let said = stage.whole.keyroll(&["--output", "json", "plan", policy.to_str().unwrap()]);
        let plan: Value = serde_json::from_str(&said.ends(0).out).unwrap();
        let consumers = plan["plan"]["consumers"].as_array().unwrap();
        let of = |app: &str| consumers.iter().find(|c| c["app"] == app).unwrap_or_else(|| panic!("{app} is not among {consumers:?}"));
        assert_eq!(consumers.len(), 5, "{consumers:?}");
        for app in ["web", "worker", "agent"] {
            assert!(of(app)["reload"]["told"]["how"].as_str().is_some_and(|how| how.starts_with("restart")), "{}", of(app));
        }
        assert!(of("mounted")["reload"]["dynamic"].is_object(), "a file is renewed without a restart: {}", of("mounted"));
        assert!(of("nightly")["reload"]["dynamic"].is_object() && of("nightly")["acks"] == true, "{}", of("nightly"));
        assert!(plan["plan"]["policy"]["effective"].as_str().unwrap().contains("\"cronjob\":\"nightly\""));
    });
}

/// The plan of a stage with a change, which must be refused; nothing is written.
async fn refused(change: impl FnOnce(&mut Stage)) -> String {
    let mut stage = Stage::asking().await;
    change(&mut stage);
    let _before = stage.cluster.double.calls();
    let policy = stage.whole.dir.path().join("policy.yaml");
    let said = stage.whole.keyroll(&["run", policy.to_str().unwrap()]);
    assert!(!matches!(said.code, Some(0 | 1)), "{:?} {}{}", said.code, said.out, said.err);
    let wrote = stage.cluster.double.calls().into_iter().filter(|c| changing(c)).collect::<Vec<_>>();
    assert_eq!(wrote, Vec::<String>::new(), "{}", said.err);
    format!("{:?} {}{}", said.code, said.out, said.err)
}

#[test]
fn what_is_refused_before_anything_is_made() {
    wait(async {
        let path = secret_path(NAMESPACE, SECRET);
        let owner = json!([{ "kind": "ExternalSecret", "name": "router", "uid": "u", "controller": true }]);
        let owned = refused(|s| s.cluster.double.edit(&path, |o| o["metadata"]["ownerReferences"] = owner)).await;
        assert!(owned.starts_with("Some(40)") && owned.contains("ExternalSecret router owns it"), "{owned}");
        let gone = refused(|s| s.cluster.double.remove(&path)).await;
        assert!(gone.contains("no such Secret") || gone.contains("nothing shows that"), "{gone}");
        let other = refused(|s| {
            let policy = s.whole.dir.path().join("policy.yaml");
            let text = std::fs::read_to_string(&policy).unwrap();
            std::fs::write(&policy, text.replace(crate::double::UID, "11111111-2222-4333-8444-555555555555")).unwrap();
        })
        .await;
        assert!(other.contains("and the policy names 11111111"), "{other}");
        let busy = refused(|s| s.cluster.double.throttle(1000)).await;
        assert!(busy.starts_with("Some(12)") && busy.contains("429"), "{busy}");
    });
}

#[test]
fn a_login_that_may_only_read_stops_at_the_first_write_and_can_be_gone_on_with() {
    wait(async {
        let mut stage = Stage::asking().await;
        let file = stage.whole.dir.path().join("kubeconfig");
        std::fs::write(&file, kubeconfig(stage.tap.port, READER).to_string()).unwrap();
        let plan = stage.whole.keyroll(&["plan", stage.whole.dir.path().join("policy.yaml").to_str().unwrap()]);
        assert!(plan.ends(0).out.contains("may not create secrets"), "{}", plan.out);
        let said = Said::of(stage.whole.run().output().unwrap());
        assert!(said.err.contains("permission") || said.out.contains("permission"), "{:?} {}{}", said.code, said.out, said.err);
        assert_eq!((stage.value(), said.code), (stage.first.clone(), Some(21)), "{}", said.err);
        stage.judge(false, &[&said]);
        assert_eq!(stage.cluster.double.value(NAMESPACE, SECRET, KEY), Some(stage.first.clone()));
    });
}
