//! What each replica knows: it sees a change of the tables late, never goes back, and may remember refusals.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::faults::{FaultName, Faults};
use super::tables::{Key, Tables};

/// Why a key is refused; each is a 401 of type `invalid_api_key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No bearer was sent.
    Missing,
    /// No such key, or a deleted one.
    Unknown,
    /// Switched off.
    Disabled,
    /// Past its `expires_at`.
    Expired,
}

impl Refusal {
    /// The `code` of the error body.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Missing => "key_missing",
            Self::Unknown => "key_unknown",
            Self::Disabled => "key_disabled",
            Self::Expired => "key_expired",
        }
    }
}

/// The tables as they were at one moment.
struct Version {
    number: u64,
    at: Instant,
    tables: Arc<Tables>,
}

/// One replica's own copy.
struct Replica {
    number: u64,
    tables: Arc<Tables>,
    /// Secret → until when it is refused without looking.
    refused: HashMap<String, (Instant, Refusal)>,
}

/// All replicas and the changes that some of them have not seen yet.
pub(super) struct Replicas {
    newest: u64,
    pending: VecDeque<Version>,
    all: Vec<Replica>,
}

/// At most so many refusals are remembered by a replica.
const MOST_REFUSALS: usize = 4096;

impl Replicas {
    /// Fresh replicas load the tables as they are.
    pub(super) fn new(count: usize, tables: &Tables) -> Self {
        let tables = Arc::new(tables.clone());
        let all = (0..count).map(|_| Replica { number: 0, tables: Arc::clone(&tables), refused: HashMap::new() }).collect();
        Self { newest: 0, pending: VecDeque::new(), all }
    }

    /// Announces a change; replicas see it after their delay.
    pub(super) fn publish(&mut self, tables: &Tables, at: Instant) {
        self.newest += 1;
        self.pending.push_back(Version { number: self.newest, at, tables: Arc::new(tables.clone()) });
    }

    /// Lets every replica see what it is due to see now.
    pub(super) fn advance(&mut self, now: Instant, settles_in: Duration, faults: &Faults) {
        let count = self.all.len();
        for (index, replica) in self.all.iter_mut().enumerate() {
            let delay = delay(index, count, settles_in, faults);
            let due = self.pending.iter().rev().find(|version| version.number > replica.number && now.duration_since(version.at) >= delay);
            if let Some(version) = due {
                replica.number = version.number;
                replica.tables = Arc::clone(&version.tables);
            }
        }
        let behind = self.all.iter().map(|replica| replica.number).min();
        let behind = behind.unwrap_or(self.newest);
        while self.pending.front().is_some_and(|version| version.number <= behind) {
            self.pending.pop_front();
        }
    }

    /// The copy of one replica.
    pub(super) fn tables(&self, replica: usize) -> Option<Arc<Tables>> {
        self.all.get(replica).map(|one| Arc::clone(&one.tables))
    }

    /// Decides on a secret as this replica does, with its memory of refusals.
    pub(super) fn judge(
        &mut self,
        index: usize,
        secret: &str,
        clock: (Instant, i64),
        remember: Duration,
        faults: &Faults,
    ) -> Result<Key, Refusal> {
        let (now, now_ms) = clock;
        let Some(replica) = self.all.get_mut(index) else {
            return Err(Refusal::Unknown);
        };
        if let Some((until, refusal)) = replica.refused.get_mut(secret)
            && now < *until
            && !remember.is_zero()
        {
            // A further call with a refused key keeps the memory warm.
            *until = now + remember;
            return Err(*refusal);
        }
        let ignores_disable = faults.hits_replica(FaultName::DisableIgnoredByReplica, index);
        let verdict = judge(&replica.tables, secret, now_ms, ignores_disable);
        match &verdict {
            Ok(_) => {
                replica.refused.remove(secret);
            }
            Err(_) if remember.is_zero() => {}
            Err(refusal) => {
                if replica.refused.len() >= MOST_REFUSALS {
                    replica.refused.clear();
                }
                let entry = (now + remember, *refusal);
                replica.refused.insert(secret.to_owned(), entry);
            }
        }
        verdict
    }
}

/// How late a replica sees a change: evenly spread up to `settles_in`, unless a fault says otherwise.
fn delay(index: usize, count: usize, settles_in: Duration, faults: &Faults) -> Duration {
    let part = u32::try_from(index + 1).unwrap_or(1);
    let whole = u32::try_from(count.max(1)).unwrap_or(1);
    let usual = match faults.number(FaultName::ProjectionDelay, "ms") {
        Some(ms) => Duration::from_millis(ms),
        None => settles_in * part / whole,
    };
    if faults.hits_replica(FaultName::ReplicaLag, index) {
        let extra = faults.number(FaultName::ReplicaLag, "ms").unwrap_or(0);
        return usual + Duration::from_millis(extra);
    }
    usual
}

/// Decides on a secret from a copy of the tables alone.
pub(super) fn judge(tables: &Tables, secret: &str, now_ms: i64, ignores_disable: bool) -> Result<Key, Refusal> {
    let key = tables.by_secret(secret).ok_or(Refusal::Unknown)?;
    if key.deleted {
        return Err(Refusal::Unknown);
    }
    if !key.enabled && !ignores_disable {
        return Err(Refusal::Disabled);
    }
    if key.dead_from.is_some_and(|from| now_ms >= from) {
        return Err(Refusal::Disabled);
    }
    if key.expires_at.is_some_and(|at| now_ms >= at) {
        return Err(Refusal::Expired);
    }
    Ok(key.clone())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may")]
    use super::super::faults::FaultSpec;
    use super::super::tables::Scope;
    use super::*;

    fn tables(enabled: bool) -> Tables {
        let key = Key {
            id: "key_1".into(),
            seq: 1,
            name: "n".into(),
            marker: None,
            owner: None,
            secret: "s".into(),
            enabled,
            created_at: 0,
            expires_at: None,
            scope: Scope::default(),
            deleted: false,
            dead_from: None,
            seeded: false,
        };
        Tables { keys: [(key.id.clone(), key)].into(), ..Tables::default() }
    }

    fn seen(replicas: &Replicas, index: usize) -> bool {
        replicas.tables(index).unwrap().live("key_1").unwrap().enabled
    }

    #[test]
    fn replicas_see_a_change_one_after_the_other_and_never_go_back() {
        let mut faults = Faults::default();
        let settles = Duration::from_millis(300);
        let start = Instant::now();
        let mut replicas = Replicas::new(3, &tables(true));
        replicas.publish(&tables(false), start);
        replicas.advance(start + Duration::from_millis(150), settles, &faults);
        assert_eq!([0, 1, 2].map(|i| seen(&replicas, i)), [false, true, true]);
        faults.switch(&FaultSpec::on(FaultName::ProjectionDelay).with("ms", 9000)).unwrap();
        replicas.advance(start + Duration::from_millis(400), settles, &faults);
        assert_eq!([0, 1, 2].map(|i| seen(&replicas, i)), [false, true, true]);
        replicas.advance(start + Duration::from_millis(9000), settles, &faults);
        assert_eq!([0, 1, 2].map(|i| seen(&replicas, i)), [false, false, false]);
        assert!(replicas.pending.is_empty());
    }

    #[test]
    fn a_remembered_refusal_outlives_the_change_and_is_prolonged_by_asking() {
        let faults = Faults::default();
        let remember = Duration::from_millis(100);
        let start = Instant::now();
        let mut replicas = Replicas::new(1, &tables(false));
        let at = |ms| (start + Duration::from_millis(ms), 0);
        assert!(replicas.judge(0, "s", at(0), remember, &faults).is_err());
        replicas.publish(&tables(true), start);
        replicas.advance(start + Duration::from_millis(10), Duration::ZERO, &faults);
        assert!(replicas.judge(0, "s", at(80), remember, &faults).is_err());
        assert!(replicas.judge(0, "s", at(170), remember, &faults).is_err());
        assert!(replicas.judge(0, "s", at(280), remember, &faults).is_ok());
    }

    #[test]
    fn each_way_to_be_refused_has_its_code() {
        let mut all = tables(true);
        assert!(judge(&all, "s", 5, false).is_ok());
        assert_eq!(judge(&all, "x", 5, false).err(), Some(Refusal::Unknown));
        all.keys.get_mut("key_1").unwrap().expires_at = Some(5);
        assert_eq!(judge(&all, "s", 5, false).err(), Some(Refusal::Expired));
        all.keys.get_mut("key_1").unwrap().dead_from = Some(5);
        assert_eq!(judge(&all, "s", 5, false).err(), Some(Refusal::Disabled));
        assert_eq!(judge(&tables(false), "s", 0, false).err(), Some(Refusal::Disabled));
        assert!(judge(&tables(false), "s", 0, true).is_ok());
        all.keys.get_mut("key_1").unwrap().deleted = true;
        assert_eq!(judge(&all, "s", 0, true).err(), Some(Refusal::Unknown));
    }
}
