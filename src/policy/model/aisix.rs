//! `gateway: { aisix: … }` — a self-hosted AISIX: its processes, and the place that they read their resources from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gateway::{KeySelector, ProviderKey};
use super::reference::Ref;
use crate::policy::scalar::{Name, Period, Url};

/// A self-hosted AISIX.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Aisix {
    /// Where its resources are changed. `keyroll plan` compares it with what each process says that it reads.
    pub resources: Resources,
    /// Every process of the gateway: a change is live when all of them say so.
    #[schemars(length(min = 1))]
    pub replicas: Vec<Replica>,
    /// The caller key to rotate; found by the value in the slot when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeySelector>,
    /// The provider key to rotate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_key: Option<ProviderKey>,
    /// Where the provider itself is asked about its key; what the key's row says when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_url: Option<Url>,
    /// How long a new caller key lives, where the old one ends by itself and nothing says when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Period>,
    /// Longest time until every process has taken a change: 75s when absent, which covers a process that connects again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_within: Option<Period>,
    /// How it is known who called with a caller key; it is not when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<CallerOf>,
    /// Whether the access log has a line with its request id for a caller that is refused; it has when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sees_refused: Option<bool>,
    /// Longest time for one call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_timeout: Option<Period>,
    /// File with the certificate of a private authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

/// One process of the gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Replica {
    /// Its proxy listener, without `/v1`.
    pub proxy: Url,
    /// Its listener for metrics and status.
    pub status: Url,
    /// The file that its access log is written to, from 0.9.0 on. Without it of every process counters tell the use of a caller key: they do
    /// not tell who calls, nor who is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

/// Where resources are changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Resources {
    /// In etcd, through its JSON gateway.
    Etcd(Etcd),
    /// Through the admin listener of a gateway up to 0.8.2.
    AdminApi(AdminApi),
    /// In the file that the processes read.
    File(ResourceFile),
}

/// An etcd that holds the resources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Etcd {
    /// A client address of it.
    pub url: Url,
    /// What the gateway's keys begin with; `/aisix` when absent. Our own notes lie under `/keyroll` and the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Who we are there; nobody when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Ref>,
}

/// The admin listener.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminApi {
    /// Its address, without `/admin`.
    pub url: Url,
    /// One of its keys.
    pub key: Ref,
    /// Said by whoever knows: no caller key has a display name, team or user. This API hides them, and a change through it removes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_hidden_fields: Option<bool>,
}

/// A file of resources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceFile {
    /// Its path.
    #[schemars(length(min = 1))]
    pub path: String,
    /// A program, with its arguments, that sends SIGHUP to every process.
    #[schemars(length(min = 1))]
    pub reload: Vec<String>,
}

/// What tells who called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallerOf {
    /// The request id that the application sets as `x-aisix-request-id`, in the access log: what comes before its last `-`. Ids that the
    /// gateway draws tell nobody.
    RequestId,
    /// The policy's word that one application alone has the key. It stands among the gaps of the evidence.
    Always(Name),
}

impl Aisix {
    /// The credential that changes are made with, where there is one.
    pub fn admin(&self) -> Option<&Ref> {
        match &self.resources {
            Resources::Etcd(etcd) => etcd.password.as_ref(),
            Resources::AdminApi(api) => Some(&api.key),
            Resources::File(_) => None,
        }
    }

    /// Every address that is called, with its place in the policy.
    pub fn urls(&self) -> Vec<(String, &Url)> {
        let mut urls = match &self.resources {
            Resources::Etcd(etcd) => vec![("gateway.aisix.resources.etcd.url".to_owned(), &etcd.url)],
            Resources::AdminApi(api) => vec![("gateway.aisix.resources.admin_api.url".to_owned(), &api.url)],
            Resources::File(_) => Vec::new(),
        };
        urls.extend(self.replicas.iter().enumerate().map(|(i, replica)| (format!("gateway.aisix.replicas[{i}].proxy"), &replica.proxy)));
        urls.extend(self.provider_url.iter().map(|url| ("gateway.aisix.provider_url".to_owned(), url)));
        urls
    }
}
