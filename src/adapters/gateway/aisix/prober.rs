//! The data side of AISIX, and of the provider behind it. Every call has a connection of its own.

use super::documents::Resources;
use super::ids;
use super::own::{OwnCall, OwnCalls};
use super::store::{Keys, Store};
use crate::adapters::gateway::probe::{self, Dialect};
use crate::adapters::gateway::wire::{Call, Http, Reply};
use crate::ports::{CallAnswer, PortError, Prober, Result};
use crate::rotation::{CallClass, Endpoint, KeyId, Probe, RequestId};
use crate::secret::{SecretText, sha256_hex};
use crate::support::http::{self, Calls, HttpProblem};
use reqwest::Method;
use serde_json::{Value, json};
use std::rc::Rc;

/// What is not a refusal of the credential is judged like everywhere.
const OTHERWISE: Dialect = Dialect { refused_status: 401, refused_types: &[], refused_codes: &[], upstream_types: &["upstream_error"] };

/// Calls with a caller key, or at the provider with a provider key.
pub struct AisixProber {
    keys: Keys,
    store: Rc<Store>,
    endpoints: Vec<Endpoint>,
    own: OwnCalls,
    http: Http,
}

impl AisixProber {
    pub(super) fn new(keys: Keys, store: Rc<Store>, endpoints: Vec<Endpoint>, own: OwnCalls, http: Http) -> Self {
        Self { keys, store, endpoints, own, http }
    }

    async fn send(
        &self,
        endpoint: &Endpoint,
        method: Method,
        path: &[&str],
        secret: &SecretText,
        request: &RequestId,
        body: Option<&Value>,
    ) -> std::result::Result<Reply, HttpProblem> {
        let url = http::join(&http::address(endpoint.as_str())?, path)?;
        let ours = [("x-aisix-request-id", request.as_str())];
        // The provider has no use for the id.
        let headers: &[(&str, &str)] = if self.keys == Keys::Caller { &ours } else { &[] };
        self.http.send(Call { calls: Calls::Changing, method, url, bearer: Some(secret), headers, body }).await
    }

    /// The only row that authenticates a value.
    fn row(all: &Resources, hash: &str) -> std::result::Result<Option<KeyId>, String> {
        let mut rows = all.with_hash(hash);
        match (rows.next(), rows.next()) {
            (None, _) => Ok(None),
            (Some(one), None) => ids::shown(&one.id).map(Some).ok_or_else(|| "a row's id is too long".to_owned()),
            (Some(one), Some(other)) => {
                let (one, other) = (ids::shown(&one.id), ids::shown(&other.id));
                let name = |id: Option<KeyId>| id.map_or_else(|| "(no id)".to_owned(), |id| id.as_str().to_owned());
                Err(format!("rows {} and {} hold the same credential: delete the one that nobody needs", name(one), name(other)))
            }
        }
    }
}

/// What an answer says about a caller key. A provider that refuses the gateway's own credential answers 401 as well.
pub(super) fn judge(probe: &Probe, reply: &Reply) -> CallClass {
    let (kind, _) = reply.error_words();
    match (reply.status, kind.as_deref()) {
        (401, Some("invalid_api_key")) => CallClass::Refused,
        (_, Some("upstream_error")) => CallClass::UpstreamFault,
        _ => probe::judge(probe, reply, &OTHERWISE),
    }
}

/// What a provider's answer says about its key.
pub(super) fn judge_provider(probe: &Probe, reply: &Reply) -> CallClass {
    let (kind, code) = reply.error_words();
    let refused = code.as_deref() == Some("invalid_api_key") || kind.as_deref() == Some("authentication_error");
    if reply.status == 401 && refused { CallClass::Refused } else { probe::judge(probe, reply, &OTHERWISE) }
}

/// The same request twice may be answered from a cache, which says nothing about the credential.
pub(super) fn unlike_any_other(body: &mut Value, request: &RequestId) {
    let text = json!(format!("ping {request}"));
    if let Some(content) = body.pointer_mut("/messages/0/content")
        && content == "ping"
    {
        *content = text;
    } else if let Some(input) = body.get_mut("input") {
        *input = text;
    }
}

impl Prober for AisixProber {
    async fn call(&self, endpoint: &Endpoint, probe: &Probe, secret: &SecretText, request: &RequestId) -> CallAnswer {
        let Some((path, mut body)) = probe::request(probe) else { return CallAnswer { class: CallClass::Unknown, status: 0 } };
        unlike_any_other(&mut body, request);
        // A provider's address ends with its version.
        let path = if self.keys == Keys::Caller { [&["v1"], path].concat() } else { path.to_vec() };
        match self.send(endpoint, Method::POST, &path, secret, request, Some(&body)).await {
            Ok(reply) if self.keys == Keys::Caller => {
                // What was served was counted, under whichever key it was.
                if let (200, Some(at)) = (reply.status, reply.date) {
                    self.own.made(OwnCall { place: endpoint.to_string(), request: request.to_string(), at });
                }
                CallAnswer { class: judge(probe, &reply), status: reply.status }
            }
            Ok(reply) => CallAnswer { class: judge_provider(probe, &reply), status: reply.status },
            Err(problem) => probe::unanswered(&problem),
        }
    }

    async fn identify(&self, secret: &SecretText, request: &RequestId) -> Result<Option<KeyId>> {
        let (Keys::Caller, Some(endpoint)) = (self.keys, self.endpoints.first()) else { return Ok(None) };
        let system = format!("the gateway at {endpoint}");
        let all = self.store.read().await?;
        let row = Self::row(&all, &sha256_hex(secret.expose().as_bytes()));
        let Some(id) = row.map_err(|why| PortError::Unreadable { system: system.clone(), why })? else { return Ok(None) };
        // The store names the row; that the gateway takes the value as well, only the gateway can say. This costs nothing at the provider.
        let sent = self.send(endpoint, Method::GET, &["v1", "models"], secret, request, None).await;
        let away = |why: String| PortError::Unreachable { system: system.clone(), why, may_have_happened: false };
        let reply = sent.map_err(|e| away(e.to_string()))?;
        match (reply.status, reply.error_words().0.as_deref()) {
            (200, _) => Ok(Some(id)),
            (401, Some("invalid_api_key")) => Ok(None),
            (status, _) => Err(away(format!("status {status} when asked whose key a value is"))),
        }
    }
}
