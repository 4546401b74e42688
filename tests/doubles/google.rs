//! A strict stand-in for the part of Google Secret Manager that an alias needs: versions are added and never change, an alias leads to one
//! version, metadata is written only with the etag that was read, a disabled version keeps its aliases and cannot be read.
//!
//! It is the documented behaviour written down as code, no proof of what Google does.
#![allow(dead_code, clippy::allow_attributes, clippy::unwrap_used, reason = "each test binary uses a part of this")]

use crate::rest::{Call, Server};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

pub(crate) const OWNER: &str = "ya29.owner-000000000000000000001";
pub(crate) const READER: &str = "ya29.reader-00000000000000000001";
pub(crate) const NOBODY: &str = "ya29.nobody-00000000000000000001";

/// One version.
pub(crate) struct Version {
    pub(crate) value: String,
    pub(crate) state: &'static str,
    pub(crate) etag: u64,
}

/// One secret.
#[derive(Default)]
pub(crate) struct Secret {
    pub(crate) versions: Vec<Version>,
    pub(crate) aliases: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    etag: u64,
    made: u64,
}

impl Secret {
    /// Metadata was changed.
    pub(crate) fn touch(&mut self) {
        self.etag += 1;
    }

    pub(crate) fn add(&mut self, value: &str) -> String {
        self.versions.push(Version { value: value.into(), state: "ENABLED", etag: 1 });
        self.versions.len().to_string()
    }

    fn version(&mut self, number: &str) -> Option<&mut Version> {
        let number = self.aliases.get(number).cloned().unwrap_or_else(|| number.to_owned());
        self.versions.get_mut(number.parse::<usize>().ok()?.checked_sub(1)?)
    }
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) secrets: BTreeMap<String, Secret>,
    made: u64,
    /// An etag that no longer fits is answered as aborted (409), else as a failed precondition (400).
    pub(crate) aborts: bool,
}

/// The stand-in.
pub(crate) struct Google {
    world: Arc<Mutex<World>>,
    server: Server,
}

impl Google {
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

    /// A secret whose alias `current` leads to this value.
    pub(crate) fn make(&self, name: &str, value: &str, note: &str) {
        let mut world = self.world();
        world.made += 1;
        world.aborts = !world.aborts;
        let mut secret = Secret { made: world.made, etag: 1, ..Secret::default() };
        let number = secret.add(value);
        secret.aliases.insert("current".into(), number.clone());
        secret.aliases.insert("somebody-elses".into(), number);
        secret.annotations.insert("team".into(), note.into());
        world.secrets.insert(name.into(), secret);
    }

    /// What a consumer of the alias gets.
    pub(crate) fn access(&self, name: &str, alias: &str) -> Option<String> {
        let mut world = self.world();
        let version = world.secrets.get_mut(name)?.version(alias)?;
        (version.state == "ENABLED").then(|| version.value.clone())
    }
}

fn no(code: u16, status: &str) -> (u16, Value) {
    (code, json!({ "error": { "code": code, "status": status, "message": "as documented" } }))
}

fn answer(world: &mut World, call: &Call) -> (u16, Value) {
    let may_write = match call.token.as_str() {
        OWNER => true,
        READER => false,
        NOBODY => return no(403, "PERMISSION_DENIED"),
        _ => return no(401, "UNAUTHENTICATED"),
    };
    if call.method != "GET" && !may_write {
        return no(403, "PERMISSION_DENIED");
    }
    let aborts = world.aborts;
    let stale = || if aborts { no(409, "ABORTED") } else { no(400, "FAILED_PRECONDITION") };
    let (method, path) = call.to();
    let ["v1", "projects", "demo", "secrets", named, rest @ ..] = path.as_slice() else { return no(404, "NOT_FOUND") };
    let (name, verb) = named.split_once(':').unwrap_or((named, ""));
    let Some(secret) = world.secrets.get_mut(name) else { return no(404, "NOT_FOUND") };
    let about = |secret: &Secret| {
        json!({ "name": format!("projects/1/secrets/{name}"), "createTime": format!("2026-01-01T00:00:{:02}Z", secret.made), "etag": format!("\"{:x}\"", secret.etag),
            "versionAliases": secret.aliases, "annotations": secret.annotations })
    };
    let version = |name: &str, number: usize, v: &Version| json!({ "name": format!("projects/1/secrets/{name}/versions/{number}"), "state": v.state, "etag": format!("\"v{}\"", v.etag) });
    match (method, verb, rest) {
        ("GET", "", []) => (200, about(secret)),
        ("PATCH", "", []) => {
            if call.asks("updateMask") != Some("version_aliases,annotations") {
                return no(400, "INVALID_ARGUMENT");
            }
            if call.body["etag"] != format!("\"{:x}\"", secret.etag) {
                return stale();
            }
            let map = |v: &Value| -> BTreeMap<String, String> { serde_json::from_value(v.clone()).unwrap_or_default() };
            let aliases = map(&call.body["versionAliases"]);
            let exists = |n: &String| n.parse::<usize>().is_ok_and(|n| (1..=secret.versions.len()).contains(&n));
            if aliases.len() > 50 || aliases.keys().any(|a| a.len() > 63 || a == "latest") || !aliases.values().all(exists) {
                return no(400, "INVALID_ARGUMENT");
            }
            (secret.aliases, secret.annotations) = (aliases, map(&call.body["annotations"]));
            secret.touch();
            (200, about(secret))
        }
        ("POST", "addVersion", []) => {
            let data = call.body["payload"]["data"].as_str().and_then(|d| STANDARD.decode(d).ok()).and_then(|d| String::from_utf8(d).ok());
            let Some(value) = data else { return no(400, "INVALID_ARGUMENT") };
            secret.add(&value);
            (200, version(name, secret.versions.len(), secret.versions.last().unwrap()))
        }
        ("GET", "", ["versions"]) => {
            let most = call.asks("pageSize").and_then(|n| n.parse().ok()).unwrap_or(25_000);
            let all = secret.versions.iter().enumerate().rev().filter(|(_, v)| v.state == "ENABLED");
            (200, json!({ "versions": all.take(most).map(|(i, v)| version(name, i + 1, v)).collect::<Vec<_>>() }))
        }
        (_, "", ["versions", what]) => {
            let (number, verb) = what.split_once(':').unwrap_or((what, ""));
            let Some(found) = secret.version(number) else { return no(404, "NOT_FOUND") };
            let fits = call.body["etag"].is_null() || call.body["etag"] == format!("\"v{}\"", found.etag);
            match (method, verb, found.state) {
                ("GET", "", _) => (200, version(name, number.parse().unwrap_or(0), found)),
                ("GET", "access", "ENABLED") => {
                    (200, json!({ "name": "x", "payload": { "data": STANDARD.encode(&found.value), "dataCrc32c": "1" } }))
                }
                ("POST", "disable" | "destroy", "ENABLED" | "DISABLED") if !fits => stale(),
                ("POST", "disable", "ENABLED" | "DISABLED") => {
                    (found.state, found.etag) = ("DISABLED", found.etag + 1);
                    (200, json!({}))
                }
                ("POST", "destroy", "ENABLED" | "DISABLED") => {
                    (found.state, found.etag) = ("DESTROYED", found.etag + 1);
                    found.value.clear();
                    (200, json!({}))
                }
                _ => no(400, "FAILED_PRECONDITION"),
            }
        }
        _ => no(404, "NOT_FOUND"),
    }
}
