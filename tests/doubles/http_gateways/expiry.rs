//! A gateway with basic authentication and bare arrays. Keys are switched off only by an expiry in the past, an expired key is a status
//! 500, the list shows every value in clear and counts uses by value, each read of a key counts as a use, changes replace the whole key, and
//! the only text that can hold a marker is the name. The value of a new key is shown by a second call.

use super::server::{Request, Response, serve};
use super::world::{Key, Shared, World, hold};
use base64::Engine as _;
use serde_json::{Value, json};

const PAGE: usize = 3;

pub(crate) fn wording(why: &str, _: &str) -> (u16, Value) {
    match why {
        "expired" => (500, json!({"error": {"type": "expired_key", "message": "Internal error: key expired"}})),
        _ => (401, json!({"error": {"type": "invalid_api_key", "message": "no such key"}})),
    }
}

fn shown(key: &Key) -> Value {
    json!({"id": number(key), "name": key.name, "key": key.secret, "expired_time": key.expires.unwrap_or(-1), "created_time": key.created,
        "quota": key.limits["quota"], "group": key.owner, "usage": {key.secret.clone(): key.uses}})
}

fn number(key: &Key) -> u64 {
    key.id.trim_start_matches('k').parse().unwrap()
}

pub(crate) fn admin(world: &Shared, password: &'static str) -> String {
    let world = world.clone();
    let wanted = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("ops:{password}")));
    serve(move |request| {
        if request.header("authorization") != wanted {
            return Response::text(401, "Unauthorized");
        }
        respond(&mut hold(&world), request)
    })
}

fn respond(world: &mut World, request: &Request) -> Response {
    let (method, path) = request.route();
    let Some((number_of, rest)) = (match path.as_slice() {
        ["token"] => Some((None, &[][..])),
        ["token", id, rest @ ..] => id.parse::<u64>().ok().map(|id| (Some(id), rest)),
        _ => None,
    }) else {
        return Response::text(404, "not found");
    };
    match (method, number_of, rest) {
        ("GET", None, []) => {
            for key in &mut world.keys {
                key.uses += 1;
            }
            let from: usize = request.query.get("offset").and_then(|n| n.parse().ok()).unwrap_or(0);
            let rows: Vec<Value> = world.live().skip(from).take(PAGE).map(shown).collect();
            Response::json(200, Value::Array(rows))
        }
        ("POST", None, []) => {
            let Some(body) = request.json() else { return Response::text(415, "JSON is wanted") };
            let strict = body.as_object().is_some_and(|b| b.keys().all(|k| ["name", "quota", "group"].contains(&k.as_str())));
            let (Some(name), true) = (body["name"].as_str(), strict) else { return Response::text(400, "bad request") };
            let key = world.make(name, "", None);
            key.limits = json!({"quota": body["quota"]});
            key.owner = body["group"].as_str().unwrap_or_default().to_owned();
            // Neither id nor value.
            world.did("mint", Response::text(201, "created"))
        }
        ("POST", Some(id), ["key"]) => match world.find(|k| number(k) == id) {
            Some(key) => {
                let answer = Response::json(200, json!({"data": {"key": key.secret.trim_start_matches("gw-")}}));
                world.did("reveal", answer)
            }
            None => Response::text(404, "not found"),
        },
        ("PUT", Some(id), []) => {
            let Some(body) = request.json() else { return Response::text(415, "JSON is wanted") };
            let Some(key) = world.find(|k| number(k) == id) else { return Response::text(404, "not found") };
            // Everything is replaced; what is missing would be lost.
            let (Some(name), Some(end), Some(group), true) =
                (body["name"].as_str(), body["expired_time"].as_i64(), body["group"].as_str(), body["id"].as_u64() == Some(id))
            else {
                return Response::text(400, "bad request");
            };
            let off = end > 0 && end <= super::world::now();
            let what = match (key.name == name, off) {
                (false, _) => "mark",
                (true, true) => "disable",
                (true, false) => "enable",
            };
            (key.name, key.owner, key.expires) = (name.into(), group.into(), Some(end).filter(|end| *end > 0));
            key.limits = json!({"quota": body["quota"]});
            let answer = shown(key);
            world.did(what, Response::json(200, answer))
        }
        ("DELETE", Some(id), []) => {
            match world.find(|k| number(k) == id) {
                Some(key) => key.deleted = true,
                None => return Response::text(404, "not found"),
            }
            world.did("delete", Response::text(200, "ok"))
        }
        _ => Response::text(405, "no such method"),
    }
}
