//! A slot in Azure Key Vault: a secret, whose newest version is what everybody reads.
//!
//! Writing there *is* the flip, so the new value waits in a secret of its own, `<name>-pending`, tagged with its run. That one is never
//! deleted: a deleted secret keeps its name taken until it is purged. It is emptied by disabling its newest version.
//!
//! Key Vault has no compare-and-set and no token for a write: somebody can write between the look and the write, and theirs is then an older
//! version. What is promoted is tagged with its run and fingerprint, so that after a lost answer the newest version says whose it is. Going
//! back writes the old value as a newer version; the way back is the newest enabled version with another value. One version cannot be
//! deleted alone: retiring disables those with the old value, and nothing here erases.

mod api;
mod store;

use super::rest::{Rest, is_plain};
use crate::adapters::reference::References;
use crate::policy::model::slot::AzureSlot;
use crate::ports::{PortError, Result};
use crate::secret::{Fingerprint, FingerprintKey};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// One secret.
pub struct AzureStore {
    slot: AzureSlot,
    rest: Rest,
    fingerprints: Rc<FingerprintKey>,
    /// Values of versions never change, and their ids are random.
    known: RefCell<BTreeMap<String, Fingerprint>>,
}

impl AzureStore {
    /// A slot; nothing is contacted, and no credential is read yet.
    ///
    /// # Errors
    /// When the place cannot be meant.
    pub fn new(slot: AzureSlot, references: Rc<References>, fingerprints: Rc<FingerprintKey>, timeout: Duration) -> Result<Self> {
        let system = named(&slot);
        let refused = |why: &str| PortError::Refused { system: system.clone(), action: "use the place".into(), why: why.into() };
        let fits = is_plain(&slot.secret) && !slot.secret.contains(['_', '.']) && slot.secret.len() <= 127 - PENDING.len();
        if !fits || slot.secret.to_ascii_lowercase().ends_with(PENDING) {
            return Err(refused(
                "`secret` is made of letters, digits and `-`, and does not end with `-pending`, where the value of a run waits",
            ));
        }
        let rest = Rest::new(system, slot.vault.as_str(), &[], &slot.token, references, timeout)?;
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

/// What the name of the pending secret ends with.
const PENDING: &str = "-pending";

fn named(slot: &AzureSlot) -> String {
    crate::support::text::clean_to(&format!("azure {} secret {}", slot.vault.origin(), slot.secret), 200)
}

/// The canonical address of a place, without building anything. Key Vault does not tell upper from lower case.
pub fn address_of(slot: &AzureSlot) -> String {
    format!("azure:{}/{}", slot.vault.origin(), slot.secret).to_ascii_lowercase()
}
