//! Ctrl-C and SIGTERM: the first asks the engine to park at the next safe point, the second ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// Sent where a file would grow beyond this process's limit. Its default is death in the middle of a write; caught, the write fails in words.
const FILE_TOO_LARGE: i32 = 25;

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

    /// A stop was asked for: nothing new is begun.
    pub(crate) fn is_asked(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// Resolves when a stop was asked for.
    pub(crate) async fn stopped(&self) {
        while !self.is_asked() {
            let woken = self.wake.notified();
            if self.is_asked() {
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
        // One stream each for the whole session: a stream made anew after the first signal would miss one that comes in between.
        let mut interrupt = signal(SignalKind::interrupt()).ok();
        let mut terminate = signal(SignalKind::terminate()).ok();
        // Nothing reads it: that it is caught is enough.
        let _ = signal(SignalKind::from_raw(FILE_TOO_LARGE));
        let stop = self.clone();
        tokio::spawn(async move {
            while next(&mut interrupt, &mut terminate).await {
                if stop.is_asked() {
                    std::process::exit(i32::from(super::fault::exit::SECOND_SIGNAL));
                }
                stop.ask();
            }
        });
    }
}

type Stream = Option<tokio::signal::unix::Signal>;

/// Waits for either; false where neither can come any more.
async fn next(interrupt: &mut Stream, terminate: &mut Stream) -> bool {
    tokio::select! {
        Some(()) = one(interrupt) => true,
        Some(()) = one(terminate) => true,
        else => false,
    }
}

async fn one(stream: &mut Stream) -> Option<()> {
    stream.as_mut()?.recv().await
}
