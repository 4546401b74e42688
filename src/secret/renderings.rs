//! The forms in which a secret shows up in logs, addresses and dumps, so that the scrubber can look for all at once.
//!
//! Letters' case needs no forms of its own: the search ignores it.

use std::fmt::Write as _;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Marks that address encoders leave alone, from the strictest encoder to none left alone but letters and digits.
const KEPT_IN_ADDRESSES: [&str; 5] = ["-_.~", "-_.~!'()*", "-_.~!$&'()*+,;=:@", "-_.~!$&'()*+,;=:@/?", "*-._"];

/// Every form of `text`, with a name for people, the plain one first. Forms that look like an earlier one are left out.
pub(super) fn of(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = text.as_bytes();
    let mut forms: Vec<(&'static str, Vec<u8>)> = Vec::new();
    let mut add = |name, form: Vec<u8>| {
        if !forms.iter().any(|(_, known)| known.eq_ignore_ascii_case(&form)) {
            forms.push((name, form));
        }
    };
    add("plain", bytes.to_vec());
    for kept in KEPT_IN_ADDRESSES {
        let once = percent(bytes, |byte| byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte));
        add("percent", once.replace("%20", "+").into_bytes());
        add("percent twice", once.replace('%', "%25").into_bytes());
        add("percent", once.into_bytes());
    }
    add("percent", percent(bytes, |_| false).into_bytes());
    json(text, &mut add);
    add("html", html(text, "&#39;").into_bytes());
    add("html", html(text, "&#x27;").into_bytes());
    add("html", html(text, "&apos;").into_bytes());
    add("html", each_char(text, |out, c| write!(out, "&#{};", u32::from(c))));
    add("html", each_char(text, |out, c| write!(out, "&#x{:x};", u32::from(c))));
    add("quoted-printable", quoted_printable(bytes).into_bytes());
    for phase in 0..3 {
        add("base64", based(bytes, BASE64, 6, phase));
        add("base64url", based(bytes, BASE64_URL, 6, phase));
    }
    for phase in 0..5 {
        add("base32", based(bytes, BASE32, 5, phase));
    }
    for (before, between) in [("", ""), ("", " "), ("", ":"), ("\\x", ""), ("0x", ", ")] {
        let pairs: Vec<String> = bytes.iter().map(|byte| format!("{before}{byte:02x}")).collect();
        add("hex", pairs.join(between).into_bytes());
    }
    add("utf-16", text.encode_utf16().flat_map(u16::to_le_bytes).collect());
    add("utf-16", text.encode_utf16().flat_map(u16::to_be_bytes).collect());
    forms
}

fn json(text: &str, add: &mut impl FnMut(&'static str, Vec<u8>)) {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
    if inner.is_empty() {
        return;
    }
    add("json", inner.as_bytes().to_vec());
    add("json", inner.replace('/', "\\/").into_bytes());
    // Encoders that keep to ASCII, that are careful about HTML, and that escape everything.
    let escaped = |keep: fn(char) -> bool| {
        let mut out = String::new();
        for c in inner.chars() {
            if keep(c) {
                out.push(c);
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
        out.into_bytes()
    };
    add("json", escaped(|c| c.is_ascii()));
    add("json", escaped(|c| !matches!(c, '<' | '>' | '&')));
    add("json", escaped(|c| c.is_ascii() && !matches!(c, '<' | '>' | '&')));
    add("json", escaped(|c| c.is_ascii() && !matches!(c, '<' | '>' | '&' | '\'' | '+' | '=')));
    add("json", each_char(text, |out, c| c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}"))));
    add("debug", text.escape_debug().to_string().into_bytes());
}

fn percent(bytes: &[u8], keep: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(bytes.len() * 3);
    for byte in bytes {
        if keep(*byte) && byte.is_ascii() {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn html(text: &str, apostrophe: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', apostrophe)
}

fn quoted_printable(bytes: &[u8]) -> String {
    let mut out = String::new();
    for byte in bytes {
        if *byte == b'=' || !(byte.is_ascii_graphic() || *byte == b' ') {
            let _ = write!(out, "={byte:02X}");
        } else {
            out.push(char::from(*byte));
        }
    }
    out
}

fn each_char(text: &str, write_one: impl Fn(&mut String, char) -> std::fmt::Result) -> Vec<u8> {
    let mut out = String::new();
    for c in text.chars() {
        // Writing to a String cannot fail.
        let _ = write_one(&mut out, c);
    }
    out.into_bytes()
}

/// The digits of `bytes` in a power-of-two base that do not depend on what stands before and after them, when `before`
/// other bytes come first in the same encoded text.
fn based(bytes: &[u8], alphabet: &[u8], bits: usize, before: usize) -> Vec<u8> {
    let first = (before * 8).div_ceil(bits);
    let end = ((before + bytes.len()) * 8) / bits;
    let bit = |at: usize| {
        let byte = (at / 8).checked_sub(before).and_then(|index| bytes.get(index)).copied().unwrap_or(0);
        usize::from(byte >> (7 - at % 8) & 1)
    };
    let digit = |index: usize| (index * bits..(index + 1) * bits).fold(0, |value, at| value << 1 | bit(at));
    (first..end).filter_map(|index| alphabet.get(digit(index)).copied()).collect()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::*;

    const SECRET: &str = "sk-a/b+c?d>e&f\"g'h=i~j_k é";

    fn caught(text: &str) -> bool {
        let found = |form: &[u8]| text.as_bytes().windows(form.len()).any(|piece| piece.eq_ignore_ascii_case(form));
        of(SECRET).iter().any(|(_, form)| found(form))
    }

    #[test]
    fn base64_is_found_at_every_phase() {
        for before in ["", "u", "us", "user:", "x-api-key: "] {
            for after in ["", "\n", "tail"] {
                let text = format!("{before}{SECRET}{after}");
                assert!(caught(&STANDARD.encode(&text)), "{text}");
                assert!(caught(&URL_SAFE_NO_PAD.encode(&text)), "{text}");
            }
        }
    }

    #[test]
    fn common_encoders_are_covered() {
        let encoders = [
            SECRET.to_ascii_uppercase(),
            serde_json::to_string(SECRET).unwrap_or_default(),
            format!("{SECRET:?}"),
            // encodeURIComponent, form, and a path segment, as browsers write them
            "sk-a%2Fb%2Bc%3Fd%3Ee%26f%22g'h%3Di~j_k%20%C3%A9".to_owned(),
            "sk-a%2Fb%2Bc%3Fd%3Ee%26f%22g%27h%3Di%7Ej_k+%C3%A9".to_owned(),
            "sk-a%2fb+c%3fd%3ee&f%22g'h=i~j_k%20%c3%a9".to_owned(),
            "sk-a%252Fb%252Bc%253Fd%253Ee%2526f%2522g%2527h%253Di~j_k%2520%25C3%25A9".to_owned(),
            "sk-a/b+c?d&gt;e&amp;f&quot;g&#39;h=i~j_k é".to_owned(),
            "sk-a/b+c?d\\u003ee\\u0026f\\\"g'h=i~j_k é".to_owned(),
            "sk-a\\/b+c?d>e&f\\\"g'h=i~j_k é".to_owned(),
        ];
        for text in encoders {
            assert!(caught(&text), "{text}");
        }
        assert!(!caught("sk-a/b+c?d>e&f"));
    }

    #[test]
    fn a_plain_secret_has_few_forms() {
        let forms = of("0123456789abcdef");
        assert!(forms.iter().filter(|(name, _)| *name == "json").count() == 1, "only the all-escaped one");
    }
}
