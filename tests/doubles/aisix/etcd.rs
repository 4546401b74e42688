//! The stand-in's own way to a real etcd: ranges and writes of a test, and the watch that a replica lives on. It shares nothing with the
//! driver under test.

use super::http::call;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A real etcd.
#[derive(Clone)]
pub(crate) struct Etcd {
    pub(crate) url: String,
    pub(crate) prefix: String,
}

/// A row: its key below the folder that was asked for, its bytes, and its revision.
pub(crate) type Row = (String, Vec<u8>, i64);

/// One thing that changed: its key below the prefix, and its bytes, or none when it went.
pub(crate) type Change = (String, Option<Vec<u8>>);

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

fn number(value: &Value) -> i64 {
    value.as_str().and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn bytes(value: &Value) -> Vec<u8> {
    value.as_str().and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default()
}

impl Etcd {
    fn post(&self, path: &str, body: &Value) -> Option<Value> {
        let (status, _, text) = call("POST", &format!("{}/v3/{path}", self.url), &[], &body.to_string())?;
        if status == 200 { serde_json::from_str(&text).ok() } else { None }
    }

    fn place(&self, below: &str) -> String {
        format!("{}/{below}", self.prefix)
    }

    /// Everything below a folder of the prefix, with each row's revision, and the revision of the whole.
    pub(crate) fn range(&self, below: &str) -> Option<(i64, Vec<Row>)> {
        let from = self.place(below);
        // The first key that does not begin with it.
        let mut to = from.clone().into_bytes();
        *to.last_mut()? += 1;
        let answer = self.post("kv/range", &json!({"key": encoded(&from), "range_end": encoded(to)}))?;
        let rows = answer["kvs"].as_array().cloned().unwrap_or_default();
        let row = |row: &Value| {
            let key = String::from_utf8_lossy(&bytes(&row["key"])).into_owned();
            (key.strip_prefix(&from).unwrap_or(&key).to_owned(), bytes(&row["value"]), number(&row["mod_revision"]))
        };
        Some((number(&answer["header"]["revision"]), rows.iter().map(row).collect()))
    }

    /// One document; none where there is none, or no JSON.
    pub(crate) fn get(&self, kind: &str, id: &str) -> Option<Value> {
        let (_, rows) = self.range(&format!("{kind}/"))?;
        rows.into_iter().find(|(at, ..)| at == id).and_then(|(_, value, _)| serde_json::from_slice(&value).ok())
    }

    /// Ids of a kind.
    pub(crate) fn ids(&self, kind: &str) -> Vec<String> {
        self.range(&format!("{kind}/")).map(|(_, rows)| rows.into_iter().map(|(id, ..)| id).collect()).unwrap_or_default()
    }

    /// Writes a document as any person with etcd's own tools would.
    pub(crate) fn put(&self, kind: &str, id: &str, document: &Value) -> i64 {
        self.put_bytes(&format!("{kind}/{id}"), document.to_string().as_bytes())
    }

    pub(crate) fn put_bytes(&self, below: &str, value: &[u8]) -> i64 {
        let body = json!({"key": encoded(self.place(below)), "value": encoded(value)});
        let answer = self.post("kv/put", &body).unwrap_or_else(|| panic!("etcd does not take {below}"));
        number(&answer["header"]["revision"])
    }

    pub(crate) fn delete(&self, kind: &str, id: &str) -> bool {
        let body = json!({"key": encoded(self.place(&format!("{kind}/{id}")))});
        self.post("kv/deleterange", &body).is_some_and(|a| number(&a["deleted"]) > 0)
    }

    /// Tells every change from this revision on, in order, until `take` says stop or the connection ends.
    pub(crate) fn watch(&self, from: i64, mut take: impl FnMut(i64, Vec<Change>) -> bool) -> Option<()> {
        let all = self.place("");
        let mut to = all.clone().into_bytes();
        *to.last_mut()? += 1;
        let wanted = json!({"create_request": {"key": encoded(&all), "range_end": encoded(to), "start_revision": from.to_string()}});
        let wanted = wanted.to_string();
        let mut stream = TcpStream::connect(self.url.strip_prefix("http://")?).ok()?;
        stream.set_read_timeout(Some(Duration::from_millis(200))).ok()?;
        // As HTTP 1.0 the answer is plain lines until the connection ends.
        write!(stream, "POST /v3/watch HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{wanted}", wanted.len())
            .ok()?;
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        loop {
            match reader.read_line(&mut line) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                    if !take(0, Vec::new()) {
                        return Some(());
                    }
                    continue;
                }
                Err(_) => return None,
            }
            let told: Value = serde_json::from_str(&line).unwrap_or_default();
            line.clear();
            let result = &told["result"];
            let change = |event: &Value| {
                let key = String::from_utf8_lossy(&bytes(&event["kv"]["key"])).into_owned();
                let gone = event["type"] == "DELETE";
                (key.strip_prefix(&all).unwrap_or(&key).to_owned(), (!gone).then(|| bytes(&event["kv"]["value"])))
            };
            let changes: Vec<Change> = result["events"].as_array().into_iter().flatten().map(change).collect();
            if !take(number(&result["header"]["revision"]), changes) {
                return Some(());
            }
        }
    }
}
