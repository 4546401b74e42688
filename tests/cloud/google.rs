//! Google Secret Manager as the store contract wants it.

use crate::google::{Google, NOBODY, OWNER, READER};
use crate::proxy::Tap;
use crate::stores::{NEW, OLD, OTHER, THIRD, TestSlot, World, look, no, ok, run, value};
use crate::wait;
use keyroll::adapters::reference::References;
use keyroll::adapters::secrets::GoogleStore;
use keyroll::policy::model::slot::GoogleSlot;
use keyroll::ports::{PortError, SecretStore as _};
use keyroll::secret::{FingerprintKey, Scrubber};
use serde_json::json;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// A project with secrets.
pub(crate) struct Project {
    google: Rc<Google>,
    tap: Rc<Tap>,
    dir: Rc<tempfile::TempDir>,
    count: Cell<u32>,
}

/// One of its secrets.
pub(crate) struct Secret {
    google: Rc<Google>,
    tap: Rc<Tap>,
    dir: Rc<tempfile::TempDir>,
    name: String,
    key: Rc<FingerprintKey>,
}

impl Project {
    pub(crate) fn new() -> Self {
        let google = Rc::new(Google::start());
        let tap = Rc::new(Tap::before(google.port()));
        Self { google, tap, dir: Rc::new(tempfile::tempdir().unwrap()), count: Cell::new(0) }
    }
}

impl World for Project {
    type Slot = Secret;

    async fn slot(&self) -> Secret {
        self.count.set(self.count.get() + 1);
        let name = format!("router-key-{}", self.count.get());
        self.google.make(&name, OLD, OTHER[0]);
        let key = Rc::new(FingerprintKey::from_bytes(&[7; 32]).unwrap());
        Secret { google: self.google.clone(), tap: self.tap.clone(), dir: self.dir.clone(), name, key }
    }

    fn secrets(&self) -> Vec<String> {
        [OWNER, READER, NOBODY].map(String::from).to_vec()
    }
}

impl Secret {
    fn open_at(&self, port: u16, token: &str) -> GoogleStore {
        let file = self.dir.path().join(token);
        std::fs::write(&file, token).unwrap();
        let slot = json!({ "project": "demo", "secret": self.name, "alias": "current", "token": { "file": file }, "url": format!("http://127.0.0.1:{port}") });
        let slot: GoogleSlot = serde_json::from_value(slot).unwrap();
        let references = Rc::new(References { withhold: Vec::new(), scrubber: Scrubber::new(), ask: None });
        GoogleStore::new(slot, references, self.key.clone(), Duration::from_secs(5)).unwrap()
    }

    fn edit<T>(&self, change: impl FnOnce(&mut crate::google::Secret) -> T) -> T {
        change(self.google.world().secrets.get_mut(&self.name).unwrap())
    }
}

impl TestSlot for Secret {
    type Store = GoogleStore;

    fn open(&self) -> GoogleStore {
        self.open_at(self.google.port(), OWNER)
    }

    fn key(&self) -> Rc<FingerprintKey> {
        self.key.clone()
    }

    fn open_tapped(&self) -> Option<(GoogleStore, &Tap)> {
        Some((self.open_at(self.tap.port, OWNER), &self.tap))
    }

    async fn powerless(&self) -> Vec<(&'static str, GoogleStore)> {
        [("reader", READER), ("nobody", NOBODY), ("ended", "ya29.ended")].map(|(n, t)| (n, self.open_at(self.google.port(), t))).into()
    }

    async fn consumer(&self) -> Option<String> {
        self.google.access(&self.name, "current")
    }

    async fn other(&self) -> Option<String> {
        self.google.world().secrets.get(&self.name)?.annotations.get("team").cloned()
    }

    async fn stranger_writes_ours(&self, value: &str) {
        self.edit(|s| {
            let number = s.add(value);
            s.aliases.insert("current".into(), number);
            s.touch();
        });
    }

    async fn stranger_writes_other(&self, value: &str) -> bool {
        self.edit(|s| {
            s.annotations.insert("team".into(), value.into());
            s.touch();
        });
        true
    }

    async fn stranger_deletes(&self) {
        self.google.world().secrets.remove(&self.name);
    }
}

#[test]
fn what_belongs_to_others_stays() {
    wait(async {
        let project = Project::new();
        let slot = project.slot().await;
        let store = slot.open();
        let (_, staged) = ok(store.stage(&run("r1"), &value(NEW)).await);
        ok(store.promote(&run("r1"), &staged.guard).await);
        ok(store.retire(&run("r1"), keyroll::ports::Retire::Destroy).await);
        // The old version is still what somebody else's alias leads to: it is not destroyed under them.
        assert_eq!(slot.google.access(&slot.name, "somebody-elses").as_deref(), Some(OLD));
        assert_eq!(slot.edit(|s| s.aliases.keys().cloned().collect::<Vec<_>>()), ["current", "somebody-elses"]);
        assert_eq!(slot.edit(|s| s.annotations.keys().cloned().collect::<Vec<_>>()), ["team"]);
        // Without their alias it is disabled, and a version that a rolled back run left too.
        slot.edit(|s| s.aliases.remove("somebody-elses"));
        let (_, staged) = ok(store.stage(&run("r2"), &value(THIRD)).await);
        ok(store.drop_pending(&run("r2")).await);
        assert_eq!(slot.edit(|s| s.versions.iter().map(|v| v.state).collect::<Vec<_>>()), ["ENABLED", "ENABLED", "DISABLED"]);
        assert!(staged.pending.is_some());
    });
}

#[test]
fn a_version_that_was_added_and_lost_is_found_again() {
    wait(async {
        let project = Project::new();
        let slot = project.slot().await;
        slot.edit(|s| s.add(NEW));
        let (version, _) = ok(slot.open().stage(&run("r1"), &value(NEW)).await);
        assert_eq!(version.unwrap().as_str(), "v2");
        assert_eq!(slot.edit(|s| s.versions.len()), 2);
    });
}

#[test]
fn a_current_version_that_somebody_disabled_is_said_and_not_replaced_blindly() {
    wait(async {
        let project = Project::new();
        let slot = project.slot().await;
        slot.edit(|s| s.versions[0].state = "DISABLED");
        let seen = look(&project, &slot.open()).await;
        assert!(seen.current.is_none() && seen.warnings.iter().any(|w| w.contains("latest")), "{seen:?}");
        assert!(matches!(no(&project, slot.open().stage(&run("r1"), &value(NEW)).await), PortError::Conflict { .. }));
    });
}
