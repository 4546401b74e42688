//! `coverage`: every consumer is seen on the key, or says that it holds it, since it was moved there.

use super::ack::{self, Word};
use super::clock::{self, SourceClock};
use super::finding::{Finding, Found, listed, plural};
use super::{Case, callers, source};
use crate::rotation::{ConsumerPlan, Kind, Point, Reload, Time, Which};

/// How it stands with one consumer.
enum State {
    Seen,
    Acked,
    Excepted,
    /// It says nothing by itself, and its next call is further away than one waits at a reload.
    Later,
    Missing(String),
}

pub(super) fn judge(case: &Case<'_>, key: Which) -> Found {
    let one = match case.point {
        Point::Reloaded(app) | Point::Returned(app) => Some(app),
        Point::Bound
        | Point::Prepared
        | Point::Canary
        | Point::Flipped
        | Point::Drained
        | Point::BeforeDisable
        | Point::Soaked
        | Point::BeforeDelete
        | Point::Gone
        | Point::Complete
        | Point::OldAccepted
        | Point::NewDrained
        | Point::NewSoaked
        | Point::Undone => None,
    };
    let consumers: Vec<&ConsumerPlan> = case.run.plan.consumers.iter().filter(|c| one.is_none_or(|app| c.app == *app)).collect();
    if consumers.is_empty() {
        return match (&case.run.plan.kind, one) {
            (Kind::Provider { .. }, None) => Ok(Finding::pass("a provider key has no consumer of its own: the gateway alone presents it")),
            (_, Some(app)) => Err(Finding::error(format!("{app} is not among the plan's consumers, so nothing is known about it"))),
            (Kind::Router, None) => {
                Err(Finding::error("no consumers listed, so nobody can be shown to have moved: list them and plan again"))
            }
        };
    }
    let clock = clock::source(case)?;
    let states: Vec<(&ConsumerPlan, State)> = consumers.into_iter().map(|c| (c, state(case, &clock, c, key))).collect();
    #[cfg(feature = "bugs")]
    if crate::bugs::on(crate::bugs::Bug::OneConsumerIsAll) && states.iter().any(|(_, s)| matches!(s, State::Seen | State::Acked)) {
        return Ok(Finding::pass("one stands for all"));
    }
    let found = verdict(case, &clock, key, one.is_some(), &states);
    let count = |wanted: fn(&State) -> bool| states.iter().filter(|(_, s)| wanted(s)).count();
    Ok(found
        .count_of("consumers", states.len())
        .count_of("seen", count(|s| matches!(s, State::Seen)))
        .count_of("acknowledged", count(|s| matches!(s, State::Acked)))
        .count_of("excepted", count(|s| matches!(s, State::Excepted)))
        .count_of("at_next_call", count(|s| matches!(s, State::Later)))
        .count_of("missing", count(|s| matches!(s, State::Missing(_)))))
}

fn state(case: &Case<'_>, clock: &SourceClock<'_>, consumer: &ConsumerPlan, key: Which) -> State {
    if case.run.excepted(&consumer.app, case.now()) {
        return State::Excepted;
    }
    if seen(case, clock, consumer, key) {
        return State::Seen;
    }
    let doubt = match ack::word(case, clock, consumer, key) {
        Word::Holds => return State::Acked,
        Word::Silent => None,
        Word::Void(doubt) => Some(doubt),
    };
    let at_reload = matches!(case.point, Point::Reloaded(_) | Point::Returned(_));
    if at_reload && doubt.is_none() && !consumer.acks && consumer.cadence > case.run.plan.timing.reload_within {
        return State::Later;
    }
    State::Missing(match doubt {
        Some(doubt) => format!("{}: {doubt}; {}", callers::named(consumer), how(consumer)),
        None => format!("{}: {}", callers::named(consumer), how(consumer)),
    })
}

/// A row of one of its names on the key, since it was moved.
fn seen(case: &Case<'_>, clock: &SourceClock<'_>, consumer: &ConsumerPlan, key: Which) -> bool {
    let (Some(usage), Some(start)) = (&case.reading.usage, ack::moved_one(case, clock, &consumer.app, key)) else { return false };
    let claimed = |caller: &str| consumer.seen_as.iter().any(|name| name == caller);
    usage.of(key).iter().any(|(caller, count)| claimed(caller.as_str()) && count.last_used.is_some_and(|at| at >= start))
}

/// What would bring it to the key.
fn how(consumer: &ConsumerPlan) -> String {
    let next = format!("wait for its next call (every {} at the latest)", consumer.cadence);
    match &consumer.reload {
        Reload::Dynamic { ttl } => format!("it reads the slot by itself within {ttl}; {next}"),
        Reload::Told { how } => format!("reload it ({how}), or {next}"),
        Reload::ByHand => format!("its owner reloads it by hand, or {next}"),
    }
}

fn verdict(case: &Case<'_>, clock: &SourceClock<'_>, key: Which, alone: bool, states: &[(&ConsumerPlan, State)]) -> Finding {
    let missing: Vec<(&ConsumerPlan, String)> = states
        .iter()
        .filter_map(|(c, s)| match s {
            State::Missing(why) => Some((*c, why.clone())),
            State::Seen | State::Acked | State::Excepted | State::Later => None,
        })
        .collect();
    let all = states.len();
    let there = all.saturating_sub(missing.len());
    let named = |wanted: fn(&State) -> bool| states.iter().filter(|(_, s)| wanted(s)).map(|(c, _)| c.app.to_string()).collect::<Vec<_>>();
    let excepted = named(|s| matches!(s, State::Excepted));
    let except = if excepted.is_empty() { String::new() } else { format!("; under an exception: {}", listed(&excepted)) };
    if missing.is_empty() {
        let later = named(|s| matches!(s, State::Later));
        let why = match later.as_slice() {
            [] => format!("{there} of {all} consumers are on the {} key, seen or acknowledged{except}", key.name()),
            [app, ..] => format!("{app} was reloaded and acknowledges at its next call; the drain waits for that call"),
        };
        return Finding::pass(why).about(excepted);
    }
    let whom: Vec<String> = missing.iter().map(|(_, why)| why.clone()).collect();
    let about: Vec<String> = missing.iter().map(|(c, _)| c.app.to_string()).collect();
    let words = format!(
        "{there} of {} seen on the {} key{except}; waiting for {}",
        plural(all, "consumer", "consumers"),
        key.name(),
        listed(&whom)
    );
    if let Some(reason) = unread(case, &missing) {
        return Finding::error(format!("{words}; and it could not be asked: {reason}")).about(about);
    }
    let late = match (case.point, missing.as_slice()) {
        (Point::Reloaded(_), [(consumer, _)]) if alone => overdue(case, clock, consumer, key),
        (_, _) => false,
    };
    if late {
        return Finding::fail(format!(
            "not on the {} key {} after its reload: {}; a consumer that does not take the value must not be followed by the next",
            key.name(),
            case.run.plan.timing.reload_within,
            listed(&whom)
        ))
        .about(about);
    }
    if missing.iter().all(|(c, _)| unobservable(case, c)) {
        return Finding::no_data(format!(
            "{words}; but nothing here could show it: the usage names no caller, and it acknowledges nothing"
        ))
        .about(about);
    }
    Finding::inconclusive(words).about(about)
}

/// Why nothing was heard may be that nobody could be asked.
fn unread(case: &Case<'_>, missing: &[(&ConsumerPlan, String)]) -> Option<String> {
    let errors = &case.reading.errors;
    let ack = missing.iter().find_map(|(c, _)| errors.get(&format!("ack_{}", c.app)));
    ack.or_else(|| errors.get("usage")).cloned()
}

fn unobservable(case: &Case<'_>, consumer: &ConsumerPlan) -> bool {
    let acked = consumer.acks || case.reading.acks.iter().any(|a| a.app == consumer.app);
    !acked && !case.run.plan.usage.names_caller
}

/// Its time to answer is over; where only the log could tell, the log must have got that far too. A person who reloads by hand is waited
/// for: hours are no failure.
fn overdue(case: &Case<'_>, clock: &SourceClock<'_>, consumer: &ConsumerPlan, key: Which) -> bool {
    match consumer.reload {
        Reload::ByHand => return false,
        Reload::Told { .. } | Reload::Dynamic { .. } => {}
    }
    let Some(start) = ack::moved_one(case, clock, &consumer.app, key) else { return false };
    let until = start.plus(case.run.plan.timing.reload_within);
    if consumer.acks {
        return clock.now() >= until;
    }
    let read: Option<Time> = case.reading.usage.as_ref().and_then(|usage| source::covered(case, usage, clock).ok());
    case.run.plan.usage.names_caller && read.is_some_and(|read| read >= until)
}
