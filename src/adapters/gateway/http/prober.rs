//! The data side of a described gateway: the usual cheap calls, or those of the policy, judged by the policy's classes.

use super::admin::{Admin, Op, matches, method};
use super::exchange::{Answer, Content, Exchange, Outgoing, add};
use super::values::{Values, shown};
use crate::adapters::gateway::probe;
use crate::policy::model::http_gateway::{CustomCall, HttpRequest, Identify, KeyAuth, Method};
use crate::ports::{CallAnswer, PortError, Prober, Result};
use crate::rotation::{CallClass, Endpoint, KeyId, Probe, RequestId};
use crate::secret::{SecretText, sha256_hex};
use crate::support::http::{self, Calls};
use reqwest::header::HeaderMap;
use serde_json::Value;
use std::rc::Rc;
use zeroize::Zeroizing;

/// Calls the data plane with a credential.
pub struct HttpProber {
    admin: Rc<Admin>,
    exchange: Exchange,
}

impl HttpProber {
    pub(super) fn new(admin: Rc<Admin>, exchange: Exchange) -> Self {
        Self { admin, exchange }
    }

    fn custom(&self, probe: &Probe) -> Option<&CustomCall> {
        self.admin.described.data.calls.get(&probe.family)
    }

    /// The call, or none for a family that is not known. It has a connection of its own, so that no kept connection speaks for a replica.
    fn outgoing(&self, endpoint: &Endpoint, probe: &Probe, secret: &SecretText, id: &RequestId) -> Option<Outgoing> {
        let values = Values::default().with("model", probe.model.as_str());
        let base = http::address(endpoint.as_str()).ok()?;
        let usual = probe::request(probe);
        let custom = self.custom(probe).map(|call| &call.request);
        let more: Vec<(String, String)> = custom.iter().flat_map(|r| &r.headers).map(|(n, v)| (n.clone(), v.clone())).collect();
        let url = match custom {
            None => http::join(&base, usual.as_ref()?.0).ok()?,
            Some(request) => {
                let (segments, _) = values.path(&request.path).ok()?;
                let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
                let mut url = http::join(&base, &parts).ok()?;
                for (name, template) in &request.query {
                    if let Some(text) = values.text(template).ok()? {
                        url.query_pairs_mut().append_pair(name, &text);
                    }
                }
                url
            }
        };
        let body = match custom.and_then(|request| request.body.as_ref()) {
            Some(body) => values.body(&serde_json::to_value(body).ok()?).ok()??,
            None => usual?.1,
        };
        let verb = custom.and_then(|request| request.method).unwrap_or(Method::Post);
        let headers = self.headers(&more, secret, id)?;
        Some(Outgoing { calls: Calls::Changing, method: method(verb), url, headers, body: Some(Content::json(&body)) })
    }

    fn headers(&self, more: &[(String, String)], secret: &SecretText, id: &RequestId) -> Option<HeaderMap> {
        let data = &self.admin.described.data;
        let mut headers = HeaderMap::new();
        for (name, value) in data.headers.iter().chain(more.iter().map(|(n, v)| (n, v))) {
            add(&mut headers, name, value, false).then_some(())?;
        }
        add(&mut headers, data.request_id.as_deref().unwrap_or("x-request-id"), id.as_str(), false).then_some(())?;
        let (name, value) = match &data.auth {
            None | Some(KeyAuth::Bearer(_)) => ("authorization", Zeroizing::new(format!("Bearer {}", secret.expose()))),
            Some(KeyAuth::Header(header)) => {
                let prefix = header.prefix.as_deref().unwrap_or_default();
                (header.name.0.as_str(), Zeroizing::new(format!("{prefix}{}", secret.expose())))
            }
        };
        add(&mut headers, name, &value, true).then_some(())?;
        Some(headers)
    }

    /// What an answer says. A refusal is only what the policy lists as one.
    fn judge(&self, probe: &Probe, answer: &Answer) -> CallClass {
        let data = &self.admin.described.data;
        let document = answer.json();
        let any = |rules: &[crate::policy::model::http_gateway::Rule]| {
            rules.iter().any(|rule| matches(rule, answer.status, document.as_ref(), &answer.body))
        };
        // A limit or a prohibition may share its status with a refusal: what is told apart by words comes first.
        if any(&data.limited) {
            return CallClass::OverLimit;
        }
        if any(&data.forbidden) {
            return CallClass::Forbidden;
        }
        if any(&data.upstream) {
            return CallClass::UpstreamFault;
        }
        if any(&data.refused) {
            return CallClass::Refused;
        }
        if answer.is_success() {
            let served = match self.custom(probe) {
                Some(call) if !call.accepted.is_empty() => any(&call.accepted),
                Some(_) | None => probe::answers(probe, &answer.body),
            };
            return if served { CallClass::Accepted } else { CallClass::Unknown };
        }
        match answer.status {
            403 => CallClass::Forbidden,
            429 => CallClass::OverLimit,
            500..=599 => CallClass::Down,
            _ => CallClass::Unknown,
        }
    }

    /// Asks the data plane, as the holder of the key, whose it is.
    async fn ask_data(&self, request: &HttpRequest, at: &str, secret: &SecretText, id: &RequestId) -> Result<Option<KeyId>> {
        let op = Op { action: "ask whose key a value is", field: "identify.data.request", request, usual: Method::Get };
        let Some(endpoint) = self.admin.described.data.urls.first() else { return Ok(None) };
        let values = Values::default();
        let built = || -> Option<Outgoing> {
            let base = http::address(endpoint.as_str()).ok()?;
            let (segments, _) = values.path(&request.path).ok()?;
            let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
            let mut url = http::join(&base, &parts).ok()?;
            url.query_pairs_mut().extend_pairs(&request.query);
            if request.query.is_empty() {
                url.set_query(None);
            }
            let more: Vec<(String, String)> = request.headers.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
            let headers = self.headers(&more, secret, id)?;
            let body = request.body.as_ref().and_then(|body| serde_json::to_value(body).ok()).map(|body| Content::json(&body));
            let verb = method(request.method.unwrap_or(op.usual));
            Some(Outgoing { calls: Calls::Changing, method: verb, url, headers, body })
        };
        let call = built().ok_or_else(|| self.admin.unbuildable(op, "the call cannot be made of its description"))?;
        let answer = self.exchange.send(call).await.map_err(|e| self.admin.unreachable(&e, false))?;
        let document = answer.json();
        let refused = |rule| matches(rule, answer.status, document.as_ref(), &answer.body);
        if self.admin.described.data.refused.iter().any(refused) || answer.status == 401 {
            // A refused credential belongs to nobody, as far as this gateway tells.
            return Ok(None);
        }
        match document {
            Some(document) if answer.is_success() => self.id_at(op, "identify.data.id", at, &document).map(Some),
            Some(_) | None => Err(self.admin.not_read(op, &answer)),
        }
    }

    async fn ask_admin(&self, request: &HttpRequest, at: &str, secret: &SecretText) -> Result<Option<KeyId>> {
        let op = Op { action: "ask whose key a value is", field: "identify.admin.request", request, usual: Method::Get };
        let values = Values::default().with("sha256", sha256_hex(secret.expose().as_bytes())).secret("secret", secret);
        match self.admin.read(op, &values).await {
            Ok((_, document)) => self.id_at(op, "identify.admin.id", at, &document).map(Some),
            Err(PortError::Conflict { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn id_at(&self, op: Op<'_>, field: &str, at: &str, document: &Value) -> Result<KeyId> {
        let found = document.pointer(at).filter(|v| v.is_string() || v.is_number()).map(shown).filter(|id| KeyId::is_safe(id));
        found.map(KeyId::new).ok_or_else(|| self.admin.nothing_at(op, field, at, document))
    }
}

impl Prober for HttpProber {
    async fn call(&self, endpoint: &Endpoint, probe: &Probe, secret: &SecretText, request: &RequestId) -> CallAnswer {
        let unknown = CallAnswer { class: CallClass::Unknown, status: 0 };
        let Some(call) = self.outgoing(endpoint, probe, secret, request) else { return unknown };
        match self.exchange.send(call).await {
            Ok(answer) => CallAnswer { class: self.judge(probe, &answer), status: answer.status },
            Err(problem) => probe::unanswered(&problem),
        }
    }

    async fn identify(&self, secret: &SecretText, request: &RequestId) -> Result<Option<KeyId>> {
        match &self.admin.described.identify {
            None => Ok(None),
            Some(Identify::Sha256(_)) => Ok(Some(KeyId::new(sha256_hex(secret.expose().as_bytes())))),
            Some(Identify::Listed(_)) => {
                let rows = self.admin.rows().await?;
                Ok(rows.into_iter().find(|row| row.secret.as_ref().is_some_and(|s| s.same_as(secret))).map(|row| row.facts.id))
            }
            Some(Identify::Data(call)) => self.ask_data(&call.request, call.id.as_str(), secret, request).await,
            Some(Identify::Admin(call)) => self.ask_admin(&call.request, call.id.as_str(), secret).await,
        }
    }
}
