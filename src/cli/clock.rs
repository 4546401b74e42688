//! The machine's clocks as a port.

use super::signals::Stop;
use crate::ports::Clock;
use crate::rotation::{Stamp, Time};
use crate::support::clock;
use std::time::Duration;

/// Wall clock, boot clock, and a sleep that a signal ends early.
pub(crate) struct SystemClock {
    boot: String,
    stop: Stop,
}

impl SystemClock {
    /// Clocks of this boot.
    pub(crate) fn new(stop: Stop) -> Self {
        Self { boot: clock::boot_id(), stop }
    }
}

/// Wall time now.
pub(crate) fn wall() -> Time {
    Time(clock::wall_millis())
}

impl Clock for SystemClock {
    fn now(&self) -> Stamp {
        Stamp { at: wall(), mono: clock::boot_millis(), boot: self.boot.clone() }
    }

    async fn sleep_until(&self, at: Time) {
        let length = Duration::from_millis(at.since(wall()).0);
        tokio::select! {
            () = tokio::time::sleep(length) => {}
            () = self.stop.stopped() => {}
        }
    }
}
