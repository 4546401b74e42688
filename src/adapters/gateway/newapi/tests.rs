//! Names with markers, values that are shown in part, and what an answer says about a credential.
#![expect(clippy::unwrap_used, reason = "a test may")]

use super::prober::judge;
use super::rows::{NAME_BYTES, Token, named, with_marker};
use crate::adapters::gateway::wire::Reply;
use crate::rotation::{CallClass, KeyId, Marker, Probe, RunId, Time};
use serde_json::{Value, json};
use zeroize::Zeroizing;

fn token(value: Value) -> Token {
    Token(serde_json::from_value(value).unwrap())
}

fn class(status: u16, body: &Value) -> CallClass {
    let probe = Probe { family: "chat".into(), model: "m".into(), stream: false };
    judge(&probe, &Reply { status, body: Zeroizing::new(body.to_string().into_bytes()), date: None, request: None })
}

#[test]
fn a_marker_fits_whole_into_a_name_whatever_the_name() {
    let marker = Marker::of(&RunId::new("0123456789abcdef"), 12);
    for name in ["app", "app 2026-11-21", "a name that is much too long for what a token may be called", "äöüäöüäöüäöüäöüäöüäöüäöüäöü"]
    {
        let whole = with_marker(name, &marker).unwrap();
        assert!(whole.len() <= NAME_BYTES, "{whole}");
        let (shown, found) = named(&whole);
        assert_eq!(found, marker.as_str(), "{whole}");
        assert!(name.starts_with(shown.trim_end()) && !shown.is_empty(), "{shown}");
    }
    assert_eq!(named("app kr.live"), ("app", "keyroll:live".to_owned()));
    for plain in ["app", "app kr.", "app kr.x", "app kr.x.y", "kr.live"] {
        assert_eq!(named(plain), (plain, String::new()), "{plain}");
    }
}

#[test]
fn lists_in_texts_are_compared_without_their_order_and_the_quota_left_is_no_limit() {
    let scope = |value: Value| token(value).facts(KeyId::new("1")).scope;
    let one =
        scope(json!({"id": 1, "model_limits": "b, a", "allow_ips": "10.0.0.0/8\n127.0.0.1", "remain_quota": 5, "unlimited_quota": false}));
    assert_eq!(one, scope(json!({"id": 1, "model_limits": "a,b", "allow_ips": "127.0.0.1\n10.0.0.0/8\n", "remain_quota": 3, "group": ""})));
    assert_ne!(one, scope(json!({"id": 1, "model_limits": "a,b"})));
}

#[test]
fn zero_is_an_end_in_1970_and_minus_one_is_none() {
    let end = |at: i64| token(json!({"id": 1, "expired_time": at})).facts(KeyId::new("1")).expires_at;
    assert_eq!((end(-1), end(0), end(5)), (None, Some(Time(0)), Some(Time(5000))));
}

#[test]
fn a_full_update_carries_everything_but_what_the_server_keeps() {
    let body =
        token(json!({"id": 1, "key": "abcd****", "status": 1, "name": "app", "expired_time": -1, "remain_quota": 5, "new_field": true,
        "used_quota": 9, "accessed_time": 1, "created_time": 1, "user_id": 7, "group": "vip"}))
        .update("app kr.live");
    assert_eq!(
        Value::Object(body),
        json!({"id": 1, "status": 1, "name": "app kr.live", "expired_time": -1, "remain_quota": 5, "new_field": true, "group": "vip"})
    );
}

#[test]
fn a_masked_value_fits_only_its_own() {
    let shown = |key: &str| token(json!({"id": 1, "key": key}));
    assert!(shown("abcd**********wxyz").looks_like("sk-abcd0000wxyz") && shown("abcd0000wxyz").looks_like("sk-abcd0000wxyz"));
    assert!(!shown("abcd**********wxyz").looks_like("sk-abce0000wxyz") && !shown("").looks_like("sk-") && !shown("**").looks_like("sk-x"));
}

#[test]
fn only_the_type_is_read_never_the_message() {
    let error = |kind: &str, code: &str| json!({"error": {"message": "无效的令牌", "type": kind, "code": code}});
    assert_eq!(class(401, &error("new_api_error", "")), CallClass::Refused);
    assert_eq!(class(401, &error("other", "")), CallClass::Unknown);
    assert_eq!(class(403, &error("new_api_error", "insufficient_user_quota")), CallClass::OverLimit);
    assert_eq!(class(403, &error("new_api_error", "")), CallClass::Forbidden);
    assert_eq!(class(500, &error("new_api_error", "")), CallClass::Down);
    assert_eq!(class(200, &json!({"success": false})), CallClass::Unknown);
}
