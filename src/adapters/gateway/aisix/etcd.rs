//! Resources in etcd, through its JSON gateway. Every change is one transaction that only takes place if what it rests on is still so.

use super::documents::{Document, Note, Resources};
use super::live::Landed;
use crate::adapters::gateway::wire::{Call, Http, Reply};
use crate::ports::{PortError, Result};
use crate::rotation::{Marker, Time};
use crate::secret::SecretText;
use crate::support::http::{self, Calls, HttpProblem};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Rows of one page.
const PAGE: usize = 300;
/// A store with more pages is not believed.
const MOST_PAGES: usize = 1000;
/// Our notes lie below this and the gateway's own prefix.
const NOTES: &str = "/keyroll";

/// How etcd is reached.
pub struct EtcdAccess {
    /// A client address.
    pub url: String,
    /// What the gateway's keys begin with.
    pub prefix: String,
    /// Name and password.
    pub login: Option<(String, SecretText)>,
}

pub(super) struct EtcdStore {
    base: Url,
    system: String,
    prefix: String,
    login: Option<(String, SecretText)>,
    http: Http,
}

/// A note as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    marker: String,
    made_at: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    #[serde(default)]
    cluster_id: String,
    #[serde(default)]
    revision: String,
}

#[derive(Deserialize)]
struct Range {
    header: Header,
    #[serde(default)]
    kvs: Vec<Row>,
    #[serde(default)]
    more: bool,
}

#[derive(Deserialize)]
struct Row {
    key: String,
    #[serde(default)]
    value: String,
    #[serde(default)]
    mod_revision: String,
}

#[derive(Deserialize)]
struct Done {
    header: Header,
    /// Not there when it is false.
    #[serde(default)]
    succeeded: bool,
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

#[derive(Deserialize)]
struct Version {
    #[serde(default)]
    etcdserver: String,
}

/// One entry with its key below the folder that was asked for.
struct Entry {
    key: String,
    value: Vec<u8>,
    revision: i64,
}

fn encoded(bytes: impl AsRef<[u8]>) -> Value {
    json!(STANDARD.encode(bytes))
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// The first key behind all that begin with this.
fn behind(folder: &str) -> Vec<u8> {
    let mut end = folder.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last = last.saturating_add(1);
    }
    end
}

impl EtcdStore {
    pub(super) fn new(access: EtcdAccess, http: Http) -> std::result::Result<Self, HttpProblem> {
        let base = http::address(&access.url)?;
        let system = format!("etcd at {}", access.url.trim_end_matches('/'));
        let prefix = format!("/{}", access.prefix.trim_matches('/'));
        Ok(Self { base, system, prefix, login: access.login, http })
    }

    /// Address, cluster and prefix, and who we are there.
    pub(super) async fn about(&self) -> Result<(String, String, String, String)> {
        let header = self.range(&self.folder(), 1).await?.0;
        let url = http::join(&self.base, &["version"]).map_err(|e| self.away(&e.to_string(), false))?;
        let call = Call { calls: Calls::Reading, method: Method::GET, url, bearer: None, headers: &[], body: None };
        let reply = self.http.send(call).await.map_err(|e| self.away(&e.to_string(), false))?;
        let version: Option<Version> = serde_json::from_slice(&reply.body).ok();
        let base = self.base.as_str().trim_end_matches('/').to_owned();
        let who = self.login.as_ref().map_or_else(|| "nobody (etcd asks for no password)".to_owned(), |(name, _)| name.clone());
        let build = version.map(|v| format!("etcd {}", v.etcdserver)).unwrap_or_default();
        Ok((base, format!("etcd cluster {}, {}", header.cluster_id, self.prefix), who, build))
    }

    fn folder(&self) -> String {
        format!("{}/", self.prefix)
    }

    fn notes(&self) -> String {
        format!("{NOTES}{}/", self.prefix)
    }

    /// The whole store at one instant, our notes with it.
    pub(super) async fn read(&self) -> Result<Resources> {
        let (revision, rows) = self.all(&self.folder(), None).await?;
        let (_, notes) = self.all(&self.notes(), Some(revision)).await?;
        let document = |entry: Entry| {
            let (kind, id) = entry.key.split_once('/')?;
            let fields =
                serde_json::from_slice::<Value>(&entry.value).ok().and_then(|v| if let Value::Object(f) = v { Some(f) } else { None });
            Some(Document { kind: kind.to_owned(), id: id.to_owned(), fields, revision: entry.revision })
        };
        let note = |entry: Entry| {
            let (kind, id) = entry.key.split_once('/')?;
            let kept: Kept = serde_json::from_slice(&entry.value).ok()?;
            let note = Note { marker: kept.marker, made_at: kept.made_at.as_deref().and_then(Time::parse) };
            Some(((kind.to_owned(), id.to_owned()), note))
        };
        // A row without an id is no row: no gateway takes it.
        let documents = rows.into_iter().filter_map(document).filter(|d| !d.id.is_empty()).collect();
        let notes: BTreeMap<_, _> = notes.into_iter().filter_map(note).collect();
        Ok(Resources { revision, digest: String::new(), documents, notes })
    }

    /// Makes a row with its note, if there is none of this id and the one that it is copied from has not changed.
    pub(super) async fn create(
        &self,
        (kind, id): (&str, &str),
        fields: &Map<String, Value>,
        note: (&Marker, Option<Time>),
        from: &Document,
    ) -> Result<Landed> {
        let place = self.place(kind, id);
        let compare = json!([self.absent(&place), self.unchanged(from)]);
        let success = json!([put(&place, &Value::Object(fields.clone())), self.put_note(kind, id, note)]);
        self.change("mint a key", &compare, &success, "a row of this id exists, or the old one has changed meanwhile").await
    }

    /// Writes a whole document in place of the one that was read.
    pub(super) async fn replace(&self, action: &str, from: &Document, fields: &Map<String, Value>) -> Result<Landed> {
        let success = json!([put(&self.place(&from.kind, &from.id), &Value::Object(fields.clone()))]);
        let compare = json!([self.unchanged(from)]);
        self.change(action, &compare, &success, "somebody has changed it meanwhile").await
    }

    /// Removes a row and its note, if nothing at all has changed below the prefix since it was read.
    pub(super) async fn remove(&self, document: &Document, scanned: &Resources) -> Result<Landed> {
        let place = self.place(&document.kind, &document.id);
        let folder = self.folder();
        let quiet = json!({"key": encoded(&folder), "range_end": encoded(behind(&folder)), "target": "MOD", "result": "LESS",
            "mod_revision": scanned.revision.saturating_add(1).to_string()});
        let gone = |place: &str| json!({"request_delete_range": {"key": encoded(place)}});
        let note = self.note_place(&document.kind, &document.id);
        let compare = json!([self.unchanged(document), quiet]);
        let success = json!([gone(&place), gone(&note)]);
        self.change("delete a key", &compare, &success, "something below the prefix has changed since it was looked through").await
    }

    /// Replaces the note of a row that exists.
    pub(super) async fn mark(&self, document: &Document, note: (&Marker, Option<Time>)) -> Result<()> {
        let there =
            json!({"key": encoded(self.place(&document.kind, &document.id)), "target": "VERSION", "result": "GREATER", "version": "0"});
        let success = json!([self.put_note(&document.kind, &document.id, note)]);
        self.change("mark a key", &json!([there]), &success, "it is not there any more").await.map(|_| ())
    }

    fn place(&self, kind: &str, id: &str) -> String {
        format!("{}{kind}/{id}", self.folder())
    }

    fn note_place(&self, kind: &str, id: &str) -> String {
        format!("{}{kind}/{id}", self.notes())
    }

    fn put_note(&self, kind: &str, id: &str, (marker, made_at): (&Marker, Option<Time>)) -> Value {
        let kept = Kept { marker: marker.as_str().to_owned(), made_at: made_at.map(Time::rfc3339) };
        put(&self.note_place(kind, id), &json!(kept))
    }

    fn absent(&self, place: &str) -> Value {
        json!({"key": encoded(place), "target": "VERSION", "result": "EQUAL", "version": "0"})
    }

    fn unchanged(&self, document: &Document) -> Value {
        let place = self.place(&document.kind, &document.id);
        json!({"key": encoded(place), "target": "MOD", "result": "EQUAL", "mod_revision": document.revision.to_string()})
    }

    async fn all(&self, folder: &str, at: Option<i64>) -> Result<(i64, Vec<Entry>)> {
        let mut from = folder.as_bytes().to_vec();
        let end = behind(folder);
        let mut revision = at;
        let mut entries = Vec::new();
        for _ in 0..MOST_PAGES {
            let mut body = json!({"key": encoded(&from), "range_end": encoded(&end), "limit": PAGE.to_string()});
            if let (Some(at), Some(fields)) = (revision, body.as_object_mut()) {
                fields.insert("revision".into(), json!(at.to_string()));
            }
            let page: Range = self.ask(&body).await?;
            let at = *revision.get_or_insert(self.number(&page.header.revision)?);
            for row in page.kvs {
                let key = decoded(&row.key).ok_or_else(|| self.unreadable("a key is no base64"))?;
                let value = decoded(&row.value).ok_or_else(|| self.unreadable("a value is no base64"))?;
                from = [key.as_slice(), b"\0"].concat();
                let revision = self.number(&row.mod_revision)?;
                // A key that is no text is none of the gateway's.
                if let Some(key) = String::from_utf8(key).ok().and_then(|k| k.strip_prefix(folder).map(str::to_owned)) {
                    entries.push(Entry { key, value, revision });
                }
            }
            if !page.more {
                return Ok((at, entries));
            }
        }
        Err(self.unreadable("more rows than can be read, so the listing is not complete"))
    }

    async fn range(&self, folder: &str, limit: usize) -> Result<(Header, usize)> {
        let body = json!({"key": encoded(folder), "range_end": encoded(behind(folder)), "limit": limit.to_string()});
        let page: Range = self.ask(&body).await?;
        Ok((page.header, page.kvs.len()))
    }

    async fn ask(&self, body: &Value) -> Result<Range> {
        let token = self.token().await?;
        let sent = self.send(&["v3", "kv", "range"], body, Calls::Reading, token.as_ref()).await;
        let reply = sent.map_err(|e| self.away(&e.to_string(), false))?;
        match reply.status {
            200 => serde_json::from_slice(&reply.body).map_err(|_| self.unreadable("not the expected document")),
            400 | 401 | 403 => Err(self.refused("read the resources", &reply)),
            status => Err(self.away(&format!("status {status}"), false)),
        }
    }

    /// One transaction, sent once.
    async fn change(&self, action: &str, compare: &Value, success: &Value, otherwise: &str) -> Result<Landed> {
        let body = json!({"compare": compare, "success": success});
        // A login that fails changed nothing, so it must not look like a change whose answer is lost.
        let token = self.token().await?;
        let sent = self.send(&["v3", "kv", "txn"], &body, Calls::Changing, token.as_ref()).await;
        let reply = sent.map_err(|e| PortError::Unreachable {
            system: self.system.clone(),
            why: e.to_string(),
            may_have_happened: e.may_have_happened(),
        })?;
        match reply.status {
            200 => {}
            400 | 401 | 403 => return Err(self.refused(action, &reply)),
            status => return Err(self.away(&format!("status {status}; the change may have happened: look"), true)),
        }
        let done: Done = serde_json::from_slice(&reply.body).map_err(|_| self.unreadable("not the expected document"))?;
        if done.succeeded {
            Ok(Landed::Revision(self.number(&done.header.revision)?))
        } else {
            Err(PortError::Conflict { system: self.system.clone(), action: action.to_owned(), why: otherwise.to_owned() })
        }
    }

    async fn send(&self, path: &[&str], body: &Value, calls: Calls, token: Option<&SecretText>) -> std::result::Result<Reply, HttpProblem> {
        let url = http::join(&self.base, path)?;
        let headers: Vec<(&str, &str)> = token.map(|t| ("authorization", t.expose())).into_iter().collect();
        self.http.send(Call { calls, method: Method::POST, url, bearer: None, headers: &headers, body: Some(body) }).await
    }

    /// Tokens live for minutes, so each call has its own.
    async fn token(&self) -> Result<Option<SecretText>> {
        let Some((name, password)) = &self.login else { return Ok(None) };
        let body = json!({"name": name, "password": password.expose()});
        let sent = self.send(&["v3", "auth", "authenticate"], &body, Calls::Reading, None).await;
        let reply = sent.map_err(|e| self.away(&e.to_string(), false))?;
        match reply.status {
            200 => {
                let answer: Token = serde_json::from_slice(&reply.body).map_err(|_| self.away("the login's answer has no token", false))?;
                Ok(Some(SecretText::new(answer.token)))
            }
            400 | 401 | 403 => Err(PortError::Refused {
                system: self.system.clone(),
                action: "log in".into(),
                why: format!("status {}; check user and password", reply.status),
            }),
            status => Err(self.away(&format!("status {status} at the login"), false)),
        }
    }

    fn number(&self, text: &str) -> Result<i64> {
        text.parse().map_err(|_| self.unreadable("a revision is no number"))
    }

    fn away(&self, why: &str, may_have_happened: bool) -> PortError {
        PortError::Unreachable { system: self.system.clone(), why: why.to_owned(), may_have_happened }
    }

    fn unreadable(&self, why: &str) -> PortError {
        PortError::Unreadable { system: self.system.clone(), why: why.to_owned() }
    }

    fn refused(&self, action: &str, reply: &Reply) -> PortError {
        let why = match reply.status {
            401 => "status 401; check user and password",
            403 => "status 403; the user's role must read and write the gateway's prefix and the same below /keyroll",
            _ => "status 400; it asks for a user, or it is no etcd",
        };
        PortError::Refused { system: self.system.clone(), action: action.to_owned(), why: why.to_owned() }
    }
}

fn put(place: &str, value: &Value) -> Value {
    json!({"request_put": {"key": encoded(place), "value": encoded(value.to_string())}})
}
