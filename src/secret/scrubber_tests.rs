//! Tests of the scrubber: the renderings that leak in practice, and properties over random secrets.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::io::Write as _;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use proptest::prelude::*;

use super::*;

/// One registry for the tests that only read.
static KNOWING_KEY: LazyLock<Scrubber> = LazyLock::new(|| knowing(KEY));

const KEY: &str = "sk-live-9fQ2/xW+7LmZr4Tb8Vd1Ks6Hn3Pc5Yg0";

fn knowing(key: &str) -> Scrubber {
    let scrubber = Scrubber::new();
    assert!(scrubber.add("old key", &SecretText::new(key)));
    scrubber
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn zip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = DeflateEncoder::new(Vec::new(), Compression::default());
    packer.write_all(bytes).unwrap();
    let mut file = b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x05\0\0\0a.txt".to_vec();
    file.extend(packer.finish().unwrap());
    file
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn each(text: &str, one: impl Fn(u8) -> String) -> String {
    text.bytes().map(one).collect()
}

fn wrapped(text: &str, width: usize, with: &str) -> String {
    let lines: Vec<String> = text.as_bytes().chunks(width).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    lines.join(with)
}

/// What a masker by list misses and a deep search must find.
fn deep_forms(key: &str) -> Vec<(&'static str, Vec<u8>)> {
    let base32 = renderings::of(key).into_iter().find(|(name, _)| *name == "base32").unwrap().1;
    let texts = [
        ("plain", key.to_owned()),
        ("upper case", key.to_uppercase()),
        ("a piece", key.get(7..23).unwrap().to_owned()),
        ("json in json", serde_json::to_string(&serde_json::to_string(&key.replace('/', "\\/")).unwrap()).unwrap()),
        ("unicode escapes", each(key, |b| format!("\\u{b:04x}"))),
        ("braced unicode escapes", each(key, |b| format!("\\u{{{b:x}}}"))),
        ("byte escapes", each(key, |b| format!("\\x{b:02x}"))),
        ("html decimal", each(key, |b| format!("&#{b:03};"))),
        ("html hex", each(key, |b| format!("&#x{b:X};"))),
        ("percent, all", each(key, |b| format!("%{b:02x}"))),
        ("percent twice", each(key, |b| format!("%25{b:02x}"))),
        ("quoted-printable", wrapped(&key.replace('=', "=3D"), 9, "=\r\n")),
        ("base64", STANDARD.encode(key)),
        ("base64 of a pair", STANDARD.encode(format!("user:{key}"))),
        ("base64url", URL_SAFE_NO_PAD.encode(format!("{{\"k\":\"{key}\"}}"))),
        ("base64 after a word", format!("token{}", STANDARD.encode(key))),
        ("base64 twice", STANDARD.encode(STANDARD.encode(key))),
        ("base64 thrice", STANDARD.encode(STANDARD.encode(STANDARD.encode(key)))),
        ("base64 wrapped", wrapped(&STANDARD.encode(key), 20, "\r\n    ")),
        ("base64 in json lines", wrapped(&STANDARD.encode(key), 20, "\\n")),
        ("base64 of utf-16", STANDARD.encode(utf16(key))),
        ("base64 of gzip", STANDARD.encode(gzip(key.as_bytes()))),
        ("percent base64", STANDARD.encode(format!(">>>{key}")).replace('+', "%2B").replace('/', "%2F")),
        ("hex", each(key, |b| format!("{b:02x}"))),
        ("hex upper, odd start", format!("a{}", each(key, |b| format!("{b:02X}")))),
        ("hex with spaces", each(key, |b| format!("{b:02x} "))),
        ("hex with colons", each(key, |b| format!("{b:02x}:"))),
        ("hex as a list", each(key, |b| format!("0x{b:02x}, "))),
        ("hex wrapped", wrapped(&each(key, |b| format!("{b:02x}")), 16, "\n\t")),
        ("split by a line", wrapped(key, 10, "\n")),
        ("split by a colour", wrapped(key, 7, "\x1b[1;31m")),
        ("split by a colour in json", wrapped(key, 7, "\\u001b[0m")),
        ("split by nothing visible", wrapped(key, 7, "\u{200b}")),
        ("base32", String::from_utf8(base32).unwrap()),
    ];
    let bytes = [
        ("utf-16", utf16(key)),
        ("gzip", gzip(key.as_bytes())),
        ("gzip, cut", gzip(format!("{}{key}{}", "x".repeat(300), "abc".repeat(900)).as_bytes()).get(..60).unwrap().to_vec()),
        ("zip", zip(key.as_bytes())),
        ("gzip in gzip", gzip(&gzip(key.as_bytes()))),
        ("zlib", {
            let mut packer = ZlibEncoder::new(Vec::new(), Compression::default());
            packer.write_all(key.as_bytes()).unwrap();
            packer.finish().unwrap()
        }),
    ];
    texts.into_iter().map(|(name, text)| (name, text.into_bytes())).chain(bytes).collect()
}

#[test]
fn the_deep_search_sees_through_every_rendering_and_says_where() {
    let scrubber = knowing(KEY);
    for (name, form) in deep_forms(KEY) {
        let mut file = b"{\"note\":\"An ordinary line; nothing here.\"}\n".repeat(40);
        let at = file.len();
        file.extend_from_slice(b"\xffvalue=\"");
        file.extend(form);
        file.extend_from_slice(b"\"\xff\nmore ordinary text\n");
        let hits = scrubber.deep_find(&file);
        assert!(!hits.is_empty(), "{name}");
        assert!(hits.iter().all(|hit| hit.label == "old key"), "{name}: {hits:?}");
        // Near is within one stretch of estimated positions.
        assert!(hits.iter().any(|hit| hit.offset.abs_diff(at) < 600), "{name}: {hits:?} should be near {at}");
    }
}

#[test]
fn the_deep_search_stays_silent_on_clean_content() {
    let scrubber = knowing(KEY);
    let clean = format!(
        "{{\"hash\":\"{}\",\"id\":\"{}\",\"at\":\"2026-11-21T10:00:00Z\",\"why\":\"sk-live- is a prefix, \\u003cb\\u003e\"}}\n",
        crate::secret::sha256_hex(KEY.as_bytes()),
        STANDARD.encode([7; 90]),
    );
    assert_eq!(scrubber.deep_find(clean.repeat(50).as_bytes()), Vec::new());
    assert_eq!(scrubber.deep_find(&gzip(clean.as_bytes())), Vec::new());
    assert_eq!(scrubber.deep_find(b""), Vec::new());
    assert_eq!(Scrubber::new().deep_find(KEY.as_bytes()), Vec::new());
}

#[test]
fn a_packed_bomb_is_a_hit_not_a_pass() {
    let bomb = gzip(&vec![0; 9 << 20]);
    let hits = knowing(KEY).deep_find(&bomb);
    assert!(hits.iter().any(|hit| hit.encoding.contains("too large")), "{hits:?}");
}

#[test]
fn every_place_is_reported_once() {
    let scrubber = knowing(KEY);
    assert!(scrubber.add("new key", &SecretText::new("another-secret-value-7777")));
    let file = format!("{KEY}\n{}\nanother-secret-value-7777\n{KEY}\n", ".".repeat(700));
    let hits = scrubber.deep_find(file.as_bytes());
    let seen: Vec<(&str, usize)> = hits.iter().map(|hit| (hit.label.as_str(), hit.offset)).collect();
    assert_eq!(seen, [("old key", 0), ("new key", 742), ("old key", 768)]);
    assert_eq!(scrubber.find(file.as_bytes()).len(), 3);
    assert_eq!(scrubber.labels(), ["old key", "new key"]);
}

#[test]
fn find_names_the_form() {
    let found = knowing(KEY).find(format!("Basic {}", STANDARD.encode(format!("me:{KEY}"))).as_bytes());
    assert!(matches!(found.as_slice(), [hit] if hit.encoding == "base64" && hit.offset == 10), "{found:?}");
}

#[test]
fn short_values_and_the_mark_itself_are_not_looked_for() {
    let scrubber = Scrubber::new();
    assert!(!scrubber.add("short", &SecretText::new("1234567")));
    assert!(!scrubber.add("mark", &SecretText::new("redacted")));
    assert!(!scrubber.add("spaces", &SecretText::new("   x      ")));
    assert_eq!(scrubber.scrub("1234567 redacted"), "1234567 redacted");
}

#[test]
fn overlapping_secrets_leave_no_half() {
    let scrubber = knowing("aaaa-bbbb-cccc");
    scrubber.add("other", &SecretText::new("cccc-dddd-eeee"));
    assert_eq!(scrubber.scrub("x aaaa-bbbb-cccc-dddd-eeee y"), "x [redacted] y");
    assert_eq!(scrubber.clone().scrub("CCCC-DDDD-EEEE"), REDACTED, "clones share the registry, case is ignored");
}

#[test]
fn a_private_key_is_found_by_its_lines_and_not_by_its_armour() {
    let body = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\nq7Zr1w8XoPe5Tn2Yk4Ls9Vb3Hd6Jf0Ga\n";
    let scrubber = knowing(&format!("-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----\n"));
    assert_eq!(scrubber.deep_find(b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----"), Vec::new());
    assert!(!scrubber.deep_find(b"see q7Zr1w8XoPe5Tn2Yk").is_empty());
    assert_eq!(scrubber.scrub("line: q7Zr1w8XoPe5Tn2Yk4Ls9Vb3Hd6Jf0Ga"), "line: [redacted]");
}

#[test]
fn the_host_of_a_web_hook_is_no_secret() {
    let scrubber = knowing("https://hooks.example.com/services/T0000/B1111/abcdefghij");
    assert_eq!(scrubber.deep_find(b"notify: https://hooks.example.com/ and more"), Vec::new());
    assert!(!scrubber.deep_find(b"path /T0000/B1111/abcdefghij").is_empty());
}

proptest! {
    // Each case builds the search tables anew, which takes a while without optimisation.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn scrub_leaves_no_needle(
        key in "[!-~]{8,60}",
        before in "[ -~]{0,20}",
        after in "[ -~]{0,20}",
        form in any::<prop::sample::Index>(),
    ) {
        let scrubber = Scrubber::new();
        prop_assume!(scrubber.add("key", &SecretText::new(key.as_str())));
        let forms = renderings::of(&key);
        let (name, form) = form.get(&forms);
        prop_assume!(form.len() >= SHORTEST);
        let mut text = before.into_bytes();
        text.extend_from_slice(form);
        text.extend_from_slice(after.as_bytes());
        let text = String::from_utf8_lossy(&text).into_owned();
        let scrubbed = scrubber.scrub(&text);
        prop_assert!(scrubbed.contains(REDACTED), "{name}");
        prop_assert_eq!(scrubber.find(scrubbed.as_bytes()), Vec::new());
        prop_assert!(!scrubbed.contains(&key));
    }

    #[test]
    fn scrub_leaves_other_text_alone(text in "\\PC{0,80}") {
        prop_assert_eq!(KNOWING_KEY.scrub(&text), text);
    }

    #[test]
    fn base64_at_any_place_is_found(key in "[!-~]{20,60}", before in "[ -~]{0,7}", after in "[ -~]{0,7}") {
        prop_assume!(key.contains(|c: char| c.is_ascii_alphanumeric()));
        let file = STANDARD.encode(format!("{before}{key}{after}"));
        prop_assert!(!knowing(&key).deep_find(file.as_bytes()).is_empty());
    }

    #[test]
    fn no_bytes_make_the_deep_search_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = KNOWING_KEY.deep_find(&bytes);
    }
}
