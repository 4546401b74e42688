//! Ids of our own calls: unguessable, and recognisable later by whoever has the fingerprint key.
//!
//! `kr-<nonce>-<mac>`: 128 random bits in base32, and the first 128 bits of their HMAC-SHA-256 in hex. A run journals its ids before it
//! sends them and asks for them by name; the MAC is for calls whose journal is not at hand, such as a plan's look at a slot.

use crate::secret::{FingerprintKey, NoRandomness, SecretText, random_id};

const PREFIX: &str = "kr-";
const MAC: usize = 32;
const AGENT: &str = "keyroll/";

/// A new id.
///
/// # Errors
/// When the system has no randomness.
pub fn make(key: &FingerprintKey) -> Result<String, NoRandomness> {
    let nonce = random_id(16)?;
    let mac = mac(key, &nonce);
    Ok(format!("{PREFIX}{nonce}-{mac}"))
}

/// This id was made with this key. A second row with the same id is somebody else's: callers count each id once.
pub fn is_ours(key: &FingerprintKey, id: &str) -> bool {
    let parts = id.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(nonce, shown)| shown.len() == MAC && mac(key, nonce) == shown)
}

/// The user agent of one of our calls: the id again, for gateways that keep nothing else of a refused call, and the number of the place
/// that was called.
pub fn agent(id: &str, place: usize) -> String {
    format!("{AGENT}{} ({id}; {place})", env!("CARGO_PKG_VERSION"))
}

/// The id and the place that a user agent of ours names; whether the id is ours is another question.
pub fn of_agent(text: &str) -> Option<(&str, usize)> {
    // Any version: a run may be resumed by a newer program.
    let (_, call) = text.strip_prefix(AGENT)?.strip_suffix(')')?.split_once(" (")?;
    let (id, place) = call.split_once("; ")?;
    Some((id, place.parse().ok()?))
}

fn mac(key: &FingerprintKey, nonce: &str) -> String {
    let fingerprint = key.of(&SecretText::new(format!("own call {nonce}")));
    let hex = fingerprint.as_str().rsplit(':').next().unwrap_or_default();
    hex.get(..MAC).unwrap_or_default().to_owned()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_knows_its_ids_and_a_changed_one_is_foreign() {
        let key = FingerprintKey::from_bytes(&[7; 32]).ok().unwrap();
        let other = FingerprintKey::from_bytes(&[8; 32]).ok().unwrap();
        let id = make(&key).unwrap();
        assert!(is_ours(&key, &id) && !is_ours(&other, &id));
        assert_eq!(of_agent(&agent(&id, 3)), Some((id.as_str(), 3)));
        assert_eq!(of_agent("keyroll/0.0.1 (kr-x; 0)"), Some(("kr-x", 0)));
        assert_eq!([of_agent("curl/8"), of_agent(&id), of_agent(&format!("keyroll/1 ({id})"))], [None, None, None]);
        let mut changed = id.clone();
        changed.pop();
        assert!(!is_ours(&key, &changed) && !is_ours(&key, "kr-") && !is_ours(&key, "kr-a-b"));
    }
}
