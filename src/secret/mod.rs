//! Secrets and what may be said about them.
//!
//! Level 0: imports nothing else of this crate. A secret exists only as [`SecretText`], which cannot be printed or
//! serialised. What leaves the process is a [`Fingerprint`], and every byte on its way out passes the [`Scrubber`].

mod digest;
mod fingerprint;
mod key;
mod peel;
mod random;
mod renderings;
mod scrubber;
mod text;
mod view;

pub use digest::{hex, sha256_hex, sha256_hex_of};
pub use fingerprint::{Fingerprint, FingerprintProblem};
pub use key::{FingerprintKey, KeyProblem};
pub use random::{NoRandomness, random_id};
pub use scrubber::{Hit, REDACTED, Scrubber};
pub use text::{SecretProblem, SecretText};
