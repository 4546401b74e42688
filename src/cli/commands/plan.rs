//! `plan`: what a rotation would do. Reads, never writes.

use crate::cli::args::{Global, PlanArgs};
use crate::cli::clock;
use crate::cli::fault::{Fault, exit};
use crate::cli::load::{self, LoadedPolicy};
use crate::cli::out::Out;
use crate::cli::session;
use crate::cli::signals::Stop as Signal;
use crate::cli::wire::{self, Wired};
use crate::engine;
use crate::journal::StateDir;
use crate::plan::{self, Facts, Selector};
use crate::policy::{Policy, missing_blocks};
use crate::rotation::{Inventory, KeyFacts, KeyId, Plan, Span};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How far back callers are looked for.
const LOOK_BACK: Span = Span::hours(35 * 24);

/// A plan on disk, with its digest.
#[derive(Serialize, Deserialize)]
struct Saved {
    v: u32,
    plan_id: String,
    plan: Plan,
}

pub(crate) fn run(args: &PlanArgs, global: &Global, out: &Out) -> Result<u8, Fault> {
    let loaded = load::policy(&args.policy.policy, args.policy.env.as_deref(), out)?;
    missing(&loaded.policy)?;
    let (loaded, inventory) = match &args.inventory {
        // The offline plan: no runtime, no clients, no state.
        Some(path) => (loaded, read_inventory(path)?),
        None => {
            let state = StateDir::make(session::state_path(global, Some(&loaded.policy))?)?;
            session::runtime()?.block_on(async move {
                let signal = Signal::default();
                let loaded = wire::found(loaded).await?;
                let wired = Wired::connect(&loaded.policy, &state, None, &signal, out).await?;
                inventory(&wired, &loaded.policy).await.map(|inventory| (loaded, inventory))
            })?
        }
    };
    if let Some(path) = &args.save_inventory {
        write(path, &serde_json::to_vec_pretty(&inventory).unwrap_or_default())?;
        out.say(&format!("wrote {}", path.display()));
    }
    let plan = make(&loaded, &inventory, out.terminal)?;
    let saved = Saved { v: 1, plan_id: plan.id().to_string(), plan };
    if let Some(path) = &args.out {
        write(path, &serde_json::to_vec_pretty(&saved).unwrap_or_default())?;
        out.say(&format!("wrote {}; next: keyroll run --plan {}", path.display(), path.display()));
    }
    if out.json {
        out.value(&saved)
    } else {
        out.data(&plan::render(&saved.plan))
    }
    Ok(0)
}

/// Reads a saved plan and checks that it is the one that was saved.
pub(crate) fn read(path: &Path) -> Result<Plan, Fault> {
    let bytes = std::fs::read(path).map_err(|e| Fault::usage(format!("read the plan {}: {e}", path.display())))?;
    let saved: Saved = serde_json::from_slice(&bytes).map_err(|e| {
        Fault::usage(format!("read the plan {}: line {} is not as `keyroll plan --out` writes it", path.display(), e.line()))
    })?;
    if saved.plan.id().as_str() != saved.plan_id {
        return Err(Fault::new(exit::STALE, format!("use the plan {}: it was changed after it was made", path.display()))
            .hint("make a new one with `keyroll plan --out`"));
    }
    Ok(saved.plan)
}

fn read_inventory(path: &Path) -> Result<Inventory, Fault> {
    let bytes = std::fs::read(path).map_err(|e| Fault::usage(format!("read the inventory {}: {e}", path.display())))?;
    serde_json::from_slice(&bytes).map_err(|e| {
        Fault::usage(format!(
            "read the inventory {}: line {} is not as `keyroll plan --save-inventory` writes it",
            path.display(),
            e.line()
        ))
    })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    crate::support::atomic::replace(path, bytes, &crate::support::atomic::Options::tagged("plan"))
        .map_err(|e| Fault::new(exit::INTERNAL, e.to_string()))
}

/// A template alone is valid and cannot be run: every missing block at once.
fn missing(policy: &Policy) -> Result<(), Fault> {
    let blocks = missing_blocks(policy);
    if blocks.is_empty() {
        return Ok(());
    }
    let mut fault = Fault::new(exit::REFUSED, "plan this policy: it is valid as far as it goes, and these blocks are missing");
    for block in blocks {
        fault.hints.push(format!("{}: {}\n{}", block.name, block.why, indent(block.example)));
    }
    Err(fault.hint("`keyroll init --from FILE` writes them as a filled skeleton"))
}

fn indent(text: &str) -> String {
    text.lines().map(|l| format!("        {l}")).collect::<Vec<_>>().join("\n")
}

/// Reads what exists.
pub(crate) async fn inventory(wired: &Wired, policy: &Policy) -> Result<Inventory, Fault> {
    let selector = policy.gateway.as_ref().map(Selector::of).unwrap_or_default();
    let pick = |keys: &[KeyFacts], held: &[Option<KeyId>]| plan::pick(&selector, keys, held).ok();
    let wanted = engine::Wanted {
        driver: policy.gateway.as_ref().map_or("none", |g| g.kind()),
        endpoints: wired.endpoints().await?,
        slots: wired.slot_names(),
        look_back: LOOK_BACK,
        pick: &pick,
    };
    Ok(engine::inventory(wired, wanted).await?)
}

/// Policy and inventory into a plan.
pub(crate) fn make(loaded: &LoadedPolicy, inventory: &Inventory, attended: bool) -> Result<Plan, Fault> {
    missing(&loaded.policy)?;
    let facts = Facts {
        policy: &loaded.policy,
        frozen: loaded.frozen.clone(),
        inventory,
        requester: Some(session::user()),
        attended,
        now: clock::wall(),
    };
    let mut plan = plan::build(&facts)?;
    plan.hosts.retain(|host| host != crate::cli::wire::STAND_IN);
    Ok(plan)
}
