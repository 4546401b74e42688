//! Takes layers of encoding off a file and has each layer searched: the deep half of the scrubber.
//!
//! Line breaks, colour codes and invisible characters are taken out at no cost; every other layer counts, and three are
//! taken off. Where an encoding has no fixed start, every alignment is tried.

mod escapes;
mod packed;
mod runs;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use super::view::View;

/// So many layers are taken off.
const DEPTH: usize = 3;
/// More findings than this in one file tell nobody anything new.
const MOST_FINDINGS: usize = 200;
/// Findings of one secret closer than this are one finding, seen in two layers.
const SAME_PLACE: usize = 256;
/// The work done for one file: this, and [`WORK_PER_BYTE`] for each of its bytes.
const WORK: usize = 64 << 20;
const WORK_PER_BYTE: usize = 200;

/// Where a needle was found, or with no needle: what could not be searched to its end.
pub(super) struct Found {
    pub(crate) needle: Option<usize>,
    pub(crate) layers: String,
    pub(crate) offset: usize,
}

/// Finds needle and position in one layer.
type Look<'l> = &'l dyn Fn(&[u8]) -> Vec<(usize, usize)>;

/// Searches `bytes` and what is packed and encoded in them.
pub(super) fn search(bytes: &[u8], look: Look<'_>) -> Vec<Found> {
    let mut walk = Walk {
        look,
        work_left: bytes.len().saturating_mul(WORK_PER_BYTE).saturating_add(WORK),
        hasher: RandomState::new(),
        seen: HashMap::new(),
        found: Vec::new(),
    };
    walk.visit(&View::top(bytes));
    settle(walk.found, bytes.len())
}

struct Walk<'l> {
    look: Look<'l>,
    work_left: usize,
    hasher: RandomState,
    /// Layers that were searched already, with the least depth they were met at.
    seen: HashMap<u64, usize>,
    /// Findings with the depth of their layer.
    found: Vec<(usize, Found)>,
}

impl Walk<'_> {
    fn visit(&mut self, view: &View<'_>) {
        let key = self.hasher.hash_one(&*view.bytes);
        if self.seen.get(&key).is_some_and(|depth| *depth <= view.depth) {
            return;
        }
        self.seen.insert(key, view.depth);
        let Some(work_left) = self.work_left.checked_sub(view.bytes.len()) else {
            self.work_left = 0;
            self.not_to_its_end(view, 0);
            return;
        };
        self.work_left = work_left;
        for (needle, position) in (self.look)(&view.bytes) {
            let layers = if view.layers.is_empty() { "plain".to_owned() } else { view.layers.clone() };
            self.add(view, Found { needle: Some(needle), layers, offset: view.in_file(position) });
        }
        if let Some(child) = escapes::joined(view) {
            self.visit(&child);
        }
        if view.depth >= DEPTH {
            return;
        }
        for decode in escapes::ALL.iter().chain(runs::ALL) {
            if let Some(child) = decode(view) {
                self.visit(&child);
            }
        }
        for alignment in 0..runs::BASE64_ALIGNMENTS {
            if let Some(child) = runs::base64(view, alignment) {
                self.visit(&child);
            }
        }
        for alignment in 0..runs::BASE32_ALIGNMENTS {
            if let Some(child) = runs::base32(view, alignment) {
                self.visit(&child);
            }
        }
        let unpacked = packed::unpack(view, self.work_left);
        if let Some(position) = unpacked.cut_at {
            self.not_to_its_end(view, position);
        }
        if let Some(child) = unpacked.view {
            self.visit(&child);
        }
    }

    fn not_to_its_end(&mut self, view: &View<'_>, position: usize) {
        let layers = format!("{} too large to search", view.layers).trim_start().to_owned();
        self.add(view, Found { needle: None, layers, offset: view.in_file(position) });
    }

    fn add(&mut self, view: &View<'_>, found: Found) {
        if self.found.len() < MOST_FINDINGS {
            self.found.push((view.depth, found));
        }
    }
}

/// The shallowest finding of each place, in the order of the file.
fn settle(mut found: Vec<(usize, Found)>, length: usize) -> Vec<Found> {
    let is_plain = |finding: &Found| finding.layers == "plain";
    found.sort_by_key(|(depth, finding)| (*depth, !is_plain(finding), finding.offset));
    let mut kept: Vec<Found> = Vec::new();
    for (_, mut finding) in found {
        finding.offset = finding.offset.min(length.saturating_sub(1));
        let known = |other: &Found| other.needle == finding.needle && other.offset.abs_diff(finding.offset) < SAME_PLACE;
        // Two plain findings are two places, however close.
        if is_plain(&finding) || !kept.iter().any(known) {
            kept.push(finding);
        }
    }
    kept.sort_by_key(|finding| finding.offset);
    kept
}
