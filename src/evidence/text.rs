//! Foreign text in Markdown: what came from outside is shown as text and never as markup.

use crate::support::text::clean_to;
pub(super) use crate::support::text::plural as count;
use std::fmt::Write as _;

/// Longest piece of foreign text that a report repeats.
const LONGEST: usize = 600;

/// Text for a sentence or a table cell.
pub(super) fn md(text: &str) -> String {
    let clean = plain(text);
    let mut out = String::with_capacity(clean.len() + 8);
    let mut before = ' ';
    let mut rest = clean.chars().peekable();
    while let Some(c) = rest.next() {
        let next = rest.peek().copied().unwrap_or(' ');
        let escape = match c {
            '\\' | '`' | '*' | '[' | ']' | '|' | '#' | '~' | '!' | '$' => true,
            // Between letters an underscore means nothing, and check names are full of them.
            '_' => !(before.is_alphanumeric() && next.is_alphanumeric()),
            // Breaks addresses apart that a renderer would turn into links by itself.
            ':' => next == '/',
            '.' => matches!(before, 'w' | 'W') && next.is_alphanumeric() && out.to_ascii_lowercase().ends_with("www"),
            _ => false,
        };
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            _ => {
                if escape {
                    out.push('\\');
                }
                out.push(c);
            }
        }
        before = c;
    }
    out
}

/// An identifier or a command, set as code.
pub(super) fn code(text: &str) -> String {
    let clean = plain(text);
    if clean.is_empty() {
        return "(empty)".to_owned();
    }
    // A code span ends at a run of backticks as long as the one that began it.
    let longest = clean.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let (fence, pad) = ("`".repeat(longest + 1), if longest > 0 { " " } else { "" });
    format!("{fence}{pad}{clean}{pad}{fence}")
}

/// The same in a cell of a table, which a bar would end even inside code.
pub(super) fn cell_code(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// Without controls, without what turns or hides text, on one line, of bounded length.
pub(super) fn plain(text: &str) -> String {
    clean_to(text, LONGEST).trim().to_owned()
}

/// A part of a file name that every system takes: lower-case letters, digits and hyphens.
///
/// Two texts that differ get names that differ: where something had to be replaced, a piece of the text's digest follows.
pub(super) fn file_part(text: &str) -> String {
    let mut name: String = text.chars().map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' }).take(48).collect();
    if name != text || name.is_empty() {
        let digest = crate::secret::sha256_hex(text.as_bytes());
        let _ = write!(name, "-{}", digest.get(..8).unwrap_or_default());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_from_outside_stays_text() {
        assert_eq!(md("a|b\n# *x* `y` <img src=x> [l](u)"), r"a\|b \# \*x\* \`y\` &lt;img src=x&gt; \[l\](u)");
        assert_eq!(md("see https://evil.example or www.evil.example"), r"see https\://evil.example or www\.evil.example");
        assert_eq!(md("new_key_401 _x_"), r"new_key_401 \_x\_");
        assert_eq!(md("a\u{202e}b\u{200b}c\u{7}"), "abc");
        assert_eq!(code("a`b|c"), "`` a`b|c ``");
        assert_eq!(cell_code("a|b"), "`a\\|b`");
    }

    #[test]
    fn file_parts_are_safe_everywhere_and_never_meet() {
        assert_eq!(file_part("old-key-refused"), "old-key-refused");
        let (upper, lower, colon) = (file_part("Auth"), file_part("auth"), file_part("a:b"));
        assert_ne!(upper.to_lowercase(), lower);
        assert!(colon.starts_with("a-b-") && upper.starts_with("-uth-"), "{colon} {upper}");
        assert_ne!(file_part("a:b"), file_part("a/b"));
        assert!(file_part(&"x".repeat(300)).len() < 64);
        assert!(!file_part("").is_empty());
    }
}
