//! Text → positioned tree, with budgets. Recoverable mistakes (a field twice, an unknown alias) are collected;
//! only a syntax error, a second document or a spent budget ends the reading.

use std::collections::HashMap;

use serde_yaml::granit_parser::{Event, Marker, Parser, ScalarStyle, Span as ParserSpan, options};

use super::{
    code::Code,
    diagnostic::{Diagnostic, Span},
    mask,
    plain::plain,
    syntax,
    tree::{Entry, Node, Value},
};

/// Deepest nesting. The deepest sensible policy has about ten levels.
const MAX_DEPTH: usize = 40;
/// Most values in a document, with aliases written out.
const MAX_NODES: usize = 20_000;
/// Most bytes of text in a document, with aliases written out.
const MAX_TEXT: usize = 2 * 1024 * 1024;

/// What reading gave.
pub(crate) struct ReadTree {
    /// The document, when it could be read to its end.
    pub(crate) root: Option<Node>,
    /// What was wrong.
    pub(crate) problems: Vec<Diagnostic>,
}

/// A collection that is still open.
struct Frame {
    node: Node,
    anchor: usize,
    /// For a map: names seen so far, and the name that waits for its value.
    seen: HashMap<String, Span>,
    key: Option<Key>,
}

/// The name of a field that waits for its value.
struct Key {
    name: String,
    span: Span,
    /// Already reported as wrong: the value is read and dropped.
    drop: bool,
}

/// What a subtree costs when it is written out once more.
#[derive(Clone, Copy, Default)]
struct Cost {
    nodes: usize,
    text: usize,
}

struct Reader<'a> {
    file: usize,
    text: &'a str,
    stack: Vec<Frame>,
    root: Option<Node>,
    anchors: HashMap<usize, (Node, Cost)>,
    spent: Cost,
    problems: Vec<Diagnostic>,
}

/// Reads one document.
pub(crate) fn read(text: &str, file: usize) -> ReadTree {
    let parser_options = options! {
        emit_unresolved_aliases: true,
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut reader =
        Reader { file, text, stack: Vec::new(), root: None, anchors: HashMap::new(), spent: Cost::default(), problems: Vec::new() };
    let mut documents = 0;
    for next in Parser::new_from_str_with_options(text, parser_options) {
        let stop = match next {
            Ok((Event::DocumentStart(..), span)) => {
                documents += 1;
                if documents > 1 { Some(syntax::second_document(reader.span(&span))) } else { None }
            }
            Ok((event, span)) => reader.event(event, &span),
            Err(error) => Some(syntax::problem(error.kind(), reader.mark(error.marker()))),
        };
        if let Some(problem) = stop {
            // A half-read document would only produce wrong follow-up problems; a whole first document is kept.
            let root = if problem.code == Code::SecondDocument { reader.root } else { None };
            reader.problems.push(problem);
            return ReadTree { root, problems: reader.problems };
        }
    }
    let root = reader.root.filter(|node| !matches!(node.value, Value::Null));
    if root.is_none() && reader.problems.is_empty() {
        reader.problems.push(Diagnostic::at(
            Code::Empty,
            Span { file, line: 1, column: 1, ..Span::default() },
            "the file holds no policy",
            "start with `keyroll init`, or with `version: 1` and a `rotation:` block",
        ));
    }
    ReadTree { root, problems: reader.problems }
}

impl Reader<'_> {
    /// Takes one event; an answer ends the reading.
    fn event(&mut self, event: Event<'_>, span: &ParserSpan) -> Option<Diagnostic> {
        let place = self.span(span);
        if event.tag().is_some() {
            self.problems.push(Diagnostic::at(
                Code::UnsupportedYaml,
                place,
                "tags (`!…`) are not part of the policy language",
                "remove the tag; to keep text that starts with `!`, put it in quotes",
            ));
        }
        match event {
            Event::Scalar(text, style, anchor, _) => self.scalar(&text, style, anchor, place),
            Event::SequenceStart(_, anchor, _) => self.open(Value::List(Vec::new()), anchor, place),
            Event::MappingStart(_, anchor, _) => self.open(Value::Map(Vec::new()), anchor, place),
            Event::SequenceEnd | Event::MappingEnd => self.close(place),
            Event::Alias(id) => self.alias(id, place),
            Event::UnresolvedAlias(_) => {
                self.problems.push(Diagnostic::at(
                    Code::UnknownAnchor,
                    place,
                    "this alias (`*…`) refers to an anchor that is not defined before it",
                    "define the anchor (`&…`) further up, or put the text in quotes if a literal `*` is meant",
                ));
                self.put(Node { span: place, value: Value::Broken })
            }
            // Stream and document marks, and what later versions of the parser may add, carry no values.
            _ => None,
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, anchor: usize, place: Span) -> Option<Diagnostic> {
        let cost = Cost { nodes: 1, text: text.len() };
        if let Some(stop) = self.spend(cost, place) {
            return Some(stop);
        }
        if self.wants_key() {
            return self.key(text, style, place);
        }
        let value = match style {
            ScalarStyle::Plain => plain(text),
            _ => Value::Text(text.to_owned()),
        };
        let node = Node { span: place, value };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), cost));
        }
        self.put(node)
    }

    fn wants_key(&self) -> bool {
        self.stack.last().is_some_and(|frame| matches!(frame.node.value, Value::Map(_)) && frame.key.is_none())
    }

    fn key(&mut self, text: &str, style: ScalarStyle, place: Span) -> Option<Diagnostic> {
        let mut drop = false;
        if style == ScalarStyle::Plain && text == "<<" {
            drop = true;
            self.problems.push(Diagnostic::at(
                Code::UnsupportedYaml,
                place,
                "merge keys (`<<`) are not part of the policy language",
                "write the fields out, or move what is shared into a file and name it with `use:`",
            ));
        } else if style == ScalarStyle::Plain && matches!(plain(text), Value::Null) {
            drop = true;
            self.problems.push(syntax::key_not_text(place));
        }
        let frame = self.stack.last_mut()?;
        if let Some(first) = frame.seen.get(text) {
            drop = true;
            self.problems.push(
                Diagnostic::at(
                    Code::DuplicateKey,
                    place,
                    format!("{} is written twice in this map", mask::quoted(text)),
                    "keep one of the two; which one counts would otherwise be a guess",
                )
                .with_related(*first, "first written here"),
            );
        } else {
            frame.seen.insert(text.to_owned(), place);
        }
        frame.key = Some(Key { name: text.to_owned(), span: place, drop });
        None
    }

    fn open(&mut self, value: Value, anchor: usize, place: Span) -> Option<Diagnostic> {
        if let Some(stop) = self.spend(Cost { nodes: 1, text: 0 }, place) {
            return Some(stop);
        }
        if self.stack.len() >= MAX_DEPTH {
            return Some(syntax::too_deep(place));
        }
        if self.wants_key() {
            // A list or map as a field name: reported, read and dropped.
            self.problems.push(syntax::key_not_text(place));
            if let Some(frame) = self.stack.last_mut() {
                frame.key = Some(Key { name: String::new(), span: place, drop: true });
            }
            let node = Node { span: place, value };
            self.stack.push(Frame { node, anchor: KEY_FRAME, seen: HashMap::new(), key: None });
            return None;
        }
        let node = Node { span: place, value };
        self.stack.push(Frame { node, anchor, seen: HashMap::new(), key: None });
        None
    }

    fn close(&mut self, place: Span) -> Option<Diagnostic> {
        let mut frame = self.stack.pop()?;
        frame.node.span.end = place.end.max(frame.node.span.start);
        if frame.anchor == KEY_FRAME {
            return None;
        }
        if frame.anchor != 0 {
            let cost = cost_of(&frame.node);
            if let Some(stop) = self.spend(cost, place) {
                return Some(stop);
            }
            self.anchors.insert(frame.anchor, (frame.node.clone(), cost));
        }
        self.put(frame.node)
    }

    fn alias(&mut self, id: usize, place: Span) -> Option<Diagnostic> {
        if self.wants_key() {
            self.problems.push(syntax::key_not_text(place));
            self.stack.last_mut()?.key = Some(Key { name: String::new(), span: place, drop: true });
            return None;
        }
        let Some((node, cost)) = self.anchors.get(&id).cloned_within(MAX_NODES - self.spent.nodes.min(MAX_NODES)) else {
            if self.anchors.contains_key(&id) {
                return Some(syntax::too_much(place, MAX_NODES, MAX_TEXT));
            }
            self.problems.push(Diagnostic::at(
                Code::UnknownAnchor,
                place,
                "this alias is inside the very value it refers to",
                "write the value out",
            ));
            return self.put(Node { span: place, value: Value::Broken });
        };
        if let Some(stop) = self.spend(cost, place) {
            return Some(stop);
        }
        self.put(node)
    }

    /// Puts a finished value where it belongs.
    fn put(&mut self, node: Node) -> Option<Diagnostic> {
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return None;
        };
        match &mut frame.node.value {
            Value::List(items) => items.push(node),
            Value::Map(entries) => match frame.key.take() {
                Some(key) if !key.drop => entries.push(Entry { key: key.name, key_span: key.span, value: node }),
                Some(_) => {}
                // A broken alias stands where a name is expected.
                None => frame.key = Some(Key { name: String::new(), span: node.span, drop: true }),
            },
            Value::Null | Value::Broken | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => {}
        }
        None
    }

    fn spend(&mut self, cost: Cost, place: Span) -> Option<Diagnostic> {
        self.spent.nodes = self.spent.nodes.saturating_add(cost.nodes);
        self.spent.text = self.spent.text.saturating_add(cost.text);
        (self.spent.nodes > MAX_NODES || self.spent.text > MAX_TEXT).then(|| syntax::too_much(place, MAX_NODES, MAX_TEXT))
    }

    fn span(&self, span: &ParserSpan) -> Span {
        let mut place = self.mark(&span.start);
        place.end = span.end.byte_offset().unwrap_or(place.start).clamp(place.start, self.text.len());
        // Block scalars and plain text may end with the line break or blanks that follow them.
        if let Some(text) = self.text.get(place.start..place.end) {
            place.end = place.start + text.trim_end().len();
        }
        place
    }

    fn mark(&self, mark: &Marker) -> Span {
        let start = mark.byte_offset().unwrap_or(0).min(self.text.len());
        Span { file: self.file, start, end: start, line: mark.line().max(1), column: mark.col() + 1 }
    }
}

/// Marks the frame of a list or map that stands where a field name should be; no real anchor has this number.
const KEY_FRAME: usize = usize::MAX;

/// Clones a stored subtree only when the rest of the budget can hold it.
trait ClonedWithin {
    fn cloned_within(self, nodes: usize) -> Option<(Node, Cost)>;
}

impl ClonedWithin for Option<&(Node, Cost)> {
    fn cloned_within(self, nodes: usize) -> Option<(Node, Cost)> {
        self.filter(|(_, cost)| cost.nodes <= nodes).cloned()
    }
}

fn cost_of(node: &Node) -> Cost {
    let mut cost = Cost { nodes: 1, text: 0 };
    let mut add = |child: Cost| {
        cost.nodes += child.nodes;
        cost.text += child.text;
    };
    match &node.value {
        Value::Text(text) => add(Cost { nodes: 0, text: text.len() }),
        Value::List(items) => items.iter().for_each(|item| add(cost_of(item))),
        Value::Map(entries) => entries.iter().for_each(|entry| {
            add(Cost { nodes: 1, text: entry.key.len() });
            add(cost_of(&entry.value));
        }),
        Value::Null | Value::Broken | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {}
    }
    cost
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
