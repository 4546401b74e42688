//! When a usage source may be believed: asked for, readable, reaching back, alive, and heard from in every part.

use super::clock::SourceClock;
use super::finding::{Finding, listed};
use super::{Case, other};
use crate::rotation::{Kind, Span, Time, UsageKind, UsageTable, Which};

/// The table of this reading, or why there is none.
pub(super) fn usage<'a>(case: &Case<'a>) -> Result<&'a UsageTable, Finding> {
    let plan = &case.run.plan.usage;
    match plan.kind {
        UsageKind::Rows | UsageKind::Counters => {}
        UsageKind::Spend | UsageKind::None => {
            return Err(Finding::error(
                "not observable: no usage source here shows calls by key; add a `usage:` source with request rows and plan again, or waive this check by name",
            ));
        }
    }
    for question in ["usage", "source_now"] {
        if let Some(reason) = case.reading.errors.get(question) {
            return Err(Finding::error(format!("the usage could not be read: {reason}; it is read again at the next look")));
        }
    }
    case.reading.usage.as_ref().ok_or_else(|| Finding::no_data("no usage was read for this check; it is read again at the next look"))
}

/// The table holds rows that could be read, and its counts agree with each other.
pub(super) fn readable(usage: &UsageTable) -> Result<(), Finding> {
    if usage.malformed > 0 && usage.malformed.saturating_mul(100) > usage.rows {
        return Err(Finding::no_data(format!(
            "{} lines of the usage could not be read beside {} that could: what they say is unknown, never zero; repair the source or its `format`",
            usage.malformed, usage.rows
        ))
        .count("malformed", usage.malformed)
        .count("rows", usage.rows));
    }
    if usage.rows == 0 && usage.own.is_empty() {
        return Err(Finding::no_data(
            "the usage source has no row at all in this window, not even one of ours: silence proves nothing; check that its export runs",
        )
        .count("rows", 0));
    }
    let by_key = usage.old.values().chain(usage.new.values()).fold(0u64, |sum, c| sum.saturating_add(c.total()));
    if by_key > usage.rows {
        return Err(Finding::no_data(format!(
            "the usage names {by_key} rows of the two keys and only {} in all: a part of it was lost or counted twice, so none of it counts",
            usage.rows
        ))
        .count("rows", usage.rows));
    }
    Ok(())
}

/// The source reaches back to where the window starts.
pub(super) fn reaches(usage: &UsageTable, start: Time) -> Result<(), Finding> {
    let back = usage.reaches.map_or(usage.from, |r| r.max(usage.from));
    if back <= start {
        return Ok(());
    }
    Err(Finding::inconclusive(format!(
        "the usage reaches back only to {}, and the window starts at {}: keep its rows longer, or the time in between stays unknown",
        back.rfc3339(),
        start.rfc3339()
    ))
    .count("unseen_ms", back.since(start).0))
}

/// The silence of `key` since this instant means something: a call of ours shows under a key, so the pipe carries such rows.
///
/// Our own calls with a provider key go to the provider and leave no row here. There it is a call of a consumer, served with the other
/// key, that shows the pipe to be alive.
pub(super) fn alive(case: &Case<'_>, usage: &UsageTable, key: Which, start: Time) -> Result<(), Finding> {
    #[cfg(feature = "bugs")]
    if crate::bugs::on(crate::bugs::Bug::ControlIgnored) {
        return Ok(());
    }
    if usage.own.values().any(|row| row.key.is_some() && row.at >= start) {
        return Ok(());
    }
    if by_consumers(case) {
        if consumer_row(usage, other(key), start) {
            return Ok(());
        }
        return Err(Finding::no_data(format!(
            "no call of a consumer shows under the {} key since {}, so the silence of the {} key proves nothing; wait for the next call, or check that the log is written",
            other(key).name(),
            start.rfc3339(),
            key.name()
        )));
    }
    let unnamed = usage.own.values().any(|row| row.at >= start);
    let seen = if unnamed { "our own calls show, but under neither key" } else { "none of our own calls shows" };
    Err(Finding::no_data(format!(
        "{seen} in the usage since {}, so its silence about others proves nothing; wait for the log, or check that its export runs",
        start.rfc3339()
    ))
    .count_of("own_rows", usage.own.len()))
}

/// Life is shown by the calls of consumers, because those of ours pass by this source.
pub(super) fn by_consumers(case: &Case<'_>) -> bool {
    matches!(case.run.plan.kind, Kind::Provider { .. })
}

/// A consumer's call was served with this key at or after this instant.
pub(super) fn consumer_row(usage: &UsageTable, key: Which, from: Time) -> bool {
    usage.of(key).values().any(|count| count.accepted > 0 && count.last_used.is_some_and(|at| at >= from))
}

/// The instant up to which every part of the source is complete, moved back by the longest request.
pub(super) fn covered(case: &Case<'_>, usage: &UsageTable, clock: &SourceClock<'_>) -> Result<Time, Finding> {
    let plan = &case.run.plan;
    let missing = plan.usage.shards.iter().filter(|name| !usage.shards.iter().any(|s| s.name == **name)).cloned();
    let silent = usage.shards.iter().filter(|s| s.newest.is_none()).map(|s| s.name.clone());
    let unheard: Vec<String> = missing.chain(silent).collect();
    let Some(watermark) = usage.watermark().filter(|_| unheard.is_empty()) else {
        let why = if unheard.is_empty() {
            "the usage names none of its parts".to_owned()
        } else {
            format!("nothing was heard from {}", listed(&unheard))
        };
        return Err(Finding::no_data(format!(
            "{why}, so it is unknown how far the usage is complete: check the export of each part (file, replica, exporter)"
        ))
        .count_of("silent_shards", unheard.len())
        .about(unheard));
    };
    #[cfg(feature = "bugs")]
    if crate::bugs::on(crate::bugs::Bug::WatermarkIgnored) {
        return Ok(clock.now());
    }
    // The larger of planned and present lag counts. No row is newer than now, and none is read that came after the query.
    let more_lag = Span(plan.usage.lag.0.saturating_sub(usage.lag.0));
    Ok(watermark.minus(more_lag).min(usage.to).min(clock.now()).minus(plan.timing.longest_request))
}

/// A call of ours, made at the last few looks, must show by now.
pub(super) fn recent(case: &Case<'_>, usage: &UsageTable, clock: &SourceClock<'_>) -> Time {
    clock.now().minus(allowed(case, usage))
}

/// How far a source may be behind when we call through it at every look: four looks, one call, and its own lag.
fn allowed(case: &Case<'_>, usage: &UsageTable) -> Span {
    let timing = &case.run.plan.timing;
    let looks = Span(timing.poll.0.saturating_mul(4)).plus(timing.call_timeout);
    let own = case.run.plan.usage.lag.max(usage.lag).plus(timing.longest_request).plus(looks);
    // Where consumers are the sign of life, it comes at their pace.
    let pace = case.run.plan.consumers.iter().map(|c| c.cadence).max().unwrap_or(timing.drain_window);
    if by_consumers(case) { own.plus(pace) } else { own }
}

/// A part of the source is further behind than its lag allows, although we call through it at every look: its export may have stopped.
pub(super) fn behind(case: &Case<'_>, usage: &UsageTable, clock: &SourceClock<'_>, covered: Time) -> Option<Finding> {
    let allowed = allowed(case, usage);
    let late = clock.now().since(covered);
    if late <= allowed {
        return None;
    }
    let parts: Vec<String> =
        usage.shards.iter().filter(|s| s.newest.is_some_and(|n| clock.now().since(n) > allowed)).map(|s| s.name.clone()).collect();
    let who = if parts.is_empty() { "the usage".to_owned() } else { listed(&parts) };
    Some(
        Finding::no_data(format!(
            "{who} is {late} behind although {} it: check that its export runs, its silence proves nothing",
            if by_consumers(case) { "consumers should call through" } else { "we call through" }
        ))
        .count("behind_ms", late.0)
        .about(parts),
    )
}
