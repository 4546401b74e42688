//! The verbs.

use super::VaultStore;
use super::document::Document;
use super::history::FEWEST_KEPT;
use super::kv::Version;
use super::place::{RUN, VALUE};
use crate::ports::{Place, PortError, Result, Retire, SecretStore};
use crate::rotation::{LateWrite, RunId, Snapshot, StoreCaps, Swap, VersionId};
use crate::secret::{Fingerprint, SecretText};
use crate::support::text;

/// The guard of a document that does not exist.
const ABSENT: &str = "absent";

/// What waits at the pending path.
struct Pending {
    /// The version of that document; 0 when there never was one.
    number: u64,
    /// What is readable there.
    content: Option<Content>,
}

struct Content {
    value: Option<SecretText>,
    /// Which run it says it belongs to.
    run: Option<String>,
    /// The note names this very value.
    bound: bool,
}

impl VaultStore {
    async fn snapshot(&self) -> Result<Snapshot> {
        let Some(current) = self.api.read(&self.references, &self.place.path, None).await? else {
            let warnings = vec!["there is no such document; is the mount a KV engine, version 2?".to_owned()];
            return Ok(Snapshot { guard: ABSENT.into(), warnings, ..self.pending_snapshot().await? });
        };
        let mut snapshot = self.pending_snapshot().await?;
        let value = current.document.as_ref().map(|d| self.api.value(d)).transpose()?.flatten();
        snapshot.current_is = value.as_ref().map(|v| self.fingerprints.of(v));
        snapshot.current = snapshot.current_is.as_ref().map(|_| version(current.number));
        snapshot.guard = guard(&current, snapshot.current_is.as_ref());
        if snapshot.current.is_none() {
            snapshot.warnings.push("its current version is deleted, or has no such field".into());
        }
        if let Some(history) = self.api.history(&self.references, &self.place.path, current.number).await? {
            if let Some(previous) = self.previous(&history, snapshot.current_is.as_ref()).await? {
                snapshot.previous = Some(version(previous.number));
                snapshot.previous_is = Some(previous.is);
            }
            snapshot.warnings.extend(self.warnings(&history).await);
        }
        Ok(snapshot)
    }

    async fn pending_snapshot(&self) -> Result<Snapshot> {
        let mut snapshot = Snapshot::default();
        let pending = self.pending().await?;
        if let Some(content) = pending.content {
            snapshot.pending = Some(VersionId::new(format!("pending-v{}", pending.number)));
            snapshot.pending_is = content.value.as_ref().map(|v| self.fingerprints.of(v));
            snapshot.pending_run = content.run;
        }
        Ok(snapshot)
    }

    /// Whose value waits there.
    pub(super) async fn pending_run(&self) -> Result<Option<String>> {
        Ok(self.pending().await?.content.and_then(|content| content.run))
    }

    async fn pending(&self) -> Result<Pending> {
        let Some(version) = self.api.read(&self.references, &self.place.pending(), None).await? else {
            return Ok(Pending { number: 0, content: None });
        };
        let content = version.document.map(|document| {
            let value = document.text(&self.place.field).unwrap_or_default();
            let note = |name: &str| document.text(name).ok().flatten().map(|t| text::clean_to(t.expose(), 100));
            let is = value.as_ref().map(|v| self.fingerprints.of(v));
            let bound = is.as_ref().map(Fingerprint::as_str) == note(VALUE).as_deref();
            Content { run: note(RUN), bound: bound && value.is_some(), value }
        });
        Ok(Pending { number: version.number, content })
    }

    /// The document, if the guard still fits it.
    async fn guarded(&self, action: &str, guarded: &str) -> Result<(Version, Document, SecretText)> {
        let (found, document) = self.api.existing(&self.references, action).await?;
        let value = self.api.value(&document)?;
        let is = value.as_ref().map(|v| self.fingerprints.of(v));
        if guard(&found, is.as_ref()) != guarded {
            return Err(self.api.conflict(action, "the document changed since it was read; nothing was written"));
        }
        let value = value.ok_or_else(|| self.api.conflict(action, "the document has no value to replace"))?;
        Ok((found, document, value))
    }

    /// One write of our field under check-and-set. After anything but a clear yes the document says what became of it.
    async fn put(&self, action: &str, found: &Version, document: &Document, value: &SecretText) -> Result<Snapshot> {
        let changed = document.with(&self.place.field, value);
        let written = self.api.write(&self.references, action, &self.place.path, found.number, &changed).await;
        let is = self.fingerprints.of(value);
        match (written, self.snapshot().await) {
            (Ok(()), Ok(seen)) if seen.current_is == Some(is.clone()) => Ok(seen),
            (Ok(()), Ok(_)) => Err(self.api.unreadable("the document does not hold what was just written to it")),
            (Ok(()), Err(e)) => Err(lost(e)),
            // Nobody else writes this value: the answer was lost, not the write.
            (Err(e), Ok(seen)) if unclear(&e) && seen.current_is == Some(is) => Ok(seen),
            (Err(e), Ok(_) | Err(_)) => Err(e),
        }
    }

    fn whose(&self, run: &RunId, content: &Content) -> Option<String> {
        match &content.run {
            Some(owner) if owner != run.as_str() => Some(format!("a pending value of run {owner} is there; `keyroll orphans` shows it")),
            Some(_) if content.bound => None,
            Some(_) => Some("the pending value is not the one that this run wrote; find out who changed it, and remove it".into()),
            None => Some("a pending value that no run wrote is there; find out whose it is, and remove it".into()),
        }
    }

    async fn drop_ours(&self, run: &RunId) -> Result<()> {
        let Some(content) = self.pending().await?.content else { return Ok(()) };
        if self.whose(run, &content).is_some() {
            return Ok(());
        }
        let removed = self.api.remove(&self.references, "drop the pending value", &self.place.pending()).await;
        match removed {
            Ok(()) => Ok(()),
            Err(e) if unclear(&e) => match self.pending().await {
                Ok(now) if now.content.is_none() => Ok(()),
                Ok(_) | Err(_) => Err(e),
            },
            Err(e) => Err(e),
        }
    }

    async fn bury_old(&self, level: Retire) -> Result<()> {
        let Some(current) = self.api.read(&self.references, &self.place.path, None).await? else { return Ok(()) };
        let value = current.document.as_ref().map(|d| self.api.value(d)).transpose()?.flatten();
        let is = value.map(|v| self.fingerprints.of(&v));
        let Some(history) = self.api.history(&self.references, &self.place.path, current.number).await? else { return Ok(()) };
        let Some(previous) = self.previous(&history, is.as_ref()).await? else { return Ok(()) };
        let versions = self.holding(&history, &previous.is).await?;
        let buried = self.api.bury(&self.references, &self.place.path, versions.clone(), level == Retire::Destroy).await;
        // The server says yes to anything, and may do it without an answer: its own list decides.
        match (buried, self.api.history(&self.references, &self.place.path, current.number).await) {
            (Ok(()) | Err(PortError::Unreachable { .. }), Ok(Some(now)))
                if !now.versions.iter().any(|v| v.live && versions.contains(&v.number)) =>
            {
                Ok(())
            }
            (Err(e), _) => Err(e),
            (Ok(()), Err(e)) => Err(lost(e)),
            (Ok(()), Ok(_)) => Err(self.api.unreadable("the old versions are still readable although their deletion was accepted")),
        }
    }
}

impl SecretStore for VaultStore {
    fn caps(&self) -> StoreCaps {
        StoreCaps { swap: Swap::CompareAndSet, read_back: true, late_write: LateWrite::Fenceable, shared_document: true }
    }

    async fn observe(&self) -> Result<Snapshot> {
        self.snapshot().await
    }

    async fn stage(&self, run: &RunId, value: &SecretText) -> Result<(Option<VersionId>, Snapshot)> {
        let (found, document) = self.api.existing(&self.references, "stage").await?;
        if self.api.value(&document)?.is_none() {
            return Err(self.api.conflict("stage", "the document has no such field yet; put the present key there first"));
        }
        if let Some(history) = self.api.history(&self.references, &self.place.path, found.number).await?
            && (1..FEWEST_KEPT).contains(&history.most)
        {
            let why = format!("the document keeps only {} versions, so the way back may be evicted; raise max_versions", history.most);
            return Err(self.api.refused("stage", &why));
        }
        let is = self.fingerprints.of(value);
        let there = self.pending().await?;
        let staged = there.content.as_ref().map(|c| (self.whose(run, c), c.value.as_ref().is_some_and(|v| v.same_as(value))));
        match staged {
            Some((Some(why), _)) => return Err(self.api.conflict("stage", &why)),
            Some((None, true)) => {}
            Some((None, false)) | None => {
                let waiting = Document::pending(&self.place.field, value, run.as_str(), &is);
                let written = self.api.write(&self.references, "stage", &self.place.pending(), there.number, &waiting).await;
                if let Err(e) = written {
                    self.staged_all_the_same(run, value, e).await?;
                }
            }
        }
        let seen = self.snapshot().await.map_err(lost)?;
        Ok((seen.pending.clone(), seen))
    }

    async fn promote(&self, run: &RunId, guard: &str) -> Result<Snapshot> {
        let (found, document, current) = self.guarded("promote", guard).await?;
        let Some(content) = self.pending().await?.content else {
            return Err(self.api.conflict("promote", "no value waits beside it"));
        };
        if let Some(why) = self.whose(run, &content) {
            return Err(self.api.conflict("promote", &why));
        }
        let Some(pending) = content.value else { return Err(self.api.conflict("promote", "the pending value cannot be read")) };
        if current.same_as(&pending) {
            return self.snapshot().await;
        }
        self.put("promote", &found, &document, &pending).await
    }

    async fn demote(&self, _run: &RunId, guard: &str, old: &SecretText) -> Result<Snapshot> {
        let (found, document, current) = self.guarded("demote", guard).await?;
        if current.same_as(old) {
            return self.snapshot().await;
        }
        self.put("demote", &found, &document, old).await
    }

    async fn fence(&self, guard: &str) -> Result<Snapshot> {
        let (found, document, current) = self.guarded("fence", guard).await?;
        let written = self.api.write(&self.references, "fence", &self.place.path, found.number, &document).await;
        match (written, self.snapshot().await) {
            (Ok(()), seen) => seen.map_err(lost),
            // Whoever moved it: a write that relied on the old guard cannot land any more.
            (Err(e), Ok(seen)) if unclear(&e) && seen.guard != guard && seen.current_is == Some(self.fingerprints.of(&current)) => Ok(seen),
            (Err(e), Ok(_) | Err(_)) => Err(e),
        }
    }

    async fn drop_pending(&self, run: &RunId) -> Result<Snapshot> {
        self.drop_ours(run).await?;
        self.snapshot().await.map_err(lost)
    }

    async fn retire(&self, run: &RunId, level: Retire) -> Result<Snapshot> {
        self.drop_ours(run).await?;
        self.bury_old(level).await?;
        let mut seen = self.snapshot().await.map_err(lost)?;
        match level {
            Retire::Unlink => {}
            Retire::Destroy => seen.warnings.push("versions that were deleted before can still be undeleted by an operator".into()),
        }
        Ok(seen)
    }

    async fn read(&self, place: Place) -> Result<Option<SecretText>> {
        if place == Place::Pending {
            return Ok(self.pending().await?.content.and_then(|c| c.value));
        }
        let Some(current) = self.api.read(&self.references, &self.place.path, None).await? else { return Ok(None) };
        let value = current.document.as_ref().map(|d| self.api.value(d)).transpose()?.flatten();
        match place {
            Place::Current | Place::Pending => Ok(value),
            Place::Previous => {
                let is = value.map(|v| self.fingerprints.of(&v));
                let Some(history) = self.api.history(&self.references, &self.place.path, current.number).await? else { return Ok(None) };
                match self.previous(&history, is.as_ref()).await? {
                    Some(previous) => self.value_at(previous.number).await,
                    None => Ok(None),
                }
            }
        }
    }
}

impl VaultStore {
    async fn staged_all_the_same(&self, run: &RunId, value: &SecretText, e: PortError) -> Result<()> {
        if !unclear(&e) {
            return Err(e);
        }
        match self.pending().await {
            Ok(Pending { content: Some(content), .. }) => match self.whose(run, &content) {
                Some(why) => Err(self.api.conflict("stage", &why)),
                None if content.value.as_ref().is_some_and(|v| v.same_as(value)) => Ok(()),
                None => Err(e),
            },
            Ok(Pending { content: None, .. }) | Err(_) => Err(e),
        }
    }
}

/// The write may have gone through although it was answered with an error: a lost answer, or a check-and-set that met our own first try.
fn unclear(e: &PortError) -> bool {
    matches!(e, PortError::Conflict { .. }) || e.may_have_happened()
}

/// The change went through; only the look after it failed.
fn lost(e: PortError) -> PortError {
    match e {
        PortError::Unreachable { system, why, .. } => PortError::Unreachable { system, why, may_have_happened: true },
        PortError::Refused { system, why, .. } | PortError::Conflict { system, why, .. } => {
            PortError::Unreachable { system, why: format!("the look after the change failed: {why}"), may_have_happened: true }
        }
        PortError::Unsupported { .. } | PortError::Unreadable { .. } => e,
    }
}

/// Changes with every write, to any field, and when the document is deleted and made again.
fn guard(version: &Version, value: Option<&Fingerprint>) -> String {
    let digits = value.and_then(|v| v.as_str().rsplit(':').next()).map_or("none", |d| d.get(..32).unwrap_or(d));
    format!("v{}.{}.{digits}", version.number, version.created)
}

fn version(number: u64) -> VersionId {
    VersionId::new(format!("v{number}"))
}
