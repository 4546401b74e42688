//! `doctor`: everything a rotation of this policy will need, looked at before it is needed. Changes nothing outside the state folder.

use crate::cli::args::{Global, PolicyOnly};
use crate::cli::fault::{Fault, exit};
use crate::cli::out::{Out, Tone};
use crate::cli::wire::{System, examine};
use crate::cli::{clock, load, session};
use crate::journal::StateDir;
use crate::ports::Health;
use crate::support::text::plural;

pub(crate) fn run(args: &PolicyOnly, global: &Global, out: &Out) -> Result<u8, Fault> {
    let loaded = load::policy(&args.policy, args.env.as_deref(), out)?;
    let path = session::state_path(global, Some(&loaded.policy))?;
    let state = StateDir::make(&path)?;
    let mut systems = vec![System::state(
        &path,
        state.usable(),
        state.is_shared() && loaded.policy.evidence_out.as_ref().is_none_or(|o| o.fingerprint_key.is_none()),
    )];
    systems.extend(session::runtime()?.block_on(examine(&loaded.policy, &state, out))?);
    let bad = systems.iter().flat_map(|s| &s.findings).filter(|f| f.health == Health::Bad).count();
    let code = if bad == 0 { 0 } else { exit::REFUSED };
    if out.json {
        out.value(&serde_json::json!({
            "v": 1, "at": clock::wall().rfc3339(), "policy": args.policy.display().to_string(), "exit": code, "bad": bad, "systems": systems,
        }));
        return Ok(code);
    }
    out.data(&table(&systems, out));
    let notes = systems.iter().flat_map(|s| &s.findings).filter(|f| f.health == Health::Note).count();
    let notes = if notes == 0 { String::new() } else { format!(", {}", plural(notes, "thing to know", "things to know")) };
    if bad == 0 {
        out.say(&format!("{} {}{notes}", out.paint(Tone::Good, "ready."), plural(systems.len(), "system looked at", "systems looked at")));
    } else {
        out.say(&format!("{} {}{notes}", out.paint(Tone::Bad, "not ready:"), plural(bad, "thing is in the way", "things are in the way")));
    }
    Ok(code)
}

/// What is bad comes first, then what a person should know, then the rest; within that, in the order of the policy.
fn table(systems: &[System], out: &Out) -> String {
    let mut order: Vec<&System> = systems.iter().collect();
    order.sort_by_key(|s| std::cmp::Reverse(s.health()));
    let mut rows = Vec::new();
    for system in order {
        let mut findings: Vec<_> = system.findings.iter().collect();
        findings.sort_by_key(|f| std::cmp::Reverse(f.health));
        for (i, finding) in findings.into_iter().enumerate() {
            let name = if i == 0 { format!("{} {}", system.kind, system.name) } else { String::new() };
            let sign = match finding.health {
                Health::Good => "✓",
                Health::Note => "·",
                Health::Bad => "✗",
            };
            let said = match &finding.fix {
                Some(fix) => format!("{} → {fix}", finding.what),
                None => finding.what.clone(),
            };
            rows.push(vec![format!("{sign} {}", finding.about.name()), name, said]);
        }
    }
    out.table(&["check", "system", "found, and what to do"], rows)
}
