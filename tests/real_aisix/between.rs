//! What stands between keyroll and etcd: it loses answers after the change, or lets somebody else write first.

use crate::aisix::http::{Request, Response, call, serve};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// How it misbehaves.
pub(crate) enum Between {
    /// The answer to each different transaction is lost once, after it was done.
    LosesEachOnce,
    /// What is stored lacks this field, when a new row is made.
    Forgets(&'static str),
    /// Before each transaction this happens, once.
    First(Box<dyn Fn() + Send + Sync>),
}

/// How many answers were lost, or writes were overtaken.
pub(crate) type Times = Arc<Mutex<usize>>;

impl Between {
    /// Starts it before an etcd; its address.
    pub(crate) fn before(self, etcd: &str) -> (String, Times) {
        let (etcd, times) = (etcd.to_owned(), Times::default());
        let (counted, seen) = (times.clone(), Mutex::new(BTreeSet::new()));
        let url = serve(move |request| {
            let changes = request.path == ["v3", "kv", "txn"];
            let fresh = changes && seen.lock().unwrap().insert(request.body.clone());
            match &self {
                Self::First(happens) if changes && *counted.lock().unwrap() == 0 => {
                    *counted.lock().unwrap() += 1;
                    happens();
                }
                Self::LosesEachOnce | Self::First(_) | Self::Forgets(_) => {}
            }
            let body = match &self {
                Self::Forgets(field) if changes => without(&request.body, field, &counted),
                _ => request.body.clone(),
            };
            let response = forward(&etcd, request, &body);
            if fresh && matches!(self, Self::LosesEachOnce) {
                *counted.lock().unwrap() += 1;
                return Response::lost();
            }
            response
        });
        (url, times)
    }
}

fn forward(etcd: &str, request: &Request, body: &[u8]) -> Response {
    let token = request.header("authorization");
    let headers: Vec<(&str, &str)> = if token.is_empty() { Vec::new() } else { vec![("authorization", token)] };
    let body = String::from_utf8_lossy(body);
    match call(&request.method, &format!("{etcd}/{}", request.path.join("/")), &headers, &body) {
        Some((status, _, body)) => {
            let mut response = Response::text(status, &body);
            response.kind = "application/json";
            response
        }
        None => Response::lost(),
    }
}

/// A transaction that makes a row, with a field of the row taken out.
fn without(body: &[u8], field: &str, times: &Times) -> Vec<u8> {
    let mut body: Value = serde_json::from_slice(body).unwrap_or_default();
    let creates = body["compare"][0]["target"] == "VERSION" && body["compare"][0]["result"] == "EQUAL";
    let put = &mut body["success"][0]["request_put"]["value"];
    let row = put.as_str().and_then(|text| STANDARD.decode(text).ok()).and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    if let (true, Some(mut row)) = (creates, row)
        && row.as_object_mut().is_some_and(|fields| fields.remove(field).is_some())
    {
        *put = Value::String(STANDARD.encode(row.to_string()));
        *times.lock().unwrap() += 1;
    }
    body.to_string().into_bytes()
}

pub(crate) fn base64(text: &str) -> String {
    STANDARD.encode(text)
}
