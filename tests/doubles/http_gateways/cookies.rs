//! A gateway whose admin API wants a login with a cookie, wraps everything in `{success, data}`, pages by cursor, names keys by the hash
//! of their value, says `success: false` with status 200, and switches by POST.

use super::server::{Request, Response, serve};
use super::world::{Key, Shared, World, hold};
use keyroll::secret::sha256_hex;
use serde_json::{Value, json};

const PAGE: usize = 2;

pub(crate) fn wording(why: &str, _: &str) -> (u16, Value) {
    match why {
        "disabled" => (401, json!({"error": {"code": "key_blocked"}})),
        _ => (401, json!({"error": {"code": "key_not_found"}})),
    }
}

fn good(data: Value) -> Response {
    Response::json(200, json!({"success": true, "message": "", "data": data}))
}

fn bad(message: &str) -> Response {
    Response::json(200, json!({"success": false, "message": message}))
}

fn hash(key: &Key) -> String {
    sha256_hex(key.secret.as_bytes())
}

fn shown(key: &Key) -> Value {
    let mut row = json!({"hash": hash(key), "label": key.name, "extra": {"note": key.note}, "owner": {"team": key.owner}, "blocked": if key.on { Value::Null } else { json!(true) },
        "created": key.created * 1000, "uses": key.uses});
    row.as_object_mut().unwrap().extend(key.limits.as_object().unwrap().clone());
    row
}

pub(crate) fn admin(world: &Shared, password: &'static str) -> String {
    let world = world.clone();
    serve(move |request| respond(&mut hold(&world), request, password))
}

fn respond(world: &mut World, request: &Request, password: &str) -> Response {
    let (method, path) = request.route();
    if (method, path.as_slice()) == ("POST", &["api", "login"]) {
        if request.json() != Some(json!({"username": "root", "password": password})) {
            return bad("wrong user or password");
        }
        world.logins += 1;
        let session = format!("s{}-{}", world.logins, sha256_hex(password.as_bytes()).get(..8).unwrap());
        // Runs out after a few calls: a client that logs in once is thrown out in the middle.
        world.sessions.push((session.clone(), 12));
        return good(json!({"id": 77}))
            .with("set-cookie", format!("sid={session}; Path=/; HttpOnly"))
            .with("set-cookie", "theme=dark; Path=/");
    }
    let cookies: Vec<&str> = request.header("cookie").split("; ").collect();
    let session = cookies.iter().find_map(|c| c.strip_prefix("sid="));
    let politely = world.has("denies_with_200");
    let known = world.sessions.iter_mut().find(|(s, left)| Some(s.as_str()) == session && *left > 0);
    match known {
        Some((_, left)) if request.header("x-user-id") == "77" => *left -= 1,
        _ if politely => return bad("not logged in"),
        _ => return Response::json(401, json!({"success": false, "message": "not logged in"})),
    }
    match (method, path.as_slice()) {
        ("GET", ["api", "me"]) => good(json!({"name": "root", "org": "org-9"})),
        ("GET", ["api", "keys"]) => list(world, request),
        ("POST", ["api", "keys"]) => mint(world, request),
        ("POST", ["api", "keys", "block"]) => {
            let Some(body) = request.json() else { return bad("no JSON") };
            let Some(key) = world.find(|k| body["hash"] == json!(hash(k))) else { return bad("no such key") };
            let Some(blocked) = body["blocked"].as_bool() else { return bad("blocked is missing") };
            key.on = !blocked;
            world.did(if blocked { "disable" } else { "enable" }, good(Value::Null))
        }
        ("POST", ["api", "keys", "edit"]) => {
            let Some(body) = request.json() else { return bad("no JSON") };
            let Some(key) = world.find(|k| body["hash"] == json!(hash(k))) else { return bad("no such key") };
            if let Some(note) = body["extra"]["note"].as_str() {
                key.note = note.to_owned();
            }
            world.did("mark", good(Value::Null))
        }
        ("POST", ["api", "keys", "remove"]) => {
            let Some(body) = request.json() else { return bad("no JSON") };
            let wanted: Vec<Value> = body["hashes"].as_array().cloned().unwrap_or_default();
            if world.has("delete_fails") {
                return bad("database is locked");
            }
            match world.find(|k| wanted.contains(&json!(hash(k)))) {
                Some(key) => key.deleted = true,
                None => return bad("no such key"),
            }
            world.did("delete", good(Value::Null))
        }
        _ => Response::json(404, json!({"success": false, "message": "no such route"})),
    }
}

fn list(world: &World, request: &Request) -> Response {
    if request.query.get("include_blocked").map(String::as_str) != Some("yes") {
        let rows: Vec<Value> = world.live().filter(|k| k.on).take(PAGE).map(shown).collect();
        return good(json!({"rows": rows, "next": null}));
    }
    let all: Vec<&Key> = world.live().collect();
    let from = request.query.get("after").and_then(|c| all.iter().position(|k| k.id == *c).map(|at| at + 1)).unwrap_or(0);
    // An unknown cursor is the first page again; with the fault every cursor is unknown.
    let from = if world.has("cursor_ignored") { 0 } else { from };
    let page: Vec<&&Key> = all.iter().skip(from).take(PAGE).collect();
    let more = from + PAGE < all.len();
    let next = page.last().filter(|_| more).map(|k| k.id.clone());
    let rows: Vec<Value> = page.iter().map(|k| shown(k)).collect();
    good(json!({"rows": rows, "next": next}))
}

fn mint(world: &mut World, request: &Request) -> Response {
    let Some(Value::Object(body)) = request.json() else { return bad("no JSON") };
    let known = ["label", "extra", "owner", "models", "rpm", "ips"];
    if body.keys().any(|name| !known.contains(&name.as_str())) {
        return bad("unknown field");
    }
    if world.has("mint_refuses") {
        return bad("quota of keys is used up");
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (label, note) = (text(&body["label"]), body.get("extra").map(|e| text(&e["note"])).unwrap_or_default());
    let drop = world.has("scope_dropped");
    let echo = world.has("mint_returns_old");
    let first = world.live().next().unwrap().clone();
    let key = if echo { first } else { world.make(&label, &note, None).clone() };
    let stored = world.keys.iter_mut().find(|k| k.id == key.id).unwrap();
    stored.owner = body.get("owner").map(|o| text(&o["team"])).unwrap_or_else(|| stored.owner.clone());
    for (name, value) in &body {
        if ["models", "rpm", "ips"].contains(&name.as_str()) && !(drop && name == "ips") {
            stored.limits[name] = value.clone();
        }
    }
    let answer = good(json!({"hash": hash(&key), "key": key.secret}));
    world.did("mint", answer)
}
