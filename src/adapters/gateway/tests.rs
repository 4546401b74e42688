//! What answers and their absence mean, against a server that says exactly what a test wants.
#![expect(clippy::unwrap_used, reason = "a test may")]

use super::{Access, SandboxGateway, SandboxProber};
use crate::ports::{Gateway, MintRequest, Minted, PortError, Prober};
use crate::rotation::{CallClass, Endpoint, KeyFacts, KeyId, Marker, ModelName, Probe, RequestId, Scope, Span};
use crate::secret::SecretText;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Every connection gets the same answer, or is closed without one.
struct Server {
    base: String,
    connections: Arc<AtomicUsize>,
}

const ADMIN: &str = "admin-secret-0123456789";

fn server(answer: String) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    std::thread::spawn(move || {
        for stream in listener.incoming().take(50) {
            let Ok(mut stream) = stream else { return };
            count.fetch_add(1, Ordering::SeqCst);
            let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
            let mut request = [0; 8192];
            let _ = stream.read(&mut request);
            if answer == "wait" {
                std::thread::sleep(Duration::from_millis(600));
            } else if !answer.is_empty() {
                let _ = stream.write_all(answer.as_bytes());
            }
        }
    });
    Server { base, connections }
}

fn http(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\nlocation: /elsewhere\r\n\r\n{body}",
        body.len()
    )
}

fn gateway(base: &str) -> SandboxGateway {
    let access = Access { base: base.to_owned(), admin: SecretText::new(ADMIN), call_timeout: Span(400), ca_pem: None };
    SandboxGateway::router(access).unwrap()
}

fn like() -> KeyFacts {
    KeyFacts {
        id: KeyId::new("old"),
        name: "n".into(),
        marker: String::new(),
        enabled: true,
        created_at: None,
        expires_at: None,
        last_used_at: None,
        owner: String::new(),
        scope: Scope::new(),
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn mint(base: &str) -> Result<Minted, PortError> {
    let (like, marker) = (like(), Marker::new("m"));
    wait(gateway(base).mint(MintRequest { like: &like, marker: &marker, name: "n", value: None }))
}

fn disable(base: &str) -> Result<(), PortError> {
    wait(gateway(base).set_enabled(&KeyId::new("k"), false))
}

fn delete(base: &str) -> Result<(), PortError> {
    wait(gateway(base).delete(&KeyId::new("k")))
}

fn kind(error: &PortError) -> &'static str {
    match error {
        PortError::Unreachable { may_have_happened: true, .. } => "maybe",
        PortError::Unreachable { may_have_happened: false, .. } => "unreachable",
        PortError::Refused { .. } => "refused",
        PortError::Conflict { .. } => "conflict",
        PortError::Unsupported { .. } => "unsupported",
        PortError::Unreadable { .. } => "unreadable",
    }
}

#[test]
fn without_a_connection_nothing_happened() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    assert_eq!(kind(&mint(&base).err().unwrap()), "unreachable");
    assert_eq!(kind(&delete(&base).unwrap_err()), "unreachable");
}

#[test]
fn a_change_without_a_clear_answer_may_have_happened_and_is_sent_once() {
    let answers = [
        String::new(),
        "wait".into(),
        http(500, "{}"),
        http(503, ""),
        http(302, ""),
        http(408, ""),
        "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{".into(),
    ];
    for answer in answers {
        let one = server(answer.clone());
        let error = disable(&one.base).unwrap_err();
        assert_eq!(kind(&error), "maybe", "{answer:?}: {error}");
        assert_eq!(one.connections.load(Ordering::SeqCst), 1, "{answer:?}");
    }
    for body in ["welcome", "[]", "{\"id\":\"k\"}"] {
        let error = mint(&server(http(201, body)).base).err().unwrap();
        assert!(error.may_have_happened() && kind(&error) == "unreadable", "{body}: {error}");
    }
}

#[test]
fn reading_changes_nothing_whatever_comes_back() {
    for answer in [String::new(), "wait".into(), http(500, "{}"), http(429, "{}"), http(200, &"x".repeat(5 << 20))] {
        let one = server(answer.clone());
        assert_eq!(kind(&wait(gateway(&one.base).list()).unwrap_err()), "unreachable", "{}", answer.get(..20).unwrap_or_default());
    }
    assert_eq!(kind(&wait(gateway(&server(http(401, "{}")).base).list()).unwrap_err()), "refused");
    assert_eq!(kind(&wait(gateway(&server(http(200, "{\"data\":3}")).base).list()).unwrap_err()), "unreadable");
    assert_eq!(kind(&wait(gateway(&server(http(302, "")).base).list()).unwrap_err()), "refused");
}

#[test]
fn clear_answers_say_what_they_say() {
    for (status, expected) in [(401, "refused"), (403, "refused"), (400, "refused"), (429, "refused"), (404, "conflict"), (409, "conflict")]
    {
        let base = server(http(status, "{\"error\":{\"type\":\"t\",\"code\":\"some_code\"}}")).base;
        let error = delete(&base).unwrap_err();
        assert_eq!(kind(&error), expected, "{status}");
        assert!(error.to_string().contains("some_code"), "{error}");
    }
    let base = server(http(409, "{}")).base;
    let error = wait(gateway(&base).repoint(&ModelName::new("m/1"), &KeyId::new("a"), &KeyId::new("b"))).unwrap_err();
    assert_eq!(kind(&error), "conflict");
}

#[test]
fn no_message_repeats_what_a_gateway_says() {
    let echo = format!("{{\"error\":{{\"type\":\"{ADMIN}\",\"code\":\"SK9\",\"message\":\"key {ADMIN}\"}}}}");
    for status in [400, 401, 404, 500] {
        let base = server(http(status, &echo)).base;
        let said = delete(&base).unwrap_err().to_string();
        assert!(!said.contains(ADMIN) && !said.contains("SK9"), "{said}");
    }
    let said = mint(&server(http(201, &format!("{{\"id\":\"{ADMIN}"))).base).err().unwrap().to_string();
    assert!(!said.contains(ADMIN), "{said}");
}

#[test]
fn a_minted_key_is_checked_before_it_is_believed() {
    for (id, secret) in
        [("../x", "sk-0123456789abcdef0123"), ("k", "short"), ("k", "sk-0123456789abcdef\\n0123"), ("", "sk-0123456789abcdef0123")]
    {
        let body = format!("{{\"id\":\"{id}\",\"secret\":\"{secret}\",\"created_at\":null}}");
        let error = mint(&server(http(201, &body)).base).err().unwrap();
        assert_eq!(kind(&error), "unreadable", "{id} {secret}");
        assert!(!error.to_string().contains("sk-"));
    }
    let good = mint(&server(http(201, "{\"id\":\"k\",\"secret\":\"sk-0123456789abcdef0123\"}")).base);
    assert_eq!(good.ok().map(|m| m.id), Some(KeyId::new("k")));
}

#[test]
fn a_listing_that_is_not_whole_is_no_listing() {
    let row = |id: &str, name: &str| format!("{{\"id\":\"{id}\",\"name\":\"{name}\",\"enabled\":true}}");
    let circle = http(200, &format!("{{\"data\":[{}],\"next_cursor\":\"c1\"}}", row("a", "x")));
    assert_eq!(kind(&wait(gateway(&server(circle).base).list()).unwrap_err()), "unreadable");
    let page = |rows: &[String]| http(200, &format!("{{\"data\":[{}],\"next_cursor\":null}}", rows.join(",")));
    let twins = page(&[row("a", "x"), row("a", "y")]);
    assert_eq!(kind(&wait(gateway(&server(twins).base).list()).unwrap_err()), "unreadable");
    let unsafe_id = page(&[row("a/b", "x")]);
    assert_eq!(kind(&wait(gateway(&server(unsafe_id).base).list()).unwrap_err()), "unreadable");
    let same = wait(gateway(&server(page(&[row("a", "x"), row("a", "x"), row("b", "x")])).base).list()).unwrap();
    assert_eq!(same.len(), 2, "a row given twice is one key");
}

#[test]
fn rows_are_cleaned_and_restrictions_that_nobody_knows_are_compared_too() {
    let row = "{\"data\":[{\"id\":\"a\",\"name\":\"x\\u001b[31m\",\"marker\":\"keyroll:r:\\u200b1\",\"enabled\":true,\"ip_allow_list\":[\"10.0.0.0/8\"],\"scope\":{\"rpm\":1}}],\"next_cursor\":null}";
    let keys = wait(gateway(&server(http(200, row)).base).list()).unwrap();
    let key = keys.into_iter().next().unwrap();
    assert!(!key.name.contains('\u{1b}'));
    assert_eq!(Marker::run(&key.marker), None, "a marker with an invisible character is not ours: {}", key.marker);
    assert!(key.scope.contains_key("row.ip_allow_list") && key.scope.contains_key("rpm"));
}

#[test]
fn calls_that_do_not_come_through_are_the_gateways_fault() {
    let probe = Probe { family: "chat".into(), model: "m".into(), stream: false };
    for (answer, expected) in [
        (String::new(), CallClass::Down),
        ("wait".into(), CallClass::Down),
        (http(500, "{}"), CallClass::Down),
        (http(200, &"x".repeat(5 << 20)), CallClass::Unknown),
        (http(307, ""), CallClass::Unknown),
    ] {
        let one = server(answer.clone());
        let endpoint = Endpoint::new(&one.base);
        let prober = SandboxProber::router(vec![endpoint.clone()], Span(400));
        let said = wait(prober.call(&endpoint, &probe, &SecretText::new("sk-x"), &RequestId::new("r")));
        assert_eq!(said.class, expected, "{}", answer.get(..20).unwrap_or_default());
        assert_eq!(one.connections.load(Ordering::SeqCst), 1);
    }
    let secret = SecretText::new("sk-x");
    let identify = |answer: String| {
        let prober = SandboxProber::router(vec![Endpoint::new(server(answer).base)], Span(400));
        wait(prober.identify(&secret, &RequestId::new("r")))
    };
    assert_eq!(identify(http(401, "{}")), Ok(None));
    assert_eq!(identify(http(200, "{\"key_id\":\"k1\"}")), Ok(Some(KeyId::new("k1"))));
    assert!(matches!(identify(http(200, "{\"key_id\":\"../k\"}")), Err(PortError::Unreadable { .. })));
    assert!(matches!(identify(http(503, "")), Err(PortError::Unreachable { .. })));
}
