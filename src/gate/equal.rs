//! `equal`: the scopes of old and new key, as looked up for this reading.

use super::Case;
use super::finding::{Finding, Found};
use super::invariant;
use crate::rotation::SCOPE_FACT;

pub(super) fn judge(case: &Case<'_>, allow: &[String]) -> Found {
    let fact = invariant::fact(case, SCOPE_FACT)?;
    let apart = if allow.is_empty() { String::new() } else { format!(" apart from {}", allow.join(", ")) };
    let finding = if fact.holds {
        Finding::pass(format!("the new key may do what the old one may{apart}: {}", fact.seen))
    } else {
        Finding::fail(format!(
            "the new key is not scoped as the old one{apart}: {}; give it the same limits, or allow the field by name in a new plan",
            fact.seen
        ))
    };
    Ok(finding.count_of("allowed_fields", allow.len()))
}
