//! When irreversible steps may happen: hours of the week in a time zone, and blackouts.

use super::{Time, Windows};
use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};

/// Steps of the search: a window shorter than this may be missed by at most this much.
const STEP: TimeDelta = TimeDelta::minutes(1);
/// How far the search goes.
const MINUTES: i64 = 366 * 24 * 60;

/// The first instant from `now` on at which an irreversible step may happen; none within a year.
///
/// An unknown time zone counts as UTC: the policy reader refuses it before a plan exists.
pub fn opens_at(windows: &Windows, now: Time) -> Option<Time> {
    if open(windows, now) {
        return Some(now);
    }
    let start = DateTime::<Utc>::from_timestamp_millis(now.0)?;
    let start = start.with_second(0)?.with_nanosecond(0)?;
    let mut minute = 1;
    while minute <= MINUTES {
        let at = Time((start + STEP * i32::try_from(minute).ok()?).timestamp_millis());
        if open(windows, at) {
            return Some(at);
        }
        // Inside a blackout there is nothing to find until it ends.
        let blackout = windows.blackouts.iter().filter(|b| b.from <= at && at < b.to).map(|b| b.to).max();
        minute = blackout.map_or(minute + 1, |to| minute.max((to.0 - start.timestamp_millis()) / 60_000).max(minute + 1));
    }
    None
}

/// An irreversible step may happen now.
pub fn open(windows: &Windows, now: Time) -> bool {
    if windows.blackouts.iter().any(|b| b.from <= now && now < b.to) {
        return false;
    }
    if windows.allow.is_empty() {
        return true;
    }
    let zone: chrono_tz::Tz = windows.timezone.parse().unwrap_or(chrono_tz::UTC);
    let Some(utc) = DateTime::<Utc>::from_timestamp_millis(now.0) else { return false };
    let local = utc.with_timezone(&zone);
    let day = u8::try_from(local.weekday().num_days_from_monday()).unwrap_or(0);
    let minute = u16::try_from(local.hour() * 60 + local.minute()).unwrap_or(0);
    let yesterday = (day + 6) % 7;
    windows.allow.iter().any(|a| {
        if a.from <= a.to {
            a.days.contains(&day) && a.from <= minute && minute < a.to
        } else {
            // Over midnight: the late part belongs to the named day, the early part to the day after it.
            (a.days.contains(&day) && minute >= a.from) || (a.days.contains(&yesterday) && minute < a.to)
        }
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;
    use crate::rotation::{Allowed, Blackout};

    fn at(text: &str) -> Time {
        Time::parse(text).unwrap()
    }

    fn weekdays() -> Windows {
        let allow = vec![Allowed { days: vec![0, 1, 2, 3], from: 9 * 60, to: 17 * 60 }];
        Windows { timezone: "Europe/Berlin".into(), allow, blackouts: Vec::new() }
    }

    #[test]
    fn friday_waits_for_monday_morning_in_the_policys_zone() {
        let friday = at("2026-11-20T13:20:00Z");
        assert_eq!(opens_at(&weekdays(), friday), Some(at("2026-11-23T08:00:00Z")));
    }

    #[test]
    fn a_blackout_moves_it_further() {
        let mut w = weekdays();
        w.blackouts.push(Blackout { from: at("2026-11-23T00:00:00Z"), to: at("2026-11-24T10:30:00Z"), why: "sale".into() });
        assert_eq!(opens_at(&w, at("2026-11-20T13:20:00Z")), Some(at("2026-11-24T10:30:00Z")));
    }

    #[test]
    fn a_window_over_midnight_belongs_to_its_first_day() {
        let w = Windows { timezone: "UTC".into(), allow: vec![Allowed { days: vec![4], from: 22 * 60, to: 2 * 60 }], blackouts: vec![] };
        assert!(open(&w, at("2026-11-21T01:00:00Z")));
        assert!(!open(&w, at("2026-11-20T01:00:00Z")));
    }

    #[test]
    fn no_hours_means_always() {
        let w = Windows { timezone: "UTC".into(), allow: vec![], blackouts: vec![] };
        assert!(open(&w, at("2026-11-21T01:00:00Z")));
    }
}
