//! What a valid policy still lacks before it can be planned. The published template alone is such a policy.

use super::model::Policy;

/// A block that a plan needs and the policy does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingBlock {
    /// Its name.
    pub name: &'static str,
    /// Why a plan needs it.
    pub why: &'static str,
    /// How it could look.
    pub example: &'static str,
}

/// The blocks that are missing, in the order in which they are best written.
pub fn missing_blocks(policy: &Policy) -> Vec<MissingBlock> {
    let gateway = policy.gateway.as_ref();
    let provider = gateway.is_some_and(|gateway| gateway.provider_key().is_some());
    let mut missing = Vec::new();
    if gateway.is_none() {
        missing.push(MissingBlock {
            name: "gateway",
            why: "it says which gateway issues the key, and how to reach its admin API",
            example: "gateway:\n  litellm:\n    url: https://router.example.com\n    admin: { env: LITELLM_MASTER_KEY }\n",
        });
    }
    // The upstream secret of a provider key lives in the gateway; a slot is possible there, not needed.
    if policy.slots.is_empty() && !provider {
        missing.push(MissingBlock {
            name: "slots",
            why: "they say where the consumers read the key from, so that the new one can be put there",
            example: "slots:\n  - file: { path: .env, name: GATEWAY_API_KEY }\n",
        });
    }
    if policy
        .consumers
        .as_ref()
        .is_none_or(|consumers| matches!(consumers, super::model::consumer::Consumers::Listed(list) if list.is_empty()))
    {
        missing.push(MissingBlock {
            name: "consumers",
            why: "they say who uses the key, how each learns of a new one, and how often it calls",
            example: "consumers:\n  - { app: customer-chat-api, cadence: continuous, reload: { by: hand } }\n",
        });
    }
    if policy.usage.is_empty() {
        missing.push(MissingBlock {
            name: "usage",
            why: "it says where use of the old key can be seen; without it silence cannot be shown",
            example: "usage:\n  - gateway_log: {}\n",
        });
    }
    if policy.probes.is_empty() {
        missing.push(MissingBlock {
            name: "probes",
            why: "they try the new key in each family of calls before any consumer gets it",
            example: "probes:\n  - chat: { model: gpt-4o-mini }\n",
        });
    }
    missing
}
