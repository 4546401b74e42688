//! How counters stood when they were read, in memory and in a file of one line for each change.

use crate::adapters::gateway::notes;
use crate::rotation::{KeyId, RequestId, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
#[serde(untagged)]
enum Line {
    /// How a counter stood.
    Stood { at: Time, key: KeyId, spent: f64 },
    /// What a call of ours cost.
    Cost { request: RequestId, cost: f64 },
}

/// Readings by key: the first, and each that differs from the one before.
pub(super) struct Series {
    file: PathBuf,
    keys: BTreeMap<KeyId, Vec<Point>>,
    costs: BTreeMap<RequestId, f64>,
}

impl Series {
    /// What earlier processes read. The error is a sentence without a path's content.
    pub(super) fn load(file: &Path) -> Result<Self, String> {
        let mut series = Self { file: file.to_owned(), keys: BTreeMap::new(), costs: BTreeMap::new() };
        for line in notes::lines(file)? {
            match line {
                Line::Stood { at, key, spent } => series.keys.entry(key).or_default().push(Point { at, value: spent, look: 0 }),
                Line::Cost { request, cost } => drop(series.costs.insert(request, cost)),
            }
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
                notes::append(&self.file, &Line::Stood { at: point.at, key: key.clone(), spent: point.value })
            }
        }
    }

    /// A call of ours cost so much.
    pub(super) fn paid(&mut self, request: &RequestId, cost: f64) -> Result<(), String> {
        if self.costs.insert(request.clone(), cost).is_some() {
            return Ok(());
        }
        notes::append(&self.file, &Line::Cost { request: request.clone(), cost })
    }

    /// What a call of ours cost, where it is known.
    pub(super) fn cost(&self, request: &RequestId) -> Option<f64> {
        self.costs.get(request).copied()
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
