//! `soak`: while the key is disabled, nobody but us was refused, in a source that shows refusals.

use super::clock::{self, SourceClock};
use super::finding::{Finding, Found, listed};
use super::{Case, callers, other, source};
use crate::rotation::{Span, Stamp, Time, UsageTable, Which};

pub(super) fn judge(case: &Case<'_>, key: Which, at_least: Span) -> Found {
    #[cfg(feature = "bugs")]
    if crate::bugs::on(crate::bugs::Bug::SoakIgnored) {
        return Ok(Finding::pass("nobody looked"));
    }
    let plan = &case.run.plan;
    if !plan.usage.sees_refused {
        return Err(Finding::no_data(
            "refused callers are not observable here: the source writes no row for a refused call, so silence is certain; add a source that does, or waive this check by name",
        ));
    }
    let usage = source::usage(case)?;
    let clock = clock::source(case)?;
    let off = switched_off(case)
        .map(|stamp| clock.of(stamp))
        .ok_or_else(|| Finding::error("the key was not switched off in this run, so there is nothing to soak"))?;
    let from = refusals_count_from(case, usage, &clock, key, off);
    let mut refused = Vec::new();
    let mut accepted = Vec::new();
    let mut stay = Vec::new();
    let settled = off.plus(case.run.caps.settles_in).plus(plan.timing.longest_request);
    for (caller, count) in usage.of(key) {
        let was_refused = callers::last_refusal(count, usage).is_some_and(|at| at >= from);
        let was_accepted = count.last_used.is_some_and(|at| at > settled);
        match (was_refused || was_accepted, callers::excepted(case, caller.as_str())) {
            (false, _) => {}
            (true, true) => stay.push(callers::shown(caller.as_str())),
            (true, false) if was_refused => refused.push(caller.as_str()),
            (true, false) => accepted.push(callers::with_owner(case, caller.as_str())),
        }
    }
    let shows = |from: Time| {
        let own = usage.own.values().any(|row| row.refused && row.key == Some(key) && row.at >= from);
        own || (source::by_consumers(case) && source::consumer_row(usage, other(key), from))
    };
    let own = usage.own.values().filter(|row| row.refused && row.key == Some(key) && row.at >= off).count();
    let attempts = usage.of(key).values().fold(0u64, |n, c| n.saturating_add(c.refused));
    let noted = |f: Finding| {
        f.count("refused_attempts", attempts).count_of("own_refused", own).count_of("excepted", stay.len()).count("window_ms", at_least.0)
    };
    let except = if stay.is_empty() { String::new() } else { format!("; refused under an exception: {}", listed(&stay)) };
    if !refused.is_empty() {
        let names: Vec<String> = refused.iter().map(|c| callers::with_owner(case, c)).collect();
        // Plain names: whoever decides on a re-open looks them up among the consumers.
        return Ok(noted(Finding::fail(format!(
            "the {} key is disabled and was still needed by {}, whose calls were refused: enable it again, move them, then drain again{except}",
            key.name(),
            listed(&names)
        )))
        .about(refused.iter().map(|c| callers::shown(c))));
    }
    if !accepted.is_empty() {
        return Ok(noted(Finding::inconclusive(format!(
            "the {} key is disabled and calls with it are still accepted from {}: some node has not heard of it, wait or restart that node",
            key.name(),
            listed(&accepted)
        )))
        .about(accepted));
    }
    source::readable(usage).map_err(noted)?;
    source::reaches(usage, off).map_err(noted)?;
    if source::by_consumers(case) && !shows(off) {
        return Err(noted(Finding::no_data(format!(
            "no call of a consumer was served with the {} key since {}, so that nobody was refused proves nothing: wait for the next one",
            other(key).name(),
            off.rfc3339()
        ))));
    }
    if !shows(off) {
        return Err(noted(Finding::no_data(format!(
            "our own refused call with the {} key does not show in the usage since {}, so refusals of others would not either: wait for the log, or check that it records refusals",
            key.name(),
            off.rfc3339()
        ))));
    }
    let covered = source::covered(case, usage, &clock).map_err(noted)?;
    let (end, shown) = (off.plus(at_least), covered.since(off));
    let sign = if source::by_consumers(case) { "served call of a consumer" } else { "refused call of ours" };
    let finding = if covered < end {
        Finding::inconclusive(format!(
            "nobody was refused since {}, but the usage covers only {shown} of {at_least}: wait {} more{except}",
            off.rfc3339(),
            end.since(covered)
        ))
    } else if !shows(end) {
        // The pipe must be seen alive at both ends: one that broke in between shows silence, too.
        Finding::no_data(format!(
            "nobody was refused since {}, and no {sign} shows since the end of {at_least} either: wait for the log, or check that its export still runs",
            off.rfc3339()
        ))
    } else {
        Finding::pass(format!("nobody but us was refused on the {} key in {shown} since {}{except}", key.name(), off.rfc3339()))
    };
    Ok(noted(finding.count("covered_ms", shown.0)))
}

/// Our own disable, unless the key was enabled after it.
pub(super) fn disabled_by_us<'a>(case: &Case<'a>) -> Option<&'a Stamp> {
    let since = &case.run.since;
    since.disabled.as_ref().filter(|d| since.enabled.as_ref().is_none_or(|e| d.at >= e.at))
}

/// The same; else the beginning of hold, when somebody else had switched the key off at a time that nobody knows.
pub(super) fn switched_off<'a>(case: &Case<'a>) -> Option<&'a Stamp> {
    disabled_by_us(case).or(case.run.since.hold.as_ref())
}

/// A disable whose answer was lost happened before it was known: refusals count from the last instant at which the key was surely
/// accepted, not from the record. A jump of our clock begins the windows anew and leaves this instant where it was: the source's rows
/// carry the source's time.
fn refusals_count_from(case: &Case<'_>, usage: &UsageTable, clock: &SourceClock<'_>, key: Which, off: Time) -> Time {
    let jumped = case.run.clock_broke.as_ref();
    let boot = &case.reading.stamp.boot;
    // When an instant of an earlier boot was, a wall clock that has jumped since does not tell: then every refusal in the table counts.
    let of = |stamp: &Stamp| if jumped.is_some() && stamp.boot != *boot { usage.from } else { clock.of(stamp) };
    let [hold, back, enabled] = case.run.since.unmoved(jumped).map(|stamp| stamp.map(of));
    let drained = match key {
        Which::Old => hold,
        Which::New => back,
    };
    let cached = case.run.caps.settles_in.plus(case.run.caps.refusal_cache);
    drained.max(enabled.map(|at| at.plus(cached))).map_or(off, |at| at.min(off))
}
