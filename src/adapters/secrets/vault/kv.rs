//! What is read from and written to the KV engine, version 2.

use super::api::Api;
use super::document::{Document, Raw};
use crate::adapters::reference::References;
use crate::ports::{PortError, Result};
use crate::secret::SecretText;
use crate::support::text;
use reqwest::Method;
use serde::Deserialize;
use vaultrs::api::EndpointResult;
use vaultrs::api::kv2::requests::{
    DeleteSecretMetadataRequest, DeleteSecretVersionsRequest, DestroySecretVersionsRequest, ReadSecretMetadataRequest, ReadSecretRequest,
    SetSecretRequest,
};
use vaultrs::api::kv2::responses::{ReadSecretMetadataResponse, SecretVersionMetadata};
use vaultrs::api::token::requests::LookupTokenSelfRequest;
use vaultrs::api::token::responses::LookupTokenResponse;

/// A document at one version.
pub(super) struct Version {
    pub(super) number: u64,
    /// When it was made, as the server writes it.
    pub(super) created: String,
    /// None when this version is deleted.
    pub(super) document: Option<Document>,
}

/// Older versions, newest first.
pub(super) struct History {
    pub(super) versions: Vec<Older>,
    /// The most that are kept, where the document says so.
    pub(super) most: u64,
    /// Versions end by themselves after this time.
    pub(super) ends_after: Option<String>,
}

/// An entry of the history.
pub(super) struct Older {
    pub(super) number: u64,
    pub(super) created: String,
    /// Its data can still be read.
    pub(super) live: bool,
}

/// Who writes, by the server's own word.
#[derive(Clone)]
pub(super) struct Author {
    pub(super) name: String,
    pub(super) policies: Vec<String>,
    /// Seconds until the token ends; 0 is never.
    pub(super) ttl: u64,
}

#[derive(Deserialize)]
struct Answer {
    data: Option<Raw>,
    metadata: SecretVersionMetadata,
}

impl Api {
    /// A document, the current version or a certain one; none when there is nothing at this path.
    pub(super) async fn read(&self, references: &References, path: &str, version: Option<u64>) -> Result<Option<Version>> {
        let endpoint = ReadSecretRequest { mount: self.place.mount.clone(), path: path.to_owned(), version };
        let reply = self.get(references, endpoint).await?;
        if reply.is_plain_absence() {
            return Ok(None);
        }
        // A deleted version is answered with 404 and its metadata.
        if !reply.is_success() && reply.status != 404 {
            return Err(self.bad_read("read", &reply));
        }
        let name = self.place.name();
        let answer = match reply.parsed::<EndpointResult<Answer>>(&name) {
            Ok(answer) => answer.data,
            Err(_) if reply.status == 404 => return Err(self.bad_read("read", &reply)),
            Err(e) => return Err(e),
        };
        let answer = answer.ok_or_else(|| self.unreadable("the answer holds no document"))?;
        let data = answer.data.filter(|_| reply.is_success()).map(Document::from);
        let created = text::clean_to(&answer.metadata.created_time, 64);
        Ok(Some(Version { number: answer.metadata.version, created, document: data }))
    }

    /// All versions of a document but the given one and newer; none when there is nothing at this path.
    pub(super) async fn history(&self, references: &References, path: &str, below: u64) -> Result<Option<History>> {
        let endpoint = ReadSecretMetadataRequest { mount: self.place.mount.clone(), path: path.to_owned() };
        let reply = self.get(references, endpoint).await?;
        if reply.is_plain_absence() {
            return Ok(None);
        }
        if !reply.is_success() {
            return Err(self.bad_read("read the history", &reply));
        }
        let answer = reply.parsed::<EndpointResult<ReadSecretMetadataResponse>>(&self.place.name())?.data;
        let about = answer.ok_or_else(|| self.unreadable("the answer holds no history"))?;
        let mut versions: Vec<Older> = about
            .versions
            .into_iter()
            .filter_map(|(number, v)| {
                let number = number.parse().ok()?;
                let live = !v.destroyed && v.deletion_time.is_empty();
                Some(Older { number, created: text::clean_to(&v.created_time, 64), live })
            })
            .filter(|v| v.number < below)
            .collect();
        versions.sort_by_key(|v| std::cmp::Reverse(v.number));
        let ends_after = Some(text::clean_to(&about.delete_version_after, 40)).filter(|t| !matches!(t.as_str(), "" | "0s"));
        Ok(Some(History { versions, most: about.max_versions, ends_after }))
    }

    /// Writes a document if it is still at this version; 0 means that there is none. Sent once.
    pub(super) async fn write(&self, references: &References, action: &str, path: &str, cas: u64, document: &Document) -> Result<()> {
        let endpoint =
            SetSecretRequest { mount: self.place.mount.clone(), path: path.to_owned(), data: serde_json::Value::Null, options: None };
        let reply = self.change(references, Method::POST, endpoint, Some(&document.body(cas))).await?;
        match reply.status {
            200..=299 => Ok(()),
            400 if reply.says("check-and-set") => {
                Err(self.conflict(action, "somebody else wrote the document since it was read; nothing was written"))
            }
            _ => Err(self.bad_change(action, &reply)),
        }
    }

    /// Removes a document with all its versions.
    pub(super) async fn remove(&self, references: &References, action: &str, path: &str) -> Result<()> {
        let endpoint = DeleteSecretMetadataRequest { mount: self.place.mount.clone(), path: path.to_owned() };
        let reply = self.change(references, Method::DELETE, endpoint, None).await?;
        if reply.is_success() { Ok(()) } else { Err(self.bad_change(action, &reply)) }
    }

    /// Makes versions unreadable: so that they can be undeleted, or for good. The server says yes to versions that do not exist too.
    pub(super) async fn bury(&self, references: &References, path: &str, versions: Vec<u64>, for_good: bool) -> Result<()> {
        let (mount, path) = (self.place.mount.clone(), path.to_owned());
        let reply = if for_good {
            self.change(references, Method::POST, DestroySecretVersionsRequest { mount, path, versions }, None).await?
        } else {
            self.change(references, Method::POST, DeleteSecretVersionsRequest { mount, path, versions }, None).await?
        };
        if reply.is_success() { Ok(()) } else { Err(self.bad_change("retire", &reply)) }
    }

    /// Who we are there; none where the policy does not let us ask.
    pub(super) async fn author(&self, references: &References) -> Result<Option<Author>> {
        let reply = self.get(references, LookupTokenSelfRequest {}).await?;
        if !reply.is_success() {
            return Ok(None);
        }
        let Some(token) = reply.parsed::<EndpointResult<LookupTokenResponse>>(&self.place.name())?.data else { return Ok(None) };
        let policies = token.policies.iter().map(|p| text::clean_to(p, 60)).take(10).collect();
        Ok(Some(Author { name: text::clean_to(&token.display_name, 120), policies, ttl: token.ttl }))
    }

    /// Our field of a document.
    pub(super) fn value(&self, document: &Document) -> Result<Option<SecretText>> {
        document.text(&self.place.field).map_err(|why| self.refused("read", why))
    }

    /// A document that is there.
    pub(super) async fn existing(&self, references: &References, action: &str) -> Result<(Version, Document)> {
        let missing = |why: &str| -> PortError { self.conflict(action, why) };
        let found = self.read(references, &self.place.path, None).await?;
        let mut version = found.ok_or_else(|| missing("there is no such document; make it with the present value"))?;
        let document = version.document.take().ok_or_else(|| missing("its current version is deleted; undelete it first"))?;
        Ok((version, document))
    }
}
