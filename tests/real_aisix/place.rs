//! A gateway with a policy, a slot, and consumers that call it all the time; keyroll as its users run it.

use crate::aisix::etcd::Etcd;
use crate::aisix::{Version, World, http};
use crate::common::{Said, binary};
use crate::etcd::EtcdServer;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The value of the caller key at the start.
pub(crate) const OLD: &str = "sk-old-caller-0123456789abcdef";
/// The provider's first secret.
pub(crate) const UP: &str = "up-old-provider-0123456789abcdef";

/// One gateway, one policy.
pub(crate) struct Place {
    pub(crate) world: World,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) consumers: Consumers,
    /// Where keyroll reaches etcd.
    pub(crate) etcd: String,
    version: Version,
}

/// Callers that take turns at the processes with the value that the slot holds.
pub(crate) struct Consumers {
    stop: Arc<AtomicBool>,
    calls: Arc<Mutex<Calls>>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Calls {
    served: usize,
    refused: Vec<String>,
}

impl Consumers {
    fn start(proxies: &[String], slot: PathBuf) -> Self {
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Calls::default())));
        let threads = [("web", 40), ("batch", 150)].into_iter().map(|(name, pause)| {
            let (stop, calls, slot, proxies) = (stop.clone(), calls.clone(), slot.clone(), proxies.to_vec());
            thread::spawn(move || {
                for turn in 0_usize.. {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let Some(value) = held(&slot) else { return };
                    let url = format!("{}/v1/chat/completions", proxies[turn % proxies.len()]);
                    let body = json!({"model": "chat-prod", "messages": [{"role": "user", "content": "hello"}]}).to_string();
                    let (bearer, id) = (format!("Bearer {value}"), format!("{name}-{turn}"));
                    let answer = http::call("POST", &url, &[("authorization", &bearer), ("x-aisix-request-id", &id)], &body);
                    let mut calls = calls.lock().unwrap();
                    match answer {
                        Some((200, ..)) => calls.served += 1,
                        Some((status, _, body)) => calls.refused.push(format!("{id}: {status} {body}")),
                        None => calls.refused.push(format!("{id}: no answer")),
                    }
                    drop(calls);
                    thread::sleep(Duration::from_millis(pause));
                }
            })
        });
        Self { threads: threads.collect(), stop, calls }
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _its_counts_stand = thread.join();
        }
    }
}

impl Drop for Consumers {
    fn drop(&mut self) {
        self.end();
    }
}

fn held(slot: &Path) -> Option<String> {
    let text = fs::read_to_string(slot).ok()?;
    text.lines().find_map(|l| l.strip_prefix("GATEWAY_API_KEY=")).map(str::to_owned)
}

/// What is rotated.
pub(crate) enum Of<'a> {
    /// The caller key; more of its document.
    Caller(&'a Value),
    /// The caller key of one application, whose use is seen in counters alone.
    Counted,
    /// The provider key, with this issuer's next secret.
    Provider(&'a str),
}

impl Place {
    /// Two processes below a prefix of their own, a caller key in its slot, and consumers.
    pub(crate) fn new(server: &EtcdServer, prefix: &str, of: &Of<'_>) -> Self {
        Self::of(server, prefix, of, Version::Newest)
    }

    /// The same, on a gateway of this version, whose resources are changed in the way that it has.
    pub(crate) fn of(server: &EtcdServer, prefix: &str, of: &Of<'_>, version: Version) -> Self {
        let store = Etcd { url: server.url.clone(), prefix: format!("/{prefix}") };
        let dir = tempfile::tempdir().unwrap();
        let world = World::start(&store, version, 2, dir.path());
        world.furnish(UP);
        world.caller("a-stays", "sk-stays-0123456789", &json!({}));
        let more = match of {
            Of::Caller(more) => (*more).clone(),
            Of::Counted | Of::Provider(_) => json!({}),
        };
        world.caller("c1", OLD, &more);
        let slot = dir.path().join(".env");
        fs::write(&slot, format!("OTHER=1\nGATEWAY_API_KEY={OLD}\n")).unwrap();
        fs::set_permissions(&slot, fs::Permissions::from_mode(0o600)).unwrap();
        let newest = store.range("").unwrap().1.iter().map(|(_, _, revision)| *revision).max();
        soon("both processes have it all", || (0..2).all(|r| world.status(r)["applied"]["applied_revision"].as_i64() >= newest));
        let consumers = Consumers::start(&world.proxies, slot);
        let place = Self { world, dir, consumers, etcd: server.url.clone(), version };
        if let Of::Provider(secret) = of {
            place.world.upstream.issue(secret);
            fs::write(place.dir.path().join("next"), secret).unwrap();
            fs::write(place.dir.path().join("outgoing"), UP).unwrap();
        }
        place.policy(of, "");
        soon("the consumers call", || place.consumers.calls.lock().unwrap().served >= 6);
        place
    }

    /// Writes the policy; `more` is added to the gateway's block.
    pub(crate) fn policy(&self, of: &Of<'_>, more: &str) {
        let (world, dir) = (&self.world, self.dir.path().display());
        let replica = |n: usize| {
            let log = if let Of::Counted = of { String::new() } else { format!(", log: {}", world.replicas[n].log.display()) };
            format!("{{ proxy: \"{}\", status: \"{}\"{log} }}", world.proxies[n], world.statuses[n])
        };
        let stated = if let Of::Counted = of { ", no_hidden_fields: true" } else { "" };
        // What only a log could show is not asked of counters.
        let evidence = if let Of::Counted = of { ", evidence: { old_key_negative_test: required }" } else { "" };
        let batch =
            if let Of::Counted = of { "" } else { "  - { app: batch, cadence: continuous, reload: { dynamic: { ttl: 100ms } } }\n" };
        let resources = match self.version {
            Version::Newest => format!("{{ etcd: {{ url: \"{}\", prefix: {} }} }}", self.etcd, world.store.prefix),
            Version::Writable | Version::WritableByFile => {
                format!("{{ admin_api: {{ url: \"{}\", key: {{ env: AISIX_ADMIN_KEY }}{stated} }} }}", world.admin_url)
            }
        };
        let replicas: Vec<String> = (0..world.replicas.len()).map(replica).collect();
        let key = match of {
            Of::Caller(_) => "caller: request_id".to_owned(),
            Of::Counted => "caller: { always: web }".to_owned(),
            Of::Provider(_) => {
                format!(
                    "provider_key: {{ name: openai-main, issuer: {{ file: {dir}/next }}, secret: {{ file: {dir}/outgoing }}, models: all-referencing }}"
                )
            }
        };
        let (slots, model, accept) = match of {
            Of::Caller(_) => (format!("slots: [{{ file: {{ path: {dir}/.env, name: GATEWAY_API_KEY }} }}]\n"), "chat-prod", "local_state"),
            Of::Counted => (
                format!("slots: [{{ file: {{ path: {dir}/.env, name: GATEWAY_API_KEY }} }}]\n"),
                "chat-prod",
                "local_state, refused_callers_not_observable",
            ),
            Of::Provider(_) => (String::new(), "fake-model", "local_state, one_way_revoke"),
        };
        let text = format!(
            "version: 1
rotation: {{ credential: chat, owner: platform-ai, environment: development, reason: scheduled{evidence} }}
gateway:
  aisix:
    resources: {resources}
    replicas: [{replicas}]
    live_within: 2s
    {key}
    {more}
{slots}consumers:
  - {{ app: web, cadence: continuous, reload: {{ dynamic: {{ ttl: 100ms }} }} }}
{batch}usage: [{{ gateway_log: {{}} }}]
probes: [{{ chat: {{ model: {model} }} }}]
timing: {{ poll: 150ms, call_timeout: 3s, send_before: 5s, repeats: 2, drain_window: 2s, soak: 1500ms, undo_drain: 2s }}
accept: [{accept}]
",
            replicas = replicas.join(", "),
        );
        fs::write(dir.to_string() + "/policy.yaml", text).unwrap();
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg("--state").arg(self.dir.path().join("state")).args(args).current_dir(self.dir.path());
        command.env("AISIX_ADMIN_KEY", crate::aisix::admin::ADMIN);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn keyroll(&self, args: &[&str]) -> Said {
        Said::of(self.command(args).output().unwrap())
    }

    pub(crate) fn records(&self) -> Vec<Value> {
        let Ok(mut runs) = fs::read_dir(self.dir.path().join("state/runs")) else { return Vec::new() };
        let Some(Ok(run)) = runs.next() else { return Vec::new() };
        let text = fs::read_to_string(run.path().join("journal.jsonl")).unwrap_or_default();
        text.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok()).map(|mut l| l["record"].take()).collect()
    }

    pub(crate) fn run_id(&self) -> String {
        let run = fs::read_dir(self.dir.path().join("state/runs")).unwrap().next().unwrap().unwrap();
        run.file_name().to_string_lossy().into_owned()
    }

    pub(crate) fn slot(&self) -> String {
        held(&self.dir.path().join(".env")).unwrap()
    }

    /// Ends the consumers: none of their calls may have been refused.
    #[track_caller]
    pub(crate) fn nobody_was_refused(&mut self) {
        self.consumers.end();
        let calls = self.consumers.calls.lock().unwrap();
        assert_eq!(calls.refused.as_slice(), &[] as &[String], "beside {} calls that were served", calls.served);
        assert!(calls.served > 30, "only {} calls", calls.served);
        println!("{} calls of consumers, none refused", calls.served);
    }

    /// Status of a chat at each process.
    pub(crate) fn tries(&self, value: &str) -> Vec<u16> {
        (0..self.world.replicas.len()).map(|replica| self.world.chat(replica, value, "chat-prod", "test-1").0).collect()
    }

    /// Our notes beside rows that exist: id and marker.
    pub(crate) fn notes(&self, kind: &str) -> Vec<(String, String)> {
        let beside = Etcd { url: self.world.store.url.clone(), prefix: format!("/keyroll{}", self.world.store.prefix) };
        let notes = beside.range(&format!("{kind}/")).unwrap().1;
        let text = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap()["marker"].as_str().unwrap().to_owned();
        notes.iter().map(|(id, value, _)| (id.clone(), text(value))).collect()
    }

    /// No file of the state folder, and nothing that was said, holds one of these.
    #[track_caller]
    pub(crate) fn holds_none(&self, secrets: &[&str], said: &[&Said]) {
        let mut texts: Vec<(String, Vec<u8>)> = Vec::new();
        walk(&self.dir.path().join("state"), &mut texts);
        texts.extend(
            said.iter().flat_map(|s| [("said".into(), s.out.clone().into_bytes()), ("complained".into(), s.err.clone().into_bytes())]),
        );
        assert!(texts.len() > 4, "too few texts to mean anything");
        let scrubber = keyroll::secret::Scrubber::new();
        for secret in secrets {
            scrubber.add("a secret", &keyroll::secret::SecretText::new(*secret));
            assert!(!scrubber.find(format!("x{secret}y").as_bytes()).is_empty());
        }
        for (name, bytes) in &texts {
            assert!(scrubber.find(bytes).is_empty(), "{name} holds a secret");
        }
    }
}

fn walk(dir: &Path, texts: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, texts);
        } else if path.file_name().is_some_and(|n| n != "fingerprint.key") {
            texts.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

/// Waits, for a few seconds.
#[track_caller]
pub(crate) fn soon(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(10), "{what}: not within ten seconds");
        thread::sleep(Duration::from_millis(5));
    }
}
