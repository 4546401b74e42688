//! Kubernetes as the store contract wants it.

use crate::double::{Double, EXPIRED, NOBODY, OWNER, READER, UID, secret_path};
use crate::proxy::{Counts, Tap};
use crate::stores::{OLD, OTHER, TestSlot, World};
use keyroll::adapters::secrets::KubernetesStore;
use keyroll::adapters::secrets::kubernetes::Settings;
use keyroll::policy::model::slot::KubernetesSlot;
use keyroll::secret::{FingerprintKey, Scrubber};
use kube::config::Kubeconfig;
use serde_json::{Value, json};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Where everything is.
pub(crate) const NAMESPACE: &str = "chat";
/// The key in the Secret.
pub(crate) const KEY: &str = "api_key";

/// One cluster.
pub(crate) struct Cluster {
    pub(crate) double: Double,
    count: AtomicU32,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        Self { double: Double::start(), count: AtomicU32::new(0) }
    }
}

/// One Secret in it.
pub(crate) struct Slot<'a> {
    double: &'a Double,
    pub(crate) name: String,
    tap: Tap,
    key: Rc<FingerprintKey>,
}

/// A kubeconfig with one context.
pub(crate) fn kubeconfig(port: u16, token: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
        "clusters": [{ "name": "test", "cluster": { "server": format!("http://127.0.0.1:{port}") } }],
        "users": [{ "name": "test", "user": { "token": token } }],
    })
}

/// Settings that lead there.
pub(crate) fn settings(port: u16, token: &str) -> Settings {
    let kubeconfig: Kubeconfig = serde_json::from_value(kubeconfig(port, token)).unwrap();
    Settings { timeout: Duration::from_secs(10), withhold: Vec::new(), scrubber: Scrubber::new(), kubeconfig: Some(kubeconfig) }
}

/// A slot as a policy writes it.
pub(crate) fn written(secret: &str, cluster: &str) -> KubernetesSlot {
    KubernetesSlot {
        context: Some("test".into()),
        cluster: Some(cluster.into()),
        namespace: NAMESPACE.into(),
        secret: secret.into(),
        key: KEY.into(),
    }
}

/// What fingerprints are made with.
pub(crate) fn fingerprints() -> Rc<FingerprintKey> {
    Rc::new(FingerprintKey::from_bytes(&[7; 32]).unwrap())
}

impl Slot<'_> {
    /// A handle of somebody, through a port.
    pub(crate) fn handle(&self, token: &str, port: u16) -> KubernetesStore {
        KubernetesStore::new(&written(&self.name, UID), self.key.clone(), settings(port, token)).unwrap_or_else(|e| panic!("failed to {e}"))
    }

    /// The path of the Secret.
    pub(crate) fn path(&self) -> String {
        secret_path(NAMESPACE, &self.name)
    }
}

impl<'a> World for &'a Cluster {
    type Slot = Slot<'a>;

    async fn slot(&self) -> Slot<'a> {
        let name = format!("router-key-{}", self.count.fetch_add(1, Ordering::SeqCst));
        self.double.secret(NAMESPACE, &name, &[(KEY, OLD), ("db", OTHER[0])], Value::Null);
        Slot { double: &self.double, name, tap: Tap::before(self.double.port), key: fingerprints() }
    }

    fn secrets(&self) -> Vec<String> {
        [OWNER, READER, NOBODY, EXPIRED].map(str::to_owned).into()
    }
}

impl TestSlot for Slot<'_> {
    type Store = KubernetesStore;

    fn open(&self) -> KubernetesStore {
        self.handle(OWNER, self.double.port)
    }

    fn key(&self) -> Rc<FingerprintKey> {
        self.key.clone()
    }

    fn open_tapped(&self) -> Option<(KubernetesStore, &Tap)> {
        Some((self.handle(OWNER, self.tap.port), &self.tap))
    }

    fn changing(&self) -> Counts {
        |head| !head.starts_with("GET ") && !head.contains("/selfsubject")
    }

    async fn powerless(&self) -> Vec<(&'static str, KubernetesStore)> {
        [("may only read", READER), ("may do nothing", NOBODY), ("has expired", EXPIRED), ("is unknown", "token-of-a-stranger")]
            .map(|(name, token)| (name, self.handle(token, self.double.port)))
            .into()
    }

    async fn consumer(&self) -> Option<String> {
        self.double.value(NAMESPACE, &self.name, KEY)
    }

    async fn other(&self) -> Option<String> {
        self.double.value(NAMESPACE, &self.name, "db")
    }

    async fn stranger_writes_ours(&self, value: &str) {
        self.double.secret(NAMESPACE, &self.name, &[(KEY, value)], Value::Null);
    }

    async fn stranger_writes_other(&self, value: &str) -> bool {
        self.double.secret(NAMESPACE, &self.name, &[("db", value)], Value::Null);
        true
    }

    async fn stranger_deletes(&self) {
        self.double.remove(&self.path());
    }
}
