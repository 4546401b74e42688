//! Readings → verdicts. Pure: no clock, no input or output; the same run and reading always give the same verdict.
//!
//! Five verdicts, and only `pass` advances by itself: `fail` (shown to be wrong), `inconclusive` (data, not enough), `no_data` (no
//! rows, or the source is behind), `error` (the question could not be asked). Absence needs a positive control, and one
//! counter-example decides. A waived check says `waived` with the name, never `pass`; a check left out in an emergency says `skipped`.
//!
//! | kind | question | rule |
//! |---|---|---|
//! | `equal` | may the new key do what the old one may? | the looked-up comparison holds |
//! | `accept` | is the key accepted? | every endpoint and family; a limit that only the new key meets makes it narrower |
//! | `reject` | is the key refused? | known refusals after the change settled, repeated, at every endpoint, with the other key accepted beside |
//! | `zero` | is the key unused? | no use in a window that every part of the source covers, with a call of ours as proof of life |
//! | `coverage` | is every consumer on the key? | seen on it, or acknowledged with its value, since it was moved |
//! | `unknown_callers` | who uses the old key that nobody listed? | nobody |
//! | `attributed` | does the usage know the new key? | our own calls show under its id and the old owner |
//! | `soak` | was anybody refused meanwhile? | nobody, in a source that shows a refusal of ours |
//! | `invariant` | does it always hold? | the looked-up fact holds; the first refused caller fails |
//! | `elapsed` | did enough time pass? | by the gateway's clock |
//! | `human` | does the role agree? | an approval is in force |
//! | `rate`, `rate_diff`, `quantile`, `band`, `external` | (comes later) | always `error`, so a plan that names one needs a waiver |
//!
//! Counts have stable names. `voids_approval` among them ends an approval that was given before the reading.

mod accept;
mod ack;
mod attributed;
mod callers;
mod clock;
mod coverage;
mod elapsed;
mod equal;
mod finding;
mod human;
mod invariant;
mod reject;
mod soak;
mod source;
#[cfg(test)]
mod tests;
mod unknown;
mod zero;

use crate::rotation::{Ask, Check, Judged, Point, Reading, Run, Time, Verdict, Which};
use finding::{Finding, Found, VOIDS_APPROVAL};

/// What every rule looks at.
struct Case<'a> {
    run: &'a Run,
    point: &'a Point,
    reading: &'a Reading,
}

impl Case<'_> {
    /// Our wall clock at the reading.
    fn now(&self) -> Time {
        self.reading.stamp.at
    }
}

/// Judges all checks of one point, in the plan's order.
pub fn judge(run: &Run, point: &Point, reading: &Reading) -> Vec<Judged> {
    run.plan.checks(point).iter().map(|check| judge_one(run, point, check, reading)).collect()
}

/// Judges one check.
pub fn judge_one(run: &Run, point: &Point, check: &Check, reading: &Reading) -> Judged {
    let case = Case { run, point, reading };
    let finding = match &run.emergency {
        Some((by, reason)) if check.skippable => Finding {
            verdict: Verdict::Skipped,
            ..Finding::error(format!("left out in an emergency declared by {by}: {reason}; what it would have shown is unknown"))
        },
        Some(_) | None => waived(&case, &check.id, evaluate(&case, &check.ask)),
    };
    Judged { check: check.id.clone(), verdict: finding.verdict, why: finding.why, counts: finding.counts, about: finding.about }
}

/// A person took what was found upon himself, by name and until a date.
fn waived(case: &Case<'_>, id: &str, found: Finding) -> Finding {
    if found.verdict == Verdict::Pass {
        return found;
    }
    let Some(waiver) = case.run.waiver(case.point, id, case.now()) else { return found };
    let why = format!(
        "waived by {} until {} ({}); without the waiver: {}, {}",
        waiver.by,
        waiver.until.rfc3339(),
        waiver.why,
        name(found.verdict),
        found.why
    );
    let mut waived = Finding { verdict: Verdict::Waived, why, ..found };
    // What a person let go on by name must not end another person's agreement at every look.
    waived.counts.remove(VOIDS_APPROVAL);
    waived
}

fn evaluate(case: &Case<'_>, ask: &Ask) -> Finding {
    let found: Found = match ask {
        Ask::Equal { allow } => equal::judge(case, allow),
        Ask::Accept { key } => accept::judge(case, *key),
        Ask::Reject { key } => reject::judge(case, *key),
        Ask::Zero { key } => zero::judge(case, *key),
        Ask::Coverage { key } => coverage::judge(case, *key),
        Ask::UnknownCallers => unknown::judge(case),
        Ask::Attributed => attributed::judge(case),
        Ask::Invariant(must) => invariant::judge(case, must),
        Ask::Elapsed { at_least } => elapsed::judge(case, *at_least),
        Ask::Soak { key, at_least } => soak::judge(case, *key, *at_least),
        Ask::Human { role } => Ok(human::judge(case, role)),
        Ask::Later { kind } => Ok(human::later(kind)),
    };
    found.unwrap_or_else(|stopped| stopped)
}

fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Inconclusive => "inconclusive",
        Verdict::NoData => "no data",
        Verdict::Error => "error",
        Verdict::Waived => "waived",
        Verdict::Skipped => "skipped",
    }
}

fn other(key: Which) -> Which {
    match key {
        Which::Old => Which::New,
        Which::New => Which::Old,
    }
}
