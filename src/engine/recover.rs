//! An intent without an outcome is resolved by looking, never by trying again.

use super::perform::Failed;
use super::{Engine, Observer, Stop};
use crate::ports::{Clock, Consumers, Gateway, PortError, Ports, SecretStore, UsageQuery, UsageSource};
use crate::rotation::{By, Child, Done, Effect, KeyFacts, KeyId, Marker, Mint, OldKey, Outcome, SlotNo, Span, Stamp, Swap, Time, Which};

/// A key's creation time may differ from our clock by this much.
const SKEW: Span = Span::seconds(60);

impl<P: Ports, O: Observer> Engine<'_, P, O> {
    pub(super) async fn resolve(&mut self) -> Result<(), Stop> {
        let Some(open) = self.run.open.clone() else { return Ok(()) };
        if let Some(child) = &open.child {
            self.let_child_end(child).await?;
        }
        let outcome = self.look_at(&open.effect, Some(&open.began)).await?;
        self.ended(open.n, outcome, By::Look).await
    }

    /// A child of a process that died goes on by itself: it is given its time, then its group is ended. Only then a look means anything.
    async fn let_child_end(&mut self, child: &Child) -> Result<(), Stop> {
        let deadline = self.stamp().at.plus(self.run.plan.timing.call_timeout);
        for _ in 0..1000 {
            let last = self.stamp().at >= deadline;
            match self.ports.consumers().surviving(child, last).await {
                Ok(false) => return Ok(()),
                Ok(true) => {}
                Err(e) => return Err(self.unreachable(&e.to_string())),
            }
            let soon = self.stamp().at.plus(Span(50));
            self.ports.clock().sleep_until(soon).await;
        }
        Err(Stop::parked(
            &format!("child process {} of an earlier session does not end; end it and `keyroll resume`", child.pid),
            None,
            true,
        ))
    }

    /// What the world says about an effect: done, certainly not done, or in conflict. A system out of reach decides nothing.
    pub(super) async fn look_at(&self, effect: &Effect, began: Option<&Stamp>) -> Result<Outcome, Stop> {
        let seen = match effect {
            Effect::Mint { marker } => self.look_for_minted(marker, began).await,
            Effect::Stage { slot, value } => self.look_at_stage(*slot, value.as_ref()).await,
            Effect::Promote { slot, .. } => self.look_at_current(*slot, Which::New).await,
            Effect::Demote { slot, .. } => self.look_at_current(*slot, Which::Old).await,
            Effect::Fence { slot, guard } => self
                .observe(*slot)
                .await
                .map(|s| if s.guard == *guard { not_done("the guard has not moved") } else { moved(&s.guard, true) }),
            Effect::Repoint { model, to } => self.look_at_model(model, *to).await,
            // Reloading twice hurts nobody; whether it took is asked of the consumer, not of the command.
            Effect::Reload { .. } => Ok(not_done("a reload is simply done again")),
            Effect::Disable { id, .. } => self.look_at_switch(id, false).await,
            Effect::Enable { id, .. } => self.look_at_switch(id, true).await,
            Effect::Delete { id, .. } | Effect::Discard { id, .. } => self.look_for_absence(id).await,
            Effect::DropPending { slot } => self
                .observe(*slot)
                .await
                .map(|s| if s.pending.is_none() { plain() } else { not_done("the pending version is still there") }),
            Effect::Retire { slot } => {
                self.observe(*slot).await.map(|s| if s.previous.is_none() { plain() } else { not_done("the old version is still linked") })
            }
            Effect::MarkLive { id } => self.keys().await.map(|keys| {
                let live = keys.iter().any(|k| k.id == *id && k.marker == Marker::live().as_str());
                if live { plain() } else { not_done("the key still carries the run's marker") }
            }),
            Effect::Scan | Effect::Seal => Ok(not_done("the bundle is built again from the journal")),
        };
        seen.map_err(|e| self.unreachable(&e.to_string()))
    }

    async fn look_for_minted(&self, marker: &Marker, began: Option<&Stamp>) -> Result<Outcome, PortError> {
        #[cfg(feature = "bugs")]
        if crate::bugs::on(crate::bugs::Bug::MintRetried) {
            return Ok(not_done("not looked for"));
        }
        let mut found = self.marked(marker, began).await?;
        if found.is_empty() {
            // Absent counts only when two listings agree that are further apart than the gateway needs to settle.
            self.pause(self.run.caps.settles_in).await;
            found = self.marked(marker, began).await?;
        }
        Ok(match found.as_slice() {
            [] => not_done("no key carries the marker of this mint"),
            [key] => {
                let value = match self.run.caps.mint {
                    Mint::CallerChooses => self.run.slots.iter().find_map(|s| s.staged.as_ref()).map(|(_, value)| value.clone()),
                    Mint::Supplied => self.ports.supplied(Which::New).await?.map(|value| self.ports.fingerprints().of(&value)),
                    // An issuer that is asked again may make another value.
                    Mint::ShownOnce | Mint::Issued => None,
                };
                Outcome::Done(Done::Minted { id: key.id.clone(), value, created_at: key.created_at })
            }
            several => Outcome::Conflict {
                why: format!(
                    "{} keys carry the marker of one mint ({}); none is deleted: find out at the gateway which to keep",
                    several.len(),
                    several.iter().map(|k| k.id.as_str()).collect::<Vec<_>>().join(", ")
                ),
            },
        })
    }

    /// Rows whose whole marker is ours, that did not exist when the plan was made, and that are not older than the intent.
    async fn marked(&self, marker: &Marker, began: Option<&Stamp>) -> Result<Vec<KeyFacts>, PortError> {
        let earliest = began.map(|s| s.at.minus(SKEW));
        let keys = self.complete_keys().await?;
        #[cfg(feature = "bugs")]
        if crate::bugs::on(crate::bugs::Bug::MarkerFilterTrusted) {
            return Ok(keys.into_iter().filter(|k| !k.marker.is_empty()).take(1).collect());
        }
        let young = |k: &KeyFacts| match (k.created_at, earliest) {
            (Some(created), Some(earliest)) => created >= earliest,
            (None, _) | (_, None) => true,
        };
        let ours = |k: &KeyFacts| k.marker == marker.as_str() && !self.run.plan.known_ids.contains(&k.id);
        Ok(keys.into_iter().filter(|k| ours(k) && young(k)).collect())
    }

    async fn look_at_stage(&self, slot: SlotNo, value: Option<&crate::secret::Fingerprint>) -> Result<Outcome, PortError> {
        let seen = self.observe(slot).await?;
        let run = self.run.id.as_str();
        let readable = self.store(slot)?.caps().read_back;
        Ok(match (&seen.pending, value) {
            (None, _) => not_done("nothing is staged"),
            (Some(version), Some(value))
                if seen.pending_is.as_ref() == Some(value) || (!readable && seen.pending_run.as_deref() == Some(run)) =>
            {
                Outcome::Done(Done::Staged { version: Some(version.clone()), value: value.clone(), guard: seen.guard })
            }
            (Some(_), _) if seen.pending_run.as_deref() == Some(run) => not_done("an earlier value of this run is staged"),
            (Some(_), _) => Outcome::Conflict {
                why: format!(
                    "slot {} has a pending version of {}; `keyroll orphans` shows it",
                    slot.0 + 1,
                    seen.pending_run.unwrap_or_else(|| "somebody else".into())
                ),
            },
        })
    }

    async fn look_at_current(&self, slot: SlotNo, wanted: Which) -> Result<Outcome, PortError> {
        let seen = self.observe(slot).await?;
        let new = self.run.new.as_ref().map(|n| &n.value);
        let old = self.run.plan.slots.get(usize::from(slot.0)).and_then(|s| s.current_is.as_ref());
        let (is, is_not) = match wanted {
            Which::New => (new, old),
            Which::Old => (old, new),
        };
        let atomic = self.run.plan.slots.get(usize::from(slot.0)).is_some_and(|s| s.caps.swap == Swap::CompareAndSet);
        Ok(match &seen.current_is {
            Some(now) if Some(now) == is => moved(&seen.guard, atomic),
            Some(now) if Some(now) == is_not => {
                // Where a lost write can be neither excluded nor fenced, its absence needs a second look, one more call later.
                let wait = self.store(slot)?.caps().late_write == crate::rotation::LateWrite::WaitOut;
                if wait {
                    self.pause(self.run.plan.timing.call_timeout).await;
                    let again = self.observe(slot).await?;
                    if again.current_is.as_ref() == is {
                        return Ok(moved(&again.guard, atomic));
                    }
                }
                not_done("the slot is as it was before")
            }
            Some(_) | None => Outcome::Conflict { why: format!("slot {} holds neither the old nor the new value", slot.0 + 1) },
        })
    }

    async fn look_at_model(&self, model: &crate::rotation::ModelName, to: Which) -> Result<Outcome, PortError> {
        let at = self.ports.gateway().models().await?.into_iter().find(|(m, _)| m == model).map(|(_, id)| id);
        let new = self.run.new.as_ref().map(|n| &n.id);
        let old = Some(&self.run.plan.old.id);
        let (is, is_not) = match to {
            Which::New => (new, old),
            Which::Old => (old, new),
        };
        Ok(match at.as_ref() {
            Some(id) if Some(id) == is => plain(),
            Some(id) if Some(id) == is_not => not_done("the model points where it pointed before"),
            Some(id) => Outcome::Conflict { why: format!("model {model} points at {id}, which is neither old nor new") },
            None => Outcome::Conflict { why: format!("model {model} does not exist any more") },
        })
    }

    async fn look_at_switch(&self, id: &KeyId, enabled: bool) -> Result<Outcome, PortError> {
        let keys = self.keys().await?;
        Ok(match keys.iter().find(|k| k.id == *id) {
            Some(k) if k.enabled == enabled => plain(),
            Some(_) => not_done("the key is as it was before"),
            None => Outcome::Conflict { why: format!("key {id} is not in the listing any more") },
        })
    }

    async fn look_for_absence(&self, id: &KeyId) -> Result<Outcome, PortError> {
        for look in 0..2 {
            let keys = self.keys().await?;
            if keys.iter().any(|k| k.id == *id) {
                return Ok(not_done("the key is still listed"));
            }
            #[cfg(feature = "bugs")]
            if crate::bugs::on(crate::bugs::Bug::SentinelIgnored) {
                return Ok(plain());
            }
            if let Some(sentinel) = self.sentinel().filter(|s| s != id)
                && !keys.iter().any(|k| k.id == sentinel)
            {
                return Ok(Outcome::Conflict {
                    why: format!(
                        "the listing lacks {sentinel} too, so it proves nothing about {id}: is this the right gateway and tenant?"
                    ),
                });
            }
            if look == 0 {
                self.pause(self.run.caps.settles_in).await;
            }
        }
        Ok(plain())
    }

    /// Before a key of this run is deleted because its value is lost: nobody uses it, and it is nobody else's.
    pub(super) async fn may_discard(&self, id: &KeyId, marker: &Marker) -> Result<(), Failed> {
        let keys = self.keys().await?;
        let ours = keys.iter().find(|k| k.id == *id);
        if ours.is_some_and(|k| k.marker != marker.as_str()) || self.run.plan.known_ids.contains(id) {
            return Err(Failed::World(format!("key {id} does not carry this run's marker any more; it is not deleted")));
        }
        let now = self.ports.gateway().now().await?;
        let from = self.run.since.start.as_ref().map_or(now, |s| s.at.minus(SKEW));
        let query = UsageQuery { old: &self.run.plan.old.id, new: Some(id), from, to: now, own: &self.run.own };
        let usage = self.ports.usage().read(query).await?;
        if let Some((caller, _)) = usage.new.iter().find(|(_, count)| count.total() > 0) {
            return Err(Failed::World(format!("the world is ahead of the journal: {caller} uses key {id}; nothing is cleaned up")));
        }
        Ok(())
    }

    pub(super) async fn keys(&self) -> Result<Vec<KeyFacts>, PortError> {
        self.ports.gateway().list().await
    }

    /// A listing in which absence means something: the key that must be in it is.
    pub(super) async fn complete_keys(&self) -> Result<Vec<KeyFacts>, PortError> {
        let keys = self.keys().await?;
        match self.sentinel() {
            Some(sentinel) if !keys.iter().any(|k| k.id == sentinel) => Err(PortError::Unreachable {
                system: "the gateway's whole listing".into(),
                why: format!("it lacks {sentinel}, which must be there, so what else it lacks proves nothing"),
                may_have_happened: false,
            }),
            Some(_) | None => Ok(keys),
        }
    }

    /// A key that must be in every listing: one that no run touches, else whichever key of this run must exist now.
    pub(super) fn sentinel(&self) -> Option<KeyId> {
        let old = match self.run.old {
            OldKey::Enabled | OldKey::DisabledByUs => Some(self.run.plan.old.id.clone()),
            OldKey::OffByOthers | OldKey::DeleteIntended | OldKey::Gone => None,
        };
        let new = || self.run.new.as_ref().map(|n| n.id.clone());
        self.run.plan.sentinel.clone().or(old).or_else(new)
    }

    async fn observe(&self, slot: SlotNo) -> Result<crate::rotation::Snapshot, PortError> {
        self.store(slot)?.observe().await
    }

    pub(super) async fn pause(&self, length: Span) {
        let until: Time = self.stamp().at.plus(length);
        let began = self.stamp();
        // Bounded by the boot clock too: a wall clock that is set back must not make this endless.
        for _ in 0..100_000 {
            let now = self.stamp();
            if now.at >= until || now.mono.saturating_sub(began.mono) >= length.0 {
                return;
            }
            self.ports.clock().sleep_until(until).await;
        }
    }
}

fn plain() -> Outcome {
    Outcome::Done(Done::Plain)
}

fn moved(guard: &str, atomic: bool) -> Outcome {
    Outcome::Done(Done::Moved { guard: guard.to_owned(), atomic })
}

fn not_done(why: &str) -> Outcome {
    Outcome::NotDone { why: why.to_owned() }
}
