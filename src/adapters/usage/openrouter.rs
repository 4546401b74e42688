//! Counters of spent dollars as a usage source: no rows, no callers, no refusals. A key that nobody uses costs nothing, as long as its
//! models are not free.
//!
//! A counter that stands where it stood is silence between two readings however far apart they are, so what was read is kept in a file
//! beside the runs: a later process knows how it stood before. Any movement is a use: our own calls are not taken off.

mod series;
#[cfg(test)]
mod tests;

use crate::adapters::gateway::{COUNTERS, Meter, OpenRouterGateway};
use crate::ports::{PortError, Result, UsageQuery, UsageSource};
use crate::rotation::{App, CallerCount, KeyId, OwnRow, Shard, Span, Time, UsageKind, UsagePlan, UsageTable, Which};
use series::{Point, Series};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

/// How long a counter is assumed to lag.
pub const LAG: Span = Span::minutes(10);
/// Counters are sums of fractions.
const DUST: f64 = 1e-12;

/// What to read, and where it is kept.
pub struct Settings {
    /// Lists the keys with their counters.
    pub lister: OpenRouterGateway,
    /// Our own calls.
    pub meter: Rc<Meter>,
    /// How long after a call its counter moves.
    pub lag: Span,
    /// Where readings are kept.
    pub file: PathBuf,
    /// Address, for the plan.
    pub base: String,
}

/// The counters of an account.
pub struct OpenRouterUsage {
    settings: Settings,
    known: RefCell<Option<Series>>,
}

impl OpenRouterUsage {
    /// Reads nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, known: RefCell::new(None) }
    }

    fn unreadable(&self, why: String) -> PortError {
        PortError::Unreadable { system: format!("the counters of {}", self.settings.lister.system()), why }
    }

    /// Reads the counters of these keys and adds them to what is known.
    async fn refresh(&self, keys: &[&KeyId], at: Time) -> Result<()> {
        let look = self.settings.meter.look();
        let spent = self.settings.lister.spent().await?;
        let busy = |_| self.unreadable("they are being read already".into());
        let mut known = self.known.try_borrow_mut().map_err(busy)?;
        let series = match known.as_mut() {
            Some(series) => series,
            None => known.insert(Series::load(&self.settings.file).map_err(|why| self.unreadable(why))?),
        };
        for call in self.settings.meter.calls() {
            if let Some(cost) = call.cost {
                series.paid(&call.request, cost).map_err(|why| self.unreadable(why))?;
            }
        }
        for key in keys {
            // A key that is gone has no counter; what was known of it stays.
            let Some(counters) = spent.get(*key) else { continue };
            for (key, value) in [((*key).clone(), counters.spent), (used(key), counters.last_used)] {
                let Some(value) = value else { continue };
                series.add(&key, Point { at, value, look }).map_err(|why| self.unreadable(why))?;
            }
        }
        Ok(())
    }

    fn table(&self, query: &UsageQuery<'_>, series: &Series) -> UsageTable {
        let mut table = UsageTable { from: query.from, to: query.to, lag: self.settings.lag, ..UsageTable::default() };
        let mut newest: Option<Time> = None;
        for (which, key) in [(Which::Old, Some(query.old)), (Which::New, query.new)] {
            let Some(key) = key else { continue };
            let mut moved = series.moves(key, which == Which::New);
            moved.extend(series.moves(&used(key), which == Which::New));
            moved.retain(|at| *at >= query.from && *at <= query.to);
            moved.sort();
            moved.dedup();
            newest = newest.max(moved.last().copied());
            let ours = which == Which::New && self.all_ours(query, series, key);
            if moved.is_empty() || ours {
                continue;
            }
            let into = if which == Which::Old { &mut table.old } else { &mut table.new };
            into.insert(App::new(""), count(&moved));
        }
        table.reaches = series.since(query.old).or_else(|| series.since(&used(query.old)));
        table.own = self.own(query, series);
        newest = newest.max(table.own.values().filter(|row| row.key.is_some()).map(|row| row.at).max());
        let moves = table.old.values().chain(table.new.values()).fold(0_u64, |n, c| n.saturating_add(c.total()));
        table.rows = moves.saturating_add(u64::try_from(table.own.len()).unwrap_or(u64::MAX));
        table.shards = vec![Shard { name: COUNTERS.into(), newest }];
        let found = self.settings.meter.calls().iter().filter(|call| call.cost.is_some()).count();
        table.query = format!(
            "GET keys (disabled ones included), fields usage, byok_usage and last_used_at of two keys; {found} records of our own calls found"
        );
        table
    }

    /// Every dollar on the new key was spent by a call of ours whose record is known: nobody else has it yet.
    fn all_ours(&self, query: &UsageQuery<'_>, series: &Series, key: &KeyId) -> bool {
        let mut sum = 0.0;
        for (request, _) in query.own.iter().filter(|(_, which)| **which == Which::New) {
            let Some(cost) = series.cost(request) else { return false };
            sum += cost;
        }
        // Money shows how many calls there were; the moment of the last one does not.
        series.last(key).is_some_and(|spent| spent <= sum + DUST)
    }

    /// Our own calls that show: under a key where its counter moved far enough after them, else under none where only their record is found.
    fn own(&self, query: &UsageQuery<'_>, series: &Series) -> BTreeMap<crate::rotation::RequestId, OwnRow> {
        let mut own = BTreeMap::new();
        let mut cost: BTreeMap<Which, (f64, f64)> = BTreeMap::new();
        for call in self.settings.meter.calls() {
            let Some(which) = query.own.get(&call.request).copied() else { continue };
            let key = match which {
                Which::Old => Some(query.old),
                Which::New => query.new,
            };
            let Some(key) = key else { continue };
            let stood = |key: &KeyId| (series.at_look(key, call.before).unwrap_or_default(), series.last(key).unwrap_or_default());
            let (before, now) = stood(key);
            let (used_before, used_now) = stood(&used(key));
            // All calls of this process together must be in the counter before the last one counts as seen.
            let (start, sum) = cost.entry(which).or_insert((before, 0.0));
            *sum += call.cost.unwrap_or_default();
            let paid = now > before + DUST && now + DUST >= *start + *sum;
            let moved = paid || used_now > used_before;
            if (moved || call.cost.is_some()) && call.at >= query.from {
                own.insert(call.request, OwnRow { key: moved.then_some(which), owner: String::new(), refused: false, at: call.at });
            }
        }
        own
    }
}

impl UsageSource for OpenRouterUsage {
    async fn describe(&self) -> Result<UsagePlan> {
        Ok(UsagePlan {
            kind: UsageKind::Counters,
            sees_refused: false,
            names_caller: false,
            lag: self.settings.lag,
            shards: vec![COUNTERS.into()],
            reaches: None,
            source: format!(
                "the counters of dollars spent by each key at {} (a lag of {} is assumed; calls that cost nothing do not show)",
                self.settings.base, self.settings.lag
            ),
        })
    }

    async fn read(&self, query: UsageQuery<'_>) -> Result<UsageTable> {
        let keys: Vec<&KeyId> = [Some(query.old), query.new].into_iter().flatten().collect();
        self.refresh(&keys, query.to).await?;
        let known = self.known.try_borrow().map_err(|_| self.unreadable("they are being read already".into()))?;
        match known.as_ref() {
            Some(series) => Ok(self.table(&query, series)),
            None => Err(self.unreadable("nothing was read".into())),
        }
    }
}

/// The moment of a key's last use, where the listing tells, moves like a counter.
fn used(key: &KeyId) -> KeyId {
    KeyId::new(format!("{key}@last_used"))
}

fn count(moved: &[Time]) -> CallerCount {
    let gaps = moved.windows(2).filter_map(|pair| match pair {
        [a, b] => Some(b.since(*a)),
        _ => None,
    });
    CallerCount {
        accepted: u64::try_from(moved.len()).unwrap_or(u64::MAX),
        first: moved.first().copied(),
        last_used: moved.last().copied(),
        longest_gap: gaps.max().unwrap_or_default(),
        ..CallerCount::default()
    }
}
