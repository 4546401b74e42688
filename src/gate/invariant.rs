//! `invariant`: what must always hold. Facts are looked up for the reading; refused callers are read from the usage.

use super::Case;
use super::finding::{Finding, Found, listed};
use super::{ack, callers, clock, source};
use crate::rotation::{App, Course, Looked, Must, Time, Which};

pub(super) fn judge(case: &Case<'_>, must: &Must) -> Found {
    let fact = match must {
        Must::NoneRefused(key) => return none_refused(case, *key),
        Must::Serves(key) => return serves(case, *key),
        Must::SlotsHoldOld
        | Must::PendingIsNew
        | Must::SlotsHold(_)
        | Must::AdminDiffers
        | Must::WayBack
        | Must::SingleNew
        | Must::NoneNew
        | Must::Listed(_)
        | Must::NoReference(_)
        | Must::Projected(_)
        | Must::Absent(_)
        | Must::CadenceKnown
        | Must::EvidenceComplete
        | Must::Searchable => fact(case, &must.key())?,
    };
    if fact.holds {
        return Ok(Finding::pass(fact.seen.clone()));
    }
    // A replica that has not heard of the change yet is late, not wrong.
    if let Must::Projected(_) = must {
        return Ok(Finding::inconclusive(format!("{}: wait until every replica has heard of the change", fact.seen)));
    }
    // Models come and go while a run waits: whose this one is, a look at the world tells, and the run goes on from there.
    if let Must::NoReference(_) = must {
        return Ok(Finding::inconclusive(format!("{}: it is moved like the others, or a person decides", fact.seen)));
    }
    Ok(Finding::fail(format!("{}; {}", fact.seen, remedy(must))))
}

/// The answer to a looked-up question, or why there is none.
pub(super) fn fact<'a>(case: &Case<'a>, key: &str) -> Result<&'a Looked, Finding> {
    if let Some(reason) = case.reading.errors.get(key) {
        return Err(Finding::error(format!("`{key}` could not be looked up: {reason}; it is asked again at the next look")));
    }
    case.reading
        .facts
        .get(key)
        .ok_or_else(|| Finding::error(format!("`{key}` was not looked up for this reading, so nothing is known about it")))
}

fn remedy(must: &Must) -> &'static str {
    match must {
        Must::SlotsHoldOld => "name the key that the slots really hold, or the slots that really hold this key",
        Must::PendingIsNew => "somebody else wrote there: find out who before going on",
        Must::SlotsHold(_) => "somebody else wrote there, or the store is behind: look at the slot's history",
        Must::AdminDiffers => "with one identity for both, switching the key off would lock keyroll out",
        Must::WayBack => "without it consumers could not be put back",
        Must::SingleNew | Must::NoneNew => "`keyroll orphans` lists the keys that carry a marker",
        Must::Listed(_) => "find out who switched it off or removed it",
        Must::Serves(_) => "nobody is served with it",
        Must::NoReference(_) => "point those models at the other key first",
        Must::Projected(_) => "wait for the replicas",
        Must::Absent(_) => "look at the gateway's console; a deletion that does not show is none",
        Must::NoneRefused(_) => "those callers are cut off",
        Must::CadenceKnown => "write a `cadence:` for every consumer",
        Must::EvidenceComplete => "supply the item, or waive it by name",
        Must::Searchable => "waive this by name, and the bundle says that it was not searched for that value",
    }
}

/// No call of others was refused on this key since consumers were moved to it.
fn none_refused(case: &Case<'_>, key: Which) -> Found {
    let usage = source::usage(case)?;
    if !case.run.plan.usage.sees_refused {
        return Err(Finding::no_data(
            "refused callers are not observable here: the source writes no row for a refused call; add one that does, or waive this check by name",
        ));
    }
    let clock = clock::source(case)?;
    let start = start(case, &clock, key)?;
    let table = usage.of(key);
    let refused: Vec<String> = table
        .iter()
        .filter(|(_, count)| callers::last_refusal(count, usage).is_some_and(|at| at >= start))
        .map(|(caller, _)| caller.as_str().to_owned())
        .collect();
    let attempts = table.values().fold(0u64, |n, c| n.saturating_add(c.refused));
    if !refused.is_empty() {
        let names: Vec<String> = refused.iter().map(|c| callers::with_owner(case, c)).collect();
        return Ok(Finding::fail(format!(
            "calls with the {} key were refused since {} for {}: they hold a value or reach a node that the gateway does not accept",
            key.name(),
            start.rfc3339(),
            listed(&names)
        ))
        .count("refused", attempts)
        .count_of("callers", refused.len())
        .about(refused.iter().map(|c| callers::shown(c))));
    }
    source::readable(usage)?;
    // Any row since then, of whomever, shows that the source has got that far.
    let newest = usage.shards.iter().filter_map(|s| s.newest).chain(usage.own.values().map(|r| r.at)).max();
    let heard = newest.filter(|at| *at >= start);
    let Some(until) = heard else {
        return Err(Finding::no_data(format!(
            "the usage has no row since {}, so nobody refused in it proves nothing: wait for the log, or check that its export runs",
            start.rfc3339()
        )));
    };
    Ok(Finding::pass(format!("no caller of the {} key was refused between {} and {}", key.name(), start.rfc3339(), until.rfc3339()))
        .count("refused", 0)
        .count_of("callers", table.len())
        .count("rows", usage.rows))
}

/// Consumers were served with this key since it was last touched: the only proof that the gateway itself can use it.
fn serves(case: &Case<'_>, key: Which) -> Found {
    let usage = source::usage(case)?;
    let clock = clock::source(case)?;
    let since = &case.run.since;
    let moved = match key {
        Which::New => &since.flip,
        Which::Old => &since.back,
    };
    let start = clock
        .latest([moved, &since.disabled, &since.enabled, &since.deleted])
        .or_else(|| clock.latest([&since.start]))
        .ok_or_else(|| Finding::error("the run has no beginning on record, so there is no time to count from"))?;
    source::readable(usage)?;
    let served: Vec<&App> = usage
        .of(key)
        .iter()
        .filter(|(_, count)| count.accepted > 0 && count.last_used.is_some_and(|at| at >= start))
        .map(|(caller, _)| caller)
        .collect();
    if served.is_empty() {
        return Err(Finding::no_data(format!(
            "no call of a consumer was served with the {} key since {}: wait for the next one, or check that the log is written",
            key.name(),
            start.rfc3339()
        )));
    }
    let names: Vec<String> = served.iter().map(|caller| callers::shown(caller.as_str())).collect();
    Ok(Finding::pass(format!("served with the {} key since {}: {}", key.name(), start.rfc3339(), listed(&names)))
        .count_of("callers", served.len()))
}

/// From when a refusal counts: the move to the key, and not while a gateway may go on refusing a key that was enabled again.
fn start(case: &Case<'_>, clock: &clock::SourceClock<'_>, key: Which) -> Result<Time, Finding> {
    let since = &case.run.since;
    let moved = match (key, case.run.course) {
        (Which::New, _) => ack::moved(case, clock, Which::New),
        (Which::Old, Course::Undo) => ack::moved(case, clock, Which::Old),
        (Which::Old, Course::Forward) => None,
    };
    let enabled = match key {
        Which::Old => clock.latest([&since.enabled]).map(|t| t.plus(case.run.caps.settles_in).plus(case.run.caps.refusal_cache)),
        Which::New => None,
    };
    moved
        .max(enabled)
        .or_else(|| clock.latest([&since.start]))
        .ok_or_else(|| Finding::error("the run has no beginning on record, so there is no time to count from"))
}
