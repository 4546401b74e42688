//! The rules find what they are for: each gets a small wrong file, and a right one beside it.

use crate::rules;
use crate::text::{strip, without_tests};
use crate::tree::Tree;

fn tree(files: &[(&str, &str)]) -> Tree {
    Tree::of(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
}

fn one(rule: fn(&Tree) -> Vec<String>, path: &str, text: &str) -> Vec<String> {
    rule(&tree(&[(path, text)]))
}

#[test]
fn comments_strings_and_characters_are_no_code() {
    let text = r##"let a = "crate::cli"; // crate::cli
/* crate::cli /* nested */ crate::cli */ let b = r#"crate::"cli"#; let c = b"cli\""; let d = '"'; let e: &'static str = "";"##;
    let code = strip(text);
    assert!(!code.bare.contains("cli"), "{}", code.bare);
    assert!(code.bare.contains("let e: &'static str"), "{}", code.bare);
    assert_eq!(code.bare.lines().count(), text.lines().count());
    assert!(code.with_strings.contains("\"crate::cli\"") && !code.with_strings.contains("nested"));
}

#[test]
fn test_code_is_left_out() {
    let code = without_tests(strip("fn a() {}\n#[cfg(test)]\n#[expect(x, reason = \"}\")]\nmod tests {\n use crate::cli;\n}\nfn b() {}"));
    assert!(!code.bare.contains("cli") && code.bare.contains("fn a") && code.bare.contains("fn b"));
    let files = tree(&[
        ("src/gate/mod.rs", "//! x\n#[cfg(test)]\n#[path = \"mod_tests.rs\"]\nmod tests;\n#[cfg(test)]\nmod fixture;\nmod real;"),
        ("src/gate/mod_tests.rs", "use crate::cli::X;"),
        ("src/gate/fixture.rs", "use crate::cli::X;"),
        ("src/gate/fixture/deep.rs", "use crate::cli::X;"),
        ("src/gate/real.rs", "use crate::cli::X;"),
    ]);
    let found = rules::imports(&files);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("src/gate/real.rs:1:"), "{found:?}");
}

#[test]
fn imports_are_found_in_every_form() {
    for text in [
        "use crate::engine::Engine;",
        "use crate::{secret::Fingerprint, engine::{Engine, Stop}};",
        "fn f() -> crate::engine::Stop { todo() }",
        "use super::super::engine::Stop;",
        "use super::super::{engine::Stop};",
        "use crate::{\n    rotation::Run,\n    engine,\n};",
        "pub(crate) use crate::engine as machine;",
    ] {
        let found = one(rules::imports, "src/gate/rate.rs", text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].contains("`gate` (level 1) uses `engine` (level 4)"), "{found:?}");
    }
    let fine =
        "use crate::rotation::{Run, next};\nuse super::zero;\nuse crate::gate::x;\npub(crate) fn f() {}\nuse crate::secret::Fingerprint;";
    assert_eq!(one(rules::imports, "src/gate/rate.rs", fine), Vec::<String>::new());
}

#[test]
fn narrow_permissions_are_narrow() {
    let secret = "use crate::secret::{Fingerprint, SecretText};";
    assert_eq!(one(rules::imports, "src/rotation/run.rs", secret).len(), 1);
    assert_eq!(one(rules::imports, "src/ports/mod.rs", secret).len(), 0);
    assert_eq!(one(rules::imports, "src/rotation/run.rs", "use crate::secret;").len(), 1);
    assert_eq!(one(rules::imports, "src/evidence/lines.rs", "use crate::journal::Line;").len(), 0);
    assert_eq!(one(rules::imports, "src/evidence/lines.rs", "use crate::journal::StateDir;").len(), 1);
    assert_eq!(one(rules::imports, "src/engine/mod.rs", "use crate::policy::Policy;").len(), 1);
    assert_eq!(one(rules::imports, "src/policy/mod.rs", "use crate::ports::Clock;").len(), 1);
    assert_eq!(one(rules::imports, "src/sandbox/mod.rs", "use crate::cli::Out;").len(), 1);
    assert_eq!(one(rules::imports, "src/main.rs", "fn main() { keyroll::engine::x() }").len(), 1);
    assert_eq!(one(rules::imports, "src/main.rs", "fn main() { keyroll::cli::main() }").len(), 0);
    assert_eq!(one(rules::imports, "src/cli/mod.rs", "use crate::helpers::x;").len(), 1);
}

#[test]
fn other_rules_find_what_they_are_for() {
    let found = |rule, path: &str, text: &str| one(rule, path, text).len();
    assert_eq!(found(rules::placed, "src/helpers.rs", ""), 1);
    assert_eq!(found(rules::map_without_code, "src/lib.rs", "//! map\npub mod a;\nfn f() {}\n"), 1);
    assert_eq!(found(rules::printing, "src/plan/text.rs", "fn f() { println!(\"x\"); }"), 1);
    assert_eq!(found(rules::printing, "src/cli/out.rs", "fn f() { println!(\"x\"); }"), 0);
    assert_eq!(found(rules::printing, "src/plan/text.rs", "/// println!\nfn sprintln() {}"), 0);
    assert_eq!(found(rules::purity, "src/gate/a.rs", "use std::time::Instant;"), 1);
    assert_eq!(found(rules::purity, "src/engine/a.rs", "tokio::spawn(x)"), 1);
    assert_eq!(found(rules::purity, "src/engine/a.rs", "/// No tokio type.\npub async fn f() {}"), 0);
    assert_eq!(found(rules::clocks, "src/evidence/a.rs", "let t = SystemTime::now();"), 1);
    assert_eq!(found(rules::clocks, "src/support/clock.rs", "let t = SystemTime::now();"), 0);
    assert_eq!(
        found(rules::panics, "src/gate/a.rs", "fn f() { unreachable!() }\n#[cfg(test)]\nmod tests { fn g() { unreachable!() } }"),
        1
    );
    assert_eq!(found(rules::children, "src/adapters/a.rs", "let c = tokio::process::Command::new(x);"), 2);
    assert_eq!(found(rules::clients, "src/adapters/a.rs", "let c = reqwest::Client::new();"), 1);
    assert_eq!(found(rules::practice_gateway, "src/engine/a.rs", "if driver == \"sandbox\" {}"), 1);
    assert_eq!(found(rules::practice_gateway, "src/engine/a.rs", "// like the sandbox"), 0);
    assert_eq!(found(rules::documented, "src/plan/a.rs", "fn f() {}"), 1);
    assert_eq!(found(rules::lifted_lints, "src/plan/a.rs", "#[allow(dead_code)]\nfn f() {}"), 1);
    assert_eq!(found(rules::lifted_lints, "src/plan/a.rs", "#[expect(dead_code)]\nfn f() {}"), 1);
    assert_eq!(found(rules::lifted_lints, "src/plan/a.rs", "#[expect(dead_code, reason = \"x\")]\nfn f() {}"), 0);
    // Too long, and every file that the table excepts is missing here.
    assert_eq!(found(rules::sizes, "src/gate/a.rs", &"x\n".repeat(501)), 1 + crate::table::LONG_FILES.len());
    assert_eq!(found(rules::sizes, "src/gate/a.rs", &"x\n".repeat(500)), crate::table::LONG_FILES.len());
}

#[test]
fn wildcards_hide_no_case() {
    let found = |path, text| one(rules::wildcards, path, text).len();
    assert_eq!(found("src/cli/a.rs", "match p {\n    Phase::Prepare => 1,\n    _ => 2,\n}"), 1);
    assert_eq!(found("src/cli/a.rs", "match p { Phase::Prepare => 1, _ => 2 }"), 1);
    assert_eq!(found("src/cli/a.rs", "match e {\n    Effect::Mint { marker } => { f(marker) }\n    _ if x => 2,\n    _ => 3,\n}"), 2);
    assert_eq!(found("src/cli/a.rs", "match n {\n    1 => Phase::Prepare,\n    _ => Phase::Canary,\n}"), 0);
    assert_eq!(found("src/cli/a.rs", "match e { Effect::Seal => match n { 1 => 2, _ => 3 }, Effect::Scan => 4 }"), 0);
    assert_eq!(found("src/engine/a.rs", "match n { 1 => 2, _ => 3 }"), 1);
    assert_eq!(found("src/engine/a.rs", "let _ = f(); match n { (_, 2) => 2, n => 3 }"), 0);
}
