//! Times of day, days, moments and time zones.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{BadText, bad};
use crate::policy::code::Code;

kept_text!(
    /// A time of day, `22:00`; `24:00` is the end of the day.
    TimeOfDay, "time-of-day", r"^([01][0-9]|2[0-4]):[0-5][0-9]$", "A time of day: 09:00, 22:30, 24:00.",
    |text| if minutes(text).is_some() { Ok(()) } else {
        bad(Code::BadTime, "this is not a time of day", "write hours and minutes, such as `09:00`; the end of the day is `24:00`")
    }
);
kept_text!(
    /// A calendar day, `2026-12-24`.
    Day, "day", r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "A day: 2026-12-24.",
    |text| match (text.len(), chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d")) {
        (10, Ok(_)) => Ok(()),
        _ => bad(Code::BadDate, "this is not a day of the calendar", "write year, month and day, such as `2026-12-24`"),
    }
);
kept_text!(
    /// A moment in the policy's time zone: a day, or a day with a time.
    Moment, "moment", r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2})?$", "A day, or a day with a time: 2026-12-24, 2026-12-24T18:00.",
    |text| if moment(text).is_some() { Ok(()) } else {
        bad(Code::BadDate, "this is neither a day nor a day with a time", "write `2026-12-24` or `2026-12-24T18:00`")
    }
);
kept_text!(
    /// A time zone of the IANA list, `Europe/Vienna`.
    Zone, "time-zone", r"^[A-Za-z][A-Za-z0-9_+/-]*$", "A time zone of the IANA list: UTC, Europe/Vienna.",
    |text| match text.parse::<chrono_tz::Tz>() {
        Ok(_) => Ok(()),
        Err(_) => bad(Code::BadZone, "this time zone is not known", "write a name of the IANA list, such as `UTC`, `Europe/Vienna` or `America/New_York`"),
    }
);

impl TimeOfDay {
    /// Minutes since midnight; 1440 is the end of the day.
    pub fn minutes(&self) -> u32 {
        minutes(&self.0).unwrap_or(0)
    }
}

impl Day {
    /// The day as a date.
    pub fn date(&self) -> chrono::NaiveDate {
        chrono::NaiveDate::parse_from_str(&self.0, "%Y-%m-%d").unwrap_or_default()
    }
}

impl Moment {
    /// The moment as local time; a day alone is its first instant.
    pub fn local(&self) -> chrono::NaiveDateTime {
        moment(&self.0).unwrap_or_default()
    }

    /// Whether only a day is written.
    pub fn is_day(&self) -> bool {
        self.0.len() == 10
    }
}

impl Zone {
    /// The zone; UTC can only be the answer for a name that was never checked.
    pub fn tz(&self) -> chrono_tz::Tz {
        self.0.parse().unwrap_or(chrono_tz::Tz::UTC)
    }
}

fn minutes(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |part: &str| (part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse().ok()).flatten();
    let (hours, minutes): (u32, u32) = (two(hours)?, two(minutes)?);
    (minutes < 60 && (hours < 24 || (hours == 24 && minutes == 0))).then_some(hours * 60 + minutes)
}

fn moment(text: &str) -> Option<chrono::NaiveDateTime> {
    if text.len() == 10 {
        return chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    }
    let text = text.replacen(' ', "T", 1);
    (text.len() == 16).then(|| chrono::NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M").ok()).flatten()
}
