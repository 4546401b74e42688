//! The way back: which older version holds the value that the current one replaced.

use super::VaultStore;
use super::kv::{History, Older};
use crate::ports::Result;
use crate::secret::{Fingerprint, SecretText};
use crate::support::text;

/// So many older versions are looked at.
const FARTHEST: usize = 100;
/// Fewer kept versions than this may evict the old value while a run waits.
pub(super) const FEWEST_KEPT: u64 = 4;
/// A token with less time than this may end in the middle of a run.
const SOON: u64 = 3600;

/// A version that leads back.
pub(super) struct Previous {
    pub(super) number: u64,
    pub(super) is: Fingerprint,
}

impl VaultStore {
    /// The newest older version with another value than this one. A deleted version ends the search: whatever it held, the way leads no
    /// farther.
    pub(super) async fn previous(&self, history: &History, current: Option<&Fingerprint>) -> Result<Option<Previous>> {
        let Some(current) = current else { return Ok(None) };
        for older in history.versions.iter().take(FARTHEST) {
            if !older.live {
                return Ok(None);
            }
            match self.known(older).await? {
                Some(is) if is == *current => {}
                Some(is) => return Ok(Some(Previous { number: older.number, is })),
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// All readable older versions that hold this value.
    pub(super) async fn holding(&self, history: &History, value: &Fingerprint) -> Result<Vec<u64>> {
        let mut found = Vec::new();
        for older in history.versions.iter().filter(|v| v.live).take(FARTHEST) {
            if self.known(older).await?.as_ref() == Some(value) {
                found.push(older.number);
            }
        }
        Ok(found)
    }

    /// What an older version's value is, asked once: a version never changes.
    async fn known(&self, older: &Older) -> Result<Option<Fingerprint>> {
        let key = (older.number, older.created.clone());
        if let Some(known) = self.known.borrow().get(&key) {
            return Ok(Some(known.clone()));
        }
        let is = self.value_at(older.number).await?.map(|v| self.fingerprints.of(&v));
        // What is not readable now may be undeleted later.
        if let Some(is) = &is {
            self.known.borrow_mut().insert(key, is.clone());
        }
        Ok(is)
    }

    /// The value of an older version; none when it is not there, or holds no text.
    pub(super) async fn value_at(&self, number: u64) -> Result<Option<SecretText>> {
        let version = self.api.read(&self.references, &self.place.path, Some(number)).await?;
        Ok(version.and_then(|v| v.document).and_then(|d| d.text(&self.place.field).unwrap_or_default()))
    }

    /// What a person should know of a slot.
    pub(super) async fn warnings(&self, history: &History) -> Vec<String> {
        let mut warnings = Vec::new();
        if (1..FEWEST_KEPT).contains(&history.most) {
            warnings.push(format!("only {} versions are kept, so the way back may be evicted; keep at least {FEWEST_KEPT}", history.most));
        }
        if let Some(time) = &history.ends_after {
            warnings.push(format!("its versions delete themselves {time} after they are written, the current one too"));
        }
        if self.author.get().is_none()
            // Nice to know, and no reason to fail.
            && let Ok(author) = self.api.author(&self.references).await
        {
            let _asked_once = self.author.set(author);
        }
        if let Some(Some(author)) = self.author.get() {
            warnings.push(text::clean(&format!("versions are written as {} (policies {})", author.name, author.policies.join(", "))));
            if author.ttl > 0 && author.ttl < SOON && !self.api.logs_in() {
                warnings.push(format!("the token ends in {} seconds, and a run may last longer", author.ttl));
            }
        }
        warnings
    }
}
