//! LiteLLM's spend log as a usage source: rows of every call, also of refused ones, read through its API.
//!
//! What was read stays known. Each reading first compares how many rows the log has with how many are known, for parts of the window, and
//! reads only the parts that differ: so a row that shows late is found, and a page that got lost is noticed.

mod row;
mod tally;
#[cfg(test)]
mod tests;

use crate::adapters::gateway::wire::{Admin, Http};
use crate::policy::model::gateway::Caller;
use crate::ports::{PortError, Result, UsageQuery, UsageSource};
use crate::rotation::{KeyId, Shard, Span, Time, UsageKind, UsagePlan, UsageTable};
use crate::secret::SecretText;
use crate::support::http::HttpProblem;
use crate::usage::Ours;
use row::{Page, Seen};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

/// Rows of one page: each may be a dozen kilobytes long.
const PAGE: u64 = 100;
/// A part of the window with more rows than this is divided.
const PART: u64 = 1000;
/// One reading takes no more rows than this; the next one goes on.
const MOST: usize = 20_000;
/// Divisions and repairs of one reading.
const MOST_PARTS: usize = 4000;
/// The part of a window in which rows are still expected.
const FRESH: Span = Span::seconds(60);
/// How long a row takes to be in the log: batches of ten seconds, begun up to five seconds late.
pub const LAG: Span = Span::seconds(15);
const SECOND: i64 = 1000;

/// What to read, and how.
pub struct Settings {
    /// Address of the proxy.
    pub base: String,
    /// A credential that may read the spend log.
    pub admin: SecretText,
    /// Longest time for one call.
    pub call_timeout: Span,
    /// A private certificate authority.
    pub ca_pem: Option<Vec<u8>>,
    /// The instances. Each writes its rows by itself; with more than one, each must be heard from.
    pub places: Vec<String>,
    /// A row may appear this long after its call.
    pub lag: Span,
    /// Which field names the caller; none: the end user, else the user agent.
    pub caller: Option<Caller>,
    /// Recognises ids of our own calls that the query does not name.
    pub ours: Ours,
}

/// The spend log of a LiteLLM proxy.
pub struct LiteLlmUsage {
    admin: Admin,
    places: Vec<String>,
    lag: Span,
    caller: Option<Caller>,
    ours: Ours,
    known: RefCell<HashMap<KeyId, Known>>,
}

/// Rows of one key, by the log's own id.
type Known = BTreeMap<String, Seen>;

/// Whole seconds, both ends included: all that the log can be asked for.
#[derive(Clone, Copy)]
struct Part {
    from: i64,
    to: i64,
}

impl Part {
    fn of(from: Time, to: Time) -> Self {
        Self { from: from.0.div_euclid(SECOND), to: to.0.div_euclid(SECOND).saturating_add(1) }
    }

    fn holds(self, at: Time) -> bool {
        (self.from.saturating_mul(SECOND)..=self.to.saturating_mul(SECOND)).contains(&at.0)
    }

    fn split(self, at: i64) -> Option<(Self, Self)> {
        (self.from < at && at < self.to).then_some((Self { from: self.from, to: at }, Self { from: at, to: self.to }))
    }

    fn end(self) -> Time {
        Time(self.to.saturating_mul(SECOND))
    }
}

impl LiteLlmUsage {
    /// Reads nothing yet.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(settings: Settings) -> std::result::Result<Self, HttpProblem> {
        let http = Http::new(settings.call_timeout, settings.ca_pem);
        Ok(Self {
            admin: Admin::new("the spend log of LiteLLM", &settings.base, settings.admin, http)?,
            places: settings.places,
            lag: settings.lag,
            caller: settings.caller,
            ours: settings.ours,
            known: RefCell::new(HashMap::new()),
        })
    }

    async fn page(&self, key: Option<&KeyId>, part: Part, page: u64, size: u64, order: &str) -> Result<Page> {
        let (from, to, page, size) = (written(part.from), written(part.to), page.to_string(), size.to_string());
        let mut query = vec![
            ("start_date", from.as_str()),
            ("end_date", to.as_str()),
            ("page", page.as_str()),
            ("page_size", size.as_str()),
            ("sort_by", "startTime"),
            ("sort_order", order),
        ];
        query.extend(key.map(|id| ("api_key", id.as_str())));
        let page: Page = self.admin.get("read the spend log", &["spend", "logs", "v2"], &query).await?;
        // A filter that was ignored would give everybody's calls to one key.
        if key.is_some_and(|id| page.data.iter().any(|row| row.api_key.as_deref() != Some(id.as_str()))) {
            return Err(self.admin.unreadable("asked for the calls of one key, it answered with calls of another"));
        }
        Ok(page)
    }

    /// How many rows the log has; none when it counts no further.
    async fn count(&self, key: &KeyId, part: Part) -> Result<Option<u64>> {
        let page = self.page(Some(key), part, 1, 1, "desc").await?;
        Ok((!page.total_is_capped).then_some(page.total))
    }

    /// All rows of a part, in as many pages as it takes.
    async fn walk(&self, key: &KeyId, part: Part) -> Result<Known> {
        let mut rows = Known::new();
        let mut promised = None;
        for number in 1..=10 * PART / PAGE {
            // The newest come last: rows that appear meanwhile do not push others over the edge of a page.
            let page = self.page(Some(key), part, number, PAGE, "asc").await?;
            let promised = *promised.get_or_insert(page.total);
            for row in page.data {
                rows.insert(row.request_id.clone(), row.seen(self.caller));
            }
            if number >= page.total_pages {
                let complete = u64::try_from(rows.len()).is_ok_and(|n| n >= promised);
                let why = || self.admin.unreadable(format!("it counts {promised} calls of one key and shows {}", rows.len()));
                return if complete { Ok(rows) } else { Err(why()) };
            }
        }
        Err(self.admin.unreadable("more calls of one key in one second than can be read"))
    }

    /// Brings what is known of a key up to what the log has. The answer is the end of the newest part that is not yet known.
    async fn refresh(&self, key: &KeyId, from: Time, to: Time) -> Result<Option<Time>> {
        let whole = Part::of(from, to);
        // The newest part is looked at first, and most often it is the only one that has changed.
        let mut parts = match whole.split(Part::of(to.minus(FRESH), to).from) {
            Some((older, fresh)) => vec![older, fresh],
            None => vec![whole],
        };
        let mut read = 0;
        for _ in 0..MOST_PARTS {
            let Some(part) = parts.pop() else { return Ok(None) };
            let total = self.count(key, part).await?;
            let known = self.known.borrow().get(key).map_or(0, |rows| rows.values().filter(|row| row.within(part)).count());
            if total.is_some_and(|total| u64::try_from(known).is_ok_and(|known| known == total)) {
                continue;
            }
            if total.is_none_or(|total| total > PART)
                && let Some((older, newer)) = part.split(part.from.midpoint(part.to))
            {
                parts.extend([older, newer]);
                continue;
            }
            if read >= MOST {
                parts.push(part);
                break;
            }
            let rows = self.walk(key, part).await?;
            read = read.saturating_add(rows.len());
            let mut all = self.known.try_borrow_mut().map_err(|_| self.busy())?;
            let of_key = all.entry(key.clone()).or_default();
            of_key.retain(|_, row| !row.within(part));
            of_key.extend(rows);
        }
        Ok(parts.into_iter().map(Part::end).max())
    }

    fn busy(&self) -> PortError {
        PortError::Unreachable { system: self.admin.system.clone(), why: "it is being read already".into(), may_have_happened: false }
    }

    /// The oldest row there is.
    async fn oldest(&self, to: Time) -> Result<Option<Time>> {
        const YEAR_2020: Time = Time(1_577_836_800_000);
        let page = self.page(None, Part::of(YEAR_2020, to), 1, 1, "asc").await?;
        Ok(page.data.into_iter().next().and_then(|row| row.at()))
    }

    fn shards(&self, newest: Option<Time>, heard: &BTreeMap<usize, Time>) -> Vec<Shard> {
        match self.places.as_slice() {
            [one] => vec![Shard { name: one.clone(), newest }],
            // A row does not say which instance wrote it, but ours do.
            several => several.iter().enumerate().map(|(i, name)| Shard { name: name.clone(), newest: heard.get(&i).copied() }).collect(),
        }
    }
}

impl UsageSource for LiteLlmUsage {
    async fn describe(&self) -> Result<UsagePlan> {
        let now = self.admin.date("read its clock", &["health", "liveliness"]).await?;
        Ok(UsagePlan {
            kind: UsageKind::Rows,
            sees_refused: true,
            names_caller: true,
            lag: self.lag,
            shards: self.places.clone(),
            reaches: self.oldest(now).await?,
            source: format!("the spend log of LiteLLM at {}", self.admin.base()),
        })
    }

    async fn read(&self, query: UsageQuery<'_>) -> Result<UsageTable> {
        let mut unread = None;
        for key in [Some(query.old), query.new].into_iter().flatten() {
            unread = unread.max(self.refresh(key, query.from, query.to).await?);
        }
        let mut heard = BTreeMap::new();
        let mut table = tally::tally(&self.known.borrow(), &query, &self.ours, &mut heard);
        // Read last: it may only know more than the rows of the two keys.
        let all = self.page(None, Part::of(query.from, query.to), 1, 1, "desc").await?;
        let counted = tally::counted(&table);
        table.rows = if all.total_is_capped { all.total.max(counted) } else { all.total };
        let newest = all.data.first().and_then(row::Row::at).map(|at| at.min(query.to));
        table.shards = self.shards(newest, &heard);
        table.lag = self.lag;
        table.reaches = self.oldest(query.to).await?.max(unread);
        table.query = format!("GET /spend/logs/v2?start_date={}&end_date={}&api_key=ID", query.from.rfc3339(), query.to.rfc3339());
        Ok(table)
    }
}

/// A whole second, as the log wants it.
fn written(second: i64) -> String {
    let text = Time(second.saturating_mul(SECOND)).rfc3339();
    text.get(..19).unwrap_or_default().replace('T', " ")
}
