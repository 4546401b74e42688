//! Whole rotations on real LiteLLM: two instances over one PostgreSQL, consumers calling both of them all the time.
//!
//! Each scenario has a key, a slot, consumers and a state folder of its own; those of one test share the servers.
//! The feature `slow` adds a rotation with the default cache of a minute.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout, unreachable_pub, reason = "a test may")]

mod common;
#[path = "servers/litellm.rs"]
mod litellm;
mod servers;

use common::{Said, binary};
use litellm::{Interferer, MASTER, World};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// One key, the slot that holds it, and who uses it.
struct Place<'w> {
    world: &'w World,
    name: &'static str,
    dir: PathBuf,
    old: String,
    old_id: String,
    consumers: Consumers,
}

/// Two callers, each calling both instances in turn with the value that the slot holds.
struct Consumers {
    stop: Arc<AtomicBool>,
    calls: Arc<Mutex<Calls>>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Calls {
    served: usize,
    refused: Vec<String>,
    lost: usize,
}

impl Consumers {
    fn start(ports: [u16; 2], slot: PathBuf) -> Self {
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Calls::default())));
        let threads = ["web", "batch"].into_iter().map(|name| {
            let (stop, calls, slot) = (stop.clone(), calls.clone(), slot.clone());
            thread::spawn(move || {
                for port in ports.into_iter().cycle() {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    // The folder goes when a test fails.
                    let Some(value) = held(&slot) else { return };
                    let body = json!({"model": "demo-small", "user": name, "messages": [{"role": "user", "content": "hello"}]});
                    let answer = litellm::call(port, "POST", "/v1/chat/completions", &value, &[("user-agent", name)], Some(&body));
                    let mut calls = calls.lock().unwrap();
                    match answer {
                        Some((200, _)) => calls.served += 1,
                        Some((status, body)) => calls.refused.push(format!("{name} at {port}: {status} {body}")),
                        None => calls.lost += 1,
                    }
                    drop(calls);
                    thread::sleep(Duration::from_millis(700));
                }
            })
        });
        Self { threads: threads.collect(), stop, calls }
    }
}

fn held(slot: &std::path::Path) -> Option<String> {
    let text = fs::read_to_string(slot).ok()?;
    text.lines().find_map(|l| l.strip_prefix("GATEWAY_API_KEY=")).map(str::to_owned)
}

impl<'w> Place<'w> {
    /// A key that may do what `more` says, in its slot, and used.
    fn new(world: &'w World, name: &'static str, more: Value) -> Self {
        let dir = world.dir.path().join(name);
        fs::create_dir(&dir).unwrap();
        let old = format!("sk-old-{name}-0123456789abcdef");
        let old_id = world.key(&old, name, more);
        fs::write(dir.join(".env"), format!("OTHER=1\nGATEWAY_API_KEY={old}\n")).unwrap();
        fs::set_permissions(dir.join(".env"), fs::Permissions::from_mode(0o600)).unwrap();
        let consumers = Consumers::start(world.ports, dir.join(".env"));
        let place = Self { world, name, dir, old, old_id, consumers };
        place.policy(&world.url(0), "cache_ttl: 2s, log_lag: 4s, ", "drain_window: 4s, soak: 3s, undo_drain: 4s");
        place.wait_until(30, "the consumers call", || place.consumers.calls.lock().unwrap().served >= 4);
        // Their first calls must be in the log before the first plan is made.
        thread::sleep(Duration::from_secs(3));
        place
    }

    fn policy(&self, admin: &str, gateway: &str, timing: &str) {
        let text = format!(
            "version: 1
rotation: {{ credential: {name}, owner: platform-ai, environment: development, reason: scheduled }}
gateway:
  litellm: {{ url: \"{admin}\", admin: {{ env: LITELLM_MASTER_KEY }}, {gateway}replicas: [\"{one}\", \"{two}\"] }}
slots: [{{ file: {{ path: {slot}, name: GATEWAY_API_KEY }} }}]
consumers:
  - {{ app: web, cadence: continuous, reload: {{ dynamic: {{ ttl: 1s }} }} }}
  - {{ app: batch, cadence: continuous, reload: {{ dynamic: {{ ttl: 1s }} }} }}
usage: [{{ gateway_log: {{}} }}]
probes: [{{ chat: {{ model: demo-small }} }}]
timing: {{ poll: 500ms, call_timeout: 10s, send_before: 3s, repeats: 2, {timing} }}
accept: [local_state]
",
            name = self.name,
            one = self.world.url(0),
            two = self.world.url(1),
            slot = self.dir.join(".env").display(),
        );
        fs::write(self.dir.join("policy.yaml"), text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg("--state").arg(self.dir.join("state")).args(args).current_dir(&self.dir);
        command.env("LITELLM_MASTER_KEY", MASTER).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn keyroll(&self, args: &[&str]) -> Said {
        Said::of(self.command(args).output().unwrap())
    }

    fn records(&self) -> Vec<Value> {
        let Ok(mut runs) = fs::read_dir(self.dir.join("state/runs")) else { return Vec::new() };
        let Some(Ok(run)) = runs.next() else { return Vec::new() };
        let text = fs::read_to_string(run.path().join("journal.jsonl")).unwrap_or_default();
        text.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok()).map(|mut l| l["record"].take()).collect()
    }

    fn run_id(&self) -> String {
        let run = fs::read_dir(self.dir.join("state/runs")).unwrap().next().unwrap().unwrap();
        run.file_name().to_string_lossy().into_owned()
    }

    fn wait_until(&self, seconds: u64, what: &str, holds: impl Fn() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < Duration::from_secs(seconds), "{}: {what}: not within {seconds} s", self.name);
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn slot(&self) -> String {
        held(&self.dir.join(".env")).unwrap()
    }

    /// The keys of this place: the old one, and every one that a run named after it.
    fn keys(&self) -> Vec<Value> {
        let ours = |key: &Value| key["key_alias"].as_str().is_some_and(|a| a.split(' ').next() == Some(self.name));
        self.world.keys().into_iter().filter(ours).collect()
    }

    /// Ends the consumers: none of their calls may have been refused.
    fn nobody_was_refused(&mut self) -> usize {
        self.consumers.stop.store(true, Ordering::SeqCst);
        for thread in self.consumers.threads.drain(..) {
            thread.join().unwrap();
        }
        let calls = self.consumers.calls.lock().unwrap();
        assert_eq!((calls.refused.as_slice(), calls.lost), (&[][..], 0), "{}: beside {} calls that were served", self.name, calls.served);
        calls.served
    }

    /// The new key is in the slot and works everywhere; the old one is gone and refused everywhere; nothing else is left.
    fn rotated(&self) {
        let (new, keys) = (self.slot(), self.keys());
        assert_ne!(new, self.old, "{}", self.name);
        assert_eq!(keys.len(), 1, "{}: {keys:?}", self.name);
        assert_eq!(keys[0]["metadata"]["keyroll"], "keyroll:live", "{}", self.name);
        for instance in [0, 1] {
            assert_eq!(self.world.chat(instance, &new, "after"), 200, "{}", self.name);
            assert_eq!(self.world.chat(instance, &self.old, "after"), 401, "{}", self.name);
        }
    }

    /// Everything is as before the run.
    fn as_before(&self) {
        let keys = self.keys();
        assert_eq!(self.slot(), self.old, "{}", self.name);
        assert_eq!((keys.len(), keys[0]["token"].as_str()), (1, Some(self.old_id.as_str())), "{}: {keys:?}", self.name);
        assert_ne!(keys[0]["blocked"], true, "{}", self.name);
        for instance in [0, 1] {
            assert_eq!(self.world.chat(instance, &self.old, "after"), 200, "{}", self.name);
        }
    }
}

/// One look of the gate that wants the old key refused: passed, and its calls with the old key by instance and class.
type Look = (bool, Vec<(String, String)>);

fn refusals(records: &[Value]) -> Vec<Look> {
    let judged = records.iter().filter_map(|r| r.get("judged"));
    let of_old = |r: &Value| {
        let check = r["checks"].as_array()?.iter().find(|c| c["check"] == "old_refused")?;
        let calls = r["reading"]["calls"].as_array()?.iter().filter(|c| c["key"] == "old");
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        Some((check["verdict"] == "pass", calls.map(|c| (text(&c["endpoint"]), text(&c["class"]))).collect()))
    };
    judged.filter_map(of_old).collect()
}

/// Everything that a key of a free installation can be restricted by.
fn restricted(world: &World) -> Value {
    let team = world.admin("POST", "/team/new", &json!({"team_alias": "platform", "models": ["demo-small"], "max_budget": 50}));
    json!({"team_id": team["team_id"], "user_id": "svc-chat", "models": ["demo-small"], "max_budget": 9.5, "budget_duration": "30d",
        "tpm_limit": 1_000_000, "rpm_limit": 5000, "max_parallel_requests": 50, "model_rpm_limit": {"demo-small": 4000},
        "allowed_routes": ["/v1/chat/completions", "/key/info"], "permissions": {"allow_pii_controls": true},
        "aliases": {"small": "demo-small"}, "config": {"a": 1}, "soft_budget": 3, "allowed_cache_controls": ["no-cache"],
        "object_permission": {"vector_stores": ["v1"]}, "duration": "20d", "metadata": {"service": "chat", "cost": {"centre": 7}}})
}

fn whole_rotation(world: &World) {
    let mut place = Place::new(world, "whole", restricted(world));
    let old = place.keys().remove(0);
    let plan = place.keyroll(&["plan", "policy.yaml"]);
    plan.ends(0);
    assert!(plan.out.contains("mint the key with the staged value") && plan.out.contains("the spend log of LiteLLM"), "{}", plan.out);
    place.keyroll(&["run", "--wait", "policy.yaml"]).ends(0);
    place.rotated();
    // The same restrictions, and its own length of life.
    let new = place.keys().remove(0);
    for field in [
        "team_id",
        "user_id",
        "models",
        "max_budget",
        "budget_duration",
        "tpm_limit",
        "rpm_limit",
        "max_parallel_requests",
        "allowed_routes",
        "permissions",
        "aliases",
        "config",
        "allowed_cache_controls",
        "budget_id",
        "key_type",
    ] {
        assert_eq!(new[field], old[field], "{field}");
    }
    assert_eq!(
        (&new["metadata"]["cost"], &new["metadata"]["model_rpm_limit"]),
        (&old["metadata"]["cost"], &old["metadata"]["model_rpm_limit"])
    );
    assert_eq!(new["object_permission"]["vector_stores"], json!(["v1"]));
    assert!(new["expires"].as_str().unwrap() > old["expires"].as_str().unwrap());
    // The gate was closed only by a look at which both instances refused.
    let looks = refusals(&place.records());
    assert!(looks.iter().any(|(passed, _)| *passed), "{looks:?}");
    for (_, calls) in looks.iter().filter(|(passed, _)| *passed) {
        for instance in [0, 1] {
            let url = world.url(instance);
            let here: Vec<&str> = calls.iter().filter(|(e, _)| *e == url).map(|(_, class)| class.as_str()).collect();
            assert_eq!(here, ["refused"], "{url}");
        }
    }
    let bundle = place.dir.join("state/runs").join(place.run_id()).join("bundle");
    place.keyroll(&["evidence", "verify", bundle.to_str().unwrap()]).ends(0);
    println!("whole rotation: {} calls, none refused", place.nobody_was_refused());
}

fn rollback_from_hold(world: &World) {
    let mut place = Place::new(world, "back", json!({"models": ["demo-small"]}));
    place.keyroll(&["run", "--wait", "--until", "hold", "policy.yaml"]).ends(11);
    assert_ne!(place.slot(), place.old);
    place.keyroll(&["rollback", "--wait", &place.run_id()]).ends(0);
    place.as_before();
    println!("rollback from hold: {} calls, none refused", place.nobody_was_refused());
}

fn lost_answer_of_the_mint(world: &World) {
    let mut place = Place::new(world, "lost", json!({"models": ["demo-small"]}));
    let proxy = Interferer::losing(world.ports[0], "POST /key/generate");
    place.policy(&format!("http://127.0.0.1:{}", proxy.port), "cache_ttl: 2s, log_lag: 4s, ", "drain_window: 4s, soak: 3s, undo_drain: 4s");
    place.keyroll(&["run", "--wait", "--until", "canary", "policy.yaml"]).ends(11);
    assert_eq!(proxy.done.load(Ordering::SeqCst), 1, "the answer was lost");
    assert_eq!(place.keys().len(), 2, "one old key and one new one");
    place.keyroll(&["resume", "--wait", &place.run_id()]).ends(0);
    place.rotated();
    println!("lost answer of the mint: {} calls, none refused", place.nobody_was_refused());
}

fn a_broader_key_fails_prepare(world: &World) {
    let mut place = Place::new(world, "broad", json!({"models": ["demo-small"], "rpm_limit": 5000}));
    // A gateway that forgets a restriction: same length, so that only the content differs.
    let proxy = Interferer::rewriting(world.ports[0], "POST /key/generate", r#""models":["demo-small"]"#, r#""models":[            ]"#);
    place.policy(&format!("http://127.0.0.1:{}", proxy.port), "cache_ttl: 2s, log_lag: 4s, ", "drain_window: 4s, soak: 3s, undo_drain: 4s");
    let said = place.keyroll(&["run", "--wait", "policy.yaml"]);
    said.ends(21);
    assert_eq!(proxy.done.load(Ordering::SeqCst), 1, "the request was changed");
    assert!(said.err.contains("models"), "{}", said.err);
    place.as_before();
    println!("a broader key: {} calls, none refused", place.nobody_was_refused());
}

fn killed_and_resumed(world: &World) {
    let mut place = Place::new(world, "kill", json!({"models": ["demo-small"]}));
    let mut running = place.command(&["run", "--wait", "policy.yaml"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    for effect in ["mint", "promote", "disable", "delete"] {
        let begun = || place.records().iter().any(|r| r["began"]["effect"].get(effect).is_some());
        wait_or_end(&place, &mut running, effect, begun);
        running.kill().unwrap();
        running.wait().unwrap();
        running = place.command(&["resume", "--wait", &place.run_id()]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    }
    let ended = running.wait().unwrap();
    assert_eq!(ended.code(), Some(0), "{:?}", place.records().last());
    place.rotated();
    println!("killed at four effects: {} calls, none refused", place.nobody_was_refused());
}

fn wait_or_end(place: &Place<'_>, running: &mut Child, effect: &str, begun: impl Fn() -> bool) {
    let began = Instant::now();
    while !begun() {
        let ended = running.try_wait().unwrap();
        assert!(ended.is_none(), "it ended with {ended:?} before {effect}: {:?}", place.records().last());
        assert!(began.elapsed() < Duration::from_secs(150), "{effect} did not come: {:?}", place.records().last());
        thread::sleep(Duration::from_millis(2));
    }
}

/// One scenario after the other: a plan is refused while the gateway holds a key of a run that its own state does not know.
fn on_two_instances(scenarios: &[fn(&World)]) {
    let world = World::start(Some(2));
    must_be_listed(&world);
    for scenario in scenarios {
        scenario(&world);
    }
}

#[test]
fn forward_on_two_instances() {
    on_two_instances(&[whole_rotation, lost_answer_of_the_mint]);
}

#[test]
fn back_on_two_instances() {
    on_two_instances(&[rollback_from_hold, a_broader_key_fails_prepare]);
}

#[test]
fn killed_on_two_instances() {
    on_two_instances(&[killed_and_resumed]);
}

/// A key that stays for the whole test and whose id comes first: a plan chooses such a one to know a complete listing by.
fn must_be_listed(world: &World) {
    let first = |value: &String| keyroll::secret::sha256_hex(value.as_bytes()).starts_with("000");
    let value = (0..100_000).map(|n| format!("sk-stays-0123456789-{n}")).find(first).unwrap();
    world.key(&value, "stays", json!({}));
}

/// A blocked key goes on for up to a minute at the other instance: the gate waits for it.
#[cfg(feature = "slow")]
#[test]
fn the_default_cache() {
    let world = World::start(None);
    must_be_listed(&world);
    let mut place = Place::new(&world, "slow", json!({"models": ["demo-small"]}));
    place.policy(&world.url(0), "log_lag: 4s, ", "drain_window: 65s, soak: 65s, undo_drain: 65s");
    place.keyroll(&["run", "--wait", "policy.yaml"]).ends(0);
    place.rotated();
    let looks = refusals(&place.records());
    // The first look waits until the other instance must have heard of it, so both refuse at every one.
    assert!(!looks.is_empty() && looks.iter().all(|(_, calls)| calls.iter().all(|(_, class)| class == "refused")), "{looks:?}");
    println!("the default cache: {} calls, none refused", place.nobody_was_refused());
}
