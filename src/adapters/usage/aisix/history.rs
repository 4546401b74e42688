//! What the counters said so far. A counter tells how often, and two readings tell between when: so readings are kept, also from one
//! process of ours to the next.

use super::scrape::{Counters, Ended};
use crate::ports::UsageQuery;
use crate::rotation::{App, CallerCount, OwnRow, RequestId, Shard, Span, Time, UsageTable, Which};
use crate::support::text::clean_to;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

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
    /// Calls of ours since the reading before: id and time.
    #[serde(default)]
    own: Vec<(String, Time)>,
}

/// What is asked of the readings.
pub(super) struct Asked<'a> {
    pub(super) query: &'a UsageQuery<'a>,
    /// The keys as the gateway writes them.
    pub(super) old: String,
    pub(super) new: Option<String>,
    pub(super) by: By<'a>,
}

/// Which of the two ids of a counter is the key that is rotated.
#[derive(Clone, Copy)]
pub(super) enum By<'a> {
    /// The provider's; the caller's is who calls.
    Provider,
    /// The caller's; who calls with it is the policy's word, or nobody's.
    Caller(&'a str),
}

impl History {
    /// One more reading.
    pub(super) fn add(&mut self, process: &str, at: Time, counters: Counters, own: Vec<(String, Time)>) {
        let readings = self.processes.entry(process.to_owned()).or_default();
        match readings.last_mut() {
            Some(last) if at < last.last => last.own.extend(own),
            Some(last) if last.counters == counters => {
                last.last = at;
                last.own.extend(own);
            }
            Some(_) | None => readings.push(Reading { first: at, last: at, counters, own }),
        }
        if readings.len() > MOST {
            thin(readings);
        }
    }

    /// The instant from which every process is known.
    pub(super) fn reaches(&self, processes: &[String]) -> Option<Time> {
        let beginning = |process: &String| Some(unbroken(self.processes.get(process)?).first()?.first);
        processes.iter().map(beginning).collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// Counts of a window by key and caller, as far as the readings go.
    pub(super) fn table(&self, asked: &Asked<'_>, processes: &[String]) -> UsageTable {
        let query = asked.query;
        let mut table = UsageTable { from: query.from, to: query.to, reaches: self.reaches(processes), ..UsageTable::default() };
        for process in processes {
            let all = self.processes.get(process).map(Vec::as_slice).unwrap_or_default();
            table.shards.push(Shard { name: process.clone(), newest: all.last().map(|r| r.last.min(query.to)) });
            let readings = unbroken(all);
            let (Some(base), Some(end)) = (readings.first(), readings.last()) else { continue };
            let before = readings.iter().rev().find(|r| r.last < query.from).unwrap_or(base);
            table.rows = table.rows.saturating_add(end.counters.requests().saturating_sub(before.counters.requests()));
            for (which, key) in [(Which::Old, Some(&asked.old)), (Which::New, asked.new.as_ref())] {
                let Some(key) = key else { continue };
                asked.count(readings, which, key, &mut table);
            }
        }
        table
    }
}

impl Asked<'_> {
    /// Uses of one key at one process, ours taken out.
    ///
    /// What was counted less what we did is what others did. It is looked at as a sum from the beginning on, because a counter may
    /// move a moment after its answer: a call of ours that is not counted yet never hides another one for long.
    fn count(&self, readings: &[Reading], which: Which, key: &str, table: &mut UsageTable) {
        let callers: BTreeSet<&str> = match self.by {
            By::Provider => readings.iter().flat_map(|r| r.counters.by_provider(key)).collect(),
            By::Caller(_) => [""].into(),
        };
        for caller in callers {
            let at = |reading: &Reading| match self.by {
                By::Provider => reading.counters.of(key, caller),
                By::Caller(_) => reading.counters.of_caller(key),
            };
            let name = match self.by {
                By::Provider => caller,
                By::Caller(name) => name,
            };
            let Some(base) = readings.first().map(at) else { continue };
            let (mut ours, mut most) = (0_u64, 0_u64);
            let mut waiting: Vec<&(String, Time)> = Vec::new();
            let mut before = base;
            for pair in readings.windows(2) {
                let [earlier, reading] = pair else { continue };
                let now = at(reading);
                if let By::Caller(_) = self.by {
                    let mine = reading.own.iter().filter(|(id, _)| self.query.own.get(&RequestId::new(id)) == Some(&which));
                    waiting.extend(mine.clone());
                    ours = ours.saturating_add(u64::try_from(mine.count()).unwrap_or(u64::MAX));
                }
                let counted = now.total().saturating_sub(base.total());
                if counted >= ours {
                    waiting.drain(..).filter(|(_, at)| *at >= self.query.from && *at <= self.query.to).for_each(|(id, at)| {
                        let row = OwnRow { key: Some(which), owner: String::new(), refused: false, at: *at };
                        table.own.insert(RequestId::new(id), row);
                    });
                }
                let others = counted.saturating_sub(ours);
                if others > most && reading.first >= self.query.from && earlier.last <= self.query.to {
                    let ended = share(now.since(before).unwrap_or(now), others - most);
                    let into = if which == Which::Old { &mut table.old } else { &mut table.new };
                    let into = into.entry(App::new(clean_to(name, 128))).or_default();
                    note(into, ended, earlier.last, reading.first.min(self.query.to));
                }
                most = most.max(others);
                before = now;
            }
        }
    }
}

/// So many of what was counted, refusals first: they are never ours.
fn share(of: Ended, many: u64) -> Ended {
    let refused = of.refused.min(many);
    let other = of.other.min(many - refused);
    Ended { refused, other, accepted: many - refused - other }
}

/// The first reading is the beginning of what is known, and the newest half is what windows end in; of the rest every other one goes, and
/// its calls of ours are told by the next one.
fn thin(readings: &mut Vec<Reading>) {
    let mut kept: Vec<Reading> = Vec::new();
    let mut own = Vec::new();
    for (n, mut reading) in std::mem::take(readings).into_iter().enumerate() {
        let mut ours = std::mem::take(&mut own);
        ours.append(&mut reading.own);
        if n == 0 || n >= MOST / 2 || n.is_multiple_of(2) {
            kept.push(Reading { own: ours, ..reading });
        } else {
            own = ours;
        }
    }
    *readings = kept;
}

/// The readings since the process last began.
fn unbroken(readings: &[Reading]) -> &[Reading] {
    let restarted = |pair: &[Reading]| matches!(pair, [before, after] if after.counters.fell_below(&before.counters));
    let from = readings.windows(2).rposition(restarted).map_or(0, |at| at + 1);
    readings.get(from..).unwrap_or_default()
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
    use crate::rotation::KeyId;

    fn counters(old: u64, new: u64) -> Counters {
        let line = |key: &str, n: u64| {
            format!("aisix_proxy_requests_total{{provider_key_id=\"{key}\",api_key_id=\"c-{key}\",status=\"200\"}} {n}\n")
        };
        parse(&(line("old", old) + &line("new", new))).unwrap()
    }

    fn table_by(history: &History, from: i64, to: i64, by: By<'_>, own: &[(&str, Which)]) -> UsageTable {
        let (old, new) = (KeyId::new("old"), KeyId::new("new"));
        let own: BTreeMap<RequestId, Which> = own.iter().map(|(id, which)| (RequestId::new(*id), *which)).collect();
        let query = UsageQuery { old: &old, new: Some(&new), from: Time(from), to: Time(to), own: &own };
        let key = |name: &str| if let By::Provider = by { name.to_owned() } else { format!("c-{name}") };
        history.table(&Asked { query: &query, old: key("old"), new: Some(key("new")), by }, &["a".into()])
    }

    fn table(history: &History, from: i64, to: i64) -> UsageTable {
        table_by(history, from, to, By::Provider, &[])
    }

    fn used(table: &UsageTable) -> (Option<Time>, Option<Time>) {
        let last = |by: &BTreeMap<App, CallerCount>| by.values().next().and_then(|c| c.last_used);
        (last(&table.old), last(&table.new))
    }

    #[test]
    fn a_use_is_as_late_as_the_reading_that_shows_it() {
        let mut history = History::default();
        for (at, old, new) in [(1000, 5, 0), (2000, 6, 0), (3000, 6, 4), (4000, 6, 4)] {
            history.add("a", Time(at), counters(old, new), Vec::new());
        }
        let seen = table(&history, 0, 5000);
        assert_eq!(used(&seen), (Some(Time(2000)), Some(Time(3000))));
        assert_eq!((seen.rows, seen.reaches, seen.shards[0].newest), (5, Some(Time(1000)), Some(Time(4000))));
        assert_eq!(seen.old[&App::new("c-old")].accepted, 1);
        // Before the window begins nothing counts.
        assert_eq!(used(&table(&history, 2500, 5000)), (None, Some(Time(3000))));
    }

    #[test]
    fn a_restart_hides_what_was_before_it() {
        let mut history = History::default();
        history.add("a", Time(1000), counters(5, 0), Vec::new());
        history.add("a", Time(2000), counters(0, 1), Vec::new());
        history.add("a", Time(3000), counters(0, 2), Vec::new());
        let seen = table(&history, 0, 5000);
        assert_eq!((seen.reaches, seen.rows), (Some(Time(2000)), 1));
        // A process of which nothing is known makes the whole unknown.
        assert_eq!(history.reaches(&["a".into(), "b".into()]), None);
    }

    #[test]
    fn our_own_calls_are_taken_out_and_show_when_they_were_counted() {
        let own = |n: i64| vec![(format!("own-{n}"), Time(n * 1000))];
        let asked = [("own-2", Which::New), ("own-3", Which::New), ("own-9", Which::Old)];
        let by = By::Caller("app");
        let mut history = History::default();
        history.add("a", Time(1000), counters(5, 0), Vec::new());
        history.add("a", Time(2000), counters(5, 1), own(2));
        // This one is not counted yet when the counters are read.
        history.add("a", Time(3000), counters(5, 1), own(3));
        let seen = table_by(&history, 0, 9000, by, &asked);
        assert_eq!((used(&seen), seen.own.len()), ((None, None), 0));
        history.add("a", Time(4000), counters(5, 2), Vec::new());
        let seen = table_by(&history, 0, 9000, by, &asked);
        assert_eq!((used(&seen), seen.own.len(), seen.rows), ((None, None), 2, 2));
        assert_eq!(seen.own[&RequestId::new("own-3")].key, Some(Which::New));
        // One more than ours is somebody's, and so is a call that is said to be ours and was made with the other key.
        history.add("a", Time(5000), counters(6, 3), own(5));
        let seen = table_by(&history, 0, 9000, by, &asked);
        assert_eq!(used(&seen), (Some(Time(5000)), Some(Time(5000))));
        assert_eq!((seen.old[&App::new("app")].accepted, seen.new[&App::new("app")].accepted), (1, 1));
    }

    #[test]
    fn thinning_keeps_the_beginning_and_never_makes_a_use_look_earlier() {
        let mut history = History::default();
        let mut asked = Vec::new();
        for n in 0..1000 {
            let id = format!("own-{n}");
            history.add(
                "a",
                Time(n * 1000),
                counters(u64::try_from(n.min(100)).unwrap(), u64::try_from(2 * n).unwrap()),
                vec![(id.clone(), Time(n))],
            );
            asked.push((id, Which::New));
        }
        let asked: Vec<(&str, Which)> = asked.iter().map(|(id, which)| (id.as_str(), *which)).collect();
        let seen = table_by(&history, 0, 3_000_000, By::Caller("app"), &asked);
        assert!(history.processes["a"].len() <= MOST && seen.reaches == Some(Time(0)));
        assert_eq!(seen.new[&App::new("app")].accepted, 999);
        assert!(used(&seen).0.unwrap() >= Time(100_000));
    }
}
