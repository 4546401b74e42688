//! Problems for programs.

use serde_json::{Value, json};

use crate::policy::{
    Shown,
    diagnostic::{Diagnostic, Span},
};

/// All problems as one document; `v` counts up when its shape changes.
pub fn json(diagnostics: &[Diagnostic], sources: &[Shown]) -> Value {
    let (errors, warnings) = super::counts(diagnostics);
    json!({
        "v": 1,
        "files": sources.iter().map(|source| json!({ "path": source.path, "sha256": source.sha256 })).collect::<Vec<_>>(),
        "errors": errors,
        "warnings": warnings,
        "problems": diagnostics.iter().map(|diagnostic| problem(diagnostic, sources)).collect::<Vec<_>>(),
    })
}

fn problem(diagnostic: &Diagnostic, sources: &[Shown]) -> Value {
    let related: Vec<Value> = diagnostic
        .related
        .iter()
        .map(|related| {
            let file = sources.get(related.span.file).map_or(diagnostic.file.as_str(), |source| source.path.as_str());
            json!({ "at": at(file, related.span), "message": related.message })
        })
        .collect();
    json!({
        "code": diagnostic.code,
        "name": diagnostic.code.name(),
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "help": diagnostic.help,
        "at": at(&diagnostic.file, diagnostic.span),
        "related": related,
    })
}

fn at(file: &str, span: Span) -> Value {
    json!({ "file": file, "line": span.line, "column": span.column, "start": span.start, "end": span.end })
}
