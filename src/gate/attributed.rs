//! `attributed`: our own calls with the new key show in the usage, under its id and the old key's owner.

use super::finding::{Finding, Found, listed};
use super::{Case, clock, source};
use crate::rotation::{CallClass, CallFacts, OwnRow, Span, Which};

/// A row of a call that was made just before the usage was read may be still on its way even where no lag is known.
const FLUSH: Span = Span::seconds(1);

pub(super) fn judge(case: &Case<'_>) -> Found {
    let usage = source::usage(case)?;
    let clock = clock::source(case)?;
    let made: Vec<&CallFacts> = case
        .run
        .tested
        .iter()
        .chain(&case.reading.calls)
        .filter(|c| c.key == Which::New && c.class == CallClass::Accepted && clock.wall(c.at) >= usage.from)
        .collect();
    if made.is_empty() {
        return Err(Finding::no_data(
            "no call of ours with the new key was accepted in the window, so there is nothing to look for in the usage",
        ));
    }
    let lag = case.run.plan.usage.lag.max(usage.lag).plus(FLUSH);
    let found: Vec<(&CallFacts, &OwnRow)> = made.iter().filter_map(|c| usage.own.get(&c.request).map(|row| (*c, row))).collect();
    let lost = |c: &&&CallFacts| !usage.own.contains_key(&c.request);
    let late = made.iter().filter(lost).filter(|c| clock.wall(c.at).plus(lag) <= clock.now()).count();
    let noted = |f: Finding| f.count_of("calls", made.len()).count_of("found", found.len()).count_of("late", late);
    let owner = &case.run.plan.old.owner;
    let wrong: Vec<String> = found.iter().filter_map(|(call, row)| wrong(call, row, owner)).collect();
    if !wrong.is_empty() {
        return Ok(noted(
            Finding::fail(format!(
                "{}: usage and cost of the new key would land in the wrong place; give it the owner of the old one",
                listed(&wrong)
            ))
            .about(wrong),
        ));
    }
    if found.is_empty() {
        return Err(noted(Finding::no_data(format!(
            "none of {} calls of ours with the new key shows in the usage yet: wait {lag} for the log, or check that its export runs",
            made.len()
        ))));
    }
    if !owner.is_empty() && found.iter().all(|(_, row)| row.owner.is_empty()) {
        return Err(noted(Finding::no_data(format!(
            "{} calls of ours show under the new key, but the usage names no owner to compare with {owner}; use a source that does, or waive this check by name",
            found.len()
        ))));
    }
    // A call too young to show is no reason to wait, once older ones do.
    let settled = found.iter().any(|(c, _)| clock.wall(c.at).plus(lag) <= clock.now());
    let all = found.len() == made.len();
    if late > 0 || !(all || settled) {
        return Ok(noted(Finding::inconclusive(format!(
            "{} of {} calls of ours with the new key show in the usage, {late} of the others later than its lag of {lag}: wait, or find out where rows get lost",
            found.len(),
            made.len()
        ))));
    }
    let whose = if owner.is_empty() { "the plan knows no owner to compare".to_owned() } else { format!("owner {owner}, as before") };
    Ok(noted(Finding::pass(format!("{} of {} calls of ours show in the usage under the new key's id; {whose}", found.len(), made.len()))))
}

fn wrong(call: &CallFacts, row: &OwnRow, owner: &str) -> Option<String> {
    match row.key {
        Some(Which::New) if owner.is_empty() || row.owner.is_empty() || row.owner == owner => None,
        Some(Which::New) => Some(format!("request {} is under owner {} instead of {owner}", call.request, row.owner)),
        Some(Which::Old) => Some(format!("request {} was made with the new key and is under the old one", call.request)),
        None => Some(format!("request {} was made with the new key and is under neither key", call.request)),
    }
}
