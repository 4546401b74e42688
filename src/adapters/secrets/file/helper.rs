//! The files beside a slot: `<path>.pending` and `<path>.previous`, and whose they are.
//!
//! A helper holds what a reader of the slot would read, nothing more; the run it belongs to stands in a file of its own,
//! `<helper>.run`, bound to the value by fingerprint. A helper without that note, or with another value, is not ours.

use crate::rotation::RunId;
use crate::secret::Fingerprint;
use crate::support::atomic::{self, FileProblem, Options};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Values that a note may name: the one that is there, and the one that is about to be.
const MOST_VALUES: usize = 8;
/// The largest file that is read as a slot or a helper.
pub(super) const LARGEST: u64 = 1 << 20;

/// The names that belong to one slot.
#[derive(Debug, Clone)]
pub(super) struct Beside {
    target: PathBuf,
}

/// Which helper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Helper {
    Pending,
    Previous,
}

/// Whose a helper is.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Note {
    run: String,
    values: Vec<Fingerprint>,
}

impl Beside {
    /// The helpers of a resolved path.
    pub(super) fn of(target: &Path) -> Self {
        Self { target: target.to_owned() }
    }

    pub(super) fn path(&self, helper: Helper) -> PathBuf {
        self.with(match helper {
            Helper::Pending => ".pending",
            Helper::Previous => ".previous",
        })
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.with(".keyroll-lock")
    }

    fn note(&self, helper: Helper) -> PathBuf {
        self.with(match helper {
            Helper::Pending => ".pending.run",
            Helper::Previous => ".previous.run",
        })
    }

    fn with(&self, end: &str) -> PathBuf {
        let mut name = self.target.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    }

    fn folder(&self) -> &Path {
        match self.target.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            Some(_) | None => Path::new("."),
        }
    }

    /// The bytes of a helper.
    pub(super) fn read(&self, helper: Helper) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        bounded(&self.path(helper))
    }

    /// The run that a helper with this value belongs to.
    pub(super) fn owner(&self, helper: Helper, value: &Fingerprint) -> Option<String> {
        self.read_note(helper).filter(|note| note.values.contains(value)).map(|note| note.run)
    }

    fn read_note(&self, helper: Helper) -> Option<Note> {
        serde_json::from_slice(&bounded(&self.note(helper)).ok()??).ok()
    }

    /// Writes a helper. The note comes first and names the old and the new value, so that a crash in between leaves a helper that
    /// is still known to be ours.
    pub(super) fn write(
        &self,
        helper: Helper,
        run: &RunId,
        value: &Fingerprint,
        bytes: &[u8],
        owner: Option<(u32, u32)>,
    ) -> Result<(), FileProblem> {
        let path = self.path(helper);
        for name in [&path, &self.note(helper)] {
            if fs::symlink_metadata(name).is_ok_and(|about| !about.is_file()) {
                return Err(FileProblem::NoFile { path: name.clone() });
            }
        }
        let mut values = self.read_note(helper).unwrap_or_default().values;
        values.retain(|known| known != value);
        values.push(value.clone());
        let surplus = values.len().saturating_sub(MOST_VALUES);
        values.drain(..surplus);
        // A note is two texts: it always has a JSON form.
        let note = serde_json::to_vec(&Note { run: run.as_str().to_owned(), values }).unwrap_or_default();
        let private = Options { tag: run.as_str().to_owned(), mode: Some(0o600), owner };
        atomic::replace(&self.note(helper), &note, &private)?;
        atomic::replace(&path, bytes, &private)
    }

    /// Removes a helper, then its note.
    pub(super) fn remove(&self, helper: Helper) -> io::Result<()> {
        for path in [self.path(helper), self.note(helper)] {
            gone(fs::remove_file(path))?;
        }
        Ok(())
    }

    /// Removes a note of this run whose helper was never written.
    pub(super) fn remove_lone_note(&self, helper: Helper, run: &RunId) -> io::Result<()> {
        let ours = self.read_note(helper).is_some_and(|note| note.run == run.as_str());
        let alone = fs::symlink_metadata(self.path(helper)).is_err();
        if ours && alone { gone(fs::remove_file(self.note(helper))) } else { Ok(()) }
    }

    /// Removes temporary files that a crash of this run left.
    pub(super) fn sweep(&self, run: &RunId) -> Result<(), FileProblem> {
        for left in atomic::leftovers(self.folder(), run.as_str())? {
            let _somebody_else_may_have_removed_it = fs::remove_file(left);
        }
        Ok(())
    }

    /// Makes removals durable.
    pub(super) fn sync(&self) -> Result<(), FileProblem> {
        atomic::sync_dir(self.folder())
    }
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// A whole file, if it exists and is of a sane size.
pub(super) fn bounded(path: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let about = file.metadata()?;
    if !about.is_file() || about.len() > LARGEST {
        return Err(io::Error::other("it is no regular file of at most 1 MiB"));
    }
    // Room for all at once: a vector that grows leaves copies of secrets behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0).saturating_add(1)));
    io::Read::read_to_end(&mut io::Read::take(file, LARGEST), &mut bytes)?;
    Ok(Some(bytes))
}
