//! A gateway that takes the value of a key from its caller, has no switch, pages by number with a total, wants its admin key in a header of
//! its own and API keys in another, makes a key in three steps (create, set limits, join each group), and tells a holder who it is.

use super::server::{Request, Response, serve};
use super::world::{Key, Shared, World, hold};
use serde_json::{Value, json};

const PAGE: usize = 2;

pub(crate) fn wording(_: &str, presented: &str) -> (u16, Value) {
    // The refused key is repeated, as some gateways do.
    (403, json!({"detail": format!("API key {presented} is not valid"), "reason": "bad_key"}))
}

fn shown(key: &Key) -> Value {
    let tags: Vec<&str> = [key.note.as_str(), "prod"].into_iter().filter(|tag| !tag.is_empty()).collect();
    json!({"uid": key.id, "title": key.name, "tags": tags, "limits": key.limits, "groups": key.groups})
}

pub(crate) fn admin(world: &Shared, password: &'static str) -> String {
    let world = world.clone();
    serve(move |request| {
        if request.header("x-admin-key") != format!("Key {password}") || request.header("x-api-version") != "2" {
            return Response::json(401, json!({"detail": "admin key or version header is wrong"}));
        }
        respond(&mut hold(&world), request)
    })
}

fn respond(world: &mut World, request: &Request) -> Response {
    let (method, path) = request.route();
    match (method, path.as_slice()) {
        ("GET", ["v2", "keys", ""]) => {
            let page: usize = request.query.get("page").and_then(|p| p.parse().ok()).unwrap_or(1);
            let from = if world.has("paging_ignored") { 0 } else { (page - 1) * PAGE };
            let rows: Vec<Value> = world.live().skip(from).take(PAGE).map(shown).collect();
            Response::json(200, json!({"keys": rows, "page": page, "total": world.live().count()}))
        }
        ("POST", ["v2", "keys", ""]) => {
            let Some(body) = request.json() else { return Response::json(415, json!({"detail": "JSON is wanted"})) };
            let strict = body.as_object().is_some_and(|b| b.keys().all(|k| ["title", "tags", "value"].contains(&k.as_str())));
            let (Some(title), Some(tag), Some(value), true) =
                (body["title"].as_str(), body["tags"][0].as_str(), body["value"].as_str(), strict)
            else {
                return Response::json(422, json!({"detail": [{"loc": ["body"], "msg": "field required"}]}));
            };
            // A value that is there already is answered with success, and nothing is made.
            let there = world.find(|k| k.secret == value).map(|k| k.id.clone());
            let id = there.unwrap_or_else(|| world.make(title, tag, Some(value.to_owned())).id.clone());
            world.did("mint", Response::json(201, json!({"uid": id})))
        }
        ("PATCH", ["v2", "keys", id]) => {
            let Some(body) = request.json() else { return Response::json(415, json!({"detail": "JSON is wanted"})) };
            let Some(key) = world.find(|k| k.id == *id) else { return Response::json(404, json!({"detail": "no key"})) };
            let marks = body["tags"].is_array();
            if let Some(tag) = body["tags"][0].as_str() {
                key.note = tag.to_owned();
            }
            if body["limits"].is_object() {
                key.limits = body["limits"].clone();
            }
            let answer = Response::json(200, shown(key));
            world.did(if marks { "mark" } else { "limits" }, answer)
        }
        ("POST", ["v2", "groups", group, "members"]) => {
            let Some(body) = request.json() else { return Response::json(415, json!({"detail": "JSON is wanted"})) };
            let Some(key) = world.find(|k| body["key"] == json!(k.id)) else { return Response::json(404, json!({"detail": "no key"})) };
            key.groups.push((*group).to_owned());
            world.did("bind", Response { status: 204, headers: Vec::new(), body: String::new() })
        }
        ("DELETE", ["v2", "keys", id]) => {
            match world.find(|k| k.id == *id) {
                Some(key) => key.deleted = true,
                // Not a 404: some gateways say it otherwise.
                None => return Response::json(400, json!({"detail": "unknown key"})),
            }
            world.did("delete", Response { status: 204, headers: Vec::new(), body: String::new() })
        }
        _ => Response::json(404, json!({"detail": "no such route"})),
    }
}
