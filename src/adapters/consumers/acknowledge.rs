//! What a consumer says it holds: `{"loaded_at": …, "holds": "hmac-sha256:…"?, "key_id": "…"?}`, from a file or an address.
//!
//! `loaded_at` is RFC 3339 or milliseconds since 1970. Without `holds` and `key_id` it says only when something was loaded, and that
//! acknowledges nothing.

use crate::ports::{PortError, Result};
use crate::rotation::{Ack, App, KeyId, Time};
use crate::secret::Fingerprint;
use crate::support::http::{self, HttpProblem};
use serde_json::Value;

/// No acknowledgement is longer.
const LONGEST: usize = 64 * 1024;

pub(super) fn from_file(app: &App, path: &str) -> Result<Option<Ack>> {
    match std::fs::read(path) {
        Ok(bytes) if bytes.len() <= LONGEST => parse(app, &bytes),
        Ok(_) => Err(unreadable(app, "its version file is too long")),
        // Not written yet: it has not said anything.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(unreadable(app, &format!("its version file: {}", e.kind()))),
    }
}

pub(super) async fn from_http(app: &App, client: &reqwest::Client, url: reqwest::Url) -> Result<Option<Ack>> {
    let failed =
        |e: HttpProblem| PortError::Unreachable { system: format!("consumer {app}"), why: e.to_string(), may_have_happened: false };
    let answer = client.get(url).send().await.map_err(|e| failed(HttpProblem::of(&e)))?;
    if !answer.status().is_success() {
        return Err(unreadable(app, &format!("its acknowledgement address answered {}", answer.status().as_u16())));
    }
    let bytes = http::read_bounded(answer, LONGEST).await.map_err(failed)?;
    parse(app, &bytes)
}

fn parse(app: &App, bytes: &[u8]) -> Result<Option<Ack>> {
    let value: Value = serde_json::from_slice(bytes).map_err(|_| unreadable(app, "its acknowledgement is not JSON"))?;
    let loaded_at = match value.get("loaded_at") {
        Some(Value::String(text)) => Time::parse(text),
        Some(Value::Number(ms)) => ms.as_i64().map(Time),
        // It runs and has loaded nothing yet: that is an answer, and no acknowledgement.
        Some(Value::Null) => return Ok(None),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => None,
    };
    let loaded_at = loaded_at.ok_or_else(|| unreadable(app, "its acknowledgement has no `loaded_at`"))?;
    let holds = value.get("holds").and_then(Value::as_str).and_then(|t| Fingerprint::parse(t).ok());
    let key = value.get("key_id").and_then(Value::as_str).filter(|id| KeyId::is_safe(id)).map(KeyId::new);
    Ok(Some(Ack { app: app.clone(), loaded_at, holds, key }))
}

fn unreadable(app: &App, why: &str) -> PortError {
    PortError::Unreadable { system: format!("consumer {app}"), why: why.to_owned() }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_time_and_a_key_id_are_read() {
        let app = App::new("batch");
        let ack = parse(&app, br#"{"loaded_at": 1500, "key_id": "key_1", "more": true}"#).unwrap().unwrap();
        assert_eq!((ack.loaded_at, ack.key), (Time(1500), Some(KeyId::new("key_1"))));
        let ack = parse(&app, br#"{"loaded_at": "1970-01-01T00:00:02Z"}"#).unwrap().unwrap();
        assert_eq!((ack.loaded_at, ack.holds, ack.key), (Time(2000), None, None));
    }

    #[test]
    fn an_unsafe_key_id_is_no_key_id_and_garbage_is_an_error() {
        let app = App::new("batch");
        assert_eq!(parse(&app, br#"{"loaded_at": 1, "key_id": "../x"}"#).unwrap().unwrap().key, None);
        assert_eq!(parse(&app, br#"{"loaded_at": null}"#), Ok(None));
        assert!(parse(&app, b"<html>").is_err());
        assert!(parse(&app, br#"{"loaded_at": true}"#).is_err());
    }
}
