//! What answers mean, and what is asked.

use super::prober::{judge, judge_provider, unlike_any_other};
use crate::adapters::gateway::wire::Reply;
use crate::rotation::{CallClass, Probe, RequestId};
use serde_json::json;
use zeroize::Zeroizing;

fn reply(status: u16, kind: &str, code: &str) -> Reply {
    let body = json!({"error": {"type": kind, "code": code, "message": "x"}}).to_string();
    Reply { status, body: Zeroizing::new(body.into_bytes()), date: None, request: None }
}

#[test]
fn only_the_gateways_own_word_refuses_a_caller() {
    let probe = Probe { family: "chat".into(), model: "m".into(), stream: false };
    let class = |status, kind, code| judge(&probe, &reply(status, kind, code));
    assert_eq!([class(401, "invalid_api_key", "api_key_disabled"), class(401, "invalid_api_key", "")], [CallClass::Refused; 2]);
    // The provider refuses the gateway, a wall in between refuses everybody, a limit refuses nobody.
    assert_eq!(class(401, "upstream_error", "invalid_api_key"), CallClass::UpstreamFault);
    assert_eq!(
        [class(401, "proxy", ""), class(400, "invalid_request_error", ""), class(404, "model_not_found", "")],
        [CallClass::Unknown; 3]
    );
    assert_eq!((class(403, "permission_denied", ""), class(429, "rate_limited", "")), (CallClass::Forbidden, CallClass::OverLimit));
    let class = |status, kind, code| judge_provider(&probe, &reply(status, kind, code));
    assert_eq!([class(401, "invalid_request_error", "invalid_api_key"), class(401, "authentication_error", "")], [CallClass::Refused; 2]);
    assert_eq!(class(401, "proxy", ""), CallClass::Unknown);
}

#[test]
fn no_request_is_like_another_one() {
    let mut chat = json!({"messages": [{"role": "user", "content": "ping"}]});
    let mut vector = json!({"input": "ping"});
    for body in [&mut chat, &mut vector] {
        unlike_any_other(body, &RequestId::new("kr-1"));
        assert!(body.to_string().contains("ping kr-1"), "{body}");
    }
}
