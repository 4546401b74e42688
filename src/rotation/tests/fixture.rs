//! A small plan: two slots, three consumers, one check a rule.
//!
//! Times are seconds since the run began.

use crate::rotation::*;
use crate::secret::Fingerprint;
use std::collections::BTreeMap;

const T0: i64 = 1_700_000_000_000;

pub(super) fn at(s: i64) -> Time {
    Time(T0 + s * 1000)
}

pub(super) fn stamp(s: i64) -> Stamp {
    Stamp { at: at(s), mono: u64::try_from(s * 1000 + 10_000_000).unwrap(), boot: "boot".into() }
}

pub(super) fn print(digit: &str) -> Fingerprint {
    Fingerprint::parse(&format!("hmac-sha256:{}", digit.repeat(64))).unwrap()
}

pub(super) fn slot(i: u16) -> SlotNo {
    SlotNo(i)
}

pub(super) fn caps() -> GatewayCaps {
    GatewayCaps {
        overlap: Overlap::SeparateIds,
        mint: Mint::ShownOnce,
        marker: MarkerRule::Label(64),
        disable: Disable::Reversible,
        settles_in: Span::seconds(7),
        refusal_cache: Span::seconds(20),
        created_at: true,
        known_by: KnownBy::Measured,
    }
}

pub(super) fn store_caps() -> StoreCaps {
    StoreCaps { swap: Swap::CompareAndSet, read_back: true, late_write: LateWrite::Fenceable, shared_document: false }
}

pub(super) fn key(id: &str) -> KeyFacts {
    KeyFacts {
        id: KeyId::new(id),
        name: "demo key".into(),
        marker: String::new(),
        enabled: true,
        created_at: Some(at(-1000)),
        expires_at: None,
        last_used_at: None,
        owner: "team".into(),
        scope: BTreeMap::from([("models".to_owned(), serde_json::json!(["m"])), ("expires_at".to_owned(), serde_json::json!(1))]),
    }
}

fn slot_plan(i: u16) -> SlotPlan {
    SlotPlan {
        name: format!("file {i}"),
        address: format!("file:/{i}"),
        caps: store_caps(),
        guard: format!("g{i}"),
        current_is: Some(print("a")),
    }
}

pub(super) fn consumer(app: &str, reload: Reload) -> ConsumerPlan {
    let seen_as = vec![app.to_owned(), format!("{app}-job")];
    ConsumerPlan { app: App::new(app), owner: format!("{app}-team"), reload, cadence: Span::seconds(30), seen_as, acks: false }
}

fn told() -> Reload {
    Reload::Told { how: "restart".into() }
}

fn gate(point: Place, checks: &[(&str, Ask)]) -> Gate {
    let checks = checks.iter().map(|(id, ask)| Check { id: (*id).to_owned(), ask: ask.clone(), skippable: true }).collect();
    Gate { point, checks }
}

fn gates() -> Vec<Gate> {
    let (old, new) = (Which::Old, Which::New);
    let at_least = Span::seconds(60);
    vec![
        gate(Place::Bound, &[("slots_hold_old", Ask::Invariant(Must::SlotsHoldOld))]),
        gate(
            Place::Prepared,
            &[
                ("scope", Ask::Equal { allow: vec![] }),
                ("old_accepted", Ask::Accept { key: old }),
                ("new_accepted", Ask::Accept { key: new }),
            ],
        ),
        gate(Place::Canary, &[("new_accepted", Ask::Accept { key: new }), ("attributed", Ask::Attributed)]),
        gate(Place::Reloaded, &[("acknowledged", Ask::Coverage { key: new })]),
        gate(
            Place::Flipped,
            &[("slots_hold_new", Ask::Invariant(Must::SlotsHold(new))), ("none_refused", Ask::Invariant(Must::NoneRefused(new)))],
        ),
        gate(Place::Drained, &[("drain", Ask::Zero { key: old }), ("coverage", Ask::Coverage { key: new })]),
        gate(Place::BeforeDisable, &[("drain", Ask::Zero { key: old })]),
        gate(Place::Soaked, &[("old_refused", Ask::Reject { key: old }), ("soak", Ask::Soak { key: old, at_least })]),
        gate(
            Place::BeforeDelete,
            &[
                ("old_refused", Ask::Reject { key: old }),
                ("soak", Ask::Soak { key: old, at_least }),
                ("scope", Ask::Equal { allow: vec![] }),
            ],
        ),
        gate(Place::Gone, &[("old_refused", Ask::Reject { key: old }), ("old_absent", Ask::Invariant(Must::Absent(old)))]),
        gate(Place::Complete, &[("evidence", Ask::Invariant(Must::EvidenceComplete))]),
        gate(Place::OldAccepted, &[("old_accepted", Ask::Accept { key: old })]),
        gate(Place::Returned, &[("acknowledged", Ask::Coverage { key: old })]),
        gate(Place::NewDrained, &[("drain", Ask::Zero { key: new })]),
        gate(Place::NewSoaked, &[("new_refused", Ask::Reject { key: new }), ("soak", Ask::Soak { key: new, at_least })]),
        gate(Place::Undone, &[("none_new", Ask::Invariant(Must::NoneNew))]),
    ]
}

/// A router key in two slots. `web` and `api` are told to reload, `cron` reads by itself. Nobody must agree.
pub(super) fn plan() -> Plan {
    let identity = GatewayIdentity { base: "http://gw".into(), tenant: "t".into(), principal: "p".into(), build: "1".into() };
    Plan {
        v: 1,
        gate_semantics: GATE_SEMANTICS,
        made_at: at(-60),
        about: About {
            credential: "demo".into(),
            owner: "team".into(),
            environment: "test".into(),
            reason: "test".into(),
            reason_kind: ReasonKind::Scheduled,
            ticket: None,
            requester: None,
        },
        policy: FrozenPolicy { file: "p.yaml".into(), sha256: "0".into(), text: String::new(), effective: "{}".into() },
        gateway: GatewayPlan {
            driver: "test".into(),
            identity,
            caps: caps(),
            endpoints: vec![EndpointFacts { endpoint: Endpoint::new("r1"), shard: None }],
        },
        kind: Kind::Router,
        old: key("old"),
        sentinel: Some(KeyId::new("other")),
        known_ids: ["old", "other"].map(KeyId::new).to_vec(),
        slots: vec![slot_plan(0), slot_plan(1)],
        consumers: vec![consumer("web", told()), consumer("cron", Reload::Dynamic { ttl: Span::seconds(5) }), consumer("api", told())],
        unclaimed: vec![],
        probes: vec![Probe { family: "chat".into(), model: "m".into(), stream: false }],
        usage: UsagePlan {
            kind: UsageKind::Rows,
            sees_refused: true,
            names_caller: true,
            lag: Span::seconds(2),
            shards: vec!["a".into()],
            reaches: None,
            source: "the gateway's log".into(),
        },
        gates: gates(),
        approvals: vec![],
        timing: Timing {
            poll: Span::seconds(10),
            call_timeout: Span::seconds(11),
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

/// The same, for a provider key that two models reference; one slot keeps it.
pub(super) fn provider() -> Plan {
    let mut plan = plan();
    plan.kind = Kind::Provider { models: ["m1", "m2"].map(ModelName::new).to_vec(), all: false };
    plan.slots.truncate(1);
    plan.consumers.clear();
    plan
}

/// Agreement of an owner is needed before revoke.
pub(super) fn with_approval() -> Plan {
    let mut plan = plan();
    plan.approvals = vec![ApprovalRule { phase: Phase::Revoke, role: "owner".into(), not_requester: false }];
    plan
}
