//! The server's API: one call, one answer or one typed error.
//!
//! Paths, queries and answers are those of `vaultrs`; the calls go through our own client, because the library's follows redirects with the
//! token, keeps whole bodies in its errors, and reads answers without a limit. No body, token or address part of an error is ever told.

use super::login::{Login, Session};
use super::place::Place;
use crate::adapters::reference::References;
use crate::policy::model::reference::VaultAuth;
use crate::ports::{PortError, Result};
use crate::secret::SecretText;
use crate::support::http::{self, Calls, Clients, HttpProblem};
use reqwest::Method;
use rustify::endpoint::Endpoint;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use vaultrs::api::EndpointResult;
use zeroize::Zeroizing;

/// The longest answer that is read.
const LONGEST_BODY: usize = 4 << 20;

/// A server, and how to be somebody there.
pub(super) struct Api {
    pub(super) place: Rc<Place>,
    auth: Option<VaultAuth>,
    clients: Clients,
    session: RefCell<Option<Rc<Session>>>,
}

/// A status and a body.
pub(super) struct Reply {
    pub(super) status: u16,
    /// What the server's clock said, in milliseconds since 1970.
    pub(super) date: Option<i64>,
    body: Zeroizing<Vec<u8>>,
}

impl Reply {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether one of the server's own error texts says this. The texts themselves are never shown.
    pub(super) fn says(&self, words: &str) -> bool {
        self.errors().is_some_and(|errors| errors.iter().any(|e| e.as_str().is_some_and(|e| e.contains(words))))
    }

    /// The server's own way to say "nothing there": no error text at all. Anything else may come from a proxy or a wrong mount.
    pub(super) fn is_plain_absence(&self) -> bool {
        self.status == 404 && self.errors().is_some_and(|errors| errors.is_empty())
    }

    fn errors(&self) -> Option<Vec<Value>> {
        serde_json::from_slice::<Value>(&self.body).ok()?.get("errors")?.as_array().cloned()
    }

    /// The answer as a document.
    pub(super) fn parsed<T: DeserializeOwned>(&self, system: &str) -> Result<T> {
        // The parser's own message may repeat a piece of the body: only the position is told.
        serde_json::from_slice(&self.body).map_err(|e| PortError::Unreadable {
            system: system.to_owned(),
            why: format!("not the expected document at line {}, column {}", e.line(), e.column()),
        })
    }
}

impl Api {
    /// Nothing is called yet.
    pub(super) fn new(place: Rc<Place>, auth: Option<VaultAuth>, timeout: Duration, ca_pem: Option<Vec<u8>>) -> Self {
        Self { place, auth, clients: Clients::new(timeout, ca_pem), session: RefCell::new(None) }
    }

    /// How we log in; none is the token of the environment.
    pub(super) fn auth(&self) -> Option<&VaultAuth> {
        self.auth.as_ref()
    }

    /// The token is from a login that can be done again.
    pub(super) fn logs_in(&self) -> bool {
        !matches!(self.auth, None | Some(VaultAuth::Token(_)))
    }

    /// Reads something.
    pub(super) async fn get<E: Endpoint>(&self, references: &References, endpoint: E) -> Result<Reply> {
        let query = endpoint.query().ok().flatten();
        self.call(references, Calls::Reading, Method::GET, &endpoint.path(), query, None).await
    }

    /// Changes something, once.
    pub(super) async fn change<E: Endpoint>(
        &self,
        references: &References,
        method: Method,
        endpoint: E,
        body: Option<&Zeroizing<String>>,
    ) -> Result<Reply> {
        match body {
            Some(body) => self.call(references, Calls::Changing, method, &endpoint.path(), None, Some(body.as_bytes().to_vec())).await,
            None => self.call(references, Calls::Changing, method, &endpoint.path(), None, endpoint.body().ok().flatten()).await,
        }
    }

    async fn call(
        &self,
        references: &References,
        calls: Calls,
        method: Method,
        path: &str,
        query: Option<String>,
        body: Option<Vec<u8>>,
    ) -> Result<Reply> {
        let session = self.session(references).await?;
        let reply = self.send(calls, method, path, query, body, Some(&session.token)).await?;
        if reply.status == 403 {
            // The next call logs in again, or reads a token that was renewed meanwhile.
            *self.session.borrow_mut() = None;
        }
        Ok(reply)
    }

    async fn send(
        &self,
        calls: Calls,
        method: Method,
        path: &str,
        query: Option<String>,
        body: Option<Vec<u8>>,
        token: Option<&SecretText>,
    ) -> Result<Reply> {
        let may = calls == Calls::Changing;
        let segments: Vec<&str> = std::iter::once("v1").chain(path.split('/').filter(|s| !s.is_empty())).collect();
        let mut url = http::join(&self.place.base, &segments).map_err(|e| self.unreachable(&e, false))?;
        url.set_query(query.as_deref().filter(|q| !q.is_empty()));
        let client = self.clients.get(calls, &self.place.base).map_err(|e| self.unreachable(&e, false))?;
        let mut request = client.request(method, url).header("x-vault-request", "true");
        if let Some(token) = token {
            let mut value = reqwest::header::HeaderValue::from_str(token.expose())
                .map_err(|_| self.refused("log in", "the token has characters that no token has"))?;
            value.set_sensitive(true);
            request = request.header("x-vault-token", value);
        }
        if let Some(namespace) = &self.place.namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let answer = request.send().await.map_err(|e| self.no_answer(&HttpProblem::of(&e), may))?;
        let (status, date) = (answer.status().as_u16(), http::date_millis(answer.headers()));
        let body = http::read_bounded(answer, LONGEST_BODY).await.map_err(|e| self.no_answer(&e, may))?;
        Ok(Reply { status, date, body })
    }

    /// How the server is, asked without a login and outside every namespace.
    pub(super) async fn health(&self) -> Result<Reply> {
        let url = http::join(&self.place.base, &["v1", "sys", "health"]).map_err(|e| self.unreachable(&e, false))?;
        let client = self.clients.get(Calls::Reading, &self.place.base).map_err(|e| self.unreachable(&e, false))?;
        let answer = client.get(url).send().await.map_err(|e| self.unreachable(&HttpProblem::of(&e), false))?;
        let (status, date) = (answer.status().as_u16(), http::date_millis(answer.headers()));
        let body = http::read_bounded(answer, LONGEST_BODY).await.map_err(|e| self.unreachable(&e, false))?;
        Ok(Reply { status, date, body })
    }

    /// Which of these paths our token may do what with, by the server's own word; nothing is done.
    pub(super) async fn capabilities(&self, references: &References, paths: &[String]) -> Result<Reply> {
        let body = serde_json::to_vec(&serde_json::json!({ "paths": paths })).unwrap_or_default();
        self.call(references, Calls::Reading, Method::POST, "sys/capabilities-self", None, Some(body)).await
    }

    async fn session(&self, references: &References) -> Result<Rc<Session>> {
        if let Some(session) = self.session.borrow().as_ref().filter(|s| !s.is_over()) {
            return Ok(session.clone());
        }
        let session = match Login::read(self.auth.as_ref(), references).await?.map_err(|why| self.refused("log in", &why))? {
            Login::Token(token) => self.kept_alive(token).await,
            Login::Call { mount, body } => self.log_in(&mount, &body).await?,
        };
        references.scrubber.add("vault token", &session.token);
        let session = Rc::new(session);
        *self.session.borrow_mut() = Some(session.clone());
        Ok(session)
    }

    /// A token that somebody gave us, renewed where it may be and half of its time is over. What cannot be asked is left as it is: the
    /// token is then as good as it was.
    async fn kept_alive(&self, token: SecretText) -> Session {
        let looked = self.send(Calls::Reading, Method::GET, "auth/token/lookup-self", None, None, Some(&token)).await;
        let told = looked.ok().filter(Reply::is_success).and_then(|reply| reply.parsed::<Value>("").ok()).unwrap_or_default();
        let number = |name: &str| told.pointer(&format!("/data/{name}")).and_then(Value::as_u64).unwrap_or(0);
        let (ttl, whole) = (number("ttl"), number("creation_ttl"));
        let renewable = told.pointer("/data/renewable").and_then(Value::as_bool).unwrap_or(false);
        if ttl == 0 || !renewable {
            return Session::given(token);
        }
        if ttl.saturating_mul(2) > whole {
            return Session::given_for(token, ttl);
        }
        // Whether or not this went through, the next look tells.
        let renewed = self.send(Calls::Reading, Method::POST, "auth/token/renew-self", None, Some(b"{}".to_vec()), Some(&token)).await;
        let left = renewed.ok().filter(Reply::is_success).and_then(|reply| reply.parsed::<EndpointResult<Value>>("").ok());
        let left = left.and_then(|answer| answer.auth).map_or(ttl, |auth| auth.lease_duration);
        Session::given_for(token, left)
    }

    /// A login changes nothing that we rely on: one whose answer is lost leaves a token that ends by itself.
    async fn log_in(&self, mount: &str, body: &Zeroizing<String>) -> Result<Session> {
        let path = format!("auth/{mount}/login");
        let reply = self.send(Calls::Reading, Method::POST, &path, None, Some(body.as_bytes().to_vec()), None).await?;
        if !reply.is_success() {
            return Err(match reply.status {
                400 | 401 | 403 | 404 => self.refused("log in", "the server does not take this login; check role, credential and mount"),
                _ => self.bad_read("log in", &reply),
            });
        }
        let answer: EndpointResult<Value> = reply.parsed(&self.place.name())?;
        let auth = answer.auth.ok_or_else(|| self.unreadable("the answer to the login holds no token"))?;
        Ok(Session::leased(SecretText::new(auth.client_token), auth.lease_duration))
    }

    /// What a failed read means.
    pub(super) fn bad_read(&self, action: &str, reply: &Reply) -> PortError {
        match reply.status {
            408 | 412 | 429 | 500..=599 => self.later(reply, false),
            _ => self.no(action, reply),
        }
    }

    /// What a failed change means.
    pub(super) fn bad_change(&self, action: &str, reply: &Reply) -> PortError {
        match reply.status {
            // Refused before anything was looked at.
            412 | 429 => self.later(reply, false),
            100..=299 | 408 | 500..=u16::MAX => self.later(reply, true),
            _ => self.no(action, reply),
        }
    }

    fn later(&self, reply: &Reply, may_have_happened: bool) -> PortError {
        let hint = match reply.status {
            503 => "the server is sealed, starting, or in maintenance; unseal it or wait",
            429 => "too many calls; raise the quota or wait",
            _ => "try again later",
        };
        let hint = if may_have_happened { format!("{hint}; the change may have happened, so look") } else { hint.to_owned() };
        PortError::Unreachable { system: self.place.name(), why: format!("status {}: {hint}", reply.status), may_have_happened }
    }

    fn no(&self, action: &str, reply: &Reply) -> PortError {
        let hint = match reply.status {
            300..=399 => "it redirects, and redirects are not followed: give the address of the active node",
            401 | 403 => "the token may not do this, or has ended; check its policy, its time and the namespace",
            404 => "there is no such mount or path in this namespace; is it a KV engine, version 2?",
            405 => "the mount takes no such call; is it a KV engine, version 2, and not read-only?",
            _ => "check the server's version and limits",
        };
        self.refused(action, &format!("status {}: {hint}", reply.status))
    }

    pub(super) fn refused(&self, action: &str, why: &str) -> PortError {
        PortError::Refused { system: self.place.name(), action: action.to_owned(), why: why.to_owned() }
    }

    pub(super) fn conflict(&self, action: &str, why: &str) -> PortError {
        PortError::Conflict { system: self.place.name(), action: action.to_owned(), why: why.to_owned() }
    }

    pub(super) fn unreadable(&self, why: &str) -> PortError {
        PortError::Unreadable { system: self.place.name(), why: why.to_owned() }
    }

    fn no_answer(&self, problem: &HttpProblem, may: bool) -> PortError {
        self.unreachable(problem, may && problem.may_have_happened())
    }

    fn unreachable(&self, problem: &HttpProblem, may_have_happened: bool) -> PortError {
        PortError::Unreachable { system: self.place.name(), why: problem.to_string(), may_have_happened }
    }
}
