//! Whole rotations of a slot behind a program, with consumers that read it by the same program.

use crate::common::Said;
use crate::consumers::{Fleet, Source};
use crate::folder::{FolderSlot, program};
use crate::stores::{OTHER, TestSlot as _};
use crate::wait;
use crate::whole::Whole;
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A consumer's own way to the secret: the program.
struct Reader {
    dir: PathBuf,
}

impl Source for Reader {
    async fn read(&self) -> Option<String> {
        let said = Command::new(program()).arg(&self.dir).arg("observe").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        let seen: Value = serde_json::from_slice(&said.stdout).ok()?;
        seen["current"]["value"].as_str().map(str::to_owned)
    }
}

struct Stage {
    slot: FolderSlot,
    whole: Whole,
    old: String,
    fleet: Option<Fleet>,
}

impl Stage {
    fn new() -> Self {
        let whole = Whole::new();
        let old = whole.first_value();
        let slot = FolderSlot::new(&old, true);
        whole.policy(&slot.written().to_string());
        let dir = slot.dir.path().to_owned();
        let fleet = Fleet::start(&whole.data(), move || Reader { dir: dir.clone() });
        // Their first calls must be in the log before the first plan is made.
        std::thread::sleep(Duration::from_millis(3500));
        Self { slot, whole, old, fleet: Some(fleet) }
    }

    /// Nobody was refused, nothing is left behind, nothing leaked, the other field is as it was.
    fn judge(&mut self, forward: bool, other: &str, said: &[&Said]) {
        assert_eq!(wait(self.slot.consumer()).unwrap() != self.old, forward, "the slot holds the wrong value");
        assert_eq!(wait(self.slot.other()).as_deref(), Some(other));
        for left in ["pending", "pending.run", "pending.version"] {
            assert_eq!(self.slot.text(left), None, "{left} is left");
        }
        assert!(self.slot.text("previous").is_none(), "a way to the old value is left");
        let notes = std::fs::read_dir(self.whole.dir.path().join("state/children")).unwrap();
        assert_eq!(notes.count(), 0, "notes of children are left");
        assert_eq!(self.whole.orphans(), Vec::<Value>::new());
        let values = self.fleet.take().unwrap().none_was_refused();
        assert_eq!(self.whole.refused(), Vec::<String>::new());
        assert_eq!(values.first(), Some(&self.old));
        self.whole.holds_none(&values, said);
    }

    /// Waits for the fault, kills keyroll there, and shows that the program goes on by itself.
    fn killed_at(&self, fault: &str, mut running: Child) -> u32 {
        let began = Instant::now();
        while self.slot.faulted().is_none() {
            assert!(began.elapsed() < Duration::from_secs(60), "{fault} never happened");
            if running.try_wait().unwrap().is_some() {
                panic!("{fault}: it ended first: {}", Said::of(running.wait_with_output().unwrap()).err);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        running.kill().unwrap();
        running.wait().unwrap();
        let left = self.slot.faulted().unwrap();
        assert!(lives(left), "{fault}: the program outlives a killed keyroll");
        println!("killed: {fault}");
        left
    }
}

fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[test]
fn a_whole_rotation_with_consumers_that_read_by_the_program() {
    let mut stage = Stage::new();
    let said = Said::of(stage.whole.run().output().unwrap());
    said.ends(0);
    stage.judge(true, OTHER[0], &[&said]);
}

#[test]
fn the_way_back_from_hold() {
    let mut stage = Stage::new();
    let mut run = stage.whole.run().spawn().unwrap();
    assert!(stage.whole.wait_for(&mut run, |r| r["moved"]["to"] == "hold"));
    run.kill().unwrap();
    run.wait().unwrap();
    // While the run holds, a person changes another field: the way back must not undo that (F17).
    assert!(wait(stage.slot.stranger_writes_other(OTHER[1])));
    let said = stage.whole.keyroll(&["rollback", "--reason", "test"]);
    said.ends(0);
    stage.judge(false, OTHER[1], &[&said]);
}

#[test]
fn killed_while_the_program_works() {
    let mut stage = Stage::new();
    // Each kill leaves the program running; the next process ends it before it looks.
    stage.slot.fault("stage after hang");
    let mut left = stage.killed_at("stage after hang", stage.whole.run().spawn().unwrap());
    for fault in ["promote before hang", "promote after hang", "retire before hang"] {
        stage.slot.fault(fault);
        let running = stage.whole.command(&["resume", "--timeout", "60s"]).spawn().unwrap();
        let next = stage.killed_at(fault, running);
        assert!(!lives(left), "what the last one left goes on");
        left = next;
    }
    let said = stage.whole.keyroll(&["resume", "--timeout", "60s"]);
    said.ends(0);
    assert!(!lives(left));
    stage.judge(true, OTHER[0], &[&said]);
}

/// Somebody writes the slot while the program hangs before its promote: nothing of theirs is overwritten, and the conflict is named.
#[test]
fn a_person_who_writes_in_between_is_not_overwritten() {
    let stage = Stage::new();
    stage.slot.fault("promote before hang");
    stage.killed_at("promote before hang", stage.whole.run().spawn().unwrap());
    wait(stage.slot.stranger_writes_ours("sk-of-a-person-0123456789"));
    let said = stage.whole.keyroll(&["resume", "--timeout", "20s"]);
    assert!(!matches!(said.code, Some(0)), "{}", said.err);
    assert!(said.err.contains("slot"), "the conflict is named: {}", said.err);
    assert_eq!(wait(stage.slot.consumer()).as_deref(), Some("sk-of-a-person-0123456789"));
}
