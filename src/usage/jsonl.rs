//! Log files with one JSON document per line.

use super::files;
use super::line::Reader;
use super::mapping::Mapping;
use super::tail::{Shared, Tail};
use super::tally;
use crate::ports::UsageQuery;
use crate::rotation::{Span, Time, UsageKind, UsagePlan, UsageTable};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;

/// What to read, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Paths; `*` stands for any part of the file name. Rotated siblings are read too, packed ones are not.
    pub paths: Vec<String>,
    /// Where each field is.
    pub mapping: Mapping,
    /// How many writers there must be; a missing one counts as silent.
    pub shards: Option<u32>,
    /// A row may appear this long after its time stamp.
    pub lag: Span,
    /// Whether refused calls leave a row; none: as far as the log shows.
    pub sees_refused: Option<bool>,
    /// Recognises ids of our own calls that the query does not name.
    pub ours: Ours,
    /// What a line looks like.
    pub shape: Shape,
}

/// What a line looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// A JSON document; the mapping says where each field is.
    Json,
    /// AISIX's access log.
    Aisix(AisixCaller),
}

/// Who called, by a log that does not tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AisixCaller {
    /// Nobody knows.
    Unknown,
    /// Whoever set the request id.
    RequestId,
    /// Always the same.
    Always(String),
}

/// Tells by its id whether a call was ours; each id counts once.
#[derive(Clone)]
pub struct Ours(pub std::rc::Rc<dyn Fn(&str) -> bool>);

impl std::fmt::Debug for Ours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ours")
    }
}

impl Settings {
    /// These paths, read with this mapping: no lag, no fixed number of writers.
    pub fn new(paths: Vec<String>, mapping: Mapping) -> Self {
        Self {
            paths,
            mapping,
            shards: None,
            lag: Span::ZERO,
            sees_refused: None,
            ours: Ours(std::rc::Rc::new(|_| false)),
            shape: Shape::Json,
        }
    }
}

/// Why a log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadProblem {
    /// A pattern that is not understood.
    #[error("use the log path {path}: `*` may stand in the file name only; list the folders one by one")]
    Pattern {
        /// The pattern.
        path: String,
    },
    /// The system refused.
    #[error("read the log {path}: {source}; check that keyroll may read it")]
    File {
        /// Which file or pattern.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

/// The device and number of a file: what stays when it is renamed.
type FileId = (u64, u64);

/// Reads logs on from where it stopped last time. What was read stays known when a file is renamed or deleted.
#[derive(Debug)]
pub struct JsonlReader {
    settings: Settings,
    reader: Reader,
    shared: Shared,
    tails: BTreeMap<FileId, Tail>,
    writers: BTreeSet<String>,
}

impl JsonlReader {
    /// A reader that has read nothing yet.
    ///
    /// # Errors
    /// When a pattern has a `*` outside the file name.
    pub fn new(settings: Settings) -> Result<Self, ReadProblem> {
        for path in &settings.paths {
            let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
            if folders.contains('*') || path.is_empty() || path.ends_with('/') {
                return Err(ReadProblem::Pattern { path: path.clone() });
            }
        }
        let reader = Reader::new(&settings.mapping, settings.shape.clone());
        Ok(Self { settings, reader, shared: Shared::default(), tails: BTreeMap::new(), writers: BTreeSet::new() })
    }

    /// Reads what is new.
    ///
    /// # Errors
    /// When a file is there and cannot be read. A file that is not there is a silent writer.
    pub fn refresh(&mut self) -> Result<(), ReadProblem> {
        let patterns = || self.settings.paths.join(", ");
        let (found, named) = files::find(&self.settings.paths).map_err(|source| ReadProblem::File { path: patterns(), source })?;
        if self.settings.mapping.shard.is_none() {
            self.writers.extend(named);
            self.writers.extend(found.iter().map(|f| f.shard.clone()));
        }
        let mut done: HashSet<FileId> = HashSet::new();
        for one in found {
            let problem = |source| ReadProblem::File { path: one.path.display().to_string(), source };
            let file = match File::open(&one.path) {
                Ok(file) => file,
                // Rotated away between listing and opening.
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(problem(e)),
            };
            let about = file.metadata().map_err(problem)?;
            let id = (about.dev(), about.ino());
            if done.insert(id) {
                let tail = self.tails.entry(id).or_default();
                tail.catch_up(file, &self.reader, &mut self.shared, &one.shard).map_err(problem)?;
            }
        }
        Ok(())
    }

    /// Counts what was read.
    pub fn table(&self, query: &UsageQuery<'_>) -> UsageTable {
        let mut table = tally::tally(self.tails.values(), &self.shared, query, &*self.settings.ours.0);
        let (shards, reaches) = tally::shards(self.tails.values(), &self.shared, &self.silent(), query.to);
        table.shards = shards;
        table.reaches = reaches;
        table.lag = self.settings.lag;
        let new = query.new.map_or("none", |id| id.as_str());
        table.query = format!(
            "jsonl {}: old {}, new {new}, from {} to {}",
            self.settings.paths.join(", "),
            query.old,
            query.from.rfc3339(),
            query.to.rfc3339()
        );
        table
    }

    /// What this source can show.
    pub fn describe(&self) -> UsagePlan {
        let (shards, reaches) = tally::shards(self.tails.values(), &self.shared, &self.silent(), Time(i64::MAX));
        UsagePlan {
            kind: UsageKind::Rows,
            sees_refused: self.settings.sees_refused.unwrap_or_else(|| tally::any_refused(self.tails.values())),
            names_caller: match &self.settings.shape {
                Shape::Json => self.settings.mapping.caller.is_some(),
                Shape::Aisix(caller) => *caller != AisixCaller::Unknown,
            },
            lag: self.settings.lag,
            shards: shards.into_iter().map(|s| s.name).collect(),
            reaches,
            source: format!("log files {}", self.settings.paths.join(", ")),
        }
    }

    /// Writers that must be heard from, whether they have written or not.
    fn silent(&self) -> BTreeSet<String> {
        let mut names = self.writers.clone();
        let (shards, _) = tally::shards(self.tails.values(), &self.shared, &BTreeSet::new(), Time(i64::MAX));
        let seen: BTreeSet<String> = shards.into_iter().map(|s| s.name).chain(names.iter().cloned()).collect();
        let expected = self.settings.shards.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        for missing in seen.len()..expected {
            names.insert(format!("(writer {} of {expected}, never seen)", missing + 1));
        }
        names
    }
}
