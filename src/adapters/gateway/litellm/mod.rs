//! LiteLLM proxy: virtual keys over its management API.
//!
//! A key's id is the SHA-256 of its value, so no secret is ever in an address. We choose the value ourselves: it is staged first and
//! made second, and a lost answer loses nothing. Instances share a database and keep keys in memory for a while: a change has settled
//! only when that time is over on all of them.

mod mint;
mod prober;
mod rows;
#[cfg(test)]
mod tests;

pub use prober::LiteLlmProber;

use super::wire::{Access, Admin, Http};
use crate::ports::{Gateway, MintRequest, Minted, PortError, Result};
use crate::rotation::{
    Disable, Endpoint, EndpointFacts, GatewayCaps, GatewayIdentity, KeyFacts, KeyId, KnownBy, Marker, MarkerRule, Mint, ModelName, Overlap,
    Span, Time,
};
use crate::secret::{SecretText, sha256_hex};
use crate::support::http::HttpProblem;
use crate::support::text::clean_to;
use reqwest::Method;
use rows::{Blocked, Deleted, Info, Page, Ready, Updated, User};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The most keys that one page may hold.
const PAGE: u64 = 100;
/// A listing with more pages is not believed.
const MOST_PAGES: u64 = 1000;
/// A listing that changes while it is read is read again this often.
const TRIES: usize = 3;
/// An instance goes on with what it knows of a key for this long, unless it is set otherwise.
pub const CACHE: Span = Span::seconds(60);
/// How much later than its cache an instance may act: its timer, and the resolution of its clock.
const SLACK: Span = Span::seconds(1);

/// The admin side of a LiteLLM proxy.
pub struct LiteLlmGateway {
    admin: Admin,
    endpoints: Vec<EndpointFacts>,
    cache: Span,
}

impl LiteLlmGateway {
    /// Nothing is called yet. The endpoints are the instances, each with the part of the log that its rows count for.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(access: Access, endpoints: Vec<EndpointFacts>, cache: Span) -> std::result::Result<Self, HttpProblem> {
        let http = Http::new(access.call_timeout, access.ca_pem);
        Ok(Self { admin: Admin::new("LiteLLM", &access.base, access.admin, http)?, endpoints, cache })
    }

    /// The instances that can be tried by themselves.
    ///
    /// # Errors
    /// Never: the policy names them.
    pub async fn endpoints(&self) -> Result<Vec<EndpointFacts>> {
        Ok(self.endpoints.clone())
    }

    /// Its log is behind its API.
    ///
    /// # Errors
    /// Never.
    pub async fn log_files(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn safe(&self, id: &str) -> Result<KeyId> {
        let hash = id.len() == 64 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hash { Ok(KeyId::new(id)) } else { Err(self.admin.unreadable("a key's token is not the hash of its value")) }
    }

    /// One complete listing, or none when it changed while it was read.
    async fn listing(&self) -> Result<Option<Vec<KeyFacts>>> {
        let mut by_id: BTreeMap<KeyId, KeyFacts> = BTreeMap::new();
        let mut promised: Option<u64> = None;
        let size = PAGE.to_string();
        for page in 1..=MOST_PAGES {
            let number = page.to_string();
            let query = [
                ("page", number.as_str()),
                ("size", size.as_str()),
                ("return_full_object", "true"),
                // The newest come last, so that a key made meanwhile does not push others over the edge of a page.
                ("sort_by", "created_at"),
                ("sort_order", "asc"),
            ];
            let answer: Page = self.admin.get("list the keys", &["key", "list"], &query).await?;
            if answer.current_page != page {
                return Err(self
                    .admin
                    .unreadable(format!("asked for page {page} of the keys, it answered with page {}", answer.current_page)));
            }
            if promised.is_some_and(|total| total != answer.total_count) {
                return Ok(None);
            }
            promised = Some(answer.total_count);
            for row in answer.keys {
                let facts = rows::facts(self.safe(row.token())?, &row);
                by_id.insert(facts.id.clone(), facts);
            }
            if page >= answer.total_pages {
                let complete = u64::try_from(by_id.len()).is_ok_and(|n| n == answer.total_count);
                return Ok(complete.then(|| by_id.into_values().collect()));
            }
        }
        Err(self.admin.unreadable(format!("the listing has more than {MOST_PAGES} pages, so it is not complete")))
    }

    /// What is kept beside a key; a deleted one is a conflict.
    async fn metadata(&self, id: &KeyId) -> Result<Map<String, Value>> {
        let answer: Info = self.admin.get("read a key", &["key", "info"], &[("key", id.as_str())]).await?;
        if answer.info.status.as_deref() == Some("deleted") {
            let why = "it answers for a deleted key".to_owned();
            return Err(PortError::Conflict { system: self.admin.system.clone(), action: "mark a key".into(), why });
        }
        Ok(answer.info.metadata.unwrap_or_default())
    }
}

impl Gateway for LiteLlmGateway {
    async fn identity(&self) -> Result<GatewayIdentity> {
        let user: User = self.admin.get("read who we are", &["user", "info"], &[]).await?;
        let ready: Ready = match self.admin.get("read its version", &["health", "readiness", "details"], &[]).await {
            // Where there are no details, readiness itself says it, or nothing does.
            Err(PortError::Conflict { .. }) => self.admin.get("read its version", &["health", "readiness"], &[]).await?,
            answer => answer?,
        };
        Ok(GatewayIdentity {
            base: self.admin.base(),
            tenant: "litellm".into(),
            principal: clean_to(user.user_id.as_deref().unwrap_or("(unnamed)"), 200),
            build: clean_to(ready.litellm_version.as_deref().unwrap_or_default(), 100),
        })
    }

    async fn capabilities(&self) -> Result<GatewayCaps> {
        Ok(GatewayCaps {
            overlap: Overlap::SeparateIds,
            mint: Mint::CallerChooses,
            marker: MarkerRule::Label(512),
            disable: Disable::Reversible,
            settles_in: self.cache.plus(SLACK),
            refusal_cache: self.cache.plus(SLACK),
            created_at: true,
            known_by: KnownBy::Measured,
        })
    }

    async fn now(&self) -> Result<Time> {
        self.admin.date("read its clock", &["health", "liveliness"]).await
    }

    fn value_prefix(&self) -> &'static str {
        // Values without it are refused before the database is asked.
        "sk-kr-"
    }

    async fn list(&self) -> Result<Vec<KeyFacts>> {
        for _ in 0..TRIES {
            if let Some(keys) = self.listing().await? {
                return Ok(keys);
            }
        }
        Err(self.admin.unreadable(format!("the listing changed while it was read, {TRIES} times: it is not complete")))
    }

    async fn mint(&self, request: MintRequest<'_>) -> Result<Minted> {
        let Some(value) = request.value else {
            let why = "a value for the new key is chosen here, and none was".to_owned();
            return Err(PortError::Refused { system: self.admin.system.clone(), action: "mint a key".into(), why });
        };
        let refused = |why| PortError::Refused { system: self.admin.system.clone(), action: "mint a key".into(), why };
        let body = mint::body(&request, value).map_err(refused)?;
        let reply = self.admin.answer(Method::POST, &["key", "generate"], &[], Some(&body)).await?;
        // "The alias exists" is also what a repeated request hears after the first one made the key.
        if reply.status == 400 {
            let why = "status 400; the change may have happened: look".to_owned();
            return Err(PortError::Unreachable { system: self.admin.system.clone(), why, may_have_happened: true });
        }
        let row: mint::Made = self.admin.changed("mint a key", &reply)?;
        let id = self.safe(&row.token)?;
        let made = SecretText::minted(row.key).map_err(|e| self.admin.unreadable(e.to_string()))?;
        let same = made.expose() == value.expose() && sha256_hex(made.expose().as_bytes()) == id.as_str();
        if !same {
            return Err(self.admin.unreadable("it made another key than the one it was given"));
        }
        Ok(Minted { id, value: made, created_at: row.created_at.as_deref().and_then(Time::parse) })
    }

    async fn set_enabled(&self, id: &KeyId, enabled: bool) -> Result<()> {
        let (action, verb) = if enabled { ("enable a key", "unblock") } else { ("disable a key", "block") };
        let row: Blocked = self.admin.change(action, Method::POST, &["key", verb], Some(&json!({"key": id}))).await?;
        if row.blocked.unwrap_or(false) != enabled {
            Ok(())
        } else {
            Err(self.admin.unreadable("it answered that the key is as it was before"))
        }
    }

    async fn delete(&self, id: &KeyId) -> Result<()> {
        let answer: Deleted = self.admin.change("delete a key", Method::POST, &["key", "delete"], Some(&json!({"keys": [id]}))).await?;
        if answer.deleted_keys.iter().any(|gone| gone == id.as_str()) {
            Ok(())
        } else {
            Err(self.admin.unreadable("it does not say that it deleted this key"))
        }
    }

    async fn mark(&self, id: &KeyId, marker: &Marker) -> Result<()> {
        // The document is replaced whole, so what else is in it is sent along.
        let mut metadata = self.metadata(id).await?;
        metadata.insert(rows::MARKER.into(), json!(marker));
        let body = json!({"key": id, "metadata": metadata});
        let row: Updated = self.admin.change("mark a key", Method::POST, &["key", "update"], Some(&body)).await?;
        let shown = row.metadata.get(rows::MARKER).and_then(Value::as_str);
        if shown == Some(marker.as_str()) { Ok(()) } else { Err(self.admin.unreadable("it answered without the new marker")) }
    }

    async fn models(&self) -> Result<Vec<(ModelName, KeyId)>> {
        // Virtual keys are not what models refer to.
        Ok(Vec::new())
    }

    async fn projection(&self) -> Result<Vec<(Endpoint, ModelName, KeyId)>> {
        Ok(Vec::new())
    }

    async fn repoint(&self, _model: &ModelName, _from: &KeyId, _to: &KeyId) -> Result<()> {
        Err(PortError::Unsupported { system: self.admin.system.clone(), action: "repoint a model".into() })
    }
}
