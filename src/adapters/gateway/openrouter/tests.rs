//! Names with markers, and what an answer says about a credential.
#![expect(clippy::unwrap_used, reason = "a test may")]

use super::Dialect;
use super::prober::judge;
use super::rows::{self, Generation, Row, with_marker};
use crate::adapters::gateway::wire::Reply;
use crate::rotation::{CallClass, KeyId, Probe};
use serde_json::{Value, json};
use zeroize::Zeroizing;

fn row(value: Value) -> Row {
    serde_json::from_value(value).unwrap()
}

fn class(dialect: Dialect, status: u16, body: &Value) -> CallClass {
    let probe = Probe { family: "chat".into(), model: "m".into(), stream: false };
    let reply = Reply { status, body: Zeroizing::new(body.to_string().into_bytes()), date: None, request: None };
    judge(dialect, &probe, &reply)
}

#[test]
fn a_marker_stands_behind_the_name_and_nothing_else_is_one() {
    let facts = |name: &str| row(json!({"hash": "h", "name": name})).facts(KeyId::new("h"), Vec::new());
    let made = facts(&with_marker("app 2026-11-21", "keyroll:r:1"));
    assert_eq!((made.name.as_str(), made.marker.as_str()), ("app 2026-11-21", "keyroll:r:1"));
    for plain in ["app", "keyroll:r:1", "app keyroll:", "app keyroll:r 1"] {
        assert_eq!((facts(plain).name.as_str(), facts(plain).marker.as_str()), (plain, ""), "{plain}");
    }
}

#[test]
fn every_unknown_field_restricts_and_the_order_of_a_list_does_not() {
    let scope = |value: Value| row(value).facts(KeyId::new("h"), vec!["g".into()]).scope;
    let one = scope(json!({"hash": "h", "usage": 3, "limit": null, "allowed_models": ["b", "a"], "region": "eu", "key": "sk-or-v1-x"}));
    assert_eq!(one, scope(json!({"hash": "h", "usage": 4, "allowed_models": ["a", "b"], "region": "eu"})));
    assert_eq!(one.keys().collect::<Vec<_>>(), ["allowed_models", "guardrails", "region"]);
}

#[test]
fn a_row_of_another_dialect_has_no_id() {
    assert_eq!(rows::id(Dialect::ARouter, &row(json!({"hash": "abc"}))), Some("abc"));
    assert_eq!(rows::id(Dialect::ARouter, &row(json!({"id": "abc"}))), None);
    assert_eq!(rows::id(Dialect::ARouterLegacy, &row(json!({"id": "abc", "hash": "abc"}))), None);
    assert_eq!(rows::id(Dialect::OpenRouter, &row(json!({"hash": "../x"}))), None);
}

#[test]
fn only_the_words_of_the_dialect_are_a_refusal() {
    let own = json!({"error": {"code": 401, "message": "User not found."}, "user_id": null});
    let other = json!({"error": {"message": "no", "type": "authentication_error"}});
    assert_eq!(class(Dialect::OpenRouter, 401, &own), CallClass::Refused);
    assert_eq!(class(Dialect::OpenRouter, 401, &other), CallClass::Unknown);
    assert_eq!(class(Dialect::ARouter, 401, &other), CallClass::Refused);
    assert_eq!(class(Dialect::ARouter, 401, &json!({"code": "authentication_error", "message": "no"})), CallClass::Refused);
    assert_eq!(class(Dialect::ARouter, 401, &own), CallClass::Unknown);
    for dialect in [Dialect::OpenRouter, Dialect::ARouter, Dialect::ARouterLegacy] {
        assert_eq!(class(dialect, 402, &own), CallClass::OverLimit);
        assert_eq!(class(dialect, 403, &json!({"error": {"type": "quota_exceeded"}})), CallClass::OverLimit);
        assert_eq!(class(dialect, 403, &own), CallClass::Forbidden);
        assert_eq!(class(dialect, 500, &own), CallClass::Down);
        assert_eq!(class(dialect, 401, &json!("<html>")), CallClass::Unknown);
    }
}

#[test]
fn the_record_of_a_call_is_read_with_and_without_its_wrapper() {
    let of = |value: Value| serde_json::from_value::<Generation>(value).unwrap().cost_of("gen-1");
    assert_eq!(of(json!({"data": {"id": "gen-1", "total_cost": 0.5, "usage": 0.5}})), Some(0.5));
    assert_eq!(of(json!({"id": "gen-1", "usage": {"cost": 0.25, "tokens": 3}})), Some(0.25));
    assert_eq!(of(json!({"id": "gen-2", "usage": {"cost": 0.25}})), None);
}

#[test]
fn a_label_shows_whose_value_it_is() {
    let label = |text: &str| row(json!({"label": text}));
    assert_eq!(label("sk-or-v1-abc...xyz").shows("sk-or-v1-abc123xyz"), Some(true));
    assert_eq!(label("sk-or-v1-abc...xyz").shows("sk-or-v1-abd123xyz"), Some(false));
    assert_eq!([label("...").shows("anything"), label("my key").shows("anything")], [None, None]);
}

#[test]
fn the_legacy_api_can_only_delete() {
    assert_eq!(Dialect::ARouterLegacy.disable(), crate::rotation::Disable::None);
    assert!(!Dialect::ARouterLegacy.updates());
}
