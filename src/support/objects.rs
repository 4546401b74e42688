//! Objects in a store that many machines share, as far as shared state needs them: write if absent, write if unchanged, read, list.
//!
//! Conditional writes are the whole point: a store that ignores the condition would let two machines execute one run, so whoever relies on
//! it tries it first.

/// A store of objects, for callers that wait for each answer.
pub trait Objects: Send + Sync {
    /// Writes an object, and gives back what it can be compared with later.
    ///
    /// # Errors
    /// [`ObjectProblem::Condition`] when the condition does not hold.
    fn put(&self, key: &str, body: Vec<u8>, when: &When) -> Result<String, ObjectProblem>;
    /// Reads an object; none when there is none.
    ///
    /// # Errors
    /// When it cannot be known.
    fn get(&self, key: &str) -> Result<Option<Object>, ObjectProblem>;
    /// Removes an object; success when there is none.
    ///
    /// # Errors
    /// When it cannot be known.
    fn remove(&self, key: &str) -> Result<(), ObjectProblem>;
    /// The names below `folder`, sorted, after `after`; with `folders`, the names of the folders there instead.
    ///
    /// # Errors
    /// When the listing is not complete.
    fn list(&self, folder: &str, after: Option<&str>, folders: bool) -> Result<Vec<String>, ObjectProblem>;
}

/// `s3://bucket/prefix`, without what follows a `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The bucket.
    pub bucket: String,
    /// What every key begins with; empty, or ending with `/`.
    pub prefix: String,
}

impl Place {
    /// Reads an address; none when it is not one of these.
    pub fn parse(address: &str) -> Option<Self> {
        let rest = address.strip_prefix("s3://")?;
        let rest = rest.split('?').next().unwrap_or_default();
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        let prefix = prefix.trim_matches('/');
        let parts_fine =
            prefix.is_empty() || prefix.split('/').all(|part| !part.is_empty() && plain(part) && part.bytes().any(|b| b != b'.'));
        if !(3..=63).contains(&bucket.len()) || !plain(bucket) || !parts_fine || prefix.len() > 512 {
            return None;
        }
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Some(Self { bucket: bucket.to_owned(), prefix })
    }
}

/// When a write may take place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// Only if there is no such object.
    Absent,
    /// Only if the object is still this one.
    Is(String),
    /// In any case.
    Always,
}

/// An object that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What a conditional write compares with.
    pub etag: String,
    /// Which session wrote it.
    pub session: String,
    /// How long ago it was written, both times by the server's own clock, in milliseconds.
    pub age: Option<u64>,
}

/// Why a call did not give what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectProblem {
    /// The condition does not hold: there is such an object, or it is another one. Nothing was written.
    #[error("the object is there already, or changed meanwhile")]
    Condition,
    /// It may or may not have been done.
    #[error("{why}; whether it took effect is not known")]
    Unclear {
        /// What went wrong.
        why: String,
    },
    /// It was not done, and trying again will not help.
    #[error("{why}")]
    Refused {
        /// What went wrong, and what to do.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_bucket_and_plain_parts() {
        let place = |text: &str| Place::parse(text).map(|p| (p.bucket, p.prefix));
        assert_eq!(place("s3://team-state/keyroll/prod/?lease=30s"), Some(("team-state".into(), "keyroll/prod/".into())));
        assert_eq!(place("s3://team-state"), Some(("team-state".into(), String::new())));
        for bad in ["s3://", "s3://ab", "s3://bucket/a//b", "s3://bucket/../x", "s3://bucket/a b", "gs://bucket/x", "s3://user:pw@bucket/x"]
        {
            assert_eq!(place(bad), None, "{bad}");
        }
    }
}
