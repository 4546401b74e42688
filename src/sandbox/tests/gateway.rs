//! The gateway as it should be: admin API, replicas, data plane, log.

use super::*;

#[tokio::test]
async fn only_the_admin_key_opens_the_admin_api() {
    let sandbox = Box::new();
    let url = format!("{}/admin/identity", sandbox.urls.admin);
    let (status, body) = sandbox.send(Method::GET, url.clone(), "wrong", None).await.unwrap();
    assert_eq!((status, &body["error"]["type"]), (401, &json!("unauthorized")));
    let answer = sandbox.http.get(url).bearer_auth(&sandbox.admin_key).send().await.unwrap();
    assert!(answer.headers().contains_key("date"));
    assert!(answer.headers().contains_key("x-request-id"));
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["principal"], "sandbox-admin");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(sandbox.dir.path().join("admin.key")).unwrap());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_key_lives_from_mint_to_delete() {
    let sandbox = Box::new();
    let (id, secret) = sandbox.mint(like_old("new")).await;
    let path = format!("keys/{id}");
    let row = sandbox.get(&path).await;
    assert_eq!(row["marker"], "run-new");
    assert_eq!(row["scope"]["budget_usd"], Value::Null);
    assert!(row.get("secret").is_none());
    assert!(!sandbox.get("keys").await.to_string().contains(&secret));
    sandbox.until(2, &secret, 200).await;

    let off = json!({"enabled": false});
    let (status, row) = sandbox.admin(Method::PATCH, &path, Some(off)).await;
    assert_eq!((status, &row["enabled"]), (200, &json!(false)));
    sandbox.until(2, &secret, 401).await;
    let (_, body) = sandbox.chat(2, &secret).await;
    assert_eq!(body["error"]["type"], "invalid_api_key");
    assert_eq!(body["error"]["code"], "key_disabled");
    assert!(!body.to_string().contains(&secret));
    let on = json!({"enabled": true, "marker": null, "name": "renamed"});
    let (_, row) = sandbox.admin(Method::PATCH, &path, Some(on)).await;
    assert_eq!((&row["marker"], &row["name"]), (&Value::Null, &json!("renamed")));
    sandbox.until(2, &secret, 200).await;

    assert_eq!(sandbox.admin(Method::DELETE, &path, None).await.0, 200);
    assert_eq!(sandbox.admin(Method::DELETE, &path, None).await.0, 404);
    assert_eq!(sandbox.admin(Method::GET, &path, None).await.0, 404);
    sandbox.until(2, &secret, 401).await;
    let (_, body) = sandbox.chat(2, &secret).await;
    assert_eq!(body["error"]["code"], "key_unknown");
    let last = sandbox.rows().into_iter().rfind(|row| row.replica == 2).unwrap();
    assert_eq!(last.key_id, Some(id), "a refused call belongs to the deleted key");
    assert_eq!((last.status, last.error_type.as_deref()), (401, Some("invalid_api_key")));
}

#[tokio::test]
async fn replicas_see_a_change_one_after_the_other_within_the_documented_time() {
    let sandbox = Box::with(|options| options.settles_in_ms = 600);
    let (_, secret) = sandbox.mint(like_old("new")).await;
    let seen = [0, 1, 2].map(|replica| sandbox.chat(replica, &secret));
    let mut first = Vec::new();
    for call in seen {
        first.push(call.await.0);
    }
    assert_eq!(first, [401, 401, 401]);
    sandbox.until(0, &secret, 200).await;
    assert_eq!(sandbox.chat(2, &secret).await.0, 401, "the last one lags");
    assert!(sandbox.until(2, &secret, 200).await <= Duration::from_millis(600));
}

#[tokio::test]
async fn the_list_is_paged_filtered_and_complete() {
    let sandbox = Box::new();
    for number in 0..60 {
        sandbox.mint(like_old(&format!("k{number}"))).await;
    }
    let (first, _) = sandbox.old().await;
    let off = json!({"enabled": false});
    sandbox.admin(Method::PATCH, &format!("keys/{first}"), Some(off)).await;
    let page = sandbox.get("keys").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let next = sandbox.get(&format!("keys?cursor={cursor}")).await;
    assert_eq!(next["next_cursor"], Value::Null);
    let rows = |page: &Value| page["data"].as_array().unwrap().clone();
    let mut ids: Vec<_> = rows(&page).iter().chain(&rows(&next)).map(|r| r["id"].to_string()).collect();
    assert_eq!(rows(&page)[0]["enabled"], false, "disabled keys are listed");
    assert_eq!(ids.len(), 62);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 62);
    let one = sandbox.get("keys?marker=run-k7").await;
    assert_eq!(rows(&one).len(), 1);
    assert_eq!(rows(&sandbox.get("keys?name=demo-app-key").await).len(), 1);
    assert_eq!(sandbox.admin(Method::GET, "keys?cursor=x", None).await.0, 400);
}

#[tokio::test]
async fn a_scope_is_enforced() {
    let sandbox = Box::new();
    let body = json!({"name": "small", "scope": {
        "models": ["demo-small"], "routes": ["chat-completions"], "rpm": 3, "tags": ["kept"]}});
    let (id, secret) = sandbox.mint(body).await;
    assert_eq!(sandbox.get(&format!("keys/{id}")).await["scope"]["tags"], json!(["kept"]));
    sandbox.until(2, &secret, 200).await;
    let (status, body) = sandbox.ask(2, &secret, "chat/completions", chat("demo-embed")).await;
    assert_eq!((status, &body["error"]["type"]), (403, &json!("forbidden")));
    let (status, _) = sandbox.ask(2, &secret, "responses", chat("demo-small")).await;
    assert_eq!(status, 403);
    let (status, body) = sandbox.chat(2, &secret).await;
    assert_eq!((status, &body["error"]["code"]), (429, &json!("rpm")));

    let (_, poor) = sandbox.mint(json!({"name": "poor", "scope": {"budget_usd": 0.000001}})).await;
    sandbox.until(2, &poor, 200).await;
    let (status, body) = sandbox.chat(2, &poor).await;
    assert_eq!((status, &body["error"]["code"]), (429, &json!("budget")));
    let (_, past) = sandbox.mint(json!({"name": "past", "expires_at": "2020-01-01T00:00:00Z"})).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(sandbox.chat(2, &past).await.1["error"]["code"], "key_expired");
}

#[tokio::test]
async fn every_family_answers_in_its_own_shape() {
    let sandbox = Box::new();
    let (id, secret) = sandbox.old().await;
    let (_, body) = sandbox.chat(0, &secret).await;
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    let mut asked = chat("demo-small");
    asked["tools"] = json!([{"type": "function", "function": {"name": "look_up"}}]);
    let (_, body) = sandbox.ask(0, &secret, "chat/completions", asked.clone()).await;
    let call = &body["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(call["function"]["name"], "look_up");
    asked["stream"] = json!(true);
    let (_, text) = sandbox.ask(0, &secret, "chat/completions", asked).await;
    let text = text.as_str().unwrap();
    assert!(text.contains("tool_calls") && text.ends_with("data: [DONE]\n\n"));
    let (_, body) = sandbox.ask(0, &secret, "responses", json!({"model": "demo-small"})).await;
    assert_eq!(body["status"], "completed");
    let (_, body) = sandbox.ask(0, &secret, "embeddings", json!({"model": "demo-embed"})).await;
    assert_eq!(body["data"][0]["embedding"].as_array().unwrap().len(), 8);
    let get = |path| format!("{}/v1/{path}", sandbox.urls.data[1]);
    let (_, body) = sandbox.send(Method::GET, get("models"), &secret, None).await.unwrap();
    assert_eq!(body["data"].as_array().unwrap().len(), 2);
    let (_, body) = sandbox.send(Method::GET, get("whoami"), &secret, None).await.unwrap();
    assert_eq!(body["key_id"], id);
}

#[tokio::test]
async fn a_row_says_who_asked_what_and_when() {
    let sandbox = Box::new();
    let (id, secret) = sandbox.old().await;
    let url = format!("{}/v1/chat/completions", sandbox.urls.data[1]);
    let answer = sandbox
        .http
        .post(url)
        .bearer_auth(&secret)
        .header("x-request-id", "probe-1")
        .header("x-client-app", "canary")
        .header("x-keyroll-purpose", "probe")
        .json(&chat("demo-small"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["x-request-id"], "probe-1");
    let row = sandbox.rows().pop().unwrap();
    assert_eq!((row.request_id.as_str(), row.replica), ("probe-1", 1));
    assert_eq!((row.key_id, row.key_name.as_deref()), (Some(id.clone()), Some("demo-app-key")));
    assert_eq!((row.consumer.as_deref(), row.purpose.as_str()), (Some("canary"), "probe"));
    assert_eq!((row.route.as_str(), row.status), ("chat-completions", 200));
    assert!(row.provider_key_id.is_some() && row.tokens > 0 && row.cost_usd > 0.0);
    assert!(row.ts.ends_with('Z') && row.ts.len() == 24);
    let before = sandbox.get(&format!("keys/{id}")).await["last_used_at"].clone();
    assert_eq!(before, row.ts, "admin reads do not count as use");
    sandbox.chat(0, "sbx-nobody-ever-had-this-one").await;
    let row = sandbox.rows().into_iter().find(|row| row.status == 401).unwrap();
    assert_eq!(row.key_id, None);
}

#[tokio::test]
async fn a_caller_may_choose_the_secret_only_where_that_is_offered() {
    let chosen = "chosen-0123456789-abcdef";
    let body = json!({"name": "mine", "secret": chosen});
    let plain = Box::new();
    let (status, answer) = plain.admin(Method::POST, "keys", Some(body.clone())).await;
    assert_eq!(status, 400);
    assert!(!answer.to_string().contains(chosen));
    let sandbox = Box::with(|options| options.caller_chosen = true);
    assert_eq!(sandbox.mint(body.clone()).await.1, chosen);
    let (status, answer) = sandbox.admin(Method::POST, "keys", Some(body)).await;
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("secret_exists")));
    let caps = sandbox.get("replicas").await;
    assert_eq!(caps["capabilities"]["mint"], "caller_chosen");
    assert_eq!(caps["replicas"][2]["url"], sandbox.urls.data[2]);
}

#[tokio::test]
async fn nonsense_gets_an_error_and_no_panic() {
    let sandbox = Box::new();
    let (_, secret) = sandbox.old().await;
    for body in [
        json!(null),
        json!([]),
        json!({"name": 7}),
        json!({"name": ""}),
        json!({"name": "x", "scope": {"rpm": "x"}}),
        json!({"name": "x", "typo": 1}),
        json!({"name": "x", "expires_at": "soon"}),
        json!({"name": "a\nb"}),
    ] {
        let (status, _) = sandbox.admin(Method::POST, "keys", Some(body.clone())).await;
        assert_eq!(status, 400, "{body}");
    }
    let keys = sandbox.get("keys").await;
    assert_eq!(keys["data"].as_array().unwrap().len(), 2, "none of them made a key");
    assert_eq!(sandbox.ask(0, &secret, "chat/completions", json!([1])).await.0, 400);
    let huge = json!({"model": "demo-small", "input": "x".repeat(2 << 20)});
    let url = format!("{}/v1/responses", sandbox.urls.data[0]);
    let refused = sandbox.send(Method::POST, url, &secret, Some(huge)).await;
    assert!(refused.is_err() || refused.unwrap().0 == 413);
    assert_eq!(sandbox.admin(Method::GET, "nowhere", None).await.0, 404);
    assert_eq!(sandbox.chat(0, &secret).await.0, 200);
}
