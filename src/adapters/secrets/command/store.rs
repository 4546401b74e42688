//! The verbs.

use super::CommandStore;
use super::answer::{Observed, Shown};
use super::call::Verb;
use crate::ports::{Place, PortError, Result, Retire, SecretStore};
use crate::rotation::{LateWrite, RunId, Snapshot, StoreCaps, Swap, VersionId};
use crate::secret::{Fingerprint, SecretText};

/// A value may change between `observe` and `read`; more often than this means that somebody writes all the time, or that versions lie.
const TRIES: usize = 3;

/// One look: what is kept, and what never leaves memory.
struct Look {
    snapshot: Snapshot,
    /// The program's own guard.
    guard: String,
    current: Option<SecretText>,
    pending: Option<SecretText>,
    previous: Option<SecretText>,
}

impl CommandStore {
    fn reads_back(&self) -> bool {
        self.slot.read_back != Some(false)
    }

    async fn look(&self) -> Result<Look> {
        for _ in 0..TRIES {
            if let Some(look) = self.look_once().await? {
                return Ok(look);
            }
        }
        Err(self.unreadable("a version was another one each time that its value was read"))
    }

    /// None when somebody wrote between the look and the reading of a value.
    async fn look_once(&self) -> Result<Option<Look>> {
        let answer = self.call(Verb::Observe, &[], None).await?;
        let mut seen = Observed::parse(answer.output(), &self.scrubber).map_err(|why| self.unreadable(&why))?;
        let (mut current, mut pending, mut previous) = (None, None, None);
        if self.reads_back() {
            for (place, shown, value) in [
                (Place::Current, &mut seen.current, &mut current),
                (Place::Pending, &mut seen.pending, &mut pending),
                (Place::Previous, &mut seen.previous, &mut previous),
            ] {
                let Some(shown) = shown else { continue };
                if shown.value.is_none() {
                    match self.value_of(place).await? {
                        Some(read) if read.version == shown.version && read.value.is_some() => shown.value = read.value,
                        Some(_) | None => return Ok(None),
                    }
                }
                *value = shown.value.take();
            }
            seen.says_no_secret(&self.scrubber).map_err(|why| self.unreadable(&why))?;
        }
        let is = |value: &Option<SecretText>| value.as_ref().map(|v| self.fingerprints.of(v));
        let version = |shown: &Option<Shown>| shown.as_ref().map(|s| VersionId::new(s.version.clone()));
        let mut snapshot = Snapshot {
            current: version(&seen.current),
            pending: version(&seen.pending),
            previous: version(&seen.previous),
            current_is: is(&current),
            pending_is: is(&pending),
            previous_is: is(&previous),
            pending_run: seen.pending.and_then(|p| p.run),
            guard: String::new(),
            warnings: seen.warnings,
            unusable: None,
        };
        snapshot.guard = format!("{}.{}", digits(snapshot.current_is.as_ref()), seen.guard);
        if snapshot.current.is_none() {
            snapshot.warnings.push("there is no such secret".into());
        }
        Ok(Some(Look { snapshot, guard: seen.guard, current, pending, previous }))
    }

    async fn value_of(&self, place: Place) -> Result<Option<Shown>> {
        let word = match place {
            Place::Current => "current",
            Place::Pending => "pending",
            Place::Previous => "previous",
        };
        let answer = self.call(Verb::Read, &[word], None).await?;
        Shown::parse(answer.output(), &self.scrubber).map_err(|why| self.unreadable(&why))
    }

    /// What is there, if the guard still fits it and there is a value to replace.
    async fn guarded(&self, verb: Verb, guard: &str) -> Result<Look> {
        let look = self.look().await?;
        if look.snapshot.guard != guard {
            return Err(self.conflict(verb, "the slot changed since it was read; nothing was written"));
        }
        if look.snapshot.current.is_none() {
            return Err(self.conflict(verb, "there is no value to replace"));
        }
        Ok(look)
    }

    fn whose(&self, run: &RunId, seen: &Snapshot) -> Option<String> {
        match &seen.pending_run {
            Some(owner) if owner == run.as_str() => None,
            Some(owner) => Some(format!("a pending value of run {owner} is there; `keyroll orphans` shows it")),
            None => Some("a pending value that no run wrote is there; find out whose it is, and remove it".into()),
        }
    }

    /// Whatever the program said of a change, the slot says what became of it. Where it cannot be read back, only the program's word is left.
    async fn settled(&self, called: Result<()>, reached: impl Fn(&Snapshot) -> bool) -> Result<Snapshot> {
        match (called, self.look().await) {
            (Ok(()), Ok(look)) if reached(&look.snapshot) => Ok(look.snapshot),
            (Ok(()), Ok(_)) => Err(self.unreadable("it said that it was done, and the slot does not show it")),
            (Ok(()), Err(e)) => Err(self.lost(e)),
            // The answer was lost, not the change.
            (Err(e), Ok(look)) if unclear(&e) && self.reads_back() && reached(&look.snapshot) => Ok(look.snapshot),
            (Err(e), Ok(_) | Err(_)) => Err(e),
        }
    }

    /// The change went through; only the look after it failed.
    fn lost(&self, e: PortError) -> PortError {
        match e {
            PortError::Unreachable { system, why, .. } => PortError::Unreachable { system, why, may_have_happened: true },
            PortError::Refused { why, .. } | PortError::Conflict { why, .. } => {
                self.away(format!("the look after the change failed: {why}"), true)
            }
            PortError::Unsupported { .. } => self.away("the look after the change is not supported".into(), true),
            PortError::Unreadable { .. } => e,
        }
    }

    async fn change(&self, verb: Verb, arguments: &[&str], value: Option<&SecretText>) -> Result<()> {
        self.call(verb, arguments, value).await.map(|_| ())
    }

    /// The current value becomes this one.
    async fn put(&self, verb: Verb, run: &RunId, look: &Look, value: Option<&SecretText>) -> Result<Snapshot> {
        let is = value.map(|v| self.fingerprints.of(v));
        let called = self.change(verb, &[run.as_str(), &look.guard], value).await;
        self.settled(called, |seen| !self.reads_back() || seen.current_is == is).await
    }

    async fn drop_ours(&self, run: &RunId, look: Look) -> Result<Snapshot> {
        if look.snapshot.pending.is_none() || self.whose(run, &look.snapshot).is_some() {
            return Ok(look.snapshot);
        }
        let called = self.change(Verb::DropPending, &[run.as_str()], None).await;
        self.settled(called, |seen| seen.pending.is_none()).await
    }
}

impl SecretStore for CommandStore {
    fn caps(&self) -> StoreCaps {
        let guarded = self.slot.compare_and_set == Some(true);
        StoreCaps {
            swap: if guarded { Swap::CompareAndSet } else { Swap::LastWriteWins },
            read_back: self.reads_back(),
            // The program itself is ended with its time; what it sent to a service may still be on its way.
            late_write: if guarded { LateWrite::Fenceable } else { LateWrite::WaitOut },
            shared_document: false,
        }
    }

    async fn observe(&self) -> Result<Snapshot> {
        Ok(self.look().await?.snapshot)
    }

    async fn stage(&self, run: &RunId, value: &SecretText) -> Result<(Option<VersionId>, Snapshot)> {
        let look = self.look().await?;
        if look.snapshot.current.is_none() {
            return Err(self.conflict(Verb::Stage, "it has no value yet; put the present key there first"));
        }
        if look.snapshot.pending.is_some() {
            if let Some(why) = self.whose(run, &look.snapshot) {
                return Err(self.conflict(Verb::Stage, &why));
            }
            if look.pending.as_ref().is_some_and(|v| v.same_as(value)) {
                return Ok((look.snapshot.pending.clone(), look.snapshot));
            }
        }
        let is = Some(self.fingerprints.of(value));
        let called = self.change(Verb::Stage, &[run.as_str()], Some(value)).await;
        let staged = |seen: &Snapshot| {
            seen.pending_run.as_deref() == Some(run.as_str()) && (seen.pending_is == is || !self.reads_back()) && seen.pending.is_some()
        };
        let seen = self.settled(called, staged).await?;
        Ok((seen.pending.clone(), seen))
    }

    async fn promote(&self, run: &RunId, guard: &str) -> Result<Snapshot> {
        let look = self.guarded(Verb::Promote, guard).await?;
        if look.snapshot.pending.is_none() {
            return Err(self.conflict(Verb::Promote, "no value waits beside it"));
        }
        if let Some(why) = self.whose(run, &look.snapshot) {
            return Err(self.conflict(Verb::Promote, &why));
        }
        match (&look.current, &look.pending) {
            (Some(current), Some(pending)) if current.same_as(pending) => return Ok(look.snapshot),
            _ => {}
        }
        // The value that was read back now: the program has no need to find it again, and cannot take another one.
        self.put(Verb::Promote, run, &look, look.pending.as_ref()).await
    }

    async fn demote(&self, run: &RunId, guard: &str, old: &SecretText) -> Result<Snapshot> {
        let look = self.guarded(Verb::Demote, guard).await?;
        if look.current.as_ref().is_some_and(|v| v.same_as(old)) {
            return Ok(look.snapshot);
        }
        self.put(Verb::Demote, run, &look, Some(old)).await
    }

    async fn fence(&self, guard: &str) -> Result<Snapshot> {
        if self.slot.compare_and_set != Some(true) {
            return Err(PortError::Unsupported { system: self.name(), action: "fence".into() });
        }
        let look = self.guarded(Verb::Fence, guard).await?;
        let called = self.change(Verb::Fence, &[&look.guard], None).await;
        // Whoever moved it: a change that relied on the old guard cannot land any more.
        self.settled(called, |seen| seen.guard != guard && seen.current_is == look.snapshot.current_is).await
    }

    async fn drop_pending(&self, run: &RunId) -> Result<Snapshot> {
        let look = self.look().await?;
        self.drop_ours(run, look).await
    }

    async fn retire(&self, run: &RunId, level: Retire) -> Result<Snapshot> {
        let look = self.look().await?;
        let mut seen = self.drop_ours(run, look).await?;
        let word = match level {
            Retire::Unlink => "unlink",
            Retire::Destroy => "destroy",
        };
        if seen.previous.is_some() {
            let called = self.change(Verb::Retire, &[run.as_str(), word], None).await;
            seen = self.settled(called, |seen| seen.previous.is_none()).await?;
        }
        if level == Retire::Destroy {
            seen.warnings.push("that the old value is erased is the program's word; keyroll sees only that nothing leads to it".into());
        }
        Ok(seen)
    }

    async fn read(&self, place: Place) -> Result<Option<SecretText>> {
        if !self.reads_back() {
            return Ok(None);
        }
        let look = self.look().await?;
        Ok(match place {
            Place::Current => look.current,
            Place::Pending => look.pending,
            Place::Previous => look.previous,
        })
    }
}

/// The change may have gone through although the call failed: a lost answer, or a guard that met our own first try.
fn unclear(e: &PortError) -> bool {
    matches!(e, PortError::Conflict { .. }) || e.may_have_happened()
}

/// A guard changes with our value whatever the program says.
fn digits(value: Option<&Fingerprint>) -> &str {
    value.and_then(|v| v.as_str().rsplit(':').next()).map_or("none", |d| d.get(..32).unwrap_or(d))
}
