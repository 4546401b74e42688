//! State that many machines share: the same claims, leases, lines, and messages as objects in a bucket.
//!
//! | object | how it is written | what it stops |
//! |---|---|---|
//! | `runs/RUN/lines/N` | only if absent | a second process that appends: it is refused for good |
//! | `claims/HASH.json` | only if absent, or if unchanged | two runs that touch one resource |
//! | `runs/RUN/lease.json` | only if unchanged, again and again | two processes that begin to execute one run |
//! | `runs/RUN/inbox/…`, `freeze.json` | as they come | – |
//! | `runs/RUN/bundle/…` | only if absent | – |
//!
//! The lines are the fence, the lease is courtesy: whoever took over writes the next line, and from then on every append of the process
//! before is refused, however long it slept. What a line cannot stop is a call that was allowed by an earlier line and leaves late; for
//! that an intent says until when it may leave, and who takes over waits that long.
//!
//! A folder of this machine mirrors the lines, so that everything that reads a journal reads a file. It may be removed at any time; where
//! it is *ahead* of the bucket, the bucket was restored, and that is refused.

mod beat;
mod bundle;
mod claims;
mod lease;
mod lines;
mod messages;
#[cfg(test)]
mod tests;

pub(super) use beat::Beat;
pub(super) use lease::RemoteLease;

use super::StateError;
use crate::secret::sha256_hex;
use crate::support::clock;
use crate::support::objects::{Object, ObjectProblem, Objects, Place, When};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How such an address begins.
pub(super) const SCHEME: &str = "s3://";
/// How long a lease lasts after its last beat, where the address does not say.
const TERM: Duration = Duration::from_secs(20);
/// The shortest and the longest that it may say.
const TERMS: std::ops::RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_secs(600);
/// Tries of a write whose answer was unclear; each is harmless, because every write has a condition.
const TRIES: u32 = 5;

/// A bucket with the state of many machines.
pub(super) struct Shared {
    objects: Box<dyn Objects>,
    /// Its address, for messages.
    place: String,
    /// Which session of which process this is: how our own write is told from another's after a lost answer.
    session: String,
    term: Duration,
    proven: AtomicBool,
    /// Leases of others that are watched: what each was, and since when by our own clock.
    watched: Mutex<BTreeMap<String, (String, u64)>>,
}

/// What became of a write that wants to be the first.
enum Created {
    /// It is ours.
    Ours(String),
    /// Somebody else was first.
    Others(Object),
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("place", &self.place).finish_non_exhaustive()
    }
}

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl Eq for Shared {}

impl Shared {
    /// The bucket at an address; nothing is asked of it yet.
    pub(super) fn open(address: &str) -> Result<Arc<Self>, StateError> {
        let unusable = |why: &str| StateError::Remote { place: address.to_owned(), why: why.to_owned() };
        let place = Place::parse(address)
            .ok_or_else(|| unusable("it is not s3://BUCKET/PREFIX with plain names; correct the address of the state"))?;
        let term = term(address).ok_or_else(|| unusable("what follows `?` is not lease=DURATION between 2s and 10m"))?;
        let session = crate::secret::random_id(10).map_err(|e| unusable(&format!("failed to {e}")))?;
        let objects = connect(place, session.clone()).map_err(|e| unusable(&e.to_string()))?;
        Ok(Arc::new(Self::over(objects, address.split('?').next().unwrap_or_default(), session, term)))
    }

    fn over(objects: Box<dyn Objects>, place: &str, session: String, term: Duration) -> Self {
        Self { objects, place: place.to_owned(), session, term, proven: AtomicBool::new(false), watched: Mutex::default() }
    }

    /// The folder of this machine that mirrors it.
    pub(super) fn mirror(&self) -> PathBuf {
        let root =
            std::env::var_os("KEYROLL_CACHE").filter(|v| !v.is_empty()).map_or_else(|| PathBuf::from(".keyroll/shared"), PathBuf::from);
        root.join(sha256_hex(self.place.as_bytes()).get(..16).unwrap_or("state"))
    }

    /// The store keeps what is there when it is asked to write only if nothing is: else two machines would execute one run. Asked once.
    pub(super) fn prove(&self) -> Result<(), StateError> {
        const PROBE: &str = "probe.json";
        if self.proven.load(Ordering::Relaxed) {
            return Ok(());
        }
        let tried = |when: When| match self.objects.put(PROBE, b"{}".to_vec(), &when) {
            Ok(_) => Ok(true),
            Err(ObjectProblem::Condition) => Ok(false),
            Err(e) => Err(self.failed("write to", &e)),
        };
        tried(When::Absent)?;
        let ignores_absent = tried(When::Absent)?;
        let ignores_match = tried(When::Is("\"00000000000000000000000000000000\"".into()))?;
        if ignores_absent || ignores_match {
            let why = "this object store ignores the conditions of writes (If-None-Match, If-Match), so two machines could execute one run; use one that knows them, or a folder";
            return Err(StateError::Remote { place: self.place.clone(), why: why.into() });
        }
        self.proven.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Writes an object that must not exist yet. After an unclear answer a look says whose it is.
    fn create(&self, key: &str, body: &[u8]) -> Result<Created, ObjectProblem> {
        let mut last = ObjectProblem::Unclear { why: "it was not tried".into() };
        for tries in 0..TRIES {
            wait_a_little(tries);
            match self.objects.put(key, body.to_vec(), &When::Absent) {
                Ok(etag) => return Ok(Created::Ours(etag)),
                Err(ObjectProblem::Condition) => match self.objects.get(key) {
                    Ok(Some(there)) if self.wrote(&there, body) => return Ok(Created::Ours(there.etag)),
                    Ok(Some(there)) => return Ok(Created::Others(there)),
                    Ok(None) => last = ObjectProblem::Unclear { why: "it was there and is gone".into() },
                    Err(e) => last = e,
                },
                Err(e @ ObjectProblem::Refused { .. }) => return Err(e),
                Err(e @ ObjectProblem::Unclear { .. }) => last = e,
            }
        }
        Err(last)
    }

    /// Writes an object if it is still the one that was read; none when it is not.
    fn replace(&self, key: &str, body: &[u8], etag: &str) -> Result<Option<String>, ObjectProblem> {
        let mut last = ObjectProblem::Unclear { why: "it was not tried".into() };
        for tries in 0..TRIES {
            wait_a_little(tries);
            match self.objects.put(key, body.to_vec(), &When::Is(etag.to_owned())) {
                Ok(etag) => return Ok(Some(etag)),
                Err(ObjectProblem::Condition) => match self.objects.get(key) {
                    Ok(Some(there)) if self.wrote(&there, body) => return Ok(Some(there.etag)),
                    Ok(_) => return Ok(None),
                    Err(e) => last = e,
                },
                Err(e @ ObjectProblem::Refused { .. }) => return Err(e),
                Err(e @ ObjectProblem::Unclear { .. }) => last = e,
            }
        }
        Err(last)
    }

    /// Reads an object, a few times where the answer is unclear.
    fn get(&self, action: &'static str, key: &str) -> Result<Option<Object>, StateError> {
        let mut last = ObjectProblem::Unclear { why: "it was not tried".into() };
        for tries in 0..TRIES {
            wait_a_little(tries);
            match self.objects.get(key) {
                Ok(found) => return Ok(found),
                Err(e @ ObjectProblem::Unclear { .. }) => last = e,
                Err(e) => return Err(self.failed(action, &e)),
            }
        }
        Err(self.failed(action, &last))
    }

    fn wrote(&self, there: &Object, body: &[u8]) -> bool {
        there.session == self.session && there.bytes == body
    }

    fn failed(&self, action: &str, problem: &ObjectProblem) -> StateError {
        StateError::Remote { place: self.place.clone(), why: format!("failed to {action} it: {problem}") }
    }

    fn damaged(&self, key: &str, why: &str) -> StateError {
        StateError::Damaged { path: PathBuf::from(format!("{}/{key}", self.place)), why: why.to_owned() }
    }
}

/// Waits between tries: nothing at first.
fn wait_a_little(tries: u32) {
    if tries > 0 {
        std::thread::sleep(Duration::from_millis(150_u64.saturating_mul(1 << tries.min(4))));
    }
}

/// Milliseconds by a clock that nobody can set and that counts sleep.
fn clock_now() -> u64 {
    clock::boot_millis()
}

/// What the address says of the lease.
fn term(address: &str) -> Option<Duration> {
    let Some((_, query)) = address.split_once('?') else { return Some(TERM) };
    let text = query.strip_prefix("lease=")?;
    let span: crate::support::duration::Span = text.parse().ok()?;
    let length = Duration::from_millis(u64::try_from(span.signed_millis()).ok()?);
    TERMS.contains(&length).then_some(length)
}

#[cfg(feature = "aws")]
fn connect(place: Place, session: String) -> Result<Box<dyn Objects>, ObjectProblem> {
    Ok(Box::new(crate::support::s3::S3::open(place, session)?))
}

#[cfg(not(feature = "aws"))]
fn connect(_: Place, _: String) -> Result<Box<dyn Objects>, ObjectProblem> {
    Err(ObjectProblem::Refused { why: "this build has no object store; a folder works, or a build with the feature `aws`".into() })
}
