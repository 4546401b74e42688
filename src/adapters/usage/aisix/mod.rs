//! AISIX's own counters as a usage source: which caller key was served with which provider key, at every process.
//!
//! They are exact and say nothing of single requests. Of a provider key they tell which caller key was served; who calls with a caller key
//! they do not tell, nor who was refused. Calls of ours are taken out by their number.

mod history;
mod scrape;

use crate::adapters::gateway::AisixOwnCalls;
use crate::adapters::gateway::wire::{Call, Http};
use crate::ports::{PortError, Result, UsageQuery, UsageSource};
use crate::rotation::{KeyId, Span, Time, UsageKind, UsagePlan, UsageTable};
use crate::support::atomic;
use crate::support::escaped_id::unescape;
use crate::support::http::{self, Calls, HttpProblem};
use history::{Asked, By, History};
use reqwest::{Method, Url};
use std::cell::RefCell;
use std::path::PathBuf;

/// A clock that is told in whole seconds is this much off, and a counter moves when a request ends.
const LAG: Span = Span::seconds(1);
const HALF: Span = Span(500);

/// The counters of all processes of a gateway.
pub struct AisixUsage {
    places: Vec<Place>,
    watches: AisixWatches,
    own: AisixOwnCalls,
    http: Http,
    /// Where readings are kept from one process of ours to the next.
    memory: PathBuf,
    history: RefCell<Option<History>>,
}

/// One process.
struct Place {
    /// Its listener for metrics.
    name: String,
    url: Url,
    proxy: String,
}

/// Which keys are watched.
pub enum AisixWatches {
    /// Provider keys.
    Provider,
    /// Caller keys; who calls with one, by the policy's word.
    Caller(Option<String>),
}

impl AisixUsage {
    /// Reads nothing yet. Each process is its proxy and its listener for metrics.
    ///
    /// # Errors
    /// When an address is none.
    pub fn new(
        processes: &[(String, String)],
        watches: AisixWatches,
        own: AisixOwnCalls,
        memory: PathBuf,
        (call_timeout, ca_pem): (Span, Option<Vec<u8>>),
    ) -> std::result::Result<Self, HttpProblem> {
        let plain = |url: &String| url.trim_end_matches('/').to_owned();
        let place =
            |(proxy, status): &(String, String)| Ok(Place { name: plain(status), url: http::address(status)?, proxy: plain(proxy) });
        let places = processes.iter().map(place).collect::<std::result::Result<_, HttpProblem>>()?;
        Ok(Self { places, watches, own, http: Http::new(call_timeout, ca_pem), memory, history: RefCell::new(None) })
    }

    fn names(&self) -> Vec<String> {
        self.places.iter().map(|place| place.name.clone()).collect()
    }

    /// Reads every process once, and keeps what it said.
    async fn look(&self) -> Result<()> {
        let mut read = Vec::new();
        for Place { name, url: base, proxy } in &self.places {
            let away = |why: String| PortError::Unreachable { system: format!("the counters at {name}"), why, may_have_happened: false };
            let unreadable = |why: &str| PortError::Unreadable { system: format!("the counters at {name}"), why: why.into() };
            let url = http::join(base, &["metrics"]).map_err(|e| away(e.to_string()))?;
            let call = Call { calls: Calls::Reading, method: Method::GET, url, bearer: None, headers: &[], body: None };
            let reply = self.http.send(call).await.map_err(|e| away(e.to_string()))?;
            if !reply.is_success() {
                return Err(away(format!("status {}; is this its listener for metrics?", reply.status)));
            }
            let at = reply.date.ok_or_else(|| unreadable("it tells no time"))?;
            let counters = scrape::parse(&String::from_utf8_lossy(&reply.body)).ok_or_else(|| unreadable("a counter cannot be read"))?;
            // Taken before the next wait: what is called from here on belongs to the next reading.
            let own = self.own.take(proxy).into_iter().map(|call| (call.request, call.at)).collect();
            read.push((name.clone(), at.plus(HALF), counters, own));
        }
        let mut kept = self.history.try_borrow_mut().map_err(|_| self.busy("it is being read already"))?;
        let history = kept.get_or_insert_with(|| self.remembered());
        for (name, at, counters, own) in read {
            history.add(&name, at, counters, own);
        }
        let text = serde_json::to_vec(&*history).map_err(|e| self.busy(&e.to_string()))?;
        // What cannot be kept shortens what a later process knows, and nothing else.
        let _kept = atomic::replace(&self.memory, &text, &atomic::Options::tagged("usage"));
        Ok(())
    }

    fn remembered(&self) -> History {
        std::fs::read(&self.memory).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    fn busy(&self, why: &str) -> PortError {
        PortError::Unreachable { system: "the counters of AISIX".into(), why: why.into(), may_have_happened: false }
    }

    fn with<T>(&self, what: impl FnOnce(&History) -> T) -> Result<T> {
        let kept = self.history.try_borrow().map_err(|_| self.busy("it is being read already"))?;
        kept.as_ref().map(what).ok_or_else(|| self.busy("nothing was read yet"))
    }
}

impl UsageSource for AisixUsage {
    async fn describe(&self) -> Result<UsagePlan> {
        self.look().await?;
        Ok(UsagePlan {
            kind: UsageKind::Counters,
            sees_refused: matches!(self.watches, AisixWatches::Provider),
            names_caller: !matches!(self.watches, AisixWatches::Caller(None)),
            lag: LAG,
            shards: self.names(),
            reaches: self.with(|history| history.reaches(&self.names()))?,
            source: "the counters of every AISIX process, by provider key and caller key".into(),
        })
    }

    async fn read(&self, query: UsageQuery<'_>) -> Result<UsageTable> {
        self.look().await?;
        let by = match &self.watches {
            AisixWatches::Provider => By::Provider,
            AisixWatches::Caller(name) => By::Caller(name.as_deref().unwrap_or_default()),
        };
        let raw = |id: &KeyId| unescape(id.as_str());
        let asked = Asked { query: &query, old: raw(query.old), new: query.new.map(raw), by };
        let mut table: UsageTable = self.with(|history| history.table(&asked, &self.names()))?;
        table.lag = LAG;
        let window = |at: Time| at.rfc3339();
        table.query = format!(
            "GET /metrics of each process, aisix_proxy_requests_total by provider_key_id and api_key_id, from {} to {}",
            window(query.from),
            window(query.to)
        );
        Ok(table)
    }
}
