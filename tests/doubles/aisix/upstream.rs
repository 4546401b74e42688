//! The provider behind the gateway: answers 401 to every bearer that it did not issue.

use super::http::{Request, Response, serve};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// The provider.
#[derive(Default)]
pub(crate) struct Upstream {
    pub(crate) issued: Mutex<BTreeSet<String>>,
    /// Which credential served which request, as its own log says.
    pub(crate) log: Mutex<Vec<(String, String)>>,
}

impl Upstream {
    /// Starts it; its address, with the version in it.
    pub(crate) fn start(self: &Arc<Self>) -> String {
        let upstream = self.clone();
        format!("{}/v1", serve(move |request| upstream.answer(request)))
    }

    pub(crate) fn issue(&self, secret: &str) {
        self.issued.lock().unwrap().insert(secret.to_owned());
    }

    pub(crate) fn revoke(&self, secret: &str) {
        self.issued.lock().unwrap().remove(secret);
    }

    /// One call; its status.
    pub(crate) fn called(&self, secret: &str, _model: &str, request: &str) -> u16 {
        let known = self.issued.lock().unwrap().contains(secret);
        self.log.lock().unwrap().push((secret.to_owned(), request.to_owned()));
        if known { 200 } else { 401 }
    }

    /// How many calls came with this credential.
    pub(crate) fn calls(&self, secret: &str) -> usize {
        self.log.lock().unwrap().iter().filter(|(s, _)| s == secret).count()
    }

    fn answer(&self, request: &Request) -> Response {
        if request.path != ["v1", "chat", "completions"] || request.method != "POST" {
            return Response::json(
                404,
                &json!({"error": {"message": "no such route", "type": "invalid_request_error", "code": "unknown_url"}}),
            );
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        match self.called(request.bearer(), "", "direct") {
            200 => chat(body["model"].as_str().unwrap_or_default(), body["stream"] == true),
            status => Response::json(
                status,
                &json!({"error": {"message": "Incorrect API key provided", "type": "invalid_request_error", "code": "invalid_api_key"}}),
            ),
        }
    }
}

/// A small completion.
pub(crate) fn chat(model: &str, stream: bool) -> Response {
    if stream {
        let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": model,
            "choices": [{"index": 0, "delta": {"content": "hi"}}]});
        let mut response = Response::text(200, &format!("data: {chunk}\n\ndata: [DONE]\n\n"));
        response.kind = "text/event-stream";
        return response;
    }
    Response::json(
        200,
        &json!({"id": "chatcmpl-1", "object": "chat.completion", "model": model,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}}),
    )
}
