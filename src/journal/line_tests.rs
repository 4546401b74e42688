//! The codec: what it writes it reads, and what it did not write it refuses.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

use super::*;
use crate::journal::testing::{noted, now};
use crate::rotation::Phase;
use proptest::prelude::*;

/// Notes of these texts as a journal.
fn journal(texts: &[String]) -> Vec<u8> {
    let mut chain = Chain::new();
    texts.iter().flat_map(|t| chain.append(&noted(t), now()).unwrap()).collect()
}

/// A line with any contents and a right hash, as another program could write it.
fn forged(members: &str) -> Vec<u8> {
    let hash = sha256_hex(format!("{{{members}}}").as_bytes());
    format!("{{{members},\"hash\":\"{hash}\"}}\n").into_bytes()
}

#[test]
fn a_line_is_laid_out_as_documented_and_its_hash_can_be_recomputed_by_hand() {
    let text = String::from_utf8(journal(&["hello".into()])).unwrap();
    let (body, rest) = text.split_once(",\"hash\":\"").unwrap();
    assert_eq!(body, format!(r#"{{"v":1,"seq":1,"at":"2026-01-02T03:04:05.678Z","prev":"{ROOT}","record":{{"noted":{{"what":"hello"}}}}"#));
    assert_eq!(rest, format!("{}\"}}\n", sha256_hex(format!("{body}}}").as_bytes())));
}

#[test]
fn what_is_appended_is_parsed_and_the_chain_goes_on_from_there() {
    let mut chain = Chain::new();
    let records = [noted("a\"\\\n\u{1F511}"), Record::Moved { to: Phase::Flip }, noted(",\"hash\":\"")];
    let bytes: Vec<u8> = records.iter().flat_map(|r| chain.append(r, now()).unwrap()).collect();
    let parsed = Chain::parse(&bytes).unwrap();
    assert_eq!(parsed.chain, chain);
    assert_eq!((parsed.intact, parsed.torn), (bytes.len(), false));
    assert_eq!(parsed.lines.iter().map(|l| l.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(parsed.lines.iter().map(|l| l.record.clone()).collect::<Vec<_>>(), records);
    assert_eq!(parsed.lines[1].prev, parsed.lines[0].hash);
    assert!(bytes.ends_with(&chain.tail()));
}

#[test]
fn an_empty_journal_is_an_empty_chain() {
    let parsed = Chain::parse(b"").unwrap();
    assert_eq!((parsed.chain.seq(), parsed.chain.head(), parsed.torn), (0, ROOT, false));
    assert!(parsed.chain.tail().is_empty());
}

#[test]
fn a_line_that_is_removed_repeated_or_exchanged_is_found_at_its_place() {
    let bytes = journal(&["a".into(), "b".into(), "c".into()]);
    let lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
    for (order, at) in [(vec![1, 2], 1), (vec![0, 2], 2), (vec![0, 1, 1], 3), (vec![1, 0, 2], 1)] {
        let moved: Vec<u8> = order.iter().flat_map(|i| lines[*i].to_vec()).collect();
        assert!(matches!(Chain::parse(&moved), Err(JournalError::Damaged { line, .. }) if line == at), "{order:?}");
    }
}

#[test]
fn a_line_of_another_journal_does_not_fit() {
    let (ours, other) = (journal(&["a".into()]), journal(&["x".into(), "y".into()]));
    let second = other.split_inclusive(|b| *b == b'\n').nth(1).unwrap();
    let why = Chain::parse(&[&ours, second].concat()).unwrap_err().to_string();
    assert!(why.contains("line 2") && why.contains("hash of the line before"), "{why}");
}

#[test]
fn newer_formats_and_newer_records_are_told_apart_from_damage() {
    let head = format!(r#""v":1,"seq":1,"at":"2026-01-02T03:04:05.678Z","prev":"{ROOT}""#);
    let newer_record = forged(&format!(r#"{head},"record":{{"teleported":{{"to":"moon"}}}}"#));
    assert_eq!(Chain::parse(&newer_record), Err(JournalError::UnknownRecord { line: 1, kind: "teleported".into() }));
    let newer_phase = forged(&format!(r#"{head},"record":{{"moved":{{"to":"orbit"}}}}"#));
    assert_eq!(Chain::parse(&newer_phase), Err(JournalError::UnknownRecord { line: 1, kind: "moved".into() }));
    let newer = JournalError::NewerFormat { line: 1, v: 2 };
    assert_eq!(Chain::parse(&forged(&head.replace("\"v\":1", "\"v\":2"))), Err(newer.clone()));
    assert_eq!(Chain::parse(b"{\"v\":2,\"something\":\"else\"}\n"), Err(newer));
    assert!(matches!(Chain::parse(b"{\"v\":1}\n"), Err(JournalError::Damaged { line: 1, .. })));
}

#[test]
fn members_twice_or_besides_are_damage_even_under_a_right_hash() {
    let head = format!(r#""v":1,"seq":1,"at":"2026-01-02T03:04:05.678Z","prev":"{ROOT}","record":{{"noted":{{"what":"a"}}}}"#);
    assert!(Chain::parse(&forged(&head)).is_ok(), "the forger of this test writes what the codec reads");
    for more in [r#","seq":1"#, r#","note":"x""#] {
        assert!(matches!(Chain::parse(&forged(&format!("{head}{more}"))), Err(JournalError::Damaged { .. })), "{more}");
    }
    for other in [head.replace("\"seq\":1", "\"seq\":2"), head.replace("2026-01-02T", "2026-01-02 at ")] {
        assert!(matches!(Chain::parse(&forged(&other)), Err(JournalError::Damaged { .. })), "{other}");
    }
}

#[test]
fn an_unknown_record_is_named_without_its_contents() {
    assert_eq!(kind_of(r#"{"minted_twice":{"value":"sk-123"}}"#), "minted_twice");
    assert_eq!(kind_of("\"checkpointed\""), "checkpointed");
    assert_eq!(kind_of("[1,2]"), "nameless");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A cut anywhere leaves the complete lines before it, and says so when it went through a line.
    #[test]
    fn every_cut_parses(texts in prop::collection::vec(".{0,60}", 1..6), cut in any::<prop::sample::Index>()) {
        let bytes = journal(&texts);
        let whole = Chain::parse(&bytes).unwrap();
        let cut = cut.index(bytes.len() + 1);
        let parsed = Chain::parse(&bytes[..cut]).unwrap();
        let complete = bytes[..cut].iter().filter(|b| **b == b'\n').count();
        prop_assert_eq!(&parsed.lines[..], &whole.lines[..complete]);
        prop_assert_eq!(parsed.torn, parsed.intact != cut);
    }

    /// One changed byte in a complete line is damage; in the last newline it makes that line a torn one.
    #[test]
    fn every_flipped_byte_is_found(
        texts in prop::collection::vec(".{0,60}", 1..6),
        at in any::<prop::sample::Index>(),
        flip in 1u8..=255,
    ) {
        let mut bytes = journal(&texts);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        match Chain::parse(&bytes) {
            Err(JournalError::Damaged { .. } | JournalError::NewerFormat { .. }) => {}
            Ok(parsed) => {
                prop_assert!(parsed.torn && at == bytes.len() - 1);
                prop_assert_eq!(parsed.lines.len(), texts.len() - 1);
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    /// Whatever the bytes are, reading them ends without a panic.
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Chain::parse(&bytes);
    }
}
