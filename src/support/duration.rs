//! [`Span`]: a length of time as policies write it, `90m` or `1h30m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The units, largest first, in milliseconds.
const UNITS: [(&str, u64); 6] = [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// A length of time in whole milliseconds. In files it is text: `500ms`, `60m`, `24h`, `7d`, `1h30m`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(u64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// So many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// So many seconds; the longest span if that is too many.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// So many minutes; the longest span if that is too many.
    pub const fn from_minutes(minutes: u64) -> Self {
        Self(minutes.saturating_mul(60_000))
    }

    /// So many hours; the longest span if that is too many.
    pub const fn from_hours(hours: u64) -> Self {
        Self(hours.saturating_mul(3_600_000))
    }

    /// The length in milliseconds.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// The length in milliseconds, for adding to a time; what does not fit becomes the largest that does.
    pub fn signed_millis(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// The same length for the standard library.
    pub const fn as_duration(self) -> Duration {
        Duration::from_millis(self.0)
    }

    /// Whether it is no time at all.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Both together; the longest span if that is too long.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// So many times this; the longest span if that is too long.
    #[must_use]
    pub const fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count))
    }
}

impl FromStr for Span {
    type Err = SpanProblem;

    fn from_str(text: &str) -> Result<Self, SpanProblem> {
        let mut rest = text;
        let mut total = 0_u64;
        // Units go down and come once each, so `30m1h` and `5m5m`, which are slips, are not accepted.
        let mut smaller = UNITS.iter();
        if rest.is_empty() {
            return Err(SpanProblem::Empty);
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, after) = rest.split_at_checked(digits).ok_or(SpanProblem::Form)?;
            let letters = after.bytes().take_while(u8::is_ascii_lowercase).count();
            let (unit, after) = after.split_at_checked(letters).ok_or(SpanProblem::Form)?;
            if number.is_empty() {
                return Err(SpanProblem::Form);
            }
            if unit.is_empty() {
                return Err(if after.is_empty() { SpanProblem::NoUnit } else { SpanProblem::Form });
            }
            if !UNITS.iter().any(|(name, _)| *name == unit) {
                return Err(SpanProblem::Unit);
            }
            let (_, millis) = smaller.find(|(name, _)| *name == unit).ok_or(SpanProblem::Order)?;
            let count: u64 = number.parse().map_err(|_| SpanProblem::TooLong)?;
            let part = count.checked_mul(*millis).ok_or(SpanProblem::TooLong)?;
            total = total.checked_add(part).ok_or(SpanProblem::TooLong)?;
            rest = after;
        }
        Ok(Self(total))
    }
}

impl fmt::Display for Span {
    /// Days only from two days on: `24h` and `36h` are what people write.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, millis) in UNITS {
            let skipped = unit == "w" || (unit == "d" && self.0 < 2 * millis);
            if skipped || rest < millis {
                continue;
            }
            write!(f, "{}{unit}", rest / millis)?;
            rest %= millis;
        }
        Ok(())
    }
}

impl TryFrom<String> for Span {
    type Error = SpanProblem;

    fn try_from(text: String) -> Result<Self, SpanProblem> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Why some text is no length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SpanProblem {
    /// Nothing there.
    #[error("read a length of time: it is empty; write for example `60m`")]
    Empty,
    /// A bare number.
    #[error("read a length of time: the unit is missing; write ms, s, m, h, d or w after the number")]
    NoUnit,
    /// A unit that does not exist.
    #[error("read a length of time: the unit is none of ms, s, m, h, d, w")]
    Unit,
    /// Units twice or upwards.
    #[error("read a length of time: units go from large to small and come once each, as in `1h30m`")]
    Order,
    /// Anything else.
    #[error("read a length of time: expected whole numbers with units and no spaces, as in `90m` or `1h30m`")]
    Form,
    /// More milliseconds than can be counted.
    #[error("read a length of time: it is longer than can be counted; write a shorter one")]
    TooLong,
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(text: &str) -> Result<u64, SpanProblem> {
        text.parse().map(Span::millis)
    }

    #[test]
    fn reads_what_policies_write() {
        assert_eq!(millis("500ms"), Ok(500));
        assert_eq!(millis("60m"), Ok(3_600_000));
        assert_eq!(millis("24h"), Ok(86_400_000));
        assert_eq!(millis("7d"), Ok(604_800_000));
        assert_eq!(millis("1w"), Ok(604_800_000));
        assert_eq!(millis("1h30m"), Ok(5_400_000));
        assert_eq!(millis("1m1ms"), Ok(60_001));
        assert_eq!(millis("0s"), Ok(0));
    }

    #[test]
    fn says_what_is_wrong_with_the_rest() {
        use SpanProblem::{Empty, Form, NoUnit, Order, TooLong, Unit};
        let cases = [
            ("", Empty),
            ("60", NoUnit),
            ("1h30", NoUnit),
            ("60min", Unit),
            ("5y", Unit),
            ("30m1h", Order),
            ("5m5m", Order),
            ("m", Form),
            ("-5m", Form),
            ("1.5h", Form),
            ("1 h", Form),
            (" 1h", Form),
            ("1h ", Form),
            ("5M", Form),
            ("５m", Form),
            ("99999999999999999999s", TooLong),
            ("18446744073709551615s", TooLong),
            ("18446744073709551615ms1ms", Order),
            ("213503982334d86400000000000000s", TooLong),
        ];
        for (text, problem) in cases {
            assert_eq!(millis(text), Err(problem), "{text:?}");
        }
    }

    #[test]
    fn writes_what_people_write() {
        for text in ["0s", "500ms", "45m", "24h", "36h", "7d", "2d12h", "1h30m", "1m0s"] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.to_string(), text.replace("1m0s", "1m"));
        }
        assert_eq!(Span::from_minutes(90).to_string(), "1h30m");
        assert_eq!(serde_json::to_string(&Span::from_hours(48)).unwrap(), "\"2d\"");
        assert!(serde_json::from_str::<Span>("60").is_err());
        assert_eq!(Span::from_millis(u64::MAX).plus(Span::from_secs(1)).millis(), u64::MAX);
        assert_eq!(Span::from_millis(u64::MAX).signed_millis(), i64::MAX);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis in any::<u64>()) {
            let span = Span::from_millis(millis);
            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }

        #[test]
        fn small_spans_read_back_too(millis in 0_u64..10_000_000_000) {
            let span = Span::from_millis(millis);
            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = text.parse::<Span>();
        }
    }
}
