//! `reject`: the key is refused, in the way the gateway refuses credentials, everywhere, again and again, while the other is accepted.

use super::finding::{Finding, Found, listed};
use super::{Case, clock, other, soak};
use crate::rotation::{CallClass, CallFacts, Endpoint, Span, Time, Which};

/// The call that proves that the endpoint works is at most this far from the refusal.
const BESIDE: Span = Span::seconds(60);

pub(super) fn judge(case: &Case<'_>, key: Which) -> Found {
    clock::steady(case)?;
    #[cfg(feature = "bugs")]
    if crate::bugs::on(crate::bugs::Bug::AnyErrorIsRefusal)
        && case.reading.calls.iter().any(|c| c.key == key && c.class != CallClass::Accepted)
    {
        return Ok(Finding::pass("some call was not accepted"));
    }
    let run = case.run;
    let endpoints: Vec<&Endpoint> = run.plan.gateway.endpoints.iter().map(|e| &e.endpoint).collect();
    if endpoints.is_empty() {
        return Err(Finding::error("no endpoint of the data plane is listed, so the key cannot be tried anywhere"));
    }
    let settled = settled(case, key)?;
    // A call from the future was stamped by a clock that has been set back since.
    let counts = |c: &&CallFacts| c.key == key && c.at >= settled && c.at <= case.now();
    // On the way back a node that is late hurts nobody, and the switch is not thrown again: what counts is what came after its last yes.
    let late = match key {
        Which::Old => None,
        Which::New => run.tested.iter().filter(counts).filter(|c| c.class == CallClass::Accepted).map(|c| c.at).max(),
    };
    let earlier = run.tested.iter().filter(|c| late.is_none_or(|late| c.at > late));
    let calls: Vec<&CallFacts> = earlier.chain(&case.reading.calls).filter(counts).collect();
    let refused = calls.iter().filter(|c| c.class == CallClass::Refused).count();
    let noted = |f: Finding| f.count_of("calls", calls.len()).count_of("refused", refused).count("needed_each", needed(case));
    if let Some(call) = calls.iter().rev().find(|c| c.class == CallClass::Accepted) {
        return Ok(noted(Finding::fail(format!(
            "the {} key was accepted at {} (request {}, status {}) at {}, {} after the change had settled: revoke it again at that node, one success is enough",
            key.name(),
            call.endpoint,
            call.request,
            call.status,
            call.at.rfc3339(),
            call.at.since(settled)
        )))
        .about([call.endpoint.to_string()]));
    }
    // A new key that no slot ever held as current has no user whose refusal must be told from a fault: it may end without ever having
    // been seen to work, as after a death between mint and first try.
    let unborn = key == Which::New && !run.was_flipped();
    let uncontrolled: Vec<String> =
        endpoints.iter().filter(|e| !unborn && !run.control.contains(&(key, (**e).clone()))).map(ToString::to_string).collect();
    if !uncontrolled.is_empty() {
        return Ok(noted(Finding::inconclusive(format!(
            "refused-without-control: the {} key was never seen accepted at {}, so a refusal there proves nothing about the change; waive this check by name to end as refused-without-control",
            key.name(),
            listed(&uncontrolled)
        )))
        .about(uncontrolled));
    }
    if let Some(reason) = missing_value(case, key) {
        return Err(noted(Finding::error(reason)));
    }
    if case.now() < settled {
        let left = settled.since(case.now());
        return Ok(noted(Finding::inconclusive(format!(
            "every node may need {left} more to hear of the change; refusals before that do not count"
        ))));
    }
    for endpoint in &endpoints {
        at_endpoint(case, key, endpoint, settled, &calls).map_err(|f| noted(f.about([endpoint.to_string()])))?;
    }
    Ok(noted(Finding::pass(format!(
        "the {} key was refused {refused} times at {} since {}, and the {} key accepted beside it; nodes behind one address cannot be told apart",
        key.name(),
        listed(&endpoints.iter().map(ToString::to_string).collect::<Vec<_>>()),
        settled.rfc3339(),
        other(key).name()
    ))))
}

/// From when an answer counts, by our clock: every node has heard of the change.
fn settled(case: &Case<'_>, key: Which) -> Result<Time, Finding> {
    let since = &case.run.since;
    let ours = |stamp| clock::ours(&case.reading.stamp, stamp);
    // A deletion, or our own disable unless the key was enabled since.
    let deleted = since.deleted.as_ref().map(ours);
    let off = soak::switched_off(case).map(ours);
    let switched =
        deleted.max(off).ok_or_else(|| Finding::error("the key was not switched off in this run, so there is no refusal to expect"))?;
    let foreign = soak::disabled_by_us(case).is_none() && since.deleted.is_none();
    // Somebody else switched it off, nobody knows when: not before we last saw it accepted.
    let seen = case
        .run
        .tested
        .iter()
        .filter(|c| foreign && c.key == key && c.class == CallClass::Accepted)
        .map(|c| Time(c.at.0.saturating_add(1)));
    let settled = seen.max().map_or(switched, |at| at.max(switched));
    #[cfg(feature = "bugs")]
    if crate::bugs::on(crate::bugs::Bug::SettlingIgnored) {
        return Ok(settled);
    }
    Ok(settled.plus(case.run.caps.settles_in))
}

/// How often each endpoint must have refused; never zero.
fn needed(case: &Case<'_>) -> u64 {
    u64::from(case.run.plan.timing.repeats.max(1))
}

fn missing_value(case: &Case<'_>, key: Which) -> Option<String> {
    [key, other(key)].into_iter().find_map(|k| {
        let reason = case.reading.errors.get(&format!("{}_value", k.name()))?;
        Some(format!("the {} key could not be tried: {reason}", k.name()))
    })
}

fn at_endpoint(case: &Case<'_>, key: Which, endpoint: &Endpoint, settled: Time, calls: &[&CallFacts]) -> Result<(), Finding> {
    let here = |c: &&CallFacts| c.endpoint == *endpoint;
    let now: Vec<&CallFacts> = case.reading.calls.iter().filter(here).collect();
    let tried: Vec<&CallFacts> = now.iter().copied().filter(|c| c.key == key && c.at >= settled).collect();
    if let Some(odd) = tried.iter().find(|c| c.class != CallClass::Refused) {
        return Err(Finding::inconclusive(format!(
            "at {endpoint} the {} key met {} (status {}), which is no refusal of a credential: find out why, then it is tried again",
            key.name(),
            class(odd.class),
            odd.status
        )));
    }
    let Some(last) = tried.iter().max_by_key(|c| c.at) else {
        return Err(Finding::no_data(format!(
            "the {} key was not tried at {endpoint} in this reading; it is tried at the next look",
            key.name()
        )));
    };
    let beside = now.iter().filter(|c| c.key == other(key) && c.family == last.family);
    if !beside.clone().any(|c| c.class == CallClass::Accepted && apart(c.at, last.at) <= BESIDE) {
        let met =
            beside.max_by_key(|c| c.at).map_or("was not tried".to_owned(), |c| format!("met {} (status {})", class(c.class), c.status));
        return Err(Finding::inconclusive(format!(
            "at {endpoint} the {} key {met} beside the refusal, so the refusal may be about something else: make the {} key work there",
            other(key).name(),
            other(key).name()
        )));
    }
    let refused = calls.iter().filter(|c| c.endpoint == *endpoint && c.class == CallClass::Refused).count();
    let needed = needed(case);
    if u64::try_from(refused).unwrap_or(u64::MAX) < needed {
        return Err(Finding::inconclusive(format!(
            "at {endpoint} the {} key was refused {refused} of {needed} times: it is tried again at the next look",
            key.name()
        )));
    }
    Ok(())
}

fn apart(a: Time, b: Time) -> Span {
    a.since(b).max(b.since(a))
}

/// What an answer is called in a sentence.
pub(super) fn class(class: CallClass) -> &'static str {
    match class {
        CallClass::Accepted => "success",
        CallClass::Refused => "a refusal",
        CallClass::OverLimit => "a limit",
        CallClass::Forbidden => "a prohibition",
        CallClass::UpstreamFault => "a fault of the provider",
        CallClass::Down => "no working gateway",
        CallClass::Unknown => "an answer that is not known",
    }
}
