//! Text from outside: whatever it is, nothing panics, and what is accepted is what is written.

use super::fixture::at;
use crate::rotation::*;
use proptest::prelude::*;

fn some_time() -> impl Strategy<Value = Time> {
    any::<i64>().prop_map(Time)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn safe_ids_are_safe_in_a_path(text in "\\PC{0,12}|[a-z./%:@-]{0,12}") {
        if KeyId::is_safe(&text) {
            prop_assert!(!text.contains(['/', '%', '?', '#', ' ', '\\']) && text != "." && text != ".." && !text.is_empty());
        }
    }

    #[test]
    fn a_marker_reads_back_as_the_run_that_wrote_it(run in "[a-z0-9]{1,24}", attempt in any::<u32>()) {
        let run = RunId::new(run);
        prop_assert_eq!(Marker::run(Marker::of(&run, attempt).as_str()), Some(run));
    }

    #[test]
    fn any_text_is_a_marker_only_as_a_whole(text in "\\PC{0,16}|keyroll:[a-z:0-9]{0,12}") {
        if let Some(run) = Marker::run(&text) {
            let rest = text.strip_prefix(&format!("keyroll:{run}:")).map(str::parse::<u32>);
            prop_assert!(matches!(rest, Some(Ok(_))));
        }
    }

    #[test]
    fn a_name_is_dated_once(name in "\\PC{0,20}") {
        let once = redated(&name, "2026-11-21");
        prop_assert_eq!(redated(&once, "2026-11-21"), once.clone());
        prop_assert_eq!(undated(&once), undated(&name));
    }

    #[test]
    fn times_read_back(ms in 0..253_402_300_800_000_i64) {
        prop_assert_eq!(Time::parse(&Time(ms).rfc3339()), Some(Time(ms)));
    }

    #[test]
    fn any_time_can_be_shown_moved_and_compared(a in some_time(), b in some_time(), by in any::<u64>()) {
        let span = Span(by);
        prop_assert!(!a.rfc3339().is_empty() && !span.to_string().is_empty());
        prop_assert!(a.plus(span) >= a && a.minus(span) <= a);
        prop_assert!(a.since(b) == Span::ZERO || b.since(a) == Span::ZERO);
    }

    #[test]
    fn any_text_for_a_time_is_read_or_refused(text in "\\PC{0,30}|[0-9TZ:.+-]{0,30}") {
        if let Some(time) = Time::parse(&text) {
            prop_assert_eq!(Time::parse(&time.rfc3339()), Some(time));
        }
    }

    #[test]
    fn any_window_answers_for_any_time(days in proptest::collection::vec(any::<u8>(), 0..3), from in any::<u16>(), to in any::<u16>(), now in some_time()) {
        let windows = Windows { timezone: "UTC".into(), allow: vec![Allowed { days, from, to }], blackouts: vec![] };
        let _ = open(&windows, now);
    }

    #[test]
    fn any_line_is_a_record_or_refused(text in "\\PC{0,60}|\\{\"[a-z_]{1,8}\":\\{?[a-z0-9\":,{}]{0,40}") {
        let _ = serde_json::from_str::<Record>(&text);
    }
}

proptest! {
    // Each case searches days, minute by minute.
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_opening_is_open_and_nothing_before_it_is(start in 0..2_000_000_i64, day in 0..7_u8, from in 0..1_440_u16, to in 0..1_440_u16, closed in 0..3_000_i64) {
        let now = at(start);
        let blackouts = vec![Blackout { from: now, to: at(start + closed * 7), why: String::new() }];
        let windows = Windows { timezone: "Europe/Berlin".into(), allow: vec![Allowed { days: vec![day], from, to }], blackouts };
        if let Some(at) = opens_at(&windows, now) {
            prop_assert!(open(&windows, at) && at >= now);
            prop_assert!(at == now || !open(&windows, Time(at.0 - 60_000)) || at.0 - 60_000 < now.0);
        } else {
            prop_assert_eq!(from, to);
        }
    }
}
