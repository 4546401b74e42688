//! Shows a run while it happens: live in a terminal, one line per change in CI, one JSON record per line for programs.

use super::out::{Out, Tone};
use crate::engine::Observer;
use crate::rotation::{Course, Done, Effect, Kind, Outcome, Point, Record, Reload, Run, Time, Verdict, Which};
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// The watcher of one run.
pub(crate) struct Live<'a> {
    out: &'a Out,
    bar: Option<ProgressBar>,
    step: bool,
    last_gate: Option<(Point, Vec<(String, Verdict)>)>,
}

impl<'a> Live<'a> {
    /// A watcher that asks before each effect when `step` is set.
    pub(crate) fn new(out: &'a Out, step: bool) -> Self {
        let bar = out.terminal.then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(ProgressStyle::with_template("  {spinner} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { out, bar, step, last_gate: None }
    }

    fn line(&self, text: &str) {
        if self.out.quiet {
            return;
        }
        match &self.bar {
            Some(bar) => bar.suspend(|| self.out.say(text)),
            None => self.out.say(text),
        }
    }

    /// A detail cut to what is left of the line in a terminal; elsewhere lines are as long as they need to be.
    fn fit(&self, used: usize, text: &str) -> String {
        if self.bar.is_none() {
            return clip(text);
        }
        let left = usize::from(super::out::width()).saturating_sub(used + 1);
        crate::support::text::clean_to(text, left.max(12))
    }

    fn now(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.to_owned());
        }
    }

    /// Takes the live line away.
    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// One line when a gate passes; before that, one line for each check whose verdict changed and does not let it pass.
    fn gate(&mut self, point: &Point, checks: &[crate::rotation::Judged], run: &Run) {
        let before = match self.last_gate.take() {
            Some((p, before)) if p == *point => before,
            Some(_) | None => Vec::new(),
        };
        let changed = |c: &crate::rotation::Judged| !before.iter().any(|(id, v)| *id == c.check && *v == c.verdict);
        let passed = checks.iter().filter(|c| c.verdict == Verdict::Pass).count();
        let all = checks.iter().all(|c| c.verdict.advances());
        if all {
            let names: Vec<&str> = checks.iter().filter(|c| c.verdict == Verdict::Pass).map(|c| c.check.as_str()).collect();
            let what = point_words(point, run);
            let which = self.fit(6 + what.chars().count(), &format!("{passed} of {}: {}", checks.len(), names.join(", ")));
            let what = format!("{what} {}", self.out.paint(Tone::Dim, &which));
            self.line(&format!("   {} {what}", self.out.paint(Tone::Good, "✓")));
        }
        for check in checks.iter().filter(|c| c.verdict != Verdict::Pass && changed(c)) {
            let (sign, tone) = match check.verdict {
                Verdict::Pass => ("✓", Tone::Good),
                Verdict::Fail => ("✗", Tone::Bad),
                Verdict::Inconclusive | Verdict::NoData => ("…", Tone::Dim),
                Verdict::Error => ("!", Tone::Warn),
                Verdict::Waived => ("w waived", Tone::Warn),
                Verdict::Skipped => ("s skipped", Tone::Warn),
            };
            let why = match check.verdict {
                // What fails is said in full, whatever the width.
                Verdict::Fail | Verdict::Error => clip(&check.why),
                Verdict::Pass | Verdict::Inconclusive | Verdict::NoData | Verdict::Waived | Verdict::Skipped => {
                    self.fit(8 + sign.chars().count() + check.check.chars().count(), &check.why)
                }
            };
            self.line(&format!("     {} {}  {}", self.out.paint(tone, sign), check.check, self.out.paint(Tone::Dim, &why)));
        }
        self.last_gate = Some((point.clone(), checks.iter().map(|c| (c.check.clone(), c.verdict)).collect()));
    }
}

/// What it means that a gate passed.
fn point_words(point: &Point, run: &Run) -> String {
    if let Kind::Provider { .. } = run.plan.kind
        && let Some(words) = provider_words(point, run)
    {
        return words.into();
    }
    match point {
        Point::Bound => "the slots hold this very key, and it works".into(),
        Point::Prepared => "both keys work, and the new one may do what the old one may".into(),
        Point::Canary => "the new key works and is logged as it should".into(),
        Point::Reloaded(app) => format!("{app} is on the new key"),
        Point::Flipped => "the new value is current".into(),
        Point::Drained => "nothing uses the old key any more".into(),
        Point::BeforeDisable => "judged again, just before the disable".into(),
        Point::Soaked => "the old key is refused, and nobody misses it".into(),
        Point::BeforeDelete => "judged again, just before the deletion".into(),
        Point::Gone => "the old key is gone and refused".into(),
        Point::Complete => "the evidence is complete".into(),
        Point::OldAccepted => "the old key is accepted everywhere".into(),
        Point::Returned(app) => format!("{app} is on the old key again"),
        Point::NewDrained => "nothing uses the new key any more".into(),
        Point::NewSoaked => "the new key is refused, and nobody misses it".into(),
        Point::Undone => "all is as it was before".into(),
    }
}

/// The same for a provider key, where it means something else.
fn provider_words(point: &Point, run: &Run) -> Option<&'static str> {
    Some(match point {
        Point::Bound => "the gateway lists this key as accepted",
        Point::Prepared => "the provider accepts the new key, which may do what the old one may",
        Point::Canary => "the provider accepts the new key",
        Point::Flipped => "every replica serves the models with the new key",
        Point::Soaked => "the old key is off, and nobody misses it",
        Point::Gone if run.plan.knows_old() => "the gateway let go of the old key, and the provider refuses it",
        Point::Gone => "the gateway let go of the old key",
        Point::OldAccepted => "the gateway lists the old key as accepted",
        Point::NewSoaked => "the new key is off, and nobody misses it",
        Point::Reloaded(_)
        | Point::Drained
        | Point::BeforeDisable
        | Point::BeforeDelete
        | Point::Complete
        | Point::Returned(_)
        | Point::NewDrained
        | Point::Undone => return None,
    })
}

impl Observer for Live<'_> {
    fn saw(&mut self, record: &Record, run: &Run) {
        if self.out.json {
            self.out.value(&serde_json::json!({ "kind": "record", "v": 1, "run": run.id, "record": record }));
            return;
        }
        match record {
            Record::Moved { to } => {
                self.last_gate = None;
                self.line(&self.out.paint(Tone::Strong, &format!("  {to}")));
            }
            Record::Turned { why, .. } => self.line(&format!("  {} {}", self.out.paint(Tone::Warn, "rolling back:"), clip(why))),
            Record::Reopened { why, .. } => self.line(&format!("  {} {}", self.out.paint(Tone::Warn, "re-opened:"), clip(why))),
            Record::Began { effect, .. } => self.now(&words(effect, run)),
            Record::Ended { outcome, .. } => {
                let what = words_of_last(run);
                match outcome {
                    Outcome::Done(done) => self.line(&format!("   {} {what}{}", self.out.paint(Tone::Good, "●"), detail(done))),
                    Outcome::NotDone { why } => self.line(&format!("   {} did not happen, {}", self.out.paint(Tone::Warn, "○"), clip(why))),
                    Outcome::Refused { why } => self.line(&format!("   {} refused, {}", self.out.paint(Tone::Bad, "●"), clip(why))),
                    Outcome::Unknown { why } => {
                        self.line(&format!("   {} answer lost, looking: {}", self.out.paint(Tone::Warn, "?"), clip(why)))
                    }
                    Outcome::Conflict { why } => self.line(&format!("   {} conflict, {}", self.out.paint(Tone::Bad, "●"), clip(why))),
                }
            }
            Record::Judged { point, checks, .. } => self.gate(point, checks, run),
            Record::Looked { drift, .. } => {
                for d in drift {
                    self.line(&format!("   {} {}", self.out.paint(Tone::Warn, "≠"), d.words()));
                }
            }
            Record::Asked { phase, role, .. } => {
                self.line(&format!("   {} {role} must approve {phase}: keyroll approve {}", self.out.paint(Tone::Warn, "?"), run.id))
            }
            Record::Answered { by, yes, .. } => {
                let said = if *yes { "approved" } else { "rejected" };
                self.line(&format!("   {} {said} by {by}", self.out.paint(if *yes { Tone::Good } else { Tone::Bad }, "●")));
            }
            Record::Emergency { why, breaks, .. } => {
                self.line(&format!("  {} {}", self.out.paint(Tone::Bad, "emergency:"), clip(why)));
                if !breaks.is_empty() {
                    let names: Vec<&str> = breaks.iter().map(crate::rotation::App::as_str).collect();
                    self.line(&format!("   ! will be refused if they are still on the old key: {}", names.join(", ")));
                }
            }
            Record::Waived { check, by, why, .. } => self.line(&format!("   w {check} waived by {by}: {}", clip(why))),
            Record::Noted { what } => self.line(&format!("   {} {}", self.out.paint(Tone::Dim, "·"), clip(what))),
            Record::Amended { accepts, by, .. } => self.line(&format!(
                "   w {by} accepts {} as they are",
                crate::support::text::plural(accepts.len(), "difference", "differences")
            )),
            Record::Planned { .. }
            | Record::Opened { .. }
            | Record::Spawned { .. }
            | Record::Calls { .. }
            | Record::Excepted { .. }
            | Record::Parked { .. }
            | Record::Stuck { .. }
            | Record::Unlocked { .. }
            | Record::Checkpoint { .. }
            | Record::Finished { .. } => {}
        }
    }

    fn waits(&mut self, run: &Run, until: Time, why: &str) {
        let way = if run.course == Course::Undo { "way back" } else { run.phase.name() };
        self.now(&format!("{way}: {} (next look {})", clip(why), until.rfc3339().get(11..19).unwrap_or_default()));
    }

    fn may(&mut self, run: &Run, effect: &Effect) -> bool {
        if !self.step {
            return true;
        }
        self.line(&format!("   next: {}", words(effect, run)));
        let ask = || dialoguer::Confirm::new().with_prompt("   do it?").default(false).interact().unwrap_or(false);
        match &self.bar {
            Some(bar) => bar.suspend(ask),
            None => ask(),
        }
    }
}

fn words_of_last(run: &Run) -> String {
    run.last_effect.as_ref().map_or_else(String::new, |e| words(e, run))
}

/// An effect in words.
pub(crate) fn words(effect: &Effect, run: &Run) -> String {
    let slot =
        |n: &crate::rotation::SlotNo| run.plan.slots.get(usize::from(n.0)).map_or_else(|| format!("slot {}", n.0 + 1), |s| s.name.clone());
    let key = |w: &Which| w.name();
    match effect {
        Effect::Mint { .. } => "mint the new key".into(),
        Effect::Stage { slot: n, .. } => format!("stage it in {}", slot(n)),
        Effect::Promote { slot: n, .. } => format!("promote in {}", slot(n)),
        Effect::Repoint { model, to } => format!("repoint {model} to the {} provider key", key(to)),
        Effect::Reload { app, .. } => match run.plan.consumers.iter().find(|c| c.app == *app) {
            Some(c) if matches!(c.reload, Reload::ByHand) => format!("ask {} to reload {app} by hand", c.owner),
            Some(_) | None => format!("reload {app}"),
        },
        Effect::Disable { key: w, id, .. } => format!("disable the {} key {id}", key(w)),
        Effect::Enable { key: w, id } => format!("enable the {} key {id}", key(w)),
        Effect::Delete { key: w, id } => format!("delete the {} key {id}", key(w)),
        Effect::Discard { id, .. } => format!("delete key {id}, whose value was lost"),
        Effect::Demote { slot: n, .. } => format!("put the old value back in {}", slot(n)),
        Effect::Fence { slot: n, .. } => format!("fence {}", slot(n)),
        Effect::DropPending { slot: n } => format!("drop the pending value in {}", slot(n)),
        Effect::Retire { slot: n } => format!("unlink the previous value in {}", slot(n)),
        Effect::MarkLive { id } => format!("mark {id} as live"),
        Effect::Scan => "scan the evidence for every secret".into(),
        Effect::Seal => "seal the evidence".into(),
    }
}

fn detail(done: &Done) -> String {
    match done {
        Done::Minted { id, .. } => format!(": {id}"),
        Done::Written { digest, .. } => format!(": sha256 {}", digest.get(..16).unwrap_or_default()),
        Done::Plain | Done::Staged { .. } | Done::Moved { .. } | Done::Already => String::new(),
    }
}

fn clip(text: &str) -> String {
    crate::support::text::clean_to(text, 160)
}
