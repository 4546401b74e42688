//! A gateway that the policy describes: its requests, and where in the answers things are. What a description cannot say is refused; what
//! it claims is believed on the admin side only as far as a second look shows it, and on the data side not at all.

mod admin;
mod document;
mod exchange;
mod listing;
mod mint;
mod prober;
mod row;
mod session;
mod times;
mod values;

pub use prober::HttpProber;

use crate::policy::model::http_gateway::{DisableCalls, HttpGateway, HttpRequest, Method, OverlapClass};
use crate::ports::{Gateway, MintRequest, Minted, PortError, Result};
use crate::rotation::{
    Disable, Endpoint, EndpointFacts, GatewayCaps, GatewayIdentity, KeyFacts, KeyId, KnownBy, Marker, MarkerRule, Mint, ModelName, Overlap,
    Span, Time,
};
use crate::secret::SecretText;
use crate::support::http::HttpProblem;
use crate::support::text::clean_to;
use admin::{Admin, Op};
use exchange::Exchange;
use mint::nothing_happened;
use row::{Row, marker_text};
use serde_json::Value;
use std::collections::BTreeSet;
use std::rc::Rc;
use values::{Values, shown};

/// The gateway's clock is asked for again after this long.
const CLOCK_MS: u64 = 5_000;
/// An expiry this far back is over for every clock.
const LONG_AGO: Span = Span::hours(24);
/// The length of a marker place when the policy says none.
const MARKER_BYTES: u32 = 64;

/// The admin side of a described gateway.
pub struct HttpGatewayDriver {
    admin: Rc<Admin>,
    /// Keys of finished runs, where a marker cannot be replaced.
    settled: BTreeSet<KeyId>,
}

/// Both sides of a described gateway. Nothing is called yet. `settled` are keys of runs that are known to be over.
///
/// # Errors
/// When an address is none.
pub fn described(
    described: &HttpGateway,
    credential: SecretText,
    call_timeout: Span,
    ca_pem: Option<Vec<u8>>,
    settled: BTreeSet<KeyId>,
) -> std::result::Result<(HttpGatewayDriver, HttpProber), HttpProblem> {
    let described = Rc::new(described.clone());
    let admin = Rc::new(Admin::new(described, credential, Exchange::new(call_timeout, ca_pem.clone()))?);
    Ok((HttpGatewayDriver { admin: admin.clone(), settled }, HttpProber::new(admin, Exchange::new(call_timeout, ca_pem))))
}

impl HttpGatewayDriver {
    /// Every address of the data plane.
    ///
    /// # Errors
    /// Never: they are written in the policy.
    #[expect(clippy::unused_async, reason = "other gateways have to be asked")]
    pub async fn endpoints(&self) -> Result<Vec<EndpointFacts>> {
        let urls = &self.admin.described.data.urls;
        Ok(urls.iter().map(|url| EndpointFacts { endpoint: Endpoint::new(url.as_str().trim_end_matches('/')), shard: None }).collect())
    }

    /// The driver knows of no log files; `usage:` names them.
    ///
    /// # Errors
    /// Never.
    #[expect(clippy::unused_async, reason = "other gateways have to be asked")]
    pub async fn log_files(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn row(&self, action: &str, id: &KeyId) -> Result<Row> {
        let rows = self.admin.rows().await.map_err(nothing_happened)?;
        rows.into_iter().find(|row| row.facts.id == *id).ok_or_else(|| PortError::Conflict {
            system: self.admin.system.clone(),
            action: action.to_owned(),
            why: format!("key {id} is not in the listing"),
        })
    }

    fn unsupported(&self, action: &str) -> PortError {
        PortError::Unsupported { system: self.admin.system.clone(), action: action.to_owned() }
    }

    /// After a change that was answered with success: what the listing shows now. A description that sends a field the gateway ignores
    /// would else be believed.
    async fn shows(&self, op: Op<'_>, id: &KeyId, wanted: &str, holds: impl Fn(&Row) -> bool) -> Result<()> {
        let rows =
            self.admin.rows().await.map_err(|e| self.admin.unreadable(op, format!("it succeeded, and then the look failed: {e}")))?;
        match rows.iter().find(|row| row.facts.id == *id) {
            Some(row) if holds(row) => Ok(()),
            Some(_) => Err(self.admin.unreadable(op, format!("it was answered with success, and the listing does not show that {wanted}"))),
            None => Err(self.admin.unreadable(op, "it was answered with success, and the key is not in the listing any more")),
        }
    }

    async fn now_or_ours(&self) -> Result<Time> {
        self.now().await.map_err(nothing_happened)
    }
}

impl Gateway for HttpGatewayDriver {
    async fn identity(&self) -> Result<GatewayIdentity> {
        let base = self.admin.base.as_str().trim_end_matches('/').to_owned();
        let mut identity = GatewayIdentity { base, tenant: String::new(), principal: String::new(), build: String::new() };
        let Some(call) = &self.admin.described.identity else { return Ok(identity) };
        let op = Op { action: "read who we are", field: "identity.request", request: &call.request, usual: Method::Get };
        let (_, document) = self.admin.read(op, &Values::default()).await?;
        let places = [
            ("identity.tenant", &call.tenant, &mut identity.tenant),
            ("identity.principal", &call.principal, &mut identity.principal),
            ("identity.build", &call.build, &mut identity.build),
        ];
        for (field, at, to) in places {
            let Some(at) = at else { continue };
            let found = document.pointer(at.as_str()).filter(|v| v.is_string() || v.is_number()).map(shown);
            let found = found.ok_or_else(|| self.admin.nothing_at(op, field, at.as_str(), &document))?;
            *to = clean_to(&found, 200);
        }
        Ok(identity)
    }

    async fn capabilities(&self) -> Result<GatewayCaps> {
        let described = &self.admin.described;
        let settles_in = Span(described.settles_in.as_millis());
        Ok(GatewayCaps {
            overlap: match described.overlap {
                None | Some(OverlapClass::SeparateIds) => Overlap::SeparateIds,
                Some(OverlapClass::OneIdTwoSecrets) => Overlap::OneIdTwoSecrets,
                Some(OverlapClass::OneIdNoOverlap) => Overlap::OneIdNoOverlap,
                Some(OverlapClass::TwoSlots) => Overlap::TwoSlots,
                Some(OverlapClass::ActivateOnFirstUse) => Overlap::ActivateOnFirstUse,
            },
            mint: if described.caller_chooses() { Mint::CallerChooses } else { Mint::ShownOnce },
            marker: MarkerRule::Label(described.fields.marker.max.unwrap_or(MARKER_BYTES)),
            disable: match &described.disable {
                DisableCalls::Flag(_) => Disable::Reversible,
                DisableCalls::Expiry(_) => Disable::ByExpiry,
                DisableCalls::OneWay(_) => Disable::Irreversible,
                DisableCalls::None(_) => Disable::None,
            },
            settles_in,
            refusal_cache: described.refusal_cache.map_or(settles_in, |p| Span(p.as_millis())),
            created_at: described.fields.created_at.is_some(),
            known_by: KnownBy::Documentation,
        })
    }

    async fn now(&self) -> Result<Time> {
        if let Some(now) = self.admin.time(CLOCK_MS) {
            return Ok(now);
        }
        match &self.admin.described.identity {
            Some(_) => drop(self.identity().await?),
            None => {
                let op =
                    Op { action: "read the clock", field: "list.request", request: &self.admin.described.list.request, usual: Method::Get };
                self.admin.read(op, &Values::default()).await?;
            }
        }
        Ok(self.admin.time_or_ours())
    }

    async fn list(&self) -> Result<Vec<KeyFacts>> {
        let settled = |mut facts: KeyFacts| {
            if self.settled.contains(&facts.id) && Marker::run(&facts.marker).is_some() {
                facts.marker = Marker::live().as_str().to_owned();
            }
            facts
        };
        Ok(self.admin.rows().await?.into_iter().map(|row| settled(row.facts)).collect())
    }

    async fn mint(&self, request: MintRequest<'_>) -> Result<Minted> {
        self.make(request).await
    }

    async fn set_enabled(&self, id: &KeyId, enabled: bool) -> Result<()> {
        let described = self.admin.described.clone();
        let action = if enabled { "enable a key" } else { "disable a key" };
        let (field, request): (&str, &HttpRequest) = match (&described.disable, enabled) {
            (DisableCalls::Flag(calls), false) => ("disable.flag.off", &calls.off),
            (DisableCalls::Flag(calls), true) => ("disable.flag.on", &calls.on),
            (DisableCalls::Expiry(calls), false) => ("disable.expiry.off", &calls.off),
            (DisableCalls::Expiry(calls), true) => ("disable.expiry.on", &calls.on),
            (DisableCalls::OneWay(call), false) => ("disable.one_way.off", &call.off),
            (DisableCalls::OneWay(_), true) | (DisableCalls::None(_), _) => return Err(self.unsupported(action)),
        };
        let row = self.row(action, id).await?;
        if row.facts.expires_at.is_some() && matches!(described.disable, DisableCalls::Expiry(_)) && !enabled {
            let why = format!("key {id} has an end of its own, which moving it would lose");
            return Err(PortError::Refused { system: self.admin.system.clone(), action: action.to_owned(), why });
        }
        let now = self.now_or_ours().await?;
        let format = described.fields.time_format.unwrap_or_default();
        let values =
            Values::default().with("id", id.as_str()).with("key", row.document).with("past", times::written(now.minus(LONG_AGO), format));
        let op = Op { action, field, request, usual: Method::Patch };
        self.admin.change(op, &values).await?;
        let wanted = if enabled { "the key is accepted" } else { "the key is refused" };
        self.shows(op, id, wanted, |row| row.facts.enabled == enabled).await
    }

    async fn delete(&self, id: &KeyId) -> Result<()> {
        let described = self.admin.described.clone();
        let row = self.row("delete a key", id).await?;
        let values = Values::default().with("id", id.as_str()).with("key", row.document);
        let op = Op { action: "delete a key", field: "delete", request: &described.delete, usual: Method::Delete };
        let _answer: Value = self.admin.change(op, &values).await?;
        Ok(())
    }

    async fn mark(&self, id: &KeyId, marker: &Marker) -> Result<()> {
        let described = self.admin.described.clone();
        let row = self.row("mark a key", id).await?;
        if row.facts.marker == marker.as_str() {
            // A person did it, where there is no call for it.
            return Ok(());
        }
        if described.marker_stays == Some(true) {
            // The journal is what says that the run is over.
            return Ok(());
        }
        let Some(request) = &described.mark else { return Err(self.unsupported("mark a key")) };
        let values = Values::default()
            .with("id", id.as_str())
            .with("name", row.facts.name.as_str())
            .with("marker", marker_text(&described, marker.as_str()))
            .with("key", row.document);
        let op = Op { action: "mark a key", field: "mark", request, usual: Method::Patch };
        self.admin.change(op, &values).await?;
        self.shows(op, id, "the key carries the marker", |row| row.facts.marker == marker.as_str()).await
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
