//! Making a key like another one: one call, and on OpenRouter one more for each guardrail.

use super::rows::{self, GUARDRAILS, Row};
use super::{Dialect, OpenRouterGateway};
use crate::ports::{Gateway as _, MintRequest, Minted, PortError, Result};
use crate::rotation::{KeyId, Time};
use crate::secret::SecretText;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The answer: the key and, once, its value. The legacy guide puts both into one document.
#[derive(Deserialize)]
struct Made {
    data: Option<Row>,
    key: String,
    #[serde(flatten)]
    flat: Map<String, Value>,
}

#[derive(Deserialize)]
struct Assigned {
    assigned_count: Option<u64>,
}

impl OpenRouterGateway {
    pub(super) async fn make(&self, request: MintRequest<'_>) -> Result<Minted> {
        let dialect = self.settings.dialect;
        // Which dialect is spoken must show in what is there, before anything is written.
        let before = self.rows().await.map_err(nothing_happened)?;
        let Some(old) = before.get(&request.like.id) else { return Err(self.refused("the key to copy is not in the listing")) };
        if old.text("key_type") == "management" || old.is_true("is_management_key") {
            return Err(self.refused("the key to copy is a management key"));
        }
        let body = self.body(&request).await?;
        let reply = self.admin.answer(Method::POST, dialect.keys(), &[], Some(&body)).await?;
        // "The name exists" is also what a repeated request hears after the first one made the key: only who may not ask is refused.
        if (400..500).contains(&reply.status) && ![401, 403].contains(&reply.status) {
            let why = format!("status {}; the change may have happened: look", reply.status);
            return Err(PortError::Unreachable { system: self.admin.system.clone(), why, may_have_happened: true });
        }
        let made: Made = self.admin.changed("mint a key", &reply)?;
        let row = match (made.data, dialect) {
            (Some(row), _) => row,
            (None, Dialect::ARouterLegacy) => Row(made.flat),
            (None, Dialect::OpenRouter | Dialect::ARouter) => {
                return Err(self.admin.unreadable("a key was made, and the answer does not show it"));
            }
        };
        let id = rows::id(dialect, &row).map(KeyId::new).ok_or_else(|| self.other_dialect())?;
        if before.contains_key(&id) {
            return Err(self.admin.unreadable("it answered with a key that was there before"));
        }
        let value = SecretText::minted(made.key).map_err(|e| self.admin.unreadable(e.to_string()))?;
        let guardrails = request.like.scope.get(GUARDRAILS).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        for guardrail in guardrails {
            // The key exists, whatever comes of this.
            self.assign(guardrail, &id).await.map_err(|e| self.half_made(&e))?;
        }
        Ok(Minted { id, value, created_at: Time::parse(row.text("created_at")) })
    }

    async fn body(&self, request: &MintRequest<'_>) -> Result<Value> {
        let dialect = self.settings.dialect;
        let mut body = Map::new();
        body.insert("name".into(), json!(rows::with_marker(request.name, request.marker.as_str())));
        for field in dialect.sent() {
            if let Some(set) = request.like.scope.get(*field) {
                body.insert((*field).to_owned(), set.clone());
            }
        }
        if dialect == Dialect::OpenRouter && !request.like.owner.is_empty() {
            body.insert("creator_user_id".into(), json!(request.like.owner));
        }
        if let Some(end) = request.like.expires_at {
            // Its end is not copied: the new key would die with the old one. It cannot be moved later either.
            let life = request.like.created_at.map(|made| end.since(made)).filter(|life| life.0 > 0);
            let Some(life) = life else {
                return Err(self.refused("the old key has an end and no beginning before it, so how long a new one may live is not known"));
            };
            let now = self.now().await.map_err(nothing_happened)?;
            body.insert("expires_at".into(), json!(now.plus(life).rfc3339()));
        }
        Ok(Value::Object(body))
    }

    async fn assign(&self, guardrail: &str, id: &KeyId) -> Result<()> {
        let path = ["guardrails", guardrail, "assignments", "keys"];
        let body = json!({"key_hashes": [id]});
        let answer: Assigned = self.admin.change("put the key under its guardrail", Method::POST, &path, Some(&body)).await?;
        if answer.assigned_count == Some(0) { Err(self.admin.unreadable("it put no key under the guardrail")) } else { Ok(()) }
    }

    fn refused(&self, why: &str) -> PortError {
        PortError::Refused { system: self.admin.system.clone(), action: "mint a key".into(), why: why.to_owned() }
    }

    fn half_made(&self, problem: &PortError) -> PortError {
        let why = format!("a key was made and is not yet restricted like the old one: {problem}");
        PortError::Unreachable { system: self.admin.system.clone(), why, may_have_happened: true }
    }
}

/// A look before a change failed: the change was not tried.
fn nothing_happened(problem: PortError) -> PortError {
    match problem {
        PortError::Unreadable { system, why } => PortError::Refused { system, action: "look before a change".into(), why },
        PortError::Unreachable { .. } | PortError::Refused { .. } | PortError::Conflict { .. } | PortError::Unsupported { .. } => problem,
    }
}
