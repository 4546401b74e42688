//! Secret stores: one file per vendor, one variant each.

#[cfg(feature = "aws")]
pub mod aws;
pub mod azure;
mod check;
pub mod command;
mod file;
#[cfg(feature = "github")]
pub mod github;
pub mod google;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
mod rest;
#[cfg(feature = "vault")]
pub mod vault;
pub mod vercel;

#[cfg(feature = "aws")]
pub use aws::AwsStore;
pub use azure::AzureStore;
pub use command::CommandStore;
pub use file::{Field, FileStore};
#[cfg(feature = "github")]
pub use github::GithubStore;
pub use google::GoogleStore;
#[cfg(feature = "kubernetes")]
pub use kubernetes::KubernetesStore;
#[cfg(feature = "vault")]
pub use vault::VaultStore;
pub use vercel::VercelStore;

use crate::ports::{Place, Result, Retire, SecretStore};
use crate::rotation::{RunId, Snapshot, StoreCaps, VersionId};
use crate::secret::SecretText;

/// Any store of this build.
pub enum AnyStore {
    /// A file.
    File(FileStore),
    /// A program.
    Command(Box<CommandStore>),
    /// GitHub.
    #[cfg(feature = "github")]
    Github(Box<GithubStore>),
    /// Google Secret Manager.
    Google(Box<GoogleStore>),
    /// Azure Key Vault.
    Azure(Box<AzureStore>),
    /// Vercel.
    Vercel(Box<VercelStore>),
    /// AWS Secrets Manager.
    #[cfg(feature = "aws")]
    Aws(Box<AwsStore>),
    /// A Secret in Kubernetes.
    #[cfg(feature = "kubernetes")]
    Kubernetes(Box<KubernetesStore>),
    /// Vault or OpenBao.
    #[cfg(feature = "vault")]
    Vault(Box<VaultStore>),
}

/// The same call on whichever variant there is.
macro_rules! forward {
    ($any:expr, $one:ident => $call:expr) => {
        match $any {
            Self::File($one) => $call,
            Self::Command($one) => $call,
            Self::Vercel($one) => $call,
            Self::Azure($one) => $call,
            Self::Google($one) => $call,
            #[cfg(feature = "github")]
            Self::Github($one) => $call,
            #[cfg(feature = "aws")]
            Self::Aws($one) => $call,
            #[cfg(feature = "kubernetes")]
            Self::Kubernetes($one) => $call,
            #[cfg(feature = "vault")]
            Self::Vault($one) => $call,
        }
    };
}

impl AnyStore {
    /// How messages name the slot.
    pub fn name(&self) -> String {
        forward!(self, s => s.name())
    }

    /// The canonical address of the slot, for claims.
    pub fn address(&self) -> String {
        forward!(self, s => s.address())
    }
}

impl SecretStore for AnyStore {
    fn caps(&self) -> StoreCaps {
        forward!(self, s => s.caps())
    }

    async fn observe(&self) -> Result<Snapshot> {
        forward!(self, s => s.observe().await)
    }

    async fn stage(&self, run: &RunId, value: &SecretText) -> Result<(Option<VersionId>, Snapshot)> {
        forward!(self, s => s.stage(run, value).await)
    }

    async fn promote(&self, run: &RunId, guard: &str) -> Result<Snapshot> {
        forward!(self, s => s.promote(run, guard).await)
    }

    async fn demote(&self, run: &RunId, guard: &str, old: &SecretText) -> Result<Snapshot> {
        forward!(self, s => s.demote(run, guard, old).await)
    }

    async fn fence(&self, guard: &str) -> Result<Snapshot> {
        forward!(self, s => s.fence(guard).await)
    }

    async fn drop_pending(&self, run: &RunId) -> Result<Snapshot> {
        forward!(self, s => s.drop_pending(run).await)
    }

    async fn retire(&self, run: &RunId, level: Retire) -> Result<Snapshot> {
        forward!(self, s => s.retire(run, level).await)
    }

    async fn read(&self, place: Place) -> Result<Option<SecretText>> {
        forward!(self, s => s.read(place).await)
    }
}
