//! Problems for people (text), for programs (JSON) and for code scanning (SARIF). All three work on masked text.

mod json;
mod sarif;
mod text;

pub use json::json;
pub use sarif::sarif;
pub use text::text;

use super::diagnostic::{Diagnostic, Severity};

/// Errors and warnings, counted for a last line.
pub fn counts(diagnostics: &[Diagnostic]) -> (usize, usize) {
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    (errors, diagnostics.len() - errors)
}
