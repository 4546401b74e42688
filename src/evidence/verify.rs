//! Folder → verdict. The folder may be hostile: nothing in it is believed before it is checked, and nothing in it can panic this.

use super::files::{CollectError, collect};
use super::invalid::Invalid;
use super::lines;
use super::negative::EndState;
use super::payload::{BAG_INFO, MANIFEST, Payload, REDACTION, TOOL_VERSION, is_safe_path};
use super::scan::Redaction;
use super::text::plain;
use super::tree;
use crate::rotation::Run;
use crate::secret::sha256_hex;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// What a bundle must be about, as far as the reader knows it from elsewhere: a ticket, an index, an approval.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expect {
    /// Id of the run.
    pub run: Option<String>,
    /// Id of the plan.
    pub plan: Option<String>,
    /// Hash of the last journal line.
    pub head: Option<String>,
    /// SHA-256 of the manifest.
    pub digest: Option<String>,
}

/// A bundle that holds together.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Verified {
    /// The run it is about.
    pub run: String,
    /// The plan it obeyed.
    pub plan_id: String,
    /// Hash of the last journal line it covers.
    pub head: String,
    /// How many lines.
    pub lines: u64,
    /// SHA-256 of its manifest.
    pub digest: String,
    /// How many payload files.
    pub files: usize,
    /// What may be said about the outgoing key.
    pub end_state: EndState,
    /// The version that wrote it.
    pub written_by: String,
    /// Every file was made again from the journal and is the same; false when another version wrote it.
    pub rederived: bool,
    /// What was not established, in words.
    pub not_established: Vec<String>,
}

const REQUIRED: [&str; 12] = [
    "policy.yaml",
    "policy-effective.json",
    "plan.json",
    "journal.jsonl",
    "probes.jsonl",
    "negative-test.json",
    "approvals.json",
    "exceptions.json",
    "versions.json",
    REDACTION,
    "gaps.json",
    "report.md",
];

/// Checks a bundle.
///
/// # Errors
/// With the first thing that does not hold.
pub fn verify(dir: &Path, expect: &Expect) -> Result<Verified, Invalid> {
    let sizes = tree::list(dir)?;
    let manifest_bytes = read(dir, MANIFEST, &sizes)?;
    let manifest = manifest(&manifest_bytes)?;
    let files = contents(dir, &sizes, &manifest)?;
    let bag = BagInfo::read(&read(dir, BAG_INFO, &sizes)?)?;
    if let Some(path) = REQUIRED.into_iter().find(|p| !files.contains_key(*p)) {
        return Err(Invalid::Required { path });
    }
    let sum = files.values().map(|b| b.len()).sum::<usize>();
    let found = format!("{sum}.{}", files.len());
    if bag.oxum != found {
        return Err(Invalid::Oxum { said: plain(&bag.oxum), found });
    }
    let digest = sha256_hex(&manifest_bytes);
    let (run, payload) = journal(&files, &bag)?;
    let end_state = end_state(&files, &payload)?;
    redaction(&files)?;
    let rederived = bag.version == format!("keyroll {TOOL_VERSION}");
    if rederived {
        again(&files, &payload)?;
    }
    for (what, wanted, found) in [
        ("run", &expect.run, &payload.run),
        ("plan", &expect.plan, &payload.plan_id),
        ("a journal with head", &expect.head, &payload.head),
        ("a manifest with digest", &expect.digest, &digest),
    ] {
        if let Some(wanted) = wanted.as_ref().filter(|w| *w != found) {
            return Err(Invalid::Other { what, found: plain(found), wanted: plain(wanted) });
        }
    }
    Ok(Verified {
        run: plain(run.id.as_str()),
        plan_id: payload.plan_id.clone(),
        head: payload.head.clone(),
        lines: payload.lines,
        files: files.len(),
        end_state,
        written_by: plain(&bag.version),
        rederived,
        not_established: not_established(expect, rederived),
        digest,
    })
}

fn not_established(expect: &Expect, rederived: bool) -> Vec<String> {
    let mut out = vec!["who wrote it: the bundle is not signed".to_owned()];
    if expect.head.is_none() && expect.digest.is_none() {
        out.push("that it is the one that was written then: compare its digest or journal head with a copy noted elsewhere".to_owned());
    }
    if !rederived {
        out.push("that report and gate files say what the journal says: another version of keyroll wrote them".to_owned());
    }
    out
}

/// Reads one file, never more of it than its size a moment ago.
fn read(dir: &Path, path: &str, sizes: &BTreeMap<String, u64>) -> Result<Vec<u8>, Invalid> {
    let size = *sizes.get(path).ok_or_else(|| Invalid::Missing { path: plain(path) })?;
    let unreadable = |e: std::io::Error| Invalid::Unreadable { path: plain(path), why: e.kind().to_string() };
    let mut bytes = Vec::new();
    File::open(dir.join(path)).map_err(unreadable)?.take(size.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// Path → digest.
fn manifest(bytes: &[u8]) -> Result<BTreeMap<String, String>, Invalid> {
    let text = std::str::from_utf8(bytes).map_err(|_| Invalid::ManifestLine { line: 1 })?;
    let mut listed = BTreeMap::new();
    for (i, line) in text.lines().enumerate() {
        let bad = || Invalid::ManifestLine { line: i + 1 };
        let (digest, path) = line.split_once("  ").ok_or_else(bad)?;
        if digest.len() != 64 || !digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(bad());
        }
        if !is_safe_path(path) || path == MANIFEST || path == BAG_INFO {
            return Err(Invalid::Path { path: plain(path) });
        }
        if listed.insert(path.to_owned(), digest.to_owned()).is_some() {
            return Err(Invalid::Duplicate { path: plain(path) });
        }
    }
    Ok(listed)
}

/// The payload, if it is exactly what the manifest lists.
fn contents(dir: &Path, sizes: &BTreeMap<String, u64>, manifest: &BTreeMap<String, String>) -> Result<BTreeMap<String, Vec<u8>>, Invalid> {
    if let Some(path) = manifest.keys().find(|p| !sizes.contains_key(*p)) {
        return Err(Invalid::Missing { path: plain(path) });
    }
    let ours = |p: &str| p == MANIFEST || p == BAG_INFO;
    if let Some(path) = sizes.keys().find(|p| !ours(p) && !manifest.contains_key(*p)) {
        return Err(Invalid::Added { path: plain(path) });
    }
    let mut files = BTreeMap::new();
    for (path, digest) in manifest {
        let bytes = read(dir, path, sizes)?;
        if sha256_hex(&bytes) != *digest {
            return Err(Invalid::Changed { path: plain(path) });
        }
        files.insert(path.clone(), bytes);
    }
    Ok(files)
}

struct BagInfo {
    oxum: String,
    head: String,
    lines: String,
    plan: String,
    run: String,
    version: String,
}

impl BagInfo {
    fn read(bytes: &[u8]) -> Result<Self, Invalid> {
        let text = String::from_utf8_lossy(bytes);
        let field = |name: &'static str| {
            let mut values = text.lines().filter_map(|l| l.split_once(": ").filter(|(n, _)| *n == name).map(|(_, v)| v.to_owned()));
            match (values.next(), values.next()) {
                (Some(value), None) => Ok(value),
                _ => Err(Invalid::BagInfo { field: name }),
            }
        };
        Ok(Self {
            oxum: field("Payload-Oxum")?,
            head: field("Journal-Head")?,
            lines: field("Journal-Lines")?,
            plan: field("Plan-Id")?,
            run: field("Run-Id")?,
            version: field("Tool-Version")?,
        })
    }
}

/// The journal inside: whole, unbroken, of the plan it names, and up to the line that was noted.
fn journal(files: &BTreeMap<String, Vec<u8>>, bag: &BagInfo) -> Result<(Run, Payload), Invalid> {
    let bytes = files.get("journal.jsonl").ok_or(Invalid::Required { path: "journal.jsonl" })?;
    let broken = |e: CollectError| Invalid::Journal { why: e.to_string() };
    let parsed = lines::read(bytes).map_err(|e| broken(e.into()))?;
    if parsed.intact != bytes.len() {
        return Err(Invalid::Torn);
    }
    let run = Run::replay(parsed.entries.iter().map(|e| &e.record)).map_err(|e| broken(e.into()))?;
    let payload = collect(&run, bytes, &parsed.entries, &parsed.head);
    if bag.head != payload.head || bag.lines != payload.lines.to_string() {
        let said = format!("line {} (hash {})", plain(&bag.lines), plain(&bag.head));
        return Err(Invalid::Head { found: payload.lines, head: payload.head, said });
    }
    let id = run.plan.id().to_string();
    let plan_file = files.get("plan.json").map(|b| sha256_hex(b)).unwrap_or_default();
    for (said, place) in [(&payload.plan_id, "the journal"), (&bag.plan, BAG_INFO), (&plan_file, "plan.json (by its digest)")] {
        if *said != id {
            return Err(Invalid::PlanId { found: id, said: plain(said), place });
        }
    }
    if bag.run != payload.run {
        return Err(Invalid::Other { what: "run", found: plain(&payload.run), wanted: plain(&bag.run) });
    }
    Ok((run, payload))
}

/// The end state in the file against the one that the journal shows.
fn end_state(files: &BTreeMap<String, Vec<u8>>, payload: &Payload) -> Result<EndState, Invalid> {
    #[derive(Deserialize)]
    struct Stated {
        end_state: EndState,
    }
    let path = "negative-test.json";
    let stated = |bytes: Option<&Vec<u8>>| bytes.and_then(|b| serde_json::from_slice::<Stated>(b).ok()).map(|s| s.end_state);
    let shown = stated(payload.files.get(path)).unwrap_or(EndState::Unknown);
    match stated(files.get(path)) {
        Some(said) if said == shown => Ok(said),
        Some(said) => Err(Invalid::EndState { said: said.name().to_owned(), found: shown.name() }),
        None => Err(Invalid::EndState { said: "not readable".to_owned(), found: shown.name() }),
    }
}

/// A scan that found something, or was blind, is no reason to trust the bundle.
fn redaction(files: &BTreeMap<String, Vec<u8>>) -> Result<(), Invalid> {
    let bytes = files.get(REDACTION).ok_or(Invalid::Required { path: REDACTION })?;
    let read: Redaction = serde_json::from_slice(bytes).map_err(|_| Invalid::Redaction { why: "cannot be read" })?;
    if read.hits != 0 {
        return Err(Invalid::Redaction { why: "says that a secret was found" });
    }
    if read.planted.planted == 0 || read.planted.planted != read.planted.found {
        return Err(Invalid::Redaction { why: "says that the scan missed the planted fake" });
    }
    let accounted = |l: &String| read.loaded.contains(l) || read.not_searched.iter().any(|n| n.label == *l);
    if !read.required.iter().all(accounted) {
        return Err(Invalid::Redaction { why: "names a required secret that was neither looked for nor explained" });
    }
    Ok(())
}

/// Every other file made again from the journal, byte by byte.
fn again(files: &BTreeMap<String, Vec<u8>>, payload: &Payload) -> Result<(), Invalid> {
    for (path, bytes) in files.iter().filter(|(p, _)| *p != REDACTION) {
        if payload.files.get(path) != Some(bytes) {
            return Err(Invalid::NotFromJournal { path: plain(path) });
        }
    }
    match payload.files.keys().find(|p| !files.contains_key(*p)) {
        Some(path) => Err(Invalid::Missing { path: plain(path) }),
        None => Ok(()),
    }
}
