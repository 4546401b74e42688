//! What is read of a Secret: our key of its data, and who else writes it. Its other values are never unpacked.

use super::problem::Problem;
use crate::secret::SecretText;
use crate::support::text::clean_to;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// One Secret at one moment.
pub(crate) struct Object {
    pub(crate) uid: String,
    pub(crate) version: String,
    pub(crate) immutable: bool,
    pub(crate) value: Option<SecretText>,
    pub(crate) meta: Meta,
}

/// Who it belongs to and who wrote it.
#[derive(Debug, Default)]
pub(crate) struct Meta {
    pub(crate) labels: BTreeMap<String, String>,
    /// Names only: kubectl keeps a copy of all values in one of them.
    pub(crate) annotations: Vec<String>,
    /// What ours say.
    pub(crate) notes: BTreeMap<String, String>,
    pub(crate) owners: Vec<Owner>,
    pub(crate) writers: Vec<Writer>,
}

/// An object that this one belongs to.
#[derive(Debug, Deserialize)]
pub(crate) struct Owner {
    pub(crate) kind: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) controller: Option<bool>,
}

/// Who wrote a part of it, by the server's own record.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) manager: String,
    /// Milliseconds since 1970, to the second.
    pub(crate) at: Option<i64>,
    /// It wrote our key.
    pub(crate) ours: bool,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    metadata: WireMeta<'a>,
    #[serde(default)]
    immutable: Option<bool>,
    #[serde(borrow, default)]
    data: Option<BTreeMap<Cow<'a, str>, &'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMeta<'a> {
    uid: String,
    resource_version: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(borrow, default)]
    annotations: Option<BTreeMap<Cow<'a, str>, &'a RawValue>>,
    #[serde(default)]
    owner_references: Option<Vec<Owner>>,
    #[serde(borrow, default)]
    managed_fields: Option<Vec<WireWriter<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireWriter<'a> {
    #[serde(default)]
    manager: Option<String>,
    #[serde(default)]
    time: Option<String>,
    #[serde(borrow, default, rename = "fieldsV1")]
    fields: Option<&'a RawValue>,
}

/// What every annotation of ours begins with.
pub(crate) const NOTE: &str = "keyroll/";

impl Object {
    /// Reads an answer.
    pub(crate) fn parse(body: &[u8], key: &str) -> Result<Self, Problem> {
        let bad = |why: &str| Problem::Unreadable(why.to_owned());
        let wire: Wire<'_> = serde_json::from_slice(body).map_err(|_| bad("the answer is no Secret"))?;
        let value = match wire.data.as_ref().and_then(|data| data.get(key)) {
            None => None,
            Some(raw) => {
                let packed: Zeroizing<String> =
                    Zeroizing::new(serde_json::from_str(raw.get()).map_err(|_| bad("the value of our key is no text"))?);
                let bytes = Zeroizing::new(STANDARD.decode(packed.as_bytes()).map_err(|_| bad("the value of our key is no base64"))?);
                let text = std::str::from_utf8(&bytes).map_err(|_| bad("the value of our key is no text"))?;
                let text = text.trim_end_matches(['\n', '\r']);
                Some(SecretText::new(text)).filter(|v| !v.is_empty())
            }
        };
        let mut meta = Meta { labels: wire.metadata.labels.unwrap_or_default(), ..Meta::default() };
        for (name, raw) in wire.metadata.annotations.unwrap_or_default() {
            if name.starts_with(NOTE) {
                let said: String = serde_json::from_str(raw.get()).unwrap_or_default();
                meta.notes.insert(name.into_owned(), clean_to(&said, 120));
            } else {
                meta.annotations.push(name.into_owned());
            }
        }
        meta.owners = wire.metadata.owner_references.unwrap_or_default();
        meta.writers = wire.metadata.managed_fields.unwrap_or_default().into_iter().map(|w| w.read(key)).collect();
        let (uid, version) = (clean_to(&wire.metadata.uid, 64), clean_to(&wire.metadata.resource_version, 64));
        if uid.is_empty() || version.is_empty() {
            return Err(bad("the answer is no Secret"));
        }
        Ok(Self { uid, version, immutable: wire.immutable == Some(true), value, meta })
    }

    /// When our key was last written, by the server's clock: no later than this, and to the second.
    pub(crate) fn written_at(&self) -> Option<i64> {
        self.meta.writers.iter().filter(|w| w.ours).map(|w| w.at).max().flatten()
    }
}

impl WireWriter<'_> {
    fn read(self, key: &str) -> Writer {
        let fields: Option<serde_json::Value> = self.fields.and_then(|f| serde_json::from_str(f.get()).ok());
        let of_data = fields.as_ref().and_then(|f| f.get("f:data"));
        let ours = of_data.is_some_and(|data| data.get(format!("f:{key}")).is_some());
        let at = self.time.as_deref().and_then(crate::rotation::Time::parse).map(|t| t.0);
        Writer { manager: clean_to(&self.manager.unwrap_or_default(), 80), at, ours }
    }
}

/// A value as the API takes it.
pub(super) fn packed(value: &SecretText) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(value.expose()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(data: &serde_json::Value) -> Result<Object, Problem> {
        let whole = json!({
            "metadata": {
                "uid": "u-1", "resourceVersion": "17",
                "annotations": { "kubectl.kubernetes.io/last-applied-configuration": "{}", "keyroll/run": "r1" },
                "managedFields": [
                    { "manager": "external-secrets", "time": "2027-01-15T08:00:00Z", "fieldsV1": { "f:data": { "f:api_key": {} } } },
                    { "manager": "keyroll", "time": "2027-01-15T09:00:00Z", "fieldsV1": { "f:metadata": {} } },
                ],
            },
            "data": data,
        });
        Object::parse(whole.to_string().as_bytes(), "api_key")
    }

    #[test]
    fn our_key_and_who_wrote_it() {
        let found = object(&json!({ "api_key": STANDARD.encode("sk-1\n"), "db": "####" })).unwrap();
        assert_eq!(
            found.value.as_ref().map(SecretText::expose),
            Some("sk-1"),
            "a line end is nobody's secret, another key nobody's business"
        );
        assert_eq!(found.written_at(), Some(1_800_000_000_000));
        assert_eq!(found.meta.notes.get("keyroll/run").map(String::as_str), Some("r1"));
        assert_eq!(found.meta.annotations, ["kubectl.kubernetes.io/last-applied-configuration"]);
    }

    #[test]
    fn nothing_and_garbage_are_told_apart() {
        assert!(object(&json!({})).unwrap().value.is_none());
        assert!(object(&json!({ "api_key": "" })).unwrap().value.is_none());
        assert!(object(&json!({ "api_key": "#" })).is_err());
        assert!(object(&json!({ "api_key": 7 })).is_err());
        assert!(object(&json!({ "api_key": STANDARD.encode([0xff, 0xfe]) })).is_err());
        assert!(Object::parse(b"{}", "api_key").is_err());
    }
}
