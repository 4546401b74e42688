//! Maps: fields that are unknown or missing, and maps that name one of several kinds.

use serde_json::{Map, Value as Json};

use super::{
    Here, Object, Walker,
    options::{Options, first_sentence, home_of, is, join_words, properties, properties_of_policy, required, scalars, secrets_by_name},
};
use crate::policy::{
    code::Code,
    diagnostic::Diagnostic,
    mask, suggest,
    tree::{Entry, Node},
};

impl Walker {
    pub(super) fn map(&mut self, node: &Node, entries: &[Entry], options: &Options<'_>, here: Here<'_>) {
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
}
