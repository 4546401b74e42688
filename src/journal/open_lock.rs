//! Lease, inbox, freeze and claims as the engine's [`Lock`].

use super::{Delivered, Freeze, Inbox, JournalFile, Lease, Message, StateDir, StateError};
use crate::ports::Lock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exclusivity of one process over one run; ends when dropped.
#[derive(Debug)]
pub struct OpenLock {
    state: StateDir,
    lease: Lease,
    inbox: Inbox,
    stop: Arc<AtomicBool>,
    one_way: Arc<AtomicBool>,
}

impl OpenLock {
    /// Wires the parts. `stop` is set by whoever catches signals.
    ///
    /// # Errors
    /// When the inbox cannot be read.
    pub fn new(state: StateDir, lease: Lease, journal: &JournalFile, stop: Arc<AtomicBool>) -> Result<Self, StateError> {
        let inbox = Inbox::of(&state, lease.run())?.fetched(&lease);
        let lock = Self { state, lease, inbox, stop, one_way: journal.one_way() };
        // A request to stop was meant for the process before this one.
        lock.take_stops()?;
        Ok(lock)
    }

    /// The lease.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// The inbox, for whoever reads answers.
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    fn take_stops(&self) -> Result<bool, StateError> {
        let mut any = false;
        for delivered in self.inbox.peek()?.messages {
            if delivered.message == Message::Stop {
                any = true;
                // Where it cannot be moved it was heard all the same.
                let _ = self.inbox.consume(&delivered.name);
            }
        }
        Ok(any)
    }
}

impl Lock for OpenLock {
    fn frozen(&self) -> Option<String> {
        match Freeze::read(&self.state) {
            Ok(None) => None,
            Ok(Some(freeze)) => Some(format!("{} (by {}, since {})", freeze.why, freeze.by, freeze.since.rfc3339())),
            // Whether there is a freeze cannot be known: there is one.
            Err(e) => Some(format!("whether a freeze is on could not be found out: failed to {e}")),
        }
    }

    fn asked_to_stop(&self) -> bool {
        if self.take_stops().unwrap_or(false) {
            self.stop.store(true, Ordering::Relaxed);
        }
        self.stop.load(Ordering::Relaxed)
    }

    /// The same request again and again until the journal says that the run turned: asking is not yet doing. From then on, and past
    /// the point of no return, requests are put aside.
    fn asked_to_turn(&self) -> Option<(String, String)> {
        let one_way = self.one_way.load(Ordering::Relaxed);
        for Delivered { name, message } in self.inbox.peek().ok()?.messages {
            match message {
                Message::Turn { by, why } if !one_way => return Some((by, why)),
                Message::Turn { .. } => {
                    // One that cannot be moved is ignored here all the same.
                    let _ = self.inbox.consume(&name);
                }
                Message::Answer(_) | Message::Stop => {}
            }
        }
        None
    }

    fn release(&self) {
        // Claims of a run whose journal has its end count for nothing, so a failure here blocks nobody.
        let _ = self.state.claims().release(self.lease.run());
    }
}

#[cfg(test)]
#[path = "open_lock_tests.rs"]
mod tests;
