//! Our own calls of this process, as the usage source needs to know them: when, and what each cost.
//!
//! There is no log of calls, only a counter of dollars for each key. A call of ours counts as seen when the counter of its key has moved
//! far enough after it; that it was served at all shows in the record that the gateway keeps of each call.

use crate::rotation::{RequestId, Time};
use std::cell::{Cell, RefCell};

/// Calls are kept for this long after they stopped mattering: a gate wants the newest ones only.
const MOST: usize = 2000;

/// Shared between the data side and the usage source.
#[derive(Default)]
pub struct Meter {
    looks: Cell<u64>,
    calls: RefCell<Vec<OwnCall>>,
}

/// One call of ours that was served.
#[derive(Debug, Clone)]
pub struct OwnCall {
    /// The id that the run journaled.
    pub request: RequestId,
    /// When, by the gateway's clock.
    pub at: Time,
    /// How often the counters had been read before.
    pub before: u64,
    /// The gateway's id of it.
    pub generation: Option<String>,
    /// Dollars, once the gateway's record of it was found.
    pub cost: Option<f64>,
    /// Hash of the credential.
    pub by: String,
}

impl Meter {
    /// The counters are about to be read: the number of this look, from 1.
    pub fn look(&self) -> u64 {
        self.looks.set(self.looks.get().saturating_add(1));
        self.looks.get()
    }

    /// All calls, oldest first.
    pub fn calls(&self) -> Vec<OwnCall> {
        self.calls.try_borrow().map(|calls| calls.clone()).unwrap_or_default()
    }

    /// A call was served.
    pub(super) fn made(&self, request: &RequestId, at: Time, generation: Option<String>, by: &str) {
        let call = OwnCall { request: request.clone(), at, before: self.looks.get(), generation, cost: None, by: by.to_owned() };
        if let Ok(mut calls) = self.calls.try_borrow_mut() {
            if calls.len() >= MOST {
                calls.remove(0);
            }
            calls.push(call);
        }
    }

    /// The newest calls with this credential whose record was not found yet.
    pub(super) fn pending(&self, by: &str, most: usize) -> Vec<String> {
        let calls = self.calls();
        let open = calls.iter().rev().filter(|call| call.by == by && call.cost.is_none());
        open.filter_map(|call| call.generation.clone()).take(most).collect()
    }

    /// The record of a call was found.
    pub(super) fn found(&self, generation: &str, cost: f64) {
        if let Ok(mut calls) = self.calls.try_borrow_mut() {
            for call in calls.iter_mut().filter(|call| call.generation.as_deref() == Some(generation)) {
                call.cost = Some(cost);
            }
        }
    }
}
