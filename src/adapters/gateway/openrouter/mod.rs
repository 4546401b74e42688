//! The OpenRouter family: OpenRouter, and ARouter in two dialects.
//!
//! Listings hide disabled keys unless asked, and say nowhere how many keys there are: pages are read until one is empty. A name carries our
//! marker behind it. On OpenRouter what a key may call is not in the key but in guardrails that are assigned to it: they are copied too.

mod dialect;
mod meter;
mod mint;
mod prober;
mod rows;
#[cfg(test)]
mod tests;

pub use dialect::Dialect;
pub use meter::Meter;
pub use prober::OpenRouterProber;

use super::wire::{Access, Admin, Http};
use crate::ports::{Gateway, MintRequest, Minted, PortError, Result};
use crate::rotation::{
    Endpoint, EndpointFacts, GatewayCaps, GatewayIdentity, KeyFacts, KeyId, KnownBy, Marker, MarkerRule, Mint, ModelName, Overlap, Span,
    Time,
};
use crate::support::http::HttpProblem;
use crate::support::text::clean_to;
use reqwest::Method;
use rows::{Assignments, One, Own, Page, Row};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Rows that a page is asked to hold; fewer may come.
const PAGE: &str = "100";
/// A listing with more pages is not believed.
const MOST_PAGES: usize = 1000;
/// A listing that changes while it is read is read again this often.
const TRIES: usize = 3;
/// What a marker may be long: the documents name no limit for a name.
const MARKER_BYTES: u32 = 200;
/// The name of the one part of the usage source.
pub const COUNTERS: &str = "counters";

/// What is set beside the access.
pub struct Settings {
    /// Which API is spoken.
    pub dialect: Dialect,
    /// The workspace whose keys are listed.
    pub workspace: Option<String>,
    /// How long a changed key may be served as before.
    pub propagation: Span,
    /// Keys of runs that are over, for the dialect that cannot rename one.
    pub settled: BTreeSet<KeyId>,
}

/// The admin side.
pub struct OpenRouterGateway {
    admin: Admin,
    settings: Settings,
}

/// What shows that a key was used.
#[derive(Debug, Clone, Copy)]
pub struct Counters {
    /// Dollars so far.
    pub spent: Option<f64>,
    /// Milliseconds of its last use; zero before the first.
    pub last_used: Option<f64>,
}

impl OpenRouterGateway {
    /// Nothing is called yet.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(access: Access, settings: Settings) -> std::result::Result<Self, HttpProblem> {
        let http = Http::new(access.call_timeout, access.ca_pem);
        Ok(Self { admin: Admin::new(settings.dialect.name(), &access.base, access.admin, http)?, settings })
    }

    /// The driver's name, as policies write it.
    pub fn driver(&self) -> &'static str {
        match self.settings.dialect {
            Dialect::OpenRouter => "openrouter",
            Dialect::ARouter | Dialect::ARouterLegacy => "arouter",
        }
    }

    /// The one address there is.
    ///
    /// # Errors
    /// Never.
    pub async fn endpoints(&self) -> Result<Vec<EndpointFacts>> {
        Ok(vec![EndpointFacts { endpoint: Endpoint::new(self.admin.base()), shard: Some(COUNTERS.into()) }])
    }

    /// There is no log of calls.
    ///
    /// # Errors
    /// Never.
    pub async fn log_files(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// How the counters of each key stand.
    ///
    /// # Errors
    /// When the keys cannot be listed.
    pub async fn spent(&self) -> Result<BTreeMap<KeyId, Counters>> {
        Ok(self.rows().await?.into_iter().map(|(id, row)| (id, row.counters())).collect())
    }

    /// What messages name it.
    pub fn system(&self) -> &str {
        &self.admin.system
    }

    fn path<'p>(&self, id: &'p KeyId) -> Vec<&'p str> {
        let mut path = self.settings.dialect.keys().to_vec();
        path.push(id.as_str());
        path
    }

    /// Every key: pages until one is empty.
    async fn rows(&self) -> Result<BTreeMap<KeyId, Row>> {
        for _ in 0..TRIES {
            if let Some(rows) = self.listing().await? {
                return Ok(rows);
            }
        }
        let why = "a page of the keys shows only keys that were shown before: paging is ignored, or the keys change all the time; the listing is not complete";
        Err(self.admin.unreadable(why))
    }

    /// One complete listing, or none when a page repeated what was there.
    async fn listing(&self) -> Result<Option<BTreeMap<KeyId, Row>>> {
        let dialect = self.settings.dialect;
        let mut rows = BTreeMap::new();
        for _ in 0..MOST_PAGES {
            let offset = rows.len().to_string();
            let mut query = vec![("include_disabled", "true"), ("offset", offset.as_str())];
            match dialect {
                Dialect::OpenRouter => query.extend(self.settings.workspace.as_deref().map(|w| ("workspace_id", w))),
                Dialect::ARouter => query.push(("page_size", PAGE)),
                Dialect::ARouterLegacy => query.clear(),
            }
            let page: Page = self.admin.get("list the keys", dialect.keys(), &query).await?;
            if page.data.is_empty() {
                return Ok(Some(rows));
            }
            for row in page.data {
                let id = rows::id(dialect, &row).map(KeyId::new).ok_or_else(|| self.other_dialect())?;
                if rows.insert(id, row).is_some() {
                    return Ok(None);
                }
            }
            if dialect == Dialect::ARouterLegacy {
                return Ok(Some(rows));
            }
        }
        Err(self.admin.unreadable(format!("the listing has more than {MOST_PAGES} pages, so it is not complete")))
    }

    fn other_dialect(&self) -> PortError {
        let (id, _) = self.settings.dialect.id();
        self.admin.unreadable(format!("a listed key has no usable `{id}`, or fields of another dialect: nothing is written on a guess"))
    }

    /// Which guardrail each key is under; none where this build has no guardrails.
    async fn guardrails(&self) -> Result<BTreeMap<String, Vec<String>>> {
        let mut under: BTreeMap<String, Vec<String>> = BTreeMap::new();
        if self.settings.dialect != Dialect::OpenRouter {
            return Ok(under);
        }
        let mut read = 0_usize;
        let mut seen = BTreeSet::new();
        for _ in 0..MOST_PAGES {
            let offset = read.to_string();
            let query = [("offset", offset.as_str()), ("limit", PAGE)];
            let page: Assignments =
                match self.admin.get("list the guardrails of keys", &["guardrails", "assignments", "keys"], &query).await {
                    // Nothing can be assigned where there is no such thing.
                    Err(PortError::Conflict { .. }) => return Ok(under),
                    page => page?,
                };
            if page.data.is_empty() {
                return Ok(under);
            }
            read = read.saturating_add(page.data.len());
            for one in page.data {
                if !KeyId::is_safe(&one.guardrail_id) || !seen.insert((one.key_hash.clone(), one.guardrail_id.clone())) {
                    return Err(self.admin.unreadable("the listing of guardrails repeats itself or names one that cannot be used"));
                }
                under.entry(one.key_hash).or_default().push(one.guardrail_id);
            }
            if page.total_count.is_some_and(|total| u64::try_from(read).is_ok_and(|read| read >= total)) {
                break;
            }
        }
        for of_key in under.values_mut() {
            of_key.sort();
        }
        Ok(under)
    }

    async fn facts(&self) -> Result<Vec<KeyFacts>> {
        let rows = self.rows().await?;
        let mut under = self.guardrails().await?;
        let facts = rows.into_iter().map(|(id, row)| {
            let guardrails = under.remove(id.as_str()).unwrap_or_default();
            let mut facts = row.facts(id, guardrails);
            if self.settings.settled.contains(&facts.id) && Marker::run(&facts.marker).is_some() {
                facts.marker = Marker::live().as_str().to_owned();
            }
            facts
        });
        Ok(facts.collect())
    }

    fn unsupported(&self, action: &str) -> PortError {
        PortError::Unsupported { system: self.admin.system.clone(), action: action.to_owned() }
    }

    /// Changes a key. The answer must show the change.
    async fn patch(&self, action: &str, id: &KeyId, body: &Value, shows: impl Fn(&Row) -> bool) -> Result<()> {
        if !self.settings.dialect.updates() {
            return Err(self.unsupported(action));
        }
        let one: One = self.admin.change(action, Method::PATCH, &self.path(id), Some(body)).await?;
        let same = rows::id(self.settings.dialect, &one.data) == Some(id.as_str());
        if same && shows(&one.data) { Ok(()) } else { Err(self.admin.unreadable("it answered without the change")) }
    }
}

impl Gateway for OpenRouterGateway {
    async fn identity(&self) -> Result<GatewayIdentity> {
        let mut identity = GatewayIdentity {
            base: self.admin.base(),
            tenant: self.settings.workspace.as_deref().map_or_else(
                || self.settings.dialect.tenant().into(),
                |workspace| clean_to(&format!("{} workspace {workspace}", self.settings.dialect.tenant()), 200),
            ),
            principal: "(a management key)".into(),
            build: String::new(),
        };
        let Some(path) = self.settings.dialect.own().first() else { return Ok(identity) };
        let own: Own = match self.admin.get("read who we are", path, &[]).await {
            // Some answer this to ordinary keys only.
            Err(PortError::Conflict { .. } | PortError::Refused { .. }) => return Ok(identity),
            own => own?,
        };
        let manages = ["is_management_key", "is_provisioning_key"].iter().find_map(|field| own.data.0.get(*field)?.as_bool());
        if manages == Some(false) && self.settings.dialect == Dialect::OpenRouter {
            let why = "the admin credential is an ordinary key; a management key is needed, which no application holds".to_owned();
            return Err(PortError::Refused { system: self.admin.system.clone(), action: "manage keys".into(), why });
        }
        let label = own.data.text("label");
        if !label.is_empty() {
            identity.principal = clean_to(label, 200);
        }
        Ok(identity)
    }

    async fn capabilities(&self) -> Result<GatewayCaps> {
        Ok(GatewayCaps {
            overlap: Overlap::SeparateIds,
            mint: Mint::ShownOnce,
            marker: MarkerRule::Label(MARKER_BYTES),
            disable: self.settings.dialect.disable(),
            settles_in: self.settings.propagation,
            refusal_cache: self.settings.propagation,
            created_at: true,
            known_by: KnownBy::Documentation,
        })
    }

    async fn now(&self) -> Result<Time> {
        self.admin.date("read its clock", self.settings.dialect.keys()).await
    }

    async fn list(&self) -> Result<Vec<KeyFacts>> {
        self.facts().await
    }

    async fn mint(&self, request: MintRequest<'_>) -> Result<Minted> {
        self.make(request).await
    }

    async fn set_enabled(&self, id: &KeyId, enabled: bool) -> Result<()> {
        let action = if enabled { "enable a key" } else { "disable a key" };
        let shows = |row: &Row| row.0.get("disabled").and_then(Value::as_bool) == Some(!enabled);
        self.patch(action, id, &json!({"disabled": !enabled}), shows).await
    }

    async fn delete(&self, id: &KeyId) -> Result<()> {
        let reply = self.admin.answer(Method::DELETE, &self.path(id), &[], None).await?;
        if reply.status == 204 {
            return Ok(());
        }
        let answer: Value = self.admin.changed("delete a key", &reply)?;
        let deleted = ["/deleted", "/data/deleted"].iter().any(|at| answer.pointer(at).and_then(Value::as_bool) == Some(true));
        // The legacy guide shows no answer at all.
        let said = deleted || self.settings.dialect == Dialect::ARouterLegacy;
        if said { Ok(()) } else { Err(self.admin.unreadable("it does not say that it deleted this key")) }
    }

    async fn mark(&self, id: &KeyId, marker: &Marker) -> Result<()> {
        if !self.settings.dialect.updates() {
            // The journal is what says that the run is over.
            return Ok(());
        }
        let rows = self.rows().await?;
        let Some(row) = rows.get(id) else {
            let why = format!("key {id} is not in the listing");
            return Err(PortError::Conflict { system: self.admin.system.clone(), action: "mark a key".into(), why });
        };
        let name = rows::with_marker(&row.facts(id.clone(), Vec::new()).name, marker.as_str());
        self.patch("mark a key", id, &json!({"name": name}), |row| row.text("name") == name).await
    }

    async fn models(&self) -> Result<Vec<(ModelName, KeyId)>> {
        Ok(Vec::new())
    }

    async fn projection(&self) -> Result<Vec<(Endpoint, ModelName, KeyId)>> {
        Ok(Vec::new())
    }

    async fn repoint(&self, _model: &ModelName, _from: &KeyId, _to: &KeyId) -> Result<()> {
        Err(self.unsupported("repoint a model"))
    }
}
