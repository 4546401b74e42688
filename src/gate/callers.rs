//! Callers in usage rows: how they are shown, who answers for them, who may stay.

use super::Case;
use crate::rotation::{App, CallerCount, ConsumerPlan, Time, UsageTable};

/// The caller's name; rows without one have a name too.
pub(super) fn shown(caller: &str) -> String {
    if caller.is_empty() { "(unnamed caller)".into() } else { caller.to_owned() }
}

/// The caller and who answers for it.
pub(super) fn with_owner(case: &Case<'_>, caller: &str) -> String {
    match case.run.plan.claimed_by(caller) {
        Some(consumer) => named(consumer),
        None => format!("{} (in no consumer entry)", shown(caller)),
    }
}

/// A consumer and its owner.
pub(super) fn named(consumer: &ConsumerPlan) -> String {
    format!("{} (owner {})", consumer.app, consumer.owner)
}

/// This caller may stay on the outgoing key now, by its own name or as a consumer.
pub(super) fn excepted(case: &Case<'_>, caller: &str) -> bool {
    let may = |app: &App| case.run.excepted(app, case.now());
    match case.run.plan.claimed_by(caller) {
        Some(consumer) => may(&consumer.app),
        None => !caller.is_empty() && may(&App::new(caller)),
    }
}

/// When it was last seen using the key. A counter that moved without a time moved, for all we know, just now.
pub(super) fn last_use(count: &CallerCount, usage: &UsageTable) -> Option<Time> {
    let used = count.accepted > 0 || count.other > 0;
    count.last_used.or_else(|| used.then_some(usage.to))
}

/// When it was last refused, with the same caution.
pub(super) fn last_refusal(count: &CallerCount, usage: &UsageTable) -> Option<Time> {
    count.last_refused.or_else(|| (count.refused > 0).then_some(usage.to))
}
