//! The described admin API: requests filled in and sent, answers judged. Messages name the field of the policy and the structure of the
//! answer, never a value.

use super::document::structure;
use super::exchange::{Answer, Content, Exchange, Outgoing, add};
use super::session::Session;
use super::values::Values;
use crate::policy::model::http_gateway::{Condition, Document, HttpGateway, HttpRequest, Is, Method, Rule};
use crate::ports::{PortError, Result};
use crate::rotation::Time;
use crate::secret::SecretText;
use crate::support::clock;
use crate::support::http::{self, Calls, HttpProblem};
use reqwest::Url;
use reqwest::header::HeaderMap;
use serde_json::{Map, Value};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// A `Date` header counts whole seconds: a smaller difference is none.
const SAME_CLOCK_MS: i64 = 1500;
/// A login is done anew before a change when it is older than this: a change is sent once, so it must not meet a session that ran out.
const FRESH_MS: u64 = 20_000;

/// One call of the description.
#[derive(Clone, Copy)]
pub(super) struct Op<'a> {
    /// What it is for, for messages.
    pub(super) action: &'a str,
    /// Where in the policy it is written, below `gateway.http`.
    pub(super) field: &'a str,
    /// The request.
    pub(super) request: &'a HttpRequest,
    /// The method when none is written.
    pub(super) usual: Method,
}

impl Op<'_> {
    fn method(&self) -> reqwest::Method {
        method(self.request.method.unwrap_or(self.usual))
    }
}

/// As the HTTP library names it.
pub(super) fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
    }
}

/// The admin side of a described gateway.
pub(super) struct Admin {
    /// How messages name it.
    pub(super) system: String,
    /// The description.
    pub(super) described: Rc<HttpGateway>,
    pub(super) base: Url,
    pub(super) credential: SecretText,
    pub(super) exchange: Exchange,
    pub(super) session: RefCell<Option<Rc<Session>>>,
    /// By how much the gateway's clock is ahead of ours, and when that was seen.
    pub(super) ahead: Cell<Option<(i64, u64)>>,
}

impl Admin {
    pub(super) fn new(described: Rc<HttpGateway>, credential: SecretText, exchange: Exchange) -> std::result::Result<Self, HttpProblem> {
        let base = http::address(described.url.as_str())?;
        let system = base.as_str().trim_end_matches('/').to_owned();
        Ok(Self { system, described, base, credential, exchange, session: RefCell::new(None), ahead: Cell::new(None) })
    }

    /// The gateway's time, if an answer told it lately.
    pub(super) fn time(&self, within_ms: u64) -> Option<Time> {
        let (ahead, seen) = self.ahead.get()?;
        let fresh = clock::boot_millis().saturating_sub(seen) <= within_ms;
        fresh.then(|| Time(clock::wall_millis().saturating_add(ahead)))
    }

    /// The gateway's time as far as it is known; ours where it never said.
    pub(super) fn time_or_ours(&self) -> Time {
        self.time(u64::MAX).unwrap_or_else(|| Time(clock::wall_millis()))
    }

    /// Reads a document.
    pub(super) async fn read(&self, op: Op<'_>, values: &Values<'_>) -> Result<(Answer, Value)> {
        let url = self.url(op, values)?;
        self.read_at(op, values, url).await
    }

    /// Reads a document from an address that a page named.
    pub(super) async fn read_at(&self, op: Op<'_>, values: &Values<'_>, url: Url) -> Result<(Answer, Value)> {
        let answer = self.reading(op, values, url).await?;
        if !answer.is_success() {
            return Err(self.not_read(op, &answer));
        }
        let document = answer.json().ok_or_else(|| self.unreadable(op, "its answer is no JSON; is the address right?"))?;
        self.succeeded(op, &document)?;
        Ok((answer, document))
    }

    /// A reading call, done again after a new login if the old one has run out.
    async fn reading(&self, op: Op<'_>, values: &Values<'_>, url: Url) -> Result<Answer> {
        let mut before = self.session(None).await?;
        for last in [false, true] {
            let call = self.outgoing(op, values, url.clone(), Calls::Reading, before.as_deref())?;
            let answer = self.exchange.send(call).await.map_err(|e| self.unreachable(&e, false))?;
            self.saw(&answer);
            if last || before.is_none() || !self.thrown_out(op, &answer) {
                return Ok(answer);
            }
            before = self.session(Some(0)).await?;
        }
        Err(self.unreadable(op, "it was not answered"))
    }

    /// What a session that ran out looks like: a refusal, a redirect to a login page, or a success that says it is none.
    fn thrown_out(&self, op: Op<'_>, answer: &Answer) -> bool {
        let denied = || answer.json().is_some_and(|document| self.conditions(op).iter().any(|condition| !condition.holds(&document)));
        matches!(answer.status, 300..=399 | 401 | 403) || (answer.is_success() && denied())
    }

    /// Changes something, once. The document is null where the answer has none.
    pub(super) async fn change(&self, op: Op<'_>, values: &Values<'_>) -> Result<Value> {
        let url = self.url(op, values)?;
        let session = self.session(Some(FRESH_MS)).await?;
        let call = self.outgoing(op, values, url, Calls::Changing, session.as_deref())?;
        let answer = self.exchange.send(call).await.map_err(|e| self.unreachable(&e, e.may_have_happened()))?;
        self.saw(&answer);
        let document = answer.json();
        if self.described.not_found.iter().any(|rule| matches(rule, answer.status, document.as_ref(), &answer.body)) {
            return Err(self.conflict(op, &answer, "there is no such key"));
        }
        if !answer.is_success() {
            return Err(self.not_changed(op, &answer));
        }
        if answer.body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Value::Null);
        }
        match document {
            Some(document) => self.succeeded(op, &document).map(|()| document),
            // Where success must show in the answer, an answer that shows nothing is none.
            None if !self.conditions(op).is_empty() => {
                Err(self.unreadable(op, "its answer is no JSON, so it cannot be told whether it succeeded"))
            }
            None => Ok(Value::Null),
        }
    }

    fn conditions<'a>(&'a self, op: Op<'a>) -> &'a [Condition] {
        op.request.success.as_deref().unwrap_or(&self.described.success)
    }

    /// A status of success is believed only if the answer says so, too. What it means otherwise, only a look can tell.
    fn succeeded(&self, op: Op<'_>, document: &Value) -> Result<()> {
        match self.conditions(op).iter().find(|condition| !condition.holds(document)) {
            None => Ok(()),
            Some(condition) => {
                let why = format!("the status says success, but `{}` does not; the answer is {}", condition.at, structure(document));
                Err(self.unreadable(op, why))
            }
        }
    }

    pub(super) fn url(&self, op: Op<'_>, values: &Values<'_>) -> Result<Url> {
        let wrong = |why: String| self.unbuildable(op, &why);
        let (segments, slash) = values.path(&op.request.path).map_err(wrong)?;
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        let mut url = http::join(&self.base, &parts).map_err(|e| self.unbuildable(op, &e.to_string()))?;
        if slash && let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("");
        }
        for (name, template) in &op.request.query {
            if let Some(text) = values.text(template).map_err(wrong)? {
                url.query_pairs_mut().append_pair(name, &text);
            }
        }
        Ok(url)
    }

    fn outgoing(&self, op: Op<'_>, values: &Values<'_>, url: Url, calls: Calls, session: Option<&Session>) -> Result<Outgoing> {
        let mut headers = HeaderMap::new();
        for (name, template) in self.described.headers.iter().chain(&op.request.headers) {
            if let Some(text) = values.text(template).map_err(|why| self.unbuildable(op, &why))?
                && !add(&mut headers, name, &text, false)
            {
                return Err(self.unbuildable(op, &format!("`{name}` or its value cannot be a header")));
            }
        }
        if !self.authorise(&mut headers, session) {
            return Err(self.unbuildable(op, "the admin credential cannot be sent in a header: it has signs that are not allowed there"));
        }
        let body = self.content(op, values)?;
        Ok(Outgoing { calls, method: op.method(), url, headers, body })
    }

    pub(super) fn content(&self, op: Op<'_>, values: &Values<'_>) -> Result<Option<Content>> {
        let wrong = |why: String| self.unbuildable(op, &why);
        let mut whole = match op.request.from {
            None => None,
            Some(from) => {
                let word = match from {
                    Document::Key => "{{key}}",
                    Document::Old => "{{old}}",
                };
                let document = values.body(&Value::String(word.to_owned())).map_err(wrong)?;
                let mut document = document.ok_or_else(|| self.unbuildable(op, "the document that `from:` names is not there"))?;
                for pointer in &op.request.without {
                    super::document::remove(&mut document, pointer.as_str());
                }
                Some(document)
            }
        };
        if let Some(template) = &op.request.body {
            let template = serde_json::to_value(template).unwrap_or_default();
            let filled = values.body(&template).map_err(wrong)?.unwrap_or_else(|| Value::Object(Map::new()));
            match &mut whole {
                Some(document) => overlay(document, filled),
                None => whole = Some(filled),
            }
        }
        let form = op.request.form == Some(true);
        Ok(whole.map(|body| if form { Content::form(&body) } else { Content::json(&body) }))
    }

    pub(super) fn saw(&self, answer: &Answer) {
        if let Some(date) = answer.date {
            let ahead = date.0.saturating_sub(clock::wall_millis());
            let ahead = if ahead.abs() <= SAME_CLOCK_MS { 0 } else { ahead };
            self.ahead.set(Some((ahead, clock::boot_millis())));
        }
    }

    /// The answer cannot be relied on.
    pub(super) fn unreadable(&self, op: Op<'_>, why: impl std::fmt::Display) -> PortError {
        PortError::Unreadable { system: self.system.clone(), why: format!("{}: {why}", self.named(op)) }
    }

    /// Something that a pointer of the policy should lead to is not there.
    pub(super) fn nothing_at(&self, op: Op<'_>, field: &str, pointer: &str, document: &Value) -> PortError {
        let why = format!("`gateway.http.{field}: {pointer}` leads to nothing usable; the answer is {}", structure(document));
        PortError::Unreadable { system: format!("{} to {} {}", self.system, op.method(), op.request.path), why }
    }

    /// The call could not be made of its description; nothing was sent.
    pub(super) fn unbuildable(&self, op: Op<'_>, why: &str) -> PortError {
        PortError::Refused { system: self.system.clone(), action: op.action.to_owned(), why: format!("{}: {why}", self.named(op)) }
    }

    fn named(&self, op: Op<'_>) -> String {
        format!("`gateway.http.{}`", op.field)
    }

    pub(super) fn unreachable(&self, problem: &HttpProblem, may_have_happened: bool) -> PortError {
        PortError::Unreachable { system: self.system.clone(), why: problem.to_string(), may_have_happened }
    }

    fn said(&self, op: Op<'_>, answer: &Answer, hint: &str) -> String {
        let body = answer.json().map_or_else(|| "no JSON".to_owned(), |document| structure(&document));
        format!("{} ({} {}): status {}; {hint}; the answer is {body}", self.named(op), op.method(), op.request.path, answer.status)
    }

    pub(super) fn not_read(&self, op: Op<'_>, answer: &Answer) -> PortError {
        let system = self.system.clone();
        match answer.status {
            429 | 500..=599 => PortError::Unreachable { system, why: self.said(op, answer, "try again later"), may_have_happened: false },
            404 => self.conflict(op, answer, "there is no such thing: check the path and the base address"),
            _ => PortError::Refused { system, action: op.action.to_owned(), why: self.said(op, answer, hint(answer.status)) },
        }
    }

    fn not_changed(&self, op: Op<'_>, answer: &Answer) -> PortError {
        let system = self.system.clone();
        match answer.status {
            404 => self.conflict(op, answer, "there is no such key"),
            409 | 412 => self.conflict(op, answer, "it is in another state"),
            100..=399 | 408 | 500..=u16::MAX => {
                let why = self.said(op, answer, "the change may have happened: look");
                PortError::Unreachable { system, why, may_have_happened: true }
            }
            _ => PortError::Refused { system, action: op.action.to_owned(), why: self.said(op, answer, hint(answer.status)) },
        }
    }

    fn conflict(&self, op: Op<'_>, answer: &Answer, why: &str) -> PortError {
        PortError::Conflict { system: self.system.clone(), action: op.action.to_owned(), why: self.said(op, answer, why) }
    }
}

fn hint(status: u16) -> &'static str {
    match status {
        300..=399 => "it redirects, and redirects are not followed: give its own address",
        401 => "check `admin` and `auth`",
        403 => "the admin credential may not do this",
        405 => "check the method",
        _ => "check what the request sends",
    }
}

/// Lays fields over fields; anything else replaces.
fn overlay(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(fields), Value::Object(more)) => {
            for (name, value) in more {
                match fields.get_mut(&name) {
                    Some(inner) => overlay(inner, value),
                    None => {
                        fields.insert(name, value);
                    }
                }
            }
        }
        (under, over) => *under = over,
    }
}

/// An answer belongs to a class.
pub(super) fn matches(rule: &Rule, status: u16, document: Option<&Value>, body: &[u8]) -> bool {
    let status = rule.status.is_none_or(|wanted| wanted == status);
    let conditions = rule.conditions.iter().all(|condition| document.is_some_and(|document| condition.holds(document)));
    let text = rule.text.as_ref().is_none_or(|part| {
        let whole = String::from_utf8_lossy(body).to_lowercase();
        whole.contains(&part.to_lowercase())
    });
    status && conditions && text
}
