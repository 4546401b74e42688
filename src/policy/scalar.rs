//! The small texts of a policy that have a form of their own: lengths of time, rates, addresses, names.
//!
//! Each is a type that can only hold a well-formed value, a `format` name in the JSON Schema, and a `parse` that
//! explains what is wrong. The schema walk calls [`check`] with the format's name, so a bad text is reported at its
//! place; the typed step that follows cannot fail on it any more.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::code::Code;

/// What is wrong with a text, without repeating it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {help}")]
pub struct BadText {
    /// The kind of problem.
    pub code: Code,
    /// What is wrong.
    pub message: &'static str,
    /// What to write instead.
    pub help: &'static str,
}

fn bad<T>(code: Code, message: &'static str, help: &'static str) -> Result<T, BadText> {
    Err(BadText { code, message, help })
}

/// Gives a text type its serde, schema and display; written once because eleven types need the same forty lines.
macro_rules! text_type {
    ($name:ident, $format:literal, $pattern:literal, $about:literal) => {
        impl TryFrom<String> for $name {
            type Error = BadText;
            fn try_from(text: String) -> Result<Self, BadText> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.to_string()
            }
        }
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format, "pattern": $pattern, "description": $about })
            }
        }
    };
}

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

/// Declares a type that keeps its text as it was written.
macro_rules! kept_text {
    ($(#[$about:meta])* $name:ident, $format:literal, $pattern:literal, $description:literal, $check:expr) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);
        text_type!($name, $format, $pattern, $description);
        impl $name {
            /// Reads the text.
            pub fn parse(text: &str) -> Result<Self, BadText> {
                let check: fn(&str) -> Result<(), BadText> = $check;
                check(text).map(|()| Self(text.to_owned()))
            }
            /// The text as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

kept_text!(
    /// An `http` or `https` address without user name, query secrets or fragment.
    Url, "http-url", r"^https?://[^\s@#]+$", "An http or https address.", check_url
);
kept_text!(
    /// The name of an environment variable.
    VariableName, "variable-name", r"^[A-Za-z_][A-Za-z0-9_]*$", "The name of an environment variable.",
    |text| {
        let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if first && text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Ok(());
        }
        bad(Code::BadVariableName, "this is not the name of an environment variable",
            "write the variable's name (letters, digits, `_`), never the value it holds")
    }
);
kept_text!(
    /// A name that ends up in file names and reports: letters, digits, `.`, `_`, `-`, at most 64.
    Name, "name", r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", "Letters, digits, `.`, `_` and `-`, at most 64.", check_name
);
kept_text!(
    /// A class of HTTP status: `401`, `5xx`.
    StatusClass, "status-class", r"^[1-5]([0-9][0-9]|xx)$", "A status such as \"401\", or a class such as \"5xx\".",
    |text| {
        let mut bytes = text.bytes();
        let class = matches!(bytes.next(), Some(b'1'..=b'5'));
        let rest: Vec<u8> = bytes.collect();
        if class && (rest == b"xx" || (rest.len() == 2 && rest.iter().all(u8::is_ascii_digit))) {
            return Ok(());
        }
        bad(Code::BadStatus, "this is not a status or a class of statuses", "write it as text: \"401\", \"429\" or \"5xx\"")
    }
);
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
kept_text!(
    /// Where the state of runs is kept: a folder, or the address of an object store.
    StatePlace, "state-place", r"^.+$", "A folder, or s3://, gs://, az:// with a bucket.",
    |text| {
        let supported = match text.split_once("://") {
            Some((scheme, rest)) => ["s3", "gs", "az", "file"].contains(&scheme) && !rest.is_empty() && !rest.contains('@'),
            None => !text.trim().is_empty(),
        };
        if supported { return Ok(()); }
        bad(Code::BadState, "this is neither a folder nor an object store that can hold state",
            "write a folder such as `.keyroll`, or an address such as `s3://bucket/prefix`")
    }
);
kept_text!(
    /// A JSON Pointer into a log line, `/metadata/user_api_key`.
    Pointer, "pointer", r"^(/([^~/]|~[01])*)+$", "A JSON Pointer: /request_id, /metadata/key.",
    |text| {
        let escaped = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if text.starts_with('/') && escaped { return Ok(()); }
        bad(Code::BadPointer, "this is not a JSON Pointer", "start with `/` and separate the field names by `/`: `/metadata/key_id`")
    }
);

/// Why a rotation is done. The published template writes free text; the words decide which of five kinds it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reason {
    /// What follows from the reason.
    pub kind: ReasonKind,
    /// As the person wrote it.
    pub text: String,
}
text_type!(
    Reason,
    "reason",
    r"^([Ss]cheduled|[Ss]uspected[-_ ][Ll]eak|[Oo]ffboarding|[Vv]endor[-_ ][Cc]hange|[Ii]ncident)",
    "Begins with scheduled, suspected-leak, offboarding, vendor-change or incident; more words may follow."
);

/// The kinds of reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonKind {
    /// The calendar says so.
    Scheduled,
    /// The key may be known to others.
    SuspectedLeak,
    /// A person who had access leaves.
    Offboarding,
    /// A vendor's or contractor's environment changes.
    VendorChange,
    /// Part of handling an incident.
    Incident,
}

impl ReasonKind {
    /// Whether somebody may hold the old key who should not: then nothing goes back to it without a person's word.
    pub fn distrusts_old_key(self) -> bool {
        match self {
            ReasonKind::SuspectedLeak | ReasonKind::Offboarding | ReasonKind::Incident => true,
            ReasonKind::Scheduled | ReasonKind::VendorChange => false,
        }
    }
}

impl Reason {
    /// Reads a reason.
    pub fn parse(text: &str) -> Result<Self, BadText> {
        let plain = text.trim().to_ascii_lowercase().replace([' ', '_'], "-");
        let kinds = [
            ("scheduled", ReasonKind::Scheduled),
            ("suspected-leak", ReasonKind::SuspectedLeak),
            ("offboarding", ReasonKind::Offboarding),
            ("vendor-change", ReasonKind::VendorChange),
            ("incident", ReasonKind::Incident),
        ];
        match kinds.iter().find(|(word, _)| plain.starts_with(word)) {
            Some((_, kind)) => Ok(Self { kind: *kind, text: text.to_owned() }),
            None => bad(
                Code::BadReason,
                "this reason is none of those that decide how a rotation runs",
                "begin with `scheduled`, `suspected-leak`, `offboarding`, `vendor-change` or `incident`; more words may follow",
            ),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

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

fn check_name(text: &str) -> Result<(), BadText> {
    let body = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    let stem = text.split('.').next().unwrap_or_default().to_ascii_lowercase();
    // Names become file names in the bundle, which auditors open on Windows too.
    let reserved = ["con", "prn", "aux", "nul"].contains(&stem.as_str())
        || (stem.len() == 4 && (stem.starts_with("com") || stem.starts_with("lpt")) && stem.ends_with(|c: char| c.is_ascii_digit()));
    let ends = text.starts_with(|c: char| c.is_ascii_alphanumeric()) && !text.ends_with('.');
    if body && ends && !reserved && text.len() <= 64 {
        return Ok(());
    }
    bad(
        Code::BadName,
        "this name cannot be used in file names and reports on every system",
        "use letters, digits, `.`, `_` and `-`, at most 64, starting with a letter or digit (and not a reserved name such as `aux`)",
    )
}

fn check_url(text: &str) -> Result<(), BadText> {
    const HELP: &str = "write an address such as `https://gateway.example.com/v1`";
    let rest = match text.split_once("://") {
        Some(("http" | "https", rest)) => rest,
        Some(_) => {
            return bad(Code::BadUrl, "only http and https addresses can be used here", HELP);
        }
        None => return bad(Code::BadUrl, "this is not an http or https address", HELP),
    };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    if host.contains('@') || (rest.contains('@') && !rest.contains('/')) {
        return bad(
            Code::CredentialsInUrl,
            "this address carries a user name or password",
            "remove everything up to and including the `@`; give the secret by reference, such as `admin: { env: NAME }`",
        );
    }
    if text.contains('#') || text.contains(char::is_whitespace) || text.chars().any(char::is_control) {
        return bad(Code::BadUrl, "this address has a fragment (`#…`) or blanks in it", HELP);
    }
    let (name, port) = match host.strip_prefix('[') {
        Some(v6) => match v6.split_once(']') {
            Some((name, port)) if name.parse::<std::net::Ipv6Addr>().is_ok() => (name, port.strip_prefix(':')),
            _ => return bad(Code::BadUrl, "this address has no usable host", HELP),
        },
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    let named = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':'));
    if !named {
        return bad(Code::BadUrl, "this address has no usable host", HELP);
    }
    if port.is_some_and(|port| port.parse::<u16>().map_or(true, |port| port == 0)) {
        return bad(Code::BadUrl, "the port of this address is not a number between 1 and 65535", HELP);
    }
    Ok(())
}

impl Url {
    /// Scheme, host and port: what comes before the path.
    pub fn origin(&self) -> &str {
        let after = self.0.find("://").map_or(0, |at| at + 3);
        let end = self.0.get(after..).and_then(|rest| rest.find(['/', '?'])).map_or(self.0.len(), |at| at + after);
        self.0.get(..end).unwrap_or(&self.0)
    }

    /// Whether the address is unencrypted and leaves this machine.
    pub fn is_insecure(&self) -> bool {
        let Some(rest) = self.0.strip_prefix("http://") else {
            return false;
        };
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        let host = if host.starts_with('[') { host.split_inclusive(']').next() } else { host.split(':').next() };
        let host = host.unwrap_or_default();
        !(host == "localhost" || host == "[::1]" || host.starts_with("127."))
    }
}

/// Checks a text against the format named in the schema; an unknown name accepts everything.
pub(crate) fn check(format: &str, text: &str) -> Result<(), BadText> {
    match format {
        "duration-text" => Period::parse(text).map(drop),
        "rate" => Rate::parse(text).map(drop),
        "http-url" => Url::parse(text).map(drop),
        "variable-name" => VariableName::parse(text).map(drop),
        "name" => Name::parse(text).map(drop),
        "status-class" => StatusClass::parse(text).map(drop),
        "time-of-day" => TimeOfDay::parse(text).map(drop),
        "day" => Day::parse(text).map(drop),
        "moment" => Moment::parse(text).map(drop),
        "time-zone" => Zone::parse(text).map(drop),
        "state-place" => StatePlace::parse(text).map(drop),
        "pointer" => Pointer::parse(text).map(drop),
        "reason" => Reason::parse(text).map(drop),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "scalar_tests.rs"]
mod tests;
