//! AISIX, self-hosted: caller keys and provider keys, changed in the store that its processes read.
//!
//! A change has two ends: it is stored, and it is live. Nothing here is called done before every process says that it has taken it and
//! serves the document. Nothing in the store refers to anything by more than a name, so the order of changes and a look for references
//! before a deletion are all the safety there is.

mod admin;
mod documents;
mod etcd;
mod file;
mod ids;
mod live;
mod own;
mod prober;
mod store;
#[cfg(test)]
mod tests;

pub use admin::AdminAccess;
pub use etcd::EtcdAccess;
pub use file::FileAccess;
pub use own::OwnCalls;
pub use prober::AisixProber;

use super::wire::Http;
use crate::ports::{Gateway, MintRequest, Minted, PortError, Result};
use crate::rotation::{
    Disable, Endpoint, EndpointFacts, GatewayCaps, GatewayIdentity, KeyFacts, KeyId, KnownBy, Marker, MarkerRule, Mint, ModelName, Overlap,
    Span, Time,
};
use crate::secret::{FingerprintKey, sha256_hex};
use crate::support::clock;
use crate::support::http::HttpProblem;
use crate::support::text::clean_to;
use admin::AdminStore;
use documents::{Document, Naming, Resources};
use etcd::EtcdStore;
use file::FileStore;
use live::{Landed, Replicas};
use std::rc::Rc;
use store::{Keys, Store};

/// A look at references that was overtaken by another change is done again this often.
const TRIES: usize = 4;
/// What the listing says and what processes say may differ for this long while others write.
const CALM: std::time::Duration = std::time::Duration::from_millis(150);
/// Longest time until every process has taken a change, unless it is set otherwise: one that connects again waits up to a minute.
pub const LIVE_WITHIN: Span = Span::seconds(75);
/// A process has said that it took a change; a request that began before may still end after it.
const SETTLES: Span = Span::seconds(1);

/// What a driver is made of.
pub struct AisixSettings {
    /// Where resources are changed.
    pub store: AisixStore,
    /// Proxy and status address of every process, and the log that holds its rows.
    pub replicas: Vec<(String, String, Option<String>)>,
    /// A provider key is rotated: what the policy calls it, by id or by name.
    pub provider: Option<(Option<String>, Option<String>)>,
    /// Where the provider is asked.
    pub provider_url: Option<String>,
    /// How long a new caller key lives where the old one's life is not known.
    pub lifetime: Option<Span>,
    /// Longest time until every process has taken a change.
    pub live_within: Span,
    /// Longest time for one call.
    pub call_timeout: Span,
    /// A private certificate authority.
    pub ca_pem: Option<Vec<u8>>,
    /// Restrictions that are not known are compared by their fingerprint.
    pub fingerprints: Rc<FingerprintKey>,
    /// Learns the calls that are made here.
    pub own: OwnCalls,
}

/// Where resources are changed.
pub enum AisixStore {
    /// In etcd.
    Etcd(EtcdAccess),
    /// Through the admin listener, up to 0.8.2.
    Admin(AdminAccess),
    /// In a file.
    File(FileAccess),
}

/// The admin side.
pub struct AisixGateway {
    store: Rc<Store>,
    keys: Keys,
    replicas: Replicas,
    endpoints: Vec<EndpointFacts>,
    provider: Option<(Option<String>, Option<String>)>,
    provider_url: Option<String>,
    lifetime: Option<Span>,
    fingerprints: Rc<FingerprintKey>,
}

/// Both sides. Nothing is called yet.
///
/// # Errors
/// When an address is none.
pub fn aisix(settings: AisixSettings) -> std::result::Result<(AisixGateway, AisixProber), HttpProblem> {
    let http = || Http::new(settings.call_timeout, settings.ca_pem.clone());
    let keys = if settings.provider.is_some() { Keys::Provider } else { Keys::Caller };
    let plain = |url: &str| url.trim_end_matches('/').to_owned();
    let places: Vec<(String, String)> = settings.replicas.iter().map(|(proxy, status, _)| (plain(proxy), plain(status))).collect();
    let replicas = Replicas::new(&places, settings.live_within, http())?;
    let store = Rc::new(match settings.store {
        AisixStore::Etcd(access) => Store::Etcd(EtcdStore::new(access, http())?),
        AisixStore::Admin(access) => Store::Admin(AdminStore::new(access, http())?),
        AisixStore::File(access) => Store::File(FileStore::new(access)),
    });
    let facts =
        |(proxy, _, log): &(String, String, Option<String>)| EndpointFacts { endpoint: Endpoint::new(plain(proxy)), shard: log.clone() };
    let endpoints: Vec<EndpointFacts> = settings.replicas.iter().map(facts).collect();
    let addresses = endpoints.iter().map(|e| e.endpoint.clone()).collect();
    let prober = AisixProber::new(keys, store.clone(), addresses, settings.own, Http::new(settings.call_timeout, settings.ca_pem));
    let gateway = AisixGateway {
        store,
        keys,
        replicas,
        endpoints,
        provider: settings.provider,
        provider_url: settings.provider_url,
        lifetime: settings.lifetime,
        fingerprints: settings.fingerprints,
    };
    Ok((gateway, prober))
}

impl AisixGateway {
    /// Where a key can be tried: at every process, or, for a provider key, at the provider.
    ///
    /// # Errors
    /// When the store cannot be asked, or does not say where the provider is.
    pub async fn endpoints(&self) -> Result<Vec<EndpointFacts>> {
        let Some((id, name)) = &self.provider else { return Ok(self.endpoints.clone()) };
        let address = match &self.provider_url {
            Some(url) => url.clone(),
            None => {
                let all = self.store.read().await?;
                let mut bases: Vec<String> =
                    documents::chosen(&all, id.as_deref(), name.as_deref()).iter().map(|d| d.text("api_base").to_owned()).collect();
                bases.dedup();
                match bases.as_slice() {
                    [one] if !one.is_empty() => one.clone(),
                    _ => return Err(self.refused("find the provider", "the key's row does not say where it is: name `provider_url`")),
                }
            }
        };
        Ok(vec![EndpointFacts { endpoint: Endpoint::new(address.trim_end_matches('/')), shard: None }])
    }

    /// Its log is read as a usage source of its own.
    ///
    /// # Errors
    /// Never.
    pub async fn log_files(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn system(&self) -> String {
        "AISIX".to_owned()
    }

    fn refused(&self, action: &str, why: impl Into<String>) -> PortError {
        PortError::Refused { system: self.system(), action: action.to_owned(), why: why.into() }
    }

    fn conflict(&self, action: &str, why: impl Into<String>) -> PortError {
        PortError::Conflict { system: self.system(), action: action.to_owned(), why: why.into() }
    }

    fn find<'a>(&self, all: &'a Resources, id: &KeyId, action: &str) -> Result<&'a Document> {
        all.find(self.keys.kind(), &ids::raw(id)).ok_or_else(|| self.conflict(action, format!("there is no key {id}")))
    }

    /// The processes read from the store that we change, and serve what is in it.
    async fn same_store(&self) -> Result<()> {
        for replica in &self.replicas.all {
            for last in [false, false, true] {
                let status = self.replicas.status(replica).await?;
                let who = &replica.endpoint;
                if status.source.kind != self.store.source() {
                    let why = format!("the gateway at {who} reads its resources from {}", clean_to(&status.source.kind, 20));
                    return Err(self.refused("compare the gateway with its store", why));
                }
                let all = self.store.read().await?;
                let Some(difference) = difference(&status, &all, matches!(*self.store, Store::Etcd(_))) else { break };
                if last {
                    let why = format!("the gateway at {who} {difference}: is this its store, and its prefix?");
                    return Err(self.refused("compare the gateway with its store", why));
                }
                clock::pause(CALM).await;
            }
        }
        Ok(())
    }

    /// A change is in the store: it is done when all processes serve it.
    async fn live(&self, landed: &Landed, kind: &str, id: &str) -> Result<()> {
        let waited = self.replicas.wait(landed, &[(kind, id)]).await;
        if let Err(PortError::Refused { .. }) = &waited {
            // A file that no process takes would stop each of them at its next start.
            let unsure = |why: String| PortError::Unreachable { system: self.system(), why, may_have_happened: true };
            let Some(before) = self.store.take_back().await? else {
                return Err(unsure("the processes refuse the file, and it is not as it was written any more: look at it".into()));
            };
            self.replicas.wait(&before, &[]).await.map_err(|e| unsure(e.to_string()))?;
        }
        waited
    }

    /// When a new key ends, where the old one does: its own length of life from now on, never the old one's day.
    async fn ends(&self, like: &KeyFacts) -> Result<Option<Time>> {
        let Some(end) = like.expires_at.filter(|_| self.keys == Keys::Caller) else { return Ok(None) };
        let lived = like.created_at.map(|made| end.since(made)).filter(|life| *life > Span::ZERO);
        match self.lifetime.or(lived) {
            Some(life) => Ok(Some(self.now().await?.plus(life))),
            None => Err(self.refused(
                "mint a key",
                "the old key ends by itself and nothing says when it was made, so how long a new one may live is not known: name `lifetime`",
            )),
        }
    }
}

/// What a process serves that this store does not hold, when both are at rest.
fn difference(status: &live::Status, all: &Resources, direct: bool) -> Option<String> {
    let applied = status.applied.as_ref()?;
    if status.source.kind == "etcd" {
        if direct && applied.applied_revision > all.revision {
            return Some("is ahead of it".into());
        }
        let newest = all.documents.iter().map(|d| d.revision).max().unwrap_or(0);
        // It is behind, or serves older documents in place of some: the numbers say nothing then.
        if applied.applied_revision < newest || !status.rejected.is_empty() || !status.source.connected {
            return None;
        }
    }
    if status.source.kind == "file" && applied.config_hash != all.digest {
        return Some("has not taken the file as it is now (send it SIGHUP)".into());
    }
    for kind in ["api_keys", "provider_keys", "models"] {
        let (serves, holds) = (applied.resource_counts.get(kind)?, all.of(kind).count());
        if u64::try_from(holds).is_ok_and(|holds| holds != *serves) {
            return Some(format!("serves {serves} {kind} where {holds} are stored"));
        }
    }
    None
}

impl Gateway for AisixGateway {
    async fn identity(&self) -> Result<GatewayIdentity> {
        self.same_store().await?;
        let (base, tenant, principal, build) = self.store.about().await?;
        let clean = |text: &str| clean_to(text, 200);
        Ok(GatewayIdentity { base, tenant: clean(&tenant), principal: clean(&principal), build: clean(&build) })
    }

    async fn capabilities(&self) -> Result<GatewayCaps> {
        let (mint, disable) = match self.keys {
            Keys::Caller => (Mint::CallerChooses, Disable::Reversible),
            // A provider key has no switch: it is let go of, or deleted.
            Keys::Provider => (Mint::Supplied, Disable::None),
        };
        Ok(GatewayCaps {
            overlap: Overlap::SeparateIds,
            mint,
            marker: MarkerRule::Label(512),
            disable,
            settles_in: SETTLES,
            refusal_cache: SETTLES,
            created_at: false,
            // From a description of the real gateway; here it was never run.
            known_by: KnownBy::Documentation,
        })
    }

    async fn now(&self) -> Result<Time> {
        self.replicas.now().await
    }

    fn value_prefix(&self) -> &'static str {
        "sk-kr-"
    }

    async fn list(&self) -> Result<Vec<KeyFacts>> {
        let all = self.store.read().await?;
        all.facts(self.keys, &self.fingerprints).map_err(|why| PortError::Unreadable { system: self.system(), why })
    }

    async fn mint(&self, request: MintRequest<'_>) -> Result<Minted> {
        const ACTION: &str = "mint a key";
        let Some(value) = request.value else {
            return Err(self.refused(ACTION, "the value of a new key is known before it is made, and none was given"));
        };
        let all = self.store.read().await?;
        let old = self.find(&all, &request.like.id, ACTION)?;
        let hash = sha256_hex(value.expose().as_bytes());
        if let Some(same) = all.with_hash(&hash).next() {
            return Err(self.conflict(ACTION, format!("row {} authenticates this value already", clean_to(&same.id, 200))));
        }
        let bound = all.references(self.keys, &old.id);
        if !bound.is_empty() {
            let why = format!(
                "{} name the old key by its id and would not follow to a new one: bind them to both keys, or to neither",
                bound.join(", ")
            );
            return Err(self.refused(ACTION, why));
        }
        let twins = all.twins(self.keys, old);
        if !twins.is_empty() {
            let why = format!(
                "{} hold the same credential as the old key and would keep it alive: remove or rotate them first",
                twins.join(", ")
            );
            return Err(self.refused(ACTION, why));
        }
        let ends = self.ends(request.like).await?;
        let naming =
            Naming { name: request.name, marker: request.marker, inside: self.store.marks_inside(), unique: self.store.names_are_ids() };
        let Some(fields) = documents::like(self.keys, old, value, &naming, ends) else {
            return Err(self.refused(ACTION, "the old key's row is no JSON object"));
        };
        let id = ids::of_mint(&old.id, request.marker);
        let now = self.now().await?;
        let (id, landed) = self.store.create((self.keys.kind(), &id), &fields, (request.marker, Some(now)), old).await?;
        self.live(&landed, self.keys.kind(), &id).await?;
        let id = ids::shown(&id).ok_or_else(|| PortError::Unreadable { system: self.system(), why: "a row's id is too long".into() })?;
        Ok(Minted { id, value: value.duplicate(), created_at: Some(now) })
    }

    async fn set_enabled(&self, id: &KeyId, enabled: bool) -> Result<()> {
        let action = if enabled { "enable a key" } else { "disable a key" };
        if self.keys == Keys::Provider {
            return Err(PortError::Unsupported { system: self.system(), action: action.into() });
        }
        let all = self.store.read().await?;
        let row = self.find(&all, id, action)?;
        let twins = all.twins(self.keys, row);
        if !enabled && !twins.is_empty() {
            let why = format!("{} authenticate the same value and would keep it alive", twins.join(", "));
            return Err(self.refused(action, why));
        }
        let Some(mut fields) = row.fields.clone() else { return Err(self.refused(action, "its row is no JSON object")) };
        fields.insert("disabled".into(), (!enabled).into());
        let landed = self.store.replace(action, row, &fields).await?;
        self.live(&landed, &row.kind, &row.id).await
    }

    async fn delete(&self, id: &KeyId) -> Result<()> {
        const ACTION: &str = "delete a key";
        let mut overtaken = self.conflict(ACTION, "the store does not come to rest");
        for _ in 0..TRIES {
            let all = self.store.read().await?;
            let row = self.find(&all, id, ACTION)?;
            let mut held = all.references(self.keys, &row.id);
            if self.keys == Keys::Provider {
                held.extend(all.models().iter().filter(|(_, d)| d.text("provider_key_id") == row.id).map(|(name, _)| name.to_string()));
            } else {
                held.extend(all.twins(self.keys, row).into_iter().map(|twin| format!("{twin} (the same credential)")));
            }
            if !held.is_empty() {
                return Err(self.refused(ACTION, format!("{} would be left dangling, or keep it alive", held.join(", "))));
            }
            match self.store.remove(row, &all).await {
                Ok(landed) => return self.live(&landed, &row.kind, &row.id).await,
                // Certainly nothing happened: somebody wrote something, so the look for references counts no more.
                Err(conflict @ PortError::Conflict { .. }) => overtaken = conflict,
                Err(other) => return Err(other),
            }
        }
        Err(overtaken)
    }

    async fn mark(&self, id: &KeyId, marker: &Marker) -> Result<()> {
        const ACTION: &str = "mark a key";
        let all = self.store.read().await?;
        let row = self.find(&all, id, ACTION)?;
        let Some(mut fields) = row.fields.clone() else { return Err(self.refused(ACTION, "its row is no JSON object")) };
        documents::mark(self.keys, &mut fields, marker);
        let made_at = all.notes.get(&(row.kind.clone(), row.id.clone())).and_then(|note| note.made_at);
        self.store.mark(row, &fields, (marker, made_at)).await
    }

    async fn models(&self) -> Result<Vec<(ModelName, KeyId)>> {
        if self.keys == Keys::Caller {
            return Ok(Vec::new());
        }
        let all = self.store.read().await?;
        // A name that cannot be an id is no key that is listed.
        let at = |d: &Document| ids::shown(d.text("provider_key_id")).unwrap_or_else(|| KeyId::new("none"));
        Ok(all.models().into_iter().map(|(name, document)| (name, at(document))).collect())
    }

    async fn projection(&self) -> Result<Vec<(Endpoint, ModelName, KeyId)>> {
        let mut served = Vec::new();
        if self.keys == Keys::Caller {
            return Ok(served);
        }
        // Read first: a process that has taken this much serves it, or what came after it.
        let all = self.store.read().await?;
        for replica in &self.replicas.all {
            let status = self.replicas.status(replica).await?;
            for (name, document) in all.models() {
                let at = document.text("provider_key_id");
                let taken = status.has(&self.store.landed(&all, document));
                let good = status.rejects(&document.kind, &document.id).or_else(|| status.rejects(Keys::Provider.kind(), at)).is_none();
                let id = if taken && good { ids::shown(at) } else { None };
                served.push((replica.endpoint.clone(), name, id.unwrap_or_else(|| KeyId::new("none"))));
            }
        }
        Ok(served)
    }

    async fn repoint(&self, model: &ModelName, from: &KeyId, to: &KeyId) -> Result<()> {
        const ACTION: &str = "repoint a model";
        let all = self.store.read().await?;
        let named = all.models().into_iter().find(|(name, _)| name == model);
        let Some((_, row)) = named else { return Err(self.conflict(ACTION, format!("there is no model {model}"))) };
        if row.text("provider_key_id") != ids::raw(from) {
            return Err(self.conflict(ACTION, "it points elsewhere"));
        }
        // Nothing checks that the key exists: a model that points nowhere answers as if the caller had made a mistake.
        let key = self.find(&all, to, ACTION)?;
        for replica in &self.replicas.all {
            let status = self.replicas.status(replica).await?;
            let there = status.has(&self.store.landed(&all, key));
            if !there || status.rejects(&key.kind, &key.id).is_some() {
                return Err(self.refused(ACTION, format!("the gateway at {} does not serve the key yet", replica.endpoint)));
            }
        }
        let Some(mut fields) = row.fields.clone() else { return Err(self.refused(ACTION, "its row is no JSON object")) };
        fields.insert("provider_key_id".into(), ids::raw(to).into());
        let landed = self.store.replace(ACTION, row, &fields).await?;
        self.live(&landed, &row.kind, &row.id).await
    }
}
