//! What goes on beside a run: the lease is renewed, and messages are fetched, while the run waits for other things.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// Shared by the thread that beats and the process that executes.
#[derive(Debug, Default)]
pub(in crate::journal) struct Beat {
    lost: AtomicBool,
    /// Only tests put it to sleep; a machine that sleeps does not ask.
    asleep: AtomicBool,
    stopped: Mutex<bool>,
    wake: Condvar,
    inbox: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl Beat {
    /// The lease is somebody else's by now, or may be.
    pub(in crate::journal) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }

    pub(super) fn lose(&self) {
        self.lost.store(true, Ordering::SeqCst);
    }

    /// Waits that long, or until it is over; true when it is over.
    pub(super) fn wait(&self, length: Duration) -> bool {
        let Ok(stopped) = self.stopped.lock() else { return true };
        self.wake.wait_timeout_while(stopped, length, |stopped| !*stopped).map_or(true, |(stopped, _)| *stopped)
    }

    /// As if the machine slept: no beat any more, and the lease is not given back.
    #[cfg(test)]
    pub(super) fn stop_for_test(&self) {
        self.asleep.store(true, Ordering::SeqCst);
        // One that is on its way is let go.
        std::thread::sleep(Duration::from_millis(60));
    }

    pub(super) fn is_asleep(&self) -> bool {
        self.asleep.load(Ordering::SeqCst)
    }

    pub(super) fn stop(&self) {
        if let Ok(mut stopped) = self.stopped.lock() {
            *stopped = true;
        }
        self.wake.notify_all();
    }

    /// The messages of the last look, by name.
    pub(in crate::journal) fn messages(&self) -> Vec<(String, Vec<u8>)> {
        self.inbox.lock().map(|inbox| inbox.iter().map(|(n, b)| (n.clone(), b.clone())).collect()).unwrap_or_default()
    }

    /// One was used and is not shown again.
    pub(in crate::journal) fn forget(&self, name: &str) {
        if let Ok(mut inbox) = self.inbox.lock() {
            inbox.remove(name);
        }
    }

    pub(super) fn known(&self) -> Vec<String> {
        self.inbox.lock().map(|inbox| inbox.keys().cloned().collect()).unwrap_or_default()
    }

    pub(super) fn remember(&self, name: String, bytes: Vec<u8>) {
        if let Ok(mut inbox) = self.inbox.lock() {
            inbox.insert(name, bytes);
        }
    }
}
