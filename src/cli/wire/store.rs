//! From a slot of the policy to the store behind it.

use super::gateway::Tools;
use crate::adapters::secrets::{AnyStore, AzureStore, CommandStore, Field, FileStore, GoogleStore, VercelStore};
use crate::cli::fault::Fault;
use crate::policy::Policy;
use crate::policy::model::slot::{FileFormat, FileSlot, Slot};
use crate::secret::FingerprintKey;
use std::rc::Rc;

/// Canonical addresses of a policy's slots, without building anything.
pub(crate) fn slot_addresses(policy: &Policy) -> Vec<String> {
    policy
        .slots
        .iter()
        .filter_map(|slot| match slot {
            Slot::File(file) => Some(address_of(file)),
            #[cfg(feature = "vault")]
            Slot::Vault(place) => crate::adapters::secrets::vault::address_of(place),
            #[cfg(not(feature = "vault"))]
            Slot::Vault(_) => None,
            #[cfg(feature = "aws")]
            Slot::Aws(place) => Some(crate::adapters::secrets::aws::address(place)),
            #[cfg(not(feature = "aws"))]
            Slot::Aws(_) => None,
            Slot::Command(place) => Some(crate::adapters::secrets::command::address_of(place)),
            #[cfg(feature = "kubernetes")]
            Slot::Kubernetes(place) => crate::adapters::secrets::kubernetes::address_of(place),
            #[cfg(not(feature = "kubernetes"))]
            Slot::Kubernetes(_) => None,
            #[cfg(feature = "github")]
            Slot::Github(place) => Some(crate::adapters::secrets::github::address_of(place)),
            #[cfg(not(feature = "github"))]
            Slot::Github(_) => None,
            Slot::Gcp(place) => Some(crate::adapters::secrets::google::address_of(place)),
            Slot::Azure(place) => Some(crate::adapters::secrets::azure::address_of(place)),
            Slot::Vercel(place) => Some(crate::adapters::secrets::vercel::address_of(place)),
        })
        .collect()
}

fn address_of(file: &FileSlot) -> String {
    // The address needs no key; this one never makes a fingerprint.
    FingerprintKey::from_bytes(&[0; 32]).map(|key| FileStore::new(&file.path, field(file), Rc::new(key)).address()).unwrap_or_default()
}

fn field(file: &FileSlot) -> Field {
    match (file.format(), &file.name) {
        (FileFormat::Dotenv, Some(name)) => Field::Variable(name.as_str().to_owned()),
        (FileFormat::Dotenv | FileFormat::Plain, _) => Field::Whole,
    }
}

/// The store behind a slot; none for a kind that is not in this build, which the planner refuses by name.
pub(super) fn store(slot: &Slot, tools: &Tools<'_>) -> Result<Option<AnyStore>, Fault> {
    match slot {
        Slot::File(file) => Ok(Some(AnyStore::File(FileStore::new(&file.path, field(file), tools.fingerprints.clone())))),
        #[cfg(feature = "vault")]
        Slot::Vault(place) => {
            let timeout = tools.call_timeout(None).std();
            let store = crate::adapters::secrets::VaultStore::new(place, tools.references.clone(), tools.fingerprints.clone(), timeout)
                .map_err(|e| Fault::usage(e.to_string()))?;
            Ok(Some(AnyStore::Vault(Box::new(store))))
        }
        #[cfg(not(feature = "vault"))]
        Slot::Vault(_) => Ok(None),
        #[cfg(feature = "aws")]
        Slot::Aws(place) => {
            let store = crate::adapters::secrets::AwsStore::new(place.clone(), tools.fingerprints.clone());
            Ok(Some(AnyStore::Aws(Box::new(store))))
        }
        #[cfg(not(feature = "aws"))]
        Slot::Aws(_) => Ok(None),
        Slot::Command(place) => {
            let (withhold, scrubber) = (tools.references.withhold.clone(), tools.references.scrubber.clone());
            let folder = tools.state.root().join("children");
            let store = CommandStore::new(place.clone(), withhold, scrubber, tools.fingerprints.clone(), &folder);
            Ok(Some(AnyStore::Command(Box::new(store))))
        }
        #[cfg(feature = "kubernetes")]
        Slot::Kubernetes(place) => {
            let settings = super::kubernetes::settings(tools);
            let store = crate::adapters::secrets::KubernetesStore::new(place, tools.fingerprints.clone(), settings)
                .map_err(|e| Fault::usage(e.to_string()))?;
            Ok(Some(AnyStore::Kubernetes(Box::new(store))))
        }
        #[cfg(not(feature = "kubernetes"))]
        Slot::Kubernetes(_) => Ok(None),
        #[cfg(feature = "github")]
        Slot::Github(place) => {
            let (references, fingerprints) = (tools.references.clone(), tools.fingerprints.clone());
            let store = crate::adapters::secrets::GithubStore::new(place.clone(), references, fingerprints, tools.call_timeout(None).std())
                .map_err(|e| Fault::usage(e.to_string()))?;
            Ok(Some(AnyStore::Github(Box::new(store.beside(others(tools)?)))))
        }
        #[cfg(not(feature = "github"))]
        Slot::Github(_) => Ok(None),
        Slot::Gcp(place) => {
            let (references, fingerprints) = (tools.references.clone(), tools.fingerprints.clone());
            let store = GoogleStore::new(place.clone(), references, fingerprints, tools.call_timeout(None).std())
                .map_err(|e| Fault::usage(e.to_string()))?;
            Ok(Some(AnyStore::Google(Box::new(store))))
        }
        Slot::Azure(place) => {
            let (references, fingerprints) = (tools.references.clone(), tools.fingerprints.clone());
            let store = AzureStore::new(place.clone(), references, fingerprints, tools.call_timeout(None).std())
                .map_err(|e| Fault::usage(e.to_string()))?;
            Ok(Some(AnyStore::Azure(Box::new(store))))
        }
        Slot::Vercel(place) => {
            let (references, fingerprints) = (tools.references.clone(), tools.fingerprints.clone());
            let store = VercelStore::new(place.clone(), references, fingerprints, tools.call_timeout(None).std())
                .map_err(|e| Fault::usage(e.to_string()))?;
            Ok(Some(AnyStore::Vercel(Box::new(store))))
        }
    }
}

/// Second handles of the policy's slots that may give a value back, for those that never do.
#[cfg(feature = "github")]
fn others(tools: &Tools<'_>) -> Result<Vec<AnyStore>, Fault> {
    let readable = tools.policy.slots.iter().filter(|slot| !matches!(slot, Slot::Github(_)));
    readable.filter_map(|slot| store(slot, tools).transpose()).collect()
}
