//! [`SecretText`]: the only form in which a secret exists in this program.

use thiserror::Error;
use zeroize::Zeroizing;

/// The shortest secret a gateway may hand out; anything shorter is guessable or not a secret at all.
const SHORTEST_MINTED: usize = 20;
/// The longest secret a gateway may hand out; headers and stores stop taking values soon after.
const LONGEST_MINTED: usize = 4096;

/// A secret. Leaves memory when dropped.
///
/// It has no `Debug`, `Display`, `Serialize` or `Clone`, so a secret in a message, a journal line or a report does not
/// compile. The value is reached only through [`SecretText::expose`], a word that is easy to search for.
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes a secret as it is. For what a gateway handed out use [`SecretText::minted`].
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// Takes a secret that a gateway handed out, if it is one that can safely be put in a header, a file and a store.
    ///
    /// A value with a newline would be a second line in an `.env` file, one with a quote ends a string in a shell.
    pub fn minted(value: String) -> Result<Self, SecretProblem> {
        // Wrapped first, so that a refused value leaves memory too.
        let secret = Self::new(value);
        let length = secret.len();
        if length < SHORTEST_MINTED {
            return Err(SecretProblem::TooShort { length });
        }
        if length > LONGEST_MINTED {
            return Err(SecretProblem::TooLong { length });
        }
        match secret.expose().bytes().position(|byte| !may_be_minted(byte)) {
            Some(at) => Err(SecretProblem::Character { position: at + 1 }),
            None => Ok(secret),
        }
    }

    /// The value itself: to send it, to store it, to compare it. Never to show it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no value at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether both hold the same value, without telling by the time it takes where they differ.
    pub fn same_as(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.0.as_bytes(), other.0.as_bytes()).is_ok()
    }

    /// A second copy, asked for by name because each copy is one more place to leak from.
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Visible ASCII that ends no string and starts no escape, in no shell and no file format we write.
fn may_be_minted(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'`' | b'\\')
}

/// Why a value from a gateway is not taken as a secret. Never repeats the value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SecretProblem {
    /// Too short to be a key.
    #[error(
        "accept the gateway's secret: it has {length} characters, fewer than {SHORTEST_MINTED}; check the gateway's version and look for the key it made"
    )]
    TooShort {
        /// How long it is.
        length: usize,
    },
    /// Too long for a header or a store.
    #[error(
        "accept the gateway's secret: it has {length} characters, more than {LONGEST_MINTED}; check the gateway's version and look for the key it made"
    )]
    TooLong {
        /// How long it is.
        length: usize,
    },
    /// A character that would break out of a header, a file or a shell.
    #[error(
        "accept the gateway's secret: character {position} is a space, a quote, a backslash, a control or not ASCII; check the gateway's version and look for the key it made"
    )]
    Character {
        /// Where it is, counted from 1.
        position: usize,
    },
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use std::fmt::{Debug, Display};
    use std::marker::PhantomData;

    use proptest::prelude::*;
    use serde::Serialize;

    use super::*;

    /// Answers "does T have this trait" as a constant: the inherent constant exists only if it has, and wins over the
    /// one of the fallback trait.
    struct Ask<T>(PhantomData<T>);
    trait Fallback {
        const DEBUG: bool = false;
        const DISPLAY: bool = false;
        const CLONE: bool = false;
        const SERIALIZE: bool = false;
    }
    impl<T> Fallback for Ask<T> {}
    impl<T: Debug> Ask<T> {
        const DEBUG: bool = true;
    }
    impl<T: Display> Ask<T> {
        const DISPLAY: bool = true;
    }
    impl<T: Clone> Ask<T> {
        const CLONE: bool = true;
    }
    impl<T: Serialize> Ask<T> {
        const SERIALIZE: bool = true;
    }

    // Checked by the compiler, with a type that has all four as the control.
    const _: () = {
        assert!(Ask::<String>::DEBUG && Ask::<String>::DISPLAY && Ask::<String>::CLONE && Ask::<String>::SERIALIZE);
        assert!(!Ask::<SecretText>::DEBUG, "a secret must not be printable");
        assert!(!Ask::<SecretText>::DISPLAY, "a secret must not be printable");
        assert!(!Ask::<SecretText>::CLONE, "a copy of a secret must be asked for by name");
        assert!(!Ask::<SecretText>::SERIALIZE, "a secret must not be written");
        assert!(!Ask::<crate::secret::FingerprintKey>::DEBUG, "a key must not be printable");
        assert!(!Ask::<crate::secret::FingerprintKey>::SERIALIZE, "a key must not be written");
        assert!(!Ask::<crate::secret::Scrubber>::DEBUG, "the scrubber holds secrets");
    };

    fn problem(value: &str) -> SecretProblem {
        SecretText::minted(value.to_owned()).err().unwrap()
    }

    #[test]
    fn a_minted_secret_is_visible_ascii_of_a_sane_length() {
        assert!(SecretText::minted("sk-0123456789abcdef0".to_owned()).is_ok());
        assert!(SecretText::minted("~".repeat(4096)).is_ok());
        assert_eq!(problem("sk-0123456789abcdef"), SecretProblem::TooShort { length: 19 });
        assert_eq!(problem(&"a".repeat(4097)), SecretProblem::TooLong { length: 4097 });
    }

    #[test]
    fn a_minted_secret_cannot_break_out_of_what_holds_it() {
        for bad in [' ', '"', '\'', '`', '\\', '\n', '\r', '\t', '\0', '\u{7f}', 'é', '\u{202e}'] {
            let value = format!("sk-0123456789{bad}abcdefghij");
            assert_eq!(problem(&value), SecretProblem::Character { position: 14 }, "{bad:?}");
        }
    }

    #[test]
    fn sameness_is_about_the_value() {
        let a = SecretText::new("one-and-the-same");
        assert!(a.same_as(&a.duplicate()));
        assert!(!a.same_as(&SecretText::new("one-and-the-samf")));
        assert!(!a.same_as(&SecretText::new("one-and-the-sam")));
        assert!(SecretText::new("").is_empty() && !a.is_empty());
    }

    proptest! {
        #[test]
        fn a_refusal_never_repeats_the_value(value in "[a-z]{4}[ \n\"][A-Z]{16,40}") {
            let said = problem(&value).to_string();
            prop_assert!(!said.contains(value.get(5..).unwrap()));
        }
    }
}
