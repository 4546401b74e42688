//! The verbs.

use super::object::{Object, packed};
use super::place::Helper;
use super::problem::Problem;
use super::{KubernetesStore, owner};
use crate::ports::{Place, PortError, Result, Retire, SecretStore};
use crate::rotation::{LateWrite, RunId, Snapshot, StoreCaps, Swap, VersionId};
use crate::secret::{Fingerprint, SecretText};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// The guard of a Secret that does not exist.
const ABSENT: &str = "absent";
/// On a helper: the run that wrote it.
const RUN: &str = "keyroll/run";
/// On a helper: the fingerprint of the value that the run wrote.
const VALUE: &str = "keyroll/value";
/// On the Secret itself: moves its version and nothing else.
const FENCE: &str = "keyroll/fence";

impl KubernetesStore {
    fn failed(&self, action: &str, problem: Problem, changes: bool) -> PortError {
        problem.into_port(&self.name(), action, changes)
    }

    fn conflict(&self, action: &str, why: impl Into<String>) -> PortError {
        PortError::Conflict { system: self.name(), action: action.into(), why: why.into() }
    }

    async fn find(&self, path: &str, action: &str) -> Result<Option<Object>> {
        let answer = self.cluster.find(path).await.map_err(|p| self.failed(action, p, false))?;
        answer.map(|a| Object::parse(&a.body, &self.place.key)).transpose().map_err(|p| self.failed(action, p, false))
    }

    async fn helper(&self, helper: Helper, action: &str) -> Result<Option<Object>> {
        self.find(&self.place.helper_path(helper), action).await
    }

    fn is(&self, object: &Object) -> Option<Fingerprint> {
        object.value.as_ref().map(|v| self.fingerprints.of(v))
    }

    async fn snapshot(&self) -> Result<Snapshot> {
        Box::pin(self.look()).await
    }

    async fn look(&self) -> Result<Snapshot> {
        let mut snapshot = Snapshot { guard: ABSENT.into(), ..Snapshot::default() };
        let current = self.find(&self.place.path(), "read").await?;
        if let Some(pending) = self.helper(Helper::Pending, "read").await? {
            snapshot.pending = Some(VersionId::new(format!("pending-{}", pending.version)));
            snapshot.pending_is = self.is(&pending);
            snapshot.pending_run = Some(pending.meta.notes.get(RUN).cloned().unwrap_or_else(|| "somebody else".into()));
        }
        let Some(current) = current else {
            snapshot.warnings.push("there is no such Secret; make it with the present value".into());
            return Ok(snapshot);
        };
        snapshot.current_is = self.is(&current);
        snapshot.current = snapshot.current_is.as_ref().map(|_| VersionId::new(current.version.clone()));
        snapshot.guard = guard(&current, snapshot.current_is.as_ref());
        if snapshot.current.is_none() {
            snapshot.warnings.push("it has no such key, or an empty one; put the present value there first".into());
        }
        if let Some(previous) = self.helper(Helper::Previous, "read").await? {
            let is = self.is(&previous);
            // While it holds what is current, it leads nowhere else.
            if is.is_some() && is != snapshot.current_is {
                snapshot.previous = Some(VersionId::new(format!("previous-{}", previous.version)));
                snapshot.previous_is = is;
            }
        }
        snapshot.unusable = unusable(&current);
        snapshot.warnings.extend(snapshot.unusable.clone());
        snapshot.warnings.extend(owner::notice(&current.meta));
        snapshot.warnings.extend(self.lacking().await.iter().cloned());
        snapshot.warnings.push(self.cluster.who().await.to_owned());
        Ok(snapshot)
    }

    /// What a rotation needs and this login may not do. Nice to know before; the calls themselves say it too.
    async fn lacking(&self) -> &[String] {
        if let Some(known) = self.lacks.get() {
            return known;
        }
        let pending = self.place.helper(Helper::Pending);
        let mut found = Vec::new();
        // One question for each kind of call; the second helper is treated like the first.
        for (verb, name) in [("patch", self.place.secret.as_str()), ("create", ""), ("delete", &pending)] {
            if self.cluster.may(&self.place.namespace, verb, "", "secrets", name).await == Some(false) {
                found.push(format!("this login may not {verb} secrets {name}").trim_end().to_owned());
            }
        }
        self.lacks.get_or_init(|| found)
    }

    /// The Secret, if the guard still fits it.
    async fn guarded(&self, action: &str, guarded: &str) -> Result<(Object, SecretText)> {
        let found = self.existing(action).await?;
        if guard(&found, self.is(&found).as_ref()) != guarded {
            return Err(self.conflict(action, "the Secret changed since it was read; nothing was written"));
        }
        let value = found.value.as_ref().map(SecretText::duplicate);
        let value = value.ok_or_else(|| self.conflict(action, "the Secret has no value to replace"))?;
        Ok((found, value))
    }

    async fn existing(&self, action: &str) -> Result<Object> {
        let found = self.find(&self.place.path(), action).await?;
        found.ok_or_else(|| self.conflict(action, "there is no such Secret; make it with the present value"))
    }

    /// One patch of our key at this version. After anything but a clear yes the Secret says what became of it.
    async fn put(&self, action: &str, found: &Object, value: &SecretText) -> Result<Snapshot> {
        let data = json!({ self.place.key.as_str(): packed(value).as_str() });
        let mut metadata = json!({ "resourceVersion": found.version });
        if let (true, Some(fields)) = (found.meta.notes.contains_key(FENCE), metadata.as_object_mut()) {
            fields.insert("annotations".into(), json!({ FENCE: Value::Null }));
        }
        let written = self.cluster.patch(&self.place.path(), bytes(&json!({ "metadata": metadata, "data": data }))).await;
        let is = self.fingerprints.of(value);
        match (written, self.snapshot().await) {
            (Ok(_), Ok(seen)) if seen.current_is == Some(is.clone()) => Ok(seen),
            (Ok(_), Ok(_)) => Err(PortError::Unreadable {
                system: self.name(),
                why: "the Secret does not hold what was just written to it; does somebody else write it?".into(),
            }),
            (Ok(_), Err(e)) => Err(lost(e)),
            // Nobody else writes this value: the answer was lost, not the write.
            (Err(p), Ok(seen)) if p.is_unclear() && seen.current_is == Some(is) => Ok(seen),
            (Err(p), Ok(_) | Err(_)) => Err(self.failed(action, p, true)),
        }
    }

    fn whose(&self, run: &RunId, pending: &Object) -> Option<String> {
        let noted = pending.meta.notes.get(VALUE);
        let bound = noted.is_some() && noted == self.is(pending).as_ref().map(|f| f.as_str().to_owned()).as_ref();
        match pending.meta.notes.get(RUN) {
            Some(owner) if owner != run.as_str() => Some(format!("a pending value of run {owner} is there; `keyroll orphans` shows it")),
            Some(_) if bound => None,
            Some(_) => Some("the pending value is not the one that this run wrote; find out who changed it, and remove it".into()),
            None => Some(format!(
                "a Secret {} that no run wrote is there; find out whose it is, and remove it",
                self.place.helper(Helper::Pending)
            )),
        }
    }

    /// Writes a helper: makes it, or replaces it at the version that was read. Afterwards it holds this value of this run, or it is an error.
    async fn keep(&self, action: &str, helper: Helper, there: Option<&Object>, run: &RunId, value: &SecretText) -> Result<()> {
        let is = self.fingerprints.of(value);
        let holds = |o: &Object| self.is(o).as_ref() == Some(&is) && o.meta.notes.get(RUN).map(String::as_str) == Some(run.as_str());
        if there.is_some_and(&holds) {
            return Ok(());
        }
        let data = json!({ self.place.key.as_str(): packed(value).as_str() });
        let notes = json!({ RUN: run.as_str(), VALUE: is.as_str() });
        let written = match there {
            Some(old) => {
                let body = json!({ "metadata": { "resourceVersion": old.version, "annotations": notes }, "data": data });
                self.cluster.patch(&self.place.helper_path(helper), bytes(&body)).await
            }
            None => {
                let labels = json!({ "app.kubernetes.io/managed-by": "keyroll" });
                let metadata = json!({ "name": self.place.helper(helper), "labels": labels, "annotations": notes });
                let body = json!({ "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": data });
                self.cluster.create(&self.place.all(), bytes(&body)).await
            }
        };
        let Err(problem) = written else { return Ok(()) };
        if !problem.is_unclear() {
            return Err(self.failed(action, problem, true));
        }
        match self.helper(helper, action).await {
            Ok(Some(now)) if holds(&now) => Ok(()),
            Ok(Some(now)) if helper == Helper::Pending && self.whose(run, &now).is_some() => {
                Err(self.conflict(action, self.whose(run, &now).unwrap_or_default()))
            }
            Ok(_) | Err(_) => Err(self.failed(action, problem, true)),
        }
    }

    /// Removes a helper as it was read. Gone is success, whoever did it.
    async fn remove(&self, action: &str, helper: Helper, there: &Object) -> Result<()> {
        let path = self.place.helper_path(helper);
        match self.cluster.delete(&path, &there.uid, &there.version).await {
            Ok(()) | Err(Problem::Missing) => Ok(()),
            Err(problem) if problem.is_unclear() => match self.helper(helper, action).await {
                Ok(None) => Ok(()),
                Ok(Some(_)) | Err(_) => Err(self.failed(action, problem, true)),
            },
            Err(problem) => Err(self.failed(action, problem, true)),
        }
    }

    async fn drop_ours(&self, run: &RunId) -> Result<()> {
        let action = "drop the pending value";
        match self.helper(Helper::Pending, action).await? {
            Some(pending) if self.whose(run, &pending).is_none() => self.remove(action, Helper::Pending, &pending).await,
            Some(_) | None => Ok(()),
        }
    }

    /// Removes the kept old value: all of it, or only while it is what is current anyhow.
    async fn drop_kept(&self, run: &RunId, only_useless: bool) -> Result<()> {
        let action = "remove the old value";
        let Some(kept) = self.helper(Helper::Previous, action).await? else { return Ok(()) };
        if kept.meta.notes.get(RUN).map(String::as_str) != Some(run.as_str()) {
            return Ok(());
        }
        if only_useless {
            let current = self.find(&self.place.path(), action).await?;
            if current.is_none_or(|c| self.is(&c) != self.is(&kept)) {
                return Ok(());
            }
        }
        self.remove(action, Helper::Previous, &kept).await
    }
}

impl SecretStore for KubernetesStore {
    fn caps(&self) -> StoreCaps {
        StoreCaps { swap: Swap::CompareAndSet, read_back: true, late_write: LateWrite::Fenceable, shared_document: true }
    }

    async fn observe(&self) -> Result<Snapshot> {
        self.snapshot().await
    }

    async fn stage(&self, run: &RunId, value: &SecretText) -> Result<(Option<VersionId>, Snapshot)> {
        let found = self.existing("stage").await?;
        // Everything that would stop the promote is said now, while nothing hangs on it.
        if let Some(why) = unusable(&found) {
            return Err(self.conflict("stage", why));
        }
        if found.value.is_none() {
            return Err(self.conflict("stage", "the Secret has no such key yet; put the present value there first"));
        }
        let there = self.helper(Helper::Pending, "stage").await?;
        if let Some(why) = there.as_ref().and_then(|t| self.whose(run, t)) {
            return Err(self.conflict("stage", why));
        }
        self.keep("stage", Helper::Pending, there.as_ref(), run, value).await?;
        let seen = self.snapshot().await.map_err(lost)?;
        Ok((seen.pending.clone(), seen))
    }

    async fn promote(&self, run: &RunId, guard: &str) -> Result<Snapshot> {
        let (found, current) = self.guarded("promote", guard).await?;
        if let Some(why) = unusable(&found) {
            return Err(self.conflict("promote", why));
        }
        let Some(waiting) = self.helper(Helper::Pending, "promote").await? else {
            return Err(self.conflict("promote", "no value waits beside it"));
        };
        if let Some(why) = self.whose(run, &waiting) {
            return Err(self.conflict("promote", why));
        }
        let Some(pending) = waiting.value else { return Err(self.conflict("promote", "the pending value cannot be read")) };
        if current.same_as(&pending) {
            return self.snapshot().await;
        }
        // The way back first: from here on it is there whenever the new value is current.
        let kept = self.helper(Helper::Previous, "promote").await?;
        self.keep("promote", Helper::Previous, kept.as_ref(), run, &current).await?;
        self.put("promote", &found, &pending).await
    }

    async fn demote(&self, _run: &RunId, guard: &str, old: &SecretText) -> Result<Snapshot> {
        let (found, current) = self.guarded("demote", guard).await?;
        if current.same_as(old) {
            return self.snapshot().await;
        }
        self.put("demote", &found, old).await
    }

    async fn fence(&self, guard: &str) -> Result<Snapshot> {
        let (found, current) = self.guarded("fence", guard).await?;
        let body = json!({ "metadata": { "resourceVersion": found.version, "annotations": { FENCE: found.version } } });
        let written = self.cluster.patch(&self.place.path(), bytes(&body)).await;
        match (written, self.snapshot().await) {
            (Ok(_), seen) => seen.map_err(lost),
            // Whoever moved it: a write that relied on the old guard cannot land any more.
            (Err(p), Ok(seen)) if p.is_unclear() && seen.guard != guard && seen.current_is == Some(self.fingerprints.of(&current)) => {
                Ok(seen)
            }
            (Err(p), Ok(_) | Err(_)) => Err(self.failed("fence", p, true)),
        }
    }

    async fn drop_pending(&self, run: &RunId) -> Result<Snapshot> {
        self.drop_ours(run).await?;
        self.drop_kept(run, true).await?;
        self.snapshot().await.map_err(lost)
    }

    async fn retire(&self, run: &RunId, level: Retire) -> Result<Snapshot> {
        self.drop_ours(run).await?;
        self.drop_kept(run, false).await?;
        let mut seen = self.snapshot().await.map_err(lost)?;
        match level {
            Retire::Unlink => {}
            Retire::Destroy => seen.warnings.push("backups of etcd may still hold the old value".into()),
        }
        Ok(seen)
    }

    async fn read(&self, place: Place) -> Result<Option<SecretText>> {
        let found = match place {
            Place::Current => self.find(&self.place.path(), "read").await?,
            Place::Pending => self.helper(Helper::Pending, "read").await?,
            Place::Previous => {
                let current = self.find(&self.place.path(), "read").await?.and_then(|c| self.is(&c));
                self.helper(Helper::Previous, "read").await?.filter(|kept| self.is(kept) != current)
            }
        };
        Ok(found.and_then(|object| object.value))
    }
}

/// Why nothing may be written there; none when it may.
pub(super) fn unusable(object: &Object) -> Option<String> {
    if object.immutable {
        return Some(
            "it is immutable; make a new one with the present value, let the workloads use that, and name it in the policy".into(),
        );
    }
    owner::undoes(&object.meta)
}

/// Changes with every write, to any field, and when the Secret is deleted and made again.
fn guard(object: &Object, value: Option<&Fingerprint>) -> String {
    let digits = value.and_then(|v| v.as_str().rsplit(':').next()).map_or("none", |d| d.get(..32).unwrap_or(d));
    format!("{}.{}.{digits}", object.version, object.uid)
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

/// A body that leaves memory when dropped.
fn bytes(body: &Value) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(serde_json::to_vec(body).unwrap_or_default())
}
