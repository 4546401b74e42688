//! A run in hold whose readings are all in order: each test breaks one thing.
//!
//! Times are seconds since the run began. The gateway's clock is five seconds ahead of ours, so a rule that mixes the two is caught.

use crate::gate::judge_one;
use crate::rotation::*;
use crate::secret::Fingerprint;
use std::collections::BTreeMap;
use std::sync::Arc;

const T0: i64 = 1_700_000_000_000;
/// The gateway's clock is ahead of ours by this.
pub(super) const AHEAD: i64 = 5;
pub(super) const FLIP: i64 = 60;
pub(super) const HOLD: i64 = 120;
/// The old key was disabled, where a test needs it.
pub(super) const OFF: i64 = 7_200;
/// Two hours after hold began; the window is one hour.
pub(super) const NOW: i64 = HOLD + 7_200;

/// Our time.
pub(super) fn at(s: i64) -> Time {
    Time(T0 + s * 1000)
}

/// The same instant on the gateway's clock.
pub(super) fn src(s: i64) -> Time {
    at(s + AHEAD)
}

pub(super) fn stamp(s: i64) -> Stamp {
    Stamp { at: at(s), mono: u64::try_from(s * 1000 + 10_000_000).unwrap(), boot: "boot".into() }
}

pub(super) fn print(digit: &str) -> Fingerprint {
    serde_json::from_str(&format!("\"hmac-sha256:{}\"", digit.repeat(64))).unwrap()
}

fn consumer(app: &str, owner: &str, cadence: Span, acks: bool) -> ConsumerPlan {
    let reload = Reload::Told { how: "restart".into() };
    ConsumerPlan { app: App::new(app), owner: owner.into(), reload, cadence, seen_as: vec![app.into()], acks }
}

/// Two replicas, two log shards, three consumers: `chat` (seen in the log), `worker` (acknowledges), `batch` (calls once a day).
pub(super) fn plan() -> Plan {
    let caps = GatewayCaps {
        overlap: Overlap::SeparateIds,
        mint: Mint::ShownOnce,
        marker: MarkerRule::Label(64),
        disable: Disable::Reversible,
        settles_in: Span::seconds(10),
        refusal_cache: Span::seconds(20),
        created_at: true,
        known_by: KnownBy::Measured,
    };
    let identity = GatewayIdentity { base: "http://gw".into(), tenant: "t".into(), principal: "p".into(), build: "1".into() };
    let endpoints = ["r1", "r2"].map(|e| EndpointFacts { endpoint: Endpoint::new(e), shard: None }).to_vec();
    let slot_caps = StoreCaps { swap: Swap::CompareAndSet, read_back: true, late_write: LateWrite::Impossible, shared_document: false };
    let slot = SlotPlan {
        name: "file .env KEY".into(),
        address: "file:/x".into(),
        caps: slot_caps,
        guard: "g".into(),
        current_is: Some(print("a")),
    };
    Plan {
        v: 1,
        gate_semantics: GATE_SEMANTICS,
        made_at: at(-60),
        about: About {
            credential: "chat".into(),
            owner: "team".into(),
            environment: "test".into(),
            reason: "test".into(),
            reason_kind: ReasonKind::Scheduled,
            ticket: None,
            requester: None,
        },
        policy: FrozenPolicy { file: "p.yaml".into(), sha256: "0".into(), text: String::new(), effective: String::new() },
        gateway: GatewayPlan { driver: "test".into(), identity, caps, endpoints },
        kind: Kind::Router,
        old: KeyFacts {
            id: KeyId::new("old"),
            name: "old".into(),
            marker: String::new(),
            enabled: true,
            created_at: None,
            expires_at: None,
            last_used_at: None,
            owner: "team-chat".into(),
            scope: BTreeMap::new(),
        },
        sentinel: None,
        known_ids: vec![],
        slots: vec![slot],
        consumers: vec![
            consumer("chat", "team-chat", Span::seconds(60), false),
            consumer("worker", "team-work", Span::seconds(60), true),
            consumer("batch", "team-data", Span::hours(24), false),
        ],
        unclaimed: vec![],
        probes: ["chat", "tools"].map(|f| Probe { family: f.into(), model: "m".into(), stream: false }).to_vec(),
        usage: UsagePlan {
            kind: UsageKind::Rows,
            sees_refused: true,
            names_caller: true,
            lag: Span::seconds(2),
            shards: vec!["a".into(), "b".into()],
            reaches: None,
            source: "the gateway's log".into(),
        },
        gates: vec![],
        approvals: vec![],
        timing: Timing {
            poll: Span::seconds(10),
            call_timeout: Span::seconds(10),
            send_before: Span::seconds(30),
            observation: Span::minutes(5),
            drain_window: Span::hours(1),
            soak: Span::minutes(1),
            undo_window: Span::minutes(10),
            repeats: 3,
            longest_request: Span::seconds(3),
            longest_gap: Span::hours(1),
            reload_within: Span::seconds(30),
        },
        windows: None,
        accept: vec![],
        on_fail: OnFail::Rollback,
        on_refused_caller: OnRefused::Reopen,
        by_hand: vec![],
        watcher: None,
        exceptions: vec![],
        claims: vec![],
        hosts: vec![],
        evidence: vec![],
        gaps: vec![],
        warnings: vec![],
        fingerprint_check: "c".into(),
    }
}

/// A run of this plan that flipped, reloaded everybody, and is in hold.
pub(super) fn run_of(plan: Plan) -> Run {
    let id = RunId::new("run");
    let marker = Marker::of(&id, 1);
    let mut run = Run::new(id, Arc::new(plan), PlanId::new("plan"));
    run.new = Some(NewKey { id: KeyId::new("new"), value: print("b"), enabled: true, off_by_others: false, marker });
    run.phase = Phase::Hold;
    run.since.start = Some(stamp(0));
    run.since.flip = Some(stamp(FLIP));
    run.since.hold = Some(stamp(HOLD));
    run.slots[0].current = Which::New;
    run.slots[0].was_promoted = true;
    for (app, s) in [("chat", 50), ("worker", 55), ("batch", FLIP)] {
        run.reloads.insert(App::new(app), (run.flip, stamp(s)));
    }
    run.stamp = Some(stamp(NOW - 10));
    run
}

pub(super) fn run() -> Run {
    run_of(plan())
}

/// The same run with the old key disabled at [`OFF`], after it was seen accepted everywhere.
pub(super) fn run_off() -> Run {
    let mut run = run();
    run.phase = Phase::Revoke;
    run.old = OldKey::DisabledByUs;
    run.since.disabled = Some(stamp(OFF));
    run.stamp = Some(stamp(OFF));
    for e in ["r1", "r2"] {
        run.control.insert((Which::Old, Endpoint::new(e)));
    }
    run
}

/// The same run on its way back, its consumers reloaded to the old key at 7000.
pub(super) fn run_back() -> Run {
    let mut run = run();
    run.course = Course::Undo;
    run.flip = 2;
    run.reloads.clear();
    run.slots[0].current = Which::Old;
    run.since.back = Some(stamp(7_000));
    run
}

/// A reading at `s` in which everybody uses the new key and every shard was heard from just now.
pub(super) fn reading(s: i64) -> Reading {
    let mut usage = UsageTable {
        from: src(-2),
        to: src(s),
        rows: 1_000,
        shards: ["a", "b"].map(|name| Shard { name: name.into(), newest: Some(src(s)) }).to_vec(),
        lag: Span::seconds(2),
        reaches: Some(src(-100_000)),
        ..UsageTable::default()
    };
    usage.own.insert(RequestId::new("tracer"), own(Some(Which::New), false, s - 1));
    for app in ["chat", "worker", "batch"] {
        usage.new.insert(App::new(app), uses(s - 20));
    }
    Reading {
        stamp: stamp(s),
        source_now: Some(src(s)),
        calls: vec![],
        usage: Some(usage),
        acks: vec![],
        facts: BTreeMap::new(),
        errors: BTreeMap::new(),
    }
}

pub(super) fn usage(reading: &mut Reading) -> &mut UsageTable {
    reading.usage.as_mut().unwrap()
}

/// One use of ours-time `s`.
pub(super) fn uses(s: i64) -> CallerCount {
    CallerCount { accepted: 1, first: Some(src(s)), last_used: Some(src(s)), ..CallerCount::default() }
}

/// One refusal at `s`.
pub(super) fn refusal(s: i64) -> CallerCount {
    CallerCount { refused: 1, first: Some(src(s)), last_refused: Some(src(s)), ..CallerCount::default() }
}

pub(super) fn own(key: Option<Which>, refused: bool, s: i64) -> OwnRow {
    OwnRow { key, owner: "team-chat".into(), refused, at: src(s) }
}

pub(super) fn ack(app: &str, loaded: i64, holds: Option<&str>) -> Ack {
    Ack { app: App::new(app), loaded_at: src(loaded), holds: holds.map(print), key: None }
}

pub(super) fn call(key: Which, endpoint: &str, family: &str, class: CallClass, s: i64) -> CallFacts {
    let status = match class {
        CallClass::Accepted => 200,
        CallClass::Refused => 401,
        CallClass::OverLimit => 429,
        CallClass::Forbidden => 403,
        CallClass::UpstreamFault => 502,
        CallClass::Down => 0,
        CallClass::Unknown => 404,
    };
    let request = RequestId::new(format!("{}-{endpoint}-{family}-{s}", key.name()));
    CallFacts { request, endpoint: Endpoint::new(endpoint), family: family.into(), key, class, status, at: at(s) }
}

/// Judges one question.
pub(super) fn ask(run: &Run, point: Point, ask: Ask, reading: &Reading) -> Judged {
    judge_one(run, &point, &Check { id: "check".into(), ask, skippable: true }, reading)
}

/// The verdict is this, and the sentence says that.
#[track_caller]
pub(super) fn is(judged: &Judged, verdict: Verdict, says: &str) {
    assert_eq!(judged.verdict, verdict, "{}", judged.why);
    assert!(judged.why.contains(says), "`{says}` is not in `{}`", judged.why);
    let first = judged.why.chars().next().unwrap();
    assert!(!first.is_uppercase() && !judged.why.ends_with('.'), "{}", judged.why);
}
