//! The rules. Each takes the tree and answers with findings, `file:line: what, and what to do`.

use crate::paths;
use crate::table::{
    CHILDREN, CLIENTS, CLOCK_WORDS, CLOCKS, CLOSED, LONG_FILES, MOST_LINES, May, NO_WILDCARD, PLACES, PRACTICE, PURE, Place,
};
use crate::text::places;
use crate::tree::{File, Tree};

/// Imports follow the table.
pub fn imports(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for file in tree.built() {
        for named in paths::named(file) {
            if let Some(why) = refused(file, &named.segments) {
                found.push(file.at(named.byte, &why));
            }
        }
    }
    // A group of names is one finding.
    found.dedup();
    found
}

fn refused(file: &File, segments: &[String]) -> Option<String> {
    let from = file.module();
    let to = segments.first()?.as_str();
    match from {
        "main" => return (to != "cli").then(|| format!("main.rs uses `{to}`; it hands over to `cli` and knows nothing else")),
        "lib" => return None,
        _ if to == from => return None,
        _ => {}
    }
    if to == "cli" {
        return Some(format!("`{from}` uses `cli`; nobody does"));
    }
    if !PLACES.iter().any(|p| p.module == to) {
        // A name that is no module is an item of the root, and the root has none.
        return Some(format!("`{from}` uses `crate::{to}`, which is no module of the table"));
    }
    let place: &Place = PLACES.iter().find(|p| p.module == from)?;
    for may in place.may {
        match may {
            May::All(module) if *module == to => return None,
            May::Only(module, names) if *module == to => {
                let name = segments.get(1).map_or("the whole module", String::as_str);
                return (!names.contains(&name)).then(|| format!("`{from}` uses {name} of `{to}`; it may use only {}", names.join(", ")));
            }
            May::All(_) | May::Only(..) => {}
        }
    }
    let level = PLACES.iter().find(|p| p.module == to).map_or(0, |p| p.level);
    Some(format!("`{from}` (level {}) uses `{to}` (level {level}), which the table of levels does not allow", place.level))
}

/// A new module gets a place before it gets code.
pub fn placed(tree: &Tree) -> Vec<String> {
    let known = |name: &str| matches!(name, "lib" | "main") || PLACES.iter().any(|p| p.module == name);
    let mut found: Vec<String> =
        tree.files.iter().filter(|f| !known(f.module())).map(|f| f.at(0, "this module has no level; give it one in the table")).collect();
    found.dedup();
    found
}

/// `lib.rs` is a map.
pub fn map_without_code(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for file in tree.files.iter().filter(|f| f.path == "src/lib.rs") {
        let mut byte = 0;
        for line in file.bare.split_inclusive('\n') {
            let text = line.trim();
            let fine =
                text.is_empty() || text.starts_with("#[") || text.starts_with("#![") || (text.contains("mod ") && text.ends_with(';'));
            if !fine {
                found.push(file.at(byte, "lib.rs names modules and holds no code"));
            }
            byte += line.len();
        }
    }
    found
}

const PRINTS: &[&str] = &["println!", "print!", "eprintln!", "eprint!", "dbg!", "io::stdout", "io::stderr", "stdout()", "stderr()"];

/// Only `cli` prints.
pub fn printing(tree: &Tree) -> Vec<String> {
    words(tree, PRINTS, |f| f.module() != "cli", |word| format!("`{word}` outside cli; give the text back, cli prints it"))
}

/// Pure modules are pure.
pub fn purity(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (module, forbidden) in PURE {
        found.extend(words(
            tree,
            forbidden,
            |f| f.module() == *module,
            |word| format!("`{module}` says `{word}`; it gets times, facts, and randomness as arguments or through ports"),
        ));
    }
    found
}

/// Clocks are read where it is said.
pub fn clocks(tree: &Tree) -> Vec<String> {
    let outside = |f: &File| !listed(CLOCKS, f);
    words(tree, CLOCK_WORDS, outside, |word| format!("`{word}`; take the time from `support::clock` or the `Clock` port"))
}

/// What clippy's lints leave: they judge tests too, where these words are fine.
pub fn panics(tree: &Tree) -> Vec<String> {
    words(
        tree,
        &["unreachable!", "assert!", "assert_eq!", "assert_ne!"],
        |_| true,
        |word| format!("`{word}` outside tests; say it with a type or a typed error"),
    )
}

/// Children are started in one place.
pub fn children(tree: &Tree) -> Vec<String> {
    let outside = |f: &File| !listed(CHILDREN, f);
    words(tree, &["process::Command", "Command::new"], outside, |word| format!("`{word}`; start children through `support::child`"))
}

/// HTTP clients are built in one place.
pub fn clients(tree: &Tree) -> Vec<String> {
    let outside = |f: &File| !listed(CLIENTS, f);
    words(tree, &["Client::new", "Client::builder", "ClientBuilder"], outside, |word| {
        format!("`{word}`; take a client from `support::http`")
    })
}

/// The practice gateway is no special case.
pub fn practice_gateway(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for file in tree.built().filter(|f| !listed(PRACTICE, f)) {
        let mut byte = 0;
        for line in file.with_strings.split_inclusive('\n') {
            if line.to_ascii_lowercase().contains("sandbox") {
                found.push(file.at(byte, "names the practice gateway; only its adapter, its policy variant, and cli may"));
            }
            byte += line.len();
        }
    }
    found
}

/// No wildcard hides a new case.
pub fn wildcards(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for file in tree.built() {
        let nowhere = NO_WILDCARD.iter().any(|folder| file.path.starts_with(folder));
        for byte in wildcard_arms(&file.bare) {
            let arms = siblings(&file.bare, byte);
            if nowhere {
                found.push(file.at(byte, "a wildcard arm; here every case is named"));
            } else if let Some(closed) = CLOSED.iter().find(|name| patterns_name(&arms, name)) {
                found.push(
                    file.at(byte, &format!("a wildcard arm beside `{closed}…`; name every case, so that a new one must be thought of")),
                );
            }
        }
    }
    found
}

/// Where an arm's whole pattern is `_`.
fn wildcard_arms(text: &str) -> Vec<usize> {
    places(text, "_")
        .into_iter()
        .filter(|at| {
            let before = text[..*at].trim_end();
            let starts = before.is_empty() || before.ends_with(['{', ',', '}', '|']);
            let after = text[at + 1..].trim_start();
            starts && (after.starts_with("=>") || after.starts_with("if "))
        })
        .collect()
}

/// The block around an arm, without the blocks inside it: the patterns of its match, and short results.
fn siblings(text: &str, byte: usize) -> String {
    let mut depth = 0_i32;
    let mut from = 0;
    for (i, c) in text[..byte].char_indices().rev() {
        match c {
            '}' => depth += 1,
            '{' if depth == 0 => {
                from = i + 1;
                break;
            }
            '{' => depth -= 1,
            _ => {}
        }
    }
    let mut out = String::new();
    for c in text[from..].chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            c if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}

/// A pattern (left of `=>`) names a case of the type at its top, `A::B =>` or `A::B(..) | A::C =>`.
fn patterns_name(arms: &str, closed: &str) -> bool {
    let mut pieces: Vec<&str> = arms.split("=>").collect();
    // What follows the last arrow is a result.
    pieces.pop();
    pieces.iter().any(|piece| {
        let pattern = piece.rsplit([',', '\n']).find(|line| !line.trim().is_empty()).unwrap_or_default();
        pattern.split('|').any(|one| one.trim_start().starts_with(closed))
    })
}

/// Files are small.
pub fn sizes(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for file in &tree.files {
        let lines = file.raw.lines().count();
        match LONG_FILES.iter().find(|(path, _, _)| *path == file.path) {
            Some((_, most, _)) if lines > *most => found.push(file.at(0, &format!("{lines} lines; its exception ends at {most}"))),
            Some(_) if lines <= MOST_LINES => found.push(file.at(0, "needs its exception no longer; remove it from the table")),
            Some(_) => {}
            None if lines > MOST_LINES => found.push(file.at(0, &format!("{lines} lines; split it, {MOST_LINES} is the most"))),
            None => {}
        }
    }
    for (path, _, why) in LONG_FILES {
        if !tree.files.iter().any(|f| f.path == *path) {
            found.push(format!("{path}: is excepted ({why}) and does not exist"));
        }
    }
    found
}

/// Each file begins with what it is.
pub fn documented(tree: &Tree) -> Vec<String> {
    let documented = |f: &File| f.raw.trim_start().starts_with("//!") || f.raw.contains("#![doc = include_str!");
    tree.files.iter().filter(|f| !documented(f)).map(|f| f.at(0, "begins without a `//!` line that says what it is")).collect()
}

/// `#[expect]` with a reason, never `#[allow]`: an exception that is needed no longer shows itself.
pub fn lifted_lints(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for file in &tree.files {
        for start in ["#[allow(", "#![allow("] {
            found.extend(places(&file.bare, start).into_iter().map(|at| file.at(at, "`allow`; write `expect` with a reason")));
        }
        for start in ["#[expect(", "#![expect("] {
            for at in places(&file.bare, start) {
                let attribute = file.bare[at..].split(")]").next().unwrap_or_default();
                if !attribute.contains("reason") {
                    found.push(file.at(at, "`expect` without a reason"));
                }
            }
        }
    }
    found
}

fn listed(list: &[(&str, &str)], file: &File) -> bool {
    list.iter().any(|(path, _)| file.path == *path || (path.ends_with('/') && file.path.starts_with(path)))
}

fn words(tree: &Tree, forbidden: &[&str], of: impl Fn(&File) -> bool, say: impl Fn(&str) -> String) -> Vec<String> {
    let mut found = Vec::new();
    for file in tree.built().filter(|f| of(f)) {
        for word in forbidden {
            found.extend(places(&file.bare, word).into_iter().map(|at| file.at(at, &say(word))));
        }
    }
    found
}
