//! The fake gateway: keys, replicas that hear of a change each at their own time, and refusals that a replica remembers for a while.

use super::rng::Rng;
use keyroll::rotation::{KeyFacts, KeyId, ModelName, Scope, Time};

/// How many replicas serve the data plane.
pub(crate) const REPLICAS: usize = 2;
/// No replica hears of a change later than this.
pub(crate) const SETTLES: i64 = 100;
/// A replica goes on refusing this long after a refusal.
pub(crate) const CACHE: i64 = 200;

/// Who did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hand {
    /// It was so from the beginning.
    Before,
    /// A session of the engine.
    Tool,
    /// A person.
    Person,
}

/// What the admin side says of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    On,
    Off,
    Gone,
}

/// One change of a key's state, and when each replica hears of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    pub(crate) state: State,
    pub(crate) by: Hand,
    /// A person did it after our last look, and our own call found it done: it was answered like ours.
    pub(crate) met: bool,
    pub(crate) seen: [i64; REPLICAS],
    /// When the node hears of it that shares the last replica's address, where there is one.
    pub(crate) twin: i64,
}

/// What a key may do: more is broader, none is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) budget: Option<u32>,
    pub(crate) models: Option<u32>,
}

impl Limits {
    /// This allows something that the other does not.
    pub(crate) fn broader_than(self, other: Self) -> bool {
        let more = |a: Option<u32>, b: Option<u32>| match (a, b) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(a), Some(b)) => a > b,
        };
        more(self.budget, other.budget) || more(self.models, other.models)
    }

    fn scope(self) -> Scope {
        let mut scope = Scope::new();
        scope.extend(self.budget.map(|b| ("budget".to_owned(), b.into())));
        scope.extend(self.models.map(|m| ("models".to_owned(), m.into())));
        scope
    }
}

/// One key.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) id: KeyId,
    pub(crate) value: usize,
    pub(crate) marker: String,
    /// A person took our text away.
    pub(crate) marker_by_person: bool,
    pub(crate) name: String,
    pub(crate) limits: Limits,
    pub(crate) created: i64,
    pub(crate) made_by: Hand,
    /// A person copied it from this key, marker and all.
    pub(crate) copy_of: Option<usize>,
    pub(crate) changes: Vec<Change>,
    refused_until: [i64; REPLICAS],
}

impl Key {
    /// What the admin side says now.
    pub(crate) fn state(&self) -> State {
        self.changes.last().map_or(State::Gone, |c| c.state)
    }

    /// Who changed it last.
    pub(crate) fn last(&self) -> Option<&Change> {
        self.changes.last()
    }

    /// What a replica thinks of it; none before it heard of the key at all.
    fn at_replica(&self, replica: usize, now: i64) -> Option<State> {
        self.changes.iter().rev().find(|c| c.seen[replica] <= now).map(|c| c.state)
    }

    /// Some node still accepts it.
    pub(crate) fn works_somewhere(&self, now: i64) -> bool {
        self.twin_accepts(now) || (0..REPLICAS).any(|r| self.at_replica(r, now) == Some(State::On))
    }

    fn twin_accepts(&self, now: i64) -> bool {
        self.changes.iter().rev().find(|c| c.twin <= now).is_some_and(|c| c.state == State::On)
    }

    /// Every replica accepts it now, or will as soon as it has heard.
    pub(crate) fn works_everywhere(&self, now: i64) -> bool {
        (0..REPLICAS).all(|r| self.at_replica(r, now) == Some(State::On) && self.refused_until[r] <= now)
    }
}

/// A model that references a provider key.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) name: ModelName,
    /// Key, and when each replica serves the model with it.
    pub(crate) points: Vec<(usize, [i64; REPLICAS])>,
}

impl Model {
    pub(crate) fn key(&self) -> usize {
        self.points.last().map_or(0, |p| p.0)
    }

    pub(crate) fn at_replica(&self, replica: usize, now: i64) -> usize {
        self.points.iter().rev().find(|p| p.1[replica] <= now).map_or(0, |p| p.0)
    }
}

/// The whole gateway.
#[derive(Debug, Clone)]
pub(crate) struct Gateway {
    pub(crate) keys: Vec<Key>,
    pub(crate) models: Vec<Model>,
    /// Probing a refused key renews the cached refusal.
    pub(crate) refreshes: bool,
    /// This replica never hears that a key is off.
    pub(crate) stubborn: Option<usize>,
    /// Two nodes share the last replica's address; who calls there meets one or the other. The second one hears of a switch at a time of
    /// its own, so that a refusal at the address is not one of both.
    pub(crate) twin: bool,
    next_id: u32,
}

impl Gateway {
    pub(crate) fn new(refreshes: bool) -> Self {
        Self { keys: Vec::new(), models: Vec::new(), refreshes, stubborn: None, twin: false, next_id: 0 }
    }

    /// Makes a key; replicas hear of it with some delay.
    pub(crate) fn make(&mut self, value: usize, marker: &str, limits: Limits, by: Hand, now: i64, rng: &mut Rng) -> usize {
        self.next_id += 1;
        let seen = if by == Hand::Before { [now; REPLICAS] } else { delays(now, None, rng) };
        self.keys.push(Key {
            id: KeyId::new(format!("key-{}", self.next_id)),
            value,
            marker: marker.to_owned(),
            marker_by_person: false,
            name: "chat".to_owned(),
            limits,
            created: now,
            made_by: by,
            copy_of: None,
            changes: vec![Change { state: State::On, by, met: false, seen, twin: seen[REPLICAS - 1] }],
            refused_until: [0; REPLICAS],
        });
        self.keys.len() - 1
    }

    pub(crate) fn find(&self, id: &KeyId) -> Option<usize> {
        self.keys.iter().position(|k| k.id == *id)
    }

    /// The key that a value opens, gone or not.
    pub(crate) fn by_value(&self, value: usize) -> Option<usize> {
        self.keys.iter().rposition(|k| k.value == value)
    }

    /// Changes a key's state; false when it is gone already.
    pub(crate) fn set(&mut self, key: usize, state: State, by: Hand, now: i64, rng: &mut Rng) -> bool {
        let key = &mut self.keys[key];
        match key.changes.last() {
            Some(last) if last.state == State::Gone => false,
            Some(last) if last.state == state => true,
            last => {
                let mut seen = delays(now, last.map(|l| l.seen), rng);
                if let (Some(replica), State::Off) = (self.stubborn, state) {
                    seen[replica] = i64::MAX;
                }
                let mut twin = seen[REPLICAS - 1];
                if self.twin && state == State::Off {
                    twin = (now + rng.span(0, SETTLES)).max(last.map_or(0, |l| l.twin));
                }
                key.changes.push(Change { state, by, met: false, seen, twin });
                true
            }
        }
    }

    /// Points a model at a key.
    pub(crate) fn point(&mut self, model: usize, key: usize, now: i64, rng: &mut Rng) {
        let before = self.models[model].points.last().map(|p| p.1);
        let seen = delays(now, before, rng);
        self.models[model].points.push((key, seen));
    }

    /// One call at one replica: accepted or not. A refusal is remembered there.
    pub(crate) fn call(&mut self, replica: usize, key: Option<usize>, now: i64, probe: bool) -> bool {
        let Some(key) = key else { return false };
        let refreshes = self.refreshes && probe;
        let key = &mut self.keys[key];
        let cached = now < key.refused_until[replica];
        if !cached && key.at_replica(replica, now) == Some(State::On) {
            return true;
        }
        if !cached || refreshes {
            key.refused_until[replica] = now + CACHE;
        }
        false
    }

    /// A call of ours at an address: it meets one of the nodes behind it.
    pub(crate) fn probe(&mut self, address: usize, key: Option<usize>, now: i64, rng: &mut Rng) -> bool {
        let other = self.twin && address == REPLICAS - 1 && rng.chance(500);
        match key {
            Some(key) if other => self.keys[key].twin_accepts(now),
            key => self.call(address, key, now, true),
        }
    }

    /// One row of the listing.
    pub(crate) fn facts(&self, key: usize) -> KeyFacts {
        let k = &self.keys[key];
        KeyFacts {
            id: k.id.clone(),
            name: k.name.clone(),
            marker: k.marker.clone(),
            enabled: k.state() == State::On,
            created_at: Some(Time(k.created)),
            expires_at: None,
            last_used_at: None,
            owner: "team".to_owned(),
            scope: k.limits.scope(),
        }
    }
}

fn delays(now: i64, after: Option<[i64; REPLICAS]>, rng: &mut Rng) -> [i64; REPLICAS] {
    let mut seen = [0; REPLICAS];
    for (i, at) in seen.iter_mut().enumerate() {
        // A replica hears of changes in their order.
        *at = (now + rng.span(0, SETTLES)).max(after.map(|a| a[i]).filter(|a| *a < i64::MAX).unwrap_or(0));
    }
    seen
}
