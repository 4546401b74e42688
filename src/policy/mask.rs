//! What must not be shown: text that looks like a key, and everything under the name of a secret.

use std::ops::Range;

/// How sure we are that a piece of text is a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Looks {
    /// Long and without words in it; an identifier can look like this too.
    Random,
    /// Starts like the keys of a known system.
    Known,
}

/// How keys of known systems begin.
const PREFIXES: &[&str] = &[
    "sk-",
    "sk_",
    "rk_",
    "pk_",
    "sbx-",
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "AKIA",
    "ASIA",
    "AIza",
    "eyJ",
    "xoxb",
    "xoxp",
    "xoxa",
    "xoxs",
    "xoxe",
    "xapp-",
    "hvs.",
    "hvb.",
    "hvr.",
    "npm_",
    "dop_v1_",
];

/// Field names under which a secret is expected; used where the file cannot be understood well enough to know.
const SECRET_NAMES: &[&str] = &[
    "admin",
    "admin_key",
    "apikey",
    "auth",
    "authorization",
    "bearer",
    "credentials",
    "fingerprint_key",
    "issuer",
    "master_key",
    "passphrase",
    "passwd",
    "password",
    "private_key",
    "secret",
    "token",
];

/// Whether a field name announces a secret.
pub(crate) fn secret_name(name: &str) -> bool {
    let name = name.trim().trim_matches(['"', '\'']).to_ascii_lowercase().replace('-', "_");
    SECRET_NAMES.contains(&name.as_str())
        || ["api_key", "_secret", "_token", "_password", "secret_key", "access_key"].iter().any(|part| name.contains(part))
}

/// Every piece of the text that looks like a key.
pub(crate) fn find(text: &str) -> Vec<(Range<usize>, Looks)> {
    let mut found = Vec::new();
    for (start, word) in runs(text, |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')) {
        if known(word) {
            found.push((start..start + word.len(), Looks::Known));
            continue;
        }
        for (inner, piece) in runs(word, |c| c != '.') {
            let range = start + inner..start + inner + piece.len();
            if known(piece) {
                found.push((range, Looks::Known));
            } else if random(piece) {
                found.push((range, Looks::Random));
            }
        }
    }
    if let Some(start) = text.find("-----BEGIN ").filter(|_| text.contains("PRIVATE KEY")) {
        found.push((start..text.len(), Looks::Known));
    }
    found
}

/// The surest sign in a text that it is, or holds, a key.
pub(crate) fn looks(text: &str) -> Option<Looks> {
    find(text).into_iter().map(|(_, looks)| looks).max()
}

/// A word of the policy for a message: in quotes, short, without control characters, never something like a key.
pub(crate) fn quoted(text: &str) -> String {
    if looks(text).is_some() {
        return "a name that looks like a key".to_owned();
    }
    let mut shown: String = text.chars().filter(|c| !c.is_control() && !is_invisible(*c)).take(40).collect();
    if shown.len() < text.len() && text.chars().count() > 40 {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// The text with every character of the ranges, and of everything that looks like a key, replaced by `*`.
/// Line breaks, blanks and all byte offsets stay as they are.
pub(crate) fn masked(text: &str, secrets: &[Range<usize>]) -> String {
    let mut hidden = vec![false; text.len()];
    for range in secrets.iter().cloned().chain(find(text).into_iter().map(|(range, _)| range)) {
        if let Some(part) = hidden.get_mut(range) {
            part.fill(true);
        }
    }
    let mut shown = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let hide = hidden.get(at).copied().unwrap_or(false) && !c.is_whitespace();
        // Controls would reach the terminal; the replacement has the same length so that places stay right.
        if hide || (c.is_control() && !matches!(c, '\n' | '\r' | '\t')) || is_invisible(c) {
            shown.extend(std::iter::repeat_n('*', c.len_utf8()));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// What to hide in a text whose tree is missing or incomplete: the rest of each line after the name of a secret, and
/// the lines that continue it. With `strict` (no tree at all) also lines without any name.
pub(crate) fn by_lines(text: &str, strict: bool) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    // Indentation of the secret field whose value may go on over the next lines.
    let mut inside: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        let body = line.trim_start();
        let indent = line.len() - body.len();
        if body.is_empty() {
            start = end;
            continue;
        }
        if inside.is_some_and(|outer| indent > outer) {
            ranges.push(start..end);
            start = end;
            continue;
        }
        inside = None;
        let mut from = 0;
        let mut named = false;
        while let Some(colon) = line.get(from..).and_then(|rest| rest.find(':')).map(|at| at + from) {
            let name = line.get(..colon).unwrap_or_default();
            let name = name.rsplit([' ', '{', ',', '[', '-', '\t']).next().unwrap_or_default();
            named |= !name.trim().is_empty();
            let name = name.trim_matches(['"', '\'']);
            if secret_name(name) || name == "key" {
                ranges.push(start + colon + 1..end);
                inside = Some(indent);
                break;
            }
            from = colon + 1;
        }
        if strict && !named && !body.starts_with('#') && !body.starts_with("---") {
            ranges.push(start..end);
        }
        start = end;
    }
    ranges
}

/// Characters that change how a line looks without being seen.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{061c}' | '\u{2028}' | '\u{2029}')
}

fn runs(text: &str, inside: impl Fn(char) -> bool) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), '\0')]) {
        let within = at < text.len() && inside(c);
        match (start, within) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                if let Some(run) = text.get(from..at) {
                    found.push((from, run));
                }
                start = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }
    found
}

fn known(word: &str) -> bool {
    // Eight further characters: `sk-` alone, or `sk-...` in prose, is no key.
    PREFIXES
        .iter()
        .any(|prefix| word.strip_prefix(prefix).is_some_and(|rest| rest.bytes().filter(|byte| byte.is_ascii_alphanumeric()).count() >= 8))
}

fn random(piece: &str) -> bool {
    if piece.len() < 24 {
        return false;
    }
    let odd: usize = piece.split(['-', '_']).filter(|segment| !wordy(segment)).map(str::len).sum();
    odd >= 16
}

/// Whether a part of a name reads like a word, a number, or a word with a version.
fn wordy(segment: &str) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    if digits == segment.len() {
        return digits <= 14;
    }
    if digits == 0 {
        // One hump per upper-case letter: `customerChatApi` has few, a random text has many.
        let humps = segment.bytes().filter(u8::is_ascii_uppercase).count();
        let one_case = humps == 0 || humps == segment.len();
        return if one_case { segment.len() <= 28 } else { segment.len() <= 60 && segment.len() >= humps.saturating_mul(4) };
    }
    let word = segment.trim_end_matches(|c: char| c.is_ascii_digit());
    let version = segment.trim_start_matches(|c: char| c.is_ascii_digit());
    let plain = |text: &str| text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_lowercase());
    (plain(word) && segment.len() - word.len() <= 8) || (plain(version) && version.len() <= 4 && segment.len() <= 12)
}

/// Whether the text is a UUID, which names things and opens nothing.
pub(crate) fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_recognised() {
        for key in [
            "sk-abcdefgh12345678",
            "sbx-0011223344556677",
            "ghp_abcdefghijklmnopqrst",
            "AKIAIOSFODNN7EXAMPLE",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
            "hvs.CAESIJabcdefgh",
            "xoxb-1234-5678-abcd",
            "q8Zr4LmX0vTn2KcY7bWe9HdP",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "https://h/x?key=sk-abcdefgh12345678&b=1",
        ] {
            assert!(looks(key).is_some(), "{key}");
        }
    }

    #[test]
    fn ordinary_names_are_not() {
        for name in [
            "revoke_old_key_after_old_key_traffic_zero",
            "rollback_secret_version_available",
            "customer-chat-router-key-production-2026",
            "https://llm-gateway-prod-7f8d9c6b5-x2x4z.example.com/v1",
            "/var/log/router/customer-chat-api-20261121.jsonl",
            "claude-sonnet-4-5-20250929",
            "gpt-4o-mini-2024-07-18-eastus2-provisioned",
            "sk-...",
            "CustomerChatApiGatewayDeployment",
            "LITELLM_MASTER_KEY_FOR_PRODUCTION_EU_WEST_1",
        ] {
            assert_eq!(looks(name), None, "{name}");
        }
    }

    #[test]
    fn masking_keeps_places_and_hides_values() {
        let text = "admin: hunter2 # sk-abcdefgh12345678\nnext: ä\u{1b}[31m\n";
        let shown = masked(text, std::slice::from_ref(&(7..14)));
        assert_eq!(shown.len(), text.len());
        assert!(shown.starts_with("admin: ******* # ****"));
        assert!(!shown.contains('\u{1b}') && shown.contains("next: ä"));
    }

    #[test]
    fn broken_text_hides_what_follows_a_secret_name() {
        let text = "gateway: {url: x, token: plainpass\n  more\nowner: me\n  lost secret\n";
        let shown = masked(text, &by_lines(text, true));
        assert!(!shown.contains("plainpass") && !shown.contains("more") && !shown.contains("lost"));
        assert!(shown.contains("owner: me") && shown.contains("url: x"));
    }
}
