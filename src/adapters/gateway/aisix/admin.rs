//! Resources through the admin listener of a gateway up to 0.8.2. It has no conditions: what is changed is read again just before and just
//! after, and between the two a race remains.

use super::documents::{Document, Resources};
use super::live::Landed;
use crate::adapters::gateway::wire::{Admin, Http};
use crate::ports::{PortError, Result};
use crate::secret::SecretText;
use crate::support::http::HttpProblem;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How the admin listener is reached.
pub struct AdminAccess {
    /// Its address, without `/admin`.
    pub url: String,
    /// One of its keys.
    pub key: SecretText,
}

pub(super) struct AdminStore {
    admin: Admin,
}

#[derive(Deserialize)]
struct Description {
    paths: BTreeMap<String, BTreeMap<String, Value>>,
}

/// A row as it is listed.
#[derive(Deserialize)]
struct Row {
    id: String,
    value: Map<String, Value>,
    #[serde(default)]
    revision: i64,
}

/// The answer to a change. Its revision is made up and not read.
#[derive(Deserialize)]
struct Changed {
    id: String,
}

#[derive(Deserialize)]
struct Deleted {
    #[serde(default)]
    deleted: bool,
}

impl AdminStore {
    pub(super) fn new(access: AdminAccess, http: Http) -> std::result::Result<Self, HttpProblem> {
        Ok(Self { admin: Admin::new("the admin API of AISIX", &access.url, access.key, http)? })
    }

    /// Address, what is behind it, and who we are there. The listener names neither a tenant nor a principal, and its version is no version.
    pub(super) fn about(&self) -> (String, String, String, String) {
        (self.admin.base(), "the store of this gateway".into(), "an admin key".into(), String::new())
    }

    /// Kinds that can be listed. An admin listener without writes belongs to a newer gateway.
    async fn kinds(&self) -> Result<Vec<String>> {
        let described: Description = self.admin.get("read what it can do", &["admin", "openapi.json"], &[]).await?;
        let writes = described.paths.get("/admin/v1/provider_keys").is_some_and(|verbs| verbs.contains_key("post"));
        if !writes {
            let why = "it only reads, as from 0.9.0 on: change the resources in etcd or in their file (`resources:`)".to_owned();
            return Err(PortError::Refused { system: self.admin.system.clone(), action: "change a key".into(), why });
        }
        let listed = |(path, verbs): (&String, &BTreeMap<String, Value>)| {
            let kind = path.strip_prefix("/admin/v1/")?;
            // `apikeys` is another name of `api_keys`.
            let plain = !kind.is_empty() && kind != "apikeys" && kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            (plain && verbs.contains_key("get")).then(|| kind.to_owned())
        };
        Ok(described.paths.iter().filter_map(listed).collect())
    }

    /// Everything that it lists. A row that does not decode is not among it; the processes name such a row.
    pub(super) async fn read(&self) -> Result<Resources> {
        let mut documents = Vec::new();
        for kind in self.kinds().await? {
            let rows: Vec<Row> = self.admin.get("list the resources", &["admin", "v1", &kind], &[]).await?;
            documents.extend(rows.into_iter().map(|row| Document {
                kind: kind.clone(),
                id: row.id,
                fields: Some(row.value),
                revision: row.revision,
            }));
        }
        let revision = documents.iter().map(|d| d.revision).max().unwrap_or(0);
        Ok(Resources { revision, digest: String::new(), documents, notes: BTreeMap::new() })
    }

    async fn one(&self, kind: &str, id: &str) -> Result<Row> {
        self.admin.get("read a row", &["admin", "v1", kind, id], &[]).await
    }

    /// Makes a row; the gateway draws its id.
    pub(super) async fn create(&self, kind: &str, fields: &Map<String, Value>) -> Result<(String, Landed)> {
        let body = Value::Object(fields.clone());
        let made: Changed = self.admin.change("mint a key", Method::POST, &["admin", "v1", kind], Some(&body)).await?;
        let row = self.after(kind, &made.id, fields).await?;
        Ok((made.id, Landed::Revision(row.revision)))
    }

    /// Writes a whole document in place of the one that was read.
    pub(super) async fn replace(&self, action: &str, from: &Document, fields: &Map<String, Value>) -> Result<Landed> {
        self.still(action, from).await?;
        let path = ["admin", "v1", &from.kind, &from.id];
        let _answered: Changed = self.admin.change(action, Method::PUT, &path, Some(&Value::Object(fields.clone()))).await?;
        let row = self.after(&from.kind, &from.id, fields).await?;
        Ok(Landed::Revision(row.revision))
    }

    /// Removes a row. What was looked through before is looked at again by the caller only: here a race remains.
    pub(super) async fn remove(&self, document: &Document, scanned: &Resources) -> Result<Landed> {
        const ACTION: &str = "delete a key";
        self.still(ACTION, document).await?;
        let path = ["admin", "v1", &document.kind, &document.id];
        let answer: Deleted = self.admin.change(ACTION, Method::DELETE, &path, None).await?;
        if !answer.deleted {
            return Err(self.admin.unreadable("it does not say that it deleted the row"));
        }
        // The deletion counts further than anything that was listed.
        Ok(Landed::Revision(scanned.revision.saturating_add(1)))
    }

    /// The row is as it was read.
    async fn still(&self, action: &str, from: &Document) -> Result<()> {
        let now = self.one(&from.kind, &from.id).await?;
        if now.revision == from.revision && Some(&now.value) == from.fields.as_ref() {
            return Ok(());
        }
        let why = "somebody has changed it meanwhile".to_owned();
        Err(PortError::Conflict { system: self.admin.system.clone(), action: action.to_owned(), why })
    }

    /// The row is as it was written. A field that it dropped shows when permissions are compared.
    async fn after(&self, kind: &str, id: &str, wrote: &Map<String, Value>) -> Result<Row> {
        let lost = |e: PortError| PortError::Unreachable { system: self.admin.system.clone(), why: e.to_string(), may_have_happened: true };
        let row = self.one(kind, id).await.map_err(lost)?;
        let decides = ["key_hash", "api_key", "secret", "disabled", "provider_key_id"];
        if decides.iter().any(|field| row.value.get(*field) != wrote.get(*field)) {
            return Err(self.admin.unreadable("a row is not as it was written: somebody else wrote at the same time"));
        }
        Ok(row)
    }
}
