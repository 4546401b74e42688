//! The routers: chat, whole and streamed, and models. One text for every refused key.

use super::server::{Answer, Request};
use super::world::{Call, Refusal, Token, Trap, World};
use serde_json::{Value, json};

/// Models, and what a call of each costs in units of quota.
pub(crate) const MODELS: &[(&str, i64)] = &[("small", 500), ("big", 5000), ("free-small", 0)];
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
    "metadata",
];

/// One operation.
pub(super) fn handle(world: &mut World, operation: &str, router: usize, id: &str, request: &Request) -> Result<Answer, Answer> {
    let secret = request.bearer().unwrap_or_default().to_owned();
    let judged = judge(world, &secret, router);
    if operation == "models" {
        judged.map_err(|why| refuse(world, why, id, &secret))?;
        let model = |(id, _): &(&str, i64)| json!({"id": id, "object": "model", "created": 1_626_777_600, "owned_by": "custom"});
        return Ok(Answer::json(200, &json!({"success": true, "object": "list", "data": MODELS.iter().map(model).collect::<Vec<_>>()})));
    }
    let wanted = form(request);
    let known = world.tokens.iter().find(|t| t.key == bare(&secret)).cloned();
    let mut call = Call {
        request_id: id.to_owned(),
        at: world.clock.now(),
        router,
        serial: known.as_ref().map(|t| t.serial),
        token_id: known.as_ref().map_or(0, |t| t.id),
        user: known.as_ref().map_or(0, |t| t.user),
        token_name: known.as_ref().map(|t| t.name.clone()).unwrap_or_default(),
        group: known.map(|t| if t.group.is_empty() { "default".into() } else { t.group }).unwrap_or_default(),
        model: wanted.as_ref().map(|w| w.model.clone()).unwrap_or_default(),
        stream: wanted.as_ref().is_ok_and(|w| w.stream),
        quota: 0,
        refused: None,
        unlogged: world.has(Trap::LogsOff),
    };
    let judged = judged.and_then(|token| {
        let wanted = wanted.as_ref().map_err(|_| Refusal::Form)?;
        let listed = token.model_limits.split(',').any(|m| m.trim() == wanted.model);
        match token {
            t if t.model_limits_enabled && !listed => Err(Refusal::Model),
            _ if world.wallet <= 0 => Err(Refusal::Wallet),
            _ if world.upstream.is_some() => Err(Refusal::Upstream),
            t => Ok(t),
        }
    });
    let (token, wanted) = match (judged, wanted) {
        (Ok(token), Ok(wanted)) => (token, wanted),
        (judged, wanted) => {
            let why = judged.err().unwrap_or(Refusal::Form);
            call.refused = Some(why);
            world.calls.push(call);
            return Err(match wanted {
                Err(text) if why == Refusal::Form => error(400, &text, "invalid_request_error", "invalid_request", id),
                _ => refuse(world, why, id, &secret),
            });
        }
    };
    call.quota = MODELS.iter().find(|(m, _)| *m == wanted.model).map_or(0, |(_, quota)| *quota);
    world.wallet -= call.quota;
    if let Some(token) = world.tokens.iter_mut().find(|t| t.serial == token.serial)
        && !token.unlimited
    {
        token.remain = (token.remain - call.quota).max(0);
    }
    world.calls.push(call.clone());
    Ok(spoken(world, &call, &wanted))
}

/// What is looked up: without `sk-`, and without whatever follows the next dash.
fn bare(secret: &str) -> &str {
    secret.strip_prefix("sk-").unwrap_or(secret).split('-').next().unwrap_or_default()
}

/// The token behind a secret as this router knows it, or why not.
fn judge(world: &mut World, secret: &str, router: usize) -> Result<Token, Refusal> {
    if secret.is_empty() {
        return Err(Refusal::Missing);
    }
    let (now, behind) = (world.clock.now(), world.behind.get(&router).copied().unwrap_or_default());
    let at = world.tokens.iter().position(|t| t.key == bare(secret)).ok_or(Refusal::Unknown)?;
    let current = world.tokens.get(at).ok_or(Refusal::Unknown)?;
    let (serial, remain) = (current.serial, current.remain);
    let token = world.histories.get(&serial).and_then(|h| h.seen(now, behind)).ok_or(Refusal::Unknown)?.clone();
    match token.status {
        _ if token.deleted && world.has(Trap::Revives) => return Ok(token),
        _ if token.deleted => return Err(Refusal::Unknown),
        2 if !world.has(Trap::ServesDisabled) => return Err(Refusal::Disabled),
        3 => return Err(Refusal::Expired),
        4 => return Err(Refusal::Exhausted),
        _ => {}
    }
    let ended = match token {
        _ if token.expires != -1 && token.expires <= world.seconds() => Some((3, Refusal::Expired)),
        _ if !token.unlimited && remain <= 0 => Some((4, Refusal::Exhausted)),
        _ => None,
    };
    if let Some((status, why)) = ended {
        if let Some(token) = world.tokens.get_mut(at) {
            token.status = status;
        }
        world.changed(at);
        return Err(why);
    }
    let here = |line: &str| matches!(line.trim(), "127.0.0.1" | "127.0.0.0/8" | "127.0.0.1/32");
    if !token.allow_ips.trim().is_empty() && !token.allow_ips.lines().any(here) {
        return Err(Refusal::Address);
    }
    if !token.group.is_empty() && token.group != "auto" && !world.groups.contains(&token.group) {
        return Err(Refusal::Group);
    }
    Ok(token)
}

fn error(status: u16, message: &str, kind: &str, code: &str, id: &str) -> Answer {
    let message = format!("{message} (request id: {id})");
    Answer::json(status, &json!({"error": {"message": message, "type": kind, "param": "", "code": code}}))
}

/// How a refusal is worded.
fn refuse(world: &World, why: Refusal, id: &str, secret: &str) -> Answer {
    let own = |status, own: &str, english: &str, code| {
        let text = world.say(own, english);
        let text = if world.has(Trap::EchoesSecret) { format!("{text}: {secret}") } else { text.to_owned() };
        error(status, &text, "new_api_error", code, id)
    };
    match why {
        Refusal::Missing => own(401, "未提供令牌", "Token not provided", ""),
        Refusal::Exhausted if world.has(Trap::ExhaustedIs403) => own(403, "该令牌额度已用尽", "the quota of this token is used up", ""),
        Refusal::Disabled if world.has(Trap::DisabledLooksLikeQuota) => {
            own(403, "该令牌额度已用尽", "insufficient quota", "insufficient_quota")
        }
        Refusal::Unknown | Refusal::Disabled | Refusal::Expired | Refusal::Exhausted => own(401, "无效的令牌", "Invalid token", ""),
        Refusal::Address => own(403, "您的 IP 不在令牌允许访问的列表中", "your address is not in the list of this token", "access_denied"),
        Refusal::Group => own(403, "无权访问分组", "no access to this group", "access_denied"),
        Refusal::Model => own(403, "该令牌无权访问模型", "this token has no access to the model", "access_denied"),
        Refusal::Wallet => own(403, "用户额度不足", "the quota of the user is used up", "insufficient_user_quota"),
        Refusal::Form => own(400, "无效的请求", "invalid request", "invalid_request"),
        Refusal::Upstream => error(world.upstream.unwrap_or(500), "upstream error", "upstream_error", "bad_response_status_code", id),
    }
}

/// What a chat call asks for.
struct Wanted {
    model: String,
    stream: bool,
    tool: Option<String>,
}

fn form(request: &Request) -> Result<Wanted, String> {
    request.only(&[])?;
    let body = request.object()?;
    if let Some(name) = body.keys().find(|n| !["model", "messages"].contains(&n.as_str()) && !KNOWN.contains(&n.as_str())) {
        return Err(format!("unknown field {name}"));
    }
    let model = body.get("model").and_then(Value::as_str).ok_or("model is required")?;
    if !MODELS.iter().any(|(id, _)| *id == model) {
        return Err(format!("no available channel for model {model}"));
    }
    let said = |m: &Value| m["role"].is_string() && (m["content"].is_string() || m["content"].is_array() || m["tool_calls"].is_array());
    let messages = body.get("messages").and_then(Value::as_array).filter(|m| !m.is_empty() && m.iter().all(said));
    messages.ok_or("field messages is required")?;
    let stream = body.get("stream").map_or(Ok(false), |s| s.as_bool().ok_or("stream is no boolean"))?;
    let tool = match body.get("tools") {
        None => None,
        Some(tools) => Some(tools[0]["function"]["name"].as_str().ok_or("tools without names")?.to_owned()),
    };
    Ok(Wanted { model: model.to_owned(), stream, tool: tool.filter(|_| body.get("tool_choice") != Some(&json!("none"))) })
}

/// What the model said.
fn spoken(world: &World, call: &Call, wanted: &Wanted) -> Answer {
    let id = format!("chatcmpl-{}", call.request_id);
    let usage = json!({"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9});
    let function = |name| json!([{"id": "call_1", "index": 0, "type": "function", "function": {"name": name, "arguments": "{}"}}]);
    let tools = wanted.tool.as_ref().map(function);
    let reason = if tools.is_some() { "tool_calls" } else { "stop" };
    let head = |object: &str, choices: Value| json!({"id": id, "object": object, "created": call.at / 1000, "model": call.model, "choices": choices});
    if !wanted.stream {
        let mut message = json!({"role": "assistant", "content": "pong"});
        if let Some(tools) = tools {
            message = json!({"role": "assistant", "content": null, "tool_calls": tools});
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
    pieces.push(piece(json!({}), Some(reason)));
    let mut last = head("chat.completion.chunk", json!([]));
    last["usage"] = usage;
    pieces.push(last);
    let mut frames: Vec<String> = pieces.iter().map(|p| format!("data: {p}\n\n")).collect();
    if world.has(Trap::CutStream) {
        frames.truncate(1);
    } else {
        frames.push("data: [DONE]\n\n".into());
    }
    Answer::events(frames)
}
