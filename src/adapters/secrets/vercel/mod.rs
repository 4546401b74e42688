//! A slot in Vercel: an environment variable of a project, for one kind of deployment.
//!
//! A change reaches only deployments that are made afterwards, so the flip is only half of it: the other half is the consumer's reload, a
//! deploy hook or a command. Deployments that exist keep the old value, also those that somebody rolls back to later.
//!
//! The new value waits in a variable `<NAME>_KEYROLL_PENDING`, the old one stays in `<NAME>_KEYROLL_PREVIOUS`; whose they are stands in
//! their comments. There is no compare-and-set; the time of the last change, to the millisecond, is compared before a write and looked at
//! after it. A variable of type `sensitive` gives no value back and is refused: nothing here could then be verified.

mod api;
mod store;

use super::rest::{Rest, is_plain};
use crate::adapters::reference::References;
use crate::policy::model::slot::{VercelSlot, VercelTarget};
use crate::ports::{PortError, Result};
use crate::secret::FingerprintKey;
use std::rc::Rc;
use std::time::Duration;

/// Where Vercel's own API is.
const API: &str = "https://api.vercel.com";

/// One environment variable.
pub struct VercelStore {
    slot: VercelSlot,
    rest: Rest,
    fingerprints: Rc<FingerprintKey>,
}

impl VercelStore {
    /// A slot; nothing is contacted, and no credential is read yet.
    ///
    /// # Errors
    /// When the place cannot be meant.
    pub fn new(slot: VercelSlot, references: Rc<References>, fingerprints: Rc<FingerprintKey>, timeout: Duration) -> Result<Self> {
        let system = named(&slot);
        let refused = |why: &str| PortError::Refused { system: system.clone(), action: "use the place".into(), why: why.into() };
        if !is_plain(&slot.project) || slot.team.as_ref().is_some_and(|team| !is_plain(team)) {
            return Err(refused("`project` or `team` has characters that no such id has"));
        }
        if slot.name.as_str().ends_with(PENDING) || slot.name.as_str().ends_with(PREVIOUS) {
            return Err(refused("its name ends as keyroll's own names do; name the variable that deployments read"));
        }
        let base = slot.url.as_ref().map_or(API, |url| url.as_str());
        let rest = Rest::new(system, base, &[], &slot.token, references, timeout)?;
        Ok(Self { slot, rest, fingerprints })
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

/// What the name of the pending variable ends with.
const PENDING: &str = "_KEYROLL_PENDING";
/// What the name of the previous variable ends with.
const PREVIOUS: &str = "_KEYROLL_PREVIOUS";

fn target(slot: &VercelSlot) -> &'static str {
    match slot.target {
        None | Some(VercelTarget::Production) => "production",
        Some(VercelTarget::Preview) => "preview",
        Some(VercelTarget::Development) => "development",
    }
}

fn named(slot: &VercelSlot) -> String {
    crate::support::text::clean_to(&format!("vercel {} {} {}", slot.project, target(slot), slot.name), 200)
}

/// The canonical address of a place, without building anything.
pub fn address_of(slot: &VercelSlot) -> String {
    let host = slot.url.as_ref().map_or(API, |url| url.origin());
    format!("vercel:{host}/{}/{}/{}#{}", slot.team.as_deref().unwrap_or_default(), slot.project, target(slot), slot.name)
}
