//! What lies in a bundle's folder, without following anything and without believing sizes.

use super::invalid::Invalid;
use super::payload::is_safe_path;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// More files than any run makes.
const MOST_FILES: usize = 20_000;
/// The largest single file.
const LARGEST_FILE: u64 = 512 * 1024 * 1024;
/// All files together.
const LARGEST_SUM: u64 = 1024 * 1024 * 1024;

/// Every file by relative path, with its size.
///
/// # Errors
/// On anything that a bundle never has: links, devices, odd names, absurd sizes.
pub(super) fn list(dir: &Path) -> Result<BTreeMap<String, u64>, Invalid> {
    let unreadable = |path: &str, e: &std::io::Error| Invalid::Unreadable { path: super::text::plain(path), why: e.kind().to_string() };
    let about = fs::symlink_metadata(dir).map_err(|e| unreadable(&dir.display().to_string(), &e))?;
    if about.file_type().is_symlink() {
        return Err(Invalid::Link { path: super::text::plain(&dir.display().to_string()) });
    }
    let (mut found, mut sum) = (BTreeMap::new(), 0_u64);
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(dir.join(&folder)).map_err(|e| unreadable(&folder, &e))?;
        for entry in entries {
            let entry = entry.map_err(|e| unreadable(&folder, &e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            let shown = || super::text::plain(&path);
            let about = fs::symlink_metadata(entry.path()).map_err(|e| unreadable(&path, &e))?;
            if about.file_type().is_symlink() {
                return Err(Invalid::Link { path: shown() });
            }
            if !is_safe_path(&path) {
                return Err(Invalid::Path { path: shown() });
            }
            if about.is_dir() {
                folders.push(path);
                if folders.len() > MOST_FILES {
                    return Err(Invalid::TooBig { what: "too many folders".into() });
                }
                continue;
            }
            if !about.is_file() {
                return Err(Invalid::Link { path: shown() });
            }
            sum = sum.saturating_add(about.len());
            if about.len() > LARGEST_FILE || sum > LARGEST_SUM {
                return Err(Invalid::TooBig { what: format!("{} has {} bytes, {sum} in all so far", shown(), about.len()) });
            }
            found.insert(path, about.len());
            if found.len() > MOST_FILES {
                return Err(Invalid::TooBig { what: format!("more than {MOST_FILES} files") });
            }
        }
    }
    Ok(found)
}
