//! Problems for code scanning: SARIF 2.1.0.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::policy::{
    Shown,
    diagnostic::{Diagnostic, Severity, Span},
};

/// All problems as one SARIF log with one run.
pub fn sarif(diagnostics: &[Diagnostic], sources: &[Shown]) -> Value {
    let codes: BTreeSet<_> = diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
    let rules: Vec<Value> =
        codes.iter().map(|code| json!({ "id": code.text(), "name": code.name(), "shortDescription": { "text": code.about() } })).collect();
    let results: Vec<Value> = diagnostics.iter().map(|diagnostic| result(diagnostic, sources)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "keyroll", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(diagnostic: &Diagnostic, sources: &[Shown]) -> Value {
    let level = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut result = json!({
        "ruleId": diagnostic.code.text(),
        "level": level,
        "message": { "text": format!("{}; {}", diagnostic.message, diagnostic.help) },
        "locations": [{ "physicalLocation": place(&diagnostic.file, diagnostic.span) }],
    });
    if !diagnostic.related.is_empty() {
        let related: Vec<Value> = diagnostic
            .related
            .iter()
            .map(|related| {
                let file = sources.get(related.span.file).map_or(diagnostic.file.as_str(), |source| source.path.as_str());
                json!({ "message": { "text": related.message }, "physicalLocation": place(file, related.span) })
            })
            .collect();
        if let Some(object) = result.as_object_mut() {
            object.insert("relatedLocations".to_owned(), Value::from(related));
        }
    }
    result
}

fn place(file: &str, span: Span) -> Value {
    let mut place = json!({ "artifactLocation": { "uri": uri(file) } });
    // A file that cannot be read has no lines; SARIF counts from 1.
    if span.line > 0
        && let Some(object) = place.as_object_mut()
    {
        let region =
            json!({ "startLine": span.line, "startColumn": span.column, "byteOffset": span.start, "byteLength": span.end - span.start });
        object.insert("region".to_owned(), region);
    }
    place
}

/// A path as a URI reference: what is not plain is percent-encoded.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.replace('\\', "/").bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_' | b'~') {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}
