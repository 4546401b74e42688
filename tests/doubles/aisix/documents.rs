//! What a gateway makes of a document: which fields must be there, of which types, and which are not known.

use serde_json::{Map, Value};

/// Fields that a document of a kind may have, beside those that it must have.
fn known(kind: &str) -> &'static [&'static str] {
    match kind {
        "provider_keys" => &[
            "display_name",
            "provider",
            "api_key",
            "secret",
            "api_base",
            "telemetry_tags",
            "adapter",
            "request",
            "response",
            "strip_headers",
            "tls",
        ],
        "models" => &["display_name", "provider", "model_name", "provider_key_id", "routing", "cooldown", "retries", "cost", "timeout"],
        _ => &["key_hash", "allowed_models", "display_name", "team_id", "user_id", "user_name", "rate_limit", "expires_at", "disabled"],
    }
}

/// Kinds whose content this stand-in does not read.
const OPAQUE: &[&str] =
    &["rate_limit_policies", "passthrough_routes", "claim_mappings", "cache_policies", "mcp_servers", "mcp_auth_settings", "guardrails"];

/// Kinds whose content it reads.
pub(crate) const READ: &[&str] = &["provider_keys", "models", "api_keys"];

/// Why a document is not served, and what of it is not known.
pub(crate) enum Judged {
    Good { unknown: Vec<String> },
    Bad { kind: &'static str, why: String },
}

fn bad(kind: &'static str, why: impl Into<String>) -> Judged {
    Judged::Bad { kind, why: why.into() }
}

/// Judges one document of the store.
pub(crate) fn judge(kind: &str, id: &str, bytes: &[u8]) -> (Judged, Value) {
    if id.is_empty() {
        return (bad("bad_key", "no id"), Value::Null);
    }
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return (bad("non_json", "expected value at line 1"), Value::Null) };
    let judged = match value.as_object() {
        Some(_) if OPAQUE.contains(&kind) => Judged::Good { unknown: Vec::new() },
        _ if !READ.contains(&kind) => bad("unknown_kind", kind),
        None => bad("schema_failed", "not an object"),
        Some(fields) => match check(kind, fields) {
            Ok(()) => Judged::Good { unknown: unknown(kind, fields) },
            Err(why) => bad("schema_failed", why),
        },
    };
    (judged, value)
}

/// Names of fields that are not known.
pub(crate) fn unknown(kind: &str, fields: &Map<String, Value>) -> Vec<String> {
    fields.keys().filter(|name| !known(kind).contains(&name.as_str())).cloned().collect()
}

/// The document has what it must have, of the right types.
pub(crate) fn check(kind: &str, fields: &Map<String, Value>) -> Result<(), String> {
    let text = |name: &str, must: bool| match fields.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(()),
        None if !must => Ok(()),
        None => Err(format!("schema validation failed at /: missing field `{name}`")),
        Some(_) => Err(format!("schema validation failed at /{name}: expected a text that is not empty")),
    };
    match kind {
        "provider_keys" => {
            text("display_name", true)?;
            match (fields.contains_key("api_key"), fields.contains_key("secret")) {
                (true, true) => return Err("malformed ProviderKey payload: duplicate field `api_key`".into()),
                (false, false) => return Err("schema validation failed at /: missing field `api_key`".into()),
                (true, false) => text("api_key", true)?,
                (false, true) => text("secret", true)?,
            }
            for name in ["provider", "api_base", "adapter"] {
                text(name, false)?;
            }
            object(fields, "telemetry_tags")
        }
        "models" => {
            text("display_name", true)?;
            if let Some(routing) = fields.get("routing") {
                // `weighted` is another name in other versions: this build knows the newest ones.
                return match routing["strategy"].as_str() {
                    Some("round_robin" | "failover") => Ok(()),
                    _ => Err("schema validation failed at /routing/strategy: unknown variant".into()),
                };
            }
            for name in ["provider", "model_name", "provider_key_id"] {
                text(name, true)?;
            }
            Ok(())
        }
        _ => {
            // Nothing checks that it is a hash.
            text("key_hash", true)?;
            match fields.get("allowed_models") {
                Some(Value::Array(models)) if models.iter().all(Value::is_string) => {}
                Some(_) => return Err("schema validation failed at /allowed_models: expected a list of texts".into()),
                None => return Err("schema validation failed at /: missing field `allowed_models`".into()),
            }
            for name in ["display_name", "team_id", "user_id", "user_name"] {
                text(name, false)?;
            }
            object(fields, "rate_limit")?;
            if fields.get("disabled").is_some_and(|v| !v.is_boolean()) {
                return Err("schema validation failed at /disabled: expected a boolean".into());
            }
            match fields.get("expires_at") {
                None => Ok(()),
                Some(Value::String(at)) if chrono::DateTime::parse_from_rfc3339(at).is_ok() => Ok(()),
                Some(_) => Err("schema validation failed at /expires_at: expected an RFC 3339 date-time".into()),
            }
        }
    }
}

fn object(fields: &Map<String, Value>, name: &str) -> Result<(), String> {
    match fields.get(name) {
        None | Some(Value::Object(_)) => Ok(()),
        Some(_) => Err(format!("schema validation failed at /{name}: expected an object")),
    }
}
