//! One problem of a policy: what, where, and what to do about it. Rendering is elsewhere.

use serde::Serialize;

use super::code::Code;

/// Whether a problem refuses the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The policy cannot be used.
    Error,
    /// The policy can be used; the person should know.
    Warning,
}

/// A place in one of the files that make up a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Span {
    /// Which file: an index into the list of sources; the policy itself is 0.
    pub file: usize,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// Line of the first byte, counted from 1.
    pub line: usize,
    /// Column of the first byte in characters, counted from 1.
    pub column: usize,
}

/// A second place that explains the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// Where.
    pub span: Span,
    /// What is to be seen there.
    pub message: String,
}

/// One problem. `message` and `help` never contain a value that may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The stable kind.
    pub code: Code,
    /// Error or warning; follows from the code.
    pub severity: Severity,
    /// The file as it was named to us.
    pub file: String,
    /// Where in it.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
    /// Other places that matter.
    pub related: Vec<Related>,
}

impl Diagnostic {
    /// A problem at a place; the file name is filled in by [`super::parse`], which knows the sources.
    pub(crate) fn at(code: Code, span: Span, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code, severity: code.severity(), file: String::new(), span, message: message.into(), help: help.into(), related: Vec::new() }
    }

    /// Adds a second place.
    #[must_use]
    pub(crate) fn with_related(mut self, span: Span, message: impl Into<String>) -> Self {
        self.related.push(Related { span, message: message.into() });
        self
    }

    /// Whether this problem refuses the policy.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
