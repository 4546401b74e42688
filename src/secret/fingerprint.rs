//! [`Fingerprint`]: how a secret is spoken of.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

const PREFIX: &str = "hmac-sha256:";

/// A keyed hash of a secret, `hmac-sha256:` and 64 hex digits. Says whether two secrets are the same and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Reads a fingerprint as it is written.
    pub fn parse(text: &str) -> Result<Self, FingerprintProblem> {
        let digits = text.strip_prefix(PREFIX).ok_or(FingerprintProblem)?;
        let all_hex = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if digits.len() == 64 && all_hex { Ok(Self(text.to_owned())) } else { Err(FingerprintProblem) }
    }

    /// The written form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve hex digits: enough to tell two keys apart on a screen, never to identify one in evidence.
    pub fn short(&self) -> &str {
        self.0.get(PREFIX.len()..PREFIX.len() + 12).unwrap_or(&self.0)
    }

    /// Wraps a finished HMAC.
    pub(super) fn of_tag(tag: &[u8]) -> Self {
        Self(format!("{PREFIX}{}", super::hex(tag)))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = FingerprintProblem;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.0
    }
}

/// The text is no fingerprint. It is not repeated: it may be the secret itself, put in the wrong place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("read a fingerprint: expected \"hmac-sha256:\" and 64 lower-case hex digits")]
pub struct FingerprintProblem;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    #[test]
    fn reads_only_what_it_writes() {
        let good = Fingerprint::of_tag(&[0xab; 32]);
        assert_eq!(Fingerprint::parse(good.as_str()), Ok(good.clone()));
        let json = serde_json::to_string(&good).unwrap();
        assert_eq!(json, format!("\"hmac-sha256:{}\"", "ab".repeat(32)));
        assert_eq!(serde_json::from_str::<Fingerprint>(&json).unwrap(), good);
        assert_eq!(good.short(), "abababababab");
    }

    #[test]
    fn anything_else_is_refused_without_being_repeated() {
        let short = format!("hmac-sha256:{}", "ab".repeat(31));
        let upper = format!("hmac-sha256:{}", "AB".repeat(32));
        let plain = "ab".repeat(32);
        for bad in ["", "sk-live-secret", &short, &upper, &plain] {
            assert!(Fingerprint::parse(bad).is_err(), "{bad}");
        }
        let said = serde_json::from_str::<Fingerprint>("\"sk-live-secret\"").unwrap_err().to_string();
        assert!(!said.contains("sk-live"), "{said}");
    }
}
