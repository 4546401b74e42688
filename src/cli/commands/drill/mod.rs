//! `drill`: a rotation against each fault of the sandbox. Shows which check blocked it and how it ended, from the journals' records.

mod faults;
mod one;

use crate::cli::args::Drill;
use crate::cli::fault::{Fault, exit};
use crate::cli::out::{Out, Tone};
use faults::{FAULTS, Meant};
use one::Ended;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Rotations at once; each has a sandbox of its own and mostly waits.
const LANES: usize = 8;

pub(crate) fn run(args: &Drill, out: &Out) -> Result<u8, Fault> {
    let chosen: Vec<&Meant> = FAULTS.iter().filter(|f| args.fault.is_empty() || args.fault.iter().any(|n| n == f.name)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = FAULTS.iter().map(|f| f.name).collect();
        return Err(Fault::usage("drill: there is no such fault").hint(names.join(", ")));
    }
    let mut jobs: Vec<(&Meant, bool)> = chosen.iter().map(|f| (*f, false)).collect();
    if args.without {
        jobs.extend(chosen.iter().filter(|f| !f.check().is_empty()).map(|f| (*f, true)));
    }
    let results: Mutex<Vec<Option<Result<Ended, String>>>> = Mutex::new(jobs.iter().map(|_| None).collect());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let Some((fault, without)) = jobs.get(n) else { return };
                    out.say(&out.paint(Tone::Dim, &format!("  … {}{}", fault.name, if *without { ", its check removed" } else { "" })));
                    let ended = one::run(fault, *without)
                        .map_err(|e| if e.what.is_empty() { "the policy of the drill is not valid".into() } else { e.what });
                    if let Ok(mut results) = results.lock()
                        && let Some(slot) = results.get_mut(n)
                    {
                        *slot = Some(ended);
                    }
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_default();
    let mut tables = [Vec::new(), Vec::new()];
    let mut json = Vec::new();
    let mut all = true;
    for ((fault, without), result) in jobs.iter().zip(results) {
        let ((blocked, fine), end) = match &result {
            Some(Ok(ended)) => (if *without { fault.judge_without(ended) } else { fault.judge(ended) }, ended.story()),
            Some(Err(why)) => (("could not run".into(), false), why.clone()),
            None => (("did not run".into(), false), String::new()),
        };
        all &= fine;
        let removed = if *without { fault.check() } else { "" };
        let (verdicts, why) = match &result {
            Some(Ok(ended)) => (ended.blocked.clone(), ended.words.clone()),
            Some(Err(_)) | None => (Vec::new(), String::new()),
        };
        json.push(serde_json::json!({
            "fault": fault.name, "without": removed, "meant": fault.check(), "blocked_by": blocked, "end": end, "as_meant": fine,
            "why": why, "verdicts": verdicts,
        }));
        let sign = if fine { "✓" } else { "✗" }.to_owned();
        let [with_all, with_less] = &mut tables;
        if *without {
            with_less.push(vec![fault.name.to_owned(), removed.to_owned(), blocked, end, sign]);
        } else {
            with_all.push(vec![fault.name.to_owned(), blocked, end, sign]);
        }
    }
    if out.json {
        out.value(&serde_json::json!({ "v": 1, "kind": "drill", "as_meant": all, "faults": json }));
    } else {
        let [with_all, with_less] = tables;
        out.data("Every fault, with all checks in place. Nobody is refused and no key is left, unless the end says so.");
        out.data(&out.table(&["fault", "what stopped it", "end", ""], with_all));
        if !with_less.is_empty() {
            let with_less =
                with_less.into_iter().chain(chosen.iter().filter_map(|f| f.no_check()).map(|row| row.map(String::from).to_vec()));
            out.data("\nThe same fault, with the check meant for it taken out of every gate that has another one.");
            out.data(&out.table(&["fault", "without", "what stopped it then", "end", ""], with_less.collect()));
        }
    }
    Ok(if all { 0 } else { exit::FOUND })
}
