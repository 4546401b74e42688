//! Who used which key, and the consumers themselves.

use super::Result;
use crate::rotation::{Ack, App, Child, KeyId, RequestId, Time, UsagePlan, UsageTable, Which};
use std::collections::BTreeMap;

/// What to read.
pub struct UsageQuery<'a> {
    /// The outgoing key.
    pub old: &'a KeyId,
    /// The replacement, once there is one.
    pub new: Option<&'a KeyId>,
    /// Start, in the source's time.
    pub from: Time,
    /// End, in the source's time.
    pub to: Time,
    /// Our own calls: excluded by exact id, each at most once, and reported apart.
    pub own: &'a BTreeMap<RequestId, Which>,
}

/// A reader of usage: it has no method that changes anything.
pub trait UsageSource {
    /// What it can show, read once for the plan.
    async fn describe(&self) -> Result<UsagePlan>;
    /// Counts by key and caller, with the watermark of every shard.
    async fn read(&self, query: UsageQuery<'_>) -> Result<UsageTable>;
}

/// The consumers of a slot.
pub trait Consumers {
    /// Makes one read its value again. `started` is called with a child process before it is waited for.
    /// An answer here is no acknowledgement.
    async fn reload(&self, app: &App, started: &mut dyn FnMut(Child)) -> Result<()>;
    /// What it says it holds; none when it cannot tell.
    async fn acknowledged(&self, app: &App) -> Result<Option<Ack>>;
    /// A child of an earlier process still runs; with `end`, its group is ended.
    async fn surviving(&self, child: &Child, end: bool) -> Result<bool>;
}
