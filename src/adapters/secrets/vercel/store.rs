//! The verbs.

use super::api::Variable;
use super::{PENDING, PREVIOUS, VercelStore};
use crate::adapters::secrets::rest::{not_ours, unclear};
use crate::ports::{Place, PortError, Result, Retire, SecretStore};
use crate::rotation::{LateWrite, RunId, Snapshot, StoreCaps, Swap, VersionId};
use crate::secret::{Fingerprint, SecretText};

/// How the comment of a variable of ours begins; run and fingerprint follow.
const OURS: &str = "keyroll run ";
/// The guard of a variable that does not exist.
const ABSENT: &str = "absent";

/// One variable and what it holds.
struct Held {
    id: String,
    kind: String,
    at: i64,
    /// Run and fingerprint that the comment names, where it is ours.
    noted: Option<(String, String)>,
    value: Option<SecretText>,
}

/// One look.
struct Look {
    current: Option<Held>,
    pending: Option<Held>,
    previous: Option<Held>,
    snapshot: Snapshot,
}

impl Held {
    fn version(&self) -> VersionId {
        VersionId::new(format!("{}-{}", self.id, self.at))
    }

    /// It holds what the run wrote that its comment names.
    fn is_bound(&self, is: Option<&Fingerprint>) -> bool {
        self.noted.as_ref().is_some_and(|(_, value)| is.is_some_and(|i| i.as_str() == value))
    }
}

impl VercelStore {
    fn name_of(&self, place: Place) -> String {
        match place {
            Place::Current => self.slot.name.as_str().to_owned(),
            Place::Pending => format!("{}{PENDING}", self.slot.name),
            Place::Previous => format!("{}{PREVIOUS}", self.slot.name),
        }
    }

    async fn held(&self, all: &[Variable], place: Place) -> Result<Option<Held>> {
        let Some(variable) = self.find(all, &self.name_of(place))? else { return Ok(None) };
        let noted = variable.comment.as_deref().and_then(|c| c.strip_prefix(OURS)).and_then(|c| c.split_once(' '));
        let noted = noted.map(|(run, value)| (run.to_owned(), value.to_owned()));
        let value = self.value(variable).await?;
        Ok(Some(Held { id: variable.id.clone(), kind: variable.kind.clone(), at: variable.updated_at, noted, value }))
    }

    fn is(&self, held: Option<&Held>) -> Option<Fingerprint> {
        held?.value.as_ref().map(|v| self.fingerprints.of(v))
    }

    async fn look(&self) -> Result<Look> {
        let all = self.all().await?;
        let current = self.held(&all, Place::Current).await?;
        let pending = self.held(&all, Place::Pending).await?;
        let previous = self.held(&all, Place::Previous).await?.filter(|p| p.noted.is_some());
        let mut snapshot = Snapshot { guard: ABSENT.into(), ..Snapshot::default() };
        snapshot.warnings = vec![
            "a change reaches only deployments that are made afterwards: the consumer's reload must deploy".to_owned(),
            "deployments that exist keep the old value: after the revoke nobody may roll back to one of them".to_owned(),
        ];
        snapshot.current_is = self.is(current.as_ref());
        if let Some(current) = &current {
            let digits = snapshot.current_is.as_ref().and_then(|v| v.as_str().rsplit(':').next()).unwrap_or("none");
            snapshot.guard = format!("{}.{}.{}", current.id, current.at, digits.get(..32).unwrap_or(digits));
            snapshot.current = snapshot.current_is.as_ref().map(|_| current.version());
        }
        if snapshot.current.is_none() {
            snapshot.warnings.push("there is no such variable, or it is empty".into());
        }
        snapshot.pending = pending.as_ref().map(Held::version);
        snapshot.pending_is = self.is(pending.as_ref());
        snapshot.pending_run = pending.as_ref().and_then(|p| p.noted.as_ref()).map(|(run, _)| run.clone());
        snapshot.previous_is = self.is(previous.as_ref());
        snapshot.previous = previous.as_ref().filter(|_| snapshot.previous_is.is_some()).map(Held::version);
        Ok(Look { current, pending, previous, snapshot })
    }

    async fn guarded(&self, action: &str, guard: &str) -> Result<(Look, Held, SecretText)> {
        let mut look = self.look().await?;
        if look.snapshot.guard != guard {
            return Err(self.rest.conflict(action, "the variable changed since it was read; nothing was written"));
        }
        match look.current.take().map(|mut c| (c.value.take(), c)) {
            Some((Some(value), current)) => Ok((look, current, value)),
            Some((None, _)) | None => Err(self.rest.conflict(action, "there is no value to replace")),
        }
    }

    fn whose(&self, run: &RunId, pending: &Held, is: Option<&Fingerprint>) -> Option<String> {
        match not_ours(run.as_str(), pending.noted.as_ref().map(|(run, _)| run.as_str())) {
            None if !pending.is_bound(is) => {
                Some("the pending value is not the one that this run wrote; find out who changed it, and remove it".into())
            }
            other => other,
        }
    }

    /// A variable of ours beside the slot becomes this value, made or changed.
    async fn put_beside(
        &self,
        action: &str,
        place: Place,
        there: Option<&Held>,
        kind: &str,
        run: &RunId,
        value: &SecretText,
    ) -> Result<()> {
        let comment = format!("{OURS}{} {}", run.as_str(), self.fingerprints.of(value).as_str());
        match there {
            Some(held) => self.set(action, &held.id, value, Some(&comment)).await,
            None => self.make(action, &self.name_of(place), kind, value, &comment).await,
        }
    }

    /// Whatever was answered, the variables say what became of it.
    async fn settled(&self, sent: Result<()>, reached: impl Fn(&Snapshot) -> bool) -> Result<Snapshot> {
        match (sent, self.look().await) {
            (Ok(()), Ok(look)) if reached(&look.snapshot) => Ok(look.snapshot),
            (Ok(()), Ok(_)) => Err(self.rest.unreadable("the variable does not hold what was just written to it")),
            (Ok(()), Err(e)) => Err(self.rest.lost(e)),
            (Err(e), Ok(look)) if unclear(&e) && reached(&look.snapshot) => Ok(look.snapshot),
            (Err(e), Ok(_) | Err(_)) => Err(e),
        }
    }

    async fn drop_ours(&self, action: &str, run: &RunId) -> Result<Look> {
        let look = self.look().await?;
        let Some(pending) = &look.pending else { return Ok(look) };
        if self.whose(run, pending, look.snapshot.pending_is.as_ref()).is_some() {
            return Ok(look);
        }
        self.remove(action, &pending.id).await?;
        self.look().await.map_err(|e| self.rest.lost(e))
    }
}

impl SecretStore for VercelStore {
    fn caps(&self) -> StoreCaps {
        StoreCaps { swap: Swap::LastWriteWins, read_back: true, late_write: LateWrite::WaitOut, shared_document: false }
    }

    async fn observe(&self) -> Result<Snapshot> {
        Ok(self.look().await?.snapshot)
    }

    async fn stage(&self, run: &RunId, value: &SecretText) -> Result<(Option<VersionId>, Snapshot)> {
        let look = self.look().await?;
        let Some(current) = look.current.as_ref().filter(|c| c.value.is_some()) else {
            return Err(self.rest.conflict("stage", "there is no such variable yet; make it with the present key first"));
        };
        let is = Some(self.fingerprints.of(value));
        if let Some(pending) = &look.pending {
            if let Some(why) = self.whose(run, pending, look.snapshot.pending_is.as_ref()) {
                return Err(self.rest.conflict("stage", &why));
            }
            if look.snapshot.pending_is == is {
                return Ok((look.snapshot.pending.clone(), look.snapshot));
            }
        }
        let sent = self.put_beside("stage", Place::Pending, look.pending.as_ref(), &current.kind, run, value).await;
        let staged = |seen: &Snapshot| seen.pending_is == is && seen.pending_run.as_deref() == Some(run.as_str());
        let seen = self.settled(sent, staged).await?;
        Ok((seen.pending.clone(), seen))
    }

    async fn promote(&self, run: &RunId, guard: &str) -> Result<Snapshot> {
        let (look, current, old) = self.guarded("promote", guard).await?;
        let Some(pending) = &look.pending else { return Err(self.rest.conflict("promote", "no value waits beside it")) };
        if let Some(why) = self.whose(run, pending, look.snapshot.pending_is.as_ref()) {
            return Err(self.rest.conflict("promote", &why));
        }
        let Some(new) = &pending.value else { return Err(self.rest.conflict("promote", "the pending value cannot be read")) };
        if old.same_as(new) {
            return Ok(look.snapshot);
        }
        if look.snapshot.previous_is != look.snapshot.current_is {
            let kept = self.put_beside("promote", Place::Previous, look.previous.as_ref(), &current.kind, run, &old).await;
            self.settled(kept, |seen| seen.previous_is == look.snapshot.current_is).await.map_err(|e| self.not_yet(e))?;
        }
        let sent = self.set("promote", &current.id, new, None).await;
        self.settled(sent, |seen| seen.current_is == look.snapshot.pending_is).await
    }

    async fn demote(&self, _run: &RunId, guard: &str, old: &SecretText) -> Result<Snapshot> {
        let (look, current, now) = self.guarded("demote", guard).await?;
        let is = Some(self.fingerprints.of(old));
        let mut seen = look.snapshot;
        if !now.same_as(old) {
            let sent = self.set("demote", &current.id, old, None).await;
            seen = self.settled(sent, |seen| seen.current_is == is).await?;
        }
        // The previous value is the current one again: nothing leads back any more.
        if let Some(previous) = look.previous.filter(|p| p.value.as_ref().is_some_and(|v| v.same_as(old))) {
            self.remove("demote", &previous.id).await.map_err(|e| self.rest.lost(e))?;
            seen = self.look().await.map_err(|e| self.rest.lost(e))?.snapshot;
        }
        Ok(seen)
    }

    async fn fence(&self, _guard: &str) -> Result<Snapshot> {
        // No write of Vercel's depends on a guard, so moving it would stop nothing: the capabilities say that only waiting helps.
        self.observe().await
    }

    async fn drop_pending(&self, run: &RunId) -> Result<Snapshot> {
        Ok(self.drop_ours("drop the pending value", run).await?.snapshot)
    }

    async fn retire(&self, run: &RunId, level: Retire) -> Result<Snapshot> {
        let look = self.drop_ours("retire", run).await?;
        let mut seen = look.snapshot;
        if let Some(previous) = &look.previous {
            self.remove("retire", &previous.id).await?;
            seen = self.look().await.map_err(|e| self.rest.lost(e))?.snapshot;
        }
        if level == Retire::Destroy {
            seen.warnings.push("deployments that exist keep the old value until they are deleted".into());
        }
        Ok(seen)
    }

    async fn read(&self, place: Place) -> Result<Option<SecretText>> {
        let all = self.all().await?;
        let held = self.held(&all, place).await?;
        Ok(held.filter(|h| place != Place::Previous || h.noted.is_some()).and_then(|h| h.value))
    }
}

impl VercelStore {
    /// The slot itself was not touched yet: what is unclear about the variable beside it decides nothing.
    fn not_yet(&self, e: PortError) -> PortError {
        match e {
            PortError::Unreachable { why, .. } | PortError::Unreadable { why, .. } => {
                self.rest.away(format!("the old value could not be kept beside: {why}"), false)
            }
            PortError::Refused { .. } | PortError::Conflict { .. } | PortError::Unsupported { .. } => e,
        }
    }
}
