//! Ids of rows. The store takes any text as one, also `a/b`; ours travel in paths and lines.

use crate::rotation::{KeyId, Marker};
use crate::support::escaped_id::{escape, unescape};

/// The id as the rest of the program knows it; none when it is too long to be one.
pub(super) fn shown(raw: &str) -> Option<KeyId> {
    let text = escape(raw);
    KeyId::is_safe(&text).then(|| KeyId::new(text))
}

/// The id as the store knows it.
pub(super) fn raw(id: &KeyId) -> String {
    unescape(id.as_str())
}

/// The id of a row that replaces another one: the same for the same mint, so that it cannot be made twice.
pub(super) fn of_mint(old: &str, marker: &Marker) -> String {
    format!("{}--{}", stem(old), run_of(marker))
}

/// What a row's name ends with when a run made it.
pub(super) fn run_of(marker: &Marker) -> String {
    let mut parts = marker.as_str().rsplitn(2, ':');
    let attempt = parts.next().unwrap_or_default();
    let run = parts.next().unwrap_or_default().rsplit(':').next().unwrap_or_default();
    format!("{run}-{attempt}")
}

/// An id without what an earlier run put behind it, and without what would make the new one unsafe or too long.
fn stem(old: &str) -> String {
    let base = match old.rsplit_once("--") {
        Some((base, run)) if !base.is_empty() && run.len() >= 12 && run.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => base,
        Some(_) | None => old,
    };
    let safe: String = base.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).take(100).collect();
    if safe.bytes().all(|b| b == b'.') { "key".into() } else { safe }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_an_id_is_none() {
        assert!(shown("").is_none() && shown(&"x".repeat(300)).is_none());
        assert_eq!(shown("a/b").map(|id| raw(&id)), Some("a/b".into()));
    }

    #[test]
    fn a_replacement_has_an_id_that_only_its_mint_has() {
        let marker = |n: u32| Marker::new(format!("keyroll:abcdefghijklmnop:{n}"));
        assert_eq!(of_mint("c1", &marker(1)), "c1--abcdefghijklmnop-1");
        assert_eq!(of_mint("c1--abcdefghijklmnop-1", &marker(2)), "c1--abcdefghijklmnop-2");
        assert_eq!(of_mint("a--b", &marker(1)), "a--b--abcdefghijklmnop-1");
        assert_eq!(of_mint("..", &marker(1)), "key--abcdefghijklmnop-1");
    }
}
