//! What the double of OpenRouter's family must do and refuse; a part of `tests/gateway_doubles.rs`.

use super::openrouter::Dialect::{ARouter, ARouterLegacy, OpenRouter};
use super::openrouter::{self, Dialect, Fail, Key, Trap};
use super::{MINUTE, ask, chat, send};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// A double of each dialect, its address of keys, and a key.
fn gateway(dialect: Dialect) -> (openrouter::Double, String, Key) {
    let double = openrouter::Double::start(dialect, 2);
    let (keys, key) = (double.admin(), double.mint("app"));
    (double, keys, key)
}

const SMALL: &str = "openai/small";

#[test]
fn a_key_lives_and_dies_in_each_dialect() {
    for dialect in [OpenRouter, ARouter, ARouterLegacy] {
        let (double, keys, _) = gateway(dialect);
        let made = ask("POST", &keys, &double.management, Some(&json!({"name": "new"})));
        assert_eq!(made.status, 201, "{}", made.text);
        let secret = made.body["key"].as_str().unwrap();
        let text = if dialect == ARouterLegacy { &made.body } else { &made.body["data"] };
        let id = text[if dialect == ARouterLegacy { "id" } else { "hash" }].as_str().unwrap();
        for base in double.data() {
            assert_eq!(chat(&base, secret, SMALL).status, 200);
        }
        if dialect != ARouterLegacy {
            let off = ask("PATCH", &format!("{keys}/{id}"), &double.management, Some(&json!({"disabled": true})));
            assert_eq!((off.status, &off.body["data"]["disabled"]), (200, &json!(true)));
            assert_eq!(chat(&double.data()[1], secret, SMALL).status, 401);
        }
        let gone = ask("DELETE", &format!("{keys}/{id}"), &double.management, None);
        let wanted = if dialect == OpenRouter { json!({"deleted": true}) } else { json!({"data": {"deleted": true}}) };
        assert_eq!((gone.status, gone.body), (200, wanted));
        assert_eq!(ask("DELETE", &format!("{keys}/{id}"), &double.management, None).status, 404);
        assert_eq!(chat(&double.data()[0], secret, SMALL).status, 401);
        assert_eq!(double.live().len(), 1);
    }
}

#[test]
fn openrouter_wants_every_field_parameter_method_and_credential_right() {
    for (dialect, wrong) in [
        (OpenRouter, json!({"name": "x", "allowed_models": ["openai/small"]})),
        (OpenRouter, json!({"name": "x", "limit": "5"})),
        (OpenRouter, json!({"name": "x", "limit_reset": "yearly"})),
        (OpenRouter, json!({"name": "x", "expires_at": "2001-01-01T00:00:00Z"})),
        (OpenRouter, json!({"limit": 5})),
        (ARouter, json!({"name": "x", "include_byok_in_limit": true})),
        (ARouter, json!({"name": "x", "allowed_models": "openai/small"})),
        (ARouter, json!({"name": "x", "spending_limit": 5})),
        (ARouterLegacy, json!({"name": "x", "limit": 5})),
    ] {
        let (double, keys, _) = gateway(dialect);
        let said = ask("POST", &keys, &double.management, Some(&wrong));
        assert_eq!((said.status, double.live().len()), (400, 1), "{wrong}: {}", said.text);
        let error = &said.body["error"];
        assert!(if dialect == OpenRouter { error["code"] == 400 } else { error["type"] == "invalid_request_error" }, "{}", said.text);
        double.trap(Trap::DropsUnknown, true);
        let unknown = said.text.contains("unrecognized");
        assert_eq!(ask("POST", &keys, &double.management, Some(&wrong)).status, if unknown { 201 } else { 400 });
    }
    let (double, keys, key) = gateway(OpenRouter);
    for (method, url, token, status) in [
        ("GET", format!("{keys}?page=2"), double.management.as_str(), 400),
        ("GET", format!("{keys}?page_size=2"), &double.management, 400),
        ("GET", format!("{keys}?offset=-1"), &double.management, 400),
        ("GET", format!("{keys}?include_disabled=1"), &double.management, 400),
        ("PUT", format!("{keys}/{}", key.id), &double.management, 405),
        ("GET", keys.clone(), &key.secret, 403),
        ("GET", keys.clone(), "sk-or-v1-nobody", 401),
        ("GET", format!("{}/v1/keys", double.url(0)), &double.management, 404),
    ] {
        assert_eq!(ask(method, &url, token, None).status, status, "{method} {url}");
    }
    let late = json!({"expires_at": "2099-01-01T00:00:00Z"});
    assert_eq!(ask("PATCH", &format!("{keys}/{}", key.id), &double.management, Some(&late)).status, 400);
    assert_eq!(send("GET", &keys, &[], None).unwrap().status, 401);
    let untyped =
        send("POST", &keys, &[("authorization", &format!("Bearer {}", double.management)), ("content-length", "0")], None).unwrap();
    assert_eq!(untyped.status, 400);
    assert_eq!(chat(&double.data()[0], &double.management, SMALL).status, 403);
    // A list of models is no proof of a key.
    assert_eq!(ask("GET", &format!("{}/models", double.data()[0]), "nobody", None).status, 200);
    assert_eq!(double.calls("list"), 7);
}

#[test]
fn openrouter_pages_hide_loop_and_lag() {
    let (double, keys, key) = gateway(OpenRouter);
    for number in 0..4 {
        double.mint(&format!("other-{number}"));
    }
    double.page(2);
    double.edit(&key.id, |k| k.disabled = true);
    let count = |query: &str| ask("GET", &format!("{keys}?{query}"), &double.management, None).body["data"].as_array().unwrap().len();
    assert_eq!([count("offset=0"), count("offset=2"), count("offset=4")], [2, 2, 0]);
    assert_eq!([count("offset=4&include_disabled=true"), count("offset=6&include_disabled=true")], [1, 0]);
    double.trap(Trap::HidesDisabled, true);
    assert_eq!(count("offset=4&include_disabled=true"), 0);
    assert_eq!(ask("GET", &format!("{keys}/{}", key.id), &double.management, None).body["data"]["disabled"], true);
    double.trap(Trap::LoopingCursor, true);
    assert_eq!(count("offset=400"), 2);
    double.trap(Trap::LoopingCursor, false);
    double.page(100);
    double.list_lag(MINUTE);
    ask("POST", &keys, &double.management, Some(&json!({"name": "app"})));
    assert_eq!((count("include_disabled=true"), double.live().len()), (4, 6));
    double.later(MINUTE);
    assert_eq!(count("include_disabled=true"), 5);
}

#[test]
fn openrouter_counters_lag_and_a_generation_is_found_later() {
    let (double, keys, key) = gateway(OpenRouter);
    double.usage_lag(MINUTE);
    let said = chat(&double.data()[1], &key.secret, SMALL);
    chat(&double.data()[1], &key.secret, "acme/tiny:free");
    let id = said.body["id"].as_str().unwrap();
    let base = &double.data()[0];
    let usage = || ask("GET", &format!("{keys}/{}", key.id), &double.management, None).body["data"]["usage"].as_f64().unwrap();
    let generation = || ask("GET", &format!("{base}/generation?id={id}"), &key.secret, None);
    assert_eq!((usage(), generation().status), (0.0, 404));
    double.later(MINUTE);
    assert_eq!((usage(), generation().body["data"]["model"].as_str()), (0.01, Some(SMALL)));
    let activity = |query: &str| ask("GET", &format!("{base}/activity?{query}"), &double.management, None);
    assert_eq!(activity(&format!("api_key_hash={}", key.id)).body["data"], json!([]));
    double.later(25 * 60 * MINUTE);
    assert_eq!(activity(&format!("api_key_hash={}", key.id)).body["data"].as_array().unwrap().len(), 2);
    assert_eq!(activity("date=2001-01-01").status, 400);
    double.edit(&key.id, |k| k.limit = Some(0.01));
    assert_eq!(chat(base, &key.secret, SMALL).status, 403);
}

#[test]
fn arouter_reports_hours_and_has_its_own_errors() {
    let (double, keys, key) = gateway(ARouter);
    let said = chat(&double.data()[0], &key.secret, SMALL);
    let base = double.url(1);
    let hours = |query: &str| {
        let from = "start_time=2001-01-01T00:00:00Z&end_time=2099-01-01T00:00:00Z";
        ask("GET", &format!("{base}/api/usage/timeseries?{from}{query}"), &double.management, None)
    };
    assert_eq!(hours(&format!("&key_id={}&granularity=hourly", key.id)).body["data_points"][0]["requests"], 1);
    assert_eq!(hours("&granularity=minute").status, 400);
    assert_eq!(ask("GET", &format!("{base}/api/usage/summary"), &double.management, None).status, 400);
    let one = ask("GET", &format!("{base}/api/v1/generation?id={}", said.body["id"].as_str().unwrap()), &key.secret, None);
    assert_eq!(one.body["provider"], "openai");
    assert!(one.head.contains("x-ratelimit-remaining"));
    let scoped = json!({"name": "s", "allowed_providers": ["anthropic"], "limit": 1, "limit_reset": "monthly"});
    let made = ask("POST", &keys, &double.management, Some(&scoped)).body;
    let refused = chat(&double.data()[0], made["key"].as_str().unwrap(), SMALL);
    assert_eq!((refused.status, &refused.body["error"]["type"]), (403, &json!("forbidden_error")));
    for trap in [Trap::DropsScope, Trap::DropsLimit, Trap::FlatErrors, Trap::NoGetByHash, Trap::NoUsageApi, Trap::DeleteWithoutBody] {
        double.trap(trap, true);
    }
    let made = ask("POST", &keys, &double.management, Some(&scoped)).body;
    assert_eq!((&made["data"]["limit"], &made["data"]["allowed_providers"]), (&Value::Null, &Value::Null));
    let hash = made["data"]["hash"].as_str().unwrap();
    assert_eq!(ask("GET", &format!("{keys}/{hash}"), &double.management, None).status, 405);
    assert_eq!((hours("").status, hours("").body["code"].as_str()), (404, Some("not_found_error")));
    let gone = ask("DELETE", &format!("{keys}/{hash}"), &double.management, None);
    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
    let by_query = send("GET", &format!("{base}/api/v1/key?key={}", key.secret), &[], None).unwrap();
    assert_eq!(by_query.body["data"]["is_management_key"], false);
}

#[test]
fn openrouter_guardrails_do_not_come_with_a_new_key() {
    let (double, keys, key) = gateway(OpenRouter);
    let id = double.guardrail("only anthropic", &["anthropic/small"]);
    let base = double.data()[0].clone();
    let assign = |hash: &str| {
        ask("POST", &format!("{base}/guardrails/{id}/assignments/keys"), &double.management, Some(&json!({"key_hashes": [hash]})))
    };
    double.trap(Trap::AssignsNothing, true);
    assert_eq!((assign(&key.id).body["assigned_count"].as_u64(), chat(&base, &key.secret, SMALL).status), (Some(1), 200));
    double.trap(Trap::AssignsNothing, false);
    assert_eq!((assign(&key.id).status, chat(&base, &key.secret, SMALL).status), (200, 403));
    let made = ask("POST", &keys, &double.management, Some(&json!({"name": "new"}))).body;
    assert_eq!(chat(&base, made["key"].as_str().unwrap(), SMALL).status, 200);
    let rows = ask("GET", &format!("{base}/guardrails/assignments/keys?limit=50"), &double.management, None).body;
    assert_eq!((&rows["total_count"], &rows["data"][0]["key_hash"]), (&json!(1), &json!(key.id)));
    assert_eq!(assign("nobody").status, 404);
}

#[test]
fn openrouter_replicas_fall_behind_and_remember_refusals() {
    let (double, keys, key) = gateway(OpenRouter);
    let data = double.data();
    let set = |off: bool| ask("PATCH", &format!("{keys}/{}", key.id), &double.management, Some(&json!({"disabled": off}))).status;
    let both = || [chat(&data[0], &key.secret, SMALL).status, chat(&data[1], &key.secret, SMALL).status];
    double.behind(1, MINUTE);
    assert_eq!((set(true), both()), (200, [401, 200]));
    double.later(MINUTE);
    double.cache_refusals(10 * MINUTE);
    assert_eq!(both(), [401, 401]);
    double.behind(1, Duration::ZERO);
    assert_eq!((set(false), both()), (200, [401, 401]));
    double.later(10 * MINUTE);
    assert_eq!(both(), [200, 200]);
    double.cache_refusals(Duration::ZERO);
    double.trap(Trap::ServesDisabled, true);
    assert_eq!((set(true), both()), (200, [200, 200]));
    double.trap(Trap::ServesDisabled, false);
    let read = || ask("GET", &format!("{keys}/{}", key.id), &double.management, None).body["data"]["disabled"].as_bool();
    double.read_lag(MINUTE);
    double.later(MINUTE);
    assert_eq!((read(), set(false), read()), (Some(true), 200, Some(true)));
    double.read_lag(Duration::ZERO);
    double.trap(Trap::UpdateStays, true);
    assert_eq!((read(), set(true), read()), (Some(false), 200, Some(false)));
    double.trap(Trap::UpdateStays, false);
    assert_eq!((set(true), read()), (200, Some(true)));
    double.trap(Trap::DisabledLooksLikeQuota, true);
    double.trap(Trap::EchoesSecret, true);
    let said = chat(&data[0], &key.secret, SMALL);
    assert!(said.status == 403 && said.text.contains(&key.secret));
    assert_eq!(double.served().len(), 11);
}

#[test]
fn openrouter_streams_and_breaks_streams() {
    let (double, _, key) = gateway(OpenRouter);
    let body = json!({"model": SMALL, "stream": true, "messages": [{"role": "user", "content": "ping"}]});
    let stream = || ask("POST", &format!("{}/chat/completions", double.data()[0]), &key.secret, Some(&body));
    let whole = stream();
    assert!(whole.head.contains("text/event-stream") && whole.text.contains("[DONE]") && whole.text.contains("total_tokens"));
    double.trap(Trap::CutStream, true);
    assert!(!stream().text.contains("[DONE]"));
    double.trap(Trap::FailingStream, true);
    assert!(stream().text.contains("Provider returned error"));
    double.upstream(Some(502));
    assert_eq!(stream().status, 502);
}

#[test]
fn a_lost_answer_comes_after_the_work_and_a_failure_before_or_after() {
    let (double, keys, _) = gateway(OpenRouter);
    let manager = format!("Bearer {}", double.management);
    let create = || send("POST", &keys, &[("authorization", &manager)], Some(&json!({"name": "twice"})));
    double.lose("create", 1);
    assert!(create().is_none());
    assert_eq!((double.live().len(), create().unwrap().status, double.live().len()), (2, 201, 3));
    double.fail("create", &[Fail::Before(429), Fail::After(500), Fail::Before(503)]);
    let limited = create().unwrap();
    assert!(limited.status == 429 && limited.head.contains("retry-after"));
    assert_eq!((create().unwrap().status, double.live().len()), (500, 4));
    assert_eq!((create().unwrap().status, double.live().len(), double.waiting()), (503, 4, vec![]));
    double.slow("create", SECOND / 5);
    let began = Instant::now();
    assert!(create().is_some() && began.elapsed() >= SECOND / 5);
    assert_eq!((double.calls("create"), double.log().len(), double.log()[0].2), (6, 6, 0));
}

#[test]
fn arouters_other_habits_are_switches() {
    let (double, keys, key) = gateway(ARouter);
    let one = || ask("GET", &format!("{keys}/{}", key.id), &double.management, None).body["data"].clone();
    let patch = |body: Value| ask("PATCH", &format!("{keys}/{}", key.id), &double.management, Some(&body));
    patch(json!({"limit": 9.5, "limit_reset": "daily", "allowed_models": [SMALL]}));
    assert_eq!((&one()["limit"], &one()["limit_reset"], &one()["last_used_at"]), (&json!(9.5), &json!("daily"), &Value::Null));
    double.trap(Trap::LastUsed, true);
    double.trap(Trap::CountersStand, true);
    chat(&double.data()[0], &key.secret, SMALL);
    assert!(one()["last_used_at"].is_string() && one()["usage"] == 0.0);
    double.trap(Trap::CountersStand, false);
    assert_eq!((one()["usage"].as_f64(), one()["limit_remaining"].as_f64()), (Some(0.01), Some(9.49)));
    double.trap(Trap::ReadsSpend, true);
    assert!(one()["usage"].as_f64().unwrap() > 0.0105);
    double.trap(Trap::EchoesSecret, true);
    assert_eq!(one()["key"], key.secret);
    double.trap(Trap::ClearsUnsaid, true);
    assert_eq!(patch(json!({"name": "renamed"})).body["data"]["limit"], Value::Null);
    let moved = |path: &str| ask("GET", &format!("{}{path}", double.url(0)), &key.secret, None).status;
    assert_eq!([moved("/api/v1/key"), moved("/v1/key")], [200, 404]);
    double.trap(Trap::KeyInfoAtV1, true);
    assert_eq!([moved("/api/v1/key"), moved("/v1/key")], [404, 200]);
    double.edit(&key.id, |k| k.limit = Some(0.0));
    assert_eq!(chat(&double.data()[0], &key.secret, SMALL).status, 402);
    double.over_limit(429, "quota_exceeded");
    let over = chat(&double.data()[0], &key.secret, SMALL);
    assert_eq!((over.status, over.body["error"]["type"].as_str()), (429, Some("quota_exceeded")));
    let listed = ask("GET", &keys, &double.management, None).body["data"].clone();
    assert_eq!(listed.as_array().unwrap().iter().filter(|k| k["key_type"] == "management").count(), 1);
}

#[test]
fn ends_ids_and_names_are_switches() {
    let (double, keys, _) = gateway(OpenRouter);
    let base = &double.data()[0];
    let create = |body: Value| ask("POST", &keys, &double.management, Some(&body));
    let ending = json!({"name": "ends", "expires_at": "2099-01-01T00:00:00Z"});
    let made = create(ending.clone()).body;
    let secret = made["key"].as_str().unwrap();
    assert_eq!(made["data"]["hash"], openrouter::faults::sha256(secret));
    double.edit(made["data"]["hash"].as_str().unwrap(), |k| k.expires = Some(1));
    assert_eq!(chat(base, secret, SMALL).status, 401);
    double.trap(Trap::ExpiredIs500, true);
    assert_eq!(chat(base, secret, SMALL).status, 500);
    assert_eq!(create(ending.clone()).status, 201, "a name may come twice");
    for trap in [Trap::UniqueNames, Trap::OpaqueIds, Trap::DropsExpiry] {
        double.trap(trap, true);
    }
    assert_eq!(create(ending).status, 400);
    let made = create(json!({"name": "other", "expires_at": "2099-01-01T00:00:00Z"})).body;
    let (hash, secret) = (made["data"]["hash"].as_str().unwrap(), made["key"].as_str().unwrap());
    assert!(hash != openrouter::faults::sha256(secret) && made["data"]["expires_at"].is_null());
    ask("DELETE", &format!("{keys}/{hash}"), &double.management, None);
    assert_eq!([chat(base, secret, SMALL).status, chat(base, secret, "no/such").status], [401, 401]);
    double.trap(Trap::BodyFirst, true);
    assert_eq!(chat(base, secret, "no/such").status, 400);
    double.trap(Trap::Revives, true);
    assert_eq!(chat(base, secret, SMALL).status, 200);
}

#[test]
fn the_legacy_guide_manages_with_any_key_or_with_none_of_them() {
    let (double, keys, key) = gateway(ARouterLegacy);
    let list = || ask("GET", &keys, &key.secret, None);
    assert_eq!((list().status, list().body["data"][0]["id"].as_str()), (200, Some(key.id.as_str())));
    assert!(key.id.starts_with("key_") && list().body["data"][0].get("disabled").is_none());
    assert_eq!(ask("PATCH", &format!("{keys}/{}", key.id), &key.secret, Some(&json!({"name": "x"}))).status, 405);
    assert_eq!(ask("GET", &format!("{keys}?include_disabled=true"), &key.secret, None).status, 400);
    assert_eq!(ask("GET", &format!("{}/api/v1/keys", double.url(0)), &key.secret, None).status, 404);
    double.trap(Trap::OrdinaryKeysManageNothing, true);
    assert_eq!((list().status, ask("GET", &keys, &double.management, None).status), (403, 200));
}

#[test]
fn the_guide_read_to_the_letter_gets_nowhere_with_the_documented_api() {
    let (double, keys, key) = gateway(ARouter);
    let form = json!({"name": "production-v2", "allowed_providers": ["openai"], "spending_limit": 500.0});
    let guide = format!("{}/v1/keys", double.url(0));
    assert_eq!(ask("POST", &guide, &double.management, Some(&form)).status, 404);
    assert_eq!(ask("POST", &keys, &key.secret, Some(&form)).status, 403);
    assert_eq!(ask("POST", &keys, &double.management, Some(&form)).status, 400);
    // Its proof that a key works says yes to anybody.
    assert_eq!(ask("GET", &format!("{}/models", double.data()[0]), "lr_live_nobody", None).status, 200);
    assert_eq!(ask("DELETE", &format!("{guide}/{}", key.id), &double.management, None).status, 404);
    assert_eq!((double.live().len(), double.served().len()), (1, 0));
}
