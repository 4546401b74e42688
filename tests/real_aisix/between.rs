//! What stands between keyroll and etcd: it loses answers after the change, or lets somebody else write first.

use crate::aisix::http::{Request, Response, call, serve};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// How it misbehaves.
pub(crate) enum Between {
    /// The answer to each different transaction is lost once, after it was done.
    LosesEachOnce,
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
                Self::LosesEachOnce | Self::First(_) => {}
            }
            let response = forward(&etcd, request);
            if fresh && matches!(self, Self::LosesEachOnce) {
                *counted.lock().unwrap() += 1;
                return Response::lost();
            }
            response
        });
        (url, times)
    }
}

fn forward(etcd: &str, request: &Request) -> Response {
    let token = request.header("authorization");
    let headers: Vec<(&str, &str)> = if token.is_empty() { Vec::new() } else { vec![("authorization", token)] };
    let body = String::from_utf8_lossy(&request.body);
    match call(&request.method, &format!("{etcd}/{}", request.path.join("/")), &headers, &body) {
        Some((status, _, body)) => {
            let mut response = Response::text(status, &body);
            response.kind = "application/json";
            response
        }
        None => Response::lost(),
    }
}
