//! The gateway's two sides.

use super::Result;
use crate::rotation::{CallClass, Endpoint, GatewayCaps, GatewayIdentity, KeyFacts, KeyId, Marker, ModelName, Probe, RequestId, Time};
use crate::secret::SecretText;

/// The admin side of a gateway. Mutating calls are sent once: no retry, no redirect, no replay of a pooled connection.
pub trait Gateway {
    /// Who answers, and as whom we are known there.
    async fn identity(&self) -> Result<GatewayIdentity>;
    /// What it can do, as far as it can be read now.
    async fn capabilities(&self) -> Result<GatewayCaps>;
    /// The gateway's clock.
    async fn now(&self) -> Result<Time>;
    /// What a value that we choose must begin with.
    fn value_prefix(&self) -> &'static str {
        "kr-"
    }
    /// Every key: all pages, disabled ones included. An incomplete listing is an error.
    async fn list(&self) -> Result<Vec<KeyFacts>>;
    /// Makes a key like an old one. Any answer but a parsed success is an error that may have happened.
    async fn mint(&self, request: MintRequest<'_>) -> Result<Minted>;
    /// Refuses or accepts a key.
    async fn set_enabled(&self, id: &KeyId, enabled: bool) -> Result<()>;
    /// Removes a key. 404 is [`super::PortError::Conflict`], not success: look.
    async fn delete(&self, id: &KeyId) -> Result<()>;
    /// Replaces the marker of a key.
    async fn mark(&self, id: &KeyId, marker: &Marker) -> Result<()>;
    /// Which provider key each model references. Empty for a gateway without models.
    async fn models(&self) -> Result<Vec<(ModelName, KeyId)>>;
    /// What each replica serves the models with now: replica, model, provider key.
    async fn projection(&self) -> Result<Vec<(Endpoint, ModelName, KeyId)>>;
    /// Points a model at a provider key, only if it points at `from`; else [`super::PortError::Conflict`].
    async fn repoint(&self, model: &ModelName, from: &KeyId, to: &KeyId) -> Result<()>;
}

/// What a new key must be.
pub struct MintRequest<'a> {
    /// The key to be like: same scope, same owner.
    pub like: &'a KeyFacts,
    /// Our text on it.
    pub marker: &'a Marker,
    /// Its display name.
    pub name: &'a str,
    /// Its value, where the caller chooses or an issuer supplied it.
    pub value: Option<&'a SecretText>,
}

/// A key that was made.
pub struct Minted {
    /// Its id, of a shape that is safe in a path.
    pub id: KeyId,
    /// Its value; checked for shape.
    pub value: SecretText,
    /// By the gateway's clock.
    pub created_at: Option<Time>,
}

/// The data side: one cheap request, and what it says about the credential.
pub trait Prober {
    /// Calls one endpoint with a credential. The answer's body is classified and dropped.
    async fn call(&self, endpoint: &Endpoint, probe: &Probe, secret: &SecretText, request: &RequestId) -> CallAnswer;
    /// Which key id the gateway takes this credential for; none when it cannot tell. This may count as a use of the key.
    async fn identify(&self, secret: &SecretText, request: &RequestId) -> Result<Option<KeyId>>;
}

/// What one call showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallAnswer {
    /// How it is read.
    pub class: CallClass,
    /// HTTP status, 0 when none came.
    pub status: u16,
}
