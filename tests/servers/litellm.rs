//! Real LiteLLM: two instances over one PostgreSQL, in front of a small upstream that answers like OpenAI.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses a part of this")]

use super::servers::{Server, free_port, http_status, install};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The master key of every world.
pub const MASTER: &str = "sk-keyroll-test-master-0123456789";
/// PostgreSQL refuses to run as root.
const NOBODY: u32 = 65534;

/// Everything that runs; it ends when this is dropped, the gateways first.
pub struct World {
    /// Both instances.
    pub ports: [u16; 2],
    /// Where tests keep their files.
    pub dir: tempfile::TempDir,
    gateways: Vec<Server>,
    postgres: Postgres,
}

struct Postgres {
    server: Option<Server>,
    dir: tempfile::TempDir,
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Asked to stop at once, so that it removes its shared memory; killed by the next line if it does not.
        if let Some(server) = &self.server {
            let _ = Command::new("kill").args(["-QUIT", &server.pid().to_string()]).status();
            thread::sleep(Duration::from_millis(300));
        }
        self.server = None;
    }
}

impl World {
    /// Installs what is missing and starts it. `cache` is how many seconds an instance keeps what it knows of a key; none: its default.
    ///
    /// # Panics
    /// When a part does not start.
    pub fn start(cache: Option<u32>) -> Self {
        let python = install("litellm");
        let place = python.ancestors().nth(3).unwrap_or_else(|| panic!("{} is no installation", python.display())).to_owned();
        let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("no folder: {e}"));
        let postgres = Postgres::start(&place.join("schema.sql"));
        let database = postgres.server.as_ref().map_or(0, |s| s.port);
        let upstream = upstream();
        let config = dir.path().join("config.yaml");
        let mut general = json!({"master_key": MASTER, "proxy_batch_write_at": 1});
        if let Some(seconds) = cache {
            general["user_api_key_cache_ttl"] = json!(seconds);
        }
        let model = |name: &str| {
            let api = json!({"model": format!("openai/{name}"), "api_base": format!("http://127.0.0.1:{upstream}/v1"), "api_key": "sk-up"});
            json!({"model_name": name, "litellm_params": api})
        };
        let text = json!({"model_list": [model("demo-small"), model("demo-large")], "general_settings": general});
        write(&config, &text.to_string());
        let ports = [free_port(), free_port()];
        let starting: Vec<_> = ports
            .into_iter()
            .map(|port| {
                let (python, place, config, dir) = (python.clone(), place.clone(), config.clone(), dir.path().to_owned());
                thread::spawn(move || gateway(&python, &place, &config, &dir, port, database))
            })
            .collect();
        let gateways = starting.into_iter().map(|t| t.join().unwrap_or_else(|_| panic!("LiteLLM did not start"))).collect();
        Self { ports, dir, gateways, postgres }
    }

    /// The address of an instance.
    pub fn url(&self, instance: usize) -> String {
        format!("http://127.0.0.1:{}", self.ports[instance])
    }

    /// An admin call that must succeed.
    ///
    /// # Panics
    /// When it does not.
    pub fn admin(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = call(self.ports[0], method, path, MASTER, &[], Some(body)).unwrap_or_else(|| panic!("{path}: no answer"));
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    /// Makes a key with this value; the rest of the request is `more`.
    pub fn key(&self, value: &str, alias: &str, mut more: Value) -> String {
        more["key"] = json!(value);
        more["key_alias"] = json!(alias);
        let made = self.admin("POST", "/key/generate", &more);
        made["token"].as_str().unwrap_or_default().to_owned()
    }

    /// Every key there is, as the listing shows it.
    pub fn keys(&self) -> Vec<Value> {
        let mut listed = self.admin("GET", "/key/list?size=100&return_full_object=true", &Value::Null);
        listed["keys"].as_array_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Status of a chat of this caller at an instance; 0 when none came.
    pub fn chat(&self, instance: usize, key: &str, caller: &str) -> u16 {
        let body = json!({"model": "demo-small", "user": caller, "max_tokens": 4, "messages": [{"role": "user", "content": "hello"}]});
        call(self.ports[instance], "POST", "/v1/chat/completions", key, &[("user-agent", caller)], Some(&body))
            .map_or(0, |(status, _)| status)
    }
}

impl Postgres {
    fn start(schema: &Path) -> Self {
        let postgres = install("postgres");
        let bin = postgres.parent().unwrap_or(Path::new("/")).to_owned();
        let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("no folder: {e}"));
        let root = fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
        if root {
            chown(dir.path(), Some(NOBODY), Some(NOBODY)).unwrap_or_else(|e| panic!("give the database its folder: {e}"));
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap_or_else(|e| panic!("{e}"));
        }
        let as_nobody = |program: PathBuf| {
            let mut command = if root {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
                command
            } else {
                Command::new(program)
            };
            command.current_dir("/").env("HOME", "/").env("LC_ALL", "C");
            command
        };
        let data = dir.path().join("data");
        let made =
            as_nobody(bin.join("initdb")).args(["-A", "trust", "-U", "litellm", "-E", "UTF8", "--no-sync", "-D"]).arg(&data).output();
        let made = made.unwrap_or_else(|e| panic!("initdb: {e}"));
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let port = free_port();
        let mut command = as_nobody(postgres);
        command
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k"])
            .arg(dir.path());
        let logs = tempfile::tempdir().unwrap_or_else(|e| panic!("no folder: {e}"));
        let psql = |database: &str, more: &[&str]| {
            let mut psql = Command::new(if bin.join("psql").exists() { bin.join("psql") } else { "psql".into() });
            psql.args(["-X", "-q", "-h", "127.0.0.1", "-p", &port.to_string(), "-U", "litellm", "-d", database]).args(more);
            psql.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            psql.status().is_ok_and(|s| s.success())
        };
        let server = Server::start(&mut command, logs.path(), "postgres", port, || psql("postgres", &["-c", "select 1"]));
        assert!(psql("postgres", &["-c", "create database litellm"]), "create database");
        psql("litellm", &["-f", &schema.display().to_string()]);
        assert!(psql("litellm", &["-c", "select token from \"LiteLLM_VerificationToken\" limit 1"]), "the schema is not there");
        Self { server: Some(server), dir }
    }
}

fn gateway(python: &Path, place: &Path, config: &Path, dir: &Path, port: u16, database: u16) -> Server {
    let mut command = Command::new(python);
    let path = format!("{}:{}", place.join("venv/bin").display(), std::env::var("PATH").unwrap_or_default());
    command.env_clear();
    command
        .args(["-m", "uvicorn", "litellm.proxy.proxy_server:app", "--host", "127.0.0.1", "--port", &port.to_string()])
        .current_dir(dir)
        .env("PATH", path)
        .env("HOME", dir)
        .env("CONFIG_FILE_PATH", config)
        .env("DATABASE_URL", format!("postgresql://litellm@127.0.0.1:{database}/litellm"))
        .env("DISABLE_SCHEMA_UPDATE", "true")
        .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        .env("PRISMA_QUERY_ENGINE_BINARY", place.join("engine/query-engine.js"))
        .env("PRISMA_HOME_DIR", place.join("prisma"));
    // It imports for ten seconds on an idle machine, and for minutes on a busy one.
    let server = Server::start(&mut command, dir, &format!("litellm-{port}"), port, || true);
    let began = Instant::now();
    while http_status(port, "/health/readiness") != Some(200) {
        let gone = fs::read_to_string(format!("/proc/{}/stat", server.pid())).is_ok_and(|stat| stat.contains(") Z "));
        if gone || began.elapsed() > Duration::from_secs(240) {
            let log = fs::read_to_string(dir.join(format!("litellm-{port}.log"))).unwrap_or_default();
            panic!("LiteLLM did not get ready:\n{}", log.get(log.len().saturating_sub(2000)..).unwrap_or(&log));
        }
        thread::sleep(Duration::from_millis(200));
    }
    server
}

/// An upstream that answers every chat, each time with another id: the gateway's log takes that id for its own.
fn upstream() -> u16 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|e| panic!("no port: {e}"));
    let port = listener.local_addr().map(|a| a.port()).unwrap_or_default();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
                let mut stream = stream;
                let Some(request) = read_message(&mut stream) else { return };
                let model = request.body.as_ref().and_then(|b| b["model"].as_str()).unwrap_or("demo-small").to_owned();
                let id = format!("chatcmpl-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
                let message = json!({"role": "assistant", "content": "pong"});
                let body = json!({"id": id, "object": "chat.completion", "created": 1, "model": model,
                    "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
                .to_string();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
            });
        }
    });
    port
}

struct Message {
    head: String,
    raw: Vec<u8>,
    body: Option<Value>,
}

/// A request or an answer, up to the end that its length says.
fn read_message(stream: &mut TcpStream) -> Option<Message> {
    let mut raw = Vec::new();
    let mut chunk = [0_u8; 8192];
    loop {
        let end = raw.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4);
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&raw[..end]).into_owned();
            let length = head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok());
            if raw.len() >= end + length.unwrap_or(0) {
                let body = serde_json::from_slice(&raw[end..]).ok();
                return Some(Message { head, raw, body });
            }
        }
        let read = stream.read(&mut chunk).ok().filter(|n| *n > 0)?;
        raw.extend_from_slice(&chunk[..read]);
    }
}

/// One HTTP call on loopback with a connection of its own.
pub fn call(port: u16, method: &str, path: &str, bearer: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Option<(u16, Value)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let body = body.filter(|b| !b.is_null()).map(Value::to_string).unwrap_or_default();
    let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {bearer}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n{more}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).ok()?;
    let answer = read_message(&mut stream)?;
    let status = answer.head.get(9..12)?.parse().ok()?;
    Some((status, answer.body.unwrap_or_default()))
}

/// Stands before an instance and interferes with the first request whose first line begins in a certain way.
pub struct Interferer {
    /// Where it answers.
    pub port: u16,
    /// How often it has interfered: once at most.
    pub done: Arc<AtomicU64>,
}

/// What is done to one request.
#[derive(Clone, Copy)]
enum Harm {
    /// It arrives, and its answer does not.
    Lose,
    /// It arrives with another text of the same length in it.
    Rewrite(&'static str, &'static str),
}

impl Interferer {
    /// Loses the answer.
    ///
    /// # Panics
    /// When there is no port.
    pub fn losing(target: u16, begins: &'static str) -> Self {
        Self::before(target, begins, Harm::Lose)
    }

    /// Puts one text in the place of another one.
    ///
    /// # Panics
    /// When there is no port, or the texts differ in length.
    pub fn rewriting(target: u16, begins: &'static str, from: &'static str, to: &'static str) -> Self {
        assert_eq!(from.len(), to.len(), "the length of the request must stay");
        Self::before(target, begins, Harm::Rewrite(from, to))
    }

    fn before(target: u16, begins: &'static str, harm: Harm) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|e| panic!("no port: {e}"));
        let port = listener.local_addr().map(|a| a.port()).unwrap_or_default();
        let done = Arc::new(AtomicU64::new(0));
        let counter = done.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counter = counter.clone();
                thread::spawn(move || relay(stream, target, begins, harm, &counter));
            }
        });
        Self { port, done }
    }
}

fn relay(mut client: TcpStream, target: u16, begins: &str, harm: Harm, done: &AtomicU64) -> Option<()> {
    client.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    loop {
        let mut request = read_message(&mut client)?;
        let meant = request.head.starts_with(begins) && done.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if let (true, Harm::Rewrite(from, to)) = (meant, harm) {
            let text = String::from_utf8_lossy(&request.raw).into_owned();
            assert!(text.contains(from), "nothing to rewrite in the request");
            request.raw = text.replacen(from, to, 1).into_bytes();
        }
        let mut server = TcpStream::connect(("127.0.0.1", target)).ok()?;
        server.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        server.write_all(&request.raw).ok()?;
        let answer = read_message(&mut server)?;
        if let (true, Harm::Lose) = (meant, harm) {
            let _ = client.shutdown(Shutdown::Both);
            return None;
        }
        client.write_all(&answer.raw).ok()?;
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}
