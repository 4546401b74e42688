//! The fake provider behind the gateway: its own credentials, its own log, and an issuer for new credentials.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::admin::label;
use super::ids;
use super::log::UpstreamRow;
use super::replies::{self, Tokens};
use super::server::{Call, Problem, Reply};
use super::state::UpstreamKey;
use super::tables::Tables;
use super::world::{Shared, World};

/// The gateway's own call to the provider, for a model as a replica knows it.
pub(super) fn serve(world: &mut World, tables: &Tables, model: &str) -> Result<(), Problem> {
    let bad = |code: &'static str| Problem::new(502, "upstream_error", code, "the provider failed");
    let model = tables.models.get(model).ok_or_else(|| bad("model_missing"))?;
    let key = tables.provider_keys.get(&model.provider_key_id);
    let key = key.ok_or_else(|| bad("provider_key_missing"))?;
    if !key.enabled {
        return Err(bad("provider_key_disabled"));
    }
    if accept(world, &key.value, "gateway") { Ok(()) } else { Err(bad("upstream_auth_failed")) }
}

/// Decides on an upstream secret and writes the provider's own row.
fn accept(world: &mut World, secret: &str, via: &str) -> bool {
    let known = world.state.upstream.values().find(|key| key.secret == secret);
    let accepted = known.is_some_and(|key| key.enabled);
    let row = UpstreamRow {
        ts: world.now(),
        upstream_key_id: known.map(|key| key.id.clone()),
        via: via.to_owned(),
        status: if accepted { 200 } else { 401 },
    };
    world.logs.upstream.append(&row);
    world.upstream_used.count(&row);
    accepted
}

/// What the provider counts per credential.
#[derive(Debug, Default)]
pub(super) struct UpstreamUse {
    keys: BTreeMap<String, (u64, u64, Option<String>)>,
}

impl UpstreamUse {
    /// Counts one row.
    pub(super) fn count(&mut self, row: &UpstreamRow) {
        let Some(id) = &row.upstream_key_id else {
            return;
        };
        let (calls, direct, last) = self.keys.entry(id.clone()).or_default();
        *calls += 1;
        *direct += u64::from(row.via != "gateway");
        *last = Some(row.ts.clone());
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyChange {
    enabled: bool,
}

/// A call to the provider itself, under `/upstream/v1`.
pub(super) fn handle(shared: &Shared, call: &Call, path: &[&str]) -> Reply {
    let mut world = shared.world();
    route(&mut world, call, path).unwrap_or_else(|problem| problem.reply())
}

fn route(world: &mut World, call: &Call, path: &[&str]) -> Result<Reply, Problem> {
    let issuer = path.first() == Some(&"keys");
    if issuer && call.bearer() != Some(world.state.admin_key.as_str()) {
        let message = "the issuer takes the sandbox's admin key";
        return Err(Problem::new(401, "unauthorized", "admin_key_invalid", message));
    }
    match (call.method.as_str(), path) {
        ("GET", ["keys"]) => {
            let mut keys: Vec<_> = world.state.upstream.values().collect();
            keys.sort_by_key(|key| key.seq);
            let rows: Vec<_> = keys.into_iter().map(|key| row(world, key)).collect();
            Ok(Reply::json(200, &json!({"data": rows, "next_cursor": null})))
        }
        ("POST", ["keys"]) => {
            let asked: NewKey = call.json()?;
            let key = UpstreamKey {
                id: ids::random("upk_", 8)?,
                seq: world.state.next_seq(),
                name: label("name", &asked.name, 128)?.to_owned(),
                secret: ids::random("ups-", 20)?,
                enabled: true,
                created_at: world.now_ms(),
            };
            let body = json!({"id": key.id, "secret": key.secret, "created_at": ids::iso(key.created_at)});
            world.state.upstream.insert(key.id.clone(), key);
            world.save()?;
            Ok(Reply::json(201, &body))
        }
        ("PATCH", ["keys", id]) => {
            let asked: KeyChange = call.json()?;
            let key = world.state.upstream.get_mut(*id);
            key.ok_or_else(|| Problem::not_found("upstream key"))?.enabled = asked.enabled;
            world.save()?;
            read(world, id)
        }
        ("GET", ["keys", id]) => read(world, id),
        ("DELETE", ["keys", id]) => {
            if world.state.upstream.remove(*id).is_none() {
                return Err(Problem::not_found("upstream key"));
            }
            world.save()?;
            Ok(Reply::json(200, &json!({"id": id, "deleted": true})))
        }
        ("GET", ["models"]) => {
            direct(world, call)?;
            Ok(replies::models(&["demo-small", "demo-embed"]))
        }
        ("POST", family @ (["chat", "completions"] | ["responses"] | ["embeddings"])) => {
            direct(world, call)?;
            let asked: Value = call.json()?;
            let model = asked.get("model").and_then(Value::as_str).unwrap_or("demo-small");
            let tokens = Tokens::of(call.body.len(), 8);
            let now = world.now_ms() / 1000;
            Ok(match family {
                ["responses"] => replies::responses(&call.request_id, now, model, &asked, tokens),
                ["embeddings"] => replies::embeddings(model, tokens),
                _ => replies::chat(&call.request_id, now, model, &asked, tokens),
            })
        }
        _ => Err(Problem::not_found("path")),
    }
}

/// A call that does not go through the gateway.
fn direct(world: &mut World, call: &Call) -> Result<(), Problem> {
    if accept(world, call.bearer().unwrap_or_default(), "direct") {
        return Ok(());
    }
    let message = "the provider does not accept this key";
    Err(Problem::new(401, "invalid_api_key", "invalid_api_key", message))
}

fn read(world: &World, id: &str) -> Result<Reply, Problem> {
    let key = world.state.upstream.get(id);
    let key = key.ok_or_else(|| Problem::not_found("upstream key"))?;
    Ok(Reply::json(200, &row(world, key)))
}

/// A credential of the provider as its issuer shows it.
pub(super) fn row(world: &World, key: &UpstreamKey) -> Value {
    let used = world.upstream_used.keys.get(&key.id).cloned();
    let (calls, direct, last) = used.unwrap_or_default();
    json!({
        "id": key.id, "name": key.name, "enabled": key.enabled,
        "created_at": ids::iso(key.created_at),
        "calls": calls, "direct_calls": direct, "last_used_at": last,
    })
}
