//! What calls to a cluster need: for slots, and for the workloads that read them.

use super::gateway::Tools;
use crate::adapters::consumers::kubernetes::{self as consumers, Workloads};
use crate::adapters::secrets::AnyStore;
use crate::adapters::secrets::kubernetes::Settings;
use crate::cli::clock::{SystemClock, wall};
use crate::cli::signals::Stop as Signal;
use crate::policy::model::slot::Slot;
use crate::ports::{Clock as _, Place, SecretStore as _};
use crate::rotation::Span;
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
    let of_policy = tools.policy.slots.iter();
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
        slots: of_policy.filter_map(|s| if let Slot::Kubernetes(slot) = s { Some(slot.clone()) } else { None }).collect(),
        fingerprints: tools.fingerprints.clone(),
        holds,
        pause,
    })
}
