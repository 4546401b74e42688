//! A slot in GitHub: an Actions secret of a repository or of one of its environments.
//!
//! It can be written and never read. What is known of it is when it was last written, in whole seconds. So keyroll keeps a note beside it, in
//! a variable of the same scope: the fingerprint of what it wrote, for which run, and the time that GitHub gave the secret for that write. As
//! long as both times agree nobody else has written since; when they do not, what the secret holds is not known, and that is what is said.
//! The note is written before the secret too, so that a process that comes after a crash knows what was on its way.
//!
//! The pending value waits in a secret `<NAME>_PENDING`. It cannot be copied there: promote is a second write, with the value that this
//! process staged, or that another slot of the policy gives back. There is no compare-and-set, no history, and so no way back from here: the old value comes
//! from another slot, or from the policy's reference to it.

mod api;
mod note;
mod seal;
mod store;

use super::AnyStore;
use super::rest::{Rest, is_plain};
use crate::adapters::reference::References;
use crate::policy::model::slot::GithubSlot;
use crate::ports::{PortError, Result};
use crate::secret::{FingerprintKey, SecretText};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// Where GitHub's own API is.
const API: &str = "https://api.github.com";
const HEADERS: &[(&str, &str)] = &[("x-github-api-version", "2022-11-28")];

/// One Actions secret.
pub struct GithubStore {
    slot: GithubSlot,
    rest: Rest,
    fingerprints: Rc<FingerprintKey>,
    /// What this process staged, for its promote.
    staged: RefCell<Option<(String, SecretText)>>,
    /// Other slots of the same policy, which may give the value back when the process that staged it is gone.
    others: Vec<AnyStore>,
}

impl GithubStore {
    /// A slot; nothing is contacted, and no credential is read yet.
    ///
    /// # Errors
    /// When the place cannot be meant.
    pub fn new(slot: GithubSlot, references: Rc<References>, fingerprints: Rc<FingerprintKey>, timeout: Duration) -> Result<Self> {
        let system = named(&slot);
        let refused = |why: &str| PortError::Refused { system: system.clone(), action: "use the place".into(), why: why.into() };
        let plain = slot.repository.split_once('/').is_some_and(|(owner, name)| is_plain(owner) && is_plain(name));
        if !plain {
            return Err(refused("`repository` is not `owner/name`"));
        }
        let name = slot.secret.as_str().to_ascii_uppercase();
        if name.ends_with(PENDING) || name.ends_with(NOTE) || name.starts_with("GITHUB_") {
            return Err(refused("its name begins with GITHUB_, or ends as keyroll's own names do; name the secret that workflows read"));
        }
        let base = slot.url.as_ref().map_or(API, |url| url.as_str());
        let rest = Rest::new(system, base, HEADERS, &slot.token, references, timeout)?;
        Ok(Self { slot, rest, fingerprints, staged: RefCell::new(None), others: Vec::new() })
    }

    /// The same slot with others of its policy, which can be read: a value that this process did not stage itself is looked for there.
    #[must_use]
    pub fn beside(self, others: Vec<AnyStore>) -> Self {
        Self { others, ..self }
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
const PENDING: &str = "_PENDING";
/// What the name of the variable with the note ends with.
const NOTE: &str = "_KEYROLL";

fn named(slot: &GithubSlot) -> String {
    let place = slot.environment.as_ref().map_or_else(String::new, |e| format!(" environment {e}"));
    crate::support::text::clean_to(&format!("github {}{place} secret {}", slot.repository, slot.secret), 200)
}

/// The canonical address of a place, without building anything. GitHub does not tell upper from lower case.
pub fn address_of(slot: &GithubSlot) -> String {
    let host = slot.url.as_ref().map_or(API, |url| url.origin());
    let place = format!("{}#{}#{}", slot.repository, slot.environment.as_deref().unwrap_or_default(), slot.secret);
    format!("github:{host}/{}", place.to_ascii_lowercase())
}
