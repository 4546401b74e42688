//! What a rule found, before it becomes a verdict on record.

use crate::rotation::Verdict;
use std::collections::BTreeMap;

/// A verdict with its reason, numbers, and names.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    pub(super) why: String,
    pub(super) counts: BTreeMap<String, u64>,
    pub(super) about: Vec<String>,
}

/// `Err` is the finding that kept a rule from going on; both sides are answers.
pub(super) type Found = Result<Finding, Finding>;

/// The count whose presence ends an approval that was given before this reading.
pub(super) const VOIDS_APPROVAL: &str = "voids_approval";

impl Finding {
    fn new(verdict: Verdict, why: impl Into<String>) -> Self {
        Self { verdict, why: why.into(), counts: BTreeMap::new(), about: Vec::new() }
    }

    /// Shown.
    pub(super) fn pass(why: impl Into<String>) -> Self {
        Self::new(Verdict::Pass, why)
    }

    /// Shown to be wrong.
    pub(super) fn fail(why: impl Into<String>) -> Self {
        Self::new(Verdict::Fail, why)
    }

    /// Data, but not enough.
    pub(super) fn inconclusive(why: impl Into<String>) -> Self {
        Self::new(Verdict::Inconclusive, why)
    }

    /// No rows, or the source is behind.
    pub(super) fn no_data(why: impl Into<String>) -> Self {
        Self::new(Verdict::NoData, why)
    }

    /// The question could not be asked.
    pub(super) fn error(why: impl Into<String>) -> Self {
        Self::new(Verdict::Error, why)
    }

    /// Adds a number.
    pub(super) fn count(mut self, name: &str, n: u64) -> Self {
        self.counts.insert(name.to_owned(), n);
        self
    }

    /// Adds how many there are of something.
    pub(super) fn count_of(self, name: &str, n: usize) -> Self {
        self.count(name, u64::try_from(n).unwrap_or(u64::MAX))
    }

    /// Says whom it concerns.
    pub(super) fn about(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.about.extend(names);
        self
    }
}

/// Names in a sentence: all of a few, the first three of many.
pub(super) fn listed(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let first: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => first.join(", "),
        Some(more) => format!("{} and {more} more", first.join(", ")),
    }
}

/// `a waits` or `3 wait`, without `(s)`.
pub(super) fn plural(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}
