//! The data plane: chat, whole and streamed; models, which anybody may list; and what a key may know of itself.

use super::faults::drawn;
use super::fields::stamp;
use super::server::{Answer, Request};
use super::world::{Call, Dialect, Key, Refusal, Trap, World};
use serde_json::{Map, Value, json};

/// Models, and what a call of each costs.
pub(crate) const MODELS: &[(&str, f64)] = &[("openai/small", 0.01), ("anthropic/small", 0.02), ("acme/tiny:free", 0.0)];
/// What a chat body may hold besides `model` and `messages`.
const KNOWN: &[&str] = &[
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "tools",
    "tool_choice",
    "user",
    "usage",
    "metadata",
];

/// One operation.
pub(super) fn handle(world: &mut World, operation: &str, replica: usize, request: &Request) -> Result<Answer, Answer> {
    match operation {
        "models" => {
            request.only(&[]).map_err(|why| world.error(400, &why))?;
            let model = |(id, _): &(&str, f64)| json!({"id": id, "name": id, "object": "model", "context_length": 8192});
            Ok(Answer::json(200, &json!({"data": MODELS.iter().map(model).collect::<Vec<_>>()})))
        }
        "self" => whoami(world, replica, request),
        _ => chat(world, replica, request),
    }
}

/// The key behind a secret as this replica knows it, or why not.
fn judge(world: &mut World, secret: &str, replica: usize) -> Result<Key, Refusal> {
    let now = world.clock.now();
    if let Some((until, why)) = world.refusals.get(&(replica, secret.to_owned()))
        && now < *until
    {
        return Err(*why);
    }
    let judged = look(world, secret, replica, now);
    if let Err(why) = &judged
        && world.cache_refusals > 0
    {
        world.refusals.insert((replica, secret.to_owned()), (now.saturating_add(world.cache_refusals), *why));
    }
    judged
}

fn look(world: &World, secret: &str, replica: usize, now: u64) -> Result<Key, Refusal> {
    let behind = world.behind.get(&replica).copied().unwrap_or_default();
    let current = world.keys.iter().find(|k| k.secret == secret).ok_or(Refusal::Unknown)?;
    let key = world.histories.get(&current.id).and_then(|h| h.seen(now, behind)).ok_or(Refusal::Unknown)?;
    if key.deleted && !world.has(Trap::Revives) {
        return Err(Refusal::Unknown);
    }
    if key.disabled && !world.has(Trap::ServesDisabled) && !(key.deleted && world.has(Trap::Revives)) {
        return Err(Refusal::Disabled);
    }
    if key.expires.is_some_and(|end| end <= now) {
        return Err(Refusal::Expired);
    }
    Ok(key.clone())
}

/// How a refusal of a key is worded.
fn refuse(world: &World, why: Refusal, secret: &str) -> Answer {
    let message = |text: &str| world.echo(text, secret);
    match why {
        Refusal::Disabled if world.has(Trap::DisabledLooksLikeQuota) => {
            world.error_of(403, "insufficient_quota", &message("quota is used up"))
        }
        Refusal::Expired if world.has(Trap::ExpiredIs500) => world.error(500, "internal error"),
        Refusal::Unknown if world.dialect == Dialect::OpenRouter => world.error(401, &message("User not found.")),
        Refusal::Disabled if world.dialect == Dialect::OpenRouter => world.error(401, &message("API key is disabled")),
        Refusal::Unknown | Refusal::Disabled => world.error(401, &message("invalid API key")),
        Refusal::Expired => world.error(401, &message("API key has expired")),
        Refusal::Management => world.error(403, "management keys cannot be used for inference"),
        Refusal::OverLimit => world.error_of(world.over_limit.0, world.over_limit.1, "Key limit exceeded"),
        Refusal::Scope if world.dialect == Dialect::OpenRouter => world.error(403, "model is not allowed by the guardrail of this key"),
        Refusal::Scope => world.error_of(403, "forbidden_error", "model or provider is not allowed for this key"),
        Refusal::Form => world.error(400, "invalid request"),
        Refusal::Upstream => {
            let body = json!({"error": {"code": 502, "message": "Provider returned error", "metadata": {"provider_name": "openai"}}});
            if world.dialect == Dialect::OpenRouter { Answer::json(502, &body) } else { world.error(502, "Provider returned error") }
        }
    }
}

fn whoami(world: &mut World, replica: usize, request: &Request) -> Result<Answer, Answer> {
    let known: &[&str] = if world.dialect == Dialect::OpenRouter { &[] } else { &["key"] };
    request.only(known).map_err(|why| world.error(400, &why))?;
    let Some(secret) = world.presented(request).map(str::to_owned) else { return Err(world.error(401, "No auth credentials found")) };
    let key = judge(world, &secret, replica).map_err(|why| refuse(world, why, &secret))?;
    let spent = |period| world.shown(&key, period);
    let left = key.limit.map(|limit| (limit - world.shown(&key, key.limit_reset.as_deref())).max(0.0));
    let mut data = json!({"label": format!("{}...", secret.get(..12).unwrap_or_default()), "limit": key.limit, "limit_remaining": left,
        "limit_reset": key.limit_reset, "usage": spent(None), "usage_daily": spent(Some("daily")), "usage_weekly": spent(Some("weekly")),
        "usage_monthly": spent(Some("monthly")), "byok_usage": 0, "byok_usage_daily": 0, "byok_usage_weekly": 0, "byok_usage_monthly": 0,
        "is_free_tier": false, "is_management_key": key.management, "expires_at": key.expires.map(stamp),
        "rate_limit": {"requests": -1, "interval": "10s", "note": "deprecated"}});
    if world.dialect == Dialect::OpenRouter {
        data["is_provisioning_key"] = json!(key.management);
        data["include_byok_in_limit"] = json!(key.include_byok_in_limit);
    }
    Ok(Answer::json(200, &json!({"data": data})))
}

/// What a chat call asks for.
struct Wanted {
    model: String,
    stream: bool,
    tool: Option<String>,
}

fn form(request: &Request) -> Result<Wanted, String> {
    let body = request.object()?;
    if let Some(name) = body.keys().find(|n| !["model", "messages"].contains(&n.as_str()) && !KNOWN.contains(&n.as_str())) {
        return Err(format!("unrecognized key in object: {name}"));
    }
    let model = body.get("model").and_then(Value::as_str).ok_or("model: required")?;
    if !MODELS.iter().any(|(id, _)| *id == model) {
        return Err(format!("{model} is not a valid model ID"));
    }
    let said = |m: &Value| m["role"].is_string() && (m["content"].is_string() || m["content"].is_array() || m["tool_calls"].is_array());
    let messages = body.get("messages").and_then(Value::as_array).filter(|m| !m.is_empty() && m.iter().all(said));
    messages.ok_or("messages: expected array of role and content")?;
    let switch = |name: &str, body: &Map<String, Value>| match body.get(name) {
        None => Ok(false),
        Some(value) => value.as_bool().ok_or(format!("{name}: expected boolean")),
    };
    for name in ["max_tokens", "max_completion_tokens"] {
        if body.get(name).is_some_and(|n| n.as_u64().is_none_or(|n| n == 0)) {
            return Err(format!("{name}: expected positive number"));
        }
    }
    let tool = match body.get("tools") {
        None => None,
        Some(tools) => Some(tools[0]["function"]["name"].as_str().ok_or("tools: expected functions with names")?.to_owned()),
    };
    let tool = tool.filter(|_| body.get("tool_choice") != Some(&json!("none")));
    Ok(Wanted { model: model.to_owned(), stream: switch("stream", &body)?, tool })
}

/// Whether a key's scope holds a model.
fn allowed(world: &World, key: &Key, model: &str) -> bool {
    let provider = model.split('/').next().unwrap_or_default();
    let guardrail = key.guardrail.as_ref().and_then(|id| world.guardrails.iter().find(|g| g.id == *id));
    // An empty list limits nothing.
    let within = |list: &Option<Vec<String>>, what: &str| list.as_ref().is_none_or(|l| l.is_empty() || l.iter().any(|one| one == what));
    within(&key.providers, provider) && within(&key.models, model) && guardrail.is_none_or(|g| g.models.iter().any(|m| m == model))
}

fn chat(world: &mut World, replica: usize, request: &Request) -> Result<Answer, Answer> {
    let known: &[&str] = if world.dialect == Dialect::OpenRouter { &[] } else { &["key"] };
    request.only(known).map_err(|why| world.error(400, &why))?;
    let Some(secret) = world.presented(request).map(str::to_owned) else { return Err(world.error(401, "No auth credentials found")) };
    let wanted = form(request);
    let known = world.keys.iter().find(|k| k.secret == secret).map(|k| k.id.clone());
    let mut call = Call {
        id: format!("gen-{}-{}", world.clock.now() / 1000, drawn(20)),
        at: world.clock.now(),
        replica,
        key: known,
        model: wanted.as_ref().map_or_else(|_| String::new(), |w| w.model.clone()),
        stream: wanted.as_ref().is_ok_and(|w| w.stream),
        cost: 0.0,
        tokens: (0, 0),
        refused: None,
    };
    let judged = if world.has(Trap::BodyFirst) && wanted.is_err() { Err(Refusal::Form) } else { judge(world, &secret, replica) };
    let judged = judged.and_then(|key| {
        let legacy = world.dialect == Dialect::ARouterLegacy;
        match &wanted {
            _ if key.management && !legacy => Err(Refusal::Management),
            Err(_) => Err(Refusal::Form),
            Ok(_) if key.limit.is_some_and(|limit| world.spent(&key) >= limit) => Err(Refusal::OverLimit),
            Ok(wanted) if !allowed(world, &key, &wanted.model) => Err(Refusal::Scope),
            Ok(_) if world.upstream.is_some() => Err(Refusal::Upstream),
            Ok(_) => Ok(key),
        }
    });
    let wanted = match (judged, wanted) {
        (Ok(_), Ok(wanted)) => wanted,
        (judged, wanted) => {
            let why = judged.err().unwrap_or(Refusal::Form);
            call.refused = Some(why);
            world.calls.push(call);
            return match (why, wanted) {
                (Refusal::Form, Err(text)) => Err(world.error(400, &text)),
                (Refusal::Upstream, _) if world.upstream.is_some_and(|s| s != 502) => {
                    Err(world.error(world.upstream.unwrap_or(502), "Provider returned error"))
                }
                _ => Err(refuse(world, why, &secret)),
            };
        }
    };
    call.cost = MODELS.iter().find(|(id, _)| *id == wanted.model).map_or(0.0, |(_, cost)| *cost);
    call.tokens = (7, 2);
    world.calls.push(call.clone());
    Ok(spoken(world, &call, &wanted))
}

/// What the model said.
fn spoken(world: &World, call: &Call, wanted: &Wanted) -> Answer {
    let usage = json!({"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9, "cost": call.cost});
    let tools = wanted
        .tool
        .as_ref()
        .map(|name| json!([{"id": "call_1", "index": 0, "type": "function", "function": {"name": name, "arguments": "{}"}}]));
    let reason = if tools.is_some() { "tool_calls" } else { "stop" };
    let head = |object: &str, choices: Value| {
        json!({"id": call.id, "object": object, "created": call.at / 1000, "model": call.model,
            "provider": call.model.split('/').next(), "choices": choices})
    };
    if !wanted.stream {
        let mut message = json!({"role": "assistant", "content": if tools.is_some() { Value::Null } else { json!("pong") }});
        if let Some(tools) = tools {
            message["tool_calls"] = tools;
        }
        let mut body = head("chat.completion", json!([{"index": 0, "message": message, "finish_reason": reason}]));
        body["usage"] = usage;
        return Answer::json(200, &body);
    }
    let piece =
        |delta: Value, end: Option<&str>| head("chat.completion.chunk", json!([{"index": 0, "delta": delta, "finish_reason": end}]));
    let mut pieces = match tools {
        Some(tools) => vec![piece(json!({"role": "assistant", "tool_calls": tools}), None)],
        None => vec![piece(json!({"role": "assistant", "content": "po"}), None), piece(json!({"content": "ng"}), None)],
    };
    let event = |value: &Value| format!("data: {value}\n\n");
    let mut frames = vec![": PROCESSING\n\n".to_owned()];
    if world.has(Trap::FailingStream) {
        let mut failed = piece(json!({"content": ""}), Some("error"));
        failed["error"] = json!({"code": 502, "message": "Provider returned error"});
        frames.push(event(&failed));
        return Answer::events(frames);
    }
    pieces.push(piece(json!({}), Some(reason)));
    let mut last = head("chat.completion.chunk", json!([]));
    last["usage"] = usage;
    pieces.push(last);
    frames.extend(pieces.iter().map(event));
    if world.has(Trap::CutStream) {
        frames.truncate(2);
    } else {
        frames.push("data: [DONE]\n\n".into());
    }
    Answer::events(frames)
}
