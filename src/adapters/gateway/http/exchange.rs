//! One HTTP call with whatever headers a description asks for. Nothing is repeated and no redirect is followed.

use super::times;
use crate::rotation::{Span, Time};
use crate::secret::SecretText;
use crate::support::http::{self, Calls, Clients, HttpProblem};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use reqwest::{Method, Url};
use serde_json::Value;
use std::time::Duration;
use zeroize::Zeroizing;

/// The longest answer that is read: a page of a listing can be long.
const LONGEST_BODY: usize = 8 << 20;

/// Clients that are made when the first call needs them.
pub(super) struct Exchange {
    clients: Clients,
}

/// What is sent.
pub(super) struct Outgoing {
    pub(super) calls: Calls,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Content>,
}

/// A body, and what kind.
pub(super) struct Content {
    kind: &'static str,
    bytes: Zeroizing<Vec<u8>>,
}

impl Content {
    /// JSON.
    pub(super) fn json(value: &Value) -> Self {
        Self { kind: "application/json", bytes: Zeroizing::new(value.to_string().into_bytes()) }
    }

    /// A form, of an object's fields.
    pub(super) fn form(value: &Value) -> Self {
        let mut encoded = String::new();
        for (name, value) in value.as_object().into_iter().flatten() {
            if !encoded.is_empty() {
                encoded.push('&');
            }
            encode(name, &mut encoded);
            encoded.push('=');
            encode(&super::values::shown(value), &mut encoded);
        }
        Self { kind: "application/x-www-form-urlencoded", bytes: Zeroizing::new(encoded.into_bytes()) }
    }
}

fn encode(text: &str, to: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            to.push(char::from(byte));
        } else {
            to.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) date: Option<Time>,
    pub(super) link: Option<String>,
    pub(super) cookies: Vec<(String, SecretText)>,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// The status is one of success.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON, if it is.
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

impl Exchange {
    pub(super) fn new(timeout: Span, ca_pem: Option<Vec<u8>>) -> Self {
        Self { clients: Clients::new(Duration::from_millis(timeout.0.max(1)), ca_pem) }
    }

    pub(super) async fn send(&self, call: Outgoing) -> Result<Answer, HttpProblem> {
        let client = self.clients.get(call.calls, &call.url)?;
        let mut request = client.request(call.method, call.url).headers(call.headers);
        if let Some(content) = call.body {
            request = request.header(CONTENT_TYPE, content.kind).body(content.bytes.to_vec());
        }
        let response = request.send().await.map_err(|e| HttpProblem::of(&e))?;
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let date = header("date").and_then(|text| times::of_header(&text));
        let link = header("link");
        let cookies = response.headers().get_all(SET_COOKIE).iter().filter_map(|value| cookie(value.to_str().ok()?)).collect();
        let body = http::read_bounded(response, LONGEST_BODY).await?;
        Ok(Answer { status, date, link, cookies, body })
    }
}

/// Name and value; what else a cookie says is for browsers.
fn cookie(text: &str) -> Option<(String, SecretText)> {
    let (name, value) = text.split(';').next()?.split_once('=')?;
    Some((name.trim().to_owned(), SecretText::new(value.trim())))
}

/// Adds a header; false when name or value cannot be one.
pub(super) fn add(headers: &mut HeaderMap, name: &str, value: &str, secret: bool) -> bool {
    let (Ok(name), Ok(mut value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) else { return false };
    value.set_sensitive(secret);
    headers.insert(name, value);
    true
}

/// The address with `rel="next"` in a `Link` header.
pub(super) fn next_link(header: &str) -> Option<String> {
    header.split(',').find_map(|part| {
        let (address, rest) = part.trim().strip_prefix('<')?.split_once('>')?;
        let next = rest.split(';').any(|p| p.trim().to_ascii_lowercase().replace(['"', ' '], "") == "rel=next");
        next.then(|| address.to_owned())
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may")]
    use super::*;

    #[test]
    fn headers_of_answers_are_read() {
        assert_eq!(
            next_link("<https://a/x?p=1>; rel=\"prev\", <https://a/x?p=3&q=a>; rel=\"next\"").as_deref(),
            Some("https://a/x?p=3&q=a")
        );
        assert_eq!(next_link("<https://a/x>; rel=last"), None);
        let (name, value) = cookie("session=a=b; Path=/; HttpOnly").unwrap();
        assert_eq!((name.as_str(), value.expose()), ("session", "a=b"));
        let form = Content::form(&serde_json::json!({"user": "a b", "password": "p&=%"}));
        assert_eq!(std::str::from_utf8(&form.bytes).unwrap(), "password=p%26%3D%25&user=a%20b");
    }
}
