//! One value in an `.env` file, read and changed without touching anything else in it.
//!
//! Comments, order, quotes, `export` and line ends stay as they are. Loaders disagree about escapes and `$`, so a value
//! whose meaning depends on the loader is refused, not guessed.

use std::ops::Range;

use thiserror::Error;
use zeroize::Zeroizing;

use crate::secret::SecretText;

/// The value of the one line that assigns `name`.
pub fn get(text: &str, name: &str) -> Result<SecretText, DotenvProblem> {
    let place = find(text, name)?;
    let value = text.get(place.value).unwrap_or_default();
    let unclear = match place.quote {
        Some('\'') => false,
        Some(_) => value.contains(['\\', '$', '`']),
        None => value.starts_with('#') || value.contains(['\\', '$', '`', '"', '\'']),
    };
    if unclear { Err(DotenvProblem::Unclear { name: name.to_owned() }) } else { Ok(SecretText::new(value)) }
}

/// The whole text with only that value changed. The quotes stay; a value that needs some gets single ones.
pub fn set(text: &str, name: &str, value: &SecretText) -> Result<Zeroizing<String>, DotenvProblem> {
    let place = find(text, name)?;
    let new = value.expose();
    if new.is_empty() || !new.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'`\\".contains(&byte)) {
        return Err(DotenvProblem::Value { name: name.to_owned() });
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@%,~".contains(&byte);
    let (range, quotes) = match place.quote {
        Some('"') if new.contains('$') => (place.value.start - 1..place.value.end + 1, "'"),
        None if !new.bytes().all(plain) => (place.value, "'"),
        _ => (place.value, ""),
    };
    let parts = [text.get(..range.start).unwrap_or_default(), quotes, new, quotes, text.get(range.end..).unwrap_or_default()];
    // Room for all at once: text that grows leaves copies of secrets behind.
    let mut changed = Zeroizing::new(String::with_capacity(text.len() + new.len() + 2));
    parts.iter().for_each(|part| changed.push_str(part));
    Ok(changed)
}

/// Where a value stands, its quotes not included.
struct Place {
    value: Range<usize>,
    quote: Option<char>,
}

fn find(text: &str, name: &str) -> Result<Place, DotenvProblem> {
    let mut found = None;
    let mut at = 0;
    let mut line = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        line += 1;
        let length = rest.find('\n').map_or(rest.len(), |end| end + 1);
        let this = rest.get(..length).unwrap_or_default();
        let Some((key, value_at)) = assignment(this) else {
            at += length;
            continue;
        };
        let place = place(text, at + value_at).ok_or(DotenvProblem::Open { line })?;
        // A quoted value may go over several lines; what stands in them is no assignment.
        let inside = text.get(at..place.value.end).unwrap_or_default();
        line += inside.matches('\n').count();
        let after = text.get(place.value.end..).unwrap_or_default();
        at = place.value.end + after.find('\n').map_or(after.len(), |end| end + 1);
        if key == name && found.replace(place).is_some() {
            return Err(DotenvProblem::Twice { name: name.to_owned() });
        }
    }
    found.ok_or_else(|| DotenvProblem::Missing { name: name.to_owned() })
}

/// Name and start of the value of a line that assigns one.
fn assignment(line: &str) -> Option<(&str, usize)> {
    let (before, after) = line.split_once('=')?;
    let key = before.trim_start_matches('\u{feff}').trim();
    let key = key.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t'])).map_or(key, str::trim_start);
    let is_name = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    let value = after.trim_start_matches([' ', '\t']);
    // With nothing but a comment there, a value goes before the blank that makes it one.
    let blanks = if value.starts_with('#') { 0 } else { after.len() - value.len() };
    (is_name && !key.is_empty()).then_some((key, before.len() + 1 + blanks))
}

/// The value that starts here; none if its quote is never closed.
fn place(text: &str, start: usize) -> Option<Place> {
    let rest = text.get(start..)?;
    if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let mut escaped = false;
        for (index, c) in rest.char_indices().skip(1) {
            if c == quote && !escaped {
                return Some(Place { value: start + 1..start + index, quote: Some(quote) });
            }
            escaped = quote == '"' && c == '\\' && !escaped;
        }
        return None;
    }
    let line = rest.lines().next().unwrap_or_default();
    // A comment needs a blank before it: `#` alone may be part of a value.
    let comment = [" #", "\t#"].iter().filter_map(|mark| line.find(mark)).min();
    let value = line.get(..comment.unwrap_or(line.len()))?;
    Some(Place { value: start..start + value.trim_end().len(), quote: None })
}

/// Why a value in an `.env` file cannot be read or changed. Never repeats a value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DotenvProblem {
    /// No such name.
    #[error("find {name} in the file: no line assigns it; add one with the present key")]
    Missing {
        /// The name.
        name: String,
    },
    /// Two lines assign it, and loaders disagree about which counts.
    #[error("find {name} in the file: more than one line assigns it; remove all but the one that counts")]
    Twice {
        /// The name.
        name: String,
    },
    /// A quote is never closed.
    #[error("read the file: the quote opened in line {line} is never closed; close it")]
    Open {
        /// Where it opens.
        line: usize,
    },
    /// Loaders disagree about what it means.
    #[error("read {name}: its value has an escape, a quote or a `$`, which loaders read differently; put it in single quotes")]
    Unclear {
        /// The name.
        name: String,
    },
    /// The new value cannot be written safely.
    #[error("write {name}: the new value is empty or has a blank, a quote, a backslash or a control; use a store that takes such values")]
    Value {
        /// The name.
        name: String,
    },
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = "\u{feff}# KEY=no\r\nexport OTHER = \"a b\"\r\nKEY=old # why\r\nLONG='x\nKEY=inside\n'\nLAST=1";

    fn read(text: &str, name: &str) -> Result<String, DotenvProblem> {
        get(text, name).map(|secret| secret.expose().to_owned())
    }

    fn with(text: &str, value: &str) -> Result<String, DotenvProblem> {
        set(text, "KEY", &SecretText::new(value)).map(|text| text.as_str().to_owned())
    }

    #[test]
    fn exactly_one_value_changes() {
        assert_eq!(read(FILE, "KEY").unwrap(), "old");
        assert_eq!(read(FILE, "OTHER").unwrap(), "a b");
        assert_eq!(read(FILE, "LAST").unwrap(), "1");
        assert_eq!(with(FILE, "sk-new").unwrap(), FILE.replace("KEY=old", "KEY=sk-new"));
        assert_eq!(with("KEY=", "n").unwrap(), "KEY=n");
        assert_eq!(with("KEY= # none yet\n", "n").unwrap(), "KEY=n # none yet\n");
        assert_eq!(with("KEY=#old\n", "n").unwrap(), "KEY=n\n");
    }

    #[test]
    fn quotes_stay_and_come_where_needed() {
        assert_eq!(with("KEY=\"old\" # c\n", "new").unwrap(), "KEY=\"new\" # c\n");
        assert_eq!(with("KEY='old'\n", "n$w#").unwrap(), "KEY='n$w#'\n");
        assert_eq!(with("KEY=\"old\"\n", "n$w").unwrap(), "KEY='n$w'\n");
        assert_eq!(with("KEY=old\n", "n#w").unwrap(), "KEY='n#w'\n");
    }

    #[test]
    fn what_cannot_be_read_in_one_way_is_refused() {
        let name = || "KEY".to_owned();
        assert_eq!(read("A=1\n", "KEY"), Err(DotenvProblem::Missing { name: name() }));
        assert_eq!(read("KEY=1\nexport KEY=2\n", "KEY"), Err(DotenvProblem::Twice { name: name() }));
        assert_eq!(read("A=1\nB=\"open\nKEY=1\n", "KEY"), Err(DotenvProblem::Open { line: 2 }));
        for unclear in ["KEY=\"a\\nb\"", "KEY=a$b", "KEY=\"$A\"", "KEY=a\"b\"", "KEY=#a"] {
            assert_eq!(read(unclear, "KEY"), Err(DotenvProblem::Unclear { name: name() }), "{unclear}");
        }
        for bad in ["", "a b", "a\nB=1", "a'b", "a\"b", "a\\b", "a`b", "é"] {
            assert_eq!(with("KEY=old\n", bad), Err(DotenvProblem::Value { name: name() }), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_set_is_read_and_the_rest_stays(
            value in "[!#-&(-\\[\\]-_a-~]{1,40}",
            old in prop::sample::select(vec!["old", "'old'", "\"old\"", "old # note", ""]),
        ) {
            let text = format!("A=1\nexport KEY={old}\nZ='2'\n");
            let changed = set(&text, "KEY", &SecretText::new(value.as_str())).unwrap();
            prop_assert_eq!(read(&changed, "KEY").unwrap(), value);
            prop_assert!(changed.starts_with("A=1\nexport KEY=") && changed.ends_with("\nZ='2'\n"));
            prop_assert_eq!(changed.lines().count(), 3);
        }

        #[test]
        fn no_text_panics(text in "[A-Z=\"'\\\\ #\n$é]{0,60}") {
            let _ = with(&text, "value");
            let _ = get(&text, "A");
        }
    }
}
