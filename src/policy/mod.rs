//! YAML text → [`Policy`], or every problem at its line and column.
//!
//! The way of one file: [`Source`] (read once) → positioned tree → layers (`use:`, overlays, rows) → walk against the
//! schema of the types → search for literal keys → typed [`Policy`] → checks of meaning. Each step collects; nothing
//! stops at the first problem except text that is no YAML. After this module nobody needs positions, and nobody reads
//! the file again.
//!
//! What is shown never holds a secret: messages are our own and repeat no value of a secret field, and the text kept
//! for snippets is masked before it leaves this module.

mod check;
mod code;
mod diagnostic;
mod layers;
pub(crate) mod mask;
mod missing;
pub mod model;
mod plain;
mod read;
pub mod render;
mod rows;
pub mod scalar;
mod schema;
mod secrets;
mod shape;
mod skeleton;
mod source;
mod suggest;
mod syntax;
mod tree;
mod window;

use std::collections::BTreeMap;

pub use code::Code;
pub use diagnostic::{Diagnostic, Related, Severity, Span};
pub use missing::{MissingBlock, missing_blocks};
pub use model::Policy;
pub use rows::{MAX_ROWS, Row};
pub use schema::schema;
pub use skeleton::{Starter, skeleton, starter};
pub use source::{MAX_BYTES, ReadProblem, Source};
use tree::{Node, Value};
pub use window::{Opening, opening};

/// Some word of this text looks like a key. For what people write outside of policies, such as reasons, which become evidence.
pub(crate) fn holds_key(text: &str) -> bool {
    // Ids of keyroll's own calls are long and random, and people quote them.
    let own = |word: &str| word.starts_with("kr-") || mask::is_uuid(word);
    text.split(|c: char| c.is_whitespace() || "\"'`(),;".contains(c)).any(|word| mask::looks(word).is_some() && !own(word))
}

/// Which environment's addresses are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overlay {
    /// The name given with `--env`.
    pub env: Option<String>,
}

impl Overlay {
    /// The policy as it is written.
    pub fn none() -> Self {
        Self::default()
    }

    /// The policy with the addresses of an environment.
    pub fn env(name: impl Into<String>) -> Self {
        Self { env: Some(name.into()) }
    }
}

/// A file that took part in a policy, with everything masked that must not be shown.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its path.
    pub path: String,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// Its text, masked; byte offsets are those of the file. Empty where there is no problem to show it for.
    pub text: String,
}

/// A policy written out for one row of `for_each`.
#[derive(Debug, Clone)]
pub struct EachPolicy {
    /// The row.
    pub row: Row,
    /// The policy for it.
    pub policy: Policy,
}

/// Everything that a policy file says, and everything that is wrong with it.
#[derive(Debug)]
pub struct Parsed {
    /// The policy, unless an error refuses it. A policy with `for_each` is not one but many: see `each`.
    pub policy: Option<Policy>,
    /// One policy for each row of `for_each`; empty while the rows come from a gateway (see [`parse_rows`]).
    pub each: Vec<EachPolicy>,
    /// Which rows the file asks for.
    pub for_each: Option<model::process::ForEach>,
    /// All problems, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// Where each field is written, by its path (`gateway.litellm.url`, `consumers[0].app`).
    pub positions: BTreeMap<String, Span>,
    /// The files that took part; a span's `file` counts in this list.
    pub sources: Vec<Shown>,
}

impl Parsed {
    /// Whether an error refuses the policy.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// `file:line:column` of a field, for messages about it.
    pub fn position(&self, path: &str) -> Option<String> {
        let span = self.positions.get(path)?;
        let source = self.sources.get(span.file)?;
        Some(format!("{}:{}:{}", source.path, span.line, span.column))
    }
}

/// Most problems that are shown; beyond them a file is something else than a policy with slips.
const MAX_SHOWN: usize = 100;

/// Reads a policy, with everything that is wrong.
pub fn parse(source: &Source, overlay: &Overlay) -> Parsed {
    Reading::new(source, overlay).run(None)
}

/// Reads a policy with `for_each`, for rows that were found elsewhere (keys of a gateway).
pub fn parse_rows(source: &Source, overlay: &Overlay, rows: Vec<Row>) -> Parsed {
    Reading::new(source, overlay).run(Some(rows))
}

struct Reading<'a> {
    sources: Vec<Source>,
    overlay: &'a Overlay,
    problems: Vec<Diagnostic>,
    hidden: Vec<Span>,
}

/// What the layers and the typed step gave.
#[derive(Default)]
struct Built {
    policy: Option<Policy>,
    each: Vec<EachPolicy>,
    for_each: Option<model::process::ForEach>,
    positions: BTreeMap<String, Span>,
}

impl<'a> Reading<'a> {
    fn new(source: &Source, overlay: &'a Overlay) -> Self {
        Self { sources: vec![source.clone()], overlay, problems: Vec::new(), hidden: Vec::new() }
    }

    fn run(mut self, rows: Option<Vec<Row>>) -> Parsed {
        let text = self.sources.first().map(|source| source.text.clone()).unwrap_or_default();
        let tree = read::read(&text, 0);
        self.problems.extend(tree.problems);
        let readable = tree.root.is_some();
        let built = match tree.root {
            Some(root) => self.build(root, rows),
            None => Built::default(),
        };
        self.finish(built, readable)
    }

    fn build(&mut self, mut root: Node, rows: Option<Vec<Row>>) -> Built {
        if !matches!(root.value, Value::Map(_)) {
            self.problems.push(Diagnostic::at(
                Code::WrongType,
                root.span,
                format!("a policy is a map of blocks, but this is {}", root.kind()),
                "start with `version: 1` and a `rotation:` block, or with `keyroll init`",
            ));
            self.hidden.push(root.span);
            return Built::default();
        }
        layers::bring_in(&mut root, &mut self.sources, &mut self.problems);
        let templated = root.entry("for_each").is_some();
        self.judge(&root, templated);
        self.problems.extend(secrets::literal(&root));
        let mut built = Built::default();
        root.positions("", &mut built.positions);

        // Every overlay is tried, so that `lint` finds a mistake in production's before production does.
        let wanted = self.overlay.env.clone();
        for name in layers::environments(&root) {
            if wanted.as_ref().is_none_or(|wanted| *wanted == name)
                && let Some(merged) = layers::lay_over(&root, &name, &mut self.problems)
            {
                self.judge(&merged, templated);
                if wanted.is_none() && !templated && !self.refused() {
                    self.typed(&merged);
                }
            }
        }
        let root = match &wanted {
            None => root,
            Some(name) => match layers::lay_over(&root, name, &mut Vec::new()) {
                Some(merged) => merged,
                None => {
                    self.problems.push(layers::unknown_environment(&root, name));
                    return built;
                }
            },
        };
        if self.refused() {
            return built;
        }
        if templated {
            self.each(root, rows, &mut built);
        } else {
            built.policy = self.typed(&root);
        }
        built
    }

    /// The walk against the schema.
    fn judge(&mut self, root: &Node, templated: bool) {
        let walked = shape::walk(root, templated);
        self.problems.extend(walked.problems);
        self.hidden.extend(walked.secrets);
    }

    fn refused(&self) -> bool {
        self.problems.iter().any(Diagnostic::is_error)
    }

    /// Tree → typed policy → checks of meaning. The walk has accepted the tree.
    fn typed(&mut self, root: &Node) -> Option<Policy> {
        let mut bare = root.clone();
        bare.take("overlays");
        match serde_json::from_value::<Policy>(bare.to_json()) {
            Ok(policy) => {
                self.problems.extend(check::check(&policy, root));
                Some(policy)
            }
            // The walk and the types disagree. serde's text may repeat a value, so it is not shown.
            Err(_) => {
                self.problems.push(Diagnostic::at(
                    Code::WrongType,
                    root.span,
                    "the policy has a value that cannot be taken",
                    "this is a mistake in keyroll: please report it with the policy, secrets removed",
                ));
                None
            }
        }
    }

    /// `for_each`: the policy once for each row.
    fn each(&mut self, mut root: Node, rows: Option<Vec<Row>>, built: &mut Built) {
        let Some(entry) = root.take("for_each") else {
            return;
        };
        built.for_each = serde_json::from_value(entry.value.to_json()).ok();
        let rows = match (rows, &built.for_each) {
            (Some(rows), _) => rows,
            (None, Some(model::process::ForEach::Csv(path))) => match self.csv(path) {
                Ok(rows) => rows,
                Err(why) => {
                    let span = entry.value.get("csv").map_or(entry.key_span, |node| node.span);
                    self.problems.push(Diagnostic::at(
                        Code::RowsUnreadable,
                        span,
                        format!("the rows cannot be read: {why}"),
                        "write a CSV file whose first line names the columns; its path is taken from the folder of this policy",
                    ));
                    return;
                }
            },
            (None, Some(model::process::ForEach::Gateway(_)) | None) => return,
        };
        for row in rows {
            let mut filled = root.clone();
            rows::fill(&mut filled, &row, &mut self.problems);
            if self.refused() {
                return;
            }
            self.judge(&filled, false);
            self.problems.extend(secrets::literal(&filled));
            if self.refused() {
                return;
            }
            if let Some(policy) = self.typed(&filled) {
                built.each.push(EachPolicy { row, policy });
            }
        }
    }

    fn csv(&self, path: &str) -> Result<Vec<Row>, String> {
        let folder = self.sources.first().and_then(|source| source.path.parent()).unwrap_or_else(|| std::path::Path::new(""));
        let source = Source::read(folder.join(path)).map_err(|problem| problem.diagnostic().message)?;
        rows::read_csv(&source.text)
    }

    fn finish(mut self, mut built: Built, readable: bool) -> Parsed {
        let sources: Vec<Shown> = self
            .sources
            .iter()
            .enumerate()
            .map(|(file, source)| {
                let mut hidden: Vec<_> = self.hidden.iter().filter(|span| span.file == file).map(|span| span.start..span.end).collect();
                // Where the tree is missing, or values were dropped while reading, fields are known only by their lines.
                let incomplete = self.problems.iter().any(|problem| problem.span.file == file && problem.code < Code::UnknownField);
                if incomplete {
                    hidden.extend(mask::by_lines(&source.text, !readable || file > 0));
                }
                let text = if self.problems.is_empty() { String::new() } else { mask::masked(&source.text, &hidden) };
                Shown { path: source.shown_path(), sha256: source.sha256.clone(), text }
            })
            .collect();
        let mut problems = tidy(std::mem::take(&mut self.problems));
        for problem in &mut problems {
            problem.file = sources.get(problem.span.file).map(|source| source.path.clone()).unwrap_or_default();
        }
        if problems.iter().any(Diagnostic::is_error) {
            built.policy = None;
            built.each.clear();
        }
        Parsed {
            policy: built.policy,
            each: built.each,
            for_each: built.for_each,
            diagnostics: problems,
            positions: built.positions,
            sources,
        }
    }
}

/// Sorts by place, drops what was found twice (by overlays, or by two rules about one value), and bounds the number.
fn tidy(mut problems: Vec<Diagnostic>) -> Vec<Diagnostic> {
    problems.sort_by_key(|problem| (problem.span.file, problem.span.start, problem.code));
    problems.dedup_by(|later, earlier| later.code == earlier.code && later.span == earlier.span);
    // A text under a reference that also looks like a key is one mistake; the reference's message says how to write it.
    let named: Vec<Span> = problems
        .iter()
        .filter(|problem| matches!(problem.code, Code::SecretNotReference | Code::CredentialsInUrl | Code::BadVariableName))
        .map(|problem| problem.span)
        .collect();
    problems.retain(|problem| problem.code != Code::LiteralSecret || !named.contains(&problem.span));
    let more = problems.len().saturating_sub(MAX_SHOWN);
    if more > 0 {
        problems.truncate(MAX_SHOWN);
        let span = problems.last().map(|problem| problem.span).unwrap_or_default();
        problems.push(Diagnostic::at(
            Code::TooManyProblems,
            span,
            format!("{more} more problems are not shown"),
            "solve the first ones: many of the others may follow from them",
        ));
    }
    problems
}

#[cfg(test)]
mod tests;
