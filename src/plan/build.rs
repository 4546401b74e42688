//! The plan itself.

use super::refuse::Refusal;
use super::{Selector, gates, pick, provider, timing};
use crate::policy::Policy;
use crate::policy::model::consumer::{self, Consumer};
use crate::policy::model::gate::Check as Written;
use crate::policy::model::process::{EffectName, OnFail, OnRefusedCaller, PhaseName, WhoActs};
use crate::policy::model::rotation::Need;
use crate::policy::model::slot::Slot;
use crate::policy::scalar::ReasonKind as Reason;
use crate::rotation::{
    About, App, ApprovalRule, Ask, Check, ConsumerPlan, Disable, EffectKind, Exception, FrozenPolicy, GATE_SEMANTICS, Gate, GatewayPlan,
    Inventory, KeyFacts, KeyId, Kind, Marker, Mint, Overlap, Phase, Place, Plan, Probe, ReasonKind, Reload, SlotPlan, Span, Time,
    UsageKind,
};
use std::collections::BTreeSet;

/// Everything a plan is a function of.
pub struct Facts<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// Its text and digest.
    pub frozen: FrozenPolicy,
    /// What exists.
    pub inventory: &'a Inventory,
    /// Who asks, as far as the operating system says.
    pub requester: Option<String>,
    /// A person watches at a terminal, or the process may wait.
    pub attended: bool,
    /// When.
    pub now: Time,
}

/// A plan, or every reason why there is none.
///
/// # Errors
/// All refusals at once, each with the nearest policy that works.
pub fn build(facts: &Facts<'_>) -> Result<Plan, Vec<Refusal>> {
    let mut no = Vec::new();
    let policy = facts.policy;
    let inventory = facts.inventory;
    let Some(gateway) = &policy.gateway else {
        return Err(vec![Refusal::new(
            "gateway",
            "the policy names no gateway",
            "add a `gateway:` block; `keyroll init --from FILE` writes one",
        )]);
    };
    let held: Vec<Option<KeyId>> = inventory.slots.iter().map(|s| s.holds.clone()).collect();
    let old = match pick(&Selector::of(gateway), &inventory.keys, &held) {
        Ok(id) => inventory.keys.iter().find(|k| k.id == id).cloned(),
        Err(why) => {
            no.push(Refusal::new("exactly one key", why, "select the key by `id`; `keyroll keys` lists them"));
            None
        }
    };
    let kind = provider::kind(gateway, inventory, old.as_ref(), &mut no);
    let caps = provider::caps(gateway, &inventory.caps);
    let consumers: Vec<ConsumerPlan> = policy.consumers.iter().flat_map(|c| c.listed()).map(|c| consumer(c, policy, inventory)).collect();
    let timing = timing::timing(policy, &consumers, &inventory.caps, &inventory.usage);
    capabilities(policy, inventory, &kind, &mut no);
    people(policy, &mut no);
    let Some(old) = old else { return Err(no) };
    key(policy, inventory, &old, &kind, &timing, facts.now, &mut no);
    slots(policy, inventory, &old, &kind, &mut no);
    super::kubernetes::refusals(policy, &mut no);
    if matches!(kind, Kind::Router) && consumers.is_empty() {
        no.push(Refusal::new(
            "consumers",
            "nobody is listed who uses the key, so nothing can be drained",
            "list every application under `consumers:`; `keyroll drain` shows who was seen",
        ));
    }
    watcher(facts, timing.soak, &mut no);
    if let Some(interval) = policy.rotation.interval {
        let least = timing.observation.max(timing.drain_window).plus(timing.soak);
        if Span(interval.as_millis()) < least {
            no.push(Refusal::new(
                "a longer interval",
                format!("one rotation takes at least {least}, which is longer than the interval"),
                "a longer `interval`, or acknowledgements that shorten the drain window",
            ));
        }
    }
    if !no.is_empty() {
        return Err(no);
    }
    let known = provider::knows_old(gateway);
    let mut gates = gates::pack(&kind, &caps, &inventory.usage, &timing, known);
    written_gates(policy, &mut gates);
    let unclaimed = match kind {
        Kind::Router => unclaimed(policy, inventory, &consumers),
        // Whoever calls through the gateway may: nobody but the gateway presents this key.
        Kind::Provider { .. } => Vec::new(),
    };
    let plan = Plan {
        v: 1,
        gate_semantics: GATE_SEMANTICS,
        made_at: facts.now,
        about: about(policy, facts.requester.clone()),
        policy: facts.frozen.clone(),
        gateway: GatewayPlan {
            driver: inventory.driver.clone(),
            identity: inventory.identity.clone(),
            caps,
            endpoints: inventory.endpoints.clone(),
        },
        sentinel: inventory
            .keys
            .iter()
            .filter(|k| k.id != old.id && k.enabled && Marker::run(&k.marker).is_none())
            .map(|k| k.id.clone())
            .min(),
        known_ids: inventory.keys.iter().map(|k| k.id.clone()).collect(),
        slots: inventory
            .slots
            .iter()
            .map(|s| SlotPlan {
                name: s.name.clone(),
                address: s.address.clone(),
                caps: s.caps.clone(),
                guard: s.snapshot.guard.clone(),
                current_is: s.snapshot.current_is.clone(),
            })
            .collect(),
        gaps: gaps(policy, inventory, &gates, provider::gaps(gateway, policy)),
        warnings: warnings(policy, inventory, &timing, &unclaimed),
        unclaimed,
        probes: probes(policy),
        usage: inventory.usage.clone(),
        gates,
        approvals: approvals(policy),
        windows: policy.windows.as_ref().map(super::windows::convert),
        accept: policy.accept.iter().map(word_of).collect(),
        on_fail: match policy.on_fail {
            Some(OnFail::Stop) => crate::rotation::OnFail::Stop,
            Some(OnFail::Rollback) | None => crate::rotation::OnFail::Rollback,
        },
        on_refused_caller: match policy.on_refused_caller {
            Some(OnRefusedCaller::Ask) => crate::rotation::OnRefused::Ask,
            Some(OnRefusedCaller::Reopen) | None => crate::rotation::OnRefused::Reopen,
        },
        by_hand: by_hand(policy),
        watcher: policy.watcher.as_ref().map(|w| Span(w.tick.as_millis())),
        exceptions: policy
            .exceptions
            .iter()
            .map(|e| Exception {
                app: App::new(e.app.as_str()),
                until: Time(e.until.date().and_hms_opt(23, 59, 59).unwrap_or_default().and_utc().timestamp_millis()),
                owner: e.owner.clone(),
                why: e.why.clone(),
            })
            .collect(),
        claims: claims(inventory, &old, &kind),
        hosts: hosts(policy, inventory),
        evidence: evidence(policy, &kind, known),
        fingerprint_check: inventory.fingerprint_check.clone(),
        timing,
        consumers,
        kind,
        old,
    };
    Ok(plan)
}

fn about(policy: &Policy, os_user: Option<String>) -> About {
    let r = &policy.rotation;
    let kind = r.reason.as_ref().map_or(Reason::Scheduled, |reason| reason.kind);
    About {
        credential: r.credential.as_str().to_owned(),
        owner: r.owner.clone(),
        environment: r.environment.0.as_str().to_owned(),
        reason: r.reason.as_ref().map_or_else(|| "scheduled".into(), |reason| reason.text.clone()),
        reason_kind: match kind {
            Reason::Scheduled => ReasonKind::Scheduled,
            Reason::SuspectedLeak => ReasonKind::SuspectedLeak,
            Reason::Offboarding => ReasonKind::Offboarding,
            Reason::VendorChange => ReasonKind::VendorChange,
            Reason::Incident => ReasonKind::Incident,
        },
        ticket: r.ticket.clone(),
        requester: r.requester.clone().or(os_user),
    }
}

fn consumer(c: &Consumer, policy: &Policy, inventory: &Inventory) -> ConsumerPlan {
    let declared = c.cadence.every().map_or(Span::seconds(1), |p| Span(p.as_millis()));
    let names = match &c.seen_as {
        Some(seen) => vec![seen.equals.clone()],
        None => vec![c.app.as_str().to_owned()],
    };
    let observed = names.iter().filter_map(|n| inventory.callers.get(&App::new(n.as_str()))).map(|count| count.longest_gap).max();
    ConsumerPlan {
        app: App::new(c.app.as_str()),
        owner: c.owner.clone().unwrap_or_else(|| policy.rotation.owner.clone()),
        reload: match &c.reload {
            consumer::Reload::Command(argv) => Reload::Told { how: format!("command {}", argv.first().map_or("", String::as_str)) },
            consumer::Reload::Http(http) => Reload::Told { how: format!("call {}", http.url.origin()) },
            consumer::Reload::Dynamic(d) => Reload::Dynamic { ttl: Span(d.ttl.as_millis()) },
            consumer::Reload::Kubernetes(k) => super::kubernetes::reload(k, declared),
            consumer::Reload::By(_) => Reload::ByHand,
        },
        // A gap in the log before the run may be longer than what was declared: the longer one counts.
        cadence: observed.map_or(declared, |gap| declared.max(gap)),
        seen_as: names,
        acks: match &c.ack {
            // Of a provider key a consumer holds nothing.
            _ if policy.gateway.as_ref().is_some_and(|g| g.provider_key().is_some()) => false,
            Some(consumer::Ack::VersionFile(_) | consumer::Ack::Http(_)) => true,
            Some(consumer::Ack::FirstUse(_)) => false,
            None => super::kubernetes::acknowledges(c, policy),
        },
    }
}

fn capabilities(policy: &Policy, inventory: &Inventory, kind: &Kind, no: &mut Vec<Refusal>) {
    let caps = &inventory.caps;
    let accepts = |word: &str| policy.accept.iter().any(|a| word_of(a) == word);
    match caps.overlap {
        Overlap::SeparateIds | Overlap::HumanMints => {}
        Overlap::OneIdTwoSecrets => no.push(Refusal::new(
            "separate ids",
            "old and new secret share one id, so their use cannot be told apart, and the gateway ends the old one by its own clock",
            "make a second key with its own id and rotate to that",
        )),
        Overlap::OneIdNoOverlap => no.push(Refusal::new(
            "overlap",
            "a new secret ends the old one at once",
            "make a second key with its own id, or accept an outage with `--emergency`",
        )),
        Overlap::TwoSlots => no.push(Refusal::new(
            "a recipe for two slots",
            "making a new secret kills what that slot held",
            "first move every reader to one slot, then rotate the other by hand",
        )),
        Overlap::ActivateOnFirstUse => no.push(Refusal::new(
            "a probe that harms nothing",
            "the first use of the new secret starts the end of the old one",
            "rotate by hand; keyroll cannot test the new key without starting the clock",
        )),
    }
    match caps.disable {
        Disable::Reversible | Disable::ByExpiry => {}
        Disable::Irreversible | Disable::None if accepts("one_way_revoke") => {}
        Disable::Irreversible | Disable::None => no.push(Refusal::new(
            "a reversible disable",
            "revoking is a one-way door at this gateway: a forgotten caller cannot be helped any more",
            "`accept: [one_way_revoke]` says so in words",
        )),
    }
    match inventory.usage.kind {
        UsageKind::Rows => {}
        UsageKind::Counters if inventory.usage.names_caller => {}
        UsageKind::Counters | UsageKind::Spend | UsageKind::None if accepts("unobserved_log") => {}
        UsageKind::Counters | UsageKind::Spend | UsageKind::None => no.push(Refusal::new(
            "usage by key and caller",
            "nothing shows who still uses the old key",
            "add a `usage:` source with request rows, or say `accept: [unobserved_log]` and waive what only a log could show",
        )),
    }
    if !inventory.usage.sees_refused && !accepts("refused_callers_not_observable") {
        no.push(Refusal::new(
            "rows for refused calls",
            "a caller that is refused leaves no trace, so silence while the key is disabled proves nothing",
            "`accept: [refused_callers_not_observable]`, or a source that logs refusals",
        ));
    }
    if matches!(kind, Kind::Provider { .. }) && caps.mint != Mint::Supplied {
        no.push(Refusal::new(
            "an issuer",
            "a provider key's value comes from the provider, and this driver would draw one",
            "name an `issuer:`",
        ));
    }
}

fn people(policy: &Policy, no: &mut Vec<Refusal>) {
    for (phase, rule) in &policy.approvals {
        if rule.of.unwrap_or(1) > 1 {
            no.push(Refusal::new(
                "several approvals of one step",
                format!("{} wants {} and this build counts one", phase.text(), rule.of.unwrap_or(1)),
                "`of: 1`",
            ));
        }
        if *phase != PhaseName::Revoke {
            no.push(Refusal::new(
                "an approval before this phase",
                format!("this build asks before revoke only, not before {}", phase.text()),
                "`approvals: { revoke: … }`, and `run --until` to stop earlier",
            ));
        }
    }
}

fn key(
    policy: &Policy,
    inventory: &Inventory,
    old: &KeyFacts,
    kind: &Kind,
    timing: &crate::rotation::Timing,
    now: Time,
    no: &mut Vec<Refusal>,
) {
    if !old.enabled {
        no.push(Refusal::new(
            "a key that is accepted",
            format!("key {} is disabled already, so no positive control can be had", old.id),
            "enable it first if it is still in use, else delete it by hand",
        ));
    }
    for marked in inventory.keys.iter().filter_map(|k| Marker::run(&k.marker).map(|run| (k, run))) {
        no.push(Refusal::new(
            "a gateway without an unfinished run",
            format!("key {} was made by run {}, which this plan does not know to be over", marked.0.id, marked.1),
            "finish or roll back that run; `keyroll orphans` shows what is left of it",
        ));
    }
    let longest = timing.observation.max(timing.drain_window).plus(timing.soak).plus(Span::hours(24));
    if let Some(end) = old.expires_at
        && policy.timing.is_none()
        && end < now.plus(longest)
    {
        no.push(Refusal::new(
            "an old key that outlives the run",
            format!("key {} ends by itself at {}", old.id, end.rfc3339()),
            "move its expiry, or rotate in emergency mode",
        ));
    }
    let has_slot_or_reference = !inventory.slots.is_empty() || matches!(kind, Kind::Provider { .. });
    if !has_slot_or_reference {
        no.push(Refusal::new("a slot", "no place is named where consumers read the key", "add a `slots:` block"));
    }
}

fn slots(policy: &Policy, inventory: &Inventory, old: &KeyFacts, kind: &Kind, no: &mut Vec<Refusal>) {
    for slot in &policy.slots {
        match slot {
            Slot::File(_) | Slot::Command(_) | Slot::Gcp(_) | Slot::Azure(_) | Slot::Vercel(_) => {}
            Slot::Vault(_) if cfg!(feature = "vault") => {}
            Slot::Aws(_) if cfg!(feature = "aws") => {}
            Slot::Kubernetes(_) if cfg!(feature = "kubernetes") => {}
            Slot::Github(_) if cfg!(feature = "github") => {}
            Slot::Vault(_) | Slot::Aws(_) | Slot::Kubernetes(_) | Slot::Github(_) => {
                no.push(Refusal::new("this store", format!("{} slots are not in this build", slot.kind()), "a `file:` slot"));
            }
        }
    }
    if matches!(kind, Kind::Provider { .. }) {
        if !policy.slots.is_empty() {
            no.push(Refusal::new(
                "a provider key without slots",
                "nothing shows whether a slot holds the provider key that is rotated, because neither gateway nor provider tells whose a value is",
                "leave `slots:` out; the value goes from its issuer to the gateway",
            ));
        }
        return;
    }
    let referenced = policy.gateway.as_ref().and_then(|g| g.key()).is_some_and(|k| k.secret.is_some());
    if !inventory.slots.is_empty() && !referenced && inventory.slots.iter().all(|s| !s.caps.read_back) {
        no.push(Refusal::new(
            "a way back",
            "no slot gives a value back, so nothing could put the old one there again",
            "a slot that can be read beside it, or `key: { secret: … }` that leads to the present value",
        ));
    }
    let unproven = policy.accept.iter().any(|a| word_of(a) == "unproven_binding");
    for seen in &inventory.slots {
        match &seen.holds {
            Some(id) if *id == old.id => {}
            Some(id) => no.push(Refusal::new(
                "a slot that holds this key",
                format!("{} holds key {id}, not {}", seen.name, old.id),
                "select the key that the slot holds, or name the slot that holds this key",
            )),
            None if unproven => {}
            None => no.push(Refusal::new(
                "proof of what the slot holds",
                format!("nothing shows that {} holds key {}", seen.name, old.id),
                "`accept: [unproven_binding]` says so in words",
            )),
        }
        if let Some(why) = &seen.snapshot.unusable {
            no.push(Refusal::new("a slot that keeps what is written", format!("{}: {why}", seen.name), "what it says, or another slot"));
        }
        if let Some(run) = &seen.snapshot.pending_run {
            no.push(Refusal::new(
                "a slot without a pending version",
                format!("{} has a pending version of run {run}", seen.name),
                "`keyroll orphans` shows and removes it",
            ));
        }
    }
}

fn watcher(facts: &Facts<'_>, soak: Span, no: &mut Vec<Refusal>) {
    let short = soak <= Span::seconds(60);
    if facts.policy.watcher.is_none() && !short && !facts.attended {
        no.push(Refusal::new(
            "a watcher",
            format!("the old key stays disabled for {soak} and nobody would look while a forgotten caller is refused"),
            "`watcher: { tick: 5m }` with `keyroll tick` on that schedule, or `run --wait` in a terminal",
        ));
    }
}

/// Checks that the policy writes out and the pack does not have. What the pack has stays: a policy adds, it never weakens.
fn written_gates(policy: &Policy, gates: &mut [Gate]) {
    let Some(written) = &policy.gates else { return };
    for phase in PhaseName::ALL {
        for check in written.written(phase).unwrap_or_default() {
            let ask = match check {
                Written::Rate(_)
                | Written::RateDiff(_)
                | Written::Quantile(_)
                | Written::Band(_)
                | Written::External(_)
                | Written::Invariant(_) => Ask::Later { kind: check.kind().into() },
                Written::Human(h) => Ask::Human { role: h.role.as_str().to_owned() },
                Written::Equal(_) | Written::Zero(_) | Written::Accept(_) | Written::Reject(_) | Written::Coverage(_) => continue,
            };
            let place = match phase {
                PhaseName::Prepare => Place::Prepared,
                PhaseName::Canary => Place::Canary,
                PhaseName::Flip => Place::Flipped,
                PhaseName::Hold => Place::Drained,
                PhaseName::Revoke => Place::BeforeDisable,
                PhaseName::Archive => Place::Complete,
            };
            if let Some(gate) = gates.iter_mut().find(|g| g.point == place) {
                gate.checks.push(Check { id: check.id().as_str().to_owned(), ask, skippable: true });
            }
        }
    }
}

fn unclaimed(policy: &Policy, inventory: &Inventory, consumers: &[ConsumerPlan]) -> Vec<App> {
    let claimed = |caller: &App| consumers.iter().any(|c| c.seen_as.iter().any(|s| s == caller.as_str()));
    // Where the usage names nobody, that somebody called is no caller; the check for unknown ones says that it cannot be judged.
    let named = |caller: &App| inventory.usage.names_caller || !caller.as_str().is_empty();
    let mut callers: BTreeSet<App> = inventory
        .callers
        .iter()
        .filter(|(_, count)| count.total() > 0)
        .map(|(c, _)| c.clone())
        .filter(|c| named(c) && !claimed(c))
        .collect();
    callers.extend(policy.unclaimed.iter().map(|u| App::new(u.caller.as_str())));
    callers.into_iter().collect()
}

fn probes(policy: &Policy) -> Vec<Probe> {
    if policy.probes.is_empty() {
        return vec![Probe { family: "chat".into(), model: "default".into(), stream: false }];
    }
    policy.probes.iter().map(|p| Probe { family: p.family().into(), model: p.model().into(), stream: p.stream() }).collect()
}

fn approvals(policy: &Policy) -> Vec<ApprovalRule> {
    let rule = |phase: &PhaseName| Phase::parse(phase.text());
    policy
        .approvals
        .iter()
        .filter_map(|(phase, a)| {
            Some(ApprovalRule { phase: rule(phase)?, role: a.role.as_str().to_owned(), not_requester: a.not_requester.unwrap_or(false) })
        })
        .collect()
}

fn by_hand(policy: &Policy) -> Vec<EffectKind> {
    let mut kinds = Vec::new();
    for (effect, who) in &policy.by {
        match who {
            WhoActs::Hand | WhoActs::External => {}
        }
        match effect {
            EffectName::Mint => kinds.push(EffectKind::Mint),
            EffectName::Stage => kinds.push(EffectKind::Stage),
            EffectName::Promote => kinds.extend([EffectKind::Promote, EffectKind::Demote]),
            EffectName::Repoint => kinds.push(EffectKind::Repoint),
            EffectName::Reload => kinds.push(EffectKind::Reload),
            EffectName::Enable => kinds.push(EffectKind::EnableOld),
            EffectName::Disable => kinds.push(EffectKind::DisableOld),
            EffectName::Delete => kinds.push(EffectKind::DeleteOld),
            EffectName::Retire => kinds.push(EffectKind::Retire),
        }
    }
    kinds
}

fn evidence(policy: &Policy, kind: &Kind, known: bool) -> Vec<String> {
    let Some(wanted) = &policy.rotation.evidence else {
        if let Kind::Provider { .. } = kind {
            return provider::evidence(known);
        }
        return ["auth_error_check", "usage_owner_check", "old_key_negative_test"].map(String::from).to_vec();
    };
    [
        ("auth_error_check", wanted.auth_error_check),
        ("usage_owner_check", wanted.usage_owner_check),
        ("cost_anomaly_check", wanted.cost_anomaly_check),
        ("old_key_negative_test", wanted.old_key_negative_test),
    ]
    .into_iter()
    .filter(|(_, need)| *need == Some(Need::Required))
    .map(|(name, _)| name.to_owned())
    .collect()
}

fn claims(inventory: &Inventory, old: &KeyFacts, kind: &Kind) -> Vec<String> {
    let home = format!("{}|{}", inventory.identity.base, inventory.identity.tenant);
    let mut claims = vec![format!("key:{home}#{}", old.id)];
    claims.extend(inventory.slots.iter().map(|s| format!("slot:{}", s.address)));
    if let Kind::Provider { models, .. } = kind {
        claims.extend(models.iter().map(|m| format!("model:{home}#{m}")));
    }
    claims.sort();
    claims.dedup();
    claims
}

fn hosts(policy: &Policy, inventory: &Inventory) -> Vec<String> {
    let mut hosts: BTreeSet<String> = inventory.endpoints.iter().map(|e| e.endpoint.to_string()).collect();
    hosts.insert(inventory.identity.base.clone());
    hosts.extend(inventory.slots.iter().map(|s| s.address.clone()));
    for c in policy.consumers.iter().flat_map(|c| c.listed()) {
        if let consumer::Reload::Http(http) = &c.reload {
            hosts.insert(http.url.origin().to_owned());
        }
    }
    hosts.into_iter().collect()
}

fn gaps(policy: &Policy, inventory: &Inventory, gates: &[Gate], more: Vec<String>) -> Vec<String> {
    let mut gaps: Vec<String> = policy.accept.iter().map(|a| format!("accepted by the policy in words: {}", word_of(a))).collect();
    gaps.extend(more);
    if let Some(crate::policy::model::gateway::Gateway::Aisix(gateway)) = &policy.gateway
        && let Some(crate::policy::model::aisix::CallerOf::Always(app)) = &gateway.caller
    {
        gaps.push(format!("that only {} calls with this key is the policy's word: the usage names no caller", app.as_str()));
    }
    for gate in gates {
        for check in &gate.checks {
            if let Ask::Later { kind } = &check.ask {
                gaps.push(format!("check `{}` ({kind}) cannot be judged by this build; it must be waived by name", check.id));
            }
        }
    }
    if !inventory.usage.sees_refused {
        gaps.push("refused callers are not observable here: none_refused and soak are not judged".into());
    }
    if inventory.slots.iter().any(|s| s.caps.swap == crate::rotation::Swap::LastWriteWins) {
        gaps.push("a slot has no compare-and-set: its swap is not atomic".into());
    }
    for slot in inventory.slots.iter().filter(|s| !s.caps.read_back) {
        gaps.push(format!("{} gives no value back: what it holds is the record of keyroll's own writes, not a reading", slot.name));
    }
    if policy.rotation.evidence.as_ref().is_some_and(|e| e.cost_anomaly_check == Some(Need::Required)) {
        gaps.push("cost_anomaly_check is required and this build cannot make it: waive `complete/evidence` by name before archive".into());
    }
    if let Some(checks) = &policy.rotation.pre_checks
        && checks.inventory_confirmed == Some(true)
    {
        gaps.push("inventory_confirmed is an attestation, typed by a person; what could be derived was derived".into());
    }
    gaps
}

fn warnings(policy: &Policy, inventory: &Inventory, timing: &crate::rotation::Timing, unclaimed: &[App]) -> Vec<String> {
    let mut warnings: Vec<String> =
        inventory.slots.iter().flat_map(|s| s.snapshot.warnings.iter().map(|w| format!("{}: {w}", s.name))).collect();
    if !unclaimed.is_empty() {
        let names: Vec<&str> = unclaimed.iter().map(App::as_str).collect();
        warnings.push(format!("nobody claims these callers, and they block revoke: {}", names.join(", ")));
    }
    if policy.rotation.environment.is_production() && timing.drain_window < Span::hours(24) {
        warnings.push(format!("the drain window of {} is short for production", timing.drain_window));
    }
    warnings
}

fn word_of(accept: &crate::policy::model::process::Accept) -> String {
    serde_json::to_value(accept).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}
