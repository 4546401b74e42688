//! `status`, `watch`, and `why`: looking at runs without touching them.

use crate::cli::args::{Global, Which};
use crate::cli::fault::Fault;
use crate::cli::out::{Out, Tone};
use crate::cli::{session, status as view};
use crate::journal::StateDir;
use std::time::Duration;

pub(crate) fn status(args: &Which, global: &Global, out: &Out) -> Result<u8, Fault> {
    let state = StateDir::open(session::state_path(global, None)?)?;
    if let Some(given) = &args.run {
        let status = session::status_of(&state, &state.find(given)?)?;
        show(&status, out);
        return Ok(0);
    }
    let mut all = Vec::new();
    for entry in state.list()? {
        all.push(session::status_of(&state, &entry.id)?);
    }
    if let (true, [one]) = (out.json, all.as_slice()) {
        out.value(one);
    } else if out.json {
        out.value(&serde_json::json!({ "v": 1, "runs": all }));
    } else if all.is_empty() {
        out.say("no runs yet; `keyroll run POLICY` begins one");
    } else {
        let rows = all
            .into_iter()
            .map(|s| vec![s.run, s.credential, s.phase, s.state.replace('_', " "), s.blocked_by.first().cloned().unwrap_or_default()])
            .collect();
        out.data(&out.table(&["run", "credential", "phase", "state", "waits for"], rows));
    }
    Ok(0)
}

fn show(status: &view::Status, out: &Out) {
    if out.json {
        out.value(status);
        return;
    }
    let mut rows = vec![
        vec!["run".to_owned(), status.run.clone()],
        vec!["credential".into(), status.credential.clone()],
        vec!["state".into(), format!("{} in {} ({})", status.state.replace('_', " "), status.phase, status.course)],
        vec!["old key".into(), status.old_key.clone()],
        vec!["new key".into(), status.new_key.clone().unwrap_or_else(|| "none".into())],
        vec!["way back".into(), if status.past_no_return { "none any more".into() } else { "possible".into() }],
    ];
    rows.extend(status.emergency.iter().map(|why| vec!["emergency".to_owned(), why.clone()]));
    rows.extend(status.leftover.iter().map(|l| vec!["left over".to_owned(), l.clone()]));
    rows.extend(status.blocked_by.iter().map(|b| vec!["waits for".to_owned(), b.clone()]));
    rows.extend(status.next.iter().map(|n| vec!["next".to_owned(), n.clone()]));
    rows.extend(status.bundle.iter().map(|b| vec!["evidence".to_owned(), b.clone()]));
    out.data(&out.table(&["what", "is"], rows));
}

pub(crate) fn why(args: &Which, global: &Global, out: &Out) -> Result<u8, Fault> {
    let state = StateDir::open(session::state_path(global, None)?)?;
    let id = match &args.run {
        Some(given) => state.find(given)?,
        None => session::which(&state, None)?,
    };
    let (run, records) = session::peek(&state, &id)?;
    let status = view::status(&run, &records, crate::journal::Lease::holder(&state, &id).is_some());
    if out.json {
        out.value(&serde_json::json!({ "v": 1, "status": status, "text": view::why(&run, &status) }));
    } else {
        out.data(&view::why(&run, &status));
    }
    Ok(0)
}

pub(crate) fn watch(args: &Which, global: &Global, out: &Out) -> Result<u8, Fault> {
    let state = StateDir::open(session::state_path(global, None)?)?;
    let id = session::which(&state, args.run.as_deref())?;
    let mut last = String::new();
    loop {
        let status = session::status_of(&state, &id)?;
        let line = format!(
            "{}  {} {}",
            status.phase,
            out.paint(if status.state == "stuck" { Tone::Bad } else { Tone::Strong }, &status.state.replace('_', " ")),
            status.blocked_by.join("; ")
        );
        if line != last {
            if out.json {
                out.value(&status)
            } else {
                out.data(&line)
            }
            last = line;
        }
        match status.state {
            "done" | "rolled_back" | "stuck" => return Ok(0),
            // Nobody executes it: nothing will change by watching.
            "parked" => return Ok(crate::cli::fault::exit::PARKED),
            _ => std::thread::sleep(Duration::from_millis(300)),
        }
    }
}
