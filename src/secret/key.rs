//! [`FingerprintKey`]: the key of all fingerprints of an organisation.
//!
//! It is made or resolved before the first record of a run, lies beside the journal or in the organisation's own store,
//! and never enters a bundle: with it, anyone could test guesses.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use thiserror::Error;
use zeroize::{Zeroize as _, Zeroizing};

use super::{Fingerprint, NoRandomness, SecretText, hex, random};

const LENGTH: usize = 32;
/// What [`FingerprintKey::check_value`] is taken over. Changing it makes every journal's check value wrong.
const CHECK_TEXT: &[u8] = b"keyroll fingerprint key check";

/// The key with which fingerprints are taken. Leaves memory when dropped; cannot be printed.
pub struct FingerprintKey(Zeroizing<[u8; LENGTH]>);

impl FingerprintKey {
    /// Draws a new key.
    pub fn generate() -> Result<Self, KeyProblem> {
        let mut key = Zeroizing::new([0_u8; LENGTH]);
        random::fill(key.as_mut_slice())?;
        Ok(Self(key))
    }

    /// Takes a key as its 32 bytes, or as text: 64 hex digits or base64, a line end allowed.
    ///
    /// The three forms differ in length, so none can be mistaken for another.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyProblem> {
        if let Ok(raw) = <[u8; LENGTH]>::try_from(bytes) {
            return Ok(Self(Zeroizing::new(raw)));
        }
        let text = bytes.trim_ascii();
        let mut decoded = match text.len() {
            64 => from_hex(text).ok_or(KeyProblem::Form { length: text.len() })?,
            44 => STANDARD.decode(text).map_err(|_| KeyProblem::Form { length: text.len() })?,
            43 => STANDARD_NO_PAD.decode(text).map_err(|_| KeyProblem::Form { length: text.len() })?,
            length => return Err(KeyProblem::Form { length }),
        };
        let key = <[u8; LENGTH]>::try_from(decoded.as_slice());
        decoded.zeroize();
        key.map(|raw| Self(Zeroizing::new(raw))).map_err(|_| KeyProblem::Form { length: text.len() })
    }

    /// Reads a key from a file that nobody but its owner can read.
    pub fn from_file(path: &Path) -> Result<Self, KeyProblem> {
        let failed = |source| KeyProblem::File { action: "read", path: path.to_owned(), source };
        let mut file = fs::File::open(path).map_err(failed)?;
        let about = file.metadata().map_err(failed)?;
        let mode = about.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyProblem::Readable { path: path.to_owned(), mode });
        }
        // A key is tiny; a path that names something else is not read to its end.
        let mut bytes = Zeroizing::new(Vec::with_capacity(1024));
        io::Read::read_to_end(&mut io::Read::take(&mut file, 1024), &mut bytes).map_err(failed)?;
        Self::from_bytes(&bytes)
    }

    /// Draws a new key and writes it to a new file (0600), complete and synced before it has its name.
    ///
    /// Fails if the file exists: another run may have fingerprints under that key already.
    pub fn create_file(path: &Path) -> Result<Self, KeyProblem> {
        let failed = |source| KeyProblem::File { action: "write", path: path.to_owned(), source };
        let key = Self::generate()?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut file = tempfile::Builder::new()
            .prefix(".keyroll-key-")
            .permissions(fs::Permissions::from_mode(0o600))
            .tempfile_in(folder)
            .map_err(failed)?;
        let line = Zeroizing::new(format!("{}\n", *key.as_hex()));
        file.write_all(line.as_bytes()).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist_noclobber(path).map_err(|refused| failed(refused.error))?;
        fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(key)
    }

    /// The fingerprint of a secret: HMAC-SHA-256 over its bytes and nothing else, so that whoever holds the key can
    /// repeat it with any tool.
    pub fn of(&self, secret: &SecretText) -> Fingerprint {
        Fingerprint::of_tag(self.sign(secret.expose().as_bytes()).as_ref())
    }

    /// Sixteen hex digits that tell whether two keys are the same. May be written anywhere; it is in the journal, and a
    /// resume with another key stops.
    pub fn check_value(&self) -> String {
        hex(self.sign(CHECK_TEXT).as_ref()).chars().take(16).collect()
    }

    /// The written forms of the key, for the scrubber: the key is itself something that must not leak.
    pub fn needles(&self) -> [SecretText; 2] {
        [SecretText::new(self.as_hex().as_str()), SecretText::new(STANDARD_NO_PAD.encode(self.0.as_slice()))]
    }

    fn as_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex(self.0.as_slice()))
    }

    fn sign(&self, bytes: &[u8]) -> hmac::Tag {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.0.as_slice()), bytes)
    }
}

fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    text.chunks(2).map(|pair| if let [high, low] = pair { Some(digit(*high)? << 4 | digit(*low)?) } else { None }).collect()
}

/// Why there is no fingerprint key. Never repeats key material.
#[derive(Debug, Error)]
pub enum KeyProblem {
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// Not a key in any of the three forms.
    #[error(
        "read the fingerprint key: {length} bytes are none of 32 raw bytes, 64 hex digits or base64 of 32 bytes; make one with `openssl rand -hex 32`"
    )]
    Form {
        /// How long it is.
        length: usize,
    },
    /// Others can read the file.
    #[error("trust the fingerprint key in {}: its mode is {mode:03o}, others can read it; run `chmod 600` on it, or replace it if it was exposed", path.display())]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file could not be read or made.
    #[error("{action} the fingerprint key {}: {source}", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    fn key() -> FingerprintKey {
        FingerprintKey::from_bytes(&[0x0b; 32]).unwrap()
    }

    #[test]
    fn a_fingerprint_can_be_repeated_with_any_tool() {
        // printf %s 'Hi There' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0b0b…
        let expected = "hmac-sha256:198a607eb44bfbc69903a0f1cf2bbdc5ba0aa3f3d9ae3c1c7a3b1696a0b68cf7";
        assert_eq!(key().of(&SecretText::new("Hi There")).as_str(), expected);
        assert_ne!(key().of(&SecretText::new("hi there")).as_str(), expected);
    }

    #[test]
    fn the_three_forms_are_one_key() {
        let check = key().check_value();
        assert_eq!(check.len(), 16);
        for form in ["0b".repeat(32), format!("{}\n", "0B".repeat(32)), STANDARD.encode([0x0b; 32]), STANDARD_NO_PAD.encode([0x0b; 32])] {
            assert_eq!(FingerprintKey::from_bytes(form.as_bytes()).unwrap().check_value(), check);
        }
        assert_ne!(FingerprintKey::generate().unwrap().check_value(), check);
        for bad in [&b""[..], b"short", &[b'g'; 64], &[0; 31], &[0; 33]] {
            assert!(matches!(FingerprintKey::from_bytes(bad), Err(KeyProblem::Form { .. })));
        }
    }

    #[test]
    fn a_file_holds_the_key_and_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fingerprint.key");
        let made = FingerprintKey::create_file(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(FingerprintKey::from_file(&path).unwrap().check_value(), made.check_value());
        assert!(matches!(FingerprintKey::create_file(&path), Err(KeyProblem::File { action: "write", .. })));
        assert_eq!(FingerprintKey::from_file(&path).unwrap().check_value(), made.check_value());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fingerprint.key");
        FingerprintKey::create_file(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(FingerprintKey::from_file(&path), Err(KeyProblem::Readable { mode: 0o640, .. })));
        assert!(matches!(FingerprintKey::from_file(&folder.path().join("none")), Err(KeyProblem::File { .. })));
    }
}
