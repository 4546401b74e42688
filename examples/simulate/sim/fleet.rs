//! The consumers, and the log that their calls leave: in shards, with a lag, and sometimes silent.

use super::gateway::{Hand, REPLICAS};
use keyroll::rotation::RequestId;

/// A row appears at most this much after its time.
pub(crate) const LAG: i64 = 60;

/// How a pod comes to read its slot again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// By itself, this often.
    Every(i64),
    /// When told.
    Told,
    /// Once, soon after the slot was first moved; until then it calls nobody.
    Moved,
    /// Never: it was started with a value and keeps it.
    Never,
}

/// One process that calls the gateway.
#[derive(Debug, Clone)]
pub(crate) struct Pod {
    /// Its label in the log; pods may share one.
    pub(crate) label: u16,
    /// The plan names its label.
    pub(crate) listed: bool,
    pub(crate) slot: usize,
    /// It calls this model and presents no key of ours.
    pub(crate) model: Option<usize>,
    pub(crate) cadence: i64,
    pub(crate) next_call: i64,
    pub(crate) reads: Reads,
    pub(crate) holds: usize,
    /// Who wrote the value it holds.
    pub(crate) wrote: Hand,
    pub(crate) loaded_at: i64,
    pub(crate) replica: usize,
    /// It always calls the same replica.
    pub(crate) pinned: bool,
    /// So many reloads are lost on it.
    pub(crate) deaf: u8,
    /// A reload on its way.
    pub(crate) reload_at: Option<i64>,
    /// It passes on the request ids that it is called with, ours among them.
    pub(crate) copies: bool,
}

/// One line of the gateway's log.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) at: i64,
    pub(crate) visible: i64,
    pub(crate) key: Option<usize>,
    pub(crate) label: u16,
    pub(crate) own: Option<RequestId>,
    /// The process that was found to know this call as its own: what it has written down once, it does not forget.
    pub(crate) known_to: u32,
    pub(crate) refused: bool,
    pub(crate) shard: usize,
}

/// The log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    pub(crate) rows: Vec<Row>,
    /// Each shard shows nothing between its two instants.
    pub(crate) silent: [(i64, i64); SHARDS.len()],
    /// Nothing about the keys of this run is shown from then on.
    pub(crate) blind_from: Option<i64>,
    /// Refused calls leave a row.
    pub(crate) refused_too: bool,
}

impl Log {
    pub(crate) fn add(&mut self, mut row: Row) {
        if row.refused && !self.refused_too {
            // The oracle knows of it; the source never shows it.
            row.visible = i64::MAX;
        }
        if self.blind_from.is_some_and(|from| row.at >= from) && row.label != NEIGHBOUR {
            row.visible = i64::MAX;
        }
        let (from, to) = self.silent[row.shard];
        if (from..to).contains(&row.at) {
            row.visible = row.visible.max(to);
        }
        self.rows.push(row);
    }

    /// A shard is silent for a while. What it holds back comes in its order: a later row never shows before an earlier one, beyond the
    /// lag, so a silence within another one only makes it longer.
    pub(crate) fn silence(&mut self, shard: usize, from: i64, to: i64) {
        let (begun, until) = self.silent[shard];
        self.silent[shard] = if from < until { (begun.min(from), until.max(to)) } else { (from, to) };
    }
}

/// Names of shards and endpoints, by replica.
pub(crate) const SHARDS: [&str; REPLICAS] = ["log-0", "log-1"];
/// Addresses of the replicas.
pub(crate) const ENDPOINTS: [&str; REPLICAS] = ["r0", "r1"];
/// Names of callers, by label.
pub(crate) const LABELS: [&str; 6] = ["web", "worker", "cron", "stranger", "model-user", "neighbour"];
/// The label of somebody who uses another key altogether.
pub(crate) const NEIGHBOUR: u16 = 5;
/// The label of our own calls.
pub(crate) const OURS: u16 = u16::MAX;
/// An id of ours that an application passes on: no process of this run wrote it down.
pub(crate) const COPIED: &str = "kr-passed-on-by-an-application";
