//! new-api: a user's own tokens, managed on the console.
//!
//! A new token is made in three steps, because the first one answers neither its id nor its value. Failures come with status 200. The log
//! knows tokens by their names only, so a name must stand for one token. Flatkey is taken for a new-api; nobody has confirmed it.

mod client;
mod ledger;
mod mint;
mod prober;
mod rows;
#[cfg(test)]
mod tests;

pub(crate) use client::Console;
pub use ledger::Ledger;
pub use prober::NewApiProber;
pub(crate) use rows::{Token, owner};

use super::wire::Access;
use crate::ports::{Gateway, MintRequest, Minted, PortError, Result};
use crate::rotation::{
    Disable, Endpoint, EndpointFacts, GatewayCaps, GatewayIdentity, KeyFacts, KeyId, KnownBy, Marker, MarkerRule, Mint, ModelName, Overlap,
    Span, Time,
};
use crate::support::http::HttpProblem;
use reqwest::Method;
use rows::{DISABLED, ENABLED, NAME_BYTES, with_marker};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A listing with more pages is not believed.
const MOST_PAGES: u64 = 1000;
/// A listing that changes while it is read is read again this often.
const TRIES: usize = 3;
/// The name of the one part of the usage source.
pub const LOG: &str = "log";
/// Where tokens are; the last slash belongs to it, without it there is only a redirect.
const TOKENS: [&str; 3] = ["api", "token", ""];

/// What is set beside the access.
#[derive(Clone)]
pub struct Settings {
    /// The user's number.
    pub user: u64,
    /// Where models are called.
    pub data: String,
    /// How long a changed token may be served as before.
    pub propagation: Span,
    /// The new token gets what the old one has left, where that is limited.
    pub quota_as_left: bool,
    /// The product that is taken for a new-api without proof.
    pub unconfirmed: Option<&'static str>,
}

/// The admin side.
pub struct NewApiGateway {
    console: Console,
    settings: Settings,
}

impl NewApiGateway {
    /// Nothing is called yet.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(access: Access, settings: Settings) -> std::result::Result<Self, HttpProblem> {
        Ok(Self { console: Console::new(access, settings.user)?, settings })
    }

    /// The router.
    ///
    /// # Errors
    /// Never.
    pub async fn endpoints(&self) -> Result<Vec<EndpointFacts>> {
        Ok(vec![EndpointFacts { endpoint: Endpoint::new(self.settings.data.as_str()), shard: Some(LOG.into()) }])
    }

    /// Its log is behind its API.
    ///
    /// # Errors
    /// Never.
    pub async fn log_files(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Every token of this user, by id.
    pub(crate) async fn tokens(&self) -> Result<BTreeMap<KeyId, Token>> {
        for _ in 0..TRIES {
            let listed = self.console.pages("list the tokens", &TOKENS, &[], MOST_PAGES).await?;
            if listed.cut {
                continue;
            }
            let count = listed.rows.len();
            let mut tokens = BTreeMap::new();
            for row in listed.rows {
                let token = Token(row);
                let id = token.id().ok_or_else(|| self.console.admin.unreadable("a listed token has no number"))?;
                if token.user().is_some_and(|user| user != self.settings.user) {
                    let why = format!("its tokens are not those of user {}: check `user`", self.settings.user);
                    return Err(self.console.refused("list the tokens", &why));
                }
                tokens.insert(id, token);
            }
            if tokens.len() == count {
                return Ok(tokens);
            }
        }
        Err(self.console.admin.unreadable(format!("the listing repeats itself or ends too early, {TRIES} times: it is not complete")))
    }

    async fn token(&self, action: &str, id: &KeyId) -> Result<Token> {
        let row: Map<String, Value> = self.console.get(action, &["api", "token", id.as_str()], &[]).await?;
        let token = Token(row);
        if token.id().as_ref() == Some(id) { Ok(token) } else { Err(self.console.admin.unreadable("it answered with another token")) }
    }

    fn number(&self, id: &KeyId) -> Result<u64> {
        id.as_str().parse().map_err(|_| self.console.refused("name a token", "its id is no number"))
    }
}

impl Gateway for NewApiGateway {
    async fn identity(&self) -> Result<GatewayIdentity> {
        // Reading the access token would replace it, so who we are is what the policy says; every listing is compared with it.
        let user = owner(self.settings.user);
        Ok(GatewayIdentity {
            base: self.console.admin.base(),
            tenant: "new-api".into(),
            principal: match self.settings.unconfirmed {
                Some(product) => format!("{user} (preset {product}: unconfirmed, it is taken for a new-api)"),
                None => user,
            },
            build: String::new(),
        })
    }

    async fn capabilities(&self) -> Result<GatewayCaps> {
        Ok(GatewayCaps {
            overlap: Overlap::SeparateIds,
            mint: Mint::ShownOnce,
            marker: MarkerRule::Label(u32::try_from(NAME_BYTES).unwrap_or(50)),
            disable: Disable::Reversible,
            settles_in: self.settings.propagation,
            refusal_cache: self.settings.propagation,
            created_at: true,
            known_by: KnownBy::Documentation,
        })
    }

    async fn now(&self) -> Result<Time> {
        self.console.admin.date("read its clock", &TOKENS).await
    }

    async fn list(&self) -> Result<Vec<KeyFacts>> {
        Ok(self.tokens().await?.into_iter().map(|(id, token)| token.facts(id)).collect())
    }

    async fn mint(&self, request: MintRequest<'_>) -> Result<Minted> {
        self.make(request).await
    }

    async fn set_enabled(&self, id: &KeyId, enabled: bool) -> Result<()> {
        let action = if enabled { "enable a token" } else { "disable a token" };
        let status = if enabled { ENABLED } else { DISABLED };
        // The whole token would have to be sent otherwise, and what is left out would be lost.
        let body = json!({"id": self.number(id)?, "status": status});
        let shown: Value = self.console.change(action, Method::PUT, &TOKENS, &[("status_only", "true")], Some(&body)).await?;
        match shown.get("status").and_then(Value::as_u64) {
            Some(shown) if shown == status => Ok(()),
            Some(_) => Err(self.console.admin.unreadable("it answered that the token is as it was before")),
            None => match self.token(action, id).await {
                Ok(token) if token.status() == Some(status) => Ok(()),
                Ok(_) | Err(_) => Err(self.console.admin.unreadable("it does not show that the token has changed")),
            },
        }
    }

    async fn delete(&self, id: &KeyId) -> Result<()> {
        let reply = self.console.admin.answer(Method::DELETE, &["api", "token", id.as_str()], &[], None).await?;
        match self.console.changed::<Value>("delete a token", &reply) {
            Ok(_) => Ok(()),
            // It says this of a token that is gone, too.
            Err(PortError::Refused { .. }) if reply.is_success() => Err(self.console.conflict("delete a token", "it says that it did not")),
            Err(e) => Err(e),
        }
    }

    async fn mark(&self, id: &KeyId, marker: &Marker) -> Result<()> {
        let token = self.token("mark a token", id).await?;
        let facts = token.facts(id.clone());
        if facts.marker == marker.as_str() {
            return Ok(());
        }
        let Some(name) = with_marker(&facts.name, marker) else {
            return Err(self.console.refused("mark a token", "the marker does not fit into a name"));
        };
        let body = Value::Object(token.update(&name));
        let _answered: Value = self.console.change("mark a token", Method::PUT, &TOKENS, &[], Some(&body)).await?;
        let after =
            self.token("mark a token", id).await.map_err(|e| self.console.admin.unreadable(format!("the look at it failed: {e}")))?;
        if after.name() == name && after.same_limits(&token) {
            Ok(())
        } else {
            Err(self.console.admin.unreadable("after its name was changed, the token is not what it was"))
        }
    }

    async fn models(&self) -> Result<Vec<(ModelName, KeyId)>> {
        Ok(Vec::new())
    }

    async fn projection(&self) -> Result<Vec<(Endpoint, ModelName, KeyId)>> {
        Ok(Vec::new())
    }

    async fn repoint(&self, _model: &ModelName, _from: &KeyId, _to: &KeyId) -> Result<()> {
        Err(PortError::Unsupported { system: self.console.admin.system.clone(), action: "repoint a model".into() })
    }
}
