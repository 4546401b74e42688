//! When an irreversible effect may happen: allowed hours, blackouts and a time zone, asked for a moment. Pure; the
//! moment comes from the caller.

use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveDateTime, TimeZone, Utc, Weekday};
use chrono_tz::Tz;

use super::model::process::{DayName, Hours, Windows};

/// The answer for a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// It may happen now.
    Now,
    /// It may happen from then on.
    At(DateTime<Utc>),
    /// It may not happen within the next year.
    Never,
}

/// How far ahead an opening is looked for.
const DAYS: i64 = 366;

/// The first moment, from `now` on, at which an irreversible effect may happen.
pub fn opening(windows: &Windows, now: DateTime<Utc>) -> Opening {
    let zone = windows.timezone.tz();
    let blackouts = blackouts(windows, zone);
    let first = now.with_timezone(&zone).date_naive();
    for ahead in -1..=DAYS {
        let Some(day) = first.checked_add_signed(Duration::days(ahead)) else {
            break;
        };
        for (from, to) in spans_of(windows, day, zone) {
            let mut at = from.max(now);
            // Each blackout moves the start forward at most once; sorted, so one pass is enough.
            for (begin, end) in &blackouts {
                if at >= *begin && at < *end {
                    at = *end;
                }
            }
            if at < to {
                return if at == now { Opening::Now } else { Opening::At(at) };
            }
        }
    }
    Opening::Never
}

/// The allowed times of a day, in their order.
fn spans_of(windows: &Windows, day: NaiveDate, zone: Tz) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    if windows.allow.is_empty() {
        return vec![(instant(day, 0, zone), instant(day, 1440, zone))];
    }
    let hours = windows.allow.iter().filter(|hours| on(hours, day.weekday()));
    let mut spans: Vec<_> = hours
        .map(|hours| (instant(day, hours.from.minutes(), zone), instant(day, hours.to.minutes(), zone)))
        .filter(|(from, to)| from < to)
        .collect();
    spans.sort();
    spans
}

fn on(hours: &Hours, day: Weekday) -> bool {
    let name = match day {
        Weekday::Mon => DayName::Mon,
        Weekday::Tue => DayName::Tue,
        Weekday::Wed => DayName::Wed,
        Weekday::Thu => DayName::Thu,
        Weekday::Fri => DayName::Fri,
        Weekday::Sat => DayName::Sat,
        Weekday::Sun => DayName::Sun,
    };
    hours.days.is_empty() || hours.days.contains(&name)
}

fn blackouts(windows: &Windows, zone: Tz) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let mut spans: Vec<_> = windows
        .blackouts
        .iter()
        .map(|blackout| {
            let end = blackout.to.local() + if blackout.to.is_day() { Duration::days(1) } else { Duration::zero() };
            (utc(blackout.from.local(), zone), utc(end, zone))
        })
        .collect();
    spans.sort();
    spans
}

fn instant(day: NaiveDate, minutes: u32, zone: Tz) -> DateTime<Utc> {
    let midnight = day.and_hms_opt(0, 0, 0).unwrap_or_default();
    utc(midnight + Duration::minutes(i64::from(minutes)), zone)
}

/// Local time to UTC. A time that the clock shows twice is its first showing; one that it skips is an hour later.
fn utc(local: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    let found = zone.from_local_datetime(&local).earliest();
    let found = found.or_else(|| zone.from_local_datetime(&(local + Duration::hours(1))).earliest());
    found.map_or_else(|| local.and_utc(), |time| time.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may")]
    use super::*;

    fn windows(json: serde_json::Value) -> Windows {
        serde_json::from_value(json).unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn office_hours_in_a_zone() {
        let office = windows(serde_json::json!({
            "timezone": "Europe/Vienna",
            "allow": [{ "days": ["mon", "tue", "wed", "thu"], "from": "09:00", "to": "16:00" }],
            "blackouts": [{ "from": "2026-12-21", "to": "2027-01-06", "why": "holidays" }]
        }));
        // Thursday 2026-11-19, 10:00 in Vienna.
        assert_eq!(opening(&office, at("2026-11-19T09:00:00Z")), Opening::Now);
        // Thursday 16:30 → Monday 09:00, which is 08:00 UTC in winter.
        assert_eq!(opening(&office, at("2026-11-19T15:30:00Z")), Opening::At(at("2026-11-23T08:00:00Z")));
        // Inside the blackout: it ends with 2027-01-06; Thursday the 7th opens at nine.
        assert_eq!(opening(&office, at("2026-12-22T09:00:00Z")), Opening::At(at("2027-01-07T08:00:00Z")));
        // Summer time.
        assert_eq!(opening(&office, at("2027-07-05T06:59:00Z")), Opening::At(at("2027-07-05T07:00:00Z")));
    }

    #[test]
    fn always_and_never() {
        let free = windows(serde_json::json!({ "timezone": "UTC" }));
        assert_eq!(opening(&free, at("2026-11-21T23:59:59Z")), Opening::Now);
        let shut = windows(serde_json::json!({ "timezone": "UTC", "blackouts": [{ "from": "2026-01-01", "to": "2030-01-01" }] }));
        assert_eq!(opening(&shut, at("2026-11-21T00:00:00Z")), Opening::Never);
    }

    #[test]
    fn a_skipped_hour_does_not_stop_the_day() {
        // On 2027-03-28 the clock in Vienna goes from 02:00 to 03:00.
        let night = windows(serde_json::json!({ "timezone": "Europe/Vienna", "allow": [{ "from": "02:30", "to": "04:00" }] }));
        assert_eq!(opening(&night, at("2027-03-28T00:00:00Z")), Opening::At(at("2027-03-28T01:30:00Z")));
    }
}
