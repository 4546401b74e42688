//! Workloads and their pods, as far as a restart needs to know them.

use super::references::{Way, ways};
use super::standing::PodSeen;
use crate::secret::Fingerprint;
use crate::support::text::clean_to;
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde::Deserialize;

/// On a template: when we changed it, in milliseconds since 1970 by our clock.
pub(super) const RESTARTED: &str = "keyroll/restarted-at";
/// On a template: what its Secret held then.
pub(super) const HELD: &str = "keyroll/value";

/// A kind of workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// Any number of equal pods.
    Deployment,
    /// Pods with names of their own.
    StatefulSet,
    /// A pod on every node.
    DaemonSet,
    /// Pods every so often.
    CronJob,
}

impl Sort {
    /// Those that are restarted.
    pub(super) const LASTING: [Self; 3] = [Self::Deployment, Self::StatefulSet, Self::DaemonSet];
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::Deployment, Self::StatefulSet, Self::DaemonSet, Self::CronJob];

    /// By the word of the policy.
    pub(super) fn of(word: &str) -> Option<Self> {
        match word {
            "deployment" => Some(Self::Deployment),
            "statefulset" => Some(Self::StatefulSet),
            "daemonset" => Some(Self::DaemonSet),
            "cronjob" => Some(Self::CronJob),
            _ => None,
        }
    }

    /// As the policy and messages write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::StatefulSet => "statefulset",
            Self::DaemonSet => "daemonset",
            Self::CronJob => "cronjob",
        }
    }

    /// The path of all of this kind in a namespace.
    pub(super) fn all(self, namespace: &str) -> String {
        let group = match self {
            Self::Deployment | Self::StatefulSet | Self::DaemonSet => "apps",
            Self::CronJob => "batch",
        };
        format!("/apis/{group}/v1/namespaces/{namespace}/{}s", self.word())
    }
}

/// One workload, whatever its kind.
#[derive(Deserialize)]
pub(super) struct Workload {
    pub(super) metadata: ObjectMeta,
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    selector: Option<LabelSelector>,
    template: Option<PodTemplateSpec>,
    job_template: Option<JobTemplate>,
    replicas: Option<i32>,
    paused: Option<bool>,
    update_strategy: Option<Strategy>,
    schedule: Option<String>,
}

#[derive(Deserialize)]
struct Strategy {
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct JobTemplate {
    spec: Option<JobSpec>,
}

#[derive(Deserialize)]
struct JobSpec {
    template: PodTemplateSpec,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Status {
    observed_generation: Option<i64>,
    replicas: Option<i32>,
    updated_replicas: Option<i32>,
    desired_number_scheduled: Option<i32>,
    updated_number_scheduled: Option<i32>,
}

impl Workload {
    pub(super) fn name(&self) -> String {
        clean_to(self.metadata.name.as_deref().unwrap_or_default(), 120)
    }

    pub(super) fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    /// When a CronJob runs.
    pub(super) fn schedule(&self) -> Option<&str> {
        self.spec.schedule.as_deref()
    }

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.template.as_ref().or_else(|| Some(&self.spec.job_template.as_ref()?.spec.as_ref()?.template))
    }

    /// How its pods read a Secret.
    pub(super) fn ways(&self, secret: &str, key: Option<&str>) -> Vec<Way> {
        self.template().and_then(|t| t.spec.as_ref()).map(|spec| ways(spec, secret, key)).unwrap_or_default()
    }

    /// Why a changed template would not become new pods; none when it would.
    pub(super) fn stuck(&self) -> Option<&'static str> {
        if self.spec.paused == Some(true) {
            return Some("its rollout is paused; resume it first");
        }
        let by_hand = self.spec.update_strategy.as_ref().and_then(|s| s.kind.as_deref()) == Some("OnDelete");
        if by_hand {
            return Some("its update strategy is OnDelete, so a restart changes nothing; delete its pods by hand and leave `restart` out");
        }
        (!self.rolled_out()).then_some("a rollout is under way, and a restart now would take its changes along; let it end first")
    }

    /// Its controller has seen the newest template and made all pods from it.
    pub(super) fn rolled_out(&self) -> bool {
        let status = &self.status;
        let seen = status.observed_generation.unwrap_or(0) >= self.metadata.generation.unwrap_or(0);
        let all = status.replicas.or(status.desired_number_scheduled).unwrap_or(0);
        let updated = status.updated_replicas.or(status.updated_number_scheduled).unwrap_or(0);
        seen && updated >= all && updated >= self.spec.replicas.unwrap_or(0)
    }

    /// It is meant to run nothing.
    pub(super) fn is_off(&self) -> bool {
        self.spec.replicas == Some(0)
    }

    /// It is meant to run once.
    pub(super) fn is_single(&self) -> bool {
        self.spec.replicas == Some(1)
    }

    /// What the API takes to find its pods.
    pub(super) fn selector(&self) -> Option<String> {
        let selector = self.spec.selector.as_ref()?;
        let mut parts: Vec<String> = selector.match_labels.iter().flatten().map(|(k, v)| format!("{k}={v}")).collect();
        for one in selector.match_expressions.iter().flatten() {
            let values = one.values.as_deref().unwrap_or_default().join(",");
            parts.push(match one.operator.as_str() {
                "In" => format!("{} in ({values})", one.key),
                "NotIn" => format!("{} notin ({values})", one.key),
                "Exists" => one.key.clone(),
                "DoesNotExist" => format!("!{}", one.key),
                _ => return None,
            });
        }
        (!parts.is_empty()).then(|| parts.join(","))
    }

    /// When our last restart changed its template.
    pub(super) fn restarted_at(&self) -> Option<i64> {
        note(self.template()?.metadata.as_ref(), RESTARTED)?.parse().ok()
    }
}

/// What is seen of a pod.
pub(super) fn seen(pod: &Pod, secret: Option<(&str, &str)>) -> PodSeen {
    let status = pod.status.as_ref();
    let phase = status.and_then(|s| s.phase.as_deref()).unwrap_or_default();
    let conditions = status.and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    let running = status.and_then(|s| s.container_statuses.as_deref()).unwrap_or_default();
    let starts = running.iter().filter_map(|c| c.state.as_ref()?.running.as_ref()?.started_at.as_ref());
    let first = starts.map(|t| t.0.as_millisecond()).min();
    let ways = pod.spec.as_ref().zip(secret).map(|(spec, (name, key))| ways(spec, name, Some(key))).unwrap_or_default();
    // What runs before the others reads when the pod starts.
    let begun = status.and_then(|s| s.start_time.as_ref()).map(|t| t.0.as_millisecond());
    let started = if ways.contains(&Way::Init) { begun.min(first) } else { first };
    let metadata = Some(&pod.metadata);
    let restart =
        note(metadata, RESTARTED).and_then(|at| at.parse().ok()).zip(note(metadata, HELD).and_then(|f| Fingerprint::parse(f).ok()));
    PodSeen {
        name: clean_to(pod.metadata.name.as_deref().unwrap_or_default(), 120),
        ended: matches!(phase, "Succeeded" | "Failed"),
        ending: pod.metadata.deletion_timestamp.is_some(),
        ready: conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True"),
        started,
        restart,
        ways,
    }
}

fn note<'a>(metadata: Option<&'a ObjectMeta>, name: &str) -> Option<&'a str> {
    metadata?.annotations.as_ref()?.get(name).map(String::as_str)
}
