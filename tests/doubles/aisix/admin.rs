//! The admin listener: writes up to 0.8.2, reads only from 0.9.0 on. Both read from the store, never from what the data plane serves.

use super::documents::{check, unknown};
use super::etcd::Etcd;
use super::http::{Request, Response};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// The key of every admin listener.
pub(crate) const ADMIN: &str = "admin-of-the-stand-in-0123456789";

/// What a caller key's document shows nobody who reads it here.
const HIDDEN: &[&str] = &["display_name", "team_id", "user_id", "user_name"];

/// The admin listener of one gateway.
pub(crate) struct Admin {
    pub(crate) store: Etcd,
    /// Up to 0.8.2.
    pub(crate) writes: bool,
    /// A gateway whose resources are in a file: the description lists the writes all the same.
    pub(crate) by_file: bool,
    /// The next answer to these is lost, after the change: method and kind.
    pub(crate) lose: Mutex<BTreeSet<String>>,
    pub(crate) lost: Mutex<Vec<String>>,
    /// What changed anything, in order.
    pub(crate) changes: Mutex<Vec<String>>,
    drawn: AtomicU64,
}

impl Admin {
    pub(crate) fn new(store: Etcd, writes: bool, by_file: bool) -> Self {
        Self { store, writes, by_file, lose: Mutex::default(), lost: Mutex::default(), changes: Mutex::default(), drawn: AtomicU64::new(1) }
    }

    pub(crate) fn answer(&self, request: &Request) -> Response {
        let (method, path) = request.route();
        if path == ["admin", "openapi.json"] {
            return self.openapi();
        }
        if request.bearer() != ADMIN && request.header("x-api-key") != ADMIN {
            return said(401, "missing or malformed admin authorization");
        }
        let (kind, id) = match path.as_slice() {
            ["admin", "v1", kind] => (*kind, None),
            ["admin", "v1", kind, id] => (*kind, Some(*id)),
            _ => return Response::text(404, ""),
        };
        let kind = if kind == "apikeys" { "api_keys" } else { kind };
        if !super::documents::READ.contains(&kind) {
            return Response::text(404, "");
        }
        if method != "GET" && (!self.writes || method == "PATCH") {
            let allow = if self.writes { "GET,HEAD,PUT,DELETE" } else { "GET,HEAD" };
            return Response::text(405, "").with("allow", allow);
        }
        if method != "GET" && self.by_file {
            return said(409, "resources are managed by the file resources.yaml");
        }
        let response = match (method, id) {
            ("GET", None) => self.list(kind),
            ("GET", Some(id)) => self.one(kind, id),
            ("POST", None) => self.create(kind, request),
            ("PUT", Some(id)) => self.replace(kind, id, request),
            ("DELETE", Some(id)) => self.delete(kind, id),
            _ => Response::text(405, ""),
        };
        if method == "GET" {
            return response;
        }
        if response.status == 200 {
            self.changes.lock().unwrap().push(format!("{method} {kind}"));
        }
        let what = format!("{method} {kind}");
        if response.status == 200 && self.lose.lock().unwrap().remove(&what) {
            self.lost.lock().unwrap().push(what);
            return Response::lost();
        }
        response.with("deprecation", "@1783929480")
    }

    fn openapi(&self) -> Response {
        let mut paths = Map::new();
        for kind in super::documents::READ {
            let mut verbs = json!({"get": {}});
            if self.writes {
                verbs["post"] = json!({});
            }
            paths.insert(format!("/admin/v1/{kind}"), verbs);
        }
        Response::json(200, &json!({"openapi": "3.1.0", "info": {"title": "AISIX", "version": "dev"}, "paths": paths}))
    }

    fn rows(&self, kind: &str) -> Option<Vec<(String, Value, i64)>> {
        let (_, rows) = self.store.range(&format!("{kind}/"))?;
        Some(rows.into_iter().filter_map(|(id, value, revision)| Some((id, serde_json::from_slice(&value).ok()?, revision))).collect())
    }

    fn list(&self, kind: &str) -> Response {
        let Some(rows) = self.rows(kind) else { return said(500, "store error: unavailable") };
        // What does not decode vanishes from the list.
        let rows: Vec<Value> = rows
            .into_iter()
            .filter(|(_, value, _)| value.as_object().is_some_and(|fields| check(kind, fields).is_ok()))
            .map(|(id, value, revision)| json!({"id": id, "value": shown(kind, value), "revision": revision}))
            .collect();
        Response::json(200, &json!(rows))
    }

    fn one(&self, kind: &str, id: &str) -> Response {
        let Some(rows) = self.rows(kind) else { return said(500, "store error: unavailable") };
        match rows.into_iter().find(|(at, ..)| at == id) {
            Some((_, value, _)) if value.as_object().is_none_or(|fields| check(kind, fields).is_err()) => said(500, "store error: decode"),
            Some((_, value, revision)) => Response::json(200, &json!({"id": id, "value": shown(kind, value), "revision": revision})),
            None => said(404, "resource not found"),
        }
    }

    /// The document that was sent, if this API takes it. Others' ids are asked for the names that must be free.
    fn document(&self, kind: &str, request: &Request, own: &str) -> Result<Value, Response> {
        if request.header("content-type") != "application/json" {
            return Err(Response::text(415, "Expected request with `Content-Type: application/json`"));
        }
        let Ok(mut value) = serde_json::from_slice::<Value>(&request.body) else {
            return Err(Response::text(400, "Failed to parse the request body as JSON"));
        };
        let Some(fields) = value.as_object_mut() else { return Err(said(400, "schema validation failed at /: expected an object")) };
        let mut strange = unknown(kind, fields);
        if kind == "api_keys" {
            strange.extend(HIDDEN.iter().filter(|name| fields.contains_key(**name)).map(|name| (*name).to_owned()));
        }
        if let Some(name) = strange.first() {
            return Err(said(400, &format!("malformed payload: unknown field `{name}`")));
        }
        check(kind, fields).map_err(|why| said(400, &why))?;
        // Inside a limit an unknown field is dropped without a word.
        if let Some(limits) = fields.get_mut("rate_limit").and_then(Value::as_object_mut) {
            limits.retain(|name, _| ["rps", "rpm", "rph", "rpd", "tpm", "tpd", "concurrency"].contains(&name.as_str()));
        }
        let unique = if kind == "api_keys" { "key_hash" } else { "display_name" };
        let rows = self.rows(kind).ok_or_else(|| said(500, "store error: unavailable"))?;
        if rows.iter().any(|(id, other, _)| id != own && other[unique] == value[unique]) {
            return Err(said(409, "name \"…\" already in use by another resource"));
        }
        Ok(value)
    }

    fn create(&self, kind: &str, request: &Request) -> Response {
        match self.document(kind, request, "") {
            Ok(value) => {
                let id = format!("0b5a5f3e-0000-4000-8000-{:012x}", self.drawn.fetch_add(1, Ordering::SeqCst));
                self.store.put(kind, &id, &value);
                Response::json(200, &json!({"id": id, "value": value, "revision": 1}))
            }
            Err(refused) => refused,
        }
    }

    fn replace(&self, kind: &str, id: &str, request: &Request) -> Response {
        let Some(rows) = self.rows(kind) else { return said(500, "store error: unavailable") };
        let Some((_, _, revision)) = rows.into_iter().find(|(at, ..)| at == id) else { return said(404, "resource not found") };
        match self.document(kind, request, id) {
            Ok(value) => {
                self.store.put(kind, id, &value);
                Response::json(200, &json!({"id": id, "value": value, "revision": revision + 1}))
            }
            Err(refused) => refused,
        }
    }

    fn delete(&self, kind: &str, id: &str) -> Response {
        if self.store.delete(kind, id) { Response::json(200, &json!({"deleted": true, "id": id})) } else { said(404, "resource not found") }
    }
}

fn said(status: u16, why: &str) -> Response {
    Response::json(status, &json!({"error_msg": why}))
}

/// A document as this API shows it: an upstream secret in clear, a caller key without who it belongs to.
fn shown(kind: &str, mut value: Value) -> Value {
    if let (true, Some(fields)) = (kind == "api_keys", value.as_object_mut()) {
        fields.retain(|name, _| !HIDDEN.contains(&name.as_str()));
    }
    value
}
