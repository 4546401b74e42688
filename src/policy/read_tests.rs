//! Tests of the reading: places, core schema, mistakes and hostile documents.
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
