//! Vercel's environment variables as the store contract wants them.

use crate::proxy::Tap;
use crate::stores::{NEW, OLD, OTHER, TestSlot, World, look, no, ok, run, value};
use crate::vercel::{NOBODY, OWNER, READER, Vercel};
use crate::wait;
use keyroll::adapters::reference::References;
use keyroll::adapters::secrets::VercelStore;
use keyroll::policy::model::slot::VercelSlot;
use keyroll::ports::{PortError, SecretStore as _};
use keyroll::secret::{FingerprintKey, Scrubber};
use serde_json::json;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// A project.
pub(crate) struct Project {
    vercel: Rc<Vercel>,
    tap: Rc<Tap>,
    dir: Rc<tempfile::TempDir>,
    count: Cell<u32>,
}

/// One of its variables.
pub(crate) struct Variable {
    vercel: Rc<Vercel>,
    tap: Rc<Tap>,
    dir: Rc<tempfile::TempDir>,
    name: String,
    key: Rc<FingerprintKey>,
}

impl Project {
    pub(crate) fn new() -> Self {
        let vercel = Rc::new(Vercel::start());
        let tap = Rc::new(Tap::before(vercel.port()));
        Self { vercel, tap, dir: Rc::new(tempfile::tempdir().unwrap()), count: Cell::new(0) }
    }
}

impl World for Project {
    type Slot = Variable;

    async fn slot(&self) -> Variable {
        self.count.set(self.count.get() + 1);
        let name = format!("ROUTER_KEY_{}", self.count.get());
        // Another one of that name, for other deployments, is nobody's business.
        self.vercel.world().make(&name, "sk-of-a-preview-0001", "encrypted", &["preview"], "");
        self.vercel.world().make(&name, OLD, "encrypted", &["production"], OTHER[0]);
        let key = Rc::new(FingerprintKey::from_bytes(&[7; 32]).unwrap());
        Variable { vercel: self.vercel.clone(), tap: self.tap.clone(), dir: self.dir.clone(), name, key }
    }

    fn secrets(&self) -> Vec<String> {
        [OWNER, READER, NOBODY].map(String::from).to_vec()
    }
}

impl Variable {
    fn open_at(&self, port: u16, token: &str) -> VercelStore {
        let file = self.dir.path().join(token);
        std::fs::write(&file, token).unwrap();
        let slot = json!({ "project": "chat-web", "team": "team_demo", "name": self.name, "token": { "file": file }, "url": format!("http://127.0.0.1:{port}") });
        let slot: VercelSlot = serde_json::from_value(slot).unwrap();
        let references = Rc::new(References { withhold: Vec::new(), scrubber: Scrubber::new(), ask: None });
        VercelStore::new(slot, references, self.key.clone(), Duration::from_secs(5)).unwrap()
    }
}

impl TestSlot for Variable {
    type Store = VercelStore;

    fn open(&self) -> VercelStore {
        self.open_at(self.vercel.port(), OWNER)
    }

    fn key(&self) -> Rc<FingerprintKey> {
        self.key.clone()
    }

    fn open_tapped(&self) -> Option<(VercelStore, &Tap)> {
        Some((self.open_at(self.tap.port, OWNER), &self.tap))
    }

    async fn powerless(&self) -> Vec<(&'static str, VercelStore)> {
        [("reader", READER), ("nobody", NOBODY)].map(|(n, t)| (n, self.open_at(self.vercel.port(), t))).into()
    }

    /// What a deployment would get that is made now.
    async fn consumer(&self) -> Option<String> {
        self.vercel.world().variables.iter().find(|v| v.key == self.name && v.is_for("production")).map(|v| v.value.clone())
    }

    async fn other(&self) -> Option<String> {
        self.vercel.world().variables.iter().find(|v| v.key == self.name && v.is_for("production")).map(|v| v.comment.clone())
    }

    async fn stranger_writes_ours(&self, value: &str) {
        self.vercel.world().get(&self.name).unwrap().value = value.into();
    }

    async fn stranger_writes_other(&self, value: &str) -> bool {
        self.vercel.world().get(&self.name).unwrap().comment = value.into();
        true
    }

    async fn stranger_deletes(&self) {
        self.vercel.world().variables.retain(|v| v.key != self.name);
    }
}

#[test]
fn a_deployment_keeps_what_it_was_made_with_and_that_is_said() {
    wait(async {
        let project = Project::new();
        let slot = project.slot().await;
        slot.vercel.world().deploy();
        let store = slot.open();
        let (_, staged) = ok(store.stage(&run("r1"), &value(NEW)).await);
        assert!(staged.warnings.iter().any(|w| w.contains("made afterwards")), "{:?}", staged.warnings);
        ok(store.promote(&run("r1"), &staged.guard).await);
        assert_eq!(slot.vercel.world().deployed[&slot.name], OLD, "the flip alone reaches nobody");
        slot.vercel.world().deploy();
        assert_eq!(slot.vercel.world().deployed[&slot.name], NEW);
    });
}

#[test]
fn what_cannot_be_read_or_told_apart_is_refused() {
    wait(async {
        let project = Project::new();
        let slot = project.slot().await;
        slot.vercel.world().get(&slot.name).unwrap().kind = "sensitive".into();
        let e = no(&project, slot.open().stage(&run("r1"), &value(NEW)).await);
        assert!(matches!(&e, PortError::Refused { why, .. } if why.contains("encrypted")), "{e:?}");
        let slot = project.slot().await;
        slot.vercel.world().make(&slot.name, OLD, "encrypted", &["production"], "");
        assert!(matches!(no(&project, slot.open().observe().await), PortError::Refused { .. }));
        // A variable of our name that a person made is not ours.
        let slot = project.slot().await;
        slot.vercel.world().make(&format!("{}_KEYROLL_PREVIOUS", slot.name), "sk-of-a-person-0001", "encrypted", &["production"], "mine");
        assert!(look(&project, &slot.open()).await.previous.is_none());
    });
}
