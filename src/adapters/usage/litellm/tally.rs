//! Rows → counts by key and caller.

use super::Known;
use super::row::{Class, Seen};
use crate::ports::UsageQuery;
use crate::rotation::{App, CallerCount, KeyId, OwnRow, RequestId, Time, UsageTable, Which};
use crate::usage::Ours;
use std::collections::{BTreeMap, HashMap};

/// Counts every row of the window. A row is a use of its key unless it is one of our own calls, and each of those is taken once.
/// `heard` learns when each place last wrote a row of ours.
pub(super) fn tally(known: &HashMap<KeyId, Known>, query: &UsageQuery<'_>, ours: &Ours, heard: &mut BTreeMap<usize, Time>) -> UsageTable {
    let mut table = UsageTable { from: query.from, to: query.to, ..UsageTable::default() };
    let keys = [(Which::Old, Some(query.old)), (Which::New, query.new)];
    let rows = keys.into_iter().filter_map(|(which, id)| Some((which, known.get(id?)?)));
    let rows: Vec<(Which, &Seen)> = rows.flat_map(|(which, rows)| rows.values().map(move |row| (which, row))).collect();
    let is_own = |id: &str| query.own.contains_key(&RequestId::new(id)) || (ours.0)(id);
    // Of rows with the same id the earliest is ours.
    let mut own: HashMap<&str, (Which, &Seen, Time)> = HashMap::new();
    for (which, row) in &rows {
        let (Some(id), Some(at)) = (own_id(row, &is_own), row.at) else { continue };
        let first = own.entry(id).or_insert((*which, *row, at));
        if at < first.2 {
            *first = (*which, *row, at);
        }
    }
    let mut groups: BTreeMap<(bool, &str), Vec<(Time, Class)>> = BTreeMap::new();
    for (which, row) in &rows {
        let Some(at) = row.at else {
            table.malformed = table.malformed.saturating_add(1);
            continue;
        };
        let mine = own_id(row, &is_own).and_then(|id| own.get(id)).is_some_and(|(_, first, _)| std::ptr::eq(*first, *row));
        if at < query.from || at > query.to || mine {
            continue;
        }
        groups.entry((*which == Which::Old, row.caller.as_str())).or_default().push((at, row.class));
    }
    for ((old, caller), rows) in groups {
        let into = if old { &mut table.old } else { &mut table.new };
        into.insert(App::new(caller), count(rows));
    }
    for (id, (which, row, at)) in own {
        if at < query.from || at > query.to {
            continue;
        }
        if let Some((_, place)) = &row.agent {
            let newest = heard.entry(*place).or_insert(at);
            *newest = at.max(*newest);
        }
        let id = RequestId::new(id);
        if query.own.contains_key(&id) {
            let refused = row.class == Class::Refused;
            table.own.insert(id, OwnRow { key: Some(which), owner: row.owner.clone(), refused, at });
        }
    }
    table
}

/// The id of our own call that a row is: as the gateway noted it, else as its user agent says.
fn own_id<'r>(row: &'r Seen, is_own: &dyn Fn(&str) -> bool) -> Option<&'r str> {
    let noted = Some(row.call.as_str()).filter(|id| is_own(id));
    noted.or_else(|| row.agent.as_ref().map(|(id, _)| id.as_str()).filter(|id| is_own(id)))
}

/// All rows that a table names, ours included.
pub(super) fn counted(table: &UsageTable) -> u64 {
    let rows = table.old.values().chain(table.new.values()).fold(0_u64, |sum, c| sum.saturating_add(c.total()));
    rows.saturating_add(u64::try_from(table.own.len()).unwrap_or(u64::MAX))
}

fn count(mut rows: Vec<(Time, Class)>) -> CallerCount {
    rows.sort_unstable_by_key(|(at, _)| *at);
    let mut count = CallerCount::default();
    let mut before: Option<Time> = None;
    for (at, class) in rows {
        match class {
            Class::Accepted => count.accepted = count.accepted.saturating_add(1),
            Class::Refused => count.refused = count.refused.saturating_add(1),
            Class::Other => count.other = count.other.saturating_add(1),
        }
        match class {
            Class::Accepted | Class::Other => count.last_used = Some(at),
            Class::Refused => count.last_refused = Some(at),
        }
        count.first.get_or_insert(at);
        if let Some(before) = before {
            count.longest_gap = count.longest_gap.max(at.since(before));
        }
        before = Some(at);
    }
    count
}
