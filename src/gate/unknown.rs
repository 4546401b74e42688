//! `unknown_callers`: who uses the outgoing key that no consumer entry claims.

use super::Case;
use super::finding::{Finding, Found, VOIDS_APPROVAL, listed};
use super::{callers, source};
use crate::rotation::App;
use std::collections::BTreeSet;

pub(super) fn judge(case: &Case<'_>) -> Found {
    let plan = &case.run.plan;
    if !plan.usage.names_caller {
        return Err(Finding::no_data(
            "the usage cannot name callers, so a caller that nobody listed would not show: add a source that names them, or waive this check by name",
        ));
    }
    // Those of the plan's look-back need no fresh reading to block.
    let mut unknown: BTreeSet<&App> = plan.unclaimed.iter().filter(|c| nobodys(case, c)).collect();
    let usage = source::usage(case);
    if let Ok(usage) = &usage {
        // An attempt that was refused shows a holder of the old key too.
        unknown.extend(usage.old.iter().filter(|(_, count)| count.total() > 0).map(|(caller, _)| caller).filter(|c| nobodys(case, c)));
    }
    if !unknown.is_empty() {
        let names: Vec<String> = unknown.iter().map(|c| callers::shown(c.as_str())).collect();
        return Ok(Finding::inconclusive(format!(
            "the old key is used by {}, and no consumer entry claims it: find its owner, then list it and plan again, or `keyroll amend --except NAME --reason TEXT`",
            listed(&names)
        ))
        .count_of("unknown", names.len())
        .count(VOIDS_APPROVAL, 1)
        .about(names));
    }
    let usage = usage?;
    source::readable(usage)?;
    Ok(Finding::pass(format!(
        "every caller of the old key is listed or excepted: {} since {}, {} rows read",
        usage.old.len(),
        usage.from.rfc3339(),
        usage.rows
    ))
    .count("unknown", 0)
    .count_of("callers", usage.old.len())
    .count("rows", usage.rows))
}

fn nobodys(case: &Case<'_>, caller: &App) -> bool {
    case.run.plan.claimed_by(caller.as_str()).is_none() && !callers::excepted(case, caller.as_str())
}
