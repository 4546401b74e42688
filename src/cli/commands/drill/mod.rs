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
const LANES: usize = 4;

pub(crate) fn run(args: &Drill, out: &Out) -> Result<u8, Fault> {
    let chosen: Vec<&Meant> = FAULTS.iter().filter(|f| args.fault.is_empty() || args.fault.iter().any(|n| n == f.name)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = FAULTS.iter().map(|f| f.name).collect();
        return Err(Fault::usage("drill: there is no such fault").hint(names.join(", ")));
    }
    let mut jobs: Vec<(&Meant, bool)> = chosen.iter().map(|f| (*f, false)).collect();
    if args.without {
        jobs.extend(chosen.iter().filter(|f| !f.check.is_empty()).map(|f| (*f, true)));
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
    let mut rows = Vec::new();
    let mut json = Vec::new();
    let mut all = true;
    for ((fault, without), result) in jobs.iter().zip(results) {
        let (fine, cells) = match &result {
            Some(Ok(ended)) => (ended.as_meant(fault, *without), ended.cells(fault, *without)),
            Some(Err(why)) => (false, ["could not run".into(), why.clone(), String::new()]),
            None => (false, ["did not run".into(), String::new(), String::new()]),
        };
        all &= fine;
        let [blocked, end, left] = cells;
        let name = if *without { format!("{} without {}", fault.name, fault.check) } else { fault.name.to_owned() };
        json.push(serde_json::json!({ "fault": fault.name, "without": if *without { fault.check } else { "" }, "meant": fault.check, "blocked_by": blocked, "end": end, "left": left, "as_meant": fine }));
        rows.push(vec![name, fault.check_words().to_owned(), blocked, end, left, if fine { "✓".into() } else { "✗".into() }]);
    }
    if out.json {
        out.value(&serde_json::json!({ "v": 1, "kind": "drill", "as_meant": all, "faults": json }));
    } else {
        out.data(&out.table(&["fault", "meant to block", "blocked by", "end", "left behind", ""], rows));
    }
    Ok(if all { 0 } else { exit::FOUND })
}
