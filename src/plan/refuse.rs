//! What cannot be honoured: the capability that is missing, why it matters, and the nearest policy that works.

use serde::Serialize;

/// One reason why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The capability or fact that is missing, as a stable word.
    pub lacks: &'static str,
    /// Why that matters here.
    pub why: String,
    /// The nearest policy that works.
    pub nearest: String,
}

impl Refusal {
    pub(super) fn new(lacks: &'static str, why: impl Into<String>, nearest: impl Into<String>) -> Self {
        Self { lacks, why: why.into(), nearest: nearest.into() }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}; what works: {}", self.lacks, self.why, self.nearest)
    }
}
