//! An incident freeze: while its file exists, no run begins another effect.

use super::{StateDir, StateError, fs};
use crate::rotation::Time;
use serde::{Deserialize, Serialize};

/// Who stopped everything, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// Who.
    pub by: String,
    /// Why.
    pub why: String,
    /// Since when.
    pub since: Time,
}

impl Freeze {
    /// Begins a freeze, in place of one that may be on.
    ///
    /// # Errors
    /// When the disk refuses: it is then not on.
    pub fn set(&self, state: &StateDir) -> Result<(), StateError> {
        let path = state.freeze_path();
        let text = serde_json::to_vec_pretty(self).map_err(|e| StateError::io("write", &path, &e.into()))?;
        if let Some(shared) = state.shared() {
            return shared.set_freeze(Some(text));
        }
        fs::replace(&path, &text).map_err(|e| StateError::io("write", &path, &e))
    }

    /// Ends a freeze, and says which one it was; none when none was on or its file was unreadable.
    ///
    /// # Errors
    /// When the file cannot be removed: it is then still on.
    pub fn clear(state: &StateDir) -> Result<Option<Self>, StateError> {
        let was = Self::read(state).unwrap_or_default();
        if let Some(shared) = state.shared() {
            shared.set_freeze(None)?;
            return Ok(was);
        }
        let path = state.freeze_path();
        fs::remove(&path).and_then(|_| fs::sync_dir(state.root())).map_err(|e| StateError::io("remove", &path, &e))?;
        Ok(was)
    }

    /// The freeze that is on.
    ///
    /// # Errors
    /// When there is a file that cannot be read. Callers that act take that for a freeze.
    pub fn read(state: &StateDir) -> Result<Option<Self>, StateError> {
        let path = state.freeze_path();
        let bytes = match state.shared() {
            Some(shared) => shared.freeze()?,
            None => fs::read(&path, 64 * 1024).map_err(|e| StateError::io("read", &path, &e))?,
        };
        let Some(bytes) = bytes else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|_| StateError::Damaged { path, why: "it is not a freeze".into() })
    }
}
