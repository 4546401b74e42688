//! A strict stand-in for the part of GitHub that Actions secrets and variables need: secrets go in sealed for the present key and never come
//! out, what may not be seen is not found, times are whole seconds, a variable is made once and then changed.
//!
//! It is the documented behaviour written down as code, no proof of what GitHub does.
#![allow(dead_code, clippy::allow_attributes, clippy::unwrap_used, reason = "each test binary uses a part of this")]

use crate::rest::{Call, Server};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_box::SecretKey;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// May do everything.
pub(crate) const OWNER: &str = "ghp_owner0000000000000000000000000001";
/// May read metadata and nothing else.
pub(crate) const READER: &str = "ghp_reader000000000000000000000000001";
/// Has ended.
pub(crate) const ENDED: &str = "ghp_ended0000000000000000000000000001";

#[derive(Default)]
pub(crate) struct World {
    /// Value and time by name.
    pub(crate) secrets: BTreeMap<String, (String, u64)>,
    pub(crate) variables: BTreeMap<String, (String, u64)>,
    /// Seconds; writes do not move it.
    pub(crate) now: u64,
    /// The public key becomes another one right before the next write.
    pub(crate) turns: bool,
    key: u8,
    /// So many calls are turned away.
    pub(crate) busy: usize,
    /// Writes of secrets, in order.
    pub(crate) written: Vec<String>,
}

/// The stand-in.
pub(crate) struct Github {
    world: Arc<Mutex<World>>,
    server: Server,
}

fn time(seconds: u64) -> String {
    chrono::DateTime::from_timestamp(1_790_000_000 + i64::try_from(seconds).unwrap(), 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Github {
    pub(crate) fn start() -> Self {
        let world: Arc<Mutex<World>> = Arc::default();
        let ours = world.clone();
        let server = Server::start(move |call| answer(&mut ours.lock().unwrap_or_else(std::sync::PoisonError::into_inner), call));
        Self { world, server }
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.port
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What a workflow gets that starts now.
    pub(crate) fn workflow(&self, name: &str) -> Option<String> {
        self.world().secrets.get(name).map(|(value, _)| value.clone())
    }

    /// Somebody writes a secret in the browser.
    pub(crate) fn by_hand(&self, name: &str, value: &str) {
        let mut world = self.world();
        world.now += 5;
        let now = world.now;
        world.secrets.insert(name.into(), (value.into(), now));
    }
}

fn answer(world: &mut World, call: &Call) -> (u16, Value) {
    let missing = || (404, json!({ "message": "Not Found" }));
    match call.token.as_str() {
        OWNER => {}
        READER if call.method == "GET" && call.path.last().is_some_and(|p| p != "public-key") => {}
        // What may not be seen is not there.
        READER => return missing(),
        _ => return (401, json!({ "message": "Bad credentials" })),
    }
    if world.busy > 0 {
        world.busy -= 1;
        return (429, json!({ "message": "You have exceeded a secondary rate limit" }));
    }
    // Each call takes a while.
    world.now += 1;
    let now = world.now;
    let (method, path) = call.to();
    let (kind, name) = match path.as_slice() {
        ["repos", "example", "chat", "actions", kind, rest @ ..] => (*kind, rest.first().copied()),
        ["repos", "example", "chat", "environments", "production", kind, rest @ ..] => (*kind, rest.first().copied()),
        _ => return missing(),
    };
    let name = name.map(str::to_ascii_uppercase);
    match (method, kind, name.as_deref()) {
        ("GET", "secrets", Some("PUBLIC-KEY")) => {
            let key = SecretKey::from_bytes([world.key + 1; 32]);
            let said = json!({ "key_id": format!("key-{}", world.key), "key": STANDARD.encode(key.public_key().as_bytes()) });
            (200, said)
        }
        ("GET", "secrets", Some(name)) => match world.secrets.get(name) {
            Some((_, at)) => (200, json!({ "name": name, "created_at": time(0), "updated_at": time(*at) })),
            None => missing(),
        },
        ("PUT", "secrets", Some(name)) => {
            world.key += u8::from(std::mem::take(&mut world.turns));
            if call.body["key_id"] != format!("key-{}", world.key) {
                return (422, json!({ "message": "Bad request - key_id is not the present one" }));
            }
            let opened = call.body["encrypted_value"].as_str().and_then(|v| STANDARD.decode(v).ok());
            let opened = opened.and_then(|v| SecretKey::from_bytes([world.key + 1; 32]).unseal(&v).ok());
            let Some(value) = opened.and_then(|v| String::from_utf8(v).ok()) else {
                return (422, json!({ "message": "Improperly encrypted secret" }));
            };
            world.written.push(name.to_owned());
            if world.secrets.insert(name.to_owned(), (value, now)).is_some() { (204, Value::Null) } else { (201, json!({})) }
        }
        ("DELETE", "secrets", Some(name)) => {
            if world.secrets.remove(name).is_some() {
                (204, Value::Null)
            } else {
                missing()
            }
        }
        ("GET", "variables", Some(name)) => match world.variables.get(name) {
            Some((value, at)) => (200, json!({ "name": name, "value": value, "created_at": time(0), "updated_at": time(*at) })),
            None => missing(),
        },
        ("POST", "variables", None) => {
            let (Some(name), Some(value)) = (call.body["name"].as_str(), call.body["value"].as_str()) else { return (422, json!({})) };
            if world.variables.contains_key(name) {
                return (409, json!({ "message": "Already exists" }));
            }
            world.variables.insert(name.to_owned(), (value.to_owned(), now));
            (201, json!({}))
        }
        ("PATCH", "variables", Some(name)) => match (world.variables.get_mut(name), call.body["value"].as_str()) {
            (Some(variable), Some(value)) => {
                *variable = (value.to_owned(), now);
                (204, Value::Null)
            }
            _ => missing(),
        },
        _ => missing(),
    }
}
