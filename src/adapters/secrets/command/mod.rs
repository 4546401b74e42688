//! A slot behind a program: 1Password, Doppler, Infisical, or whatever somebody has.
//!
//! One executable, asked with a verb as its last arguments: it gets a value on its standard input only and answers in JSON on its standard
//! output; its exit code says whether it is done, in conflict, cannot do that, should be asked later, or was not allowed to. Everything else
//! is unknown, and unknown is looked at. `runbooks/command-store.md` is the protocol for those who write one.
//!
//! Nothing that it says is trusted further than it must be: after a change the slot is looked at again, its texts are checked before they are
//! kept, and a value that turns up outside its place makes the whole answer unreadable. What it leaves running is ended.

mod answer;
mod call;
mod note;
mod store;

use crate::policy::model::slot::CommandSlot;
use crate::secret::{FingerprintKey, Scrubber};
use note::Notes;
use std::path::Path;
use std::rc::Rc;

/// One slot behind a program.
pub struct CommandStore {
    slot: CommandSlot,
    withhold: Vec<String>,
    scrubber: Scrubber,
    fingerprints: Rc<FingerprintKey>,
    notes: Notes,
}

impl CommandStore {
    /// A slot; nothing is started yet. `withhold` names the variables that no child gets; notes about running changes are kept in `folder`,
    /// so that a process that comes after this one finds what it left.
    pub fn new(slot: CommandSlot, withhold: Vec<String>, scrubber: Scrubber, fingerprints: Rc<FingerprintKey>, folder: &Path) -> Self {
        let notes = Notes::new(folder, &address_of(&slot));
        Self { slot, withhold, scrubber, fingerprints, notes }
    }

    /// How messages name it.
    pub fn name(&self) -> String {
        format!("command {}", self.slot.name)
    }

    /// The same wherever the program lies; for claims.
    pub fn address(&self) -> String {
        address_of(&self.slot)
    }
}

/// The canonical address of a place, without building anything.
pub fn address_of(slot: &CommandSlot) -> String {
    format!("command:{}", slot.name)
}
