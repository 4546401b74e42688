//! The verbs.

use super::api::About;
use super::{GoogleStore, PENDING, PREVIOUS};
use crate::adapters::secrets::rest::{not_ours, unclear};
use crate::ports::{Place, Result, Retire, SecretStore};
use crate::rotation::{LateWrite, RunId, Snapshot, StoreCaps, Swap, VersionId};
use crate::secret::{Fingerprint, SecretText};
use crate::support::text;

/// The guard of a secret that does not exist.
const ABSENT: &str = "absent";

/// One look.
struct Look {
    about: Option<About>,
    snapshot: Snapshot,
}

impl GoogleStore {
    fn alias(&self, place: Place) -> String {
        let alias = self.slot.alias.as_str();
        match place {
            Place::Current => alias.to_owned(),
            Place::Pending => format!("{alias}{PENDING}"),
            Place::Previous => format!("{alias}{PREVIOUS}"),
        }
    }

    /// The annotation that names the run of the pending version.
    fn run_note(&self) -> String {
        format!("keyroll-{}-run", self.slot.alias)
    }

    fn fence_note(&self) -> String {
        format!("keyroll-{}-fence", self.slot.alias)
    }

    fn number<'a>(&self, about: &'a About, place: Place) -> Option<&'a String> {
        about.version_aliases.get(&self.alias(place))
    }

    /// Fingerprint of a version, asked for once. Whether it can still be read is asked each time for what must be readable.
    async fn is(&self, about: &About, number: &str, fresh: bool) -> Result<Option<Fingerprint>> {
        let key = (number.to_owned(), about.create_time.clone());
        if let (false, Some(known)) = (fresh, self.known.borrow().get(&key)) {
            return Ok(Some(known.clone()));
        }
        let is = self.value(number).await?.map(|v| self.fingerprints.of(&v));
        if let Some(is) = &is {
            self.known.borrow_mut().insert(key, is.clone());
        }
        Ok(is)
    }

    async fn look(&self) -> Result<Look> {
        let Some(about) = self.about().await? else {
            let warnings = vec!["there is no such secret".to_owned()];
            return Ok(Look { about: None, snapshot: Snapshot { guard: ABSENT.into(), warnings, ..Snapshot::default() } });
        };
        let mut snapshot = Snapshot::default();
        let version = |number: &String| VersionId::new(format!("v{}", text::clean_to(number, 24)));
        if let Some(number) = self.number(&about, Place::Current) {
            // A version that somebody disabled is still pointed to, and nobody can read it.
            snapshot.current_is = self.is(&about, number, true).await?;
            snapshot.current = snapshot.current_is.as_ref().map(|_| version(number));
        }
        if snapshot.current.is_none() {
            let alias = self.alias(Place::Current);
            snapshot.warnings.push(format!("no readable version has the alias `{alias}`; consumers must read that, not `latest`"));
        }
        if let Some(number) = self.number(&about, Place::Pending) {
            snapshot.pending = Some(version(number));
            snapshot.pending_is = self.is(&about, number, false).await?;
            snapshot.pending_run = about.annotations.get(&self.run_note()).map(|run| text::clean_to(run, 100));
        }
        if let Some(number) = self.number(&about, Place::Previous) {
            snapshot.previous_is = self.is(&about, number, true).await?;
            snapshot.previous = snapshot.previous_is.as_ref().map(|_| version(number));
        }
        let digits = snapshot.current_is.as_ref().and_then(|v| v.as_str().rsplit(':').next()).unwrap_or("none");
        snapshot.guard = format!("{}.{}", text::clean_to(&about.etag, 100), digits.get(..32).unwrap_or(digits));
        Ok(Look { about: Some(about), snapshot })
    }

    async fn guarded(&self, action: &str, guard: &str) -> Result<(About, Snapshot)> {
        let look = self.look().await?;
        if look.snapshot.guard != guard {
            return Err(self.rest.conflict(action, "the secret changed since it was read; nothing was changed"));
        }
        match look.about {
            Some(about) if look.snapshot.current.is_some() => Ok((about, look.snapshot)),
            Some(_) | None => Err(self.rest.conflict(action, "there is no current version to replace")),
        }
    }

    /// One write under the etag. After anything but a clear yes, the secret says what became of it.
    async fn settled(&self, action: &str, wanted: &About, reached: impl Fn(&Snapshot) -> bool) -> Result<Snapshot> {
        let sent = self.point(action, wanted).await;
        match (sent, self.look().await) {
            (Ok(()), Ok(look)) if reached(&look.snapshot) => Ok(look.snapshot),
            (Ok(()), Ok(_)) => Err(self.rest.unreadable("the aliases are not what was just written")),
            (Ok(()), Err(e)) => Err(self.rest.lost(e)),
            (Err(e), Ok(look)) if unclear(&e) && reached(&look.snapshot) => Ok(look.snapshot),
            (Err(e), Ok(_) | Err(_)) => Err(e),
        }
    }

    fn set(&self, about: &mut About, place: Place, number: Option<&str>) {
        match number {
            Some(number) => about.version_aliases.insert(self.alias(place), number.to_owned()),
            None => about.version_aliases.remove(&self.alias(place)),
        };
    }

    /// Another alias leads to this version too: one of ours, or of somebody else.
    fn used(&self, about: &About, besides: Place, number: &str) -> bool {
        let besides = self.alias(besides);
        about.version_aliases.iter().any(|(alias, n)| *alias != besides && n == number)
    }

    async fn drop_ours(&self, action: &str, run: &RunId) -> Result<Snapshot> {
        let look = self.look().await?;
        let (Some(mut about), true) = (look.about, look.snapshot.pending.is_some()) else { return Ok(look.snapshot) };
        if not_ours(run.as_str(), look.snapshot.pending_run.as_deref()).is_some() {
            return Ok(look.snapshot);
        }
        let number = self.number(&about, Place::Pending).cloned();
        // First the version: if this dies in between, the alias still leads to what is to be done.
        if let Some(number) = number.filter(|n| !self.used(&about, Place::Pending, n)) {
            self.bury(&number, false).await?;
        }
        self.set(&mut about, Place::Pending, None);
        about.annotations.remove(&self.run_note());
        self.settled(action, &about, |seen| seen.pending.is_none()).await
    }
}

impl SecretStore for GoogleStore {
    fn caps(&self) -> StoreCaps {
        StoreCaps { swap: Swap::CompareAndSet, read_back: true, late_write: LateWrite::Fenceable, shared_document: false }
    }

    async fn observe(&self) -> Result<Snapshot> {
        Ok(self.look().await?.snapshot)
    }

    async fn stage(&self, run: &RunId, value: &SecretText) -> Result<(Option<VersionId>, Snapshot)> {
        let look = self.look().await?;
        let (Some(mut about), true) = (look.about, look.snapshot.current.is_some()) else {
            let why = format!("no readable version has the alias `{}`; point it at the present value first", self.slot.alias);
            return Err(self.rest.conflict("stage", &why));
        };
        if look.snapshot.pending.is_some()
            && let Some(why) = not_ours(run.as_str(), look.snapshot.pending_run.as_deref())
        {
            return Err(self.rest.conflict("stage", &why));
        }
        let is = Some(self.fingerprints.of(value));
        if look.snapshot.pending_is == is {
            return Ok((look.snapshot.pending.clone(), look.snapshot));
        }
        // A version that was added before and is pointed to by nothing is used, not added again.
        let number = match self.newest_with(value).await? {
            Some(number) => number,
            None => self.add(value).await?,
        };
        self.set(&mut about, Place::Pending, Some(&number));
        about.annotations.insert(self.run_note(), run.as_str().to_owned());
        let staged = |seen: &Snapshot| seen.pending_is == is && seen.pending_run.as_deref() == Some(run.as_str());
        let seen = self.settled("stage", &about, staged).await?;
        Ok((seen.pending.clone(), seen))
    }

    async fn promote(&self, run: &RunId, guard: &str) -> Result<Snapshot> {
        let (mut about, seen) = self.guarded("promote", guard).await?;
        if seen.pending.is_none() {
            return Err(self.rest.conflict("promote", "no value waits beside it"));
        }
        if let Some(why) = not_ours(run.as_str(), seen.pending_run.as_deref()) {
            return Err(self.rest.conflict("promote", &why));
        }
        let (Some(is), Some(pending)) = (seen.pending_is.clone(), self.number(&about, Place::Pending).cloned()) else {
            return Err(self.rest.conflict("promote", "the pending version cannot be read"));
        };
        if seen.current_is.as_ref() == Some(&is) {
            return Ok(seen);
        }
        let current = self.number(&about, Place::Current).cloned();
        self.set(&mut about, Place::Previous, current.as_deref());
        self.set(&mut about, Place::Current, Some(&pending));
        self.settled("promote", &about, |seen| seen.current_is.as_ref() == Some(&is)).await
    }

    async fn demote(&self, _run: &RunId, guard: &str, old: &SecretText) -> Result<Snapshot> {
        let (mut about, seen) = self.guarded("demote", guard).await?;
        let is = Some(self.fingerprints.of(old));
        if seen.current_is == is {
            return Ok(seen);
        }
        let previous = self.number(&about, Place::Previous).filter(|_| seen.previous_is == is).cloned();
        let number = match previous {
            Some(number) => number,
            // Somebody disabled it, or pointed the alias elsewhere: the value is what matters.
            None => match self.newest_with(old).await? {
                Some(number) => number,
                None => self.add(old).await?,
            },
        };
        self.set(&mut about, Place::Current, Some(&number));
        self.set(&mut about, Place::Previous, None);
        self.settled("demote", &about, |seen| seen.current_is == is).await
    }

    async fn fence(&self, guard: &str) -> Result<Snapshot> {
        let (mut about, seen) = self.guarded("fence", guard).await?;
        let count = about.annotations.get(&self.fence_note()).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0).wrapping_add(1);
        about.annotations.insert(self.fence_note(), count.to_string());
        // Whoever moved the etag: a write that relied on the old one cannot land any more.
        self.settled("fence", &about, |now| now.guard != guard && now.current_is == seen.current_is).await
    }

    async fn drop_pending(&self, run: &RunId) -> Result<Snapshot> {
        self.drop_ours("drop the pending version", run).await
    }

    async fn retire(&self, run: &RunId, level: Retire) -> Result<Snapshot> {
        let mut seen = self.drop_ours("retire", run).await?;
        let look = self.look().await?;
        let previous = look.about.as_ref().and_then(|about| self.number(about, Place::Previous)).cloned();
        if let (Some(mut about), Some(number)) = (look.about, previous) {
            if !self.used(&about, Place::Previous, &number) {
                self.bury(&number, level == Retire::Destroy).await?;
            }
            self.set(&mut about, Place::Previous, None);
            about.annotations.remove(&self.fence_note());
            seen = self.settled("retire", &about, |seen| seen.previous.is_none()).await?;
        }
        Ok(seen)
    }

    async fn read(&self, place: Place) -> Result<Option<SecretText>> {
        let Some(about) = self.about().await? else { return Ok(None) };
        match self.number(&about, place) {
            Some(number) => self.value(number).await,
            None => Ok(None),
        }
    }
}
