//! A strict stand-in for new-api (and for Flatkey, which looks like a fork of it), in process, on loopback.
//!
//! Three builds: `Old` (pages from 0, bare arrays, keys in clear), `June` (pages from 1, masked keys, a route that reveals them) and
//! `Newest` (no `New-Api-User`, auth failures with codes). Management is on the console, traffic on the routers, and neither does the
//! other's work. It is no proof of what new-api does: it is the contract that was read in its source, written down as code; where forks
//! differ there is a switch, and where the real one is laxer (unknown fields and parameters, numbers that are none) the double says no.
//!
//! What it keeps of the original on purpose: a create tells neither id nor key; a business failure is a 200; a full update zeroes what it
//! does not mention and never changes the status; log rows know a key by the name it had at the time; the server itself sets "expired" and
//! "exhausted" when such a key is used; and a GET of the access token replaces it.
#![allow(
    dead_code,
    unused_imports,
    clippy::panic,
    clippy::allow_attributes,
    reason = "each test binary uses a part of this, and may panic"
)]

#[path = "../openrouter/faults.rs"]
pub(crate) mod faults;
#[path = "../openrouter/server.rs"]
pub(crate) mod server;

mod data;
mod logs;
mod saga;
mod tokens;
mod world;

pub(crate) use data::MODELS;
pub(crate) use faults::Fail;
pub(crate) use world::{Build, Call, Refusal, Token, Trap};

use faults::{Faults, millis};
use serde_json::json;
use server::{Answer, Request, Servers, serve};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use world::World;

/// The user whose tokens are managed.
pub(crate) const USER: u64 = 7;
/// Sees everybody's logs.
pub(crate) const ADMIN: u64 = 1;

/// The stand-in; it stops when dropped.
pub(crate) struct Double {
    world: Arc<Mutex<World>>,
    servers: Servers,
}

impl Double {
    /// Starts a console and so many routers.
    pub(crate) fn start(build: Build, routers: usize) -> Self {
        let world = Arc::new(Mutex::new(World::new(build)));
        let handle = world.clone();
        let servers = serve(routers + 1, Arc::new(move |number, request| answer(&mut hold(&handle), number, request)));
        Self { world, servers }
    }

    fn port(&self, number: usize) -> String {
        let port = self.servers.ports.get(number).unwrap_or_else(|| panic!("no listener {number}"));
        format!("http://127.0.0.1:{port}")
    }

    /// Where tokens are managed and logs are read.
    pub(crate) fn console(&self) -> String {
        self.port(0)
    }

    /// Where calls go, by replica.
    pub(crate) fn data(&self) -> Vec<String> {
        (1..self.servers.ports.len()).map(|number| format!("{}/v1", self.port(number))).collect()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        hold(&self.world)
    }

    /// The access token of the user; it changes when somebody asks the API for it.
    pub(crate) fn access(&self) -> String {
        self.world().access.clone()
    }

    /// The access token of the administrator.
    pub(crate) fn admin_access(&self) -> String {
        self.world().admin_access.clone()
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

    /// How far a router (from 0) is behind the console.
    pub(crate) fn behind(&self, router: usize, by: Duration) {
        self.world().behind.insert(router, millis(by));
    }

    /// How long a new token is missing from lists and searches.
    pub(crate) fn list_lag(&self, by: Duration) {
        self.world().list_lag = millis(by);
    }

    /// How long reads and lists show a token as it was before a change.
    pub(crate) fn read_lag(&self, by: Duration) {
        self.world().read_lag = millis(by);
    }

    /// How long until a call moves `used_quota` and `accessed_time`.
    pub(crate) fn usage_lag(&self, by: Duration) {
        self.world().usage_lag = millis(by);
    }

    /// How long until a call has its row.
    pub(crate) fn log_lag(&self, by: Duration) {
        self.world().log_lag = millis(by);
    }

    /// The most rows of one page.
    pub(crate) fn page(&self, rows: usize) {
        self.world().page = rows;
    }

    /// The most tokens that a user may have.
    pub(crate) fn most_tokens(&self, tokens: usize) {
        self.world().most = tokens;
    }

    /// How often secrets may be revealed, and tokens searched, before 429.
    pub(crate) fn allowance(&self, reveals: usize, searches: usize) {
        let mut world = self.world();
        (world.reveals_left, world.searches_left) = (reveals, searches);
    }

    /// What is left in the user's wallet.
    pub(crate) fn wallet(&self, quota: i64) {
        self.world().wallet = quota;
    }

    /// The provider behind answers with this status; none: it is well.
    pub(crate) fn upstream(&self, status: Option<u16>) {
        self.world().upstream = status;
    }

    /// Groups of the user.
    pub(crate) fn groups(&self, groups: &[&str]) {
        self.world().groups = groups.iter().map(|g| (*g).to_owned()).collect();
    }

    /// Lets time pass.
    pub(crate) fn later(&self, by: Duration) {
        self.world().clock.later(by);
    }

    /// How often an operation was asked for.
    pub(crate) fn calls(&self, operation: &str) -> usize {
        self.world().faults.calls(operation)
    }

    /// Listener, method, path and status of everything that came, in order; status 0 is a lost answer.
    pub(crate) fn log(&self) -> Vec<(usize, String, String, u16)> {
        self.world().log.clone()
    }

    /// Every chat call that reached a router, also the refused ones, which have no row.
    pub(crate) fn served(&self) -> Vec<Call> {
        self.world().calls.clone()
    }

    /// All tokens of the user, also deleted ones.
    pub(crate) fn tokens(&self) -> Vec<Token> {
        self.world().tokens.iter().filter(|t| t.user == USER).cloned().collect()
    }

    /// The tokens that are there.
    pub(crate) fn live(&self) -> Vec<Token> {
        self.tokens().into_iter().filter(|t| !t.deleted).collect()
    }

    /// A token that somebody made before, without end or limit; every router knows it.
    pub(crate) fn mint(&self, name: &str) -> Token {
        self.world().mint(name, USER)
    }

    /// A token of another user.
    pub(crate) fn mint_for(&self, name: &str, user: u64) -> Token {
        self.world().mint(name, user)
    }

    /// Changes a token behind everybody's back, on every router at once.
    ///
    /// # Panics
    /// When there is none of this id.
    pub(crate) fn edit(&self, id: u64, change: impl FnOnce(&mut Token)) {
        self.world().edit(id, change);
    }
}

fn hold(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// All operations, by the names that switches and counters have.
const OPERATIONS: &[&str] = &[
    "list",
    "search",
    "get",
    "create",
    "reveal",
    "reveal_batch",
    "status",
    "replace",
    "delete",
    "delete_batch",
    "groups",
    "logs",
    "stat",
    "all_logs",
    "key_logs",
    "key_usage",
    "access_token",
    "chat",
    "models",
];

/// What a route may be asked, as method and operation.
type Methods = &'static [(&'static str, &'static str)];

fn route<'a>(world: &World, console: bool, request: &'a Request) -> Option<(Methods, &'a str)> {
    let path = request.segments();
    if !console {
        return match path.as_slice() {
            ["v1", "chat", "completions"] => Some((&[("POST", "chat")], "")),
            ["v1", "models"] => Some((&[("GET", "models")], "")),
            _ => None,
        };
    }
    let rest = path.strip_prefix(&["api"])?;
    let named = rest.get(1).and_then(|id| request.path.iter().find(|p| p.as_str() == *id)).map_or("", String::as_str);
    let reveals = world.build != Build::Old;
    let methods: Methods = match rest {
        ["token", ""] if request.parameter("status_only").is_some_and(|v| !v.is_empty()) => &[("PUT", "status")],
        ["token", ""] => &[("GET", "list"), ("POST", "create"), ("PUT", "replace")],
        ["token", "search"] => &[("GET", "search")],
        ["token", "batch"] => &[("POST", "delete_batch")],
        ["token", "batch", "keys"] if reveals => &[("POST", "reveal_batch")],
        ["token", _, "key"] if reveals => &[("POST", "reveal")],
        ["token", _] => &[("GET", "get"), ("DELETE", "delete")],
        ["user", "self", "groups"] => &[("GET", "groups")],
        ["user", "token"] => &[("GET", "access_token")],
        ["log", "self"] => &[("GET", "logs")],
        ["log", "self", "stat"] => &[("GET", "stat")],
        ["log", ""] => &[("GET", "all_logs")],
        ["log", "token"] => &[("GET", "key_logs")],
        ["usage", "token", ""] => &[("GET", "key_usage")],
        _ => return None,
    };
    Some((methods, named))
}

fn answer(world: &mut World, number: usize, request: &Request) -> Answer {
    let id = format!("{}{}", world.clock.now(), faults::drawn(8));
    let answer = routed(world, number, &id, request);
    let status = if answer.lost { 0 } else { answer.status };
    world.log.push((number, request.method.clone(), request.raw.clone(), status));
    answer.with("x-oneapi-request-id", id)
}

fn routed(world: &mut World, number: usize, request_id: &str, request: &Request) -> Answer {
    let console = number == 0;
    // A path without its last slash, or with one too many, is somewhere else.
    if console && matches!(request.raw.as_str(), "/api/token" | "/api/log" | "/api/usage/token") {
        let status = if request.method == "GET" { 301 } else { 307 };
        return Answer::empty(status).with("location", format!("{}/", request.raw));
    }
    let Some((methods, id)) = route(world, console, request) else {
        let error = json!({"message": format!("Invalid URL ({} {})", request.method, request.raw), "type": "invalid_request_error",
            "param": "", "code": ""});
        return Answer::json(404, &json!({"error": error}));
    };
    let Some((_, operation)) = methods.iter().find(|(method, _)| *method == request.method) else {
        return Answer::json(404, &json!({"error": {"message": format!("Invalid URL ({} {})", request.method, request.raw)}}));
    };
    if let Some(status) = world.faults.before(operation) {
        return broken(status);
    }
    let answer = if matches!(request.method.as_str(), "GET" | "DELETE") && !request.body.is_empty() {
        Err(world.no("无效的参数", "invalid parameter: this method takes no body"))
    } else {
        match *operation {
            "chat" | "models" => data::handle(world, operation, number - 1, request_id, request),
            "logs" | "stat" | "all_logs" | "key_logs" | "key_usage" => logs::handle(world, operation, request),
            "create" | "reveal" | "reveal_batch" => saga::handle(world, operation, id, request),
            _ => tokens::handle(world, operation, id, request),
        }
    }
    .unwrap_or_else(|refused| refused);
    let mut faults = std::mem::replace(&mut world.faults, Faults::new(OPERATIONS));
    let answer = faults.after(operation, answer, broken);
    world.faults = faults;
    answer
}

/// An error that nobody asked for; who is too fast gets no word at all.
fn broken(status: u16) -> Answer {
    if status == 429 {
        return Answer::empty(429);
    }
    Answer::json(status, &json!({"success": false, "message": "internal error"}))
}
