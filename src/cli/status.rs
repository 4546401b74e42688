//! What a run is waiting for, for people and programs.

use crate::rotation::{Course, End, Record, Run, Step, Time, Verdict, next};
use serde::Serialize;

/// The answer of `status`. `v` changes when a field changes its meaning.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Status {
    /// Format version.
    pub v: u32,
    /// The run.
    pub run: String,
    /// What is rotated.
    pub credential: String,
    /// Where it is.
    pub phase: String,
    /// `running`, `parked`, `done`, `rolled_back`, `stuck`, or `failed`.
    pub state: &'static str,
    /// `forward` or `undo`.
    pub course: &'static str,
    /// What keeps it, stable words first.
    pub blocked_by: Vec<String>,
    /// What to do.
    pub next: Vec<String>,
    /// When a look is worth it.
    pub wake_at: Option<Time>,
    /// The old key's id and state.
    pub old_key: String,
    /// The new key's id, once there is one.
    pub new_key: Option<String>,
    /// Keys of this run that nobody uses and that are not gone yet.
    pub leftover: Vec<String>,
    /// There is no way back any more.
    pub past_no_return: bool,
    /// The bundle.
    pub bundle: Option<String>,
    /// Emergency mode, and why.
    pub emergency: Option<String>,
}

/// The status of a run. `held` says whether a process executes it now.
pub(crate) fn status(run: &Run, records: &[Record], held: bool) -> Status {
    let interrupted = !matches!(records.last(), Some(Record::Parked { .. } | Record::Finished { .. } | Record::Stuck { .. }));
    let state = match (&run.ended, held, &run.stuck) {
        (Some(End::Done), _, _) => "done",
        (Some(End::RolledBack { .. }), _, _) => "rolled_back",
        (None, true, _) => "running",
        (None, false, Some(_)) => "stuck",
        (None, false, None) => "parked",
    };
    let mut blocked_by = Vec::new();
    let mut todo = Vec::new();
    let mut wake_at = None;
    if run.ended.is_none() && !held {
        if let Some((why, steps)) = &run.stuck {
            blocked_by.push(why.clone());
            todo.extend(steps.iter().cloned());
        } else if let Some(parked) = &run.parked {
            blocked_by.push(parked.why.clone());
            wake_at = parked.wake_at;
        } else if interrupted {
            blocked_by.push("interrupted".into());
        }
        if let Some(gate) = &run.gate {
            let open = gate.checks.iter().filter(|c| !c.verdict.advances());
            let open: Vec<_> = open.collect();
            // A run that parked for its gate says the same twice; the checks say it with their names.
            blocked_by.retain(|b| !open.iter().any(|c| b.contains(&c.why)));
            blocked_by.extend(open.iter().map(|c| format!("{}/{}: {}", point_name(&gate.point), c.check, c.why)));
        }
        if todo.is_empty() {
            todo.push(format!("keyroll resume {}", run.id));
        }
        match next(run) {
            Step::Wait(crate::rotation::Wait::Approval { phase, role }) => {
                todo.insert(0, format!("keyroll approve {} ({role}, for {phase})", run.id))
            }
            Step::Wait(crate::rotation::Wait::Drift { .. }) => todo.insert(0, format!("keyroll amend {} --reason TEXT", run.id)),
            Step::LookAround
            | Step::Do(_)
            | Step::Resolve { .. }
            | Step::Judge { .. }
            | Step::Move(_)
            | Step::Press { .. }
            | Step::Turn { .. }
            | Step::Reopen { .. }
            | Step::Ask { .. }
            | Step::Wait(_)
            | Step::Stuck { .. }
            | Step::Finish(_)
            | Step::Finished(_) => {}
        }
    }
    let past_no_return =
        !matches!(run.old, crate::rotation::OldKey::Enabled | crate::rotation::OldKey::DisabledByUs | crate::rotation::OldKey::OffByOthers);
    let old_state = match run.old {
        crate::rotation::OldKey::Enabled => "enabled",
        crate::rotation::OldKey::DisabledByUs => "disabled by this run",
        crate::rotation::OldKey::OffByOthers => "switched off by somebody else",
        crate::rotation::OldKey::DeleteIntended => "deletion begun",
        crate::rotation::OldKey::Gone => "deleted",
    };
    let mut leftover: Vec<String> = run.strays.iter().map(|(id, _)| format!("{id} (its value is lost; the run deletes it)")).collect();
    if let (Some(new), Some(End::RolledBack { .. })) = (&run.new, &run.ended) {
        leftover.push(format!("{} (still alive after the rollback)", new.id));
    }
    Status {
        v: 1,
        run: run.id.to_string(),
        credential: run.plan.about.credential.clone(),
        phase: run.phase.name().into(),
        state,
        course: match run.course {
            Course::Forward => "forward",
            Course::Undo => "undo",
        },
        blocked_by,
        next: todo,
        wake_at,
        old_key: format!("{} ({old_state})", run.plan.old.id),
        new_key: run.new.as_ref().map(|n| n.id.to_string()),
        leftover,
        past_no_return,
        bundle: run.sealed.as_ref().map(|(_, place)| place.clone()),
        emergency: run.emergency.as_ref().map(|(_, why)| why.clone()),
    }
}

/// A point's name as `amend --waive` takes it.
pub(crate) fn point_name(point: &crate::rotation::Point) -> String {
    use crate::rotation::Point;
    match point {
        Point::Reloaded(app) => format!("reloaded:{app}"),
        Point::Returned(app) => format!("returned:{app}"),
        Point::Bound
        | Point::Prepared
        | Point::Canary
        | Point::Flipped
        | Point::Drained
        | Point::BeforeDisable
        | Point::Soaked
        | Point::BeforeDelete
        | Point::Gone
        | Point::Complete
        | Point::OldAccepted
        | Point::NewDrained
        | Point::NewSoaked
        | Point::Undone => serde_json::to_value(point.place()).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default(),
    }
}

/// A point from its name.
pub(crate) fn point_of(name: &str) -> Option<crate::rotation::Point> {
    use crate::rotation::{App, Point};
    if let Some(app) = name.strip_prefix("reloaded:") {
        return Some(Point::Reloaded(App::new(app)));
    }
    if let Some(app) = name.strip_prefix("returned:") {
        return Some(Point::Returned(App::new(app)));
    }
    serde_json::from_value(serde_json::Value::String(name.to_owned())).ok()
}

/// The run in words, for `why`.
pub(crate) fn why(run: &Run, status: &Status) -> String {
    let mut text = format!("run {} of {} is {} in {}", run.id, status.credential, status.state.replace('_', " "), status.phase);
    if run.course == Course::Undo {
        let (why, _) = run.turned.clone().unwrap_or_default();
        text.push_str(&format!(", on its way back because {why}"));
    }
    text.push_str(".\n");
    if let Some(gate) = &run.gate {
        text.push_str(&format!(
            "The last gate was {}, judged {} in a row:\n",
            point_name(&gate.point),
            crate::support::text::plural(usize::try_from(gate.times).unwrap_or(0), "time", "times")
        ));
        for check in &gate.checks {
            let verdict = match check.verdict {
                Verdict::Pass => "pass",
                Verdict::Fail => "FAIL",
                Verdict::Inconclusive => "not decided",
                Verdict::NoData => "no data",
                Verdict::Error => "could not be asked",
                Verdict::Waived => "waived",
                Verdict::Skipped => "skipped",
            };
            text.push_str(&format!("  {:<12} {}: {}\n", verdict, check.check, check.why));
        }
    }
    let listed = |b: &&String| run.gate.as_ref().is_some_and(|g| b.starts_with(&format!("{}/", point_name(&g.point))));
    for blocked in status.blocked_by.iter().filter(|b| !listed(b)) {
        text.push_str(&format!("It waits for: {blocked}\n"));
    }
    text.push_str(&format!("The old key is {}.", status.old_key));
    if let Some(new) = &status.new_key {
        text.push_str(&format!(" The new key is {new}."));
    }
    text.push_str(if status.past_no_return { " There is no way back any more.\n" } else { " `keyroll rollback` is still possible.\n" });
    for step in &status.next {
        text.push_str(&format!("Next: {step}\n"));
    }
    text
}
