//! [`Scrubber`]: the registry of every live secret, and the last thing that text passes on its way out.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use aho_corasick::AhoCorasick;
use serde::Serialize;

use super::{SecretText, peel, renderings};

/// What stands where a secret stood.
pub const REDACTED: &str = "[redacted]";

/// Shorter values are not looked for: they would blacken ordinary words.
const SHORTEST: usize = 8;
/// The deep search looks for any piece this long.
const PIECE: usize = 16;

/// Knows the live secrets of this process and finds them in text. Clones share one registry.
///
/// Its search tables hold the secrets in memory for as long as any clone lives.
#[derive(Clone, Default)]
pub struct Scrubber {
    state: Arc<RwLock<State>>,
}

/// Where a secret was found. Says which one and where, never what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// The name under which the secret was added.
    pub label: String,
    /// The form it was in, the outer layer first: `plain`, `base64 > gzip`.
    pub encoding: String,
    /// The byte where it begins; inside decoded layers, near it.
    pub offset: usize,
}

#[derive(Default)]
struct State {
    needles: Vec<Needle>,
    whole: Table,
    pieces: Table,
}

struct Needle {
    label: String,
    secret: SecretText,
}

/// One search over many patterns, with what each pattern means.
#[derive(Default)]
struct Table {
    search: Option<AhoCorasick>,
    /// Per pattern: index of the needle and name of the form.
    meaning: Vec<(usize, &'static str)>,
    /// The table could not be built; nothing may be called clean.
    broken: bool,
}

impl Scrubber {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a secret under a name that may be shown. Returns whether it is looked for: a value shorter than eight
    /// bytes is not, and a caller that must prove its absence has to say so.
    pub fn add(&self, label: &str, secret: &SecretText) -> bool {
        let value = secret.expose().trim();
        if value.len() < SHORTEST || REDACTED.contains(value) {
            return false;
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let secret = SecretText::new(value);
        if !state.needles.iter().any(|known| known.label == label && known.secret.same_as(&secret)) {
            state.needles.push(Needle { label: label.to_owned(), secret });
            state.rebuild();
        }
        true
    }

    /// The names of all registered secrets, in the order of their arrival.
    pub fn labels(&self) -> Vec<String> {
        self.read().needles.iter().map(|needle| needle.label.clone()).collect()
    }

    /// Every registered secret with its name, for a search that has to be told what to look for.
    pub fn secrets(&self) -> Vec<(String, SecretText)> {
        self.read().needles.iter().map(|needle| (needle.label.clone(), needle.secret.duplicate())).collect()
    }

    /// The text with every secret, in every known form, replaced by [`REDACTED`].
    ///
    /// Scrub before shortening: half a secret is not recognised.
    pub fn scrub(&self, text: &str) -> String {
        // A replaced form never ends inside a character, except in bytes that were no text to begin with.
        String::from_utf8_lossy(&self.scrub_bytes(text.as_bytes())).into_owned()
    }

    /// The same for bytes.
    pub fn scrub_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let state = self.read();
        let mut clean = bytes.to_vec();
        // A replacement can bring two halves together; more than a few rounds means somebody builds it on purpose.
        for _ in 0..4 {
            let spans = state.whole.spans(&clean);
            if spans.is_empty() && !state.whole.broken {
                return clean;
            }
            clean = replace(&clean, &spans);
        }
        REDACTED.as_bytes().to_vec()
    }

    /// Every whole secret in the known forms, for checking what is about to leave.
    pub fn find(&self, bytes: &[u8]) -> Vec<Hit> {
        let state = self.read();
        let mut hits: Vec<Hit> = state.not_searched(&state.whole).into_iter().collect();
        if let Some(search) = &state.whole.search {
            for found in search.find_overlapping_iter(bytes) {
                let (needle, form) = state.whole.of(found.pattern().as_usize());
                let hit = Hit { label: state.label(needle), encoding: form.to_owned(), offset: found.start() };
                if !hits.contains(&hit) {
                    hits.push(hit);
                }
            }
        }
        hits
    }

    /// Any sixteen-character piece of a secret, under up to three layers of encoding and packing.
    ///
    /// Content that cannot be searched to its end (a packed file that grows without end) is a hit as well, named so: a
    /// caller that stops on any hit is safe.
    pub fn deep_find(&self, bytes: &[u8]) -> Vec<Hit> {
        let state = self.read();
        let mut hits: Vec<Hit> = state.not_searched(&state.pieces).into_iter().collect();
        if let Some(search) = &state.pieces.search {
            let look = |layer: &[u8]| state.pieces_in(search, layer);
            for found in peel::search(bytes, &look) {
                let label = found.needle.map_or_else(|| "(not searched to its end)".to_owned(), |n| state.label(n));
                hits.push(Hit { label, encoding: found.layers, offset: found.offset });
            }
        }
        hits
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn rebuild(&mut self) {
        let mut whole: Vec<(Vec<u8>, usize, &'static str)> = Vec::new();
        let mut pieces = Vec::new();
        for (index, needle) in self.needles.iter().enumerate() {
            let value = needle.secret.expose();
            // A secret of several lines is also looked for line by line: that is how logs print it.
            let lines = telling_lines(value).filter(|line| line.len() >= PIECE && *line != value);
            for text in std::iter::once(value).chain(lines) {
                let forms = renderings::of(text).into_iter().filter(|(_, form)| form.len() >= SHORTEST);
                whole.extend(forms.map(|(name, form)| (form, index, name)));
            }
            let body: Vec<u8> = telling_lines(value).flat_map(str::bytes).collect();
            let body = telling_part(&body);
            pieces.extend(body.windows(PIECE.min(body.len()).max(1)).map(|piece| (piece.to_vec(), index, "plain")));
        }
        self.whole = Table::build(whole);
        self.pieces = Table::build(pieces);
    }

    fn label(&self, needle: usize) -> String {
        self.needles.get(needle).map(|needle| needle.label.clone()).unwrap_or_default()
    }

    fn not_searched(&self, table: &Table) -> Option<Hit> {
        let hit = || Hit { label: "(not searched)".to_owned(), encoding: "too many secrets".to_owned(), offset: 0 };
        table.broken.then(hit)
    }

    /// Needle and position of each stretch of pieces; a whole secret is one stretch.
    fn pieces_in(&self, search: &AhoCorasick, layer: &[u8]) -> Vec<(usize, usize)> {
        let mut stretches: Vec<(usize, usize)> = Vec::new();
        let mut last: Option<(usize, usize)> = None;
        for found in search.find_iter(layer) {
            let (needle, _) = self.pieces.of(found.pattern().as_usize());
            if last.is_none_or(|(same, end)| same != needle || found.start() > end) {
                stretches.push((needle, found.start()));
            }
            last = Some((needle, found.end()));
        }
        stretches
    }
}

impl Table {
    fn build(patterns: Vec<(Vec<u8>, usize, &'static str)>) -> Self {
        let meaning = patterns.iter().map(|(_, needle, form)| (*needle, *form)).collect();
        let built = AhoCorasick::builder().ascii_case_insensitive(true).build(patterns.iter().map(|(bytes, ..)| bytes));
        let broken = built.is_err();
        Self { search: built.ok(), meaning, broken }
    }

    fn of(&self, pattern: usize) -> (usize, &'static str) {
        self.meaning.get(pattern).copied().unwrap_or((0, "plain"))
    }

    /// Merged stretches of all matches: where two secrets overlap, neither half may stay.
    fn spans(&self, bytes: &[u8]) -> Vec<(usize, usize)> {
        let Some(search) = &self.search else {
            return Vec::new();
        };
        let mut found: Vec<(usize, usize)> = search.find_overlapping_iter(bytes).map(|m| (m.start(), m.end())).collect();
        found.sort_unstable();
        let mut merged: Vec<(usize, usize)> = Vec::new();
        for (start, end) in found {
            match merged.last_mut() {
                Some((_, last)) if start <= *last => *last = end.max(*last),
                _ => merged.push((start, end)),
            }
        }
        merged
    }
}

fn replace(bytes: &[u8], spans: &[(usize, usize)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    for (start, end) in spans {
        out.extend_from_slice(bytes.get(at..*start).unwrap_or_default());
        out.extend_from_slice(REDACTED.as_bytes());
        at = *end;
    }
    out.extend_from_slice(bytes.get(at..).unwrap_or_default());
    out
}

/// The lines of a secret without the armour of PEM files, which every public certificate has too.
fn telling_lines(value: &str) -> impl Iterator<Item = &str> {
    value.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("-----"))
}

/// What of a secret is secret: of a web hook's address, what follows the host, whose name may stand anywhere.
fn telling_part(body: &[u8]) -> &[u8] {
    let rest = body.strip_prefix(b"https://").or_else(|| body.strip_prefix(b"http://"));
    let path = rest.and_then(|rest| {
        let slash = rest.iter().position(|byte| *byte == b'/')?;
        let (host, path) = rest.split_at_checked(slash + 1)?;
        (!host.contains(&b'@') && path.len() >= SHORTEST).then_some(path)
    });
    path.unwrap_or(body)
}

#[cfg(test)]
#[path = "scrubber_tests.rs"]
mod tests;
