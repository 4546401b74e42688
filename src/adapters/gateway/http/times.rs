//! Times as gateways write them.

use crate::policy::model::http_gateway::TimeFormat;
use crate::rotation::Time;
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde_json::{Value, json};

/// A time in any of the usual forms; none for what means "never". The error is what cannot be read as either.
pub(super) fn read(value: &Value) -> Result<Option<Time>, ()> {
    match value {
        Value::Null | Value::Bool(false) => Ok(None),
        Value::Number(number) => Ok(number.as_f64().and_then(epoch)),
        Value::String(text) => of_text(text.trim()),
        Value::Bool(true) | Value::Array(_) | Value::Object(_) => Err(()),
    }
}

fn of_text(text: &str) -> Result<Option<Time>, ()> {
    if text.is_empty() || text.eq_ignore_ascii_case("never") {
        return Ok(None);
    }
    if let Ok(number) = text.parse::<f64>() {
        return Ok(epoch(number));
    }
    // Without a zone UTC is meant: that is what databases write.
    let bare = |form| NaiveDateTime::parse_from_str(text, form).ok().map(|t| Time(t.and_utc().timestamp_millis()));
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0).map(|t| Time(t.and_utc().timestamp_millis()));
    let zoned = || DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z").ok().map(|t| Time(t.timestamp_millis()));
    let found = Time::parse(text)
        .or_else(|| bare("%Y-%m-%dT%H:%M:%S%.f"))
        .or_else(|| bare("%Y-%m-%d %H:%M:%S%.f"))
        .or_else(zoned)
        .or_else(day)
        .ok_or(())?;
    // A language's own zero is no time.
    Ok((found.0 > 0).then_some(found))
}

/// Seconds or milliseconds since 1970, told apart by their size; nothing and less mean never.
fn epoch(number: f64) -> Option<Time> {
    if !number.is_finite() || number <= 0.0 {
        return None;
    }
    let ms = if number < 1e11 { number * 1e3 } else { number };
    #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates, and no key lives that long")]
    Some(Time(ms as i64))
}

/// A time as a request writes it.
pub(super) fn written(time: Time, format: TimeFormat) -> Value {
    match format {
        TimeFormat::Rfc3339 => json!(time.rfc3339()),
        TimeFormat::Seconds => json!(time.0.div_euclid(1000)),
        TimeFormat::Milliseconds => json!(time.0),
        TimeFormat::Date => json!(time.rfc3339().get(..10).unwrap_or_default()),
    }
}

/// The `Date` header.
pub(super) fn of_header(text: &str) -> Option<Time> {
    DateTime::parse_from_rfc2822(text).ok().map(|t| Time(t.timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_forms_are_read() {
        let at = Time(1_795_255_200_000);
        for form in [
            json!("2026-11-21T10:00:00Z"),
            json!("2026-11-21T12:00:00+02:00"),
            json!("2026-11-21 10:00:00"),
            json!("2026-11-21T10:00:00.000"),
            json!("2026-11-21 10:00:00.000+00"),
            json!(1_795_255_200),
            json!(1_795_255_200_000_i64),
            json!("1795255200"),
        ] {
            assert_eq!(read(&form), Ok(Some(at)), "{form}");
        }
        for never in [json!(null), json!(0), json!(-1), json!(""), json!("0001-01-01T00:00:00Z"), json!("never")] {
            assert_eq!(read(&never), Ok(None), "{never}");
        }
        for odd in [json!("soon"), json!([]), json!(true)] {
            assert_eq!(read(&odd), Err(()), "{odd}");
        }
        assert_eq!(of_header("Sat, 21 Nov 2026 10:00:00 GMT"), Some(at));
        assert_eq!(written(at, TimeFormat::Seconds), json!(1_795_255_200));
        assert_eq!(written(at, TimeFormat::Date), json!("2026-11-21"));
    }
}
