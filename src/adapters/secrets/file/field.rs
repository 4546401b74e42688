//! What of a file is ours, and how it is changed without touching anything else.

use crate::secret::SecretText;
use crate::support::dotenv::{self, DotenvProblem};
use std::path::Path;
use zeroize::Zeroizing;

/// What of the file is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// The value of one variable.
    Variable(String),
    /// Everything, but for a line end.
    Whole,
}

impl Field {
    /// Our field in some bytes; none when it is not there or empty.
    pub(super) fn value(&self, bytes: &[u8]) -> Result<Option<SecretText>, String> {
        let text = text(bytes)?;
        let value = match self {
            Self::Variable(name) => match dotenv::get(text, name) {
                Ok(value) => value,
                Err(DotenvProblem::Missing { .. }) => return Ok(None),
                Err(problem) => return Err(problem.to_string()),
            },
            Self::Whole => {
                let (value, _) = line(text);
                if value.contains(['\n', '\r']) {
                    return Err("it has more than one line; name a variable, or give the value a file of its own".into());
                }
                SecretText::new(value)
            }
        };
        Ok((!value.is_empty()).then_some(value))
    }

    /// The bytes with our field changed, and nothing else.
    pub(super) fn with_value(&self, bytes: &[u8], value: &SecretText) -> Result<Zeroizing<Vec<u8>>, String> {
        let text = text(bytes)?;
        match self {
            Self::Variable(name) => {
                let mut changed = dotenv::set(text, name, value).map_err(|e| e.to_string())?;
                Ok(Zeroizing::new(std::mem::take(&mut *changed).into_bytes()))
            }
            Self::Whole => {
                let mut changed = Zeroizing::new(Vec::with_capacity(value.len().saturating_add(2)));
                changed.extend_from_slice(value.expose().as_bytes());
                changed.extend_from_slice(line(text).1.as_bytes());
                Ok(changed)
            }
        }
    }

    /// A document of the same kind with our field alone in it: no other secret is copied into a helper.
    pub(super) fn alone(&self, bytes: &[u8], value: &SecretText) -> Result<Zeroizing<Vec<u8>>, String> {
        match self {
            Self::Variable(name) => self.with_value(format!("{name}=\n").as_bytes(), value),
            Self::Whole => self.with_value(bytes, value),
        }
    }
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8 text; save it as UTF-8".into())
}

/// A text without its line end, and that line end.
fn line(text: &str) -> (&str, &str) {
    let value = text.strip_suffix('\n').map_or(text, |t| t.strip_suffix('\r').unwrap_or(t));
    text.split_at_checked(value.len()).unwrap_or((text, ""))
}

/// Whether the kernel's list of mounts has this very path. Blanks and the like are written there as octal numbers.
pub(super) fn is_mount_point(mounts: &str, target: &Path) -> bool {
    let wanted = target.to_string_lossy().replace('\\', "\\134").replace(' ', "\\040").replace('\t', "\\011").replace('\n', "\\012");
    mounts.lines().any(|line| line.split(' ').nth(4) == Some(wanted.as_str()))
}
