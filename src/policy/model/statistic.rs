//! Statistical checks: understood and kept, judged by a later build.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gate::{Freshness, Rows, Then};
use crate::policy::scalar::{Name, Period, Rate};

/// The share of bad requests is below a limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateCheck {
    /// Its name in plan, status and bundle.
    pub id: Name,
    /// Which usage source; the first when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Name>,
    /// Rows that count.
    pub of: Rows,
    /// Which of them are bad.
    pub bad: Rows,
    /// Fields that split the rows into comparable groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strata: Vec<Name>,
    /// The worst share that is still accepted.
    pub limit: Rate,
    /// Chance of passing when the true share is at the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.000_001, max = 0.5))]
    pub alpha: Option<f64>,
    /// Chance of failing when the true share is at the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.000_001, max = 0.5))]
    pub beta: Option<f64>,
    /// Rows needed before it can pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub min_n: Option<u32>,
    /// Time needed before it can pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_time: Option<Period>,
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

/// Bad requests on new compared with old.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateDiff {
    /// Its name in plan, status and bundle.
    pub id: Name,
    /// Which usage source; the first when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Name>,
    /// Which rows are bad.
    pub bad: Rows,
    /// Fields that split the rows into comparable groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strata: Vec<Name>,
    /// How much worse new may be.
    pub margin: Rate,
    /// Chance of passing when the true difference is at the margin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.000_001, max = 0.5))]
    pub alpha: Option<f64>,
    /// Chance of failing when the true difference is at the margin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.000_001, max = 0.5))]
    pub beta: Option<f64>,
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

/// A quantile is below a limit, or below a factor of the control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quantile {
    /// Its name in plan, status and bundle.
    pub id: Name,
    /// Which usage source; the first when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Name>,
    /// Rows that count.
    pub of: Rows,
    /// What is measured.
    pub measure: Measure,
    /// Which quantile: 0.95 is the p95.
    #[schemars(range(min = 0.01, max = 0.9999))]
    pub quantile: f64,
    /// Upper limit, in the unit of the measure (milliseconds, tokens, currency units).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub below: Option<f64>,
    /// Upper limit as a factor of the control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub factor: Option<f64>,
    /// Chance of passing when the true value is at the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.000_001, max = 0.5))]
    pub alpha: Option<f64>,
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

/// A mean stays within a factor of a baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// Its name in plan, status and bundle.
    pub id: Name,
    /// Which usage source; the first when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Name>,
    /// Rows that count.
    pub of: Rows,
    /// What is measured, per request.
    pub measure: Measure,
    /// How far it may move, up and down.
    #[schemars(range(min = 1.0, max = 100.0))]
    pub factor: f64,
    /// What it is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// Chance of passing when the true value is at the edge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.000_001, max = 0.5))]
    pub alpha: Option<f64>,
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

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// Milliseconds from request to answer.
    Latency,
    /// Tokens of a request.
    Tokens,
    /// Cost of a request.
    Spend,
}

/// What new is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Baseline {
    /// The old key at the same time.
    ConcurrentOldKey,
    /// The same hour a week ago.
    SameHourLastWeek,
}
