//! A small server on loopback for stand-ins of services: one request, one answer in JSON, connection closed.
#![allow(dead_code, clippy::allow_attributes, clippy::unwrap_used, reason = "each test binary uses a part of this")]

use crate::proxy::request;
use serde_json::Value;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// One call.
pub(crate) struct Call {
    pub(crate) method: String,
    /// Segments of the path.
    pub(crate) path: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    /// The bearer token.
    pub(crate) token: String,
    pub(crate) body: Value,
}

impl Call {
    /// Method and path, to match on.
    pub(crate) fn to(&self) -> (&str, Vec<&str>) {
        (&self.method, self.path.iter().map(String::as_str).collect())
    }

    pub(crate) fn asks(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// A server; it stops when dropped.
pub(crate) struct Server {
    stop: Arc<AtomicBool>,
    pub(crate) port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _wakes_the_listener = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Server {
    /// Starts one that answers with status and body.
    pub(crate) fn start(answer: impl Fn(&Call) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { stop: Arc::default(), port: listener.local_addr().unwrap().port() };
        let (stop, answer) = (server.stop.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let answer = answer.clone();
                std::thread::spawn(move || serve(client, &*answer));
            }
        });
        server
    }
}

fn serve(mut client: TcpStream, answer: &dyn Fn(&Call) -> (u16, Value)) {
    let _a_hung_client_ends = client.set_read_timeout(Some(Duration::from_secs(30)));
    let Some((head, body)) = request(&mut client) else { return };
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let decode = |text: &str| text.replace("%2C", ",").replace("%3A", ":");
    let call = Call {
        method,
        path: path.split('/').filter(|s| !s.is_empty()).map(decode).collect(),
        query: query.split('&').filter_map(|p| p.split_once('=')).map(|(n, v)| (n.to_owned(), decode(v))).collect(),
        token: head
            .lines()
            .find_map(|l| l.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case("authorization")))
            .map_or_else(String::new, |(_, v)| v.trim_start_matches("Bearer ").trim().to_owned()),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    let (status, said) = answer(&call);
    let text = if status == 204 { String::new() } else { said.to_string() };
    let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", text.len());
    let _the_client_may_be_gone = client.write_all(format!("{head}connection: close\r\n\r\n{text}").as_bytes());
}
