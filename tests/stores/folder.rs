//! A store in a folder behind a program, as everybody but keyroll sees it.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses a part of this")]

use crate::stores::{OLD, OTHER, TestSlot, World};
use keyroll::adapters::secrets::CommandStore;
use keyroll::policy::model::slot::CommandSlot;
use keyroll::secret::{FingerprintKey, Scrubber};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The program, and whether the policy says that it compares and sets.
pub(crate) struct Folders {
    pub(crate) compare_and_set: bool,
}

/// One slot.
pub(crate) struct FolderSlot {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) compare_and_set: bool,
    key: Rc<FingerprintKey>,
}

/// The program of the tests.
pub(crate) fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stores/folder.sh")
}

impl World for Folders {
    type Slot = FolderSlot;

    async fn slot(&self) -> FolderSlot {
        FolderSlot::new(OLD, self.compare_and_set)
    }

    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }
}

impl FolderSlot {
    pub(crate) fn new(value: &str, compare_and_set: bool) -> Self {
        let slot = Self { dir: tempfile::tempdir().unwrap(), compare_and_set, key: Rc::new(FingerprintKey::from_bytes(&[7; 32]).unwrap()) };
        for (file, text) in [("count", "0"), ("key", value), ("key.version", "v0"), ("db", OTHER[0])] {
            slot.write(file, text);
        }
        slot
    }

    /// A slot with another program, such as one that hangs.
    pub(crate) fn store(&self, run: &[&str], more: &Value) -> CommandStore {
        let mut slot = json!({ "name": "team-vault", "run": run, "compare_and_set": self.compare_and_set });
        slot.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        let slot: CommandSlot = serde_json::from_value(slot).unwrap();
        let withhold = vec!["CARGO_PKG_NAME".to_owned()];
        CommandStore::new(slot, withhold, Scrubber::new(), self.key.clone(), &self.dir.path().join("children"))
    }

    /// The slot as a policy writes it.
    pub(crate) fn written(&self) -> Value {
        let run = [program().to_str().unwrap().to_owned(), self.dir.path().to_str().unwrap().to_owned()];
        json!({ "command": { "name": "team-vault", "run": run, "compare_and_set": self.compare_and_set } })
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        let new = self.dir.path().join(format!("{file}.test"));
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.dir.path().join(file)).unwrap();
    }

    pub(crate) fn text(&self, file: &str) -> Option<String> {
        std::fs::read_to_string(self.dir.path().join(file)).ok()
    }

    /// It misbehaves once: `promote before hang`.
    pub(crate) fn fault(&self, what: &str) {
        let _from_the_last_one = std::fs::remove_file(self.dir.path().join("faulted"));
        self.write("fault", &format!("{what}\n"));
    }

    /// The number of the process that met the fault.
    pub(crate) fn faulted(&self) -> Option<u32> {
        self.text("faulted")?.trim().parse().ok()
    }

    fn next(&self) {
        let count: u32 = self.text("count").unwrap().parse().unwrap();
        self.write("count", &(count + 1).to_string());
    }
}

impl TestSlot for FolderSlot {
    type Store = CommandStore;

    fn open(&self) -> CommandStore {
        self.store(&[program().to_str().unwrap(), self.dir.path().to_str().unwrap()], &json!({}))
    }

    fn key(&self) -> Rc<FingerprintKey> {
        self.key.clone()
    }

    async fn powerless(&self) -> Vec<(&'static str, CommandStore)> {
        vec![
            ("not allowed", self.store(&["sh", "-c", "echo the vault is locked >&2; exit 6", "store"], &json!({}))),
            ("not installed", self.store(&["/no/such/program"], &json!({}))),
            ("later", self.store(&["sh", "-c", "exit 5", "store"], &json!({}))),
        ]
    }

    async fn consumer(&self) -> Option<String> {
        self.text("key")
    }

    async fn other(&self) -> Option<String> {
        self.text("db")
    }

    async fn stranger_writes_ours(&self, value: &str) {
        self.next();
        self.write("key.version", "by-a-person");
        self.write("key", value);
    }

    async fn stranger_writes_other(&self, value: &str) -> bool {
        self.next();
        self.write("db", value);
        true
    }

    async fn stranger_deletes(&self) {
        self.next();
        std::fs::remove_file(self.dir.path().join("key")).unwrap();
    }
}
