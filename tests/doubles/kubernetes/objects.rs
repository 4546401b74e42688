//! Get, list, create, replace, patch and delete, with everything the API server checks.

use super::http::{Request, status};
use super::{World, secret_path};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

pub(super) fn unpacked(text: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(text).ok()?).ok()
}

impl World {
    pub(super) fn serve(&mut self, request: &Request) -> (u16, Value) {
        let path = request.path.as_str();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        // …/namespaces/NS/KIND[/NAME]; a namespace itself has no more.
        let kind_at = parts.iter().position(|p| *p == "namespaces").map_or(usize::MAX, |i| i + 2);
        let collection = parts.len() == kind_at.saturating_add(1);
        match (request.method.as_str(), collection) {
            ("GET", true) => self.list(request),
            ("GET", false) => match self.objects.get(path) {
                Some(object) => (200, object.clone()),
                None => match self.pods.get(path) {
                    Some(pod) => (200, pod.object.clone()),
                    None => status(404, "NotFound", request),
                },
            },
            ("POST", true) => self.create(request),
            ("PUT" | "PATCH", false) => self.write(request),
            ("DELETE", false) => self.delete(request),
            _ => status(405, "MethodNotAllowed", request),
        }
    }

    fn list(&self, request: &Request) -> (u16, Value) {
        let prefix = format!("{}/", request.path);
        let limit: usize = request.query("limit").and_then(|l| l.parse().ok()).unwrap_or(usize::MAX);
        // Small pages whatever is asked for, as a server may choose.
        let limit = limit.min(3);
        let selector = request.query("labelSelector").unwrap_or_default();
        let all = self.objects.iter().chain(self.pods.iter().map(|(p, pod)| (p, &pod.object)));
        let mut found: Vec<(&String, &Value)> = all.filter(|(p, _)| p.strip_prefix(&prefix).is_some_and(|n| !n.contains('/'))).collect();
        found.retain(|(_, o)| selected(&o["metadata"]["labels"], selector));
        found.sort_by_key(|(p, _)| (*p).clone());
        let after = request.query("continue").unwrap_or_default();
        let rest: Vec<&(&String, &Value)> = found.iter().filter(|(p, _)| p.as_str() > after).collect();
        let page: Vec<Value> = rest.iter().take(limit).map(|(_, o)| (*o).clone()).collect();
        let more = if rest.len() > limit { rest[limit - 1].0.clone() } else { String::new() };
        (200, json!({ "kind": "List", "metadata": { "resourceVersion": self.version.to_string(), "continue": more }, "items": page }))
    }

    fn create(&mut self, request: &Request) -> (u16, Value) {
        let Some(mut object) = request.json() else { return status(400, "BadRequest", request) };
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if object["metadata"].get("resourceVersion").is_some() || object["metadata"].get("uid").is_some() {
            return status(400, "BadRequest", request);
        }
        if request.path.ends_with("/secrets") && !valid(&mut object) || !subdomain(&name) {
            return status(422, "Invalid", request);
        }
        let path = format!("{}/{name}", request.path);
        if self.objects.contains_key(&path) {
            return status(409, "AlreadyExists", request);
        }
        object["metadata"]["namespace"] = request.path.split('/').nth_back(1).unwrap_or_default().into();
        self.record(&Value::Null, &mut object, request.query("fieldManager").unwrap_or("unknown"));
        self.insert(&path, object);
        (201, self.objects[&path].clone())
    }

    fn write(&mut self, request: &Request) -> (u16, Value) {
        let Some(before) = self.objects.get(&request.path).cloned() else { return status(404, "NotFound", request) };
        let Some(sent) = request.json() else { return status(400, "BadRequest", request) };
        let mut after = match (request.method.as_str(), request.kind.as_str()) {
            ("PUT", "application/json") => sent.clone(),
            ("PATCH", "application/merge-patch+json" | "application/strategic-merge-patch+json") => {
                let mut merged = before.clone();
                merge(&mut merged, &sent);
                merged
            }
            _ => return status(415, "UnsupportedMediaType", request),
        };
        let given = |name: &str| sent["metadata"].get(name).and_then(Value::as_str);
        let is = |name: &str| before["metadata"][name].as_str();
        if given("resourceVersion").is_some_and(|v| Some(v) != is("resourceVersion")) || given("uid").is_some_and(|u| Some(u) != is("uid"))
        {
            return status(409, "Conflict", request);
        }
        if given("name").is_some_and(|n| Some(n) != is("name")) {
            return status(422, "Invalid", request);
        }
        for kept in ["uid", "creationTimestamp", "managedFields", "generation", "namespace", "name", "resourceVersion"] {
            after["metadata"][kept] = before["metadata"][kept].clone();
        }
        let secret = request.path.contains("/secrets/");
        if secret {
            let frozen = before["immutable"] == true && (after["data"] != before["data"] || after["immutable"] != true);
            if !valid(&mut after) || frozen || after["type"] != before["type"] {
                return status(422, "Invalid", request);
            }
        }
        // A write that changes nothing is no write.
        if after == before {
            return (200, before);
        }
        self.record(&before, &mut after, request.query("fieldManager").unwrap_or("unknown"));
        let template = after["spec"] != before["spec"];
        if template {
            after["metadata"]["generation"] = (before["metadata"]["generation"].as_u64().unwrap_or(0) + 1).into();
        }
        after["metadata"]["resourceVersion"] = self.next_version().into();
        self.objects.insert(request.path.clone(), after.clone());
        self.remember(&request.path);
        if after["spec"]["template"] != before["spec"]["template"] {
            self.restarts += 1;
            self.roll(&request.path);
        }
        (200, after)
    }

    fn delete(&mut self, request: &Request) -> (u16, Value) {
        let Some(there) = self.objects.get(&request.path) else { return status(404, "NotFound", request) };
        let options = request.json().unwrap_or_default();
        for (name, at) in [("uid", "uid"), ("resourceVersion", "resourceVersion")] {
            let wanted = &options["preconditions"][name];
            if !wanted.is_null() && *wanted != there["metadata"][at] {
                return status(409, "Conflict", request);
            }
        }
        self.objects.remove(&request.path);
        (200, json!({ "kind": "Status", "status": "Success" }))
    }

    /// Who wrote which key, with the server's clock.
    pub(super) fn record(&self, before: &Value, after: &mut Value, manager: &str) {
        let mut fields = after["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
        let empty = Map::new();
        let (old, new) = (before["data"].as_object().unwrap_or(&empty), after["data"].as_object().unwrap_or(&empty));
        let changed: Vec<String> = new.iter().filter(|(k, v)| old.get(*k) != Some(*v)).map(|(k, _)| format!("f:{k}")).collect();
        // A field has one owner by update: whoever wrote it last.
        for entry in &mut fields {
            if let Some(data) = entry["fieldsV1"]["f:data"].as_object_mut() {
                data.retain(|key, _| !changed.contains(key));
            }
        }
        let mine = fields.iter_mut().find(|e| e["manager"] == manager);
        let now = self.now();
        let added: Map<String, Value> = changed.into_iter().map(|k| (k, json!({}))).collect();
        match mine {
            Some(entry) => {
                entry["time"] = now.into();
                if !entry["fieldsV1"]["f:data"].is_object() {
                    entry["fieldsV1"]["f:data"] = json!({});
                }
                entry["fieldsV1"]["f:data"].as_object_mut().unwrap().extend(added);
            }
            None => fields.push(json!({
                "manager": manager, "operation": "Update", "apiVersion": "v1", "time": now, "fieldsType": "FieldsV1",
                "fieldsV1": { "f:data": added, "f:metadata": {} },
            })),
        }
        after["metadata"]["managedFields"] = fields.into();
    }

    /// Somebody writes a Secret without asking at which version it is.
    pub(super) fn stranger(&mut self, namespace: &str, name: &str, values: &[(&str, &str)], more: Value) {
        self.written_by("kubectl-edit", namespace, name, values, more);
    }

    /// Somebody of this name writes it.
    pub(super) fn written_by(&mut self, manager: &str, namespace: &str, name: &str, values: &[(&str, &str)], more: Value) {
        let path = secret_path(namespace, name);
        let before = self.objects.get(&path).cloned().unwrap_or(Value::Null);
        let mut after = if before.is_null() {
            json!({ "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": { "name": name, "namespace": namespace }, "data": {} })
        } else {
            before.clone()
        };
        for (key, value) in values {
            after["data"][*key] = STANDARD.encode(value).into();
        }
        merge(&mut after, &more);
        if after == before {
            return;
        }
        self.record(&before, &mut after, manager);
        if before.is_null() {
            self.insert(&path, after);
        } else {
            self.objects.insert(path.clone(), after);
            self.touch(&path);
        }
    }
}

/// RFC 7386.
pub(super) fn merge(into: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        if !patch.is_null() {
            *into = patch.clone();
        }
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (name, value) in fields {
        if value.is_null() {
            into.as_object_mut().unwrap().remove(name);
        } else {
            merge(into.as_object_mut().unwrap().entry(name).or_insert(Value::Null), value);
        }
    }
}

/// Equality and sets, as far as tests need them.
pub(super) fn selected(labels: &Value, selector: &str) -> bool {
    selector.split(',').filter(|s| !s.is_empty()).all(|part| match part.split_once('=') {
        Some((name, value)) => labels[name.trim()] == value.trim_start_matches('='),
        None => !labels[part].is_null(),
    })
}

/// What the server checks of a Secret; plain text is folded into the data.
fn valid(object: &mut Value) -> bool {
    if let Some(plain) = object.as_object_mut().and_then(|o| o.remove("stringData")) {
        for (key, value) in plain.as_object().into_iter().flatten() {
            object["data"][key] = STANDARD.encode(value.as_str().unwrap_or_default()).into();
        }
    }
    let key = |k: &str| !k.is_empty() && k.len() <= 253 && k.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let data =
        object["data"].as_object().is_none_or(|d| d.iter().all(|(k, v)| key(k) && v.as_str().is_some_and(|v| STANDARD.decode(v).is_ok())));
    let value = |v: &str| {
        let end = |b: Option<u8>| b.is_none_or(|b| b.is_ascii_alphanumeric());
        v.len() <= 63 && end(v.bytes().next()) && end(v.bytes().last()) && key(&format!("a{v}"))
    };
    let labels = object["metadata"]["labels"].as_object().is_none_or(|l| l.values().all(|v| v.as_str().is_some_and(value)));
    let name = |n: &str| n.split_once('/').is_none_or(|(prefix, _)| subdomain(prefix)) && n.split('/').count() <= 2;
    let notes = object["metadata"]["annotations"].as_object().is_none_or(|a| a.iter().all(|(n, v)| name(n) && v.is_string()));
    let size: usize = object["data"].as_object().map_or(0, |d| d.values().filter_map(Value::as_str).map(str::len).sum());
    data && labels && notes && size < 1024 * 1024
}

fn subdomain(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let label =
        |l: &str| l.bytes().next().is_some_and(plain) && l.bytes().last().is_some_and(plain) && l.bytes().all(|b| plain(b) || b == b'-');
    !name.is_empty() && name.len() <= 253 && name.split('.').all(label)
}
