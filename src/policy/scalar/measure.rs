//! Lengths of time and shares.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{BadText, bad};
use crate::policy::code::Code;

/// A length of time such as `500ms`, `60m`, `24h`, `7d` or `1h30m`, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period(u64);
text_type!(Period, "duration-text", r"^([0-9]+(ms|s|m|h|d|w))+$", "A length of time: 500ms, 30s, 60m, 24h, 7d, 2w, 1h30m.");

const UNITS: &[(&str, u64)] = &[("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Period {
    /// A length of time in milliseconds.
    pub const fn millis(millis: u64) -> Self {
        Self(millis)
    }

    /// A length of time in hours.
    pub const fn hours(hours: u64) -> Self {
        Self(hours.saturating_mul(3_600_000))
    }

    /// The length in milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Reads a length of time.
    pub fn parse(text: &str) -> Result<Self, BadText> {
        const HELP: &str = "write a number with a unit, such as `500ms`, `30s`, `60m`, `24h` or `7d`";
        let wrong = || bad(Code::BadDuration, "this is not a length of time", HELP);
        let too_long = || bad(Code::BadDuration, "this length of time is longer than ten years", HELP);
        let mut rest = text;
        let mut total: u64 = 0;
        // Units go from large to small, each at most once: `30m1h` is more likely a slip than a wish.
        let mut last = usize::MAX;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, after) = rest.split_at_checked(digits).unwrap_or((rest, ""));
            let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, after) = after.split_at_checked(letters).unwrap_or((after, ""));
            let Some(place) = UNITS.iter().position(|(name, _)| *name == unit) else {
                return wrong();
            };
            if number.is_empty() || (last != usize::MAX && place <= last) {
                return wrong();
            }
            let Some((_, millis)) = UNITS.get(place) else {
                return wrong();
            };
            let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*millis));
            match part.and_then(|part| total.checked_add(part)) {
                Some(sum) if sum <= 3_660 * 86_400_000 => total = sum,
                _ => return too_long(),
            }
            last = place;
            rest = after;
        }
        if text.is_empty() { wrong() } else { Ok(Self(total)) }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The largest unit that divides evenly; one and two days read better as `24h` and `48h`.
        let units = UNITS.iter().skip(1);
        for (unit, millis) in units {
            let count = self.0 / millis;
            if self.0.is_multiple_of(*millis) && count > 0 && !(*unit == "d" && count < 3) {
                return write!(f, "{count}{unit}");
            }
        }
        f.write_str("0s")
    }
}

/// A share of calls such as `5%` or `0.1%`, kept in parts per million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate(u32);
text_type!(Rate, "rate", r"^[0-9]{1,3}(\.[0-9]{1,4})?%$", "A share as a percentage: 5%, 0.1%.");

impl Rate {
    /// The share in parts per million; always above 0 and below 1,000,000.
    pub const fn parts_per_million(self) -> u32 {
        self.0
    }

    /// Reads a percentage.
    pub fn parse(text: &str) -> Result<Self, BadText> {
        let wrong = || bad(Code::BadRate, "this is not a share between 0% and 100%", "write a percentage such as `5%` or `0.1%`");
        let Some(number) = text.strip_suffix('%') else {
            return wrong();
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |part: &str, most: usize| !part.is_empty() && part.len() <= most && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole, 3) || !digits(fraction, 4) {
            return wrong();
        }
        let padded = format!("{fraction:0<4}");
        match (whole.parse::<u32>(), padded.parse::<u32>()) {
            (Ok(whole), Ok(fraction)) if (1..1_000_000).contains(&(whole * 10_000 + fraction)) => Ok(Self(whole * 10_000 + fraction)),
            _ => wrong(),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:04}", self.0 % 10_000);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{}{point}{fraction}%", self.0 / 10_000)
    }
}
