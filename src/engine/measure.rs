//! Everything one gate needs to be judged: calls, usage, acknowledgements, looked-up facts. Taken once per judgement.

use super::look::request_id;
use super::{Engine, Observer, Stop};
use crate::ports::{Consumers, Gateway, PortError, Ports, Prober, SecretStore, UsageQuery, UsageSource};
use crate::rotation::{
    Ack, Ask, CallFacts, Check, Endpoint, Kind, Must, OwnRow, Point, Probe, Reading, Record, RequestId, SCOPE_FACT, SlotNo, Span, Time,
    Which, differing,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The usage is read from a little before the run: clocks differ.
const SKEW: Span = Span::seconds(2);

/// Calls that a judgement needs.
struct Wanted {
    endpoint: Endpoint,
    probe: Probe,
    key: Which,
}

impl<P: Ports, O: Observer> Engine<'_, P, O> {
    pub(super) async fn measure(&mut self, point: &Point) -> Result<Reading, Stop> {
        let plan = Arc::clone(&self.run.plan);
        let urgent = self.run.emergency.is_some();
        let checks: Vec<&Check> = plan.checks(point).iter().filter(|c| !(c.skippable && urgent)).collect();
        let mut errors = BTreeMap::new();
        let calls = self.calls(point, &checks, &mut errors).await?;
        let source_now = match self.ports.gateway().now().await {
            Ok(now) => Some(now),
            Err(e) => {
                errors.insert("source_now".into(), e.to_string());
                None
            }
        };
        // Both clocks at one instant: what follows may take seconds, and would shorten every window by them.
        let stamp = self.stamp();
        let usage = match (checks.iter().any(|c| needs_usage(&c.ask)), source_now) {
            (true, Some(now)) => self.usage(now, &mut errors).await,
            (true | false, _) => None,
        };
        let usage = usage.map(|mut table| {
            let attributed = checks.iter().any(|c| c.ask == Ask::Attributed);
            let asked = |id: &RequestId| attributed && self.run.tested.iter().chain(&calls).any(|c| c.request == *id);
            keep_recent(&mut table.own, asked);
            table
        });
        let acks = if checks.iter().any(|c| matches!(c.ask, Ask::Coverage { .. } | Ask::Zero { .. })) {
            self.acks(&mut errors).await
        } else {
            Vec::new()
        };
        let mut facts = BTreeMap::new();
        for check in &checks {
            let (key, fact) = match &check.ask {
                Ask::Invariant(Must::NoneRefused(_) | Must::Serves(_)) => continue,
                Ask::Invariant(must) => (must.key(), self.fact(must).await?),
                Ask::Equal { allow } => (SCOPE_FACT.to_owned(), self.scope(allow).await),
                Ask::Accept { .. }
                | Ask::Reject { .. }
                | Ask::Zero { .. }
                | Ask::Coverage { .. }
                | Ask::UnknownCallers
                | Ask::Attributed
                | Ask::Elapsed { .. }
                | Ask::Soak { .. }
                | Ask::Human { .. }
                | Ask::Later { .. } => continue,
            };
            match fact {
                Ok(looked) => {
                    facts.insert(key, looked);
                }
                Err(e) => {
                    errors.insert(key, e.to_string());
                }
            }
        }
        Ok(Reading { stamp, source_now, calls, usage, acks, facts, errors })
    }

    /// Makes the calls this point needs. Their ids are on disk before the first one leaves.
    async fn calls(&mut self, point: &Point, checks: &[&Check], errors: &mut BTreeMap<String, String>) -> Result<Vec<CallFacts>, Stop> {
        let wanted = self.wanted_calls(point, checks);
        let mut ready = Vec::new();
        for call in wanted {
            match self.value(call.key).await {
                Ok(Some(value)) => {
                    let request = request_id(self.ports.fingerprints()).map_err(|e| self.unreachable(&e.to_string()))?;
                    ready.push((call, value, request));
                }
                Ok(None) => {
                    errors.insert(format!("{}_value", call.key.name()), "its value cannot be read any more".into());
                }
                Err(e) => {
                    errors.insert(format!("{}_value", call.key.name()), e.to_string());
                }
            }
        }
        if ready.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<(RequestId, Which)> = ready.iter().map(|(c, _, id)| (id.clone(), c.key)).collect();
        self.record(Record::Calls { ids }).await?;
        let mut made = Vec::new();
        for (call, value, request) in ready {
            let at = self.stamp().at;
            let answer = self.ports.prober().call(&call.endpoint, &call.probe, &value, &request).await;
            made.push(CallFacts {
                request,
                endpoint: call.endpoint,
                family: call.probe.family,
                key: call.key,
                class: answer.class,
                status: answer.status,
                at,
            });
        }
        Ok(made)
    }

    /// Which calls each check asks for. Inside a drain window the key that is drained is never called.
    fn wanted_calls(&self, point: &Point, checks: &[&Check]) -> Vec<Wanted> {
        let plan = &self.run.plan;
        let mut wanted: BTreeSet<(Endpoint, usize, Which)> = BTreeSet::new();
        let endpoints: Vec<Endpoint> = plan.gateway.endpoints.iter().map(|e| e.endpoint.clone()).collect();
        let have_new = self.run.new.is_some();
        let provider = matches!(plan.kind, Kind::Provider { .. });
        let mut call = |key: Which, all_families: bool| {
            if key == Which::New && !have_new {
                return;
            }
            let families = if all_families { plan.probes.len() } else { plan.probes.len().min(1) };
            for endpoint in &endpoints {
                wanted.extend((0..families).map(|f| (endpoint.clone(), f, key)));
            }
        };
        for check in checks {
            match &check.ask {
                Ask::Accept { key } => call(*key, true),
                // The gateway's log does not see what we send to the provider.
                Ask::Soak { .. } | Ask::Zero { .. } if provider => {}
                Ask::Reject { key } | Ask::Soak { key, .. } => {
                    call(*key, false);
                    call(other(*key), false);
                }
                Ask::Zero { key } => call(other(*key), false),
                Ask::Attributed => call(Which::New, false),
                Ask::Equal { .. }
                | Ask::Coverage { .. }
                | Ask::UnknownCallers
                | Ask::Invariant(_)
                | Ask::Elapsed { .. }
                | Ask::Human { .. }
                | Ask::Later { .. } => {}
            }
        }
        // A canary compares: the same request with the old key, while that disturbs nothing.
        if (*point == Point::Canary || *point == Point::Prepared) && plan.knows_old() {
            call(Which::Old, true);
        }
        wanted
            .into_iter()
            .filter_map(|(endpoint, family, key)| plan.probes.get(family).map(|p| Wanted { endpoint, probe: p.clone(), key }))
            .collect()
    }

    async fn usage(&self, now: Time, errors: &mut BTreeMap<String, String>) -> Option<crate::rotation::UsageTable> {
        let offset = now.0.saturating_sub(self.stamp().at.0);
        let start = self.run.since.start.as_ref().map_or(now, |s| Time(s.at.0.saturating_add(offset)));
        let new = self.run.new.as_ref().map(|n| &n.id);
        let query = UsageQuery { old: &self.run.plan.old.id, new, from: start.minus(SKEW), to: now, own: &self.run.own };
        match self.ports.usage().read(query).await {
            Ok(table) => Some(table),
            Err(e) => {
                errors.insert("usage".into(), e.to_string());
                None
            }
        }
    }

    async fn acks(&self, errors: &mut BTreeMap<String, String>) -> Vec<Ack> {
        let mut acks = Vec::new();
        for consumer in self.run.plan.consumers.iter().filter(|c| c.acks) {
            match self.ports.consumers().acknowledged(&consumer.app).await {
                Ok(ack) => acks.extend(ack),
                Err(e) => {
                    errors.insert(format!("ack_{}", consumer.app), e.to_string());
                }
            }
        }
        acks
    }

    async fn scope(&self, allow: &[String]) -> Result<Looked, PortError> {
        #[cfg(feature = "bugs")]
        if self.run.phase != crate::rotation::Phase::Prepare && crate::bugs::on(crate::bugs::Bug::ParityNotRechecked) {
            return Ok(looked(true, "not compared"));
        }
        let keys = self.keys().await?;
        let Some(new) = self.run.new.as_ref().and_then(|n| keys.iter().find(|k| k.id == n.id)) else {
            return Ok(looked(false, "the new key is not listed"));
        };
        let old = keys.iter().find(|k| k.id == self.run.plan.old.id).unwrap_or(&self.run.plan.old);
        // Not broader than the old key was when planned, nor than it is now.
        let mut fields = differing(&old.scope, &new.scope, allow);
        fields.extend(differing(&self.run.plan.old.scope, &new.scope, allow));
        if old.owner != new.owner {
            fields.push("owner".into());
        }
        if old.expires_at.is_some() && new.expires_at.is_none() {
            fields.push("expires_at".into());
        }
        fields.sort();
        fields.dedup();
        if fields.is_empty() {
            return Ok(looked(true, &format!("{} permissions are equal", new.scope.len())));
        }
        Ok(looked(false, &format!("these differ between old and new key: {}", fields.join(", "))))
    }

    async fn fact(&mut self, must: &Must) -> Result<Result<Looked, PortError>, Stop> {
        Ok(match must {
            Must::SlotsHoldOld => return self.binding().await,
            Must::PendingIsNew => self.pending_is_new().await,
            Must::SlotsHold(which) => self.slots_hold(*which).await,
            Must::AdminDiffers => self.admin_differs().await,
            Must::WayBack => self.way_back().await,
            Must::SingleNew => self.marked_keys().await.map(|found| match (found.as_slice(), &self.run.new) {
                ([one], Some(new)) if *one == new.id => looked(true, "exactly one key carries this run's marker"),
                (found, _) => looked(false, &format!("{} keys carry this run's marker", found.len())),
            }),
            Must::NoneNew => self.none_marked().await,
            Must::NoReference(which) => {
                let id = self.id_of(*which);
                self.ports.gateway().models().await.map(|models| {
                    let left: Vec<String> = models.iter().filter(|(_, at)| Some(at) == id.as_ref()).map(|(m, _)| m.to_string()).collect();
                    if left.is_empty() {
                        looked(true, "no model references it")
                    } else {
                        looked(false, &format!("still referenced by {}", left.join(", ")))
                    }
                })
            }
            Must::Projected(which) => self.projected(*which).await,
            Must::Absent(which) => {
                let id = self.id_of(*which);
                let sentinel = self.sentinel();
                self.keys().await.map(|keys| {
                    let there = keys.iter().any(|k| Some(&k.id) == id.as_ref());
                    let sure = sentinel.as_ref().is_none_or(|s| keys.iter().any(|k| k.id == *s));
                    match (there, sure) {
                        (true, _) => looked(false, "the gateway still lists it"),
                        (false, true) => looked(true, "not listed, while a key that must be listed is"),
                        (false, false) => looked(false, "not listed, but neither is a key that must be listed"),
                    }
                })
            }
            Must::NoneRefused(_) | Must::Serves(_) => Ok(looked(true, "judged from the usage")),
            Must::Listed(which) => self.listed(*which).await,
            Must::Searchable => self.searchable().await,
            Must::CadenceKnown => Ok(looked(true, "every consumer names its cadence")),
            Must::EvidenceComplete => {
                let missing = self.run.missing_evidence();
                Ok(if missing.is_empty() {
                    looked(true, "every required item is there")
                } else {
                    looked(false, &format!("missing: {}", missing.join(", ")))
                })
            }
        })
    }

    /// The values in the slots are accepted as the key that is rotated. Asked with the gateway's own answer to "whose key is this".
    async fn binding(&mut self) -> Result<Result<Looked, PortError>, Stop> {
        let waived = self.run.plan.accepts("unproven_binding");
        for i in 0..self.run.slots.len() {
            let name = self.run.plan.slots.get(i).map(|s| s.name.clone()).unwrap_or_default();
            let store = match self.store(SlotNo(u16::try_from(i).unwrap_or(u16::MAX))) {
                Ok(store) => store,
                Err(e) => return Ok(Err(e)),
            };
            let value = match store.read(crate::ports::Place::Current).await {
                Ok(value) => value,
                Err(e) => return Ok(Err(e)),
            };
            let Some(value) = value else {
                if waived {
                    continue;
                }
                return Ok(Ok(looked(false, &format!("{name} cannot be read back, so what it holds is not proven"))));
            };
            let request = request_id(self.ports.fingerprints()).map_err(|e| self.unreachable(&e.to_string()))?;
            self.record(Record::Calls { ids: vec![(request.clone(), Which::Old)] }).await?;
            match self.ports.prober().identify(&value, &request).await {
                Ok(Some(id)) if id == self.run.plan.old.id => {}
                Ok(Some(id)) => return Ok(Ok(looked(false, &format!("{name} holds key {id}, not {}", self.run.plan.old.id)))),
                Ok(None) if waived => {}
                Ok(None) => return Ok(Ok(looked(false, &format!("the gateway cannot tell whose key {name} holds")))),
                Err(e) => return Ok(Err(e)),
            }
        }
        Ok(Ok(looked(true, &format!("every slot holds {}", self.run.plan.old.id))))
    }

    async fn pending_is_new(&self) -> Result<Looked, PortError> {
        let Some(new) = &self.run.new else { return Ok(looked(false, "there is no new key")) };
        for i in 0..self.run.slots.len() {
            let store = self.store(SlotNo(u16::try_from(i).unwrap_or(u16::MAX)))?;
            let seen = store.observe().await?;
            let ours = !store.caps().read_back && seen.pending_run.as_deref() == Some(self.run.id.as_str());
            if seen.pending_is.as_ref() != Some(&new.value) && !ours {
                return Ok(looked(false, &format!("slot {} does not have the new value waiting", i + 1)));
            }
        }
        Ok(looked(true, "the new value waits in every slot"))
    }

    async fn slots_hold(&self, which: Which) -> Result<Looked, PortError> {
        let mut unseen = 0;
        for (i, planned) in self.run.plan.slots.iter().enumerate() {
            if !planned.caps.read_back || self.run.is_left(i) {
                unseen += 1;
                continue;
            }
            let should = match which {
                Which::Old => planned.current_is.as_ref(),
                Which::New => self.run.new.as_ref().map(|n| &n.value),
            };
            let seen = self.store(SlotNo(u16::try_from(i).unwrap_or(u16::MAX)))?.observe().await?;
            if seen.current_is.as_ref() != should {
                return Ok(looked(false, &format!("{} does not hold the {} value", planned.name, which.name())));
            }
        }
        let which = which.name();
        if unseen == 0 {
            return Ok(looked(true, &format!("every slot holds the {which} value")));
        }
        Ok(looked(true, &format!("every slot that is ours and can be read holds the {which} value ({unseen} not looked at)")))
    }

    async fn admin_differs(&mut self) -> Result<Looked, PortError> {
        let mut old: Vec<_> = self.run.plan.slots.iter().filter_map(|s| s.current_is.clone()).collect();
        if old.is_empty() {
            // A key that no slot shows is known by its reference, where there is one.
            let referenced = self.value(Which::Old).await?;
            old.extend(referenced.map(|value| self.ports.fingerprints().of(&value)));
        }
        let new = self.run.new.as_ref().map(|n| &n.value);
        for (label, fingerprint) in self.ports.credentials() {
            if old.contains(&fingerprint) || new == Some(&fingerprint) {
                return Ok(looked(false, &format!("{label} is the very key that is rotated: give keyroll an identity of its own")));
            }
        }
        Ok(looked(true, "keyroll's own credentials are not the key that is rotated"))
    }

    async fn way_back(&mut self) -> Result<Looked, PortError> {
        Ok(match self.value(Which::Old).await? {
            Some(_) => looked(true, "the old value can be read and put back"),
            None => looked(false, "the old value cannot be read, so there would be nothing to go back to"),
        })
    }

    /// Absence counts only when two listings agree that are further apart than the gateway needs to settle.
    async fn none_marked(&self) -> Result<Looked, PortError> {
        let mut found = self.marked_keys().await?;
        if found.is_empty() {
            self.pause(self.run.caps.settles_in).await;
            found = self.marked_keys().await?;
        }
        Ok(looked(found.is_empty(), &format!("{} keys carry this run's marker", found.len())))
    }

    async fn marked_keys(&self) -> Result<Vec<crate::rotation::KeyId>, PortError> {
        let keys = self.complete_keys().await?;
        let ours = |k: &crate::rotation::KeyFacts| crate::rotation::Marker::run(&k.marker).as_ref() == Some(&self.run.id);
        Ok(keys.into_iter().filter(ours).map(|k| k.id).collect())
    }

    async fn projected(&self, which: Which) -> Result<Looked, PortError> {
        let id = self.id_of(which);
        let rows = self.ports.gateway().projection().await?;
        let ours: Vec<_> = self.run.models.keys().collect();
        let behind: Vec<String> =
            rows.iter().filter(|(_, m, at)| ours.contains(&m) && Some(at) != id.as_ref()).map(|(e, m, _)| format!("{m} at {e}")).collect();
        let served = rows.iter().filter(|(_, m, _)| ours.contains(&m)).count();
        Ok(match (behind.is_empty(), served) {
            (_, 0) if !ours.is_empty() => looked(false, "no replica says what it serves"),
            (true, n) => looked(true, &format!("{n} projections serve it")),
            (false, _) => looked(false, &format!("not yet served by {}", behind.join(", "))),
        })
    }

    /// A key whose value nobody here knows: the listing is all that tells.
    async fn listed(&self, which: Which) -> Result<Looked, PortError> {
        let id = self.id_of(which);
        let keys = self.complete_keys().await?;
        Ok(match keys.iter().find(|k| Some(&k.id) == id.as_ref()) {
            Some(key) if key.enabled => looked(true, &format!("the gateway lists the {} key as accepted", which.name())),
            Some(_) => looked(false, &format!("the gateway lists the {} key as switched off", which.name())),
            None => looked(false, &format!("the gateway does not list the {} key", which.name())),
        })
    }

    /// What the bundle must not hold can be looked for, or the policy lets that go in words.
    async fn searchable(&mut self) -> Result<Looked, PortError> {
        let mut lost = Vec::new();
        if self.value(Which::New).await?.is_none() {
            lost.push("new");
        }
        if self.run.plan.knows_old() && self.value(Which::Old).await?.is_none() {
            lost.push("old");
        }
        Ok(match (lost.is_empty(), self.run.plan.accepts("lost_value_not_searched")) {
            (true, _) => looked(true, "every value can be read and looked for"),
            (false, true) => looked(true, &format!("the policy lets it go in words that the {} value cannot be read", lost.join(" and "))),
            (false, false) => looked(
                false,
                &format!("the {} value died with the process that held it, so the evidence cannot be searched for it", lost.join(" and ")),
            ),
        })
    }

    fn id_of(&self, which: Which) -> Option<crate::rotation::KeyId> {
        match which {
            Which::Old => Some(self.run.plan.old.id.clone()),
            Which::New => self.run.new.as_ref().map(|n| n.id.clone()),
        }
    }
}

use crate::rotation::Looked;

fn looked(holds: bool, seen: &str) -> Looked {
    Looked { holds, seen: seen.to_owned() }
}

/// Of our own rows a judge needs the newest of each kind, and those of the calls that it looks up one by one. Keeping all of them
/// would let each reading grow with the time a gate is watched, and the journal with its square.
fn keep_recent(own: &mut BTreeMap<RequestId, OwnRow>, asked: impl Fn(&RequestId) -> bool) {
    const NEWEST: usize = 2;
    let mut kinds: BTreeMap<(Option<Which>, bool), Vec<Time>> = BTreeMap::new();
    for row in own.values() {
        kinds.entry((row.key, row.refused)).or_default().push(row.at);
    }
    for times in kinds.values_mut() {
        times.sort_unstable_by(|a, b| b.cmp(a));
    }
    let recent = |row: &OwnRow| {
        let oldest = kinds.get(&(row.key, row.refused)).and_then(|times| times.get(NEWEST - 1).or(times.last()));
        oldest.is_some_and(|oldest| row.at >= *oldest)
    };
    own.retain(|id, row| recent(row) || asked(id));
}

fn other(which: Which) -> Which {
    match which {
        Which::Old => Which::New,
        Which::New => Which::Old,
    }
}

fn needs_usage(ask: &Ask) -> bool {
    match ask {
        Ask::Zero { .. } | Ask::Coverage { .. } | Ask::UnknownCallers | Ask::Attributed | Ask::Soak { .. } => true,
        Ask::Invariant(Must::NoneRefused(_) | Must::Serves(_)) => true,
        Ask::Invariant(_)
        | Ask::Equal { .. }
        | Ask::Accept { .. }
        | Ask::Reject { .. }
        | Ask::Elapsed { .. }
        | Ask::Human { .. }
        | Ask::Later { .. } => false,
    }
}
