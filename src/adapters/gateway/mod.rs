//! Gateways: one file per vendor, one variant each. A new vendor is a file and a variant; the compiler lists what is missing.

mod aisix;
mod check;
mod http;
mod litellm;
mod newapi;
pub(super) mod notes;
mod openrouter;
mod probe;
mod sandbox;
#[cfg(test)]
mod tests;
pub(super) mod wire;

pub use aisix::{
    AdminAccess, AisixGateway, AisixProber, AisixSettings, AisixStore, EtcdAccess, FileAccess, LIVE_WITHIN as AISIX_LIVE_WITHIN,
    OwnCalls as AisixOwnCalls, aisix,
};
pub use check::reach;
pub use http::{HttpGatewayDriver, HttpProber, described};
pub use litellm::{CACHE as LITELLM_CACHE, LiteLlmGateway, LiteLlmProber};
pub(crate) use newapi::{Console, Token, owner};
pub use newapi::{LOG as NEW_API_LOG, Ledger, NewApiGateway, NewApiProber, Settings as NewApiSettings};
pub use openrouter::{COUNTERS, Dialect as OpenRouterDialect, Meter, OpenRouterGateway, OpenRouterProber, Settings as OpenRouterSettings};
pub use sandbox::{SandboxGateway, SandboxProber};
pub use wire::Access;

use crate::ports::{CallAnswer, Gateway, MintRequest, Minted, Prober, Result};
use crate::rotation::{Endpoint, EndpointFacts, GatewayCaps, GatewayIdentity, KeyFacts, KeyId, Marker, ModelName, Probe, RequestId, Time};
use crate::secret::SecretText;

/// Any gateway of this build.
pub enum AnyGateway {
    /// The gateway inside keyroll.
    Sandbox(SandboxGateway),
    /// LiteLLM proxy.
    LiteLlm(LiteLlmGateway),
    /// AISIX, self-hosted.
    Aisix(AisixGateway),
    /// One that the policy describes.
    Http(HttpGatewayDriver),
    /// OpenRouter or ARouter.
    OpenRouter(Box<OpenRouterGateway>),
    /// new-api.
    NewApi(Box<NewApiGateway>),
}

/// Any prober of this build.
pub enum AnyProber {
    /// For the gateway inside keyroll.
    Sandbox(SandboxProber),
    /// For LiteLLM proxy.
    LiteLlm(LiteLlmProber),
    /// For AISIX.
    Aisix(AisixProber),
    /// For one that the policy describes.
    Http(HttpProber),
    /// For OpenRouter or ARouter.
    OpenRouter(Box<OpenRouterProber>),
    /// For new-api.
    NewApi(Box<NewApiProber>),
}

/// The same call on whichever variant there is.
macro_rules! forward {
    ($any:expr, $one:ident => $call:expr) => {
        match $any {
            Self::Sandbox($one) => $call,
            Self::LiteLlm($one) => $call,
            Self::Aisix($one) => $call,
            Self::Http($one) => $call,
            Self::OpenRouter($one) => $call,
            Self::NewApi($one) => $call,
        }
    };
}

impl AnyGateway {
    /// The driver's name, as policies write it.
    pub fn driver(&self) -> &'static str {
        match self {
            Self::Sandbox(_) => "sandbox",
            Self::LiteLlm(_) => "litellm",
            Self::Aisix(_) => "aisix",
            Self::Http(_) => "http",
            Self::OpenRouter(one) => one.driver(),
            Self::NewApi(_) => "new_api",
        }
    }

    /// Where the data plane can be tried, and which log shard holds the rows of each place.
    ///
    /// # Errors
    /// When the gateway cannot be asked.
    pub async fn endpoints(&self) -> Result<Vec<EndpointFacts>> {
        forward!(self, g => g.endpoints().await)
    }

    /// The files of the gateway's own request log, where it has one that can be read here.
    ///
    /// # Errors
    /// When the gateway cannot be asked.
    pub async fn log_files(&self) -> Result<Vec<String>> {
        forward!(self, g => g.log_files().await)
    }
}

impl Gateway for AnyGateway {
    async fn identity(&self) -> Result<GatewayIdentity> {
        forward!(self, g => g.identity().await)
    }

    async fn capabilities(&self) -> Result<GatewayCaps> {
        forward!(self, g => g.capabilities().await)
    }

    async fn now(&self) -> Result<Time> {
        forward!(self, g => g.now().await)
    }

    fn value_prefix(&self) -> &'static str {
        forward!(self, g => g.value_prefix())
    }

    async fn list(&self) -> Result<Vec<KeyFacts>> {
        forward!(self, g => g.list().await)
    }

    async fn mint(&self, request: MintRequest<'_>) -> Result<Minted> {
        forward!(self, g => g.mint(request).await)
    }

    async fn set_enabled(&self, id: &KeyId, enabled: bool) -> Result<()> {
        forward!(self, g => g.set_enabled(id, enabled).await)
    }

    async fn delete(&self, id: &KeyId) -> Result<()> {
        forward!(self, g => g.delete(id).await)
    }

    async fn mark(&self, id: &KeyId, marker: &Marker) -> Result<()> {
        forward!(self, g => g.mark(id, marker).await)
    }

    async fn models(&self) -> Result<Vec<(ModelName, KeyId)>> {
        forward!(self, g => g.models().await)
    }

    async fn projection(&self) -> Result<Vec<(Endpoint, ModelName, KeyId)>> {
        forward!(self, g => g.projection().await)
    }

    async fn repoint(&self, model: &ModelName, from: &KeyId, to: &KeyId) -> Result<()> {
        forward!(self, g => g.repoint(model, from, to).await)
    }
}

impl Prober for AnyProber {
    async fn call(&self, endpoint: &Endpoint, probe: &Probe, secret: &SecretText, request: &RequestId) -> CallAnswer {
        forward!(self, p => p.call(endpoint, probe, secret, request).await)
    }

    async fn identify(&self, secret: &SecretText, request: &RequestId) -> Result<Option<KeyId>> {
        forward!(self, p => p.identify(secret, request).await)
    }
}
