//! From patterns to files, and from files to writers.

use std::io;
use std::path::{Path, PathBuf};

/// A file to read, and the writer (shard) its rows belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) shard: String,
}

/// Files that the patterns mean now, with their rotated siblings, and every writer named by a pattern without `*`.
///
/// A folder or file that is not there is no error: its writer is then silent, and a silent writer blocks.
pub(super) fn find(patterns: &[String]) -> io::Result<(Vec<Found>, Vec<String>)> {
    let mut found = Vec::new();
    let mut named = Vec::new();
    for pattern in patterns {
        let path = Path::new(pattern);
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            Some(_) | None => PathBuf::from("."),
        };
        let wanted = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if !wanted.contains('*') {
            named.push(pattern.clone());
        }
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let base = base(&name);
            let matches = matches(&wanted, &name) || matches(&wanted, base);
            if !matches || packed(&name) || !entry.path().is_file() {
                continue;
            }
            let shard =
                if wanted.contains('*') { path.with_file_name(without_date(base)).to_string_lossy().into_owned() } else { pattern.clone() };
            found.push(Found { path: entry.path(), shard });
        }
    }
    // Rotated files are the older ones and sort after the live one by name; the order does not matter for counting.
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    Ok((found, named))
}

/// The name without what rotation appends: `a.jsonl.1`, `a.jsonl-20260131`, `a.jsonl.2026-01-31`.
fn base(name: &str) -> &str {
    let end = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-' || c == '_' || c == 'T' || c == '.' || c == ':');
    let cut = name.get(end.len()..).unwrap_or_default();
    let numbered = cut.starts_with(['.', '-']) && cut.chars().any(|c| c.is_ascii_digit());
    // `replica-0` has no extension before its number: that is a name, not a rotation.
    if numbered && end.contains('.') && !end.starts_with('.') { end } else { name }
}

/// Daily files of one writer are one writer: `app-2026-01-31.jsonl` → `app.jsonl`. Only a real date is taken out.
fn without_date(name: &str) -> String {
    for (at, _) in name.char_indices() {
        let rest = name.get(at..).unwrap_or_default();
        let Some(rest) = rest.strip_prefix(['-', '_', '.']) else { continue };
        if let Some(length) = date(rest) {
            let after = rest.get(length..).unwrap_or_default();
            return format!("{}{after}", name.get(..at).unwrap_or_default());
        }
    }
    name.to_owned()
}

/// The length of a date, and of a time of day after it, at the start of a text.
fn date(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let number = |at: usize, digits: usize| -> Option<u32> {
        let part = text.get(at..at.checked_add(digits)?)?;
        if part.bytes().all(|b| b.is_ascii_digit()) { part.parse().ok() } else { None }
    };
    let separator = |at: usize| usize::from(bytes.get(at).is_some_and(|b| b"-_.".contains(b)));
    let year = number(0, 4)?;
    let mut at = 4 + separator(4);
    let month = number(at, 2)?;
    at += 2 + separator(at + 2);
    let day = number(at, 2)?;
    at += 2;
    if !(2000..2200).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // An hour may follow, and minutes.
    for _ in 0..3 {
        let skip = usize::from(bytes.get(at).is_some_and(|b| b"-_T:".contains(b)));
        match number(at + skip, 2) {
            Some(part) if part < 60 => at += skip + 2,
            Some(_) | None => break,
        }
    }
    let ends = bytes.get(at).is_none_or(|b| !b.is_ascii_digit());
    ends.then_some(at)
}

fn packed(name: &str) -> bool {
    [".gz", ".zst", ".bz2", ".xz"].iter().any(|end| name.ends_with(end))
}

/// `*` stands for any part of a name.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(head) else { return false };
    let parts: Vec<&str> = rest.split('*').collect();
    let Some((last, middle)) = parts.split_last() else { return true };
    for part in middle {
        match name.find(part) {
            Some(at) => name = name.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_any_part() {
        assert!(matches("replica-*.jsonl", "replica-0.jsonl") && matches("*", "x") && matches("a*b*c", "a1b2c"));
        assert!(!matches("replica-*.jsonl", "replica-0.json") && !matches("a*b*c", "acb") && !matches("ab*ba", "aba"));
    }

    #[test]
    fn rotated_siblings_belong_to_their_file() {
        for rotated in ["a.jsonl.1", "a.jsonl.12", "a.jsonl-20260131", "a.jsonl.2026-01-31", "a.jsonl"] {
            assert_eq!(base(rotated), "a.jsonl", "{rotated}");
        }
        assert_eq!(base("replica-0"), "replica-0");
        assert_eq!(base("replica-0.jsonl"), "replica-0.jsonl");
    }

    #[test]
    fn only_a_date_is_taken_out_of_a_name() {
        assert_eq!(without_date("app-2026-01-31.jsonl"), "app.jsonl");
        assert_eq!(without_date("app_20260131T1200.jsonl"), "app.jsonl");
        for kept in ["gw-12345678.jsonl", "replica-0.jsonl", "app-20261399.jsonl", "é-2026"] {
            assert_eq!(without_date(kept), kept);
        }
    }
}
