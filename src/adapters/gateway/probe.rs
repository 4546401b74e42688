//! Probes in the shapes that most gateways share: the cheapest request of each family, and what its answer says about the
//! credential.

use super::wire::Reply;
use crate::ports::CallAnswer;
use crate::rotation::{CallClass, Probe};
use crate::support::http::HttpProblem;
use serde_json::{Value, json};

/// How one gateway says what.
pub(super) struct Dialect {
    /// Status of a refused credential.
    pub(super) refused_status: u16,
    /// Error types of a refused credential.
    pub(super) refused_types: &'static [&'static str],
    /// Error codes of a refused credential.
    pub(super) refused_codes: &'static [&'static str],
    /// Error types that blame the provider behind the gateway.
    pub(super) upstream_types: &'static [&'static str],
}

/// Path below `/v1` and body of a probe; none for a family that this build cannot call.
pub(super) fn request(probe: &Probe) -> Option<(&'static [&'static str], Value)> {
    let model = probe.model.as_str();
    let messages = json!([{"role": "user", "content": "ping"}]);
    let tool = json!({"type": "function", "function": {"name": "ping", "description": "Answers a ping.",
        "parameters": {"type": "object", "properties": {}}}});
    Some(match probe.family.as_str() {
        "chat" => (&["chat", "completions"], json!({"model": model, "messages": messages, "max_tokens": 4, "stream": probe.stream})),
        "tools" => (
            &["chat", "completions"],
            json!({"model": model, "messages": messages, "max_tokens": 64, "tools": [tool], "tool_choice": "required"}),
        ),
        "structured" => (
            &["chat", "completions"],
            json!({"model": model, "messages": [{"role": "user", "content": "Answer with an empty JSON object."}],
                "max_tokens": 16, "response_format": {"type": "json_object"}}),
        ),
        "responses" => (&["responses"], json!({"model": model, "input": "ping", "max_output_tokens": 16, "stream": probe.stream})),
        "embeddings" => (&["embeddings"], json!({"model": model, "input": "ping"})),
        _ => return None,
    })
}

/// What an answer says. Only the gateway's own, known words are a refusal of the credential.
pub(super) fn judge(probe: &Probe, reply: &Reply, dialect: &Dialect) -> CallClass {
    if reply.is_success() {
        return if answers(probe, &reply.body) { CallClass::Accepted } else { CallClass::Unknown };
    }
    let (kind, code) = reply.error_words();
    let among = |word: &Option<String>, known: &[&str]| word.as_deref().is_some_and(|w| known.contains(&w));
    match reply.status {
        s if s == dialect.refused_status && among(&kind, dialect.refused_types) && among(&code, dialect.refused_codes) => {
            CallClass::Refused
        }
        403 => CallClass::Forbidden,
        429 => CallClass::OverLimit,
        502 | 504 if among(&kind, dialect.upstream_types) => CallClass::UpstreamFault,
        500..=599 => CallClass::Down,
        _ => CallClass::Unknown,
    }
}

/// What it means that no answer came: nobody there, or a mistake on our side that says nothing of the credential.
pub(super) fn unanswered(problem: &HttpProblem) -> CallAnswer {
    let class = match problem {
        HttpProblem::NotSent { .. } | HttpProblem::NoAnswer { .. } => CallClass::Down,
        HttpProblem::Address
        | HttpProblem::Credentials
        | HttpProblem::Segment
        | HttpProblem::Authority
        | HttpProblem::Client { .. }
        | HttpProblem::TooLarge { .. } => CallClass::Unknown,
    };
    CallAnswer { class, status: 0 }
}

/// The body is what the family promises: a stream with its end, a tool call, a vector.
pub(super) fn answers(probe: &Probe, body: &[u8]) -> bool {
    if probe.stream {
        return match probe.family.as_str() {
            "chat" => chat_stream(body),
            "responses" => responses_stream(body),
            _ => false,
        };
    }
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return false };
    let message = body.pointer("/choices/0/message");
    match probe.family.as_str() {
        "chat" => message.is_some_and(Value::is_object),
        "tools" => body.pointer("/choices/0/message/tool_calls/0/function/name").is_some_and(Value::is_string),
        "structured" => {
            let content = body.pointer("/choices/0/message/content").and_then(Value::as_str).unwrap_or_default();
            serde_json::from_str::<Value>(content).is_ok_and(|v| v.is_object())
        }
        "responses" => body.pointer("/output/0").is_some_and(Value::is_object),
        "embeddings" => body.pointer("/data/0/embedding").and_then(Value::as_array).is_some_and(|v| !v.is_empty()),
        _ => false,
    }
}

/// The data lines of server-sent events.
fn events(body: &[u8]) -> Vec<&str> {
    let text = std::str::from_utf8(body).unwrap_or_default();
    text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim).collect()
}

fn chat_stream(body: &[u8]) -> bool {
    let events = events(body);
    let Some((last, chunks)) = events.split_last() else { return false };
    let mut said = false;
    for chunk in chunks {
        let Ok(chunk) = serde_json::from_str::<Value>(chunk) else { return false };
        if chunk.get("error").is_some_and(|e| !e.is_null()) {
            return false;
        }
        said |= chunk.pointer("/choices/0/delta").is_some();
    }
    said && *last == "[DONE]"
}

fn responses_stream(body: &[u8]) -> bool {
    let last = events(body).into_iter().rfind(|event| *event != "[DONE]");
    let last: Value = last.and_then(|event| serde_json::from_str(event).ok()).unwrap_or_default();
    last.get("type").and_then(Value::as_str) == Some("response.completed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    const DIALECT: Dialect = Dialect {
        refused_status: 401,
        refused_types: &["invalid_api_key"],
        refused_codes: &["key_disabled"],
        upstream_types: &["upstream_error"],
    };

    fn class(family: &str, stream: bool, status: u16, body: &str) -> CallClass {
        let probe = Probe { family: family.into(), model: "m".into(), stream };
        judge(&probe, &Reply { status, body: Zeroizing::new(body.as_bytes().to_vec()), date: None, request: None }, &DIALECT)
    }

    fn error(status: u16, kind: &str, code: &str) -> CallClass {
        class("chat", false, status, &json!({"error": {"type": kind, "code": code}}).to_string())
    }

    #[test]
    fn only_the_known_words_with_the_known_status_are_a_refusal() {
        assert_eq!(error(401, "invalid_api_key", "key_disabled"), CallClass::Refused);
        assert_eq!(error(401, "invalid_api_key", "other"), CallClass::Unknown);
        assert_eq!(error(401, "waf", "key_disabled"), CallClass::Unknown);
        assert_eq!(class("chat", false, 401, "<html>"), CallClass::Unknown);
        assert_eq!(error(403, "invalid_api_key", "key_disabled"), CallClass::Forbidden);
        assert_eq!(error(429, "x", "y"), CallClass::OverLimit);
        assert_eq!(error(502, "upstream_error", "y"), CallClass::UpstreamFault);
        assert_eq!(error(502, "bad_gateway", "y"), CallClass::Down);
        assert_eq!(error(503, "upstream_error", "y"), CallClass::Down);
        assert_eq!([error(404, "x", "y"), error(302, "x", "y"), error(400, "x", "y")], [CallClass::Unknown; 3]);
    }

    #[test]
    fn a_success_must_be_what_the_family_promises() {
        let chat = r#"{"choices":[{"message":{"content":"x"}}]}"#;
        assert_eq!(class("chat", false, 200, chat), CallClass::Accepted);
        assert_eq!(class("tools", false, 200, chat), CallClass::Unknown);
        assert_eq!(
            class("tools", false, 200, r#"{"choices":[{"message":{"tool_calls":[{"function":{"name":"ping"}}]}}]}"#),
            CallClass::Accepted
        );
        assert_eq!(class("embeddings", false, 200, r#"{"data":[{"embedding":[0.5]}]}"#), CallClass::Accepted);
        assert_eq!(class("embeddings", false, 200, r#"{"data":[{"embedding":[]}]}"#), CallClass::Unknown);
        assert_eq!(class("structured", false, 200, r#"{"choices":[{"message":{"content":"{}"}}]}"#), CallClass::Accepted);
        assert_eq!(class("chat", false, 200, "welcome to the guest network"), CallClass::Unknown);
        assert_eq!(class("sing", false, 200, chat), CallClass::Unknown);
    }

    #[test]
    fn a_stream_counts_only_with_its_end() {
        let chunk = "data: {\"choices\":[{\"delta\":{}}]}\n\n";
        assert_eq!(class("chat", true, 200, &format!("{chunk}data: [DONE]\n\n")), CallClass::Accepted);
        assert_eq!(class("chat", true, 200, chunk), CallClass::Unknown);
        assert_eq!(class("chat", true, 200, "data: [DONE]\n\n"), CallClass::Unknown);
        assert_eq!(class("chat", true, 200, &format!("{chunk}data: {{\"error\":{{}}}}\n\ndata: [DONE]\n\n")), CallClass::Unknown);
        assert_eq!(
            class("responses", true, 200, "event: response.completed\ndata: {\"type\":\"response.completed\"}\n\n"),
            CallClass::Accepted
        );
        assert_eq!(class("responses", true, 200, "data: {\"type\":\"response.output_text.delta\"}\n\n"), CallClass::Unknown);
    }
}
