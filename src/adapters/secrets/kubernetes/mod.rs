//! A slot in Kubernetes: one key of a Secret.
//!
//! Writing there *is* the flip, so the new value waits in a Secret of its own beside it, which says whose it is. Promote and demote are one
//! patch that changes exactly our key and that the API server takes only if the Secret is still at the version that was read. Kubernetes
//! keeps no history, so the old value is put into a second helper before each promote; both helpers are removed in the end.
//!
//! Helpers have one name for every run, so two runs meet at the same name, the second one is refused, and the login needs rights on named
//! Secrets only, never the right to list them. Where a controller keeps the Secret as it is, nothing is staged: it would undo the change.
//!
//! What a reader of the Secret holds is another matter: environment variables never change in a running container. That is what the
//! consumers' side is for.

mod check;
mod cluster;
mod login;
mod object;
mod owner;
mod place;
mod problem;
mod store;

pub use cluster::Cluster;
pub(crate) use cluster::parse;
pub use login::Wanted;
pub(crate) use object::Object;
pub use place::{is_label, is_subdomain};
pub use problem::Problem;

use crate::policy::model::slot::KubernetesSlot;
use crate::ports::PortError;
use crate::secret::{FingerprintKey, Scrubber};
use kube::config::Kubeconfig;
use place::Place;
use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Duration;

/// One slot in Kubernetes.
pub struct KubernetesStore {
    place: Place,
    cluster: Rc<Cluster>,
    fingerprints: Rc<FingerprintKey>,
    /// What the login may not do here, asked once.
    lacks: OnceCell<Vec<String>>,
}

/// What calls need besides the place.
pub struct Settings {
    /// One call takes no longer.
    pub timeout: Duration,
    /// Variables that no login program gets.
    pub withhold: Vec<String>,
    /// Learns the tokens that login programs give.
    pub scrubber: Scrubber,
    /// Stands for the kubeconfig of the environment.
    pub kubeconfig: Option<Kubeconfig>,
}

impl KubernetesStore {
    /// A slot; nobody is asked yet.
    ///
    /// # Errors
    /// When the place cannot be meant, no way in is found, or the way in leads to another cluster than the policy names.
    pub fn new(written: &KubernetesSlot, fingerprints: Rc<FingerprintKey>, settings: Settings) -> Result<Self, PortError> {
        let named =
            crate::support::text::clean_to(&format!("kubernetes {}/{} key {}", written.namespace, written.secret, written.key), 300);
        let refused = |why: String| PortError::Refused { system: named, action: "use the place".into(), why };
        let place = match Place::of(written) {
            Ok(place) => place,
            Err(why) => return Err(refused(why)),
        };
        let wanted = Wanted { context: written.context.clone(), cluster: written.cluster.clone() };
        let cluster = Cluster::new(wanted, settings.kubeconfig, settings.timeout, settings.withhold, settings.scrubber).map_err(refused)?;
        Ok(Self { place, cluster: Rc::new(cluster), fingerprints, lacks: OnceCell::new() })
    }

    /// How messages name it.
    pub fn name(&self) -> String {
        self.place.name()
    }

    /// The same for every way to write this place down, as long as the API server has one address; for claims.
    pub fn address(&self) -> String {
        format!("kubernetes:{}/{}/{}#{}", self.cluster.server(), self.place.namespace, self.place.secret, self.place.key)
    }
}

/// The canonical address of a slot, without asking anybody; none when it cannot be meant.
pub fn address_of(written: &KubernetesSlot) -> Option<String> {
    // The address needs no key; this one never makes a fingerprint.
    let key = Rc::new(FingerprintKey::from_bytes(&[0; 32]).ok()?);
    let settings = Settings { timeout: Duration::from_secs(1), withhold: Vec::new(), scrubber: Scrubber::new(), kubeconfig: None };
    KubernetesStore::new(written, key, settings).ok().map(|store| store.address())
}
