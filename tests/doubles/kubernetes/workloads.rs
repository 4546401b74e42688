//! What controllers and nodes do with workloads: new pods after a change of the template, old ones gone after it, runs of a CronJob, and
//! the copies that controllers make of values.

use super::{Double, World, secret_path, workload_path};
use base64::Engine as _;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long things take.
#[derive(Clone)]
pub(crate) struct Habits {
    /// From a new template to the new pods.
    pub(crate) start: Duration,
    /// From the new pods to the end of the old ones.
    pub(crate) end: Duration,
    /// A node may give a new container what the Secret held so long ago.
    pub(crate) behind: Duration,
}

impl Default for Habits {
    fn default() -> Self {
        Self { start: Duration::from_millis(400), end: Duration::from_millis(300), behind: Duration::ZERO }
    }
}

/// A pod, and what its container was given when it started.
pub(super) struct Pod {
    pub(super) object: Value,
    /// The workload it belongs to.
    of: String,
    generation: u64,
    pub(super) holds: Option<String>,
}

/// Something that will happen.
pub(super) struct Due {
    at: Instant,
    what: What,
}

enum What {
    Start { of: String, generation: u64 },
    End { pod: String },
}

/// Where a workload's container gets the value from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wired {
    Env,
    EnvFrom,
    InitEnv,
    Volume,
    Projected,
    SubPath,
    Nothing,
}

/// A pod's description that reads a Secret in this way.
pub(crate) fn spec(how: Wired, secret: &str, key: &str) -> Value {
    let env = json!([{ "name": "API_KEY", "valueFrom": { "secretKeyRef": { "name": secret, "key": key } } }]);
    let mount = json!([{ "name": "v", "mountPath": "/secrets" }]);
    let sub = json!([{ "name": "v", "mountPath": "/secrets/key", "subPath": key }]);
    let volume = json!([{ "name": "v", "secret": { "secretName": secret } }]);
    let projected = json!([{ "name": "v", "projected": { "sources": [{ "secret": { "name": secret } }] } }]);
    match how {
        Wired::Env => json!({ "containers": [{ "name": "app", "env": env }] }),
        Wired::EnvFrom => json!({ "containers": [{ "name": "app", "envFrom": [{ "secretRef": { "name": secret } }] }] }),
        Wired::InitEnv => json!({ "containers": [{ "name": "app" }], "initContainers": [{ "name": "init", "env": env }] }),
        Wired::Volume => json!({ "containers": [{ "name": "app", "volumeMounts": mount }], "volumes": volume }),
        Wired::Projected => json!({ "containers": [{ "name": "app", "volumeMounts": mount }], "volumes": projected }),
        Wired::SubPath => json!({ "containers": [{ "name": "app", "volumeMounts": sub }], "volumes": volume }),
        Wired::Nothing => json!({ "containers": [{ "name": "app" }] }),
    }
}

impl Double {
    /// A workload with its pods, which start at once with what the Secret holds now.
    pub(crate) fn workload(&self, namespace: &str, kind: &str, name: &str, replicas: u64, spec: Value) {
        let mut world = self.world();
        let labels = json!({ "app": name });
        let template = json!({ "metadata": { "labels": labels }, "spec": spec });
        let path = workload_path(namespace, kind, name);
        let (api, word) = match kind {
            "cronjobs" => ("batch/v1", "CronJob"),
            "deployments" => ("apps/v1", "Deployment"),
            "statefulsets" => ("apps/v1", "StatefulSet"),
            _ => ("apps/v1", "DaemonSet"),
        };
        let spec = if kind == "cronjobs" {
            json!({ "schedule": "0 3 * * *", "jobTemplate": { "spec": { "template": template } } })
        } else {
            json!({ "replicas": replicas, "selector": { "matchLabels": labels }, "template": template })
        };
        let metadata = json!({ "name": name, "namespace": namespace, "labels": { "app": name, "tier": "apps" } });
        world.insert(&path, json!({ "apiVersion": api, "kind": word, "metadata": metadata, "spec": spec }));
        if kind != "cronjobs" {
            for _ in 0..replicas {
                world.start(&path, 1);
            }
            world.report(&path);
        }
    }

    /// What the containers of a workload were given when they started.
    pub(crate) fn held(&self, namespace: &str, kind: &str, name: &str) -> Vec<String> {
        let mut world = self.world();
        world.tick();
        let path = workload_path(namespace, kind, name);
        let of = |p: &&Pod| p.of == path && p.object["status"]["phase"] == "Running";
        world.pods.values().filter(of).filter_map(|p| p.holds.clone()).collect()
    }

    /// What one pod was given when it started.
    pub(crate) fn given_to(&self, pod: &str) -> Option<String> {
        self.world().pods.get(pod)?.holds.clone()
    }

    /// A CronJob makes a job now, whose pod runs until `ends` is called.
    pub(crate) fn fires(&self, namespace: &str, name: &str) -> String {
        let mut world = self.world();
        let path = workload_path(namespace, "cronjobs", name);
        let cron = world.objects[&path].clone();
        let job = format!("{name}-{}", world.made);
        let owner = json!([{ "kind": "CronJob", "name": name, "uid": cron["metadata"]["uid"], "controller": true }]);
        let job_path = workload_path(namespace, "jobs", &job);
        let object = json!({ "kind": "Job", "metadata": { "name": job, "namespace": namespace, "ownerReferences": owner }, "spec": {
            "selector": { "matchLabels": { "job-name": job } }, "template": cron["spec"]["jobTemplate"]["spec"]["template"],
        } });
        world.insert(&job_path, object);
        world.start(&job_path, 1)
    }

    /// A pod's work is done.
    pub(crate) fn ends(&self, pod: &str) {
        let mut world = self.world();
        if let Some(pod) = world.pods.get_mut(pod) {
            pod.object["status"]["phase"] = "Succeeded".into();
        }
    }

    /// Somebody restarts a workload.
    pub(crate) fn restarted_by_a_person(&self, path: &str) {
        self.edit(path, |w| {
            let generation = w["metadata"]["generation"].as_u64().unwrap_or(1);
            w["metadata"]["generation"] = (generation + 1).into();
            w["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] = "by a person".into();
        });
        self.world().roll(path);
        // Its pods are there before anybody goes on.
        for _ in 0..100 {
            std::thread::sleep(Duration::from_millis(20));
            let mut world = self.world();
            world.tick();
            if world.due.is_empty() {
                return;
            }
        }
        panic!("the rollout of {path} does not end");
    }

    /// How often a template was changed.
    pub(crate) fn restarts(&self) -> usize {
        self.world().restarts
    }

    /// A pod that does not become ready.
    pub(crate) fn unready(&self, namespace: &str, kind: &str, name: &str) {
        let path = workload_path(namespace, kind, name);
        for pod in self.world().pods.values_mut().filter(|p| p.of == path) {
            pod.object["status"]["conditions"] = json!([{ "type": "Ready", "status": "False" }]);
        }
    }
}

impl World {
    /// What is due by now happens.
    pub(super) fn tick(&mut self) {
        let now = Instant::now();
        while let Some(at) = self.due.iter().position(|d| d.at <= now) {
            match self.due.swap_remove(at).what {
                What::Start { of, generation } => {
                    let path = self.start(&of, generation);
                    // One new pod ends one old one.
                    let older =
                        |p: &Pod| p.of == of && p.generation < generation && p.object["metadata"].get("deletionTimestamp").is_none();
                    let old = self.pods.iter().find(|(_, p)| older(p)).map(|(path, _)| path.clone());
                    debug_assert!(self.pods.contains_key(&path));
                    if let Some(old) = old {
                        let stamp = self.now();
                        self.pods.get_mut(&old).unwrap().object["metadata"]["deletionTimestamp"] = stamp.into();
                        self.due.push(Due { at: now + self.habits.end, what: What::End { pod: old } });
                    }
                    self.report(&of);
                }
                What::End { pod } => {
                    let of = self.pods.remove(&pod).map(|p| p.of);
                    self.report(&of.unwrap_or_default());
                }
            }
        }
        for i in 0..self.syncs.len() {
            let notes = self.objects.get(&self.syncs[i].path).map(|o| o["metadata"]["annotations"].clone());
            let sync = &mut self.syncs[i];
            if sync.next > now && sync.forced == notes {
                continue;
            }
            sync.forced = notes;
            sync.next = now + sync.every;
            let (to, value, manager) = (sync.to.clone(), sync.source.lock().unwrap().clone(), sync.manager);
            self.written_by(manager, &to.0, &to.1, &[(to.2.as_str(), value.as_str())], Value::Null);
        }
    }

    /// A changed template becomes new pods.
    pub(super) fn roll(&mut self, path: &str) {
        let object = self.objects[path].clone();
        let generation = object["metadata"]["generation"].as_u64().unwrap_or(1);
        let replicas = object["spec"]["replicas"].as_u64().unwrap_or(1);
        let mut at = Instant::now() + self.habits.start;
        for _ in 0..replicas {
            self.due.push(Due { at, what: What::Start { of: path.to_owned(), generation } });
            at += self.habits.start / 4;
        }
        self.report(path);
    }

    /// A container starts now, with what its node knows.
    fn start(&mut self, of: &str, generation: u64) -> String {
        let object = self.objects[of].clone();
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
        let template = object["spec"]["template"].clone();
        self.made += 1;
        let name = format!("{}-{:05x}", object["metadata"]["name"].as_str().unwrap_or_default(), self.made);
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
        let (uid, version, now) = (self.uid(), self.next_version(), self.now());
        let mut labels = template["metadata"]["labels"].clone();
        if object["kind"] == "Job" {
            labels["job-name"] = object["metadata"]["name"].clone();
        }
        let kind = if object["kind"] == "Deployment" { json!("ReplicaSet") } else { object["kind"].clone() };
        let holds = self.given(&namespace, &template["spec"]);
        let pod = json!({
            "kind": "Pod",
            "metadata": {
                "name": name, "namespace": namespace, "uid": uid, "resourceVersion": version, "creationTimestamp": now, "labels": labels,
                "annotations": template["metadata"]["annotations"],
                "ownerReferences": [{ "kind": kind, "name": object["metadata"]["name"], "uid": object["metadata"]["uid"], "controller": true }],
            },
            "spec": template["spec"],
            "status": {
                "phase": "Running", "startTime": now, "conditions": [{ "type": "Ready", "status": "True" }],
                "containerStatuses": [{ "name": "app", "ready": true, "restartCount": 0, "state": { "running": { "startedAt": now } } }],
            },
        });
        self.pods.insert(path.clone(), Pod { object: pod, of: of.to_owned(), generation, holds });
        path
    }

    /// What a node gives a new container: the value of so long ago, as it may be behind.
    fn given(&self, namespace: &str, spec: &Value) -> Option<String> {
        let text = spec.to_string();
        let (path, history) = self.history.iter().find(|(p, _)| {
            let name = p.rsplit('/').next().unwrap_or_default();
            **p == secret_path(namespace, name) && text.contains(&format!("\"{name}\""))
        })?;
        let until = Instant::now().checked_sub(self.habits.behind)?;
        let data = history.iter().rev().find(|(at, _)| *at <= until).or(history.first()).map(|(_, d)| d.clone())?;
        self.objects.get(path)?;
        let packed = data["api_key"].as_str()?;
        String::from_utf8(base64::engine::general_purpose::STANDARD.decode(packed).ok()?).ok()
    }

    /// The status that its controller writes.
    fn report(&mut self, path: &str) {
        let Some(object) = self.objects.get(path) else { return };
        let generation = object["metadata"]["generation"].as_u64().unwrap_or(1);
        let wanted = object["spec"]["replicas"].as_u64().unwrap_or(1);
        let mine: Vec<&Pod> = self.pods.values().filter(|p| p.of == path).collect();
        let (all, updated) = (mine.len() as u64, mine.iter().filter(|p| p.generation == generation).count() as u64);
        let status = if object["kind"] == "DaemonSet" {
            json!({ "observedGeneration": generation, "desiredNumberScheduled": wanted, "updatedNumberScheduled": updated, "numberAvailable": all.min(wanted) })
        } else {
            json!({ "observedGeneration": generation, "replicas": all, "updatedReplicas": updated, "availableReplicas": all.min(wanted), "readyReplicas": all.min(wanted) })
        };
        self.objects.get_mut(path).unwrap()["status"] = status;
        let version = self.next_version();
        self.objects.get_mut(path).unwrap()["metadata"]["resourceVersion"] = version.into();
    }
}
