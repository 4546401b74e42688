//! The bundle in memory: relative paths and bytes, the manifest over them, and the tag file beside it.

use crate::secret::sha256_hex;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The list of every payload file and its SHA-256, in the form of `sha256sum`.
pub const MANIFEST: &str = "manifest-sha256.txt";
/// Counts and origin; with the manifest the only file that the manifest does not list.
pub const BAG_INFO: &str = "bag-info.txt";
/// What the scan for secrets found; the only payload file that is not a function of the journal.
pub const REDACTION: &str = "redaction.json";
/// The version that is named in every bundle. The same journal and the same version give the same bytes.
pub const TOOL_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Everything that goes into a bundle, without manifest and tag file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Payload {
    /// The run.
    pub run: String,
    /// The plan it obeyed.
    pub plan_id: String,
    /// Hash of the last journal line it covers.
    pub head: String,
    /// How many lines those are.
    pub lines: u64,
    /// Relative path → bytes.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Payload {
    /// The manifest: `<hex>  <path>` a line, sorted by path.
    pub fn manifest(&self) -> String {
        let mut text = String::new();
        for (path, bytes) in &self.files {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}  {path}", sha256_hex(bytes));
        }
        text
    }

    /// Bytes and number of all payload files.
    pub fn oxum(&self) -> (u64, u64) {
        let bytes = self.files.values().map(|b| u64::try_from(b.len()).unwrap_or(u64::MAX)).fold(0, u64::saturating_add);
        (bytes, u64::try_from(self.files.len()).unwrap_or(u64::MAX))
    }

    /// The tag file.
    pub fn bag_info(&self) -> String {
        let (bytes, count) = self.oxum();
        format!(
            "Payload-Oxum: {bytes}.{count}\nJournal-Head: {}\nJournal-Lines: {}\nRun-Id: {}\nPlan-Id: {}\nTool-Version: keyroll {TOOL_VERSION}\n",
            self.head, self.lines, self.run, self.plan_id
        )
    }

    /// SHA-256 of the manifest: the one number that stands for the whole bundle.
    pub fn digest(&self) -> String {
        sha256_hex(self.manifest().as_bytes())
    }
}

/// A path that a bundle may hold: relative, without tricks, the same on every system.
pub(super) fn is_safe_path(path: &str) -> bool {
    let part = |p: &str| {
        !p.is_empty()
            && p.len() <= 160
            && !p.starts_with('.')
            && !p.ends_with('.')
            && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
    };
    path.len() <= 400 && path.split('/').count() <= 4 && path.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_paths_are_safe() {
        for bad in ["", "/etc/passwd", "../x", "a/../b", "a//b", "a\\b", "c:x", "A.json", "a\nb", ".hidden", "a/.", "nul ", "a/b/c/d/e"] {
            assert!(!is_safe_path(bad), "{bad:?}");
        }
        for good in ["report.md", "phases/01-prepare.json", "gates/way-back/returned-app-old.json", "manifest-sha256.txt"] {
            assert!(is_safe_path(good), "{good:?}");
        }
    }
}
