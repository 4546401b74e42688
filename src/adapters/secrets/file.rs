//! A slot in a file: one variable of an `.env` file, or a whole file.
//!
//! Writing there *is* the flip, so the new value waits in `<path>.pending` and the old one stays in `<path>.previous`; both hold
//! only our field and are 0600. Promote and demote change one field of the document as it is at that moment: temporary file in
//! the same folder, synced, renamed, folder synced. Links are followed first, and helpers lie beside the file the link leads to.
//!
//! What this cannot do: keep out an editor that does not ask for the lock (the window is one file write), keep access lists and
//! extended attributes, or erase: retiring unlinks.

mod field;
mod helper;
mod lock;
#[cfg(test)]
mod tests;

use crate::ports::{Place, PortError, Result, Retire, SecretStore};
use crate::rotation::{LateWrite, RunId, Snapshot, StoreCaps, Swap, VersionId};
use crate::secret::{Fingerprint, FingerprintKey, SecretText};
use crate::support::atomic::{self, FileProblem, Options};
pub use field::Field;
use field::is_mount_point;
use helper::{Beside, Helper, bounded};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::rc::Rc;
use zeroize::Zeroizing;

/// The guard of a file that does not exist.
const ABSENT: &str = "absent";

/// One slot in a file.
pub struct FileStore {
    path: PathBuf,
    field: Field,
    fingerprints: Rc<FingerprintKey>,
}

/// The file at one moment.
struct Document {
    target: PathBuf,
    bytes: Zeroizing<Vec<u8>>,
    owner: (u32, u32),
    links: u64,
    mode: u32,
}

impl FileStore {
    /// A slot; nothing is read yet.
    pub fn new(path: impl Into<PathBuf>, field: Field, fingerprints: Rc<FingerprintKey>) -> Self {
        Self { path: path.into(), field, fingerprints }
    }

    /// How messages name it.
    pub fn name(&self) -> String {
        match &self.field {
            Field::Variable(name) => format!("file {} {name}", self.path.display()),
            Field::Whole => format!("file {}", self.path.display()),
        }
    }

    /// The same for every path that leads to this place; for claims.
    pub fn address(&self) -> String {
        let target = atomic::resolve(&self.path).unwrap_or_else(|_| self.path.clone());
        match &self.field {
            Field::Variable(name) => format!("file:{}#{name}", target.display()),
            Field::Whole => format!("file:{}", target.display()),
        }
    }

    fn document(&self) -> Result<Option<Document>> {
        let target = atomic::resolve(&self.path).map_err(|e| self.refused("find", &e))?;
        let read = |e: std::io::Error| self.refused("read", &format!("{e}; check that keyroll may read it"));
        let Some(bytes) = bounded(&target).map_err(read)? else { return Ok(None) };
        let about = fs::metadata(&target).map_err(read)?;
        Ok(Some(Document { target, bytes, owner: (about.uid(), about.gid()), links: about.nlink(), mode: about.mode() & 0o777 }))
    }

    fn existing(&self, action: &str) -> Result<Document> {
        self.document()?.ok_or_else(|| self.conflict(action, "the file does not exist; make it with the present value"))
    }

    /// Our field in some bytes; none when it is not there or empty.
    fn value(&self, bytes: &[u8]) -> Result<Option<SecretText>> {
        self.field.value(bytes).map_err(|why| self.refused("read", &why))
    }

    /// The bytes with our field changed, and nothing else.
    fn with_value(&self, bytes: &[u8], value: &SecretText) -> Result<Zeroizing<Vec<u8>>> {
        self.field.with_value(bytes, value).map_err(|why| self.refused("change", &why))
    }

    /// A helper's value and its run. A value that cannot be read belongs to nobody.
    fn helper(&self, beside: &Beside, helper: Helper) -> Result<Option<(Option<SecretText>, Option<String>)>> {
        let read = beside.read(helper).map_err(|e| self.refused("read", &format!("{}: {e}", beside.path(helper).display())))?;
        let Some(bytes) = read else { return Ok(None) };
        let value = self.value(&bytes).unwrap_or_default();
        let run = value.as_ref().and_then(|v| beside.owner(helper, &self.fingerprints.of(v)));
        Ok(Some((value, run)))
    }

    /// Keyed, because a bare digest of a document with a short secret in it can be guessed at.
    fn guard(&self, document: &Document, value: Option<&SecretText>) -> String {
        let whole = SecretText::new(crate::secret::hex(&document.bytes));
        let field = value.map_or_else(|| "none".into(), |v| short(&self.fingerprints.of(v)));
        format!("{}-{field}", short(&self.fingerprints.of(&whole)))
    }

    fn snapshot(&self) -> Result<Snapshot> {
        let Some(document) = self.document()? else {
            let warnings = vec![format!("{} does not exist", self.path.display())];
            return Ok(Snapshot { guard: ABSENT.into(), warnings, ..Snapshot::default() });
        };
        let beside = Beside::of(&document.target);
        let current = self.value(&document.bytes)?;
        let mut snapshot = Snapshot { guard: self.guard(&document, current.as_ref()), ..Snapshot::default() };
        snapshot.warnings = self.warnings(&document, current.is_some());
        snapshot.current_is = current.as_ref().map(|v| self.fingerprints.of(v));
        snapshot.current = snapshot.current_is.as_ref().map(version);
        if let Some((value, run)) = self.helper(&beside, Helper::Pending)? {
            snapshot.pending_is = value.as_ref().map(|v| self.fingerprints.of(v));
            snapshot.pending = Some(snapshot.pending_is.as_ref().map_or_else(|| VersionId::new("unreadable"), version));
            snapshot.pending_run = run;
        }
        match self.helper(&beside, Helper::Previous)? {
            Some((Some(value), Some(_))) => {
                snapshot.previous_is = Some(self.fingerprints.of(&value));
                snapshot.previous = snapshot.previous_is.as_ref().map(version);
            }
            Some(_) => snapshot.warnings.push(format!("{} was not written by keyroll", beside.path(Helper::Previous).display())),
            None => {}
        }
        Ok(snapshot)
    }

    fn warnings(&self, document: &Document, has_value: bool) -> Vec<String> {
        let mut warnings = Vec::new();
        if !has_value {
            warnings.push(match &self.field {
                Field::Variable(name) => format!("no line of {} gives {name} a value", self.path.display()),
                Field::Whole => format!("{} is empty", self.path.display()),
            });
        }
        if document.mode & 0o004 != 0 {
            warnings.push(format!("everybody on this machine can read {} (mode {:03o})", self.path.display(), document.mode));
        }
        warnings.extend(self.cannot_replace(document));
        warnings
    }

    /// What would make a replacement fail or miss a reader, before anything is tried.
    fn cannot_replace(&self, document: &Document) -> Option<String> {
        if document.links > 1 {
            return Some(format!(
                "it has {} names (hard links), and the others would keep the old value; use a symbolic link",
                document.links
            ));
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        is_mount_point(&mounts, &document.target)
            .then(|| "it is mounted as a single file and cannot be replaced as a whole; mount its folder instead".into())
    }

    async fn locked(&self, action: &str) -> Result<lock::Held> {
        let target = atomic::resolve(&self.path).map_err(|e| self.refused(action, &e))?;
        match lock::take(&Beside::of(&target).lock()).await {
            Ok(Some(held)) => Ok(held),
            Ok(None) => {
                Err(self.conflict(action, "another process is changing it and does not end; look which holds the lock file beside it"))
            }
            Err(e) => Err(self.refused(action, &format!("no lock file can be made beside it: {e}; keyroll needs to write in its folder"))),
        }
    }

    /// The document, if the guard still fits it.
    fn guarded(&self, action: &str, guard: &str) -> Result<(Document, SecretText)> {
        let document = self.existing(action)?;
        let current = self.value(&document.bytes)?;
        if self.guard(&document, current.as_ref()) != guard {
            return Err(self.conflict(action, "the file changed since it was read; nothing was written"));
        }
        let current = current.ok_or_else(|| self.conflict(action, "it has no value to replace"))?;
        match self.cannot_replace(&document) {
            Some(why) => Err(self.refused(action, &why)),
            None => Ok((document, current)),
        }
    }

    fn replace(&self, action: &str, run: &RunId, document: &Document, value: &SecretText) -> Result<()> {
        let changed = self.with_value(&document.bytes, value)?;
        // Looked at once more: whoever does not ask for the lock may have written meanwhile.
        if self.existing(action)?.bytes != document.bytes {
            return Err(self.conflict(action, "the file changed while it was being written; nothing was written"));
        }
        atomic::replace(&document.target, &changed, &Options::tagged(run.as_str())).map_err(|e| match e {
            // The rename may have gone through and only the folder's sync failed.
            FileProblem::Io { .. } => PortError::Unreachable { system: self.name(), why: e.to_string(), may_have_happened: true },
            FileProblem::Exists { .. }
            | FileProblem::Busy { .. }
            | FileProblem::DeadLink { .. }
            | FileProblem::NoFile { .. }
            | FileProblem::Owner { .. } => self.refused(action, &e),
        })?;
        match self.value(&self.existing(action)?.bytes)? {
            Some(now) if now.same_as(value) => Ok(()),
            Some(_) | None => {
                Err(PortError::Unreadable { system: self.name(), why: "the file does not hold what was just written to it".into() })
            }
        }
    }

    fn write_helper(&self, helper: Helper, run: &RunId, document: &Document, value: &SecretText) -> Result<()> {
        let bytes = self.field.alone(&document.bytes, value).map_err(|why| self.refused("write beside", &why))?;
        // A consumer may be told to read the pending file: as root, it stays that consumer's.
        let owner = rustix::process::geteuid().is_root().then_some(document.owner);
        let beside = Beside::of(&document.target);
        beside.write(helper, run, &self.fingerprints.of(value), &bytes, owner).map_err(|e| self.refused("write beside", &e))
    }

    fn foreign_pending(&self, run: &RunId, pending: &(Option<SecretText>, Option<String>)) -> Option<String> {
        match &pending.1 {
            Some(owner) if owner == run.as_str() => None,
            Some(owner) => Some(format!("a pending value of run {owner} is there; `keyroll orphans` shows it")),
            None => Some("a pending value that no run wrote is there; find out whose it is and remove it".into()),
        }
    }

    fn foreign_previous(&self, beside: &Beside) -> Result<Option<String>> {
        Ok(match self.helper(beside, Helper::Previous)? {
            Some((_, None)) => Some(format!("{} was not written by keyroll; move it away", beside.path(Helper::Previous).display())),
            Some((_, Some(_))) | None => None,
        })
    }

    fn swept(&self, beside: &Beside, run: &RunId) -> Result<()> {
        beside.sweep(run).map_err(|e| self.refused("clean up beside", &e))
    }

    fn removed(&self, beside: &Beside, helper: Helper) -> Result<()> {
        let removed = beside.remove(helper).map_err(|e| e.to_string());
        removed.and_then(|()| beside.sync().map_err(|e| e.to_string())).map_err(|e| self.refused("clean up beside", &e))
    }

    fn refused(&self, action: &str, why: &dyn std::fmt::Display) -> PortError {
        PortError::Refused { system: self.name(), action: action.to_owned(), why: why.to_string() }
    }

    fn conflict(&self, action: &str, why: &str) -> PortError {
        PortError::Conflict { system: self.name(), action: action.to_owned(), why: why.to_owned() }
    }
}

impl SecretStore for FileStore {
    fn caps(&self) -> StoreCaps {
        StoreCaps {
            swap: Swap::CompareAndSet,
            read_back: true,
            late_write: LateWrite::Impossible,
            shared_document: matches!(self.field, Field::Variable(_)),
        }
    }

    async fn observe(&self) -> Result<Snapshot> {
        self.snapshot()
    }

    async fn stage(&self, run: &RunId, value: &SecretText) -> Result<(Option<VersionId>, Snapshot)> {
        let _held = self.locked("stage").await?;
        let document = self.existing("stage")?;
        let beside = Beside::of(&document.target);
        self.swept(&beside, run)?;
        if self.value(&document.bytes)?.is_none() {
            return Err(self.conflict("stage", "it has no value yet; put the present key there first"));
        }
        // Everything that would stop the promote is said now, while nothing hangs on it.
        self.with_value(&document.bytes, value)?;
        if let Some(why) = self.cannot_replace(&document) {
            return Err(self.refused("stage", &why));
        }
        if let Some(why) = self.foreign_previous(&beside)? {
            return Err(self.conflict("stage", &why));
        }
        if let Some(there) = self.helper(&beside, Helper::Pending)?
            && let Some(why) = self.foreign_pending(run, &there)
        {
            return Err(self.conflict("stage", &why));
        }
        self.write_helper(Helper::Pending, run, &document, value)?;
        Ok((Some(version(&self.fingerprints.of(value))), self.snapshot()?))
    }

    async fn promote(&self, run: &RunId, guard: &str) -> Result<Snapshot> {
        let _held = self.locked("promote").await?;
        let (document, current) = self.guarded("promote", guard)?;
        let beside = Beside::of(&document.target);
        let Some(there) = self.helper(&beside, Helper::Pending)? else {
            return Err(self.conflict("promote", "no value waits beside it"));
        };
        if let Some(why) = self.foreign_pending(run, &there) {
            return Err(self.conflict("promote", &why));
        }
        let Some(pending) = there.0 else { return Err(self.conflict("promote", "the pending value cannot be read")) };
        if current.same_as(&pending) {
            return self.snapshot();
        }
        if let Some(why) = self.foreign_previous(&beside)? {
            return Err(self.conflict("promote", &why));
        }
        self.swept(&beside, run)?;
        self.write_helper(Helper::Previous, run, &document, &current)?;
        self.replace("promote", run, &document, &pending)?;
        self.snapshot()
    }

    async fn demote(&self, run: &RunId, guard: &str, old: &SecretText) -> Result<Snapshot> {
        let _held = self.locked("demote").await?;
        let (document, current) = self.guarded("demote", guard)?;
        let beside = Beside::of(&document.target);
        self.swept(&beside, run)?;
        if !current.same_as(old) {
            self.replace("demote", run, &document, old)?;
        }
        // The previous value is the current one again: nothing leads back any more.
        if let Some((Some(previous), Some(_))) = self.helper(&beside, Helper::Previous)?
            && previous.same_as(old)
        {
            self.removed(&beside, Helper::Previous)?;
        }
        self.snapshot()
    }

    async fn fence(&self, _guard: &str) -> Result<Snapshot> {
        // The writer is this process: what it did not finish never happens.
        self.snapshot()
    }

    async fn drop_pending(&self, run: &RunId) -> Result<Snapshot> {
        let _held = self.locked("drop the pending value").await?;
        let target = atomic::resolve(&self.path).map_err(|e| self.refused("find", &e))?;
        let beside = Beside::of(&target);
        self.swept(&beside, run)?;
        self.drop_ours(&beside, run)?;
        self.snapshot()
    }

    async fn retire(&self, run: &RunId, level: Retire) -> Result<Snapshot> {
        let _held = self.locked("retire").await?;
        let target = atomic::resolve(&self.path).map_err(|e| self.refused("find", &e))?;
        let beside = Beside::of(&target);
        self.swept(&beside, run)?;
        self.drop_ours(&beside, run)?;
        if let Some((_, Some(_))) = self.helper(&beside, Helper::Previous)? {
            self.removed(&beside, Helper::Previous)?;
        }
        let mut snapshot = self.snapshot()?;
        match level {
            Retire::Unlink => {}
            Retire::Destroy => snapshot.warnings.push("the old value was unlinked; a file system does not promise to erase it".into()),
        }
        Ok(snapshot)
    }

    async fn read(&self, place: Place) -> Result<Option<SecretText>> {
        let Some(document) = self.document()? else { return Ok(None) };
        let beside = Beside::of(&document.target);
        Ok(match place {
            Place::Current => self.value(&document.bytes)?,
            Place::Pending => self.helper(&beside, Helper::Pending)?.and_then(|(value, _)| value),
            Place::Previous => self.helper(&beside, Helper::Previous)?.filter(|(_, run)| run.is_some()).and_then(|(value, _)| value),
        })
    }
}

impl FileStore {
    fn drop_ours(&self, beside: &Beside, run: &RunId) -> Result<()> {
        match self.helper(beside, Helper::Pending)? {
            Some((_, Some(owner))) if owner == run.as_str() => self.removed(beside, Helper::Pending),
            Some(_) => Ok(()),
            None => beside.remove_lone_note(Helper::Pending, run).map_err(|e| self.refused("clean up beside", &e)),
        }
    }
}

fn short(fingerprint: &Fingerprint) -> String {
    fingerprint.as_str().rsplit(':').next().unwrap_or_default().chars().take(32).collect()
}

fn version(fingerprint: &Fingerprint) -> VersionId {
    VersionId::new(format!("v-{}", short(fingerprint).chars().take(16).collect::<String>()))
}
