//! `versions.json`: what was in each slot when, by version id. Values and anything computed from them stay out.

use super::timeline::Timeline;
use crate::rotation::{Done, Effect, Outcome, Run, SlotNo, Swap, Time, Which};
use serde::Serialize;

/// The slots of a run.
#[derive(Debug, Serialize)]
pub(super) struct Versions {
    v: u32,
    pub(super) slots: Vec<SlotVersions>,
}

/// One slot.
#[derive(Debug, Serialize)]
pub(super) struct SlotVersions {
    pub(super) name: String,
    address: String,
    /// The store's id of the new version, where it gives one.
    new_version: Option<String>,
    /// What consumers read at the end.
    pub(super) current: &'static str,
    pub(super) staged_at: Option<Time>,
    pub(super) promoted_at: Option<Time>,
    pub(super) demoted_at: Option<Time>,
    pub(super) old_unlinked_at: Option<Time>,
    /// Every swap was guarded by the store itself; none: there was no swap.
    pub(super) atomic: Option<bool>,
}

/// The slots of a run.
pub(super) fn versions(run: &Run, line: &Timeline<'_>) -> Versions {
    let slots = run.plan.slots.iter().zip(&run.slots).enumerate().map(|(i, (plan, state))| {
        let no = SlotNo(u16::try_from(i).unwrap_or(u16::MAX));
        let at = |wanted: fn(&Effect) -> Option<SlotNo>| {
            let done = |o: &Outcome| match o {
                Outcome::Done(_) => true,
                Outcome::NotDone { .. } | Outcome::Refused { .. } | Outcome::Unknown { .. } | Outcome::Conflict { .. } => false,
            };
            line.effects.iter().rev().find(|d| wanted(d.effect) == Some(no) && d.outcome.is_some_and(done))
        };
        let staged = at(|e| if let Effect::Stage { slot, .. } = e { Some(*slot) } else { None });
        let promoted = at(|e| if let Effect::Promote { slot, .. } = e { Some(*slot) } else { None });
        let demoted = at(|e| if let Effect::Demote { slot, .. } = e { Some(*slot) } else { None });
        let retired = at(|e| if let Effect::Retire { slot } = e { Some(*slot) } else { None });
        let version = staged.and_then(|d| match d.outcome {
            Some(Outcome::Done(Done::Staged { version, .. })) => version.as_ref(),
            Some(
                Outcome::Done(_) | Outcome::NotDone { .. } | Outcome::Refused { .. } | Outcome::Unknown { .. } | Outcome::Conflict { .. },
            )
            | None => None,
        });
        SlotVersions {
            name: plan.name.clone(),
            address: plan.address.clone(),
            new_version: version.map(ToString::to_string),
            current: match state.current {
                Which::Old => "old",
                Which::New => "new",
            },
            staged_at: staged.and_then(|d| d.ended),
            promoted_at: promoted.and_then(|d| d.ended),
            demoted_at: demoted.and_then(|d| d.ended),
            old_unlinked_at: retired.and_then(|d| d.ended),
            atomic: (promoted.is_some() || demoted.is_some()).then_some(state.atomic && plan.caps.swap == Swap::CompareAndSet),
        }
    });
    Versions { v: 1, slots: slots.collect() }
}
