//! Usage sources: one file per kind, one variant each.

mod aisix;
mod jsonl;
mod litellm;
mod newapi;
mod nothing;
mod openrouter;

pub use aisix::{AisixUsage, AisixWatches};
pub use jsonl::JsonlUsage;
pub use litellm::{LAG as LITELLM_LAG, LiteLlmUsage, Settings as LiteLlmSettings};
pub use newapi::{LAG as NEW_API_LAG, NewApiUsage, Settings as NewApiUsageSettings};
pub use nothing::NoUsage;
pub use openrouter::{LAG as OPENROUTER_LAG, OpenRouterUsage, Settings as OpenRouterUsageSettings};

use crate::ports::{Result, UsageQuery, UsageSource};
use crate::rotation::{UsagePlan, UsageTable};

/// Any usage source of this build.
pub enum AnyUsage {
    /// Log files with one JSON document per line.
    Jsonl(Box<JsonlUsage>),
    /// LiteLLM's spend log, behind its API.
    LiteLlm(Box<LiteLlmUsage>),
    /// Counters of OpenRouter or ARouter.
    OpenRouter(Box<OpenRouterUsage>),
    /// new-api's log of a user's own calls.
    NewApi(Box<NewApiUsage>),
    /// AISIX's counters.
    Aisix(Box<AisixUsage>),
    /// None at all.
    Nothing(NoUsage),
}

impl UsageSource for AnyUsage {
    async fn describe(&self) -> Result<UsagePlan> {
        match self {
            Self::Jsonl(source) => source.describe().await,
            Self::LiteLlm(source) => source.describe().await,
            Self::OpenRouter(source) => source.describe().await,
            Self::NewApi(source) => source.describe().await,
            Self::Aisix(source) => source.describe().await,
            Self::Nothing(source) => source.describe().await,
        }
    }

    async fn read(&self, query: UsageQuery<'_>) -> Result<UsageTable> {
        match self {
            Self::Jsonl(source) => source.read(query).await,
            Self::LiteLlm(source) => source.read(query).await,
            Self::OpenRouter(source) => source.read(query).await,
            Self::NewApi(source) => source.read(query).await,
            Self::Aisix(source) => source.read(query).await,
            Self::Nothing(source) => source.read(query).await,
        }
    }
}
