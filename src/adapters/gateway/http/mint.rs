//! Making a key: one call that makes it, and those that belong to it. After the first one everything that goes wrong may have happened.

use super::HttpGatewayDriver;
use super::admin::Op;
use super::row::{Row, marker_text};
use super::times;
use super::values::{Values, shown};
use crate::policy::model::http_gateway::{DisableCalls, IdAt, Method, Reveal};
use crate::ports::{MintRequest, Minted, PortError, Result};
use crate::rotation::{KeyFacts, KeyId, Time};
use crate::secret::{SecretText, sha256_hex};
use serde_json::Value;

/// One list of the old key's document is gone through for at most so many entries.
const MOST_BINDINGS: usize = 200;

impl HttpGatewayDriver {
    pub(super) async fn make(&self, request: MintRequest<'_>) -> Result<Minted> {
        let described = self.admin.described.clone();
        let mint = &described.mint;
        let first = Op { action: "mint a key", field: "mint.request", request: &mint.request, usual: Method::Post };
        let rows = self.admin.rows().await.map_err(nothing_happened)?;
        let Some(old) = rows.iter().find(|row| row.facts.id == request.like.id) else {
            return Err(self.refused(format!("key {} is not listed, so there is nothing to make the new key like", request.like.id)));
        };
        let now = self.now_or_ours().await?;
        let end = self.end_like(request.like, now)?;
        let format = described.fields.time_format.unwrap_or_default();
        let life = request.like.expires_at.zip(request.like.created_at).map(|(end, made)| end.since(made).0 / 1000);
        let mut values = Values::default()
            .with("name", request.name)
            .with("marker", marker_text(&described, request.marker.as_str()))
            .maybe("owner", Some(request.like.owner.as_str()).filter(|owner| !owner.is_empty()))
            .maybe("expires_at", end.map(|end| times::written(end, format)))
            .maybe("lifetime", life)
            .with("old", old.document.clone());
        if described.caller_chooses() {
            let Some(value) = request.value else {
                return Err(self.refused("the value of the new key is chosen here, and none was chosen".into()));
            };
            values = values.secret("secret", value);
        }
        let answer = self.admin.change(first, &values).await?;
        // The key exists from here on: whatever follows, nobody may take an error for "nothing was made".
        self.complete(&request, old, values, answer, &rows).await.map_err(made_already)
    }

    async fn complete<'a>(
        &self,
        request: &MintRequest<'a>,
        old: &Row,
        mut values: Values<'a>,
        mut answer: Value,
        before: &[Row],
    ) -> Result<Minted> {
        let described = self.admin.described.clone();
        let mint = &described.mint;
        let first = Op { action: "mint a key", field: "mint.request", request: &mint.request, usual: Method::Post };
        let mut secret = match (&mint.secret, request.value.filter(|_| described.caller_chooses())) {
            (_, Some(chosen)) => Some(chosen.duplicate()),
            (Some(at), None) => match answer.pointer_mut(at.as_str()).map(Value::take) {
                Some(Value::String(text)) => {
                    Some(SecretText::minted(text).map_err(|e| self.admin.unreadable(first, format!("`gateway.http.mint.secret`: {e}")))?)
                }
                Some(_) | None => return Err(self.admin.nothing_at(first, "mint.secret", at.as_str(), &answer)),
            },
            (None, None) => None,
        };
        let hashed = matches!(described.fields.id, IdAt::Sha256Of(_));
        let id = match (&mint.id, &secret) {
            (Some(at), _) => {
                let found = answer.pointer(at.as_str()).filter(|v| v.is_string() || v.is_number()).map(shown);
                found.ok_or_else(|| self.admin.nothing_at(first, "mint.id", at.as_str(), &answer))?
            }
            (None, Some(secret)) if hashed => sha256_hex(secret.expose().as_bytes()),
            (None, _) => self.found_by_marker(first, request, before).await?,
        };
        if !KeyId::is_safe(&id) {
            return Err(self.admin.unreadable(first, "`gateway.http.mint.id` leads to an id whose shape cannot be used in a path"));
        }
        values = values.with("id", id.as_str()).with("answer", answer);
        if let Some(reveal) = &mint.reveal {
            secret = Some(self.reveal(reveal, &values).await?);
        }
        self.after(&mut values, old).await?;
        match secret {
            Some(value) => Ok(Minted { id: KeyId::new(id), value, created_at: None }),
            None => Err(self.admin.unreadable(first, "a key was made, and its value is not told")),
        }
    }

    /// The new key carries the marker; exactly one does, and it was not there before.
    async fn found_by_marker(&self, op: Op<'_>, request: &MintRequest<'_>, before: &[Row]) -> Result<String> {
        let rows = self.admin.rows().await?;
        let known = |row: &Row| before.iter().any(|b| b.facts.id == row.facts.id);
        let found: Vec<&Row> = rows.iter().filter(|row| row.facts.marker == request.marker.as_str() && !known(row)).collect();
        match found.as_slice() {
            [one] => Ok(one.facts.id.as_str().to_owned()),
            several => Err(self.admin.unreadable(op, format!("{} new keys carry the marker where one should", several.len()))),
        }
    }

    async fn reveal(&self, reveal: &Reveal, values: &Values<'_>) -> Result<SecretText> {
        let op = Op { action: "read the new key's value", field: "mint.reveal.request", request: &reveal.request, usual: Method::Get };
        let mut answer = self.admin.change(op, values).await?;
        match answer.pointer_mut(reveal.secret.as_str()).map(Value::take) {
            Some(Value::String(text)) => {
                let whole = format!("{}{text}", reveal.prefix.as_deref().unwrap_or_default());
                SecretText::minted(whole).map_err(|e| self.admin.unreadable(op, format!("`gateway.http.mint.reveal.secret`: {e}")))
            }
            Some(_) | None => Err(self.admin.nothing_at(op, "mint.reveal.secret", reveal.secret.as_str(), &answer)),
        }
    }

    /// The calls that belong to a mint, in order.
    async fn after(&self, values: &mut Values<'_>, old: &Row) -> Result<()> {
        let described = self.admin.described.clone();
        for (i, then) in described.mint.then.iter().enumerate() {
            let field = format!("mint.then[{i}].request");
            let op = Op { action: "complete the new key", field: &field, request: &then.request, usual: Method::Post };
            let Some(each) = &then.each else {
                self.admin.change(op, values).await?;
                continue;
            };
            let items = match old.document.pointer(each.as_str()) {
                // The old key is bound to nothing.
                None | Some(Value::Null) => Vec::new(),
                Some(Value::Array(items)) if items.len() <= MOST_BINDINGS => items.clone(),
                Some(Value::Array(items)) => {
                    return Err(self.admin.unreadable(op, format!("the old key has {} of these, more than {MOST_BINDINGS}", items.len())));
                }
                Some(_) => return Err(self.admin.nothing_at(op, &format!("mint.then[{i}].each"), each.as_str(), &old.document)),
            };
            for item in items {
                values.set("item", item);
                self.admin.change(op, values).await?;
            }
        }
        Ok(())
    }

    /// The key's expiry would otherwise be copied, and the new key would die with the old one: its life is what is copied.
    fn end_like(&self, like: &KeyFacts, now: Time) -> Result<Option<Time>> {
        let Some(end) = like.expires_at else { return Ok(None) };
        if matches!(self.admin.described.disable, DisableCalls::Expiry(_)) {
            let why = "the old key has an end of its own, and moving it to switch the key off would lose it: take the end away first, and set it on the new key afterwards";
            return Err(self.refused(why.into()));
        }
        match like.created_at {
            Some(made) => Ok(Some(now.plus(end.since(made)))),
            None => Err(self.refused(
                "the old key has an end and no beginning (`gateway.http.fields.created_at`), so how long a new one may live is not known"
                    .into(),
            )),
        }
    }

    fn refused(&self, why: String) -> PortError {
        PortError::Refused { system: self.admin.system.clone(), action: "mint".into(), why }
    }
}

/// An error before anything was sent that changes something.
pub(super) fn nothing_happened(error: PortError) -> PortError {
    match error {
        PortError::Unreadable { system, why } => PortError::Unreachable { system, why, may_have_happened: false },
        PortError::Unreachable { system, why, .. } => PortError::Unreachable { system, why, may_have_happened: false },
        PortError::Refused { .. } | PortError::Conflict { .. } | PortError::Unsupported { .. } => error,
    }
}

/// An error after the key was made.
fn made_already(error: PortError) -> PortError {
    match error {
        PortError::Unreadable { .. } => error,
        PortError::Unreachable { system, why, .. } => PortError::Unreachable { system, why, may_have_happened: true },
        PortError::Refused { system, why, action } | PortError::Conflict { system, why, action } => {
            PortError::Unreadable { system, why: format!("a key was made, and then this failed: {action}: {why}") }
        }
        PortError::Unsupported { system, action } => {
            PortError::Unreadable { system, why: format!("a key was made, and then {action} failed") }
        }
    }
}
