//! Provider keys, models and the fake provider.

use super::*;

#[tokio::test]
async fn a_provider_key_can_be_rotated_whole() {
    let sandbox = Box::new();
    let (_, secret) = sandbox.old().await;
    let issuer = format!("{}/upstream/v1/keys", sandbox.urls.data[0]);
    let admin = sandbox.admin_key.clone();
    let name = json!({"name": "upstream-next"});
    let (status, issued) = sandbox.send(Method::POST, issuer.clone(), &admin, Some(name)).await.unwrap();
    assert_eq!(status, 201);
    let value = issued["secret"].as_str().unwrap();
    let body = json!({"name": "next", "provider": "sandbox-upstream", "value": value, "marker": "run-1"});
    let (status, new) = sandbox.admin(Method::POST, "provider-keys", Some(body)).await;
    assert_eq!(status, 201);
    assert!(!new.to_string().contains(value));
    let new = new["id"].as_str().unwrap();
    let keys = sandbox.get("provider-keys").await;
    let old = keys["data"][0]["id"].as_str().unwrap();
    assert_eq!(keys["data"][0]["models"], json!(["demo-embed", "demo-small"]));

    let path = format!("provider-keys/{old}");
    let (status, body) = sandbox.admin(Method::DELETE, &path, None).await;
    assert_eq!((status, &body["error"]["code"]), (409, &json!("in_use")));
    let wrong = json!({"provider_key_id": new, "only_if": new});
    assert_eq!(sandbox.admin(Method::PATCH, "models/demo-small", Some(wrong)).await.0, 409);
    for model in ["demo-small", "demo-embed"] {
        let body = json!({"provider_key_id": new, "only_if": old});
        let (status, _) = sandbox.admin(Method::PATCH, &format!("models/{model}"), Some(body)).await;
        assert_eq!(status, 200);
    }
    let early = sandbox.get("models/demo-small/projection").await;
    assert_eq!(early["provider_key_id"], new);
    assert_eq!(early["replicas"][2]["provider_key_id"], old, "the last replica lags");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let late = sandbox.get("models/demo-small/projection").await;
    assert_eq!(late["replicas"][2]["provider_key_id"], new);
    assert_eq!(sandbox.chat(2, &secret).await.0, 200);
    let row = sandbox.rows().pop().unwrap();
    assert_eq!(row.provider_key_id.as_deref(), Some(new));

    assert_eq!(sandbox.admin(Method::DELETE, &path, None).await.0, 200);
    let (_, all) = sandbox.send(Method::GET, issuer.clone(), &admin, None).await.unwrap();
    assert_eq!((&all["data"][0]["calls"], &all["data"][1]["calls"]), (&json!(0), &json!(1)));
    let id = issued["id"].as_str().unwrap();
    let off = json!({"enabled": false});
    sandbox.send(Method::PATCH, format!("{issuer}/{id}"), &admin, Some(off)).await.unwrap();
    let (status, body) = sandbox.chat(2, &secret).await;
    assert_eq!((status, &body["error"]["code"]), (502, &json!("upstream_auth_failed")));
}

#[tokio::test]
async fn a_notebook_that_goes_past_the_gateway_is_seen_by_the_provider_only() {
    let sandbox = Box::new();
    let issuer = format!("{}/upstream/v1/keys", sandbox.urls.data[0]);
    let body = json!({"name": "n"});
    let (_, issued) = sandbox.send(Method::POST, issuer.clone(), &sandbox.admin_key, Some(body)).await.unwrap();
    let url = format!("{}/upstream/v1/chat/completions", sandbox.urls.data[0]);
    let secret = issued["secret"].as_str().unwrap();
    let (status, _) = sandbox.send(Method::POST, url.clone(), secret, Some(chat("demo-small"))).await.unwrap();
    assert_eq!(status, 200);
    let (status, _) = sandbox.send(Method::POST, url, "ups-wrong", Some(chat("demo-small"))).await.unwrap();
    assert_eq!(status, 401);
    let one = format!("{issuer}/{}", issued["id"].as_str().unwrap());
    let (_, row) = sandbox.send(Method::GET, one, &sandbox.admin_key, None).await.unwrap();
    assert_eq!((&row["calls"], &row["direct_calls"]), (&json!(1), &json!(1)));
    assert!(sandbox.rows().is_empty());
    let (status, _) = sandbox.send(Method::GET, issuer, secret, None).await.unwrap();
    assert_eq!(status, 401, "an upstream key is no admin key");
}

#[tokio::test]
async fn models_come_and_go_and_a_forced_delete_leaves_them_dangling() {
    let sandbox = Box::new();
    let (_, secret) = sandbox.mint(json!({"name": "all"})).await;
    let keys = sandbox.get("provider-keys").await;
    let old = keys["data"][0]["id"].as_str().unwrap();
    let late = json!({"name": "org/late", "provider": "sandbox-upstream", "provider_key_id": old});
    assert_eq!(sandbox.admin(Method::POST, "models", Some(late.clone())).await.0, 201);
    assert_eq!(sandbox.admin(Method::POST, "models", Some(late)).await.0, 409);
    assert_eq!(sandbox.get("models/org%2Flate").await["provider_key_id"], old);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(sandbox.ask(2, &secret, "responses", chat("org/late")).await.0, 200);
    sandbox.admin(Method::DELETE, &format!("provider-keys/{old}?force=true"), None).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (status, body) = sandbox.ask(2, &secret, "responses", chat("org/late")).await;
    assert_eq!((status, &body["error"]["code"]), (502, &json!("provider_key_missing")));
    assert_eq!(sandbox.admin(Method::DELETE, "models/org%2Flate", None).await.0, 200);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(sandbox.ask(2, &secret, "responses", chat("org/late")).await.0, 404);
}
