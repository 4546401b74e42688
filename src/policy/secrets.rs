//! The search for literal keys: a policy says where a secret is kept, never what it is.

use super::{
    code::Code,
    diagnostic::{Diagnostic, Span},
    mask::{self, Looks},
    tree::{Node, Value},
};

/// Every text and field name of the tree that looks like a key. The message never repeats it.
pub(crate) fn literal(root: &Node) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    search(root, "", &mut found);
    found
}

fn search(node: &Node, name: &str, found: &mut Vec<Diagnostic>) {
    match &node.value {
        Value::Text(text) => {
            if is_key(text, name) {
                found.push(problem(node.span, name));
            }
        }
        Value::List(items) => items.iter().for_each(|item| search(item, name, found)),
        Value::Map(entries) => {
            for entry in entries {
                if mask::looks(&entry.key).is_some() {
                    found.push(problem(entry.key_span, name));
                }
                search(&entry.value, &entry.key, found);
            }
        }
        Value::Null | Value::Broken | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {}
    }
}

fn is_key(text: &str, name: &str) -> bool {
    match mask::looks(text) {
        Some(Looks::Known) => true,
        // Ids of keys and requests are random too: a UUID anywhere, anything in a field that is an id by its name.
        Some(Looks::Random) => !(mask::is_uuid(text) || name == "id" || name.ends_with("_id") || name == "equals"),
        None => false,
    }
}

fn problem(span: Span, name: &str) -> Diagnostic {
    let place = if name.is_empty() { "a field name".to_owned() } else { format!("the value of {}", mask::quoted(name)) };
    Diagnostic::at(
        Code::LiteralSecret,
        span,
        format!("{place} looks like a key"),
        "write where it is kept instead, such as `{ env: NAME_OF_VARIABLE }`; if it is a real key it is now known to everyone who can read this file: rotate it",
    )
}
