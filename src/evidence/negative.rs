//! The negative test: what shows that the outgoing key is refused, and in which words that may be said.

use super::timeline::Timeline;
use crate::rotation::{Ask, CallClass, CallFacts, Course, Effect, Kind, OldKey, Outcome, Run, Span, Time, Verdict, Which};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The owner of a provider key that its gateway has let go of has this long to revoke it at the provider.
const REVOKE_WITHIN: Span = Span::hours(24 * 7);

/// What may be said about the outgoing key at the end. From best to least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndState {
    /// It was accepted before, and is refused everywhere now, as the gate for it demands.
    RejectedProven,
    /// It is refused, but it was never seen accepted, or the gate for it did not pass.
    RefusedWithoutControl,
    /// The admin API says that it is off or gone; that it is refused was not shown.
    Disabled,
    /// A provider key: the gateway has let go of it and nothing there leads to it; the provider was not shown to refuse it.
    DereferencedUpstreamAlive,
    /// It is accepted on purpose, by name and with an end.
    AliveByException,
    /// None of these can be said.
    Unknown,
}

impl EndState {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::RejectedProven => "rejected-proven",
            Self::RefusedWithoutControl => "refused-without-control",
            Self::Disabled => "disabled",
            Self::DereferencedUpstreamAlive => "dereferenced-upstream-alive",
            Self::AliveByException => "alive-by-exception",
            Self::Unknown => "unknown",
        }
    }
}

/// The negative test of a run.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Negative {
    v: u32,
    /// The key that this run retires: the old one, or the new one on the way back.
    pub(super) key: &'static str,
    pub(super) key_id: Option<String>,
    pub(super) end_state: EndState,
    /// The same in a sentence that claims no more than was seen.
    pub(super) words: String,
    pub(super) switched_off_at: Option<Time>,
    /// The last verdict of the check that decides it.
    pub(super) verdict: Option<Verdict>,
    pub(super) positive_control: Vec<Control>,
    pub(super) calls: Vec<Call>,
}

/// One address, and when the key was last accepted there before it was switched off.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Control {
    pub(super) endpoint: String,
    pub(super) accepted_at: Option<Time>,
}

/// One call after the key was switched off.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Call {
    pub(super) at: Time,
    pub(super) request: String,
    pub(super) endpoint: String,
    pub(super) family: String,
    pub(super) key: &'static str,
    pub(super) class: CallClass,
    pub(super) status: u16,
}

/// Reads the negative test off the journal.
pub(super) fn negative(run: &Run, line: &Timeline<'_>) -> Negative {
    let key = match run.course {
        Course::Forward => Which::Old,
        Course::Undo => Which::New,
    };
    let made = line.effects.iter().any(|d| matches!(d.effect, Effect::Mint { .. }));
    let off = switched(line, key);
    let calls: Vec<&CallFacts> = line.looks.iter().flat_map(|l| &l.reading.calls).collect();
    let before = |c: &&&CallFacts| off.is_none_or(|at| c.at < at);
    let mut control: BTreeMap<String, Option<Time>> = run.plan.gateway.endpoints.iter().map(|e| (e.endpoint.to_string(), None)).collect();
    for call in calls.iter().filter(|c| c.key == key && c.class == CallClass::Accepted).filter(before) {
        let seen = control.entry(call.endpoint.to_string()).or_default();
        *seen = (*seen).max(Some(call.at));
    }
    let after: Vec<&CallFacts> = calls.into_iter().filter(|c| off.is_some_and(|at| c.at >= at)).collect();
    let verdict = last_verdict(run, line, key, off);
    let end_state = end_state(run, line, key, off, &control, &after, verdict);
    let words = if made || key == Which::Old {
        sentence(run, key, end_state, &after, off)
    } else {
        "this run made no new key, so there is none to test".to_owned()
    };
    Negative {
        v: 1,
        key: key.name(),
        key_id: match key {
            Which::Old => Some(run.plan.old.id.to_string()),
            Which::New => new_id(run, line),
        },
        end_state,
        words,
        switched_off_at: off,
        verdict,
        positive_control: control.into_iter().map(|(endpoint, accepted_at)| Control { endpoint, accepted_at }).collect(),
        calls: after.into_iter().map(call).collect(),
    }
}

/// The id of the key this run made, also when it is gone again.
pub(super) fn new_id(run: &Run, line: &Timeline<'_>) -> Option<String> {
    run.new.as_ref().map(|n| n.id.to_string()).or_else(|| {
        line.effects.iter().rev().find_map(|d| match d.outcome {
            Some(Outcome::Done(crate::rotation::Done::Minted { id, .. })) => Some(id.to_string()),
            Some(
                Outcome::Done(_) | Outcome::NotDone { .. } | Outcome::Refused { .. } | Outcome::Unknown { .. } | Outcome::Conflict { .. },
            )
            | None => None,
        })
    })
}

/// A call as the files show it.
pub(super) fn call(facts: &CallFacts) -> Call {
    Call {
        at: facts.at,
        request: facts.request.to_string(),
        endpoint: facts.endpoint.to_string(),
        family: facts.family.clone(),
        key: facts.key.name(),
        class: facts.class,
        status: facts.status,
    }
}

/// When the key was last switched off and not on again: the first of the disable and the delete after the last enable.
fn switched(line: &Timeline<'_>, key: Which) -> Option<Time> {
    let mut off = None;
    for did in &line.effects {
        let done = match did.outcome {
            Some(Outcome::Done(_)) => true,
            Some(Outcome::NotDone { .. } | Outcome::Refused { .. } | Outcome::Unknown { .. } | Outcome::Conflict { .. }) | None => false,
        };
        match did.effect {
            Effect::Disable { key: k, .. } | Effect::Delete { key: k, .. } if *k == key && done => off = off.or(did.ended),
            // Not even the intent to accept it again may stand behind a proof that it is refused.
            Effect::Enable { key: k, .. } if *k == key => off = None,
            Effect::Disable { .. }
            | Effect::Delete { .. }
            | Effect::Enable { .. }
            | Effect::Mint { .. }
            | Effect::Stage { .. }
            | Effect::Promote { .. }
            | Effect::Repoint { .. }
            | Effect::Reload { .. }
            | Effect::Discard { .. }
            | Effect::Demote { .. }
            | Effect::Fence { .. }
            | Effect::DropPending { .. }
            | Effect::Retire { .. }
            | Effect::MarkLive { .. }
            | Effect::Scan
            | Effect::Seal => {}
        }
    }
    off
}

/// The last verdict of a rejection check of this key since it was switched off.
fn last_verdict(run: &Run, line: &Timeline<'_>, key: Which, off: Option<Time>) -> Option<Verdict> {
    let off = off?;
    let asks = |look: &super::timeline::Look<'_>, id: &str| {
        run.plan.checks(look.point).iter().any(|c| c.id == id && matches!(&c.ask, Ask::Reject { key: k } if *k == key))
    };
    let looks = line.looks.iter().rev().filter(|l| l.at >= off);
    looks.flat_map(|l| l.checks.iter().filter(|j| asks(l, &j.check))).map(|j| j.verdict).next()
}

fn end_state(
    run: &Run,
    line: &Timeline<'_>,
    key: Which,
    off: Option<Time>,
    control: &BTreeMap<String, Option<Time>>,
    after: &[&CallFacts],
    verdict: Option<Verdict>,
) -> EndState {
    if off.is_none() {
        let excepted = run.exceptions.iter().any(|e| e.until > line.last);
        let alive = match run.old {
            OldKey::Enabled => true,
            OldKey::DisabledByUs | OldKey::OffByOthers | OldKey::DeleteIntended | OldKey::Gone => false,
        };
        return match (key, run.old) {
            (Which::Old, OldKey::OffByOthers) => EndState::Disabled,
            (Which::Old, _) if alive && excepted => EndState::AliveByException,
            (Which::Old | Which::New, _) => EndState::Unknown,
        };
    }
    let ours: Vec<&&CallFacts> = after.iter().filter(|c| c.key == key).collect();
    // The last word of every address counts: nodes may accept for a while after the switch, and the gate waits for that.
    let last: BTreeMap<&str, CallClass> = ours.iter().map(|c| (c.endpoint.as_str(), c.class)).collect();
    if last.values().any(|c| *c == CallClass::Accepted) {
        return match run.plan.kind {
            Kind::Router => EndState::Unknown,
            Kind::Provider { .. } => EndState::DereferencedUpstreamAlive,
        };
    }
    let refused = !last.is_empty() && last.values().all(|c| *c == CallClass::Refused);
    let everywhere = control.keys().all(|e| last.contains_key(e.as_str()));
    let controlled = !control.is_empty() && control.values().all(Option::is_some);
    let provider = matches!(run.plan.kind, Kind::Provider { .. });
    match (verdict, refused && everywhere) {
        (Some(Verdict::Pass), true) if controlled => EndState::RejectedProven,
        (_, false) if provider => EndState::DereferencedUpstreamAlive,
        (_, true) => EndState::RefusedWithoutControl,
        (_, false) => EndState::Disabled,
    }
}

fn sentence(run: &Run, key: Which, state: EndState, after: &[&CallFacts], off: Option<Time>) -> String {
    let refused: Vec<&&CallFacts> = after.iter().filter(|c| c.key == key && c.class == CallClass::Refused).collect();
    let places: BTreeSet<&str> = refused.iter().map(|c| c.endpoint.as_str()).collect();
    let times = match (refused.first(), refused.last()) {
        (Some(first), Some(last)) => {
            let when = match (first.at.rfc3339(), last.at.rfc3339()) {
                (first, last) if first == last => format!("at {first}"),
                (first, last) => format!("at {first} … {last}"),
            };
            let replicas = run.plan.gateway.endpoints.len();
            let each = words_count(refused.len(), places.len());
            format!(
                "the {} key was refused {when} ({each}) on {} ({} addressable, others unknown)",
                key.name(),
                places.into_iter().collect::<Vec<_>>().join(", "),
                super::text::count(replicas, "replica", "replicas"),
            )
        }
        _ => String::new(),
    };
    match state {
        EndState::RejectedProven => format!("{times}; before it was switched off, every one of these addresses accepted it"),
        EndState::RefusedWithoutControl => {
            format!("{times}; but not every condition of the proof holds, so this is less than a proof: see positive_control and verdict")
        }
        EndState::Disabled => {
            format!("the admin API says that the {} key is switched off or gone; that it is refused everywhere was not shown", key.name())
        }
        EndState::DereferencedUpstreamAlive => match off {
            Some(off) => format!(
                "the gateway has let go of the {} provider key since {}; that the provider refuses its value was not shown: {} revokes it there by {}",
                key.name(),
                off.rfc3339(),
                run.plan.about.owner,
                off.plus(REVOKE_WITHIN).rfc3339()
            ),
            None => format!("that the provider refuses the {} value was not shown: {} revokes it there", key.name(), run.plan.about.owner),
        },
        EndState::AliveByException => "the old key is accepted on purpose; exceptions.json says for whom and until when".to_owned(),
        EndState::Unknown if key == Which::New => "what became of the new key was not shown".to_owned(),
        EndState::Unknown => "the old key was not shown to be refused".to_owned(),
    }
}

fn words_count(calls: usize, places: usize) -> String {
    format!("{} at {}", super::text::count(calls, "call", "calls"), super::text::count(places, "address", "addresses"))
}
