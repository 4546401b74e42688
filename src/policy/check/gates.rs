//! Checks and approvals: does each say what it means, and can it be told apart?

use std::collections::BTreeMap;

use super::Checks;
use crate::policy::{
    code::Code,
    mask::quoted,
    model::{
        gate::{Check, Gates, Rows, Window},
        process::PhaseName,
    },
    scalar::Period,
};

/// The shortest drain window of production.
const FLOOR: Period = Period::hours(24);

pub(super) fn check(checks: &mut Checks<'_>) {
    let policy = checks.policy;
    if let Some(Gates::Written(phases)) = &policy.gates {
        ids(checks, phases);
        for (phase, list) in phases {
            for (index, check) in list.iter().enumerate() {
                one(checks, check, &format!("gates.{}[{index}].{}", phase.text(), check.kind()));
            }
        }
    }
    if let Some(Window::Of(window)) = policy.timing.as_ref().and_then(|timing| timing.drain_window) {
        floor(checks, window, "timing.drain_window");
    }
}

fn ids(checks: &mut Checks<'_>, phases: &BTreeMap<PhaseName, Vec<Check>>) {
    // Ids become file names; two that differ only in case are one file on some systems.
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (phase, list) in phases {
        for (index, check) in list.iter().enumerate() {
            let path = format!("gates.{}[{index}].{}.id", phase.text(), check.kind());
            let id = check.id().as_str().to_ascii_lowercase();
            match seen.get(&id).cloned() {
                Some(first) => checks.say_with(
                    Code::DuplicateGateId,
                    &path,
                    (&first, "used first here"),
                    format!("two checks are called {}", quoted(check.id().as_str())),
                    "give each check of the policy an id of its own (upper and lower case count as the same)",
                ),
                None => {
                    seen.insert(id, path);
                }
            }
        }
    }
}

fn one(checks: &mut Checks<'_>, check: &Check, path: &str) {
    match check {
        Check::Invariant(check) => {
            if check.never.is_some() == check.always.is_some() {
                condition(
                    checks,
                    path,
                    "an invariant needs exactly one of `never` and `always`",
                    "write what must never be seen, or what must always hold",
                );
            }
            for (name, rows) in [("never", &check.never), ("always", &check.always)] {
                not_empty(checks, rows.as_ref(), &format!("{path}.{name}"));
            }
        }
        Check::Rate(check) => not_empty(checks, Some(&check.bad), &format!("{path}.bad")),
        Check::RateDiff(check) => not_empty(checks, Some(&check.bad), &format!("{path}.bad")),
        Check::Quantile(check) => {
            if check.below.is_some() == check.factor.is_some() {
                condition(
                    checks,
                    path,
                    "a quantile needs exactly one of `below` and `factor`",
                    "write a limit, or a factor of the control",
                );
            }
        }
        Check::Zero(check) => {
            if let Some(Window::Of(window)) = check.window {
                floor(checks, window, &format!("{path}.window"));
            }
        }
        Check::Equal(check) => {
            if check.left == check.right {
                condition(
                    checks,
                    path,
                    "both sides are the same, so this is always equal",
                    "compare two things, such as `left: old.scope` and `right: new.scope`",
                );
            }
        }
        Check::External(check) => {
            if check.command.is_some() == check.url.is_some() {
                condition(
                    checks,
                    path,
                    "an external check needs exactly one of `command` and `url`",
                    "write the program to run, or the address to ask",
                );
            }
        }
        Check::Band(_) | Check::Accept(_) | Check::Reject(_) | Check::Coverage(_) | Check::Human(_) => {}
    }
    if check.needs_later_build() {
        checks.say(
            Code::LaterBuild,
            path,
            format!("`{}` checks are understood, but this build cannot judge them yet", check.kind()),
            "`plan` will refuse it; use `invariant` with `min_n` for now, or leave the phase to `gates: auto`",
        );
    }
}

fn condition(checks: &mut Checks<'_>, path: &str, message: &str, help: &str) {
    checks.say(Code::GateCondition, path, message, help);
}

fn not_empty(checks: &mut Checks<'_>, rows: Option<&Rows>, path: &str) {
    if rows.is_some_and(|rows| *rows == Rows::default()) {
        condition(
            checks,
            path,
            "an empty condition matches every row",
            "say which rows are meant, such as `{ key: new, status: [\"401\", \"403\"] }`",
        );
    }
}

/// In production silence must last a day: most forgotten callers are daily jobs.
fn floor(checks: &mut Checks<'_>, window: Period, path: &str) {
    if checks.policy.rotation.environment.is_production() && window < FLOOR {
        checks.say(
            Code::WindowBelowFloor,
            path,
            format!("in production the old key must be silent for at least {FLOOR}"),
            "write `auto` or at least `24h`; `--emergency` is the way for a key that cannot wait",
        );
    }
}
