//! `gates/<phase>/<point>-<check>.json`: how each check was judged, the last time and before.

use super::timeline::{Look, Timeline};
use super::words::{self, Stage};
use crate::rotation::{Check, Judged, Point, Run, Time, Verdict};
use serde::Serialize;
use std::collections::BTreeMap;

/// One check of one point.
#[derive(Debug, Serialize)]
pub(super) struct GateFile<'a> {
    v: u32,
    pub(super) phase: &'static str,
    pub(super) point: &'static str,
    pub(super) consumer: Option<&'a str>,
    pub(super) check: &'a str,
    pub(super) asks: String,
    rule: Option<&'a Check>,
    pub(super) looks: usize,
    /// How often each verdict came.
    pub(super) history: BTreeMap<&'static str, usize>,
    first_at: Time,
    pub(super) last: Last<'a>,
    /// What the last look read.
    pub(super) source: Source<'a>,
}

/// The last look.
#[derive(Debug, Serialize)]
pub(super) struct Last<'a> {
    record: u64,
    pub(super) at: Time,
    pub(super) verdict: Verdict,
    pub(super) why: String,
    counts: &'a BTreeMap<String, u64>,
    about: Vec<String>,
}

/// Where the numbers came from, for somebody who wants to repeat them.
#[derive(Debug, Serialize)]
pub(super) struct Source<'a> {
    calls: usize,
    errors: &'a BTreeMap<String, String>,
    pub(super) usage: Option<Window>,
}

/// One window of the usage source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Window {
    pub(super) query: String,
    pub(super) from: Time,
    pub(super) to: Time,
    pub(super) rows: u64,
    malformed: u64,
    own_rows: usize,
    pub(super) complete_to: Option<Time>,
    pub(super) reaches: Option<Time>,
    shards: Vec<String>,
}

/// Every check that was judged, by file path.
pub(super) fn gates<'a>(run: &'a Run, line: &'a Timeline<'a>) -> BTreeMap<String, GateFile<'a>> {
    let mut files: BTreeMap<String, GateFile<'a>> = BTreeMap::new();
    for look in &line.looks {
        for judged in look.checks {
            let path = path(look.point, &judged.check);
            match files.get_mut(&path) {
                Some(file) => file.again(look, judged),
                None => {
                    files.insert(path, GateFile::first(run, look, judged));
                }
            }
        }
    }
    files
}

fn path(point: &Point, check: &str) -> String {
    let part = super::text::file_part;
    let who = words::consumer(point).map(|c| format!("{}-", part(c))).unwrap_or_default();
    format!("gates/{}/{}-{who}{}.json", Stage::of(point).name(), words::point(point), part(check))
}

impl<'a> GateFile<'a> {
    fn first(run: &'a Run, look: &'a Look<'a>, judged: &'a Judged) -> Self {
        let rule = run.plan.checks(look.point).iter().find(|c| c.id == judged.check);
        Self {
            v: 1,
            phase: Stage::of(look.point).name(),
            point: words::point(look.point),
            consumer: words::consumer(look.point),
            check: &judged.check,
            asks: rule.map_or_else(|| "a check that the plan does not have".to_owned(), |c| words::ask(&c.ask)),
            rule,
            looks: 1,
            history: BTreeMap::from([(words::verdict(judged.verdict), 1)]),
            first_at: look.at,
            last: Last::of(look, judged),
            source: Source::of(look),
        }
    }

    fn again(&mut self, look: &'a Look<'a>, judged: &'a Judged) {
        self.looks = self.looks.saturating_add(1);
        *self.history.entry(words::verdict(judged.verdict)).or_default() += 1;
        self.last = Last::of(look, judged);
        self.source = Source::of(look);
    }
}

impl<'a> Last<'a> {
    fn of(look: &'a Look<'a>, judged: &'a Judged) -> Self {
        let plain = |s: &String| super::text::plain(s);
        Self {
            record: look.record,
            at: look.at,
            verdict: judged.verdict,
            why: plain(&judged.why),
            counts: &judged.counts,
            about: judged.about.iter().map(plain).collect(),
        }
    }
}

impl<'a> Source<'a> {
    fn of(look: &'a Look<'a>) -> Self {
        Self { calls: look.reading.calls.len(), errors: &look.reading.errors, usage: look.reading.usage.as_ref().map(Window::of) }
    }
}

impl Window {
    pub(super) fn of(table: &crate::rotation::UsageTable) -> Self {
        Self {
            query: super::text::plain(&table.query),
            from: table.from,
            to: table.to,
            rows: table.rows,
            malformed: table.malformed,
            own_rows: table.own.len(),
            complete_to: table.watermark(),
            reaches: table.reaches,
            shards: table.shards.iter().map(|s| s.name.clone()).collect(),
        }
    }
}
