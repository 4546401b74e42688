//! The data side of new-api. Every call has a connection of its own.

use super::{Ledger, NewApiGateway};
use crate::adapters::gateway::probe;
use crate::adapters::gateway::wire::{Call, Http, Reply};
use crate::ports::{CallAnswer, PortError, Prober, Result};
use crate::rotation::{CallClass, Endpoint, KeyId, Probe, RequestId, Span, Time};
use crate::secret::SecretText;
use crate::support::http::{self, Calls};
use reqwest::Method;
use serde_json::Value;
use std::rc::Rc;

/// What is not a word of new-api is judged like everywhere.
const OTHERWISE: probe::Dialect = probe::Dialect { refused_status: 401, refused_types: &[], refused_codes: &[], upstream_types: &[] };

/// Calls the data plane with a credential.
pub struct NewApiProber {
    lister: NewApiGateway,
    http: Http,
    ledger: Rc<Ledger>,
}

impl NewApiProber {
    /// The lister is for finding out whose token a value is.
    pub fn new(lister: NewApiGateway, call_timeout: Span, ca_pem: Option<Vec<u8>>, ledger: Rc<Ledger>) -> Self {
        Self { lister, http: Http::new(call_timeout, ca_pem), ledger }
    }

    /// Asks the console with the token itself; none when it does not know it.
    async fn asked(&self, path: &[&str], secret: &SecretText) -> Result<Option<Value>> {
        let system = &self.lister.console.admin.system;
        let unreachable = |why: String| PortError::Unreachable { system: system.clone(), why, may_have_happened: false };
        let base = http::address(&self.lister.console.admin.base()).map_err(|e| unreachable(e.to_string()))?;
        let mut url = http::join(&base, path).map_err(|e| unreachable(e.to_string()))?;
        if path == USAGE {
            url.path_segments_mut().map_err(|()| unreachable("its address has no path".into()))?.push("");
        }
        let call = Call { calls: Calls::Changing, method: Method::GET, url, bearer: Some(secret), headers: &[], body: None };
        let reply = self.http.send(call).await.map_err(|e| unreachable(e.to_string()))?;
        match reply.status {
            401 | 403 | 404 => Ok(None),
            _ => self.lister.console.admin.read("ask whose token a value is", &reply).map(Some),
        }
    }
}

/// What a token sees of itself.
const USAGE: &[&str] = &["api", "usage", "token"];
/// The newest rows of a token.
const ROWS: &[&str] = &["api", "log", "token"];

/// What an answer says about the credential.
pub(super) fn judge(probe: &Probe, reply: &Reply) -> CallClass {
    let body: Value = if reply.is_success() { Value::Null } else { serde_json::from_slice(&reply.body).unwrap_or_default() };
    let word = |at: &str| body.pointer(at).and_then(Value::as_str).unwrap_or_default();
    match reply.status {
        // The message is in any language. Unknown, disabled, expired and exhausted tokens are all refused like this.
        401 if word("/error/type") == "new_api_error" => CallClass::Refused,
        403 if word("/error/code") == "insufficient_user_quota" => CallClass::OverLimit,
        _ => probe::judge(probe, reply, &OTHERWISE),
    }
}

/// The token that the rows of a log name, if all name the same.
fn named_by_rows(answer: &Value) -> Option<KeyId> {
    let data = answer.get("data")?;
    let rows = data.as_array().or_else(|| data.get("items")?.as_array())?;
    let mut ids = rows.iter().map(|row| row.get("token_id").and_then(Value::as_u64));
    let first = ids.next()??;
    ids.all(|id| id == Some(first)).then(|| KeyId::new(first.to_string()))
}

impl Prober for NewApiProber {
    async fn call(&self, endpoint: &Endpoint, probe: &Probe, secret: &SecretText, request: &RequestId) -> CallAnswer {
        let Some((path, body)) = probe::request(probe) else { return CallAnswer { class: CallClass::Unknown, status: 0 } };
        let path = [&["v1"], path].concat();
        let url = match http::address(endpoint.as_str()).and_then(|base| http::join(&base, &path)) {
            Ok(url) => url,
            Err(problem) => return probe::unanswered(&problem),
        };
        let call = Call { calls: Calls::Changing, method: Method::POST, url, bearer: Some(secret), headers: &[], body: Some(&body) };
        match self.http.send(call).await {
            Ok(reply) => {
                let at = reply.date.unwrap_or_else(|| Time(crate::support::clock::wall_millis()));
                if let Some(logged_as) = reply.request.clone().filter(|id| KeyId::is_safe(id)) {
                    self.ledger.made(request, logged_as, at);
                }
                CallAnswer { class: judge(probe, &reply), status: reply.status }
            }
            Err(problem) => probe::unanswered(&problem),
        }
    }

    async fn identify(&self, secret: &SecretText, _request: &RequestId) -> Result<Option<KeyId>> {
        let tokens = self.lister.tokens().await?;
        // Its own rows name it, if it was ever used.
        if let Some(answer) = self.asked(ROWS, secret).await?
            && let Some(id) = named_by_rows(&answer)
        {
            return Ok(tokens.contains_key(&id).then_some(id));
        }
        let Some(own) = self.asked(USAGE, secret).await? else { return Ok(None) };
        let name = own.pointer("/data/name").and_then(Value::as_str).unwrap_or_default();
        // A name alone proves nothing: another user may have given it, too.
        let alike: Vec<&KeyId> = tokens
            .iter()
            .filter(|(_, token)| !name.is_empty() && token.name() == name && token.looks_like(secret.expose()))
            .map(|(id, _)| id)
            .collect();
        Ok(match alike.as_slice() {
            [one] => Some((*one).clone()),
            _ => None,
        })
    }
}
