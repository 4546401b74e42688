//! `resume` and `tick`: a run goes on from its journal, never from a policy file.

use crate::cli::args::{Global, How, Resume, Tick};
use crate::cli::clock;
use crate::cli::fault::{Fault, exit};
use crate::cli::out::{Out, Tone};
use crate::cli::session::{self, Say};
use crate::cli::signals::Stop as Signal;
use crate::journal::StateDir;
use crate::rotation::RunId;

pub(crate) fn run(args: &Resume, global: &Global, out: &Out) -> Result<u8, Fault> {
    let say = match (args.emergency, &args.reason) {
        (true, Some(reason)) => Say::Emergency(reason.clone()),
        (true | false, _) => Say::Nothing,
    };
    with(args.run.as_deref(), say, &args.how, global, out)
}

/// Takes a run up, says something to it, and goes on.
pub(crate) fn with(given: Option<&str>, say: Say, how: &How, global: &Global, out: &Out) -> Result<u8, Fault> {
    let state = StateDir::open(session::state_path(global, None)?)?;
    let id = session::which(&state, given)?;
    session::attended(async |signal| one(&state, &id, say, how, global, signal, out).await)
}

async fn one(state: &StateDir, id: &RunId, say: Say, how: &How, global: &Global, signal: &Signal, out: &Out) -> Result<u8, Fault> {
    let options = session::options(how, global)?;
    let mut held = session::take_up(state, id, signal, out, how).await?;
    if !out.json {
        out.say(&format!("{} {} in {}, run {id}", out.paint(Tone::Strong, "resuming"), held.run.plan.about.credential, held.run.phase));
    }
    let (stop, run) = session::go_on(&mut held, say, options, how.step, out).await;
    let code = session::conclude(&stop, &run, out);
    held.wired.witness(&run, out).await;
    Ok(code)
}

pub(crate) fn tick(args: &Tick, global: &Global, out: &Out) -> Result<u8, Fault> {
    let state = StateDir::open(session::state_path(global, None)?)?;
    let how = How { wait: false, until: None, step: false, bundle: None };
    if !args.all {
        let id = session::which(&state, args.run.as_deref())?;
        return session::attended(async |signal| one(&state, &id, Say::Nothing, &how, global, signal, out).await);
    }
    session::attended(async |signal| due(&state, &how, global, signal, out).await)
}

/// Every open run that is due, one after the other.
async fn due(state: &StateDir, how: &How, global: &Global, signal: &Signal, out: &Out) -> Result<u8, Fault> {
    let now = clock::wall();
    let mut worst = 0;
    for id in session::open_runs(state)? {
        if signal.is_asked() {
            return Ok(worst.max(exit::PARKED));
        }
        let (run, _) = session::peek(state, &id)?;
        let waits = run.parked.as_ref().is_some_and(|p| p.person || p.wake_at.is_some_and(|at| at > now));
        if waits || run.stuck.is_some() {
            worst = worst.max(if run.stuck.is_some() { exit::STUCK } else { exit::PARKED });
            continue;
        }
        let code = match one(state, &id, Say::Nothing, how, global, signal, out).await {
            Ok(code) => code,
            // Somebody is at it already: that is what a tick wants.
            Err(fault) if fault.code == exit::HELD => exit::PARKED,
            Err(fault) => {
                out.fault(&fault);
                fault.code
            }
        };
        worst = worst.max(code);
    }
    Ok(worst)
}
