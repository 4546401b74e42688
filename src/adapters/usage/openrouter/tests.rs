//! Counters: what moves, what is kept, what is not believed.
#![expect(clippy::unwrap_used, reason = "a test may")]

use super::series::{Point, Series};
use crate::rotation::{KeyId, Time};

fn point(at: i64, value: f64, look: u64) -> Point {
    Point { at: Time(at), value, look }
}

#[test]
fn what_was_read_is_known_to_the_next_process_and_silence_is_no_move() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("counters/x.jsonl");
    let (old, new) = (KeyId::new("old"), KeyId::new("new"));
    let mut series = Series::load(&file).unwrap();
    for at in 1..6 {
        series.add(&old, point(at, if at < 3 { 1.5 } else { 1.75 }, 1)).unwrap();
    }
    series.add(&new, point(4, 0.25, 2)).unwrap();
    assert_eq!(series.moves(&old, false), [Time(3)]);
    assert_eq!((series.moves(&new, true), series.moves(&new, false)), (vec![Time(4)], vec![]));
    let mut series = Series::load(&file).unwrap();
    series.add(&old, point(9, 1.75, 1)).unwrap();
    assert_eq!((series.moves(&old, false), series.since(&old)), (vec![Time(3)], Some(Time(1))));
    assert_eq!(series.at_look(&old, 0), Some(1.75));
}

#[test]
fn a_counter_that_went_back_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut series = Series::load(&dir.path().join("x")).unwrap();
    series.add(&KeyId::new("k"), point(1, 2.0, 1)).unwrap();
    assert!(series.add(&KeyId::new("k"), point(2, 1.0, 1)).unwrap_err().contains("went back"));
}
