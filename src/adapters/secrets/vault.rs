//! A slot in Vault or OpenBao: one field of a document in a KV engine, version 2.
//!
//! Writing there *is* the flip, so the new value waits at `<path>.pending`, in a document of its own that says whose it is. Promote and
//! demote are one write that the server takes only if the document is still at the version that was read (check-and-set), with our field
//! changed and every other field as it is now. The way back is the document's own history: the newest version whose value differs.
//!
//! After a write that got no clear answer the document is read again, and what it shows decides. Retiring deletes the versions that hold the
//! old value so that an operator can still undelete them; the stronger level destroys them.

mod api;
mod check;
mod document;
mod history;
mod kv;
mod login;
#[cfg(feature = "aws")]
mod login_aws;
mod place;
mod store;

use crate::adapters::reference::References;
use crate::policy::model::reference::{VaultAuth, VaultPlace};
use crate::ports::{PortError, Result};
use crate::secret::{Fingerprint, FingerprintKey, SecretText};
use api::Api;
use kv::Author;
use place::{Place, Surroundings};
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// One slot in Vault or OpenBao.
pub struct VaultStore {
    place: Rc<Place>,
    api: Api,
    references: Rc<References>,
    fingerprints: Rc<FingerprintKey>,
    /// Versions never change: number and time of making to the value's fingerprint.
    known: RefCell<BTreeMap<(u64, String), Fingerprint>>,
    author: OnceCell<Option<Author>>,
}

impl VaultStore {
    /// A slot; nothing is contacted, and no credential is read yet.
    ///
    /// # Errors
    /// When the place cannot be meant: an address with a path, a dot segment, no certificate in the authority's file.
    pub fn new(
        written: &VaultPlace,
        references: Rc<References>,
        fingerprints: Rc<FingerprintKey>,
        timeout: Duration,
    ) -> std::result::Result<Self, PortError> {
        let (place, api) = open(written, timeout)?;
        Ok(Self { place, api, references, fingerprints, known: RefCell::new(BTreeMap::new()), author: OnceCell::new() })
    }

    /// How messages name it.
    pub fn name(&self) -> String {
        self.place.name()
    }

    /// The same for every way to write this place down; for claims.
    pub fn address(&self) -> String {
        self.place.address()
    }
}

/// The canonical address of a place, without building anything; none when it cannot be meant.
pub fn address_of(written: &VaultPlace) -> Option<String> {
    Place::of(written, &Surroundings::of_process()).ok().map(|place| place.address())
}

/// The value of a field, for a reference.
///
/// # Errors
/// When the place cannot be meant, the server cannot be reached or refuses, or there is no such value.
pub async fn fetch(written: &VaultPlace, references: &References, timeout: Duration) -> Result<SecretText> {
    let (_, api) = open(written, timeout)?;
    let (_, document) = api.existing(references, "read the secret").await?;
    api.value(&document)?.ok_or_else(|| api.conflict("read the secret", "the document has no such field, or it is empty"))
}

fn open(written: &VaultPlace, timeout: Duration) -> std::result::Result<(Rc<Place>, Api), PortError> {
    let named = format!("vault {}/{} field {}", written.mount, written.path, written.field);
    let refused =
        |why: String| PortError::Refused { system: crate::support::text::clean_to(&named, 200), action: "use the place".into(), why };
    let around = Surroundings::of_process();
    let place = Rc::new(Place::of(written, &around).map_err(refused)?);
    let ca_file = written.ca_file.as_ref().or(around.ca_file.as_ref());
    let ca_pem = match ca_file {
        Some(path) => Some(
            std::fs::read(path).map_err(|e| refused(format!("the certificate authority's file {path} cannot be read: {}", e.kind())))?,
        ),
        None => None,
    };
    let auth: Option<VaultAuth> = written.auth.clone();
    Ok((place.clone(), Api::new(place, auth, timeout, ca_pem)))
}
