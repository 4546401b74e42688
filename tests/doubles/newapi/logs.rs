//! What can be known of calls afterwards: rows by the name of a token, sums, counters, and what a key may know of itself.

use super::ADMIN;
use super::server::{Answer, Request};
use super::world::{Build, Call, Refusal, Token, Trap, World};
use serde_json::{Value, json};

impl World {
    /// Used quota and time of the last call, as the token's row has them.
    pub(super) fn counters(&self, serial: u64) -> (i64, Option<i64>) {
        if self.has(Trap::CountersStand) {
            return (0, None);
        }
        let until = self.clock.now().saturating_sub(self.usage_lag);
        let calls = self.calls.iter().filter(|c| c.serial == Some(serial) && c.at <= until && c.refused.is_none());
        calls.fold((0, None), |(used, _), call| (used + call.quota, i64::try_from(call.at / 1000).ok()))
    }
}

/// One operation.
pub(super) fn handle(world: &mut World, operation: &str, request: &Request) -> Result<Answer, Answer> {
    match operation {
        "key_logs" => {
            let token = presented(world, request, true)?;
            let rows: Vec<Value> = rows(world, true, |c| c.serial == Some(token.serial)).into_iter().take(100).collect();
            Ok(World::yes(json!(rows)))
        }
        "key_usage" => {
            let token = presented(world, request, world.build == Build::Old)?;
            let (used, _) = world.counters(token.serial);
            let data = json!({"object": "token_usage", "name": token.name, "total_granted": token.remain + used, "total_used": used,
                "total_available": token.remain, "unlimited_quota": token.unlimited, "model_limits": {},
                "model_limits_enabled": token.model_limits_enabled, "expires_at": token.expires.max(0)});
            Ok(Answer::json(200, &json!({"code": true, "message": "ok", "data": data})))
        }
        _ => managed(world, operation, request),
    }
}

/// The token behind a key: expired and exhausted ones too.
fn presented(world: &World, request: &Request, disabled_too: bool) -> Result<Token, Answer> {
    request.only(&[]).map_err(|why| world.form(&why))?;
    let secret = request.bearer().unwrap_or_default();
    let key = secret.strip_prefix("sk-").unwrap_or(secret).split('-').next().unwrap_or_default();
    let found = world.tokens.iter().find(|t| t.key == key && !t.deleted && (disabled_too || t.status != 2));
    found.cloned().ok_or_else(|| Answer::json(401, &json!({"success": false, "message": world.say("无效的令牌", "invalid token")})))
}

fn managed(world: &World, operation: &str, request: &Request) -> Result<Answer, Answer> {
    let user = world.manager(request)?;
    let everybody = operation == "all_logs";
    if everybody && user != ADMIN {
        return Err(Answer::json(403, &json!({"success": false, "message": world.say("无权进行此操作，权限不足", "no permission")})));
    }
    let mut known = vec!["p", "page_size", "type", "start_timestamp", "end_timestamp", "token_name", "model_name", "group"];
    match operation {
        "stat" => known.retain(|n| !["p", "page_size"].contains(n)),
        "logs" if world.build != Build::Old => known.push("request_id"),
        "all_logs" => known.extend(["username", "channel", "request_id"]),
        _ => {}
    }
    request.only(&known).map_err(|why| world.form(&why))?;
    let number = |name: &str| match request.parameter(name).map(str::parse::<u64>) {
        None => Ok(None),
        Some(Ok(n)) => Ok(Some(n).filter(|n| *n > 0)),
        Some(Err(_)) => Err(world.form(name)),
    };
    let (start, end, kind) = (number("start_timestamp")?, number("end_timestamp")?, number("type")?);
    if kind.is_some_and(|k| k > 6) {
        return Err(world.form("type"));
    }
    let same = |name: &str, value: &str| request.parameter(name).is_none_or(|wanted| wanted.is_empty() || wanted == value);
    let fits = |c: &Call| {
        let at = c.at / 1000;
        (everybody || c.user == user)
            && start.is_none_or(|s| at >= s)
            && end.is_none_or(|e| at <= e)
            && kind.is_none_or(|k| k == kind_of(c))
            && same("token_name", &c.token_name)
            && same("model_name", &c.model)
            && same("group", &c.group)
            && same("request_id", &c.request_id)
    };
    if operation == "stat" {
        let minute = world.clock.now().saturating_sub(60_000);
        let quota: i64 = visible(world).filter(|(_, c)| fits(c)).map(|(_, c)| c.quota).sum();
        let recent = visible(world).filter(|(_, c)| fits(c) && c.at >= minute).count();
        return Ok(World::yes(json!({"quota": quota, "rpm": recent, "tpm": recent * 9})));
    }
    world.paged(request, rows(world, everybody, fits))
}

/// Consume, or error.
fn kind_of(call: &Call) -> u64 {
    if call.refused == Some(Refusal::Upstream) { 5 } else { 2 }
}

/// Calls that have a row by now, with its number.
fn visible(world: &World) -> impl Iterator<Item = (usize, &Call)> {
    let until = world.clock.now().saturating_sub(world.log_lag);
    let logged = |c: &&Call| c.refused.is_none_or(|why| why == Refusal::Upstream) && !c.unlogged;
    world.calls.iter().filter(logged).enumerate().filter(move |(_, c)| c.at <= until)
}

/// Newest first.
fn rows(world: &World, everything: bool, fits: impl Fn(&Call) -> bool) -> Vec<Value> {
    let row = |(number, call): (usize, &Call)| {
        let id = 5000 + number;
        let other = json!({"model_ratio": 1, "group_ratio": 1, "frt": 5});
        let upstream = call.refused.is_some();
        let mut row = json!({"id": if world.has(Trap::SmallRowIds) { id % 1024 } else { id }, "created_at": call.at / 1000,
            "type": kind_of(call), "token_name": call.token_name, "model_name": call.model, "quota": call.quota,
            "prompt_tokens": if upstream { 0 } else { 7 }, "completion_tokens": if upstream { 0 } else { 2 }, "use_time": 0,
            "is_stream": call.stream, "content": if upstream { "status_code=500, upstream error" } else { "" }, "group": call.group,
            "other": if world.has(Trap::OtherIsObject) { other } else { json!(other.to_string()) }});
        if world.build != Build::Old {
            row["request_id"] = json!(call.request_id);
        }
        if everything {
            row["token_id"] = json!(call.token_id);
            row["user_id"] = json!(call.user);
            row["username"] = json!(format!("user{}", call.user));
            row["channel"] = json!(1);
        }
        row
    };
    let mut found: Vec<Value> = visible(world).filter(|(_, c)| fits(c)).map(row).collect();
    found.reverse();
    found
}
