//! Ctrl-C and SIGTERM: the first asks the engine to park at the next safe point, the second ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// The request to stop, shared by clock, lock, and signal handler.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    flag: Arc<AtomicBool>,
    wake: Arc<Notify>,
}

impl Stop {
    /// The flag that the lock reads.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        self.flag.clone()
    }

    /// Resolves when a stop was asked for.
    pub(crate) async fn stopped(&self) {
        while !self.flag.load(Ordering::Relaxed) {
            let woken = self.wake.notified();
            if self.flag.load(Ordering::Relaxed) {
                return;
            }
            woken.await;
        }
    }

    /// Asks for a stop.
    pub(crate) fn ask(&self) {
        self.flag.store(true, Ordering::Relaxed);
        self.wake.notify_waiters();
    }

    /// Listens for signals, from inside a runtime.
    pub(crate) fn listen(&self) {
        let stop = self.clone();
        tokio::spawn(async move {
            for asked in 0u8.. {
                signal().await;
                if asked > 0 {
                    std::process::exit(130);
                }
                stop.ask();
            }
        });
    }
}

async fn signal() {
    let term = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut term) => {
                term.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = term => {}
    }
}
