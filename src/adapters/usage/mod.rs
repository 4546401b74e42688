//! Usage sources: one file per kind, one variant each.

mod aisix;
mod jsonl;
mod litellm;
mod nothing;

pub use aisix::{AisixUsage, AisixWatches};
pub use jsonl::JsonlUsage;
pub use litellm::{LAG as LITELLM_LAG, LiteLlmUsage, Settings as LiteLlmSettings};
pub use nothing::NoUsage;

use crate::ports::{Result, UsageQuery, UsageSource};
use crate::rotation::{UsagePlan, UsageTable};

/// Any usage source of this build.
pub enum AnyUsage {
    /// Log files with one JSON document per line.
    Jsonl(Box<JsonlUsage>),
    /// LiteLLM's spend log, behind its API.
    LiteLlm(Box<LiteLlmUsage>),
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
            Self::Aisix(source) => source.describe().await,
            Self::Nothing(source) => source.describe().await,
        }
    }

    async fn read(&self, query: UsageQuery<'_>) -> Result<UsageTable> {
        match self {
            Self::Jsonl(source) => source.read(query).await,
            Self::LiteLlm(source) => source.read(query).await,
            Self::Aisix(source) => source.read(query).await,
            Self::Nothing(source) => source.read(query).await,
        }
    }
}
