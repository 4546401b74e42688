//! `gates:`, `approvals:` and `emergency:` — what must be shown, and who must agree.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Auto, Nothing,
    process::PhaseName,
    rotation::Need,
    statistic::{Band, Quantile, RateCheck, RateDiff},
};
use crate::policy::scalar::{Name, Period, StatusClass, Url};

/// The checks of the phases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Gates {
    /// A pack chosen from measured traffic; the plan says which and why.
    Word(Auto),
    /// Written out, phase by phase; a phase that is not named keeps its defaults.
    Written(BTreeMap<PhaseName, Vec<Check>>),
}

impl Gates {
    /// The checks that are written out for a phase.
    pub fn written(&self, phase: PhaseName) -> Option<&[Check]> {
        match self {
            Gates::Word(Auto::Auto) => None,
            Gates::Written(phases) => phases.get(&phase).map(Vec::as_slice),
        }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Check {
    /// Something must never, or always, be so.
    Invariant(Invariant),
    /// Two configurations are the same, apart from what is allowed to differ.
    Equal(Equal),
    /// The share of bad requests is below a limit.
    Rate(RateCheck),
    /// The share of bad requests on new exceeds that on old by less than a margin.
    RateDiff(RateDiff),
    /// A quantile is below a limit.
    Quantile(Quantile),
    /// A mean stays within a factor of a baseline.
    Band(Band),
    /// No use of a key.
    Zero(Zero),
    /// The credential works in each family.
    Accept(AcceptCheck),
    /// The credential is refused.
    Reject(Reject),
    /// Every consumer has acknowledged or been seen.
    Coverage(Coverage),
    /// A person states a judgement.
    Human(Human),
    /// Another program or service judges.
    External(External),
}

impl Check {
    /// The id of the check, unique in the policy.
    pub fn id(&self) -> &Name {
        match self {
            Check::Invariant(check) => &check.id,
            Check::Equal(check) => &check.id,
            Check::Rate(check) => &check.id,
            Check::RateDiff(check) => &check.id,
            Check::Quantile(check) => &check.id,
            Check::Band(check) => &check.id,
            Check::Zero(check) => &check.id,
            Check::Accept(check) => &check.id,
            Check::Reject(check) => &check.id,
            Check::Coverage(check) => &check.id,
            Check::Human(check) => &check.id,
            Check::External(check) => &check.id,
        }
    }

    /// The kind, as the policy writes it.
    pub fn kind(&self) -> &'static str {
        match self {
            Check::Invariant(_) => "invariant",
            Check::Equal(_) => "equal",
            Check::Rate(_) => "rate",
            Check::RateDiff(_) => "rate_diff",
            Check::Quantile(_) => "quantile",
            Check::Band(_) => "band",
            Check::Zero(_) => "zero",
            Check::Accept(_) => "accept",
            Check::Reject(_) => "reject",
            Check::Coverage(_) => "coverage",
            Check::Human(_) => "human",
            Check::External(_) => "external",
        }
    }

    /// Whether the check is understood, but needs a later build to be judged.
    pub fn needs_later_build(&self) -> bool {
        matches!(self, Check::Rate(_) | Check::RateDiff(_) | Check::Quantile(_) | Check::Band(_))
    }
}

/// Something must never, or always, be so; exactly one of `never` and `always` is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Invariant {
    /// Its name in plan, status and bundle.
    pub id: Name,
    /// Which usage source; the first when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Name>,
    /// Rows that count; those of the new key when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Rows>,
    /// One such row fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub never: Option<Rows>,
    /// One row that is not so fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub always: Option<Rows>,
    /// Rows needed before it can pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub min_n: Option<u32>,
    /// When it stops waiting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Period>,
    /// What happens when the data do not decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_inconclusive: Option<Then>,
    /// What happens without data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_no_data: Option<Then>,
    /// How fresh the data must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freshness: Option<Freshness>,
}

/// Two configurations are the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Equal {
    /// Its name in plan, status and bundle.
    pub id: Name,
    /// One side, such as `old.scope`.
    pub left: Name,
    /// The other side, such as `new.scope`.
    pub right: Name,
    /// Fields that may differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
}

/// No use of a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Zero {
    /// Its name in plan, status and bundle.
    pub id: Name,
    /// Which usage source; all of them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Name>,
    /// Rows that must be absent; those of the old key when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Rows>,
    /// For how long they must be absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// What a consumer does whose cadence exceeds the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unobserved: Option<Unobserved>,
    /// How fresh the data must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freshness: Option<Freshness>,
}

/// The credential works in each family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptCheck {
    /// Its name in plan, status and bundle.
    pub id: Name,
    /// Which families; all that have a probe when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub families: Vec<Family>,
    /// How often each is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub times: Option<u32>,
    /// Whether the probes must be found in the log, and how soon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freshness: Option<Freshness>,
}

/// The credential is refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reject {
    /// Its name in plan, status and bundle.
    pub id: Name,
    /// Not before this time after disabling, so that caches have forgotten the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_ttl: Option<Period>,
    /// How often it must be refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub times: Option<u32>,
    /// Against what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub over: Vec<Over>,
}

/// Every consumer has acknowledged or been seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Coverage {
    /// Its name in plan, status and bundle.
    pub id: Name,
    /// When it stops waiting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Period>,
    /// What happens when a consumer is still missing then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_inconclusive: Option<Then>,
}

/// A person states a judgement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Human {
    /// Its name in plan, status and bundle.
    pub id: Name,
    /// Who is asked.
    pub role: Name,
    /// What is asked.
    pub question: String,
    /// When it stops waiting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Period>,
}

/// Another program or service judges; exactly one of `command` and `url` is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct External {
    /// Its name in plan, status and bundle.
    pub id: Name,
    /// A program that prints a verdict document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub command: Option<Vec<String>>,
    /// An address that answers with a verdict document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Url>,
    /// Longest time for one answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Period>,
    /// When it stops waiting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Period>,
}

/// A condition on log rows; all that is written must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    /// Which key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Which>,
    /// One of these statuses or classes, as text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<StatusClass>,
    /// One of these models.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub model: Vec<String>,
    /// One of these routes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub route: Vec<String>,
    /// One of these consumers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consumer: Vec<Name>,
    /// Attributed to this owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Streamed or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
}

/// Which of the two keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// The outgoing key.
    Old,
    /// The replacement.
    New,
}

/// For how long something must be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Window {
    /// The largest cadence among consumers without an acknowledgement, and never below the floor of production.
    Word(Auto),
    /// This long.
    Of(Period),
}

/// What a consumer does whose cadence exceeds the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unobserved {
    /// It blocks.
    Block,
    /// It is named as a gap and needs a waiver.
    Waive,
}

/// Families of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are those of the probes")]
pub enum Family {
    Chat,
    Tools,
    Embeddings,
    Responses,
    Structured,
}

/// Against what a refusal must be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// Every family that has a probe.
    EachEndpoint,
    /// Every replica that has an address.
    EachReplica,
}

/// What happens when a check cannot decide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Then {
    /// It goes on waiting.
    Hold(Nothing),
    /// A role is asked.
    Ask(Name),
    /// It counts as failed.
    Fail(Nothing),
}

/// How fresh data must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Freshness {
    /// How far the source may be behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_lag: Option<Period>,
    /// Whether a call of our own must be found first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracer: Option<Need>,
}

/// Who must agree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Principals of this role in the file of allowed signers.
    pub role: Name,
    /// How many of them; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 20))]
    pub of: Option<u32>,
    /// Whether the requester may not be one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_requester: Option<bool>,
}

/// What `--emergency` may shorten.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Emergency {
    /// How long both keys stay valid.
    pub overlap: Period,
}
