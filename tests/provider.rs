//! The key behind the gateway, rotated through the binary on a sandbox that is a process of its own, while its consumers call.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may")]

mod common;

use common::{Place, Said, binary};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const POLICY: &str = r#"
version: 1
rotation: { credential: upstream, owner: platform-ai, environment: development, reason: vendor-change }
gateway:
  sandbox:
    admin: $ADMIN
    data: [$DATA]
    control: $CONTROL
    log: $LOG
    admin_key: { file: $DIR/admin.key }
    provider_key:
      name: upstream-main
      issuer: $ISSUER
      models: $MODELS
      $SECRET
consumers:
  - { app: web, cadence: continuous, reload: { dynamic: { ttl: 100ms } } }
  - { app: worker, cadence: 1s, reload: { dynamic: { ttl: 1s } } }
  - { app: nightly, cadence: 3s, reload: { dynamic: { ttl: 3s } } }
  - { app: batch, cadence: 1s, reload: { by: hand } }
usage: [{ gateway_log: {} }]
probes: [{ chat: { model: demo-small } }, { embeddings: { model: demo-embed } }]
timing: { poll: 150ms, call_timeout: 500ms, send_before: 5s, drain_window: 3s, soak: 1500ms, undo_drain: 2s, repeats: 2 }
accept: [$ACCEPT]
"#;

/// What one test changes in the policy.
struct Shape<'a> {
    issuer: &'a str,
    models: &'a str,
    secret: &'a str,
    accept: &'a str,
}

const COMMAND: Shape<'_> = Shape { issuer: "", models: "all-referencing", secret: "", accept: "local_state" };

/// A sandbox with a policy for its provider key.
struct Upstream {
    place: Place,
    old: String,
}

impl Upstream {
    fn new(shape: &Shape<'_>) -> Self {
        let place = Place::new();
        let dir = place.dir.path().join("sandbox");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/issue-demo-upstream-key.sh");
        let command = format!("{{ command: [{script}, {}] }}", dir.display());
        let data: Vec<&str> = place.urls["data"].as_array().unwrap().iter().map(|u| u.as_str().unwrap()).collect();
        let text = POLICY
            .replace("$ISSUER", if shape.issuer.is_empty() { &command } else { shape.issuer })
            .replace("$SECRET", shape.secret)
            .replace("$MODELS", shape.models)
            .replace("$ACCEPT", shape.accept)
            .replace("$ADMIN", place.urls["admin"].as_str().unwrap())
            .replace("$DATA", &data.join(", "))
            .replace("$CONTROL", place.urls["control"].as_str().unwrap())
            .replace("$LOG", place.urls["log"].as_str().unwrap())
            .replace("$DIR", place.dir.path().join("sandbox").to_str().unwrap())
            .replace("$TMP", place.dir.path().to_str().unwrap());
        fs::write(place.policy(), text).unwrap();
        let mut upstream = Self { place, old: String::new() };
        upstream.old = upstream.keys()[0].clone();
        upstream
    }

    fn admin_key(&self) -> String {
        fs::read_to_string(self.place.dir.path().join("sandbox/admin.key")).unwrap()
    }

    fn admin(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        http(method, &format!("{}/admin/{path}", self.place.urls["admin"].as_str().unwrap()), &self.admin_key(), body)
    }

    /// The provider's own side: its issuer.
    fn provider(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        http(method, &format!("{}/upstream/v1/keys{path}", self.place.urls["data"][0].as_str().unwrap()), &self.admin_key(), body)
    }

    /// Ids of the gateway's provider keys.
    fn keys(&self) -> Vec<String> {
        let (_, body) = self.admin("GET", "provider-keys", None);
        body["data"].as_array().unwrap().iter().map(|k| k["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Where each model points.
    fn models(&self) -> Vec<(String, String)> {
        let (_, body) = self.admin("GET", "models", None);
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        body["data"].as_array().unwrap().iter().map(|m| (text(&m["name"]), text(&m["provider_key_id"]))).collect()
    }

    fn add_model_on_old(&self) {
        let body = json!({"name": "demo-late", "provider": "sandbox-upstream", "provider_key_id": self.old});
        assert_eq!(self.admin("POST", "models", Some(body)).0, 201);
    }

    fn killed_after(&self, wanted: impl Fn(&Value) -> bool) {
        let run = self.place.run(&[]).spawn().unwrap();
        self.place.wait_for(wanted);
        kill(run);
    }

    /// A second run of the same policy must not be begun; this one is over.
    #[track_caller]
    fn rotated(&self, models: usize) {
        let keys = self.keys();
        assert_eq!(keys.len(), 1, "the old key is gone from the gateway, and no other is left: {keys:?}");
        assert!(!keys.contains(&self.old));
        let pointing = self.models();
        assert_eq!(pointing.len(), models);
        assert!(pointing.iter().all(|(_, at)| *at == keys[0]), "{pointing:?}");
        self.nobody_failed();
        self.verifies();
    }

    /// Every call of every consumer was served, by the gateway's log and by the consumers' own.
    #[track_caller]
    fn nobody_failed(&self) {
        let mut files: Vec<PathBuf> = fs::read_dir(self.place.urls["log"].as_str().unwrap()).unwrap().flatten().map(|e| e.path()).collect();
        files.push(self.place.dir.path().join("sandbox/consumers.jsonl"));
        let mut calls = 0;
        for file in files {
            for line in fs::read_to_string(file).unwrap().lines() {
                let Ok(row) = serde_json::from_str::<Value>(line) else { continue };
                if row["purpose"].as_str().is_none_or(|p| p == "app") {
                    calls += 1;
                    assert_eq!(row["status"], 200, "{line}");
                }
            }
        }
        assert!(calls > 50, "the consumers called: {calls}");
    }

    fn run_dir(&self) -> PathBuf {
        fs::read_dir(self.place.dir.path().join("state/runs")).unwrap().next().unwrap().unwrap().path()
    }

    #[track_caller]
    fn verifies(&self) {
        self.place.keyroll(&["evidence", "verify", self.run_dir().join("bundle").to_str().unwrap()]).ends(0);
    }

    fn bundle(&self, file: &str) -> Value {
        serde_json::from_str(&fs::read_to_string(self.run_dir().join("bundle").join(file)).unwrap()).unwrap()
    }

    fn gaps(&self) -> String {
        self.bundle("gaps.json").to_string()
    }

    fn ended(&self) -> Vec<String> {
        self.place.records().iter().filter_map(|r| r["ended"]["kind"].as_str().map(str::to_owned)).collect()
    }

    fn count(&self, kind: &str) -> usize {
        self.ended().iter().filter(|k| *k == kind).count()
    }
}

fn kill(mut run: Child) {
    run.kill().unwrap();
    run.wait().unwrap();
}

fn ended(kind: &str) -> impl Fn(&Value) -> bool {
    move |r| r["ended"]["kind"] == kind
}

/// One request over a connection of its own.
fn http(method: &str, url: &str, bearer: &str, body: Option<Value>) -> (u16, Value) {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let body = body.map(|b| b.to_string()).unwrap_or_default();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "{method} /{path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {bearer}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

#[test]
fn a_whole_rotation_serves_every_call_and_ends_dereferenced() {
    let upstream = Upstream::new(&COMMAND);
    let plan = upstream.place.keyroll(&["plan", upstream.place.policy().to_str().unwrap()]);
    plan.ends(0);
    assert!(plan.out.contains("provider key") && plan.out.contains("repoint model demo-small"), "{}", plan.out);
    assert!(plan.out.contains("only this gateway's use was observed"), "{}", plan.out);
    let said = Said::of(upstream.place.run(&[]).output().unwrap());
    said.ends(0);
    assert!(format!("{}{}", said.out, said.err).contains("platform-ai revokes it at the provider"), "{}{}", said.out, said.err);
    upstream.rotated(2);
    let test = upstream.bundle("negative-test.json");
    assert_eq!(test["end_state"], "dereferenced-upstream-alive");
    assert!(test["words"].as_str().unwrap().contains("platform-ai revokes it there by 20"), "{test}");
    // The issuer was asked once, and what it made is the one key that is used.
    let (_, issued) = upstream.provider("GET", "", None);
    assert_eq!(issued["data"].as_array().unwrap().len(), 2);
    assert!(!upstream.gaps().contains("issued in vain"));
    let redaction = upstream.bundle("redaction.json");
    assert!(redaction["loaded"].as_array().unwrap().contains(&json!("new")), "{redaction}");
    // Lineage: the next run finds the new key under the same name.
    Said::of(upstream.place.run(&[]).output().unwrap()).ends(0);
    assert_eq!(upstream.keys().len(), 1);
    upstream.nobody_failed();
}

#[test]
fn killed_while_the_issuer_is_asked_it_looks_and_names_what_may_be_left_at_the_provider() {
    let upstream = Upstream::new(&COMMAND);
    upstream.killed_after(|r| !r["began"]["effect"]["mint"].is_null());
    Said::of(upstream.place.command(&["resume"]).output().unwrap()).ends(0);
    upstream.rotated(2);
    assert!(upstream.place.records().iter().filter(|r| !r["began"]["effect"]["mint"].is_null()).count() >= 2);
    assert!(upstream.gaps().contains("issued in vain"), "{}", upstream.gaps());
    assert!(upstream.place.marked().is_empty());
}

#[test]
fn killed_before_the_flip_the_lost_value_is_made_again() {
    let upstream = Upstream::new(&COMMAND);
    upstream.killed_after(ended("mint"));
    Said::of(upstream.place.command(&["resume"]).output().unwrap()).ends(0);
    upstream.rotated(2);
    assert_eq!((upstream.count("discard"), upstream.count("mint")), (1, 2));
    assert!(upstream.gaps().contains("issued in vain"));
}

#[test]
fn killed_in_the_middle_of_the_flip_a_person_lets_the_lost_needle_go() {
    let upstream = Upstream::new(&COMMAND);
    upstream.killed_after(ended("repoint"));
    let asked = Said::of(upstream.place.command(&["resume"]).output().unwrap());
    asked.ends(11);
    assert!(asked.err.contains("searchable") || asked.out.contains("searchable"), "{}{}", asked.out, asked.err);
    upstream.place.keyroll(&["amend", "--waive", "complete/searchable", "--reason", "the process was killed"]).ends(0);
    upstream.rotated(2);
    assert_eq!(upstream.count("mint"), 1, "the value in use is never asked for again");
    let redaction = upstream.bundle("redaction.json");
    let not_searched = redaction["not_searched"].to_string();
    assert!(not_searched.contains("one process only"), "{redaction}");
    assert!(upstream.gaps().contains("check searchable at complete was waived"), "{}", upstream.gaps());
}

#[test]
fn killed_while_the_old_key_is_off_it_goes_on_as_the_policy_allows() {
    let upstream = Upstream::new(&Shape { accept: "local_state, lost_value_not_searched", ..COMMAND });
    upstream.killed_after(ended("disable_old"));
    Said::of(upstream.place.command(&["resume"]).output().unwrap()).ends(0);
    upstream.rotated(2);
}

#[test]
fn rollback_from_hold_puts_every_model_back_and_removes_the_new_key() {
    let upstream = Upstream::new(&COMMAND);
    let before = upstream.models();
    upstream.killed_after(|r| r["moved"]["to"] == "hold");
    assert_ne!(upstream.models(), before);
    upstream.place.keyroll(&["rollback", "--reason", "test"]).ends(0);
    assert_eq!(upstream.models(), before);
    assert_eq!(upstream.keys(), std::slice::from_ref(&upstream.old));
    upstream.nobody_failed();
    upstream.verifies();
    assert!(upstream.gaps().contains("issued in vain"), "the new value may be alive at the provider: {}", upstream.gaps());
}

#[test]
fn a_model_that_comes_later_is_carried_along() {
    let upstream = Upstream::new(&COMMAND);
    let run = upstream.place.run(&[]).spawn().unwrap();
    upstream.place.wait_for(|r| r["moved"]["to"] == "hold");
    upstream.add_model_on_old();
    Said::of(run.wait_with_output().unwrap()).ends(0);
    upstream.rotated(3);
    let flips = upstream.place.records().iter().filter(|r| r["moved"]["to"] == "flip").count();
    assert_eq!((flips, upstream.count("repoint")), (2, 3));
}

#[test]
fn a_model_that_comes_while_the_old_key_is_off_is_helped_first() {
    let upstream = Upstream::new(&COMMAND);
    let run = upstream.place.run(&[]).spawn().unwrap();
    upstream.place.wait_for(ended("disable_old"));
    upstream.add_model_on_old();
    Said::of(run.wait_with_output().unwrap()).ends(0);
    upstream.rotated(3);
    let order = upstream.ended();
    let at = |kind: &str| order.iter().rposition(|k| k == kind).unwrap();
    assert!(at("enable_old") < at("repoint") && at("repoint") < at("disable_old"), "{order:?}");
}

#[test]
fn a_list_blocks_until_a_person_lets_the_new_model_move() {
    let upstream = Upstream::new(&Shape { models: "[demo-small, demo-embed]", ..COMMAND });
    let run = upstream.place.run(&[]).spawn().unwrap();
    upstream.place.wait_for(|r| r["moved"]["to"] == "hold");
    upstream.add_model_on_old();
    let blocked = Said::of(run.wait_with_output().unwrap());
    blocked.ends(11);
    assert!(format!("{}{}", blocked.out, blocked.err).contains("demo-late"), "{}{}", blocked.out, blocked.err);
    assert_eq!(upstream.count("disable_old"), 0);
    let amended = upstream.place.keyroll(&["amend", "--reason", "it may move"]);
    // A person's word voids what was shown before: the lost value cannot show it again.
    assert!(matches!(amended.code, Some(0 | 10 | 11)), "{}{}", amended.out, amended.err);
    assert!(upstream.models().iter().all(|(name, _)| name != "demo-gone"));
    upstream.nobody_failed();
}

#[test]
fn with_the_old_value_known_the_end_is_the_providers_own_refusal() {
    let shape = Shape { issuer: "{ file: $TMP/next }", secret: "secret: { file: $TMP/now }", ..COMMAND };
    let upstream = Upstream::new(&shape);
    let tmp = upstream.place.dir.path();
    let state: Value = serde_json::from_str(&fs::read_to_string(tmp.join("sandbox/state.json")).unwrap()).unwrap();
    let (id, key) = state["upstream"].as_object().unwrap().iter().next().unwrap();
    fs::write(tmp.join("now"), key["secret"].as_str().unwrap()).unwrap();
    let (_, issued) = upstream.provider("POST", "", Some(json!({"name": "next"})));
    fs::write(tmp.join("next"), issued["secret"].as_str().unwrap()).unwrap();
    // Killed on the way: a file can be read again, so every check stays possible.
    upstream.killed_after(ended("repoint"));
    let alive = Said::of(upstream.place.command(&["resume"]).output().unwrap());
    alive.ends(11);
    assert!(format!("{}{}", alive.out, alive.err).contains("revoke it at the provider"), "{}{}", alive.out, alive.err);
    assert_eq!(upstream.provider("PATCH", &format!("/{id}"), Some(json!({"enabled": false}))).0, 200);
    Said::of(upstream.place.command(&["resume"]).output().unwrap()).ends(0);
    upstream.rotated(2);
    assert_eq!(upstream.bundle("negative-test.json")["end_state"], "rejected-proven");
    assert_eq!(upstream.count("mint"), 1);
    let redaction = upstream.bundle("redaction.json");
    assert!(["old", "new"].iter().all(|l| redaction["loaded"].as_array().unwrap().contains(&json!(l))), "{redaction}");
}

#[test]
fn the_quickstart_takes_less_than_a_minute() {
    let dir = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["runbooks", "examples"] {
        Command::new("cp").arg("-r").arg(root.join(folder)).arg(dir.path()).status().unwrap();
    }
    let began = Instant::now();
    let mut command = Command::new(binary());
    command.args(["run", "runbooks/provider-quickstart.yaml"]).current_dir(dir.path()).stdin(Stdio::null());
    let said = Said::of(command.output().expect("it runs"));
    said.ends(0);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    let all = format!("{}{}", said.out, said.err);
    assert!(all.contains("no consumer request was refused"), "{all}");
}
