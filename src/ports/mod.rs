//! What the engine needs from the outside, as traits, and the one error they share. No implementation lives here.
//!
//! Ports return typed facts. No port error carries a body, a value, or a key. Only `engine/` calls them; `cli/` wires them.
//!
//! | port | what it is for |
//! |---|---|
//! | [`Gateway`] | the admin side: list, mint, disable, enable, delete, repoint |
//! | [`Prober`] | the data side: is this credential accepted, here, now |
//! | [`SecretStore`] | one slot that consumers read |
//! | [`UsageSource`] | who used which key, and how far that is known |
//! | [`Consumers`] | make them reload, ask what they hold |
//! | [`Approver`], [`Notifier`] | people |
//! | [`Finding`] | no port: what a look at a system found, for `keyroll doctor` |
//! | [`Clock`], [`Journal`], [`Lock`], [`Seal`] | time, memory, exclusivity, evidence |

#![expect(async_fn_in_trait, reason = "one thread drives one run: no Send bounds are wanted")]

mod error;
mod gateway;
mod health;
mod people;
mod state;
mod store;
mod usage;

pub use error::PortError;
pub use gateway::{CallAnswer, Gateway, MintRequest, Minted, Prober};
pub use health::{About, Finding, Health};
pub use people::{Answer, Approver, Notice, Notifier, Question};
pub use state::{AppendError, Clock, Journal, Lock, Seal, SealError, Sealed};
pub use store::{Place, Retire, SecretStore};
pub use usage::{Consumers, UsageQuery, UsageSource};

use crate::rotation::SlotNo;
use crate::secret::FingerprintKey;

/// What a port call answers.
pub type Result<T> = std::result::Result<T, PortError>;

/// Everything the engine reaches the outside through: its single type parameter.
#[expect(missing_docs, reason = "each accessor returns the port of its name")]
pub trait Ports {
    type Gateway: Gateway;
    type Prober: Prober;
    type Store: SecretStore;
    type Usage: UsageSource;
    type Consumers: Consumers;
    type Approver: Approver;
    type Notifier: Notifier;
    type Clock: Clock;
    type Journal: Journal;
    type Lock: Lock;
    type Seal: Seal;

    fn gateway(&self) -> &Self::Gateway;
    fn prober(&self) -> &Self::Prober;
    /// The store behind a slot of the plan; none for a number that is not in it.
    fn slot(&self, slot: SlotNo) -> Option<&Self::Store>;
    fn usage(&self) -> &Self::Usage;
    fn consumers(&self) -> &Self::Consumers;
    fn approver(&self) -> &Self::Approver;
    fn notifier(&self) -> &Self::Notifier;
    fn clock(&self) -> &Self::Clock;
    fn journal(&mut self) -> &mut Self::Journal;
    fn lock(&self) -> &Self::Lock;
    fn seal(&self) -> &Self::Seal;
    /// The key that fingerprints of this run are made with.
    fn fingerprints(&self) -> &FingerprintKey;
    /// Fingerprints of every other credential this process works with (admin, stores, usage), by label.
    fn credentials(&self) -> Vec<(String, crate::secret::Fingerprint)>;
    /// The value of a provider key from its issuer, or the `secret:` reference of a key that no slot holds.
    fn supplied(&self, which: crate::rotation::Which) -> impl Future<Output = Result<Option<crate::secret::SecretText>>>;
}
