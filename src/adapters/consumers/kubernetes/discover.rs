//! Who reads a Secret: Kubernetes keeps no index, so every workload of the namespace is asked.

use super::references::Way;
use super::workload::{Sort, Workload};
use crate::adapters::secrets::kubernetes::{Cluster, Problem};

/// A workload that refers to a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// What it is.
    pub sort: Sort,
    /// Its name.
    pub name: String,
    /// How it reads the value.
    pub ways: Vec<Way>,
    /// The longest pause between two of its runs, in seconds; none for what runs all the time.
    pub every: Option<u64>,
}

impl Referrer {
    /// It does not come to a new value by itself.
    pub fn needs_restart(&self) -> bool {
        let renewed = self.ways.iter().all(|w| matches!(w, Way::Volume | Way::Pull));
        self.sort != Sort::CronJob && !renewed
    }
}

/// Every workload of a namespace that reads this key of this Secret. Programs that ask the API for it are not among them.
///
/// # Errors
/// When a listing cannot be had: a part of the truth would look like all of it.
pub async fn all_referencing(cluster: &Cluster, namespace: &str, secret: &str, key: &str) -> Result<Vec<Referrer>, Problem> {
    let mut found = Vec::new();
    for sort in Sort::ALL {
        let (workloads, _) = cluster.list::<Workload>(&sort.all(namespace), "").await?;
        for workload in workloads {
            let ways = workload.ways(secret, Some(key));
            if ways.iter().any(|w| *w != Way::Pull) {
                let every = workload.schedule().map(longest_pause);
                found.push(Referrer { sort, name: workload.name(), ways, every });
            }
        }
    }
    Ok(found)
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The longest time between two runs of a schedule, never too short: whatever restricts a field counts as if it allowed one value.
pub fn longest_pause(schedule: &str) -> u64 {
    match schedule.trim() {
        "@hourly" => return HOUR,
        "@daily" | "@midnight" => return DAY,
        "@weekly" => return 7 * DAY,
        "@monthly" => return 31 * DAY,
        _ => {}
    }
    let schedule = schedule.trim();
    // A time zone may stand before it.
    let fields: Vec<&str> = schedule.split_whitespace().filter(|f| !f.contains("TZ=")).collect();
    let [minute, hour, day, month, weekday] = fields.as_slice() else { return 366 * DAY };
    let free = |field: &str| field == "*" || field == "?";
    if !free(month) {
        return 366 * DAY;
    }
    if !free(day) {
        return 31 * DAY;
    }
    if !free(weekday) {
        return 7 * DAY;
    }
    // A step that does not divide the whole makes one shorter pause, never a longer one.
    let step = |field: &str| field.strip_prefix("*/").and_then(|n| n.parse::<u64>().ok()).filter(|n| *n > 0);
    match (free(hour), step(hour)) {
        (true, _) => match (free(minute), step(minute)) {
            (true, _) => MINUTE,
            (false, Some(n)) => n.saturating_mul(MINUTE).min(HOUR),
            (false, None) => HOUR,
        },
        (false, Some(n)) => n.saturating_mul(HOUR).min(DAY),
        (false, None) => DAY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_schedule_is_thought_to_run_more_often_than_it_does() {
        for (schedule, pause) in [
            ("* * * * *", MINUTE),
            ("*/5 * * * *", 5 * MINUTE),
            ("7 * * * *", HOUR),
            ("0 */6 * * *", 6 * HOUR),
            ("0 3 * * *", DAY),
            ("0 3,15 * * *", DAY),
            ("0 3 * * 1-5", 7 * DAY),
            ("0 3 1 * *", 31 * DAY),
            ("0 3 1 1,4,7,10 *", 366 * DAY),
            ("@daily", DAY),
            ("CRON_TZ=Europe/Berlin 0 3 * * *", DAY),
            ("nonsense", 366 * DAY),
        ] {
            assert_eq!(longest_pause(schedule), pause, "{schedule}");
        }
    }
}
