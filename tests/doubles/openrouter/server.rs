//! HTTP on loopback for doubles: several listeners on one thread, connections kept open, one handler, an answer or none.

use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;

/// What came.
pub(crate) struct Request {
    pub(crate) method: String,
    /// As sent, without the query.
    pub(crate) raw: String,
    /// Decoded segments; a slash at the end is one more, empty.
    pub(crate) path: Vec<String>,
    /// In the order of the request; a name may come twice.
    pub(crate) query: Vec<(String, String)>,
    headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The path, for matching.
    pub(crate) fn segments(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    /// A header, if it is there and not empty.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The bearer token.
    pub(crate) fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ").filter(|token| !token.is_empty())
    }

    /// A query parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Why the query is none that this route knows.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), String> {
        for (at, (name, _)) in self.query.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(format!("unrecognized query parameter: {name}"));
            }
            if self.query.iter().skip(at + 1).any(|(other, _)| other == name) {
                return Err(format!("query parameter twice: {name}"));
            }
        }
        Ok(())
    }

    /// The body as an object, if it is one and says so.
    pub(crate) fn object(&self) -> Result<serde_json::Map<String, Value>, String> {
        let kind = self.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if kind != "application/json" {
            return Err(format!("content-type must be application/json, not {kind:?}"));
        }
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(fields)) => Ok(fields),
            Ok(_) => Err("expected object".into()),
            Err(why) => Err(format!("invalid JSON: {why}")),
        }
    }
}

/// What goes back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(&'static str, String)>,
    frames: Vec<String>,
    stream: bool,
    /// Says no, whatever its status.
    pub(crate) refused: bool,
    /// The connection closes instead.
    pub(crate) lost: bool,
    /// After the work was done.
    pub(crate) wait: Duration,
}

impl Answer {
    /// One JSON document.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::of(status, vec![body.to_string()], false)
    }

    /// Nothing but a status.
    pub(crate) fn empty(status: u16) -> Self {
        Self::of(status, Vec::new(), false)
    }

    /// Server-sent events.
    pub(crate) fn events(frames: Vec<String>) -> Self {
        Self::of(200, frames, true)
    }

    fn of(status: u16, frames: Vec<String>, stream: bool) -> Self {
        Self { status, headers: Vec::new(), frames, stream, refused: status >= 300, lost: false, wait: Duration::ZERO }
    }

    /// With one more header.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A refusal in the clothes of a success.
    pub(crate) fn refusal(mut self) -> Self {
        self.refused = true;
        self
    }
}

/// Number of the listener, and what came to it.
pub(crate) type Handler = Arc<dyn Fn(usize, &Request) -> Answer + Send + Sync>;

/// Listeners; they close when this is dropped.
pub(crate) struct Servers {
    pub(crate) ports: Vec<u16>,
    _open: oneshot::Sender<()>,
}

/// Opens so many listeners on free ports of loopback.
///
/// # Panics
/// When loopback has no port.
pub(crate) fn serve(listeners: usize, handler: Handler) -> Servers {
    let open = |_| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        Ok((listener.local_addr()?.port(), listener))
    };
    let opened: io::Result<Vec<_>> = (0..listeners).map(open).collect();
    let (ports, listeners): (Vec<u16>, Vec<_>) = opened.unwrap_or_else(|e| panic!("no port: {e}")).into_iter().unzip();
    let (keep, closed) = oneshot::channel();
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async move {
            for (number, listener) in listeners.into_iter().enumerate() {
                tokio::spawn(accept(number, listener, handler.clone()));
            }
            let _dropped = closed.await;
        });
    });
    Servers { ports, _open: keep }
}

async fn accept(number: usize, listener: std::net::TcpListener, handler: Handler) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    while let Ok((stream, _)) = listener.accept().await {
        let _slower_without = stream.set_nodelay(true);
        let handler = handler.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(number, handler.clone(), request));
            let _ends_as_it_likes = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(number: usize, handler: Handler, request: hyper::Request<Incoming>) -> Result<hyper::Response<Frames>, io::Error> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, 1 << 20).collect().await.map_err(|_| io::Error::other("too large"))?.to_bytes();
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
    let pair = |pair: &str| pair.split_once('=').map_or((decoded(pair), String::new()), |(n, v)| (decoded(n), decoded(v)));
    let request = Request {
        method: head.method.as_str().to_owned(),
        raw: path.to_owned(),
        path: path.trim_start_matches('/').split('/').map(|part| decoded(&part.replace('+', "%2B"))).collect(),
        query: query.split('&').filter(|p| !p.is_empty()).map(pair).collect(),
        headers: head.headers.iter().map(|(n, v)| (n.as_str().to_owned(), v.to_str().unwrap_or_default().to_owned())).collect(),
        body: body.to_vec(),
    };
    let answer = handler(number, &request);
    tokio::time::sleep(answer.wait).await;
    if answer.lost {
        return Err(io::Error::other("the answer is lost"));
    }
    let kind = if answer.stream { "text/event-stream" } else { "application/json" };
    let mut response = hyper::Response::new(Frames { frames: answer.frames.into(), stream: answer.stream });
    *response.status_mut() = hyper::StatusCode::from_u16(answer.status).unwrap_or_default();
    let headers = std::iter::once(("content-type", kind.to_owned())).chain(answer.headers);
    for (name, value) in headers {
        let Ok(value) = HeaderValue::from_str(&value) else { continue };
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    Ok(response)
}

/// A body: whole with its length, or in pieces.
struct Frames {
    frames: VecDeque<String>,
    stream: bool,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.frames.pop_front().map(|text| Ok(Frame::data(Bytes::from(text)))))
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let bytes: usize = self.frames.iter().map(String::len).sum();
        if self.stream { SizeHint::default() } else { SizeHint::with_exact(bytes as u64) }
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let hex: String = rest.by_ref().take(2).map(char::from).collect();
                bytes.extend(u8::from_str_radix(&hex, 16));
            }
            b'+' => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
