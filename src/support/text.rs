//! Text from outside made fit for a terminal, a report or a table, and small words for people.
//!
//! Everything that came from a gateway, a log or a child process is hostile: it can move a cursor, reverse a line or hold
//! a formula. Order matters for secrets: scrub first, then clean, then scrub again; shortening comes last.

/// Longer text says nothing more to a reader.
const LONGEST: usize = 4096;

/// One line of plain text: colour codes, controls, direction overrides and invisible characters removed, line ends and
/// tabs made spaces, cut at 4096 characters.
pub fn clean(text: &str) -> String {
    clean_to(text, LONGEST)
}

/// As [`clean`], cut at `max` characters; a cut is shown by `…` as the last of them.
pub fn clean_to(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max.saturating_mul(4)));
    let (mut count, mut last_at) = (0, 0);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let kept = match c {
            '\u{1b}' => {
                skip_escape(&mut chars);
                continue;
            }
            '\u{9b}' => {
                skip_parameters(&mut chars);
                continue;
            }
            '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => ' ',
            c if c.is_control() || is_invisible(c) => continue,
            c => c,
        };
        if count == max {
            out.truncate(last_at);
            if max > 0 {
                out.push('…');
            }
            return out;
        }
        last_at = out.len();
        out.push(kept);
        count += 1;
    }
    out
}

/// Skips what follows ESC: a colour code, a title or link up to its end, or a single character.
fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_parameters(chars);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            // Up to BEL or ESC \, but not past the line: an unfinished one must not swallow all that follows.
            while let Some(c) = chars.peek() {
                match c {
                    '\n' | '\r' => return,
                    '\u{7}' | '\u{9c}' => {
                        chars.next();
                        return;
                    }
                    '\u{1b}' => {
                        chars.next();
                        chars.next_if_eq(&'\\');
                        return;
                    }
                    _ => {
                        chars.next();
                    }
                }
            }
        }
        Some(c) if c.is_ascii_graphic() => {
            chars.next();
        }
        _ => {}
    }
}

/// Skips the numbers and the final letter of a colour code.
fn skip_parameters(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while chars.next_if(|c| matches!(c, ' '..='?')).is_some() {}
    chars.next_if(|c| matches!(c, '@'..='~'));
}

/// Characters that show nothing, or change what is shown around them.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Cleaned text for a line of Markdown, a table cell included: shown as it is, never as markup, link or HTML.
pub fn markdown(text: &str) -> String {
    let cleaned = clean(text);
    let mut out = String::with_capacity(cleaned.len() + 8);
    let mut rest = cleaned.as_str();
    while let Some(c) = rest.chars().next() {
        let at_start = out.trim_start().is_empty();
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '!' | '|' | '~' => out.extend(['\\', c]),
            '#' | '-' | '+' | '=' if at_start => out.extend(['\\', c]),
            '.' if out.chars().all(|c| c.is_ascii_digit() || c == ' ') => out.push_str("\\."),
            // Many viewers make links of bare addresses and mentions.
            ':' if rest.starts_with("://") => out.push_str("&#58;"),
            '.' if out.ends_with("www") || out.ends_with("WWW") => out.push_str("&#46;"),
            '@' => out.push_str("&#64;"),
            c => out.push(c),
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    out
}

/// Cleaned text for HTML, in an element or in a quoted attribute.
pub fn html(text: &str) -> String {
    let cleaned = clean(text);
    let mut out = String::with_capacity(cleaned.len() + 8);
    for c in cleaned.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Cleaned text as one CSV cell, quoted if needed; what a spreadsheet would run as a formula gets a `'` in front.
pub fn csv(text: &str) -> String {
    let mut cell = clean(text);
    // Also the wide forms, which some locales take for the narrow ones.
    let formula = |c: char| matches!(c, '=' | '+' | '-' | '@' | '|' | '%' | '＝' | '＋' | '－' | '＠');
    // A tab or a line end in front was made a space by `clean`, and some spreadsheets trim.
    if text.starts_with(['\t', '\r', '\n']) || cell.trim_start().starts_with(formula) {
        cell.insert(0, '\'');
    }
    if cell.contains(['"', ',', ';']) || cell.starts_with(' ') || cell.ends_with(' ') {
        cell = format!("\"{}\"", cell.replace('"', "\"\""));
    }
    cell
}

/// `1 key`, `2 keys`.
pub fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// The candidate that `word` was probably meant to be: closest by insertions, deletions, changes and swaps of
/// neighbours, and no farther than a third of the word.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().take(64).collect();
    let allowed = (word.len() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_lowercase().chars().take(64).collect::<Vec<_>>()), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits between two words; swapping two neighbours is one.
fn distance(a: &[char], b: &[char]) -> usize {
    let get = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let changed = get(&last, j) + usize::from(x != y);
            let mut best = changed.min(get(&last, j + 1) + 1).min(get(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(get(&before_last, j - 1) + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    get(&last, b.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn clean_text_is_one_harmless_line() {
        let cases = [
            ("plain, ünïcode 漢字 stays", "plain, ünïcode 漢字 stays"),
            ("\x1b[1;31mred\x1b[0m", "red"),
            ("\u{9b}2Jgone", "gone"),
            ("\x1b]8;;https://evil\x1b\\link\x1b]8;;\x07!", "link!"),
            ("\x1b]0;unfinished\nnext", " next"),
            ("\x1bcreset", "reset"),
            ("two\nlines\tand\ra tab", "two lines and a tab"),
            ("nul\0bell\x07back\x08del\x7f", "nulbellbackdel"),
            ("file\u{202e}gpj.exe", "filegpj.exe"),
            ("zero\u{200b}width\u{feff}", "zerowidth"),
            ("tag\u{e0041}s", "tags"),
        ];
        for (dirty, expected) in cases {
            assert_eq!(clean(dirty), expected, "{dirty:?}");
        }
    }

    #[test]
    fn a_cut_is_visible_and_keeps_the_length() {
        assert_eq!(clean_to("abcdef", 6), "abcdef");
        assert_eq!(clean_to("abcdef", 5), "abcd…");
        assert_eq!(clean_to("äöüß", 2), "ä…");
        assert_eq!(clean_to("ab", 1), "…");
        assert_eq!(clean_to("ab", 0), "");
        assert_eq!(clean_to("ab\x1b[0m\n", 3), "ab ");
    }

    #[test]
    fn markdown_shows_text_as_it_is() {
        assert_eq!(markdown("gpt-4o-mini"), "gpt-4o-mini");
        assert_eq!(markdown("a|b [x](y) *z* <b>"), "a\\|b \\[x\\]\\(y\\) \\*z\\* &lt;b&gt;");
        assert_eq!(markdown("# no heading"), "\\# no heading");
        assert_eq!(markdown("1. no list"), "1\\. no list");
        assert_eq!(markdown("- no\n- list"), "\\- no - list");
        assert_eq!(markdown("see https://evil and www.evil"), "see https&#58;//evil and www&#46;evil");
        assert_eq!(markdown("@team"), "&#64;team");
    }

    #[test]
    fn html_is_escaped_for_elements_and_attributes() {
        assert_eq!(html("<a href='x' b=\"y\">&"), "&lt;a href=&#39;x&#39; b=&quot;y&quot;&gt;&amp;");
    }

    #[test]
    fn csv_cells_are_never_formulas() {
        for (text, expected) in [
            ("plain", "plain"),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@sum", "'@sum"),
            ("\t=1", "' =1"),
            ("\tx", "' x"),
            ("  =1", "'  =1"),
            ("＝1", "'＝1"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "two lines"),
        ] {
            assert_eq!(csv(text), expected, "{text:?}");
        }
    }

    #[test]
    fn words_for_people() {
        assert_eq!(plural(0, "key", "keys"), "0 keys");
        assert_eq!(plural(1, "key", "keys"), "1 key");
        let fields = ["credential", "owner", "environment", "reason"];
        assert_eq!(did_you_mean("credentail", fields), Some("credential"));
        assert_eq!(did_you_mean("Ownr", fields), Some("owner"));
        assert_eq!(did_you_mean("zebra", fields), None);
        assert_eq!(did_you_mean("", fields), None);
        assert_eq!(did_you_mean("x", ["y"]), None, "a one-letter word is like any other");
    }

    fn harmless(text: &str) -> bool {
        !text.chars().any(|c| c.is_control() || is_invisible(c) || matches!(c, '\u{2028}' | '\u{2029}'))
    }

    proptest! {
        #[test]
        fn clean_never_leaves_control_characters(text in any::<String>(), max in 0_usize..50) {
            prop_assert!(harmless(&clean(&text)));
            prop_assert!(harmless(&markdown(&text)));
            prop_assert!(harmless(&csv(&text)));
            let cut = clean_to(&text, max);
            prop_assert!(harmless(&cut));
            prop_assert!(cut.chars().count() <= max);
            prop_assert_eq!(clean(&clean(&text)), clean(&text));
        }

        #[test]
        fn clean_withstands_dense_escapes(text in "[\u{1b}\u{9b}\\[\\]0-9;m\\\\a\u{7}\n\u{202e}]{0,40}") {
            prop_assert!(harmless(&clean(&text)));
        }

        #[test]
        fn html_has_no_markup_left(text in any::<String>()) {
            let escaped = html(&text);
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
        }

        #[test]
        fn one_edit_is_forgiven(word in "[a-z]{4,12}", at in any::<prop::sample::Index>()) {
            let at = at.index(word.len());
            let shorter: String = word.chars().enumerate().filter(|(i, _)| *i != at).map(|(_, c)| c).collect();
            prop_assert_eq!(did_you_mean(&shorter, [word.as_str()]), Some(word.as_str()));
        }
    }
}
