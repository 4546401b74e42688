//! AISIX on a real etcd: the stand-in for the gateway keeps its own contract, and the driver rotates on it.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, unreachable_pub, reason = "a test may")]

#[path = "doubles/aisix/mod.rs"]
mod aisix;
#[path = "servers/etcd.rs"]
mod etcd;
mod servers;

use aisix::admin::ADMIN;
use aisix::etcd::Etcd;
use aisix::{Version, World, http};
use etcd::EtcdServer;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Waits, for a few seconds.
#[track_caller]
fn soon(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(10), "{what}: not within ten seconds");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn store(server: &EtcdServer, prefix: &str) -> Etcd {
    Etcd { url: server.url.clone(), prefix: format!("/{prefix}") }
}

/// The stand-in itself: each of these is a trap that a driver falls into unless the stand-in has it.
#[test]
fn the_stand_in_behaves_as_described() {
    let server = EtcdServer::start();
    let store = store(&server, "aisix");
    let dir = tempfile::tempdir().unwrap();
    let world = World::start(&store, Version::Writable, 2, dir.path());
    world.furnish("up-1");
    world.caller("c1", "sk-one", &json!({"display_name": "app-a", "team_id": "t1", "labels": {"x": 1}}));
    let at = |replica: usize, value: &str| world.chat(replica, value, "chat-prod", "t").0;
    soon("both serve", || at(0, "sk-one") == 200 && at(1, "sk-one") == 200);
    // An unknown field is served and named; the state stays.
    let status = world.status(0);
    assert_eq!((status["state"].as_str(), status["partially_compatible"][0]["resource_id"].as_str()), (Some("synced"), Some("c1")));

    // A stale replica goes on, and its own status says how far it is.
    world.replicas[1].frozen.store(true, Ordering::SeqCst);
    let revision =
        store.put("api_keys", "c1", &json!({"key_hash": keyroll::secret::sha256_hex(b"sk-one"), "allowed_models": [], "disabled": true}));
    soon("one refuses", || at(0, "sk-one") == 401);
    assert_eq!(world.chat(0, "sk-one", "chat-prod", "t").1["error"]["code"], "api_key_disabled");
    assert_eq!(at(1, "sk-one"), 200);
    let applied = |replica: usize| world.status(replica)["applied"]["applied_revision"].as_i64().unwrap();
    assert!(applied(0) >= revision && applied(1) < revision);
    world.replicas[1].frozen.store(false, Ordering::SeqCst);
    soon("both refuse", || at(1, "sk-one") == 401);

    // An invalid document does not revoke: the last good one goes on, and the status names it.
    world.caller("c2", "sk-two", &json!({}));
    soon("it serves", || at(0, "sk-two") == 200);
    store.put("api_keys", "c2", &json!({"key_hash": keyroll::secret::sha256_hex(b"sk-two"), "allowed_models": ["*"], "disabled": "yes"}));
    soon("it is named", || world.status(0)["rejected"][0]["resource_id"] == "c2");
    assert!(world.status(0)["rejected"][0]["serving_stale_since"].is_string() && world.status(0)["state"] == "degraded");
    assert_eq!(at(0, "sk-two"), 200);
    store.delete("api_keys", "c2");
    soon("only its deletion ends it", || at(0, "sk-two") == 401);

    // Two rows with one hash: the key of a deleted row comes back with a restart.
    world.caller("c3", "sk-three", &json!({}));
    world.caller("c4", "sk-three", &json!({}));
    soon("it serves", || at(0, "sk-three") == 200);
    store.delete("api_keys", "c4");
    soon("it is refused", || at(0, "sk-three") == 401);
    world.replicas[0].restart(&store);
    assert_eq!(at(0, "sk-three"), 200);

    // A dangling model is the caller's own mistake, as the words go, and the state says nothing of it.
    store.delete("provider_keys", "pk-1");
    soon("it dangles", || at(0, "sk-three") == 400);
    assert_eq!(world.chat(0, "sk-three", "chat-prod", "t").1["error"]["type"], "invalid_request_error");
    assert_eq!(world.status(0)["state"], "synced");

    admin_of_the_stand_in(&world);
    let newest = World::start(&store, Version::Newest, 0, dir.path());
    assert_eq!(admin(&newest, "PUT", "api_keys/c3", &json!({})).0, 405);
    assert!(admin(&newest, "GET", "../openapi.json", &Value::Null).1["paths"]["/admin/v1/provider_keys"]["post"].is_null());
}

fn admin(world: &World, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let url = match path.strip_prefix("../") {
        Some(path) => format!("{}/admin/{path}", world.admin_url),
        None => format!("{}/admin/v1/{path}", world.admin_url),
    };
    let bearer = format!("Bearer {ADMIN}");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (status, _, text) = http::call(method, &url, &[("authorization", &bearer)], &body).unwrap();
    (status, serde_json::from_str(&text).unwrap_or_default())
}

fn admin_of_the_stand_in(world: &World) {
    let made = admin(world, "POST", "provider_keys", &json!({"display_name": "n", "api_key": "s", "provider": "openai"}));
    assert_eq!((made.0, &made.1["value"]["api_key"], &made.1["revision"]), (200, &json!("s"), &json!(1)));
    let id = made.1["id"].as_str().unwrap();
    assert_eq!(admin(world, "POST", "provider_keys", &json!({"display_name": "n", "api_key": "t"})).0, 409);
    assert_eq!(admin(world, "PUT", "provider_keys/none", &json!({"display_name": "m", "api_key": "t"})).0, 404);
    assert_eq!(admin(world, "POST", "api_keys", &json!({"key_hash": "h", "allowed_models": [], "display_name": "x"})).0, 400);
    assert_eq!(admin(world, "PATCH", &format!("provider_keys/{id}"), &json!({})).0, 405);
    assert_eq!(admin(world, "DELETE", &format!("provider_keys/{id}"), &Value::Null), (200, json!({"deleted": true, "id": id})));
    assert_eq!(admin(world, "DELETE", &format!("provider_keys/{id}"), &Value::Null).0, 404);
    // A caller key's owner is hidden from readers, and whoever writes back what was read takes it away.
    world.caller("c9", "sk-nine", &json!({"team_id": "t1"}));
    let read = admin(world, "GET", "api_keys/c9", &Value::Null).1["value"].clone();
    assert!(read["team_id"].is_null());
    assert_eq!(admin(world, "PUT", "api_keys/c9", &read).0, 200);
    assert!(world.store.get("api_keys", "c9").unwrap()["team_id"].is_null());
}
