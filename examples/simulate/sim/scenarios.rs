//! Plans, and the worlds they are run in.

use super::chain::Paper;
use super::death::Death;
use super::fleet::{ENDPOINTS, LABELS, Log, Pod, Reads, SHARDS};
use super::gateway::{CACHE, Gateway, Hand, Limits, Model, REPLICAS, SETTLES};
use super::judge::Judge;
use super::people::People;
use super::rng::Rng;
use super::slots::Slot;
use super::trail::Trail;
use super::world::{CALL, EPOCH, Faults, Values, World};
use keyroll::plan::standard_gates;
use keyroll::rotation::{
    About, App, ApprovalRule, ConsumerPlan, Disable, Endpoint, EndpointFacts, FrozenPolicy, GATE_SEMANTICS, GatewayCaps, GatewayIdentity,
    GatewayPlan, KeyId, Kind, KnownBy, MarkerRule, Mint, ModelName, OnFail, OnRefused, Overlap, Phase, Plan, Probe, ReasonKind, Record,
    Reload, RunId, SlotPlan, Span, Time, Timing, UsageKind, UsagePlan,
};
use keyroll::secret::FingerprintKey;
use std::sync::Arc;

/// Number of the key that every listing must show.
pub(crate) const SENTINEL: usize = 1;
/// Number of the admin credential's value.
pub(crate) const ADMIN_VALUE: usize = 0;

/// What a run is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scenario {
    /// All goes well.
    Forward,
    /// The new key's calls are attributed to somebody else.
    CanaryFails,
    /// A consumer is refused on the new key.
    HoldFails,
    /// A person asks to turn back while the old key is disabled.
    AskedBack,
    /// The value is chosen by us; two slots, one without a guard.
    Chosen,
    /// A provider key with three models.
    Provider,
    /// Emergency mode from the start.
    Emergency,
    /// A caller nobody listed shows up in the soak.
    Straggler,
    /// A provider key whose issuer is asked once: what it answered dies with the process that asked.
    Issued,
}

impl Scenario {
    /// All of them; the first six are those whose deaths are tried exhaustively.
    pub(crate) const ALL: [Self; 9] = [
        Self::Forward,
        Self::CanaryFails,
        Self::HoldFails,
        Self::AskedBack,
        Self::Chosen,
        Self::Provider,
        Self::Emergency,
        Self::Straggler,
        Self::Issued,
    ];

    /// Nothing in it is a reason to turn back.
    pub(crate) fn goes_through(self) -> bool {
        match self {
            Self::Forward | Self::Chosen | Self::Provider | Self::Emergency | Self::Straggler | Self::Issued => true,
            Self::CanaryFails | Self::HoldFails | Self::AskedBack => false,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::CanaryFails => "failing canary",
            Self::HoldFails => "failing hold",
            Self::AskedBack => "asked back from disabled",
            Self::Chosen => "caller-chosen value, two slots",
            Self::Provider => "provider key, three models",
            Self::Emergency => "emergency",
            Self::Straggler => "straggler",
            Self::Issued => "provider key, asked for once",
        }
    }

    /// A provider key is rotated.
    fn provider(self) -> bool {
        matches!(self, Self::Provider | Self::Issued)
    }
}

/// A scenario with its plan and first line, made once.
pub(crate) struct Prepared {
    pub(crate) scenario: Scenario,
    pub(crate) key: Arc<FingerprintKey>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) run: RunId,
    pub(crate) paper: Paper,
    bare: Bare,
}

/// How wild the world is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wild {
    pub(crate) faults: Faults,
    pub(crate) people: People,
    /// Consumers and logs differ from what the plan says.
    pub(crate) stirred: bool,
}

impl Prepared {
    /// Makes a scenario's plan and the journal's first line.
    pub(crate) fn new(scenario: Scenario) -> Result<Self, String> {
        let key = Arc::new(FingerprintKey::from_bytes(&[7; 32]).map_err(|e| e.to_string())?);
        let run = RunId::new("0123456789abcdef");
        let bare = bare(scenario, &key, Rng::new(1));
        let plan = Arc::new(plan(scenario, &bare));
        let record = Record::Planned { run: run.clone(), plan: Box::new((*plan).clone()), plan_id: plan.id() };
        let mut paper = Paper::new();
        paper.write(&record, Time(EPOCH))?;
        Ok(Self { scenario, key, plan, run, paper, bare })
    }

    /// A fresh world.
    pub(crate) fn world(&self, seed: u64, death: Death, wild: Wild) -> World {
        let mut rng = Rng::new(seed);
        let Bare { mut gateway, slots, pods, values, supplied, flaky, wrong_owner } = self.bare.clone();
        gateway.refreshes = rng.chance(500);
        let now = EPOCH;
        let mut world = World {
            now,
            wall: 0,
            rng: Rng::new(rng.next()),
            plan: Arc::clone(&self.plan),
            run: self.run.clone(),
            gateway,
            slots,
            pods,
            log: Log { refused_too: true, ..Log::default() },
            values,
            old: 0,
            supplied,
            late: Vec::new(),
            faults: wild.faults,
            listing: None,
            death,
            people: wild.people,
            judge: Judge::default(),
            trail: Trail::of(self.scenario == Scenario::Issued),
            looked: 0,
            youngest: 0,
            journal: self.paper.clone(),
            fold: None,
            claimed: true,
            child_until: 0,
            turn_at: None,
            asks_back: self.scenario == Scenario::AskedBack,
            approver: Some(0),
            admin_is: None,
            admin_since: 0,
            restored_at: None,
            scanned: false,
            sealed: false,
            disabled_at: None,
            blind_after: None,
            flaky,
            wrong_owner,
            calm: wild.people.chance == 0 && !wild.stirred,
            calls: 0,
            story: None,
        };
        if wild.stirred {
            stir(&mut world, &mut rng);
        }
        // Some traffic lies behind.
        world.advance(now + 1_000);
        world
    }
}

/// A world that differs a little from every other.
fn stir(world: &mut World, rng: &mut Rng) {
    for pod in &mut world.pods {
        pod.cadence = pod.cadence * rng.span(60, 101) / 100;
        pod.next_call = pod.next_call.saturating_add(rng.span(0, pod.cadence));
        if rng.chance(60) {
            pod.deaf = u8::try_from(rng.below(4)).unwrap_or(0);
        }
        if let Reads::Every(ttl) = &mut pod.reads
            && rng.chance(100)
        {
            *ttl = rng.span(200, 3_000);
        }
    }
    if rng.chance(80) {
        world.pods.push(stranger(EPOCH + rng.span(0, 7_000), rng.span(700, 7_000)));
    }
    if rng.chance(150) {
        world.log.refused_too = false;
    }
    if rng.chance(150) {
        world.approver = if rng.chance(500) { None } else { Some(EPOCH + rng.span(0, 10_000)) };
    }
    world.asks_back |= rng.chance(50);
    let copies = rng.chance(150);
    match rng.below(20) {
        // One of two pods that share a label keeps the old value for long, behind a replica whose log is silent.
        0 if world.pods.len() >= 2 => {
            for (i, pod) in world.pods.iter_mut().take(2).enumerate() {
                pod.pinned = true;
                pod.replica = i;
            }
            world.pods[1].reads = Reads::Every(rng.span(2_000, 9_000));
            let from = EPOCH + rng.span(500, 4_000);
            world.log.silence(1, from, from + rng.span(3_000, 12_000));
        }
        // The source stops to show the keys of this run, while the rows of others go on.
        1 => {
            if rng.chance(500) {
                world.log.blind_from = Some(EPOCH + rng.span(1_500, 7_000));
            } else {
                world.blind_after = Some(rng.span(800, 2_800));
            }
            for replica in 0..REPLICAS {
                let mut neighbour = stranger(EPOCH, 200);
                (neighbour.label, neighbour.holds, neighbour.pinned, neighbour.replica) = (super::fleet::NEIGHBOUR, 3, true, replica);
                world.pods.push(neighbour);
            }
            world.pods[0].reads = Reads::Every(rng.span(500, 12_000));
        }
        // A replica that does not hear of a disable, and often answers with a fault of its own.
        2 => world.gateway.stubborn = Some(1),
        // An address in front of two nodes.
        9..=11 => world.gateway.twin = true,
        // A consumer that calls more seldom than it says, and was not reached by its reload.
        3 => {
            for pod in world.pods.iter_mut().filter(|p| p.label == 2) {
                pod.cadence = rng.span(4_000, 12_000);
                pod.deaf = 3;
            }
        }
        // Somebody whom nobody listed reads the slot, too, and keeps what it read.
        4 | 5 => {
            let mut reader = stranger(EPOCH + rng.span(0, 3_000), rng.span(1_200, 2_500));
            reader.reads = Reads::Every(rng.span(2_500, 9_000));
            world.pods.push(reader);
        }
        // Somebody whom nobody listed comes after the move, and keeps the new value.
        6..=8 => {
            let mut late = stranger(i64::MAX - 1, rng.span(1_600, 2_600));
            late.reads = Reads::Moved;
            world.pods.push(late);
        }
        _ => {}
    }
    for pod in &mut world.pods {
        pod.copies = copies;
    }
}

#[derive(Clone)]
struct Bare {
    gateway: Gateway,
    slots: Vec<Slot>,
    pods: Vec<Pod>,
    values: Values,
    supplied: Option<usize>,
    flaky: Option<u16>,
    wrong_owner: bool,
}

fn bare(scenario: Scenario, key: &Arc<FingerprintKey>, mut rng: Rng) -> Bare {
    let mut values = Values::new(Arc::clone(key));
    let numbers: Vec<usize> = (0..5).map(|_| values.fresh()).collect();
    let mut gateway = Gateway::new(false);
    let limits = Limits { budget: Some(100), models: Some(3) };
    for value in [numbers[1], numbers[2], numbers[3]] {
        gateway.make(value, "keyroll:live", limits, Hand::Before, EPOCH - 86_400_000, &mut rng);
    }
    let old = numbers[1];
    let provider = scenario.provider();
    let two = scenario == Scenario::Chosen;
    let mut slots = Vec::new();
    if !provider {
        slots.push(Slot::new(old, true));
    }
    if two {
        slots.push(Slot::new(old, false));
    }
    let pod = |label: u16, slot: usize, cadence: i64, reads: Reads, first: i64| Pod {
        label,
        listed: true,
        slot,
        model: None,
        cadence,
        next_call: EPOCH + first,
        reads,
        holds: old,
        wrote: Hand::Before,
        loaded_at: EPOCH,
        replica: usize::from(label) % REPLICAS,
        pinned: false,
        deaf: 0,
        reload_at: None,
        copies: false,
    };
    let last = if two { 1 } else { 0 };
    let mut pods = Vec::new();
    if provider {
        for m in 0..3 {
            gateway.models.push(Model { name: ModelName::new(format!("model-{m}")), points: vec![(0, [EPOCH; REPLICAS])] });
            let mut caller = pod(4, 0, 300, Reads::Never, 50 * i64::try_from(m).unwrap_or(0));
            caller.model = Some(m);
            pods.push(caller);
        }
    } else {
        pods.push(pod(0, 0, 250, Reads::Every(200), 50));
        pods.push(pod(0, 0, 400, Reads::Every(300), 150));
        pods.push(pod(1, 0, 2_500, Reads::Told, 100));
        pods.push(pod(2, last, 1_100, Reads::Told, 350));
    }
    if scenario == Scenario::Straggler {
        pods.push(stranger(i64::MAX, 2_000));
    }
    for p in pods.iter_mut().filter(|p| !p.listed) {
        p.holds = old;
    }
    Bare {
        gateway,
        slots,
        pods,
        values,
        supplied: (scenario == Scenario::Provider).then(|| numbers[4]),
        flaky: (scenario == Scenario::HoldFails).then_some(0),
        wrong_owner: scenario == Scenario::CanaryFails,
    }
}

/// A caller that nobody listed and that keeps the old value for ever. It first calls then, or half a second after the disable.
fn stranger(first: i64, cadence: i64) -> Pod {
    Pod {
        label: 3,
        listed: false,
        slot: 0,
        model: None,
        cadence,
        next_call: first,
        reads: Reads::Never,
        holds: 1,
        wrote: Hand::Before,
        loaded_at: EPOCH,
        replica: 0,
        pinned: false,
        deaf: 0,
        reload_at: None,
        copies: false,
    }
}

fn plan(scenario: Scenario, world: &Bare) -> Plan {
    let provider = scenario.provider();
    let kind = if provider {
        Kind::Provider { models: world.gateway.models.iter().map(|m| m.name.clone()).collect(), all: true }
    } else {
        Kind::Router
    };
    let mint = match scenario {
        Scenario::Chosen => Mint::CallerChooses,
        Scenario::Provider => Mint::Supplied,
        Scenario::Issued => Mint::Issued,
        Scenario::Forward
        | Scenario::CanaryFails
        | Scenario::HoldFails
        | Scenario::AskedBack
        | Scenario::Emergency
        | Scenario::Straggler => Mint::ShownOnce,
    };
    let ms = |n: i64| Span(u64::try_from(n).unwrap_or(0));
    let caps = GatewayCaps {
        overlap: Overlap::SeparateIds,
        mint,
        marker: MarkerRule::Label(64),
        disable: Disable::Reversible,
        settles_in: ms(SETTLES),
        refusal_cache: ms(CACHE),
        created_at: true,
        known_by: KnownBy::Measured,
    };
    let usage = UsagePlan {
        kind: UsageKind::Rows,
        sees_refused: true,
        names_caller: true,
        lag: ms(super::fleet::LAG),
        shards: SHARDS.iter().map(|s| (*s).to_owned()).collect(),
        reaches: Some(Time(0)),
        source: "the fake log".into(),
    };
    let timing = Timing {
        poll: ms(1_500),
        call_timeout: ms(CALL),
        send_before: ms(200),
        observation: ms(300),
        drain_window: ms(1_300),
        soak: ms(400),
        undo_window: ms(900),
        // Where it is urgent, one refusal at each address is believed: then all rests on every node having heard.
        repeats: if scenario == Scenario::Emergency { 1 } else { 2 },
        longest_request: ms(30),
        longest_gap: Span::hours(1),
        reload_within: ms(1_000),
    };
    let gates = standard_gates(&kind, &caps, &usage, &timing);
    let consumer = |label: usize, cadence: i64, reload: Reload, acks: bool| ConsumerPlan {
        app: App::new(LABELS[label]),
        owner: "team".into(),
        reload,
        cadence: ms(cadence),
        seen_as: vec![LABELS[label].to_owned()],
        acks,
    };
    let told = || Reload::Told { how: "told".into() };
    let consumers = if provider {
        Vec::new()
    } else {
        vec![consumer(0, 420, Reload::Dynamic { ttl: ms(300) }, false), consumer(1, 2_600, told(), true), consumer(2, 1_200, told(), false)]
    };
    let approvals = match scenario {
        Scenario::Forward | Scenario::Straggler | Scenario::Chosen => {
            vec![ApprovalRule { phase: Phase::Revoke, role: "security".into(), not_requester: true }]
        }
        Scenario::CanaryFails | Scenario::HoldFails | Scenario::AskedBack | Scenario::Provider | Scenario::Emergency | Scenario::Issued => {
            Vec::new()
        }
    };
    Plan {
        v: 1,
        gate_semantics: GATE_SEMANTICS,
        made_at: Time(EPOCH),
        about: About {
            credential: "chat".into(),
            owner: "team".into(),
            environment: "production".into(),
            reason: "scheduled".into(),
            reason_kind: ReasonKind::Scheduled,
            ticket: None,
            requester: Some("ops".into()),
        },
        policy: FrozenPolicy { file: "p.yaml".into(), sha256: "00".into(), text: String::new(), effective: String::new() },
        gateway: GatewayPlan {
            driver: "fake".into(),
            identity: GatewayIdentity { base: "fake".into(), tenant: "one".into(), principal: "admin".into(), build: "1".into() },
            caps,
            endpoints: ENDPOINTS
                .iter()
                .zip(SHARDS)
                .map(|(e, s)| EndpointFacts { endpoint: Endpoint::new(*e), shard: Some(s.to_owned()) })
                .collect(),
        },
        kind,
        old: world.gateway.facts(0),
        sentinel: Some(KeyId::new("key-2")),
        known_ids: vec![KeyId::new("key-1"), KeyId::new("key-2"), KeyId::new("key-3")],
        slots: world
            .slots
            .iter()
            .enumerate()
            .map(|(i, s)| SlotPlan {
                name: format!("slot {i}"),
                address: format!("fake/{i}"),
                caps: s.caps.clone(),
                guard: s.guard(),
                current_is: Some(world.values.print(s.current)),
            })
            .collect(),
        consumers,
        unclaimed: Vec::new(),
        probes: vec![Probe { family: "chat".into(), model: "m".into(), stream: false }],
        usage,
        gates,
        approvals,
        timing,
        windows: None,
        accept: if scenario == Scenario::Issued { vec!["lost_value_not_searched".into()] } else { Vec::new() },
        on_fail: OnFail::Rollback,
        on_refused_caller: OnRefused::Reopen,
        by_hand: Vec::new(),
        watcher: None,
        exceptions: Vec::new(),
        claims: vec!["fake".into()],
        hosts: Vec::new(),
        // The outgoing value of a provider key is not known: nobody can be asked whether it is refused.
        evidence: if provider { vec!["auth_error_check".into()] } else { vec!["old_key_negative_test".into()] },
        gaps: Vec::new(),
        warnings: Vec::new(),
        fingerprint_check: String::new(),
    }
}
