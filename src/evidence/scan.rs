//! The last look before a bundle leaves: no secret may be in it, and a planted fake proves that the look works.

use super::payload::Payload;
use crate::ports::SealError;
use crate::secret::{Scrubber, SecretText, sha256_hex};
use serde::{Deserialize, Serialize};

/// Version of the scan's rules.
const SCANNER: &str = "deep-1";
/// The label of the planted fake.
const FAKE: &str = "planted fake";
/// How much of a file the fake is planted into: enough to have the file's own text on both sides of it.
const AROUND: usize = 1024;
/// How many places a refusal names.
const NAMED: usize = 8;

/// A secret that must not be in the payload.
pub struct Needle<'a> {
    /// The name under which it may be spoken of.
    pub label: &'a str,
    /// The secret.
    pub secret: &'a SecretText,
}

/// What a scan did: `redaction.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redaction {
    /// Format version.
    pub v: u32,
    /// Version of the scan's rules.
    pub scanner: String,
    /// Labels of secrets that had to be looked for.
    pub required: Vec<String>,
    /// Labels of those that were.
    pub loaded: Vec<String>,
    /// Secrets that were not looked for, and why.
    pub not_searched: Vec<NotSearched>,
    /// Files that were looked through.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many forms of the planted fake had to be found, and how many were.
    pub planted: Planted,
    /// Places with a secret. Always none in a bundle that was written.
    pub hits: u64,
}

/// A secret that was not looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotSearched {
    /// Its label.
    pub label: String,
    /// Why not.
    pub why: String,
}

/// The control of the scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planted {
    /// Forms × kinds of file.
    pub planted: u64,
    /// How many of them the scan found.
    pub found: u64,
}

/// Looks for every needle in every file, its name included.
///
/// # Errors
/// [`SealError::Leak`] with the places when one is found, [`SealError::MissingNeedle`] when the scan is blind to the planted fake.
pub fn scan(payload: &Payload, needles: &[Needle<'_>]) -> Result<Redaction, SealError> {
    let scrubber = Scrubber::new();
    let (mut loaded, mut not_searched) = (Vec::new(), Vec::new());
    for needle in needles {
        let label = needle.label.to_owned();
        if loaded.contains(&label) {
            scrubber.add(needle.label, needle.secret);
        } else if scrubber.add(needle.label, needle.secret) {
            loaded.push(label);
        } else {
            not_searched.push(NotSearched { label, why: "too short to be told from ordinary words".to_owned() });
        }
    }
    loaded.sort();
    let places = find(payload, &scrubber);
    if !places.is_empty() {
        let more = places.len().saturating_sub(NAMED);
        let mut named = places.into_iter().take(NAMED).collect::<Vec<_>>().join("; ");
        if more > 0 {
            named.push_str(&format!("; and {more} more"));
        }
        return Err(SealError::Leak { places: named });
    }
    let planted = plant(payload);
    if planted.found != planted.planted || planted.planted == 0 {
        return Err(SealError::MissingNeedle { needle: "the planted fake, which it must find; the scanner is broken".to_owned() });
    }
    let (bytes, files) = payload.oxum();
    let required = loaded.clone();
    Ok(Redaction { v: 1, scanner: SCANNER.to_owned(), required, loaded, not_searched, files, bytes, planted, hits: 0 })
}

/// Where, never what.
fn find(payload: &Payload, scrubber: &Scrubber) -> Vec<String> {
    let mut places = Vec::new();
    for (path, bytes) in &payload.files {
        for hit in scrubber.deep_find(path.as_bytes()) {
            // The name itself holds the secret: it is not repeated.
            places.push(format!("the name of a file ({}, {})", hit.label, hit.encoding));
        }
        for hit in scrubber.deep_find(bytes) {
            let name = if scrubber.deep_find(path.as_bytes()).is_empty() { path.as_str() } else { "a file" };
            places.push(format!("{name} ({}, {}, near byte {})", hit.label, hit.encoding, hit.offset));
        }
    }
    places.dedup();
    places
}

/// Puts a fake key into a copy of the middle of one file of each kind, in several forms, and looks for it the same way.
fn plant(payload: &Payload) -> Planted {
    // Fixed by the journal it covers, so that the same head gives the same bytes; never written anywhere.
    let fake = format!("sk-fake-{}", sha256_hex(format!("planted {}", payload.head).as_bytes()));
    let scrubber = Scrubber::new();
    scrubber.add(FAKE, &SecretText::new(fake.as_str()));
    let mut kinds: Vec<(&str, &Vec<u8>)> = Vec::new();
    for (path, bytes) in &payload.files {
        let kind = path.rsplit('.').next().unwrap_or_default();
        if kinds.iter().all(|(k, _)| *k != kind) {
            kinds.push((kind, bytes));
        }
    }
    let forms = forms(&fake);
    let mut out = Planted { planted: 0, found: 0 };
    for (_, bytes) in kinds {
        let middle = bytes.len() / 2;
        let head = bytes.get(middle.saturating_sub(AROUND)..middle).unwrap_or_default();
        let tail = bytes.get(middle..bytes.len().min(middle + AROUND)).unwrap_or_default();
        for form in &forms {
            let copy = [head, b" ", form.as_bytes(), b" ", tail].concat();
            out.planted = out.planted.saturating_add(1);
            if scrubber.deep_find(&copy).iter().any(|h| h.label == FAKE) {
                out.found = out.found.saturating_add(1);
            }
        }
    }
    out
}

fn forms(fake: &str) -> Vec<String> {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let hex = crate::secret::hex(fake.as_bytes());
    let percent = fake.bytes().map(|b| format!("%{b:02x}")).collect();
    vec![fake.to_owned(), STANDARD.encode(format!("user:{fake}")), URL_SAFE_NO_PAD.encode(STANDARD.encode(fake)), hex, percent]
}
