//! Requests and answers.

use super::{EXPIRED, NOBODY, OWNER, READER, World};
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::Duration;

/// One request.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) kind: String,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The body as JSON; none when it is none.
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Everything that was sent, as a refusal repeats it.
    pub(super) fn echo(&self) -> String {
        format!("{} {}: {}", self.method, self.path, String::from_utf8_lossy(&self.body))
    }
}

/// Answers one connection.
pub(super) fn answer(world: &Mutex<World>, mut client: TcpStream) {
    let _a_hung_client_ends = client.set_read_timeout(Some(Duration::from_secs(20)));
    let Some((head, body)) = crate::proxy::request(&mut client) else { return };
    let mut first = head.lines().next().unwrap_or_default().split(' ');
    let (method, target) = (first.next().unwrap_or_default().to_owned(), first.next().unwrap_or_default().to_owned());
    let header = |name: &str| {
        let line = head.lines().skip(1).find(|l| l.to_ascii_lowercase().starts_with(&format!("{name}:")));
        line.and_then(|l| l.split_once(':')).map(|(_, v)| v.trim().to_owned()).unwrap_or_default()
    };
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let query = query.split('&').filter_map(|p| p.split_once('=')).map(|(n, v)| (n.to_owned(), unescaped(v))).collect();
    let request = Request { method, path: path.to_owned(), query, kind: header("content-type"), body };
    let token = header("authorization").strip_prefix("Bearer ").unwrap_or_default().to_owned();
    let (status, said, date) = {
        let mut world = world.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        world.calls.push(format!("{} {}", request.method, request.path));
        world.tick();
        let (status, said) = world.authorised(&token, &request);
        (status, said, http_date(world.millis()))
    };
    let said = said.to_string();
    let head = format!("HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ndate: {date}\r\ncontent-length: {}\r\n", said.len());
    let _the_client_may_be_gone = client.write_all(format!("{head}connection: close\r\n\r\n{said}").as_bytes());
}

/// A refusal. It repeats what was sent.
pub(super) fn status(code: u16, reason: &str, request: &Request) -> (u16, Value) {
    let name = request.path.rsplit('/').next().unwrap_or_default();
    let message = format!("planted by the stand-in: {}", request.echo());
    let said = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code,
        "message": message, "details": { "name": name, "causes": [{ "message": message }] },
    });
    (code, said)
}

impl World {
    fn authorised(&mut self, token: &str, request: &Request) -> (u16, Value) {
        if self.throttle > 0 {
            self.throttle -= 1;
            return status(429, "TooManyRequests", request);
        }
        if !matches!(token, OWNER | READER | NOBODY) || token == EXPIRED {
            return status(401, "Unauthorized", request);
        }
        if request.path.ends_with("/selfsubjectreviews") {
            let name = format!("system:serviceaccount:ops:{}", token.split('-').nth(1).unwrap_or_default());
            return (201, json!({ "kind": "SelfSubjectReview", "status": { "userInfo": { "username": name } } }));
        }
        if request.path.ends_with("/selfsubjectaccessreviews") {
            let asked = request.json().unwrap_or_default();
            let verb = asked["spec"]["resourceAttributes"]["verb"].as_str().unwrap_or_default().to_owned();
            let allowed = token == OWNER || (token == READER && matches!(verb.as_str(), "get" | "list"));
            return (201, json!({ "kind": "SelfSubjectAccessReview", "status": { "allowed": allowed } }));
        }
        if token == NOBODY || (token == READER && request.method != "GET") {
            return status(403, "Forbidden", request);
        }
        self.serve(request)
    }
}

fn http_date(millis: i64) -> String {
    chrono::DateTime::from_timestamp_millis(millis).unwrap_or_default().format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let code =
            if *first == b'%' { more.get(..2).and_then(|c| u8::from_str_radix(std::str::from_utf8(c).ok()?, 16).ok()) } else { None };
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &more[2..] } else { more };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
