//! Resources in the file that every process reads when it gets SIGHUP. The whole file is good or nothing of it is taken.
//!
//! Ids come from names, so a new row has a name of its own, and our notes are in a file beside this one: text in a row's name would change
//! its id. A file that is written here keeps the comments at its beginning and no others.

use super::documents::{Document, Note, Resources};
use super::live::Landed;
use crate::ports::{PortError, Result};
use crate::rotation::{Marker, Time};
use crate::secret::{Scrubber, sha256_hex};
use crate::support::atomic;
use crate::support::child::{self, Child};
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// The namespace of ids that come from names.
const NAMESPACE: [u8; 16] = [0x63, 0xe5, 0x0a, 0xb2, 0x67, 0x7a, 0x54, 0xd3, 0x8d, 0x1e, 0xc0, 0xcb, 0x29, 0xce, 0xae, 0x94];
/// What a temporary file's name holds.
const TAG: &str = "keyroll";

/// How the file is reached.
pub struct FileAccess {
    /// Its path.
    pub path: PathBuf,
    /// A program with its arguments that sends SIGHUP to every process.
    pub reload: Vec<String>,
    /// Variables that the program never gets.
    pub withhold: Vec<String>,
    /// What the program says is cleaned by it.
    pub scrubber: Scrubber,
}

pub(super) struct FileStore {
    access: FileAccess,
    /// What the file held before our last write, and the digest of what we wrote.
    before: RefCell<Option<(String, Zeroizing<Vec<u8>>)>>,
}

/// The file as it was read.
struct Read {
    bytes: Zeroizing<Vec<u8>>,
    value: Map<String, Value>,
}

impl Read {
    fn digest(&self) -> String {
        sha256_hex(&self.bytes)
    }
}

/// Our notes as they are kept: by kind and id, the marker and when the row was made.
type Kept = BTreeMap<String, (String, Option<String>)>;

/// The id of a row by its name: version 5 of a UUID, as the gateway makes it.
pub(super) fn id_of(kind: &str, name: &str) -> String {
    let mut text = NAMESPACE.to_vec();
    text.extend_from_slice(format!("{kind}/{name}").as_bytes());
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &text);
    let mut bytes: Vec<u8> = digest.as_ref().iter().take(16).copied().collect();
    if let [_, _, _, _, _, _, version, _, variant, ..] = bytes.as_mut_slice() {
        *version = (*version & 0x0f) | 0x50;
        *variant = (*variant & 0x3f) | 0x80;
    }
    let hex = crate::secret::hex(&bytes);
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().to_owned();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

impl FileStore {
    pub(super) fn new(access: FileAccess) -> Self {
        Self { access, before: RefCell::new(None) }
    }

    fn system(&self) -> String {
        format!("the resources in {}", self.access.path.display())
    }

    fn away(&self, why: impl Into<String>, may_have_happened: bool) -> PortError {
        PortError::Unreachable { system: self.system(), why: why.into(), may_have_happened }
    }

    fn conflict(&self, action: &str, why: &str) -> PortError {
        PortError::Conflict { system: self.system(), action: action.to_owned(), why: why.to_owned() }
    }

    pub(super) fn about(&self) -> (String, String, String, String) {
        let path = std::fs::canonicalize(&self.access.path).unwrap_or_else(|_| self.access.path.clone());
        (format!("file:{}", path.display()), "a file of resources".into(), "the user of this process".into(), String::new())
    }

    fn load(&self) -> Result<Read> {
        let bytes = Zeroizing::new(std::fs::read(&self.access.path).map_err(|e| self.away(e.to_string(), false))?);
        let unreadable = |why: &str| PortError::Unreadable { system: self.system(), why: why.to_owned() };
        let text = std::str::from_utf8(&bytes).map_err(|_| unreadable("it is no text"))?;
        // What the parser says may repeat a piece of the file.
        let value: Value = serde_yaml::from_str(text).map_err(|_| unreadable("it is no YAML document"))?;
        match value {
            Value::Object(value) if value.get("_format_version") == Some(&json!("1")) => Ok(Read { bytes, value }),
            _ => Err(unreadable("it does not say `_format_version: \"1\"`")),
        }
    }

    fn beside(&self) -> PathBuf {
        let name = self.access.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        self.access.path.with_file_name(format!("{name}.keyroll.json"))
    }

    fn notes(&self) -> Result<Kept> {
        match std::fs::read(self.beside()) {
            Ok(text) => serde_json::from_slice(&text).map_err(|_| self.away("the notes beside it cannot be read", false)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Kept::new()),
            Err(e) => Err(self.away(e.to_string(), false)),
        }
    }

    fn note(&self, place: (&str, &str), (marker, made_at): (&Marker, Option<Time>)) -> Result<()> {
        let mut notes = self.notes()?;
        notes.insert(format!("{}/{}", place.0, place.1), (marker.as_str().to_owned(), made_at.map(Time::rfc3339)));
        let text = serde_json::to_vec_pretty(&notes).map_err(|e| self.away(e.to_string(), false))?;
        atomic::replace(&self.beside(), &text, &atomic::Options::tagged(TAG)).map_err(|e| self.away(e.to_string(), false))
    }

    /// Everything in the file, with ids in place of names.
    pub(super) fn read(&self) -> Result<Resources> {
        let read = self.load()?;
        let mut documents = Vec::new();
        for (kind, rows) in &read.value {
            for (n, row) in rows.as_array().into_iter().flatten().enumerate() {
                let fields = row.as_object().map(by_id);
                let name = row.get("display_name").and_then(Value::as_str);
                let id = name.map_or_else(|| format!("row-{n}"), |name| id_of(kind, name));
                documents.push(Document { kind: kind.clone(), id, fields, revision: 0 });
            }
        }
        let note = |(place, (marker, made_at)): (String, (String, Option<String>))| {
            let (kind, id) = place.split_once('/')?;
            let made_at = made_at.as_deref().and_then(Time::parse);
            Some(((kind.to_owned(), id.to_owned()), Note { marker, made_at }))
        };
        let notes = self.notes()?.into_iter().filter_map(note).collect();
        Ok(Resources { revision: 0, digest: read.digest(), documents, notes })
    }

    /// Makes a row; its id comes from its name.
    pub(super) async fn create(&self, kind: &str, fields: &Map<String, Value>, note: (&Marker, Option<Time>)) -> Result<(String, Landed)> {
        const ACTION: &str = "mint a key";
        let name = fields.get("display_name").and_then(Value::as_str).unwrap_or_default();
        let id = id_of(kind, name);
        // Said before the row is there: a note without its row is nothing, a row without its note would be nobody's.
        self.note((kind, &id), note)?;
        let landed = self
            .edit(ACTION, |file| {
                let read = file.get_mut(kind).and_then(Value::as_array_mut).ok_or("it has no list of this kind")?;
                if read.iter().any(|row| row.get("display_name").and_then(Value::as_str) == Some(name)) {
                    return Err("a row of this name exists");
                }
                read.push(Value::Object(escaped(fields)));
                Ok(())
            })
            .await?;
        Ok((id, landed))
    }

    /// Writes a whole row in place of the one that was read.
    pub(super) async fn replace(&self, action: &str, from: &Document, fields: &Map<String, Value>) -> Result<Landed> {
        self.edit(action, |file| {
            let keys = names_of(file);
            let row = row_of(file, from).ok_or("somebody has changed it meanwhile")?;
            *row = Value::Object(by_name(fields, &keys).ok_or("the key that it is to point at is not in the file")?);
            Ok(())
        })
        .await
    }

    /// Removes a row, if the file is as it was when it was looked through.
    pub(super) async fn remove(&self, document: &Document, scanned: &Resources) -> Result<Landed> {
        const ACTION: &str = "delete a key";
        if self.load()?.digest() != scanned.digest {
            return Err(self.conflict(ACTION, "somebody has changed the file meanwhile"));
        }
        self.edit(ACTION, |file| {
            row_of(file, document).ok_or("somebody has changed it meanwhile")?;
            let rows = file.get_mut(&document.kind).and_then(Value::as_array_mut).ok_or("its list is gone")?;
            let gone = document.text("display_name");
            rows.retain(|row| row.get("display_name").and_then(Value::as_str) != Some(gone));
            Ok(())
        })
        .await
    }

    /// Replaces our text on a row. The gateway is not told: it knows nothing of it.
    pub(super) fn mark(&self, document: &Document, note: (&Marker, Option<Time>)) -> Result<()> {
        self.note((&document.kind, &document.id), note)
    }

    /// One change of the file as it is now, and SIGHUP to every process.
    async fn edit(
        &self,
        action: &str,
        change: impl FnOnce(&mut Map<String, Value>) -> std::result::Result<(), &'static str>,
    ) -> Result<Landed> {
        let read = self.load()?;
        let mut value = read.value.clone();
        change(&mut value).map_err(|why| self.conflict(action, why))?;
        let refused = |why: &str| PortError::Refused { system: self.system(), action: action.to_owned(), why: why.to_owned() };
        let whole = Value::Object(value);
        let yaml = serde_yaml::to_string(&whole).map_err(|_| refused("it cannot be written as YAML"))?;
        // What is written must be read as what was meant.
        let same = serde_yaml::from_str::<Value>(&yaml).is_ok_and(|again| again == whole);
        let text = if same { yaml } else { whole.to_string() + "\n" };
        let text = Zeroizing::new([comments(&read.bytes), text.into_bytes()].concat());
        if self.load()?.digest() != read.digest() {
            return Err(self.conflict(action, "somebody has changed the file meanwhile"));
        }
        let digest = sha256_hex(&text);
        atomic::replace(&self.access.path, &text, &atomic::Options::tagged(TAG)).map_err(|e| self.away(e.to_string(), true))?;
        if let Ok(mut before) = self.before.try_borrow_mut() {
            *before = Some((digest.clone(), read.bytes));
        }
        self.reload().await?;
        Ok(Landed::File(digest))
    }

    /// Puts back what the file held before our last write, if it is still ours. The answer is what must be taken now.
    pub(super) async fn take_back(&self) -> Result<Option<Landed>> {
        let before = self.before.try_borrow_mut().ok().and_then(|mut before| before.take());
        let Some((ours, bytes)) = before else { return Ok(None) };
        if std::fs::read(&self.access.path).ok().map(|now| sha256_hex(&now)) != Some(ours) {
            return Ok(None);
        }
        atomic::replace(&self.access.path, &bytes, &atomic::Options::tagged(TAG)).map_err(|e| self.away(e.to_string(), true))?;
        self.reload().await?;
        Ok(Some(Landed::File(sha256_hex(&bytes))))
    }

    async fn reload(&self) -> Result<()> {
        let failed = |why: String| self.away(format!("the file is written, and the processes were not told: {why}"), true);
        let Some((program, arguments)) = self.access.reload.split_first() else { return Err(failed("no program is named".into())) };
        let mut child = Child::new(program, arguments);
        child.withhold.clone_from(&self.access.withhold);
        let finished = child::run(&child, &self.access.scrubber, |_| Ok(())).await.map_err(|e| failed(e.to_string()))?;
        if finished.succeeded() { Ok(()) } else { Err(failed(finished.complaint)) }
    }
}

/// The comments at the beginning of a file.
fn comments(bytes: &[u8]) -> Vec<u8> {
    let lines = bytes.split_inclusive(|b| *b == b'\n');
    lines.take_while(|line| line.starts_with(b"#") || line.trim_ascii().is_empty()).flatten().copied().collect()
}

/// A row with the id of the key that it points at in place of its name.
fn by_id(row: &Map<String, Value>) -> Map<String, Value> {
    let mut fields = row.clone();
    if let Some(Value::String(name)) = fields.remove("provider_key") {
        fields.insert("provider_key_id".into(), json!(id_of("provider_keys", &name)));
    }
    fields
}

/// Names of provider keys by their ids.
fn names_of(file: &Map<String, Value>) -> BTreeMap<String, String> {
    let rows = file.get("provider_keys").and_then(Value::as_array).into_iter().flatten();
    let names = rows.filter_map(|row| row.get("display_name").and_then(Value::as_str));
    names.map(|name| (id_of("provider_keys", name), name.to_owned())).collect()
}

/// The other way round; none when the key is not in the file.
fn by_name(fields: &Map<String, Value>, keys: &BTreeMap<String, String>) -> Option<Map<String, Value>> {
    let mut row = fields.clone();
    if let Some(Value::String(id)) = row.remove("provider_key_id") {
        row.insert("provider_key".into(), json!(keys.get(&id)?));
    }
    Some(row)
}

/// The row as it was read, if it still is.
fn row_of<'f>(file: &'f mut Map<String, Value>, from: &Document) -> Option<&'f mut Value> {
    let name = from.text("display_name").to_owned();
    let rows = file.get_mut(&from.kind)?.as_array_mut()?;
    let row = rows.iter_mut().find(|row| row.get("display_name").and_then(Value::as_str) == Some(&name))?;
    (row.as_object().map(by_id) == from.fields).then_some(row)
}

/// A row of ours: what is drawn or supplied may hold a `$`, which the file writes twice. What was copied from a row is as it was there.
fn escaped(fields: &Map<String, Value>) -> Map<String, Value> {
    let mut row = fields.clone();
    for name in ["api_key", "secret"] {
        if let Some(Value::String(value)) = row.get_mut(name) {
            *value = value.replace('$', "$$");
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_from_names_as_everywhere() {
        // Computed with another program.
        assert_eq!(id_of("provider_keys", "openai-main"), "60e946aa-8548-57ed-9cdf-093de0395783");
        assert_ne!(id_of("provider_keys", "openai-main"), id_of("models", "openai-main"));
        let id = id_of("api_keys", "app");
        assert!(id.len() == 36 && id.as_bytes().get(14) == Some(&b'5'), "{id}");
    }

    #[test]
    fn comments_at_the_beginning_stay() {
        assert_eq!(comments(b"# a\n\n# b\nx: 1 # c\n# d\n"), b"# a\n\n# b\n");
    }
}
