//! Secret stores: one file per vendor, one variant each.

#[cfg(feature = "aws")]
pub mod aws;
mod file;

#[cfg(feature = "aws")]
pub use aws::AwsStore;
pub use file::{Field, FileStore};

use crate::ports::{Place, Result, Retire, SecretStore};
use crate::rotation::{RunId, Snapshot, StoreCaps, VersionId};
use crate::secret::SecretText;

/// Any store of this build.
pub enum AnyStore {
    /// A file.
    File(FileStore),
    /// AWS Secrets Manager.
    #[cfg(feature = "aws")]
    Aws(AwsStore),
}

impl AnyStore {
    /// How messages name the slot.
    pub fn name(&self) -> String {
        match self {
            Self::File(store) => store.name(),
            #[cfg(feature = "aws")]
            Self::Aws(store) => store.name(),
        }
    }

    /// The canonical address of the slot, for claims.
    pub fn address(&self) -> String {
        match self {
            Self::File(store) => store.address(),
            #[cfg(feature = "aws")]
            Self::Aws(store) => store.address(),
        }
    }
}

impl SecretStore for AnyStore {
    fn caps(&self) -> StoreCaps {
        match self {
            Self::File(store) => store.caps(),
            #[cfg(feature = "aws")]
            Self::Aws(store) => store.caps(),
        }
    }

    async fn observe(&self) -> Result<Snapshot> {
        match self {
            Self::File(store) => store.observe().await,
            #[cfg(feature = "aws")]
            Self::Aws(store) => store.observe().await,
        }
    }

    async fn stage(&self, run: &RunId, value: &SecretText) -> Result<(Option<VersionId>, Snapshot)> {
        match self {
            Self::File(store) => store.stage(run, value).await,
            #[cfg(feature = "aws")]
            Self::Aws(store) => store.stage(run, value).await,
        }
    }

    async fn promote(&self, run: &RunId, guard: &str) -> Result<Snapshot> {
        match self {
            Self::File(store) => store.promote(run, guard).await,
            #[cfg(feature = "aws")]
            Self::Aws(store) => store.promote(run, guard).await,
        }
    }

    async fn demote(&self, run: &RunId, guard: &str, old: &SecretText) -> Result<Snapshot> {
        match self {
            Self::File(store) => store.demote(run, guard, old).await,
            #[cfg(feature = "aws")]
            Self::Aws(store) => store.demote(run, guard, old).await,
        }
    }

    async fn fence(&self, guard: &str) -> Result<Snapshot> {
        match self {
            Self::File(store) => store.fence(guard).await,
            #[cfg(feature = "aws")]
            Self::Aws(store) => store.fence(guard).await,
        }
    }

    async fn drop_pending(&self, run: &RunId) -> Result<Snapshot> {
        match self {
            Self::File(store) => store.drop_pending(run).await,
            #[cfg(feature = "aws")]
            Self::Aws(store) => store.drop_pending(run).await,
        }
    }

    async fn retire(&self, run: &RunId, level: Retire) -> Result<Snapshot> {
        match self {
            Self::File(store) => store.retire(run, level).await,
            #[cfg(feature = "aws")]
            Self::Aws(store) => store.retire(run, level).await,
        }
    }

    async fn read(&self, place: Place) -> Result<Option<SecretText>> {
        match self {
            Self::File(store) => store.read(place).await,
            #[cfg(feature = "aws")]
            Self::Aws(store) => store.read(place).await,
        }
    }
}
