//! Problems for people: code, message, place, the line, and what to do.

use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Element, Group, Level, Origin, Padding, Renderer, Snippet, renderer::DecorStyle};

use crate::policy::{
    Shown,
    diagnostic::{Diagnostic, Severity, Span},
};

/// Lines longer than this are cut before they are rendered.
const LONG: usize = 400;

/// Renders all problems, one after another, each ended by an empty line.
pub fn text(diagnostics: &[Diagnostic], sources: &[Shown], colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(160);
    let mut out = String::new();
    for diagnostic in diagnostics {
        out.push_str(&renderer.render(&report(diagnostic, sources)));
        out.push_str("\n\n");
    }
    out
}

fn report<'a>(diagnostic: &'a Diagnostic, sources: &'a [Shown]) -> Vec<Group<'a>> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code.text()).elements(place(
        &diagnostic.file,
        diagnostic.span,
        sources,
        AnnotationKind::Primary,
        None,
    ));
    for related in &diagnostic.related {
        let file = sources.get(related.span.file).map_or(diagnostic.file.as_str(), |source| source.path.as_str());
        group = group.elements(place(file, related.span, sources, AnnotationKind::Context, Some(&related.message)));
    }
    vec![group.element(Padding).element(Level::HELP.message(diagnostic.help.as_str()))]
}

/// `--> file:line:column` and, where there is one, the line with the place underlined.
fn place<'a>(file: &'a str, span: Span, sources: &'a [Shown], kind: AnnotationKind, label: Option<&'a str>) -> Vec<Element<'a>> {
    if span.line == 0 {
        return vec![Origin::path(file).into()];
    }
    let found = sources.get(span.file).and_then(|source| line_of(&source.text, span));
    let Some((line, range)) = found else {
        return vec![Origin::path(file).line(span.line).char_column(span.column).into()];
    };
    let snippet = Snippet::source(line).line_start(span.line).fold(false);
    if line.len() <= LONG {
        let annotation: Annotation<'_> = kind.span(range).label(label);
        return vec![snippet.path(file).annotation(annotation).into()];
    }
    // The renderer would count columns from the cut, so the place is written by us.
    let (line, range) = cut(line, range);
    let annotation: Annotation<'_> = kind.span(range).label(label);
    let origin = Origin::path(file).line(span.line).char_column(span.column);
    vec![origin.into(), Snippet::source(line).line_start(span.line).fold(false).annotation(annotation).into()]
}

/// The line of a place, and the part of the place that is on it.
fn line_of(text: &str, span: Span) -> Option<(&str, Range<usize>)> {
    let start = text.get(..span.start)?.rfind('\n').map_or(0, |at| at + 1);
    let end = text.get(span.start..)?.find('\n').map_or(text.len(), |at| at + span.start);
    let line = text.get(start..end)?.trim_end();
    let first = (span.start - start).min(line.len());
    let last = span.end.saturating_sub(start).clamp(first, line.len());
    Some((line, first..last))
}

/// A long line, cut to what is around the place.
fn cut(line: &str, range: Range<usize>) -> (&str, Range<usize>) {
    let from = line.floor_char_boundary(range.start.saturating_sub(LONG / 2));
    let to = line.floor_char_boundary((from + LONG).min(line.len()));
    let first = range.start - from;
    (line.get(from..to).unwrap_or_default(), first..(range.end.min(to).max(range.start) - from))
}
