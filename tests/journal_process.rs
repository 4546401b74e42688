//! Two processes and one journal: what a killed process leaves, and what a full disk leaves.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test may")]

use keyroll::journal::{Lease, StateDir, StateError, Taker};
use keyroll::ports::{AppendError, Journal};
use keyroll::rotation::{Holder, Record, RunId, Time};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const STATE: &str = "KEYROLL_TEST_STATE";
const ROLE: &str = "KEYROLL_TEST_ROLE";

fn taker() -> Taker {
    Taker { holder: Holder { host: "here".into(), pid: std::process::id(), user: "ann".into() }, boot: "b".into(), at: now() }
}

fn now() -> Time {
    Time(1_767_323_045_678)
}

fn run() -> RunId {
    RunId::new("r1")
}

fn noted(bytes: usize) -> Record {
    Record::Noted { what: "x".repeat(bytes) }
}

/// This test binary again, as another process that plays a role. `shell` may change its surroundings first.
fn child(role: &str, state: &Path, shell: &str) -> Child {
    let me = std::env::current_exe().unwrap();
    Command::new("sh")
        .arg("-c")
        .arg(format!("{shell} exec \"$0\" --exact plays_a_role_for_the_other_tests --nocapture"))
        .arg(me)
        .env(STATE, state)
        .env(ROLE, role)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reads the child's lines until one begins with this word, and gives the rest of it.
fn wait_for(child: &mut Child, word: &str) -> String {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().take(100).map(Result::unwrap);
    lines.find_map(|l| l.split_once(word).map(|(_, rest)| rest.trim().to_owned())).unwrap_or_default()
}

/// Does nothing unless another test started it.
#[test]
fn plays_a_role_for_the_other_tests() {
    let (Ok(role), Ok(state)) = (std::env::var(ROLE), std::env::var(STATE)) else { return };
    let state = StateDir::open(state).unwrap();
    match role.as_str() {
        "holds" => {
            let mut opened = state.resume_run(&run(), &taker(), now).unwrap();
            opened.journal.append(&noted(1)).unwrap();
            println!("HOLDS {}", std::process::id());
            // Ends by itself in case nobody kills it.
            std::thread::sleep(std::time::Duration::from_secs(30));
        }
        "fills" => {
            let mut opened = state.resume_run(&run(), &taker(), now).unwrap();
            let error = (0..100).find_map(|_| opened.journal.append(&noted(2500)).err()).unwrap();
            // A small record still fits: the refused one left nothing behind.
            let small = opened.journal.append(&noted(1)).is_ok();
            println!("FILLED {small} {}", if matches!(error, AppendError::Storage { .. }) { error.to_string() } else { String::new() });
        }
        other => unreachable!("no role {other}"),
    }
}

fn begun(state: &StateDir) {
    let (_lease, mut journal) = state.create_run(&run(), &["k".into()], "test", &taker(), now).unwrap();
    journal.append(&noted(1)).unwrap();
}

#[test]
fn a_lease_ends_with_its_process_even_by_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::make(dir.path().join("s")).unwrap();
    begun(&state);
    let mut holder = child("holds", state.root(), "");
    let pid = wait_for(&mut holder, "HOLDS");
    let held = Lease::take(&state, &run(), &taker());
    let seen = state.load(&run()).map(|(records, _)| records.len());
    holder.kill().unwrap();
    holder.wait().unwrap();
    let Err(StateError::Held(held)) = held else { unreachable!("the other process has it") };
    assert_eq!(held.holder.unwrap().pid.to_string(), pid);
    assert_eq!(seen, Ok(2), "another process reads while one writes");
    let mut opened = state.resume_run(&run(), &taker(), now).unwrap();
    assert!(!opened.lease.taken_over(), "same machine, same boot: the kernel knows that it is gone");
    assert_eq!(opened.journal.append(&noted(1)), Ok(3));
    assert_eq!(state.claims().of(&run()).unwrap().len(), 1, "the claim outlived the process");
}

#[test]
fn a_line_that_does_not_fit_is_refused_in_words_and_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::make(dir.path().join("s")).unwrap();
    begun(&state);
    // 32 blocks of 512 bytes; the signal that goes with the limit is ignored, so that the write answers like a full disk.
    let filler = child("fills", state.root(), "trap '' XFSZ; ulimit -f 32;").wait_with_output().unwrap();
    assert!(filler.status.success());
    let output = String::from_utf8(filler.stdout).unwrap();
    let said = output.split_once("FILLED").map(|(_, rest)| rest.trim()).unwrap_or_default();
    assert!(said.starts_with("true") && said.contains("limit on file sizes") && said.contains("keyroll resume"), "{said}");
    let (records, loaded) = state.load(&run()).unwrap();
    assert!(!loaded.torn && records.len() > 2, "{} {loaded:?}", records.len());
    assert_eq!(state.resume_run(&run(), &taker(), now).unwrap().journal.seq(), loaded.seq);
}
