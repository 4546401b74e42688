//! The request log, one file per replica, and the consumers' own log; both are appended line by line.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::SandboxError;
use super::state::Paths;

/// One line of the request log: one call as one replica saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    /// When the call began, in the gateway's time.
    pub(super) ts: String,
    pub(super) request_id: String,
    pub(super) key_id: Option<String>,
    pub(super) key_name: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) provider_key_id: Option<String>,
    pub(super) consumer: Option<String>,
    /// `app`, or `probe` when the caller says so.
    pub(super) purpose: String,
    pub(super) route: String,
    pub(super) model: Option<String>,
    pub(super) status: u16,
    pub(super) error_type: Option<String>,
    pub(super) latency_ms: u64,
    pub(super) tokens: u64,
    pub(super) cost_usd: f64,
    pub(super) stream: bool,
    pub(super) replica: usize,
}

/// One line of the consumers' own log: the witness that does not depend on the gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ConsumerRow {
    pub(super) ts: String,
    pub(super) consumer: String,
    pub(super) request_id: String,
    /// The HTTP status; 0 when no answer came.
    pub(super) status: u16,
}

/// One line of the fake provider's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct UpstreamRow {
    pub(super) ts: String,
    pub(super) upstream_key_id: Option<String>,
    /// `gateway`, or `direct` for a caller that does not go through it.
    pub(super) via: String,
    pub(super) status: u16,
}

/// A file that only grows, whole line by whole line.
pub(super) struct Appender {
    file: File,
}

impl Appender {
    /// Opens or makes the file; a torn last line is ended first, so that the next line stands alone.
    pub(super) fn open(path: &Path) -> Result<Self, SandboxError> {
        let open = || -> std::io::Result<File> {
            let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
            if file.metadata()?.len() > 0 {
                let mut last = [0_u8];
                file.seek(SeekFrom::End(-1))?;
                file.read_exact(&mut last)?;
                if last != *b"\n" {
                    file.write_all(b"\n")?;
                }
            }
            Ok(file)
        };
        let file = open().map_err(|why| SandboxError::file("open", path, &why))?;
        Ok(Self { file })
    }

    /// Appends a value as one line. A full disk loses the line, as with any exporter.
    pub(super) fn append<T: Serialize>(&mut self, row: &T) {
        if let Ok(mut line) = serde_json::to_vec(row) {
            line.push(b'\n');
            let _lost_on_a_full_disk = self.file.write_all(&line);
        }
    }
}

/// Every row that can be read in a file; torn and foreign lines are skipped.
pub(super) fn rows<T: for<'de> Deserialize<'de>>(path: &Path) -> impl Iterator<Item = T> + use<T> {
    let lines = File::open(path).ok().map(|file| BufReader::new(file).split(b'\n'));
    let lines = lines.into_iter().flatten();
    // An error of reading ends the file; skipping it could repeat for ever.
    lines.map_while(Result::ok).filter_map(|line| serde_json::from_slice(&line).ok())
}

/// The writers of one sandbox.
pub(super) struct Logs {
    replicas: Vec<Appender>,
    /// Rows that the fault `log_lag` holds back, with the time when they are due.
    held: VecDeque<(Instant, Row)>,
    pub(super) consumers: Appender,
    pub(super) upstream: Appender,
}

impl Logs {
    /// Opens every file.
    pub(super) fn open(paths: &Paths, replicas: usize) -> Result<Self, SandboxError> {
        Ok(Self {
            replicas: (0..replicas).map(|replica| Appender::open(&paths.log(replica))).collect::<Result<_, _>>()?,
            held: VecDeque::new(),
            consumers: Appender::open(&paths.consumers())?,
            upstream: Appender::open(&paths.upstream_log())?,
        })
    }

    /// Writes a row now, or when it is due.
    pub(super) fn write(&mut self, row: Row, due: Option<Instant>) {
        match due {
            Some(due) => self.held.push_back((due, row)),
            None => self.append(&row),
        }
    }

    /// Writes what has become due; with `None` everything.
    pub(super) fn flush(&mut self, now: Option<Instant>) {
        let (due, later): (VecDeque<_>, VecDeque<_>) = self.held.drain(..).partition(|(due, _)| now.is_none_or(|now| *due <= now));
        self.held = later;
        for (_, row) in due {
            self.append(&row);
        }
    }

    fn append(&mut self, row: &Row) {
        if let Some(file) = self.replicas.get_mut(row.replica) {
            file.append(row);
        }
    }
}

/// What the gateway counts per key.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct KeyUse {
    pub(super) requests: u64,
    pub(super) refused: u64,
    pub(super) tokens: u64,
    pub(super) cost_usd: f64,
    /// The newest call that was not refused.
    pub(super) last_used_at: Option<String>,
    pub(super) by_status: BTreeMap<u16, u64>,
}

/// The gateway's counters, rebuilt from the log after a restart.
#[derive(Debug, Default)]
pub(super) struct Usage {
    pub(super) keys: BTreeMap<String, KeyUse>,
    /// Rows per consumer label as the log has them.
    pub(super) consumers: BTreeMap<String, u64>,
    pub(super) rows: u64,
    pub(super) refused: u64,
    /// Rows without a key.
    pub(super) unattributed: u64,
}

impl Usage {
    /// Counts everything that earlier processes logged.
    pub(super) fn rebuild(paths: &Paths, replicas: usize) -> Self {
        let mut usage = Self::default();
        for replica in 0..replicas {
            for row in rows::<Row>(&paths.log(replica)) {
                usage.count(&row);
            }
        }
        usage
    }

    /// Counts one row.
    pub(super) fn count(&mut self, row: &Row) {
        self.rows += 1;
        let refused = row.status == 401;
        self.refused += u64::from(refused);
        if let Some(consumer) = &row.consumer {
            *self.consumers.entry(consumer.clone()).or_default() += 1;
        }
        let Some(id) = &row.key_id else {
            self.unattributed += 1;
            return;
        };
        let key = self.keys.entry(id.clone()).or_default();
        key.requests += 1;
        key.refused += u64::from(refused);
        key.tokens += row.tokens;
        key.cost_usd += row.cost_usd;
        *key.by_status.entry(row.status).or_default() += 1;
        if !refused && key.last_used_at.as_ref().is_none_or(|last| *last < row.ts) {
            key.last_used_at = Some(row.ts.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may")]
    use super::*;

    #[test]
    fn a_torn_line_spoils_neither_the_reader_nor_the_next_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "{\"ts\":\"1\",\"consumer\":\"a\",\"request_id\":\"r\",\"sta").unwrap();
        let row = ConsumerRow { ts: "2".into(), consumer: "a".into(), request_id: "r2".into(), status: 200 };
        Appender::open(&path).unwrap().append(&row);
        assert_eq!(rows::<ConsumerRow>(&path).collect::<Vec<_>>(), vec![row]);
    }
}
