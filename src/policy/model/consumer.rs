//! `consumers:` — who uses the key, how each learns of a new one, and how each is recognised.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AllReferencing, Hand, Nothing};
use crate::policy::scalar::{Day, Name, Period, Url};

/// The consumers: written out, or found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Consumers {
    /// Written out.
    Listed(Vec<Consumer>),
    /// Found at plan time, and frozen into the plan.
    Discovered(Discovery),
}

impl Consumers {
    /// The consumers that are written out.
    pub fn listed(&self) -> &[Consumer] {
        match self {
            Consumers::Listed(consumers) => consumers,
            Consumers::Discovered(_) => &[],
        }
    }
}

/// Consumers that are found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Discovery {
    /// Where to look.
    pub discover: Discover,
}

/// Where consumers are looked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Discover {
    /// Workloads that refer to the Secret.
    Kubernetes(AllReferencing),
}

/// One application, job or notebook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Consumer {
    /// Its name.
    pub app: Name,
    /// The team that answers for it; the owner of the rotation when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// How it learns of a new value.
    pub reload: Reload,
    /// How often it makes calls: `continuous`, or the longest pause between two.
    pub cadence: Cadence,
    /// How its calls are recognised in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_as: Option<SeenAs>,
    /// How it says which value it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack: Option<Ack>,
    /// Whether it gets the new value first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<bool>,
    /// How many copies of it run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub replicas: Option<u32>,
}

/// How a consumer learns of a new value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Reload {
    /// A program is run; its exit status alone is no acknowledgement.
    Command(#[schemars(length(min = 1))] Vec<String>),
    /// An address is called.
    Http(HttpReload),
    /// It reads the store again by itself.
    Dynamic(DynamicReload),
    /// A workload in Kubernetes.
    Kubernetes(Box<KubernetesReload>),
    /// A person does it: keyroll says what to do, and checks.
    By(Hand),
}

/// An address that reloads a consumer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpReload {
    /// The address.
    pub url: Url,
    /// `POST` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
}

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Method {
    Get,
    Post,
    Put,
}

/// A consumer that reads the store again by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DynamicReload {
    /// How long it may keep an old value.
    pub ttl: Period,
}

/// A workload in Kubernetes, or several by their labels; exactly one way to name it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubernetesReload {
    /// Which cluster, by the name of its context; that of the `kubernetes` slot when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Which cluster, by the uid of its namespace `kube-system` or the address of its API server; another one is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Its namespace.
    pub namespace: String,
    /// A Deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// A StatefulSet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statefulset: Option<String>,
    /// A DaemonSet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daemonset: Option<String>,
    /// A CronJob; it is never restarted, its next run reads the new value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cronjob: Option<String>,
    /// Labels of Deployments, StatefulSets and DaemonSets, such as `app=chat,tier=web`; they are restarted one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Whether to restart it; without this it is only watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<bool>,
    /// The Secret that its pods read; that of the `kubernetes` slot in this namespace when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads: Option<SecretKey>,
    /// What brings the value from the slot to the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Delivery>,
    /// How long a restart may take until every pod has started anew; ten minutes when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Period>,
}

impl KubernetesReload {
    /// Every way in which it is named.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let ways = [
            ("deployment", &self.deployment),
            ("statefulset", &self.statefulset),
            ("daemonset", &self.daemonset),
            ("cronjob", &self.cronjob),
            ("selector", &self.selector),
        ];
        ways.into_iter().filter_map(|(way, name)| name.as_deref().map(|name| (way, name)))
    }

    /// It is restarted by us.
    pub fn restarts(&self) -> bool {
        self.restart == Some(true) && self.cronjob.is_none()
    }
}

/// One key of a Secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretKey {
    /// The Secret.
    pub secret: String,
    /// The key in its data.
    pub key: String,
}

/// What brings a value from the slot to the pods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Delivery {
    /// External Secrets copies it into the Secret; it is asked to do so at once.
    ExternalSecret(CopiedBy),
    /// The Vault Secrets Operator copies it into the Secret.
    VaultStaticSecret(CopiedBy),
    /// A Vault Agent beside the program fetches it: when the pod starts, and again in this time.
    VaultAgent(FetchedBy),
    /// A CSI driver mounts it: when the pod starts, and again in this time.
    Csi(FetchedBy),
    /// Reloader restarts the workload when the Secret changes.
    Reloader(FetchedBy),
}

/// An object that makes a copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CopiedBy {
    /// Its name.
    pub name: String,
    /// How often it copies by itself.
    pub refresh: Period,
}

/// Something that fetches or acts every so often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FetchedBy {
    /// How often.
    pub refresh: Period,
}

impl Delivery {
    /// How long it may take by itself.
    pub fn refresh(&self) -> Period {
        match self {
            Delivery::ExternalSecret(copied) | Delivery::VaultStaticSecret(copied) => copied.refresh,
            Delivery::VaultAgent(fetched) | Delivery::Csi(fetched) | Delivery::Reloader(fetched) => fetched.refresh,
        }
    }

    /// The pods fetch the value themselves when they start: there is no Secret to look at.
    pub fn fetches(&self) -> bool {
        match self {
            Delivery::VaultAgent(_) | Delivery::Csi(_) => true,
            Delivery::ExternalSecret(_) | Delivery::VaultStaticSecret(_) | Delivery::Reloader(_) => false,
        }
    }

    /// Something copies the value into the Secret that pods read.
    pub fn copies(&self) -> bool {
        match self {
            Delivery::ExternalSecret(_) | Delivery::VaultStaticSecret(_) => true,
            Delivery::VaultAgent(_) | Delivery::Csi(_) | Delivery::Reloader(_) => false,
        }
    }
}

/// How often a consumer makes calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Cadence {
    /// All the time.
    Always(Continuous),
    /// At least once in this time.
    Every(Period),
}

impl Cadence {
    /// The longest pause between two calls; nothing for a continuous consumer.
    pub fn every(self) -> Option<Period> {
        match self {
            Cadence::Always(Continuous::Continuous) => None,
            Cadence::Every(period) => Some(period),
        }
    }
}

/// The word `continuous`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Continuous {
    /// All the time.
    Continuous,
}

/// How calls of a consumer are recognised in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeenAs {
    /// Field of the log line.
    pub field: String,
    /// Its value.
    pub equals: String,
}

/// How a consumer says which value it holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ack {
    /// It writes the version it holds into a file.
    VersionFile(#[schemars(length(min = 1))] String),
    /// It answers with the version it holds.
    Http(HttpAck),
    /// Its first call with the new key is the acknowledgement.
    FirstUse(Nothing),
}

/// An address that answers with the version a consumer holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpAck {
    /// The address.
    pub url: Url,
}

/// A consumer that may stay on the old key for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// The consumer.
    pub app: Name,
    /// The last day.
    pub until: Day,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub why: String,
}

/// A caller that was seen in the log and belongs to no consumer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unclaimed {
    /// The caller, as the log names it.
    pub caller: String,
    /// Who answers for letting it go.
    pub owner: String,
    /// Why it may be cut off.
    pub why: String,
    /// The last day on which this holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Day>,
}

/// Consumers by name, for lookups.
pub fn by_app(consumers: &[Consumer]) -> BTreeMap<&str, &Consumer> {
    consumers.iter().map(|consumer| (consumer.app.as_str(), consumer)).collect()
}
