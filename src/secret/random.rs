//! Random names for runs and requests.

use thiserror::Error;

/// Crockford's base 32 in lower case: no i, l, o, u, so that an id survives being read aloud.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A random id of `bytes` random bytes, eight characters for every five of them.
///
/// Ten bytes are enough for a run: two of them never meet, and sixteen characters fit whole into every marker.
pub fn random_id(bytes: usize) -> Result<String, NoRandomness> {
    let mut raw = vec![0_u8; bytes];
    fill(&mut raw)?;
    Ok(base32(&raw))
}

/// Fills a buffer from the operating system's generator.
pub(super) fn fill(buffer: &mut [u8]) -> Result<(), NoRandomness> {
    getrandom::fill(buffer).map_err(|error| NoRandomness { why: error.to_string() })
}

fn base32(raw: &[u8]) -> String {
    let mut text = String::with_capacity(raw.len().div_ceil(5) * 8);
    let (mut held, mut bits) = (0_u32, 0_u32);
    for byte in raw {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(digit(held >> bits));
        }
        // What is left is fewer than five bits; drop the rest so that the shift above never overflows.
        held &= 0x1f;
    }
    if bits > 0 {
        text.push(digit(held << (5 - bits)));
    }
    text
}

fn digit(value: u32) -> char {
    let index = (value & 0x1f) as usize;
    ALPHABET.get(index).copied().map_or('0', char::from)
}

/// The operating system gave no random bytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("get random bytes from the operating system: {why}; nothing was started, try again")]
pub struct NoRandomness {
    why: String,
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    #[test]
    fn base32_keeps_every_bit() {
        assert_eq!(base32(&[]), "");
        assert_eq!(base32(&[0xff]), "zw");
        assert_eq!(base32(&[0xff; 5]), "zzzzzzzz");
        assert_eq!(base32(&[0, 0, 0, 0, 1]), "00000001");
        assert_eq!(base32(&[0x08, 0x42, 0x10, 0x84, 0x21]), "11111111");
    }

    #[test]
    fn ids_differ_and_have_eighty_bits_in_sixteen_characters() {
        let (one, other) = (random_id(10).unwrap(), random_id(10).unwrap());
        assert_eq!(one.len(), 16);
        assert_ne!(one, other);
        assert!(one.bytes().all(|byte| ALPHABET.contains(&byte)));
    }
}
