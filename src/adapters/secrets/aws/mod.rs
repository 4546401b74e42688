//! A slot in AWS Secrets Manager: a whole secret, or one field of its JSON document.
//!
//! A version is immutable and readers follow the label `AWSCURRENT`. The new value waits in a version under a label of ours; promote
//! moves `AWSCURRENT` from the version that was read to that one, and AWS refuses when it is no longer there. Every change is followed
//! by a look, whatever was answered, and the look decides.
//!
//! Because the label moves between whole documents, a promote stops when another field changed since the value was staged. The way
//! back never does: where a field changed meanwhile, the present document is written once more with the old value in our field.
//!
//! What this cannot do: erase a version. Retiring takes its labels away; it stays readable by its id until AWS purges it, and what
//! makes it harmless is that the gateway refuses the key. Copies in other regions follow later, and are only reported.

mod check;
mod client;
mod document;
mod place;
mod problem;
mod versions;

use crate::policy::model::reference::AwsPlace;
use crate::ports::{Place, PortError, Result, Retire, SecretStore};
use crate::rotation::{LateWrite, RunId, Snapshot, StoreCaps, Swap, VersionId};
use crate::secret::{FingerprintKey, SecretText};
use crate::support::text::clean_to;
use client::Remote;
use document::{Document, Part};
use problem::{Kind, Problem};
use std::rc::Rc;
use versions::{CURRENT, Own, PREVIOUS, Versions, digits, rewrite_token, run_of, token};

/// Looks that are taken again because the secret changed between two calls of one look.
const LOOKS: usize = 4;

/// One slot in AWS Secrets Manager.
pub struct AwsStore {
    place: AwsPlace,
    part: Part,
    remote: Remote,
    fingerprints: Rc<FingerprintKey>,
}

/// The secret at one moment: who carries which label, and the three documents that matter.
struct Seen {
    versions: Versions,
    current: Option<(String, Document)>,
    pending: Option<(String, Document)>,
    kept: Option<(String, Document)>,
}

/// The address of a slot for claims, without making anything.
pub fn address(slot: &AwsPlace) -> String {
    place::address(slot, |name| std::env::var(name).ok().filter(|v| !v.is_empty()))
}

/// What consumers read there now, for a reference.
///
/// # Errors
/// When it cannot be read, or holds nothing.
pub async fn current_value(place: &AwsPlace) -> Result<SecretText> {
    let remote = Remote::new(place.clone(), None);
    let name = place::name(place);
    let (_, document) = remote.get(CURRENT, None).await.map_err(|p| p.into_port(name.clone(), "read the secret", false))?;
    let refused = |why: String| PortError::Refused { system: name.clone(), action: "read the secret".into(), why };
    let document = document.ok_or_else(|| refused("it holds bytes and no text".into()))?;
    Part::of(place.field.as_deref())
        .value(&document)
        .map_err(refused)?
        .ok_or_else(|| refused("it is empty, or the field is not there".into()))
}

impl AwsStore {
    /// A slot; nobody is asked yet.
    pub fn new(place: AwsPlace, fingerprints: Rc<FingerprintKey>) -> Self {
        Self::make(place, fingerprints, None)
    }

    /// A slot with a login and settings of the caller's own instead of the usual chain.
    pub fn with_config(place: AwsPlace, fingerprints: Rc<FingerprintKey>, config: aws_config::SdkConfig) -> Self {
        Self::make(place, fingerprints, Some(config))
    }

    fn make(place: AwsPlace, fingerprints: Rc<FingerprintKey>, config: Option<aws_config::SdkConfig>) -> Self {
        let part = Part::of(place.field.as_deref());
        Self { part, remote: Remote::new(place.clone(), config), place, fingerprints }
    }

    /// How messages name it.
    pub fn name(&self) -> String {
        place::name(&self.place)
    }

    /// The same for every way to write this secret; for claims.
    pub fn address(&self) -> String {
        address(&self.place)
    }

    fn conflict(&self, action: &str, why: impl ToString) -> PortError {
        PortError::Conflict { system: self.name(), action: action.into(), why: why.to_string() }
    }

    fn refused(&self, action: &str, why: impl ToString) -> PortError {
        PortError::Refused { system: self.name(), action: action.into(), why: why.to_string() }
    }

    fn failed(&self, action: &str, problem: Problem) -> PortError {
        problem.into_port(self.name(), action, false)
    }

    async fn versions(&self, action: &str) -> Result<Versions> {
        self.remote.describe().await.map_err(|p| self.failed(action, p))
    }

    /// The document under a label; none when its label has moved on since the versions were listed.
    async fn under(&self, action: &str, label: &str, version: &str) -> Result<Option<Document>> {
        match self.remote.get(label, Some(version)).await {
            Ok((id, Some(document))) if id == version => Ok(Some(document)),
            Ok((id, None)) if id == version => Err(self.refused(action, "it holds bytes and no text; keyroll changes text only")),
            Ok(_) => Ok(None),
            Err(p) if matches!(p.kind, Kind::Missing | Kind::State) => Ok(None),
            Err(p) => Err(self.failed(action, p)),
        }
    }

    /// One consistent look: the versions, then the documents they name, and once more when a label moved in between.
    async fn see(&self, action: &str) -> Result<Seen> {
        for _ in 0..LOOKS {
            let versions = self.versions(action).await?;
            if versions.deleted {
                return Ok(Seen { versions, current: None, pending: None, kept: None });
            }
            let mut found = [None, None, None];
            let mut moved = false;
            for (place, label) in found.iter_mut().zip([CURRENT, Own::Pending.label(), Own::Kept.label()]) {
                let at = versions.at(label).map_err(|why| self.conflict(action, why))?.map(str::to_owned);
                if let Some(id) = at {
                    *place = self.under(action, label, &id).await?.map(|document| (id, document));
                    moved |= place.is_none();
                }
            }
            if !moved {
                let [current, pending, kept] = found;
                return Ok(Seen { versions, current, pending, kept });
            }
        }
        Err(self.conflict(action, "its labels move faster than they can be read; somebody else is changing it"))
    }

    fn value(&self, action: &str, document: &Document) -> Result<Option<SecretText>> {
        self.part.value(document).map_err(|why| self.refused(action, why))
    }

    /// The version, everything in it, and our part of it. Keyed, because a bare digest of a short secret can be guessed at.
    fn guard(&self, seen: &Seen, value: Option<&SecretText>) -> String {
        let Some((id, document)) = &seen.current else { return "nothing".into() };
        let of = |text: &SecretText| digits(&self.fingerprints.of(text)).chars().take(16).collect::<String>();
        format!("{id}.{}.{}", of(&document.whole()), value.map_or_else(|| "none".into(), of))
    }

    async fn snapshot(&self) -> Result<Snapshot> {
        let seen = self.see("read").await?;
        let current = seen.current.as_ref().map(|(_, d)| self.value("read", d)).transpose()?.flatten();
        let mut snapshot = Snapshot { guard: self.guard(&seen, current.as_ref()), ..Snapshot::default() };
        snapshot.current = seen.current.as_ref().map(|(id, _)| VersionId::new(id));
        snapshot.current_is = current.as_ref().map(|v| self.fingerprints.of(v));
        if let Some((id, document)) = &seen.pending {
            snapshot.pending = Some(VersionId::new(id));
            // A pending version of somebody else may be of any form; it is not ours to judge.
            snapshot.pending_is = self.part.value(document).ok().flatten().map(|v| self.fingerprints.of(&v));
            snapshot.pending_run = run_of(id).map(|run| clean_to(run, 64));
        }
        if let Some((id, document)) = self.way_back(&seen) {
            snapshot.previous = Some(VersionId::new(id));
            snapshot.previous_is = self.part.value(document).ok().flatten().map(|v| self.fingerprints.of(&v));
        }
        snapshot.warnings.extend(seen.versions.unusable());
        snapshot.warnings.extend(seen.versions.lagging());
        if current.is_none() && !seen.versions.deleted {
            snapshot.warnings.push("it holds no value, or not the field".into());
        }
        snapshot.warnings.push(self.remote.caller().await.to_owned());
        Ok(snapshot)
    }

    /// The version that is kept to go back to. While it is the current one it leads nowhere else.
    fn way_back<'a>(&self, seen: &'a Seen) -> Option<&'a (String, Document)> {
        let current = seen.current.as_ref().map(|(id, _)| id);
        seen.kept.as_ref().filter(|(id, _)| Some(id) != current)
    }

    /// What is there, when something may be changed and the guard still fits.
    fn guarded<'a>(&self, action: &str, seen: &'a Seen, guard: &str) -> Result<(&'a str, &'a Document, SecretText)> {
        let (id, document) = seen.current.as_ref().ok_or_else(|| self.conflict(action, "it has no current version that can be read"))?;
        let value = self.value(action, document)?;
        if self.guard(seen, value.as_ref()) != guard {
            return Err(self.conflict(action, "it changed since it was read; nothing was written"));
        }
        let value = value.ok_or_else(|| self.conflict(action, "it has no value to replace"))?;
        Ok((id, document, value))
    }

    /// This run's pending version.
    fn ours<'a>(&self, action: &str, seen: &'a Seen, run: &RunId) -> Result<&'a (String, Document)> {
        let pending = seen.pending.as_ref().ok_or_else(|| self.conflict(action, "no version waits beside the current one"))?;
        match self.foreign(run, &pending.0) {
            Some(why) => Err(self.conflict(action, why)),
            None => Ok(pending),
        }
    }

    /// Why a pending version is not this run's.
    fn foreign(&self, run: &RunId, version: &str) -> Option<String> {
        match run_of(version) {
            Some(owner) if owner == run.as_str() => None,
            Some(owner) => Some(format!("a pending version of run {} is there; `keyroll orphans` shows it", clean_to(owner, 64))),
            None => Some(format!(
                "version {} carries {} and keyroll did not make it; remove that label",
                clean_to(version, 64),
                Own::Pending.label()
            )),
        }
    }

    /// Moves or removes a label, and looks. Done is what the look says, whatever the answer was.
    async fn relabel(&self, action: &str, label: &str, from: Option<&str>, to: Option<&str>) -> Result<()> {
        let answer = self.remote.relabel(label, from, to).await;
        let done = |versions: &Versions| match to {
            Some(to) => versions.with(label) == [to],
            None => from.is_none_or(|from| !versions.carries(from, label)),
        };
        self.settled(action, answer, done).await
    }

    /// Makes a version under a label of ours, unless it is there, and looks.
    async fn put(&self, action: &str, id: &str, document: &Document, label: Own) -> Result<()> {
        let before = self.versions(action).await?;
        // AWS would move the label by itself, but a version that is not wanted any more is better without one than with the wrong one.
        for other in before.with(label.label()).into_iter().filter(|other| *other != id) {
            self.relabel(action, label.label(), Some(other), None).await?;
        }
        // A token that was used is not sent again without need: a repetition is promised to change nothing, and not everywhere does.
        if !before.labels.contains_key(id) {
            let answer = self.remote.put(id, document, label).await;
            let after = self.versions_after(action, &answer).await?;
            if let (false, Err(problem)) = (after.labels.contains_key(id), &answer) {
                return Err(problem.clone().into_port(self.name(), action, true));
            }
            // The version may be there without a label, from an earlier time: the answer was then a repetition without effect.
            if after.carries(id, label.label()) {
                return self.holds(action, id, document, label).await;
            }
        } else if before.carries(id, label.label()) {
            return self.holds(action, id, document, label).await;
        }
        self.relabel(action, label.label(), None, Some(id)).await?;
        self.holds(action, id, document, label).await
    }

    /// The version holds exactly what was sent.
    async fn holds(&self, action: &str, id: &str, document: &Document, label: Own) -> Result<()> {
        match self.under(action, label.label(), id).await? {
            Some(there) if there.whole().same_as(&document.whole()) => Ok(()),
            Some(_) => Err(self.conflict(action, format!("version {id} holds another value; remove its label {}", label.label()))),
            None => Err(PortError::Unreadable { system: self.name(), why: "the version that was just made is not there".into() }),
        }
    }

    async fn versions_after(&self, action: &str, answer: &std::result::Result<(), Problem>) -> Result<Versions> {
        self.remote.describe().await.map_err(|p| {
            // The look failed too: whatever the first answer said, only a later look can tell.
            let happened = answer.as_ref().map_or_else(|first| first.kind != Kind::NotSent, |()| true);
            match p.into_port(self.name(), action, true) {
                PortError::Unreachable { system, why, .. } => PortError::Unreachable { system, why, may_have_happened: happened },
                other if happened => PortError::Unreachable { system: self.name(), why: other.to_string(), may_have_happened: true },
                other => other,
            }
        })
    }

    async fn settled(&self, action: &str, answer: std::result::Result<(), Problem>, done: impl Fn(&Versions) -> bool) -> Result<()> {
        let after = self.versions_after(action, &answer).await?;
        match (done(&after), answer) {
            (true, _) => Ok(()),
            (false, Err(problem)) => Err(problem.into_port(self.name(), action, true)),
            (false, Ok(())) => {
                Err(PortError::Unreadable { system: self.name(), why: "it said yes and its labels do not show the change".into() })
            }
        }
    }

    /// Writes the present document once more, with `value` in our part, and makes that the current version under the guard.
    async fn rewrite(&self, what: &str, seen: &Seen, guard: &str, value: &SecretText) -> Result<()> {
        let (id, document, _) = self.guarded(what, seen, guard)?;
        let changed = self.part.with_value(document, value).map_err(|why| self.refused(what, why))?;
        let made = rewrite_token(what, guard, &changed.whole(), &self.fingerprints).map_err(|why| self.refused(what, why))?;
        self.put(what, &made, &changed, Own::Rewritten).await?;
        self.relabel(what, CURRENT, Some(id), Some(&made)).await
    }

    /// The pending version of this run, none of another's.
    fn own_pending<'a>(&self, run: &RunId, versions: &'a Versions) -> Vec<&'a str> {
        versions.with(Own::Pending.label()).into_iter().filter(|version| self.foreign(run, version).is_none()).collect()
    }

    /// Takes a label from wherever it is.
    async fn strip(&self, action: &str, versions: &Versions, label: &str) -> Result<()> {
        for version in versions.with(label) {
            self.relabel(action, label, Some(version), None).await?;
        }
        Ok(())
    }
}

impl SecretStore for AwsStore {
    fn caps(&self) -> StoreCaps {
        StoreCaps {
            swap: Swap::CompareAndSet,
            read_back: true,
            late_write: LateWrite::Fenceable,
            shared_document: matches!(self.part, Part::Field(_)),
        }
    }

    async fn observe(&self) -> Result<Snapshot> {
        self.snapshot().await
    }

    async fn stage(&self, run: &RunId, value: &SecretText) -> Result<(Option<VersionId>, Snapshot)> {
        let seen = self.see("stage").await?;
        // Everything that would stop the promote is said now, while nothing hangs on it.
        if let Some(why) = seen.versions.unusable().or_else(|| seen.versions.lagging()) {
            return Err(self.conflict("stage", why));
        }
        if let Some(why) = seen.versions.with(Own::Pending.label()).into_iter().find_map(|version| self.foreign(run, version)) {
            return Err(self.conflict("stage", why));
        }
        let current = seen.current.as_ref().map(|(_, document)| document);
        let has_value = current.map(|d| self.value("stage", d)).transpose()?.flatten().is_some();
        let Some(current) = current.filter(|_| has_value) else {
            return Err(self.conflict("stage", "it has no value yet; put the present key there first"));
        };
        let document = self.part.with_value(current, value).map_err(|why| self.refused("stage", why))?;
        let id = token(run, &document.whole(), &self.fingerprints).map_err(|why| self.refused("stage", why))?;
        self.put("stage", &id, &document, Own::Pending).await?;
        Ok((Some(VersionId::new(id)), self.snapshot().await?))
    }

    async fn promote(&self, run: &RunId, guard: &str) -> Result<Snapshot> {
        let seen = self.see("promote").await?;
        if let Some(why) = seen.versions.unusable() {
            return Err(self.conflict("promote", why));
        }
        let (pending, waiting) = self.ours("promote", &seen, run)?;
        if seen.current.as_ref().is_some_and(|(current, _)| current == pending) {
            return self.snapshot().await;
        }
        let (current, document, _) = self.guarded("promote", &seen, guard)?;
        let differ = self.part.others_differ(document, waiting).map_err(|why| self.refused("promote", why))?;
        if !differ.is_empty() {
            let why = format!(
                "other fields changed since the new value was staged: {}; AWS can only swap the whole secret, so nothing was changed",
                differ.join(", ")
            );
            return Err(self.conflict("promote", why));
        }
        // First the name that leads back, then the flip.
        if !seen.versions.carries(current, Own::Kept.label()) {
            let at = seen.kept.as_ref().map(|(id, _)| id.as_str());
            self.relabel("keep the old version", Own::Kept.label(), at, Some(current)).await?;
        }
        self.relabel("promote", CURRENT, Some(current), Some(pending)).await?;
        self.snapshot().await
    }

    async fn demote(&self, _run: &RunId, guard: &str, old: &SecretText) -> Result<Snapshot> {
        let seen = self.see("demote").await?;
        let (current, document, value) = self.guarded("demote", &seen, guard)?;
        if value.same_as(old) {
            return self.snapshot().await;
        }
        // The kept version itself, if nothing but our field would change by it.
        let as_it_was = match self.way_back(&seen) {
            Some((id, kept)) => {
                let same = self.part.value(kept).ok().flatten().is_some_and(|v| v.same_as(old));
                let rest = self.part.others_differ(document, kept).is_ok_and(|differ| differ.is_empty());
                (same && rest).then_some(id)
            }
            None => None,
        };
        match as_it_was {
            Some(kept) => self.relabel("demote", CURRENT, Some(current), Some(kept)).await?,
            None => self.rewrite("demote", &seen, guard, old).await?,
        }
        self.snapshot().await
    }

    async fn fence(&self, guard: &str) -> Result<Snapshot> {
        let seen = self.see("fence").await?;
        let (_, _, value) = self.guarded("fence", &seen, guard)?;
        self.rewrite("fence", &seen, guard, &value).await?;
        self.snapshot().await
    }

    async fn drop_pending(&self, run: &RunId) -> Result<Snapshot> {
        let action = "drop the pending version";
        let versions = self.versions(action).await?;
        for pending in self.own_pending(run, &versions) {
            self.strip(action, &versions, Own::Rewritten.label()).await?;
            // A value that is not current any more is over: `AWSPREVIOUS` would lead a person to it, and nothing needs the way back.
            if !versions.carries(pending, CURRENT) {
                if versions.carries(pending, PREVIOUS) {
                    self.relabel(action, PREVIOUS, Some(pending), None).await?;
                }
                self.strip(action, &versions, Own::Kept.label()).await?;
            }
            // Last: by this label the work is found again after a crash.
            self.relabel(action, Own::Pending.label(), Some(pending), None).await?;
        }
        self.snapshot().await
    }

    async fn retire(&self, run: &RunId, level: Retire) -> Result<Snapshot> {
        let action = "unlabel the old version";
        let versions = self.versions(action).await?;
        let ours = self.own_pending(run, &versions);
        // While another run has a pending version here, the other labels are that run's.
        if ours.len() == versions.with(Own::Pending.label()).len() {
            self.strip(action, &versions, Own::Rewritten.label()).await?;
            for pending in ours {
                self.relabel(action, Own::Pending.label(), Some(pending), None).await?;
            }
            for kept in versions.with(Own::Kept.label()) {
                if versions.carries(kept, PREVIOUS) {
                    self.relabel(action, PREVIOUS, Some(kept), None).await?;
                }
                // Last: by this label the work is found again after a crash.
                self.relabel(action, Own::Kept.label(), Some(kept), None).await?;
            }
        }
        let mut snapshot = self.snapshot().await?;
        match level {
            Retire::Unlink => {}
            Retire::Destroy => snapshot.warnings.push(
                "the old version is unlabelled, not destroyed: AWS has no call for that, and it can be read by its id until AWS purges it"
                    .into(),
            ),
        }
        Ok(snapshot)
    }

    async fn read(&self, place: Place) -> Result<Option<SecretText>> {
        let seen = self.see("read").await?;
        match place {
            Place::Current => seen.current.as_ref().map(|(_, d)| self.value("read", d)).transpose().map(Option::flatten),
            Place::Pending => Ok(seen.pending.as_ref().and_then(|(_, d)| self.part.value(d).ok().flatten())),
            Place::Previous => Ok(self.way_back(&seen).and_then(|(_, d)| self.part.value(d).ok().flatten())),
        }
    }
}
