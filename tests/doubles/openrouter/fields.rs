//! What a body may hold, field by field; and keys as each dialect writes them.

use super::world::{Dialect, Key, Trap, World};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

/// What a field takes.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Name,
    Text,
    Switch,
    Money,
    Reset,
    Time,
    Texts,
}

/// The fields of a create or an update, as name, kind, and whether null is one of its values.
fn known(dialect: Dialect, create: bool) -> &'static [(&'static str, Kind, bool)] {
    use Kind::{Money, Name, Reset, Switch, Text, Texts, Time};
    match (dialect, create) {
        (Dialect::OpenRouter, true) => &[
            ("name", Name, false),
            ("limit", Money, true),
            ("limit_reset", Reset, true),
            ("expires_at", Time, true),
            ("include_byok_in_limit", Switch, false),
            ("creator_user_id", Text, true),
            ("workspace_id", Text, false),
        ],
        (Dialect::OpenRouter, false) => &[
            ("name", Name, false),
            ("disabled", Switch, false),
            ("limit", Money, true),
            ("limit_reset", Reset, true),
            ("include_byok_in_limit", Switch, false),
        ],
        (Dialect::ARouter, true) => &[
            ("name", Name, false),
            ("limit", Money, true),
            ("limit_reset", Reset, true),
            ("expires_at", Time, true),
            ("allowed_providers", Texts, true),
            ("allowed_models", Texts, true),
        ],
        (Dialect::ARouter, false) => &[
            ("name", Name, false),
            ("disabled", Switch, false),
            ("limit", Money, true),
            ("limit_reset", Reset, true),
            ("allowed_providers", Texts, true),
            ("allowed_models", Texts, true),
        ],
        (Dialect::ARouterLegacy, _) => &[("name", Name, false), ("allowed_providers", Texts, false), ("spending_limit", Money, false)],
    }
}

fn fits(kind: Kind, value: &Value, now: u64) -> Result<(), &'static str> {
    let texts = |list: &Vec<Value>| list.iter().all(|v| v.as_str().is_some_and(|s| !s.is_empty()));
    match kind {
        Kind::Name if value.as_str().is_some_and(|s| !s.is_empty() && s.chars().count() <= 255) => Ok(()),
        Kind::Name => Err("expected string of 1 to 255 characters"),
        Kind::Text if value.as_str().is_some_and(|s| !s.is_empty()) => Ok(()),
        Kind::Text => Err("expected string"),
        Kind::Switch if value.is_boolean() => Ok(()),
        Kind::Switch => Err("expected boolean"),
        Kind::Money if value.as_f64().is_some_and(|n| n >= 0.0) => Ok(()),
        Kind::Money => Err("expected number, not negative"),
        Kind::Reset if matches!(value.as_str(), Some("daily" | "weekly" | "monthly")) => Ok(()),
        Kind::Reset => Err("expected daily, weekly or monthly"),
        Kind::Time if time(value).is_some_and(|end| end > now) => Ok(()),
        Kind::Time => Err("expected ISO 8601 time in the future"),
        Kind::Texts if value.as_array().is_some_and(texts) => Ok(()),
        Kind::Texts => Err("expected array of strings"),
    }
}

/// Why a body is none of this API's.
pub(super) fn check(world: &World, body: &Map<String, Value>, create: bool) -> Result<(), String> {
    let known = known(world.dialect, create);
    for (name, value) in body {
        match known.iter().find(|(field, _, _)| field == name) {
            Some((_, _, true)) if value.is_null() => {}
            Some((_, kind, _)) => fits(*kind, value, world.clock.now()).map_err(|why| format!("{name}: {why}"))?,
            None if world.has(Trap::DropsUnknown) => {}
            None => return Err(format!("unrecognized key in object: {name}")),
        }
    }
    match create {
        true if !body.contains_key("name") => Err("name: required".into()),
        false if body.is_empty() => Err("nothing to update".into()),
        true | false => Ok(()),
    }
}

/// Puts the fields of a body into a key.
pub(super) fn apply(key: &mut Key, body: &Map<String, Value>) {
    let texts = |v: &Value| v.as_array().map(|l| l.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect());
    for (name, value) in body {
        let text = || value.as_str().map(str::to_owned);
        match name.as_str() {
            "name" => key.name = text().unwrap_or_default(),
            "disabled" => key.disabled = value == &json!(true),
            "limit" | "spending_limit" => key.limit = value.as_f64(),
            "limit_reset" => key.limit_reset = text(),
            "expires_at" => key.expires = time(value),
            "include_byok_in_limit" => key.include_byok_in_limit = value == &json!(true),
            "creator_user_id" => key.creator = text(),
            "workspace_id" => key.workspace = text(),
            "allowed_providers" => key.providers = texts(value),
            "allowed_models" => key.models = texts(value),
            _ => {}
        }
    }
}

fn time(value: &Value) -> Option<u64> {
    let time = DateTime::parse_from_rfc3339(value.as_str()?).ok()?;
    u64::try_from(time.timestamp_millis()).ok()
}

/// A time as answers have it.
pub(super) fn stamp(millis: u64) -> String {
    let time = i64::try_from(millis).ok().and_then(DateTime::<Utc>::from_timestamp_millis).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The first and the last characters of a secret.
fn label(secret: &str) -> String {
    format!("{}...{}", secret.get(..12).unwrap_or_default(), secret.get(secret.len().saturating_sub(3)..).unwrap_or_default())
}

/// A key as the admin side writes it.
pub(super) fn write(world: &World, key: &Key) -> Value {
    let spent = |period| world.shown(key, period);
    let left = key.limit.map(|limit| (limit - world.shown(key, key.limit_reset.as_deref())).max(0.0));
    let last = world.last_used(&key.id).map(stamp);
    let mut text = match world.dialect {
        Dialect::OpenRouter => json!({
            "hash": key.id, "label": label(&key.secret), "name": key.name, "disabled": key.disabled, "limit": key.limit,
            "limit_remaining": left, "limit_reset": key.limit_reset, "include_byok_in_limit": key.include_byok_in_limit,
            "usage": spent(None), "usage_daily": spent(Some("daily")), "usage_weekly": spent(Some("weekly")),
            "usage_monthly": spent(Some("monthly")), "byok_usage": 0, "byok_usage_daily": 0, "byok_usage_weekly": 0,
            "byok_usage_monthly": 0, "created_at": stamp(key.created), "updated_at": stamp(key.updated),
            "expires_at": key.expires.map(stamp), "creator_user_id": key.creator, "workspace_id": key.workspace,
        }),
        Dialect::ARouter => {
            let mut text = json!({
                "hash": key.id, "name": key.name, "label": label(&key.secret), "disabled": key.disabled,
                "key_type": if key.management { "management" } else { "regular" }, "limit": key.limit, "limit_remaining": left,
                "limit_reset": key.limit_reset, "usage": spent(None), "usage_daily": spent(Some("daily")),
                "usage_weekly": spent(Some("weekly")), "usage_monthly": spent(Some("monthly")), "created_at": stamp(key.created),
                "updated_at": stamp(key.updated),
            });
            // These are there only where they hold something.
            for (name, value) in [
                ("allowed_providers", json!(key.providers)),
                ("allowed_models", json!(key.models)),
                ("expires_at", json!(key.expires.map(stamp))),
            ] {
                if !value.is_null() {
                    text[name] = value;
                }
            }
            text
        }
        Dialect::ARouterLegacy => json!({
            "id": key.id, "name": key.name, "created_at": stamp(key.created), "last_used_at": last, "spending_limit": key.limit,
            "allowed_providers": key.providers,
        }),
    };
    if world.has(Trap::LastUsed) {
        text["last_used_at"] = json!(last);
    }
    if world.has(Trap::EchoesSecret) {
        text["key"] = json!(key.secret);
    }
    text
}
