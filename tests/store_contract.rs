//! The store contract on the store that needs no server: a file.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may")]

#[path = "servers/proxy.rs"]
mod proxy;
mod stores;

use keyroll::adapters::secrets::{Field, FileStore};
use keyroll::secret::FingerprintKey;
use std::path::PathBuf;
use std::rc::Rc;
use stores::{OLD, OTHER, TestSlot, World};

struct Files {
    whole: bool,
}

struct FileSlot {
    dir: tempfile::TempDir,
    whole: bool,
    key: Rc<FingerprintKey>,
}

impl World for Files {
    type Slot = FileSlot;

    async fn slot(&self) -> FileSlot {
        let dir = tempfile::tempdir().unwrap();
        let text = if self.whole { OLD.to_owned() } else { format!("KEY={OLD}\nDB={}\n", OTHER[0]) };
        std::fs::write(dir.path().join(".env"), text).unwrap();
        FileSlot { dir, whole: self.whole, key: Rc::new(FingerprintKey::from_bytes(&[7; 32]).unwrap()) }
    }

    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }
}

impl FileSlot {
    fn path(&self) -> PathBuf {
        self.dir.path().join(".env")
    }

    fn variable(&self, name: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.path()).ok()?;
        if self.whole {
            return (name == "KEY").then_some(text);
        }
        text.lines().find_map(|l| l.strip_prefix(&format!("{name}="))).map(str::to_owned)
    }

    fn replace(&self, name: &str, value: &str) {
        let now = self.variable(name).unwrap();
        let text = std::fs::read_to_string(self.path()).unwrap();
        std::fs::write(self.path(), text.replace(&now, value)).unwrap();
    }
}

impl TestSlot for FileSlot {
    type Store = FileStore;

    fn open(&self) -> FileStore {
        FileStore::new(self.path(), if self.whole { Field::Whole } else { Field::Variable("KEY".into()) }, self.key())
    }

    fn key(&self) -> Rc<FingerprintKey> {
        self.key.clone()
    }

    async fn consumer(&self) -> Option<String> {
        self.variable("KEY")
    }

    async fn other(&self) -> Option<String> {
        self.variable("DB")
    }

    async fn stranger_writes_ours(&self, value: &str) {
        self.replace("KEY", value);
    }

    async fn stranger_writes_other(&self, value: &str) -> bool {
        if !self.whole {
            self.replace("DB", value);
        }
        !self.whole
    }

    async fn stranger_deletes(&self) {
        std::fs::remove_file(self.path()).unwrap();
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

const NO_NETWORK: [&str; 5] = [
    "a_fence_moves_the_guard_and_nothing_else",
    "powerless_handles_change_nothing",
    "every_fault_at_every_write",
    "reads_that_fail_say_so",
    "a_late_promote_is_fenced",
];

#[test]
fn one_variable_of_a_file() {
    assert_eq!(wait(stores::suite(&Files { whole: false })).left_out, NO_NETWORK);
}

#[test]
fn a_whole_file() {
    let ran = wait(stores::suite(&Files { whole: true }));
    let mut left_out = vec!["other_fields_are_kept_as_they_are_now", "demote_changes_our_field_only"];
    left_out.extend(NO_NETWORK);
    assert_eq!(ran.left_out, left_out);
}
