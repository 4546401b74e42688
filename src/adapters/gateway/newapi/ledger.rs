//! Our own calls of this process: the gateway gives each an id of its own, which its log can be asked for.

use crate::rotation::{RequestId, Time};
use std::cell::RefCell;

/// So many calls are kept: a gate wants the newest ones only.
const MOST: usize = 2000;

/// Shared between the data side and the usage source.
#[derive(Default)]
pub struct Ledger {
    calls: RefCell<Vec<OwnCall>>,
}

/// One call of ours that was answered.
#[derive(Debug, Clone)]
pub(crate) struct OwnCall {
    /// The id that the run journaled.
    pub(crate) request: RequestId,
    /// The gateway's id of it.
    pub(crate) logged_as: String,
    /// When, by the gateway's clock.
    pub(crate) at: Time,
}

impl Ledger {
    pub(super) fn made(&self, request: &RequestId, logged_as: String, at: Time) {
        if let Ok(mut calls) = self.calls.try_borrow_mut() {
            if calls.len() >= MOST {
                calls.remove(0);
            }
            calls.push(OwnCall { request: request.clone(), logged_as, at });
        }
    }

    /// All calls, oldest first.
    pub(crate) fn calls(&self) -> Vec<OwnCall> {
        self.calls.try_borrow().map(|calls| calls.clone()).unwrap_or_default()
    }
}
