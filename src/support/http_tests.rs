//! Tests of HTTP clients against a few lines of server on a free local port.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// Answers every connection with these bytes and counts them; an empty answer closes after reading.
async fn server(answer: &'static [u8]) -> (Url, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 4096];
            let _ = socket.read(&mut request).await;
            let _ = socket.write_all(answer).await;
        }
    });
    (url, count)
}

fn local(calls: Calls) -> Client {
    let options = Options { proxy: false, total: Duration::from_millis(800), ..Options::new(calls) };
    client(&options).unwrap()
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let (target, followed) = server(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let answer = format!("HTTP/1.1 302 Found\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n");
    let (url, _) = server(Box::leak(answer.into_bytes().into_boxed_slice())).await;
    let response = local(Calls::Reading).get(url).header("authorization", "Bearer x").send().await.unwrap();
    assert_eq!((response.status().as_u16(), followed.load(Ordering::SeqCst)), (302, 0));
}

#[tokio::test]
async fn a_lost_answer_is_not_asked_for_again() {
    let (url, count) = server(b"").await;
    let error = local(Calls::Changing).post(url).body("mint").send().await.unwrap_err();
    let problem = HttpProblem::of(&error);
    assert!(problem.may_have_happened(), "{problem}");
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_changing_call_never_uses_a_kept_connection() {
    let (url, count) = server(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let changing = local(Calls::Changing);
    for _ in 0..3 {
        changing.post(url.clone()).send().await.unwrap();
    }
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn no_connection_means_nothing_happened() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://{}/token-in-path", listener.local_addr().unwrap());
    drop(listener);
    let problem = HttpProblem::of(&local(Calls::Changing).post(closed).send().await.unwrap_err());
    assert!(!problem.may_have_happened(), "{problem}");
    assert!(!problem.to_string().contains("token-in-path"), "{problem}");
}

#[tokio::test]
async fn a_silent_server_is_a_time_out_that_may_have_happened() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token-in-path", listener.local_addr().unwrap());
    let problem = HttpProblem::of(&local(Calls::Changing).post(url).send().await.unwrap_err());
    assert_eq!(problem, HttpProblem::NoAnswer { why: "timed out".to_owned() });
    assert!(problem.may_have_happened());
}

#[tokio::test]
async fn bodies_are_bounded_with_and_without_a_length() {
    let (sized, _) = server(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789").await;
    let (unsized_, _) = server(b"HTTP/1.1 200 OK\r\n\r\n0123456789").await;
    let reading = local(Calls::Reading);
    for url in [sized, unsized_] {
        let enough = read_bounded(reading.get(url.clone()).send().await.unwrap(), 10).await.unwrap();
        assert_eq!(enough.as_slice(), b"0123456789");
        let short = read_bounded(reading.get(url).send().await.unwrap(), 9).await.unwrap_err();
        assert_eq!(short, HttpProblem::TooLarge { limit: 9 });
    }
    let (cut, _) = server(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123").await;
    let problem = read_bounded(reading.get(cut).send().await.unwrap(), 10).await.unwrap_err();
    assert!(problem.may_have_happened(), "{problem}");
}

#[test]
fn only_addresses_of_services_are_taken() {
    assert!(address("https://router.example.com/v1").is_ok());
    for bad in ["", "router.example.com", "ftp://x", "file:///etc/passwd", "data:,x", "https://"] {
        assert_eq!(address(bad), Err(HttpProblem::Address), "{bad}");
    }
    let with_user = address("https://user:hunter2@example.com").unwrap_err();
    assert_eq!(with_user, HttpProblem::Credentials);
    assert!(!with_user.to_string().contains("hunter2"));
}

#[test]
fn ids_cannot_lead_elsewhere() {
    let base = address("https://example.com/api/").unwrap();
    let joined = |id| join(&base, &["keys", id]).map(String::from);
    assert_eq!(joined("k-1").unwrap(), "https://example.com/api/keys/k-1");
    assert_eq!(joined("a/../b?c#d").unwrap(), "https://example.com/api/keys/a%2F..%2Fb%3Fc%23d");
    for bad in ["", ".", "..", "..."] {
        assert_eq!(joined(bad), Err(HttpProblem::Segment), "{bad}");
    }
    assert!(is_plain_id("sk_a") && is_plain_id("org:key@eu-1.2"));
    for bad in ["", "..", "a/b", "a b", "a%2f", "ä", &"x".repeat(257)] {
        assert!(!is_plain_id(bad), "{bad}");
    }
}

#[test]
fn a_private_authority_must_be_one() {
    let with = |pem: &[u8]| client(&Options { ca_pem: Some(pem.to_vec()), ..Options::new(Calls::Reading) }).err();
    assert_eq!(with(b"no certificate"), Some(HttpProblem::Authority));
    assert_eq!(with(b""), Some(HttpProblem::Authority));
}
