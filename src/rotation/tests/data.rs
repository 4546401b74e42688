//! The data that everything else is written in: names, plans, verdicts, tables, times, windows.

use super::fixture::*;
use super::tale::Tale;
use crate::rotation::*;
use std::collections::BTreeSet;

#[test]
fn phases_are_six_in_order_and_known_by_name() {
    let names = ["prepare", "canary", "flip", "hold", "revoke", "archive"];
    assert_eq!(Phase::ALL.map(Phase::name), names);
    assert!(Phase::ALL.is_sorted());
    for phase in Phase::ALL {
        assert_eq!(Phase::parse(phase.name()), Some(phase));
        assert_eq!((phase.to_string(), serde_json::to_value(phase).unwrap()), (phase.name().into(), phase.name().into()));
    }
    assert_eq!((Phase::parse("Prepare"), Phase::parse("")), (None, None));
}

#[test]
fn effects_have_a_kind_and_every_kind_a_name_of_its_own() {
    let names: BTreeSet<&str> = EffectKind::ALL.iter().map(|k| k.name()).collect();
    assert_eq!(names.len(), EffectKind::ALL.len());
    for kind in EffectKind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
    }
    let (id, marker) = (KeyId::new("k"), Marker::live());
    for (key, kinds) in [
        (Which::Old, [EffectKind::DisableOld, EffectKind::EnableOld, EffectKind::DeleteOld]),
        (Which::New, [EffectKind::DisableNew, EffectKind::EnableNew, EffectKind::DeleteNew]),
    ] {
        let id = || id.clone();
        let effects =
            [Effect::Disable { key, id: id(), approval: None }, Effect::Enable { key, id: id() }, Effect::Delete { key, id: id() }];
        assert_eq!(effects.map(|e| e.kind()), kinds);
    }
    assert_eq!(Effect::Discard { id, marker }.kind(), EffectKind::Discard);
}

#[test]
fn a_key_id_that_goes_into_a_path_is_short_and_plain() {
    assert!(KeyId::is_safe(&"k".repeat(256)) && !KeyId::is_safe(&"k".repeat(257)));
    for good in ["a", ".a", "a..b", "A-Z_0:9@x", "_", ":"] {
        assert!(KeyId::is_safe(good), "{good}");
    }
    for bad in [".", "...", "a?b", "a#b", "é", "a\\b", "a;b", "a=b", "a\u{0}"] {
        assert!(!KeyId::is_safe(bad), "{bad:?}");
    }
}

#[test]
fn markers_that_are_not_whole_are_nobodys() {
    for bad in [
        "",
        "keyroll",
        "keyroll:",
        "keyroll::1",
        "keyroll:run",
        "keyroll:run:",
        "keyroll:run:-1",
        "xkeyroll:run:1",
        "keyroll:a:b:1",
        "keyroll:run:4294967296",
    ] {
        assert_eq!(Marker::run(bad), None, "{bad}");
    }
    assert_eq!(Marker::run("keyroll:run:0"), Some(RunId::new("run")));
}

#[test]
fn only_a_whole_date_at_the_end_of_a_name_is_a_date() {
    for (name, base) in [
        ("demo 2026-11-21", "demo"),
        ("a b 2026-11-21", "a b"),
        ("2026-11-21", "2026-11-21"),
        ("demo 2026-11-2", "demo 2026-11-2"),
        ("demo 2026-11-210", "demo 2026-11-210"),
        ("demo 2026/11/21", "demo 2026/11/21"),
        ("demo 2026-11+21", "demo 2026-11+21"),
        ("demo 2026+11-21", "demo 2026+11-21"),
        ("demo x026-11-21", "demo x026-11-21"),
        ("demo --------21", "demo --------21"),
        ("", ""),
    ] {
        assert_eq!(undated(name), base);
        assert_eq!(redated(name, "2027-01-02"), format!("{base} 2027-01-02"));
    }
}

#[test]
fn names_show_their_text() {
    assert_eq!((RunId::new("r").to_string(), RunId::new("r").as_str()), ("r".into(), "r"));
    assert_eq!((App::new("a").to_string(), App::new("a").as_str()), ("a".into(), "a"));
    assert_eq!(serde_json::to_string(&KeyId::new("k")).unwrap(), "\"k\"");
}

#[test]
fn a_plan_answers_for_its_parts() {
    let plan = with_approval();
    assert_eq!(plan.checks(&Point::Reloaded(App::new("any"))).iter().map(|c| c.id.as_str()).collect::<Vec<_>>(), ["acknowledged"]);
    let mut bare = plan.clone();
    bare.gates.clear();
    assert_eq!(bare.checks(&Point::Bound), []);
    assert_eq!(plan.approval(Phase::Revoke).map(|a| a.role.as_str()), Some("owner"));
    assert_eq!(plan.approval(Phase::Flip), None);
    assert_eq!(plan.claimed_by("web-job").map(|c| c.app.as_str()), Some("web"));
    assert!(plan.claimed_by("web-").is_none() && plan.claimed_by("").is_none());
    let mut accepting = plan.clone();
    accepting.accept = vec!["old_stays_readable".into()];
    assert!(accepting.accepts("old_stays_readable") && !accepting.accepts("old") && !plan.accepts("old_stays_readable"));
    assert_eq!(plan.models(), []);
    assert_eq!(provider().models(), ["m1", "m2"].map(ModelName::new));
}

#[test]
fn the_slowest_consumer_is_one_that_does_not_tell_by_itself() {
    let mut plan = plan();
    plan.consumers[0].cadence = Span::seconds(40);
    plan.consumers[2].cadence = Span::seconds(900);
    assert_eq!(plan.slowest_consumer().map(|c| c.app.as_str()), Some("api"));
    plan.consumers[2].acks = true;
    assert_eq!(plan.slowest_consumer().map(|c| c.app.as_str()), Some("web"));
    plan.consumers.clear();
    assert_eq!(plan.slowest_consumer(), None);
}

#[test]
fn each_point_stands_at_its_own_place() {
    let app = || App::new("a");
    let points = [
        Point::Bound,
        Point::Prepared,
        Point::Canary,
        Point::Reloaded(app()),
        Point::Flipped,
        Point::Drained,
        Point::BeforeDisable,
        Point::Soaked,
        Point::BeforeDelete,
        Point::Gone,
        Point::Complete,
        Point::OldAccepted,
        Point::Returned(app()),
        Point::NewDrained,
        Point::NewSoaked,
        Point::Undone,
    ];
    let places: BTreeSet<Place> = points.iter().map(Point::place).collect();
    assert_eq!(places.len(), points.len());
    for point in points {
        let written = serde_json::to_value(&point).unwrap();
        let name = written.as_str().map(str::to_owned).or_else(|| written.as_object().and_then(|o| o.keys().next().cloned()));
        assert_eq!(serde_json::to_value(point.place()).unwrap().as_str().map(str::to_owned), name);
    }
}

#[test]
fn a_reason_says_whether_the_old_key_is_tainted() {
    use ReasonKind::{Incident, Offboarding, Scheduled, SuspectedLeak, VendorChange};
    assert_eq!([SuspectedLeak, Offboarding, Incident].map(ReasonKind::old_is_tainted), [true; 3]);
    assert_eq!([Scheduled, VendorChange].map(ReasonKind::old_is_tainted), [false; 2]);
}

#[test]
fn one_verdict_advances_and_two_say_that_a_person_decided() {
    let advancing = [Verdict::Pass, Verdict::Waived, Verdict::Skipped].map(Verdict::advances);
    let holding = [Verdict::Fail, Verdict::Inconclusive, Verdict::NoData, Verdict::Error].map(Verdict::advances);
    assert_eq!((advancing, holding), ([true; 3], [false; 4]));
}

#[test]
fn questions_have_names_of_their_own() {
    use Must::*;
    let (o, n) = (Which::Old, Which::New);
    let keys: Vec<String> = [
        SlotsHoldOld,
        PendingIsNew,
        SlotsHold(o),
        SlotsHold(n),
        AdminDiffers,
        WayBack,
        SingleNew,
        NoneNew,
        NoReference(o),
        Projected(n),
        Absent(o),
        NoneRefused(n),
        CadenceKnown,
        EvidenceComplete,
    ]
    .iter()
    .map(Must::key)
    .collect();
    let expected = [
        "slots_hold_old",
        "pending_is_new",
        "slots_hold_old",
        "slots_hold_new",
        "admin_differs",
        "way_back",
        "single_new",
        "none_new",
        "no_reference_old",
        "projected_new",
        "absent_old",
        "none_refused_new",
        "cadence_known",
        "evidence_complete",
    ];
    assert_eq!(keys, expected);
}

#[test]
fn a_source_is_complete_up_to_its_slowest_part_less_its_lag() {
    let shard = |s: Option<i64>| Shard { name: "s".into(), newest: s.map(at) };
    let table = |shards: Vec<Shard>| UsageTable { shards, lag: Span::seconds(2), ..UsageTable::default() };
    assert_eq!(table(vec![shard(Some(50)), shard(Some(40))]).watermark(), Some(at(38)));
    assert_eq!(table(vec![shard(Some(50)), shard(None)]).watermark(), None);
    assert_eq!(table(vec![]).watermark(), None);
    let mut table = table(vec![]);
    table.new.insert(App::new("a"), CallerCount { accepted: 1, refused: 20, other: 300, ..CallerCount::default() });
    assert_eq!((table.of(Which::Old).len(), table.of(Which::New).len()), (0, 1));
    assert_eq!(table.of(Which::New)[&App::new("a")].total(), 321);
}

#[test]
fn required_evidence_is_shown_by_a_passed_check_of_its_kind_or_let_go_in_words() {
    let mut tale = Tale::at("judge bound");
    tale.plan_mut().evidence = ["old_key_negative_test", "usage_owner_check", "auth_error_check", "cost_report"].map(String::from).to_vec();
    assert_eq!(tale.run.missing_evidence(), ["old_key_negative_test", "usage_owner_check", "auth_error_check", "cost_report"]);
    tale.judges(Point::Soaked, &[("old_refused", Verdict::Waived)]);
    tale.judges(Point::Canary, &[("attributed", Verdict::Inconclusive)]);
    tale.judges(Point::NewSoaked, &[]);
    assert_eq!(tale.run.missing_evidence().len(), 4);
    tale.judges(Point::Gone, &[("old_absent", Verdict::NoData)]);
    assert_eq!(tale.run.missing_evidence(), ["usage_owner_check", "auth_error_check", "cost_report"]);
    tale.judges(Point::Canary, &[]).judges(Point::Flipped, &[]);
    assert_eq!(tale.run.missing_evidence(), ["cost_report"]);
    tale.plan_mut().accept = vec!["cost_report_not_made".into()];
    assert_eq!(tale.run.missing_evidence(), [""; 0]);
}

#[test]
fn a_slot_is_found_by_its_number_and_no_other() {
    let run = Tale::new().run;
    assert_eq!(run.slot(slot(1)).map(|s| s.guard.as_str()), Some("g1"));
    assert_eq!(run.slot(slot(2)), None);
}

#[test]
fn times_move_and_never_wrap() {
    let (low, high) = (Time(i64::MIN), Time(i64::MAX));
    assert_eq!((Time(5).plus(Span(7)), Time(5).minus(Span(7))), (Time(12), Time(-2)));
    assert_eq!((high.plus(Span(1)), low.minus(Span(u64::MAX)), Time(0).plus(Span(u64::MAX))), (high, low, high));
    assert_eq!((Time(9).since(Time(4)), Time(4).since(Time(9)), high.since(low)), (Span(5), Span(0), Span(i64::MAX as u64)));
    assert_eq!((Span::seconds(2), Span::minutes(2), Span::hours(2)), (Span(2_000), Span(120_000), Span(7_200_000)));
    assert_eq!((Span(2).plus(Span(3)), Span(u64::MAX).plus(Span(1)), Span::ZERO), (Span(5), Span(u64::MAX), Span(0)));
    assert_eq!(Span(1_500).std(), std::time::Duration::from_millis(1_500));
    assert_eq!(Span(1_500).delta().num_milliseconds(), 1_500);
}

#[test]
fn lengths_at_the_edge_of_a_unit() {
    let shown = [0, 999, 1_000, 1_099, 59_999, 60_000, 61_000, 3_599_999, 3_600_000, 3_660_000, 86_399_999, 86_400_000, 90_000_000];
    let expected = ["0ms", "999ms", "1s", "1.0s", "59.9s", "1m", "1m 1s", "59m 59s", "1h", "1h 1m", "23h 59m", "1d", "1d 1h"];
    assert_eq!(shown.map(|ms| Span(ms).to_string()), expected);
}

#[test]
fn times_are_read_as_they_are_written_and_in_other_zones() {
    let written = serde_json::to_string(&at(0)).unwrap();
    assert_eq!(written, "\"2023-11-14T22:13:20.000Z\"");
    assert_eq!(serde_json::from_str::<Time>(&written).unwrap(), at(0));
    assert_eq!(Time::parse("2023-11-14T23:13:20.5+01:00"), Some(Time(at(0).0 + 500)));
    for bad in ["", "now", "2023-11-14", "2023-11-14T22:13:20", "2023-13-14T22:13:20Z"] {
        assert_eq!(Time::parse(bad), None, "{bad}");
        assert!(serde_json::from_str::<Time>(&format!("\"{bad}\"")).is_err());
    }
    assert_eq!(Time(253_402_300_800_000).rfc3339(), "+10000-01-01T00:00:00.000Z");
    assert_eq!(Time(i64::MIN).rfc3339(), Time(i64::MAX).rfc3339());
}

#[test]
fn clocks_without_a_boot_show_no_jump() {
    let a = Stamp { at: Time(1_000), mono: 500, boot: String::new() };
    assert_eq!(a.jump_since(&a), None);
    let b = |at: i64, mono: u64| Stamp { at: Time(at), mono, boot: "b".into() };
    assert_eq!(b(3_000, 1_500).jump_since(&b(1_000, 500)), Some(1_000));
    assert_eq!(b(1_000, 1_500).jump_since(&b(1_000, 500)), Some(-1_000));
    // A boot clock never goes back; if it seems to, nothing has passed by it.
    assert_eq!(b(3_000, 1).jump_since(&b(1_000, 500)), Some(2_000));
}

fn time(text: &str) -> Time {
    Time::parse(text).unwrap()
}

fn windows(days: &[u8], from: u16, to: u16) -> Windows {
    Windows { timezone: "UTC".into(), allow: vec![Allowed { days: days.to_vec(), from, to }], blackouts: vec![] }
}

#[test]
fn a_window_opens_at_its_first_minute_and_is_closed_at_its_last() {
    // 2026-11-20 is a Friday.
    let friday = windows(&[4], 9 * 60, 10 * 60);
    for (now, is_open) in [
        ("2026-11-20T08:59:59.999Z", false),
        ("2026-11-20T09:00:00Z", true),
        ("2026-11-20T09:59:59Z", true),
        ("2026-11-20T10:00:00Z", false),
        ("2026-11-19T09:30:00Z", false),
    ] {
        assert_eq!(open(&friday, time(now)), is_open, "{now}");
    }
    let night = windows(&[6], 23 * 60, 60);
    for (now, is_open) in [
        ("2026-11-22T23:00:00Z", true),
        ("2026-11-22T22:59:00Z", false),
        ("2026-11-23T00:59:00Z", true),
        ("2026-11-23T01:00:00Z", false),
        ("2026-11-23T23:30:00Z", false),
        ("2026-11-22T00:30:00Z", false),
    ] {
        assert_eq!(open(&night, time(now)), is_open, "{now}");
    }
    assert!(!open(&windows(&[4], 600, 600), time("2026-11-20T10:00:00Z")));
    assert!(!open(&friday, Time(i64::MAX)));
}

#[test]
fn the_zone_moves_day_and_hour() {
    let mut tokyo = windows(&[5], 0, 60);
    tokyo.timezone = "Asia/Tokyo".into();
    assert!(open(&tokyo, time("2026-11-20T15:00:00Z")) && !open(&tokyo, time("2026-11-21T00:30:00Z")));
    tokyo.timezone = "Nowhere".into();
    assert!(open(&tokyo, time("2026-11-21T00:30:00Z")));
}

#[test]
fn a_blackout_closes_what_is_open_from_its_first_to_before_its_last_instant() {
    let mut always = Windows { timezone: "UTC".into(), allow: vec![], blackouts: vec![] };
    let (from, to) = (time("2026-11-20T10:00:00Z"), time("2026-11-20T11:00:30Z"));
    always.blackouts.push(Blackout { from, to, why: "sale".into() });
    for (now, is_open) in [(Time(from.0 - 1), true), (from, false), (Time(to.0 - 1), false), (to, true)] {
        assert_eq!(open(&always, now), is_open);
    }
    assert_eq!(opens_at(&always, from), Some(time("2026-11-20T11:01:00Z")));
    assert_eq!(opens_at(&always, to), Some(to));
}

#[test]
fn the_next_opening_is_found_past_blackouts_and_not_beyond_a_year() {
    let mut friday = windows(&[4], 9 * 60, 10 * 60);
    let now = time("2026-11-20T08:30:42.500Z");
    assert_eq!(opens_at(&friday, now), Some(time("2026-11-20T09:00:00Z")));
    // One that lies behind, or comes later, moves nothing.
    let blackout = |from: &str, to: &str| Blackout { from: time(from), to: time(to), why: String::new() };
    friday.blackouts.push(blackout("2026-11-20T01:00:00Z", "2026-11-20T02:00:00Z"));
    friday.blackouts.push(blackout("2026-11-20T09:30:00Z", "2026-12-20T00:00:00Z"));
    assert_eq!(opens_at(&friday, now), Some(time("2026-11-20T09:00:00Z")));
    // Two that overlap: the later end counts.
    friday.blackouts.push(blackout("2026-11-20T08:00:00Z", "2026-11-20T09:10:30Z"));
    friday.blackouts.push(blackout("2026-11-20T08:00:00Z", "2026-11-20T09:20:30Z"));
    assert_eq!(opens_at(&friday, now), Some(time("2026-11-20T09:21:00Z")));
    friday.blackouts.push(blackout("2026-11-20T08:00:00Z", "2026-11-27T09:05:00Z"));
    assert_eq!(opens_at(&friday, time("2026-11-20T08:30:00Z")), Some(time("2026-12-25T09:00:00Z")));
    friday.blackouts.push(blackout("2026-11-01T00:00:00Z", "2030-01-01T00:00:00Z"));
    assert_eq!(opens_at(&friday, now), None);
    assert_eq!(opens_at(&windows(&[], 0, 60), now), None);
}
