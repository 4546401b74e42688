//! The verbs.

use super::api::{Keep, New, Newest, Version};
use super::{AzureStore, PENDING};
use crate::adapters::secrets::rest::{not_ours, unclear};
use crate::ports::{Place, Result, Retire, SecretStore};
use crate::rotation::{LateWrite, RunId, Snapshot, StoreCaps, Swap, VersionId};
use crate::secret::{Fingerprint, SecretText, sha256_hex};
use crate::support::text;
use std::collections::BTreeMap;

/// The guard of a secret that does not exist, or whose newest version is disabled.
const ABSENT: &str = "absent";
/// The tag that names the run of a version.
const RUN: &str = "keyroll-run";
/// The tag that binds a pending version to what the run wrote.
const VALUE: &str = "keyroll-value";
/// Of so many older versions the values are compared.
const MOST_OLDER: usize = 20;

/// One look.
struct Look {
    current: Option<Box<Version>>,
    pending: Option<Box<Version>>,
    snapshot: Snapshot,
}

impl AzureStore {
    fn pending_name(&self) -> String {
        format!("{}{PENDING}", self.slot.secret)
    }

    async fn newest(&self, name: &str) -> Result<Option<Box<Version>>> {
        Ok(match self.version(name, None).await? {
            Newest::There(version) => Some(version),
            Newest::Disabled | Newest::Nothing => None,
        })
    }

    fn is(&self, version: &Version) -> Option<Fingerprint> {
        let is = version.value.as_ref().filter(|v| !v.is_empty()).map(|v| self.fingerprints.of(v))?;
        self.known.borrow_mut().insert(version.number().to_owned(), is.clone());
        Some(is)
    }

    /// What a version of the secret holds; none when it is disabled.
    async fn holds(&self, version: &Version) -> Result<Option<Fingerprint>> {
        if !version.attributes.enabled {
            return Ok(None);
        }
        let known = self.known.borrow().get(version.number()).cloned();
        if known.is_some() {
            return Ok(known);
        }
        Ok(match self.version(&self.slot.secret, Some(version.number())).await? {
            Newest::There(v) => self.is(&v),
            Newest::Disabled | Newest::Nothing => None,
        })
    }

    /// The value before the current one, and the versions that hold it. A disabled version there ends the way back: what is older still was
    /// retired, or is nobody's business.
    async fn older(&self, current: &Version, is: Option<&Fingerprint>) -> Result<Option<(Fingerprint, Vec<String>)>> {
        let mut found: Option<(Fingerprint, Vec<String>)> = None;
        let all = self.versions(&self.slot.secret).await?;
        for version in all.iter().filter(|v| v.number() != current.number()).take(MOST_OLDER) {
            match (self.holds(version).await?, &mut found) {
                (None, None) => return Ok(None),
                (Some(holds), None) if Some(&holds) == is => {}
                (Some(holds), None) => found = Some((holds, vec![version.number().to_owned()])),
                (Some(holds), Some((same, numbers))) if *same == holds => numbers.push(version.number().to_owned()),
                (Some(_) | None, Some(_)) => {}
            }
        }
        Ok(found)
    }

    async fn look(&self) -> Result<Look> {
        let current = self.newest(&self.slot.secret).await?;
        let pending = self.newest(&self.pending_name()).await?;
        let mut snapshot = Snapshot { guard: ABSENT.into(), ..Snapshot::default() };
        snapshot
            .warnings
            .push("Key Vault has no compare-and-set: who writes between a look and the write is found out afterwards only".into());
        if let Some(current) = &current {
            snapshot.current_is = self.is(current);
            snapshot.current = snapshot.current_is.as_ref().map(|_| version(current));
            snapshot.guard = guard(current);
            if let Some((is, numbers)) = self.older(current, snapshot.current_is.as_ref()).await? {
                snapshot.previous = numbers.first().map(|n| VersionId::new(text::clean_to(n, 64)));
                snapshot.previous_is = Some(is);
            }
        } else {
            snapshot.warnings.push("there is no such secret, or its newest version is disabled".into());
        }
        if let Some(pending) = &pending {
            snapshot.pending = Some(version(pending));
            snapshot.pending_is = self.is(pending);
            snapshot.pending_run = pending.tags.get(RUN).map(|run| text::clean_to(run, 100));
        }
        Ok(Look { current, pending, snapshot })
    }

    async fn guarded(&self, action: &str, guard: &str) -> Result<(Look, Box<Version>)> {
        let mut look = self.look().await?;
        if look.snapshot.guard != guard {
            return Err(self.rest.conflict(action, "the secret changed since it was read; nothing was written"));
        }
        match look.current.take() {
            Some(current) if look.snapshot.current_is.is_some() => Ok((look, current)),
            Some(_) | None => Err(self.rest.conflict(action, "there is no current version to replace")),
        }
    }

    fn whose(&self, run: &RunId, pending: &Version, is: Option<&Fingerprint>) -> Option<String> {
        let bound = pending.tags.get(VALUE).map(String::as_str) == is.map(Fingerprint::as_str);
        match not_ours(run.as_str(), pending.tags.get(RUN).map(String::as_str)) {
            None if !bound => Some("the pending value is not the one that this run wrote; find out who changed it, and disable it".into()),
            other => other,
        }
    }

    /// A new current version with this value; tags, type and times are those of the version now.
    async fn replace(&self, action: &str, run: &RunId, current: &Version, value: &SecretText) -> Result<Snapshot> {
        let mut tags = current.tags.clone();
        tags.insert(RUN.to_owned(), run.as_str().to_owned());
        let keep = Keep { enabled: true, exp: current.attributes.exp, nbf: current.attributes.nbf };
        let new = New { value: value.expose(), tags: &tags, content_type: current.content_type.as_deref(), attributes: keep };
        let sent = self.put(action, &self.slot.secret, &new).await;
        let is = Some(self.fingerprints.of(value));
        match (sent, self.look().await) {
            (Ok(()), Ok(look)) if look.snapshot.current_is == is => Ok(look.snapshot),
            (Ok(()), Ok(_)) => Err(self.rest.unreadable("the newest version is not what was just written; somebody else wrote too")),
            (Ok(()), Err(e)) => Err(self.rest.lost(e)),
            (Err(e), Ok(look)) if unclear(&e) && look.snapshot.current_is == is => Ok(look.snapshot),
            (Err(e), Ok(_) | Err(_)) => Err(e),
        }
    }

    async fn drop_ours(&self, action: &str, run: &RunId) -> Result<Snapshot> {
        let look = self.look().await?;
        let Some(pending) = &look.pending else { return Ok(look.snapshot) };
        if self.whose(run, pending, look.snapshot.pending_is.as_ref()).is_some() {
            return Ok(look.snapshot);
        }
        // After a way back, the version that was current for a while holds the value too.
        for version in self.versions(&self.slot.secret).await? {
            let ours = version.tags.get(RUN).map(String::as_str) == Some(run.as_str());
            let current = look.current.as_ref().is_some_and(|c| c.number() == version.number());
            if ours && !current && look.snapshot.pending_is != look.snapshot.current_is {
                let holds = self.holds(&version).await?;
                if holds.is_some() && holds == look.snapshot.pending_is {
                    self.disable(action, &self.slot.secret, version.number()).await?;
                }
            }
        }
        self.disable(action, &self.pending_name(), pending.number()).await?;
        Ok(self.look().await.map_err(|e| self.rest.lost(e))?.snapshot)
    }
}

impl SecretStore for AzureStore {
    fn caps(&self) -> StoreCaps {
        StoreCaps { swap: Swap::LastWriteWins, read_back: true, late_write: LateWrite::WaitOut, shared_document: false }
    }

    async fn observe(&self) -> Result<Snapshot> {
        Ok(self.look().await?.snapshot)
    }

    async fn stage(&self, run: &RunId, value: &SecretText) -> Result<(Option<VersionId>, Snapshot)> {
        let look = self.look().await?;
        if look.snapshot.current_is.is_none() {
            return Err(self.rest.conflict("stage", "there is no such secret yet, or it is disabled; put the present key there first"));
        }
        let is = Some(self.fingerprints.of(value));
        if let Some(pending) = &look.pending {
            if let Some(why) = self.whose(run, pending, look.snapshot.pending_is.as_ref()) {
                return Err(self.rest.conflict("stage", &why));
            }
            if look.snapshot.pending_is == is {
                return Ok((look.snapshot.pending.clone(), look.snapshot));
            }
        }
        let bound = is.as_ref().map(|i| i.as_str().to_owned()).unwrap_or_default();
        let tags = BTreeMap::from([(RUN.to_owned(), run.as_str().to_owned()), (VALUE.to_owned(), bound)]);
        let keep = Keep { enabled: true, exp: None, nbf: None };
        let new = New { value: value.expose(), tags: &tags, content_type: None, attributes: keep };
        let sent = self.put("stage", &self.pending_name(), &new).await;
        let staged = |seen: &Snapshot| seen.pending_is == is && seen.pending_run.as_deref() == Some(run.as_str());
        let seen = match (sent, self.look().await) {
            (Ok(()), Ok(look)) if staged(&look.snapshot) => look.snapshot,
            (Ok(()), Ok(_)) => return Err(self.rest.unreadable("the pending secret does not hold what was just written to it")),
            (Ok(()), Err(e)) => return Err(self.rest.lost(e)),
            (Err(e), Ok(look)) if unclear(&e) && staged(&look.snapshot) => look.snapshot,
            (Err(e), Ok(_) | Err(_)) => return Err(e),
        };
        Ok((seen.pending.clone(), seen))
    }

    async fn promote(&self, run: &RunId, guard: &str) -> Result<Snapshot> {
        let (look, current) = self.guarded("promote", guard).await?;
        let Some(pending) = &look.pending else { return Err(self.rest.conflict("promote", "no value waits beside it")) };
        if let Some(why) = self.whose(run, pending, look.snapshot.pending_is.as_ref()) {
            return Err(self.rest.conflict("promote", &why));
        }
        if look.snapshot.current_is == look.snapshot.pending_is {
            return Ok(look.snapshot);
        }
        let Some(value) = &pending.value else { return Err(self.rest.conflict("promote", "the pending value cannot be read")) };
        self.replace("promote", run, &current, value).await
    }

    async fn demote(&self, run: &RunId, guard: &str, old: &SecretText) -> Result<Snapshot> {
        let (look, current) = self.guarded("demote", guard).await?;
        if look.snapshot.current_is == Some(self.fingerprints.of(old)) {
            return Ok(look.snapshot);
        }
        self.replace("demote", run, &current, old).await
    }

    async fn fence(&self, _guard: &str) -> Result<Snapshot> {
        // No write of Key Vault's depends on a guard, so moving it would stop nothing: the capabilities say that only waiting helps.
        self.observe().await
    }

    async fn drop_pending(&self, run: &RunId) -> Result<Snapshot> {
        self.drop_ours("drop the pending value", run).await
    }

    async fn retire(&self, run: &RunId, level: Retire) -> Result<Snapshot> {
        self.drop_ours("retire", run).await?;
        let look = self.look().await?;
        if let Some(current) = &look.current
            && let Some((_, numbers)) = self.older(current, look.snapshot.current_is.as_ref()).await?
        {
            // The oldest first: as long as the newest of them is readable, the rest is found again.
            for number in numbers.iter().rev() {
                self.disable("retire", &self.slot.secret, number).await?;
            }
        }
        let mut seen = self.look().await.map_err(|e| self.rest.lost(e))?.snapshot;
        if level == Retire::Destroy {
            seen.warnings.push("Key Vault cannot delete one version: the older ones are disabled, and can be enabled again".into());
        }
        Ok(seen)
    }

    async fn read(&self, place: Place) -> Result<Option<SecretText>> {
        let name = match place {
            Place::Current | Place::Previous => self.slot.secret.clone(),
            Place::Pending => self.pending_name(),
        };
        let Some(newest) = self.newest(&name).await? else { return Ok(None) };
        if place != Place::Previous {
            return Ok(newest.value.filter(|v| !v.is_empty()));
        }
        let is = self.is(&newest);
        let Some((_, numbers)) = self.older(&newest, is.as_ref()).await? else { return Ok(None) };
        let Some(number) = numbers.first() else { return Ok(None) };
        Ok(match self.version(&name, Some(number)).await? {
            Newest::There(version) => version.value.filter(|v| !v.is_empty()),
            Newest::Disabled | Newest::Nothing => None,
        })
    }
}

fn version(version: &Version) -> VersionId {
    VersionId::new(text::clean_to(version.number(), 64))
}

/// Changes with every write of a value, a tag, a time, or the type.
fn guard(version: &Version) -> String {
    let rest = (&version.tags, &version.content_type, version.attributes.exp, version.attributes.nbf);
    let digest = sha256_hex(&serde_json::to_vec(&rest).unwrap_or_default());
    format!("{}.{}.{}", text::clean_to(version.number(), 64), version.attributes.updated, digest.get(..16).unwrap_or_default())
}
