//! A plan is stale only when identity, scope, limits, a slot's version, or a capability changed; never for spend or last use.

use crate::rotation::{Inventory, Mint, Plan, differing};

/// What makes a saved plan stale, in words; empty when it still fits.
pub fn differences(plan: &Plan, now: &Inventory) -> Vec<String> {
    let mut found = Vec::new();
    if plan.gateway.identity != now.identity {
        found.push(format!(
            "the gateway was {} ({}) and is {} ({})",
            plan.gateway.identity.tenant, plan.gateway.identity.build, now.identity.tenant, now.identity.build
        ));
    }
    // That its issuer is asked once is the policy's word, not the gateway's.
    let mut caps = now.caps.clone();
    if (plan.gateway.caps.mint, caps.mint) == (Mint::Issued, Mint::Supplied) {
        caps.mint = Mint::Issued;
    }
    if plan.gateway.caps != caps {
        found.push("what the gateway can do has changed".into());
    }
    match now.keys.iter().find(|k| k.id == plan.old.id) {
        None => found.push(format!("key {} is gone", plan.old.id)),
        Some(key) => {
            if key.enabled != plan.old.enabled {
                found.push(format!("key {} was {} and is {}", key.id, word(plan.old.enabled), word(key.enabled)));
            }
            let fields = differing(&plan.old.scope, &key.scope, &[]);
            if !fields.is_empty() {
                found.push(format!("permissions of key {} changed: {}", key.id, fields.join(", ")));
            }
        }
    }
    for (planned, seen) in plan.slots.iter().zip(&now.slots) {
        if planned.current_is != seen.snapshot.current_is || planned.guard != seen.snapshot.guard {
            found.push(format!("{} has another version", planned.name));
        }
    }
    if plan.slots.len() != now.slots.len() {
        found.push(format!("the plan has {} slots and the policy {}", plan.slots.len(), now.slots.len()));
    }
    found
}

fn word(enabled: bool) -> &'static str {
    if enabled { "enabled" } else { "disabled" }
}
