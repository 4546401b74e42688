//! A stand-in for AISIX, because the gateway itself is in no package registry. It was written from a description of the real gateway's
//! behaviour and not from the driver that it tests.
//!
//! What is real: etcd, and the replicas' way to it. Each replica is fed by a watch of its own, judges every document by itself, goes on
//! serving an old document where a new one is not valid, and has its own status endpoint, counters and log.
//!
//! What is not there: routing models, cooldowns, limits, other endpoints than chat, TLS.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses a part of this")]

pub(crate) mod admin;
pub(crate) mod documents;
pub(crate) mod etcd;
pub(crate) mod file;
pub(crate) mod http;
mod proxy;
pub(crate) mod replica;
mod upstream;

use admin::Admin;
use etcd::Etcd;
use replica::Replica;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use upstream::Upstream;

/// Which gateway it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// Up to 0.8.2: the admin listener writes, and callers cannot choose the id of a request.
    Writable,
    /// From 0.9.0 on: the admin listener only reads.
    Newest,
    /// Up to 0.8.2, with its resources in a file: the description of the admin listener lists writes, and each is refused.
    WritableByFile,
}

/// A gateway: some processes over one store, and the provider behind them. Its processes stop following the store when it is dropped.
pub(crate) struct World {
    pub(crate) store: Etcd,
    pub(crate) upstream: Arc<Upstream>,
    /// Address of the provider.
    pub(crate) provider: String,
    pub(crate) replicas: Vec<Arc<Replica>>,
    pub(crate) proxies: Vec<String>,
    pub(crate) statuses: Vec<String>,
    pub(crate) admin: Arc<Admin>,
    pub(crate) admin_url: String,
    pub(crate) ignores_request_ids: bool,
}

impl Drop for World {
    fn drop(&mut self) {
        for replica in &self.replicas {
            replica.end();
        }
    }
}

impl World {
    /// Starts processes over a store; their logs are in `dir`.
    pub(crate) fn start(store: &Etcd, version: Version, replicas: usize, dir: &Path) -> Self {
        let start = |n: usize| Replica::start(&format!("gateway-{n}"), dir.join(format!("gateway-{n}.log")), store);
        Self::of(store, version, (0..replicas).map(start).collect())
    }

    /// Starts processes of the newest version over a file; they have read nothing yet.
    pub(crate) fn over_file(replicas: usize, dir: &Path) -> Self {
        let nowhere = Etcd { url: "http://127.0.0.1:9".into(), prefix: "/none".into() };
        let start = |n: usize| Arc::new(Replica::new(&format!("gateway-{n}"), dir.join(format!("gateway-{n}.log"))));
        let world = Self::of(&nowhere, Version::Newest, (0..replicas).map(start).collect());
        world.replicas.iter().for_each(|r| r.by_file.store(true, std::sync::atomic::Ordering::SeqCst));
        world
    }

    fn of(store: &Etcd, version: Version, replicas: Vec<Arc<Replica>>) -> Self {
        let upstream = Arc::new(Upstream::default());
        let provider = upstream.start();
        for replica in &replicas {
            replica.by_file.store(version == Version::WritableByFile, std::sync::atomic::Ordering::SeqCst);
        }
        let admin = Arc::new(Admin::new(store.clone(), version != Version::Newest, version == Version::WritableByFile));
        let ignores_request_ids = version != Version::Newest;
        let serving = |replica: &Arc<Replica>| {
            let (replica, upstream) = (replica.clone(), upstream.clone());
            let part = Self {
                store: store.clone(),
                upstream,
                provider: String::new(),
                replicas: Vec::new(),
                proxies: Vec::new(),
                statuses: Vec::new(),
                admin: admin.clone(),
                admin_url: String::new(),
                ignores_request_ids,
            };
            http::serve(move |request| proxy::answer(&part, &replica, request))
        };
        let proxies = replicas.iter().map(serving).collect();
        let status = |replica: &Arc<Replica>| {
            let replica = replica.clone();
            http::serve(move |request| replica.status(request))
        };
        let statuses = replicas.iter().map(status).collect();
        let listener = admin.clone();
        let admin_url = http::serve(move |request| listener.answer(request));
        Self { store: store.clone(), upstream, provider, replicas, proxies, statuses, admin, admin_url, ignores_request_ids }
    }

    /// A provider key with an issued secret, a model on it, and the provider knows the secret.
    pub(crate) fn furnish(&self, secret: &str) {
        self.upstream.issue(secret);
        self.store.put(
            "provider_keys",
            "pk-1",
            &json!({"display_name": "openai-main", "provider": "openai", "api_key": secret, "api_base": self.provider}),
        );
        self.model("m-1", "chat-prod", "pk-1");
    }

    pub(crate) fn model(&self, id: &str, name: &str, provider_key: &str) {
        let document = json!({"display_name": name, "provider": "openai", "model_name": "fake-model", "provider_key_id": provider_key});
        self.store.put("models", id, &document);
    }

    /// A caller key with this value; `more` is added to its document.
    pub(crate) fn caller(&self, id: &str, value: &str, more: &Value) {
        let mut document = json!({"key_hash": keyroll::secret::sha256_hex(value.as_bytes()), "allowed_models": ["chat-prod"]});
        if let (Some(fields), Some(more)) = (document.as_object_mut(), more.as_object()) {
            fields.extend(more.clone());
        }
        self.store.put("api_keys", id, &document);
    }

    /// One chat at a replica: status and body.
    pub(crate) fn chat(&self, replica: usize, value: &str, model: &str, id: &str) -> (u16, Value) {
        let bearer = format!("Bearer {value}");
        let body = json!({"model": model, "messages": [{"role": "user", "content": "hello"}]}).to_string();
        let url = format!("{}/v1/chat/completions", self.proxies[replica]);
        match http::call("POST", &url, &[("authorization", &bearer), ("x-aisix-request-id", id)], &body) {
            Some((status, _, body)) => (status, serde_json::from_str(&body).unwrap_or_default()),
            None => (0, Value::Null),
        }
    }

    /// What a replica says of itself.
    pub(crate) fn status(&self, replica: usize) -> Value {
        let answer = http::call("GET", &format!("{}/status/config", self.statuses[replica]), &[], "");
        answer.and_then(|(_, _, body)| serde_json::from_str(&body).ok()).unwrap_or_default()
    }
}
