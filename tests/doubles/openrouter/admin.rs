//! Keys: list, create, read, update, delete.

use super::fields;
use super::server::{Answer, Request};
use super::world::{Dialect, Key, Trap, World};
use serde_json::{Value, json};

/// One operation.
pub(super) fn handle(world: &mut World, operation: &str, id: &str, request: &Request) -> Result<Answer, Answer> {
    world.managed(request)?;
    if operation != "list" {
        request.only(&[]).map_err(|why| world.error(400, &why))?;
    }
    match operation {
        "list" => list(world, request),
        "create" => create(world, request),
        "get" => {
            let at = find(world, id)?;
            Ok(Answer::json(200, &json!({"data": read(world, at)})))
        }
        "update" => update(world, id, request),
        _ => delete(world, id),
    }
}

fn find(world: &World, id: &str) -> Result<usize, Answer> {
    let found = world.keys.iter().position(|k| k.id == id && !k.deleted && (!k.management || world.dialect != Dialect::OpenRouter));
    found.ok_or_else(|| world.error(404, "API key not found"))
}

/// A key, written; where reads spend, after that it has spent.
fn read(world: &mut World, at: usize) -> Value {
    let spends = world.has(Trap::ReadsSpend);
    let Some(key) = world.keys.get_mut(at) else { return Value::Null };
    if spends {
        key.extra += 0.001;
    }
    let key = key.clone();
    let before = world.histories.get(&key.id).and_then(|h| h.seen(world.clock.now(), world.read_lag)).cloned();
    let shown = before.map_or_else(|| key.clone(), |before| Key { extra: key.extra, ..before });
    fields::write(world, &shown)
}

fn list(world: &mut World, request: &Request) -> Result<Answer, Answer> {
    let known: &[&str] = match world.dialect {
        Dialect::OpenRouter => &["offset", "include_disabled", "workspace_id"],
        Dialect::ARouter => &["page_size", "page_token", "offset", "include_disabled"],
        Dialect::ARouterLegacy => &[],
    };
    let bad = |why: &str| world.error(400, why);
    request.only(known).map_err(|why| bad(&why))?;
    let number = |name: &str, most: usize| match request.parameter(name) {
        None => Ok(None),
        Some(text) => match text.parse::<usize>() {
            Ok(n) if n <= most && !text.starts_with('+') => Ok(Some(n)),
            Ok(_) | Err(_) => Err(bad(&format!("{name}: expected number from 0 to {most}"))),
        },
    };
    let mut offset = number("offset", 1_000_000)?.unwrap_or(0);
    let size = match number("page_size", 100)? {
        Some(0) => return Err(bad("page_size: expected number from 1")),
        size => size.unwrap_or(world.page).min(world.page),
    };
    let disabled_too = match request.parameter("include_disabled") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(bad("include_disabled: expected true or false")),
    };
    if world.has(Trap::LoopingCursor) {
        offset = 0;
    } else if request.parameter("page_token").is_some_and(|token| !token.is_empty()) {
        // Nothing ever gave one.
        return Err(bad("page_token: invalid"));
    }
    let legacy = world.dialect == Dialect::ARouterLegacy;
    let size = if legacy && !world.has(Trap::LoopingCursor) { usize::MAX } else { size };
    let shown = |key: &Key| {
        let hidden = key.disabled && (!disabled_too || world.has(Trap::HidesDisabled));
        let elsewhere = request.parameter("workspace_id").is_some_and(|w| key.workspace.as_deref() != Some(w));
        let other = key.management && world.dialect == Dialect::OpenRouter;
        let late = key.created.saturating_add(world.list_lag) > world.clock.now() && world.list_lag > 0;
        !key.deleted && !hidden && !elsewhere && !other && !late
    };
    // Newest first.
    let places: Vec<usize> =
        world.keys.iter().enumerate().rev().filter(|(_, k)| shown(k)).map(|(at, _)| at).skip(offset).take(size).collect();
    let data: Vec<Value> = places.into_iter().map(|at| read(world, at)).collect();
    Ok(Answer::json(200, &json!({"data": data})))
}

fn create(world: &mut World, request: &Request) -> Result<Answer, Answer> {
    let body = request.object().map_err(|why| world.error(400, &why))?;
    fields::check(world, &body, true).map_err(|why| world.error(400, &why))?;
    let mut key = world.fresh("");
    fields::apply(&mut key, &body);
    if world.has(Trap::UniqueNames) && world.keys.iter().any(|k| k.name == key.name && !k.deleted) {
        return Err(world.error(400, "a key of this name exists"));
    }
    if world.has(Trap::DropsScope) {
        (key.providers, key.models) = (None, None);
    }
    if world.has(Trap::DropsLimit) {
        (key.limit, key.limit_reset) = (None, None);
    }
    if world.has(Trap::DropsExpiry) {
        key.expires = None;
    }
    world.keys.push(key.clone());
    world.changed(world.keys.len() - 1);
    let mut written = fields::write(world, &key);
    if world.dialect == Dialect::ARouterLegacy {
        written["key"] = json!(key.secret);
        return Ok(Answer::json(201, &written));
    }
    Ok(Answer::json(201, &json!({"data": written, "key": key.secret})))
}

fn update(world: &mut World, id: &str, request: &Request) -> Result<Answer, Answer> {
    let at = find(world, id)?;
    let body = request.object().map_err(|why| world.error(400, &why))?;
    fields::check(world, &body, false).map_err(|why| world.error(400, &why))?;
    let (clears, stays) = (world.has(Trap::ClearsUnsaid), world.has(Trap::UpdateStays));
    let mut answered = None;
    if let Some(current) = world.keys.get_mut(at) {
        let mut changed = current.clone();
        let key = &mut changed;
        if clears {
            (key.limit, key.limit_reset, key.providers, key.models) = (None, None, None, None);
        }
        fields::apply(key, &body);
        if !stays {
            *current = changed.clone();
        }
        answered = Some(changed);
    }
    if !stays {
        world.changed(at);
    }
    Ok(Answer::json(200, &json!({"data": answered.map(|key| fields::write(world, &key))})))
}

fn delete(world: &mut World, id: &str) -> Result<Answer, Answer> {
    let at = find(world, id)?;
    if let Some(key) = world.keys.get_mut(at) {
        key.deleted = true;
    }
    world.changed(at);
    if world.has(Trap::DeleteWithoutBody) {
        return Ok(Answer::empty(204));
    }
    Ok(match world.dialect {
        Dialect::OpenRouter => Answer::json(200, &json!({"deleted": true})),
        Dialect::ARouter | Dialect::ARouterLegacy => Answer::json(200, &json!({"data": {"deleted": true}})),
    })
}
