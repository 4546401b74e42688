//! The data side of the family. Every call has a connection of its own; the record that the gateway keeps of it is looked up afterwards.

use super::rows::{Generation, Own, Row};
use super::{Dialect, Meter, OpenRouterGateway};
use crate::adapters::gateway::probe;
use crate::adapters::gateway::wire::{Call, Http, Reply};
use crate::ports::{CallAnswer, PortError, Prober, Result};
use crate::rotation::{CallClass, Endpoint, KeyId, Probe, RequestId, Span, Time};
use crate::secret::{SecretText, sha256_hex};
use crate::support::http::{self, Calls, HttpProblem};
use reqwest::Method;
use serde_json::Value;
use std::rc::Rc;

/// What is not a word of the family is judged like everywhere.
const OTHERWISE: probe::Dialect = probe::Dialect { refused_status: 401, refused_types: &[], refused_codes: &[], upstream_types: &[] };
/// Records are looked up for so many calls at a time.
const LOOK_UPS: usize = 4;

/// Calls the data plane with a credential.
pub struct OpenRouterProber {
    lister: OpenRouterGateway,
    http: Http,
    meter: Rc<Meter>,
}

impl OpenRouterProber {
    /// The lister is for finding out whose key a value is.
    pub fn new(lister: OpenRouterGateway, call_timeout: Span, ca_pem: Option<Vec<u8>>, meter: Rc<Meter>) -> Self {
        Self { lister, http: Http::new(call_timeout, ca_pem), meter }
    }

    fn dialect(&self) -> Dialect {
        self.lister.settings.dialect
    }

    async fn get(
        &self,
        endpoint: &str,
        path: &[&str],
        query: &[(&str, &str)],
        secret: &SecretText,
    ) -> std::result::Result<Reply, HttpProblem> {
        let mut url = http::join(&http::address(endpoint)?, path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        // A library may repeat a read, and each one counts as asked: so it has a connection of its own, too.
        self.http.send(Call { calls: Calls::Changing, method: Method::GET, url, bearer: Some(secret), headers: &[], body: None }).await
    }

    /// Looks up what calls with this credential cost, where it is not known yet. That it fails says nothing: the next call looks again.
    async fn look_up(&self, endpoint: &Endpoint, secret: &SecretText, by: &str) {
        for id in self.meter.pending(by, LOOK_UPS) {
            let Ok(reply) = self.get(endpoint.as_str(), self.dialect().generation(), &[("id", id.as_str())], secret).await else { return };
            if !reply.is_success() {
                continue;
            }
            if let Some(cost) = serde_json::from_slice::<Generation>(&reply.body).ok().and_then(|found| found.cost_of(&id)) {
                self.meter.found(&id, cost);
            }
        }
    }
}

/// What an answer says about the credential.
pub(super) fn judge(dialect: Dialect, probe: &Probe, reply: &Reply) -> CallClass {
    if reply.is_success() {
        return probe::judge(probe, reply, &OTHERWISE);
    }
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let word = |at: &str| body.pointer(at).and_then(Value::as_str).unwrap_or_default();
    match reply.status {
        401 if refuses(dialect, &body) => CallClass::Refused,
        402 => CallClass::OverLimit,
        403 if [word("/error/type"), word("/error/code"), word("/code")].contains(&"quota_exceeded") => CallClass::OverLimit,
        _ => probe::judge(probe, reply, &OTHERWISE),
    }
}

/// The family's own words for a credential that is not served: deleted, disabled or never known.
fn refuses(dialect: Dialect, body: &Value) -> bool {
    match dialect {
        // The status again, as a number, beside a message: a proxy in between says no such thing.
        Dialect::OpenRouter => {
            body.pointer("/error/code").and_then(Value::as_u64) == Some(401) && body.pointer("/error/message").is_some_and(Value::is_string)
        }
        // Its SDKs also read an error without an envelope.
        Dialect::ARouter | Dialect::ARouterLegacy => {
            ["/error/type", "/code"].iter().any(|at| body.pointer(at).and_then(Value::as_str) == Some("authentication_error"))
        }
    }
}

/// The gateway's id of a call, of a shape that can be asked for.
fn generation(reply: &Reply) -> Option<String> {
    let id = match serde_json::from_slice::<Value>(&reply.body) {
        Ok(body) => body.get("id")?.as_str()?.to_owned(),
        Err(_) => {
            // A stream: each of its events names it.
            let text = std::str::from_utf8(&reply.body).ok()?;
            let first = text.lines().find_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data:")?.trim()).ok())?;
            first.get("id")?.as_str()?.to_owned()
        }
    };
    KeyId::is_safe(&id).then_some(id)
}

/// What a key sees of itself and a listed row say the same of it, and the row shows a part of its value.
fn same(own: &Row, listed: &Row, secret: &SecretText) -> bool {
    listed.shows(secret.expose()) == Some(true)
        && ["limit", "limit_reset", "expires_at"].iter().all(|field| match (own.0.get(*field), listed.0.get(*field)) {
            (Some(a), Some(b)) => a == b || (a.is_number() && a.as_f64() == b.as_f64()),
            (None, _) | (_, None) => true,
        })
}

impl Prober for OpenRouterProber {
    async fn call(&self, endpoint: &Endpoint, probe: &Probe, secret: &SecretText, request: &RequestId) -> CallAnswer {
        let Some((path, body)) = probe::request(probe) else { return CallAnswer { class: CallClass::Unknown, status: 0 } };
        let path = [self.dialect().data(), path].concat();
        let url = match http::address(endpoint.as_str()).and_then(|base| http::join(&base, &path)) {
            Ok(url) => url,
            Err(problem) => return probe::unanswered(&problem),
        };
        let headers = [("x-request-id", request.as_str())];
        let call = Call { calls: Calls::Changing, method: Method::POST, url, bearer: Some(secret), headers: &headers, body: Some(&body) };
        let reply = match self.http.send(call).await {
            Ok(reply) => reply,
            Err(problem) => return probe::unanswered(&problem),
        };
        let class = judge(self.dialect(), probe, &reply);
        if class == CallClass::Accepted {
            let by = sha256_hex(secret.expose().as_bytes());
            let at = reply.date.unwrap_or_else(|| Time(crate::support::clock::wall_millis()));
            self.meter.made(request, at, generation(&reply), &by);
            self.look_up(endpoint, secret, &by).await;
        }
        CallAnswer { class, status: reply.status }
    }

    async fn identify(&self, secret: &SecretText, _request: &RequestId) -> Result<Option<KeyId>> {
        let system = self.lister.system().to_owned();
        let unreachable = |why: String| PortError::Unreachable { system: system.clone(), why, may_have_happened: false };
        let base = self.lister.admin.base();
        let mut found = None;
        for path in self.dialect().own() {
            let reply = self.get(&base, path, &[], secret).await.map_err(|e| unreachable(e.to_string()))?;
            match reply.status {
                404 => {}
                401 => return Ok(None),
                _ => {
                    let own: Own = self.lister.admin.read("ask whose key a value is", &reply)?;
                    found = Some(own.data);
                    break;
                }
            }
        }
        let Some(own) = found else { return Ok(None) };
        let rows = self.lister.rows().await?;
        let hash = KeyId::new(sha256_hex(secret.expose().as_bytes()));
        if let Some(row) = rows.get(&hash) {
            // The hash is documented on OpenRouter; that the label fits the value, too, makes it believable.
            let fits = row.shows(secret.expose()).unwrap_or(true);
            return if fits { Ok(Some(hash)) } else { Err(self.lister.admin.unreadable("it takes a value for a key with another label")) };
        }
        if self.dialect() == Dialect::OpenRouter {
            return Ok(None);
        }
        // Elsewhere an id is not made from the value: exactly one listed key must look like what the key sees of itself.
        let alike: Vec<&KeyId> = rows.iter().filter(|(_, row)| same(&own, row, secret)).map(|(id, _)| id).collect();
        Ok(match alike.as_slice() {
            [one] => Some((*one).clone()),
            _ => None,
        })
    }
}
