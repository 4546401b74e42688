//! A slot in a secret store.

use super::Result;
use crate::rotation::{RunId, Snapshot, StoreCaps, VersionId};
use crate::secret::SecretText;

/// Which version of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// What consumers read.
    Current,
    /// What waits beside it.
    Pending,
    /// What it was before.
    Previous,
}

/// How far the old version is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retire {
    /// No name leads to it any more; it may still be readable by its id.
    Unlink,
    /// Erased, where the store can do that.
    Destroy,
}

/// One slot: observe, act, observe. A guard that no longer fits is [`super::PortError::Conflict`], and nothing changed.
pub trait SecretStore {
    /// What the store can do.
    fn caps(&self) -> StoreCaps;
    /// What is there, without values.
    async fn observe(&self) -> Result<Snapshot>;
    /// Puts a value beside the current one; readers do not notice. A pending version of another run is a conflict that names it.
    async fn stage(&self, run: &RunId, value: &SecretText) -> Result<(Option<VersionId>, Snapshot)>;
    /// Makes this run's pending version current, in our field only, if the guard still fits.
    async fn promote(&self, run: &RunId, guard: &str) -> Result<Snapshot>;
    /// Makes the old value current again, in our field of the document as it is now, if the guard still fits.
    async fn demote(&self, run: &RunId, guard: &str, old: &SecretText) -> Result<Snapshot>;
    /// Changes the guard and nothing else, so that a promote on its way is refused.
    async fn fence(&self, guard: &str) -> Result<Snapshot>;
    /// Removes this run's pending version; success when there is none.
    async fn drop_pending(&self, run: &RunId) -> Result<Snapshot>;
    /// Removes what leads to the old version; success when there is nothing.
    async fn retire(&self, run: &RunId, level: Retire) -> Result<Snapshot>;
    /// Reads a value back; none when that version does not exist.
    async fn read(&self, place: Place) -> Result<Option<SecretText>>;
}
