//! A slot in Google Secret Manager: the version that an alias points to.
//!
//! Consumers read the alias that the policy names, such as `current`, never `latest`: `latest` is whatever was added last, so that adding
//! would be the flip. The new value waits as a version under `<alias>-pending`; promote moves the alias, and `<alias>-previous` with it, in
//! one write of the secret's own metadata that Google takes only with the etag that was read. Going back moves it back. Other aliases and
//! annotations stay as they are at that moment.
//!
//! Adding a version has no token of ours: after a lost answer the newest versions are looked at, and one with this value is taken as the one
//! that was added. Retiring disables the old version, which can be undone; the stronger level destroys it.

mod api;
mod store;

use super::rest::{Rest, is_plain};
use crate::adapters::reference::References;
use crate::policy::model::slot::GoogleSlot;
use crate::ports::{PortError, Result};
use crate::secret::{Fingerprint, FingerprintKey};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// Where Google's own API is.
const API: &str = "https://secretmanager.googleapis.com";
/// The longest alias that Google takes is 63 characters; ours are longer than the policy's.
const LONGEST_ALIAS: usize = 50;

/// One alias of one secret.
pub struct GoogleStore {
    slot: GoogleSlot,
    rest: Rest,
    fingerprints: Rc<FingerprintKey>,
    /// Versions never change: number to the value's fingerprint, with the secret's time of making, since a secret can be made again.
    known: RefCell<BTreeMap<(String, String), Fingerprint>>,
}

impl GoogleStore {
    /// A slot; nothing is contacted, and no credential is read yet.
    ///
    /// # Errors
    /// When the place cannot be meant.
    pub fn new(slot: GoogleSlot, references: Rc<References>, fingerprints: Rc<FingerprintKey>, timeout: Duration) -> Result<Self> {
        let system = named(&slot);
        let refused = |why: &str| PortError::Refused { system: system.clone(), action: "use the place".into(), why: why.into() };
        if !is_plain(&slot.project) || !is_plain(&slot.secret) {
            return Err(refused("`project` or `secret` has characters that no such name has"));
        }
        let alias = slot.alias.as_str();
        let fits = alias.len() <= LONGEST_ALIAS && alias.starts_with(|c: char| c.is_ascii_alphabetic()) && !alias.contains('.');
        if !fits || alias.eq_ignore_ascii_case("latest") || alias.ends_with(PENDING) || alias.ends_with(PREVIOUS) {
            return Err(refused(
                "`alias` is the name that consumers read, such as `current`: a letter first, no dots, not `latest`, not one of keyroll's own",
            ));
        }
        let base = slot.url.as_ref().map_or(API, |url| url.as_str());
        let rest = Rest::new(system, base, &[], &slot.token, references, timeout)?;
        Ok(Self { slot, rest, fingerprints, known: RefCell::new(BTreeMap::new()) })
    }

    /// How messages name it.
    pub fn name(&self) -> String {
        named(&self.slot)
    }

    /// The same for every way to write this place down; for claims.
    pub fn address(&self) -> String {
        address_of(&self.slot)
    }
}

/// What the alias of the pending version ends with.
const PENDING: &str = "-pending";
/// What the alias of the previous version ends with.
const PREVIOUS: &str = "-previous";

fn named(slot: &GoogleSlot) -> String {
    crate::support::text::clean_to(&format!("google {}/{} alias {}", slot.project, slot.secret, slot.alias), 200)
}

/// The canonical address of a place, without building anything.
pub fn address_of(slot: &GoogleSlot) -> String {
    format!("google:{}/{}/{}#{}", slot.url.as_ref().map_or(API, |url| url.origin()), slot.project, slot.secret, slot.alias)
}
