//! The sealed box in which GitHub takes a value: X25519, XSalsa20-Poly1305, a nonce from both public keys.

use crate::secret::SecretText;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_box::PublicKey;
use crypto_box::aead::rand_core::{CryptoRng, RngCore};
use zeroize::Zeroize as _;

/// The value, readable by the holder of the private key alone.
pub(super) fn sealed(public_key: &str, value: &SecretText) -> Result<String, String> {
    let key = STANDARD.decode(public_key).ok().and_then(|bytes| PublicKey::from_slice(&bytes).ok());
    let key = key.ok_or("GitHub's public key is not 32 bytes in base64")?;
    let mut drawn = Drawn::new()?;
    let sealed = key.seal(&mut drawn, value.expose().as_bytes()).map_err(|_| "the value could not be sealed")?;
    if drawn.short {
        return Err("sealing asked for more randomness than was drawn".into());
    }
    Ok(STANDARD.encode(sealed))
}

/// Randomness that was drawn before, because drawing may fail and a generator may not.
struct Drawn {
    bytes: [u8; 64],
    used: usize,
    short: bool,
}

impl Drawn {
    fn new() -> Result<Self, String> {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes).map_err(|e| format!("no randomness: {e}"))?;
        Ok(Self { bytes, used: 0, short: false })
    }
}

impl Drop for Drawn {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl RngCore for Drawn {
    fn next_u32(&mut self) -> u32 {
        let mut four = [0; 4];
        self.fill_bytes(&mut four);
        u32::from_le_bytes(four)
    }

    fn next_u64(&mut self) -> u64 {
        let mut eight = [0; 8];
        self.fill_bytes(&mut eight);
        u64::from_le_bytes(eight)
    }

    fn fill_bytes(&mut self, into: &mut [u8]) {
        let end = self.used.saturating_add(into.len());
        match self.bytes.get(self.used..end) {
            Some(bytes) => into.copy_from_slice(bytes),
            // What is made of it is thrown away.
            None => self.short = true,
        }
        self.used = end;
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), crypto_box::aead::rand_core::Error> {
        self.fill_bytes(into);
        Ok(())
    }
}

impl CryptoRng for Drawn {}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;
    use crypto_box::SecretKey;

    #[test]
    fn only_the_holder_of_the_key_opens_it() {
        let key = SecretKey::from_bytes([9; 32]);
        let public = STANDARD.encode(key.public_key().as_bytes());
        let (one, two) =
            (sealed(&public, &SecretText::new("demo-value")).unwrap(), sealed(&public, &SecretText::new("demo-value")).unwrap());
        assert_ne!(one, two, "each box has a key of its own");
        assert_eq!(key.unseal(&STANDARD.decode(one).unwrap()).unwrap(), b"demo-value");
        assert!(SecretKey::from_bytes([8; 32]).unseal(&STANDARD.decode(two).unwrap()).is_err());
    }

    #[test]
    fn a_key_that_is_none_is_said() {
        for key in ["", "AAAA", "not base64!"] {
            assert!(sealed(key, &SecretText::new("demo-value")).unwrap_err().contains("public key"));
        }
    }

    #[test]
    fn a_box_of_libsodium_opens() {
        // Made with libsodium's crypto_box_seal for the private key 00 01 … 1f: the same rule for the nonce, the same cipher.
        let made = "XybmFq91sMElgqd2/fTaN31YC+IDPrMLznBzbNev+EhvYAYv4bxh5sUnCXkeKT2egg9D9vvVwzpbLQ==";
        let key = SecretKey::from_bytes(std::array::from_fn(|i| u8::try_from(i).unwrap()));
        assert_eq!(key.unseal(&STANDARD.decode(made).unwrap()).unwrap(), b"demo-value");
    }

    #[test]
    fn more_randomness_than_was_drawn_is_noticed() {
        let mut drawn = Drawn::new().unwrap();
        drawn.fill_bytes(&mut [0; 60]);
        assert!(!drawn.short);
        drawn.fill_bytes(&mut [0; 8]);
        assert!(drawn.short);
    }
}
