//! What may go wrong with any call of a double, and what has to be counted; time, drawn values, and states that settle late.

use super::server::Answer;
use aws_lc_rs::digest;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A status instead of the answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fail {
    /// Nothing was done.
    Before(u16),
    /// It was done all the same.
    After(u16),
}

/// Switches by operation.
pub(crate) struct Faults {
    known: &'static [&'static str],
    calls: BTreeMap<&'static str, usize>,
    lose: BTreeMap<&'static str, usize>,
    fail: BTreeMap<&'static str, VecDeque<Fail>>,
    slow: BTreeMap<&'static str, Duration>,
}

impl Faults {
    /// None yet, for these operations.
    pub(crate) fn new(known: &'static [&'static str]) -> Self {
        Self { known, calls: BTreeMap::new(), lose: BTreeMap::new(), fail: BTreeMap::new(), slow: BTreeMap::new() }
    }

    /// A switch of the wrong name would be a test that cannot fail.
    fn operation(&self, name: &str) -> &'static str {
        self.known.iter().find(|k| **k == name).unwrap_or_else(|| panic!("no operation {name}; there are {:?}", self.known))
    }

    /// The next so many answers are lost, after the work was done.
    pub(crate) fn lose(&mut self, operation: &str, times: usize) {
        self.lose.insert(self.operation(operation), times);
    }

    /// The next calls go wrong, in this order.
    pub(crate) fn fail(&mut self, operation: &str, how: &[Fail]) {
        self.fail.entry(self.operation(operation)).or_default().extend(how);
    }

    /// Each answer waits.
    pub(crate) fn slow(&mut self, operation: &str, by: Duration) {
        self.slow.insert(self.operation(operation), by);
    }

    /// How often this was asked for, whatever came of it.
    pub(crate) fn calls(&self, operation: &str) -> usize {
        self.calls.get(self.operation(operation)).copied().unwrap_or_default()
    }

    /// Switches that nothing has met yet.
    pub(crate) fn waiting(&self) -> Vec<&'static str> {
        let lose = self.lose.iter().filter(|(_, times)| **times > 0).map(|(name, _)| *name);
        lose.chain(self.fail.iter().filter(|(_, how)| !how.is_empty()).map(|(name, _)| *name)).collect()
    }

    /// Counts a call; the status that it ends with before anything is done.
    pub(crate) fn before(&mut self, operation: &'static str) -> Option<u16> {
        *self.calls.entry(operation).or_default() += 1;
        let queue = self.fail.get_mut(operation)?;
        if let Some(Fail::Before(status)) = queue.front().copied() {
            queue.pop_front();
            return Some(status);
        }
        None
    }

    /// What becomes of the answer to work that was done.
    pub(crate) fn after(&mut self, operation: &'static str, mut answer: Answer, error: impl FnOnce(u16) -> Answer) -> Answer {
        if !answer.refused {
            if let Some(queue) = self.fail.get_mut(operation)
                && let Some(Fail::After(status)) = queue.front().copied()
            {
                queue.pop_front();
                answer = error(status);
            } else if let Some(times) = self.lose.get_mut(operation).filter(|times| **times > 0) {
                *times -= 1;
                answer.lost = true;
            }
        }
        answer.wait = self.slow.get(operation).copied().unwrap_or_default();
        answer
    }
}

/// The double's own time, in milliseconds of Unix time.
#[derive(Default)]
pub(crate) struct Clock {
    ahead: u64,
}

impl Clock {
    pub(crate) fn now(&self) -> u64 {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        millis(real).saturating_add(self.ahead)
    }

    /// Lets time pass.
    pub(crate) fn later(&mut self, by: Duration) {
        self.ahead = self.ahead.saturating_add(millis(by));
    }
}

/// A duration in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// All states of something, by when they began: who is behind sees an older one.
pub(crate) struct History<T> {
    states: Vec<(u64, T)>,
}

impl<T> History<T> {
    /// Known everywhere and always.
    pub(crate) fn settled(state: T) -> Self {
        Self { states: vec![(0, state)] }
    }

    /// Begins now.
    pub(crate) fn from(now: u64, state: T) -> Self {
        Self { states: vec![(now, state)] }
    }

    pub(crate) fn change(&mut self, now: u64, state: T) {
        self.states.push((now, state));
    }

    /// As somebody sees it who is so far behind.
    pub(crate) fn seen(&self, now: u64, behind: u64) -> Option<&T> {
        self.states.iter().rev().find(|(since, _)| *since == 0 || since.saturating_add(behind) <= now).map(|(_, state)| state)
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(text: &str) -> String {
    digest::digest(&digest::SHA256, text.as_bytes()).as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _never_fails = write!(hex, "{byte:02x}");
        hex
    })
}

/// Letters and digits that nobody can guess, at most 64.
pub(crate) fn drawn(length: usize) -> String {
    let seed = |salt: u8| RandomState::new().hash_one(salt);
    let mut text = sha256(&format!("{} {} {}", seed(1), seed(2), seed(3)));
    text.truncate(length);
    text
}
