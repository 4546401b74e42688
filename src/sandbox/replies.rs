//! What the models answer: fixed words in the shapes that clients expect.

use serde_json::{Value, json};

use super::server::Reply;

const WORDS: [&str; 3] = ["The sandbox ", "answers ", "the same."];

/// The tokens of one call, the same for the same request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tokens {
    pub(super) input: u64,
    pub(super) output: u64,
}

impl Tokens {
    /// About four bytes a token, as everywhere.
    pub(super) fn of(body: usize, output: u64) -> Self {
        let input = u64::try_from(body / 4).unwrap_or(0) + 1;
        Self { input, output }
    }

    /// Both together.
    pub(super) fn total(self) -> u64 {
        self.input + self.output
    }
}

fn event(name: Option<&str>, data: &Value) -> String {
    match name {
        Some(name) => format!("event: {name}\ndata: {data}\n\n"),
        None => format!("data: {data}\n\n"),
    }
}

/// `POST /v1/chat/completions`.
pub(super) fn chat(id: &str, now: i64, model: &str, asked: &Value, tokens: Tokens) -> Reply {
    let usage = json!({"prompt_tokens": tokens.input, "completion_tokens": tokens.output,
        "total_tokens": tokens.total()});
    let tool = first_tool(asked);
    if asked.get("stream") == Some(&Value::Bool(true)) {
        return chat_stream(id, now, model, tool.as_deref(), &usage);
    }
    let (message, reason) = match tool {
        Some(name) => (json!({"role": "assistant", "content": null, "tool_calls": [tool_call(&name)]}), "tool_calls"),
        None => (json!({"role": "assistant", "content": WORDS.concat()}), "stop"),
    };
    let body = json!({
        "id": format!("chatcmpl-{id}"), "object": "chat.completion", "created": now, "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason}], "usage": usage,
    });
    Reply::json(200, &body)
}

fn chat_stream(id: &str, now: i64, model: &str, tool: Option<&str>, usage: &Value) -> Reply {
    let chunk = |delta: Value, reason: Option<&str>| {
        let body = json!({
            "id": format!("chatcmpl-{id}"), "object": "chat.completion.chunk", "created": now,
            "model": model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
        });
        event(None, &body)
    };
    let mut events = vec![chunk(json!({"role": "assistant"}), None)];
    match tool {
        Some(name) => {
            let mut call = tool_call(name);
            if let Some(fields) = call.as_object_mut() {
                fields.insert("index".to_owned(), json!(0));
            }
            events.push(chunk(json!({"tool_calls": [call]}), None));
            events.push(chunk(json!({}), Some("tool_calls")));
        }
        None => {
            for word in WORDS {
                events.push(chunk(json!({"content": word}), None));
            }
            events.push(chunk(json!({}), Some("stop")));
        }
    }
    let last = json!({"id": format!("chatcmpl-{id}"), "object": "chat.completion.chunk",
        "created": now, "model": model, "choices": [], "usage": usage});
    events.push(event(None, &last));
    events.push("data: [DONE]\n\n".to_owned());
    Reply::events(events)
}

/// The name of the first tool that the caller offers.
fn first_tool(asked: &Value) -> Option<String> {
    let tool = asked.get("tools")?.as_array()?.first()?;
    let name = tool.pointer("/function/name").and_then(Value::as_str);
    Some(name.unwrap_or("tool").chars().take(64).collect())
}

fn tool_call(name: &str) -> Value {
    json!({"id": "call_sandbox", "type": "function", "function": {"name": name, "arguments": "{}"}})
}

/// `POST /v1/responses`.
pub(super) fn responses(id: &str, now: i64, model: &str, asked: &Value, tokens: Tokens) -> Reply {
    let body = json!({
        "id": format!("resp_{id}"), "object": "response", "created_at": now, "status": "completed",
        "model": model,
        "output": [{"type": "message", "role": "assistant",
            "content": [{"type": "output_text", "text": WORDS.concat()}]}],
        "usage": {"input_tokens": tokens.input, "output_tokens": tokens.output,
            "total_tokens": tokens.total()},
    });
    if asked.get("stream") != Some(&Value::Bool(true)) {
        return Reply::json(200, &body);
    }
    let mut events: Vec<_> = WORDS
        .iter()
        .map(|word| {
            let kind = "response.output_text.delta";
            event(Some(kind), &json!({"type": kind, "delta": word}))
        })
        .collect();
    let kind = "response.completed";
    events.push(event(Some(kind), &json!({"type": kind, "response": body})));
    Reply::events(events)
}

/// `POST /v1/embeddings`.
pub(super) fn embeddings(model: &str, tokens: Tokens) -> Reply {
    let vector: Vec<f64> = (1..=8).map(|part| f64::from(part) / 8.0).collect();
    let body = json!({
        "object": "list", "model": model,
        "data": [{"object": "embedding", "index": 0, "embedding": vector}],
        "usage": {"prompt_tokens": tokens.input, "total_tokens": tokens.input},
    });
    Reply::json(200, &body)
}

/// `GET /v1/models`: those that the key may use.
pub(super) fn models(names: &[&str]) -> Reply {
    let rows: Vec<_> = names.iter().map(|name| json!({"id": name, "object": "model", "owned_by": "sandbox"})).collect();
    Reply::json(200, &json!({"object": "list", "data": rows}))
}
