//! A strict stand-in for the environment variables of a Vercel project: lists hold no readable values, one is decrypted by its id unless it is
//! sensitive, a name is given once for a kind of deployment, a change touches what it names and the time, and a deployment keeps the values
//! that it was made with.
//!
//! It is the documented behaviour written down as code, no proof of what Vercel does.
#![allow(dead_code, clippy::allow_attributes, clippy::unwrap_used, reason = "each test binary uses a part of this")]

use crate::rest::{Call, Server};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

pub(crate) const OWNER: &str = "vercel_owner_0000000000000000001";
pub(crate) const READER: &str = "vercel_reader_000000000000000001";
pub(crate) const NOBODY: &str = "vercel_nobody_000000000000000001";

/// One variable.
#[derive(Clone)]
pub(crate) struct Variable {
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) kind: String,
    pub(crate) target: Vec<String>,
    pub(crate) comment: String,
    pub(crate) at: u64,
}

impl Variable {
    pub(crate) fn is_for(&self, target: &str) -> bool {
        self.target.iter().any(|t| t == target)
    }
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) variables: Vec<Variable>,
    /// What the production deployment was made with.
    pub(crate) deployed: BTreeMap<String, String>,
    now: u64,
}

impl World {
    pub(crate) fn make(&mut self, key: &str, value: &str, kind: &str, target: &[&str], comment: &str) -> String {
        self.now += 1;
        let id = format!("env{:04}", self.now);
        let target = target.iter().map(|t| (*t).to_owned()).collect();
        let (key, value, kind, comment) = (key.into(), value.into(), kind.into(), comment.into());
        self.variables.push(Variable { id: id.clone(), key, value, kind, target, comment, at: self.now });
        id
    }

    /// The production variable of this name, changed by a person.
    pub(crate) fn get(&mut self, key: &str) -> Option<&mut Variable> {
        self.now += 1;
        let now = self.now;
        let found = self.variables.iter_mut().find(|v| v.key == key && v.is_for("production"))?;
        found.at = now;
        Some(found)
    }

    /// A deployment is made.
    pub(crate) fn deploy(&mut self) {
        let production = self.variables.iter().filter(|v| v.is_for("production"));
        self.deployed = production.map(|v| (v.key.clone(), v.value.clone())).collect();
    }
}

/// The stand-in.
pub(crate) struct Vercel {
    world: Arc<Mutex<World>>,
    server: Server,
}

impl Vercel {
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
}

fn no(status: u16, code: &str) -> (u16, Value) {
    (status, json!({ "error": { "code": code, "message": "as documented" } }))
}

fn shown(v: &Variable, value: bool) -> Value {
    let value = if value { v.value.clone() } else { "encrypted-and-not-readable".into() };
    json!({ "id": v.id, "key": v.key, "type": v.kind, "target": v.target, "comment": v.comment, "updatedAt": v.at, "createdAt": 1, "value": value, "gitBranch": null })
}

fn answer(world: &mut World, call: &Call) -> (u16, Value) {
    let may_write = match call.token.as_str() {
        OWNER => true,
        READER => false,
        _ => return no(403, "forbidden"),
    };
    if call.asks("teamId") != Some("team_demo") || (call.method != "GET" && !may_write) {
        return no(403, "forbidden");
    }
    let (method, path) = call.to();
    match (method, path.as_slice()) {
        ("GET", ["v10", "projects", "chat-web", "env"]) => {
            (200, json!({ "envs": world.variables.iter().map(|v| shown(v, false)).collect::<Vec<_>>() }))
        }
        ("GET", ["v1", "projects", "chat-web", "env", id]) => match world.variables.iter().find(|v| v.id == *id) {
            Some(v) if v.kind == "sensitive" => (200, json!({ "id": v.id, "key": v.key, "type": v.kind, "decrypted": false })),
            Some(v) => (200, shown(v, true)),
            None => no(404, "not_found"),
        },
        ("POST", ["v10", "projects", "chat-web", "env"]) => {
            let text = |name: &str| call.body[name].as_str().unwrap_or_default().to_owned();
            let target: Vec<String> = serde_json::from_value(call.body["target"].clone()).unwrap_or_default();
            if text("key").is_empty() || target.is_empty() || text("comment").len() > 500 {
                return no(400, "bad_request");
            }
            if world.variables.iter().any(|v| v.key == text("key") && v.target.iter().any(|t| target.contains(t))) {
                return no(400, "ENV_CONFLICT");
            }
            let target: Vec<&str> = target.iter().map(String::as_str).collect();
            world.make(&text("key"), &text("value"), &text("type"), &target, &text("comment"));
            (201, json!({ "created": shown(world.variables.last().unwrap(), false), "failed": [] }))
        }
        ("PATCH", ["v9", "projects", "chat-web", "env", id]) => {
            world.now += 1;
            let now = world.now;
            let Some(found) = world.variables.iter_mut().find(|v| v.id == *id) else { return no(404, "not_found") };
            if let Some(value) = call.body["value"].as_str() {
                found.value = value.into();
            }
            if let Some(comment) = call.body["comment"].as_str() {
                found.comment = comment.into();
            }
            found.at = now;
            (200, shown(found, false))
        }
        ("DELETE", ["v9", "projects", "chat-web", "env", id]) => {
            let before = world.variables.len();
            world.variables.retain(|v| v.id != *id);
            if world.variables.len() < before { (200, json!({})) } else { no(404, "not_found") }
        }
        _ => no(404, "not_found"),
    }
}
