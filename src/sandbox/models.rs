//! Provider keys and the models that refer to them, on the admin API.

use serde::Deserialize;
use serde_json::{Value, json};

use super::admin::label;
use super::server::{Call, Problem, Reply};
use super::tables::{Model, ProviderKey, Tables};
use super::world::Shared;
use super::{ids, keys};

const MOST_NAME: usize = 128;
const MOST_VALUE: usize = 4096;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewProviderKey {
    name: String,
    provider: String,
    value: String,
    marker: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderKeyChange {
    name: Option<String>,
    marker: Option<String>,
    value: Option<String>,
    enabled: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Repoint {
    provider_key_id: String,
    /// Do it only while the model still refers to this one.
    only_if: Option<String>,
}

fn key_row(tables: &Tables, key: &ProviderKey) -> Value {
    json!({
        "id": key.id,
        "name": key.name,
        "provider": key.provider,
        "marker": key.marker,
        "enabled": key.enabled,
        "created_at": ids::iso(key.created_at),
        "models": tables.references(&key.id),
    })
}

fn model_row(model: &Model) -> Value {
    json!({"name": model.name, "provider": model.provider, "provider_key_id": model.provider_key_id})
}

fn check_value(value: &str) -> Result<(), Problem> {
    if value.is_empty() || value.len() > MOST_VALUE || !value.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Problem::bad("value must be 1 to 4096 visible ASCII signs"));
    }
    Ok(())
}

/// `GET /admin/provider-keys`: oldest first, disabled ones included, never the values.
pub(super) fn list_keys(shared: &Shared) -> Reply {
    let world = shared.world();
    let tables = &world.state.tables;
    let mut all: Vec<_> = tables.provider_keys.values().collect();
    all.sort_by_key(|key| key.seq);
    let rows: Vec<_> = all.into_iter().map(|key| key_row(tables, key)).collect();
    Reply::json(200, &json!({"data": rows, "next_cursor": null}))
}

/// `POST /admin/provider-keys`: the value goes in and never comes out.
pub(super) fn create_key(shared: &Shared, call: &Call) -> Result<Reply, Problem> {
    let asked: NewProviderKey = call.json()?;
    check_value(&asked.value)?;
    if let Some(marker) = &asked.marker {
        label("marker", marker, keys::MOST_MARKER)?;
    }
    let mut world = shared.world();
    let key = ProviderKey {
        id: ids::random("prov_", 8)?,
        seq: world.state.next_seq(),
        name: label("name", &asked.name, MOST_NAME)?.to_owned(),
        provider: label("provider", &asked.provider, MOST_NAME)?.to_owned(),
        marker: asked.marker,
        value: asked.value,
        enabled: true,
        created_at: world.now_ms(),
    };
    let answer = key_row(&world.state.tables, &key);
    world.state.tables.provider_keys.insert(key.id.clone(), key);
    world.commit()?;
    Ok(Reply::json(201, &answer))
}

/// `GET /admin/provider-keys/{id}`.
pub(super) fn read_key(shared: &Shared, id: &str) -> Result<Reply, Problem> {
    let world = shared.world();
    let tables = &world.state.tables;
    match tables.provider_keys.get(id) {
        Some(key) => Ok(Reply::json(200, &key_row(tables, key))),
        None => Err(Problem::not_found("provider key")),
    }
}

/// `PATCH /admin/provider-keys/{id}`.
pub(super) fn change_key(shared: &Shared, id: &str, call: &Call) -> Result<Reply, Problem> {
    let asked: ProviderKeyChange = call.json()?;
    if let Some(value) = &asked.value {
        check_value(value)?;
    }
    if let Some(name) = &asked.name {
        label("name", name, MOST_NAME)?;
    }
    if let Some(marker) = &asked.marker {
        label("marker", marker, keys::MOST_MARKER)?;
    }
    let mut world = shared.world();
    let key = world.state.tables.provider_keys.get_mut(id);
    let key = key.ok_or_else(|| Problem::not_found("provider key"))?;
    key.name = asked.name.unwrap_or_else(|| key.name.clone());
    key.marker = asked.marker.or_else(|| key.marker.clone());
    key.value = asked.value.unwrap_or_else(|| key.value.clone());
    key.enabled = asked.enabled.unwrap_or(key.enabled);
    world.commit()?;
    drop(world);
    read_key(shared, id)
}

/// `DELETE /admin/provider-keys/{id}?force=`: refused while a model refers to it, unless forced.
pub(super) fn delete_key(shared: &Shared, id: &str, call: &Call) -> Result<Reply, Problem> {
    let mut world = shared.world();
    let tables = &mut world.state.tables;
    let forced = call.query.get("force").is_some_and(|force| force == "true");
    let references = tables.references(id).join(", ");
    if !forced && !references.is_empty() {
        let message = format!("models refer to it: {references}");
        return Err(Problem::conflict("in_use", &message));
    }
    if tables.provider_keys.remove(id).is_none() {
        return Err(Problem::not_found("provider key"));
    }
    world.commit()?;
    Ok(Reply::json(200, &json!({"id": id, "deleted": true})))
}

/// `GET /admin/models`, by name.
pub(super) fn list(shared: &Shared) -> Reply {
    let world = shared.world();
    let rows: Vec<_> = world.state.tables.models.values().map(model_row).collect();
    Reply::json(200, &json!({"data": rows, "next_cursor": null}))
}

/// `GET /admin/models/{name}`.
pub(super) fn read(shared: &Shared, name: &str) -> Result<Reply, Problem> {
    let world = shared.world();
    match world.state.tables.models.get(name) {
        Some(model) => Ok(Reply::json(200, &model_row(model))),
        None => Err(Problem::not_found("model")),
    }
}

/// `POST /admin/models`: a model that arrives later.
pub(super) fn create(shared: &Shared, call: &Call) -> Result<Reply, Problem> {
    let model: Model = call.json()?;
    label("name", &model.name, MOST_NAME)?;
    label("provider", &model.provider, MOST_NAME)?;
    let mut world = shared.world();
    let tables = &mut world.state.tables;
    if tables.models.contains_key(&model.name) {
        return Err(Problem::conflict("exists", "a model has this name"));
    }
    if !tables.provider_keys.contains_key(&model.provider_key_id) {
        return Err(Problem::bad("provider_key_id names no provider key"));
    }
    let answer = model_row(&model);
    tables.models.insert(model.name.clone(), model);
    world.commit()?;
    Ok(Reply::json(201, &answer))
}

/// `PATCH /admin/models/{name}`: a compare-and-set when `only_if` is given.
pub(super) fn repoint(shared: &Shared, name: &str, call: &Call) -> Result<Reply, Problem> {
    let asked: Repoint = call.json()?;
    let mut world = shared.world();
    let tables = &mut world.state.tables;
    if !tables.provider_keys.contains_key(&asked.provider_key_id) {
        return Err(Problem::bad("provider_key_id names no provider key"));
    }
    let model = tables.models.get_mut(name);
    let model = model.ok_or_else(|| Problem::not_found("model"))?;
    if asked.only_if.is_some_and(|only| only != model.provider_key_id) {
        let message = format!("the model refers to {}", model.provider_key_id);
        return Err(Problem::conflict("changed", &message));
    }
    model.provider_key_id = asked.provider_key_id;
    let answer = model_row(model);
    world.commit()?;
    Ok(Reply::json(200, &answer))
}

/// `DELETE /admin/models/{name}`.
pub(super) fn delete(shared: &Shared, name: &str) -> Result<Reply, Problem> {
    let mut world = shared.world();
    if world.state.tables.models.remove(name).is_none() {
        return Err(Problem::not_found("model"));
    }
    world.commit()?;
    Ok(Reply::json(200, &json!({"name": name, "deleted": true})))
}

/// `GET /admin/models/{name}/projection`: what each replica serves now.
pub(super) fn projection(shared: &Shared, name: &str) -> Result<Reply, Problem> {
    let mut world = shared.world();
    let Some(model) = world.state.tables.models.get(name).cloned() else {
        return Err(Problem::not_found("model"));
    };
    let replicas: Vec<_> = (0..shared.options.replicas)
        .map(|replica| {
            let tables = world.seen_by(replica);
            let seen = tables.models.get(name).map(|seen| seen.provider_key_id.clone());
            json!({"replica": replica, "provider_key_id": seen})
        })
        .collect();
    let body = json!({
        "name": model.name, "provider_key_id": model.provider_key_id, "replicas": replicas,
    });
    Ok(Reply::json(200, &body))
}
