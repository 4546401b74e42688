//! Rows → counts by key and caller.

use super::line::Class;
use super::tail::{Row, Shared, Tail};
use crate::ports::UsageQuery;
use crate::rotation::{App, CallerCount, OwnRow, RequestId, Shard, Span, Time, UsageTable, Which};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A row this much later than the end of the window cannot be placed in time.
const FUTURE: Span = Span::seconds(60);

/// Counts every row of the window. A row is a use of its key unless it is one of our own calls, and each of those is taken once:
/// whoever repeats our request id is somebody else.
pub(super) fn tally<'t>(
    tails: impl Iterator<Item = &'t Tail> + Clone,
    shared: &Shared,
    query: &UsageQuery<'_>,
    ours: &dyn Fn(&str) -> bool,
) -> UsageTable {
    let mut table = UsageTable { from: query.from, to: query.to, ..UsageTable::default() };
    let latest = query.to.plus(FUTURE).0;
    let own = own_rows(tails.clone(), query, ours);
    let old = shared.keys.find(query.old.as_str());
    let new = query.new.and_then(|id| shared.keys.find(id.as_str()));
    let attributed = |row: &Row| match Some(row.key) {
        key if key == old => Some(Which::Old),
        key if key == new => Some(Which::New),
        _ => None,
    };
    let mut groups: HashMap<(Which, u32), Vec<(i64, Class)>> = HashMap::new();
    for (t, tail) in tails.enumerate() {
        for (r, row) in tail.rows.iter().enumerate() {
            if row.at > latest {
                table.malformed = table.malformed.saturating_add(1);
                continue;
            }
            if row.at < query.from.0 || row.at > query.to.0 {
                continue;
            }
            table.rows = table.rows.saturating_add(1);
            let key = attributed(row);
            if own.contains_key(&(t, r)) {
                continue;
            }
            if let Some(key) = key {
                groups.entry((key, row.caller)).or_default().push((row.at, row.class));
            }
        }
        table.malformed = table.malformed.saturating_add(malformed(tail, query.from));
    }
    for (id, row) in own.values() {
        let id = RequestId::new(*id);
        if row.at >= query.from.0 && row.at <= query.to.0 && query.own.contains_key(&id) {
            let owner = shared.people.text(row.owner).to_owned();
            let own = OwnRow { key: attributed(row), owner, refused: row.class == Class::Refused, at: Time(row.at) };
            table.own.insert(id, own);
        }
    }
    for ((key, caller), rows) in groups {
        let app = App::new(shared.people.text(caller));
        let into = match key {
            Which::Old => &mut table.old,
            Which::New => &mut table.new,
        };
        into.insert(app, count(rows));
    }
    table
}

type Own<'t> = HashMap<(usize, usize), (&'t str, Row)>;

/// The rows that are our own calls, named by the query or recognised: of rows with the same id, the earliest.
fn own_rows<'t>(tails: impl Iterator<Item = &'t Tail>, query: &UsageQuery<'_>, ours: &dyn Fn(&str) -> bool) -> Own<'t> {
    let named: HashSet<&str> = query.own.keys().map(RequestId::as_str).collect();
    let mut first: HashMap<&str, ((usize, usize), Row)> = HashMap::new();
    for (t, tail) in tails.enumerate() {
        for (r, row) in tail.rows.iter().enumerate() {
            let id = tail.id(row);
            if !named.contains(id) && !ours(id) {
                continue;
            }
            let seen = first.entry(id).or_insert(((t, r), *row));
            if row.at < seen.1.at {
                *seen = ((t, r), *row);
            }
        }
    }
    first.into_iter().map(|(id, (place, row))| (place, (id, row))).collect()
}

fn count(mut rows: Vec<(i64, Class)>) -> CallerCount {
    rows.sort_unstable_by_key(|(at, _)| *at);
    let mut count = CallerCount::default();
    let mut before: Option<i64> = None;
    for (at, class) in rows {
        let at_time = Time(at);
        match class {
            Class::Accepted => count.accepted = count.accepted.saturating_add(1),
            Class::Refused => count.refused = count.refused.saturating_add(1),
            Class::Other => count.other = count.other.saturating_add(1),
        }
        match class {
            Class::Accepted | Class::Other => count.last_used = Some(at_time),
            Class::Refused => count.last_refused = Some(at_time),
        }
        count.first.get_or_insert(at_time);
        if let Some(before) = before {
            count.longest_gap = count.longest_gap.max(at_time.since(Time(before)));
        }
        before = Some(at);
    }
    count
}

/// Unreadable lines with a row of the window behind them, or none at all. Older ones hide nothing that is asked about.
fn malformed(tail: &Tail, from: Time) -> u64 {
    let behind = |place: &usize| {
        let rows = tail.rows.get(*place..).unwrap_or_default();
        rows.is_empty() || rows.iter().take(64).any(|row| row.at >= from.0)
    };
    u64::try_from(tail.malformed.iter().filter(|place| behind(place)).count()).unwrap_or(u64::MAX)
}

/// Newest row of every writer, and the instant from which all of them have rows.
pub(super) fn shards<'t>(
    tails: impl Iterator<Item = &'t Tail>,
    shared: &Shared,
    silent: &BTreeSet<String>,
    latest: Time,
) -> (Vec<Shard>, Option<Time>) {
    let mut seen: HashMap<u32, (Option<i64>, i64)> = HashMap::new();
    for tail in tails {
        for row in &tail.rows {
            let (newest, oldest) = seen.entry(row.shard).or_insert((None, row.at));
            if row.at <= latest.plus(FUTURE).0 {
                *newest = (*newest).max(Some(row.at));
            }
            *oldest = (*oldest).min(row.at);
        }
    }
    let reaches = seen.values().map(|(_, oldest)| Time(*oldest)).max();
    let mut by_name: BTreeMap<String, Option<Time>> = silent.iter().map(|name| (name.clone(), None)).collect();
    by_name.extend(seen.iter().map(|(shard, (newest, _))| (shared.shards.text(*shard).to_owned(), newest.map(Time))));
    (by_name.into_iter().map(|(name, newest)| Shard { name, newest }).collect(), reaches)
}

/// Whether any row is a refusal of a credential.
pub(super) fn any_refused<'t>(mut tails: impl Iterator<Item = &'t Tail>) -> bool {
    tails.any(|tail| tail.rows.iter().any(|row| row.class == Class::Refused))
}
