//! `freeze` and `unlock`.

use crate::cli::args::{Freeze as FreezeArgs, Global, Unlock};
use crate::cli::fault::Fault;
use crate::cli::out::Out;
use crate::cli::{clock, session};
use crate::journal::{Freeze, StateDir};
use crate::ports::Journal;
use crate::rotation::Record;

pub(crate) fn freeze(args: &FreezeArgs, global: &Global, out: &Out) -> Result<u8, Fault> {
    let state = StateDir::make(session::state_path(global, None)?)?;
    if args.lift {
        match Freeze::clear(&state)? {
            Some(f) => out.say(&format!("the freeze of {} ({}) is over", f.by, f.why)),
            None => out.say("there was no freeze"),
        }
        return Ok(0);
    }
    let why = args.reason.clone().unwrap_or_default();
    Freeze { by: session::user(), why, since: clock::wall() }.set(&state)?;
    out.say("frozen: every rotation with this state parks before its next step forward; ways back go on");
    Ok(0)
}

pub(crate) fn unlock(args: &Unlock, global: &Global, out: &Out) -> Result<u8, Fault> {
    let state = StateDir::open(session::state_path(global, None)?)?;
    let taker = session::taker();
    let id = match state.find(&args.run) {
        Ok(id) => id,
        Err(e) if state.claims().of(&crate::rotation::RunId::new(args.run.as_str())).is_ok_and(|c| c.is_empty()) => return Err(e.into()),
        Err(_) => crate::rotation::RunId::new(args.run.as_str()),
    };
    // The record goes into the journal where the journal still works; the note in the run's folder is written in any case.
    let record = Record::Unlocked { by: taker.holder.user.clone(), why: args.reason.clone() };
    let resumed = loop {
        match state.resume_run(&id, &taker, clock::wall) {
            // On another machine, and perhaps gone: whether it is shows by waiting.
            Err(crate::journal::StateError::Held(held)) if held.watched => std::thread::sleep(std::time::Duration::from_millis(400)),
            other => break other,
        }
    };
    let lease = match resumed {
        Ok(mut opened) => {
            let _ = opened.journal.append(&record);
            opened.lease
        }
        Err(crate::journal::StateError::Held(held)) => return Err(crate::journal::StateError::Held(held).into()),
        Err(_) => state.lease_to_unlock(&id, &taker)?,
    };
    let note = state.unlock(&lease, &taker.holder.user, &args.reason, clock::wall())?;
    if out.json {
        out.value(&note)
    } else {
        out.say(&format!(
            "run {id} claims nothing any more ({} given up); look at the gateway before starting another",
            crate::support::text::plural(note.resources.len(), "claim", "claims")
        ))
    }
    Ok(0)
}
