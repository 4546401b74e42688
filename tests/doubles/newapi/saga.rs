//! A new token in three steps: create, which tells nothing; find, which tells the id; reveal, which tells the key.

use super::server::{Answer, Request};
use super::tokens::{batch, find, written};
use super::world::{Token, Trap, World};
use serde_json::{Map, Value, json};

/// One operation.
pub(super) fn handle(world: &mut World, operation: &str, id: &str, request: &Request) -> Result<Answer, Answer> {
    let user = world.manager(request)?;
    request.only(&[]).map_err(|why| world.form(&why))?;
    match operation {
        "create" => create(world, user, request),
        "reveal" => {
            let at = find(world, user, id)?;
            let key = reveal(world, at)?;
            Ok(World::yes(json!({"key": key})))
        }
        _ => {
            let places = batch(world, user, request)?;
            let mut keys = Map::new();
            for at in places {
                let key = reveal(world, at)?;
                let id = world.tokens.get(at).map(|t| t.id.to_string()).unwrap_or_default();
                keys.insert(id, json!(key));
            }
            Ok(World::yes(json!({"keys": keys})))
        }
    }
}

/// Why these are no fields of a token.
pub(super) fn check(world: &World, fields: &Map<String, Value>) -> Result<(), Answer> {
    for (name, value) in fields {
        let fits = match name.as_str() {
            "name" | "model_limits" | "group" => value.is_string(),
            // Null is as good as nothing here, in the original too.
            "allow_ips" => value.is_string() || value.is_null(),
            "expired_time" | "remain_quota" => value.is_i64(),
            "unlimited_quota" | "model_limits_enabled" | "cross_group_retry" => value.is_boolean(),
            // Its form is not known.
            "auto_groups" => true,
            _ if world.has(Trap::DropsUnknown) => true,
            _ => return Err(world.form(&format!("unknown field {name}"))),
        };
        if !fits {
            return Err(world.form(&format!("{name} has a wrong type")));
        }
    }
    if fields.get("name").and_then(Value::as_str).unwrap_or_default().len() > 50 {
        return Err(world.no("令牌名称过长", "the name of the token is too long"));
    }
    if fields.get("unlimited_quota") != Some(&json!(true)) && fields.get("remain_quota").and_then(Value::as_i64).is_some_and(|q| q < 0) {
        return Err(world.no("额度不能为负数", "the quota must not be negative"));
    }
    Ok(())
}

/// Puts the fields into a token; what is not mentioned becomes zero.
pub(super) fn apply(token: &mut Token, fields: &Map<String, Value>) {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |name: &str| fields.get(name).and_then(Value::as_i64).unwrap_or_default();
    let switch = |name: &str| fields.get(name).and_then(Value::as_bool).unwrap_or_default();
    token.name = text("name");
    token.expires = number("expired_time");
    token.remain = number("remain_quota");
    token.unlimited = switch("unlimited_quota");
    token.model_limits_enabled = switch("model_limits_enabled");
    token.model_limits = text("model_limits");
    token.allow_ips = text("allow_ips");
    token.group = text("group");
    token.cross_group_retry = switch("cross_group_retry");
    token.auto_groups = fields.get("auto_groups").cloned().unwrap_or_default();
}

fn create(world: &mut World, user: u64, request: &Request) -> Result<Answer, Answer> {
    let fields = request.object().map_err(|why| world.form(&why))?;
    check(world, &fields)?;
    let name = fields.get("name").and_then(Value::as_str).unwrap_or_default();
    let mut own = world.tokens.iter().filter(|t| t.user == user && !t.deleted);
    if world.has(Trap::UniqueNames) && own.any(|t| t.name == name) {
        return Err(world.no("令牌名称已存在", "the name of the token exists"));
    }
    if world.tokens.iter().filter(|t| t.user == user && !t.deleted).count() >= world.most {
        return Err(world.no("已达到最大令牌数量限制", "the most tokens are reached"));
    }
    let mut token = world.fresh(name, user);
    apply(&mut token, &fields);
    if world.has(Trap::DropsScope) {
        (token.group, token.model_limits, token.allow_ips, token.model_limits_enabled) = Default::default();
    }
    if world.has(Trap::DropsQuota) {
        token.unlimited = true;
    }
    if world.has(Trap::DropsExpiry) {
        token.expires = -1;
    }
    world.tokens.push(token);
    world.changed(world.tokens.len() - 1);
    if world.has(Trap::CreateSaysNo) {
        return Ok(world.no("系统繁忙", "the system is busy"));
    }
    Ok(Answer::json(200, &json!({"success": true, "message": ""})))
}

/// The key without `sk-`.
fn reveal(world: &mut World, at: usize) -> Result<String, Answer> {
    if world.reveals_left == 0 {
        return Err(Answer::empty(429));
    }
    if world.has(Trap::RevealRefused) {
        let body =
            json!({"success": false, "message": world.say("需要安全验证", "verification is required"), "code": "VERIFICATION_REQUIRED"});
        return Err(Answer::json(403, &body));
    }
    world.reveals_left -= 1;
    let (once, hides) = (world.has(Trap::RevealOnce), world.has(Trap::RevealMasked));
    let Some(token) = world.tokens.get_mut(at) else { return Err(world.form("id")) };
    token.revealed += 1;
    if once && token.revealed > 1 {
        return Err(world.no("密钥仅显示一次", "the key is shown once"));
    }
    let token = token.clone();
    if hides {
        return Ok(written(world, &token)["key"].as_str().unwrap_or_default().to_owned());
    }
    Ok(token.key)
}
