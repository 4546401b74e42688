//! What calls to a cluster need: for slots, for the workloads that read them, and to find those workloads.

use super::credentials;
use super::gateway::Tools;
use crate::adapters::consumers::kubernetes::discover::{self, Referrer};
use crate::adapters::consumers::kubernetes::{self as consumers, Workloads};
use crate::adapters::reference;
use crate::adapters::secrets::AnyStore;
use crate::adapters::secrets::kubernetes::{Cluster, Settings, Wanted};
use crate::cli::clock::{SystemClock, wall};
use crate::cli::fault::{Fault, exit};
use crate::cli::load::LoadedPolicy;
use crate::cli::signals::Stop as Signal;
use crate::policy::Policy;
use crate::policy::model::consumer::{Consumer, Consumers, Discover};
use crate::policy::model::slot::{KubernetesSlot, Slot};
use crate::ports::{Clock as _, Place, SecretStore as _};
use crate::rotation::Span;
use crate::secret::Scrubber;
use serde_json::json;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

/// The settings of a slot's calls.
pub(super) fn settings(tools: &Tools<'_>) -> Settings {
    Settings {
        timeout: tools.call_timeout(None).std(),
        withhold: tools.references.withhold.clone(),
        scrubber: tools.scrubber.clone(),
        kubeconfig: None,
    }
}

/// The workloads among a policy's consumers.
pub(super) fn workloads(tools: &Tools<'_>, slots: &Rc<Vec<AnyStore>>, signal: &Signal) -> Workloads {
    let (stores, fingerprints) = (slots.clone(), tools.fingerprints.clone());
    let holds: consumers::SlotHolds = Rc::new(move || {
        let (stores, fingerprints) = (stores.clone(), fingerprints.clone());
        Box::pin(async move {
            let Some(first) = stores.first() else { return Ok(None) };
            Ok(first.read(Place::Current).await?.map(|value| fingerprints.of(&value)))
        })
    });
    let signal = signal.clone();
    let pause: consumers::Pause = Rc::new(move |length: Duration| {
        let signal = signal.clone();
        Box::pin(async move {
            let millis = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
            SystemClock::new(signal.clone()).sleep_until(wall().plus(Span(millis))).await;
            !signal.is_asked()
        })
    });
    Workloads::new(consumers::Settings {
        timeout: tools.call_timeout(None).std(),
        withhold: tools.references.withhold.clone(),
        scrubber: tools.scrubber.clone(),
        kubeconfig: None,
        slots: slots_of(tools.policy).cloned().collect(),
        fingerprints: tools.fingerprints.clone(),
        holds,
        pause,
    })
}

/// One call of a search takes no longer.
const CALL: Duration = Duration::from_secs(20);

fn slots_of(policy: &Policy) -> impl Iterator<Item = &KubernetesSlot> {
    policy.slots.iter().filter_map(|slot| if let Slot::Kubernetes(slot) = slot { Some(slot) } else { None })
}

/// The same policy with the consumers written out that it leaves to be found. What was found is frozen into the plan.
pub(crate) async fn found(mut loaded: LoadedPolicy) -> Result<LoadedPolicy, Fault> {
    let Some(Consumers::Discovered(wanted)) = &loaded.policy.consumers else { return Ok(loaded) };
    match wanted.discover {
        Discover::Kubernetes(_) => {}
    }
    let refused = |why: String| Fault::new(exit::REFUSED, format!("find the consumers: {why}"));
    let mut withheld = reference::variables(credentials::references_of(&loaded.policy));
    withheld.extend(credentials::variables_of_slots(&loaded.policy));
    let mut consumers: Vec<Consumer> = Vec::new();
    let mut names = BTreeSet::new();
    for slot in slots_of(&loaded.policy) {
        let wanted = Wanted { context: slot.context.clone(), cluster: slot.cluster.clone() };
        let cluster = Cluster::new(wanted, None, CALL, withheld.clone(), Scrubber::new()).map_err(refused)?;
        let referrers = discover::all_referencing(&cluster, &slot.namespace, &slot.secret, &slot.key)
            .await
            .map_err(|p| Fault::from(p.into_port("kubernetes", "find the consumers", false)))?;
        for one in referrers {
            let name = if names.insert(one.name.clone()) { one.name.clone() } else { format!("{}-{}", one.name, one.sort.word()) };
            consumers.push(consumer(slot, &one, &name).ok_or_else(|| refused(format!("{name} cannot be written down as a consumer")))?);
        }
    }
    if consumers.is_empty() {
        return Err(refused("no workload refers to the Secret of a `kubernetes` slot".into())
            .hint("programs that ask the API for it cannot be found; list them under `consumers:`"));
    }
    loaded.policy.consumers = Some(Consumers::Listed(consumers));
    loaded.frozen.effective = serde_json::to_string(&loaded.policy).unwrap_or_default();
    Ok(loaded)
}

fn consumer(slot: &KubernetesSlot, one: &Referrer, name: &str) -> Option<Consumer> {
    let mut reload = json!({ "namespace": slot.namespace, one.sort.word(): one.name, "reads": { "secret": slot.secret, "key": slot.key } });
    let fields = reload.as_object_mut()?;
    for (field, value) in [("context", &slot.context), ("cluster", &slot.cluster)] {
        fields.extend(value.iter().map(|v| (field.to_owned(), v.as_str().into())));
    }
    if one.needs_restart() {
        fields.insert("restart".into(), true.into());
    }
    let cadence = one.every.map_or_else(|| json!("continuous"), |seconds| json!(format!("{seconds}s")));
    serde_json::from_value(json!({ "app": name, "cadence": cadence, "reload": { "kubernetes": reload } })).ok()
}
