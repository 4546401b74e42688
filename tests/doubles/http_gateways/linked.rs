//! A gateway with a bearer token and `Link` pages. Its admin API may call a key inactive that one replica goes on serving, and a deleted
//! key may come back to life.

use super::server::{Request, Response, serve};
use super::world::{Key, Shared, World, hold};
use serde_json::{Value, json};

const PAGE: usize = 2;

pub(crate) fn wording(_: &str, _: &str) -> (u16, Value) {
    (401, json!({"error": {"type": "invalid_api_key"}}))
}

fn shown(key: &Key) -> Value {
    json!({"id": key.id, "name": key.name, "description": key.note, "status": if key.on { "active" } else { "inactive" },
        "created_at": chrono::DateTime::from_timestamp(key.created, 0).unwrap().to_rfc3339()})
}

pub(crate) fn admin(world: &Shared, password: &'static str) -> String {
    let world = world.clone();
    serve(move |request| {
        if request.header("authorization") != format!("Bearer {password}") {
            return Response::json(401, json!({"error": "who are you"}));
        }
        respond(&mut hold(&world), request)
    })
}

fn respond(world: &mut World, request: &Request) -> Response {
    let (method, path) = request.route();
    match (method, path.as_slice()) {
        ("GET", ["keys"]) => {
            let from: usize = request.query.get("from").and_then(|n| n.parse().ok()).unwrap_or(0);
            let rows: Vec<Value> = world.live().skip(from).take(PAGE).map(shown).collect();
            let answer = Response::json(200, Value::Array(rows));
            let there = if world.has("elsewhere") { "http://127.0.0.2:1" } else { "" };
            let more = from + PAGE < world.live().count();
            if more { answer.with("link", format!("<{there}/keys?from={}>; rel=\"next\"", from + PAGE)) } else { answer }
        }
        ("POST", ["keys"]) => {
            let Some(body) = request.json() else { return Response::json(415, json!({"error": "JSON is wanted"})) };
            let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
            let key = world.make(&text("name"), &text("description"), None).clone();
            let mut answer = shown(&key);
            answer["secret"] = json!(key.secret);
            world.did("mint", Response::json(201, answer))
        }
        ("PATCH", ["keys", id]) => {
            let Some(body) = request.json() else { return Response::json(415, json!({"error": "JSON is wanted"})) };
            let ignored = world.has("switch_ignored");
            let Some(key) = world.find(|k| k.id == *id) else { return Response::json(404, json!({"error": "no key"})) };
            if let Some(note) = body["description"].as_str() {
                key.note = note.to_owned();
            }
            let what = match body["status"].as_str() {
                Some("active") => "enable",
                Some("inactive") => "disable",
                _ => "mark",
            };
            if what != "mark" && !ignored {
                key.on = what == "enable";
            }
            let answer = Response::json(200, shown(key));
            world.did(what, answer)
        }
        ("DELETE", ["keys", id]) => {
            match world.find(|k| k.id == *id) {
                Some(key) => key.deleted = true,
                None => return Response::json(404, json!({"error": "no key"})),
            }
            world.did("delete", Response::json(200, json!({"deleted": true})))
        }
        _ => Response::json(404, json!({"error": "no such route"})),
    }
}
