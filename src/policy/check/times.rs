//! Lengths of time and windows: can they be meant like this?

use super::Checks;
use crate::policy::{
    code::Code,
    model::{consumer::Cadence, gate::Window, process::Windows},
    scalar::Period,
};

/// The oldest an intent may be when its call leaves; see the rules about a second executor.
const SEND_BEFORE_MAX: Period = Period::millis(30_000);

pub(super) fn check(checks: &mut Checks<'_>) {
    let policy = checks.policy;
    if let Some(timing) = &policy.timing {
        let drain = match timing.drain_window {
            Some(Window::Of(period)) => Some(period),
            Some(Window::Word(_)) | None => None,
        };
        let lengths = [
            ("poll", timing.poll),
            ("call_timeout", timing.call_timeout),
            ("send_before", timing.send_before),
            ("soak", timing.soak),
            ("settles_in", timing.settles_in),
            ("drain_window", drain),
            ("undo_drain", timing.undo_drain),
        ];
        for (name, length) in lengths {
            // Zero is meaningful only where it says "nothing to wait for".
            if name != "settles_in" {
                not_zero(checks, length, &format!("timing.{name}"));
            }
        }
        if timing.send_before.is_some_and(|length| length > SEND_BEFORE_MAX) {
            checks.say(
                Code::DurationOutOfRange,
                "timing.send_before",
                format!("an intent may not be older than {SEND_BEFORE_MAX} when its call leaves"),
                "write at most `30s`: a machine that slept in between must not carry out an old decision",
            );
        }
    }
    if let Some(watcher) = &policy.watcher {
        not_zero(checks, Some(watcher.tick), "watcher.tick");
    }
    for (index, consumer) in policy.consumers.iter().flat_map(|consumers| consumers.listed().iter().enumerate()) {
        if let Cadence::Every(period) = consumer.cadence {
            not_zero(checks, Some(period), &format!("consumers[{index}].cadence"));
        }
    }
    interval(checks);
    if let Some(windows) = &policy.windows {
        self::windows(checks, windows);
    }
}

fn not_zero(checks: &mut Checks<'_>, length: Option<Period>, path: &str) {
    if length.is_some_and(|length| length.as_millis() == 0) {
        checks.say(
            Code::DurationOutOfRange,
            path,
            "this length of time cannot be zero",
            "write a length above zero, or remove the line to use the default",
        );
    }
}

/// A credential cannot be rotated more often than one rotation takes at least: hold plus soak.
fn interval(checks: &mut Checks<'_>) {
    let rotation = &checks.policy.rotation;
    let Some(interval) = rotation.interval else {
        return;
    };
    let hold = rotation.cutover.as_ref().and_then(|cutover| cutover.observation_window_minutes).unwrap_or(0);
    let soak = checks.policy.timing.as_ref().and_then(|timing| timing.soak).map_or(0, Period::as_millis);
    let least = u64::from(hold).saturating_mul(60_000).saturating_add(soak);
    if interval.as_millis() <= least {
        checks.say(
            Code::IntervalTooShort,
            "rotation.interval",
            format!("one rotation takes at least {} (hold and soak), so it cannot be done this often", Period::millis(least)),
            "write a longer interval, such as `90d`, or a shorter observation window or soak",
        );
    }
}

fn windows(checks: &mut Checks<'_>, windows: &Windows) {
    for (index, hours) in windows.allow.iter().enumerate() {
        if hours.from.minutes() >= hours.to.minutes() {
            checks.say(
                Code::WindowNeverOpen,
                &format!("windows.allow[{index}].to"),
                "these hours end before they begin",
                "for hours over midnight write two entries, one until `24:00` and one from `00:00`",
            );
        }
    }
    for (index, blackout) in windows.blackouts.iter().enumerate() {
        let ends = if blackout.to.is_day() { blackout.to.local() + chrono::Duration::days(1) } else { blackout.to.local() };
        if ends <= blackout.from.local() {
            checks.say(
                Code::WindowNeverOpen,
                &format!("windows.blackouts[{index}].to"),
                "this blackout ends before it begins",
                "exchange `from` and `to`",
            );
        }
    }
}
