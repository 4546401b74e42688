//! Our own calls: the gateway gives each an id of its own, which its log can be asked for. A later process knows them from a file.

use crate::adapters::gateway::notes;
use crate::rotation::{RequestId, Time};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::path::PathBuf;

/// So many calls are kept: a gate wants the newest ones only.
const MOST: usize = 2000;

/// Shared between the data side and the usage source.
pub struct Ledger {
    file: PathBuf,
    calls: RefCell<Vec<OwnCall>>,
}

/// One call of ours that was answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OwnCall {
    /// The id that the run journaled.
    pub(crate) request: RequestId,
    /// The gateway's id of it.
    pub(crate) logged_as: String,
    /// When, by the gateway's clock.
    pub(crate) at: Time,
}

impl Ledger {
    /// With what earlier processes wrote there; what cannot be read is not known, and counts as somebody's.
    pub fn new(file: PathBuf) -> Self {
        let calls: Vec<OwnCall> = notes::lines(&file).unwrap_or_default();
        let newest = calls.len().saturating_sub(MOST);
        Self { calls: RefCell::new(calls.into_iter().skip(newest).collect()), file }
    }

    pub(super) fn made(&self, request: &RequestId, logged_as: String, at: Time) {
        if let Ok(mut calls) = self.calls.try_borrow_mut() {
            if calls.len() >= MOST {
                calls.remove(0);
            }
            let call = OwnCall { request: request.clone(), logged_as, at };
            // Without the line a later process takes this call for somebody's: it waits longer, and nothing else.
            let _written = notes::append(&self.file, &call);
            calls.push(call);
        }
    }

    /// All calls, oldest first.
    pub(crate) fn calls(&self) -> Vec<OwnCall> {
        self.calls.try_borrow().map(|calls| calls.clone()).unwrap_or_default()
    }
}
