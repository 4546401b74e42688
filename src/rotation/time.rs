//! Instants and lengths as data. Nothing here reads a clock.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A wall-clock instant in milliseconds since 1970-01-01 UTC; written as RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub i64);

impl Time {
    /// This instant moved forward by a length.
    #[must_use]
    pub fn plus(self, by: Span) -> Self {
        Self(self.0.saturating_add(by.signed()))
    }

    /// This instant moved back by a length.
    #[must_use]
    pub fn minus(self, by: Span) -> Self {
        Self(self.0.saturating_sub(by.signed()))
    }

    /// How much later this is than `earlier`; zero when it is not later.
    pub fn since(self, earlier: Self) -> Span {
        Span(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 in UTC with milliseconds.
    pub fn rfc3339(self) -> String {
        const YEAR_10000: i64 = 253_402_300_800_000;
        if !(0..YEAR_10000).contains(&self.0) {
            let at = DateTime::<Utc>::from_timestamp_millis(self.0).unwrap_or(DateTime::<Utc>::MAX_UTC);
            return at.to_rfc3339_opts(SecondsFormat::Millis, true);
        }
        // Written by hand because a journal line carries dozens of times. Days to date as by Howard Hinnant's `civil_from_days`:
        // eras of 400 years, and years that begin in March, so that the leap day is the last.
        let (day, ms) = (self.0 / 86_400_000 + 719_468, self.0 % 86_400_000);
        let (era, in_era) = (day / 146_097, day % 146_097);
        let year_in_era = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
        let in_year = in_era - (365 * year_in_era + year_in_era / 4 - year_in_era / 100);
        let shifted = (5 * in_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_in_era + era * 400 + i64::from(month <= 2);
        let of_month = in_year - (153 * shifted + 2) / 5 + 1;
        let mut text = String::with_capacity(24);
        let mut put = |n: i64, after: &str| {
            for digit in [n / 10, n % 10] {
                text.push(char::from(b'0' + u8::try_from(digit).unwrap_or(0)));
            }
            text.push_str(after);
        };
        put(year / 100, "");
        put(year % 100, "-");
        put(month, "-");
        put(of_month, "T");
        put(ms / 3_600_000, ":");
        put(ms / 60_000 % 60, ":");
        put(ms / 1_000 % 60, ".");
        put(ms % 1_000 / 10, "");
        text.push(char::from(b'0' + u8::try_from(ms % 10).unwrap_or(0)));
        text.push('Z');
        text
    }

    /// Reads RFC 3339.
    pub fn parse(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text).ok().map(|t| Self(t.timestamp_millis()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.rfc3339())
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("expected an RFC 3339 time"))
    }
}

/// A length of time in milliseconds; written as a number of milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(pub u64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// So many seconds.
    pub const fn seconds(n: u64) -> Self {
        Self(n.saturating_mul(1000))
    }

    /// So many minutes.
    pub const fn minutes(n: u64) -> Self {
        Self::seconds(n.saturating_mul(60))
    }

    /// So many hours.
    pub const fn hours(n: u64) -> Self {
        Self::minutes(n.saturating_mul(60))
    }

    /// The sum, never wrapping.
    #[must_use]
    pub const fn plus(self, more: Self) -> Self {
        Self(self.0.saturating_add(more.0))
    }

    /// As the standard library's type, for sleeping.
    pub const fn std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }

    /// As chrono's type.
    pub fn delta(self) -> TimeDelta {
        TimeDelta::milliseconds(self.signed())
    }

    fn signed(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }
}

impl std::fmt::Display for Span {
    /// Two units at most: `1d 2h`, `3m 5s`, `2.5s`, `150ms`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = self.0;
        let two = |f: &mut std::fmt::Formatter<'_>, big: u64, b: &str, small: u64, s: &str| {
            if small == 0 { write!(f, "{big}{b}") } else { write!(f, "{big}{b} {small}{s}") }
        };
        match ms {
            0..1_000 => write!(f, "{ms}ms"),
            1_000..60_000 if ms.is_multiple_of(1_000) => write!(f, "{}s", ms / 1_000),
            1_000..60_000 => write!(f, "{}.{}s", ms / 1_000, ms % 1_000 / 100),
            60_000..3_600_000 => two(f, ms / 60_000, "m", ms % 60_000 / 1_000, "s"),
            3_600_000..86_400_000 => two(f, ms / 3_600_000, "h", ms % 3_600_000 / 60_000, "m"),
            _ => two(f, ms / 86_400_000, "d", ms % 86_400_000 / 3_600_000, "h"),
        }
    }
}

/// What our own clocks said at one moment. Two readings show a jump of the wall clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Wall time.
    pub at: Time,
    /// Milliseconds since boot, counting suspend.
    pub mono: u64,
    /// Which boot `mono` counts from.
    pub boot: String,
}

impl Stamp {
    /// By how much the wall clock moved more or less than the boot clock since `earlier`; none across boots.
    pub fn jump_since(&self, earlier: &Self) -> Option<i64> {
        (self.boot == earlier.boot && !self.boot.is_empty()).then(|| {
            let wall = self.at.0.saturating_sub(earlier.at.0);
            let mono = i64::try_from(self.mono.saturating_sub(earlier.mono)).unwrap_or(i64::MAX);
            wall.saturating_sub(mono)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_like_a_person_would_say_them() {
        let shown = [150, 2_000, 2_500, 185_000, 3_600_000, 93_600_000].map(|ms| Span(ms).to_string());
        assert_eq!(shown, ["150ms", "2s", "2.5s", "3m 5s", "1h", "1d 2h"]);
    }

    #[test]
    fn times_are_written_as_the_calendar_has_them() {
        let day = 86_400_000_i64;
        let around = |ms: i64| [ms - 1, ms, ms + 1];
        let leap = [951_782_400_000, 951_868_800_000, 1_709_164_800_000, 4_107_542_400_000, 1_767_225_600_000];
        let times = leap.into_iter().flat_map(around).chain((0..40_000).map(|n| n * 73 * day / 11)).chain([-1, 0, 253_402_300_799_999]);
        for ms in times {
            let by_chrono = DateTime::<Utc>::from_timestamp_millis(ms).map(|t| t.to_rfc3339_opts(SecondsFormat::Millis, true));
            assert_eq!(Some(Time(ms).rfc3339()), by_chrono, "{ms}");
        }
    }

    #[test]
    fn a_jump_is_seen_within_one_boot_only() {
        let a = Stamp { at: Time(1_000), mono: 10, boot: "b".into() };
        let b = Stamp { at: Time(260_000_000), mono: 1_010, boot: "b".into() };
        let c = Stamp { boot: "c".into(), ..b.clone() };
        assert_eq!(b.jump_since(&a), Some(259_998_000));
        assert_eq!(c.jump_since(&a), None);
    }
}
