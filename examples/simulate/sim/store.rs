//! The engine's port to a slot of the fake store.

use super::acts::Act;
use super::ports::Hands;
use super::world::World;
use keyroll::ports::{Place, Result, Retire, SecretStore};
use keyroll::rotation::{RunId, Snapshot, StoreCaps, VersionId};
use keyroll::secret::SecretText;

/// One slot's store.
pub(crate) struct Store {
    hands: Hands,
    slot: usize,
}

impl Store {
    pub(crate) fn new(hands: &Hands, slot: usize) -> Self {
        Self { hands: hands.clone(), slot }
    }

    fn snapshot(world: &World, slot: usize) -> Snapshot {
        let s = &world.slots[slot];
        let version = |v: usize| VersionId::new(format!("v{v}"));
        Snapshot {
            current: Some(version(s.current)),
            pending: s.pending.as_ref().map(|(_, v)| version(*v)),
            previous: s.previous.map(version),
            current_is: Some(world.values.print(s.current)),
            pending_is: s.pending.as_ref().map(|(_, v)| world.values.print(*v)),
            previous_is: s.previous.map(|v| world.values.print(v)),
            pending_run: s.pending.as_ref().map(|(r, _)| r.clone()),
            guard: s.guard(),
            warnings: Vec::new(),
            unusable: None,
        }
    }

    async fn change(&self, act: Act) -> Result<Snapshot> {
        self.hands.send(act).await?;
        Ok(Self::snapshot(&self.hands.world.borrow(), self.slot))
    }

    fn number(&self, value: &SecretText) -> usize {
        self.hands.world.borrow_mut().values.number(value.expose())
    }
}

impl SecretStore for Store {
    fn caps(&self) -> StoreCaps {
        self.hands.world.borrow().slots[self.slot].caps.clone()
    }

    async fn observe(&self) -> Result<Snapshot> {
        let world = self.hands.read().await?;
        Ok(Self::snapshot(&world, self.slot))
    }

    async fn stage(&self, run: &RunId, value: &SecretText) -> Result<(Option<VersionId>, Snapshot)> {
        let number = self.number(value);
        let snapshot = self.change(Act::Stage(self.slot, run.clone(), number)).await?;
        Ok((snapshot.pending.clone(), snapshot))
    }

    async fn promote(&self, run: &RunId, guard: &str) -> Result<Snapshot> {
        self.change(Act::Promote(self.slot, run.clone(), guard.to_owned())).await
    }

    async fn demote(&self, _: &RunId, guard: &str, old: &SecretText) -> Result<Snapshot> {
        let number = self.number(old);
        self.change(Act::Demote(self.slot, guard.to_owned(), number)).await
    }

    async fn fence(&self, guard: &str) -> Result<Snapshot> {
        self.change(Act::Fence(self.slot, guard.to_owned())).await
    }

    async fn drop_pending(&self, run: &RunId) -> Result<Snapshot> {
        self.change(Act::DropPending(self.slot, run.clone())).await
    }

    async fn retire(&self, _: &RunId, _: Retire) -> Result<Snapshot> {
        self.change(Act::Retire(self.slot)).await
    }

    async fn read(&self, place: Place) -> Result<Option<SecretText>> {
        let world = self.hands.read().await?;
        let s = &world.slots[self.slot];
        let number = match place {
            Place::Current => Some(s.current),
            Place::Pending => s.pending.as_ref().map(|(_, v)| *v),
            Place::Previous => s.previous,
        };
        Ok(number.map(|n| world.values.secret(n)))
    }
}
