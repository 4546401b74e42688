//! Which other parts of the crate a file names: every `crate::…`, every `super::…` that leaves its module, every tree of a `use`.

use crate::tree::File;

/// One path from the crate's root, and where it is written.
#[derive(Debug, PartialEq)]
pub struct Named {
    pub segments: Vec<String>,
    pub byte: usize,
}

/// All of a file.
pub fn named(file: &File) -> Vec<Named> {
    let mut found = Vec::new();
    let text = &file.bare;
    for at in crate::text::places(text, "crate") {
        let after = at + "crate".len();
        // `pub(crate)` and `$crate` in our own macros name no module; `crate` alone is the root.
        let Some(rest) = text[after..].strip_prefix("::") else { continue };
        tails(rest, Vec::new(), at, &mut found);
    }
    supers(file, &mut found);
    for at in crate::text::places(text, "keyroll") {
        if let Some(rest) = text[at + "keyroll".len()..].strip_prefix("::") {
            tails(rest, Vec::new(), at, &mut found);
        }
    }
    found
}

/// Chains of `super::` that are longer than the file's module is deep.
fn supers(file: &File, found: &mut Vec<Named>) {
    let depth = file.module_path().len();
    let text = &file.bare;
    let mut skip_to = 0;
    for at in crate::text::places(text, "super") {
        if at < skip_to {
            continue;
        }
        let mut rest = &text[at..];
        let mut ups = 0;
        while let Some(next) = rest.strip_prefix("super::") {
            rest = next;
            ups += 1;
        }
        skip_to = text.len() - rest.len();
        if ups >= depth && ups > 0 {
            tails(rest, Vec::new(), at, found);
        }
    }
}

/// Reads `a::b::{c, d::e}` from its beginning.
fn tails(text: &str, before: Vec<String>, byte: usize, found: &mut Vec<Named>) {
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        for part in parts(group) {
            tails(part, before.clone(), byte, found);
        }
        return;
    }
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == '*').collect();
    if name.is_empty() {
        return;
    }
    let rest = &text[name.len()..];
    let mut segments = before;
    segments.push(name);
    match rest.strip_prefix("::") {
        Some(more) if more.trim_start().starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '{' || c == '*') => {
            tails(more, segments, byte, found);
        }
        Some(_) | None => found.push(Named { segments, byte }),
    }
}

/// The parts of a group up to its closing brace.
fn parts(group: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut from) = (0_usize, 0);
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&group[from..i]);
                return parts;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[from..i]);
                from = i + 1;
            }
            _ => {}
        }
    }
    parts
}
