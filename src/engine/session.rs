//! What only this process knows: the two values, and since when it has been waiting.

use super::{Engine, Observer};
use crate::ports::{Place, Ports, Result, SecretStore};
use crate::rotation::{Mint, Point, SlotNo, Stamp, Which};
use crate::secret::{Fingerprint, SecretText};

/// The memory of a session; gone with the process.
#[derive(Default)]
pub(super) struct Session {
    pub(super) old: Option<SecretText>,
    pub(super) new: Option<SecretText>,
    pub(super) waiting_at: Option<Point>,
    pub(super) waiting_since: Option<Stamp>,
}

impl<P: Ports, O: Observer> Engine<'_, P, O> {
    /// The value of a key: from memory, else from a slot that holds it, else from its reference. None when nobody can read it.
    pub(super) async fn value(&mut self, which: Which) -> Result<Option<SecretText>> {
        let kept = match which {
            Which::Old => self.session.old.as_ref(),
            Which::New => self.session.new.as_ref(),
        };
        if let Some(kept) = kept {
            return Ok(Some(kept.duplicate()));
        }
        let found = match self.value_from_slots(which).await? {
            Some(value) => Some(value),
            None => self.value_from_reference(which).await?,
        };
        if let Some(value) = &found {
            self.remember(which, value.duplicate());
        }
        Ok(found)
    }

    pub(super) fn remember(&mut self, which: Which, value: SecretText) {
        match which {
            Which::Old => self.session.old = Some(value),
            Which::New => self.session.new = Some(value),
        }
    }

    async fn value_from_slots(&mut self, which: Which) -> Result<Option<SecretText>> {
        for i in 0..self.run.slots.len() {
            let slot = SlotNo(u16::try_from(i).unwrap_or(u16::MAX));
            let expected = self.fingerprint_of(which, i);
            let (Some(expected), Some(store)) = (expected, self.ports.slot(slot)) else { continue };
            if !store.caps().read_back {
                continue;
            }
            let places = match which {
                Which::Old => [Place::Current, Place::Previous],
                Which::New => [Place::Pending, Place::Current],
            };
            for place in places {
                if let Some(value) = store.read(place).await?
                    && self.ports.fingerprints().of(&value) == expected
                {
                    return Ok(Some(value));
                }
            }
        }
        Ok(None)
    }

    async fn value_from_reference(&mut self, which: Which) -> Result<Option<SecretText>> {
        let asked_once = which == Which::New && self.run.plan.gateway.caps.mint == Mint::Issued;
        if asked_once {
            return Ok(None);
        }
        let Some(value) = self.ports.supplied(which).await? else { return Ok(None) };
        let is = self.ports.fingerprints().of(&value);
        let fits = match which {
            Which::Old => true,
            Which::New => self.run.new.as_ref().is_none_or(|n| n.value == is),
        };
        Ok(fits.then_some(value))
    }

    fn fingerprint_of(&self, which: Which, slot: usize) -> Option<Fingerprint> {
        match which {
            Which::Old => self.run.plan.slots.get(slot).and_then(|s| s.current_is.clone()),
            Which::New => match &self.run.new {
                Some(new) => Some(new.value.clone()),
                // Chosen by us and staged before it was minted.
                None => self.run.slots.get(slot).and_then(|s| s.staged.as_ref()).map(|(_, value)| value.clone()),
            },
        }
    }
}
