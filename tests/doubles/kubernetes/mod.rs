//! A strict stand-in for the API server of Kubernetes with its controllers, in process, on loopback: no registry has the real one.
//!
//! It is no proof of what Kubernetes does; it is the documented behaviour written down as code, so that an adapter that relies on less is
//! caught. Every write moves the version of an object; a write at another version, or with another uid, is refused; what is immutable stays;
//! names, keys and values are checked; who wrote which field is recorded with the server's clock. A change of a workload's template makes new
//! pods after a while, each with the value that the Secret has at that moment, and the old ones go. Its clock may differ from ours. Refusals
//! repeat what was sent, as the real server's do. The token says what its holder may do.
#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "each test binary uses a part of this"
)]

mod http;
mod objects;
mod workloads;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use workloads::Pod;
pub(crate) use workloads::{Habits, Wired, spec};

/// May do everything.
pub(crate) const OWNER: &str = "token-owner-5f0c7a91d3";
/// May read and change nothing.
pub(crate) const READER: &str = "token-reader-0a4be61c2f";
/// May do nothing.
pub(crate) const NOBODY: &str = "token-nobody-93d2c8e7b1";
/// Was somebody until yesterday.
pub(crate) const EXPIRED: &str = "token-expired-7be20f4d66";
/// The uid of its namespace kube-system.
pub(crate) const UID: &str = "0c6e4b1a-9d2f-4a53-8a7e-5b1f3c2d7e90";

/// A copy of a value that a controller makes every so often.
pub(crate) struct Sync {
    /// The object that describes it: path under which it can be read and annotated.
    pub(crate) path: String,
    /// Namespace, name and key of the Secret that is written.
    pub(crate) to: (String, String, String),
    /// What it is copied from.
    pub(crate) source: Arc<Mutex<String>>,
    /// How often.
    pub(crate) every: Duration,
    /// How the server's record names the controller.
    pub(crate) manager: &'static str,
    next: Instant,
    forced: Option<Value>,
}

#[derive(Default)]
pub(crate) struct World {
    /// All objects by their path.
    objects: BTreeMap<String, Value>,
    pods: BTreeMap<String, Pod>,
    syncs: Vec<Sync>,
    /// What each Secret held since when: a node may be behind.
    history: BTreeMap<String, Vec<(Instant, Value)>>,
    habits: Habits,
    version: u64,
    made: u64,
    /// Seconds by which its clock is ahead of ours.
    ahead: i64,
    throttle: usize,
    calls: Vec<String>,
    due: Vec<workloads::Due>,
    restarts: usize,
}

/// The stand-in; it stops when dropped.
pub(crate) struct Double {
    world: Arc<Mutex<World>>,
    stop: Arc<AtomicBool>,
    /// Where it listens on loopback.
    pub(crate) port: u16,
}

impl Drop for Double {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _wakes_the_listener = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Double {
    /// Starts it.
    ///
    /// # Panics
    /// When loopback has no port.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|e| panic!("no port: {e}"));
        let port = listener.local_addr().unwrap_or_else(|e| panic!("no address: {e}")).port();
        let double = Self { world: Arc::default(), stop: Arc::default(), port };
        {
            let mut world = double.world();
            let system = json!({ "kind": "Namespace", "metadata": { "name": "kube-system", "uid": UID, "resourceVersion": "1" } });
            world.objects.insert("/api/v1/namespaces/kube-system".into(), system);
            world.objects.insert("/version".into(), json!({ "major": "1", "minor": "37", "gitVersion": "v1.37.0" }));
        }
        let (world, stop) = (double.world.clone(), double.stop.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let world = world.clone();
                std::thread::spawn(move || http::answer(&world, client));
            }
        });
        double
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What nodes and controllers do, and how long that takes.
    pub(crate) fn habits(&self, habits: Habits) {
        self.world().habits = habits;
    }

    /// Its clock is ahead of ours by so many seconds.
    pub(crate) fn ahead(&self, seconds: i64) {
        self.world().ahead = seconds;
    }

    /// Turns the next calls away.
    pub(crate) fn throttle(&self, calls: usize) {
        self.world().throttle = calls;
    }

    /// What was asked for since the last call of this.
    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.world().calls)
    }

    /// Makes or replaces a Secret as somebody would; values as text.
    pub(crate) fn secret(&self, namespace: &str, name: &str, values: &[(&str, &str)], more: Value) {
        self.world().stranger(namespace, name, values, more);
    }

    /// The value of a key, as anybody reads it.
    pub(crate) fn value(&self, namespace: &str, name: &str, key: &str) -> Option<String> {
        let mut world = self.world();
        world.tick();
        let object = world.objects.get(&secret_path(namespace, name))?;
        objects::unpacked(object["data"][key].as_str()?)
    }

    /// An object, changed behind everybody's back.
    pub(crate) fn edit<T>(&self, path: &str, change: impl FnOnce(&mut Value) -> T) -> T {
        let mut world = self.world();
        let object = world.objects.get_mut(path).unwrap_or_else(|| panic!("no object {path}"));
        let told = change(object);
        world.touch(path);
        told
    }

    /// All object paths that hold this text.
    pub(crate) fn paths(&self, part: &str) -> Vec<String> {
        self.world().objects.keys().filter(|p| p.contains(part)).cloned().collect()
    }

    /// Removes an object.
    pub(crate) fn remove(&self, path: &str) {
        self.world().objects.remove(path);
    }

    /// A controller that copies a value every so often.
    pub(crate) fn sync(
        &self,
        path: &str,
        object: Value,
        to: (&str, &str, &str),
        source: &Arc<Mutex<String>>,
        every: Duration,
        manager: &'static str,
    ) {
        let mut world = self.world();
        world.insert(path, object);
        let to = (to.0.to_owned(), to.1.to_owned(), to.2.to_owned());
        let forced = world.objects[path]["metadata"]["annotations"].clone();
        world.syncs.push(Sync {
            path: path.into(),
            to,
            source: source.clone(),
            every,
            manager,
            next: Instant::now(),
            forced: Some(forced),
        });
        world.tick();
    }
}

/// The path of a Secret.
pub(crate) fn secret_path(namespace: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/secrets/{name}")
}

/// The path of a workload.
pub(crate) fn workload_path(namespace: &str, kind: &str, name: &str) -> String {
    let group = if matches!(kind, "cronjobs" | "jobs") { "batch" } else { "apps" };
    format!("/apis/{group}/v1/namespaces/{namespace}/{kind}/{name}")
}

impl World {
    fn millis(&self) -> i64 {
        let ours = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis());
        i64::try_from(ours).unwrap_or(0) + self.ahead * 1000
    }

    /// The server's clock as it writes it: to the second.
    fn now(&self) -> String {
        keyroll::rotation::Time(self.millis() / 1000 * 1000).rfc3339().replace(".000", "")
    }

    fn next_version(&mut self) -> String {
        self.version += 7;
        self.version.to_string()
    }

    fn uid(&mut self) -> String {
        self.made += 1;
        format!("7d0f{:04x}-1111-4222-8333-9444{:08x}", self.made, self.made)
    }

    /// Puts an object there as its maker would: uid and version are given.
    fn insert(&mut self, path: &str, mut object: Value) {
        let (uid, version, now) = (self.uid(), self.next_version(), self.now());
        let meta = object["metadata"].as_object_mut().unwrap();
        meta.entry("uid").or_insert(uid.into());
        meta.insert("resourceVersion".into(), version.into());
        meta.entry("creationTimestamp").or_insert(now.into());
        meta.entry("generation").or_insert(1.into());
        self.objects.insert(path.to_owned(), object);
        self.remember(path);
    }

    /// After a change behind everybody's back.
    fn touch(&mut self, path: &str) {
        let version = self.next_version();
        if let Some(object) = self.objects.get_mut(path) {
            object["metadata"]["resourceVersion"] = version.into();
        }
        self.remember(path);
    }

    fn remember(&mut self, path: &str) {
        if let Some(object) = self.objects.get(path).filter(|_| path.contains("/secrets/")) {
            self.history.entry(path.to_owned()).or_default().push((Instant::now(), object["data"].clone()));
        }
    }
}
