//! A sandbox per test, on free ports and in a folder of its own, and a client for it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may")]

mod faults;
mod gateway;
mod life;
mod providers;

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::log::{Row, rows};
use super::{FaultName, FaultSpec, Options, Running, start};

/// A running sandbox and what a test needs to talk to it.
struct Box {
    running: Option<Running>,
    /// Base addresses, kept apart so that they outlive a stop.
    urls: super::Urls,
    admin_key: String,
    http: reqwest::Client,
    dir: tempfile::TempDir,
}

/// Options without consumers and with quick replicas.
fn quiet(dir: &Path) -> Options {
    Options { consumers: false, settles_in_ms: 60, ..Options::new(dir) }
}

impl Box {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(adjust: impl FnOnce(&mut Options)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut options = quiet(dir.path());
        adjust(&mut options);
        let running = start(options).unwrap();
        Self {
            admin_key: std::fs::read_to_string(&running.admin_key_file).unwrap(),
            urls: running.urls.clone(),
            running: Some(running),
            http: reqwest::Client::builder()
                .no_proxy()
                // A restart must not meet a connection of the life before.
                .pool_max_idle_per_host(0)
                .retry(reqwest::retry::never())
                .timeout(Duration::from_secs(10))
                .build()
                .unwrap(),
            dir,
        }
    }

    async fn send(&self, method: Method, url: String, bearer: &str, body: Option<Value>) -> Result<(u16, Value), reqwest::Error> {
        let mut request = self.http.request(method, url).bearer_auth(bearer);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// An admin call; an error when the gateway hung up.
    async fn try_admin(&self, method: Method, path: &str, body: Option<Value>) -> Result<(u16, Value), reqwest::Error> {
        let url = format!("{}/admin/{path}", self.urls.admin);
        self.send(method, url, &self.admin_key, body).await
    }

    async fn admin(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        self.try_admin(method, path, body).await.unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.admin(Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn mint(&self, body: Value) -> (String, String) {
        let (status, body) = self.admin(Method::POST, "keys", Some(body)).await;
        assert_eq!(status, 201, "{body}");
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        (text("id"), text("secret"))
    }

    async fn control(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}/{path}", self.urls.control);
        self.send(method, url, "none", body).await.unwrap()
    }

    async fn switch(&self, spec: FaultSpec) {
        let body = serde_json::to_value(spec).unwrap();
        let (status, answer) = self.control(Method::POST, "faults", Some(body)).await;
        assert_eq!(status, 200, "{answer}");
    }

    async fn on(&self, name: FaultName) {
        self.switch(FaultSpec::on(name)).await;
    }

    /// A chat call with a key on one replica.
    async fn chat(&self, replica: usize, secret: &str) -> (u16, Value) {
        self.ask(replica, secret, "chat/completions", chat("demo-small")).await
    }

    async fn ask(&self, replica: usize, secret: &str, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/v1/{path}", self.urls.data[replica]);
        self.send(Method::POST, url, secret, Some(body)).await.unwrap()
    }

    /// Waits until a replica answers a key with a status, for a few seconds at most.
    async fn until(&self, replica: usize, secret: &str, status: u16) -> Duration {
        let began = Instant::now();
        for _ in 0..500 {
            if self.chat(replica, secret).await.0 == status {
                return began.elapsed();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("replica {replica} never answered {status}");
    }

    /// The id and the secret of the key that was there first.
    async fn old(&self) -> (String, String) {
        let keys = self.get("keys").await;
        let id = keys["data"][0]["id"].as_str().unwrap().to_owned();
        let slot = std::fs::read_to_string(&self.urls.store).unwrap();
        (id, super::state::slot_value(&slot).unwrap())
    }

    fn rows(&self) -> Vec<Row> {
        let replicas = 0..self.urls.data.len();
        replicas.flat_map(|one| rows::<Row>(&self.urls.log.join(format!("replica-{one}.jsonl")))).collect()
    }

    fn write_slot(&self, secret: &str) {
        let text = format!("LOG_LEVEL=info\nGATEWAY_API_KEY={secret}\n");
        super::state::replace(&self.urls.store, text.as_bytes()).unwrap();
    }

    fn stop(&mut self) {
        self.running.take().unwrap().stop().unwrap();
    }
}

/// A mint request by the owner of the first key, with its scope.
fn like_old(name: &str) -> Value {
    json!({
        "name": name, "marker": format!("run-{name}"), "owner": "platform-ai",
        "scope": {"models": ["demo-small", "demo-embed"],
            "routes": ["chat-completions", "responses", "embeddings"], "rpm": 60_000},
    })
}

fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hi"}]})
}
