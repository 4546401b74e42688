//! A strict stand-in for OpenRouter and for ARouter, whose API descends from it, in process, on loopback.
//!
//! Three dialects: `OpenRouter` (official SDK), `ARouter` (its SDKs and reference pages) and `ARouterLegacy` (the rotation guide: other
//! paths, other ids, other fields). It is no proof of what the services do: it is their documented contract written down as code, so that
//! a driver which relies on more is caught. Where sources disagree or say nothing there is a switch, and where a real service is
//! probably laxer (unknown fields and parameters) the double says 400. Not here: analytics queries, billing, webhooks, workspaces.
//!
//! Every replica serves everything. The admin side is one; the data plane of a replica may be behind it.
#![allow(
    dead_code,
    unused_imports,
    clippy::panic,
    clippy::allow_attributes,
    reason = "each test binary uses a part of this, and may panic"
)]

pub(crate) mod faults;
pub(crate) mod server;

mod admin;
mod data;
mod fields;
mod guardrails;
mod usage;
mod world;

pub(crate) use data::MODELS;
pub(crate) use faults::Fail;
pub(crate) use world::{Call, Dialect, Key, Refusal, Trap};

use faults::{Faults, millis};
use server::{Answer, Request, Servers, serve};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use world::World;

/// The stand-in; it stops when dropped.
pub(crate) struct Double {
    world: Arc<Mutex<World>>,
    servers: Servers,
    dialect: Dialect,
    /// Manages keys. In the legacy dialect it is an ordinary key, as the guide has it.
    pub(crate) management: String,
}

impl Double {
    /// Starts so many replicas.
    pub(crate) fn start(dialect: Dialect, replicas: usize) -> Self {
        let mut world = World::new(dialect);
        let management = world.manager();
        let world = Arc::new(Mutex::new(world));
        let handle = world.clone();
        let servers = serve(replicas, Arc::new(move |replica, request| answer(&mut hold(&handle), replica, request)));
        Self { world, servers, dialect, management }
    }

    /// Scheme, host and port of a replica.
    ///
    /// # Panics
    /// When there is no such replica.
    pub(crate) fn url(&self, replica: usize) -> String {
        let port = self.servers.ports.get(replica).unwrap_or_else(|| panic!("no replica {replica}"));
        format!("http://127.0.0.1:{port}")
    }

    /// Where chat and models are, by replica.
    pub(crate) fn data(&self) -> Vec<String> {
        (0..self.servers.ports.len()).map(|r| format!("{}{}", self.url(r), self.dialect.data())).collect()
    }

    /// Where keys are managed.
    pub(crate) fn admin(&self) -> String {
        format!("{}{}", self.url(0), self.dialect.keys())
    }

    fn world(&self) -> MutexGuard<'_, World> {
        hold(&self.world)
    }

    /// Turns a trap on or off.
    pub(crate) fn trap(&self, trap: Trap, on: bool) {
        let mut world = self.world();
        if on {
            world.traps.insert(trap)
        } else {
            world.traps.remove(&trap)
        };
    }

    /// Loses the next answers of an operation, after the work was done.
    pub(crate) fn lose(&self, operation: &str, times: usize) {
        self.world().faults.lose(operation, times);
    }

    /// Lets the next calls of an operation fail.
    pub(crate) fn fail(&self, operation: &str, how: &[Fail]) {
        self.world().faults.fail(operation, how);
    }

    /// Makes an operation wait before it answers.
    pub(crate) fn slow(&self, operation: &str, by: Duration) {
        self.world().faults.slow(operation, by);
    }

    /// Faults that were asked for and not met.
    pub(crate) fn waiting(&self) -> Vec<&'static str> {
        self.world().faults.waiting()
    }

    /// How far a replica's data plane is behind the admin side.
    pub(crate) fn behind(&self, replica: usize, by: Duration) {
        self.world().behind.insert(replica, millis(by));
    }

    /// How long a replica repeats a refusal without looking.
    pub(crate) fn cache_refusals(&self, time: Duration) {
        self.world().cache_refusals = millis(time);
    }

    /// How long a new key is missing from lists.
    pub(crate) fn list_lag(&self, by: Duration) {
        self.world().list_lag = millis(by);
    }

    /// How long reads and lists show a key as it was before a change.
    pub(crate) fn read_lag(&self, by: Duration) {
        self.world().read_lag = millis(by);
    }

    /// How long until a call shows in counters and can be looked up.
    pub(crate) fn usage_lag(&self, by: Duration) {
        self.world().usage_lag = millis(by);
    }

    /// The most keys of one page.
    pub(crate) fn page(&self, keys: usize) {
        self.world().page = keys;
    }

    /// What a key that has spent its limit gets: a status, and the error's type where the dialect has one.
    pub(crate) fn over_limit(&self, status: u16, kind: &'static str) {
        self.world().over_limit = (status, kind);
    }

    /// The provider behind answers with this status; none: it is well.
    pub(crate) fn upstream(&self, status: Option<u16>) {
        self.world().upstream = status;
    }

    /// Lets time pass.
    pub(crate) fn later(&self, by: Duration) {
        self.world().clock.later(by);
    }

    /// How often an operation was asked for.
    pub(crate) fn calls(&self, operation: &str) -> usize {
        self.world().faults.calls(operation)
    }

    /// Method, path and status of everything that came, in order; status 0 is a lost answer.
    pub(crate) fn log(&self) -> Vec<(String, String, u16)> {
        self.world().log.clone()
    }

    /// Every chat call that reached the data plane, also the refused ones, which no API tells of.
    pub(crate) fn served(&self) -> Vec<Call> {
        self.world().calls.clone()
    }

    /// All keys, also deleted ones; not the management key.
    pub(crate) fn keys(&self) -> Vec<Key> {
        self.world().keys.iter().filter(|k| !k.management).cloned().collect()
    }

    /// The keys that are there.
    pub(crate) fn live(&self) -> Vec<Key> {
        self.keys().into_iter().filter(|k| !k.deleted).collect()
    }

    /// A key that somebody made before; every replica knows it.
    pub(crate) fn mint(&self, name: &str) -> Key {
        self.world().mint(name)
    }

    /// Changes a key behind everybody's back, on every replica at once.
    ///
    /// # Panics
    /// When there is none of this id.
    pub(crate) fn edit(&self, id: &str, change: impl FnOnce(&mut Key)) {
        self.world().edit(id, change);
    }

    /// A guardrail that lets these models through; its id.
    pub(crate) fn guardrail(&self, name: &str, models: &[&str]) -> String {
        self.world().guardrail(name, models)
    }
}

fn hold(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What a route may be asked, as method and operation, and what its path names.
type Route<'a> = (&'static [(&'static str, &'static str)], Option<&'a str>);

const KEYS: &[(&str, &str)] = &[("GET", "list"), ("POST", "create")];
const KEY: &[(&str, &str)] = &[("GET", "get"), ("PATCH", "update"), ("DELETE", "delete")];

/// All operations, by the names that switches and counters have.
const OPERATIONS: &[&str] = &[
    "list",
    "create",
    "get",
    "update",
    "delete",
    "self",
    "chat",
    "models",
    "generation",
    "activity",
    "guardrails",
    "guardrail",
    "assignments",
    "assigned",
    "assign",
    "unassign",
    "summary",
    "timeseries",
];

fn route<'a>(world: &World, path: &[&'a str]) -> Option<Route<'a>> {
    let moved = world.has(Trap::KeyInfoAtV1);
    match world.dialect {
        Dialect::OpenRouter => match path.strip_prefix(&["api", "v1"])? {
            ["keys"] => Some((KEYS, None)),
            ["keys", hash] => Some((KEY, Some(hash))),
            ["key"] => Some((&[("GET", "self")], None)),
            ["chat", "completions"] => Some((&[("POST", "chat")], None)),
            ["models"] => Some((&[("GET", "models")], None)),
            ["generation"] => Some((&[("GET", "generation")], None)),
            ["activity"] => Some((&[("GET", "activity")], None)),
            ["guardrails"] => Some((&[("GET", "guardrails")], None)),
            ["guardrails", "assignments", "keys"] => Some((&[("GET", "assignments")], None)),
            ["guardrails", id] => Some((&[("GET", "guardrail")], Some(id))),
            ["guardrails", id, "assignments", "keys"] => Some((&[("GET", "assigned"), ("POST", "assign")], Some(id))),
            ["guardrails", id, "assignments", "keys", "remove"] => Some((&[("POST", "unassign")], Some(id))),
            _ => None,
        },
        Dialect::ARouter => match path {
            ["api", "v1", "keys"] => Some((KEYS, None)),
            ["api", "v1", "keys", _] if world.has(Trap::NoGetByHash) => {
                Some((&[("PATCH", "update"), ("DELETE", "delete")], path.last().copied()))
            }
            ["api", "v1", "keys", hash] => Some((KEY, Some(hash))),
            ["api", "v1", "key"] if !moved => Some((&[("GET", "self")], None)),
            ["v1", "key"] if moved => Some((&[("GET", "self")], None)),
            ["v1", "chat", "completions"] => Some((&[("POST", "chat")], None)),
            ["v1", "models"] => Some((&[("GET", "models")], None)),
            ["api", "v1", "generation"] => Some((&[("GET", "generation")], None)),
            ["api", "usage", _] if world.has(Trap::NoUsageApi) => None,
            ["api", "usage", "summary"] => Some((&[("GET", "summary")], None)),
            ["api", "usage", "timeseries"] => Some((&[("GET", "timeseries")], None)),
            _ => None,
        },
        Dialect::ARouterLegacy => match path {
            ["v1", "keys"] => Some((KEYS, None)),
            ["v1", "keys", id] => Some((&[("DELETE", "delete")], Some(id))),
            ["v1", "chat", "completions"] => Some((&[("POST", "chat")], None)),
            ["v1", "models"] => Some((&[("GET", "models")], None)),
            _ => None,
        },
    }
}

fn answer(world: &mut World, replica: usize, request: &Request) -> Answer {
    let answer = routed(world, replica, request);
    let status = if answer.lost { 0 } else { answer.status };
    world.log.push((request.method.clone(), request.raw.clone(), status));
    match world.dialect {
        Dialect::OpenRouter => answer,
        Dialect::ARouter | Dialect::ARouterLegacy => {
            answer.with("x-ratelimit-limit", "600").with("x-ratelimit-remaining", "599").with("x-ratelimit-reset", "60")
        }
    }
}

fn routed(world: &mut World, replica: usize, request: &Request) -> Answer {
    let path = request.segments();
    let Some((methods, id)) = route(world, &path) else { return world.error(404, "not found") };
    let Some((_, operation)) = methods.iter().find(|(method, _)| *method == request.method) else {
        return world.error(405, "method not allowed");
    };
    if let Some(status) = world.faults.before(operation) {
        return broken(world, status);
    }
    let answer = if matches!(request.method.as_str(), "GET" | "DELETE") && !request.body.is_empty() {
        world.error(400, "this method takes no body")
    } else {
        let id = id.unwrap_or_default();
        match *operation {
            "chat" | "models" | "self" => data::handle(world, operation, replica, request),
            "generation" | "activity" | "summary" | "timeseries" => usage::handle(world, operation, request),
            "list" | "create" | "get" | "update" | "delete" => admin::handle(world, operation, id, request),
            _ => guardrails::handle(world, operation, id, request),
        }
        .unwrap_or_else(|refused| refused)
    };
    let mut faults = std::mem::replace(&mut world.faults, Faults::new(OPERATIONS));
    let answer = faults.after(operation, answer, |status| broken(world, status));
    world.faults = faults;
    answer
}

/// An error that nobody asked for.
fn broken(world: &World, status: u16) -> Answer {
    let answer = world.error(status, if status == 429 { "rate limit exceeded" } else { "internal error" });
    if status == 429 { answer.with("retry-after", "1") } else { answer }
}
