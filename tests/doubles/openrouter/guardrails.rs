//! Guardrails: in OpenRouter they, not keys, say which models are allowed. A key holds at most one, and a new key holds none.

use super::server::{Answer, Request};
use super::world::{Guardrail, Trap, World};
use serde_json::{Value, json};

/// One operation.
pub(super) fn handle(world: &mut World, operation: &str, id: &str, request: &Request) -> Result<Answer, Answer> {
    world.managed(request)?;
    let known: &[&str] = if matches!(operation, "guardrails" | "assignments" | "assigned") { &["offset", "limit"] } else { &[] };
    request.only(known).map_err(|why| world.error(400, &why))?;
    if !id.is_empty() && !world.guardrails.iter().any(|g| g.id == id) {
        return Err(world.error(404, "guardrail not found"));
    }
    match operation {
        "guardrails" => page(world, request, world.guardrails.iter().map(written).collect()),
        "guardrail" => {
            let found = world.guardrails.iter().find(|g| g.id == id).map(written);
            Ok(Answer::json(200, &json!({"data": found})))
        }
        "assignments" | "assigned" => page(world, request, assignments(world, id)),
        _ => assign(world, operation == "assign", id, request),
    }
}

fn written(guardrail: &Guardrail) -> Value {
    json!({"id": guardrail.id, "name": guardrail.name, "allowed_models": guardrail.models, "description": null, "limit_usd": null})
}

fn assignments(world: &World, id: &str) -> Vec<Value> {
    let rows = world.keys.iter().filter(|k| !k.deleted).filter_map(|key| {
        let guardrail = key.guardrail.as_ref().filter(|g| id.is_empty() || *g == id)?;
        Some(json!({"id": format!("{guardrail}-{}", key.id.get(..8)?), "key_hash": key.id, "guardrail_id": guardrail,
            "key_name": key.name, "key_label": key.name, "assigned_by": "user_1", "created_at": super::fields::stamp(key.updated)}))
    });
    rows.collect()
}

fn page(world: &World, request: &Request, rows: Vec<Value>) -> Result<Answer, Answer> {
    let number = |name: &str, least: usize, most: usize, default: usize| match request.parameter(name).map(str::parse::<usize>) {
        None => Ok(default),
        Some(Ok(n)) if (least..=most).contains(&n) => Ok(n),
        Some(_) => Err(world.error(400, &format!("{name}: expected number"))),
    };
    let (offset, limit) = (number("offset", 0, 1_000_000, 0)?, number("limit", 1, 100, 50)?.min(world.page));
    let offset = if world.has(Trap::LoopingCursor) { 0 } else { offset };
    let total = rows.len();
    let data: Vec<Value> = rows.into_iter().skip(offset).take(limit).collect();
    Ok(Answer::json(200, &json!({"data": data, "total_count": total})))
}

fn assign(world: &mut World, on: bool, id: &str, request: &Request) -> Result<Answer, Answer> {
    let body = request.object().map_err(|why| world.error(400, &why))?;
    let hashes = body.get("key_hashes").and_then(Value::as_array).filter(|list| !list.is_empty() && body.len() == 1);
    let Some(hashes) = hashes else { return Err(world.error(400, "expected key_hashes and nothing else")) };
    let mut places = Vec::new();
    for hash in hashes {
        let found = hash.as_str().and_then(|h| world.keys.iter().position(|k| k.id == h && !k.deleted && !k.management));
        places.push(found.ok_or_else(|| world.error(404, "API key not found"))?);
    }
    let name = if on { "assigned_count" } else { "unassigned_count" };
    if world.has(Trap::AssignsNothing) {
        return Ok(Answer::json(200, &json!({name: hashes.len()})));
    }
    let mut count = 0;
    for at in places {
        let Some(key) = world.keys.get_mut(at) else { continue };
        if on || key.guardrail.as_deref() == Some(id) {
            key.guardrail = on.then(|| id.to_owned());
            count += 1;
            world.changed(at);
        }
    }
    Ok(Answer::json(200, &json!({name: count})))
}
