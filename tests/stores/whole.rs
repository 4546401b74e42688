//! A whole rotation through the binary: the sandbox as a process of its own without its own consumers, a slot anywhere.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses a part of this")]

use crate::common::{Said, binary};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const POLICY: &str = "version: 1
rotation: { credential: store-test, owner: platform-ai, environment: development, reason: scheduled }
gateway:
  sandbox:
    admin: $ADMIN
    data: [$DATA]
    control: $CONTROL
    log: $LOG
    admin_key: { file: $DIR/admin.key }
    key: { name: demo-app-key }
slots: [$SLOT]
consumers:
  - { app: web, cadence: continuous, reload: { dynamic: { ttl: 100ms } } }
  - { app: worker, cadence: 1s, reload: { dynamic: { ttl: 1s } } }
  - { app: agent, cadence: 2s, reload: { dynamic: { ttl: 2s } } }
  - { app: nightly, cadence: 3s, reload: { dynamic: { ttl: 3s } } }
usage: [{ gateway_log: {} }]
probes: [{ chat: { model: demo-small } }]
timing: { poll: 150ms, call_timeout: 2s, send_before: 5s, drain_window: 3s, soak: 1200ms, undo_drain: 3s, repeats: 2 }
accept: [local_state]
";

/// A sandbox, a state folder, and a policy.
pub(crate) struct Whole {
    pub(crate) dir: tempfile::TempDir,
    urls: Value,
    sandbox: Child,
    environment: Vec<(String, String)>,
}

impl Drop for Whole {
    fn drop(&mut self) {
        let _ = self.sandbox.kill();
        let _ = self.sandbox.wait();
    }
}

impl Whole {
    /// A sandbox with two replicas; nobody calls it yet.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut sandbox = Command::new(binary())
            .args(["sandbox", "serve", "--no-consumers", "--replicas", "2", "--dir"])
            .arg(dir.path().join("sandbox"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(sandbox.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { dir, urls: serde_json::from_str(&line).unwrap(), sandbox, environment: Vec::new() }
    }

    /// Where consumers call.
    pub(crate) fn data(&self) -> Vec<String> {
        self.urls["data"].as_array().unwrap().iter().map(|u| u.as_str().unwrap().to_owned()).collect()
    }

    /// The value that the key to be rotated has at the start.
    pub(crate) fn first_value(&self) -> String {
        let text = std::fs::read_to_string(self.urls["store"].as_str().unwrap()).unwrap();
        text.lines().find_map(|l| l.strip_prefix("GATEWAY_API_KEY=")).unwrap().to_owned()
    }

    /// A variable for every command.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.into(), value.into()));
    }

    /// Writes the policy with this slot, as YAML in one line.
    pub(crate) fn policy(&self, slot: &str) {
        let text = POLICY
            .replace("$ADMIN", self.urls["admin"].as_str().unwrap())
            .replace("$DATA", &self.data().join(", "))
            .replace("$CONTROL", self.urls["control"].as_str().unwrap())
            .replace("$LOG", self.urls["log"].as_str().unwrap())
            .replace("$SLOT", slot)
            .replace("$DIR", self.dir.path().join("sandbox").to_str().unwrap());
        std::fs::write(self.policy_file(), text).unwrap();
    }

    fn policy_file(&self) -> PathBuf {
        self.dir.path().join("policy.yaml")
    }

    /// The binary with our state folder.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg("--state").arg(self.dir.path().join("state")).args(args).envs(self.environment.clone());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// One command to its end.
    pub(crate) fn keyroll(&self, args: &[&str]) -> Said {
        Said::of(self.command(args).output().unwrap())
    }

    /// `run` with the policy.
    pub(crate) fn run(&self) -> Command {
        self.command(&["run", self.policy_file().to_str().unwrap()])
    }

    /// Records of the newest run.
    pub(crate) fn records(&self) -> Vec<Value> {
        let Some(journal) = self.journal() else { return Vec::new() };
        let text = std::fs::read_to_string(journal).unwrap_or_default();
        text.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok()).map(|mut l| l["record"].take()).collect()
    }

    fn journal(&self) -> Option<PathBuf> {
        let runs = std::fs::read_dir(self.dir.path().join("state/runs")).ok()?.flatten();
        let with_time = runs.filter_map(|r| Some((r.metadata().ok()?.modified().ok()?, r.path().join("journal.jsonl"))));
        with_time.max().map(|(_, path)| path)
    }

    /// Waits until the newest unfinished run says this, for at most a minute; false when the process ended before.
    pub(crate) fn wait_for(&self, running: &mut Child, wanted: impl Fn(&Value) -> bool) -> bool {
        for _ in 0..30_000 {
            let records = self.records();
            if records.iter().all(|r| r["finished"].is_null()) && records.iter().any(&wanted) {
                return true;
            }
            if running.try_wait().unwrap().is_some() {
                return self.records().iter().any(&wanted);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("the record did not come; the last one is {:?}", self.records().last());
    }

    /// No file of the state folder, and nothing that was said, holds one of these.
    pub(crate) fn holds_none(&self, secrets: &[String], said: &[&Said]) {
        let mut texts: Vec<(String, Vec<u8>)> = Vec::new();
        walk(&self.dir.path().join("state"), &mut texts);
        for said in said {
            texts.push(("said".into(), said.out.clone().into_bytes()));
            texts.push(("complained".into(), said.err.clone().into_bytes()));
        }
        assert!(texts.len() > 4, "too few texts to mean anything");
        let scrubber = keyroll::secret::Scrubber::new();
        for (i, secret) in secrets.iter().enumerate() {
            scrubber.add(&format!("secret {i}"), &keyroll::secret::SecretText::new(secret));
            // A search that cannot find shows nothing.
            assert!(!scrubber.find(format!("x{secret}y").as_bytes()).is_empty());
        }
        for (name, bytes) in &texts {
            let hits = scrubber.find(bytes);
            assert!(hits.is_empty(), "{name} holds a secret: {hits:?}");
        }
    }

    /// Production calls that the gateway refused, by its own log.
    pub(crate) fn refused(&self) -> Vec<String> {
        let mut refused = Vec::new();
        for file in std::fs::read_dir(self.urls["log"].as_str().unwrap()).unwrap().flatten() {
            for line in std::fs::read_to_string(file.path()).unwrap().lines() {
                let Ok(row) = serde_json::from_str::<Value>(line) else { continue };
                if row["purpose"] == "app" && (row["status"] == 401 || row["status"] == 403) {
                    refused.push(line.to_owned());
                }
            }
        }
        refused
    }

    /// Keys that a run left.
    pub(crate) fn orphans(&self) -> Vec<Value> {
        let said = self.keyroll(&["--output", "json", "orphans", self.policy_file().to_str().unwrap()]);
        serde_json::from_str::<Value>(&said.out).unwrap()["orphans"].as_array().unwrap().clone()
    }
}

/// Whether a record begins this effect.
pub(crate) fn began(record: &Value, effect: &str) -> bool {
    record["began"]["effect"].as_object().is_some_and(|o| o.contains_key(effect)) || record["began"]["effect"] == effect
}

/// Whether a record ends this effect.
pub(crate) fn ended(record: &Value, effect: &str) -> bool {
    record["ended"]["kind"] == effect
}

fn walk(dir: &Path, texts: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, texts);
        } else if path.file_name().is_some_and(|n| n != "fingerprint.key") {
            texts.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}
