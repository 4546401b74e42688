//! The data side of LiteLLM. Every call has a connection of its own.
//!
//! A refused call leaves a row without the id that we gave it; only its user agent is kept. So the id is there, too, with the number of
//! the instance that was called.

use crate::adapters::gateway::probe::{self, Dialect};
use crate::adapters::gateway::wire::{Call, Http, Reply};
use crate::ports::{CallAnswer, PortError, Prober, Result};
use crate::rotation::{CallClass, Endpoint, KeyId, Probe, RequestId, Span};
use crate::secret::{SecretText, sha256_hex};
use crate::support::http::{self, Calls, HttpProblem};
use crate::support::own_call;
use reqwest::Method;
use serde_json::Value;

/// What is not a refusal of the credential is judged like everywhere.
const OTHERWISE: Dialect = Dialect { refused_status: 401, refused_types: &[], refused_codes: &[], upstream_types: &[] };
/// How a blocked key is refused: the type of the error is the same as for a value that is no key at all.
const BLOCKED: &str = "Key is blocked";

/// Calls the data plane with a credential.
pub struct LiteLlmProber {
    endpoints: Vec<Endpoint>,
    http: Http,
}

impl LiteLlmProber {
    /// The endpoints are the instances, in the order of the policy.
    pub fn new(endpoints: Vec<Endpoint>, call_timeout: Span, ca_pem: Option<Vec<u8>>) -> Self {
        Self { endpoints, http: Http::new(call_timeout, ca_pem) }
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
        let place = self.endpoints.iter().position(|known| known == endpoint).unwrap_or(self.endpoints.len());
        let agent = own_call::agent(request.as_str(), place);
        let headers = [("x-litellm-call-id", request.as_str()), ("user-agent", agent.as_str())];
        self.http.send(Call { calls: Calls::Changing, method, url, bearer: Some(secret), headers: &headers, body }).await
    }
}

/// What an answer says about the credential.
pub(super) fn judge(probe: &Probe, reply: &Reply) -> CallClass {
    match reply.status {
        401 if refuses(&reply.body) => CallClass::Refused,
        // An exhausted budget is no refusal of the credential, whatever its status.
        422 if word(&reply.body, "type") == "budget_exceeded" => CallClass::OverLimit,
        _ => probe::judge(probe, reply, &OTHERWISE),
    }
}

/// The gateway knows that this credential is not to be served: deleted or never known, expired, or blocked.
fn refuses(body: &[u8]) -> bool {
    match word(body, "type").as_str() {
        "token_not_found_in_db" | "expired_key" => true,
        // Also said when the value is no key, or when the gateway itself is in trouble.
        "auth_error" => word(body, "message").contains(BLOCKED),
        _ => false,
    }
}

fn word(body: &[u8], field: &str) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body.pointer("/error").and_then(|error| error.get(field)).and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl Prober for LiteLlmProber {
    async fn call(&self, endpoint: &Endpoint, probe: &Probe, secret: &SecretText, request: &RequestId) -> CallAnswer {
        let Some((path, body)) = probe::request(probe) else { return CallAnswer { class: CallClass::Unknown, status: 0 } };
        let path = [&["v1"], path].concat();
        match self.send(endpoint, Method::POST, &path, secret, request, Some(&body)).await {
            Ok(reply) => CallAnswer { class: judge(probe, &reply), status: reply.status },
            Err(problem) => probe::unanswered(&problem),
        }
    }

    async fn identify(&self, secret: &SecretText, request: &RequestId) -> Result<Option<KeyId>> {
        let Some(endpoint) = self.endpoints.first() else { return Ok(None) };
        let system = format!("LiteLLM at {endpoint}");
        let unreachable = |why: String| PortError::Unreachable { system: system.clone(), why, may_have_happened: false };
        let unreadable = |why: &str| PortError::Unreadable { system: system.clone(), why: why.into() };
        // The key asks about itself: without a parameter the answer is about whoever asks.
        let sent = self.send(endpoint, Method::GET, &["key", "info"], secret, request, None).await;
        let reply = sent.map_err(|e| unreachable(e.to_string()))?;
        let id = sha256_hex(secret.expose().as_bytes());
        match reply.status {
            200 => {
                let row: Value = serde_json::from_slice(&reply.body).map_err(|_| unreadable("it does not say whose key a value is"))?;
                match row.get("key").and_then(Value::as_str) {
                    Some(shown) if shown == id => Ok(Some(KeyId::new(id))),
                    Some(_) | None => Err(unreadable("it takes a value for a key with another hash")),
                }
            }
            // Known, and limited to routes of which this is none.
            403 => Ok(Some(KeyId::new(id))),
            401 if refuses(&reply.body) => Ok(None),
            status => Err(unreachable(format!("status {status} when asked whose key a value is"))),
        }
    }
}
