//! Files that are either the old ones or the new ones, also after a crash or a power cut.
//!
//! What replacing keeps: mode and owner. What it loses: access lists, labels and other extended attributes, and hard
//! links. Readers that have the file open go on reading the old content.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use thiserror::Error;

/// How a file is replaced.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Goes into the name of the temporary file, so that a later run finds one that a crash left; see [`leftovers`].
    /// Letters, digits and dashes; a run id does.
    pub tag: String,
    /// Permission bits; absent: those of the file that is replaced, 0600 for a new one.
    pub mode: Option<u32>,
    /// User and group; absent: those of the file that is replaced, our own for a new one.
    pub owner: Option<(u32, u32)>,
}

impl Options {
    /// Keeps mode and owner, and tags the temporary file.
    pub fn tagged(tag: impl Into<String>) -> Self {
        Self { tag: tag.into(), ..Self::default() }
    }
}

/// Replaces a file's whole content: written beside it, synced, renamed over it, the folder synced. A file that does not
/// exist is made. Of a symbolic link, the file it leads to is replaced.
pub fn replace(path: &Path, bytes: &[u8], options: &Options) -> Result<(), FileProblem> {
    let target = resolve(path)?;
    let before = match fs::metadata(&target) {
        Ok(about) if about.is_file() => Some(about),
        Ok(_) => return Err(FileProblem::NoFile { path: target }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed("look at", &target)(error)),
    };
    let mode = options.mode.or(before.as_ref().map(|about| about.mode() & 0o7777)).unwrap_or(0o600);
    let file = written_beside(&target, bytes, &options.tag)?;
    if let Some((user, group)) = options.owner.or(before.as_ref().map(|about| (about.uid(), about.gid()))) {
        keep_owner(file.as_file(), &target, user, group)?;
    }
    // After the owner: changing the owner takes some bits away.
    set_mode(&file, &target, mode)?;
    file.as_file().sync_all().map_err(failed("sync", &target))?;
    file.persist(&target).map_err(|refused| renamed(&target, refused.error))?;
    sync_dir(folder_of(&target))
}

/// Makes a new file, complete and synced before it has its name; fails with [`FileProblem::Exists`] if the name is taken.
pub fn create_new_synced(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileProblem> {
    let file = written_beside(path, bytes, "new")?;
    set_mode(&file, path, mode)?;
    file.as_file().sync_all().map_err(failed("sync", path))?;
    file.persist_noclobber(path).map_err(|refused| renamed(path, refused.error))?;
    sync_dir(folder_of(path))
}

/// Syncs a folder, so that names made or removed in it survive a power cut.
pub fn sync_dir(folder: &Path) -> Result<(), FileProblem> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync the folder", folder))
}

/// Temporary files with this tag in a folder, left by a crash. Deleting them is safe once nothing runs under the tag.
pub fn leftovers(folder: &Path, tag: &str) -> Result<Vec<PathBuf>, FileProblem> {
    let prefix = prefix_of(tag);
    let entries = fs::read_dir(folder).map_err(failed("list the folder", folder))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed("list the folder", folder))?;
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The file that a path means, links followed. A link that leads nowhere is an error: writing would replace the link.
pub fn resolve(path: &Path) -> Result<PathBuf, FileProblem> {
    match fs::canonicalize(path) {
        Ok(target) => Ok(target),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if fs::symlink_metadata(path).is_ok() {
                return Err(FileProblem::DeadLink { path: path.to_owned() });
            }
            let name = path.file_name().ok_or_else(|| FileProblem::NoFile { path: path.to_owned() })?;
            let folder = folder_of(path);
            Ok(fs::canonicalize(folder).map_err(failed("find the folder", folder))?.join(name))
        }
        Err(error) => Err(failed("look at", path)(error)),
    }
}

fn written_beside(target: &Path, bytes: &[u8], tag: &str) -> Result<NamedTempFile, FileProblem> {
    let mut file = tempfile::Builder::new()
        .prefix(&prefix_of(tag))
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(folder_of(target))
        .map_err(failed("make a temporary file beside", target))?;
    file.write_all(bytes).map_err(failed("write", target))?;
    Ok(file)
}

fn set_mode(file: &NamedTempFile, target: &Path, mode: u32) -> Result<(), FileProblem> {
    file.as_file().set_permissions(Permissions::from_mode(mode)).map_err(failed("set the mode of", target))
}

fn keep_owner(file: &File, target: &Path, user: u32, group: u32) -> Result<(), FileProblem> {
    let now = file.metadata().map_err(failed("look at", target))?;
    if (now.uid(), now.gid()) == (user, group) {
        return Ok(());
    }
    match fchown(file, Some(user), Some(group)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(FileProblem::Owner { path: target.to_owned(), user, group }),
        other => other.map_err(failed("set the owner of", target)),
    }
}

/// `.keyroll-<tag>-`; whatever is no letter, digit or dash in a tag could lead out of the folder.
fn prefix_of(tag: &str) -> String {
    let tag: String = tag.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!(".keyroll-{tag}-")
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileProblem {
    let path = path.to_owned();
    move |source| FileProblem::Io { action, path, source }
}

fn renamed(path: &Path, source: io::Error) -> FileProblem {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::ResourceBusy => FileProblem::Busy { path },
        io::ErrorKind::AlreadyExists => FileProblem::Exists { path },
        _ => FileProblem::Io { action: "put the new content in place of", path, source },
    }
}

/// Why a file was not written. The old content is still there, whole.
#[derive(Debug, Error)]
pub enum FileProblem {
    /// The name is taken.
    #[error("make {}: it exists already; look whose it is before removing it", path.display())]
    Exists {
        /// The name.
        path: PathBuf,
    },
    /// A single file mounted into a container cannot be replaced.
    #[error(
        "replace {}: it is mounted as a single file, which can only be overwritten in place and could be read half written; mount its folder instead",
        path.display()
    )]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// A link to nothing.
    #[error("write {}: it is a link to a file that does not exist; make that file or remove the link", path.display())]
    DeadLink {
        /// The link.
        path: PathBuf,
    },
    /// A folder, a device, a pipe.
    #[error("write {}: it is no regular file; name a file", path.display())]
    NoFile {
        /// What was named.
        path: PathBuf,
    },
    /// Its owner cannot be kept.
    #[error("replace {}: it belongs to user {user} and group {group}, and only they or root may keep it so; run as that user", path.display())]
    Owner {
        /// The file.
        path: PathBuf,
        /// Its user.
        user: u32,
        /// Its group.
        group: u32,
    },
    /// Anything else the operating system refused.
    #[error("{action} {}: {source}; nothing was changed, check space and permissions", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_new_file_is_private_and_a_replaced_one_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        replace(&path, b"A=1\n", &Options::tagged("r1")).unwrap();
        assert_eq!((fs::read(&path).unwrap().as_slice(), mode(&path)), (&b"A=1\n"[..], 0o600));
        fs::set_permissions(&path, Permissions::from_mode(0o664)).unwrap();
        replace(&path, b"A=2\n", &Options::tagged("r1")).unwrap();
        assert_eq!((fs::read(&path).unwrap().as_slice(), mode(&path)), (&b"A=2\n"[..], 0o664));
        replace(&path, b"A=3\n", &Options { mode: Some(0o640), ..Options::default() }).unwrap();
        assert_eq!(mode(&path), 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn the_owner_is_kept_or_the_replacement_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("owned");
        fs::write(&path, "old").unwrap();
        // Only root can give a file away; others take the refusing path below.
        if std::os::unix::fs::chown(&path, Some(4711), Some(4712)).is_ok() {
            replace(&path, b"new", &Options::default()).unwrap();
            let about = fs::metadata(&path).unwrap();
            assert_eq!((about.uid(), about.gid()), (4711, 4712));
        } else {
            let other = Options { owner: Some((0, 0)), ..Options::default() };
            assert!(matches!(replace(&path, b"new", &other), Err(FileProblem::Owner { .. })));
            assert_eq!(fs::read(&path).unwrap(), b"old");
        }
    }

    #[test]
    fn a_link_stays_and_the_file_behind_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("real/file"), folder.path().join("link"));
        fs::create_dir(folder.path().join("real")).unwrap();
        std::os::unix::fs::symlink("real/file", &link).unwrap();
        assert!(matches!(replace(&link, b"x", &Options::default()), Err(FileProblem::DeadLink { .. })));
        fs::write(&file, "old").unwrap();
        replace(&link, b"new", &Options::default()).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
    }

    #[test]
    fn creating_never_overwrites() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("claim");
        create_new_synced(&path, b"one", 0o600).unwrap();
        assert!(matches!(create_new_synced(&path, b"two", 0o600), Err(FileProblem::Exists { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_file_is_refused_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(replace(folder.path(), b"", &Options::default()), Err(FileProblem::NoFile { .. })));
        let nowhere = folder.path().join("none/file");
        let said = replace(&nowhere, b"", &Options::default()).unwrap_err().to_string();
        assert!(said.starts_with("find the folder ") && said.contains("none"), "{said}");
        assert!(matches!(renamed(&nowhere, io::Error::from(io::ErrorKind::ResourceBusy)), FileProblem::Busy { .. }));
    }

    #[test]
    fn leftovers_are_found_by_their_tag() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("t");
        // Kept, as a crash would.
        let (_, left) = written_beside(&target, b"half", "run/../1").unwrap().keep().unwrap();
        written_beside(&target, b"half", "other").unwrap().keep().unwrap();
        assert_eq!(leftovers(folder.path(), "run/../1").unwrap(), [left]);
    }
}
