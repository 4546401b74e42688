//! Resources in a file: every process reads it when it gets SIGHUP, and only then.

use crate::aisix::file::id;
use crate::aisix::{World, http};
use crate::common::{Said, binary};
use crate::place::{OLD, UP, soon};
use keyroll::adapters::gateway::{AisixGateway, AisixOwnCalls, AisixSettings, AisixStore, FileAccess, aisix};
use keyroll::ports::{Gateway, MintRequest, PortError};
use keyroll::rotation::{KeyId, Marker, ModelName, Span};
use keyroll::secret::{FingerprintKey, Scrubber, SecretText, sha256_hex};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Two processes over a file. A shell stands for them where signals are concerned.
struct Place {
    world: World,
    dir: tempfile::TempDir,
    shell: Child,
    stop: Arc<AtomicBool>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let world = World::over_file(2, dir.path());
        world.upstream.issue(UP);
        let text = format!(
            "# Owned by platform-ai.\n\n_format_version: \"1\"\nprovider_keys:\n  - display_name: openai-main   # the only one\n    provider: openai\n    \
             api_key: {UP}\n    api_base: {}\nmodels:\n  - {{ display_name: chat-prod, provider: openai, model_name: fake-model, provider_key: openai-main }}\n\
             api_keys:\n  - display_name: a-stays\n    key_hash: {}\n    allowed_models: []\n  - display_name: app-a\n    key_hash: {}\n    \
             allowed_models: [chat-prod]\n    rate_limit: {{ rpm: 60000 }}\n",
            world.provider,
            sha256_hex(b"sk-stays"),
            sha256_hex(OLD.as_bytes()),
        );
        let (file, hups) = (dir.path().join("resources.yaml"), dir.path().join("hups"));
        fs::write(&file, text).unwrap();
        let script = "trap 'echo hup >> \"$0\"' HUP; echo ready >> \"$0\"; while :; do sleep 0.03; done";
        let shell = Command::new("sh").args(["-c", script]).arg(&hups).stdin(Stdio::null()).spawn().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (ended, replicas, path) = (stop.clone(), world.replicas.clone(), file);
        thread::spawn(move || {
            let mut heard = 0;
            while !ended.load(Ordering::SeqCst) {
                let length = fs::metadata(&hups).map_or(0, |about| about.len());
                if length > heard {
                    heard = length;
                    replicas.iter().for_each(|replica| replica.reload(&path));
                }
                thread::sleep(Duration::from_millis(5));
            }
        });
        let place = Self { world, dir, shell, stop };
        soon("both have read the file", || place.tries(OLD) == [200, 200]);
        place
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("resources.yaml")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn names(&self, kind: &str) -> Vec<String> {
        let file: Value = serde_yaml::from_str(&self.text()).unwrap();
        file[kind].as_array().unwrap().iter().map(|row| row["display_name"].as_str().unwrap().to_owned()).collect()
    }

    fn tries(&self, value: &str) -> Vec<u16> {
        (0..2).map(|replica| self.world.chat(replica, value, "chat-prod", "test-1").0).collect()
    }

    fn driver(&self, provider: bool) -> AisixGateway {
        let reload = ["kill", "-HUP", &self.shell.id().to_string()].map(str::to_owned).to_vec();
        let replica = |n: usize| (self.world.proxies[n].clone(), self.world.statuses[n].clone(), None);
        let settings = AisixSettings {
            store: AisixStore::File(FileAccess { path: self.file(), reload, withhold: Vec::new(), scrubber: Scrubber::new() }),
            replicas: (0..2).map(replica).collect(),
            provider: provider.then(|| (None, Some("openai-main".to_owned()))),
            provider_url: None,
            lifetime: None,
            live_within: Span::seconds(3),
            call_timeout: Span::seconds(3),
            ca_pem: None,
            fingerprints: Rc::new(FingerprintKey::from_bytes(&[7; 32]).ok().unwrap()),
            own: AisixOwnCalls::default(),
        };
        aisix(settings).unwrap().0
    }
}

async fn a_provider_key(place: &Place) {
    const NEXT: &str = "up-next-$1-0123456789abcdef01";
    let gateway = place.driver(true);
    place.world.upstream.issue(NEXT);
    gateway.identity().await.unwrap();
    let (old, model) = (KeyId::new(id("provider_keys", "openai-main")), ModelName::new("chat-prod"));
    let like = gateway.list().await.unwrap().into_iter().find(|k| k.id == old).unwrap();
    let (value, marker) = (SecretText::new(NEXT), Marker::new("keyroll:abcdefghijklmnop:1"));
    let request = || MintRequest { like: &like, marker: &marker, name: "openai-main 2026-11-21", value: Some(&value) };
    let made = gateway.mint(request()).await.unwrap();
    assert!(matches!(gateway.mint(request()).await, Err(PortError::Conflict { .. })), "the name is taken");
    let facts = gateway.list().await.unwrap().into_iter().find(|k| k.id == made.id).unwrap();
    assert_eq!((facts.marker.as_str(), facts.name.as_str(), &facts.scope), (marker.as_str(), "openai-main 2026-11-21", &like.scope));
    assert!(matches!(gateway.delete(&old).await, Err(PortError::Refused { .. })), "a model refers to it");
    // A process that is told and does not hear is not overlooked, and is found when somebody looks.
    place.world.replicas[1].frozen.store(true, Ordering::SeqCst);
    let error = gateway.repoint(&model, &old, &made.id).await.err().unwrap();
    assert!(error.may_have_happened() && error.to_string().contains("has not taken the change"), "{error}");
    assert_eq!(gateway.projection().await.unwrap().iter().filter(|(_, _, at)| *at == made.id).count(), 1);
    assert!(gateway.identity().await.err().unwrap().to_string().contains("send it SIGHUP"));
    place.world.replicas[1].frozen.store(false, Ordering::SeqCst);
    place.world.replicas[1].reload(&place.file());
    gateway.delete(&old).await.unwrap();
    gateway.mark(&made.id, &Marker::live()).await.unwrap();
    assert_eq!((place.tries(OLD), place.names("provider_keys").len()), (vec![200, 200], 1));
    assert!(place.world.upstream.calls(NEXT) >= 2, "a `$` in a secret is written twice and read once");
    let text = place.text();
    assert!(text.starts_with("# Owned by platform-ai.\n") && !text.contains("keyroll:"), "{text}");
}

/// What the processes do not take is put back: it would stop each of them at its next start.
async fn a_file_that_is_refused(place: &Place) {
    let gateway = place.driver(false);
    let before = place.text();
    // Somebody left a mistake in the file, and no process has read it yet.
    let mut file: Value = serde_yaml::from_str(&before).unwrap();
    file["api_keys"][1]["surprise"] = Value::from(1);
    let broken = serde_yaml::to_string(&file).unwrap();
    fs::write(place.file(), &broken).unwrap();
    let id = KeyId::new(id("api_keys", "app-a"));
    let error = gateway.set_enabled(&id, false).await.err().unwrap();
    assert!(matches!(error, PortError::Unreachable { .. } | PortError::Refused { .. }), "{error}");
    assert_eq!((place.text(), place.tries(OLD)), (broken, vec![200, 200]));
    fs::write(place.file(), &before).unwrap();
    place.world.replicas.iter().for_each(|r| r.reload(&place.file()));
    gateway.set_enabled(&id, false).await.unwrap();
    assert_eq!(place.tries(OLD), [401, 401]);
    gateway.set_enabled(&id, true).await.unwrap();
    assert_eq!(place.tries(OLD), [200, 200]);
}

#[test]
fn a_file_and_a_signal() {
    let place = Place::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        a_file_that_is_refused(&place).await;
        a_provider_key(&place).await;
    });
}

#[test]
fn caller_key_in_a_file() {
    let place = Place::new();
    let dir = place.dir.path();
    let slot = dir.join(".env");
    fs::write(&slot, format!("GATEWAY_API_KEY={OLD}\n")).unwrap();
    fs::set_permissions(&slot, fs::Permissions::from_mode(0o600)).unwrap();
    let held = |slot: &PathBuf| fs::read_to_string(slot).ok()?.lines().find_map(|l| l.strip_prefix("GATEWAY_API_KEY=")).map(str::to_owned);
    let replica = |n: usize| {
        format!(
            "{{ proxy: \"{}\", status: \"{}\", log: {} }}",
            place.world.proxies[n],
            place.world.statuses[n],
            place.world.replicas[n].log.display()
        )
    };
    let policy = format!(
        "version: 1
rotation: {{ credential: chat, owner: platform-ai, environment: development, reason: scheduled }}
gateway:
  aisix:
    resources: {{ file: {{ path: {file}, reload: [kill, -HUP, \"{shell}\"] }} }}
    replicas: [{}, {}]
    live_within: 3s
    caller: request_id
slots: [{{ file: {{ path: {slot}, name: GATEWAY_API_KEY }} }}]
consumers: [{{ app: web, cadence: continuous, reload: {{ dynamic: {{ ttl: 100ms }} }} }}]
usage: [{{ gateway_log: {{}} }}]
probes: [{{ chat: {{ model: chat-prod }} }}]
timing: {{ poll: 150ms, call_timeout: 3s, send_before: 5s, repeats: 2, drain_window: 2s, soak: 1500ms, undo_drain: 2s }}
accept: [local_state]
",
        replica(0),
        replica(1),
        file = place.file().display(),
        shell = place.shell.id(),
        slot = slot.display(),
    );
    fs::write(dir.join("policy.yaml"), policy).unwrap();
    let (stop, refused) = (AtomicBool::new(false), AtomicBool::new(false));
    // What this test tried itself is no consumer.
    place.world.replicas.iter().for_each(|r| fs::write(&r.log, "").unwrap());
    thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 0_usize.. {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let bearer = format!("Bearer {}", held(&slot).unwrap_or_default());
                let url = format!("{}/v1/chat/completions", place.world.proxies[turn % 2]);
                let request = [("authorization", bearer.as_str()), ("x-aisix-request-id", &format!("web-{turn}"))];
                let body = r#"{"model":"chat-prod","messages":[]}"#;
                let served = http::call("POST", &url, &request, body).is_some_and(|(status, ..)| status == 200);
                refused.fetch_or(!served, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(40));
            }
        });
        thread::sleep(Duration::from_millis(500));
        let mut command = Command::new(binary());
        command.args(["--state", "state", "run", "--wait", "policy.yaml"]).current_dir(dir).stdin(Stdio::null());
        let said = Said::of(command.output().unwrap());
        stop.store(true, Ordering::SeqCst);
        said.ends(0);
    });
    assert!(!refused.load(Ordering::SeqCst), "a consumer was refused");
    let new = held(&slot).unwrap();
    assert_eq!((place.tries(&new), place.tries(OLD)), (vec![200, 200], vec![401, 401]));
    let names = place.names("api_keys");
    assert!(names.len() == 2 && names[1].starts_with("app-a 2"), "{names:?}");
}
