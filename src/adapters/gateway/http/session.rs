//! How the admin credential is presented: in a header, or by a login whose answer is presented instead.

use super::admin::{Admin, Op};
use super::exchange::{Answer, Outgoing, add};
use super::values::{Values, shown};
use crate::policy::model::http_gateway::{AdminAuth, Login, Method};
use crate::ports::{PortError, Result};
use crate::secret::SecretText;
use crate::support::clock;
use crate::support::http::Calls;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderMap;
use std::rc::Rc;
use zeroize::Zeroizing;

/// What a login answered with.
pub(super) struct Session {
    cookies: Vec<(String, SecretText)>,
    headers: Vec<(String, SecretText)>,
    since: u64,
}

impl Admin {
    /// The session, if the description logs in: a new one when there is none, or none that is young enough.
    pub(super) async fn session(&self, youngest_ms: Option<u64>) -> Result<Option<Rc<Session>>> {
        let Some(AdminAuth::Login(login)) = &self.described.auth else { return Ok(None) };
        let known = self.session.borrow().clone();
        let good = |s: &Rc<Session>| youngest_ms.is_none_or(|most| clock::boot_millis().saturating_sub(s.since) < most);
        if let Some(known) = known.filter(good) {
            return Ok(Some(known));
        }
        let made = Rc::new(self.log_in(login).await?);
        self.session.replace(Some(made.clone()));
        Ok(Some(made))
    }

    async fn log_in(&self, login: &Login) -> Result<Session> {
        let op = Op { action: "log in", field: "auth.login.request", request: &login.request, usual: Method::Post };
        // Whatever goes wrong here, nothing of what was asked has happened.
        let failed = |e: PortError| PortError::Unreachable { system: self.system.clone(), why: e.to_string(), may_have_happened: false };
        let values = Values::default().secret("admin", &self.credential);
        let url = self.url(op, &values).map_err(failed)?;
        let mut headers = HeaderMap::new();
        for (name, template) in self.described.headers.iter().chain(&login.request.headers) {
            let text = values.text(template).map_err(|why| failed(self.unbuildable(op, &why)))?.unwrap_or_default();
            if !add(&mut headers, name, &text, false) {
                return Err(failed(self.unbuildable(op, &format!("`{name}` or its value cannot be a header"))));
            }
        }
        let method = super::admin::method(login.request.method.unwrap_or(op.usual));
        let body = self.content(op, &values).map_err(failed)?;
        let call = Outgoing { calls: Calls::Changing, method, url, headers, body };
        let answer = self.exchange.send(call).await.map_err(|e| self.unreachable(&e, false))?;
        self.saw(&answer);
        // A login of a web page answers with a redirect and its cookie.
        let page = (300..400).contains(&answer.status) && !answer.cookies.is_empty();
        if !answer.is_success() && !page {
            return Err(failed(self.not_read(op, &answer)));
        }
        let document = answer.json();
        if let (Some(document), Some(conditions)) = (&document, login.request.success.as_ref().or(Some(&self.described.success)))
            && let Some(condition) = conditions.iter().find(|c| !crate::policy::model::http_gateway::Is::holds(*c, document))
        {
            return Err(failed(self.unreadable(op, format!("`{}` does not say that it succeeded", condition.at))));
        }
        self.kept(op, login, answer, document.unwrap_or_default()).map_err(failed)
    }

    fn kept(&self, op: Op<'_>, login: &Login, answer: Answer, document: serde_json::Value) -> Result<Session> {
        let mut headers = Vec::new();
        for (index, send) in login.send.iter().enumerate() {
            let found = match (&send.at, &send.cookie) {
                (Some(at), _) => document.pointer(at.as_str()).filter(|v| !v.is_null()).map(shown),
                (None, Some(name)) => answer.cookies.iter().find(|(n, _)| n == name).map(|(_, value)| value.expose().to_owned()),
                (None, None) => None,
            };
            let Some(found) = found.map(Zeroizing::new) else {
                let what = send.at.as_ref().map_or_else(|| send.cookie.clone().unwrap_or_default(), ToString::to_string);
                return Err(self.nothing_at(op, &format!("auth.login.send[{index}]"), &what, &document));
            };
            let prefix = send.prefix.as_deref().unwrap_or_default();
            headers.push((send.header.0.clone(), SecretText::new(format!("{prefix}{}", found.as_str()))));
        }
        if headers.is_empty() && answer.cookies.is_empty() {
            return Err(self.unreadable(op, "it answered with no cookie, and `send:` names nothing else that later calls could carry"));
        }
        Ok(Session { cookies: answer.cookies, headers, since: clock::boot_millis() })
    }

    /// Adds what shows who we are; false when that cannot be a header.
    pub(super) fn authorise(&self, headers: &mut HeaderMap, session: Option<&Session>) -> bool {
        let credential = self.credential.expose();
        match (&self.described.auth, session) {
            (None | Some(AdminAuth::Bearer(_)), _) => add(headers, "authorization", &Zeroizing::new(format!("Bearer {credential}")), true),
            (Some(AdminAuth::Header(header)), _) => {
                let prefix = header.prefix.as_deref().unwrap_or_default();
                add(headers, &header.name.0, &Zeroizing::new(format!("{prefix}{credential}")), true)
            }
            (Some(AdminAuth::Basic(basic)), _) => {
                let pair = Zeroizing::new(STANDARD.encode(Zeroizing::new(format!("{}:{credential}", basic.user)).as_bytes()));
                add(headers, "authorization", &Zeroizing::new(format!("Basic {}", pair.as_str())), true)
            }
            (Some(AdminAuth::Login(_)), None) => false,
            (Some(AdminAuth::Login(_)), Some(session)) => {
                let pairs: Vec<String> = session.cookies.iter().map(|(name, value)| format!("{name}={}", value.expose())).collect();
                let cookies = Zeroizing::new(pairs.join("; "));
                let sent = cookies.is_empty() || add(headers, "cookie", &cookies, true);
                sent && session.headers.iter().all(|(name, value)| add(headers, name, value.expose(), true))
            }
        }
    }
}
