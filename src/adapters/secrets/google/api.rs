//! The calls.

use super::GoogleStore;
use crate::adapters::secrets::rest::{Reply, unclear};
use crate::ports::Result;
use crate::secret::SecretText;
use crate::support::text;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// A secret without its versions.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct About {
    pub(super) etag: String,
    #[serde(default)]
    pub(super) create_time: String,
    /// Version number by alias.
    #[serde(default)]
    pub(super) version_aliases: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
}

/// What is written of it, and only with the etag that was read.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Change<'a> {
    etag: &'a str,
    version_aliases: &'a BTreeMap<String, String>,
    annotations: &'a BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Version {
    name: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    etag: String,
}

#[derive(Deserialize)]
struct Versions {
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Accessed {
    payload: Payload,
}

#[derive(Deserialize)]
struct Payload {
    #[serde(default, deserialize_with = "secret")]
    data: Option<SecretText>,
}

#[derive(Serialize)]
struct NewVersion<'a> {
    payload: NewPayload<'a>,
}

#[derive(Serialize)]
struct NewPayload<'a> {
    data: &'a str,
}

#[derive(Serialize)]
struct WithEtag<'a> {
    etag: &'a str,
}

#[derive(Deserialize)]
struct Problem {
    error: ProblemStatus,
}

#[derive(Deserialize)]
struct ProblemStatus {
    status: String,
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<SecretText>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(SecretText::new))
}

/// The newest versions that are compared after a lost answer.
const NEWEST: &str = "10";

impl GoogleStore {
    /// Google's own word for what went wrong. Its texts are never shown.
    fn says(&self, reply: &Reply) -> String {
        self.rest.parsed::<Problem>(reply).map(|p| p.error.status).unwrap_or_default()
    }

    /// The secret; none when there is none. Without Google's own word a "not found" may come from anywhere.
    pub(super) async fn about(&self) -> Result<Option<About>> {
        let path = ["v1", "projects", &self.slot.project, "secrets", &self.slot.secret];
        let reply = self.rest.get((&path, &[])).await?;
        if reply.status == 404 && self.says(&reply) == "NOT_FOUND" {
            return Ok(None);
        }
        if !reply.is_success() {
            return Err(self.rest.bad_read("look", &reply));
        }
        let mut about: About = self.rest.parsed(&reply)?;
        about.create_time = text::clean_to(&about.create_time, 64);
        if about.etag.is_empty() {
            return Err(self.rest.unreadable("the secret has no etag"));
        }
        Ok(Some(about))
    }

    /// Aliases and annotations become these, if the secret is still at this etag. Sent once.
    pub(super) async fn point(&self, action: &str, about: &About) -> Result<()> {
        let path = ["v1", "projects", &self.slot.project, "secrets", &self.slot.secret];
        let body = Change { etag: &about.etag, version_aliases: &about.version_aliases, annotations: &about.annotations };
        let mask = [("updateMask", "version_aliases,annotations")];
        let reply = self.rest.change(Method::PATCH, (&path, &mask), Some(&body)).await?;
        if reply.is_success() {
            return Ok(());
        }
        let moved = matches!(reply.status, 400 | 409 | 412) && matches!(self.says(&reply).as_str(), "FAILED_PRECONDITION" | "ABORTED");
        if moved {
            return Err(self.rest.conflict(action, "somebody else changed the secret since it was read; nothing was changed"));
        }
        Err(self.rest.bad_change(action, &reply))
    }

    /// Adds a version with this value and tells its number.
    pub(super) async fn add(&self, value: &SecretText) -> Result<String> {
        let secret = format!("{}:addVersion", self.slot.secret);
        let path = ["v1", "projects", &self.slot.project, "secrets", &secret];
        let data = Zeroizing::new(STANDARD.encode(value.expose()));
        let body = NewVersion { payload: NewPayload { data: &data } };
        let added = match self.rest.change(Method::POST, (&path, &[]), Some(&body)).await {
            Ok(reply) if reply.is_success() => self.rest.parsed::<Version>(&reply).and_then(|v| self.number_of(&v.name)),
            Ok(reply) => Err(self.rest.bad_change("stage", &reply)),
            Err(e) => Err(e),
        };
        match added {
            Err(e) if unclear(&e) => match self.newest_with(value).await {
                Ok(Some(number)) => Ok(number),
                // A version that nothing points to is read by nobody: whether it came or not, another one can be added.
                Ok(None) | Err(_) => Err(e),
            },
            other => other,
        }
    }

    /// A new version with this value, as far as it is one of the newest.
    pub(super) async fn newest_with(&self, value: &SecretText) -> Result<Option<String>> {
        let path = ["v1", "projects", &self.slot.project, "secrets", &self.slot.secret, "versions"];
        let reply = self.rest.get((&path, &[("pageSize", NEWEST), ("filter", "state:ENABLED")])).await?;
        if !reply.is_success() {
            return Err(self.rest.bad_read("list the versions", &reply));
        }
        for version in self.rest.parsed::<Versions>(&reply)?.versions {
            let number = self.number_of(&version.name)?;
            if version.state == "ENABLED" && self.value(&number).await?.is_some_and(|v| v.same_as(value)) {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// What a version holds; none when it is disabled, destroyed or was never there.
    pub(super) async fn value(&self, number: &str) -> Result<Option<SecretText>> {
        let version = format!("{number}:access");
        let path = ["v1", "projects", &self.slot.project, "secrets", &self.slot.secret, "versions", &version];
        let reply = self.rest.get((&path, &[])).await?;
        let gone = match reply.status {
            400 => self.says(&reply) == "FAILED_PRECONDITION",
            404 => self.says(&reply) == "NOT_FOUND",
            _ => false,
        };
        if gone {
            return Ok(None);
        }
        if !reply.is_success() {
            return Err(self.rest.bad_read("read a version", &reply));
        }
        let Some(data) = self.rest.parsed::<Accessed>(&reply)?.payload.data else { return Ok(None) };
        let bytes =
            STANDARD.decode(data.expose()).map(Zeroizing::new).map_err(|_| self.rest.unreadable("a version's data is not base64"))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| self.rest.refused("read a version", "its value is not a text"))?;
        Ok((!text.is_empty()).then(|| SecretText::new(text)))
    }

    /// Makes a version unreadable: so that it can be enabled again, or for good.
    pub(super) async fn bury(&self, number: &str, for_good: bool) -> Result<()> {
        let path = ["v1", "projects", &self.slot.project, "secrets", &self.slot.secret, "versions", number];
        let reply = self.rest.get((&path, &[])).await?;
        if reply.status == 404 && self.says(&reply) == "NOT_FOUND" {
            return Ok(());
        }
        if !reply.is_success() {
            return Err(self.rest.bad_read("look at the old version", &reply));
        }
        let version: Version = self.rest.parsed(&reply)?;
        if version.state == "DESTROYED" || (version.state == "DISABLED" && !for_good) {
            return Ok(());
        }
        let verb = format!("{number}:{}", if for_good { "destroy" } else { "disable" });
        let path = ["v1", "projects", &self.slot.project, "secrets", &self.slot.secret, "versions", &verb];
        let sent = match self.rest.change(Method::POST, (&path, &[]), Some(&WithEtag { etag: &version.etag })).await {
            Ok(reply) if reply.is_success() => Ok(()),
            Ok(reply) => Err(self.rest.bad_change("retire", &reply)),
            Err(e) => Err(e),
        };
        match (sent, self.value(number).await) {
            (Ok(()), Ok(None)) => Ok(()),
            (Err(e), Ok(None)) if unclear(&e) && !for_good => Ok(()),
            (Ok(()), Ok(Some(_))) => Err(self.rest.unreadable("the old version is still readable although that was accepted")),
            (Ok(()), Err(e)) => Err(self.rest.lost(e)),
            (Err(e), Ok(_) | Err(_)) => Err(e),
        }
    }

    /// The number at the end of a version's name.
    fn number_of(&self, name: &str) -> Result<String> {
        let number = name.rsplit('/').next().unwrap_or_default();
        let fits = (1..=20).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
        if fits { Ok(number.to_owned()) } else { Err(self.rest.unreadable("a version has no number")) }
    }
}
