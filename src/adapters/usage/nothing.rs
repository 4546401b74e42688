//! No usage source at all: it says so, and shows nothing. Whoever rotates without one accepts that in words.

use crate::ports::{Result, UsageQuery, UsageSource};
use crate::rotation::{Span, UsageKind, UsagePlan, UsageTable};
use std::collections::BTreeMap;

/// The absence of a source.
pub struct NoUsage;

impl UsageSource for NoUsage {
    async fn describe(&self) -> Result<UsagePlan> {
        Ok(UsagePlan {
            kind: UsageKind::None,
            sees_refused: false,
            names_caller: false,
            lag: Span::ZERO,
            shards: Vec::new(),
            reaches: None,
            source: "no usage source".into(),
        })
    }

    async fn read(&self, query: UsageQuery<'_>) -> Result<UsageTable> {
        Ok(UsageTable {
            from: query.from,
            to: query.to,
            old: BTreeMap::new(),
            new: BTreeMap::new(),
            own: BTreeMap::new(),
            rows: 0,
            malformed: 0,
            shards: Vec::new(),
            lag: Span::ZERO,
            reaches: None,
            query: "no usage source".into(),
        })
    }
}
