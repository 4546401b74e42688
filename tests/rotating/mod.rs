//! A key in a slot, two callers that use it all the time and say what they hold, a state folder, and the binary.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses a part of this")]

use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::common::{Said, binary};

/// Finds the id of the key that a value is of.
pub(crate) type IdOf = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What callers heard.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) served: usize,
    pub(crate) other: Vec<String>,
}

/// One slot and everything around it.
pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) old: String,
    admin: String,
    stop: Arc<AtomicBool>,
    heard: Arc<Mutex<Heard>>,
    callers: Vec<JoinHandle<()>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for caller in self.callers.drain(..) {
            let _its_counts_stand = caller.join();
        }
    }
}

/// The policy, with what differs put in.
pub(crate) struct Policy<'a> {
    /// As YAML in one line.
    pub(crate) gateway: &'a str,
    pub(crate) model: &'a str,
    pub(crate) accept: &'a str,
    pub(crate) drain: &'a str,
    /// More items that the evidence must have.
    pub(crate) evidence: &'a str,
}

impl Place {
    /// Callers begin at once.
    pub(crate) fn new(old: &str, admin: &str, data: &str, model: &'static str, id_of: IdOf) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let slot = dir.path().join(".env");
        fs::write(&slot, format!("OTHER=1\nKEY={old}\n")).unwrap();
        fs::set_permissions(&slot, fs::Permissions::from_mode(0o600)).unwrap();
        let (stop, heard) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Heard::default())));
        let callers = ["web", "worker"].map(|app| {
            let (stop, heard, id_of, data) = (stop.clone(), heard.clone(), id_of.clone(), data.to_owned());
            let (slot, ack) = (slot.clone(), dir.path().join(format!("{app}.json")));
            thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    let Some(value) = held(&slot) else { return };
                    acknowledge(&ack, id_of(&value));
                    let said = chat(&data, &value, model, app);
                    let mut heard = heard.lock().unwrap();
                    match said {
                        Some((200, _)) => heard.served += 1,
                        said => heard.other.push(format!("{app}: {said:?}")),
                    }
                    drop(heard);
                    thread::sleep(Duration::from_millis(120));
                }
            })
        });
        Self { dir, old: old.into(), admin: admin.into(), stop, heard, callers: callers.into() }
    }

    pub(crate) fn policy(&self, policy: &Policy<'_>) {
        let dir = self.dir.path().display();
        let text = format!(
            "version: 1
rotation:
  credential: app
  owner: team-a
  environment: development
  reason: scheduled
  evidence: {{ old_key_negative_test: required{evidence} }}
gateway: {gateway}
slots: [{{ file: {{ path: {dir}/.env, name: KEY }} }}]
consumers:
  - {{ app: web, cadence: continuous, reload: {{ dynamic: {{ ttl: 100ms }} }}, ack: {{ version_file: {dir}/web.json }} }}
  - {{ app: worker, cadence: continuous, reload: {{ dynamic: {{ ttl: 100ms }} }}, ack: {{ version_file: {dir}/worker.json }} }}
usage: [{{ gateway_log: {{}} }}]
probes: [{{ chat: {{ model: {model} }} }}]
timing: {{ poll: 200ms, call_timeout: 3s, send_before: 5s, drain_window: {drain}, soak: 1s, undo_drain: {drain}, repeats: 2 }}
accept: [local_state{accept}]
",
            gateway = policy.gateway,
            model = policy.model,
            accept = policy.accept,
            drain = policy.drain,
            evidence = policy.evidence,
        );
        fs::write(self.file(), text).unwrap();
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("policy.yaml")
    }

    /// One command to its end.
    pub(crate) fn keyroll(&self, args: &[&str]) -> Said {
        // A process that waits for ever ends with 124.
        let mut command = Command::new("timeout");
        command
            .args(["-k", "5", "90"])
            .arg(binary())
            .arg("--state")
            .arg(self.dir.path().join("state"))
            .args(args)
            .current_dir(self.dir.path());
        Said::of(command.env("ADMIN", &self.admin).stdin(Stdio::null()).output().unwrap())
    }

    pub(crate) fn plan(&self) -> Said {
        self.keyroll(&["plan", "policy.yaml"])
    }

    /// From the plan to wherever it gets in this time.
    pub(crate) fn run(&self, seconds: u32) -> Said {
        self.keyroll(&["--timeout", &format!("{seconds}s"), "run", "--wait", "policy.yaml"])
    }

    /// Up to the end of flip, and what no usage here can show waived by name: from here on a run goes on by itself.
    pub(crate) fn flipped(&self) {
        self.until_flip();
        self.waive();
    }

    /// Up to the end of flip.
    pub(crate) fn until_flip(&self) {
        self.keyroll(&["--timeout", "60s", "run", "--wait", "--until", "flip", "policy.yaml"]).ends(11);
    }

    /// What no usage here can show.
    pub(crate) fn waive(&self) {
        let run = self.run_id();
        for point in ["drained", "before_disable", "before_delete"] {
            let waiver = format!("{point}/unknown_callers");
            self.keyroll(&["--timeout", "1s", "amend", &run, "--waive", &waiver, "--reason", "its usage names no callers"]);
        }
    }

    pub(crate) fn resume(&self, seconds: u32) -> Said {
        self.keyroll(&["--timeout", &format!("{seconds}s"), "resume", "--wait", &self.run_id()])
    }

    /// A whole rotation.
    pub(crate) fn rotate(&self) {
        self.flipped();
        let ended = |r: &Value| r.get("finished").is_some();
        if !self.records().iter().any(ended) {
            self.resume(60).ends(0);
        }
        assert!(self.records().iter().any(|r| r["finished"]["end"] == "done"), "{:?}", self.records().last());
    }

    /// Back from hold.
    pub(crate) fn roll_back(&self) {
        self.until_flip();
        assert_ne!(self.slot(), self.old);
        self.keyroll(&["--timeout", "60s", "rollback", "--wait", &self.run_id()]).ends(0);
    }

    pub(crate) fn run_id(&self) -> String {
        let run = fs::read_dir(self.dir.path().join("state/runs")).unwrap().next().unwrap().unwrap();
        run.file_name().into_string().unwrap()
    }

    pub(crate) fn records(&self) -> Vec<Value> {
        let Ok(mut runs) = fs::read_dir(self.dir.path().join("state/runs")) else { return Vec::new() };
        let Some(Ok(run)) = runs.next() else { return Vec::new() };
        let text = fs::read_to_string(run.path().join("journal.jsonl")).unwrap_or_default();
        text.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok()).map(|mut l| l["record"].take()).collect()
    }

    /// Everything the run said, as one text.
    pub(crate) fn story(&self) -> String {
        self.records().iter().map(|r| format!("{r}\n")).collect()
    }

    pub(crate) fn slot(&self) -> String {
        held(&self.dir.path().join(".env")).unwrap()
    }

    /// Every call of the callers was served so far.
    pub(crate) fn nobody_was_refused(&self) -> usize {
        let heard = self.heard.lock().unwrap();
        assert!(heard.other.is_empty(), "beside {} served: {:?}", heard.served, heard.other);
        assert!(heard.served > 10, "only {} calls", heard.served);
        heard.served
    }

    /// Neither the state nor what was said holds one of these.
    pub(crate) fn holds_none(&self, secrets: &[String], said: &[&Said]) {
        let mut texts: Vec<String> = said.iter().flat_map(|s| [s.out.clone(), s.err.clone()]).collect();
        let mut folders = vec![self.dir.path().join("state")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                } else {
                    texts.push(String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned());
                }
            }
        }
        assert!(texts.len() > 3);
        for secret in secrets.iter().chain([&self.admin]) {
            assert!(!secret.is_empty() && texts.iter().all(|text| !text.contains(secret.as_str())), "a secret was written or said");
        }
    }
}

fn held(slot: &Path) -> Option<String> {
    let text = fs::read_to_string(slot).ok()?;
    text.lines().find_map(|l| l.strip_prefix("KEY=")).map(str::to_owned)
}

fn acknowledge(file: &Path, id: Option<String>) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let new = file.with_extension("new");
    if fs::write(&new, json!({"loaded_at": u64::try_from(now).unwrap(), "key_id": id}).to_string()).is_ok() {
        let _the_folder_may_be_gone = fs::rename(&new, file);
    }
}

/// One call of an application; its status and the body.
pub(crate) fn chat(data: &str, key: &str, model: &str, app: &str) -> Option<(u16, String)> {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "hello"}]}).to_string();
    let (host, path) = data.trim_start_matches("http://").split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let head = format!(
        "POST /{path}/chat/completions HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\nuser-agent: {app}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer))
}

/// One request of anybody; its status and the body.
pub(crate) fn ask(method: &str, url: &str, headers: &str, body: &str) -> (u16, String) {
    let (host, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let kind = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
    let head = format!(
        "{method} /{path} HTTP/1.1\r\nhost: {host}\r\n{headers}{kind}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

/// What a command said is looked into.
pub(crate) trait Says {
    /// This stands in what it said or complained.
    fn says(&self, text: &str) -> &Self;
}

impl Says for Said {
    fn says(&self, text: &str) -> &Self {
        assert!(self.out.contains(text) || self.err.contains(text), "{text:?} is missing\nstdout: {}\nstderr: {}", self.out, self.err);
        self
    }
}
