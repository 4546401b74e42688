//! Payload → folder: complete and synced before it has its name.

use super::payload::{BAG_INFO, MANIFEST, Payload, is_safe_path};
use crate::ports::{SealError, Sealed};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Attests a manifest: path below `attest/` → bytes. The manifest does not list these files; they are about it.
pub type Sealer = fn(manifest: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, SealError>;

/// No attestation: the first form of a bundle, which says so in `gaps.json`.
///
/// # Errors
/// Never.
pub fn unsigned(_manifest: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, SealError> {
    Ok(BTreeMap::new())
}

/// Writes a bundle. One that is there already with the same bytes is left alone; another one is replaced as a whole.
///
/// # Errors
/// When the disk refuses, or the sealer does.
pub fn write(payload: &Payload, dir: &Path, sealer: Sealer) -> Result<Sealed, SealError> {
    let manifest = payload.manifest();
    let sealed = Sealed { digest: payload.digest(), place: dir.display().to_string() };
    let mut files: BTreeMap<String, Vec<u8>> = payload.files.clone();
    for (name, bytes) in sealer(manifest.as_bytes())? {
        files.insert(format!("attest/{name}"), bytes);
    }
    files.insert(MANIFEST.to_owned(), manifest.into_bytes());
    files.insert(BAG_INFO.to_owned(), payload.bag_info().into_bytes());
    if let Some(bad) = files.keys().find(|p| !is_safe_path(p)) {
        return Err(SealError::Storage { why: format!("`{bad}` is no name for a file in a bundle; this is a mistake in keyroll") });
    }
    let head = payload.head.get(..8).unwrap_or("00000000");
    let (building, aside) = (beside(dir, &format!("tmp-{head}")), beside(dir, &format!("old-{head}")));
    let step = |what: &'static str, path: &Path, done: io::Result<()>| {
        done.map_err(|e| SealError::Storage {
            why: format!("{what} {}: {}; make room or rights, then `keyroll resume`", path.display(), plain(&e)),
        })
    };
    // A crash may have left either of these: a half-built bundle is worth nothing, and one put aside was about to be replaced.
    step("remove", &building, remove(&building))?;
    step("remove", &aside, remove(&aside))?;
    if same(dir, &files) {
        return Ok(sealed);
    }
    step("write", &building, build(&building, &files))?;
    if fs::symlink_metadata(dir).is_ok() {
        step("move aside", dir, fs::rename(dir, &aside))?;
    }
    step("name", dir, fs::rename(&building, dir))?;
    step("sync", dir, sync_dir(dir.parent().unwrap_or(Path::new("."))))?;
    step("remove", &aside, remove(&aside))?;
    Ok(sealed)
}

fn beside(dir: &Path, what: &str) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(what);
    dir.with_file_name(name)
}

fn build(dir: &Path, files: &BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut folders = vec![dir.to_owned()];
    for (path, bytes) in files {
        let place = dir.join(path);
        if let Some(folder) = place.parent()
            && !folders.iter().any(|f| f == folder)
        {
            fs::create_dir_all(folder)?;
            folders.extend(folder.ancestors().take_while(|a| *a != dir).map(Path::to_owned));
        }
        let mut file = File::create_new(&place)?;
        file.write_all(bytes)?;
        file.sync_all()?;
    }
    folders.iter().try_for_each(|f| sync_dir(f))
}

/// The folder holds exactly these files with exactly these bytes.
fn same(dir: &Path, files: &BTreeMap<String, Vec<u8>>) -> bool {
    super::tree::list(dir).is_ok_and(|found| {
        found.len() == files.len() && files.iter().all(|(path, bytes)| fs::read(dir.join(path)).is_ok_and(|there| there == *bytes))
    })
}

/// Removes what is there, if anything; a link is removed and never followed.
fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

fn sync_dir(path: &Path) -> io::Result<()> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path)?.sync_all()
}

/// An error of the operating system without its number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}
