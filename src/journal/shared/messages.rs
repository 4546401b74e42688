//! Messages to a run, and the freeze, as objects.

use super::{Beat, Created, Shared};
use crate::journal::StateError;
use crate::rotation::RunId;
use crate::support::objects::When;

const FREEZE: &str = "freeze.json";

fn folder(run: &RunId) -> String {
    format!("runs/{run}/inbox/")
}

impl Shared {
    /// Leaves a message; false when there is one of this name.
    pub(in crate::journal) fn post(&self, run: &RunId, name: &str, body: &[u8]) -> Result<bool, StateError> {
        match self.create(&format!("{}{name}", folder(run)), body).map_err(|e| self.failed("write to", &e))? {
            Created::Ours(_) => Ok(true),
            Created::Others(_) => Ok(false),
        }
    }

    /// What waits.
    pub(in crate::journal) fn posted(&self, run: &RunId) -> Result<Vec<(String, Vec<u8>)>, StateError> {
        let mut found = Vec::new();
        for name in self.objects.list(&folder(run), None, false).map_err(|e| self.failed("list", &e))? {
            // Somebody else consumed it meanwhile.
            if let Some(there) = self.get("read", &format!("{}{name}", folder(run)))? {
                found.push((name, there.bytes));
            }
        }
        Ok(found)
    }

    /// Puts a message aside.
    pub(in crate::journal) fn consume(&self, run: &RunId, name: &str) -> Result<(), StateError> {
        let from = format!("{}{name}", folder(run));
        let Some(there) = self.get("read", &from)? else { return Ok(()) };
        let to = format!("runs/{run}/inbox-done/{name}");
        self.objects.put(&to, there.bytes, &When::Always).map_err(|e| self.failed("write to", &e))?;
        self.objects.remove(&from).map_err(|e| self.failed("write to", &e))
    }

    /// Fetches messages that are not known yet, and forgets those that are gone.
    pub(super) fn refresh(&self, run: &RunId, beat: &Beat) {
        let Ok(names) = self.objects.list(&folder(run), None, false) else { return };
        for gone in beat.known().into_iter().filter(|known| !names.contains(known)) {
            beat.forget(&gone);
        }
        let known = beat.known();
        for name in names.into_iter().filter(|n| !known.contains(n)) {
            if let Ok(Some(there)) = self.objects.get(&format!("{}{name}", folder(run))) {
                beat.remember(name, there.bytes);
            }
        }
    }

    /// The freeze that is on, as it was written.
    pub(in crate::journal) fn freeze(&self) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.get("read", FREEZE)?.map(|there| there.bytes))
    }

    /// Begins a freeze, or ends it.
    pub(in crate::journal) fn set_freeze(&self, body: Option<Vec<u8>>) -> Result<(), StateError> {
        let done = match body {
            Some(body) => self.objects.put(FREEZE, body, &When::Always).map(drop),
            None => self.objects.remove(FREEZE),
        };
        done.map_err(|e| self.failed("write to", &e))
    }

    /// A note beside the lines of a run.
    pub(in crate::journal) fn note(&self, run: &RunId, name: &str, body: Vec<u8>) -> Result<(), StateError> {
        self.objects.put(&format!("runs/{run}/{name}"), body, &When::Always).map(drop).map_err(|e| self.failed("write to", &e))
    }
}
