//! new-api's log of a user's own calls as a usage source: rows by the name of a token. It names no callers, and refused calls leave no row.

mod row;

use crate::adapters::gateway::{Access, Console, Ledger, NEW_API_LOG, NewApiGateway, Token, owner};
use crate::ports::{PortError, Result, UsageQuery, UsageSource};
use crate::rotation::{App, CallerCount, KeyId, OwnRow, RequestId, Shard, Span, Time, UsageKind, UsagePlan, UsageTable, Which};
use crate::support::http::HttpProblem;
use row::Row;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// How long a row takes to be in the log.
pub const LAG: Span = Span::seconds(5);
/// The look before a plan takes so many pages of a hundred rows, the newest first.
const HISTORY: u64 = 50;
/// A reading during a run takes so many: who used a key last is on the first.
const NEWEST: u64 = 3;
/// Rows of calls that were served, and of calls that failed.
const TYPES: [(&str, u64); 2] = [("2", 2), ("5", 5)];
/// So many of our calls are looked up at a time.
const LOOK_UPS: usize = 20;

/// What to read, and how.
pub struct Settings {
    /// Lists the tokens with their names.
    pub lister: NewApiGateway,
    /// Our own calls.
    pub ledger: Rc<Ledger>,
    /// The user's number.
    pub user: u64,
    /// How long a row takes to be in the log.
    pub lag: Span,
    /// What stands in the plan.
    pub source: String,
}

/// The log of a user's own calls.
pub struct NewApiUsage {
    console: Console,
    settings: Settings,
    /// Rows of our own calls, once they were found.
    found: RefCell<BTreeMap<RequestId, Row>>,
}

/// Rows of one token.
#[derive(Default)]
struct Rows {
    rows: Vec<Row>,
    /// How many older ones were not read, and when the newest of them may have been.
    unread: Option<(u64, i64)>,
    /// When the token itself says that it was used last; none before its first use.
    accessed: Option<Time>,
    /// The token's name; empty for one that is gone.
    name: String,
}

impl NewApiUsage {
    /// Reads nothing yet.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(access: Access, settings: Settings) -> std::result::Result<Self, HttpProblem> {
        Ok(Self { console: Console::new(access, settings.user)?, settings, found: RefCell::default() })
    }

    async fn rows(&self, tokens: &BTreeMap<KeyId, Token>, key: &KeyId, query: &UsageQuery<'_>) -> Result<Rows> {
        let (from, to) = (query.from, query.to);
        let most = if query.new.is_some() { NEWEST } else { HISTORY };
        // A token that is gone has no name any more that could be asked for.
        let Some(token) = tokens.get(key) else { return Ok(Rows::default()) };
        let name = token.name();
        if tokens.values().filter(|other| other.name() == name).count() > 1 {
            let why = "two tokens have the same name, and the log tells tokens apart by their names only: rename one";
            return Err(self.console.refused("read the log", why));
        }
        let accessed = token.second("accessed_time").filter(|at| Some(*at) != token.second("created_time"));
        let mut all = Rows { accessed, name: name.to_owned(), ..Rows::default() };
        let (start, end) = (from.0.div_euclid(1000).to_string(), to.0.div_euclid(1000).saturating_add(1).to_string());
        for (text, number) in TYPES {
            let asked = [("type", text), ("start_timestamp", &start), ("end_timestamp", &end), ("token_name", name)];
            let read = self.console.pages("read the log", &["api", "log", "self"], &asked, most).await?;
            let shown = u64::try_from(read.rows.len()).unwrap_or(u64::MAX);
            let mut oldest = i64::MAX;
            for row in read.rows {
                let row = Row::of(&row).ok_or_else(|| self.console.admin.unreadable("a row of the log has no time or no name"))?;
                // A filter that was ignored would give everybody's calls to one token.
                if row.token_name != name || row.kind != number {
                    return Err(self.console.admin.unreadable("asked for the calls of one token, it answered with other rows"));
                }
                if read.cut && row.second > oldest {
                    return Err(self
                        .console
                        .admin
                        .unreadable("the rows of the log are not the newest first, and there are more than can be read"));
                }
                oldest = oldest.min(row.second);
                all.rows.push(row);
            }
            if read.cut {
                // Each of them counts as a use, as late as it may have been.
                let more = read.total.map_or(1, |total| total.saturating_sub(shown)).max(1);
                let (count, latest) = all.unread.unwrap_or((0, i64::MIN));
                all.unread = Some((count.saturating_add(more), latest.max(oldest)));
            }
        }
        Ok(all)
    }

    /// The rows of our own calls: by the gateway's id where rows show it, else by asking for that id.
    async fn own(&self, query: &UsageQuery<'_>, read: &[(Which, Rows)]) -> Result<Own> {
        let busy = || PortError::Unreachable {
            system: self.console.admin.system.clone(),
            why: "its log is being read already".into(),
            may_have_happened: false,
        };
        let mut own = Own { exact: self.found.try_borrow().map_err(|_| busy())?.clone(), ..Own::default() };
        let rows: Vec<(Which, &Row)> = read.iter().flat_map(|(which, rows)| rows.rows.iter().map(|row| (*which, row))).collect();
        let calls = self.settings.ledger.calls().into_iter().rev();
        let open =
            calls.filter(|call| call.at >= query.from && query.own.contains_key(&call.request) && !own.exact.contains_key(&call.request));
        let mut unknown: usize = 0;
        for call in open.collect::<Vec<_>>() {
            if let Some((_, row)) = rows.iter().find(|(_, row)| row.request.as_deref() == Some(call.logged_as.as_str())) {
                own.exact.insert(call.request, (*row).clone());
                continue;
            }
            if call.at.plus(self.settings.lag) > query.to {
                continue;
            }
            unknown = unknown.saturating_add(1);
            if unknown > LOOK_UPS {
                break;
            }
            let start = call.at.0.div_euclid(1000).saturating_sub(60).to_string();
            let end = query.to.0.div_euclid(1000).saturating_add(1).to_string();
            let asked = [("type", "0"), ("start_timestamp", &start), ("end_timestamp", &end), ("request_id", call.logged_as.as_str())];
            match self.console.pages("read the log", &["api", "log", "self"], &asked, 1).await {
                // More than one row: the filter is ignored, or the id is not what it seems.
                Ok(read) => {
                    if let ([one], false) = (read.rows.as_slice(), read.cut)
                        && let Some(row) = Row::of(one)
                    {
                        own.exact.insert(call.request, row);
                    }
                }
                // Older versions know no such filter. A row of the time of the call shows that the log is written, and stays somebody's use.
                Err(PortError::Refused { .. }) => {
                    let from = call.at.0.div_euclid(1000).saturating_sub(1);
                    let with = query.own.get(&call.request).copied();
                    let near = |which: Which, row: &Row| {
                        let taken = own.near.values().filter(|one| *one == row).count();
                        let there = rows.iter().filter(|(_, one)| *one == row).count();
                        let span = from..=from.saturating_add(NEAR);
                        Some(which) == with && row.kind == 2 && span.contains(&row.second) && taken < there
                    };
                    if let Some((_, row)) = rows.iter().find(|(which, row)| near(*which, row)) {
                        own.near.insert(call.request, (*row).clone());
                    }
                }
                Err(e) => return Err(e),
            }
        }
        self.found.try_borrow_mut().map_err(|_| busy())?.clone_from(&own.exact);
        Ok(own)
    }
}

/// Rows of our own calls.
#[derive(Default)]
struct Own {
    /// Known by the gateway's id: taken off the counts.
    exact: BTreeMap<RequestId, Row>,
    /// Of the same time: not taken off the old key's.
    near: BTreeMap<RequestId, Row>,
}

/// Seconds in which the row of a call of ours must lie where no id tells it.
const NEAR: i64 = 3;

/// Counts rows; those of our own calls are taken off, each once.
fn count(rows: Rows, mut ours: Vec<&Row>, query: &UsageQuery<'_>) -> Option<CallerCount> {
    let last_own = ours.iter().map(|row| row.end()).max();
    let mut all: Vec<Row> = rows.rows;
    all.sort_by_key(|row| row.second);
    all.retain(|row| match ours.iter().position(|own| *own == row) {
        Some(at) => {
            ours.swap_remove(at);
            false
        }
        None => true,
    });
    let mut count = CallerCount::default();
    if let Some((more, latest)) = rows.unread {
        let at = Time(latest.saturating_mul(1000).saturating_add(999)).min(query.to);
        count = CallerCount { accepted: more, last_used: Some(at), first: Some(at), ..count };
    }
    let mut before: Option<Time> = None;
    for row in &all {
        // Anywhere in its second: a use counts as late as it may have been.
        let at = Time(row.second.saturating_mul(1000).saturating_add(999)).min(query.to);
        if at < query.from {
            continue;
        }
        match row.kind {
            2 => count.accepted = count.accepted.saturating_add(1),
            _ => count.other = count.other.saturating_add(1),
        }
        count.first.get_or_insert(at);
        count.last_used = count.last_used.max(Some(at));
        if let Some(before) = before {
            count.longest_gap = count.longest_gap.max(at.since(before));
        }
        before = Some(at);
    }
    // The token says that it was used after every row that shows, ours included: logging may be switched off for some calls.
    let shown = all.iter().map(Row::end).max().max(last_own);
    if let Some(used) =
        rows.accessed.map(|at| at.plus(Span(999))).filter(|at| *at > query.from && shown.is_none_or(|shown| *at > shown.plus(SLACK)))
    {
        count.other = count.other.saturating_add(1);
        count.last_used = count.last_used.max(Some(used.min(query.to)));
        count.first.get_or_insert(used);
    }
    (count.total() > 0).then_some(count)
}

/// A token is touched and its row is written at different moments.
const SLACK: Span = Span::seconds(2);

impl UsageSource for NewApiUsage {
    async fn describe(&self) -> Result<UsagePlan> {
        Ok(UsagePlan {
            kind: UsageKind::Rows,
            sees_refused: false,
            names_caller: false,
            lag: self.settings.lag,
            shards: vec![NEW_API_LOG.into()],
            reaches: None,
            source: self.settings.source.clone(),
        })
    }

    async fn read(&self, query: UsageQuery<'_>) -> Result<UsageTable> {
        let mut table = UsageTable { from: query.from, to: query.to, lag: self.settings.lag, ..UsageTable::default() };
        let tokens = self.settings.lister.tokens().await?;
        let mut both = vec![(Which::Old, self.rows(&tokens, query.old, &query).await?)];
        if let Some(new) = query.new {
            both.push((Which::New, self.rows(&tokens, new, &query).await?));
        }
        let own = self.own(&query, &both).await?;
        let mut newest: Option<i64> = None;
        let mut counted = 0_u64;
        for (which, rows) in both {
            newest = newest.max(rows.rows.iter().map(|row| row.second).max());
            let named = |row: &Row| !rows.name.is_empty() && row.token_name == rows.name;
            for (request, row) in own.exact.iter().chain(&own.near).filter(|(id, row)| query.own.contains_key(*id) && named(row)) {
                let at = Time(row.second.saturating_mul(1000));
                table.own.insert(request.clone(), OwnRow { key: Some(which), owner: owner(self.settings.user), refused: false, at });
            }
            // Under the new key, before anybody was moved to it, a row of the time of our call is ours; under the old one it may be anybody's.
            let mut ours: Vec<&Row> = own.exact.values().collect();
            ours.extend(own.near.values().filter(|_| which == Which::New));
            ours.retain(|row| named(row));
            if let Some(count) = count(rows, ours, &query) {
                counted = counted.saturating_add(count.total());
                let into = if which == Which::Old { &mut table.old } else { &mut table.new };
                into.insert(App::new(""), count);
            }
        }
        table.rows = counted.saturating_add(u64::try_from(table.own.len()).unwrap_or(u64::MAX));
        let newest = newest.map(|second| Time(second.saturating_mul(1000)).min(query.to));
        table.shards = vec![Shard { name: NEW_API_LOG.into(), newest }];
        let (from, to) = (query.from.0.div_euclid(1000), query.to.0.div_euclid(1000).saturating_add(1));
        table.query = format!("GET /api/log/self?type=2|5&start_timestamp={from}&end_timestamp={to}&token_name=NAME");
        Ok(table)
    }
}
