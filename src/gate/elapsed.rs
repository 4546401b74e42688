//! `elapsed`: so much time has passed since hold began, by the gateway's clock.

use super::Case;
use super::clock;
use super::finding::{Finding, Found};
use crate::rotation::Span;

pub(super) fn judge(case: &Case<'_>, at_least: Span) -> Found {
    let clock = clock::source(case)?;
    let Some(start) = clock.latest([&case.run.since.hold]) else {
        return Err(Finding::error("hold has not begun, so there is no time to count; this check belongs to hold or later"));
    };
    let passed = clock.now().since(start);
    let finding = if passed >= at_least {
        Finding::pass(format!("{passed} of at least {at_least} have passed since {} by the gateway's clock", start.rfc3339()))
    } else {
        let left = Span(at_least.0.saturating_sub(passed.0));
        Finding::inconclusive(format!("{passed} of at least {at_least} have passed since {}: wait {left} more", start.rfc3339()))
    };
    Ok(finding.count("elapsed_ms", passed.0).count("at_least_ms", at_least.0))
}
