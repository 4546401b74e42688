//! The file under the chain: fences, torn tails, heads.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use super::*;
use crate::journal::testing::{begin, finished, noted, now, run, state, taker};
use crate::journal::{Opened, StateError};
use crate::rotation::KeyId;

fn append_bytes(path: &Path, more: &[u8]) {
    use std::io::Write;
    File::options().append(true).open(path).unwrap().write_all(more).unwrap();
}

fn resume(state: &StateDir) -> Result<Opened, StateError> {
    state.resume_run(&run("r1"), &taker("here"), now)
}

/// A run of three notes, left without a process.
fn three(state: &StateDir) {
    let (_lease, mut journal) = begin(state, "r1", &["k"]).unwrap();
    for (n, what) in [(1, "a"), (2, "b"), (3, "c")] {
        assert_eq!(journal.append(&noted(what)), Ok(n));
    }
}

#[test]
fn what_was_appended_is_there_after_a_restart_and_the_numbers_go_on() {
    let (_dir, state) = state();
    three(&state);
    let Opened { mut journal, records, torn, .. } = resume(&state).unwrap();
    assert_eq!(records, [noted("a"), noted("b"), noted("c")]);
    assert!(!torn);
    assert_eq!(journal.append(&noted("d")), Ok(4));
    let (records, loaded) = state.load(&run("r1")).unwrap();
    assert_eq!(records.len(), 4);
    assert_eq!((loaded.head, loaded.seq, loaded.torn), (journal.head(), 4, false));
    let note = Head::read(&state.head_path(&run("r1"))).unwrap().unwrap();
    assert_eq!((note.seq, note.hash), (4, journal.head()));
}

#[test]
fn the_one_who_slept_is_fenced_and_stays_so() {
    let (_dir, state) = state();
    let (lease, mut sleeper) = begin(&state, "r1", &["k"]).unwrap();
    sleeper.append(&noted("a")).unwrap();
    // The lease is lost without the sleeper noticing.
    drop(lease);
    let mut next = resume(&state).unwrap();
    next.journal.append(&noted("b")).unwrap();
    assert_eq!(sleeper.append(&noted("c")), Err(AppendError::Fenced));
    assert_eq!(sleeper.append(&noted("c")), Err(AppendError::Fenced));
    assert_eq!(next.journal.append(&noted("d")), Ok(3));
    assert_eq!(state.load(&run("r1")).unwrap().0, [noted("a"), noted("b"), noted("d")]);
}

#[test]
fn another_line_of_the_same_length_is_noticed_and_so_is_another_file() {
    let (_dir, state) = state();
    let (_lease, mut journal) = begin(&state, "r1", &["k"]).unwrap();
    journal.append(&noted("a")).unwrap();
    let path = state.journal_path(&run("r1"));
    let mine = std::fs::read(&path).unwrap();
    let other = Chain::new().append(&noted("b"), now()).unwrap();
    assert_eq!(mine.len(), other.len());
    // In place: the same file, other bytes.
    std::fs::write(&path, &other).unwrap();
    assert_eq!(journal.append(&noted("c")), Err(AppendError::Fenced));
    assert_eq!(std::fs::read(&path).unwrap(), other, "nothing was written behind another's line");

    let (_lease, mut journal) = begin(&state, "r2", &["l"]).unwrap();
    journal.append(&noted("a")).unwrap();
    let path = state.journal_path(&run("r2"));
    std::fs::copy(&path, path.with_extension("copy")).unwrap();
    std::fs::rename(path.with_extension("copy"), &path).unwrap();
    assert_eq!(journal.append(&noted("c")), Err(AppendError::Fenced));
}

#[test]
fn a_torn_tail_is_cut_off_and_reported() {
    let (_dir, state) = state();
    three(&state);
    let path = state.journal_path(&run("r1"));
    let whole = std::fs::read(&path).unwrap();
    append_bytes(&path, br#"{"v":1,"seq":4,"at":"20"#);
    assert!(state.load(&run("r1")).unwrap().1.torn);
    let mut opened = resume(&state).unwrap();
    assert!(opened.torn);
    assert_eq!(std::fs::read(&path).unwrap(), whole);
    assert_eq!(opened.journal.append(&noted("d")), Ok(4));
}

#[test]
fn damage_in_a_complete_line_opens_nothing() {
    let (_dir, state) = state();
    three(&state);
    append_bytes(&state.journal_path(&run("r1")), b"{}\n");
    let error = resume(&state).err();
    assert!(matches!(error, Some(StateError::Journal(JournalError::Damaged { line: 4, .. }))), "{error:?}");
}

#[test]
fn a_journal_from_an_earlier_point_is_refused_until_a_person_accepts_it() {
    let (_dir, state) = state();
    three(&state);
    let path = state.journal_path(&run("r1"));
    let bytes = std::fs::read(&path).unwrap();
    let two = bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i + 1).nth(1).unwrap();
    std::fs::write(&path, bytes.split_at(two).0).unwrap();
    let restored = StateError::Journal(JournalError::Restored { journal: 2, head: 3 });
    assert_eq!(resume(&state).err(), Some(restored));
    // Cut to nothing, and removed altogether: never "it never began".
    std::fs::write(&path, b"").unwrap();
    assert_eq!(resume(&state).err(), Some(StateError::Journal(JournalError::Restored { journal: 0, head: 3 })));
    std::fs::write(&path, bytes.split_at(two).0).unwrap();
    let lease = Lease::take(&state, &run("r1"), &taker("here")).unwrap();
    assert_eq!(state.accept_journal(&lease).unwrap().seq, 2);
    drop(lease);
    assert_eq!(resume(&state).unwrap().journal.append(&noted("x")), Ok(3));
}

#[test]
fn a_journal_of_another_history_is_refused() {
    let (_dir, state) = state();
    three(&state);
    let mut chain = Chain::new();
    let other: Vec<u8> = ["x", "y", "z", "w"].iter().flat_map(|t| chain.append(&noted(t), now()).unwrap()).collect();
    std::fs::write(state.journal_path(&run("r1")), other).unwrap();
    assert_eq!(resume(&state).err(), Some(StateError::Journal(JournalError::OtherHistory { line: 3 })));
}

#[test]
fn a_journal_ahead_of_its_head_is_a_crash_between_two_writes_and_goes_on() {
    let (_dir, state) = state();
    three(&state);
    let first = state.load_lines(&run("r1")).unwrap().0.remove(0);
    Head::put(&state.head_path(&run("r1")), 1, &first.hash).unwrap();
    assert_eq!(resume(&state).unwrap().journal.append(&noted("d")), Ok(4));
}

#[test]
fn a_missing_or_garbled_head_is_refused() {
    let (_dir, state) = state();
    three(&state);
    let place = state.head_path(&run("r1"));
    std::fs::write(&place, "3 abc\n").unwrap();
    let lost = Some(StateError::Journal(JournalError::HeadLost { place: place.clone() }));
    assert_eq!(resume(&state).err(), lost);
    std::fs::remove_file(&place).unwrap();
    assert_eq!(resume(&state).err(), lost);
}

#[test]
fn a_run_that_never_began_has_nothing_to_resume() {
    let (_dir, state) = state();
    drop(begin(&state, "r1", &["k"]).unwrap());
    assert_eq!(resume(&state).err(), Some(StateError::Journal(JournalError::Empty)));
    assert!(matches!(begin(&state, "r1", &["k"]), Err(StateError::Exists { .. })));
}

#[test]
fn a_turn_and_the_intent_to_delete_make_a_run_one_way_also_after_a_restart() {
    let delete = |key| {
        let effect = Effect::Delete { key, id: KeyId::new("k1") };
        let stamp = crate::rotation::Stamp { at: now(), mono: 0, boot: "b".into() };
        Record::Began { n: 1, effect, stamp, send_before: now() }
    };
    let turned = Record::Turned { why: "w".into(), by: None };
    for (record, one_way) in [(delete(Which::Old), true), (delete(Which::New), false), (turned, true), (finished(), false)] {
        let (_dir, state) = state();
        let (lease, mut journal) = begin(&state, "r1", &["k"]).unwrap();
        assert!(!journal.one_way().load(Ordering::Relaxed));
        journal.append(&record).unwrap();
        assert_eq!(journal.one_way().load(Ordering::Relaxed), one_way, "{record:?}");
        drop((lease, journal));
        assert_eq!(resume(&state).unwrap().journal.one_way().load(Ordering::Relaxed), one_way, "{record:?}");
    }
}

#[test]
fn a_storage_error_says_what_is_wrong_and_what_to_do() {
    for (kind, part) in [(io::ErrorKind::StorageFull, "no space"), (io::ErrorKind::ReadOnlyFilesystem, "read-only")] {
        let text = storage(&kind.into()).to_string();
        assert!(text.contains(part) && text.contains("keyroll resume"), "{text}");
    }
    let AppendError::Storage { why } = storage(&io::Error::from_raw_os_error(28)) else { panic!("not a storage error") };
    assert_eq!(why, "no space is left on the device");
}
