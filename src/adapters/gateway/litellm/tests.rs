//! What LiteLLM's answers mean, in the shapes that were measured on version 1.106.2.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

use super::rows::{self, Row};
use super::{CACHE, LiteLlmGateway, LiteLlmProber, mint, prober};
use crate::adapters::gateway::Access;
use crate::adapters::gateway::wire::Reply;
use crate::ports::{Gateway, MintRequest, Minted, PortError, Prober, Result};
use crate::rotation::{CallClass, Endpoint, KeyFacts, KeyId, Marker, Probe, RequestId, Span};
use crate::secret::{SecretText, sha256_hex};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;
use zeroize::Zeroizing;

const VALUE: &str = "sk-kr-0123456789abcdefghijklmnop";

/// A server that answers the n-th request with the n-th answer.
fn server(answers: Vec<(u16, Value)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for (status, body) in answers {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
            let _ = stream.read(&mut [0; 16_384]);
            let body = body.to_string();
            let head = format!(
                "HTTP/1.1 {status} X\r\ndate: Sat, 21 Nov 2026 14:57:07 GMT\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    base
}

fn gateway(answers: Vec<(u16, Value)>) -> LiteLlmGateway {
    let access = Access { base: server(answers), admin: SecretText::new("sk-admin-0123456789"), call_timeout: Span(2000), ca_pem: None };
    LiteLlmGateway::new(access, Vec::new(), CACHE).unwrap()
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn facts(row: Value) -> KeyFacts {
    let Value::Object(fields) = row else { unreachable!("a row is an object") };
    rows::facts(KeyId::new("id"), &Row(fields))
}

fn row(n: u32) -> Value {
    json!({"token": sha256_hex(format!("k{n}").as_bytes()), "key_alias": format!("key {n}"), "models": []})
}

fn page(rows: &[Value], total: u64, page: u64, pages: u64) -> (u16, Value) {
    (200, json!({"keys": rows, "total_count": total, "current_page": page, "total_pages": pages}))
}

fn error(status: u16, kind: &str, message: &str) -> (u16, Value) {
    (status, json!({"error": {"message": message, "type": kind, "param": "None", "code": status.to_string()}}))
}

fn class(answer: (u16, Value)) -> CallClass {
    let probe = Probe { family: "chat".into(), model: "m".into(), stream: false };
    prober::judge(&probe, &Reply { status: answer.0, body: Zeroizing::new(answer.1.to_string().into_bytes()), date: None, request: None })
}

#[test]
fn only_the_gateways_own_words_about_the_key_are_a_refusal() {
    assert_eq!(class(error(401, "token_not_found_in_db", "…")), CallClass::Refused);
    assert_eq!(class(error(401, "expired_key", "Authentication Error - Expired Key.")), CallClass::Refused);
    assert_eq!(class(error(401, "auth_error", "Authentication Error, Key is blocked. Update via …")), CallClass::Refused);
    // The same type is used when the value is no key, and when the gateway is in trouble.
    assert_eq!(class(error(401, "auth_error", "LiteLLM Virtual Key expected.")), CallClass::Unknown);
    assert_eq!(class(error(401, "auth_error", "Authentication Error, No connected db.")), CallClass::Unknown);
    assert_eq!(class((401, json!("denied by a proxy"))), CallClass::Unknown);
    assert_eq!(class(error(403, "key_model_access_denied", "…")), CallClass::Forbidden);
    assert_eq!(class(error(422, "budget_exceeded", "Budget has been exceeded!")), CallClass::OverLimit);
    assert_eq!(class(error(422, "invalid_request", "…")), CallClass::Unknown);
    assert_eq!(class(error(429, "throttling_error", "…")), CallClass::OverLimit);
    assert_eq!(class(error(503, "no_db_connection", "…")), CallClass::Down);
    assert_eq!(class((200, json!({"choices": [{"message": {"content": "x"}}]}))), CallClass::Accepted);
    assert_eq!(class((200, json!({"data": []}))), CallClass::Unknown);
}

#[test]
fn every_restriction_is_in_the_scope_also_one_that_is_not_known() {
    let old = facts(json!({"token": "t", "key_alias": "a", "spend": 3.5, "models": ["m"], "rpm_limit": 5, "blocked": null,
        "ip_allow_list_of_next_year": ["10.0.0.0/8"], "metadata": {"keyroll": "keyroll:x:1", "guardrails": ["g"]},
        "object_permission": {"object_permission_id": "1", "vector_stores": ["v"], "agents": []}, "aliases": {}, "tpm_limit": null}));
    assert_eq!(
        old.scope.keys().collect::<Vec<_>>(),
        ["ip_allow_list_of_next_year", "metadata", "models", "object_permission", "rpm_limit"]
    );
    assert_eq!(old.scope["metadata"], json!({"guardrails": ["g"]}));
    assert_eq!(old.scope["object_permission"], json!({"vector_stores": ["v"]}));
    assert_eq!((old.marker.as_str(), old.enabled), ("keyroll:x:1", true));
    assert!(!facts(json!({"blocked": true})).enabled);
    // Two permissions of the same content are the same permission.
    let other = facts(json!({"object_permission": {"object_permission_id": "2", "vector_stores": ["v"]}}));
    assert_eq!(other.scope["object_permission"], old.scope["object_permission"]);
    assert_eq!(facts(json!({"metadata": {"keyroll": "keyroll:live"}})).scope.len(), 0);
    let named = facts(json!({"key_alias": "app key 2026-11-21 r-abcdefgh-1", "team_id": "t1", "user_id": "u1"}));
    assert_eq!((named.name.as_str(), named.owner.as_str()), ("app key 2026-11-21", "t1"));
    assert_eq!(facts(json!({"key_alias": "my r-type key"})).name, "my r-type key");
}

fn request(like: &KeyFacts) -> std::result::Result<Value, String> {
    let marker = Marker::new("keyroll:abcdefghijklmnop:2");
    mint::body(&MintRequest { like, marker: &marker, name: "app", value: None }, &SecretText::new(VALUE))
}

#[test]
fn the_new_key_is_asked_for_with_all_that_restricts_the_old_one_and_its_length_of_life() {
    let old = facts(json!({"models": ["m"], "max_budget": 5.0, "org_id": "o", "user_id": "u", "team_id": "t", "metadata": {"a": 1},
        "created_at": "2026-11-01T00:00:00Z", "expires": "2026-12-01T00:00:00Z", "allowed_routes": ["/chat/completions"], "spend": 2}));
    let body = request(&old).unwrap();
    assert_eq!(body["key_alias"], "app r-abcdefgh-2");
    assert_eq!(body["duration"], "2592000s");
    assert_eq!(body["metadata"], json!({"a": 1, "keyroll": "keyroll:abcdefghijklmnop:2"}));
    assert_eq!((&body["organization_id"], &body["user_id"], &body["team_id"]), (&json!("o"), &json!("u"), &json!("t")));
    assert_eq!(
        (&body["models"], &body["max_budget"], &body["allowed_routes"]),
        (&json!(["m"]), &json!(5.0), &json!(["/chat/completions"]))
    );
    assert!(body.get("spend").is_none() && body.get("expires").is_none());
    assert!(request(&facts(json!({"expires": "2026-12-01T00:00:00Z"}))).is_err(), "an end without a beginning");
}

fn minted(answer: (u16, Value)) -> Result<Minted> {
    let (like, marker, value) = (facts(json!({})), Marker::new("keyroll:r:1"), SecretText::new(VALUE));
    wait(gateway(vec![answer]).mint(MintRequest { like: &like, marker: &marker, name: "n", value: Some(&value) }))
}

#[test]
fn a_mint_is_believed_only_when_it_made_the_value_it_was_given() {
    let id = sha256_hex(VALUE.as_bytes());
    assert_eq!(minted((200, json!({"key": VALUE, "token": id}))).ok().unwrap().id.as_str(), id);
    let other = sha256_hex(b"other");
    for answer in [json!({"key": VALUE, "token": other}), json!({"key": "sk-another-0123456789abc", "token": id}), json!({"key": VALUE})] {
        assert!(minted((200, answer)).err().unwrap().may_have_happened());
    }
}

#[test]
fn an_alias_that_exists_may_be_our_own_first_try() {
    let exists = error(400, "bad_request_error", "Key with alias 'n' already exists.");
    assert!(minted(exists).err().unwrap().may_have_happened());
    assert!(minted(error(500, "internal_server_error", "…")).err().unwrap().may_have_happened());
    let said = minted(error(403, "forbidden", VALUE)).err().unwrap();
    assert!(!said.may_have_happened() && !said.to_string().contains(VALUE), "{said}");
}

#[test]
fn all_pages_are_read_and_a_listing_that_does_not_add_up_is_none() {
    let good = wait(gateway(vec![page(&[row(1), row(2)], 3, 1, 2), page(&[row(3)], 3, 2, 2)]).list()).unwrap();
    assert_eq!(good.len(), 3);
    // One row is missing, and the second try is complete.
    let again = wait(gateway(vec![page(&[row(1)], 2, 1, 1), page(&[row(1), row(2)], 2, 1, 1)]).list()).unwrap();
    assert_eq!(again.len(), 2);
    let short = page(&[row(1), row(1)], 2, 1, 1);
    assert!(matches!(wait(gateway(vec![short.clone(), short.clone(), short]).list()), Err(PortError::Unreadable { .. })));
    // A gateway that ignores the page number would otherwise be read for ever.
    let circle = wait(gateway(vec![page(&[row(1)], 2, 1, 2), page(&[row(1)], 2, 1, 2)]).list());
    assert!(matches!(circle, Err(PortError::Unreadable { .. })));
    let plain = wait(gateway(vec![page(&[json!({"token": "sk-not-a-hash"})], 1, 1, 1)]).list());
    assert!(matches!(plain, Err(PortError::Unreadable { .. })));
}

#[test]
fn a_change_is_done_when_the_answer_shows_it() {
    let id = KeyId::new("k");
    let enabled = |answer: (u16, Value), on| wait(gateway(vec![answer]).set_enabled(&id, on));
    assert!(enabled((200, json!({"blocked": true})), false).is_ok() && enabled((200, json!({"blocked": false})), true).is_ok());
    assert!(enabled((200, json!({"blocked": null})), false).unwrap_err().may_have_happened());
    assert!(enabled((200, json!({"blocked": true})), true).unwrap_err().may_have_happened());
    let delete = |answer| wait(gateway(vec![answer]).delete(&id));
    assert!(delete((200, json!({"deleted_keys": ["k"]}))).is_ok());
    assert!(delete((200, json!({"deleted_keys": []}))).unwrap_err().may_have_happened());
    assert!(matches!(delete(error(404, "internal_server_error", "No keys found")), Err(PortError::Conflict { .. })));
    let info = |status: &str| (200, json!({"info": {"status": status, "metadata": {"a": 1}}}));
    let marker = Marker::live();
    let mark = |answers| wait(gateway(answers).mark(&id, &marker));
    assert!(mark(vec![info("active"), (200, json!({"metadata": {"a": 1, "keyroll": "keyroll:live"}}))]).is_ok());
    assert!(mark(vec![info("active"), (200, json!({"metadata": {"a": 1}}))]).unwrap_err().may_have_happened());
    assert!(matches!(mark(vec![info("deleted")]), Err(PortError::Conflict { .. })));
}

#[test]
fn whose_key_a_value_is_comes_from_its_hash_and_the_gateways_word() {
    let identify = |answer| {
        let prober = LiteLlmProber::new(vec![Endpoint::new(server(vec![answer]))], Span(2000), None);
        wait(prober.identify(&SecretText::new(VALUE), &RequestId::new("kr-1")))
    };
    let id = sha256_hex(VALUE.as_bytes());
    assert_eq!(identify((200, json!({"key": id, "info": {}}))).unwrap(), Some(KeyId::new(id.clone())));
    assert!(identify((200, json!({"key": sha256_hex(b"x")}))).is_err());
    assert_eq!(identify(error(403, "auth_error", "…")).unwrap(), Some(KeyId::new(id)));
    assert_eq!(identify(error(401, "token_not_found_in_db", "…")).unwrap(), None);
    assert!(identify(error(401, "auth_error", "No connected db.")).is_err());
}

#[test]
fn the_clock_is_the_middle_of_the_second_it_tells() {
    assert_eq!(wait(gateway(vec![(200, json!("I'm alive!"))]).now()).unwrap().rfc3339(), "2026-11-21T14:57:07.500Z");
    assert_eq!(wait(gateway(Vec::new()).capabilities()).unwrap().settles_in, Span::seconds(61));
}
