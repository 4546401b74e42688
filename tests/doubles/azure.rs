//! A strict stand-in for the secrets of Azure Key Vault: every write makes the newest version, which is what everybody reads; a newest version
//! that is disabled is refused, not skipped; a deleted secret keeps its name taken; lists hold no values and come in no order.
//!
//! It is the documented behaviour written down as code, no proof of what Azure does.
#![allow(dead_code, clippy::allow_attributes, clippy::unwrap_used, reason = "each test binary uses a part of this")]

use crate::rest::{Call, Server};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

pub(crate) const OWNER: &str = "eyJ-owner-0000000000000000000001";
pub(crate) const READER: &str = "eyJ-reader-000000000000000000001";
pub(crate) const NOBODY: &str = "eyJ-nobody-000000000000000000001";

/// One version.
#[derive(Clone)]
pub(crate) struct Version {
    pub(crate) id: String,
    pub(crate) value: String,
    pub(crate) enabled: bool,
    pub(crate) created: u64,
    pub(crate) updated: u64,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) rest: Value,
}

/// One secret, oldest version first.
#[derive(Default)]
pub(crate) struct Secret {
    pub(crate) versions: Vec<Version>,
    pub(crate) deleted: bool,
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) secrets: BTreeMap<String, Secret>,
    now: u64,
}

impl World {
    pub(crate) fn put(&mut self, name: &str, value: &str, tags: BTreeMap<String, String>, rest: Value) -> Version {
        self.now += 1;
        let version = Version {
            id: format!("{:032x}", u128::from(self.now) * 0x9e37_79b9_7f4a_7c15),
            value: value.into(),
            enabled: true,
            created: self.now,
            updated: self.now,
            tags,
            rest,
        };
        self.secrets.entry(name.into()).or_default().versions.push(version.clone());
        version
    }

    /// A person changes a tag of the newest version.
    pub(crate) fn tag(&mut self, name: &str, tag: &str, value: &str) {
        self.now += 1;
        let now = self.now;
        let newest = self.secrets.get_mut(name).unwrap().versions.last_mut().unwrap();
        newest.tags.insert(tag.into(), value.into());
        newest.updated = now;
    }
}

/// The stand-in.
pub(crate) struct Azure {
    world: Arc<Mutex<World>>,
    server: Server,
}

impl Azure {
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

    /// What a consumer gets.
    pub(crate) fn newest(&self, name: &str) -> Option<Version> {
        self.world().secrets.get(name).filter(|s| !s.deleted)?.versions.last().filter(|v| v.enabled).cloned()
    }
}

fn no(status: u16, code: &str, inner: &str) -> (u16, Value) {
    let inner = if inner.is_empty() { Value::Null } else { json!({ "code": inner }) };
    (status, json!({ "error": { "code": code, "message": "as documented", "innererror": inner } }))
}

fn shown(name: &str, version: &Version, with_value: bool) -> Value {
    let mut attributes =
        json!({ "enabled": version.enabled, "created": version.created, "updated": version.updated, "recoveryLevel": "Recoverable" });
    for kept in ["exp", "nbf"] {
        if !version.rest["attributes"][kept].is_null() {
            attributes[kept] = version.rest["attributes"][kept].clone();
        }
    }
    let mut said = json!({ "id": format!("https://demo.vault.azure.net/secrets/{name}/{}", version.id), "attributes": attributes, "tags": version.tags });
    if with_value {
        said["value"] = version.value.clone().into();
    }
    if !version.rest["contentType"].is_null() {
        said["contentType"] = version.rest["contentType"].clone();
    }
    said
}

fn answer(world: &mut World, call: &Call) -> (u16, Value) {
    let may_write = match call.token.as_str() {
        OWNER => true,
        READER => false,
        NOBODY => return no(403, "Forbidden", "ForbiddenByRbac"),
        _ => return no(401, "Unauthorized", ""),
    };
    if call.method != "GET" && !may_write {
        return no(403, "Forbidden", "ForbiddenByRbac");
    }
    if call.asks("api-version").is_none() {
        return no(400, "BadParameter", "");
    }
    let (method, path) = call.to();
    let ["secrets", name, rest @ ..] = path.as_slice() else { return no(404, "NotFound", "") };
    let name = name.to_ascii_lowercase();
    match (method, rest) {
        ("PUT", []) => {
            if world.secrets.get(&name).is_some_and(|s| s.deleted) {
                return no(409, "Conflict", "ObjectIsDeletedButRecoverable");
            }
            let Some(value) = call.body["value"].as_str() else { return no(400, "BadParameter", "") };
            let tags: BTreeMap<String, String> = serde_json::from_value(call.body["tags"].clone()).unwrap_or_default();
            if tags.len() > 15 || tags.values().any(|t| t.len() > 256) {
                return no(400, "BadParameter", "");
            }
            let version = world.put(&name, value, tags, call.body.clone());
            (200, shown(&name, &version, true))
        }
        (_, rest) => {
            let Some(secret) = world.secrets.get_mut(&name).filter(|s| !s.deleted) else { return no(404, "SecretNotFound", "") };
            match (method, rest) {
                ("GET", ["versions"]) => {
                    // No order is promised: by id, which is random.
                    let mut all = secret.versions.clone();
                    all.sort_by(|a, b| a.id.cmp(&b.id));
                    let from: usize = call.asks("$skiptoken").or(call.asks("%24skiptoken")).and_then(|t| t.parse().ok()).unwrap_or(0);
                    let page: Vec<Value> = all.iter().skip(from).take(2).map(|v| shown(&name, v, false)).collect();
                    let next = (from + 2 < all.len())
                        .then(|| format!("https://demo.vault.azure.net/secrets/{name}/versions?api-version=7.4&$skiptoken={}", from + 2));
                    (200, json!({ "value": page, "nextLink": next }))
                }
                ("GET", version) => {
                    let found = match version {
                        [] => secret.versions.last(),
                        [id] => secret.versions.iter().find(|v| v.id == *id),
                        _ => None,
                    };
                    match found {
                        Some(v) if v.enabled => (200, shown(&name, v, true)),
                        Some(_) => no(403, "Forbidden", "SecretDisabled"),
                        None => no(404, "SecretNotFound", ""),
                    }
                }
                ("PATCH", [id]) => {
                    let Some(found) = secret.versions.iter_mut().find(|v| v.id == *id) else { return no(404, "SecretNotFound", "") };
                    if let Some(enabled) = call.body["attributes"]["enabled"].as_bool() {
                        found.enabled = enabled;
                    }
                    world.now += 1;
                    found.updated = world.now;
                    (200, shown(&name, found, false))
                }
                ("DELETE", []) => {
                    secret.deleted = true;
                    (200, json!({}))
                }
                _ => no(404, "NotFound", ""),
            }
        }
    }
}
