//! `report` and `evidence`: what a run left behind, for people who were not there.

use crate::cli::args::{Evidence, EvidenceVerb, Global, Which};
use crate::cli::fault::{Fault, exit};
use crate::cli::out::{Out, Tone};
use crate::cli::session;
use crate::evidence::{self, Expect};
use crate::journal::StateDir;
use crate::rotation::{Run, RunId};
use std::path::Path;

pub(crate) fn report(args: &Which, global: &Global, out: &Out) -> Result<u8, Fault> {
    let state = StateDir::open(session::state_path(global, None)?)?;
    let id = chosen(&state, args.run.as_deref())?;
    let bytes = std::fs::read(state.journal_path(&id)).map_err(|e| Fault::new(exit::INTERNAL, format!("read the journal: {e}")))?;
    let lines = evidence::read(&bytes).map_err(|e| Fault::new(exit::INVALID, e.to_string()))?;
    let run = Run::replay(lines.entries.iter().map(|e| &e.record)).map_err(|e| Fault::new(exit::INVALID, e.to_string()))?;
    if out.json {
        out.value(&evidence::summary(&run))
    } else {
        out.data(&evidence::report(&run, &lines.entries))
    }
    Ok(0)
}

/// The run that is named, else the only open one, else the newest.
fn chosen(state: &StateDir, given: Option<&str>) -> Result<RunId, Fault> {
    if given.is_some() {
        return session::which(state, given);
    }
    let mut newest: Option<(crate::rotation::Time, RunId)> = None;
    for entry in state.list()? {
        let (run, _) = session::peek(state, &entry.id)?;
        let at = run.stamp.map_or(crate::rotation::Time::default(), |s| s.at);
        if newest.as_ref().is_none_or(|(t, _)| at > *t) {
            newest = Some((at, entry.id));
        }
    }
    newest.map(|(_, id)| id).ok_or_else(|| Fault::usage("choose a run: there is none yet"))
}

pub(crate) fn run(args: &Evidence, global: &Global, out: &Out) -> Result<u8, Fault> {
    match &args.what {
        EvidenceVerb::Show(which) => show(which, global, out),
        EvidenceVerb::Export { run, to } => export(run, to, global, out),
        EvidenceVerb::Verify { bundle } => verify(bundle, out),
    }
}

fn verify(bundle: &Path, out: &Out) -> Result<u8, Fault> {
    let verified = evidence::verify(bundle, &Expect::default()).map_err(|e| {
        Fault::new(exit::INVALID, e.to_string())
            .hint("keep this folder as it is; `keyroll evidence export` writes a fresh copy where the run's state is at hand")
    })?;
    if out.json {
        out.value(&serde_json::json!({ "v": 1, "valid": true, "bundle": verified }));
        return Ok(0);
    }
    out.data(&format!(
        "{} {} files, {} journal lines, run {}",
        out.paint(Tone::Good, "intact:"),
        verified.files,
        verified.lines,
        verified.run
    ));
    out.data(&format!(
        "  manifest sha256 {}\n  journal head    {}\n  old key         {}",
        verified.digest,
        verified.head,
        verified.end_state.name()
    ));
    for line in &verified.not_established {
        out.data(&format!("  {} {line}", out.paint(Tone::Warn, "!")));
    }
    Ok(0)
}

fn show(which: &Which, global: &Global, out: &Out) -> Result<u8, Fault> {
    let state = StateDir::open(session::state_path(global, None)?)?;
    let id = chosen(&state, which.run.as_deref())?;
    let place = place(&state, &id)?;
    if out.json {
        out.value(&serde_json::json!({ "v": 1, "run": id, "bundle": place }));
        return Ok(0);
    }
    let mut rows = Vec::new();
    list(Path::new(&place), Path::new(&place), &mut rows)?;
    rows.sort();
    out.data(&place);
    out.data(&out.table(&["file", "bytes"], rows));
    Ok(0)
}

fn list(root: &Path, dir: &Path, rows: &mut Vec<Vec<String>>) -> Result<(), Fault> {
    let failed = |e: std::io::Error| Fault::new(exit::INTERNAL, format!("read {}: {e}", dir.display()));
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            list(root, &path, rows)?;
        } else {
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            rows.push(vec![name, path.metadata().map_or(0, |m| m.len()).to_string()]);
        }
    }
    Ok(())
}

fn export(run: &str, to: &Path, global: &Global, out: &Out) -> Result<u8, Fault> {
    let state = StateDir::open(session::state_path(global, None)?)?;
    let id = state.find(run)?;
    let from = place(&state, &id)?;
    // What is handed on is checked first: an altered bundle is not spread.
    evidence::verify(Path::new(&from), &Expect { run: Some(id.to_string()), ..Expect::default() })
        .map_err(|e| Fault::new(exit::INVALID, e.to_string()))?;
    if to.exists() {
        return Err(Fault::usage(format!("export to {}: it exists", to.display())).hint("name a new folder"));
    }
    copy(Path::new(&from), to)?;
    out.say(&format!("wrote {}; check it anywhere with: keyroll evidence verify {}", to.display(), to.display()));
    Ok(0)
}

fn copy(from: &Path, to: &Path) -> Result<(), Fault> {
    let failed = |e: std::io::Error| Fault::new(exit::INTERNAL, format!("copy {} to {}: {e}", from.display(), to.display()));
    std::fs::create_dir_all(to).map_err(failed)?;
    for entry in std::fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?
        } else {
            std::fs::copy(entry.path(), target).map(|_| ()).map_err(failed)?
        }
    }
    Ok(())
}

fn place(state: &StateDir, id: &RunId) -> Result<String, Fault> {
    let (run, _) = session::peek(state, id)?;
    let place = match run.sealed.map(|(_, place)| place) {
        // Sealed on another machine.
        Some(place) if !Path::new(&place).exists() => state.fetch_bundle(id)?.map(|dir| dir.display().to_string()).or(Some(place)),
        found => found,
    };
    place.ok_or_else(|| Fault::usage(format!("find the bundle of run {id}: it is not sealed yet")).hint(format!("keyroll status {id}")))
}
