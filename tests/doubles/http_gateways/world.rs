//! What all doubles share: keys, a data plane with replicas and a request log, and consumers that count what they see.

use super::server::{Request, Response, serve};
use keyroll::secret::sha256_hex;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

/// A key as the gateway has it.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) name: String,
    pub(crate) note: String,
    pub(crate) owner: String,
    pub(crate) on: bool,
    pub(crate) created: i64,
    pub(crate) expires: Option<i64>,
    pub(crate) limits: Value,
    pub(crate) groups: Vec<String>,
    pub(crate) uses: u64,
    pub(crate) deleted: bool,
}

/// Everything behind one gateway.
pub(crate) struct World {
    pub(crate) keys: Vec<Key>,
    pub(crate) made: u64,
    /// The next answer to each of these operations is lost after it was done.
    pub(crate) lose: BTreeSet<&'static str>,
    pub(crate) lost: BTreeSet<&'static str>,
    pub(crate) faults: BTreeSet<&'static str>,
    /// Calls left for each login.
    pub(crate) sessions: Vec<(String, u32)>,
    pub(crate) logins: u32,
    /// Mutations, in order.
    pub(crate) done: Vec<String>,
    /// The id of a key, as this gateway's log writes it.
    pub(crate) id_of: fn(&Key) -> String,
    log: PathBuf,
}

pub(crate) type Shared = Arc<Mutex<World>>;

/// Takes the world, also after another thread died with it.
pub(crate) fn hold(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

pub(crate) fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

impl World {
    pub(crate) fn new(log: PathBuf) -> Self {
        Self {
            keys: Vec::new(),
            made: 0,
            lose: BTreeSet::new(),
            lost: BTreeSet::new(),
            faults: BTreeSet::new(),
            sessions: Vec::new(),
            logins: 0,
            done: Vec::new(),
            id_of: |key| key.id.clone(),
            log,
        }
    }

    pub(crate) fn has(&self, fault: &str) -> bool {
        self.faults.contains(fault)
    }

    /// A new key; its value is drawn unless one is given.
    pub(crate) fn make(&mut self, name: &str, note: &str, chosen: Option<String>) -> &mut Key {
        self.made += 1;
        let secret = chosen.unwrap_or_else(|| {
            let drawn = sha256_hex(format!("{} {:?} {}", self.made, std::time::SystemTime::now(), name).as_bytes());
            format!("gw-{}", drawn.get(..40).unwrap())
        });
        self.keys.push(Key {
            id: format!("k{}", 1000 + self.made),
            secret,
            name: name.into(),
            note: note.into(),
            owner: "team-a".into(),
            on: true,
            created: now(),
            expires: None,
            limits: json!({}),
            groups: Vec::new(),
            uses: 0,
            deleted: false,
        });
        self.keys.last_mut().unwrap()
    }

    pub(crate) fn live(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(|k| !k.deleted)
    }

    pub(crate) fn find(&mut self, wanted: impl Fn(&Key) -> bool) -> Option<&mut Key> {
        self.keys.iter_mut().find(|k| !k.deleted && wanted(k))
    }

    /// The answer to a mutation that was done, or nothing at all where it is to be lost.
    pub(crate) fn did(&mut self, what: &'static str, answer: Response) -> Response {
        self.done.push(what.to_owned());
        if self.lose.remove(what) {
            self.lost.insert(what);
            return Response::lost();
        }
        answer
    }

    /// Why a key is refused, or its id.
    fn judge(&mut self, secret: &str, replica: usize) -> Result<String, (&'static str, Option<String>)> {
        let (stale, revives) = (self.has("replica_serves_disabled") && replica == 1, self.has("revives"));
        let id_of = self.id_of;
        let Some(key) = self.keys.iter_mut().find(|k| k.secret == secret) else { return Err(("unknown", None)) };
        let id = Some(id_of(key));
        match key.deleted {
            true if revives => return Ok(id_of(key)),
            true => return Err(("unknown", id)),
            false => {}
        }
        if !key.on && !stale {
            return Err(("disabled", id));
        }
        if key.expires.is_some_and(|end| end <= now()) {
            return Err(("expired", id));
        }
        key.uses += 1;
        Ok(id_of(key))
    }

    fn row(&self, request: &Request, key: Option<&str>, status: u16) {
        let owner = self.keys.iter().find(|k| Some((self.id_of)(k).as_str()) == key).map(|k| k.owner.clone());
        let row = json!({"owner": owner, "ts": chrono::Utc::now().to_rfc3339(), "request_id": request.header("x-request-id"), "key": {"id": key},
            "caller": request.header("x-app"), "http": {"status": status}});
        let mut file = fs::OpenOptions::new().append(true).create(true).open(&self.log).unwrap();
        file.write_all(format!("{row}\n").as_bytes()).unwrap();
    }
}

/// How a gateway words a refusal: why → status and body.
pub(crate) type Wording = fn(&str, &str) -> (u16, Value);

/// The data plane: so many replicas of one gateway, keys in this header.
pub(crate) fn data_plane(world: &Shared, replicas: usize, header: &'static str, wording: Wording) -> Vec<String> {
    let replica = |number: usize| {
        let world = world.clone();
        serve(move |request| {
            let presented = request.header(header);
            let secret = if header == "authorization" { presented.strip_prefix("Bearer ").unwrap_or("") } else { presented };
            let mut world = hold(&world);
            let judged = world.judge(secret, number);
            let (status, key, body) = match (&judged, request.route()) {
                (Err((why, id)), _) => {
                    let (status, body) = wording(why, secret);
                    (status, id.clone(), body)
                }
                (Ok(id), ("GET", path)) if path == ["v1", "whoami"] => (200, Some(id.clone()), json!({"me": {"key": id}})),
                (Ok(id), ("POST", path))
                    if path == ["v1", "chat", "completions"] && request.json().is_some_and(|b| b["model"] == "small") =>
                {
                    (200, Some(id.clone()), json!({"choices": [{"message": {"role": "assistant", "content": "pong"}}]}))
                }
                (Ok(id), _) => (404, Some(id.clone()), json!({"error": "no such route or model"})),
            };
            world.row(request, key.as_deref(), status);
            Response::json(status, body)
        })
    };
    (0..replicas).map(|number| format!("{}/v1", replica(number))).collect()
}

/// Consumers that read the slot before each call and count what they see.
pub(crate) struct Consumers {
    stop: Arc<AtomicBool>,
    pub(crate) calls: Arc<AtomicU64>,
    pub(crate) refused: Arc<AtomicU64>,
}

impl Drop for Consumers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Consumers {
    pub(crate) fn start(slot: &Path, data: &[String], header: &'static str) -> Self {
        let consumers = Self { stop: Arc::default(), calls: Arc::default(), refused: Arc::default() };
        for (app, pause) in [("web", 60), ("worker", 150)] {
            let (slot, data) = (slot.to_owned(), data.to_vec());
            let (stop, calls, refused) = (consumers.stop.clone(), consumers.calls.clone(), consumers.refused.clone());
            thread::spawn(move || {
                let mut turn = 0;
                while !stop.load(Ordering::Relaxed) {
                    turn += 1;
                    // The test is over and its folder gone.
                    let Some(key) = try_value(&slot) else { return };
                    let status = call(&data[turn % data.len()], &key, app, header);
                    calls.fetch_add(1, Ordering::Relaxed);
                    if status != 200 {
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                    thread::sleep(Duration::from_millis(pause));
                }
            });
        }
        consumers
    }
}

/// The key in a slot.
pub(crate) fn value(slot: &Path) -> String {
    try_value(slot).unwrap()
}

fn try_value(slot: &Path) -> Option<String> {
    let text = fs::read_to_string(slot).ok()?;
    text.lines().find_map(|l| l.strip_prefix("KEY=")).map(str::to_owned)
}

/// One call of an application; its status.
pub(crate) fn call(base: &str, key: &str, app: &str, header: &str) -> u16 {
    let host = base.trim_start_matches("http://").trim_end_matches("/v1");
    let Ok(mut stream) = TcpStream::connect(host) else { return 0 };
    let presented = if header == "authorization" { format!("Bearer {key}") } else { key.to_owned() };
    let body = json!({"model": "small", "messages": []}).to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\n{header}: {presented}\r\nx-app: {app}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut answer = String::new();
    if stream.write_all(head.as_bytes()).is_err() || stream.read_to_string(&mut answer).is_err() {
        return 0;
    }
    answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
}

/// A slot with a key in it, beside a line that is nobody's business.
pub(crate) fn fill(slot: &Path, key: &str) {
    let mut file = File::create(slot).unwrap();
    file.write_all(format!("OTHER=1\nKEY={key}\n").as_bytes()).unwrap();
}
