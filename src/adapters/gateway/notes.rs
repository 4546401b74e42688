//! What a later process must know of an earlier one's calls and readings: a file of JSON lines beside the runs. No secret is ever in it.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A file with more lines is not believed.
const MOST_LINES: usize = 1_000_000;

/// Every line that can be read. A process may have died in the middle of one; what it lost is a call or a reading that is not known.
pub(crate) fn lines<T: DeserializeOwned>(file: &Path) -> Result<Vec<T>, String> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text.lines().take(MOST_LINES).filter_map(|line| serde_json::from_str(line).ok()).collect()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(format!("{} cannot be read: {e}", file.display())),
    }
}

/// One more line.
pub(crate) fn append(file: &Path, line: &impl Serialize) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("{} cannot be written: {e}", file.display());
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut text = serde_json::to_string(line).map_err(|e| format!("a note cannot be written: {e}"))?;
    text.push('\n');
    let mut to = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(file).map_err(failed)?;
    to.write_all(text.as_bytes()).map_err(failed)
}
