//! A run in a few fields, for `status` and for `--output json`.

use super::{story, words};
use crate::rotation::{Course, OldKey, Phase, Run, Time, Verdict, Which};
use serde::Serialize;

/// A run as it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Version of this shape.
    pub v: u32,
    /// The run.
    pub run: String,
    /// The plan it obeys.
    pub plan_id: String,
    /// Name of the credential.
    pub credential: String,
    /// Who owns it.
    pub owner: String,
    /// Where it is used.
    pub environment: String,
    /// Why it is rotated.
    pub reason: String,
    /// The change ticket.
    pub ticket: Option<String>,
    /// How it stands, in one word or two.
    pub result: String,
    /// The same in a sentence.
    pub sentence: String,
    /// The phase it is in.
    pub phase: Phase,
    /// Which way it goes.
    pub course: Course,
    /// Which attempt at revoke.
    pub attempt: u32,
    /// When it began.
    pub started_at: Option<Time>,
    /// The last record that carries a time.
    pub updated_at: Option<Time>,
    /// The old key.
    pub old: KeyLine,
    /// The new key, while there is one.
    pub new: Option<KeyLine>,
    /// Where consumers read.
    pub slots: Vec<SlotLine>,
    /// The gate that was judged last, while it matters.
    pub gate: Option<GateNow>,
    /// What it waits for.
    pub waiting: Option<Waiting>,
    /// Why it is stuck, and what to do, in order.
    pub stuck: Option<Stuck>,
    /// The old key can still come back.
    pub can_go_back: bool,
    /// Emergency mode: who and why.
    pub emergency: Option<String>,
    /// How many checks are waived.
    pub waivers: usize,
    /// Consumers that may stay on the old key.
    pub exceptions: Vec<String>,
    /// Keys of this run whose value is lost; each must be removed.
    pub strays: Vec<String>,
    /// Differences in the world that nobody accepted.
    pub drift: Vec<String>,
    /// Where the bundle is.
    pub bundle: Option<BundleLine>,
}

/// A key, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyLine {
    /// The gateway's id.
    pub id: String,
    /// In which state.
    pub state: String,
}

/// A slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SlotLine {
    /// How messages name it.
    pub name: String,
    /// Which key consumers read there.
    pub current: Which,
    /// The new value waits beside the current one.
    pub pending: bool,
}

/// The gate that was judged last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GateNow {
    /// Where.
    pub point: String,
    /// About which consumer.
    pub consumer: Option<String>,
    /// How often in a row.
    pub looks: u32,
    /// The last time.
    pub at: Time,
    /// Its checks.
    pub checks: Vec<CheckNow>,
}

/// One check as it was judged last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckNow {
    /// Its name.
    pub check: String,
    /// How it ended.
    pub verdict: Verdict,
    /// Why, and what would change it.
    pub why: String,
}

/// What a run waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// In words.
    pub why: String,
    /// When to look again.
    pub wake_at: Option<Time>,
    /// A person must do something.
    pub person: bool,
}

/// A run that cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stuck {
    /// Why.
    pub why: String,
    /// What to do, in order.
    pub steps: Vec<String>,
}

/// A bundle that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BundleLine {
    /// SHA-256 of its manifest.
    pub digest: String,
    /// Where it is.
    pub place: String,
}

/// The run as it stands.
pub fn summary(run: &Run) -> Summary {
    let about = &run.plan.about;
    let result = story::result(run);
    let slots = run.plan.slots.iter().zip(&run.slots);
    Summary {
        v: 1,
        run: run.id.to_string(),
        plan_id: run.plan_id.to_string(),
        credential: about.credential.clone(),
        owner: about.owner.clone(),
        environment: about.environment.clone(),
        reason: about.reason.clone(),
        ticket: about.ticket.clone(),
        result: result.word.to_owned(),
        sentence: result.sentence,
        phase: run.phase,
        course: run.course,
        attempt: run.attempt,
        started_at: run.since.start.as_ref().map(|s| s.at),
        updated_at: run.stamp.as_ref().map(|s| s.at),
        old: KeyLine { id: run.plan.old.id.to_string(), state: old_words(run.old).to_owned() },
        new: run
            .new
            .as_ref()
            .map(|n| KeyLine { id: n.id.to_string(), state: if n.enabled { "accepted".to_owned() } else { "disabled".to_owned() } }),
        slots: slots
            .map(|(plan, s)| SlotLine {
                name: plan.name.clone(),
                current: s.current,
                pending: s.staged.is_some() && s.current == Which::Old,
            })
            .collect(),
        gate: run.gate.as_ref().map(|g| GateNow {
            point: words::point(&g.point).to_owned(),
            consumer: words::consumer(&g.point).map(str::to_owned),
            looks: g.times,
            at: g.last.at,
            checks: g.checks.iter().map(|c| CheckNow { check: c.check.clone(), verdict: c.verdict, why: c.why.clone() }).collect(),
        }),
        waiting: run.parked.as_ref().map(|p| Waiting { why: p.why.clone(), wake_at: p.wake_at, person: p.person }),
        stuck: run.stuck.as_ref().map(|(why, steps)| Stuck { why: why.clone(), steps: steps.clone() }),
        can_go_back: run.can_go_back(),
        emergency: run.emergency.as_ref().map(|(by, why)| format!("{by}: {why}")),
        waivers: run.waivers.len(),
        exceptions: run.exceptions.iter().map(|e| format!("{} until {}", e.app, e.until.rfc3339())).collect(),
        strays: run.strays.iter().map(|(id, _)| id.to_string()).collect(),
        drift: run.drift.iter().map(crate::rotation::Drift::words).collect(),
        bundle: run.sealed.as_ref().map(|(digest, place)| BundleLine { digest: digest.clone(), place: place.clone() }),
    }
}

/// The old key's state, in words.
pub(super) fn old_words(old: OldKey) -> &'static str {
    match old {
        OldKey::Enabled => "accepted",
        OldKey::DisabledByUs => "disabled by this run",
        OldKey::OffByOthers => "switched off by others",
        OldKey::DeleteIntended => "being deleted; there is no way back",
        OldKey::Gone => "deleted",
    }
}
