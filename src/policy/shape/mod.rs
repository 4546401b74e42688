//! The walk over the tree with the schema in hand: every unknown, missing, empty or wrong value of a file at once.
//!
//! What the walk accepts, the typed step can take: texts with a form of their own are judged here too, by the name of
//! their format. The walk understands exactly the schema words that our types produce (see `schema`).

mod maps;
mod options;

use serde_json::{Map, Value as Json};

use super::{
    code::Code,
    diagnostic::{Diagnostic, Span},
    mask, scalar, schema, suggest,
    tree::{Node, Value},
};
use options::{Options, is, join_words, options, required, scalars, words_of};

/// What a walk gave.
#[derive(Default)]
pub(crate) struct Walked {
    /// What was wrong.
    pub(crate) problems: Vec<Diagnostic>,
    /// Values that are secret, or stand where a secret's reference should be.
    pub(crate) secrets: Vec<Span>,
}

/// Walks a whole policy. With `rows`, texts may hold placeholders, which are judged when they are filled in.
pub(crate) fn walk(root: &Node, rows: bool) -> Walked {
    let mut walker = Walker { rows, walked: Walked::default() };
    let here = Here { name: "policy", span: root.span, secret: false, entry: false };
    walker.value(root, schema::root(), here);
    walker.walked
}

type Object = Map<String, Json>;

/// What is known about the place of a value.
#[derive(Clone, Copy)]
struct Here<'a> {
    /// The field's name.
    name: &'a str,
    /// Where to point when something is missing: the field's name.
    span: Span,
    /// Whether this is inside a reference to a secret.
    secret: bool,
    /// Whether this is an entry of the list that has the name.
    entry: bool,
}

impl Here<'_> {
    /// The place in words.
    fn label(&self) -> String {
        match self.name {
            "policy" => "the policy".to_owned(),
            name if self.entry => format!("this entry of `{name}`"),
            name => format!("`{name}`"),
        }
    }
}

struct Walker {
    rows: bool,
    walked: Walked,
}

impl Walker {
    fn say(&mut self, code: Code, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.walked.problems.push(Diagnostic::at(code, span, message, help));
    }

    fn value(&mut self, node: &Node, schema: &Json, here: Here<'_>) {
        let options = options(schema);
        let here = Here { secret: here.secret || options.secret, ..here };
        if options.secret {
            self.walked.secrets.extend(scalars(node));
        }
        match &node.value {
            Value::Broken => {}
            Value::Null => self.empty(node, &options, here),
            Value::Text(text) if self.rows && text.contains("${") => {}
            Value::Text(text) => self.text(node, text, &options, here),
            Value::Bool(_) => {
                if !options.takes("boolean") {
                    self.wrong_type(node, &options, here);
                }
            }
            Value::Int(number) => self.number(node, *number as f64, true, &options, here),
            Value::Float(number) => self.number(node, *number, false, &options, here),
            Value::List(items) => self.list(node, items, &options, here),
            Value::Map(entries) => self.map(node, entries, &options, here),
        }
    }

    fn empty(&mut self, node: &Node, options: &Options<'_>, here: Here<'_>) {
        let bare = options.list.iter().any(|option| is(option, "object") && required(option).next().is_none());
        let help = if bare && !options.tagged {
            format!("write `{}: {{}}` to use its defaults, or remove the line", here.name)
        } else {
            format!("write {} after the colon, or remove the line", options.wanted())
        };
        let span = if node.span.start == node.span.end { here.span } else { node.span };
        self.say(Code::EmptyValue, span, format!("{} has no value", mask::quoted(here.name)), help);
    }

    fn text(&mut self, node: &Node, text: &str, options: &Options<'_>, here: Here<'_>) {
        let texts: Vec<&Object> = options.list.iter().copied().filter(|option| is(option, "string")).collect();
        if texts.is_empty() {
            return self.wrong_type(node, options, here);
        }
        let words = options.words();
        if words.contains(&text) {
            return;
        }
        let Some(free) = texts.iter().find(|option| words_of(option).is_empty()) else {
            let near = suggest::nearest(text, words.iter().copied());
            let help = match near {
                Some(near) => format!("did you mean `{near}`? possible are {}", join_words(&words)),
                None => format!("write one of {}", join_words(&words)),
            };
            let shown = if here.secret { "this word".to_owned() } else { mask::quoted(text) };
            return self.say(Code::UnknownWord, node.span, format!("`{}` cannot be {shown}", here.name), help);
        };
        if let Some(format) = free.get("format").and_then(Json::as_str) {
            if let Err(problem) = scalar::check(format, text) {
                self.bad_text(node, problem, &words);
            }
        } else if text.trim().is_empty() {
            self.say(Code::EmptyText, node.span, format!("`{}` is an empty text", here.name), "write something, or remove the line");
        } else if let Some(max) = free.get("maxLength").and_then(Json::as_u64)
            && text.chars().count() as u64 > max
        {
            self.say(Code::OutOfRange, node.span, format!("`{}` is longer than {max} characters", here.name), "make it shorter");
        }
    }

    fn bad_text(&mut self, node: &Node, problem: scalar::BadText, words: &[&str]) {
        let help = if words.is_empty() { problem.help.to_owned() } else { format!("{}, or {}", problem.help, join_words(words)) };
        if problem.code == Code::CredentialsInUrl || problem.code == Code::BadVariableName {
            self.walked.secrets.push(node.span);
        }
        self.say(problem.code, node.span, problem.message, help);
    }

    fn number(&mut self, node: &Node, number: f64, whole: bool, options: &Options<'_>, here: Here<'_>) {
        let fits = |option: &&Object| is(option, "number") || (whole && is(option, "integer"));
        let Some(option) = options.list.iter().copied().find(|option| fits(option)) else {
            // `cadence: 24` is a length of time without its unit: the format explains that better than the type does.
            let format = options.list.iter().find_map(|option| option.get("format").and_then(Json::as_str));
            let helped = ["duration-text", "rate", "status-class", "time-of-day"];
            return match format.filter(|format| helped.contains(format)).map(|format| scalar::check(format, &number.to_string())) {
                Some(Err(problem)) => self.bad_text(node, problem, &options.words()),
                Some(Ok(())) => self.say(
                    Code::WrongType,
                    node.span,
                    format!("`{}` takes text, but this is a number", here.name),
                    "put it in quotes, such as \"401\"",
                ),
                None => self.wrong_type(node, options, here),
            };
        };
        let bound = |name: &str| option.get(name).and_then(Json::as_f64);
        let low = bound("minimum");
        let high = bound("maximum");
        if low.is_some_and(|low| number < low) || high.is_some_and(|high| number > high) {
            let help = match (low, high) {
                (Some(low), Some(high)) => format!("write a number from {low} to {high}"),
                (Some(low), None) => format!("write a number of at least {low}"),
                (None, _) => "write a smaller number".to_owned(),
            };
            self.say(Code::OutOfRange, node.span, format!("`{}` cannot be this number", here.name), help);
        } else if whole && option.get("format").and_then(Json::as_str) == Some("uint32") && !(0.0..=f64::from(u32::MAX)).contains(&number) {
            self.say(Code::OutOfRange, node.span, format!("`{}` cannot be this number", here.name), "write a number from 0 to 4294967295");
        }
    }

    fn list(&mut self, node: &Node, items: &[Node], options: &Options<'_>, here: Here<'_>) {
        let Some(option) = options.list.iter().find(|option| is(option, "array")) else {
            return self.wrong_type(node, options, here);
        };
        let least = option.get("minItems").or_else(|| option.get("minLength")).and_then(Json::as_u64).unwrap_or(0);
        if (items.len() as u64) < least {
            self.say(
                Code::EmptyList,
                here.span,
                format!("`{}` needs at least one entry", here.name),
                "write an entry, or remove the field",
            );
        }
        if let Some(schema) = option.get("items") {
            for item in items {
                self.value(item, schema, Here { span: item.span, entry: true, ..here });
            }
        }
    }

    fn wrong_type(&mut self, node: &Node, options: &Options<'_>, here: Here<'_>) {
        let span = if matches!(node.value, Value::Map(_) | Value::List(_)) { here.span } else { node.span };
        if here.secret && matches!(node.value, Value::Text(_) | Value::Int(_) | Value::Float(_)) && options.tagged {
            self.walked.secrets.push(node.span);
            return self.say(
                Code::SecretNotReference,
                node.span,
                format!("`{}` must say where the secret is kept, not what it is", here.name),
                format!(
                    "write a reference, such as `{}: {{ env: NAME_OF_VARIABLE }}` or `{{ file: PATH }}`; if this was a real key, rotate it",
                    here.name
                ),
            );
        }
        if mask::secret_name(here.name) || here.name == "key" {
            self.walked.secrets.extend(scalars(node));
        }
        let wanted = options.wanted();
        let message = format!("{} takes {wanted}, but this is {}", here.label(), node.kind());
        let tag = node.text().filter(|text| options.tagged && options.tags().contains(text));
        let help = if let Some(tag) = tag {
            format!("write `{}: {{ {tag}: … }}`, with `{{}}` for a kind without settings", here.name)
        } else if options.takes("array") {
            match node.value {
                Value::Map(_) => "start the entry with `- ` (a list of one)".to_owned(),
                _ => format!("put it in brackets: `{}: [ … ]`", here.name),
            }
        } else if options.takes("string") && matches!(node.value, Value::Int(_) | Value::Float(_) | Value::Bool(_)) {
            "put it in quotes".to_owned()
        } else if options.takes("boolean") {
            "write `true` or `false` without quotes".to_owned()
        } else {
            format!("write {wanted}")
        };
        self.say(Code::WrongType, span, message, help);
    }
}

#[cfg(test)]
mod tests;
