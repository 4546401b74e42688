//! The admin API: who is asking, which faults stand in the way, and which table is meant.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::faults::{FaultName, Lost, Write};
use super::ids;
use super::server::{Answer, Call, Problem, Reply};
use super::world::Shared;
use super::{keys, models};

/// Answers one admin call.
pub(super) async fn handle(shared: &Arc<Shared>, call: &Call) -> Answer {
    let (slow, down) = {
        let world = shared.world();
        let faults = &world.state.faults;
        let slow = faults.number(FaultName::AdminSlow, "ms");
        let down = faults.text(FaultName::AdminDown, "how");
        (slow, down.map(str::to_owned))
    };
    if let Some(ms) = slow {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    match down.as_deref() {
        Some("drop") => return Answer::HangUp,
        Some(_) => {
            let problem = Problem::new(503, "unavailable", "admin_down", "try again later");
            return Answer::Reply(problem.reply());
        }
        None => {}
    }
    if call.bearer() != Some(shared.world().state.admin_key.as_str()) {
        let message = "the admin key is missing or wrong";
        let problem = Problem::new(401, "unauthorized", "admin_key_invalid", message);
        return Answer::Reply(problem.reply());
    }
    let lost = match write_of(call) {
        Some(write) => take_lost(shared, write),
        None => None,
    };
    if lost == Some(Lost::Before) {
        return Answer::HangUp;
    }
    let reply = route(shared, call).unwrap_or_else(|problem| problem.reply());
    match lost {
        Some(Lost::After) => Answer::HangUp,
        Some(Lost::Before) | None => Answer::Reply(reply),
    }
}

fn take_lost(shared: &Shared, write: Write) -> Option<Lost> {
    let mut world = shared.world();
    let lost = world.state.faults.take_lost(write)?;
    let _a_count_lost_in_a_crash_is_harmless = world.save();
    Some(lost)
}

/// What a call writes, if anything.
fn write_of(call: &Call) -> Option<Write> {
    match call.method.as_str() {
        "POST" => Some(Write::Mint),
        "DELETE" => Some(Write::Delete),
        "PATCH" => {
            let body: Map<String, Value> = serde_json::from_slice(&call.body).unwrap_or_default();
            if body.contains_key("provider_key_id") {
                return Some(Write::Repoint);
            }
            match body.get("enabled").and_then(Value::as_bool) {
                Some(true) => Some(Write::Enable),
                Some(false) => Some(Write::Disable),
                None => Some(Write::Edit),
            }
        }
        _ => None,
    }
}

fn route(shared: &Shared, call: &Call) -> Result<Reply, Problem> {
    let segments = call.segments();
    let Some(("admin", rest)) = segments.split_first().map(|(first, rest)| (*first, rest)) else {
        return Err(Problem::not_found("path"));
    };
    match (call.method.as_str(), rest) {
        ("GET", ["identity"]) => Ok(identity(shared)),
        ("GET", ["replicas"]) => Ok(replicas(shared)),
        ("GET", ["usage"]) => Ok(usage(shared)),
        ("GET", ["keys"]) => keys::list(shared, call),
        ("POST", ["keys"]) => keys::create(shared, call),
        ("GET", ["keys", id]) => keys::read(shared, id),
        ("PATCH", ["keys", id]) => keys::change(shared, id, call),
        ("DELETE", ["keys", id]) => keys::delete(shared, id),
        ("GET", ["provider-keys"]) => Ok(models::list_keys(shared)),
        ("POST", ["provider-keys"]) => models::create_key(shared, call),
        ("GET", ["provider-keys", id]) => models::read_key(shared, id),
        ("PATCH", ["provider-keys", id]) => models::change_key(shared, id, call),
        ("DELETE", ["provider-keys", id]) => models::delete_key(shared, id, call),
        ("GET", ["models"]) => Ok(models::list(shared)),
        ("POST", ["models"]) => models::create(shared, call),
        ("GET", ["models", name]) => models::read(shared, name),
        ("PATCH", ["models", name]) => models::repoint(shared, name, call),
        ("DELETE", ["models", name]) => models::delete(shared, name),
        ("GET", ["models", name, "projection"]) => models::projection(shared, name),
        _ => Err(Problem::not_found("path")),
    }
}

fn identity(shared: &Shared) -> Reply {
    let world = shared.world();
    let foreign = world.state.faults.is_on(FaultName::WrongTenant);
    let (gateway_id, org) = if foreign { ("sbx-another-gateway", "another-org") } else { (world.state.gateway_id.as_str(), "sandbox-org") };
    let body = json!({
        "gateway_id": gateway_id,
        "org": org,
        "principal": "sandbox-admin",
        "build": env!("CARGO_PKG_VERSION"),
        "time": world.now(),
    });
    Reply::json(200, &body)
}

/// The addresses of the replicas, and what the gateway documents about itself. Faults do not change this document:
/// they make it untrue.
fn replicas(shared: &Shared) -> Reply {
    let options = &shared.options;
    let rows: Vec<_> = shared
        .urls
        .data
        .iter()
        .zip(&shared.logs)
        .enumerate()
        .map(|(replica, (url, log))| json!({"replica": replica, "url": url, "log": log}))
        .collect();
    let (mint, retry) = if options.caller_chosen { ("caller_chosen", "safe") } else { ("fresh", "find_by_marker") };
    let body = json!({
        "replicas": rows,
        "settles_in_ms": options.settles_in_ms,
        "refusal_cache_ms": options.refusal_cache_ms,
        "capabilities": {
            "overlap": "separate_ids",
            "mint": mint,
            "create_retry": retry,
            "secret_readable_later": false,
            "disable": "reversible",
            "remove": "keeps_logs",
            "expiry": "editable",
            "marker": {"field": "marker", "max_len": keys::MOST_MARKER},
            "unique_names": false,
            "id_kind": "opaque",
            "page_size": keys::PAGE,
            "whoami": true,
            "caller_request_id": true,
            "usage": "rows",
            "usage_lag_ms": 0,
            "sees_refused_calls": true,
            "provider_keys": true,
            "guarded_repoint": true,
            "guarded_delete_of_provider_keys": true,
            "refused": {"status": 401, "type": "invalid_api_key",
                "codes": ["key_disabled", "key_unknown", "key_expired"]},
        },
    });
    Reply::json(200, &body)
}

/// Counters per key. Reading them moves none of them.
fn usage(shared: &Shared) -> Reply {
    let world = shared.world();
    let rows: Vec<_> = world
        .usage
        .keys
        .iter()
        .map(|(id, used)| {
            json!({
                "key_id": id, "requests": used.requests, "refused": used.refused,
                "tokens": used.tokens, "cost_usd": used.cost_usd, "last_used_at": used.last_used_at,
            })
        })
        .collect();
    Reply::json(200, &json!({"data": rows, "unattributed": world.usage.unattributed}))
}

/// A time field of a request body.
pub(super) fn time(text: Option<&str>) -> Result<Option<i64>, Problem> {
    let Some(text) = text else { return Ok(None) };
    match ids::from_iso(text) {
        Some(ms) => Ok(Some(ms)),
        None => Err(Problem::bad("a time must look like 2026-01-31T12:00:00Z")),
    }
}

/// A name or marker of a request body: short, and without control characters.
pub(super) fn label<'a>(what: &str, text: &'a str, most: usize) -> Result<&'a str, Problem> {
    if text.is_empty() || text.len() > most || text.chars().any(char::is_control) {
        return Err(Problem::bad(&format!("{what} must have 1 to {most} bytes and no control character")));
    }
    Ok(text)
}
