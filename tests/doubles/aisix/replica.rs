//! One gateway process: what it has applied of the store, its status endpoint, its counters and its log.

use super::documents::{Judged, judge};
use super::etcd::{Change, Etcd};
use super::http::{Request, Response};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

/// Kind and id.
pub(crate) type Place = (String, String);

/// What the process serves.
#[derive(Default)]
pub(crate) struct Snapshot {
    pub(crate) documents: BTreeMap<Place, Value>,
    /// Which row a hash means. Filled as rows come, so of two rows with one hash the later one counts, and when it goes, none does.
    pub(crate) by_hash: HashMap<String, String>,
    rejected: BTreeMap<Place, Value>,
    partially: BTreeMap<Place, Vec<String>>,
    applied: i64,
    seq: u64,
    loaded: bool,
    /// Of a file: the digest of what is served, and whether a newer one was refused.
    hash: String,
    out_of_sync: bool,
}

/// A process. Its faults are switched by tests.
pub(crate) struct Replica {
    pub(crate) name: String,
    pub(crate) snapshot: Mutex<Snapshot>,
    pub(crate) counters: Mutex<BTreeMap<String, u64>>,
    pub(crate) log: PathBuf,
    /// It hears of changes and applies none of them: stale, and honest about it.
    pub(crate) frozen: AtomicBool,
    /// Says that it is not connected, and hears nothing.
    pub(crate) cut_off: AtomicBool,
    /// Takes this long, in milliseconds, to apply a change.
    pub(crate) slow: AtomicU64,
    /// The log does not name refused callers.
    pub(crate) quiet: AtomicBool,
    /// It says that it reads a file.
    pub(crate) by_file: AtomicBool,
    observed: AtomicI64,
    ended: AtomicBool,
    pub(crate) draws: AtomicU64,
}

impl Replica {
    /// Starts to follow the store.
    pub(crate) fn start(name: &str, log: PathBuf, store: &Etcd) -> Arc<Self> {
        let replica = Arc::new(Self::new(name, log));
        let (follower, store) = (replica.clone(), store.clone());
        thread::spawn(move || follower.follow(&store));
        for _ in 0..200 {
            if replica.snapshot().loaded {
                break;
            }
            thread::sleep(Duration::from_millis(25));
        }
        replica
    }

    pub(crate) fn new(name: &str, log: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            snapshot: Mutex::default(),
            counters: Mutex::default(),
            log,
            frozen: AtomicBool::new(false),
            cut_off: AtomicBool::new(false),
            slow: AtomicU64::new(0),
            quiet: AtomicBool::new(false),
            by_file: AtomicBool::new(false),
            observed: AtomicI64::new(0),
            ended: AtomicBool::new(false),
            draws: AtomicU64::new(0),
        }
    }

    pub(crate) fn snapshot(&self) -> MutexGuard<'_, Snapshot> {
        self.snapshot.lock().unwrap()
    }

    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    /// A new process: the store is read afresh, counters begin at nothing.
    pub(crate) fn restart(&self, store: &Etcd) {
        let Some((revision, rows)) = store.range("") else { return };
        let mut snapshot = self.snapshot();
        *snapshot = Snapshot::default();
        for (key, value, _) in rows {
            snapshot.apply(&key, Some(&value));
        }
        snapshot.applied = revision;
        snapshot.loaded = true;
        drop(snapshot);
        self.counters.lock().unwrap().clear();
    }

    /// What SIGHUP does: the whole file is good, or nothing of it is taken.
    pub(crate) fn reload(&self, path: &std::path::Path) {
        if self.frozen.load(Ordering::SeqCst) {
            return;
        }
        let bytes = std::fs::read(path).unwrap_or_default();
        let loaded = super::file::load(&bytes);
        let mut snapshot = self.snapshot();
        match loaded {
            Err(_) => snapshot.out_of_sync = true,
            Ok(rows) => {
                let seq = snapshot.seq + 1;
                *snapshot = Snapshot { loaded: true, seq, hash: keyroll::secret::sha256_hex(&bytes), ..Snapshot::default() };
                for ((kind, id), value) in rows {
                    if kind == "api_keys" {
                        snapshot.by_hash.insert(value["key_hash"].as_str().unwrap_or_default().to_owned(), id.clone());
                    }
                    snapshot.documents.insert((kind, id), value);
                }
            }
        }
    }

    fn follow(&self, store: &Etcd) {
        while !self.ended.load(Ordering::SeqCst) {
            let next = if self.snapshot().loaded {
                self.snapshot().applied + 1
            } else {
                self.restart(store);
                if !self.snapshot().loaded {
                    thread::sleep(Duration::from_millis(50));
                    continue;
                }
                self.snapshot().applied + 1
            };
            let _ended = store.watch(next, |revision, changes| self.take(revision, &changes));
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Applies what came; false: the watch ends, and begins again where it was.
    fn take(&self, revision: i64, changes: &[Change]) -> bool {
        if self.ended.load(Ordering::SeqCst) {
            return false;
        }
        if changes.is_empty() {
            return true;
        }
        if self.cut_off.load(Ordering::SeqCst) {
            return false;
        }
        self.observed.fetch_max(revision, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(self.slow.load(Ordering::SeqCst)));
        while self.frozen.load(Ordering::SeqCst) {
            if self.ended.load(Ordering::SeqCst) {
                return false;
            }
            thread::sleep(Duration::from_millis(10));
        }
        // One after the other: a request may come in between, also within one transaction.
        for (key, value) in changes {
            self.snapshot().apply(key, value.as_deref());
        }
        let mut snapshot = self.snapshot();
        snapshot.applied = revision;
        snapshot.seq += 1;
        true
    }

    pub(crate) fn count(&self, series: String) {
        *self.counters.lock().unwrap().entry(series).or_default() += 1;
    }

    pub(crate) fn log(&self, level: &str, request: &str, text: &str) {
        let at = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ");
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        writeln!(file, "{at} {level:>5} request{{request_id={request}}}: {text}").unwrap();
    }

    /// The listener for metrics and status: nobody is asked who he is.
    pub(crate) fn status(&self, request: &Request) -> Response {
        match (request.method.as_str(), request.path.iter().map(String::as_str).collect::<Vec<_>>().as_slice()) {
            ("GET", ["status", "config"]) => Response::json(200, &self.config()),
            ("GET", ["metrics"]) => Response::text(200, &self.metrics()),
            ("GET", ["readyz" | "livez"]) => Response::text(200, "ok"),
            _ => Response::text(404, ""),
        }
    }

    fn config(&self) -> Value {
        let snapshot = self.snapshot();
        let connected = !self.cut_off.load(Ordering::SeqCst);
        let count = |kind: &str| snapshot.documents.keys().filter(|(k, _)| k == kind).count();
        let stale = snapshot.rejected.values().any(|r| r.get("serving_stale_since").is_some());
        let by_file = self.by_file.load(Ordering::SeqCst);
        let hash = if by_file { snapshot.hash.as_str() } else { "H" };
        let state = match (snapshot.loaded, snapshot.rejected.is_empty(), stale) {
            (false, ..) => "never_loaded",
            _ if snapshot.out_of_sync => "out_of_sync",
            (true, true, _) => "synced",
            (true, false, _) => "degraded",
        };
        let partially: Vec<Value> = snapshot
            .partially
            .iter()
            .map(|((kind, id), fields)| json!({"resource_kind": kind, "resource_id": id, "unknown_fields": fields}))
            .collect();
        json!({
            "state": state,
            "source": {"type": if by_file { "file" } else { "etcd" }, "connected": connected, "observed_revision": self.observed.load(Ordering::SeqCst).max(snapshot.applied),
                "source_hash": "H"},
            "applied": {"applied_revision": snapshot.applied, "config_hash": hash, "apply_seq": snapshot.seq, "applied_at": "2026-11-21T00:00:00Z",
                "resource_counts": {"api_keys": count("api_keys"), "models": count("models"), "provider_keys": count("provider_keys")}},
            "last_failure": null,
            "rejected": snapshot.rejected.values().collect::<Vec<_>>(),
            "partially_compatible": partially,
        })
    }

    fn metrics(&self) -> String {
        let connected = u8::from(!self.cut_off.load(Ordering::SeqCst));
        let mut text = format!("# TYPE aisix_config_source_connected gauge\naisix_config_source_connected {connected}\n");
        text.push_str("# TYPE aisix_proxy_requests_total counter\n");
        for (series, count) in &*self.counters.lock().unwrap() {
            text.push_str(&format!("{series} {count}\n"));
        }
        text
    }
}

impl Snapshot {
    /// One change of the store. What is not valid is noted, and what was served before goes on being served.
    pub(crate) fn apply(&mut self, key: &str, value: Option<&[u8]>) {
        let (kind, id) = key.split_once('/').unwrap_or((key, ""));
        let place = (kind.to_owned(), id.to_owned());
        let Some(bytes) = value else {
            self.rejected.remove(&place);
            self.partially.remove(&place);
            self.remove(&place);
            return;
        };
        match judge(kind, id, bytes) {
            (Judged::Bad { kind: error, why }, _) => {
                let now = "2026-11-21T00:00:00Z";
                let mut item = json!({"resource_kind": kind, "resource_id": id, "last_error_kind": error, "last_error": why,
                    "first_seen_at": now, "last_seen_at": now});
                if self.documents.contains_key(&place) {
                    item["serving_stale_since"] = json!(now);
                    item["serving_stale_age_seconds"] = json!(0);
                }
                self.rejected.insert(place, item);
            }
            (Judged::Good { unknown }, value) => {
                self.rejected.remove(&place);
                self.partially.remove(&place);
                if !unknown.is_empty() {
                    self.partially.insert(place.clone(), unknown);
                }
                self.remove(&place);
                if kind == "api_keys" {
                    self.by_hash.insert(value["key_hash"].as_str().unwrap_or_default().to_owned(), id.to_owned());
                }
                self.documents.insert(place, value);
            }
        }
    }

    fn remove(&mut self, place: &Place) {
        let Some(old) = self.documents.remove(place) else { return };
        let hash = old["key_hash"].as_str().unwrap_or_default();
        if place.0 == "api_keys" && self.by_hash.get(hash) == Some(&place.1) {
            self.by_hash.remove(hash);
        }
    }

    /// The document of a kind with this display name.
    pub(crate) fn named(&self, kind: &str, name: &str) -> Option<(&str, &Value)> {
        let of_kind = self.documents.iter().filter(|((k, _), _)| k == kind);
        of_kind.map(|((_, id), value)| (id.as_str(), value)).find(|(_, value)| value["display_name"] == name)
    }

    /// Names of direct models.
    pub(crate) fn model_names(&self) -> BTreeSet<String> {
        let models = self.documents.iter().filter(|((kind, _), _)| kind == "models");
        models.filter_map(|(_, value)| value["display_name"].as_str().map(str::to_owned)).collect()
    }
}
