//! `gateway:` — one variant per vendor. Vendors that this build cannot drive are known by name and kept as they are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AllReferencing, aisix::Aisix, http_gateway::HttpGateway, newapi::NewApi, openrouter::OpenRouter, reference::Ref};
use crate::policy::scalar::{Name, Period, Url};

/// The gateway that issues the key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Gateway {
    /// The gateway inside keyroll, for learning and for tests.
    Sandbox(Sandbox),
    /// LiteLLM proxy.
    #[serde(rename = "litellm")]
    LiteLlm(LiteLlm),
    /// AISIX, self-hosted.
    Aisix(Box<Aisix>),
    /// LLM Gateway.
    LlmGateway(OtherGateway),
    /// OpenRouter.
    #[serde(rename = "openrouter")]
    OpenRouter(OpenRouter),
    /// ARouter.
    #[serde(rename = "arouter")]
    ARouter(OpenRouter),
    /// new-api and what speaks its dialect.
    NewApi(NewApi),
    /// Any gateway with an HTTP API, described in the policy.
    Http(Box<HttpGateway>),
    /// A gateway that only a person can operate.
    Manual(OtherGateway),
}

impl Gateway {
    /// The name of the variant, as the policy writes it.
    pub fn kind(&self) -> &'static str {
        match self {
            Gateway::Sandbox(_) => "sandbox",
            Gateway::LiteLlm(_) => "litellm",
            Gateway::Aisix(_) => "aisix",
            Gateway::LlmGateway(_) => "llm_gateway",
            Gateway::OpenRouter(_) => "openrouter",
            Gateway::ARouter(_) => "arouter",
            Gateway::NewApi(_) => "new_api",
            Gateway::Http(_) => "http",
            Gateway::Manual(_) => "manual",
        }
    }

    /// The router key to rotate, when the policy names one.
    pub fn key(&self) -> Option<&KeySelector> {
        match self {
            Gateway::Sandbox(gateway) => gateway.key.as_ref(),
            Gateway::LiteLlm(gateway) => gateway.key.as_ref(),
            Gateway::Http(gateway) => gateway.key.as_ref(),
            Gateway::Aisix(gateway) => gateway.key.as_ref(),
            Gateway::OpenRouter(gateway) | Gateway::ARouter(gateway) => gateway.key.as_ref(),
            Gateway::NewApi(gateway) => gateway.key.as_ref(),
            Gateway::LlmGateway(gateway) | Gateway::Manual(gateway) => gateway.key.as_ref(),
        }
    }

    /// The provider key to rotate, when the policy names one.
    pub fn provider_key(&self) -> Option<&ProviderKey> {
        match self {
            Gateway::Sandbox(gateway) => gateway.provider_key.as_ref(),
            Gateway::LiteLlm(gateway) => gateway.provider_key.as_ref(),
            Gateway::Http(gateway) => gateway.provider_key.as_ref(),
            Gateway::Aisix(gateway) => gateway.provider_key.as_ref(),
            // Their provider keys are not reached over HTTP.
            Gateway::OpenRouter(_) | Gateway::ARouter(_) | Gateway::NewApi(_) => None,
            Gateway::LlmGateway(gateway) | Gateway::Manual(gateway) => gateway.provider_key.as_ref(),
        }
    }

    /// The admin credential, when the policy refers to one.
    pub fn admin(&self) -> Option<&Ref> {
        match self {
            Gateway::Sandbox(gateway) => gateway.admin_key.as_ref(),
            Gateway::LiteLlm(gateway) => Some(&gateway.admin),
            Gateway::Http(gateway) => Some(&gateway.admin),
            Gateway::Aisix(gateway) => gateway.admin(),
            Gateway::OpenRouter(gateway) | Gateway::ARouter(gateway) => Some(&gateway.admin),
            Gateway::NewApi(gateway) => Some(&gateway.admin),
            Gateway::LlmGateway(gateway) | Gateway::Manual(gateway) => gateway.admin.as_ref(),
        }
    }

    /// Whether this build has an adapter for the gateway.
    pub fn in_this_build(&self) -> bool {
        match self {
            Gateway::Sandbox(_)
            | Gateway::LiteLlm(_)
            | Gateway::Aisix(_)
            | Gateway::Http(_)
            | Gateway::OpenRouter(_)
            | Gateway::ARouter(_)
            | Gateway::NewApi(_) => true,
            Gateway::LlmGateway(_) | Gateway::Manual(_) => false,
        }
    }
}

/// The gateway inside keyroll.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sandbox {
    /// Start it inside this process; needs no addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedded: Option<bool>,
    /// Folder of its state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
    /// Address of its admin API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<Url>,
    /// Addresses of its replicas.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<Url>,
    /// Address of its control API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<Url>,
    /// Folder or address of its request log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// Its admin credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_key: Option<Ref>,
    /// The router key to rotate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeySelector>,
    /// The provider key to rotate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_key: Option<ProviderKey>,
    /// Longest time for one call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_timeout: Option<Period>,
    /// Faults that are switched on from the start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Name>,
}

/// A LiteLLM proxy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LiteLlm {
    /// Address of the proxy, without `/v1`.
    pub url: Url,
    /// The master key, or a key that may manage keys.
    pub admin: Ref,
    /// The virtual key to rotate; found by the value in the slot when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeySelector>,
    /// The provider credential to rotate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_key: Option<ProviderKey>,
    /// Addresses of the single replicas; each keeps its own cache.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replicas: Vec<Url>,
    /// How long an instance goes on with what it knows of a key: its `user_api_key_cache_ttl`, 60s when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_ttl: Option<Period>,
    /// How long after a call its row is in the spend log: 15s when absent, as fits the usual `proxy_batch_write_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_lag: Option<Period>,
    /// Which field of a row in the spend log names the caller: the end user, else the user agent, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<Caller>,
    /// Longest time for one call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_timeout: Option<Period>,
    /// File with the certificate of a private authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

/// Which field of LiteLLM's spend log names the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Caller {
    /// The request's `user`; not where that names the application's own customers.
    EndUser,
    /// The first word of the user agent, without its version.
    UserAgent,
}

/// A gateway that is known by name: its settings are kept, but not checked beyond what all gateways share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OtherGateway {
    /// Address of the admin API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Url>,
    /// The admin credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<Ref>,
    /// The router key to rotate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeySelector>,
    /// The provider key to rotate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_key: Option<ProviderKey>,
    /// Everything else, as written.
    #[serde(flatten)]
    pub rest: serde_json::Map<String, serde_json::Value>,
}

/// Which router key is rotated: by exactly one of its names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeySelector {
    /// Its alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where the key itself is kept; needed only where no slot can be read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Ref>,
}

/// A provider key: the upstream credential that the gateway presents to a provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderKey {
    /// Its name in the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its id in the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Where the new upstream secret comes from. A command or a prompt is asked once for each attempt; a file or a variable is read again
    /// after a crash.
    pub issuer: Ref,
    /// Where the outgoing upstream secret can be read. With it the provider itself is asked, at the end, whether it refuses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Ref>,
    /// Which models are repointed.
    pub models: Models,
}

/// Which models are repointed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Models {
    /// Each model that refers to the old key, also those that appear during the run.
    All(AllReferencing),
    /// These, and no others.
    Listed(#[schemars(length(min = 1))] Vec<String>),
}
