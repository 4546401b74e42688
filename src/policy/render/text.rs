//! Problems for people: code, message, place, the line, and what to do.

use annotate_snippets::{
    Annotation, AnnotationKind, Element, Group, Level, Origin, Padding, Renderer, Snippet,
    renderer::DecorStyle,
};

use crate::policy::{
    Shown,
    diagnostic::{Diagnostic, Severity, Span},
};

/// The widest part of a line that is shown.
const WIDE: usize = 160;

/// Renders all problems, one after another, each ended by an empty line.
pub fn text(diagnostics: &[Diagnostic], sources: &[Shown], colour: bool) -> String {
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let renderer = renderer
        .decor_style(DecorStyle::Ascii)
        .term_width(WIDE + 40);
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
    let mut group = level
        .primary_title(diagnostic.message.as_str())
        .id(diagnostic.code.text())
        .elements(place(
            &diagnostic.file,
            diagnostic.span,
            sources,
            AnnotationKind::Primary,
            None,
        ));
    for related in &diagnostic.related {
        let file = sources
            .get(related.span.file)
            .map_or(diagnostic.file.as_str(), |source| source.path.as_str());
        group = group.elements(place(
            file,
            related.span,
            sources,
            AnnotationKind::Context,
            Some(&related.message),
        ));
    }
    vec![
        group
            .element(Padding)
            .element(Level::HELP.message(diagnostic.help.as_str())),
    ]
}

/// `--> file:line:column` and, where there is one, the line with the place underlined.
fn place<'a>(
    file: &'a str,
    span: Span,
    sources: &'a [Shown],
    kind: AnnotationKind,
    label: Option<&'a str>,
) -> Vec<Element<'a>> {
    let mut origin = Origin::path(file);
    if span.line > 0 {
        origin = origin.line(span.line).char_column(span.column);
    }
    let mut elements = vec![Element::from(origin)];
    let window = sources
        .get(span.file)
        .filter(|_| span.line > 0)
        .and_then(|source| window(&source.text, span));
    if let Some((line, range)) = window {
        let annotation: Annotation<'_> = kind.span(range).label(label);
        elements.push(
            Snippet::source(line)
                .line_start(span.line)
                .fold(false)
                .annotation(annotation)
                .into(),
        );
    }
    elements
}

/// The line of a place, cut to what fits, and the place within it.
fn window(text: &str, span: Span) -> Option<(&str, std::ops::Range<usize>)> {
    let start = text.get(..span.start)?.rfind('\n').map_or(0, |at| at + 1);
    let end = text
        .get(span.start..)?
        .find('\n')
        .map_or(text.len(), |at| at + span.start);
    let end = text.get(start..end)?.trim_end().len() + start;
    let mut from = start;
    if span.start.saturating_sub(start) > WIDE / 2 && end - start > WIDE {
        from = span.start - WIDE / 2;
        while !text.is_char_boundary(from) {
            from += 1;
        }
    }
    let mut to = end.min(from + WIDE);
    while !text.is_char_boundary(to) {
        to -= 1;
    }
    let line = text.get(from..to.max(from))?;
    let first = span.start.saturating_sub(from).min(line.len());
    let last = span
        .end
        .min(to)
        .saturating_sub(from)
        .clamp(first, line.len());
    Some((line, first..last))
}
