//! Tokens: list, search, read, change, delete; the groups they may be in; and the access token itself.

use super::faults::drawn;
use super::server::{Answer, Request};
use super::world::{Build, Token, Trap, World};
use serde_json::{Map, Value, json};

/// One operation.
pub(super) fn handle(world: &mut World, operation: &str, id: &str, request: &Request) -> Result<Answer, Answer> {
    let user = world.manager(request)?;
    let known: &[&str] = match operation {
        "list" => &["p", "page_size"],
        "search" => &["keyword", "token", "p", "page_size"],
        "status" => &["status_only"],
        _ => &[],
    };
    request.only(known).map_err(|why| world.form(&why))?;
    match operation {
        "list" => {
            let rows = shown(world, user, |_| true);
            world.paged(request, rows)
        }
        "search" => search(world, user, request),
        "get" => {
            let at = find(world, user, id)?;
            Ok(World::yes(world.tokens.get(at).map_or(Value::Null, |t| read(world, t))))
        }
        "status" if !world.has(Trap::StatusOnlyIgnored) => status(world, user, request),
        "status" | "replace" => replace(world, user, request),
        "delete" => {
            let at = find(world, user, id)?;
            delete(world, at);
            Ok(Answer::json(200, &json!({"success": true, "message": ""})))
        }
        "delete_batch" => {
            let places = batch(world, user, request)?;
            let count = places.len();
            for at in places {
                delete(world, at);
            }
            Ok(World::yes(json!(count)))
        }
        "groups" => {
            let group = |g: &String| (g.clone(), json!({"desc": g, "ratio": 1}));
            Ok(World::yes(Value::Object(world.groups.iter().map(group).collect())))
        }
        _ => {
            // Asking for it replaces it.
            let token = drawn(32);
            if user == super::USER {
                world.access.clone_from(&token);
            } else {
                world.admin_access.clone_from(&token);
            }
            Ok(World::yes(json!(token)))
        }
    }
}

/// The place of a user's own token.
pub(super) fn find(world: &World, user: u64, id: &str) -> Result<usize, Answer> {
    let id: u64 = id.parse().map_err(|_| world.form("id"))?;
    let found = world.tokens.iter().position(|t| t.id == id && t.user == user && !t.deleted);
    found.ok_or_else(|| world.no("record not found", "record not found"))
}

/// The tokens that a body names, all of them.
pub(super) fn batch(world: &World, user: u64, request: &Request) -> Result<Vec<usize>, Answer> {
    let body = request.object().map_err(|why| world.form(&why))?;
    let ids = body.get("ids").and_then(Value::as_array).filter(|ids| !ids.is_empty() && body.len() == 1);
    let ids = ids.ok_or_else(|| world.form("expected ids and nothing else"))?;
    ids.iter().map(|id| find(world, user, &id.to_string())).collect()
}

/// A key as lists show it, when they do not show it all.
fn masked(key: &str) -> String {
    format!("{}**********{}", key.get(..4).unwrap_or_default(), key.get(44..).unwrap_or_default())
}

/// A token as the console writes it.
pub(super) fn written(world: &World, token: &Token) -> Value {
    let clear = world.build == Build::Old || world.has(Trap::EchoesSecret);
    let (used, last) = world.counters(token.serial);
    let created = i64::try_from(token.created / 1000).unwrap_or_default();
    let mut text = json!({"id": token.id, "user_id": token.user, "key": if clear { token.key.clone() } else { masked(&token.key) },
        "status": token.status, "name": token.name, "created_time": created, "accessed_time": last.unwrap_or(created),
        "expired_time": token.expires, "remain_quota": token.remain, "unlimited_quota": token.unlimited, "used_quota": used,
        "model_limits_enabled": token.model_limits_enabled, "model_limits": token.model_limits, "allow_ips": token.allow_ips,
        "group": token.group});
    if world.build != Build::Old {
        text["cross_group_retry"] = json!(token.cross_group_retry);
    }
    if world.build == Build::Newest {
        text["auto_groups"] = token.auto_groups.clone();
    }
    text
}

/// A token as it is read; what calls took from it is always there.
fn read(world: &World, token: &Token) -> Value {
    let before = world.histories.get(&token.serial).and_then(|h| h.seen(world.clock.now(), world.read_lag));
    written(world, &before.map_or_else(|| token.clone(), |before| Token { remain: token.remain, ..before.clone() }))
}

/// Tokens of a user, newest first.
fn shown(world: &World, user: u64, fits: impl Fn(&Token) -> bool) -> Vec<Value> {
    let settled = |t: &&Token| world.list_lag == 0 || t.created.saturating_add(world.list_lag) <= world.clock.now();
    let found = world.tokens.iter().rev().filter(|t| t.user == user && !t.deleted && fits(t)).filter(settled);
    found.map(|t| read(world, t)).collect()
}

/// By name: exact, or a pattern with at most two `%` and at least two other characters.
fn search(world: &mut World, user: u64, request: &Request) -> Result<Answer, Answer> {
    if world.searches_left == 0 {
        return Err(Answer::empty(429));
    }
    world.searches_left -= 1;
    let (name, key) = (request.parameter("keyword").unwrap_or_default(), request.parameter("token").unwrap_or_default());
    let signs = name.matches('%').count();
    if signs > 2 || (signs > 0 && name.chars().filter(|c| *c != '%').count() < 2) {
        return Err(world.no("搜索关键词无效", "invalid search keyword"));
    }
    let key = key.strip_prefix("sk-").unwrap_or(key).to_owned();
    let fuzzy = world.has(Trap::SearchFuzzy);
    let named = |t: &Token| {
        let bare = name.trim_matches('%');
        match (name.starts_with('%'), name.ends_with('%')) {
            _ if name.is_empty() => true,
            (false, false) if fuzzy => t.name.contains(name),
            (false, false) => t.name == name,
            (true, true) => t.name.contains(bare),
            (true, false) => t.name.ends_with(bare),
            (false, true) => t.name.starts_with(bare),
        }
    };
    let rows = shown(world, user, |t| named(t) && (key.is_empty() || t.key == key));
    world.paged(request, rows)
}

fn delete(world: &mut World, at: usize) {
    let Some(token) = world.tokens.get_mut(at) else { return };
    token.deleted = true;
    world.freed.push(token.id);
    world.changed(at);
}

fn named_id(world: &World, body: &Map<String, Value>) -> Result<String, Answer> {
    body.get("id").filter(|id| id.is_u64()).map(Value::to_string).ok_or_else(|| world.form("id: expected number"))
}

fn status(world: &mut World, user: u64, request: &Request) -> Result<Answer, Answer> {
    if request.parameter("status_only") != Some("true") {
        return Err(world.form("status_only"));
    }
    let body = request.object().map_err(|why| world.form(&why))?;
    if let Some(name) = body.keys().find(|n| !["id", "status"].contains(&n.as_str())) {
        return Err(world.form(&format!("{name} is no part of a change of the status")));
    }
    let at = find(world, user, &named_id(world, &body)?)?;
    let wanted = body.get("status").and_then(Value::as_u64).filter(|s| matches!(s, 1 | 2));
    let wanted = wanted.ok_or_else(|| world.form("status: expected 1 or 2"))?;
    let now = world.seconds();
    let Some(token) = world.tokens.get(at) else { return Err(world.form("id")) };
    if wanted == 1 && token.status == 3 && token.expires != -1 && token.expires <= now {
        return Err(world.no("令牌已过期，无法启用", "the token has expired and cannot be enabled"));
    }
    if wanted == 1 && token.status == 4 && token.remain <= 0 && !token.unlimited {
        return Err(world.no("令牌可用额度已用尽，无法启用", "the token is exhausted and cannot be enabled"));
    }
    let stays = world.has(Trap::StatusStays);
    let Some(token) = world.tokens.get_mut(at).filter(|_| !stays) else {
        let mut text = world.tokens.get(at).map_or(Value::Null, |t| written(world, t));
        text["status"] = json!(wanted);
        return Ok(World::yes(text));
    };
    token.status = wanted;
    world.changed(at);
    Ok(World::yes(world.tokens.get(at).map_or(Value::Null, |t| written(world, t))))
}

/// A full update: what is not mentioned becomes zero; the status stays.
fn replace(world: &mut World, user: u64, request: &Request) -> Result<Answer, Answer> {
    let body = request.object().map_err(|why| world.form(&why))?;
    let at = find(world, user, &named_id(world, &body)?)?;
    // What a read gave may be sent back.
    let read_only = ["id", "user_id", "key", "status", "created_time", "accessed_time", "used_quota"];
    let fields: Map<String, Value> = body.into_iter().filter(|(n, _)| !read_only.contains(&n.as_str())).collect();
    super::saga::check(world, &fields)?;
    if let Some(token) = world.tokens.get_mut(at) {
        super::saga::apply(token, &fields);
    }
    world.changed(at);
    Ok(World::yes(world.tokens.get(at).map_or(Value::Null, |t| written(world, t))))
}
