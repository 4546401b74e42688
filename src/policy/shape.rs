//! The walk over the tree with the schema in hand: every unknown, missing, empty or wrong value of a file at once.
//!
//! What the walk accepts, the typed step can take: texts with a form of their own are judged here too, by the name of
//! their format. The walk understands exactly the schema words that our types produce (see [`super::schema`]).

use serde_json::{Map, Value as Json};

use super::{
    code::Code,
    diagnostic::{Diagnostic, Span},
    mask, scalar, schema, suggest,
    tree::{Entry, Node, Value},
};

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
    walker.value(root, schema::shared(), here);
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

/// The ways in which a value may be written.
struct Options<'s> {
    list: Vec<&'s Object>,
    /// Whether a map must name exactly one of several kinds.
    tagged: bool,
    secret: bool,
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
                self.value(item, schema, Here { span: item.span, ..here });
            }
        }
    }

    fn map(&mut self, node: &Node, entries: &[Entry], options: &Options<'_>, here: Here<'_>) {
        let objects: Vec<&Object> = options.list.iter().copied().filter(|option| is(option, "object")).collect();
        match objects.as_slice() {
            [] => self.wrong_type(node, options, here),
            _ if options.tagged => self.tagged(entries, &objects, here),
            [object, ..] => self.fields(node, entries, object, here),
        }
    }

    /// A map that names one of several kinds.
    fn tagged(&mut self, entries: &[Entry], kinds: &[&Object], here: Here<'_>) {
        let names: Vec<&str> = kinds.iter().filter_map(|kind| required(kind).next()).collect();
        let (first, rest) = match entries {
            [] => {
                let help = format!("write one of {}", join_words(&names));
                return self.say(Code::OneKindOnly, here.span, format!("{} does not say which kind it is", here.label()), help);
            }
            [first, rest @ ..] => (first, rest),
        };
        for entry in entries {
            let schema = kinds.iter().find_map(|kind| properties(kind)?.get(&entry.key));
            match schema {
                Some(schema) => self.field(entry, schema, here),
                None => {
                    self.walked.secrets.extend(scalars(&entry.value));
                    let known = names.iter().copied();
                    let help = match suggest::nearest(&entry.key, known) {
                        Some(near) => {
                            format!("did you mean `{near}`? possible are {}", join_words(&names))
                        }
                        None => format!("write one of {}", join_words(&names)),
                    };
                    let message = format!("{} knows no kind {}", here.label(), mask::quoted(&entry.key));
                    self.say(Code::UnknownKind, entry.key_span, message, help);
                }
            }
        }
        if let [second, ..] = rest
            && names.contains(&first.key.as_str())
            && names.contains(&second.key.as_str())
        {
            let problem = Diagnostic::at(
                Code::OneKindOnly,
                second.key_span,
                format!("{} names two kinds, `{}` and `{}`", here.label(), first.key, second.key),
                "keep one of them; further entries of a list each start with their own `- `",
            );
            self.walked.problems.push(problem.with_related(first.key_span, "the first kind is here"));
        }
    }

    /// A map with fields of its own.
    fn fields(&mut self, node: &Node, entries: &[Entry], object: &Object, here: Here<'_>) {
        let none = Map::new();
        let known = properties(object).unwrap_or(&none);
        for entry in entries {
            if let Some(schema) = known.get(&entry.key) {
                self.field(entry, schema, here);
                continue;
            }
            match object.get("additionalProperties") {
                Some(Json::Bool(false)) => self.unknown(entry, entries, known, object, here),
                Some(schema @ Json::Object(_)) => self.field(entry, schema, here),
                // An open map: kept as it is; names of secrets are still respected.
                _ => self.walked.secrets.extend(secrets_by_name(entry)),
            }
        }
        for name in required(object) {
            if entries.iter().all(|entry| entry.key != name) {
                let about = known.get(name).and_then(|schema| schema.get("description")).and_then(Json::as_str);
                let help = match about {
                    Some(about) => format!("add `{name}:` ({})", first_sentence(about)),
                    None => format!("add `{name}:`"),
                };
                let span = if here.span.end > here.span.start { here.span } else { node.span };
                self.say(Code::MissingField, span, format!("{} needs the field `{name}`", here.label()), help);
            }
        }
    }

    fn field(&mut self, entry: &Entry, schema: &Json, here: Here<'_>) {
        let inner = Here { name: &entry.key, span: entry.key_span, secret: here.secret, entry: false };
        self.value(&entry.value, schema, inner);
    }

    fn unknown(&mut self, entry: &Entry, siblings: &[Entry], known: &Object, object: &Object, here: Here<'_>) {
        self.walked.secrets.extend(secrets_by_name(entry));
        let shown = mask::quoted(&entry.key);
        let top = properties_of_policy();
        if object.contains_key("x-overlay") && top.contains_key(&entry.key) {
            return self.say(
                Code::OverlayLoosens,
                entry.key_span,
                format!("an overlay cannot change {shown}"),
                "an overlay may change addresses (rotation.scope, gateway, slots, usage, reload, state, notify); write what is the same for all environments outside `overlays:`",
            );
        }
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        let help = if let Some(near) = suggest::nearest(&entry.key, names.iter().copied()) {
            match siblings.iter().any(|sibling| sibling.key == near) {
                true => format!("`{near}` is already written here; remove this line"),
                false => format!("did you mean `{near}`?"),
            }
        } else if let Some(owner) = home_of(&entry.key).filter(|owner| *owner != here.name) {
            if owner == "policy" {
                "this field belongs to the top level of the file; check the indentation".to_owned()
            } else {
                format!("this field belongs under `{owner}:`; check the indentation")
            }
        } else if names.is_empty() {
            format!("`{}` takes no fields; write `{{}}`", here.name)
        } else {
            format!("possible here are {}", join_words(&names))
        };
        let place = here.label();
        self.say(Code::UnknownField, entry.key_span, format!("{place} has no field {shown}"), help);
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

impl Options<'_> {
    fn takes(&self, kind: &str) -> bool {
        self.list.iter().any(|option| is(option, kind))
    }

    fn words(&self) -> Vec<&str> {
        self.list.iter().flat_map(|option| words_of(option)).collect()
    }

    fn tags(&self) -> Vec<&str> {
        if self.tagged { self.list.iter().filter_map(|option| required(option).next()).collect() } else { Vec::new() }
    }

    /// What may be written, in words.
    fn wanted(&self) -> String {
        let mut wanted: Vec<String> = Vec::new();
        let tags = self.tags();
        if !tags.is_empty() {
            wanted.push(format!("a map with one of {}", join_words(&tags)));
        }
        for option in &self.list {
            let words = words_of(option);
            let part = match option.get("type").and_then(Json::as_str) {
                _ if !words.is_empty() => join_words(&words),
                Some("string") => match option.get("format").and_then(Json::as_str) {
                    Some("duration-text") => "a length of time such as `24h`".to_owned(),
                    Some("rate") => "a percentage such as `5%`".to_owned(),
                    Some("http-url") => "an http or https address".to_owned(),
                    Some("day") => "a day such as `2026-12-24`".to_owned(),
                    Some("time-of-day") => "a time such as `09:00`".to_owned(),
                    _ => "text".to_owned(),
                },
                Some("integer") => "a whole number".to_owned(),
                Some("number") => "a number".to_owned(),
                Some("boolean") => "true or false".to_owned(),
                Some("array") => "a list".to_owned(),
                _ if self.tagged => continue,
                _ => "a map".to_owned(),
            };
            if !wanted.contains(&part) {
                wanted.push(part);
            }
        }
        wanted.join(" or ")
    }
}

/// Follows references and collects the ways in which a value may be written.
fn options(schema: &Json) -> Options<'_> {
    let mut found = Options { list: Vec::new(), tagged: false, secret: false };
    collect(schema, &mut found, 0);
    found
}

fn collect<'s>(schema: &'s Json, found: &mut Options<'s>, depth: usize) {
    // Our own schema has no longer chains; the bound only keeps a mistake in it from becoming endless.
    let Some(object) = schema.as_object().filter(|_| depth < 16) else {
        return;
    };
    found.secret |= object.contains_key("x-secret");
    if let Some(target) = object.get("$ref").and_then(Json::as_str) {
        if let Some(schema) = schema::shared().pointer(target.trim_start_matches('#')) {
            collect(schema, found, depth + 1);
        }
        return;
    }
    if let Some(Json::Array(kinds)) = object.get("oneOf") {
        found.tagged |= kinds.iter().any(|kind| kind.get("properties").is_some());
        kinds.iter().for_each(|kind| collect(kind, found, depth + 1));
        return;
    }
    if let Some(Json::Array(kinds)) = object.get("anyOf") {
        kinds.iter().for_each(|kind| collect(kind, found, depth + 1));
        return;
    }
    found.list.push(object);
}

fn is(option: &Object, kind: &str) -> bool {
    option.get("type").and_then(Json::as_str) == Some(kind)
}

fn words_of(option: &Object) -> Vec<&str> {
    let listed = option.get("enum").and_then(Json::as_array).into_iter().flatten();
    listed.chain(option.get("const")).filter_map(Json::as_str).collect()
}

fn properties(option: &Object) -> Option<&Object> {
    option.get("properties").and_then(Json::as_object)
}

fn required(option: &Object) -> impl Iterator<Item = &str> {
    option.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str)
}

fn properties_of_policy() -> &'static Object {
    static NONE: std::sync::LazyLock<Object> = std::sync::LazyLock::new(Map::new);
    schema::shared().as_object().and_then(properties).unwrap_or(&NONE)
}

/// The block a field belongs to, when it is one of the well-known ones.
fn home_of(name: &str) -> Option<&'static str> {
    if properties_of_policy().contains_key(name) {
        return Some("policy");
    }
    let blocks = [
        ("Rotation", "rotation"),
        ("Scope", "scope"),
        ("Cutover", "cutover"),
        ("EvidenceWanted", "evidence"),
        ("PreChecks", "pre_checks"),
        ("Timing", "timing"),
    ];
    blocks.iter().find_map(|(definition, block)| {
        let fields = schema::shared().pointer(&format!("/$defs/{definition}"))?.as_object().and_then(properties)?;
        fields.contains_key(name).then_some(*block)
    })
}

/// The places of all single values in a subtree.
fn scalars(node: &Node) -> Vec<Span> {
    match &node.value {
        Value::List(items) => items.iter().flat_map(scalars).collect(),
        Value::Map(entries) => entries.iter().flat_map(|entry| scalars(&entry.value)).collect(),
        Value::Null | Value::Broken | Value::Bool(_) => Vec::new(),
        Value::Int(_) | Value::Float(_) | Value::Text(_) => vec![node.span],
    }
}

/// The places of values that a field's name announces as secret, in a part of the file that has no schema.
fn secrets_by_name(entry: &Entry) -> Vec<Span> {
    if mask::secret_name(&entry.key) {
        return scalars(&entry.value);
    }
    let inner = entry.value.entries().iter().chain(entry.value.items().iter().flat_map(Node::entries));
    inner.flat_map(secrets_by_name).collect()
}

fn join_words(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [rest @ .., last] => {
            let rest: Vec<String> = rest.iter().map(|word| format!("`{word}`")).collect();
            format!("{} or `{last}`", rest.join(", "))
        }
    }
}

fn first_sentence(text: &str) -> String {
    let text = text.split(['.', ';', '\n']).next().unwrap_or(text).trim();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
