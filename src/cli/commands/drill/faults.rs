//! The faults of a drill: when each is switched on, and what is meant to see it.

use crate::rotation::{Phase, Verdict};

/// One fault and what is expected of it.
pub(crate) struct Meant {
    /// Its name at the sandbox.
    pub(crate) name: &'static str,
    /// Its arguments, as JSON.
    pub(crate) args: &'static str,
    /// It is switched on when the run enters this phase.
    pub(crate) at: Phase,
    /// The check meant for it; empty where recovery or construction deals with it.
    pub(crate) check: &'static str,
    /// The verdict by which that check blocks.
    pub(crate) verdict: Verdict,
    /// How the run ends while the fault is there.
    pub(crate) end: &'static str,
    /// What deals with it, where no check does.
    pub(crate) instead: &'static str,
    /// Another check that catches it when its own is removed; empty when it then gets through.
    pub(crate) other: &'static str,
}

impl Meant {
    /// The check, or what does its work.
    pub(crate) fn check_words(&self) -> &'static str {
        if self.check.is_empty() { self.instead } else { self.check }
    }
}

/// The faults, in the order of a rotation.
pub(crate) const FAULTS: [Meant; 12] = [
    fault("lost_response", r#"{"on":"mint"}"#, Phase::Prepare, "", Verdict::Pass, "done", "a look by marker, then a second mint", ""),
    fault("scope_dropped", r#"{"field":"models"}"#, Phase::Prepare, "scope", Verdict::Fail, "rolled back", "", ""),
    fault("grace_kills_old", "{}", Phase::Prepare, "old_accepted", Verdict::Fail, "done", "", ""),
    fault("projection_delay", r#"{"ms":4000}"#, Phase::Prepare, "new_accepted", Verdict::Fail, "rolled back", "", ""),
    fault("replica_lag", r#"{"replica":1,"ms":4000}"#, Phase::Prepare, "new_accepted", Verdict::Fail, "rolled back", "", ""),
    fault("latency_shift", r#"{"ms":2500,"only":"new"}"#, Phase::Prepare, "new_accepted", Verdict::Inconclusive, "parked", "", ""),
    fault("bursts_5xx", r#"{"every":4,"len":3,"only":"new"}"#, Phase::Prepare, "new_accepted", Verdict::Inconclusive, "parked", "", ""),
    fault("usage_on_wrong_owner", "{}", Phase::Prepare, "attributed", Verdict::Fail, "parked", "", "coverage"),
    fault("log_lag", r#"{"ms":20000}"#, Phase::Hold, "drain", Verdict::NoData, "parked", "", "coverage"),
    fault("exporter_stopped", r#"{"replica":1}"#, Phase::Hold, "drain", Verdict::NoData, "parked", "", "soak"),
    fault("disable_ignored_by_replica", r#"{"replica":1}"#, Phase::Hold, "old_refused", Verdict::Fail, "parked", "", ""),
    fault("echo_key_in_errors", "{}", Phase::Hold, "", Verdict::Pass, "done", "bodies are never kept; the scan finds nothing", ""),
];

#[expect(clippy::too_many_arguments, reason = "a row of a table")]
const fn fault(
    name: &'static str,
    args: &'static str,
    at: Phase,
    check: &'static str,
    verdict: Verdict,
    end: &'static str,
    instead: &'static str,
    other: &'static str,
) -> Meant {
    Meant { name, args, at, check, verdict, end, instead, other }
}
