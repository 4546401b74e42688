//! AISIX on a real etcd: the stand-in for the gateway keeps its own contract, and the driver rotates on it.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout, unreachable_pub, reason = "a test may")]

#[path = "doubles/aisix/mod.rs"]
mod aisix;
#[path = "real_aisix/between.rs"]
mod between;
#[path = "real_aisix/by_file.rs"]
mod by_file;
mod common;
#[path = "servers/etcd.rs"]
mod etcd;
#[path = "real_aisix/place.rs"]
mod place;
mod servers;
#[path = "real_aisix/traps.rs"]
mod traps;

use aisix::admin::ADMIN;
use aisix::etcd::Etcd;
use aisix::{Version, World, http};
use between::Between;
use etcd::EtcdServer;
use place::{OLD, Of, Place, UP, soon};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;

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

/// Everything that a caller key can be restricted by, and a field that no version knows.
fn restricted() -> Value {
    json!({"display_name": "app-a", "team_id": "t1", "user_id": "u1", "user_name": "n1", "allowed_models": ["chat-*"],
        "rate_limit": {"rpm": 60_000, "concurrency": 40}, "disabled": false, "future_limit": {"x": 1}})
}

#[test]
fn caller_key_on_etcd() {
    let server = EtcdServer::start();
    let more = restricted();
    let mut place = Place::new(&server, "caller", &Of::Caller(&more));
    let old = place.world.store.get("api_keys", "c1").unwrap();
    let plan = place.keyroll(&["plan", "policy.yaml"]);
    plan.ends(0);
    println!("{}", plan.out);
    let said = place.keyroll(&["run", "--wait", "policy.yaml"]);
    said.ends(0);
    let new = place.slot();
    assert_ne!(new, OLD);
    assert_eq!((place.tries(&new), place.tries(OLD)), (vec![200, 200], vec![401, 401]));
    let ids: Vec<String> = place.world.store.ids("api_keys").into_iter().filter(|id| id != "a-stays").collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    // Every restriction is as it was, also the one that nobody knows.
    let made = place.world.store.get("api_keys", &ids[0]).unwrap();
    for field in ["team_id", "user_id", "user_name", "allowed_models", "rate_limit", "future_limit"] {
        assert_eq!(made[field], old[field], "{field}");
    }
    assert!(made["display_name"].as_str().unwrap().starts_with("app-a 2"));
    assert_eq!(place.notes("api_keys"), [(ids[0].clone(), "keyroll:live".to_owned())]);
    place.nobody_was_refused();
    place.holds_none(&[OLD, &new, UP], &[&plan, &said]);
}

#[test]
fn provider_key_on_etcd() {
    let server = EtcdServer::start();
    let of = Of::Provider("up-new-provider-0123456789abcdef");
    let mut place = Place::new(&server, "provider", &of);
    place.world.model("m-2", "embed-prod", "pk-1");
    place.world.store.put("passthrough_routes", "r1", &json!({"path": "/raw", "provider_key_id": "pk-1"}));
    let plan = place.keyroll(&["plan", "policy.yaml"]);
    plan.ends(0);
    println!("{}", plan.out);
    let said = place.keyroll(&["run", "--wait", "--until", "hold", "policy.yaml"]);
    said.ends(11);
    // The provider ends the old secret itself.
    place.world.upstream.revoke(UP);
    let said = place.keyroll(&["resume", "--wait", &place.run_id()]);
    said.ends(0);
    let ids = place.world.store.ids("provider_keys");
    assert_eq!(ids.len(), 1, "{ids:?}");
    for (kind, id) in [("models", "m-1"), ("models", "m-2"), ("passthrough_routes", "r1")] {
        assert_eq!(place.world.store.get(kind, id).unwrap()["provider_key_id"], ids[0].as_str(), "{kind}/{id}");
    }
    assert_eq!(place.notes("provider_keys"), [(ids[0].clone(), "keyroll:live".to_owned())]);
    place.nobody_was_refused();
    place.holds_none(&[OLD, UP, "up-new-provider-0123456789abcdef"], &[&plan, &said]);
}

/// The answer to every change is lost once, after the change: nothing is made twice and nothing is left over.
#[test]
fn lost_answers_of_every_change() {
    let server = EtcdServer::start();
    let caller = |server: &EtcdServer| {
        let more = restricted();
        let of = Of::Caller(&more);
        let mut place = Place::new(server, "lost-caller", &of);
        let (url, lost) = Between::LosesEachOnce.before(&server.url);
        place.etcd = url;
        place.policy(&of, "");
        place.keyroll(&["run", "--wait", "policy.yaml"]).ends(0);
        assert_eq!(*lost.lock().unwrap(), 4, "mint, disable, delete and mark");
        let ids = place.world.store.ids("api_keys");
        assert_eq!(ids.len(), 2, "{ids:?}");
        assert_eq!(place.notes("api_keys"), [(ids[1].clone(), "keyroll:live".to_owned())]);
        assert_eq!((place.tries(&place.slot()), place.tries(OLD)), (vec![200, 200], vec![401, 401]));
        place.nobody_was_refused();
    };
    let provider = |server: &EtcdServer| {
        let of = Of::Provider("up-new-provider-0123456789abcdef");
        let mut place = Place::new(server, "lost-provider", &of);
        place.world.model("m-2", "chat-second", "pk-1");
        let (url, lost) = Between::LosesEachOnce.before(&server.url);
        place.etcd = url;
        place.policy(&of, "");
        place.keyroll(&["run", "--wait", "--until", "hold", "policy.yaml"]).ends(11);
        place.world.upstream.revoke(UP);
        place.keyroll(&["resume", "--wait", &place.run_id()]).ends(0);
        assert_eq!(*lost.lock().unwrap(), 5, "mint, two models, delete and mark");
        let ids = place.world.store.ids("provider_keys");
        assert_eq!((ids.len(), place.notes("provider_keys")), (1, vec![(ids[0].clone(), "keyroll:live".to_owned())]));
        place.nobody_was_refused();
    };
    std::thread::scope(|scope| {
        scope.spawn(|| caller(&server));
        scope.spawn(|| provider(&server));
    });
}

#[test]
fn back_from_hold() {
    let server = EtcdServer::start();
    let caller = |server: &EtcdServer| {
        let more = restricted();
        let mut place = Place::new(server, "back-caller", &Of::Caller(&more));
        let before = place.world.store.get("api_keys", "c1").unwrap();
        place.keyroll(&["run", "--wait", "--until", "hold", "policy.yaml"]).ends(11);
        let new = place.slot();
        assert_ne!(new, OLD);
        place.keyroll(&["rollback", "--wait", &place.run_id()]).ends(0);
        assert_eq!((place.slot().as_str(), place.world.store.ids("api_keys")), (OLD, vec!["a-stays".to_owned(), "c1".to_owned()]));
        assert_eq!((place.world.store.get("api_keys", "c1").unwrap(), place.notes("api_keys")), (before, Vec::new()));
        place.nobody_was_refused();
        assert_eq!((place.tries(OLD), place.tries(&new)), (vec![200, 200], vec![401, 401]));
    };
    let provider = |server: &EtcdServer| {
        let of = Of::Provider("up-new-provider-0123456789abcdef");
        let mut place = Place::new(server, "back-provider", &of);
        place.keyroll(&["run", "--wait", "--until", "hold", "policy.yaml"]).ends(11);
        assert_ne!(place.world.store.get("models", "m-1").unwrap()["provider_key_id"], "pk-1");
        place.keyroll(&["rollback", "--wait", &place.run_id()]).ends(0);
        assert_eq!(place.world.store.get("models", "m-1").unwrap()["provider_key_id"], "pk-1");
        assert_eq!((place.world.store.ids("provider_keys"), place.notes("provider_keys")), (vec!["pk-1".to_owned()], Vec::new()));
        place.nobody_was_refused();
    };
    std::thread::scope(|scope| {
        scope.spawn(|| caller(&server));
        scope.spawn(|| provider(&server));
    });
}

/// One process of two does not hear that the old key is switched off: it is not deleted before both refuse.
#[test]
fn one_stale_process_is_not_overlooked() {
    let server = EtcdServer::start();
    let more = restricted();
    let mut place = Place::new(&server, "stale", &Of::Caller(&more));
    place.keyroll(&["run", "--wait", "--until", "hold", "policy.yaml"]).ends(11);
    let stale = place.world.replicas[1].clone();
    let (gone, off) = (std::sync::atomic::AtomicBool::new(false), std::sync::atomic::AtomicBool::new(false));
    std::thread::scope(|scope| {
        // It stops listening at the very moment the key is switched off.
        scope.spawn(|| {
            while !gone.load(Ordering::SeqCst) {
                let disabled = place.world.store.get("api_keys", "c1").is_none_or(|row| row["disabled"] == true);
                let begun = place.records().iter().any(|r| r["began"]["effect"].get("disable").is_some());
                if begun || disabled {
                    stale.frozen.store(true, Ordering::SeqCst);
                    off.store(true, Ordering::SeqCst);
                    return;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        stale.slow.store(400, Ordering::SeqCst);
        let said = place.keyroll(&["resume", "--timeout", "9s", &place.run_id()]);
        gone.store(true, Ordering::SeqCst);
        assert!([Some(10), Some(11)].contains(&said.code), "{:?} {}", said.code, said.err);
    });
    assert!(off.load(Ordering::SeqCst));
    assert_eq!(place.world.store.get("api_keys", "c1").unwrap()["disabled"], true, "switched off, and there");
    let text = serde_json::to_string(&place.records()).unwrap();
    assert!(text.contains("has not taken the change") && text.contains("was accepted at"), "{text}");
    stale.slow.store(0, Ordering::SeqCst);
    stale.frozen.store(false, Ordering::SeqCst);
    place.keyroll(&["resume", "--wait", &place.run_id()]).ends(0);
    assert_eq!((place.tries(OLD), place.world.store.ids("api_keys").len()), (vec![401, 401], 2));
    place.nobody_was_refused();
}

/// Up to 0.8.2, through the admin listener; the answer to every change is lost once.
#[test]
fn provider_key_through_the_admin_api() {
    let server = EtcdServer::start();
    let of = Of::Provider("up-new-provider-0123456789abcdef");
    let mut place = Place::of(&server, "admin", &of, Version::Writable);
    place.world.model("m-2", "chat-second", "pk-1");
    for change in ["POST provider_keys", "PUT models", "PUT provider_keys", "DELETE provider_keys"] {
        place.world.admin.lose.lock().unwrap().insert(change.into());
    }
    place.keyroll(&["run", "--wait", "--until", "hold", "policy.yaml"]).ends(11);
    place.world.upstream.revoke(UP);
    let said = place.keyroll(&["resume", "--wait", &place.run_id()]);
    said.ends(0);
    let changes = ["POST provider_keys", "PUT models", "PUT models", "DELETE provider_keys", "PUT provider_keys"];
    assert_eq!(*place.world.admin.changes.lock().unwrap(), changes, "each change was made once");
    assert_eq!(place.world.admin.lost.lock().unwrap().len(), 4);
    let ids = place.world.store.ids("provider_keys");
    assert_eq!(ids.len(), 1, "{ids:?}");
    let row = place.world.store.get("provider_keys", &ids[0]).unwrap();
    let name = row["display_name"].as_str().unwrap();
    assert!(name.starts_with("openai-main 2") && name.ends_with(" [keyroll:live]"), "{name}");
    place.nobody_was_refused();
    place.holds_none(&[OLD, UP, ADMIN, "up-new-provider-0123456789abcdef"], &[&said]);
    // What it hides, a change of a caller key would take away: such a rotation is refused before it begins.
    let more = json!({});
    place.policy(&Of::Caller(&more), "");
    let said = place.keyroll(&["plan", "policy.yaml"]);
    said.ends(40);
    assert!(said.err.contains("hides display name, team and user"), "{}", said.err);
}

/// A store that forgets a restriction of the new row: it is broader, so the rotation ends where it began.
#[test]
fn a_broader_key_fails_prepare() {
    let server = EtcdServer::start();
    let more = restricted();
    let of = Of::Caller(&more);
    let mut place = Place::new(&server, "broad", &of);
    let before = place.world.store.get("api_keys", "c1").unwrap();
    let (url, times) = Between::Forgets("rate_limit").before(&server.url);
    place.etcd = url;
    place.policy(&of, "");
    let said = place.keyroll(&["run", "--wait", "policy.yaml"]);
    said.ends(21);
    assert!(*times.lock().unwrap() > 0 && said.err.contains("rate_limit"), "{}", said.err);
    assert_eq!((place.slot().as_str(), place.world.store.ids("api_keys")), (OLD, vec!["a-stays".to_owned(), "c1".to_owned()]));
    assert_eq!(place.world.store.get("api_keys", "c1").unwrap(), before);
    place.nobody_was_refused();
}

/// Up to 0.8.2 callers cannot set the id of a request, and no log need be at hand: the counters tell, and calls of ours are taken out of them.
#[test]
fn caller_key_by_counters() {
    let server = EtcdServer::start();
    let mut place = Place::of(&server, "counted", &Of::Counted, Version::Writable);
    for change in ["POST api_keys", "PUT api_keys", "DELETE api_keys"] {
        place.world.admin.lose.lock().unwrap().insert(change.into());
    }
    let plan = place.keyroll(&["plan", "policy.yaml"]);
    plan.ends(0);
    assert!(plan.out.contains("it shows how many requests each key served, between two looks and by caller"), "{}", plan.out);
    assert!(plan.out.contains("that only web calls with this key is the policy's word"), "{}", plan.out);
    place.keyroll(&["run", "--wait", "--until", "hold", "policy.yaml"]).ends(11);
    // What is known of the counters outlives the process that read them.
    let said = place.keyroll(&["resume", "--wait", &place.run_id()]);
    said.ends(0);
    assert_eq!(*place.world.admin.changes.lock().unwrap(), ["POST api_keys", "PUT api_keys", "DELETE api_keys", "PUT api_keys"]);
    let new = place.slot();
    assert_eq!((place.tries(&new), place.tries(OLD)), (vec![200, 200], vec![401, 401]));
    let ids: Vec<String> = place.world.store.ids("api_keys").into_iter().filter(|id| id != "a-stays").collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    place.nobody_was_refused();
    place.holds_none(&[OLD, &new, UP, ADMIN], &[&plan, &said]);
}
