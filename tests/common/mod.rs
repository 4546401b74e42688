//! A sandbox as its own process, a state folder, and the binary.

#![allow(dead_code, reason = "each test binary uses its part")]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may")]

use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

/// The binary under test; an optimised one where the caller has it.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("KEYROLL_BIN").map_or_else(|| env!("CARGO_BIN_EXE_keyroll").into(), PathBuf::from)
}

pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) urls: Value,
    sandbox: Child,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.sandbox.kill();
        let _ = self.sandbox.wait();
    }
}

impl Place {
    /// A sandbox with two replicas, its consumers calling, and a policy for it.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut sandbox = Command::new(binary())
            .args(["sandbox", "serve", "--replicas", "2", "--dir"])
            .arg(dir.path().join("sandbox"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .stdin(Stdio::null())
            .spawn()
            .expect("the sandbox starts");
        let mut line = String::new();
        BufReader::new(sandbox.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let urls: Value = serde_json::from_str(&line).expect("the sandbox prints its addresses");
        let place = Self { dir, urls, sandbox };
        let data: Vec<String> = place.urls["data"].as_array().unwrap().iter().map(|u| u.as_str().unwrap().to_owned()).collect();
        let text = include_str!("../kill/policy.yaml")
            // These tests share the machine with others; an answer may take its time.
            .replace("call_timeout: 500ms", "call_timeout: 3s")
            .replace("$ADMIN", place.urls["admin"].as_str().unwrap())
            .replace("$DATA", &data.join(", "))
            .replace("$CONTROL", place.urls["control"].as_str().unwrap())
            .replace("$LOG", place.urls["log"].as_str().unwrap())
            .replace("$STORE", place.urls["store"].as_str().unwrap())
            .replace("$DIR", place.dir.path().join("sandbox").to_str().unwrap());
        fs::write(place.policy(), text).unwrap();
        // The consumers' first calls must be in the log before the first plan is made.
        thread::sleep(Duration::from_millis(1500));
        place
    }

    pub(crate) fn policy(&self) -> PathBuf {
        self.dir.path().join("policy.yaml")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.env("KEYROLL_STATE", self.dir.path().join("state")).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn keyroll(&self, args: &[&str]) -> Said {
        Said::of(self.command(args).output().unwrap())
    }

    pub(crate) fn run(&self, more: &[&str]) -> Command {
        let policy = self.policy();
        let mut args = vec!["run", policy.to_str().unwrap()];
        args.extend(more);
        self.command(&args)
    }

    /// The gateway answers nobody until it goes on.
    pub(crate) fn pause(&self) {
        assert!(Command::new("kill").args(["-STOP", &self.sandbox.id().to_string()]).status().unwrap().success());
    }

    /// It answers again.
    pub(crate) fn go_on(&self) {
        assert!(Command::new("kill").args(["-CONT", &self.sandbox.id().to_string()]).status().unwrap().success());
    }

    /// Switches a fault of the sandbox.
    pub(crate) fn fault(&self, name: &str, args: Value) {
        let body = serde_json::json!({ "name": name, "on": true, "args": args }).to_string();
        let (status, said) = http("POST", &format!("{}/faults", self.urls["control"].as_str().unwrap()), "", &body);
        assert_eq!(status, 200, "{said}");
    }

    /// What the data plane says to a key, at every replica.
    pub(crate) fn tries(&self, key: &str) -> Vec<u16> {
        let body = r#"{"model":"demo-small","messages":[{"role":"user","content":"hi"}]}"#;
        let data = self.urls["data"].as_array().unwrap();
        data.iter().map(|url| http("POST", &format!("{}/v1/chat/completions", url.as_str().unwrap()), key, body).0).collect()
    }

    /// What each consumer says of itself.
    pub(crate) fn consumers(&self) -> Vec<Value> {
        let (_, body) = http("GET", &format!("{}/consumers", self.urls["control"].as_str().unwrap()), "", "");
        let all: Value = serde_json::from_str(&body).unwrap();
        all["consumers"].as_array().unwrap_or_else(|| all.as_array().unwrap()).clone()
    }

    /// Adds a line to the policy.
    pub(crate) fn add(&self, line: &str) {
        let text = fs::read_to_string(self.policy()).unwrap();
        fs::write(self.policy(), text + line + "\n").unwrap();
    }

    /// The value that consumers read.
    pub(crate) fn slot(&self) -> String {
        let text = fs::read_to_string(self.urls["store"].as_str().unwrap()).unwrap();
        text.lines().find_map(|l| l.strip_prefix("GATEWAY_API_KEY=")).unwrap().to_owned()
    }

    /// The records of the only run.
    pub(crate) fn records(&self) -> Vec<Value> {
        let Ok(mut runs) = fs::read_dir(self.dir.path().join("state/runs")) else { return Vec::new() };
        let Some(Ok(run)) = runs.next() else { return Vec::new() };
        let text = fs::read_to_string(run.path().join("journal.jsonl")).unwrap_or_default();
        text.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok()).map(|mut l| l["record"].take()).collect()
    }

    /// Waits until a record is there, a minute at most.
    pub(crate) fn wait_for(&self, wanted: impl Fn(&Value) -> bool) {
        for _ in 0..6000 {
            if self.records().iter().any(&wanted) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let last = self.records().last().cloned();
        assert!(last.is_none(), "the record did not come; the last one is {last:?}");
    }

    /// Production calls that were refused, from the gateway's log.
    pub(crate) fn refused(&self) -> Vec<String> {
        let mut refused = Vec::new();
        for file in fs::read_dir(self.urls["log"].as_str().unwrap()).unwrap().flatten() {
            for line in fs::read_to_string(file.path()).unwrap().lines() {
                let Ok(row) = serde_json::from_str::<Value>(line) else { continue };
                if row["purpose"] == "app" && (row["status"] == 401 || row["status"] == 403) {
                    refused.push(line.to_owned());
                }
            }
        }
        refused
    }

    /// Ids of the keys that carry a run's marker.
    pub(crate) fn marked(&self) -> Vec<Value> {
        let policy = self.policy();
        let said = self.keyroll(&["--output", "json", "orphans", policy.to_str().unwrap()]);
        serde_json::from_str::<Value>(&said.out).unwrap()["orphans"].as_array().unwrap().clone()
    }
}

/// One small request: status and body.
pub(crate) fn http(method: &str, url: &str, bearer: &str, body: &str) -> (u16, String) {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap_or((url, ""));
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!("{method} /{path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {bearer}\r\nconnection: close\r\n");
    let length = body.len();
    write!(stream, "{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap();
    (status, answer.split_once("\r\n\r\n").map(|(_, b)| b.to_owned()).unwrap_or_default())
}

/// What a command said.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn of(output: Output) -> Self {
        let text = |b: Vec<u8>| String::from_utf8_lossy(&b).into_owned();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    pub(crate) fn ends(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }
}

/// The binary without any place.
pub(crate) fn keyroll(args: &[&str], dir: &Path) -> Said {
    Said::of(Command::new(binary()).args(args).current_dir(dir).stdin(Stdio::null()).output().unwrap())
}
