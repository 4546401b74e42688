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
    /// Starts to make one read its value again. A child process is named here, so that the journal knows it before it is waited for.
    async fn begin_reload(&self, app: &App) -> Result<Option<Child>>;
    /// Waits until what `begin_reload` started has ended well. An answer here is no acknowledgement.
    async fn finish_reload(&self, app: &App) -> Result<()>;
    /// What it says it holds; none when it cannot tell.
    async fn acknowledged(&self, app: &App) -> Result<Option<Ack>>;
    /// A child of an earlier process still runs; with `end`, its group is ended.
    async fn surviving(&self, child: &Child, end: bool) -> Result<bool>;
}
