//! The calls.

use super::AzureStore;
use crate::adapters::secrets::rest::{Reply, is_plain};
use crate::ports::Result;
use crate::secret::SecretText;
use reqwest::Method;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// The version of the API that is spoken.
const VERSION: (&str, &str) = ("api-version", "7.4");
/// So many pages of versions are read; the newest can be on any of them.
const MOST_PAGES: usize = 40;

/// One version.
#[derive(Deserialize)]
pub(super) struct Version {
    id: String,
    #[serde(default, deserialize_with = "secret")]
    pub(super) value: Option<SecretText>,
    #[serde(default)]
    pub(super) attributes: Attributes,
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
    #[serde(default, rename = "contentType")]
    pub(super) content_type: Option<String>,
}

#[derive(Default, Deserialize)]
pub(super) struct Attributes {
    #[serde(default)]
    pub(super) enabled: bool,
    #[serde(default)]
    pub(super) created: i64,
    #[serde(default)]
    pub(super) updated: i64,
    #[serde(default)]
    pub(super) exp: Option<i64>,
    #[serde(default)]
    pub(super) nbf: Option<i64>,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    value: Vec<Version>,
    #[serde(default, rename = "nextLink")]
    next: Option<String>,
}

/// What is written.
#[derive(Serialize)]
pub(super) struct New<'a> {
    pub(super) value: &'a str,
    pub(super) tags: &'a BTreeMap<String, String>,
    #[serde(rename = "contentType", skip_serializing_if = "Option::is_none")]
    pub(super) content_type: Option<&'a str>,
    pub(super) attributes: Keep,
}

/// What a new version takes over from the one before.
#[derive(Serialize)]
pub(super) struct Keep {
    pub(super) enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nbf: Option<i64>,
}

#[derive(Serialize)]
struct Switch {
    attributes: Enabled,
}

#[derive(Serialize)]
struct Enabled {
    enabled: bool,
}

#[derive(Deserialize)]
struct Problem {
    error: ProblemCode,
}

#[derive(Deserialize)]
struct ProblemCode {
    code: String,
    #[serde(default)]
    innererror: Option<Box<ProblemCode>>,
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<SecretText>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(SecretText::new))
}

impl Version {
    /// The last part of its id.
    pub(super) fn number(&self) -> &str {
        self.id.rsplit('/').next().unwrap_or_default()
    }
}

/// What a read of the newest version found.
pub(super) enum Newest {
    There(Box<Version>),
    /// It is there, and disabled.
    Disabled,
    Nothing,
}

impl AzureStore {
    /// Whether the vault's own codes say this. Its texts are never shown.
    fn says(&self, reply: &Reply, code: &str) -> bool {
        self.rest.parsed::<Problem>(reply).is_ok_and(|p| p.error.code == code || p.error.innererror.is_some_and(|i| i.code == code))
    }

    /// The newest version of a secret, or a certain one.
    pub(super) async fn version(&self, name: &str, number: Option<&str>) -> Result<Newest> {
        let mut path = vec!["secrets", name];
        path.extend(number);
        let reply = self.rest.get((&path, &[VERSION])).await?;
        if reply.is_success() {
            let version: Version = self.rest.parsed(&reply)?;
            if !is_plain(version.number()) {
                return Err(self.rest.unreadable("a version has no plain id"));
            }
            return Ok(Newest::There(Box::new(version)));
        }
        match reply.status {
            404 if self.says(&reply, "SecretNotFound") => Ok(Newest::Nothing),
            403 if self.says(&reply, "SecretDisabled") => Ok(Newest::Disabled),
            _ => Err(self.rest.bad_read("look", &reply)),
        }
    }

    /// All versions of a secret, without values, newest first.
    pub(super) async fn versions(&self, name: &str) -> Result<Vec<Version>> {
        let mut all: Vec<Version> = Vec::new();
        let mut marker: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let mut query = vec![VERSION, ("maxresults", "25")];
            query.extend(marker.as_deref().map(|m| ("$skiptoken", m)));
            let reply = self.rest.get((&["secrets", name, "versions"], &query)).await?;
            if !reply.is_success() {
                return Err(self.rest.bad_read("list the versions", &reply));
            }
            let page: Page = self.rest.parsed(&reply)?;
            all.extend(page.value.into_iter().filter(|v| is_plain(v.number())));
            // Only the mark is taken from the link: the address stays ours.
            let next = page.next.as_deref().and_then(|n| reqwest::Url::parse(n).ok());
            marker =
                next.and_then(|n| n.query_pairs().find(|(name, _)| name.eq_ignore_ascii_case("$skiptoken")).map(|(_, v)| v.into_owned()));
            if marker.is_none() {
                all.sort_by_key(|v| std::cmp::Reverse(v.attributes.created));
                return Ok(all);
            }
        }
        Err(self.rest.refused("list the versions", "there are more than a thousand; purge some"))
    }

    /// Writes a new version, once.
    pub(super) async fn put(&self, action: &str, name: &str, new: &New<'_>) -> Result<()> {
        let reply = self.rest.change(Method::PUT, (&["secrets", name], &[VERSION]), Some(new)).await?;
        if reply.is_success() {
            return Ok(());
        }
        if reply.status == 409 {
            let why = format!("a deleted secret holds the name {name}; recover or purge it");
            return Err(self.rest.refused(action, &why));
        }
        Err(self.rest.bad_change(action, &reply))
    }

    /// Disables a version; it can be enabled again.
    pub(super) async fn disable(&self, action: &str, name: &str, number: &str) -> Result<()> {
        let body = Switch { attributes: Enabled { enabled: false } };
        let sent = match self.rest.change(Method::PATCH, (&["secrets", name, number], &[VERSION]), Some(&body)).await {
            Ok(reply) if reply.is_success() => Ok(()),
            Ok(reply) => Err(self.rest.bad_change(action, &reply)),
            Err(e) => Err(e),
        };
        match (sent, self.version(name, Some(number)).await) {
            (_, Ok(Newest::Disabled | Newest::Nothing)) => Ok(()),
            (Ok(()), Ok(Newest::There(v))) if !v.attributes.enabled => Ok(()),
            (Ok(()), Ok(Newest::There(_))) => Err(self.rest.unreadable("the version is readable although disabling it was accepted")),
            (Ok(()), Err(e)) => Err(self.rest.lost(e)),
            (Err(e), _) => Err(e),
        }
    }
}
