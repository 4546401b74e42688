//! Text → positioned tree, with budgets. Recoverable mistakes (a field twice, an unknown alias) are collected;
//! only a syntax error, a second document or a spent budget ends the reading.

use std::collections::HashMap;

use serde_yaml::granit_parser::{Event, Marker, Parser, ScalarStyle, Span as ParserSpan, options};

use super::{
    code::Code,
    diagnostic::{Diagnostic, Span},
    mask, syntax,
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
                if documents > 1 { Some(second_document(reader.span(&span))) } else { None }
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
            self.problems.push(key_not_text(place));
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
            self.problems.push(key_not_text(place));
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
            self.problems.push(key_not_text(place));
            self.stack.last_mut()?.key = Some(Key { name: String::new(), span: place, drop: true });
            return None;
        }
        let Some((node, cost)) = self.anchors.get(&id).cloned_within(MAX_NODES - self.spent.nodes.min(MAX_NODES)) else {
            if self.anchors.contains_key(&id) {
                return Some(too_much(place));
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
        (self.spent.nodes > MAX_NODES || self.spent.text > MAX_TEXT).then(|| too_much(place))
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

/// Plain (unquoted) text by the rules of YAML 1.2's core schema: `no` is text, not false.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Value::Text(text.to_owned());
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        // Too long for a number: certainly an identifier, and text keeps every digit of it.
        return text.parse().map_or_else(|_| Value::Text(text.to_owned()), Value::Int);
    }
    let number = digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    match text.parse::<f64>() {
        Ok(value) if number && value.is_finite() => Value::Float(value),
        _ => Value::Text(text.to_owned()),
    }
}

fn key_not_text(place: Span) -> Diagnostic {
    Diagnostic::at(
        Code::KeyNotText,
        place,
        "a field name must be plain text",
        "write `name: value`; a line that starts with `:` or `?` has lost its name",
    )
}

fn second_document(place: Span) -> Diagnostic {
    Diagnostic::at(
        Code::SecondDocument,
        place,
        "a second YAML document starts here",
        "one file is one policy: move what follows into its own file, or use `for_each:` for many keys",
    )
}

fn too_much(place: Span) -> Diagnostic {
    Diagnostic::at(
        Code::TooMuch,
        place,
        format!("the document grows beyond {MAX_NODES} values or {} kB of text here", MAX_TEXT / 1024),
        "remove repeated aliases (`*…`); many keys belong into a CSV file named by `for_each:`",
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "a test may")]
    use super::*;

    fn codes(text: &str) -> Vec<Code> {
        read(text, 0).problems.iter().map(|problem| problem.code).collect()
    }

    #[test]
    fn positions_are_those_of_the_text() {
        let text = "a: 1\nä: {b: [x, 'y z']}\n";
        let root = read(text, 0).root.unwrap();
        let entry = root.entry("ä").unwrap();
        assert_eq!((entry.key_span.line, entry.key_span.column), (2, 1));
        let items = entry.value.get("b").unwrap().items();
        let quoted = items.last().unwrap();
        assert_eq!(text.get(quoted.span.start..quoted.span.end), Some("'y z'"));
        assert_eq!((quoted.span.line, quoted.span.column), (2, 12));
        assert_eq!(quoted.text(), Some("y z"));
    }

    #[test]
    fn scalars_follow_the_core_schema() {
        let root = read("[no, True, 12, -3, 5%, 22:00, 0.5, 2026-12-24, ~, '', 99999999999999999999, 1e3, .5.]", 0).root.unwrap();
        let kinds: Vec<_> = root.items().iter().map(Node::kind).collect();
        assert_eq!(
            kinds,
            [
                "text",
                "true or false",
                "a number",
                "a number",
                "text",
                "text",
                "a number",
                "text",
                "nothing",
                "text",
                "text",
                "a number",
                "text"
            ]
        );
    }

    #[test]
    fn recoverable_mistakes_are_all_reported() {
        assert_eq!(
            codes("a: 1\na: 2\nb: *no\nc: !x y\n<<: {d: 1}\n? [x, {y: z}]\n: 1\n"),
            [Code::DuplicateKey, Code::UnknownAnchor, Code::UnsupportedYaml, Code::UnsupportedYaml, Code::KeyNotText]
        );
    }

    #[test]
    fn hostile_documents_are_refused() {
        assert_eq!(codes(&"[".repeat(5000)), [Code::TooDeep]);
        assert_eq!(codes(&format!("a: {}{}", "[".repeat(5000), "]".repeat(5000))), [Code::TooDeep]);
        assert_eq!(codes(&(0..5000).map(|n| format!("{}a:\n", " ".repeat(n))).collect::<String>()), [Code::TooDeep]);
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for n in 1..12 {
            bomb.push_str(&format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(",")));
        }
        assert_eq!(codes(&bomb), [Code::TooMuch]);
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 1000].join(","));
        assert_eq!(codes(&long), [Code::TooMuch]);
        assert_eq!(codes("a: &a [*a]\n"), [Code::UnknownAnchor]);
        assert_eq!(codes("a: 1\n---\nb: 2\n"), [Code::SecondDocument]);
        assert_eq!(codes("# nothing\n"), [Code::Empty]);
        assert_eq!(codes(""), [Code::Empty]);
        assert_eq!(codes("---\n"), [Code::Empty]);
    }

    #[test]
    fn any_text_is_read_without_a_panic() {
        use proptest::prelude::*;
        proptest!(|(text in "[-a-c:\\[\\]{}&*!?|>'\"\\t\\n #%@,.~<0-9é\u{feff}]{0,60}")| {
            let tree = read(&text, 0);
            if tree.root.is_none() && tree.problems.is_empty() {
                panic!("nothing read and nothing said");
            }
        });
    }
}
