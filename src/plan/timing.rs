//! Every length of time of a run, and where it comes from: the policy, the gateway, or a default that is said.

use crate::policy::Policy;
use crate::policy::model::gate::Window;
use crate::rotation::{ConsumerPlan, GatewayCaps, Span, Timing, UsagePlan};

/// The drain window never shrinks below this in production unless the policy writes another.
const PRODUCTION_FLOOR: Span = Span::hours(24);
/// Floor elsewhere.
const FLOOR: Span = Span::seconds(2);

/// The times of a run.
pub(super) fn timing(policy: &Policy, consumers: &[ConsumerPlan], caps: &GatewayCaps, usage: &UsagePlan) -> Timing {
    let written = policy.timing.as_ref();
    let of = |pick: fn(&crate::policy::model::process::Timing) -> Option<crate::policy::scalar::Period>| {
        written.and_then(pick).map(|p| Span(p.as_millis()))
    };
    let production = policy.rotation.environment.is_production();
    let auto = drain_auto(consumers, production);
    let drain = match written.and_then(|t| t.drain_window) {
        Some(Window::Of(period)) => Span(period.as_millis()),
        Some(Window::Word(_)) | None => auto,
    };
    let observation =
        policy.rotation.cutover.as_ref().and_then(|c| c.observation_window_minutes).map_or(Span::ZERO, |m| Span::minutes(u64::from(m)));
    let call_timeout = of(|t| t.call_timeout).unwrap_or(Span::seconds(10));
    Timing {
        poll: of(|t| t.poll).unwrap_or_else(|| Span((drain.0 / 20).clamp(200, 30_000))),
        call_timeout,
        send_before: of(|t| t.send_before).unwrap_or(Span::seconds(30)),
        observation,
        drain_window: drain,
        soak: of(|t| t.soak).unwrap_or(drain),
        undo_window: of(|t| t.undo_drain).unwrap_or(drain),
        repeats: written.and_then(|t| t.repeats).unwrap_or(3),
        longest_request: usage.lag.min(call_timeout),
        longest_gap: drain.max(Span::hours(1)),
        reload_within: call_timeout.max(caps.settles_in).plus(Span::seconds(20)),
    }
}

/// `auto`: the largest cadence among consumers without an acknowledgement, never below the floor.
fn drain_auto(consumers: &[ConsumerPlan], production: bool) -> Span {
    let slowest = consumers.iter().filter(|c| !c.acks).map(|c| c.cadence).max().unwrap_or(Span::ZERO);
    slowest.max(if production { PRODUCTION_FLOOR } else { FLOOR })
}
