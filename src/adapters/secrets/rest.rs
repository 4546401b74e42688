//! One call to a service with a bearer token: one answer or one typed error. Shared by the stores that are reached over HTTP and JSON.
//!
//! The vendors' own libraries were left out: each brings retries, redirects and error texts that keep bodies, and none of them would use
//! this client. What is needed of each API is four or five calls. No body, token or address part of an error is ever told.

use crate::adapters::reference::References;
use crate::policy::model::reference::Ref;
use crate::ports::{PortError, Result};
use crate::secret::SecretText;
use crate::support::http::{self, Calls, Clients, HttpProblem};
use reqwest::{Method, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use zeroize::Zeroizing;

/// The longest answer that is read.
const LONGEST_BODY: usize = 4 << 20;
/// Room for a usual body at once: a vector that grows leaves copies of secrets behind.
const USUAL_BODY: usize = 32 * 1024;

/// A service, and how to be somebody there.
pub(super) struct Rest {
    /// How messages name the slot.
    pub(super) system: String,
    base: Url,
    headers: &'static [(&'static str, &'static str)],
    token: Ref,
    references: Rc<References>,
    clients: Clients,
    known: RefCell<Option<Rc<SecretText>>>,
}

/// A status and a body, which may hold a secret.
pub(super) struct Reply {
    pub(super) status: u16,
    /// The service said that it was asked too often.
    too_often: bool,
    body: Zeroizing<Vec<u8>>,
}

impl Reply {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Path segments and query of a call.
pub(super) type To<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)]);

impl Rest {
    /// Nothing is called yet, and no credential is read.
    ///
    /// # Errors
    /// When the address cannot be meant.
    pub(super) fn new(
        system: String,
        base: &str,
        headers: &'static [(&'static str, &'static str)],
        token: &Ref,
        references: Rc<References>,
        timeout: Duration,
    ) -> Result<Self> {
        let refused = |e: HttpProblem| PortError::Refused { system: system.clone(), action: "use the place".into(), why: e.to_string() };
        let base = http::address(base).map_err(refused)?;
        let (token, clients) = (token.clone(), Clients::new(timeout, None));
        Ok(Self { system, base, headers, token, references, clients, known: RefCell::new(None) })
    }

    /// Reads something. A token that has ended is asked for again, once.
    pub(super) async fn get(&self, to: To<'_>) -> Result<Reply> {
        // Boxed: what calls this is itself called from deep inside.
        let reply = Box::pin(self.send(Calls::Reading, Method::GET, to, None)).await?;
        if reply.status != 401 {
            return Ok(reply);
        }
        Box::pin(self.send(Calls::Reading, Method::GET, to, None)).await
    }

    /// Changes something, sent once.
    pub(super) async fn change(&self, method: Method, to: To<'_>, body: Option<&impl Serialize>) -> Result<Reply> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(USUAL_BODY));
        if let Some(body) = body {
            serde_json::to_writer(&mut *bytes, body).map_err(|_| self.unreadable("the request has no JSON form"))?;
        }
        Box::pin(self.send(Calls::Changing, method, to, body.map(|_| &bytes))).await
    }

    async fn send(&self, calls: Calls, method: Method, to: To<'_>, body: Option<&Zeroizing<Vec<u8>>>) -> Result<Reply> {
        let may = calls == Calls::Changing;
        let known = self.known.borrow().clone();
        let token = match known {
            Some(token) => token,
            None => Rc::new(self.references.resolve(&self.token).await?),
        };
        *self.known.borrow_mut() = Some(token.clone());
        let away = |problem: HttpProblem| self.away(problem.to_string(), may && problem.may_have_happened());
        let mut url = http::join(&self.base, to.0).map_err(away)?;
        if !to.1.is_empty() {
            url.query_pairs_mut().extend_pairs(to.1);
        }
        let client = self.clients.get(calls, &url).map_err(away)?;
        let mut request = client.request(method, url).bearer_auth(token.expose()).header("accept", "application/json");
        for (name, value) in self.headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_vec());
        }
        let response = request.send().await.map_err(|e| away(HttpProblem::of(&e)))?;
        let status = response.status().as_u16();
        if status == 401 {
            // The next call reads the reference again: tokens end in the middle of a run.
            *self.known.borrow_mut() = None;
        }
        let header = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok());
        let too_often =
            status == 429 || (status == 403 && (header("retry-after").is_some() || header("x-ratelimit-remaining") == Some("0")));
        let body = http::read_bounded(response, LONGEST_BODY).await.map_err(away)?;
        Ok(Reply { status, too_often, body })
    }

    /// The answer as a document.
    pub(super) fn parsed<T: DeserializeOwned>(&self, reply: &Reply) -> Result<T> {
        // The parser's own message may repeat a piece of the body: only the position is told.
        serde_json::from_slice(&reply.body)
            .map_err(|e| self.unreadable(&format!("not the expected document at line {}, column {}", e.line(), e.column())))
    }

    /// What a failed read means.
    pub(super) fn bad_read(&self, action: &str, reply: &Reply) -> PortError {
        match reply.status {
            _ if reply.too_often => self.later(reply, false),
            408 | 500..=599 => self.later(reply, false),
            _ => self.no(action, reply),
        }
    }

    /// What a failed change means.
    pub(super) fn bad_change(&self, action: &str, reply: &Reply) -> PortError {
        match reply.status {
            // Refused before anything was looked at.
            _ if reply.too_often => self.later(reply, false),
            100..=299 | 408 | 500..=u16::MAX => self.later(reply, true),
            _ => self.no(action, reply),
        }
    }

    fn later(&self, reply: &Reply, may_have_happened: bool) -> PortError {
        let hint = if reply.too_often { "asked too often; wait" } else { "try again later" };
        let look = if may_have_happened { "; the change may have happened, so look" } else { "" };
        self.away(format!("status {}: {hint}{look}", reply.status), may_have_happened)
    }

    fn no(&self, action: &str, reply: &Reply) -> PortError {
        let hint = match reply.status {
            300..=399 => "it redirects, and redirects are not followed: a renamed place, or another address",
            401 => "the token is not accepted; it may have ended",
            403 => "the token may not do this; check its permissions",
            404 => "there is no such place, or the token may not see it",
            _ => "check the place in the policy and the service's limits",
        };
        self.refused(action, &format!("status {}: {hint}", reply.status))
    }

    pub(super) fn refused(&self, action: &str, why: &str) -> PortError {
        PortError::Refused { system: self.system.clone(), action: action.to_owned(), why: why.to_owned() }
    }

    pub(super) fn conflict(&self, action: &str, why: &str) -> PortError {
        PortError::Conflict { system: self.system.clone(), action: action.to_owned(), why: why.to_owned() }
    }

    pub(super) fn unreadable(&self, why: &str) -> PortError {
        PortError::Unreadable { system: self.system.clone(), why: why.to_owned() }
    }

    pub(super) fn unsupported(&self, action: &str) -> PortError {
        PortError::Unsupported { system: self.system.clone(), action: action.to_owned() }
    }

    pub(super) fn away(&self, why: String, may_have_happened: bool) -> PortError {
        PortError::Unreachable { system: self.system.clone(), why, may_have_happened }
    }

    /// The change went through; only the look after it failed.
    pub(super) fn lost(&self, e: PortError) -> PortError {
        match e {
            PortError::Unreachable { why, .. } => self.away(why, true),
            PortError::Refused { why, .. } | PortError::Conflict { why, .. } => {
                self.away(format!("the look after the change failed: {why}"), true)
            }
            PortError::Unsupported { .. } => self.away("the look after the change is not supported".into(), true),
            PortError::Unreadable { .. } => e,
        }
    }
}

/// The change may have gone through although it was answered with an error: a lost answer, or a guard that met our own first try.
pub(super) fn unclear(e: &PortError) -> bool {
    matches!(e, PortError::Conflict { .. }) || e.may_have_happened()
}

/// Whose a pending version is: none when it is this run's, else why it is left alone.
pub(super) fn not_ours(run: &str, owner: Option<&str>) -> Option<String> {
    match owner {
        Some(owner) if owner == run => None,
        Some(owner) => Some(format!("a pending value of run {owner} is there; `keyroll orphans` shows it")),
        None => Some("a pending value that no run wrote is there; find out whose it is, and remove it".into()),
    }
}

/// A name that is one plain segment of a path: letters, digits, `_`, `-`, and `.` not alone.
pub(super) fn is_plain(text: &str) -> bool {
    (1..=256).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        && text.bytes().any(|b| b != b'.')
}
