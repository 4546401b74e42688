//! Effects: intent on disk, one call, outcome on disk.

use super::{Engine, Observer, Stop};
use crate::ports::{Consumers, Gateway, Journal, Lock, MintRequest, PortError, Ports, Retire, Seal, SecretStore};
use crate::rotation::{
    By, Done, Effect, EffectKind, KeyId, Marker, Mint, Outcome, Record, SlotNo, Snapshot, Span, Which, opens_at, redated,
};
use crate::secret::SecretText;

impl<P: Ports, O: Observer> Engine<'_, P, O> {
    pub(super) async fn perform(&mut self, effect: Effect) -> Result<(), Stop> {
        self.permitted(&effect)?;
        let effect = self.complete(effect).await?;
        if self.run.plan.by_hand.contains(&effect.kind()) {
            return self.by_hand(effect).await;
        }
        if !self.observer.may(&self.run, &effect) {
            return Err(Stop::parked("stopped before the next effect, as asked by --step", None, true));
        }
        // After a failure in a row the next try keeps a distance.
        if self.run.failed.is_some() {
            let soon = self.stamp().at.plus(self.run.plan.timing.poll.min(Span::seconds(1)));
            self.wait_until(soon, "the last try did not go through").await?;
        }
        let n = self.run.effects.saturating_add(1);
        let stamp = self.stamp();
        let send_before = stamp.at.plus(self.run.plan.timing.send_before);
        let mono = stamp.mono;
        #[cfg(feature = "bugs")]
        if crate::bugs::on(crate::bugs::Bug::IntentAfterEffect) {
            let _ = self.act(n, &effect).await;
        }
        self.record(Record::Began { n, effect: effect.clone(), stamp, send_before }).await?;
        // A machine that slept between the intent and here must not send any more: somebody may have taken over.
        let now = self.stamp();
        let late = now.at > send_before || now.mono.saturating_sub(mono) > self.run.plan.timing.send_before.0;
        let outcome = if late {
            Outcome::NotDone { why: "too late to send, another process may have taken over".into() }
        } else {
            match self.act(n, &effect).await {
                Ok(done) => Outcome::Done(done),
                Err(Failed::Port(error)) => outcome_of(&effect, &error),
                Err(Failed::Stop(stop)) => return Err(stop),
                Err(Failed::Seal(stop)) => {
                    self.ended(n, Outcome::NotDone { why: stop.words() }, By::Answer).await?;
                    return Err(stop);
                }
                Err(Failed::World(why)) => Outcome::Conflict { why },
                Err(Failed::Unsure(why)) => Outcome::Unknown { why },
            }
        };
        self.ended(n, outcome, By::Answer).await
    }

    pub(super) async fn ended(&mut self, n: u32, outcome: Outcome, by: By) -> Result<(), Stop> {
        let stamp = self.stamp();
        let Some(kind) = self.run.open.as_ref().map(|o| o.effect.kind()) else { return Ok(()) };
        self.record(Record::Ended { n, kind, outcome, by, stamp }).await
    }

    /// A freeze stops everything that goes forward; a window stops what cannot be taken back.
    fn permitted(&self, effect: &Effect) -> Result<(), Stop> {
        let forward = self.run.course == crate::rotation::Course::Forward;
        if let (true, Some(why)) = (forward, self.ports.lock().frozen()) {
            return Err(Stop::parked(&format!("rotations are frozen: {why}; `keyroll freeze --lift` ends it"), None, true));
        }
        let irreversible = match effect.kind() {
            EffectKind::DisableOld | EffectKind::DeleteOld => self.run.emergency.is_none(),
            EffectKind::Mint
            | EffectKind::Stage
            | EffectKind::Promote
            | EffectKind::Repoint
            | EffectKind::Reload
            | EffectKind::DisableNew
            | EffectKind::EnableOld
            | EffectKind::EnableNew
            | EffectKind::DeleteNew
            | EffectKind::Discard
            | EffectKind::Demote
            | EffectKind::Fence
            | EffectKind::DropPending
            | EffectKind::Retire
            | EffectKind::MarkLive
            | EffectKind::Scan
            | EffectKind::Seal => false,
        };
        let now = self.stamp().at;
        match (irreversible, &self.run.plan.windows) {
            (true, Some(windows)) => match opens_at(windows, now) {
                Some(at) if at <= now => Ok(()),
                Some(at) => Err(Stop::parked(&format!("outside the allowed hours for {}", effect.kind().name()), Some(at), false)),
                None => Err(Stop::parked("no allowed hour is left in the coming year: change `windows`", None, true)),
            },
            (true | false, _) => Ok(()),
        }
    }

    /// Fills in what only this session knows before the intent is written: fingerprints, never values.
    async fn complete(&mut self, effect: Effect) -> Result<Effect, Stop> {
        let Effect::Stage { slot, value: None } = effect else { return Ok(effect) };
        let value = match self.value(Which::New).await.map_err(|e| self.unreachable(&e.to_string()))? {
            Some(value) => value,
            None if self.run.new.is_none() => {
                let drawn = crate::secret::random_id(32).map_err(|e| Stop::Storage { why: format!("failed to draw a new value: {e}") })?;
                SecretText::new(format!("{}{drawn}", self.ports.gateway().value_prefix()))
            }
            None => {
                return Err(Stop::parked(
                    "the new value cannot be read from any slot; `keyroll rollback` ends this run cleanly",
                    None,
                    true,
                ));
            }
        };
        let fingerprint = self.ports.fingerprints().of(&value);
        self.remember(Which::New, value);
        Ok(Effect::Stage { slot, value: Some(fingerprint) })
    }

    /// A person makes the change: it is asked for, and only a look says that it is so.
    async fn by_hand(&mut self, effect: Effect) -> Result<(), Stop> {
        let outcome = self.look_at(&effect, None).await?;
        match outcome {
            Outcome::Done(done) => {
                let n = self.run.effects.saturating_add(1);
                let stamp = self.stamp();
                let send_before = stamp.at;
                self.record(Record::Began { n, effect, stamp, send_before }).await?;
                self.ended(n, Outcome::Done(done), By::Person).await
            }
            Outcome::NotDone { .. } | Outcome::Refused { .. } | Outcome::Unknown { .. } | Outcome::Conflict { .. } => Err(Stop::parked(
                &format!("by hand: {}; then `keyroll resume`", super::people::instruction(&self.run, &effect)),
                None,
                true,
            )),
        }
    }

    async fn act(&mut self, n: u32, effect: &Effect) -> Result<Done, Failed> {
        match effect {
            Effect::Mint { marker } => self.mint(marker).await,
            Effect::Stage { slot, .. } => self.stage(*slot).await,
            Effect::Promote { slot, guard } => self.promote(*slot, guard).await,
            Effect::Repoint { model, to } => {
                let (Some(new), old) = (&self.run.new, &self.run.plan.old.id) else { return Err(no_new_key()) };
                let (from, to) = match to {
                    Which::New => (old, &new.id),
                    Which::Old => (&new.id, old),
                };
                self.ports.gateway().repoint(model, from, to).await?;
                Ok(Done::Plain)
            }
            Effect::Reload { app, .. } => {
                // The child is journaled before it is waited for, so that a later process can find it.
                if let Some(child) = self.ports.consumers().begin_reload(app).await? {
                    self.record(Record::Spawned { n, child }).await.map_err(Failed::Stop)?;
                }
                self.ports.consumers().finish_reload(app).await?;
                Ok(Done::Plain)
            }
            Effect::Disable { id, .. } => self.switch(id, false).await,
            Effect::Enable { id, .. } => self.switch(id, true).await,
            Effect::Delete { id, .. } => {
                self.ports.gateway().delete(id).await?;
                Ok(Done::Plain)
            }
            Effect::Discard { id, marker } => {
                self.may_discard(id, marker).await?;
                self.ports.gateway().delete(id).await?;
                Ok(Done::Plain)
            }
            Effect::Demote { slot, guard } => {
                let Some(old) = self.value(Which::Old).await? else {
                    return Err(Failed::World("the old value cannot be read any more".into()));
                };
                let run = self.run.id.clone();
                let snapshot = self.store(*slot)?.demote(&run, guard, &old).await?;
                Ok(self.moved(*slot, snapshot))
            }
            Effect::Fence { slot, guard } => {
                let snapshot = self.store(*slot)?.fence(guard).await?;
                Ok(self.moved(*slot, snapshot))
            }
            Effect::DropPending { slot } => {
                self.store(*slot)?.drop_pending(&self.run.id).await?;
                Ok(Done::Plain)
            }
            Effect::Retire { slot } => {
                self.store(*slot)?.retire(&self.run.id, Retire::Unlink).await?;
                Ok(Done::Plain)
            }
            Effect::MarkLive { id } => {
                self.ports.gateway().mark(id, &Marker::live()).await?;
                Ok(Done::Plain)
            }
            Effect::Scan => self.evidence(true).await,
            Effect::Seal => self.evidence(false).await,
        }
    }

    async fn mint(&mut self, marker: &Marker) -> Result<Done, Failed> {
        let chosen = match self.run.caps.mint {
            Mint::ShownOnce => None,
            Mint::CallerChooses => self.value(Which::New).await?,
            Mint::Supplied | Mint::Issued => self.ports.supplied(Which::New).await?,
        };
        let plan = self.run.plan.clone();
        let name = redated(&plan.old.name, self.stamp().at.rfc3339().get(..10).unwrap_or_default());
        let request = MintRequest { like: &plan.old, marker, name: &name, value: chosen.as_ref() };
        let minted = self.ports.gateway().mint(request).await?;
        let value = self.ports.fingerprints().of(&minted.value);
        // A broken or hostile answer that repeats something known would make revoke kill what it must not.
        let known = plan.known_ids.contains(&minted.id) || !KeyId::is_safe(minted.id.as_str());
        let old = plan.slots.iter().any(|s| s.current_is.as_ref() == Some(&value));
        let working = self.ports.credentials().into_iter().any(|(_, f)| f == value);
        if known || old || working {
            return Err(Failed::Unsure("the gateway answered with a key that existed before".into()));
        }
        self.remember(Which::New, minted.value);
        Ok(Done::Minted { id: minted.id, value: Some(value), created_at: minted.created_at })
    }

    async fn stage(&mut self, slot: SlotNo) -> Result<Done, Failed> {
        let Some(value) = self.value(Which::New).await? else {
            return Err(Failed::World("the new value cannot be read any more".into()));
        };
        let fingerprint = self.ports.fingerprints().of(&value);
        let run = self.run.id.clone();
        let (version, snapshot) = self.store(slot)?.stage(&run, &value).await?;
        Ok(Done::Staged { version, value: fingerprint, guard: snapshot.guard })
    }

    async fn promote(&mut self, slot: SlotNo, guard: &str) -> Result<Done, Failed> {
        // The pending value is read back now: somebody else's pending must never become current.
        let expected = self.run.new.as_ref().map(|n| n.value.clone());
        let run = self.run.id.clone();
        let store = self.store(slot)?;
        let before = store.observe().await?;
        if store.caps().read_back && before.pending_is != expected {
            return Err(Failed::World(format!(
                "the pending version of slot {} is not this run's{}",
                slot.0 + 1,
                before.pending_run.map(|r| format!(", it belongs to {r}")).unwrap_or_default()
            )));
        }
        let snapshot = store.promote(&run, guard).await?;
        Ok(self.moved(slot, snapshot))
    }

    async fn switch(&self, id: &KeyId, enabled: bool) -> Result<Done, Failed> {
        self.ports.gateway().set_enabled(id, enabled).await?;
        Ok(Done::Plain)
    }

    async fn evidence(&mut self, scan: bool) -> Result<Done, Failed> {
        // A store that does not answer is asked again; only a value that is not there makes a needle missing.
        let (old, new) = (self.value(Which::Old).await?, self.value(Which::New).await?);
        let mut needles: Vec<(&str, &SecretText)> = Vec::new();
        needles.extend(old.as_ref().map(|v| ("old", v)));
        needles.extend(new.as_ref().map(|v| ("new", v)));
        let written = if scan { self.ports.seal().scan(&self.run, &needles) } else { self.ports.seal().seal(&self.run, &needles) };
        let sealed = written.map_err(|e| Failed::Seal(Stop::from(e)))?;
        Ok(Done::Written { digest: sealed.digest, place: sealed.place })
    }

    pub(super) fn store(&self, slot: SlotNo) -> Result<&P::Store, PortError> {
        self.ports
            .slot(slot)
            .ok_or_else(|| PortError::Unsupported { system: format!("slot {}", slot.0 + 1), action: "find the store".into() })
    }

    fn moved(&self, slot: SlotNo, snapshot: Snapshot) -> Done {
        let atomic = self.run.plan.slots.get(usize::from(slot.0)).is_some_and(|s| s.caps.swap == crate::rotation::Swap::CompareAndSet);
        Done::Moved { guard: snapshot.guard, atomic }
    }

    /// The journal's head, for messages.
    pub fn head(&mut self) -> String {
        self.ports.journal().head()
    }
}

/// Why an effect has no outcome of its own yet.
pub(super) enum Failed {
    Port(PortError),
    Stop(Stop),
    Seal(Stop),
    World(String),
    Unsure(String),
}

impl From<PortError> for Failed {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

fn no_new_key() -> Failed {
    Failed::World("there is no new key to point at".into())
}

/// What an error means for an effect. Only a look may say that a mint did not happen, or that a missing key is gone.
fn outcome_of(effect: &Effect, error: &PortError) -> Outcome {
    let why = error.to_string();
    let look_always = match effect.kind() {
        EffectKind::Mint | EffectKind::DeleteOld | EffectKind::DeleteNew | EffectKind::Discard => true,
        EffectKind::Stage
        | EffectKind::Promote
        | EffectKind::Repoint
        | EffectKind::Reload
        | EffectKind::DisableOld
        | EffectKind::DisableNew
        | EffectKind::EnableOld
        | EffectKind::EnableNew
        | EffectKind::Demote
        | EffectKind::Fence
        | EffectKind::DropPending
        | EffectKind::Retire
        | EffectKind::MarkLive
        | EffectKind::Scan
        | EffectKind::Seal => false,
    };
    match error {
        #[cfg(feature = "bugs")]
        PortError::Conflict { .. } if look_always && crate::bugs::on(crate::bugs::Bug::NotFoundIsDeleted) => Outcome::Done(Done::Plain),
        PortError::Unreachable { may_have_happened: false, .. } => Outcome::NotDone { why },
        PortError::Unreachable { .. } | PortError::Unreadable { .. } => Outcome::Unknown { why },
        PortError::Refused { .. } | PortError::Conflict { .. } if look_always => Outcome::Unknown { why },
        PortError::Refused { .. } | PortError::Unsupported { .. } => Outcome::Refused { why },
        PortError::Conflict { .. } => Outcome::Conflict { why },
    }
}
