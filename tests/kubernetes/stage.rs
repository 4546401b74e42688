//! A whole rotation of a slot in Kubernetes: the cluster, the slot, the sandbox, the consumers, and the judgement.

use crate::common::Said;
use crate::consumers::{Fleet, Source};
use crate::double::{OWNER, READER, UID, Wired, spec};
use crate::proxy::Tap;
use crate::stores;
use crate::whole::Whole;
use crate::world::{Cluster, KEY, NAMESPACE, kubeconfig};
use base64::Engine as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The Secret that is rotated.
pub(crate) const SECRET: &str = "router-key";
/// A value in it that is nobody's business.
const OTHER: &str = "monday-db-password-71";

/// A consumer's own way to the secret: the API, with a token that may only read.
struct Reader(reqwest::Client, String);

impl Source for Reader {
    async fn read(&self) -> Option<String> {
        let answer: Value = self.0.get(&self.1).bearer_auth(READER).send().await.ok()?.json().await.ok()?;
        let packed = base64::engine::general_purpose::STANDARD.decode(answer["data"][KEY].as_str()?).ok()?;
        String::from_utf8(packed).ok()
    }
}

/// Who calls: programs that ask the API again and again, or pods that keep what they were started with.
enum Callers {
    Asking(Fleet),
    Pods(Pods),
}

/// A rotation of a slot in Kubernetes, with consumers that read it there.
pub(crate) struct Stage {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) tap: Tap,
    pub(crate) whole: Whole,
    /// What the slot held at the start of all.
    pub(crate) first: String,
    callers: Option<Callers>,
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(reader) = self.reader.take() {
            let _it_only_reads = reader.join();
        }
    }
}

impl Stage {
    fn bare() -> Self {
        let cluster = Arc::new(Cluster::start());
        let mut whole = Whole::new();
        let first = whole.first_value();
        cluster.double.secret(NAMESPACE, SECRET, &[(KEY, &first), ("db", OTHER)], Value::Null);
        let tap = Tap::before(cluster.double.port);
        let file = whole.dir.path().join("kubeconfig");
        std::fs::write(&file, kubeconfig(tap.port, OWNER).to_string()).unwrap();
        whole.set("KUBECONFIG", file.to_str().unwrap());
        let slot = json!({ "context": "test", "cluster": UID, "namespace": NAMESPACE, "secret": SECRET, "key": KEY });
        whole.policy(&json!({ "kubernetes": slot }).to_string());
        Self { cluster, tap, whole, first, callers: None, stop: Arc::default(), reader: None }
    }

    /// Consumers that ask the API for the value.
    pub(crate) async fn asking() -> Self {
        let mut stage = Self::bare();
        let url = format!("http://127.0.0.1:{}{}", stage.cluster.double.port, crate::double::secret_path(NAMESPACE, SECRET));
        stage.callers = Some(Callers::Asking(Fleet::start(&stage.whole.data(), move || {
            Reader(reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap(), url.clone())
        })));
        // Their first calls must be in the log before the first plan is made.
        tokio::time::sleep(Duration::from_millis(3500)).await;
        stage
    }

    /// Consumers that are workloads: their pods keep what they were started with.
    pub(crate) async fn pods() -> Self {
        let mut stage = Self::bare();
        stage.workloads(&Value::Null).await;
        stage
    }

    /// The same, but the slot is a file, and something copies its value into the Secret when it is asked to, or within the hour.
    pub(crate) async fn copied() -> Self {
        let mut stage = Self::bare();
        let file = stage.whole.dir.path().join("slot.env");
        std::fs::write(&file, format!("API_KEY={}\n", stage.first)).unwrap();
        stage.whole.policy(&json!({ "file": { "path": file, "name": "API_KEY" } }).to_string());
        let path = format!("/apis/external-secrets.io/v1/namespaces/{NAMESPACE}/externalsecrets/router");
        let object = json!({ "kind": "ExternalSecret", "metadata": { "name": "router", "namespace": NAMESPACE, "annotations": {} } });
        let source = Arc::new(Mutex::new(stage.first.clone()));
        stage.cluster.double.sync(&path, object, (NAMESPACE, SECRET, KEY), &source, Duration::from_secs(3600), "external-secrets");
        // What the operator would read in the store.
        let (stop, into) = (stage.stop.clone(), source.clone());
        stage.reader = Some(std::thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                let text = std::fs::read_to_string(&file).unwrap_or_default();
                if let Some(value) = text.lines().find_map(|l| l.strip_prefix("API_KEY=")) {
                    *into.lock().unwrap() = value.to_owned();
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }));
        let through = json!({
            "context": "test", "cluster": UID, "reads": { "secret": SECRET, "key": KEY },
            "through": { "external_secret": { "name": "router", "refresh": "1h" } },
        });
        stage.workloads(&through).await;
        stage
    }

    async fn workloads(&mut self, more: &Value) {
        let stage = self;
        for (kind, name) in [("deployments", "web"), ("statefulsets", "worker"), ("daemonsets", "agent"), ("cronjobs", "nightly")] {
            let wired = if name == "worker" { Wired::EnvFrom } else { Wired::Env };
            stage.cluster.double.workload(NAMESPACE, kind, name, 2, spec(wired, SECRET, KEY));
        }
        let written = [
            ("web", "continuous", json!({ "deployment": "web", "restart": true, "within": "30s" })),
            ("worker", "1s", json!({ "statefulset": "worker", "restart": true, "within": "30s" })),
            ("agent", "2s", json!({ "selector": "app=agent", "restart": true, "within": "30s" })),
            ("nightly", "3s", json!({ "cronjob": "nightly" })),
        ];
        let mut consumers = String::from("consumers:\n");
        for (app, cadence, mut how) in written {
            how["namespace"] = NAMESPACE.into();
            how.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
            let line = json!({ "app": app, "cadence": cadence, "reload": { "kubernetes": how } });
            consumers.push_str(&format!("  - {line}\n"));
        }
        stage.consumers(&consumers);
        stage.callers = Some(Callers::Pods(Pods::start(&stage.cluster, stage.whole.data())));
        tokio::time::sleep(Duration::from_millis(3500)).await;
    }

    /// Writes the policy's consumers anew.
    pub(crate) fn consumers(&self, text: &str) {
        let policy = self.whole.dir.path().join("policy.yaml");
        let whole = std::fs::read_to_string(&policy).unwrap();
        let (before, rest) = whole.split_once("consumers:").unwrap();
        let (_, after) = rest.split_once("usage:").unwrap();
        std::fs::write(&policy, format!("{before}{text}usage:{after}")).unwrap();
    }

    /// What the slot holds.
    pub(crate) fn value(&self) -> String {
        self.cluster.double.value(NAMESPACE, SECRET, KEY).unwrap()
    }

    /// After all is over: nobody was refused, nothing is left behind, nothing leaked, other values are as they were.
    pub(crate) fn judge(&mut self, forward: bool, said: &[&Said]) {
        assert_eq!(self.value() != self.first, forward, "the slot holds the wrong value");
        assert_eq!(self.cluster.double.value(NAMESPACE, SECRET, "db").as_deref(), Some(OTHER));
        assert_eq!(self.cluster.double.paths(".keyroll-"), Vec::<String>::new(), "a helper is left");
        assert_eq!(self.whole.orphans(), Vec::<Value>::new());
        let values = match self.callers.take().unwrap() {
            Callers::Asking(fleet) => fleet.none_was_refused(),
            Callers::Pods(pods) => pods.none_was_refused(),
        };
        assert_eq!(self.whole.refused(), Vec::<String>::new());
        assert_eq!(values.first(), Some(&self.first));
        let mut secrets = stores::World::secrets(&&*self.cluster);
        secrets.extend(values);
        self.whole.holds_none(&secrets, said);
    }

    /// Enters the hold and ends the process there.
    pub(crate) fn to_the_hold(&self) {
        let mut run = self.whole.run().spawn().unwrap();
        assert!(self.whole.wait_for(&mut run, |r| r["moved"]["to"] == "hold"), "{}", Said::of(run.wait_with_output().unwrap()).err);
        run.kill().unwrap();
        run.wait().unwrap();
    }

    /// Goes on until the run is over.
    pub(crate) fn to_the_end(&self, what: &str) {
        for _ in 0..5 {
            if self.whole.records().iter().any(|r| !r["finished"].is_null()) {
                return;
            }
            let said = self.whole.keyroll(&["resume", "--timeout", "60s"]);
            assert!(matches!(said.code, Some(0 | 10 | 21)), "{what}: {:?} {}", said.code, said.err);
        }
        panic!("{what}: not over after five resumes");
    }
}

#[derive(Default)]
struct Counts {
    by_status: BTreeMap<u16, usize>,
    refused: Vec<String>,
    values: Vec<String>,
}

/// Pods that call with what they were started with.
pub(crate) struct Pods {
    stop: Arc<AtomicBool>,
    counts: Arc<Mutex<Counts>>,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Pods {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _its_counts_stand = thread.join();
        }
    }
}

impl Pods {
    fn start(cluster: &Arc<Cluster>, data: Vec<String>) -> Self {
        let (stop, counts) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Counts::default())));
        let habits =
            [("deployments", "web", 60), ("statefulsets", "worker", 120), ("daemonsets", "agent", 200), ("cronjobs", "nightly", 2500)];
        let threads = habits
            .into_iter()
            .map(|(kind, name, pause)| {
                let (stop, counts, cluster, data) = (stop.clone(), counts.clone(), cluster.clone(), data.clone());
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(live(kind, name, Duration::from_millis(pause), &cluster, &data, &stop, &counts));
                })
            })
            .collect();
        Self { stop, counts, threads }
    }

    /// Ends them; every call they made must have been accepted.
    fn none_was_refused(self) -> Vec<String> {
        let counts = self.counts.clone();
        drop(self);
        let counts = counts.lock().unwrap();
        assert!(counts.refused.is_empty(), "{} refused: {:?}", counts.refused.len(), counts.refused.first());
        let good = counts.by_status.get(&200).copied().unwrap_or_default();
        println!("{good} calls by pods with what they were started with, none refused");
        assert!(good > 50, "only {good} calls: {:?}", counts.by_status);
        counts.values.clone()
    }
}

async fn live(kind: &str, name: &str, pause: Duration, cluster: &Cluster, data: &[String], stop: &AtomicBool, counts: &Mutex<Counts>) {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
    for turn in 0_usize.. {
        // A job makes a run for each call.
        let run = (kind == "cronjobs").then(|| cluster.double.fires(NAMESPACE, name));
        let held = match &run {
            Some(pod) => cluster.double.given_to(pod).into_iter().collect(),
            None => cluster.double.held(NAMESPACE, kind, name),
        };
        for value in held {
            let call = client
                .post(format!("{}/v1/chat/completions", data[turn % data.len()]))
                .header("x-client-app", name)
                .header("x-request-id", format!("{name}-{turn}-{}", value.len()))
                .bearer_auth(&value)
                .json(&json!({ "model": "demo-small", "messages": [{ "role": "user", "content": "hello" }] }));
            let status = call.send().await.map_or(0, |answer| answer.status().as_u16());
            let mut counts = counts.lock().unwrap();
            *counts.by_status.entry(status).or_default() += 1;
            if status == 401 || status == 403 {
                counts.refused.push(format!("{name} call {turn}: {status}"));
            }
            if !counts.values.contains(&value) {
                counts.values.push(value);
            }
        }
        if let Some(run) = &run {
            cluster.double.ends(run);
        }
        let until = Instant::now() + pause;
        while Instant::now() < until {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if stop.load(Ordering::SeqCst) {
            return;
        }
    }
}
