//! Whether a policy can be honoured here: each reason why not, with the nearest policy that works.

use super::build::{Facts, word_of};
use super::refuse::Refusal;
use crate::policy::Policy;
use crate::policy::model::process::PhaseName;
use crate::policy::model::slot::Slot;
use crate::rotation::{Disable, Inventory, KeyFacts, Kind, Marker, Mint, Overlap, Span, Time, UsageKind};

pub(super) fn capabilities(policy: &Policy, inventory: &Inventory, kind: &Kind, no: &mut Vec<Refusal>) {
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

pub(super) fn people(policy: &Policy, no: &mut Vec<Refusal>) {
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

pub(super) fn key(
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

pub(super) fn slots(policy: &Policy, inventory: &Inventory, old: &KeyFacts, kind: &Kind, no: &mut Vec<Refusal>) {
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

pub(super) fn watcher(facts: &Facts<'_>, soak: Span, no: &mut Vec<Refusal>) {
    let short = soak <= Span::seconds(60);
    if facts.policy.watcher.is_none() && !short && !facts.attended {
        no.push(Refusal::new(
            "a watcher",
            format!("the old key stays disabled for {soak} and nobody would look while a forgotten caller is refused"),
            "`watcher: { tick: 5m }` with `keyroll tick` on that schedule, or `run --wait` in a terminal",
        ));
    }
}
