//! `gaps.json`: what this bundle does not show, in words. A reader who skips the rest should still meet these.

use super::lines::Entry;
use super::negative::EndState;
use super::people::{Approvals, Exceptions};
use super::timeline::Timeline;
use super::versions::Versions;
use super::words;
use crate::rotation::{By, Course, Done, Effect, EffectKind, Mint, OldKey, Outcome, Record, Run, Span, Time, UsageKind, Verdict};
use serde::Serialize;
use std::collections::BTreeMap;

/// Everything a bundle does not show.
#[derive(Debug, Serialize)]
pub(super) struct Gaps {
    v: u32,
    pub(super) gaps: Vec<Gap>,
}

/// One thing that it does not show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Gap {
    /// What sort of gap.
    pub(super) kind: &'static str,
    /// In words.
    pub(super) what: String,
}

/// What the other files say, as far as gaps follow from it.
pub(super) struct Facts<'a> {
    pub(super) run: &'a Run,
    pub(super) entries: &'a [Entry],
    pub(super) line: &'a Timeline<'a>,
    pub(super) approvals: &'a Approvals,
    pub(super) exceptions: &'a Exceptions,
    pub(super) versions: &'a Versions,
    pub(super) end_state: EndState,
}

/// The gaps of a run.
pub(super) fn gaps(facts: &Facts<'_>) -> Gaps {
    let mut found = Vec::new();
    let mut add = |kind, what: String| {
        let gap = Gap { kind, what: super::text::plain(&what) };
        if !found.contains(&gap) {
            found.push(gap);
        }
    };
    for gap in &facts.run.plan.gaps {
        add("planned", gap.clone());
    }
    decided(facts, &mut add);
    observed(facts, &mut add);
    happened(facts, &mut add);
    issued(facts, &mut add);
    add(
        "unsigned",
        "this bundle carries no signature: it shows that nothing in it changed since its digest was noted elsewhere, not who wrote it"
            .into(),
    );
    add("own scan", "the scan for secrets was made by the program that wrote the bundle".into());
    Gaps { v: 1, gaps: found }
}

/// What people let go.
fn decided(facts: &Facts<'_>, add: &mut impl FnMut(&'static str, String)) {
    for ((point, check), verdict) in last_verdicts(facts.line) {
        match verdict {
            Verdict::Waived => add("waived", format!("check {check} at {point} was waived, not passed; exceptions.json says by whom")),
            Verdict::Skipped => add("skipped", format!("check {check} at {point} was left out in emergency mode")),
            Verdict::Pass | Verdict::Fail | Verdict::Inconclusive | Verdict::NoData | Verdict::Error => {}
        }
    }
    if let Some(emergency) = &facts.exceptions.emergency {
        add("emergency", format!("{} switched to emergency mode: {}", emergency.by, emergency.why));
    }
    for answer in facts.approvals.answers.iter().filter(|a| !a.signed) {
        add("asserted", format!("the answer of {} to {} is asserted: the name is what the operating system said", answer.by, answer.phase));
    }
    match &facts.run.plan.about.requester {
        Some(name) => add("asserted", format!("the requester {name} is known by name only, without a signature")),
        None => add("asserted", "no requester is named".into()),
    }
    let off = facts.line.effects.iter().any(|d| match d.effect.kind() {
        EffectKind::DisableOld | EffectKind::DeleteOld => true,
        EffectKind::Mint
        | EffectKind::Stage
        | EffectKind::Promote
        | EffectKind::Repoint
        | EffectKind::Reload
        | EffectKind::DisableNew
        | EffectKind::EnableOld
        | EffectKind::EnableNew
        | EffectKind::DeleteNew
        | EffectKind::Discard
        | EffectKind::Demote
        | EffectKind::Fence
        | EffectKind::DropPending
        | EffectKind::Retire
        | EffectKind::MarkLive
        | EffectKind::Scan
        | EffectKind::Seal => false,
    });
    for rule in facts.run.plan.approvals.iter().filter(|_| off) {
        if !facts.approvals.answers.iter().any(|a| a.yes && a.phase == rule.phase.name()) {
            add("no approval", format!("the policy asks {} to agree to {}; nobody did", rule.role, rule.phase));
        }
    }
    if facts.run.plan.approvals.is_empty() {
        add("no approval", "the policy asked nobody to approve".into());
    }
    for amended in &facts.exceptions.amended {
        add("amended", format!("{} accepted that {}", amended.by, amended.accepts.join("; ")));
    }
    for stays in &facts.exceptions.consumers {
        let e = &stays.exception;
        add("exception", format!("{} may stay on the old key until {} ({})", e.app, e.until.rfc3339(), e.owner));
    }
    for word in &facts.exceptions.accepted_by_policy {
        add("accepted", format!("the policy accepts in words: {word}"));
    }
}

/// What could not be seen.
fn observed(facts: &Facts<'_>, add: &mut impl FnMut(&'static str, String)) {
    let plan = &facts.run.plan;
    match plan.usage.kind {
        UsageKind::Rows => {}
        UsageKind::Counters => {
            add("not observable", "the usage source counts per key: own calls cannot be told from others row by row".into())
        }
        UsageKind::Spend => add("not observable", "the usage source shows money only: use of a key is not observable here".into()),
        UsageKind::None => add("not observable", "there is no usage source: use of a key is not observable here".into()),
    }
    if !plan.usage.sees_refused {
        add("not observable", "refused callers are not observable here".into());
    }
    if !plan.usage.names_caller {
        add("not observable", "the usage source does not name callers".into());
    }
    if plan.gateway.endpoints.len() == 1 {
        add("one address", "only one data-plane address could be tried; replicas behind it are not told apart".into());
    }
    for caller in &plan.unclaimed {
        add("unclaimed", format!("the caller {caller} was seen on the old key before the run and no consumer entry claims it"));
    }
    for slot in facts.versions.slots.iter().filter(|s| s.atomic == Some(false)) {
        add("not atomic", format!("the swap in {} was not guarded by the store: last write wins", slot.name));
    }
    let ended = facts.run.ended.is_some() || facts.run.scanned;
    let shown = match facts.end_state {
        EndState::RejectedProven => true,
        EndState::RefusedWithoutControl
        | EndState::Disabled
        | EndState::DereferencedUpstreamAlive
        | EndState::AliveByException
        | EndState::Unknown => false,
    };
    if ended && !shown && facts.run.mints > 0 {
        add("negative test", format!("that the outgoing key is refused is not proven: {}", facts.end_state.name()));
    }
}

/// Values that an issuer was asked for and that ended up on no key: the gateway knows nothing of them, the provider may.
fn issued(facts: &Facts<'_>, add: &mut impl FnMut(&'static str, String)) {
    let asked = match facts.run.plan.gateway.caps.mint {
        Mint::Issued => true,
        Mint::ShownOnce | Mint::CallerChooses | Mint::Supplied => false,
    };
    if !asked {
        return;
    }
    let owner = &facts.run.plan.about.owner;
    for did in &facts.line.effects {
        let Effect::Mint { .. } = did.effect else { continue };
        let kept = match did.outcome {
            Some(Outcome::Done(Done::Minted { id, .. })) => facts.run.new.as_ref().is_some_and(|n| n.id == *id),
            Some(
                Outcome::Done(_) | Outcome::NotDone { .. } | Outcome::Refused { .. } | Outcome::Unknown { .. } | Outcome::Conflict { .. },
            )
            | None => false,
        };
        if !kept {
            let at = did.began.rfc3339();
            add(
                "issued in vain",
                format!(
                    "the issuer was asked for a value at {at} and no key of this run uses it: if it made a key at the provider then, {owner} removes it there"
                ),
            );
        }
    }
}

/// What went otherwise than it should.
fn happened(facts: &Facts<'_>, add: &mut impl FnMut(&'static str, String)) {
    for did in &facts.line.effects {
        match did.by {
            Some(By::Look) => {
                let what = words::effect(facts.run, did.effect);
                add(
                    "known by a look",
                    format!("effect {} ({what}): the answer was lost, its outcome is known by looking afterwards", did.n),
                );
            }
            Some(By::Person) => {
                let what = words::effect(facts.run, did.effect);
                add("by hand", format!("effect {} ({what}) was made by a person and checked afterwards", did.n));
            }
            Some(By::Answer) | None => {}
        }
    }
    if let Some(stamp) = &facts.run.clock_broke {
        add(
            "clock",
            format!("the wall clock jumped at or before {}; what was measured across the jump was measured again", stamp.at.rfc3339()),
        );
    }
    for entry in facts.entries {
        match &entry.record {
            Record::Unlocked { by, why } => add("unlocked", format!("{by} removed a lock by hand: {why}")),
            Record::Opened { taken_over: true, holder, .. } => {
                add("taken over", format!("{} on {} took the run over from a holder that had not given it back", holder.user, holder.host));
            }
            _ => {}
        }
    }
    if let (Course::Undo, Some(new), true) = (facts.run.course, &facts.run.new, facts.run.scanned || facts.run.ended.is_some()) {
        add("key left", format!("the new key {} still exists; once nothing uses it, remove it at the gateway", new.id));
    }
    let allowed = facts.run.plan.watcher.unwrap_or(Span::minutes(1));
    if let Some((longest, from)) = unwatched(facts).filter(|(longest, _)| *longest > allowed) {
        let from = from.rfc3339();
        add(
            "unwatched",
            format!("while the old key was disabled nobody looked for {longest}, from {from}; a refused caller was noticed later"),
        );
    }
    for (id, _) in &facts.run.strays {
        add("stray key", format!("key {id} of this run still exists and its value is lost; remove it at the gateway"));
    }
    let old_off = match facts.run.old {
        OldKey::OffByOthers => true,
        OldKey::Enabled | OldKey::DisabledByUs | OldKey::DeleteIntended | OldKey::Gone => false,
    };
    if old_off {
        add("switched off by others", "the old key was switched off by somebody else, not by this run".into());
    }
}

/// The longest time without a record while the old key was disabled and could still come back, and when it began.
fn unwatched(facts: &Facts<'_>) -> Option<(Span, Time)> {
    let at = |kind: EffectKind| facts.line.effects.iter().rev().find(|d| d.effect.kind() == kind);
    let from = at(EffectKind::DisableOld)?.ended?;
    let to = at(EffectKind::DeleteOld).map_or(facts.line.last, |d| d.began);
    let times: Vec<Time> = facts.entries.iter().map(|e| e.at).filter(|t| *t >= from && *t <= to).collect();
    times.iter().zip(times.iter().skip(1)).map(|(a, b)| (b.since(*a), *a)).max_by_key(|(gap, _)| *gap)
}

/// The last verdict of each check, by point (and consumer) and name.
fn last_verdicts(line: &Timeline<'_>) -> BTreeMap<(String, String), Verdict> {
    let mut last = BTreeMap::new();
    for look in &line.looks {
        let point = match words::consumer(look.point) {
            Some(consumer) => format!("{} ({consumer})", words::point(look.point)),
            None => words::point(look.point).to_owned(),
        };
        for judged in look.checks {
            last.insert((point.clone(), judged.check.clone()), judged.verdict);
        }
    }
    last
}
