//! The whole sandbox behind one lock: saved state, replicas' copies, logs and counters.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::watch;

use super::faults::{FaultName, FaultSpec};
use super::log::{ConsumerRow, Logs, Row, UpstreamRow, Usage, rows};
use super::replica::{Refusal, Replicas};
use super::state::{Paths, State};
use super::tables::{Key, Tables};
use super::upstream::UpstreamUse;
use super::{Options, SandboxError, Urls, ids};

/// What a consumer has counted itself.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Counted {
    pub(super) requests: u64,
    /// Answers with 401 or 403.
    pub(super) refused: u64,
    /// Other answers that were not 2xx, and calls without an answer.
    pub(super) failed: u64,
    pub(super) last_status: Option<u16>,
    pub(super) last_request_at: Option<String>,
    pub(super) last_request_id: Option<String>,
    /// The key it presented last, as the gateway resolves it.
    pub(super) last_key_id: Option<String>,
    /// True while a call is under way.
    pub(super) busy: bool,
}

impl Counted {
    /// Adds one call.
    pub(super) fn add(&mut self, row: &ConsumerRow) {
        self.requests += 1;
        match row.status {
            401 | 403 => self.refused += 1,
            200..=299 => {}
            _ => self.failed += 1,
        }
        self.last_status = Some(row.status);
        self.last_request_at = Some(row.ts.clone());
        self.last_request_id = Some(row.request_id.clone());
    }
}

/// Everything that changes.
pub(super) struct World {
    pub(super) state: State,
    pub(super) replicas: Replicas,
    pub(super) logs: Logs,
    pub(super) usage: Usage,
    pub(super) upstream_used: UpstreamUse,
    pub(super) counted: BTreeMap<String, Counted>,
    /// Calls handled by the data plane in this process, logged or not.
    pub(super) calls: u64,
    /// Accepted calls that the fault `bursts_5xx` has counted.
    pub(super) burst: u64,
    /// Calls per key in the current minute, for `rpm`.
    minute: (i64, BTreeMap<String, u64>),
    settles_in: Duration,
    refusal_cache: Duration,
    paths: Paths,
}

impl World {
    /// Loads what an earlier process left, or starts afresh.
    pub(super) fn open(options: &Options, paths: &Paths) -> Result<Self, SandboxError> {
        let mut state = State::open(paths)?;
        for fault in &options.faults {
            state.faults.switch(fault)?;
        }
        let mut counted = BTreeMap::<String, Counted>::new();
        for row in rows::<ConsumerRow>(&paths.consumers()) {
            counted.entry(row.consumer.clone()).or_default().add(&row);
        }
        let mut upstream_used = UpstreamUse::default();
        for row in rows::<UpstreamRow>(&paths.upstream_log()) {
            upstream_used.count(&row);
        }
        let world = Self {
            upstream_used,
            replicas: Replicas::new(options.replicas, &state.tables),
            logs: Logs::open(paths, options.replicas)?,
            usage: Usage::rebuild(paths, options.replicas),
            counted,
            calls: 0,
            burst: 0,
            minute: (0, BTreeMap::new()),
            settles_in: Duration::from_millis(options.settles_in_ms),
            refusal_cache: Duration::from_millis(options.refusal_cache_ms),
            state,
            paths: paths.clone(),
        };
        world.save()?;
        Ok(world)
    }

    /// The gateway's time in milliseconds, with its skew.
    pub(super) fn now_ms(&self) -> i64 {
        ids::wall_ms().saturating_add(self.state.skew_ms)
    }

    /// The gateway's time as text.
    pub(super) fn now(&self) -> String {
        ids::iso(self.now_ms())
    }

    /// Saves the state and lets the replicas see the tables in their own time.
    pub(super) fn commit(&mut self) -> Result<(), SandboxError> {
        self.save()?;
        self.advance();
        self.replicas.publish(&self.state.tables, Instant::now());
        Ok(())
    }

    /// Saves the state alone.
    pub(super) fn save(&self) -> Result<(), SandboxError> {
        self.state.save(&self.paths)
    }

    /// Switches a fault. Replicas first see what was due under the faults before.
    pub(super) fn switch(&mut self, spec: &FaultSpec) -> Result<(), SandboxError> {
        self.advance();
        self.state.faults.switch(spec)?;
        self.save()
    }

    /// Lets every replica see what is due.
    pub(super) fn advance(&mut self) {
        self.replicas.advance(Instant::now(), self.settles_in, &self.state.faults);
    }

    /// The tables as a replica has them now.
    pub(super) fn seen_by(&mut self, replica: usize) -> Arc<Tables> {
        self.advance();
        self.replicas.tables(replica).unwrap_or_default()
    }

    /// How a replica decides on a secret now.
    pub(super) fn judge(&mut self, replica: usize, secret: &str) -> Result<Key, Refusal> {
        self.advance();
        let remember = match self.state.faults.number(FaultName::RefusalCache, "ms") {
            Some(ms) => Duration::from_millis(ms),
            None => self.refusal_cache,
        };
        let clock = (Instant::now(), self.now_ms());
        self.replicas.judge(replica, secret, clock, remember, &self.state.faults)
    }

    /// Counts a call of a key against its `rpm`; false when the minute is full.
    pub(super) fn within_rpm(&mut self, key: &Key) -> bool {
        let minute = self.now_ms() / 60_000;
        if self.minute.0 != minute {
            self.minute = (minute, BTreeMap::new());
        }
        let calls = self.minute.1.entry(key.id.clone()).or_default();
        *calls += 1;
        // A key makes far fewer calls a minute than a float can count.
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        let calls = *calls as f64;
        key.scope.limit("rpm").is_none_or(|rpm| calls <= rpm)
    }

    /// Writes a row as the faults allow, and counts it.
    pub(super) fn record(&mut self, row: Row) {
        self.calls += 1;
        let faults = &self.state.faults;
        let hidden = row.status == 401 && faults.is_on(FaultName::RefusedLeaveNoRow);
        if hidden || faults.hits_replica(FaultName::ExporterStopped, row.replica) {
            return;
        }
        let lag = faults.number(FaultName::LogLag, "ms");
        let due = lag.map(|ms| Instant::now() + Duration::from_millis(ms));
        self.usage.count(&row);
        self.logs.write(row, due);
    }

    /// True when the fault's `only` argument means this key.
    pub(super) fn fault_means(&self, name: FaultName, key: &Key) -> bool {
        let newest = || self.state.tables.is_newest(key);
        match self.state.faults.text(name, "only") {
            None => false,
            Some("new") => newest(),
            Some("old") => !newest(),
            Some(_) => true,
        }
    }
}

/// What the servers and the consumers share.
pub(super) struct Shared {
    world: Mutex<World>,
    pub(super) urls: Urls,
    pub(super) options: Options,
    pub(super) slot: PathBuf,
    pub(super) logs: Vec<PathBuf>,
    /// Ends everything when it turns true.
    pub(super) stop: watch::Sender<bool>,
    busy: AtomicUsize,
}

impl Shared {
    /// Puts the parts together.
    pub(super) fn new(world: World, urls: Urls, options: Options, paths: &Paths, stop: watch::Sender<bool>) -> Self {
        Self {
            world: Mutex::new(world),
            slot: paths.slot(),
            logs: (0..options.replicas).map(|one| paths.log(one)).collect(),
            urls,
            options,
            stop,
            busy: AtomicUsize::new(0),
        }
    }

    /// The world, for the time of one look or change; never held across an await.
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call that is under way until the answer is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        self.busy.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// How many calls are under way.
    pub(super) fn under_way(&self) -> usize {
        self.busy.load(Ordering::Relaxed)
    }
}

/// A call that is being answered.
pub(super) struct UnderWay(Arc<Shared>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}
