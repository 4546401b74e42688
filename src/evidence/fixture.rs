//! Journals built by hand: a done run, a rolled-back run, an emergency run. For tests only.
#![expect(clippy::unwrap_used, reason = "a test may")]

use super::lines;
use crate::rotation::*;
use crate::secret::Fingerprint;
use std::collections::BTreeMap;

/// 2026-01-02T03:04:05Z.
const START: i64 = 1_767_323_045_000;
pub(super) const A: &str = "http://10.0.0.1:8080";
pub(super) const B: &str = "http://10.0.0.2:8080";

pub(super) fn fingerprint(n: u8) -> Fingerprint {
    Fingerprint::parse(&format!("hmac-sha256:{}", format!("{n:02x}").repeat(32))).unwrap()
}

/// A journal that grows.
pub(super) struct Story {
    pub(super) records: Vec<(Time, Record)>,
    now: i64,
    effects: u32,
    calls: u32,
}

impl Story {
    pub(super) fn new(plan: Plan) -> Self {
        let mut story = Self { records: Vec::new(), now: START, effects: 0, calls: 0 };
        let plan_id = plan.id();
        story.add(Record::Planned { run: RunId::new("k3v9p2m8q4x7t1wz"), plan: Box::new(plan), plan_id });
        let holder = Holder { host: "build-7".into(), pid: 4711, user: "mira".into() };
        let stamp = story.stamp();
        story.add(Record::Opened { holder, stamp, taken_over: false, gate_semantics: GATE_SEMANTICS });
        story
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        lines::write(&self.records)
    }

    pub(super) fn at(&self) -> Time {
        Time(self.now)
    }

    pub(super) fn wait(&mut self, seconds: i64) {
        self.now += seconds * 1000;
    }

    fn stamp(&self) -> Stamp {
        Stamp { at: self.at(), mono: u64::try_from(self.now - START).unwrap() + 500, boot: "boot-1".into() }
    }

    pub(super) fn add(&mut self, record: Record) {
        self.records.push((self.at(), record));
        self.wait(1);
    }

    pub(super) fn begin(&mut self, effect: Effect) -> u32 {
        self.effects += 1;
        let (n, stamp) = (self.effects, self.stamp());
        let send_before = stamp.at.plus(Span::seconds(30));
        self.add(Record::Began { n, effect, stamp, send_before });
        n
    }

    pub(super) fn end(&mut self, n: u32, outcome: Outcome, by: By) {
        let stamp = self.stamp();
        let began = self.records.iter().rev().find_map(|(_, r)| match r {
            Record::Began { n: m, effect, .. } if *m == n => Some(effect.kind()),
            _ => None,
        });
        self.add(Record::Ended { n, kind: began.unwrap(), outcome, by, stamp });
    }

    pub(super) fn effect(&mut self, effect: Effect, done: Done) {
        let n = self.begin(effect);
        self.end(n, Outcome::Done(done), By::Answer);
    }

    pub(super) fn reading(&self) -> Reading {
        Reading {
            stamp: self.stamp(),
            source_now: Some(self.at()),
            calls: Vec::new(),
            usage: None,
            acks: Vec::new(),
            facts: BTreeMap::new(),
            errors: BTreeMap::new(),
        }
    }

    pub(super) fn call(&mut self, endpoint: &str, key: Which, class: CallClass) -> CallFacts {
        self.calls += 1;
        let status = if class == CallClass::Accepted { 200 } else { 401 };
        let request = RequestId::new(format!("req-{:04}", self.calls));
        let (endpoint, at) = (Endpoint::new(endpoint), self.at());
        CallFacts { request, endpoint, family: "chat".into(), key, class, status, at }
    }

    pub(super) fn judge(&mut self, point: Point, reading: Reading, checks: &[(&str, Verdict, &str)]) {
        let judged = |(check, verdict, why): &(&str, Verdict, &str)| Judged {
            check: (*check).into(),
            verdict: *verdict,
            why: (*why).into(),
            counts: BTreeMap::from([("rows".into(), 7)]),
            about: Vec::new(),
        };
        let checks = checks.iter().map(judged).collect();
        self.add(Record::Judged { point, reading: Box::new(reading), checks });
    }

    /// A usage table since so many seconds ago.
    pub(super) fn usage(&self, since: i64) -> UsageTable {
        let now = self.at();
        UsageTable {
            from: Time(now.0 - since * 1000),
            to: now,
            rows: 120,
            shards: ["one.jsonl", "two.jsonl"].map(|name| Shard { name: name.into(), newest: Some(now) }).to_vec(),
            lag: Span::seconds(2),
            reaches: Some(Time(now.0 - 9 * 86_400_000)),
            query: "jq 'select(.key_id==\"key-old\")' one.jsonl | two.jsonl".into(),
            ..UsageTable::default()
        }
    }

    pub(super) fn used(&self, ago: i64) -> CallerCount {
        let at = Time(self.at().0 - ago * 1000);
        CallerCount { accepted: 9, first: Some(at), last_used: Some(at), ..CallerCount::default() }
    }

    /// Prepare and canary, as in every run.
    fn prepare_and_canary(&mut self) {
        let reading = self.reading();
        self.judge(Point::Bound, reading, &[("slots-hold-old", Verdict::Pass, "1 of 1 slots holds the old key")]);
        let marker = Marker::of(&RunId::new("k3v9p2m8q4x7t1wz"), 1);
        let minted = Done::Minted { id: KeyId::new("key-new"), value: Some(fingerprint(2)), created_at: Some(self.at()) };
        self.effect(Effect::Mint { marker }, minted);
        let staged = Done::Staged { version: Some(VersionId::new("v8")), value: fingerprint(2), guard: "g2".into() };
        self.effect(Effect::Stage { slot: SlotNo(0), value: None }, staged);
        let reading = self.reading();
        self.judge(Point::Prepared, reading, &[("same-scope", Verdict::Pass, "no field differs")]);
        self.add(Record::Moved { to: Phase::Canary });
        let mut reading = self.reading();
        reading.calls = vec![
            self.call(A, Which::Old, CallClass::Accepted),
            self.call(B, Which::Old, CallClass::Accepted),
            self.call(A, Which::New, CallClass::Accepted),
            self.call(B, Which::New, CallClass::Accepted),
        ];
        self.judge(Point::Canary, reading, &[("new-accepted", Verdict::Pass, "2 of 2 addresses accept the new key")]);
        self.add(Record::Moved { to: Phase::Flip });
    }

    fn flip(&mut self) {
        self.effect(Effect::Promote { slot: SlotNo(0), guard: "g2".into() }, Done::Moved { guard: "g3".into(), atomic: true });
        let n = self.begin(Effect::Reload { app: App::new("chat-api"), flip: 1 });
        self.end(n, Outcome::Unknown { why: "the connection broke".into() }, By::Answer);
        self.end(n, Outcome::Done(Done::Plain), By::Look);
        let mut reading = self.reading();
        reading.acks = vec![Ack { app: App::new("chat-api"), loaded_at: self.at(), holds: Some(fingerprint(2)), key: None }];
        self.judge(Point::Reloaded(App::new("chat-api")), reading, &[("on-new", Verdict::Pass, "it holds the new value")]);
        self.add(Record::Moved { to: Phase::Hold });
    }

    /// Calls that show that a key is refused, beside the other one that is accepted.
    fn refused(&mut self, key: Which) -> Vec<CallFacts> {
        let other = if key == Which::Old { Which::New } else { Which::Old };
        let mut calls = Vec::new();
        for endpoint in [A, B] {
            calls.push(self.call(endpoint, key, CallClass::Refused));
            calls.push(self.call(endpoint, other, CallClass::Accepted));
        }
        calls
    }

    fn delete_old(&mut self) {
        self.effect(Effect::Delete { key: Which::Old, id: KeyId::new("key-old") }, Done::Plain);
        let mut reading = self.reading();
        reading.calls = self.refused(Which::Old);
        self.judge(Point::Gone, reading, &[("old-refused", Verdict::Pass, "refused 2 times at 2 addresses")]);
        self.add(Record::Moved { to: Phase::Archive });
        self.effect(Effect::MarkLive { id: KeyId::new("key-new") }, Done::Plain);
    }

    /// The scan and the intent to seal: where every bundle's journal ends.
    pub(super) fn close(&mut self) {
        self.effect(Effect::Scan, Done::Written { digest: "d".repeat(64), place: "not written yet".into() });
        self.begin(Effect::Seal);
    }
}

/// A rotation that went well, with everything an auditor asks about in it.
pub(super) fn done() -> Story {
    let mut s = Story::new(plan());
    s.prepare_and_canary();
    s.flip();
    let mut reading = s.reading();
    let mut usage = s.usage(5);
    usage.old.insert(App::new("batch"), s.used(3));
    reading.usage = Some(usage);
    s.judge(Point::Drained, reading, &[("old-unused", Verdict::Inconclusive, "batch (owner team-data) called 3s ago: wait")]);
    s.wait(90);
    let mut reading = s.reading();
    let mut usage = s.usage(98);
    usage.old.insert(App::new("batch"), s.used(94));
    usage.new.insert(App::new("batch"), s.used(20));
    usage.new.insert(App::new("chat-api"), s.used(1));
    reading.usage = Some(usage);
    let drained = [("old-unused", Verdict::Pass, "no use for 1m 30s"), ("all-on-new", Verdict::Pass, "2 of 2 consumers")];
    s.judge(Point::Drained, reading, &drained);
    s.add(Record::Moved { to: Phase::Revoke });
    let head = "ab".repeat(32);
    s.add(Record::Asked { phase: Phase::Revoke, attempt: 1, role: "security".into(), head: head.clone() });
    s.wait(60);
    let record = u64::try_from(s.records.len()).unwrap() + 1;
    let proof = Proof::Signed { signature: "-----BEGIN SSH SIGNATURE-----".into(), principal: "noor@example.com".into() };
    s.add(Record::Answered { phase: Phase::Revoke, attempt: 1, head, by: "noor".into(), yes: true, why: String::new(), proof });
    s.effect(Effect::Disable { key: Which::Old, id: KeyId::new("key-old"), approval: Some(record) }, Done::Plain);
    s.wait(30);
    let mut reading = s.reading();
    reading.calls = s.refused(Which::Old);
    let mut usage = s.usage(31);
    let row = OwnRow { key: Some(Which::Old), owner: "platform-ai".into(), refused: true, at: s.at() };
    usage.own.insert(RequestId::new("req-0005"), row);
    reading.usage = Some(usage);
    let soaked = [("nobody-refused", Verdict::Pass, "no refused caller in 30s"), ("old-refused", Verdict::Pass, "refused at 2 addresses")];
    s.judge(Point::Soaked, reading, &soaked);
    s.delete_old();
    s.close();
    s
}

/// The canary passed, the flip did not, and the run went back.
pub(super) fn rolled_back() -> Story {
    let mut s = Story::new(plan());
    s.prepare_and_canary();
    s.flip();
    let reading = s.reading();
    s.judge(Point::Drained, reading, &[("all-on-new", Verdict::Fail, "chat-api was refused 3 times on the new key")]);
    s.add(Record::Turned { why: "all-on-new: chat-api was refused 3 times on the new key".into(), by: None });
    s.effect(Effect::Demote { slot: SlotNo(0), guard: "g3".into() }, Done::Moved { guard: "g4".into(), atomic: true });
    s.effect(Effect::Reload { app: App::new("chat-api"), flip: 2 }, Done::Plain);
    let mut reading = s.reading();
    let mut usage = s.usage(4);
    usage.old.insert(App::new("chat-api"), s.used(1));
    reading.usage = Some(usage);
    s.judge(Point::NewDrained, reading, &[("new-unused", Verdict::Pass, "no use of the new key")]);
    s.effect(Effect::DropPending { slot: SlotNo(0) }, Done::Plain);
    s.effect(Effect::Disable { key: Which::New, id: KeyId::new("key-new"), approval: None }, Done::Plain);
    let mut reading = s.reading();
    reading.calls = s.refused(Which::New);
    s.judge(Point::NewSoaked, reading, &[("new-refused", Verdict::Pass, "refused at 2 addresses")]);
    s.effect(Effect::Delete { key: Which::New, id: KeyId::new("key-new") }, Done::Plain);
    s.close();
    s
}

/// A leak: checks skipped, one waived, a consumer excepted, names full of markup.
pub(super) fn emergency() -> Story {
    let mut plan = plan();
    plan.about.credential = "router | key <script>".into();
    plan.about.reason = "suspected leak, see [paste](http://evil.example)".into();
    plan.about.reason_kind = ReasonKind::SuspectedLeak;
    plan.about.requester = Some("mira".into());
    plan.usage.sees_refused = false;
    let mut s = Story::new(plan);
    s.prepare_and_canary();
    s.flip();
    s.add(Record::Emergency { by: "mira".into(), why: "key found in a paste".into(), breaks: vec![App::new("batch")] });
    let until = s.at().plus(Span::hours(24));
    s.add(Record::Waived { point: Point::BeforeDisable, check: "callers-known".into(), by: "noor".into(), why: "no time".into(), until });
    let exception = Exception { app: App::new("batch"), until, owner: "team-data".into(), why: "cannot reload\nbefore Monday".into() };
    s.add(Record::Excepted { exception, by: "noor".into() });
    let reading = s.reading();
    let skipped = [("old-unused", Verdict::Skipped, "emergency: key found in a paste")];
    s.judge(Point::Drained, reading, &skipped);
    s.add(Record::Moved { to: Phase::Revoke });
    let reading = s.reading();
    s.judge(Point::BeforeDisable, reading, &[("callers-known", Verdict::Waived, "was inconclusive; waived by noor")]);
    s.effect(Effect::Disable { key: Which::Old, id: KeyId::new("key-old"), approval: None }, Done::Plain);
    s.delete_old();
    s.close();
    s
}

fn key_facts() -> KeyFacts {
    KeyFacts {
        id: KeyId::new("key-old"),
        name: "customer-chat".into(),
        marker: String::new(),
        enabled: true,
        created_at: Some(Time(START - 90 * 86_400_000)),
        expires_at: None,
        last_used_at: None,
        owner: "platform-ai".into(),
        scope: BTreeMap::from([("models".into(), serde_json::json!(["small"]))]),
    }
}

fn gate(point: Place, checks: &[(&str, Ask)]) -> Gate {
    let check = |(id, ask): &(&str, Ask)| Check { id: (*id).into(), ask: ask.clone(), skippable: true };
    Gate { point, checks: checks.iter().map(check).collect() }
}

fn gates() -> Vec<Gate> {
    let (old, new) = (Which::Old, Which::New);
    vec![
        gate(Place::Bound, &[("slots-hold-old", Ask::Invariant(Must::SlotsHoldOld))]),
        gate(Place::Prepared, &[("same-scope", Ask::Equal { allow: Vec::new() })]),
        gate(Place::Canary, &[("new-accepted", Ask::Accept { key: new })]),
        gate(Place::Reloaded, &[("on-new", Ask::Coverage { key: new })]),
        gate(Place::Drained, &[("old-unused", Ask::Zero { key: old }), ("all-on-new", Ask::Coverage { key: new })]),
        gate(Place::BeforeDisable, &[("callers-known", Ask::UnknownCallers)]),
        gate(
            Place::Soaked,
            &[("nobody-refused", Ask::Soak { key: old, at_least: Span::seconds(30) }), ("old-refused", Ask::Reject { key: old })],
        ),
        gate(Place::Gone, &[("old-refused", Ask::Reject { key: old })]),
        gate(Place::NewDrained, &[("new-unused", Ask::Zero { key: new })]),
        gate(Place::NewSoaked, &[("new-refused", Ask::Reject { key: new })]),
    ]
}

fn consumer(app: &str, owner: &str, reload: Reload, acks: bool) -> ConsumerPlan {
    ConsumerPlan { app: App::new(app), owner: owner.into(), reload, cadence: Span::seconds(30), seen_as: vec![app.into()], acks }
}

fn gateway() -> GatewayPlan {
    let endpoint = |at: &str| EndpointFacts { endpoint: Endpoint::new(at), shard: None };
    GatewayPlan {
        driver: "litellm".into(),
        identity: GatewayIdentity {
            base: "http://10.0.0.9:4000".into(),
            tenant: "example-org".into(),
            principal: "admin-1".into(),
            build: "1.80".into(),
        },
        caps: GatewayCaps {
            overlap: Overlap::SeparateIds,
            mint: Mint::ShownOnce,
            marker: MarkerRule::Label(64),
            disable: Disable::Reversible,
            settles_in: Span::seconds(2),
            refusal_cache: Span::ZERO,
            created_at: true,
            known_by: KnownBy::Measured,
        },
        endpoints: vec![endpoint(A), endpoint(B)],
    }
}

/// A plan with two consumers, one slot, two addresses.
pub(super) fn plan() -> Plan {
    let second = Span::seconds(1);
    Plan {
        v: 1,
        gate_semantics: GATE_SEMANTICS,
        made_at: Time(START - 60_000),
        about: About {
            credential: "customer-chat-router-key".into(),
            owner: "platform-ai".into(),
            environment: "production".into(),
            reason: "scheduled security rotation".into(),
            reason_kind: ReasonKind::Scheduled,
            ticket: Some("CHG-20417".into()),
            requester: Some("mira".into()),
        },
        policy: FrozenPolicy {
            file: "rotate.yaml".into(),
            sha256: "c".repeat(64),
            text: "version: 1\nrotation: {}\n".into(),
            effective: "{}".into(),
        },
        gateway: gateway(),
        kind: Kind::Router,
        old: key_facts(),
        sentinel: None,
        known_ids: vec![KeyId::new("key-old"), KeyId::new("admin-1")],
        slots: vec![SlotPlan {
            name: "file store/.env GATEWAY_API_KEY".into(),
            address: "file:/srv/chat/.env#GATEWAY_API_KEY".into(),
            caps: StoreCaps { swap: Swap::CompareAndSet, read_back: true, late_write: LateWrite::Impossible, shared_document: true },
            guard: "g1".into(),
            current_is: Some(fingerprint(1)),
        }],
        consumers: vec![
            consumer("chat-api", "team-chat", Reload::Told { how: "restart deployment chat-api".into() }, true),
            consumer("batch", "team-data", Reload::Dynamic { ttl: Span::seconds(10) }, false),
        ],
        unclaimed: Vec::new(),
        probes: vec![Probe { family: "chat".into(), model: "small".into(), stream: false }],
        usage: UsagePlan {
            kind: UsageKind::Rows,
            sees_refused: true,
            names_caller: true,
            lag: Span::seconds(2),
            shards: vec!["one.jsonl".into(), "two.jsonl".into()],
            reaches: Some(Time(START - 9 * 86_400_000)),
            source: "the gateway's request log".into(),
        },
        gates: gates(),
        approvals: vec![ApprovalRule { phase: Phase::Revoke, role: "security".into(), not_requester: true }],
        timing: Timing {
            poll: second,
            call_timeout: second,
            send_before: second,
            observation: second,
            drain_window: Span::seconds(90),
            soak: Span::seconds(30),
            undo_window: second,
            repeats: 1,
            longest_request: second,
            longest_gap: second,
            reload_within: second,
        },
        windows: None,
        accept: Vec::new(),
        on_fail: OnFail::Rollback,
        on_refused_caller: OnRefused::Reopen,
        by_hand: Vec::new(),
        watcher: None,
        exceptions: Vec::new(),
        claims: vec!["gateway:example-org/key-old".into()],
        hosts: vec!["10.0.0.9".into()],
        evidence: vec!["old_key_negative_test".into()],
        gaps: vec!["budget spent during the overlap is not watched".into()],
        warnings: Vec::new(),
        fingerprint_check: "0123456789abcdef".into(),
    }
}
