//! `approvals.json` and `exceptions.json`: what people decided, and how their names are known.

use super::lines::Entry;
use super::words;
use crate::rotation::{Drift, Effect, Exception, Proof, Record, Run, Time};
use serde::Serialize;

/// Every question and answer.
#[derive(Debug, Serialize)]
pub(super) struct Approvals {
    v: u32,
    requester: Option<String>,
    required: Vec<Required>,
    pub(super) answers: Vec<Answer>,
}

#[derive(Debug, Serialize)]
struct Required {
    phase: &'static str,
    role: String,
    not_requester: bool,
}

/// One answer of a person.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    pub(super) record: u64,
    asked_at: Option<Time>,
    pub(super) at: Time,
    pub(super) phase: &'static str,
    attempt: u32,
    role: Option<String>,
    /// The journal's head that was signed: the evidence up to there.
    head: String,
    pub(super) by: String,
    pub(super) yes: bool,
    why: String,
    pub(super) signed: bool,
    principal: Option<String>,
    signature: Option<String>,
    /// The effect that used it up.
    pub(super) used_by_effect: Option<u32>,
}

/// What was allowed to be otherwise.
#[derive(Debug, Serialize)]
pub(super) struct Exceptions {
    v: u32,
    pub(super) accepted_by_policy: Vec<String>,
    pub(super) consumers: Vec<Stays>,
    pub(super) waivers: Vec<Waived>,
    pub(super) emergency: Option<Emergency>,
    pub(super) amended: Vec<Amended>,
}

/// A consumer that may stay on the old key.
#[derive(Debug, Serialize)]
pub(super) struct Stays {
    #[serde(flatten)]
    pub(super) exception: Exception,
    /// Who said so during the run; none: it was in the plan.
    pub(super) by: Option<String>,
    record: Option<u64>,
}

/// A waived check.
#[derive(Debug, Serialize)]
pub(super) struct Waived {
    record: u64,
    pub(super) at: Time,
    pub(super) point: &'static str,
    consumer: Option<String>,
    pub(super) check: String,
    pub(super) by: String,
    pub(super) why: String,
    pub(super) until: Time,
}

/// Emergency mode.
#[derive(Debug, Serialize)]
pub(super) struct Emergency {
    record: u64,
    pub(super) at: Time,
    pub(super) by: String,
    pub(super) why: String,
    pub(super) breaks: Vec<String>,
}

/// A difference that a person accepted.
#[derive(Debug, Serialize)]
pub(super) struct Amended {
    record: u64,
    pub(super) at: Time,
    pub(super) by: String,
    pub(super) why: String,
    pub(super) accepts: Vec<String>,
}

/// The approvals of a run.
pub(super) fn approvals(run: &Run, entries: &[Entry]) -> Approvals {
    let required = run.plan.approvals.iter();
    let mut file = Approvals {
        v: 1,
        requester: run.plan.about.requester.clone(),
        required: required.map(|a| Required { phase: a.phase.name(), role: a.role.clone(), not_requester: a.not_requester }).collect(),
        answers: Vec::new(),
    };
    let mut asked: Option<(&str, Time, &str)> = None;
    for entry in entries {
        match &entry.record {
            Record::Asked { role, head, .. } => asked = Some((head, entry.at, role)),
            Record::Answered { phase, attempt, head, by, yes, why, proof } => {
                let question = asked.filter(|(h, ..)| h == head);
                let (signed, principal, signature) = match proof {
                    Proof::Asserted => (false, None, None),
                    Proof::Signed { signature, principal } => (true, Some(principal.clone()), Some(signature.clone())),
                };
                file.answers.push(Answer {
                    record: entry.seq,
                    asked_at: question.map(|(_, at, _)| at),
                    at: entry.at,
                    phase: phase.name(),
                    attempt: *attempt,
                    role: question.map(|(.., role)| role.to_owned()),
                    head: head.clone(),
                    by: by.clone(),
                    yes: *yes,
                    why: super::text::plain(why),
                    signed,
                    principal,
                    signature,
                    used_by_effect: None,
                });
            }
            Record::Began { n, effect: Effect::Disable { approval: Some(record), .. }, .. } => {
                if let Some(answer) = file.answers.iter_mut().find(|a| a.record == *record) {
                    answer.used_by_effect = Some(*n);
                }
            }
            _ => {}
        }
    }
    file
}

/// The exceptions of a run.
pub(super) fn exceptions(run: &Run, entries: &[Entry]) -> Exceptions {
    let planned = run.plan.exceptions.iter();
    let mut file = Exceptions {
        v: 1,
        accepted_by_policy: run.plan.accept.clone(),
        consumers: planned.map(|e| Stays { exception: e.clone(), by: None, record: None }).collect(),
        waivers: Vec::new(),
        emergency: None,
        amended: Vec::new(),
    };
    for entry in entries {
        let (record, at) = (entry.seq, entry.at);
        match &entry.record {
            Record::Excepted { exception, by } => {
                file.consumers.push(Stays { exception: exception.clone(), by: Some(by.clone()), record: Some(record) });
            }
            Record::Waived { point, check, by, why, until } => {
                let consumer = words::consumer(point).map(str::to_owned);
                let (check, by, why, until) = (check.clone(), by.clone(), super::text::plain(why), *until);
                file.waivers.push(Waived { record, at, point: words::point(point), consumer, check, by, why, until });
            }
            Record::Emergency { by, why, breaks } => {
                let breaks = breaks.iter().map(ToString::to_string).collect();
                file.emergency = Some(Emergency { record, at, by: by.clone(), why: super::text::plain(why), breaks });
            }
            Record::Amended { accepts, by, why } => {
                let accepts = accepts.iter().map(Drift::words).collect();
                file.amended.push(Amended { record, at, by: by.clone(), why: super::text::plain(why), accepts });
            }
            _ => {}
        }
    }
    file
}
