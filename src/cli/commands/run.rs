//! `run`: policy (or saved plan) → a whole rotation.

use crate::cli::args::{Global, RunArgs};
use crate::cli::fault::{Fault, exit};
use crate::cli::load::{self, LoadedPolicy};
use crate::cli::out::{Out, Tone};
use crate::cli::session::{self, Say};
use crate::cli::signals::Stop as Signal;
use crate::cli::wire::Wired;
use crate::cli::{clock, commands};
use crate::engine::who_breaks;
use crate::journal::{StateDir, StateError};
use crate::plan;
use crate::policy::Policy;
use crate::policy::model::process::Accept;
use crate::rotation::{Plan, Record};

pub(crate) fn run(args: &RunArgs, global: &Global, out: &Out) -> Result<u8, Fault> {
    if let Some(path) = &args.plan {
        let plan = commands::plan::read(path)?;
        let policy = load::frozen(&plan.policy)?;
        let frozen = plan.policy.clone();
        return session::attended(async |signal| one(LoadedPolicy { policy, frozen }, Some(plan), args, global, signal, out).await);
    }
    let Some(path) = &args.policy else { return Err(Fault::usage("run: name a policy, or a plan with --plan")) };
    let mut left = load::policies(path, args.env.as_deref(), out)?.into_iter();
    session::attended(async |signal| {
        let mut worst = 0;
        // Who interrupts one rotation does not want the next one to begin.
        while let (false, Some(loaded)) = (signal.is_asked(), left.next()) {
            let code = match one(loaded, None, args, global, signal, out).await {
                Ok(code) => code,
                Err(fault) => {
                    out.fault(&fault);
                    fault.code
                }
            };
            // One failing key does not keep the others from being rotated; the exit code tells of the worst.
            worst = worst.max(code);
        }
        Ok(worst)
    })
}

async fn one(loaded: LoadedPolicy, saved: Option<Plan>, args: &RunArgs, global: &Global, signal: &Signal, out: &Out) -> Result<u8, Fault> {
    let options = session::options(&args.how, global)?;
    local_state_allowed(&loaded.policy, args, global, out)?;
    let state = StateDir::make(session::state_path(global, Some(&loaded.policy))?)?;
    not_claimed(&state, &loaded.policy)?;
    let loaded = crate::cli::wire::found(loaded).await?;
    let wired = Wired::connect(&loaded.policy, &state, None, signal, out).await?;
    let inventory = commands::plan::inventory(&wired, &loaded.policy).await?;
    let plan = match saved {
        Some(plan) => {
            let changed = plan::differences(&plan, &inventory);
            if !changed.is_empty() {
                let mut fault = Fault::new(exit::STALE, "run this plan: it is stale, the world has changed since it was made");
                fault.hints.extend(changed);
                return Err(fault.hint("make a new one with `keyroll plan --out`"));
            }
            plan
        }
        None => commands::plan::make(&loaded, &inventory, out.terminal || args.how.wait)?,
    };
    if !out.json {
        out.say(&format!(
            "{} {} ({}), run {}",
            out.paint(Tone::Strong, "rotating"),
            plan.about.credential,
            plan.about.environment,
            wired.run_id
        ));
        for warning in &plan.warnings {
            out.say(&format!("  {} {warning}", out.paint(Tone::Warn, "!")));
        }
        out.say(&out.paint(Tone::Strong, "  prepare"));
    }
    let say = match (args.emergency, &args.reason) {
        (true, Some(reason)) => {
            commands::people::warn_emergency(&plan, &inventory, reason, out)?;
            Say::Emergency(reason.clone())
        }
        (true | false, _) => Say::Nothing,
    };
    let mut held = session::begin(&state, plan, wired, signal, &args.how)?;
    let (stop, run) = session::go_on(&mut held, say, options, args.how.step, out).await;
    let code = session::conclude(&stop, &run, out);
    held.wired.witness(&run, out).await;
    Ok(code)
}

/// State that only this machine has is a trap where the next step may happen on another one.
fn local_state_allowed(policy: &Policy, args: &RunArgs, global: &Global, out: &Out) -> Result<(), Fault> {
    let said = global.state.is_some() || policy.state.is_some() || args.accept_local_state || policy.accept.contains(&Accept::LocalState);
    if said || out.terminal {
        return Ok(());
    }
    Err(Fault::new(
        exit::REFUSED,
        "run with state on this machine only: nobody can be asked here, and a wiped runner would lose the journal of a half-done rotation",
    )
    .hint("`--state DIR` on storage that outlives this runner")
    .hint("or `--accept-local-state`, or `accept: [local_state]` in the policy"))
}

/// A slot of this policy is claimed by a run that is not over: say so before anything is asked of the gateway.
fn not_claimed(state: &StateDir, policy: &Policy) -> Result<(), Fault> {
    for address in crate::cli::wire::slot_addresses(policy) {
        if let Some(claim) = state.claims().holder(&format!("slot:{address}"))? {
            // A process that was killed between a run's end and the release of its claims leaves claims that count for nothing.
            let over = match state.load(&claim.run) {
                Ok((records, _)) => matches!(records.last(), None | Some(Record::Finished { .. })),
                Err(StateError::NoSuchRun { .. }) => true,
                Err(_) => false,
            };
            if over {
                continue;
            }
            let age = clock::wall().since(claim.since);
            let what = format!(
                "run: {address} is claimed by run {} of {}@{} (pid {}) for {age}, reason: {}",
                claim.run, claim.holder.user, claim.holder.host, claim.holder.pid, claim.reason
            );
            return Err(Fault::new(exit::HELD, what)
                .hint(format!("keyroll resume {}", claim.run))
                .hint(format!("keyroll status {}", claim.run)));
        }
    }
    Ok(())
}

/// Who an emergency would refuse, from what the inventory saw lately.
pub(crate) fn lately(plan: &Plan, inventory: &crate::rotation::Inventory) -> Vec<String> {
    let usage = crate::rotation::UsageTable { to: inventory.at, old: inventory.callers.clone(), ..Default::default() };
    who_breaks(plan, &usage, crate::rotation::Span::hours(24)).iter().map(ToString::to_string).collect()
}
