//! What the machine's clocks say: wall time, time since start that counts sleep, and which start it is.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// What [`boot_id`] answers where the system does not tell.
pub const UNKNOWN_BOOT: &str = "unknown";

/// Names this start of the machine. Boot times of two different starts must never be compared.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .ok()
        .filter(|id| !id.is_empty())
        .unwrap_or_else(|| UNKNOWN_BOOT.to_owned())
}

/// Milliseconds since the machine started, time asleep included: nobody can set this clock.
pub fn boot_millis() -> u64 {
    #[cfg(target_os = "linux")]
    let clock = ClockId::Boottime;
    // There the monotonic clock of the C library goes on during sleep.
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::Monotonic;
    let now = clock_gettime(clock);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000)
}

/// Milliseconds since 1970 by the wall clock, which people and services can set at any moment.
pub fn wall_millis() -> i64 {
    let signed = |millis: u128| i64::try_from(millis).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => signed(since.as_millis()),
        Err(before) => -signed(before.duration().as_millis()),
    }
}

/// Waits, and lets others go on meanwhile.
pub async fn pause(length: std::time::Duration) {
    tokio::time::sleep(length).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_go_forward_and_the_boot_has_a_name() {
        let (boot, wall) = (boot_millis(), wall_millis());
        std::thread::sleep(std::time::Duration::from_millis(15));
        assert!(boot_millis() >= boot + 15);
        assert!(wall_millis() > wall && wall > 1_700_000_000_000);
        assert_eq!(boot_id(), boot_id());
        #[cfg(target_os = "linux")]
        assert_eq!(boot_id().len(), 36);
    }
}
