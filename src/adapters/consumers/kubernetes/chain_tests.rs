//! A day with a delivery chain on simulated clocks: a store that changes at noon, a copy that comes within the hour, and a job at three in
//! the night. What is asked every minute is what the run would ask: may the old key go now?
#![expect(clippy::unwrap_used, reason = "a test may")]

use super::references::Way;
use super::standing::{self, Clocks, LastHop, PodSeen};
use crate::gate::judge_one;
use crate::plan::{self, Facts};
use crate::rotation::*;
use crate::secret::{Fingerprint, FingerprintKey, SecretText};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// The store was changed.
const NOON: i64 = 1_800_014_400_000;
/// The copy came.
const COPY: i64 = NOON + HOUR - MINUTE;
/// Somebody restarted everything, too early.
const EARLY: i64 = NOON + HOUR / 2;
/// The restart that was asked for after the copy came.
const RESTART: i64 = COPY + MINUTE;
/// The job runs.
const NIGHT: i64 = NOON + 15 * HOUR;

fn print(text: &str) -> Fingerprint {
    FingerprintKey::from_bytes(&[7; 32]).unwrap().of(&SecretText::new(text))
}

fn key(id: &str) -> KeyFacts {
    KeyFacts {
        id: KeyId::new(id),
        name: id.into(),
        marker: String::new(),
        enabled: true,
        created_at: None,
        expires_at: None,
        last_used_at: None,
        owner: String::new(),
        scope: BTreeMap::new(),
    }
}

fn inventory() -> Inventory {
    let caps = GatewayCaps {
        overlap: Overlap::SeparateIds,
        mint: Mint::ShownOnce,
        marker: MarkerRule::Label(64),
        disable: Disable::Reversible,
        settles_in: Span::seconds(1),
        refusal_cache: Span::seconds(1),
        created_at: true,
        known_by: KnownBy::Measured,
    };
    let stores = StoreCaps { swap: Swap::CompareAndSet, read_back: true, late_write: LateWrite::Fenceable, shared_document: true };
    let snapshot = Snapshot { current_is: Some(print("old")), guard: "v1".into(), ..Snapshot::default() };
    Inventory {
        v: 1,
        at: Time(NOON - HOUR),
        driver: "sandbox".into(),
        identity: GatewayIdentity { base: "http://gw".into(), tenant: "t".into(), principal: "p".into(), build: "1".into() },
        caps,
        endpoints: Vec::new(),
        keys: vec![key("old"), key("other")],
        models: Vec::new(),
        slots: vec![SlotSeen { name: "vault".into(), address: "vault:x".into(), caps: stores, snapshot, holds: Some(KeyId::new("old")) }],
        usage: UsagePlan {
            kind: UsageKind::Rows,
            sees_refused: true,
            names_caller: true,
            lag: Span::seconds(2),
            shards: vec!["a".into()],
            reaches: None,
            source: "the log".into(),
        },
        callers: BTreeMap::new(),
        fingerprint_check: "c".into(),
    }
}

fn plan() -> Plan {
    let through = json!({ "external_secret": { "name": "router", "refresh": "1h" } });
    let reads = json!({ "secret": "router-key", "key": "api_key" });
    let workload = |kind: &str, name: &str, restart: bool| {
        let mut how = json!({ "context": "prod", "namespace": "chat", kind: name, "reads": reads, "through": through });
        if restart {
            how.as_object_mut().unwrap().insert("restart".into(), true.into());
        }
        json!({ "kubernetes": how })
    };
    let policy = json!({
        "version": 1,
        "rotation": { "credential": "chat", "owner": "team", "environment": "development", "reason": "scheduled" },
        "gateway": { "sandbox": { "key": { "id": "old" } } },
        "slots": [{ "vault": { "mount": "kv", "path": "chat", "field": "api_key" } }],
        "consumers": [
            { "app": "web", "cadence": "continuous", "reload": workload("deployment", "web", true) },
            { "app": "nightly", "cadence": "24h", "reload": workload("cronjob", "nightly", false) },
        ],
        "usage": [{ "gateway_log": {} }],
        "watcher": { "tick": "5m" },
    });
    let frozen = FrozenPolicy { file: "p".into(), sha256: "0".into(), text: String::new(), effective: policy.to_string() };
    let policy = serde_json::from_value(policy).unwrap();
    let facts = Facts { policy: &policy, frozen, inventory: &inventory(), requester: None, attended: true, now: Time(NOON - HOUR) };
    plan::build(&facts).unwrap()
}

fn stamp(at: i64) -> Stamp {
    Stamp { at: Time(at), mono: u64::try_from(at).unwrap(), boot: "b".into() }
}

/// A run that promoted at noon; whether its own restart of `web` has happened yet.
fn run(plan: &Arc<Plan>, now: i64) -> Run {
    let id = RunId::new("run");
    let marker = Marker::of(&id, 1);
    let mut run = Run::new(id, plan.clone(), PlanId::new("plan"));
    run.new = Some(NewKey { id: KeyId::new("new"), value: print("new"), enabled: true, off_by_others: false, marker });
    run.phase = Phase::Hold;
    run.since.start = Some(stamp(NOON - HOUR));
    run.since.flip = Some(stamp(NOON));
    run.since.hold = Some(stamp(RESTART.min(now)));
    run.slots.iter_mut().for_each(|s| s.current = Which::New);
    // The intent is older than the copy: the reload waits for it.
    run.reloads.insert(App::new("web"), (run.flip, stamp(NOON + MINUTE)));
    run.stamp = Some(stamp(now));
    run
}

/// What the Secret held at an instant, and since when.
fn hop(now: i64) -> LastHop {
    if now < COPY {
        LastHop { is: print("old"), since: Some(NOON - 90 * 24 * HOUR) }
    } else {
        LastHop { is: print("new"), since: Some(COPY) }
    }
}

fn pod(name: &str, started: i64, restart: Option<(i64, Fingerprint)>) -> PodSeen {
    PodSeen { name: name.into(), ended: false, ending: false, ready: true, started: Some(started), restart, ways: vec![Way::Env] }
}

/// Which value each application works with, as the world really is.
fn holds(app: &str, now: i64) -> Which {
    let started = match app {
        "web" if now >= RESTART => RESTART,
        "web" if now >= EARLY => EARLY,
        "nightly" if now >= NIGHT => NIGHT,
        _ => return Which::Old,
    };
    if started > COPY { Which::New } else { Which::Old }
}

/// What each says of itself.
fn acks(now: i64) -> Vec<Ack> {
    let web = match now {
        _ if now >= RESTART => vec![pod("web-3", RESTART + 5_000, Some((RESTART, print("new"))))],
        _ if now >= EARLY => vec![pod("web-2", EARLY, None)],
        _ => vec![pod("web-1", NOON - 24 * HOUR, None)],
    };
    let job = if now >= NIGHT { vec![pod("nightly-2", NIGHT, None)] } else { Vec::new() };
    let said = |app: &str, pods: &[PodSeen]| {
        let hop = hop(now);
        let standing = standing::judge(pods, &hop, Clocks { cluster: now, ours: now });
        let loaded = standing.loaded_at.filter(|_| standing.complete())?;
        Some(Ack { app: App::new(app), loaded_at: Time(loaded), holds: Some(hop.is), key: None })
    };
    [said("web", &web), said("nightly", &job)].into_iter().flatten().collect()
}

/// A reading at an instant: the web calls every minute, the job once a night, the log is complete.
fn reading(now: i64) -> Reading {
    let mut usage = UsageTable {
        from: Time(NOON - HOUR),
        to: Time(now),
        rows: 1_000,
        shards: vec![Shard { name: "a".into(), newest: Some(Time(now)) }],
        lag: Span::seconds(2),
        reaches: Some(Time(NOON - 90 * 24 * HOUR)),
        ..UsageTable::default()
    };
    let row = OwnRow { key: Some(Which::New), owner: String::new(), refused: false, at: Time(now - 1_000) };
    usage.own.insert(RequestId::new("tracer"), row);
    let used = |at: i64| CallerCount { accepted: 1, first: Some(Time(at)), last_used: Some(Time(at)), ..CallerCount::default() };
    let table = |usage: &mut UsageTable, which: Which, app: &str, at: i64| {
        let of = if which == Which::New { &mut usage.new } else { &mut usage.old };
        of.insert(App::new(app), used(at));
    };
    let last_old = if now >= RESTART { RESTART - MINUTE } else { now - 2_000 };
    table(&mut usage, Which::Old, "web", last_old);
    if now >= RESTART + MINUTE {
        table(&mut usage, Which::New, "web", now - 2_000);
    }
    table(&mut usage, Which::Old, "nightly", NIGHT - 24 * HOUR);
    if now >= NIGHT + MINUTE {
        table(&mut usage, Which::New, "nightly", NIGHT + 30_000);
    }
    Reading {
        stamp: stamp(now),
        source_now: Some(Time(now)),
        calls: Vec::new(),
        usage: Some(usage),
        acks: acks(now),
        facts: BTreeMap::new(),
        errors: BTreeMap::new(),
    }
}

/// What stands between the run and the end of the old key.
fn open(plan: &Arc<Plan>, now: i64) -> Vec<String> {
    let run = run(plan, now);
    let reading = reading(now);
    [Ask::Coverage { key: Which::New }, Ask::Zero { key: Which::Old }]
        .into_iter()
        .map(|ask| judge_one(&run, &Point::Drained, &Check { id: "c".into(), ask, skippable: false }, &reading))
        .filter(|judged| !judged.verdict.advances())
        .map(|judged| format!("{:?}: {}", judged.verdict, judged.why))
        .collect()
}

#[test]
fn neither_the_chain_nor_the_nightly_job_is_cut_off() {
    let plan = Arc::new(plan());
    let mut first = None;
    for minute in 1..(24 * 60) {
        let now = NOON + minute * MINUTE;
        let waits = open(&plan, now);
        if waits.is_empty() {
            let safe = ["web", "nightly"].iter().all(|app| holds(app, now) == Which::New);
            assert!(safe, "the old key may go {minute} minutes after noon, and somebody still holds it");
            first.get_or_insert(now);
        }
    }
    let first = first.unwrap();
    assert!((NIGHT..NIGHT + HOUR).contains(&first), "it ends soon after the job ran: {}", (first - NOON) / MINUTE);
}

#[test]
fn a_restart_that_picked_up_the_old_value_is_no_acknowledgement() {
    let plan = Arc::new(plan());
    // Half past twelve: everything was restarted, and the copy is still the old one. Two o'clock, had nobody restarted it again.
    let word = |now: i64| acks(now).into_iter().find(|a| a.app == App::new("web"));
    assert!(word(EARLY + MINUTE).is_none_or(|ack| ack.holds != Some(print("new"))));
    assert!(open(&plan, EARLY + MINUTE).iter().any(|why| why.contains("web")), "{:?}", open(&plan, EARLY + MINUTE));
    let stale =
        standing::judge(&[pod("web-2", EARLY, None)], &hop(NOON + 2 * HOUR), Clocks { cluster: NOON + 2 * HOUR, ours: NOON + 2 * HOUR });
    assert!(!stale.complete(), "it started before the copy came");
    assert_eq!(word(RESTART + MINUTE).and_then(|ack| ack.holds), Some(print("new")));
}

#[test]
fn the_plan_restarts_the_one_and_waits_for_the_other() {
    let plan = plan();
    let of = |app: &str| plan.consumers.iter().find(|c| c.app == App::new(app)).unwrap().clone();
    assert!(of("web").acks && matches!(of("web").reload, Reload::Told { .. }));
    assert!(of("nightly").acks && of("nightly").reload == Reload::Dynamic { ttl: Span::hours(24) });
}
