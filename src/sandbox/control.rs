//! The control API: faults, consumers, the clock, a person at the console, and everything the sandbox knows.
//!
//! It asks for no key: it is for tests and for the person who started the sandbox, on loopback.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::consumers::{self, HABITS};
use super::faults::{FaultName, FaultSpec};
use super::server::{Answer, Call, Problem, Reply};
use super::world::{Shared, World};
use super::{ids, keys, people, replica, upstream};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clock {
    skew_ms: i64,
}

/// Answers one control call.
pub(super) async fn handle(shared: &Arc<Shared>, call: &Call) -> Answer {
    let reply = route(shared, call).await;
    Answer::Reply(reply.unwrap_or_else(|problem| problem.reply()))
}

async fn route(shared: &Arc<Shared>, call: &Call) -> Result<Reply, Problem> {
    let segments = call.segments();
    match (call.method.as_str(), segments.as_slice()) {
        ("GET", ["state"]) => Ok(Reply::json(200, &state(shared))),
        ("GET", ["faults"]) => Ok(faults(shared)),
        ("POST", ["faults"]) => {
            let spec: FaultSpec = call.json()?;
            shared.world().switch(&spec)?;
            Ok(faults(shared))
        }
        ("GET", ["consumers"]) => {
            let world = shared.world();
            Ok(Reply::json(200, &json!({"consumers": all_consumers(&world)})))
        }
        ("GET", ["consumers", app]) => one(shared, app),
        ("POST", ["consumers", app, "reload"]) => {
            known(shared, app)?;
            consumers::load(shared, app, true).map_err(|why| Problem::conflict("slot_unreadable", &why))?;
            one(shared, app)
        }
        ("POST", ["consumers", app, "stop"]) => {
            known(shared, app)?;
            set_stopped(shared, app, true)?;
            quiet(shared, app).await;
            one(shared, app)
        }
        ("POST", ["consumers", app, "start"]) => {
            known(shared, app)?;
            // A start is a new process: it reads the slot, or goes on with nothing better than what it had.
            let _the_last_value_stays = consumers::load(shared, app, true);
            set_stopped(shared, app, false)?;
            one(shared, app)
        }
        ("POST", ["people"]) => people::act(shared, call),
        ("POST", ["clock"]) => {
            let clock: Clock = call.json()?;
            let mut world = shared.world();
            world.state.skew_ms = clock.skew_ms;
            world.save()?;
            let body = json!({"skew_ms": clock.skew_ms, "time": world.now()});
            Ok(Reply::json(200, &body))
        }
        ("POST", ["quit"]) => {
            let shared = Arc::clone(shared);
            tokio::spawn(async move {
                // So that the answer leaves before the server does.
                tokio::time::sleep(Duration::from_millis(50)).await;
                shared.stop.send_replace(true);
            });
            Ok(Reply::json(200, &json!({"quit": true})))
        }
        _ => Err(Problem::not_found("path")),
    }
}

fn faults(shared: &Shared) -> Reply {
    let world = shared.world();
    let body = json!({"on": world.state.faults, "known": FaultName::catalogue()});
    Reply::json(200, &body)
}

fn known(shared: &Shared, app: &str) -> Result<(), Problem> {
    let listed = shared.options.consumers && HABITS.iter().any(|habit| habit.app == app);
    if listed || shared.world().state.consumers.contains_key(app) {
        return Ok(());
    }
    Err(Problem::not_found("consumer"))
}

fn one(shared: &Shared, app: &str) -> Result<Reply, Problem> {
    known(shared, app)?;
    let world = shared.world();
    Ok(Reply::json(200, &consumer(&world, app)))
}

fn set_stopped(shared: &Shared, app: &str, stopped: bool) -> Result<(), Problem> {
    let mut world = shared.world();
    world.state.consumers.entry(app.to_owned()).or_default().stopped = stopped;
    Ok(world.save()?)
}

/// Waits, for a few seconds at most, until the consumer's last call has been counted.
async fn quiet(shared: &Shared, app: &str) {
    for _ in 0..1000 {
        let busy = shared.world().counted.get(app).is_some_and(|one| one.busy);
        if !busy {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn all_consumers(world: &World) -> Vec<Value> {
    let mut apps: Vec<&str> = world.state.consumers.keys().map(String::as_str).collect();
    apps.extend(world.counted.keys().map(String::as_str));
    apps.sort_unstable();
    apps.dedup();
    apps.into_iter().map(|app| consumer(world, app)).collect()
}

/// One consumer as it sees itself, and the key it holds as the gateway resolves it.
fn consumer(world: &World, app: &str) -> Value {
    let habit = HABITS.iter().find(|habit| habit.app == app);
    let memory = world.state.consumers.get(app).cloned().unwrap_or_default();
    let counted = world.counted.get(app).cloned().unwrap_or_default();
    let holds = memory.value.as_deref();
    let key = holds.and_then(|value| world.state.tables.by_secret(value));
    json!({
        "app": app,
        "listed": habit.is_some(),
        "habit": habit.map(|habit| habit.habit),
        "cadence": habit.map(|habit| habit.cadence),
        "running": !memory.stopped,
        "key_id": key.map(|key| key.id.as_str()),
        "loaded_at": memory.loaded_at,
        "generation": memory.generation,
        "requests": counted.requests,
        "refused": counted.refused,
        "failed": counted.failed,
        "logged": world.usage.consumers.get(app).copied().unwrap_or(0),
        "last_status": counted.last_status,
        "last_request_at": counted.last_request_at,
        "last_request_id": counted.last_request_id,
        "last_key_id": counted.last_key_id,
        "busy": counted.busy,
    })
}

/// Everything but secrets.
fn state(shared: &Shared) -> Value {
    let mut world = shared.world();
    let now = world.now_ms();
    let copies: Vec<_> = (0..shared.options.replicas).map(|replica| world.seen_by(replica)).collect();
    let world = &*world;
    let mut all: Vec<_> = world.state.tables.keys.values().collect();
    all.sort_by_key(|key| key.seq);
    let keys: Vec<_> = all
        .iter()
        .map(|key| {
            let mut row = keys::row(world, key);
            // What each replica's tables say; faults of single replicas and remembered refusals come on top.
            let seen: Vec<_> = copies
                .iter()
                .map(|tables| {
                    let verdict = replica::judge(tables, &key.secret, now, false);
                    verdict.map_or_else(|refusal| refusal.code(), |_| "accepted")
                })
                .collect();
            if let Some(fields) = row.as_object_mut() {
                fields.insert("deleted".to_owned(), json!(key.deleted));
                fields.insert("replicas".to_owned(), json!(seen));
            }
            row
        })
        .collect();
    let rows: Map<String, Value> = world.usage.keys.iter().map(|(id, used)| (id.clone(), json!(used))).collect();
    let upstream: Vec<_> = world.state.upstream.values().map(|key| upstream::row(world, key)).collect();
    json!({
        "gateway_id": world.state.gateway_id,
        "time": ids::iso(now),
        "skew_ms": world.state.skew_ms,
        "keys": keys,
        "rows_per_key": rows,
        "consumers": all_consumers(world),
        "models": world.state.tables.models.values().collect::<Vec<_>>(),
        "upstream": upstream,
        "totals": {
            "rows": world.usage.rows,
            "refused": world.usage.refused,
            "unattributed": world.usage.unattributed,
            "calls_since_start": world.calls,
        },
        "faults": world.state.faults,
    })
}
