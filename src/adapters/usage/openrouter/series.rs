//! How counters stood when they were read, in memory and in a file of one line for each change.

use crate::rotation::{KeyId, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file with more lines is not believed.
const MOST_LINES: usize = 1_000_000;

/// One reading of one counter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) at: Time,
    pub(super) value: f64,
    /// Which look of this process; 0 for an earlier one.
    pub(super) look: u64,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    at: Time,
    key: KeyId,
    spent: f64,
}

/// Readings by key: the first, and each that differs from the one before.
pub(super) struct Series {
    file: PathBuf,
    keys: BTreeMap<KeyId, Vec<Point>>,
}

impl Series {
    /// What earlier processes read. The error is a sentence without a path's content.
    pub(super) fn load(file: &Path) -> Result<Self, String> {
        let mut series = Self { file: file.to_owned(), keys: BTreeMap::new() };
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(series),
            Err(e) => return Err(format!("{} cannot be read: {e}", file.display())),
        };
        for line in text.lines().take(MOST_LINES) {
            // A process may have died in the middle of a line; what it lost is read again as a change.
            let Ok(line) = serde_json::from_str::<Line>(line) else { continue };
            series.keys.entry(line.key).or_default().push(Point { at: line.at, value: line.spent, look: 0 });
        }
        for points in series.keys.values_mut() {
            points.sort_by_key(|point| point.at);
        }
        Ok(series)
    }

    /// A new reading. A counter that went back is another key's, or was reset: nothing that it says can be compared.
    pub(super) fn add(&mut self, key: &KeyId, point: Point) -> Result<(), String> {
        let points = self.keys.entry(key.clone()).or_default();
        match points.last() {
            Some(last) if point.value < last.value => Err(format!("the counter of key {key} went back, so silence cannot be read from it")),
            Some(last) if point.value <= last.value => Ok(()),
            Some(_) | None => {
                points.push(point);
                write(&self.file, &Line { at: point.at, key: key.clone(), spent: point.value })
            }
        }
    }

    /// When the counter was seen to have moved. One that was made in this run began at nothing.
    pub(super) fn moves(&self, key: &KeyId, from_nothing: bool) -> Vec<Time> {
        let points = self.keys.get(key).map(Vec::as_slice).unwrap_or_default();
        let began = points.first().filter(|first| from_nothing && first.value > 0.0);
        began.into_iter().chain(points.iter().skip(1)).map(|point| point.at).collect()
    }

    /// Since when it is known.
    pub(super) fn since(&self, key: &KeyId) -> Option<Time> {
        self.keys.get(key)?.first().map(|point| point.at)
    }

    /// How it stands.
    pub(super) fn last(&self, key: &KeyId) -> Option<f64> {
        self.keys.get(key)?.last().map(|point| point.value)
    }

    /// How it stood after this many looks of this process.
    pub(super) fn at_look(&self, key: &KeyId, look: u64) -> Option<f64> {
        self.keys.get(key)?.iter().rev().find(|point| point.look <= look).map(|point| point.value)
    }
}

fn write(file: &Path, line: &Line) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("{} cannot be written: {e}", file.display());
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut text = serde_json::to_string(line).map_err(|e| format!("a reading cannot be written: {e}"))?;
    text.push('\n');
    let mut to = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(file).map_err(failed)?;
    to.write_all(text.as_bytes()).map_err(failed)
}
