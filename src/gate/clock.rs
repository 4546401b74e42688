//! Two clocks: ours stamps what we did, the gateway's stamps its rows. Windows are counted in the gateway's time, and only while the
//! two agree; within one boot, what passed since a stamp is told by the boot clock, which nobody sets.

use super::Case;
use super::finding::Finding;
use crate::rotation::{CLOCK_TOLERANCE, Span, Stamp, Time};

/// Turns our stamps into the gateway's time.
pub(super) struct SourceClock<'a> {
    ours: &'a Stamp,
    now: Time,
}

/// Our own clock did not jump since the last record. A jump spoils this reading only: the fold restarts the windows.
pub(super) fn steady(case: &Case<'_>) -> Result<(), Finding> {
    let jump = case.run.stamp.as_ref().and_then(|before| case.reading.stamp.jump_since(before)).unwrap_or(0);
    if jump.abs() <= CLOCK_TOLERANCE {
        return Ok(());
    }
    let way = if jump > 0 { "ahead" } else { "back" };
    Err(Finding::error(format!(
        "our clock jumped {way} by {} since the last reading, so no time can be counted with it: the windows begin again with the next reading; set the clock by ntp",
        Span(jump.unsigned_abs())
    ))
    .count("clock_jump_ms", jump.unsigned_abs()))
}

/// The gateway's clock, if it was read and agrees with ours.
pub(super) fn source<'a>(case: &Case<'a>) -> Result<SourceClock<'a>, Finding> {
    steady(case)?;
    let ours = &case.reading.stamp;
    let Some(now) = case.reading.source_now else {
        let reason = case.reading.errors.get("source_now").map_or("it gave none", String::as_str);
        return Err(Finding::error(format!(
            "the gateway's clock could not be read: {reason}; windows are counted in its time, so nothing is judged until it answers"
        )));
    };
    let apart = now.0.saturating_sub(ours.at.0);
    if apart.abs() > CLOCK_TOLERANCE {
        let way = if apart > 0 { "behind" } else { "ahead of" };
        return Err(Finding::error(format!(
            "our clock and the gateway's differ by {}, ours is {way} the gateway's: set the wrong one by ntp; no time is counted until they agree within {}",
            Span(apart.unsigned_abs()),
            Span(CLOCK_TOLERANCE.unsigned_abs())
        ))
        .count("clocks_apart_ms", apart.unsigned_abs()));
    }
    Ok(SourceClock { ours, now })
}

/// When `then` was, as our wall clock counts now.
pub(super) fn ours(now: &Stamp, then: &Stamp) -> Time {
    match now.mono.checked_sub(then.mono) {
        Some(passed) if now.boot == then.boot && !now.boot.is_empty() => now.at.minus(Span(passed)),
        Some(_) | None => then.at,
    }
}

impl SourceClock<'_> {
    /// The gateway's time at this reading.
    pub(super) fn now(&self) -> Time {
        self.now
    }

    /// When one of our stamps was, in the gateway's time.
    pub(super) fn of(&self, stamp: &Stamp) -> Time {
        self.wall(ours(self.ours, stamp))
    }

    /// The same for an instant of which only our wall time is known.
    pub(super) fn wall(&self, at: Time) -> Time {
        let offset = self.now.0.saturating_sub(self.ours.at.0);
        Time(at.0.saturating_add(offset))
    }

    /// The latest of those that happened.
    pub(super) fn latest<'s>(&self, stamps: impl IntoIterator<Item = &'s Option<Stamp>>) -> Option<Time> {
        stamps.into_iter().flatten().map(|s| self.of(s)).max()
    }
}
