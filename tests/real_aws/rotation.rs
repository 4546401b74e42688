//! A gateway, a secret in AWS, consumers that read it there through its own API, and the binary.

use crate::world::{ACCESS, REGION, client};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const DB: &str = "database-password-51c7";

/// What one consumer saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    app: &'static str,
    status: u16,
    key: String,
}

/// Everything a rotation needs.
pub(crate) struct Stage {
    pub(crate) dir: tempfile::TempDir,
    urls: Value,
    secret: String,
    port: u16,
    gateway: Child,
    stop: Arc<AtomicBool>,
    calls: Arc<Mutex<Vec<Call>>>,
    consumers: Vec<JoinHandle<()>>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for consumer in self.consumers.drain(..) {
            let _ = consumer.join();
        }
        let _ = self.gateway.kill();
        let _ = self.gateway.wait();
    }
}

fn binary() -> PathBuf {
    std::env::var_os("KEYROLL_BIN").map_or_else(|| env!("CARGO_BIN_EXE_keyroll").into(), PathBuf::from)
}

impl Stage {
    /// A gateway without consumers of its own, the secret with its key, and three consumers of ours.
    pub(crate) fn new(port: u16, secret: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut gateway = Command::new(binary())
            .args(["sandbox", "serve", "--no-consumers", "--replicas", "2", "--dir"])
            .arg(dir.path().join("sandbox"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(gateway.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let urls: Value = serde_json::from_str(&line).unwrap();
        let env = std::fs::read_to_string(urls["store"].as_str().unwrap()).unwrap();
        let key = env.lines().find_map(|l| l.strip_prefix("GATEWAY_API_KEY=")).unwrap().to_owned();
        let document = serde_json::json!({ "api_key": key, "db": DB }).to_string();
        runtime().block_on(client(port).create_secret().name(secret).secret_string(document).send()).unwrap();
        let admin = std::fs::read_to_string(dir.path().join("sandbox/admin.key")).unwrap();
        runtime().block_on(client(port).create_secret().name("ai/admin").secret_string(admin).send()).unwrap();
        let data: Vec<String> = urls["data"].as_array().unwrap().iter().map(|u| u.as_str().unwrap().to_owned()).collect();
        let text = include_str!("policy.yaml")
            .replace("$ADMIN", urls["admin"].as_str().unwrap())
            .replace("$DATA", &data.join(", "))
            .replace("$CONTROL", urls["control"].as_str().unwrap())
            .replace("$LOG", urls["log"].as_str().unwrap())
            .replace("$SECRET", secret);
        std::fs::write(dir.path().join("policy.yaml"), text).unwrap();
        let (stop, calls) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<Call>>>::default());
        let consumers = [("web", 100), ("worker", 700), ("agent", 1500)]
            .map(|(app, every)| {
                let (secret, data, stop, calls) = (secret.to_owned(), data.clone(), stop.clone(), calls.clone());
                std::thread::spawn(move || runtime().block_on(consume(app, every, port, &secret, &data, &stop, &calls)))
            })
            .into();
        let stage = Self { dir, urls, secret: secret.into(), port, gateway, stop, calls, consumers };
        // The consumers' first calls must be in the log before the first plan is made.
        stage.until("every consumer has called", || stage.calls().iter().filter(|c| c.app == "agent").count() > 1);
        stage
    }

    fn until(&self, what: &str, reached: impl Fn() -> bool) {
        let began = Instant::now();
        while !reached() {
            assert!(began.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// What consumers read.
    pub(crate) fn key(&self) -> String {
        runtime().block_on(read(&client(self.port), &self.secret)).unwrap()
    }

    /// The labels of the versions, by version.
    pub(crate) fn labels(&self) -> Vec<(String, Vec<String>)> {
        let told = runtime().block_on(client(self.port).describe_secret().secret_id(&self.secret).send()).unwrap();
        told.version_ids_to_stages().unwrap().iter().filter(|(_, l)| !l.is_empty()).map(|(v, l)| (v.clone(), l.clone())).collect()
    }

    pub(crate) fn keyroll(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg("--state").arg(self.dir.path().join("state")).args(args).current_dir(self.dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // The usual chain, and the usual way to name another endpoint.
        command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port)).env("AWS_REGION", REGION);
        command.env("AWS_ACCESS_KEY_ID", crate::aws::OWNER).env("AWS_SECRET_ACCESS_KEY", ACCESS);
        command
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        command
    }

    /// Runs it to its end, and keeps what it said for the search for secrets.
    #[track_caller]
    pub(crate) fn ends(&self, args: &[&str], codes: &[i32]) -> i32 {
        let output = self.keyroll(args).output().unwrap();
        self.keep(&output);
        let code = output.status.code().unwrap_or(-1);
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(codes.contains(&code), "{args:?} ended with {code}: {said}");
        code
    }

    fn keep(&self, output: &Output) {
        let said = self.dir.path().join("said");
        let before = std::fs::read(&said).unwrap_or_default();
        std::fs::write(said, [before, output.stdout.clone(), output.stderr.clone()].concat()).unwrap();
    }

    /// Starts it, waits for a record of its own, and ends it without a word. False when it was over before.
    pub(crate) fn killed_at(&self, args: &[&str], wanted: impl Fn(&Value) -> bool) -> bool {
        let before = self.journals();
        let there = match (args.first(), before.last()) {
            (Some(&"run"), _) | (_, None) => 0,
            (_, Some(last)) => records(last).len(),
        };
        let mut running = self.keyroll(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        let mut found = false;
        while !found && began.elapsed() < Duration::from_secs(90) && running.try_wait().unwrap().is_none() {
            let journals = self.journals();
            let begun = args.first() != Some(&"run") || journals.len() > before.len();
            found = begun && journals.last().is_some_and(|j| records(j).iter().skip(there).any(&wanted));
            std::thread::sleep(Duration::from_millis(1));
        }
        running.kill().unwrap();
        running.wait().unwrap();
        found
    }

    /// The journals of all runs, oldest first.
    fn journals(&self) -> Vec<PathBuf> {
        let Ok(runs) = std::fs::read_dir(self.dir.path().join("state/runs")) else { return Vec::new() };
        let mut journals: Vec<_> = runs.flatten().map(|r| r.path().join("journal.jsonl")).filter(|j| j.exists()).collect();
        journals.sort_by_key(|j| std::fs::metadata(j).and_then(|m| m.created()).ok());
        journals
    }

    /// No consumer was refused, each one of them went on calling, and all use the key that is current now.
    pub(crate) fn nobody_was_refused(&self) {
        let current = self.key();
        let before = self.calls().len();
        self.until("every consumer is on the current key", || {
            let last = |app: &str| self.calls().iter().skip(before).rev().find(|c| c.app == app).map(|c| c.key.clone());
            ["web", "worker", "agent"].iter().all(|app| last(app).as_deref() == Some(&current))
        });
        let calls = self.calls();
        let bad: Vec<&Call> = calls.iter().filter(|c| c.status != 200).collect();
        assert!(bad.is_empty(), "{} of {} calls were not answered: {:?}", bad.len(), calls.len(), bad.first().map(|c| (c.app, c.status)));
        assert!(calls.len() > 30, "only {} calls", calls.len());
        let document = runtime().block_on(client(self.port).get_secret_value().secret_id(&self.secret).version_stage("AWSCURRENT").send());
        assert!(document.unwrap().secret_string().unwrap().contains(DB), "the other field is gone");
    }

    /// Neither of the keys, nor a secret of AWS, is anywhere in what keyroll wrote or said.
    pub(crate) fn nothing_leaked(&self, needles: &[&str]) {
        let mut files = vec![self.dir.path().join("state"), self.dir.path().join("said")];
        let mut read = 0;
        while let Some(path) = files.pop() {
            if path.is_dir() {
                files.extend(std::fs::read_dir(&path).unwrap().flatten().map(|e| e.path()));
                continue;
            }
            read += 1;
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            for needle in needles.iter().chain(&[ACCESS, DB]) {
                let forms = [(*needle).to_owned(), base64(needle), needle.chars().rev().collect()];
                assert!(forms.iter().all(|form| !text.contains(form)), "a secret is in {}", path.display());
            }
        }
        assert!(read > 3, "only {read} files were searched");
    }

    /// Where the gateway logs.
    pub(crate) fn refused_in_the_log(&self) -> usize {
        let files = std::fs::read_dir(self.urls["log"].as_str().unwrap()).unwrap().flatten();
        let rows = files.flat_map(|f| std::fs::read_to_string(f.path()).unwrap().lines().map(str::to_owned).collect::<Vec<_>>());
        let rows = rows.filter_map(|l| serde_json::from_str::<Value>(&l).ok());
        rows.filter(|r| r["purpose"] == "app" && (r["status"] == 401 || r["status"] == 403)).count()
    }
}

fn records(journal: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(journal).unwrap_or_default();
    text.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok()).map(|mut l| l["record"].take()).collect()
}

/// Whether a record begins, or ends, an effect.
pub(crate) fn at(record: &Value, effect: &str, end: bool) -> bool {
    if end {
        return record["ended"]["kind"] == effect;
    }
    let begun = &record["began"]["effect"];
    begun.as_str() == Some(effect) || begun.get(effect).is_some()
}

fn base64(text: &str) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD_NO_PAD.encode(text)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn read(client: &aws_sdk_secretsmanager::Client, secret: &str) -> Option<String> {
    let told = client.get_secret_value().secret_id(secret).version_stage("AWSCURRENT").send().await.ok()?;
    serde_json::from_str::<Value>(told.secret_string()?).ok()?["api_key"].as_str().map(str::to_owned)
}

/// Reads the key from AWS before each call, as an application without a cache does.
async fn consume(app: &'static str, every: u64, port: u16, secret: &str, data: &[String], stop: &AtomicBool, calls: &Mutex<Vec<Call>>) {
    let (aws, http) = (client(port), reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap());
    let body = serde_json::json!({ "model": "demo-small", "messages": [{ "role": "user", "content": "hello" }] });
    let mut turn = 0;
    while !stop.load(Ordering::SeqCst) {
        turn += 1;
        match read(&aws, secret).await {
            // A read that fails is an outage too.
            None => calls.lock().unwrap().push(Call { app, status: 0, key: String::new() }),
            Some(key) => {
                let to = format!("{}/v1/chat/completions", data.get(turn % data.len()).unwrap());
                let sent =
                    http.post(to).header("x-client-app", app).header("x-request-id", format!("{app}-{turn}-{every}")).bearer_auth(&key);
                let status = sent.json(&body).send().await.map_or(0, |answer| answer.status().as_u16());
                calls.lock().unwrap().push(Call { app, status, key });
            }
        }
        tokio::time::sleep(Duration::from_millis(every)).await;
    }
}
