//! Every record as a journal has it. Journals outlive programs: what one version wrote, every later one must read.
//!
//! From the first release on `records.jsonl` is only added to: a line that no longer reads is a journal that can no longer be resumed.
//! A failing test prints the lines that are missing.

use super::fixture::*;
use super::tale::{judged, minted, reading};
use crate::rotation::*;

const KEPT: &str = include_str!("records.jsonl");

/// Which kind of record it is. A new kind does not compile until it is listed, and then needs a line.
fn kind(record: &Record) -> &'static str {
    match record {
        Record::Planned { .. } => "planned",
        Record::Opened { .. } => "opened",
        Record::Looked { .. } => "looked",
        Record::Began { .. } => "began",
        Record::Spawned { .. } => "spawned",
        Record::Ended { .. } => "ended",
        Record::Calls { .. } => "calls",
        Record::Judged { .. } => "judged",
        Record::Moved { .. } => "moved",
        Record::Turned { .. } => "turned",
        Record::Reopened { .. } => "reopened",
        Record::Asked { .. } => "asked",
        Record::Answered { .. } => "answered",
        Record::Waived { .. } => "waived",
        Record::Excepted { .. } => "excepted",
        Record::Amended { .. } => "amended",
        Record::Emergency { .. } => "emergency",
        Record::Parked { .. } => "parked",
        Record::Stuck { .. } => "stuck",
        Record::Noted { .. } => "noted",
        Record::Unlocked { .. } => "unlocked",
        Record::Checkpoint { .. } => "checkpoint",
        Record::Finished { .. } => "finished",
    }
}

const KINDS: usize = 23;

fn effects() -> Vec<Effect> {
    let (key, id, marker) = (Which::Old, KeyId::new("k"), Marker::of(&RunId::new("run"), 1));
    let guard = || "g".to_owned();
    vec![
        Effect::Mint { marker: marker.clone() },
        Effect::Stage { slot: slot(0), value: Some(print("b")) },
        Effect::Promote { slot: slot(1), guard: guard() },
        Effect::Repoint { model: ModelName::new("m"), to: Which::New },
        Effect::Reload { app: App::new("web"), flip: 2 },
        Effect::Disable { key, id: id.clone(), approval: Some(7) },
        Effect::Enable { key, id: id.clone() },
        Effect::Delete { key: Which::New, id: id.clone() },
        Effect::Discard { id: id.clone(), marker },
        Effect::Demote { slot: slot(0), guard: guard() },
        Effect::Fence { slot: slot(0), guard: guard() },
        Effect::DropPending { slot: slot(0) },
        Effect::Retire { slot: slot(0) },
        Effect::MarkLive { id },
        Effect::Scan,
        Effect::Seal,
    ]
}

fn outcomes() -> Vec<Outcome> {
    let why = || "w".to_owned();
    let mut all: Vec<Outcome> = [
        Done::Plain,
        minted("new", Some("b")),
        Done::Staged { version: Some(VersionId::new("v")), value: print("b"), guard: "g".into() },
        Done::Moved { guard: "g".into(), atomic: false },
        Done::Already,
        Done::Written { digest: "d".into(), place: "p".into() },
    ]
    .map(Outcome::Done)
    .to_vec();
    all.extend([
        Outcome::NotDone { why: why() },
        Outcome::Refused { why: why() },
        Outcome::Unknown { why: why() },
        Outcome::Conflict { why: why() },
    ]);
    all
}

fn full_reading() -> Reading {
    let mut read = reading(stamp(5));
    read.source_now = Some(at(6));
    let request = RequestId::new("kr-1");
    let class = CallClass::UpstreamFault;
    let endpoint = Endpoint::new("r1");
    read.calls =
        vec![CallFacts { request: request.clone(), endpoint, family: "chat".into(), key: Which::New, class, status: 502, at: at(4) }];
    let mut usage = UsageTable { from: at(0), to: at(5), rows: 9, malformed: 1, lag: Span::seconds(2), ..UsageTable::default() };
    usage.old.insert(App::new("web"), CallerCount { accepted: 1, refused: 2, first: Some(at(1)), ..CallerCount::default() });
    usage.own.insert(request, OwnRow { key: Some(Which::New), owner: "o".into(), refused: true, at: at(4) });
    usage.shards = vec![Shard { name: "a".into(), newest: None }];
    read.usage = Some(usage);
    read.acks = vec![Ack { app: App::new("web"), loaded_at: at(3), holds: Some(print("b")), key: Some(KeyId::new("new")) }];
    read.facts.insert("scope".into(), Looked { holds: true, seen: "s".into() });
    read.errors.insert("way_back".into(), "e".into());
    read
}

fn drifts() -> Vec<Drift> {
    let (fields, model) = (vec!["f".to_owned()], ModelName::new("m"));
    vec![
        Drift::OtherGateway { seen: "s".into() },
        Drift::LostCapability { what: "w".into() },
        Drift::OldDisabled,
        Drift::OldEnabled,
        Drift::OldGone,
        Drift::OldScope { fields: fields.clone() },
        Drift::NewDisabled,
        Drift::NewGone,
        Drift::NewScope { fields },
        Drift::Twins { ids: vec![KeyId::new("k")] },
        Drift::SlotCurrent { slot: slot(0), seen: "s".into(), holds: None },
        Drift::SlotCurrent { slot: slot(1), seen: "s".into(), holds: Some(Which::Old) },
        Drift::SlotPending { slot: slot(0), seen: "s".into() },
        Drift::Model { model: model.clone(), seen: "s".into() },
        Drift::NewReference { model },
    ]
}

/// At least one of each kind, each effect, each outcome, each difference, each point, each verdict.
fn records() -> Vec<Record> {
    let text = |s: &str| s.to_owned();
    let mut rich = with_approval();
    rich.windows = Some(Windows {
        timezone: "Europe/Berlin".into(),
        allow: vec![Allowed { days: vec![0, 4], from: 540, to: 1020 }],
        blackouts: vec![Blackout { from: at(1), to: at(2), why: "sale".into() }],
    });
    let exception = Exception { app: App::new("web"), until: at(9), owner: "o".into(), why: "w".into() };
    rich.exceptions = vec![exception.clone()];
    rich.watcher = Some(Span::minutes(5));
    let mut all = vec![
        Record::Planned { run: RunId::new("run"), plan_id: rich.id(), plan: Box::new(rich) },
        Record::Planned { run: RunId::new("run"), plan_id: PlanId::new("p"), plan: Box::new(provider()) },
        Record::Opened {
            holder: Holder { host: text("h"), pid: 4, user: text("u") },
            stamp: stamp(1),
            taken_over: true,
            gate_semantics: 1,
        },
        Record::Looked { drift: drifts(), guards: vec![(slot(1), text("g"))], weaker: Some(Box::new(caps())) },
        Record::Looked { drift: vec![], guards: vec![], weaker: None },
    ];
    for (n, effect) in (1..).zip(effects()) {
        all.push(Record::Began { n, effect, stamp: stamp(2), send_before: at(3) });
    }
    all.push(Record::Spawned { n: 1, child: Child { pid: 7, start: Some(8) } });
    for (outcome, by) in outcomes().into_iter().zip([By::Answer, By::Look, By::Person].into_iter().cycle()) {
        all.push(Record::Ended { n: 1, kind: EffectKind::DisableOld, outcome, by, stamp: stamp(4) });
    }
    all.push(Record::Calls { ids: vec![(RequestId::new("kr-1"), Which::Old)] });
    let verdicts =
        [Verdict::Pass, Verdict::Fail, Verdict::Inconclusive, Verdict::NoData, Verdict::Error, Verdict::Waived, Verdict::Skipped];
    all.push(Record::Judged {
        point: Point::Reloaded(App::new("web")),
        reading: Box::new(full_reading()),
        checks: verdicts.map(|v| judged("c", v)).to_vec(),
    });
    all.push(Record::Judged { point: Point::BeforeDelete, reading: Box::new(reading(stamp(5))), checks: vec![] });
    all.extend(Phase::ALL.map(|to| Record::Moved { to }));
    all.extend([
        Record::Turned { why: text("w"), by: Some(text("ann")) },
        Record::Turned { why: text("w"), by: None },
        Record::Reopened { why: text("w"), callers: vec![App::new("web")], unknown: true },
        Record::Asked { phase: Phase::Revoke, attempt: 2, role: text("owner"), head: text("h") },
        Record::Answered {
            phase: Phase::Revoke,
            attempt: 2,
            head: text("h"),
            by: text("ann"),
            yes: true,
            why: text("w"),
            proof: Proof::Asserted,
        },
        Record::Answered {
            phase: Phase::Revoke,
            attempt: 2,
            head: text("h"),
            by: text("ann"),
            yes: false,
            why: text("w"),
            proof: Proof::Signed { signature: text("s"), principal: text("p") },
        },
        Record::Waived { point: Point::Drained, check: text("c"), by: text("ann"), why: text("w"), until: at(9) },
        Record::Excepted { exception, by: text("ann") },
        Record::Amended { accepts: drifts(), by: text("ann"), why: text("w") },
        Record::Emergency { by: text("ann"), why: text("w"), breaks: vec![App::new("web")] },
        Record::Parked { why: text("w"), wake_at: Some(at(9)), person: true },
        Record::Parked { why: text("w"), wake_at: None, person: false },
        Record::Stuck { why: text("w"), steps: vec![text("one")] },
        Record::Noted { what: text("n") },
        Record::Unlocked { by: text("ann"), why: text("w") },
        Record::Checkpoint { head: text("h"), signature: text("s") },
        Record::Finished { end: End::Done, took: Span::seconds(3) },
        Record::Finished { end: End::RolledBack { why: text("w"), asked: true }, took: Span::ZERO },
    ]);
    all
}

#[test]
fn every_kept_line_still_reads_and_is_written_back_byte_for_byte() {
    let mut seen = std::collections::BTreeSet::new();
    for (i, line) in KEPT.lines().enumerate() {
        let record: Record = serde_json::from_str(line).unwrap_or_else(|e| panic!("line {}: {e}", i + 1));
        seen.insert(kind(&record));
        assert_eq!(serde_json::to_string(&record).unwrap(), line, "line {}", i + 1);
    }
    assert_eq!(seen.len(), KINDS, "{seen:?}");
}

#[test]
fn what_is_written_today_is_among_the_kept_lines() {
    let missing: Vec<String> =
        records().iter().map(|r| serde_json::to_string(r).unwrap()).filter(|line| !KEPT.lines().any(|kept| kept == line)).collect();
    assert!(
        missing.is_empty(),
        "add to src/rotation/tests/records.jsonl, and change no line that a released version wrote:\n{}",
        missing.join("\n")
    );
}

#[test]
fn a_plan_keeps_its_id_over_a_round_trip_and_changes_it_with_any_word() {
    let plan = with_approval();
    let id = plan.id();
    assert_eq!((id.as_str().len(), plan.id()), (64, id.clone()));
    let again: Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
    assert_eq!(again.id(), id);
    let mut other = plan.clone();
    other.timing.soak = Span(other.timing.soak.0 + 1);
    let mut renamed = plan;
    renamed.about.ticket = Some("T-1".into());
    assert!(other.id() != id && renamed.id() != id && other.id() != renamed.id());
    // The first kept line is a whole plan with the id it had when it was written.
    let Record::Planned { plan, plan_id, .. } = serde_json::from_str(KEPT.lines().next().unwrap()).unwrap() else { panic!("no plan") };
    assert_eq!(plan.id(), plan_id);
}

#[test]
fn an_inventory_reads_back() {
    let inventory = Inventory {
        v: 1,
        at: at(0),
        driver: "test".into(),
        identity: plan().gateway.identity,
        caps: caps(),
        endpoints: vec![],
        keys: vec![key("old")],
        models: vec![(ModelName::new("m"), KeyId::new("old"))],
        slots: vec![SlotSeen { name: "n".into(), address: "a".into(), caps: store_caps(), snapshot: Snapshot::default(), holds: None }],
        usage: plan().usage,
        callers: [(App::new("web"), CallerCount::default())].into(),
        fingerprint_check: "c".into(),
    };
    let written = serde_json::to_string(&inventory).unwrap();
    assert_eq!(serde_json::from_str::<Inventory>(&written).unwrap(), inventory);
    let fields: Vec<String> = serde_json::from_str::<serde_json::Value>(&written).unwrap().as_object().unwrap().keys().cloned().collect();
    let expected =
        ["at", "callers", "caps", "driver", "endpoints", "fingerprint_check", "identity", "keys", "models", "slots", "usage", "v"];
    assert_eq!(fields, expected);
}
