//! Looking, without changing anything: the world against the journal, and the inventory for a plan.

use super::{Engine, Observer, Stop};
use crate::ports::{Gateway, PortError, Ports, Prober, SecretStore, UsageQuery, UsageSource};
use crate::rotation::{
    Drift, EndpointFacts, GatewayCaps, Inventory, KeyFacts, KeyId, Record, RequestId, Seen, SlotNo, SlotSeen, Snapshot, Span, Which, drift,
};
use crate::secret::FingerprintKey;
use std::collections::BTreeMap;

impl<P: Ports, O: Observer> Engine<'_, P, O> {
    /// Compares everything the run relies on with what is there now.
    pub(super) async fn look_around(&mut self) -> Result<(), Stop> {
        let seen = match self.see().await {
            Ok(seen) => seen,
            Err(e) => return Err(self.unreachable(&e.to_string())),
        };
        let found: Vec<Drift> = drift(&self.run, &seen);
        let guards = seen
            .slots
            .iter()
            .zip(&self.run.slots)
            .enumerate()
            .filter(|(_, (shown, known))| shown.guard != known.guard)
            .map(|(i, (shown, _))| (SlotNo(u16::try_from(i).unwrap_or(u16::MAX)), shown.guard.clone()))
            .collect();
        let weaker = weaker(&self.run.caps, &seen.caps);
        self.record(Record::Looked { drift: found, guards, weaker: weaker.map(Box::new) }).await
    }

    async fn see(&self) -> Result<Seen, PortError> {
        let gateway = self.ports.gateway();
        let identity = gateway.identity().await?;
        let caps = gateway.capabilities().await?;
        let keys = gateway.list().await?;
        let mut slots: Vec<Snapshot> = Vec::new();
        for i in 0..self.run.slots.len() {
            slots.push(self.store(SlotNo(u16::try_from(i).unwrap_or(u16::MAX)))?.observe().await?);
        }
        let models = match self.run.plan.kind {
            crate::rotation::Kind::Router => Vec::new(),
            crate::rotation::Kind::Provider { .. } => gateway.models().await?,
        };
        Ok(Seen { identity, caps, keys, slots, models, old_value: None })
    }
}

/// The longer of each waiting time: what is slower now is believed, what is faster is not.
fn weaker(known: &GatewayCaps, now: &GatewayCaps) -> Option<GatewayCaps> {
    let mut slower = known.clone();
    slower.settles_in = known.settles_in.max(now.settles_in);
    slower.refusal_cache = known.refusal_cache.max(now.refusal_cache);
    (slower != *known).then_some(slower)
}

/// Chooses the outgoing key from the listing and from what each slot was found to hold.
pub type Pick<'a> = &'a dyn Fn(&[KeyFacts], &[Option<KeyId>]) -> Option<KeyId>;

/// What the inventory is read for.
pub struct Wanted<'a> {
    /// The driver's name.
    pub driver: &'a str,
    /// Where the data plane can be tried.
    pub endpoints: Vec<EndpointFacts>,
    /// Name and canonical address of each slot of the policy.
    pub slots: Vec<(String, String)>,
    /// How far back callers are looked for.
    pub look_back: Span,
    /// Which key is meant.
    pub pick: Pick<'a>,
}

/// Reads everything a plan rests on. Writes nothing; asks the gateway once per readable slot whose value that is.
///
/// # Errors
/// When a system cannot be reached or refuses.
pub async fn inventory<P: Ports>(ports: &P, wanted: Wanted<'_>) -> Result<Inventory, PortError> {
    let gateway = ports.gateway();
    let identity = gateway.identity().await?;
    let caps = gateway.capabilities().await?;
    let keys = gateway.list().await?;
    let models = gateway.models().await?;
    let now = gateway.now().await?;
    let mut slots = Vec::new();
    let mut own = BTreeMap::new();
    for (i, (name, address)) in wanted.slots.into_iter().enumerate() {
        let number = SlotNo(u16::try_from(i).unwrap_or(u16::MAX));
        let missing = || PortError::Unsupported { system: name.clone(), action: "find the store".into() };
        let store = ports.slot(number).ok_or_else(missing)?;
        let snapshot = store.observe().await?;
        let holds = match store.read(crate::ports::Place::Current).await? {
            Some(value) => {
                let request = request_id(ports.fingerprints())?;
                own.insert(request.clone(), Which::Old);
                ports.prober().identify(&value, &request).await?
            }
            None => None,
        };
        slots.push(SlotSeen { name, address, caps: store.caps(), snapshot, holds });
    }
    let held: Vec<Option<KeyId>> = slots.iter().map(|s| s.holds.clone()).collect();
    let usage = ports.usage().describe().await?;
    let callers = match (wanted.pick)(&keys, &held) {
        Some(old) => {
            let query = UsageQuery { old: &old, new: None, from: now.minus(wanted.look_back), to: now, own: &own };
            ports.usage().read(query).await?.old
        }
        None => BTreeMap::new(),
    };
    Ok(Inventory {
        v: 1,
        at: now,
        driver: wanted.driver.to_owned(),
        identity,
        caps,
        endpoints: wanted.endpoints,
        keys,
        models,
        slots,
        usage,
        callers,
        fingerprint_check: ports.fingerprints().check_value(),
    })
}

pub(super) fn request_id(key: &FingerprintKey) -> Result<RequestId, PortError> {
    let id = crate::support::own_call::make(key).map_err(|e| PortError::Unreachable {
        system: "the system's random source".into(),
        why: e.to_string(),
        may_have_happened: false,
    })?;
    Ok(RequestId::new(id))
}
