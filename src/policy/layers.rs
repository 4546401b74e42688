//! Layers of a policy: the shared file named by `use:`, and the overlay chosen with `--env`. Both work on trees, so
//! that every value keeps the place where it was written.

use super::{
    code::Code,
    diagnostic::{Diagnostic, Span},
    mask, read,
    source::Source,
    suggest,
    tree::{Entry, Node, Value},
};

/// Blocks that say what this one rotation is about; a shared file cannot know them.
const OWN_BLOCKS: &[&str] = &["rotation", "consumers", "slots", "use", "for_each", "overlays", "exceptions", "unclaimed"];

/// Reads the file named by `use:` and adds its blocks; blocks of the policy itself win whole.
pub(crate) fn bring_in(root: &mut Node, sources: &mut Vec<Source>, problems: &mut Vec<Diagnostic>) {
    let Some(entry) = root.entry("use") else {
        return;
    };
    let Some(name) = entry.value.text() else {
        return;
    };
    let span = entry.value.span;
    let folder = sources.first().and_then(|source| source.path.parent()).unwrap_or_else(|| std::path::Path::new(""));
    let source = match Source::read(folder.join(name)) {
        Ok(source) => source,
        Err(problem) => {
            let found = problem.diagnostic();
            problems.push(Diagnostic::at(
                Code::UseUnreadable,
                span,
                format!("the shared file cannot be used: {}", found.message),
                format!("{}; the path is taken from the folder of this policy", found.help),
            ));
            return;
        }
    };
    let tree = read::read(&source.text, sources.len());
    sources.push(source);
    problems.extend(tree.problems);
    let Some(shared) = tree.root else { return };
    let Value::Map(entries) = shared.value else {
        problems.push(Diagnostic::at(
            Code::UseUnreadable,
            shared.span,
            "a shared file must be a map of blocks",
            "write blocks such as `gateway:` and `notify:`",
        ));
        return;
    };
    let Value::Map(own) = &mut root.value else {
        return;
    };
    for entry in entries {
        if OWN_BLOCKS.contains(&entry.key.as_str()) {
            problems.push(Diagnostic::at(
                Code::UseForbidden,
                entry.key_span,
                format!("{} cannot come from a shared file", mask::quoted(&entry.key)),
                "move this block into the policy that names the file with `use:`",
            ));
        } else if own.iter().all(|block| block.key != entry.key) {
            own.push(entry);
        }
    }
}

/// The names of the overlays a policy has.
pub(crate) fn environments(root: &Node) -> Vec<String> {
    root.get("overlays").map(|overlays| overlays.entries().iter().map(|entry| entry.key.clone()).collect()).unwrap_or_default()
}

/// The problem of an environment that is asked for and not there.
pub(crate) fn unknown_environment(root: &Node, name: &str) -> Diagnostic {
    let known = environments(root);
    let span = root.entry("overlays").map_or(root.span, |entry| entry.key_span);
    let help = match suggest::nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `--env {near}`?"),
        None if known.is_empty() => "add `overlays:` with the addresses of this environment, or leave `--env` out".to_owned(),
        None => format!("possible are {}", known.iter().map(|name| mask::quoted(name)).collect::<Vec<_>>().join(", ")),
    };
    Diagnostic::at(Code::UnknownEnvironment, span, format!("the policy has no overlay for {}", mask::quoted(name)), help)
}

/// Lays an overlay over the policy. The overlay's shape has been checked; what is checked here is that it changes
/// where something is, and not what or how strictly.
pub(crate) fn lay_over(root: &Node, name: &str, problems: &mut Vec<Diagnostic>) -> Option<Node> {
    let overlay = root.get("overlays")?.get(name)?.clone();
    let mut merged = root.clone();
    for entry in overlay.entries() {
        match entry.key.as_str() {
            "rotation" => deep(&mut merged, entry),
            "gateway" => gateway(&mut merged, entry, problems),
            "slots" | "usage" => same_kinds(&mut merged, entry, problems),
            "consumers" => reloads(&mut merged, entry, problems),
            _ => replace(&mut merged, entry),
        }
    }
    Some(merged)
}

fn replace(into: &mut Node, entry: &Entry) {
    let Value::Map(entries) = &mut into.value else {
        return;
    };
    match entries.iter_mut().find(|own| own.key == entry.key) {
        Some(own) => *own = entry.clone(),
        None => entries.push(entry.clone()),
    }
}

/// Maps are joined field by field, everything else is replaced. A map that names one of several kinds (a reference)
/// is replaced as a whole when the overlay names another kind: both kinds at once would be refused.
fn deep(into: &mut Node, entry: &Entry) {
    let Value::Map(entries) = &mut into.value else {
        return;
    };
    match entries.iter_mut().find(|own| own.key == entry.key) {
        Some(own) => {
            let single = own.value.entries().len() == 1 && entry.value.entries().len() == 1;
            let other_kind = single && own.value.entries().first().map(|e| &e.key) != entry.value.entries().first().map(|e| &e.key);
            if matches!((&own.value.value, &entry.value.value), (Value::Map(_), Value::Map(_))) && !other_kind {
                own.key_span = entry.key_span;
                for inner in entry.value.entries() {
                    deep(&mut own.value, inner);
                }
            } else {
                *own = entry.clone();
            }
        }
        None => entries.push(entry.clone()),
    }
}

fn mismatch(span: Span, message: String, help: &str) -> Diagnostic {
    Diagnostic::at(Code::OverlayMismatch, span, message, help)
}

fn gateway(merged: &mut Node, entry: &Entry, problems: &mut Vec<Diagnostic>) {
    let own = merged.get("gateway").and_then(|gateway| gateway.entries().first()).map(|own| own.key.clone());
    for vendor in entry.value.entries() {
        if own.as_deref().is_some_and(|own| own != vendor.key) {
            problems.push(mismatch(
                vendor.key_span,
                "the overlay names another kind of gateway than the policy".to_owned(),
                "an overlay changes addresses of the same kind of gateway; another kind is another policy",
            ));
            return;
        }
        for field in ["accept", "faults", "provider_key"] {
            if let Some(field) = vendor.value.entry(field) {
                problems.push(mismatch(
                    field.key_span,
                    format!("the overlay changes `{}`, which is no address", field.key),
                    "write it in the `gateway:` block of the policy",
                ));
                return;
            }
        }
    }
    deep(merged, entry);
}

/// Lists of places: as many entries, of the same kinds, in the same order.
fn same_kinds(merged: &mut Node, entry: &Entry, problems: &mut Vec<Diagnostic>) {
    let kinds = |node: &Node| -> Vec<String> {
        node.items().iter().filter_map(|item| item.entries().first()).map(|kind| kind.key.clone()).collect()
    };
    let same = merged.get(&entry.key).is_none_or(|own| kinds(own) == kinds(&entry.value));
    if same {
        replace(merged, entry);
    } else {
        problems.push(mismatch(
            entry.key_span,
            format!("the overlay lists other `{}` than the policy", entry.key),
            "list as many entries, of the same kinds and in the same order, as outside the overlay",
        ));
    }
}

fn reloads(merged: &mut Node, entry: &Entry, problems: &mut Vec<Diagnostic>) {
    let Value::Map(blocks) = &mut merged.value else {
        return;
    };
    let consumers = blocks.iter_mut().find(|block| block.key == "consumers");
    let mut own = match consumers.map(|block| &mut block.value.value) {
        Some(Value::List(items)) => Some(items),
        _ => None,
    };
    for item in entry.value.items() {
        let app = item.get("app").and_then(Node::text);
        let consumer = own.iter_mut().flat_map(|items| items.iter_mut()).find(|own| own.get("app").and_then(Node::text) == app);
        match (consumer, item.entry("reload")) {
            (Some(consumer), Some(reload)) => replace(consumer, reload),
            _ => problems.push(mismatch(
                item.entry("app").map_or(item.span, |app| app.value.span),
                "the overlay names a consumer that the policy does not list".to_owned(),
                "use the `app` of a consumer outside the overlay; consumers are the same in every environment",
            )),
        }
    }
}
