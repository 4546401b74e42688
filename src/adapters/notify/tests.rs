//! A loopback double that keeps what it was sent; templates; the job summary.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

use super::*;
use crate::policy::model::process::Webhook;
use crate::rotation::RunId;
use crate::secret::Scrubber;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;

const PATH: &str = "/services/T0/B0/s3cr3t-hook-94af20";

fn notice(text: &str) -> Notice {
    Notice { run: RunId::new("r1"), credential: "chat-key".into(), event: "parked", text: text.into() }
}

/// Answers every request with this head, and passes on path and body.
fn double(answer: &'static str) -> (u16, mpsc::Receiver<(String, serde_json::Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, hears) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten().take(20) {
            let mut reader = BufReader::new(stream);
            let (mut path, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(rest) = line.strip_prefix("POST ") {
                    path = rest.split(' ').next().unwrap_or_default().to_owned();
                }
                if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = n.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let _ = told.send((path, serde_json::from_slice(&body).unwrap_or_default()));
            let _ = reader.get_mut().write_all(answer.as_bytes());
        }
    });
    (port, hears)
}

fn references() -> Rc<References> {
    Rc::new(References { withhold: Vec::new(), scrubber: Scrubber::new(), ask: None })
}

/// Tells one notice to a webhook written like this, with `$URL` for a reference to the double's address.
fn tell(hook: &str, port: u16, notice: &Notice) -> (Result<()>, Rc<References>) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hook");
    std::fs::write(&file, format!("http://127.0.0.1:{port}{PATH}\n")).unwrap();
    let text = hook.replace("$URL", &format!("{{\"file\": {:?}}}", file.to_str().unwrap()));
    let hook: Webhook = serde_json::from_str(&text).unwrap();
    let references = references();
    let notices = Notices::new(&[Written::Webhook(Box::new(hook))], references.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    (runtime.block_on(notices.tell(notice)), references)
}

const NO_BODY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

#[test]
fn the_generic_form_and_the_one_of_slack() {
    let (port, hears) = double(NO_BODY);
    tell(r#"{"url": $URL}"#, port, &notice("waits\u{1b}[31m for <b>")).0.unwrap();
    let (path, body) = hears.recv().unwrap();
    assert_eq!(path, PATH);
    assert_eq!(body, serde_json::json!({ "v": 1, "run": "r1", "credential": "chat-key", "event": "parked", "text": "waits for <b>" }));
    let hook = r#"{"url": $URL, "format": "slack", "template": "*{credential}* {event}: {text} {other} {text"}"#;
    tell(hook, port, &notice("<!channel> {run} & more")).0.unwrap();
    assert_eq!(
        hears.recv().unwrap().1,
        serde_json::json!({ "text": "*chat-key* parked: &lt;!channel&gt; {run} &amp; more {other} {text" })
    );
    tell(r#"{"url": $URL, "format": "slack"}"#, port, &notice("waits")).0.unwrap();
    assert_eq!(hears.recv().unwrap().1["text"], "chat-key: waits (parked, run r1)");
}

#[test]
fn only_the_events_that_are_asked_for() {
    let (port, hears) = double(NO_BODY);
    tell(r#"{"url": $URL, "events": ["finished", "stuck"]}"#, port, &notice("waits")).0.unwrap();
    tell(r#"{"url": $URL, "events": ["parked"]}"#, port, &notice("this one")).0.unwrap();
    assert_eq!(hears.recv().unwrap().1["text"], "this one");
    assert!(hears.try_recv().is_err());
}

#[test]
fn a_failure_says_what_to_do_and_never_the_address_which_is_a_secret_from_then_on() {
    let refused = "HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\nconnection: close\r\n\r\nno_secret";
    let elsewhere = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    for (answer, word) in [(refused, "status 404; check the address"), (elsewhere, "redirects are not followed")] {
        let (port, _hears) = double(answer);
        let (told, references) = tell(r#"{"url": $URL}"#, port, &notice("x"));
        let said = told.unwrap_err().to_string();
        assert!(said.contains(word) && !said.contains("s3cr3t") && !said.contains("no_secret"), "{said}");
        assert!(references.scrubber.find(format!("x{PATH}y").as_bytes()).iter().any(|hit| hit.label == "webhook address"));
        assert!(references.scrubber.find(b"http://127.0.0.1:8080/v1").is_empty(), "an address of ours is no secret");
    }
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let said = tell(r#"{"url": $URL}"#, closed, &notice("x")).0.unwrap_err();
    assert!(!said.may_have_happened() && !said.to_string().contains("s3cr3t"), "{said}");
}

#[test]
fn one_place_that_fails_keeps_no_other_from_being_told() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let places = [
        Written::Command(vec!["/no/such/program".into()]),
        Written::Command(["sh", "-c", &format!("cat > {}", out.display())].map(String::from).to_vec()),
    ];
    let notices = Notices::new(&places, references());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert!(runtime.block_on(notices.tell(&notice("waits"))).is_err());
    let body: serde_json::Value = serde_json::from_slice(&std::fs::read(out).unwrap()).unwrap();
    assert_eq!((body["v"].as_u64(), body["text"].as_str()), (Some(1), Some("waits")));
}

#[test]
fn a_job_summary_gets_a_line_that_is_no_markup() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("summary.md");
    std::fs::write(&path, "# before\n").unwrap();
    summary::tell(&path, &notice("waits\n# [x](http://y) <script>")).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("# before\n- **parked** chat-key: waits"), "{text}");
    assert_eq!(text.lines().count(), 2);
    assert!(!text.contains("<script>") && !text.contains("[x](") && text.contains("(run `r1`)"), "{text}");
    std::fs::write(&path, vec![b'x'; 1 << 20]).unwrap();
    assert!(summary::tell(&path, &notice("x")).unwrap_err().to_string().contains("full"));
    assert!(summary::tell(&dir.path().join("no/such/folder"), &notice("x")).is_err());
}
