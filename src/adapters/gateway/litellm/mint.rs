//! The request for a key that may do exactly what another one may.

use super::rows::{MARKER, RUN};
use crate::ports::MintRequest;
use crate::rotation::{Marker, Span};
use crate::secret::SecretText;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Fields of a listed key that a request takes under the same name. Other restrictions cannot be sent, and the comparison of both keys
/// names them.
const SENT: &[&str] = &[
    "access_group_ids",
    "agent_id",
    "aliases",
    "allowed_cache_controls",
    "allowed_routes",
    "auto_rotate",
    "budget_duration",
    "budget_fallbacks",
    "budget_id",
    "budget_limits",
    "config",
    "key_type",
    "max_budget",
    "max_parallel_requests",
    "metadata",
    "model_max_budget",
    "models",
    "object_permission",
    "permissions",
    "policies",
    "project_id",
    "rotation_interval",
    "router_settings",
    "rpm_limit",
    "team_id",
    "tpd_limit",
    "tpm_limit",
    "user_id",
];

/// What a request calls differently: listed name, sent name.
const RENAMED: &[(&str, &str)] = &[("org_id", "organization_id")];

/// The answer to a request for a key.
#[derive(Deserialize)]
pub(super) struct Made {
    pub(super) key: String,
    pub(super) token: String,
    pub(super) created_at: Option<String>,
}

/// The body of the request. The error says why there can be none.
pub(super) fn body(request: &MintRequest<'_>, value: &SecretText) -> Result<Value, String> {
    let scope = &request.like.scope;
    let mut body = Map::new();
    for name in SENT {
        if let Some(set) = scope.get(*name) {
            body.insert((*name).to_owned(), set.clone());
        }
    }
    for (listed, sent) in RENAMED {
        if let Some(set) = scope.get(*listed) {
            body.insert((*sent).to_owned(), set.clone());
        }
    }
    let mut metadata = scope.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    metadata.insert(MARKER.into(), json!(request.marker));
    body.insert("metadata".into(), Value::Object(metadata));
    body.insert("key".into(), json!(value.expose()));
    body.insert("key_alias".into(), json!(format!("{}{RUN}{}", request.name, short(request.marker))));
    if let Some(life) = life(request)? {
        body.insert("duration".into(), json!(format!("{}s", life.0.div_ceil(1000))));
    }
    Ok(Value::Object(body))
}

/// How long the old key was to live. Its end itself is not copied: the new key would die with it.
fn life(request: &MintRequest<'_>) -> Result<Option<Span>, String> {
    let Some(end) = request.like.expires_at else { return Ok(None) };
    match request.like.created_at.map(|made| end.since(made)) {
        Some(life) if life > Span::ZERO => Ok(Some(life)),
        Some(_) | None => Err("the old key has an end and no beginning before it, so how long a new one may live is not known".into()),
    }
}

/// Enough of a marker to tell two runs of one day apart.
fn short(marker: &Marker) -> String {
    let mut parts = marker.as_str().rsplitn(2, ':');
    let attempt = parts.next().unwrap_or_default();
    let run = parts.next().unwrap_or_default().rsplit(':').next().unwrap_or_default();
    format!("{}-{attempt}", run.get(..8).unwrap_or(run))
}
