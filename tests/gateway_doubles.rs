//! The doubles of OpenRouter's family and of new-api behave as their contracts say, and refuse what a wrong driver would send.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]
#![expect(clippy::duplicate_mod, reason = "both doubles carry the same server, and most binaries use one of them")]

#[path = "doubles/newapi/mod.rs"]
mod newapi;
#[path = "doubles/newapi/checks.rs"]
mod newapi_checks;
#[path = "doubles/openrouter/mod.rs"]
mod openrouter;
#[path = "doubles/openrouter/checks.rs"]
mod openrouter_checks;

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// An answer, as it came.
struct Said {
    status: u16,
    head: String,
    text: String,
    body: Value,
}

/// One request on a connection of its own; none: no answer came.
fn send(method: &str, url: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Option<Said> {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let body = body.map(Value::to_string);
    let mut head = format!("{method} /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = &body {
        head.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
    }
    stream.write_all(format!("{head}\r\n{}", body.unwrap_or_default()).as_bytes()).unwrap();
    let mut answer = String::new();
    let _an_end_without_an_answer = stream.read_to_string(&mut answer);
    let (head, text) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Said { status, head: head.to_lowercase(), text: text.into(), body: serde_json::from_str(text).unwrap_or_default() })
}

/// One request with a bearer token, to an answer.
fn ask(method: &str, url: &str, token: &str, body: Option<&Value>) -> Said {
    send(method, url, &[("authorization", &format!("Bearer {token}"))], body).unwrap()
}

fn chat(base: &str, secret: &str, model: &str) -> Said {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "ping"}]});
    ask("POST", &format!("{base}/chat/completions"), secret, Some(&body))
}

#[test]
fn a_connection_is_kept_and_closes_with_a_lost_answer() {
    let double = openrouter::Double::start(openrouter::Dialect::OpenRouter, 1);
    let host = double.url(0).replace("http://", "");
    let mut stream = TcpStream::connect(&host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut once = |path: &str| {
        let request = format!("GET /api/v1/{path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\n\r\n", double.management);
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = vec![0; 4096];
        let read = stream.read(&mut text).unwrap_or_default();
        String::from_utf8_lossy(&text[..read]).starts_with("HTTP/1.1 200")
    };
    assert!(once("keys") && once("models"));
    double.lose("list", 1);
    assert!(!once("keys"));
    assert_eq!(double.log().iter().map(|(_, _, status)| *status).collect::<Vec<_>>(), [200, 200, 0]);
}
