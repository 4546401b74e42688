//! Random names and the one time format of the sandbox.

use chrono::{DateTime, SecondsFormat, Utc};

use super::SandboxError;

/// `prefix` followed by `bytes` random bytes in hex.
pub(super) fn random(prefix: &str, bytes: usize) -> Result<String, SandboxError> {
    let mut buffer = vec![0_u8; bytes];
    getrandom::fill(&mut buffer).map_err(|why| SandboxError::system("draw random bytes from the system", &why))?;
    let mut text = String::with_capacity(prefix.len() + bytes * 2);
    text.push_str(prefix);
    for byte in buffer {
        text.push_str(&format!("{byte:02x}"));
    }
    Ok(text)
}

/// Milliseconds since 1970 by the machine's clock, without the sandbox's skew.
pub(super) fn wall_ms() -> i64 {
    Utc::now().timestamp_millis()
}

/// `2026-01-31T12:00:00.000Z`.
pub(super) fn iso(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The reverse of [`iso`], for any offset; `None` when the text is no time.
pub(super) fn from_iso(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis())
}

/// The form of an HTTP `Date` header.
pub(super) fn http_date(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_the_way_there_and_back() {
        let ms = 1_760_000_000_123;
        assert_eq!(from_iso(&iso(ms)), Some(ms));
        assert_eq!(iso(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(from_iso("yesterday"), None);
    }
}
