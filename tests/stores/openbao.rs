//! OpenBao as a [`World`]: the real server in its dev mode, with a token that may do what keyroll needs and nothing more.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses a part of this")]

use crate::proxy::{Counts, Tap};
use crate::servers::{Server, free_port, http_status, install};
use crate::stores::{OLD, OTHER, TestSlot, World, ok};
use keyroll::adapters::reference::References;
use keyroll::adapters::secrets::VaultStore;
use keyroll::policy::model::reference::{AppRoleLogin, Ref, VaultAuth, VaultPlace};
use keyroll::policy::scalar::Url;
use keyroll::secret::{FingerprintKey, Scrubber};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

/// What keyroll needs, and nothing more.
pub(crate) const POLICY: &str = r#"
path "secret/data/apps/*" { capabilities = ["create", "read", "update"] }
path "secret/metadata/apps/*" { capabilities = ["read", "delete"] }
path "secret/delete/apps/*" { capabilities = ["update"] }
path "secret/destroy/apps/*" { capabilities = ["update"] }
"#;
const READ_ONLY: &str = r#"
path "secret/data/apps/*" { capabilities = ["read"] }
path "secret/metadata/apps/*" { capabilities = ["read"] }
"#;

/// A server of this test.
pub(crate) struct Bao {
    server: Server,
    pub(crate) dir: tempfile::TempDir,
    client: reqwest::Client,
    pub(crate) address: String,
    pub(crate) namespace: Option<String>,
    pub(crate) ca_file: Option<String>,
    pub(crate) auth: VaultAuth,
    pub(crate) root: String,
    said: RefCell<Vec<String>>,
    slots: Cell<usize>,
}

impl Bao {
    /// Plain HTTP, a token.
    pub(crate) async fn plain() -> Self {
        let mut bao = Self::start(false).await;
        bao.policies().await;
        let token = bao.token("keyroll", "1h").await;
        bao.auth = bao.token_file("keyroll.token", &token);
        bao
    }

    /// TLS by a private authority, a namespace, and a login by AppRole.
    pub(crate) async fn tls_namespace_approle() -> Self {
        let mut bao = Self::start(true).await;
        bao.call(Method::POST, "sys/namespaces/team-a", json!({})).await;
        bao.namespace = Some("team-a".into());
        bao.call(Method::POST, "sys/mounts/secret", json!({ "type": "kv", "options": { "version": "2" } })).await;
        bao.policies().await;
        bao.call(Method::POST, "sys/auth/approle", json!({ "type": "approle" })).await;
        bao.call(Method::POST, "auth/approle/role/rotator", json!({ "token_policies": ["keyroll"], "token_ttl": "20m" })).await;
        let role = bao.call(Method::GET, "auth/approle/role/rotator/role-id", Value::Null).await;
        let secret = bao.call(Method::POST, "auth/approle/role/rotator/secret-id", json!({})).await;
        let secret = secret["data"]["secret_id"].as_str().unwrap().to_owned();
        bao.auth = VaultAuth::AppRole(AppRoleLogin {
            role_id: role["data"]["role_id"].as_str().unwrap().to_owned(),
            secret_id: Box::new(bao.file("secret-id", &secret)),
            mount: None,
        });
        bao.said.borrow_mut().push(secret);
        // A new mount is made ready in the background.
        for _ in 0..100 {
            if bao.try_call(Method::POST, "secret/data/apps/ready", json!({ "data": { "a": "b" } })).await.0.is_success() {
                return bao;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the mount was not ready");
    }

    async fn start(tls: bool) -> Self {
        let bao = install("openbao");
        let dir = tempfile::tempdir().unwrap();
        let root = "root-of-this-test-83af1c";
        for _ in 0..20 {
            let port = free_port();
            // It takes the port after its own too.
            if std::net::TcpListener::bind(("127.0.0.1", port + 1)).is_err() {
                continue;
            }
            let mut command = Command::new(&bao);
            command.env_clear().env("HOME", dir.path()).env("PATH", "/usr/bin:/bin");
            command.args(["server", "-dev", "-dev-no-store-token"]).arg(format!("-dev-root-token-id={root}"));
            command.arg(format!("-dev-listen-address=127.0.0.1:{port}"));
            let ca = dir.path().join("vault-ca.pem");
            if tls {
                command.arg("-dev-tls").arg(format!("-dev-tls-cert-dir={}", dir.path().display()));
            }
            let ready = || {
                if tls {
                    ca.exists() && std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
                } else {
                    http_status(port, "/v1/sys/health") == Some(200)
                }
            };
            let server = Server::start(&mut command, dir.path(), "openbao", port, ready);
            let mut client = reqwest::Client::builder().no_proxy();
            if tls {
                client = client.tls_certs_merge(reqwest::Certificate::from_pem_bundle(&std::fs::read(&ca).unwrap()).unwrap());
            }
            let bao = Self {
                server,
                client: client.build().unwrap(),
                address: format!("{}://127.0.0.1:{port}", if tls { "https" } else { "http" }),
                namespace: None,
                ca_file: tls.then(|| ca.to_str().unwrap().to_owned()),
                auth: VaultAuth::Token(Box::new(Ref::File(String::new()))),
                root: root.into(),
                said: RefCell::new(vec![root.to_owned()]),
                slots: Cell::new(0),
                dir,
            };
            bao.until_ready().await;
            return bao;
        }
        panic!("no two free ports in a row");
    }

    async fn until_ready(&self) {
        for _ in 0..200 {
            if self.client.get(format!("{}/v1/sys/health", self.address)).send().await.is_ok_and(|a| a.status() == 200) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the server was not ready");
    }

    async fn policies(&self) {
        for (name, text) in [("keyroll", POLICY), ("reader", READ_ONLY)] {
            self.call(Method::PUT, &format!("sys/policies/acl/{name}"), json!({ "policy": text })).await;
        }
    }

    /// A token with one policy.
    pub(crate) async fn token(&self, policy: &str, ttl: &str) -> String {
        let body = json!({ "policies": [policy], "ttl": ttl, "no_parent": true, "display_name": "rotator" });
        let answer = self.call(Method::POST, "auth/token/create", body).await;
        let token = answer["auth"]["client_token"].as_str().unwrap().to_owned();
        self.said.borrow_mut().push(token.clone());
        token
    }

    /// A token in a file, as a login.
    pub(crate) fn token_file(&self, name: &str, token: &str) -> VaultAuth {
        VaultAuth::Token(Box::new(self.file(name, token)))
    }

    /// A text in a file, as a reference.
    pub(crate) fn file(&self, name: &str, text: &str) -> Ref {
        let path = self.dir.path().join(name);
        std::fs::write(&path, format!("{text}\n")).unwrap();
        Ref::File(path.to_str().unwrap().into())
    }

    /// One call as root, in our namespace; it must go through.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.try_call(method, path, body).await;
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    }

    /// One call as root, in our namespace.
    pub(crate) async fn try_call(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let mut request = self.client.request(method, format!("{}/v1/{path}", self.address)).header("x-vault-token", &self.root);
        if let Some(namespace) = &self.namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        (status, answer.json().await.unwrap_or_default())
    }

    /// A document's JSON as it comes.
    pub(crate) async fn raw_read(&self, path: &str) -> String {
        let url = format!("{}/v1/secret/data/{path}", self.address);
        self.client.get(url).header("x-vault-token", &self.root).send().await.unwrap().text().await.unwrap()
    }

    /// A place in this server.
    pub(crate) fn place(&self, address: &str, path: &str, auth: VaultAuth) -> VaultPlace {
        VaultPlace {
            address: Some(Url::parse(address).unwrap()),
            namespace: self.namespace.clone(),
            ca_file: self.ca_file.clone(),
            mount: "secret".into(),
            path: path.into(),
            field: "api_key".into(),
            auth: Some(auth),
        }
    }

    /// A slot with these fields in its document.
    pub(crate) async fn slot_with(self: &Rc<Self>, data: Value) -> BaoSlot {
        self.slots.set(self.slots.get() + 1);
        let path = format!("apps/slot-{}", self.slots.get());
        self.call(Method::POST, &format!("secret/data/{path}"), json!({ "data": data })).await;
        let tap = self.ca_file.is_none().then(|| Tap::before(self.server.port));
        let key = Rc::new(FingerprintKey::from_bytes(&[9; 32]).unwrap());
        BaoSlot { bao: self.clone(), path, key, tap }
    }
}

/// One document.
pub(crate) struct BaoSlot {
    bao: Rc<Bao>,
    pub(crate) path: String,
    key: Rc<FingerprintKey>,
    tap: Option<Tap>,
}

impl BaoSlot {
    /// A handle with another login.
    pub(crate) fn open_as(&self, auth: VaultAuth) -> VaultStore {
        self.at(&self.bao.address, auth)
    }

    fn at(&self, address: &str, auth: VaultAuth) -> VaultStore {
        let references = References { withhold: Vec::new(), scrubber: Scrubber::new(), ask: None };
        let place = self.bao.place(address, &self.path, auth);
        ok(VaultStore::new(&place, Rc::new(references), self.key.clone(), Duration::from_secs(10)))
    }

    /// The document as it is now.
    pub(crate) async fn document(&self) -> Option<Value> {
        let (status, answer) = self.bao.try_call(Method::GET, &format!("secret/data/{}", self.path), Value::Null).await;
        status.is_success().then(|| answer["data"]["data"].clone())
    }

    /// A person writes the whole document.
    pub(crate) async fn write(&self, data: Value) {
        self.bao.call(Method::POST, &format!("secret/data/{}", self.path), json!({ "data": data })).await;
    }

    async fn set(&self, field: &str, value: &str) {
        let mut document = self.document().await.unwrap();
        document[field] = value.into();
        self.write(document).await;
    }
}

impl World for Rc<Bao> {
    type Slot = BaoSlot;

    async fn slot(&self) -> BaoSlot {
        self.slot_with(json!({ "api_key": OLD, "db_password": OTHER[0], "port": 5432 })).await
    }

    fn secrets(&self) -> Vec<String> {
        self.said.borrow().clone()
    }
}

impl TestSlot for BaoSlot {
    type Store = VaultStore;

    fn open(&self) -> VaultStore {
        self.open_as(self.bao.auth.clone())
    }

    fn key(&self) -> Rc<FingerprintKey> {
        self.key.clone()
    }

    fn open_tapped(&self) -> Option<(VaultStore, &Tap)> {
        let tap = self.tap.as_ref()?;
        Some((self.at(&format!("http://127.0.0.1:{}", tap.port), self.bao.auth.clone()), tap))
    }

    fn changing(&self) -> Counts {
        |head| !head.starts_with("GET ") && !head.contains("/login")
    }

    async fn powerless(&self) -> Vec<(&'static str, VaultStore)> {
        let revoked = self.bao.token("keyroll", "1h").await;
        self.bao.call(Method::POST, "auth/token/revoke", json!({ "token": revoked })).await;
        let short = self.bao.token("keyroll", "1s").await;
        let reader = self.bao.token("reader", "1h").await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let mut handles = Vec::new();
        for (name, token) in [("revoked", revoked), ("expired", short), ("read only", reader)] {
            handles.push((name, self.open_as(self.bao.token_file(&format!("{name}.token"), &token))));
        }
        handles
    }

    async fn consumer(&self) -> Option<String> {
        self.document().await?["api_key"].as_str().map(str::to_owned)
    }

    async fn other(&self) -> Option<String> {
        self.document().await?["db_password"].as_str().map(str::to_owned)
    }

    async fn stranger_writes_ours(&self, value: &str) {
        self.set("api_key", value).await;
    }

    async fn stranger_writes_other(&self, value: &str) -> bool {
        self.set("db_password", value).await;
        true
    }

    async fn stranger_deletes(&self) {
        self.bao.call(Method::DELETE, &format!("secret/data/{}", self.path), Value::Null).await;
    }
}
