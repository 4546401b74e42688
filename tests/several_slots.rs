//! One key in three places: a file, a program, another file. All are staged, then promoted one by one; when that fails half-way, only those
//! are put back that still hold what this run put there.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::indexing_slicing, reason = "a test may")]

mod common;
#[path = "stores/consumers.rs"]
mod consumers;
#[path = "stores/folder.rs"]
mod folder;
#[path = "servers/proxy.rs"]
mod proxy;
mod stores;
#[path = "stores/whole.rs"]
mod whole;

use common::Said;
use consumers::{Fleet, Source};
use folder::{FolderSlot, program};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use stores::THIRD;
use whole::Whole;

/// Where one consumer reads.
enum Reader {
    Dotenv(PathBuf),
    Program(PathBuf),
    Plain(PathBuf),
}

impl Source for Reader {
    async fn read(&self) -> Option<String> {
        match self {
            Self::Dotenv(path) => variable(path),
            Self::Program(dir) => {
                let said = Command::new(program()).arg(dir).arg("observe").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
                serde_json::from_slice::<Value>(&said.stdout).ok()?["current"]["value"].as_str().map(str::to_owned)
            }
            Self::Plain(path) => std::fs::read_to_string(path).ok().filter(|t| !t.is_empty()),
        }
    }
}

fn variable(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()?.lines().find_map(|l| l.strip_prefix("KEY=")).map(str::to_owned)
}

struct Three {
    whole: Whole,
    middle: FolderSlot,
    old: String,
    fleet: Option<Fleet>,
}

impl Three {
    /// Everything in place; consumers read all three places, or all but the first.
    fn new(first_too: bool) -> Self {
        let whole = Whole::new();
        let old = whole.first_value();
        let middle = FolderSlot::new(&old, true);
        let three = Self { whole, middle, old, fleet: None };
        std::fs::write(three.first(), format!("DB=monday-db-password-71\nKEY={}\n", three.old)).unwrap();
        std::fs::write(three.last(), &three.old).unwrap();
        let first = json!({ "file": { "path": three.first(), "name": "KEY" } });
        let last = json!({ "file": { "path": three.last() } });
        three.whole.policy(&format!("{first}, {}, {last}", three.middle.written()));
        let (first, middle, last) = (three.first(), three.middle.dir.path().to_owned(), three.last());
        let next = AtomicUsize::new(0);
        let fleet = Fleet::start(&three.whole.data(), move || match (next.fetch_add(1, Ordering::SeqCst) % 3, first_too) {
            (0, true) => Reader::Dotenv(first.clone()),
            (0, false) | (1, _) => Reader::Program(middle.clone()),
            _ => Reader::Plain(last.clone()),
        });
        std::thread::sleep(Duration::from_millis(3500));
        Self { fleet: Some(fleet), ..three }
    }

    fn first(&self) -> PathBuf {
        self.whole.dir.path().join("first.env")
    }

    fn last(&self) -> PathBuf {
        self.whole.dir.path().join("last.key")
    }

    /// What each place holds: `old`, `new`, or `other`.
    fn hold(&self) -> [&'static str; 3] {
        let values = [variable(&self.first()), self.middle.text("key"), std::fs::read_to_string(self.last()).ok()];
        values.map(|v| match v {
            Some(v) if v == self.old => "old",
            Some(v) if v == THIRD => "other",
            Some(_) => "new",
            None => "nothing",
        })
    }

    /// Slots of the effects of this kind, in the order in which they were done.
    fn done(&self, kind: &str) -> Vec<u64> {
        let records = self.whole.records();
        let mut begun = std::collections::BTreeMap::new();
        let mut done = Vec::new();
        for record in &records {
            if let Some(slot) = record["began"]["effect"][kind]["slot"].as_u64() {
                begun.insert(record["began"]["n"].as_u64(), slot);
            }
            let ended = &record["ended"];
            if let (Some(slot), false) = (begun.get(&ended["n"].as_u64()), ended["outcome"]["done"].is_null()) {
                done.push(*slot);
            }
        }
        done
    }

    /// Nobody was refused, and nothing is left behind or told.
    fn judge(&mut self, said: &[&Said]) {
        let values = self.fleet.take().unwrap().none_was_refused();
        assert_eq!(self.whole.refused(), Vec::<String>::new());
        assert_eq!(self.whole.orphans(), Vec::<Value>::new());
        for name in ["first.env.pending", "first.env.previous", "last.key.pending", "last.key.previous"] {
            // A slot that is left to its owner keeps what was there before us beside it: it is the owner's way back.
            let owners = self.hold()[0] == "other" && name == "first.env.previous";
            assert_eq!(self.whole.dir.path().join(name).exists(), owners, "{name}");
        }
        assert_eq!((self.middle.text("pending"), self.middle.text("previous")), (None, None));
        self.whole.holds_none(&values, said);
    }
}

/// Waits until the program in the middle met its fault, and kills keyroll there.
fn killed_there(three: &Three, mut running: Child) {
    let began = Instant::now();
    while three.middle.faulted().is_none() {
        assert!(began.elapsed() < Duration::from_secs(60) && running.try_wait().unwrap().is_none(), "the fault never happened");
        std::thread::sleep(Duration::from_millis(5));
    }
    running.kill().unwrap();
    running.wait().unwrap();
}

#[test]
fn all_are_staged_before_the_first_is_promoted() {
    let mut three = Three::new(true);
    let said = Said::of(three.whole.run().output().unwrap());
    said.ends(0);
    assert_eq!(three.hold(), ["new", "new", "new"]);
    assert_eq!([three.done("stage"), three.done("promote"), three.done("retire")], [vec![0, 1, 2], vec![0, 1, 2], vec![0, 1, 2]]);
    let records = three.whole.records();
    let at = |wanted: &dyn Fn(&Value) -> bool| records.iter().position(wanted).unwrap();
    let last_staged = records.iter().rposition(|r| whole::ended(r, "stage")).unwrap();
    assert!(
        last_staged < at(&|r| r["moved"]["to"] == "canary") && at(&|r| r["moved"]["to"] == "canary") < at(&|r| whole::began(r, "promote"))
    );
    three.judge(&[&said]);
}

#[test]
fn a_refusal_after_the_first_promote_puts_only_that_one_back() {
    let mut three = Three::new(true);
    three.middle.fault("promote before exit-6");
    let said = Said::of(three.whole.run().output().unwrap());
    said.ends(21);
    assert_eq!(three.hold(), ["old", "old", "old"]);
    assert_eq!([three.done("promote"), three.done("demote")], [vec![0], vec![0]]);
    // Writes to the others would be seen: the program's own count went up for nothing.
    assert_eq!(three.middle.text("count").as_deref(), Some("0"));
    three.judge(&[&said]);
}

/// A person writes the first slot after its promote, while the second one's is on its way: the run stops and names it, and the way back leaves
/// their value alone also after somebody has agreed to it.
#[test]
fn a_stranger_in_one_slot_is_not_rolled_back_with_the_others() {
    let mut three = Three::new(false);
    three.middle.fault("promote after hang");
    killed_there(&three, three.whole.run().spawn().unwrap());
    let text = std::fs::read_to_string(three.first()).unwrap();
    let theirs = |l: &str| if l.starts_with("KEY=") { format!("KEY={THIRD}\n") } else { format!("{l}\n") };
    std::fs::write(three.first(), text.lines().map(theirs).collect::<String>()).unwrap();
    assert_eq!(three.hold(), ["other", "new", "old"]);
    let parked = three.whole.keyroll(&["rollback", "--reason", "test", "--timeout", "20s"]);
    assert!(parked.err.contains("slot 1"), "the conflict is named: {:?} {}", parked.code, parked.err);
    assert_eq!(three.hold(), ["other", "new", "old"], "nothing is changed before somebody has agreed");
    let amended = three.whole.keyroll(&["amend", "--reason", "the team's own value, it stays"]);
    assert_eq!(three.hold(), ["other", "old", "old"], "after the amendment somebody's value is overwritten: {}", amended.err);
    assert_eq!(three.done("demote"), [1]);
    three.judge(&[&parked, &amended]);
}
