//! Kills `keyroll run` at any instant, resumes it, and looks at what the world has become. Real processes, real HTTP, a real log.
//!
//! `cargo test --test kill` does 40 kills; `KEYROLL_KILLS=300` does more. At least half of the kills land right after a line of the
//! journal that begins or ends an effect; the rest land anywhere. Prints the counts by effect and phase; none may be zero.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::indexing_slicing, reason = "a test may")]

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Effects of a router-key rotation on the sandbox, forward and back. A fence needs a store whose write can land late.
const EFFECTS: [&str; 15] = [
    "mint",
    "stage",
    "promote",
    "reload",
    "disable_old",
    "delete_old",
    "mark_live",
    "scan",
    "retire",
    "seal",
    "demote",
    "enable_old",
    "drop_pending",
    "disable_new",
    "delete_new",
];
const PHASES: [&str; 6] = ["prepare", "canary", "flip", "hold", "revoke", "archive"];
/// A kill this soon after a line of an effect counts as aimed.
const AIMED_MS: i64 = 5;
const LANES: usize = 5;

#[derive(Default)]
struct Counts {
    kills: usize,
    aimed: usize,
    by_effect: BTreeMap<&'static str, [usize; 2]>,
    by_phase: BTreeMap<String, usize>,
    done: usize,
    rolled_back: usize,
    discards: usize,
    requests: usize,
}

fn main() {
    // The test runner lists and filters tests through arguments; this binary has one.
    let args: Vec<String> = std::env::args().collect();
    if args.iter().any(|a| a == "--list") {
        if !args.iter().any(|a| a == "--ignored") {
            println!("killed_at_any_instant: test");
        }
        return;
    }
    let wanted: usize = std::env::var("KEYROLL_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(40);
    let counts = Arc::new(Mutex::new(Counts::default()));
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| {
            let (counts, next) = (counts.clone(), next.clone());
            thread::spawn(move || Lane::new(lane).work(wanted, &next, &counts))
        })
        .collect();
    let mut failed = Vec::new();
    for lane in lanes {
        match lane.join() {
            Ok(Ok(())) => {}
            Ok(Err(why)) => failed.push(why),
            Err(_) => failed.push("a lane panicked".into()),
        }
    }
    let counts = counts.lock().unwrap();
    report(&counts, began.elapsed());
    if wanted >= 40 {
        for effect in EFFECTS {
            let [begin, end] = counts.by_effect.get(effect).copied().unwrap_or_default();
            // A process may end before its kill; with more kills there is a next time for each place.
            if begin + end == 0 || (wanted >= 120 && begin.min(end) == 0) {
                failed.push(format!("no kill landed at the begin or the end of {effect}"));
            }
        }
        for phase in PHASES {
            if counts.by_phase.get(phase).copied().unwrap_or_default() == 0 {
                failed.push(format!("no kill landed in {phase}"));
            }
        }
        if counts.aimed * 2 < counts.kills {
            failed.push(format!("only {} of {} kills were aimed", counts.aimed, counts.kills));
        }
    }
    if failed.is_empty() {
        println!("test killed_at_any_instant ... ok\n\ntest result: ok. 1 passed; 0 failed");
    } else {
        println!("test killed_at_any_instant ... FAILED\n\n{}\n\ntest result: FAILED. 0 passed; 1 failed", failed.join("\n"));
        std::process::exit(1);
    }
}

fn report(counts: &Counts, took: Duration) {
    println!("{} kills in {:.0} s, {} aimed within {} ms of a line", counts.kills, took.as_secs_f64(), counts.aimed, AIMED_MS);
    println!("ended: {} done, {} rolled back; {} lost values were discarded", counts.done, counts.rolled_back, counts.discards);
    println!("{} consumer requests were logged, none was refused", counts.requests);
    println!("{:<14} {:>12} {:>10}", "effect", "after begin", "after end");
    for effect in EFFECTS {
        let [begin, end] = counts.by_effect.get(effect).copied().unwrap_or_default();
        println!("{effect:<14} {begin:>12} {end:>10}");
    }
    println!("{:<14} {:>12}", "phase", "kills");
    for phase in PHASES {
        println!("{phase:<14} {:>12}", counts.by_phase.get(phase).copied().unwrap_or_default());
    }
}

/// The binary under test; an optimised one where the caller has it.
fn binary() -> PathBuf {
    std::env::var_os("KEYROLL_BIN").map_or_else(|| env!("CARGO_BIN_EXE_keyroll").into(), PathBuf::from)
}

/// What one iteration aims at.
struct Aim {
    effect: &'static str,
    end: bool,
    /// The way back is entered first, in this phase.
    back_from: Option<&'static str>,
}

fn aim(n: usize) -> Option<Aim> {
    // Three of four are aimed, each effect in turn, alternately after its begin and after its end: forty reach each of the thirty places.
    if n % 4 == 3 {
        return None;
    }
    let k = n / 4 * 3 + n % 4;
    let effect = EFFECTS[k % EFFECTS.len()];
    let end = (k / EFFECTS.len()) % 2 == 1;
    let back_from = match effect {
        "demote" | "drop_pending" | "disable_new" | "delete_new" => Some("hold"),
        "enable_old" => Some("revoke"),
        _ => None,
    };
    Some(Aim { effect, end, back_from })
}

struct Lane {
    dir: tempfile::TempDir,
    sandbox: Child,
    urls: Value,
    random: u64,
}

impl Drop for Lane {
    fn drop(&mut self) {
        let _ = self.sandbox.kill();
        let _ = self.sandbox.wait();
    }
}

impl Lane {
    fn new(number: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut sandbox = Command::new(binary())
            .args(["sandbox", "serve", "--rate", "4", "--replicas", "2", "--dir"])
            .arg(dir.path().join("sandbox"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .stdin(Stdio::null())
            .spawn()
            .expect("the sandbox starts");
        let mut line = String::new();
        BufReader::new(sandbox.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let urls: Value = serde_json::from_str(&line).expect("the sandbox prints its addresses");
        let lane = Self { dir, sandbox, urls, random: 0x9e37_79b9_7f4a_7c15 ^ (number as u64 + 1) };
        fs::write(lane.policy(), lane.policy_text()).unwrap();
        // The consumers' first calls must be in the log before the first plan is made.
        thread::sleep(Duration::from_millis(1500));
        lane
    }

    fn policy(&self) -> PathBuf {
        self.dir.path().join("policy.yaml")
    }

    /// A whole rotation by this text lasts at most six seconds.
    fn policy_text(&self) -> String {
        let text = include_str!("kill/policy.yaml");
        let data: Vec<String> = self.urls["data"].as_array().unwrap().iter().map(|u| u.as_str().unwrap().to_owned()).collect();
        text.replace("$ADMIN", self.urls["admin"].as_str().unwrap())
            .replace("$DATA", &data.join(", "))
            .replace("$CONTROL", self.urls["control"].as_str().unwrap())
            .replace("$LOG", self.urls["log"].as_str().unwrap())
            .replace("$STORE", self.urls["store"].as_str().unwrap())
            .replace("$DIR", self.dir.path().join("sandbox").to_str().unwrap())
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn keyroll(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg("--state").arg(self.state()).args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn work(mut self, wanted: usize, next: &AtomicUsize, counts: &Mutex<Counts>) -> Result<(), String> {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            // A random kill may come after the end; then it was none, and another rotation makes up for it.
            if counts.lock().unwrap().kills >= wanted || n >= wanted * 2 {
                return self.look_at_the_world(counts);
            }
            self.rotate_and_kill(n, counts)?;
        }
    }

    fn rotate_and_kill(&mut self, n: usize, counts: &Mutex<Counts>) -> Result<(), String> {
        let aim = aim(n);
        let policy = self.policy();
        let mut running = self.keyroll(&["run", policy.to_str().unwrap()]).spawn().unwrap();
        let journal = self.new_journal(&mut running)?;
        if let Some(phase) = aim.as_ref().and_then(|a| a.back_from) {
            // Enter the way back from there: the process that goes back is the one that is killed.
            let reached = |r: &Value| if phase == "hold" { r["moved"]["to"] == "hold" } else { ended(r, "disable_old") };
            wait_for(&journal, &mut running, reached);
            let _ = running.kill();
            let _ = running.wait();
            running = self.keyroll(&["rollback", "--reason", "test"]).spawn().unwrap();
        }
        let killed = match &aim {
            Some(aim) => {
                let line = wait_for(&journal, &mut running, |r| if aim.end { ended(r, aim.effect) } else { began(r, aim.effect) });
                let _ = running.kill();
                let now = chrono::Utc::now().timestamp_millis();
                let _ = running.wait();
                line.map(|at| (now - at <= AIMED_MS, Some((aim.effect, aim.end))))
            }
            None => {
                if n % 8 == 3 {
                    // The canary is over in a blink: wait for it, then anywhere in the next moment.
                    wait_for(&journal, &mut running, |r| r["moved"]["to"] == "canary");
                    thread::sleep(Duration::from_millis(self.random(20)));
                } else {
                    thread::sleep(Duration::from_millis(self.random(6500)));
                }
                let alive = running.try_wait().unwrap().is_none();
                let _ = running.kill();
                let _ = running.wait();
                alive.then_some((false, None))
            }
        };
        let (records, _) = read(&journal);
        let phase = phase_of(&records);
        {
            let mut counts = counts.lock().unwrap();
            if let Some((aimed, effect)) = killed {
                counts.kills += 1;
                counts.aimed += usize::from(aimed);
                *counts.by_phase.entry(phase).or_default() += 1;
                if let Some((effect, end)) = effect {
                    counts.by_effect.entry(effect).or_default()[usize::from(end)] += 1;
                }
            }
        }
        self.bring_to_an_end(&journal, n, counts)
    }

    fn new_journal(&self, running: &mut Child) -> Result<PathBuf, String> {
        let runs = self.state().join("runs");
        for _ in 0..20_000 {
            if let Ok(entries) = fs::read_dir(&runs) {
                for entry in entries.flatten() {
                    let journal = entry.path().join("journal.jsonl");
                    let (records, _) = read(&journal);
                    if !records.is_empty() && !records.iter().any(|r| !r["finished"].is_null()) {
                        return Ok(journal);
                    }
                }
            }
            if let Some(status) = running.try_wait().unwrap() {
                return Err(format!("run ended with {status} before its journal began: {}", complaint(running)));
            }
            thread::sleep(Duration::from_micros(500));
        }
        Err("no journal within ten seconds".into())
    }

    fn bring_to_an_end(&self, journal: &Path, n: usize, counts: &Mutex<Counts>) -> Result<(), String> {
        for attempt in 0..5 {
            let (records, _) = read(journal);
            if let Some(end) = records.iter().find(|r| !r["finished"].is_null()) {
                let mut counts = counts.lock().unwrap();
                counts.discards += records.iter().filter(|r| began(r, "discard")).count();
                if end["finished"]["end"] == "done" {
                    counts.done += 1
                } else {
                    counts.rolled_back += 1
                }
                return self.verify(journal);
            }
            let run = journal.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
            let output = self.keyroll(&["resume", &run, "--timeout", "60s"]).output().unwrap();
            let code = output.status.code();
            if !matches!(code, Some(0 | 10 | 21)) {
                return Err(format!(
                    "kill {n}: resume {attempt} ended with {code:?}: {}\nkept in {}",
                    String::from_utf8_lossy(&output.stderr),
                    self.keep()
                ));
            }
        }
        Err(format!("kill {n}: not over after five resumes, kept in {}", self.keep()))
    }

    fn verify(&self, journal: &Path) -> Result<(), String> {
        let bundle = journal.parent().unwrap().join("bundle");
        let output = self.keyroll(&["evidence", "verify", bundle.to_str().unwrap()]).output().unwrap();
        if output.status.success() {
            return Ok(());
        }
        Err(format!("the evidence does not verify: {}\nkept in {}", String::from_utf8_lossy(&output.stderr), self.keep()))
    }

    /// Copies the lane's folder aside, for whoever looks into a failure.
    fn keep(&self) -> String {
        let to = std::env::temp_dir().join(format!("keyroll-kill-{}", std::process::id()));
        let _ = Command::new("cp").arg("-r").arg(self.dir.path()).arg(&to).status();
        to.display().to_string()
    }

    /// After all kills: no production request was refused, and no key of a run is left but the live one.
    fn look_at_the_world(&self, counts: &Mutex<Counts>) -> Result<(), String> {
        let mut requests = 0;
        for entry in fs::read_dir(self.urls["log"].as_str().unwrap()).unwrap().flatten() {
            for line in fs::read_to_string(entry.path()).unwrap().lines() {
                let Ok(row) = serde_json::from_str::<Value>(line) else { continue };
                if row["purpose"] == "app" {
                    requests += 1;
                    if row["status"] == 401 || row["status"] == 403 {
                        return Err(format!("a production request was refused: {line}\nkept in {}", self.keep()));
                    }
                }
            }
        }
        for line in fs::read_to_string(self.dir.path().join("sandbox/consumers.jsonl")).unwrap().lines() {
            let Ok(row) = serde_json::from_str::<Value>(line) else { continue };
            if row["status"] == 401 || row["status"] == 403 {
                return Err(format!("a consumer saw a refusal: {line}\nkept in {}", self.keep()));
            }
        }
        let policy = self.policy();
        let output = self.keyroll(&["--output", "json", "orphans", policy.to_str().unwrap()]).stdout(Stdio::piped()).output().unwrap();
        let orphans: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if orphans["orphans"].as_array().is_none_or(|o| !o.is_empty()) {
            return Err(format!("keys are left over: {orphans} {}\nkept in {}", String::from_utf8_lossy(&output.stderr), self.keep()));
        }
        counts.lock().unwrap().requests += requests;
        Ok(())
    }
}

fn complaint(child: &mut Child) -> String {
    let mut text = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        let _ = stderr.read_to_string(&mut text);
    }
    text
}

/// Waits for a record and gives back when it was written (wall clock, ms); none when the process ended first. Looks every 100 µs, and
/// only at what is new: a kill must land while the line is warm.
fn wait_for(journal: &Path, running: &mut Child, wanted: impl Fn(&Value) -> bool) -> Option<i64> {
    let mut file = fs::File::open(journal).unwrap();
    let mut partial = String::new();
    for _ in 0..600_000 {
        let mut more = String::new();
        file.read_to_string(&mut more).unwrap();
        if more.is_empty() {
            if running.try_wait().unwrap().is_some() {
                return None;
            }
            thread::sleep(Duration::from_micros(100));
            continue;
        }
        partial.push_str(&more);
        while let Some(end) = partial.find('\n') {
            let line: String = partial.drain(..=end).collect();
            let Ok(mut line) = serde_json::from_str::<Value>(&line) else { continue };
            let record = line["record"].take();
            if wanted(&record) {
                return chrono::DateTime::parse_from_rfc3339(line["at"].as_str().unwrap()).ok().map(|t| t.timestamp_millis());
            }
        }
    }
    None
}

fn read(journal: &Path) -> (Vec<Value>, u64) {
    let Ok(text) = fs::read_to_string(journal) else { return (Vec::new(), 0) };
    let records = text.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok()).map(|mut l| l["record"].take()).collect();
    (records, text.len() as u64)
}

fn kind(effect: &Value) -> String {
    let Some((name, body)) = effect.as_object().and_then(|o| o.iter().next()) else {
        return effect.as_str().unwrap_or_default().to_owned();
    };
    match (name.as_str(), body["key"].as_str()) {
        ("disable" | "enable" | "delete", Some(key)) => format!("{name}_{key}"),
        (name, _) => name.to_owned(),
    }
}

fn began(record: &Value, effect: &str) -> bool {
    !record["began"].is_null() && kind(&record["began"]["effect"]) == effect
}

/// The outcome line does not name its effect; the line before it does.
fn ended(record: &Value, effect: &str) -> bool {
    !record["ended"].is_null() && record["ended"]["kind"] == effect
}

fn phase_of(records: &[Value]) -> String {
    records.iter().rev().find_map(|r| r["moved"]["to"].as_str()).unwrap_or("prepare").to_owned()
}
