//! Change windows as the plan holds them: UTC instants and minutes of the day.

use crate::policy::model::process::{DayName, Windows as Written};
use crate::policy::scalar::Moment;
use crate::rotation::{Allowed, Blackout, Time, Windows};
use chrono::{TimeDelta, TimeZone, Utc};

pub(super) fn convert(written: &Written) -> Windows {
    let zone = written.timezone.tz();
    let instant = |moment: &Moment, end: bool| {
        // A blackout that ends on a day ends with that day.
        let local = moment.local() + if end && moment.is_day() { TimeDelta::days(1) } else { TimeDelta::zero() };
        let found = zone.from_local_datetime(&local).earliest();
        Time(found.map_or_else(|| local.and_utc(), |t| t.with_timezone(&Utc)).timestamp_millis())
    };
    Windows {
        timezone: zone.name().to_owned(),
        allow: written
            .allow
            .iter()
            .map(|hours| Allowed {
                days: if hours.days.is_empty() { (0..7).collect() } else { hours.days.iter().map(day).collect() },
                from: u16::try_from(hours.from.minutes()).unwrap_or(0),
                to: u16::try_from(hours.to.minutes()).unwrap_or(1440),
            })
            .collect(),
        blackouts: written
            .blackouts
            .iter()
            .map(|b| Blackout { from: instant(&b.from, false), to: instant(&b.to, true), why: b.why.clone().unwrap_or_default() })
            .collect(),
    }
}

fn day(day: &DayName) -> u8 {
    match day {
        DayName::Mon => 0,
        DayName::Tue => 1,
        DayName::Wed => 2,
        DayName::Thu => 3,
        DayName::Fri => 4,
        DayName::Sat => 5,
        DayName::Sun => 6,
    }
}
