//! `zero`: no use of a key for a whole window, in a source that would have shown it.

use super::ack::{self, Word};
use super::clock::{self, SourceClock};
use super::finding::{Finding, Found, VOIDS_APPROVAL, listed};
use super::{Case, callers, other, source};
use crate::rotation::{ConsumerPlan, Span, Time, UsageKind, UsageTable, Which};

/// What is to be waited for, and from when.
struct Quiet<'a> {
    start: Time,
    window: Span,
    /// Last use by anybody who may not stay, since the start.
    last_use: Option<Time>,
    /// Who used it since the start.
    users: Vec<&'a str>,
    /// Nobody can have the key: this run never gave it to anybody.
    unborn: bool,
    /// The consumer that, by its own rhythm, may still come back to the key, and when it is safe.
    slow: Option<(&'a ConsumerPlan, Time)>,
}

pub(super) fn judge(case: &Case<'_>, key: Which) -> Found {
    let usage = source::usage(case)?;
    let clock = clock::source(case)?;
    let quiet = quiet(case, usage, &clock, key)?;
    let found = weigh(case, usage, &clock, key, &quiet).unwrap_or_else(|stopped| stopped);
    let table = usage.of(key).values();
    let refused = table.fold(0u64, |n, c| n.saturating_add(c.refused));
    let found = found.count_of("used", quiet.users.len()).count("refused_attempts", refused).count("window_ms", quiet.window.0);
    Ok(match (found.verdict.advances(), quiet.last_use) {
        // Whoever agreed before this use did not know of it.
        (false, Some(last)) if last.plus(quiet.window) > clock.now() || found.counts.contains_key("used_in_window") => {
            found.count(VOIDS_APPROVAL, 1)
        }
        _ => found,
    })
}

/// Everything that decides how long is quiet enough.
fn quiet<'a>(case: &Case<'a>, usage: &'a UsageTable, clock: &SourceClock<'_>, key: Which) -> Result<Quiet<'a>, Finding> {
    let (since, timing) = (&case.run.since, &case.run.plan.timing);
    let (start, window) = match key {
        Which::Old => (clock.latest([&since.flip, &since.enabled, &since.hold]), timing.drain_window),
        // Nobody ever held a new key that was not flipped to: no use at all is enough.
        Which::New if !case.run.was_flipped() => (clock.latest([&since.minted]), Span::ZERO),
        Which::New => (clock.latest([&since.back]), timing.undo_window),
    };
    let start = start
        .or_else(|| clock.latest([&since.start]))
        .ok_or_else(|| Finding::error("the run has no beginning on record, so there is no window to watch"))?;
    let unborn = key == Which::New && !case.run.was_flipped();
    let mut quiet = Quiet { start, window, last_use: None, users: Vec::new(), unborn, slow: None };
    for (caller, count) in usage.of(key) {
        let Some(used) = callers::last_use(count, usage).filter(|_| !callers::excepted(case, caller.as_str())) else { continue };
        if used > start {
            quiet.users.push(caller.as_str());
            quiet.last_use = quiet.last_use.max(Some(used));
        }
        // A consumer does not come back to a provider key by itself: the models lead there, and they are looked at apart.
        let Some(consumer) = case.run.plan.claimed_by(caller.as_str()).filter(|_| !source::by_consumers(case)) else { continue };
        if let Word::Holds = ack::word(case, clock, consumer, other(key)) {
            continue;
        }
        let safe = used.plus(consumer.cadence.max(window));
        if quiet.slow.is_none_or(|(_, at)| at < safe) {
            quiet.slow = Some((consumer, safe));
        }
    }
    Ok(quiet)
}

fn weigh(case: &Case<'_>, usage: &UsageTable, clock: &SourceClock<'_>, key: Which, quiet: &Quiet<'_>) -> Found {
    source::readable(usage)?;
    source::reaches(usage, quiet.start)?;
    source::alive(case, usage, key, quiet.start)?;
    let rows = case.run.plan.usage.kind == UsageKind::Rows;
    // Where rows are only counted, calls of ours are among them.
    if quiet.unborn && rows && !quiet.users.is_empty() {
        return Err(ahead(case, quiet));
    }
    let covered = source::covered(case, usage, clock)?;
    let since = quiet.last_use.unwrap_or(quiet.start);
    let ready = since.plus(quiet.window);
    let slow = quiet.slow.filter(|(_, safe)| *safe > ready);
    let shown = covered.since(since);
    let behind = source::behind(case, usage, clock, covered).filter(|_| covered < ready);
    let found = if let Some(behind) = behind {
        behind
    } else if covered < ready {
        if quiet.last_use.is_some() { in_use(case, key, quiet, since) } else { too_early(key, quiet, shown, ready.since(covered)) }
    } else if let Some((consumer, safe)) = slow.filter(|(_, safe)| covered < *safe) {
        Finding::inconclusive(format!(
            "{} last used the {} key less than its cadence of {} ago and does not say what it holds: wait {} more, or let it acknowledge the other key",
            callers::named(consumer),
            key.name(),
            consumer.cadence,
            safe.since(covered)
        ))
        .about([callers::named(consumer)])
    } else {
        // The pipe must be seen alive at both ends: one that broke in between shows silence, too.
        source::alive(case, usage, key, ready.max(source::recent(case, usage, clock)).min(clock.now()))?;
        unused(case, usage, key, since, shown)
    };
    Ok(found.count("covered_ms", shown.0).count_of("own_rows", usage.own.len()).count("rows", usage.rows))
}

fn in_use(case: &Case<'_>, key: Which, quiet: &Quiet<'_>, last: Time) -> Finding {
    let users: Vec<String> = quiet.users.iter().map(|caller| callers::with_owner(case, caller)).collect();
    Finding::inconclusive(format!(
        "the {} key is still in use, last at {}, by {}: move it to the other key or except it by name; each use starts the window of {} again",
        key.name(),
        last.rfc3339(),
        listed(&users),
        quiet.window
    ))
    .count("used_in_window", 1)
    .about(users)
}

/// Somebody has a key that this journal never gave away: it is an older copy of the real one, and nothing that it says may be believed.
fn ahead(case: &Case<'_>, quiet: &Quiet<'_>) -> Finding {
    let users: Vec<String> = quiet.users.iter().map(|caller| callers::with_owner(case, caller)).collect();
    Finding::fail(format!(
        "the world is ahead of the journal: the new key is used by {} although this run never moved anybody to it; find the newer journal, or who copied the key",
        listed(&users)
    ))
    .about(users)
}

fn too_early(key: Which, quiet: &Quiet<'_>, shown: Span, left: Span) -> Finding {
    Finding::inconclusive(format!(
        "no use of the {} key since {}, but the usage covers only {shown} of the window of {}: wait {left} more",
        key.name(),
        quiet.start.rfc3339(),
        quiet.window
    ))
}

fn unused(case: &Case<'_>, usage: &UsageTable, key: Which, since: Time, shown: Span) -> Finding {
    let back = usage.reaches.map_or(usage.from, |r| r.max(usage.from));
    let mut stay: Vec<String> =
        usage.of(key).keys().map(|c| c.as_str()).filter(|c| callers::excepted(case, c)).map(callers::shown).collect();
    stay.dedup();
    let stay = if stay.is_empty() { String::new() } else { format!("; not counted, under an exception: {}", listed(&stay)) };
    let seen = if stay.is_empty() { "no use" } else { "no other use" };
    Finding::pass(format!(
        "{seen} of the {} key seen since {} by {}, which reaches back to {}{}{stay}",
        key.name(),
        since.rfc3339(),
        case.run.plan.usage.source,
        back.rfc3339(),
        bound(shown)
    ))
}

/// The rule of three: what zero in this time says about what may still come.
fn bound(quiet: Span) -> String {
    const DAY: u64 = 86_400_000;
    // Hundredths, rounded up: the bound must not look better than it is.
    let Some(hundredths) = (300 * DAY).checked_add(quiet.0.saturating_sub(1)).and_then(|n| n.checked_div(quiet.0)) else {
        return String::new();
    };
    let (whole, part) = (hundredths / 100, hundredths % 100);
    let rate = if part == 0 { whole.to_string() } else { format!("{whole}.{part:02}") };
    format!("; zero calls in {quiet} means at most {rate} a day (95 %)")
}
