//! Taking a run up where many machines share its state: what must be waited for first, with an ear for signals.

use super::clock;
use super::fault::{Fault, exit};
use super::out::Out;
use super::session::taker;
use super::signals::Stop as Signal;
use crate::journal::{Opened, StateDir, StateError};
use crate::rotation::{Record, RunId, Span};
use crate::support::clock as machine;
use std::time::Duration;

/// How often a lease is looked at whose holder may be gone.
const LOOK: Duration = Duration::from_millis(400);

/// The run, once its lease is ours and nothing of the process before can still be on its way.
pub(super) async fn resume(state: &StateDir, id: &RunId, signal: &Signal, out: &Out) -> Result<Opened, Fault> {
    let mut said = false;
    let opened = loop {
        match state.resume_run(id, &taker(), clock::wall) {
            Err(StateError::Held(held)) if held.watched && !signal.is_asked() => {
                if !said {
                    let who = held.holder.as_ref().map(|h| format!("{} on {}", h.user, h.host)).unwrap_or_default();
                    out.say(&format!("  · {who} has the lease; waiting to see whether that process still lives"));
                    said = true;
                }
                rest(LOOK, signal).await;
            }
            other => break other?,
        }
    };
    if opened.lease.taken_over() && state.is_shared() {
        let length = late(&opened.records);
        if length > Span::ZERO {
            out.say(&format!(
                "  · taken over from a process that did not give it back; for {length} a call of its may still be on its way"
            ));
        }
        let began = machine::boot_millis();
        // By the clock that counts sleep and that nobody sets: two machines' wall clocks are never compared.
        while machine::boot_millis().saturating_sub(began) < length.0 {
            if signal.is_asked() {
                return Err(Fault::new(exit::PARKED, "Interrupted before anything was done; the run is as it was."));
            }
            rest(LOOK, signal).await;
        }
    }
    Ok(opened)
}

/// How long a call that the journal allows may still take effect, counted from now.
fn late(records: &[Record]) -> Span {
    let open = records.iter().rev().find_map(|record| match record {
        Record::Began { .. } => Some(true),
        Record::Ended { .. } => Some(false),
        _ => None,
    });
    match (open, records.first()) {
        (Some(true), Some(Record::Planned { plan, .. })) => plan.timing.send_before.plus(plan.timing.call_timeout),
        _ => Span::ZERO,
    }
}

/// Waits, or less when a signal comes.
async fn rest(length: Duration, signal: &Signal) {
    tokio::select! {
        () = tokio::time::sleep(length) => {}
        () = signal.stopped() => {}
    }
}
