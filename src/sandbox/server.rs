//! HTTP on loopback: accept, read a bounded request, hand it to its plane, answer or hang up.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use super::world::Shared;
use super::{SandboxError, admin, control, data, ids};

/// Which of the sandbox's servers a listener belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Plane {
    /// The gateway's admin API.
    Admin,
    /// The switches of this sandbox.
    Control,
    /// A replica of the data plane, by number.
    Data(usize),
}

/// The largest request body.
const MOST_BODY: usize = 1 << 20;
/// The most connections of one listener at a time.
const MOST_CONNECTIONS: usize = 512;
/// How long a client may take over its head, and between two requests. Longer than clients keep idle connections, so
/// that it is the client who closes them and never meets a closing server.
const HEAD_TIME: Duration = Duration::from_secs(120);
/// How long a client may take over its body.
const BODY_TIME: Duration = Duration::from_secs(10);

/// A request, read.
pub(super) struct Call {
    pub(super) method: String,
    /// Decoded segments of the path.
    pub(super) path: Vec<String>,
    pub(super) query: BTreeMap<String, String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The caller's `x-request-id` when it is usable, else a fresh one.
    pub(super) request_id: String,
}

impl Call {
    /// The path as borrowed segments, for matching.
    pub(super) fn segments(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    /// A header that is visible text of at most `most` bytes.
    pub(super) fn header(&self, name: &str, most: usize) -> Option<&str> {
        let text = self.headers.get(name)?.to_str().ok()?.trim();
        (!text.is_empty() && text.len() <= most).then_some(text)
    }

    /// The bearer token.
    pub(super) fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.header("authorization", 8192)?.split_once(' ')?;
        let token = token.trim();
        (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
    }

    /// The body as a typed value. The message has a position and no value: the body may hold a secret.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.body)
            .map_err(|why| Problem::bad(&format!("the body is not the expected JSON at line {}, column {}", why.line(), why.column())))
    }
}

/// What a handler decided.
pub(super) enum Answer {
    /// Send this.
    Reply(Reply),
    /// Close the connection without a word.
    HangUp,
}

/// A response before it is HTTP.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) payload: Payload,
}

impl Reply {
    /// A JSON answer.
    pub(super) fn json(status: u16, value: &Value) -> Self {
        Self { status, payload: Payload::whole(value.to_string()) }
    }

    /// A stream of server-sent events.
    pub(super) fn events(events: Vec<String>) -> Self {
        Self { status: 200, payload: Payload { frames: events.into_iter().map(Bytes::from).collect(), stream: true } }
    }
}

/// An error answer.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Problem {
    /// An error with its class.
    pub(super) fn new(status: u16, kind: &'static str, code: &'static str, message: &str) -> Self {
        Self { status, kind, code, message: message.to_owned() }
    }

    /// 400.
    pub(super) fn bad(message: &str) -> Self {
        Self::new(400, "invalid_request", "bad_request", message)
    }

    /// 404.
    pub(super) fn not_found(what: &str) -> Self {
        Self::new(404, "not_found", "not_found", &format!("no such {what}"))
    }

    /// 409.
    pub(super) fn conflict(code: &'static str, message: &str) -> Self {
        Self::new(409, "conflict", code, message)
    }

    /// The error body.
    pub(super) fn reply(&self) -> Reply {
        let error = json!({"type": self.kind, "code": self.code, "message": self.message});
        Reply::json(self.status, &json!({"error": error}))
    }
}

impl From<SandboxError> for Problem {
    fn from(why: SandboxError) -> Self {
        let status = match why {
            SandboxError::Fault { .. } => 400,
            SandboxError::NotLoopback { .. }
            | SandboxError::Option { .. }
            | SandboxError::FolderTaken { .. }
            | SandboxError::File { .. }
            | SandboxError::State { .. }
            | SandboxError::System { .. } => 500,
        };
        let kind = if status == 400 { "invalid_request" } else { "internal" };
        Self::new(status, kind, kind, &format!("failed to {why}"))
    }
}

/// A response body: one piece with a length, or several as a stream.
pub(super) struct Payload {
    frames: VecDeque<Bytes>,
    stream: bool,
}

impl Payload {
    fn whole(text: String) -> Self {
        Self { frames: VecDeque::from([Bytes::from(text)]), stream: false }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.frames.pop_front().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        if self.stream {
            return SizeHint::default();
        }
        let bytes: usize = self.frames.iter().map(Bytes::len).sum();
        SizeHint::with_exact(u64::try_from(bytes).unwrap_or(u64::MAX))
    }
}

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("hung up on purpose")]
struct HungUp;

/// Accepts until told to stop.
pub(super) async fn accept(shared: Arc<Shared>, listener: TcpListener, plane: Plane, mut closing: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            _ = closing.wait_for(|closing| *closing) => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely: let some connections end first.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _without_it_answers_are_only_slower = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&shared), plane, request));
            let _a_connection_may_end_as_it_likes = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIME)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            drop(place);
        });
    }
}

async fn answer(shared: Arc<Shared>, plane: Plane, request: Request<Incoming>) -> Result<Response<Payload>, HungUp> {
    let _under_way = shared.begin();
    let (head, body) = request.into_parts();
    let request_id = usable_id(&head.headers).or_else(|| ids::random("req_", 12).ok()).unwrap_or_default();
    let reading = tokio::time::timeout(BODY_TIME, Limited::new(body, MOST_BODY).collect());
    let answer = match reading.await {
        Err(_) => Answer::HangUp,
        Ok(Err(_)) => Answer::Reply(Problem::new(413, "invalid_request", "body_too_large", "at most 1 MiB").reply()),
        Ok(Ok(body)) => {
            let call = Call {
                method: head.method.as_str().to_owned(),
                path: head.uri.path().split('/').filter(|part| !part.is_empty()).map(decode).collect(),
                query: pairs(head.uri.query().unwrap_or_default()),
                headers: head.headers,
                body: body.to_bytes(),
                request_id: request_id.clone(),
            };
            // On a task of its own: what has begun goes on to its end, also when the caller has hung up.
            let task = tokio::spawn(dispatch(Arc::clone(&shared), plane, call));
            task.await.unwrap_or(Answer::HangUp)
        }
    };
    match answer {
        Answer::HangUp => Err(HungUp),
        Answer::Reply(reply) => Ok(response(&shared, reply, &request_id)),
    }
}

async fn dispatch(shared: Arc<Shared>, plane: Plane, call: Call) -> Answer {
    let _under_way = shared.begin();
    match plane {
        Plane::Admin => admin::handle(&shared, &call).await,
        Plane::Control => control::handle(&shared, &call).await,
        Plane::Data(replica) => data::handle(&shared, replica, &call).await,
    }
}

fn response(shared: &Shared, reply: Reply, request_id: &str) -> Response<Payload> {
    let kind = if reply.payload.stream { "text/event-stream" } else { "application/json" };
    let date = ids::http_date(shared.world().now_ms());
    let mut response = Response::new(reply.payload);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in [("content-type", kind), ("date", &date), ("x-request-id", request_id)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            let name = HeaderName::from_static(name);
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The caller's own request id, when it is short and plain.
fn usable_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("x-request-id")?.to_str().ok()?;
    let plain = |sign: char| sign.is_ascii_alphanumeric() || "._:-".contains(sign);
    ((1..=128).contains(&id.len()) && id.chars().all(plain)).then(|| id.to_owned())
}

fn pairs(query: &str) -> BTreeMap<String, String> {
    query.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (decode(name), decode(&value.replace('+', " ")))).collect()
}

/// Undoes percent-encoding; what is not valid stays as it is.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let code = (*first == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .filter(|hex| hex.bytes().all(|sign| sign.is_ascii_hexdigit()))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_signs_are_undone_once_and_never_panic() {
        assert_eq!(decode("a%2Fb%252F"), "a/b%2F");
        assert_eq!(decode("%"), "%");
        assert_eq!(decode("%zz%4"), "%zz%4");
        assert_eq!(decode("%+1"), "%+1");
        assert_eq!(pairs("a=1&b=x+y&c").len(), 2);
    }
}
