//! `human`: a role agrees. And the kinds that this build knows by name only.

use super::Case;
use super::finding::Finding;
use crate::rotation::Proof;

pub(super) fn judge(case: &Case<'_>, role: &str) -> Finding {
    match &case.run.approved {
        Some(approval) => {
            let proof = match &approval.proof {
                Proof::Asserted => "asserted by the operating system only".to_owned(),
                Proof::Signed { principal, .. } => format!("signed as {principal}"),
            };
            Finding::pass(format!("agreed by {} for {}, {proof}", approval.by, approval.phase)).about([approval.by.clone()])
        }
        None => Finding::inconclusive(format!("waiting for {role} to say yes: `keyroll approve {}`", case.run.id)).about([role.to_owned()]),
    }
}

pub(super) fn later(kind: &str) -> Finding {
    Finding::error(format!("this build cannot judge `{kind}` yet: waive it by name or remove it from the policy"))
}
