//! Which pods hold the value that their Secret holds now. A pure judgement on what was seen.
//!
//! A container keeps the variables that it started with. So a pod counts only if it was made after the Secret held the value: because it
//! comes from a template that was changed by us after that was seen, or because its containers started late enough by the cluster's own
//! clock. Anything in between is no acknowledgement: a restart may well have picked up the old value.

use super::references::Way;
use crate::secret::Fingerprint;

/// A node may hand out what a Secret held this long ago. Times of the cluster are whole seconds.
pub(crate) const SPREAD: i64 = 2_000;
/// A mounted file is renewed within this time.
pub(crate) const FILES: i64 = 120_000;

/// What pods read, at the last hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LastHop {
    /// What it holds.
    pub(crate) is: Fingerprint,
    /// Since when, by the cluster's clock; none when the server does not say.
    pub(crate) since: Option<i64>,
}

/// One pod, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodSeen {
    pub(crate) name: String,
    /// Its work is over: it holds nothing any more.
    pub(crate) ended: bool,
    /// It is being ended, and serves until it is gone.
    pub(crate) ending: bool,
    pub(crate) ready: bool,
    /// The first start among its running containers, by its node's clock.
    pub(crate) started: Option<i64>,
    /// Our change of the template that it comes from: when, by our clock, and what the Secret held then.
    pub(crate) restart: Option<(i64, Fingerprint)>,
    /// How it reads the value.
    pub(crate) ways: Vec<Way>,
}

/// How it stands with a workload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Pods that hold the value.
    pub(crate) on: usize,
    /// Pods that do not, and why.
    pub(crate) missing: Vec<String>,
    /// The earliest load among those that hold it, by our clock.
    pub(crate) loaded_at: Option<i64>,
}

/// Two clocks: the cluster's, to the second, and ours, at the same instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clocks {
    pub(crate) cluster: i64,
    pub(crate) ours: i64,
}

impl Clocks {
    /// An instant of the cluster's clock by ours, never later than now. Both are whole seconds there: the later reading is taken, because
    /// the order of things was judged by the cluster's clock alone.
    fn ours_of(self, at: i64) -> i64 {
        at.saturating_add(self.ours.saturating_sub(self.cluster)).saturating_add(1_000).min(self.ours)
    }
}

/// Judges every pod.
pub(crate) fn judge(pods: &[PodSeen], hop: &LastHop, clocks: Clocks) -> Standing {
    let mut standing = Standing::default();
    for pod in pods.iter().filter(|p| !p.ended) {
        match holds(pod, hop, clocks) {
            Ok(loaded) => {
                standing.on = standing.on.saturating_add(1);
                standing.loaded_at = Some(standing.loaded_at.map_or(loaded, |t| t.min(loaded)));
            }
            Err(why) => standing.missing.push(format!("{} {why}", pod.name)),
        }
    }
    standing
}

/// When it loaded the value; else why it does not count.
fn holds(pod: &PodSeen, hop: &LastHop, clocks: Clocks) -> Result<i64, &'static str> {
    if pod.ending {
        return Err("is still being ended");
    }
    if let Some((at, is)) = &pod.restart
        && *is == hop.is
    {
        return if pod.ready { Ok(*at) } else { Err("is not ready") };
    }
    let since = hop.since.ok_or("cannot be dated: the server does not say when the value was written")?;
    let started = pod.started.ok_or("has not started")?;
    if started > since.saturating_add(SPREAD) {
        return if pod.ready { Ok(clocks.ours_of(started)) } else { Err("is not ready") };
    }
    let files_only = !pod.ways.is_empty() && pod.ways.iter().all(|w| matches!(w, Way::Volume | Way::Pull));
    if !files_only {
        return Err("started before the value was there");
    }
    let renewed = since.saturating_add(FILES);
    if clocks.cluster > renewed { Ok(clocks.ours_of(renewed)) } else { Err("may not have the new file yet") }
}

impl Standing {
    /// Every pod holds it.
    pub(crate) fn complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// Who is missing, in words.
    pub(crate) fn words(&self) -> String {
        let all = self.on.saturating_add(self.missing.len());
        let named: Vec<&str> = self.missing.iter().take(5).map(String::as_str).collect();
        let more = self.missing.len().saturating_sub(named.len());
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        format!("{} of {all} pods hold the new value; {}{more}", self.on, named.join(", "))
    }
}

#[cfg(test)]
#[path = "standing_tests.rs"]
mod tests;
