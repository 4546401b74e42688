//! Making a token like another one, in three steps: make it under a name that no other has, find that name, reveal the value.
//!
//! After the first step a token exists, whatever comes of the others: every failure from there on says that something may have happened.

use super::rows::{NAME_BYTES, Token, with_marker};
use super::{NewApiGateway, TOKENS};
use crate::ports::{Gateway as _, MintRequest, Minted, PortError, Result};
use crate::rotation::KeyId;
use crate::secret::SecretText;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Revealed {
    key: String,
}

/// What is sent as it stands on the old token.
const SENT: &[&str] =
    &["unlimited_quota", "model_limits_enabled", "model_limits", "allow_ips", "group", "cross_group_retry", "auto_groups"];

impl NewApiGateway {
    pub(super) async fn make(&self, request: MintRequest<'_>) -> Result<Minted> {
        let refused = |why: &str| self.console.refused("mint a token", why);
        let before = self.tokens().await.map_err(nothing_happened)?;
        let Some(old) = before.get(&request.like.id) else { return Err(refused("the token to copy is not in the listing")) };
        if before.values().filter(|token| token.name() == old.name()).count() > 1 {
            return Err(refused("two tokens have the name of the old one, and the log tells tokens apart by their names only: rename one"));
        }
        let Some(name) = with_marker(request.name, request.marker).filter(|name| name.len() <= NAME_BYTES) else {
            return Err(refused("the marker does not fit into a name"));
        };
        if before.values().any(|token| token.name() == name) {
            return Err(self.half_made("a token of that name exists already"));
        }
        let body = self.body(&request, old, &name).await?;
        let reply = self.console.admin.answer(Method::POST, &TOKENS, &[], Some(&body)).await?;
        match self.console.changed::<Value>("mint a token", &reply) {
            Ok(_no_id_and_no_value) => {}
            // A no with status 200 may be the second answer to a request that was repeated on its way: the look decides.
            Err(PortError::Refused { why, .. }) if reply.is_success() => return Err(self.half_made(&why)),
            Err(e) => return Err(e),
        }
        let (id, token) = self.find(&name, &before).await.map_err(|e| self.half_made(&e.to_string()))?;
        let value = self.reveal(&id, &token).await.map_err(|e| self.half_made(&e.to_string()))?;
        Ok(Minted { created_at: token.second("created_time"), id, value })
    }

    async fn body(&self, request: &MintRequest<'_>, old: &Token, name: &str) -> Result<Value> {
        let refused = |why: &str| self.console.refused("mint a token", why);
        let mut body = Map::new();
        for field in SENT {
            if let Some(set) = old.0.get(*field) {
                body.insert((*field).to_owned(), set.clone());
            }
        }
        body.insert("name".into(), json!(name));
        let unlimited = old.is_true("unlimited_quota");
        if !unlimited && !self.settings.quota_as_left {
            return Err(refused(
                "the old token has a quota that was paid in advance; what the new one may spend must be said: `quota: same_as_left`",
            ));
        }
        let left = old.0.get("remain_quota").cloned().filter(|_| !unlimited).unwrap_or_else(|| json!(0));
        body.insert("remain_quota".into(), left);
        // Never left out: nothing would mean 1970.
        let end = match request.like.expires_at {
            None => -1,
            Some(end) => {
                let life = request.like.created_at.map(|made| end.since(made)).filter(|life| life.0 > 0);
                let Some(life) = life else {
                    return Err(refused(
                        "the old token has an end and no beginning before it, so how long a new one may live is not known",
                    ));
                };
                self.now().await.map_err(nothing_happened)?.plus(life).0.div_euclid(1000)
            }
        };
        body.insert("expired_time".into(), json!(end));
        Ok(Value::Object(body))
    }

    /// The one token of this name, which was not there before.
    async fn find(&self, name: &str, before: &BTreeMap<KeyId, Token>) -> Result<(KeyId, Token)> {
        // The search takes `%` for anything and is limited in its rate; the listing is neither.
        let searched = if name.contains('%') { None } else { self.search(name).await.ok() };
        let rows = match searched {
            Some(rows) if !rows.is_empty() => rows,
            Some(_) | None => self.tokens().await?.into_values().collect(),
        };
        let mut found: Vec<Token> = rows.into_iter().filter(|token| token.name() == name).collect();
        match (found.pop(), found.as_slice()) {
            (Some(one), []) => match one.id() {
                Some(id) if !before.contains_key(&id) => Ok((id, one)),
                Some(_) | None => Err(self.console.admin.unreadable("the token of the new name is one that was there before")),
            },
            (Some(_), more) => Err(self.console.admin.unreadable(format!("{} tokens have the new name", more.len().saturating_add(1)))),
            (None, _) => Err(self.console.admin.unreadable("no token has the new name")),
        }
    }

    async fn search(&self, name: &str) -> Result<Vec<Token>> {
        let found = self.console.pages("search a token", &["api", "token", "search"], &[("keyword", name), ("token", "")], 2).await?;
        Ok(found.rows.into_iter().map(Token).collect())
    }

    /// The value, asked for once: the route is tightly limited. Older versions have no such route and show the value with the token.
    async fn reveal(&self, id: &KeyId, token: &Token) -> Result<SecretText> {
        let reply = self.console.admin.answer(Method::POST, &["api", "token", id.as_str(), "key"], &[], None).await?;
        let key = match (reply.status, token.clear()) {
            (404, Some(shown)) => shown.to_owned(),
            (404, None) => {
                let shown = self.token("reveal a token", id).await?;
                let clear = shown.clear().map(str::to_owned);
                clear.ok_or_else(|| self.console.admin.unreadable("it shows a value nowhere"))?
            }
            _ => self.console.changed::<Revealed>("reveal a token", &reply)?.key,
        };
        if key.contains('*') {
            return Err(self.console.admin.unreadable("it reveals a value that is masked"));
        }
        let whole = if key.starts_with("sk-") { key } else { format!("sk-{key}") };
        SecretText::minted(whole).map_err(|e| self.console.admin.unreadable(e.to_string()))
    }

    fn half_made(&self, why: &str) -> PortError {
        let why = format!("a token may have been made, and its value is not known: {why}");
        PortError::Unreachable { system: self.console.admin.system.clone(), why, may_have_happened: true }
    }
}

/// A look before a change failed: the change was not tried.
fn nothing_happened(problem: PortError) -> PortError {
    match problem {
        PortError::Unreadable { system, why } => PortError::Refused { system, action: "look before a change".into(), why },
        PortError::Unreachable { .. } | PortError::Refused { .. } | PortError::Conflict { .. } | PortError::Unsupported { .. } => problem,
    }
}
