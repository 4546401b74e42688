//! Consumers that are workloads in Kubernetes: restarted one after the other, and asked what their pods hold.
//!
//! A restart is a change of the template that says what the Secret held when it was made. It is made only when the Secret that the pods read
//! (the last hop, which may be a copy of what the slot holds) has the new value, and after the nodes had time to hear of it. It has ended
//! when no pod of before is left.

#[cfg(test)]
mod chain_tests;
mod check;
mod delivery;
pub mod discover;
mod references;
mod standing;
mod workload;

pub use references::Way;
pub use workload::Sort;

use crate::adapters::secrets::kubernetes::{Cluster, Object, Problem, Wanted, is_label, is_subdomain, parse};
use crate::policy::model::consumer::{Delivery, KubernetesReload};
use crate::policy::model::slot::KubernetesSlot;
use crate::ports::{PortError, Result};
use crate::rotation::{Ack, App, Time};
use crate::secret::{Fingerprint, FingerprintKey, Scrubber};
use crate::support::clock;
use crate::support::text::clean_to;
use k8s_openapi::api::core::v1::Pod;
use kube::config::Kubeconfig;
use serde::Deserialize;
use serde_json::json;
use standing::{Clocks, LastHop, PodSeen, SPREAD, Standing};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;
use workload::{HELD, RESTARTED, Workload, seen};
use zeroize::Zeroizing;

/// Between two looks at a rollout.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a restart may take when the policy does not say.
const WITHIN: Duration = Duration::from_secs(600);

type Soon<T> = Pin<Box<dyn Future<Output = T>>>;

/// What the slot that is rotated holds now.
pub type SlotHolds = Rc<dyn Fn() -> Soon<Result<Option<Fingerprint>>>>;
/// A pause; false when the run was asked to stop.
pub type Pause = Rc<dyn Fn(Duration) -> Soon<bool>>;

/// What is needed besides the policy.
pub struct Settings {
    /// One call takes no longer.
    pub timeout: Duration,
    /// Variables that no login program gets.
    pub withhold: Vec<String>,
    /// Learns the tokens that login programs give.
    pub scrubber: Scrubber,
    /// Stands for the kubeconfig of the environment.
    pub kubeconfig: Option<Kubeconfig>,
    /// The slots of the policy that are in Kubernetes.
    pub slots: Vec<KubernetesSlot>,
    /// What fingerprints are made with.
    pub fingerprints: Rc<FingerprintKey>,
    /// What the first slot of the policy holds.
    pub holds: SlotHolds,
    /// Waits.
    pub pause: Pause,
}

/// The workloads of a policy.
pub struct Workloads {
    settings: Settings,
    clusters: RefCell<BTreeMap<Wanted, Rc<Cluster>>>,
}

/// One consumer, resolved: where it is and what its pods read.
struct Target<'a> {
    reload: &'a KubernetesReload,
    cluster: Rc<Cluster>,
    system: String,
    /// The Secret at the last hop and the key in it; none where pods fetch the value themselves.
    reads: Option<(String, String)>,
    /// That Secret is a slot of the policy, no copy of one.
    is_slot: bool,
}

impl Target<'_> {
    fn failed(&self, problem: Problem, changes: bool) -> PortError {
        problem.into_port(&self.system, "reload", changes)
    }

    fn refused(&self, why: impl Into<String>) -> PortError {
        PortError::Refused { system: self.system.clone(), action: "reload".into(), why: why.into() }
    }
}

#[derive(Deserialize)]
struct Job {
    metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
}

impl Workloads {
    /// The workloads of a policy; nobody is asked yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, clusters: RefCell::new(BTreeMap::new()) }
    }

    fn target<'a>(&self, app: &App, reload: &'a KubernetesReload) -> Result<Target<'a>> {
        let system = format!("consumer {app}");
        let refused = |why: String| PortError::Refused { system: system.clone(), action: "find it in Kubernetes".into(), why };
        let names = reload.named().filter(|(way, _)| *way != "selector").map(|(_, name)| name);
        if !is_label(&reload.namespace) || names.into_iter().any(|n| !is_subdomain(n)) {
            return Err(refused("its namespace or name is no name of Kubernetes".into()));
        }
        let near = self.settings.slots.iter().find(|s| s.namespace == reload.namespace);
        let slot = near.or(self.settings.slots.first());
        let wanted = match (&reload.context, &reload.cluster, slot) {
            (None, None, Some(slot)) => Wanted { context: slot.context.clone(), cluster: slot.cluster.clone() },
            (context, cluster, _) => Wanted { context: context.clone(), cluster: cluster.clone() },
        };
        let fetches = reload.through.as_ref().is_some_and(Delivery::fetches);
        let reads = match (&reload.reads, near) {
            _ if fetches => None,
            (Some(reads), _) => Some((reads.secret.clone(), reads.key.clone())),
            (None, Some(slot)) => Some((slot.secret.clone(), slot.key.clone())),
            (None, None) => return Err(refused("which Secret its pods read is not known; write `reads: { secret: …, key: … }`".into())),
        };
        if reads.as_ref().is_some_and(|(secret, _)| !is_subdomain(secret)) {
            return Err(refused("the Secret that its pods read has no name of Kubernetes".into()));
        }
        let same = |s: &KubernetesSlot| {
            s.namespace == reload.namespace && reads.as_ref().is_some_and(|(secret, key)| *secret == s.secret && *key == s.key)
        };
        let is_slot = self.settings.slots.iter().any(same);
        Ok(Target { reload, cluster: self.cluster(wanted).map_err(refused)?, system, reads, is_slot })
    }

    fn cluster(&self, wanted: Wanted) -> std::result::Result<Rc<Cluster>, String> {
        if let Some(known) = self.clusters.borrow().get(&wanted) {
            return Ok(known.clone());
        }
        let s = &self.settings;
        let made = Rc::new(Cluster::new(wanted.clone(), s.kubeconfig.clone(), s.timeout, s.withhold.clone(), s.scrubber.clone())?);
        self.clusters.borrow_mut().insert(wanted, made.clone());
        Ok(made)
    }

    /// The workloads that a policy means, in the order of their kinds and names.
    async fn workloads(&self, target: &Target<'_>) -> Result<Vec<(Sort, Workload)>> {
        let Some((way, name)) = target.reload.named().next() else { return Err(target.refused("it names no workload")) };
        let namespace = &target.reload.namespace;
        if let Some(sort) = Sort::of(way) {
            let path = format!("{}/{name}", sort.all(namespace));
            let found = target.cluster.find(&path).await.map_err(|p| target.failed(p, false))?;
            let found = found.ok_or_else(|| target.refused(format!("there is no {} {}", sort.word(), clean_to(name, 120))))?;
            return Ok(vec![(sort, parse(&found.body).map_err(|p| target.failed(p, false))?)]);
        }
        let mut all = Vec::new();
        for sort in Sort::LASTING {
            let (found, _) = target.cluster.list::<Workload>(&sort.all(namespace), name).await.map_err(|p| target.failed(p, false))?;
            all.extend(found.into_iter().map(|w| (sort, w)));
        }
        if all.is_empty() {
            return Err(target.refused(format!("no workload has the labels {}", clean_to(name, 200))));
        }
        Ok(all)
    }

    /// What the pods read, and what it should hold: the value of the slot.
    async fn last_hop(&self, target: &Target<'_>) -> Result<LastHop> {
        let Some((secret, key)) = &target.reads else {
            let is = (self.settings.holds)().await?.ok_or_else(|| target.refused("the slot that its pods fetch from holds nothing"))?;
            return Ok(LastHop { is, since: None });
        };
        let path = format!("/api/v1/namespaces/{}/secrets/{secret}", target.reload.namespace);
        let answer = target.cluster.find(&path).await.map_err(|p| target.failed(p, false))?;
        let answer = answer.ok_or_else(|| target.refused(format!("there is no Secret {secret} for its pods to read")))?;
        let object = Object::parse(&answer.body, key).map_err(|p| target.failed(p, false))?;
        let value = object.value.as_ref().ok_or_else(|| target.refused(format!("the Secret {secret} has no key {}", clean_to(key, 80))))?;
        Ok(LastHop { is: self.settings.fingerprints.of(value), since: object.written_at() })
    }

    /// The pods of one workload, and both clocks.
    async fn pods(&self, target: &Target<'_>, sort: Sort, workload: &Workload) -> Result<(Vec<PodSeen>, Clocks)> {
        let namespace = &target.reload.namespace;
        let failed = |p: Problem| target.failed(p, false);
        let path = format!("/api/v1/namespaces/{namespace}/pods");
        let (pods, date) = match sort {
            Sort::Deployment | Sort::StatefulSet | Sort::DaemonSet => {
                let selector = workload.selector().ok_or_else(|| target.refused("how its pods are found is not known"))?;
                target.cluster.list::<Pod>(&path, &selector).await.map_err(failed)?
            }
            Sort::CronJob => {
                let jobs = format!("/apis/batch/v1/namespaces/{namespace}/jobs");
                let (jobs, _) = target.cluster.list::<Job>(&jobs, "").await.map_err(failed)?;
                let made = |j: &Job| j.metadata.owner_references.iter().flatten().any(|o| o.uid == workload.uid());
                let names: Vec<String> = jobs.into_iter().filter(made).filter_map(|j| j.metadata.name).collect();
                let (pods, date) = target.cluster.list::<Pod>(&path, "job-name").await.map_err(failed)?;
                let of = |p: &Pod| p.metadata.labels.iter().flatten().any(|(k, v)| k == "job-name" && names.contains(v));
                (pods.into_iter().filter(of).collect(), date)
            }
        };
        let reads = target.reads.as_ref().map(|(secret, key)| (secret.as_str(), key.as_str()));
        let ours = clock::wall_millis();
        Ok((pods.iter().map(|p| seen(p, reads)).collect(), Clocks { cluster: date.unwrap_or(ours), ours }))
    }

    async fn standing(&self, target: &Target<'_>, sort: Sort, workload: &Workload, hop: &LastHop) -> Result<Standing> {
        let (mut pods, clocks) = self.pods(target, sort, workload).await?;
        // A run that is over did its work with what it read; that it read the new value is what is asked here.
        if sort == Sort::CronJob {
            let before = |p: &PodSeen| hop.since.is_none_or(|since| p.started.is_none_or(|at| at <= since.saturating_add(SPREAD)));
            pods.retain(|p| !(p.ended && before(p)));
            pods.iter_mut().for_each(|p| {
                p.ready |= p.ended;
                p.ended = false;
            });
        }
        let mut standing = standing::judge(&pods, hop, clocks);
        if standing.on == 0 && standing.missing.is_empty() {
            if workload.is_off() {
                standing.loaded_at = Some(clocks.ours);
            } else {
                let none = if sort == Sort::CronJob { "has not run since the value is there" } else { "has no pod" };
                standing.missing.push(format!("{} {} {none}", sort.word(), workload.name()));
            }
        }
        if sort != Sort::CronJob && !workload.rolled_out() {
            standing.missing.push(format!("{} {} is still being rolled out", sort.word(), workload.name()));
        }
        Ok(standing)
    }

    /// What its pods hold: all of them the value of the last hop, or an error that names those that do not.
    ///
    /// # Errors
    /// When somebody is missing, or nobody could be asked.
    pub async fn acknowledged(&self, app: &App, reload: &KubernetesReload) -> Result<Option<Ack>> {
        let target = self.target(app, reload)?;
        let hop = self.last_hop(&target).await?;
        let mut loaded = None;
        for (sort, workload) in self.workloads(&target).await? {
            let standing = self.standing(&target, sort, &workload, &hop).await?;
            if !standing.complete() {
                return Err(PortError::Unreadable { system: target.system.clone(), why: standing.words() });
            }
            loaded = loaded.min(standing.loaded_at).or(standing.loaded_at);
        }
        Ok(loaded.map(|at| Ack { app: app.clone(), loaded_at: Time(at), holds: Some(hop.is), key: None }))
    }

    /// Restarts what is to be restarted, one workload after the other, and waits for each.
    ///
    /// # Errors
    /// When it cannot be restarted, or not every pod has started anew in time: with the names of those that have not.
    pub async fn reload(&self, app: &App, reload: &KubernetesReload) -> Result<()> {
        if !reload.restarts() {
            return Ok(());
        }
        let target = self.target(app, reload)?;
        let within = reload.within.map_or(WITHIN, |p| Duration::from_millis(p.as_millis()));
        let refresh =
            reload.through.as_ref().filter(|t| t.copies()).map_or(Duration::ZERO, |t| Duration::from_millis(t.refresh().as_millis()));
        let hop = self.arrived(&target, within.saturating_add(refresh)).await?;
        for (sort, workload) in self.workloads(&target).await? {
            self.restart(&target, sort, &workload, &hop, within).await?;
        }
        Ok(())
    }

    /// Waits until the last hop holds what the slot holds, and until the nodes had time to hear of it.
    async fn arrived(&self, target: &Target<'_>, longest: Duration) -> Result<LastHop> {
        let until = deadline(longest);
        let mut asked = false;
        loop {
            let hop = self.last_hop(target).await?;
            let copied = target.reload.through.as_ref().filter(|t| t.copies());
            let is_copy = target.reads.is_some() && !target.is_slot;
            let wanted = if is_copy { (self.settings.holds)().await? } else { None };
            if wanted.is_none_or(|wanted| wanted == hop.is) {
                // The order of all that follows rests on this pause, not on anybody's clock.
                self.pause(target, Duration::from_millis(SPREAD.unsigned_abs())).await?;
                let again = self.last_hop(target).await?;
                if again == hop {
                    return Ok(hop);
                }
                continue;
            }
            if let (Some(through), false) = (copied, asked) {
                delivery::hurry(&target.cluster, &target.reload.namespace, through).await.map_err(|p| target.failed(p, false))?;
                asked = true;
            }
            if clock::boot_millis() >= until {
                let what = copied.map(delivery::words).unwrap_or_default();
                return Err(target.refused(format!("the new value has not reached the Secret that its pods read; {what}")));
            }
            self.pause(target, LOOK_EVERY).await?;
        }
    }

    async fn restart(&self, target: &Target<'_>, sort: Sort, workload: &Workload, hop: &LastHop, within: Duration) -> Result<()> {
        let named = format!("{} {}", sort.word(), workload.name());
        if let Some(why) = workload.stuck() {
            return Err(target.refused(format!("{named}: {why}")));
        }
        if let Some((secret, key)) = &target.reads
            && workload.ways(secret, Some(key)).iter().all(|w| *w == Way::Pull)
        {
            return Err(target.refused(format!("{named} does not read key {} of Secret {secret}", clean_to(key, 80))));
        }
        let path = format!("{}/{}", sort.all(&target.reload.namespace), workload.name());
        let at = clock::wall_millis();
        let notes = json!({ "kubectl.kubernetes.io/restartedAt": Time(at).rfc3339(), RESTARTED: at.to_string(), HELD: hop.is.as_str() });
        let body = json!({ "spec": { "template": { "metadata": { "annotations": notes } } } });
        let sent = target.cluster.patch(&path, Zeroizing::new(body.to_string().into_bytes())).await;
        if let Err(problem) = sent {
            // Whether it went through is what the template says.
            let now: Option<Workload> = match target.cluster.find(&path).await {
                Ok(Some(answer)) => parse(&answer.body).ok(),
                Ok(None) | Err(_) => None,
            };
            if now.is_none_or(|w| w.restarted_at() != Some(at)) {
                return Err(target.failed(problem, true));
            }
        }
        self.wait_for(target, sort, &path, at, hop, within).await
    }

    /// Waits until every pod of a workload comes from this restart.
    async fn wait_for(&self, target: &Target<'_>, sort: Sort, path: &str, at: i64, hop: &LastHop, within: Duration) -> Result<()> {
        let until = deadline(within);
        loop {
            self.pause(target, LOOK_EVERY).await?;
            let workload: Workload = target.cluster.read(path).await.map_err(|p| target.failed(p, true))?;
            let standing = self.standing(target, sort, &workload, hop).await?;
            let anew = standing.loaded_at.is_none_or(|loaded| loaded >= at);
            if standing.complete() && anew {
                return Ok(());
            }
            if clock::boot_millis() >= until {
                let named = format!("{} {}", sort.word(), workload.name());
                return Err(target.refused(format!("{named} was restarted, and after {}s {}", within.as_secs(), standing.words())));
            }
        }
    }

    async fn pause(&self, target: &Target<'_>, length: Duration) -> Result<()> {
        if (self.settings.pause)(length).await {
            return Ok(());
        }
        Err(PortError::Unreachable {
            system: target.system.clone(),
            why: "the run was asked to stop while this was awaited; it is done again when it goes on".into(),
            may_have_happened: false,
        })
    }
}

fn deadline(length: Duration) -> u64 {
    clock::boot_millis().saturating_add(u64::try_from(length.as_millis()).unwrap_or(u64::MAX))
}
