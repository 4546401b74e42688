//! The verbs.

use super::GithubStore;
use super::api::Kept;
use super::note::{Mark, Says, says};
use crate::adapters::secrets::rest::{not_ours, unclear};
use crate::ports::{Place, PortError, Result, Retire, SecretStore};
use crate::rotation::{LateWrite, RunId, Snapshot, StoreCaps, Swap, VersionId};
use crate::secret::{Fingerprint, SecretText};

/// The same value is written so often: a second write of it changes nothing, a lost one is made good.
const WRITES: usize = 2;

/// One look: times, and what the note says of them.
struct Look {
    kept: Kept,
    written: Option<String>,
    waits: Option<String>,
    snapshot: Snapshot,
}

impl GithubStore {
    async fn look(&self) -> Result<Look> {
        let kept = self.note().await?;
        let written = self.written(&self.current_name()).await?;
        let waits = self.written(&self.pending_name()).await?;
        let noted = kept.at.as_deref();
        let mut snapshot = Snapshot::default();
        let mut warnings = vec![
            "GitHub gives no value back: what the secret holds is known from keyroll's own writes and their times, to the second"
                .to_owned(),
            "workflows that are queued or run keep the value they have: let hold outlast them".to_owned(),
        ];
        if let Some(at) = &written {
            snapshot.current = Some(VersionId::new(format!("written-{at}")));
            snapshot.current_is = match says(kept.note.current.as_ref(), at, noted) {
                Says::Holds(is, _) => Some(is),
                Says::NotYet(was) => was,
                Says::Assumed(is, run) => {
                    warnings.push(format!("the secret was written at {at}, when run {run} was writing it; GitHub shows no more than that"));
                    Some(is)
                }
                Says::Nothing => {
                    warnings.push(format!("the secret was written at {at}, not by keyroll as far as is known"));
                    None
                }
            };
        } else {
            warnings.push("there is no such secret".to_owned());
        }
        if let Some(at) = &waits {
            snapshot.pending = Some(VersionId::new(format!("written-{at}")));
            match says(kept.note.pending.as_ref(), at, noted) {
                Says::Holds(is, run) | Says::Assumed(is, run) => {
                    snapshot.pending_is = Some(is);
                    snapshot.pending_run = Some(run);
                }
                // One of this name was there before the run that noted its own.
                Says::NotYet(_) | Says::Nothing => {}
            }
        }
        let digits = snapshot.current_is.as_ref().and_then(|v| v.as_str().rsplit(':').next()).unwrap_or("unknown");
        snapshot.guard = format!("{}.{}", written.as_deref().unwrap_or("absent"), digits.get(..32).unwrap_or(digits));
        snapshot.warnings = warnings;
        Ok(Look { kept, written, waits, snapshot })
    }

    async fn guarded(&self, action: &str, guard: &str) -> Result<Look> {
        let look = self.look().await?;
        if look.snapshot.guard != guard {
            return Err(self.rest.conflict(action, "the secret was written since it was looked at; nothing was written"));
        }
        if look.written.is_none() {
            return Err(self.rest.conflict(action, "there is no such secret any more"));
        }
        Ok(look)
    }

    /// One secret becomes this value, with a note before and after. `before` is its time now.
    async fn write(&self, action: &str, run: &RunId, look: Look, value: &SecretText, pending: bool) -> Result<()> {
        let name = if pending { self.pending_name() } else { self.current_name() };
        let before = if pending { look.waits } else { look.written };
        let was = if pending { look.snapshot.pending_is } else { look.snapshot.current_is };
        let mut mark = Mark { is: self.fingerprints.of(value), run: run.as_str().to_owned(), before: before.clone(), at: None, was };
        let mut note = look.kept.note.clone();
        let place = |note: &mut super::note::Note, mark: &Mark| {
            let place = if pending { &mut note.pending } else { &mut note.current };
            *place = Some(mark.clone());
        };
        place(&mut note, &mark);
        let kept = self.write_note(action, &look.kept, &note).await?;
        let mut last = Ok(());
        for _ in 0..WRITES {
            last = self.put(action, &name, value).await;
            match &last {
                Ok(()) => break,
                Err(e) if !unclear(e) => break,
                // Nobody else is known to write now: a time that moved is ours, one that did not lets the same value be written again.
                Err(_) => match self.written(&name).await {
                    Ok(now) if now != before => {
                        last = Ok(());
                        break;
                    }
                    Ok(_) => {}
                    Err(_) => break,
                },
            }
        }
        last?;
        let after = self.written(&name).await.map_err(|e| self.rest.lost(e))?;
        mark.at = Some(after.ok_or_else(|| self.rest.unreadable("the secret is gone after it was written"))?);
        place(&mut note, &mark);
        self.write_note(action, &kept, &note).await.map_err(|e| self.rest.lost(e))?;
        Ok(())
    }

    /// The value that waits: as this process staged it for this run, else as another slot gives it back. Its fingerprint decides.
    async fn at_hand(&self, run: &RunId, waits: Option<&Fingerprint>) -> Result<Option<SecretText>> {
        let fits = |value: &SecretText| Some(&self.fingerprints.of(value)) == waits;
        let ours = self.staged.borrow().as_ref().filter(|(of, value)| of == run.as_str() && fits(value)).map(|(_, v)| v.duplicate());
        if ours.is_some() {
            return Ok(ours);
        }
        for other in self.others.iter().filter(|o| o.caps().read_back) {
            for place in [Place::Pending, Place::Current] {
                if let Some(value) = other.read(place).await?.filter(fits) {
                    return Ok(Some(value));
                }
            }
        }
        Ok(None)
    }

    async fn drop_ours(&self, action: &str, run: &RunId) -> Result<Snapshot> {
        let look = self.look().await?;
        let mut note = look.kept.note.clone();
        let noted = note.pending.as_ref().is_some_and(|m| m.run == run.as_str());
        if look.waits.is_some() {
            if not_ours(run.as_str(), look.snapshot.pending_run.as_deref()).is_some() {
                return Ok(look.snapshot);
            }
            self.delete(action, &self.pending_name()).await?;
        }
        if noted {
            note.pending = None;
            self.write_note(action, &look.kept, &note).await?;
        }
        Ok(self.look().await.map_err(|e| self.rest.lost(e))?.snapshot)
    }
}

impl SecretStore for GithubStore {
    fn caps(&self) -> StoreCaps {
        StoreCaps { swap: Swap::LastWriteWins, read_back: false, late_write: LateWrite::WaitOut, shared_document: false }
    }

    async fn observe(&self) -> Result<Snapshot> {
        Ok(self.look().await?.snapshot)
    }

    async fn stage(&self, run: &RunId, value: &SecretText) -> Result<(Option<VersionId>, Snapshot)> {
        let look = self.look().await?;
        if look.written.is_none() {
            return Err(self.rest.conflict("stage", "there is no such secret yet; make it with the present key first"));
        }
        if look.waits.is_some()
            && let Some(why) = not_ours(run.as_str(), look.snapshot.pending_run.as_deref())
        {
            return Err(self.rest.conflict("stage", &why));
        }
        if look.snapshot.pending_is != Some(self.fingerprints.of(value)) {
            self.write("stage", run, look, value, true).await?;
        }
        *self.staged.borrow_mut() = Some((run.as_str().to_owned(), value.duplicate()));
        let seen = self.look().await.map_err(|e| self.rest.lost(e))?.snapshot;
        Ok((seen.pending.clone(), seen))
    }

    async fn promote(&self, run: &RunId, guard: &str) -> Result<Snapshot> {
        let look = self.guarded("promote", guard).await?;
        if look.waits.is_none() {
            return Err(self.rest.conflict("promote", "no value waits beside it"));
        }
        if let Some(why) = not_ours(run.as_str(), look.snapshot.pending_run.as_deref()) {
            return Err(self.rest.conflict("promote", &why));
        }
        if look.snapshot.current_is == look.snapshot.pending_is && look.snapshot.current_is.is_some() {
            return Ok(look.snapshot);
        }
        let Some(value) = self.at_hand(run, look.snapshot.pending_is.as_ref()).await? else {
            let why = "the value ended with the process that staged it: GitHub gives back none, and no other slot holds it; a new run makes another";
            return Err(self.rest.refused("promote", why));
        };
        self.write("promote", run, look, &value, false).await?;
        Ok(self.look().await.map_err(|e| self.rest.lost(e))?.snapshot)
    }

    async fn demote(&self, run: &RunId, guard: &str, old: &SecretText) -> Result<Snapshot> {
        let look = self.guarded("demote", guard).await?;
        if look.snapshot.current_is == Some(self.fingerprints.of(old)) {
            return Ok(look.snapshot);
        }
        self.write("demote", run, look, old, false).await?;
        Ok(self.look().await.map_err(|e| self.rest.lost(e))?.snapshot)
    }

    async fn fence(&self, _guard: &str) -> Result<Snapshot> {
        Err(self.rest.unsupported("fence"))
    }

    async fn drop_pending(&self, run: &RunId) -> Result<Snapshot> {
        self.drop_ours("drop the pending value", run).await
    }

    async fn retire(&self, run: &RunId, level: Retire) -> Result<Snapshot> {
        let mut seen = self.drop_ours("retire", run).await?;
        if level == Retire::Destroy {
            seen.warnings.push("GitHub keeps no older value of a secret that could be read; there was nothing to erase".into());
        }
        Ok(seen)
    }

    async fn read(&self, _place: Place) -> std::result::Result<Option<SecretText>, PortError> {
        Ok(None)
    }
}
