//! The faults of a drill: when each is switched on, what is meant to see it, and what sees it when that check is missing.

use super::one::Ended;
use crate::rotation::{Phase, Verdict};

/// One fault and what is expected of it.
pub(crate) struct Meant {
    /// Its name at the sandbox.
    pub(crate) name: &'static str,
    /// Its arguments, as JSON.
    pub(crate) args: &'static str,
    /// It is switched on when the run enters this phase.
    pub(crate) at: Phase,
    /// What deals with it.
    pub(crate) by: By,
    /// How the run ends while the fault is there.
    pub(crate) end: &'static str,
}

/// What deals with a fault.
pub(crate) enum By {
    /// A check of a gate, by this verdict.
    Check(&'static str, Verdict, Without),
    /// A lost answer is looked for.
    Looking,
    /// Nothing has to: this keeps it harmless.
    Nature(&'static str),
}

/// What is expected when the check meant for a fault is missing.
pub(crate) enum Without {
    /// Another check sees it: the first of these that the journal has.
    Caught(&'static [(&'static str, Verdict)]),
    /// The look before the next change sees it: the world is not as the journal expects.
    Looked,
}

impl Meant {
    /// The check meant for it, empty where there is none.
    pub(crate) fn check(&self) -> &'static str {
        match self.by {
            By::Check(check, ..) => check,
            By::Looking | By::Nature(_) => "",
        }
    }

    /// A row for a fault that no check deals with, so that none can be taken out.
    pub(crate) fn no_check(&self) -> Option<[&'static str; 5]> {
        match self.by {
            By::Check(..) => None,
            By::Looking => {
                Some([self.name, "", "no check but the look after every lost answer; the simulator takes it out", "not run", ""])
            }
            By::Nature(_) => Some([self.name, "", "no check: nothing that could be taken out keeps bodies away", "not run", ""]),
        }
    }

    /// What dealt with it, and whether all is as it is meant to be.
    pub(crate) fn judge(&self, ended: &Ended) -> (String, bool) {
        let (words, seen) = match self.by {
            By::Check(check, verdict, _) => match ended.saw(check, verdict) {
                Some(blocked) => (blocked.words(), true),
                None => (format!("not {check}, which is meant to"), false),
            },
            By::Looking if ended.looked => ("a look by marker, then a second mint".into(), true),
            By::Looking => ("nothing".into(), false),
            By::Nature(how) => (how.into(), true),
        };
        (words, seen && ended.end == self.end && ended.left.is_empty())
    }

    /// The same with the check removed.
    pub(crate) fn judge_without(&self, ended: &Ended) -> (String, bool) {
        let By::Check(_, _, without) = &self.by else { return (String::new(), false) };
        match without {
            Without::Caught(others) => match others.iter().find_map(|(check, verdict)| ended.saw(check, *verdict)) {
                Some(blocked) => (blocked.words(), ended.left.is_empty()),
                None => ("none of those that are expected".into(), false),
            },
            Without::Looked => match ended.drift.first() {
                Some(drift) => (format!("the look before a change: {drift}"), ended.left.is_empty()),
                None => ("no look, which is expected".into(), false),
            },
        }
    }
}

use By::{Check, Looking, Nature};
use Phase::{Hold, Prepare};
use Verdict::{Fail, Inconclusive, NoData};
use Without::{Caught, Looked};

/// The faults, in the order of a rotation.
pub(crate) const FAULTS: [Meant; 12] = [
    fault("lost_response", r#"{"on":"mint"}"#, Prepare, Looking, "done"),
    fault("scope_dropped", r#"{"field":"models"}"#, Prepare, Check("scope", Fail, Looked), "rolled back"),
    fault("grace_kills_old", "{}", Prepare, Check("old_accepted", Fail, Caught(&[("soak", Fail), ("old_refused", Inconclusive)])), "done"),
    fault("projection_delay", r#"{"ms":60000}"#, Prepare, Check("new_accepted", Fail, Caught(&[("attributed", NoData)])), "rolled back"),
    fault(
        "replica_lag",
        r#"{"replica":1,"ms":60000}"#,
        Prepare,
        Check("new_accepted", Fail, Caught(&[("none_refused", Fail)])),
        "rolled back",
    ),
    fault(
        "latency_shift",
        r#"{"ms":2500,"only":"new"}"#,
        Prepare,
        Check("new_accepted", Inconclusive, Caught(&[("attributed", NoData)])),
        "parked",
    ),
    fault(
        "bursts_5xx",
        r#"{"every":400,"len":399,"only":"new"}"#,
        Prepare,
        Check("new_accepted", Inconclusive, Caught(&[("attributed", NoData)])),
        "parked",
    ),
    fault("usage_on_wrong_owner", "{}", Prepare, Check("attributed", Fail, Caught(&[("coverage", Inconclusive)])), "parked"),
    fault("log_lag", r#"{"ms":20000}"#, Hold, Check("drain", NoData, Caught(&[("coverage", Inconclusive), ("soak", NoData)])), "parked"),
    fault("exporter_stopped", r#"{"replica":1}"#, Hold, Check("drain", NoData, Caught(&[("soak", Inconclusive)])), "parked"),
    fault("disable_ignored_by_replica", r#"{"replica":1}"#, Hold, Check("old_refused", Fail, Caught(&[("evidence", Fail)])), "parked"),
    fault("echo_key_in_errors", "{}", Hold, Nature("bodies are never kept; the scan finds nothing"), "done"),
];

const fn fault(name: &'static str, args: &'static str, at: Phase, by: By, end: &'static str) -> Meant {
    Meant { name, args, at, by, end }
}
