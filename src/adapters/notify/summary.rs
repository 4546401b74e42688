//! The summary of a job in GitHub Actions: a file that the job's page shows as Markdown.

use crate::ports::{Notice, PortError, Result};
use crate::support::text::{clean_to, markdown};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// GitHub shows no more of one step than a mebibyte.
const LARGEST: u64 = 1 << 20;

/// The file; none outside of such a job.
pub(super) fn file() -> Option<PathBuf> {
    std::env::var_os("GITHUB_STEP_SUMMARY").filter(|v| !v.is_empty()).map(PathBuf::from)
}

/// Adds one line.
pub(super) fn tell(path: &Path, notice: &Notice) -> Result<()> {
    let failed = |why: String| PortError::Unreachable { system: "the job summary".into(), why, may_have_happened: false };
    let mut file = File::options().append(true).create(true).open(path).map_err(|e| failed(e.kind().to_string()))?;
    if file.metadata().is_ok_and(|m| m.len() > LARGEST - 4096) {
        return Err(failed("it is full".into()));
    }
    let plain = |text: &str| markdown(&clean_to(text, 2000));
    let line = format!("- **{}** {}: {} (run `{}`)\n", plain(notice.event), plain(&notice.credential), plain(&notice.text), notice.run);
    // One write: several processes of a job may share the file.
    file.write_all(line.as_bytes()).map_err(|e| failed(e.kind().to_string()))
}
