//! What the counters said so far. A counter tells how often, and two readings tell between when: so readings are kept, also from one
//! process of ours to the next.

use super::scrape::{Counters, Ended};
use crate::ports::UsageQuery;
use crate::rotation::{App, CallerCount, KeyId, Shard, Span, Time, UsageTable};
use crate::support::text::clean_to;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// So many readings of a process are kept; older ones are thinned out, which only makes the time between two of them longer.
const MOST: usize = 240;

/// Readings of every process, by its address.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct History {
    processes: BTreeMap<String, Vec<Reading>>,
}

/// Counters that were the same from one instant to another.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Reading {
    first: Time,
    last: Time,
    counters: Counters,
}

impl History {
    /// One more reading.
    pub(super) fn add(&mut self, process: &str, at: Time, counters: Counters) {
        let readings = self.processes.entry(process.to_owned()).or_default();
        match readings.last_mut() {
            Some(last) if at < last.last => {}
            Some(last) if last.counters == counters => last.last = at,
            Some(_) | None => readings.push(Reading { first: at, last: at, counters }),
        }
        if readings.len() > MOST {
            // The first one is the beginning of what is known, and the newest half is what windows end in.
            let mut n = 0_usize;
            readings.retain(|_| {
                n += 1;
                n == 1 || n > MOST / 2 || n.is_multiple_of(2)
            });
        }
    }

    /// The instant from which every process is known.
    pub(super) fn reaches(&self, processes: &[String]) -> Option<Time> {
        let beginning = |process: &String| Some(unbroken(self.processes.get(process)?).first()?.first);
        processes.iter().map(beginning).collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// Counts of a window by key and caller, as far as the readings go.
    pub(super) fn table(&self, query: &UsageQuery<'_>, processes: &[String], raw: impl Fn(&KeyId) -> String) -> UsageTable {
        let mut table = UsageTable { from: query.from, to: query.to, reaches: self.reaches(processes), ..UsageTable::default() };
        let (old, new) = (raw(query.old), query.new.map(raw));
        for process in processes {
            let readings = self.processes.get(process).map(Vec::as_slice).unwrap_or_default();
            table.shards.push(Shard { name: process.clone(), newest: readings.last().map(|r| r.last.min(query.to)) });
            for pair in readings.windows(2) {
                let [before, after] = pair else { continue };
                if after.first < query.from || before.last > query.to {
                    continue;
                }
                let grown = grown(before, after);
                for (key, callers) in grown {
                    for (caller, ended) in callers {
                        table.rows = table.rows.saturating_add(ended.total());
                        let into = match key.as_str() {
                            k if k == old => &mut table.old,
                            k if Some(k) == new.as_deref() => &mut table.new,
                            _ => continue,
                        };
                        note(into.entry(App::new(clean_to(&caller, 128))).or_default(), ended, before.last, after.first.min(query.to));
                    }
                }
            }
        }
        table
    }
}

/// The readings since the process last began.
fn unbroken(readings: &[Reading]) -> &[Reading] {
    let restarted = |pair: &[Reading]| matches!(pair, [before, after] if restarted(before, after));
    let from = readings.windows(2).rposition(restarted).map_or(0, |at| at + 1);
    readings.get(from..).unwrap_or_default()
}

/// A counter that falls belongs to another process.
fn restarted(before: &Reading, after: &Reading) -> bool {
    let fell = |(key, callers): (&String, &BTreeMap<String, Ended>)| {
        callers.iter().any(|(caller, ended)| now(after, key, caller).since(*ended).is_none())
    };
    after.counters.sum < before.counters.sum || before.counters.requests.iter().any(fell)
}

fn now(reading: &Reading, key: &str, caller: &str) -> Ended {
    reading.counters.requests.get(key).and_then(|callers| callers.get(caller)).copied().unwrap_or_default()
}

/// What came between two readings; all of it after a restart.
fn grown(before: &Reading, after: &Reading) -> BTreeMap<String, BTreeMap<String, Ended>> {
    let anew = restarted(before, after);
    let mut found: BTreeMap<String, BTreeMap<String, Ended>> = BTreeMap::new();
    for (key, callers) in &after.counters.requests {
        for (caller, ended) in callers {
            let since = if anew { *ended } else { ended.since(now(before, key, caller)).unwrap_or(*ended) };
            if since.total() > 0 {
                found.entry(key.clone()).or_default().insert(caller.clone(), since);
            }
        }
    }
    found
}

/// Uses between two instants: for all we know, the last one was at the end.
fn note(count: &mut CallerCount, ended: Ended, from: Time, to: Time) {
    ended.add_to(count);
    count.first.get_or_insert(from);
    if ended.accepted > 0 || ended.other > 0 {
        let gap = count.last_used.map_or(Span::ZERO, |last| to.since(last));
        count.longest_gap = count.longest_gap.max(gap);
        count.last_used = count.last_used.max(Some(to));
    }
    if ended.refused > 0 {
        count.last_refused = count.last_refused.max(Some(to));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]
mod tests {
    use super::*;
    use crate::adapters::usage::aisix::scrape::parse;

    fn counters(old: u64, new: u64) -> Counters {
        let line =
            |key: &str, n: u64| format!("aisix_proxy_requests_total{{provider_key_id=\"{key}\",api_key_id=\"c1\",status=\"200\"}} {n}\n");
        parse(&(line("old", old) + &line("new", new))).unwrap()
    }

    fn table(history: &History, from: i64, to: i64) -> UsageTable {
        let (old, new, own) = (KeyId::new("old"), KeyId::new("new"), BTreeMap::new());
        let query = UsageQuery { old: &old, new: Some(&new), from: Time(from), to: Time(to), own: &own };
        history.table(&query, &["a".into()], |id| id.as_str().to_owned())
    }

    fn used(table: &UsageTable) -> (Option<Time>, Option<Time>) {
        let last = |by: &BTreeMap<App, CallerCount>| by.get(&App::new("c1")).and_then(|c| c.last_used);
        (last(&table.old), last(&table.new))
    }

    #[test]
    fn a_use_is_as_late_as_the_reading_that_shows_it() {
        let mut history = History::default();
        for (at, old, new) in [(1000, 5, 0), (2000, 6, 0), (3000, 6, 4), (4000, 6, 4)] {
            history.add("a", Time(at), counters(old, new));
        }
        let seen = table(&history, 0, 5000);
        assert_eq!(used(&seen), (Some(Time(2000)), Some(Time(3000))));
        assert_eq!((seen.rows, seen.reaches, seen.shards[0].newest), (5, Some(Time(1000)), Some(Time(4000))));
        assert_eq!(seen.old[&App::new("c1")].accepted, 1);
        // Before the window begins nothing counts.
        assert_eq!(used(&table(&history, 2500, 5000)), (None, Some(Time(3000))));
    }

    #[test]
    fn a_restart_hides_what_was_before_it() {
        let mut history = History::default();
        history.add("a", Time(1000), counters(5, 0));
        history.add("a", Time(2000), counters(0, 1));
        history.add("a", Time(3000), counters(0, 2));
        let seen = table(&history, 0, 5000);
        assert_eq!(seen.reaches, Some(Time(2000)));
        // A process of which nothing is known makes the whole unknown.
        assert_eq!(history.reaches(&["a".into(), "b".into()]), None);
    }

    #[test]
    fn thinning_keeps_the_beginning_and_never_makes_a_use_look_earlier() {
        let mut history = History::default();
        for n in 0..2000 {
            history.add("a", Time(n * 1000), counters(u64::try_from(n.min(100)).unwrap(), u64::try_from(n).unwrap()));
        }
        let seen = table(&history, 0, 3_000_000);
        assert!(history.processes["a"].len() <= MOST && seen.reaches == Some(Time(0)));
        assert_eq!(seen.new[&App::new("c1")].accepted, 1999);
        assert!(used(&seen).0.unwrap() >= Time(100_000));
    }
}
