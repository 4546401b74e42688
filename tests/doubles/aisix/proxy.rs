//! The data plane of one process: who may call, which provider key serves, what is counted and logged.

use super::World;
use super::http::{Request, Response};
use super::replica::Replica;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// An answer to a caller, and what the log says of it.
struct Served {
    response: Response,
    /// The row of the caller's key, the model, its provider key and the key's name, where it came so far.
    seen: Option<[String; 4]>,
}

fn error(status: u16, kind: &str, code: Option<&str>, message: &str) -> Response {
    let mut body = json!({"error": {"message": message, "type": kind}});
    if let Some(code) = code {
        body["error"]["code"] = json!(code);
    }
    Response::json(status, &body)
}

/// One request to the proxy listener.
pub(crate) fn answer(world: &World, replica: &Replica, request: &Request) -> Response {
    let given = request.header("x-aisix-request-id");
    let id = if given.is_empty() || world.ignores_request_ids {
        let draw = replica.draws.fetch_add(1, Ordering::SeqCst);
        format!("00000000-0000-4000-8000-{:06x}{draw:06x}", replica.name.len())
    } else {
        given.to_owned()
    };
    let served = serve(world, replica, request, &id);
    if let Some([key, model, provider, name]) = &served.seen {
        let status = served.response.status;
        let outcome = if status == 200 { "success" } else { "failure" };
        replica.count(format!(
            "aisix_proxy_requests_total{{endpoint=\"/v1/chat/completions\",provider=\"openai\",model=\"{model}\",upstream_model=\"fake-model\",\
             provider_key_id=\"{provider}\",provider_key_name=\"{name}\",api_key_id=\"{key}\",team_id=\"\",stream=\"false\",\
             is_fallback=\"false\",status=\"{status}\",outcome=\"{outcome}\"}}"
        ));
        let text = format!(
            "aisix_obs::access_log: proxy request completed method=\"{}\" path=\"/{}\" status={status} latency_ms=6 provider=\"openai\" \
             model=\"{model}\" api_key_id=\"{key}\" prompt_tokens=5 completion_tokens=1 request_id=\"{id}\" \
             provider_request_id=\"chatcmpl-1\" routing_attempt_count=1",
            request.method,
            request.path.join("/")
        );
        replica.log("INFO", &id, &text);
    }
    served.response.with("x-aisix-request-id", &id).with("x-aisix-call-id", &id)
}

fn serve(world: &World, replica: &Replica, request: &Request, id: &str) -> Served {
    let refused = |response| Served { response, seen: None };
    let hash = keyroll::secret::sha256_hex(request.bearer().as_bytes());
    let (key_id, key) = {
        let snapshot = replica.snapshot();
        let found = snapshot.by_hash.get(&hash).cloned();
        let row = found.and_then(|id| snapshot.documents.get(&("api_keys".into(), id.clone())).map(|row| (id, row.clone())));
        match row {
            Some(row) => row,
            None => {
                drop(snapshot);
                replica.count("aisix_auth_decisions_total{method=\"api_key\",result=\"denied\",reason=\"unknown_key\"}".into());
                return refused(error(401, "invalid_api_key", None, "invalid API key"));
            }
        }
    };
    let over =
        key["expires_at"].as_str().and_then(|at| chrono::DateTime::parse_from_rfc3339(at).ok()).is_some_and(|at| at < chrono::Utc::now());
    if key["disabled"] == true || over {
        let (code, reason) = if over { ("api_key_expired", "key_expired") } else { ("api_key_disabled", "key_disabled") };
        replica.count(format!("aisix_auth_decisions_total{{method=\"api_key\",result=\"denied\",reason=\"{reason}\"}}"));
        if !replica.quiet.load(Ordering::SeqCst) {
            let text =
                format!("aisix::auth: rejected inbound credential reason={reason} api_key_id=Some(\"{key_id}\") source_ip=127.0.0.1");
            replica.log("WARN", id, &text);
        }
        return refused(error(401, "invalid_api_key", Some(code), "invalid API key"));
    }
    let allowed =
        |model: &str| key["allowed_models"].as_array().into_iter().flatten().any(|a| matches(a.as_str().unwrap_or_default(), model));
    match request.route() {
        ("GET", path) if path == ["v1", "models"] => {
            let names: Vec<Value> =
                replica.snapshot().model_names().iter().filter(|m| allowed(m)).map(|m| json!({"id": m, "object": "model"})).collect();
            refused(Response::json(200, &json!({"object": "list", "data": names})))
        }
        ("POST", path) if path == ["v1", "chat", "completions"] => chat(world, replica, request, id, &key_id, &allowed),
        _ => refused(error(404, "not_found", None, "no such route")),
    }
}

fn chat(world: &World, replica: &Replica, request: &Request, id: &str, key_id: &str, allowed: &dyn Fn(&str) -> bool) -> Served {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let name = body["model"].as_str().unwrap_or_default().to_owned();
    let mut seen = [key_id.to_owned(), name.clone(), String::new(), String::new()];
    let failed = |response, seen| Served { response, seen: Some(seen) };
    if !allowed(&name) {
        return failed(error(403, "permission_denied", None, "this key may not use the model"), seen);
    }
    let (model, provider) = {
        let snapshot = replica.snapshot();
        let Some((_, model)) = snapshot.named("models", &name) else {
            drop(snapshot);
            return failed(error(404, "model_not_found", None, "no such model"), seen);
        };
        let at = model["provider_key_id"].as_str().unwrap_or_default().to_owned();
        seen[2].clone_from(&at);
        (model.clone(), snapshot.documents.get(&("provider_keys".into(), at)).cloned())
    };
    let Some(provider) = provider else {
        let why = format!("model references unknown provider_key_id \"{}\"", seen[2]);
        return failed(error(400, "invalid_request_error", None, &why), seen);
    };
    seen[3] = provider["display_name"].as_str().unwrap_or_default().to_owned();
    let secret = provider["api_key"].as_str().or_else(|| provider["secret"].as_str()).unwrap_or_default();
    let status = world.upstream.called(secret, model["model_name"].as_str().unwrap_or_default(), id);
    if status != 200 {
        return failed(error(status, "upstream_error", Some("invalid_api_key"), "Incorrect API key provided"), seen);
    }
    failed(super::upstream::chat(&name, body["stream"] == true), seen)
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((head, tail)) => name.strip_prefix(head).is_some_and(|rest| rest.ends_with(tail)),
        None => pattern == name,
    }
}
