//! HTTP as admin APIs speak it: one call, one answer or one typed error. Nothing is retried and no redirect is followed.
//!
//! What an answer means depends on whether the call changes something: after a change, everything but a clear answer may have
//! happened.

use crate::ports::{PortError, Result};
use crate::rotation::{Span, Time};
use crate::secret::SecretText;
use crate::support::http::{self, Calls, Clients, HttpProblem};
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;
use zeroize::Zeroizing;

/// The longest answer that is read.
const LONGEST_BODY: usize = 4 << 20;
/// Headers in which a gateway names its own id of a call.
const REQUEST_IDS: &[&str] = &["x-oneapi-request-id", "x-request-id"];

/// How an admin API is reached.
pub struct Access {
    /// Its base address.
    pub base: String,
    /// The admin credential.
    pub admin: SecretText,
    /// Longest time for one call.
    pub call_timeout: Span,
    /// A private certificate authority.
    pub ca_pem: Option<Vec<u8>>,
}

/// A status and a body.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Zeroizing<Vec<u8>>,
    /// The `Date` header, where it is one.
    pub(crate) date: Option<Time>,
    /// The gateway's own id of the call, where a header names one.
    pub(crate) request: Option<String>,
}

impl Reply {
    /// The answer is a success.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Type and code of an error body, if they are plain words: anything else in there may be anything, even a key.
    pub(crate) fn error_words(&self) -> (Option<String>, Option<String>) {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let word = |pointer: &str| {
            let word = body.pointer(pointer)?.as_str()?;
            let plain = (1..=40).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            plain.then(|| word.to_owned())
        };
        (word("/error/type"), word("/error/code"))
    }
}

/// Clients that are made when the first call needs them.
pub(crate) struct Http {
    clients: Clients,
}

impl Http {
    /// Clients with one limit for every call.
    pub(crate) fn new(timeout: Span, ca_pem: Option<Vec<u8>>) -> Self {
        Self { clients: Clients::new(Duration::from_millis(timeout.0.max(1)), ca_pem) }
    }

    /// One call.
    pub(crate) async fn send(&self, call: Call<'_>) -> std::result::Result<Reply, HttpProblem> {
        let client = self.clients.get(call.calls, &call.url)?;
        let mut request = client.request(call.method, call.url);
        if let Some(bearer) = call.bearer {
            request = request.bearer_auth(bearer.expose());
        }
        for (name, value) in call.headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = call.body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|e| HttpProblem::of(&e))?;
        let status = response.status().as_u16();
        let request = REQUEST_IDS.iter().find_map(|name| response.headers().get(*name)?.to_str().ok().map(str::to_owned));
        let date = http::date_millis(response.headers()).map(Time);
        let body = http::read_bounded(response, LONGEST_BODY).await?;
        Ok(Reply { status, body, date, request })
    }
}

/// What is sent.
pub(crate) struct Call<'a> {
    pub(crate) calls: Calls,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) bearer: Option<&'a SecretText>,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: Option<&'a Value>,
}

/// An admin API at one address, with one credential.
pub(crate) struct Admin {
    /// How messages name it.
    pub(crate) system: String,
    base: Url,
    bearer: SecretText,
    /// Sent with every call beside the credential.
    headers: Vec<(&'static str, String)>,
    http: Http,
}

impl Admin {
    /// Nothing is called yet.
    pub(crate) fn new(system: &str, base: &str, bearer: SecretText, http: Http) -> std::result::Result<Self, HttpProblem> {
        let base = http::address(base)?;
        Ok(Self { system: format!("{system} at {}", shown(&base)), base, bearer, headers: Vec::new(), http })
    }

    /// With one more header in every call; never a secret.
    pub(crate) fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The address, as plans freeze it.
    pub(crate) fn base(&self) -> String {
        shown(&self.base)
    }

    /// Reads something.
    pub(crate) async fn get<T: DeserializeOwned>(&self, action: &str, path: &[&str], query: &[(&str, &str)]) -> Result<T> {
        let reply = self.look(path, query).await?;
        self.read(action, &reply)
    }

    /// Reads something, for a caller that reads more than success out of the answer.
    pub(crate) async fn look(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Reply> {
        self.send(Calls::Reading, Method::GET, path, query, None).await.map_err(|e| self.unreachable(&e, false))
    }

    /// What [`Self::get`] makes of an answer.
    pub(crate) fn read<T: DeserializeOwned>(&self, action: &str, reply: &Reply) -> Result<T> {
        if reply.is_success() { self.parsed(reply) } else { Err(self.not_read(action, reply)) }
    }

    /// Changes something, once.
    pub(crate) async fn change<T: DeserializeOwned>(&self, action: &str, method: Method, path: &[&str], body: Option<&Value>) -> Result<T> {
        let reply = self.answer(method, path, &[], body).await?;
        self.changed(action, &reply)
    }

    /// Changes something, once, for a caller that reads more than success out of the answer.
    pub(crate) async fn answer(&self, method: Method, path: &[&str], query: &[(&str, &str)], body: Option<&Value>) -> Result<Reply> {
        let sent = self.send(Calls::Changing, method, path, query, body).await;
        sent.map_err(|e| self.unreachable(&e, e.may_have_happened()))
    }

    async fn send(
        &self,
        calls: Calls,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> std::result::Result<Reply, HttpProblem> {
        // Some gateways answer a path without its last slash with a redirect, and none is followed.
        let (path, slash) = match path {
            [path @ .., ""] => (path, true),
            path => (path, false),
        };
        let mut url = http::join(&self.base, path)?;
        if slash {
            url.path_segments_mut().map_err(|()| HttpProblem::Address)?.push("");
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.http.send(Call { calls, method, url, bearer: Some(&self.bearer), headers: &headers, body }).await
    }

    /// What [`Self::change`] makes of an answer.
    pub(crate) fn changed<T: DeserializeOwned>(&self, action: &str, reply: &Reply) -> Result<T> {
        if reply.is_success() { self.parsed(reply) } else { Err(self.not_changed(action, reply)) }
    }

    /// The gateway's clock, to a second, from the header of an answer.
    pub(crate) async fn date(&self, action: &str, path: &[&str]) -> Result<Time> {
        let reply = self.look(path, &[]).await?;
        if !reply.is_success() {
            return Err(self.not_read(action, &reply));
        }
        reply.date.ok_or_else(|| self.unreadable("it tells no time"))
    }

    /// The answer cannot be relied on.
    pub(crate) fn unreadable(&self, why: impl Into<String>) -> PortError {
        PortError::Unreadable { system: self.system.clone(), why: why.into() }
    }

    fn parsed<T: DeserializeOwned>(&self, reply: &Reply) -> Result<T> {
        // The parser's own message may repeat a piece of the body: only the position is told.
        serde_json::from_slice(&reply.body)
            .map_err(|e| self.unreadable(format!("not the expected document at line {}, column {}", e.line(), e.column())))
    }

    fn unreachable(&self, problem: &HttpProblem, may_have_happened: bool) -> PortError {
        PortError::Unreachable { system: self.system.clone(), why: problem.to_string(), may_have_happened }
    }

    fn not_read(&self, action: &str, reply: &Reply) -> PortError {
        match reply.status {
            429 | 500..=599 => {
                PortError::Unreachable { system: self.system.clone(), why: self.said(reply, "try again later"), may_have_happened: false }
            }
            404 => self.conflict(action, reply),
            _ => self.refused(action, reply),
        }
    }

    fn not_changed(&self, action: &str, reply: &Reply) -> PortError {
        match reply.status {
            404 | 409 | 412 => self.conflict(action, reply),
            // Not a word about what was done: a proxy or a broken gateway answered.
            100..=399 | 408 | 500..=u16::MAX => PortError::Unreachable {
                system: self.system.clone(),
                why: self.said(reply, "the change may have happened: look"),
                may_have_happened: true,
            },
            _ => self.refused(action, reply),
        }
    }

    fn conflict(&self, action: &str, reply: &Reply) -> PortError {
        let hint = if reply.status == 404 { "there is no such thing" } else { "it is in another state" };
        PortError::Conflict { system: self.system.clone(), action: action.to_owned(), why: self.said(reply, hint) }
    }

    fn refused(&self, action: &str, reply: &Reply) -> PortError {
        let hint = match reply.status {
            401 => "check the admin credential",
            403 => "the admin credential may not do this",
            300..=399 => "it redirects, and redirects are not followed: give its own address",
            _ => "check its version and the request's limits",
        };
        PortError::Refused { system: self.system.clone(), action: action.to_owned(), why: self.said(reply, hint) }
    }

    fn said(&self, reply: &Reply, hint: &str) -> String {
        match reply.error_words() {
            (_, Some(word)) | (Some(word), None) => format!("status {} ({word}); {hint}", reply.status),
            (None, None) => format!("status {}; {hint}", reply.status),
        }
    }
}

fn shown(base: &Url) -> String {
    base.as_str().trim_end_matches('/').to_owned()
}

/// Nothing is said: null, or a list or object without anything in it. In a restriction the two mean the same.
pub(in crate::adapters) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
