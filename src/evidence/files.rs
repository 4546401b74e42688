//! Journal → payload: every file of a bundle from the same sorted facts. Pure: the same journal gives the same bytes.

use super::gaps::Gaps;
use super::gates::GateFile;
use super::lines::{self, BadLine, Entry};
use super::negative::Negative;
use super::payload::Payload;
use super::people::{Approvals, Exceptions};
use super::timeline::Timeline;
use super::versions::Versions;
use super::words::Stage;
use super::{gaps, gates, negative, people, phases, report, versions, words};
use crate::rotation::{Illegal, Run};
use serde::Serialize;
use std::collections::BTreeMap;

/// What all files and the report are written from.
pub(super) struct Facts<'a> {
    pub(super) run: &'a Run,
    pub(super) line: &'a Timeline<'a>,
    pub(super) gates: BTreeMap<String, GateFile<'a>>,
    pub(super) negative: Negative,
    pub(super) negative_new_id: Option<String>,
    pub(super) approvals: Approvals,
    pub(super) exceptions: Exceptions,
    pub(super) versions: Versions,
    pub(super) gaps: Gaps,
}

impl<'a> Facts<'a> {
    /// Sorts a run.
    pub(super) fn of(run: &'a Run, entries: &'a [Entry], line: &'a Timeline<'a>) -> Self {
        let negative = negative::negative(run, line);
        let (approvals, exceptions) = (people::approvals(run, entries), people::exceptions(run, entries));
        let versions = versions::versions(run, line);
        let gaps = gaps::gaps(&gaps::Facts {
            run,
            entries,
            line,
            approvals: &approvals,
            exceptions: &exceptions,
            versions: &versions,
            end_state: negative.end_state,
        });
        let negative_new_id = negative::new_id(run, line);
        Self { run, line, gates: gates::gates(run, line), negative, negative_new_id, approvals, exceptions, versions, gaps }
    }
}

/// Why a journal cannot be turned into evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CollectError {
    /// It is damaged.
    #[error(transparent)]
    Line(#[from] BadLine),
    /// Its records do not follow from each other.
    #[error(transparent)]
    Fold(#[from] Illegal),
}

/// The payload of a journal's bytes: reads, folds and collects.
///
/// # Errors
/// When the journal is damaged.
pub fn collect_journal(bytes: &[u8]) -> Result<(Run, Payload), CollectError> {
    let lines = lines::read(bytes)?;
    let run = Run::replay(lines.entries.iter().map(|e| &e.record))?;
    let intact = bytes.get(..lines.intact).unwrap_or_default();
    let payload = collect(&run, intact, &lines.entries, &lines.head);
    Ok((run, payload))
}

/// The payload of a run, without `redaction.json`.
pub fn collect(run: &Run, journal: &[u8], entries: &[Entry], head: &str) -> Payload {
    let line = Timeline::of(entries);
    let facts = Facts::of(run, entries, &line);
    let mut files = BTreeMap::new();
    let mut add = |path: &str, bytes: Vec<u8>| files.insert(path.to_owned(), bytes);
    add("policy.yaml", run.plan.policy.text.clone().into_bytes());
    add("policy-effective.json", run.plan.policy.effective.clone().into_bytes());
    // As it was hashed, without a newline, so that the digest of this file is the plan id.
    add("plan.json", serde_json::to_vec(&*run.plan).unwrap_or_default());
    add("journal.jsonl", journal.to_vec());
    for (i, stage) in Stage::all().enumerate() {
        // A way back is a file of its own only where there was one.
        if stage != Stage::WayBack || run.turned.is_some() {
            add(&phases::path(stage, i + 1), json(&phases::phase(run, &line, stage)));
        }
    }
    for (path, gate) in &facts.gates {
        add(path, json(gate));
    }
    add("probes.jsonl", probes(&line));
    add("negative-test.json", json(&facts.negative));
    add("approvals.json", json(&facts.approvals));
    add("exceptions.json", json(&facts.exceptions));
    add("versions.json", json(&facts.versions));
    add("gaps.json", json(&facts.gaps));
    add("report.md", report::of(&facts).into_bytes());
    Payload {
        run: run.id.to_string(),
        plan_id: run.plan_id.to_string(),
        head: head.to_owned(),
        lines: u64::try_from(entries.len()).unwrap_or(u64::MAX),
        files,
    }
}

/// One line per call of ours.
fn probes(line: &Timeline<'_>) -> Vec<u8> {
    #[derive(Serialize)]
    struct Probe<'a> {
        record: u64,
        point: &'static str,
        consumer: Option<&'a str>,
        #[serde(flatten)]
        call: negative::Call,
    }
    let mut out = Vec::new();
    for look in &line.looks {
        for facts in &look.reading.calls {
            let (point, consumer) = (words::point(look.point), words::consumer(look.point));
            let probe = Probe { record: look.record, point, consumer, call: negative::call(facts) };
            out.extend(serde_json::to_vec(&probe).unwrap_or_default());
            out.push(b'\n');
        }
    }
    out
}

/// Readable JSON with a newline at the end.
pub(super) fn json(value: &impl Serialize) -> Vec<u8> {
    // Plain data with text keys: it always has a JSON form.
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
