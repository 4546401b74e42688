//! The gateway inside keyroll, over HTTP like any other. Constructed for one kind of key: what applications present (router), or
//! what the gateway presents upstream (provider).

mod prober;
mod rows;
#[cfg(test)]
mod tests;

pub use prober::SandboxProber;

use super::wire::{Access, Admin, Http};
use crate::ports::{Gateway, MintRequest, Minted, PortError, Result};
use crate::rotation::{
    Disable, Endpoint, EndpointFacts, GatewayCaps, GatewayIdentity, KeyFacts, KeyId, KnownBy, Marker, MarkerRule, Mint, ModelName, Overlap,
    Span, Time,
};
use crate::secret::SecretText;
use crate::support::http::HttpProblem;
use crate::support::text::clean_to;
use reqwest::Method;
use rows::{Identity, MintRow, ModelRow, Page, Projection, Replicas, Row};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A listing with more pages is not believed.
const MOST_PAGES: usize = 1000;

/// Which keys are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keys {
    Router,
    Provider,
}

/// The admin side of the sandbox.
pub struct SandboxGateway {
    admin: Admin,
    keys: Keys,
}

impl SandboxGateway {
    /// For keys that applications present.
    ///
    /// # Errors
    /// When the address is none.
    pub fn router(access: Access) -> std::result::Result<Self, HttpProblem> {
        Self::new(access, Keys::Router)
    }

    /// For keys that the gateway presents upstream.
    ///
    /// # Errors
    /// When the address is none.
    pub fn provider(access: Access) -> std::result::Result<Self, HttpProblem> {
        Self::new(access, Keys::Provider)
    }

    fn new(access: Access, keys: Keys) -> std::result::Result<Self, HttpProblem> {
        let http = Http::new(access.call_timeout, access.ca_pem);
        Ok(Self { admin: Admin::new("sandbox admin API", &access.base, access.admin, http)?, keys })
    }

    fn table(&self) -> &'static str {
        match self.keys {
            Keys::Router => "keys",
            Keys::Provider => "provider-keys",
        }
    }

    async fn replicas(&self) -> Result<Replicas> {
        self.admin.get("read the replicas", &["admin", "replicas"], &[]).await
    }

    /// Every replica's address, with the log file that holds its rows.
    ///
    /// # Errors
    /// When the gateway cannot be asked.
    pub async fn endpoints(&self) -> Result<Vec<EndpointFacts>> {
        let rows = self.replicas().await?.replicas;
        let facts = |row: rows::Replica| EndpointFacts { endpoint: Endpoint::new(row.url.trim_end_matches('/')), shard: row.log };
        Ok(rows.into_iter().map(facts).collect())
    }

    /// The request log, one file per replica.
    ///
    /// # Errors
    /// When the gateway cannot be asked.
    pub async fn log_files(&self) -> Result<Vec<String>> {
        Ok(self.replicas().await?.replicas.into_iter().filter_map(|row| row.log).collect())
    }

    async fn identity_row(&self) -> Result<Identity> {
        self.admin.get("read the identity", &["admin", "identity"], &[]).await
    }

    /// The key's expiry would otherwise be copied, and the new key would die with the old one: its life is what is copied.
    async fn expiry_like(&self, like: &KeyFacts) -> Result<Option<Time>> {
        let Some(end) = like.expires_at else { return Ok(None) };
        let Some(made) = like.created_at else {
            let why = "the old key has an end and no beginning, so how long a new one may live is not known".to_owned();
            return Err(PortError::Refused { system: self.admin.system.clone(), action: "mint".into(), why });
        };
        Ok(Some(self.now().await?.plus(end.since(made))))
    }

    fn safe(&self, id: &str) -> Result<KeyId> {
        if KeyId::is_safe(id) { Ok(KeyId::new(id)) } else { Err(self.admin.unreadable("an id has a shape that cannot be used in a path")) }
    }

    fn facts(&self, row: Row) -> Result<KeyFacts> {
        let id = self.safe(&row.id)?;
        Ok(rows::facts(id, row))
    }
}

impl Gateway for SandboxGateway {
    async fn identity(&self) -> Result<GatewayIdentity> {
        let row = self.identity_row().await?;
        Ok(GatewayIdentity {
            base: self.admin.base(),
            tenant: clean_to(&format!("{}/{}", row.org, row.gateway_id), 200),
            principal: clean_to(&row.principal, 200),
            build: clean_to(&row.build, 100),
        })
    }

    async fn capabilities(&self) -> Result<GatewayCaps> {
        let row = self.replicas().await?;
        let mint = match (self.keys, row.capabilities.mint.as_str()) {
            (Keys::Provider, _) => Mint::Supplied,
            (Keys::Router, "fresh") => Mint::ShownOnce,
            (Keys::Router, "caller_chosen") => Mint::CallerChooses,
            (Keys::Router, _) => return Err(self.admin.unreadable("it names a way of minting that this build does not know")),
        };
        let disable = match row.capabilities.disable.as_str() {
            "reversible" => Disable::Reversible,
            "by_expiry" => Disable::ByExpiry,
            "irreversible" => Disable::Irreversible,
            // The least that an unknown word may mean.
            _ => Disable::None,
        };
        Ok(GatewayCaps {
            overlap: Overlap::SeparateIds,
            mint,
            marker: row.capabilities.marker.map_or(MarkerRule::None, |m| MarkerRule::Label(m.max_len)),
            disable,
            settles_in: Span(row.settles_in_ms),
            refusal_cache: Span(row.refusal_cache_ms),
            created_at: true,
            known_by: KnownBy::Documentation,
        })
    }

    async fn now(&self) -> Result<Time> {
        let row = self.identity_row().await?;
        Time::parse(&row.time).ok_or_else(|| self.admin.unreadable("its clock is no RFC 3339 time"))
    }

    async fn list(&self) -> Result<Vec<KeyFacts>> {
        let mut by_id: BTreeMap<KeyId, KeyFacts> = BTreeMap::new();
        let mut cursors: BTreeSet<String> = BTreeSet::new();
        let mut cursor: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let query: Vec<(&str, &str)> = cursor.as_deref().map(|c| ("cursor", c)).into_iter().collect();
            let page: Page = self.admin.get("list the keys", &["admin", self.table()], &query).await?;
            for row in page.data {
                let facts = self.facts(row)?;
                // A row given twice is harmless while both say the same.
                if by_id.get(&facts.id).is_some_and(|known| *known != facts) {
                    return Err(self.admin.unreadable(format!("the listing shows key {} twice, and differently", facts.id)));
                }
                by_id.insert(facts.id.clone(), facts);
            }
            match page.next_cursor {
                None => return Ok(by_id.into_values().collect()),
                Some(next) if cursors.insert(next.clone()) => cursor = Some(next),
                Some(_) => return Err(self.admin.unreadable("the listing goes round in a circle, so it is not complete")),
            }
        }
        Err(self.admin.unreadable(format!("the listing has more than {MOST_PAGES} pages, so it is not complete")))
    }

    async fn mint(&self, request: MintRequest<'_>) -> Result<Minted> {
        let body = match self.keys {
            Keys::Router => {
                let mut body = json!({
                    "name": request.name,
                    "marker": request.marker,
                    "scope": rows::sendable(&request.like.scope),
                });
                if !request.like.owner.is_empty() {
                    set(&mut body, "owner", json!(request.like.owner));
                }
                if let Some(end) = self.expiry_like(request.like).await? {
                    set(&mut body, "expires_at", json!(end.rfc3339()));
                }
                if let Some(value) = request.value {
                    set(&mut body, "secret", json!(value.expose()));
                }
                body
            }
            Keys::Provider => {
                let Some(value) = request.value else {
                    let why = "the new provider key's value comes from its issuer, and none was supplied".to_owned();
                    return Err(PortError::Refused { system: self.admin.system.clone(), action: "mint".into(), why });
                };
                json!({
                    "name": request.name,
                    "marker": request.marker,
                    "provider": rows::provider_of(request.like),
                    "value": value.expose(),
                })
            }
        };
        let row: MintRow = self.admin.change("mint a key", Method::POST, &["admin", self.table()], Some(&body)).await?;
        let id = self.safe(&row.id)?;
        let value = match (self.keys, row.secret, request.value) {
            (Keys::Router, Some(secret), _) => SecretText::minted(secret).map_err(|e| self.admin.unreadable(e.to_string()))?,
            (Keys::Provider, _, Some(value)) => value.duplicate(),
            (Keys::Router, None, _) | (Keys::Provider, _, None) => {
                return Err(self.admin.unreadable("a key was made, and its value is not told"));
            }
        };
        Ok(Minted { id, value, created_at: row.created_at.as_deref().and_then(Time::parse) })
    }

    async fn set_enabled(&self, id: &KeyId, enabled: bool) -> Result<()> {
        let action = if enabled { "enable a key" } else { "disable a key" };
        let row: Row = self.patch(action, id, &json!({"enabled": enabled})).await?;
        if row.enabled == enabled { Ok(()) } else { Err(self.admin.unreadable("it answered that the key is as it was before")) }
    }

    async fn delete(&self, id: &KeyId) -> Result<()> {
        let path = ["admin", self.table(), id.as_str()];
        let _answered: Value = self.admin.change("delete a key", Method::DELETE, &path, None).await?;
        Ok(())
    }

    async fn mark(&self, id: &KeyId, marker: &Marker) -> Result<()> {
        let _answered: Row = self.patch("mark a key", id, &json!({"marker": marker})).await?;
        Ok(())
    }

    async fn models(&self) -> Result<Vec<(ModelName, KeyId)>> {
        let page: rows::Models = self.admin.get("list the models", &["admin", "models"], &[]).await?;
        page.data.into_iter().map(|row: ModelRow| Ok((ModelName::new(row.name), self.safe(&row.provider_key_id)?))).collect()
    }

    async fn projection(&self) -> Result<Vec<(Endpoint, ModelName, KeyId)>> {
        let endpoints: BTreeMap<u64, String> = self.replicas().await?.replicas.into_iter().map(|r| (r.replica, r.url)).collect();
        let mut served = Vec::new();
        for (model, _) in self.models().await? {
            let path = ["admin", "models", model.as_str(), "projection"];
            let row: Projection = self.admin.get("read what replicas serve", &path, &[]).await?;
            for at in row.replicas {
                let Some(url) = endpoints.get(&at.replica) else {
                    return Err(self.admin.unreadable("it names a replica that it does not list"));
                };
                // A replica that does not know the model yet serves it with no key.
                let key = at.provider_key_id.as_deref().map_or_else(|| Ok(KeyId::new("none")), |id| self.safe(id))?;
                served.push((Endpoint::new(url.trim_end_matches('/')), model.clone(), key));
            }
        }
        Ok(served)
    }

    async fn repoint(&self, model: &ModelName, from: &KeyId, to: &KeyId) -> Result<()> {
        let body = json!({"provider_key_id": to, "only_if": from});
        let path = ["admin", "models", model.as_str()];
        let row: ModelRow = self.admin.change("repoint a model", Method::PATCH, &path, Some(&body)).await?;
        if row.provider_key_id == to.as_str() { Ok(()) } else { Err(self.admin.unreadable("it answered that the model points elsewhere")) }
    }
}

impl SandboxGateway {
    async fn patch(&self, action: &str, id: &KeyId, body: &Value) -> Result<Row> {
        self.admin.change(action, Method::PATCH, &["admin", self.table(), id.as_str()], Some(body)).await
    }
}

fn set(body: &mut Value, name: &str, value: Value) {
    if let Some(fields) = body.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}
