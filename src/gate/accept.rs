//! `accept`: the key is accepted in every family at every endpoint.

use super::finding::{Finding, Found, listed};
use super::reject::class;
use super::{Case, clock, other};
use crate::rotation::{CallClass, CallFacts, Endpoint, Point, Time, Which};

pub(super) fn judge(case: &Case<'_>, key: Which) -> Found {
    let plan = &case.run.plan;
    let wanted: Vec<(&Endpoint, &str)> =
        plan.gateway.endpoints.iter().flat_map(|e| plan.probes.iter().map(move |p| (&e.endpoint, p.family.as_str()))).collect();
    if wanted.is_empty() {
        return Err(Finding::error("there is no probe or no endpoint to try the key with: name at least one of each"));
    }
    if let Some(reason) = case.reading.errors.get(&format!("{}_value", key.name())) {
        return Err(Finding::error(format!("the {} key could not be tried: {reason}", key.name())));
    }
    let mut accepted = 0usize;
    let mut missing = Vec::new();
    let mut bad = Vec::new();
    for (endpoint, family) in &wanted {
        match answer(case, key, endpoint, family) {
            None => missing.push(format!("{family} at {endpoint}")),
            Some(call) if call.class == CallClass::Accepted => accepted = accepted.saturating_add(1),
            Some(call) => bad.push((call, weigh(case, key, call))),
        }
    }
    let noted = |f: Finding| f.count_of("accepted", accepted).count_of("wanted", wanted.len());
    // What fails outweighs what is unclear, which outweighs what was not tried.
    let worst = bad.iter().find(|(_, w)| w.is_some()).or_else(|| bad.first());
    if let Some((call, fails)) = worst {
        let told = format!("{} at {}: {} (status {})", call.family, call.endpoint, class(call.class), call.status);
        let about = bad.iter().map(|(c, _)| format!("{} at {}", c.family, c.endpoint));
        let finding = match fails {
            Some(why) => Finding::fail(format!("the {} key is not accepted for {told}; {why}", key.name())),
            None => Finding::inconclusive(format!("the {} key met for {told}; {}", key.name(), unclear(call.class))),
        };
        return Ok(noted(finding.about(about)));
    }
    if !missing.is_empty() {
        return Err(noted(
            Finding::no_data(format!("the {} key was not tried for {}; it is tried at the next look", key.name(), listed(&missing)))
                .about(missing),
        ));
    }
    if *case.point == Point::OldAccepted {
        steadily(case, key).map_err(noted)?;
    }
    Ok(noted(Finding::pass(format!(
        "the {} key is accepted in {accepted} of {} tries, one for each family at each endpoint",
        key.name(),
        wanted.len()
    ))))
}

/// The newest answer of this reading.
fn answer<'a>(case: &Case<'a>, key: Which, endpoint: &Endpoint, family: &str) -> Option<&'a CallFacts> {
    case.reading.calls.iter().filter(|c| c.key == key && c.endpoint == *endpoint && c.family == family).max_by_key(|c| c.at)
}

/// Why this answer shows the key to be wrong, if it does.
fn weigh(case: &Case<'_>, key: Which, call: &CallFacts) -> Option<&'static str> {
    let settled = clock::steady(case).is_ok() && switched(case).is_some_and(|at| call.at >= at);
    match call.class {
        CallClass::Refused if settled => Some("every node has had time to hear of it"),
        CallClass::OverLimit | CallClass::Forbidden if key == Which::New && fine_beside(case, key, call) => {
            Some("the old key is not limited there, so the new one is narrower")
        }
        CallClass::Accepted
        | CallClass::Refused
        | CallClass::OverLimit
        | CallClass::Forbidden
        | CallClass::UpstreamFault
        | CallClass::Down
        | CallClass::Unknown => None,
    }
}

fn fine_beside(case: &Case<'_>, key: Which, call: &CallFacts) -> bool {
    answer(case, other(key), &call.endpoint, &call.family).is_some_and(|c| c.class == CallClass::Accepted)
}

/// From when a refusal counts, by our clock: after the last switch of a key has reached every node and every cached refusal is gone.
fn switched(case: &Case<'_>) -> Option<Time> {
    let run = case.run;
    let changed = run.changed.as_ref().map(|(stamp, _)| stamp);
    let last = [changed, run.since.enabled.as_ref()].into_iter().flatten().map(|s| clock::ours(&case.reading.stamp, s)).max();
    let start = || run.since.start.as_ref().map(|s| clock::ours(&case.reading.stamp, s));
    last.or_else(start).map(|at| at.plus(run.caps.settles_in).plus(run.caps.refusal_cache))
}

fn unclear(met: CallClass) -> &'static str {
    match met {
        CallClass::Refused => "nodes may not have heard of it yet, or still remember a refusal: wait",
        CallClass::OverLimit | CallClass::Forbidden => "the other key does no better there, or was not tried: look at the limits",
        CallClass::UpstreamFault => "both keys may be fine and the provider is not: wait for it",
        CallClass::Down => "the gateway is not reachable there: bring it back",
        CallClass::Accepted | CallClass::Unknown => "this is not the key's fault as far as one can tell: look at that endpoint's log",
    }
}

/// A key that was enabled again is accepted several times everywhere, over longer than a node may lag behind.
fn steadily(case: &Case<'_>, key: Which) -> Result<(), Finding> {
    let run = case.run;
    let Some(enabled) = &run.since.enabled else { return Ok(()) };
    clock::steady(case)?;
    let enabled = clock::ours(&case.reading.stamp, enabled);
    let needed = usize::try_from(run.plan.timing.repeats.max(1)).unwrap_or(usize::MAX);
    let settles = run.caps.settles_in;
    for endpoint in run.plan.gateway.endpoints.iter().map(|e| &e.endpoint) {
        let calls: Vec<&CallFacts> = run
            .tested
            .iter()
            .chain(&case.reading.calls)
            .filter(|c| c.key == key && c.endpoint == *endpoint && c.at >= enabled && c.at <= case.now())
            .collect();
        // A refusal in between starts the count again.
        let refused = calls.iter().filter(|c| c.class == CallClass::Refused).map(|c| c.at).max();
        let good: Vec<Time> =
            calls.iter().filter(|c| c.class == CallClass::Accepted && refused.is_none_or(|r| c.at > r)).map(|c| c.at).collect();
        let over = match (good.iter().min(), good.iter().max()) {
            (Some(first), Some(last)) => last.since(*first),
            (None, _) | (_, None) => crate::rotation::Span::ZERO,
        };
        let long = settles.0 == 0 || over > settles;
        if good.len() < needed || !long {
            return Err(Finding::inconclusive(format!(
                "at {endpoint} the {} key was accepted {} of {needed} times since it was enabled, over {over}, and must be over more than {settles}: it is tried again at the next look",
                key.name(),
                good.len()
            ))
            .about([endpoint.to_string()]));
        }
    }
    Ok(())
}
