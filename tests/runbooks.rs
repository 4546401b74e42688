//! What people copy from is right: policies without a problem, a quickstart that fits into its minute, a README that says what is so.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use keyroll::policy::model::gate::Window;
use keyroll::policy::{Overlay, Parsed, Policy, Source, missing_blocks, parse, render, schema};
use std::fs;
use std::path::{Path, PathBuf};

/// The policies of a folder. Shared parts lie in a folder below and are read through the policies that use them.
fn policies(folder: &str) -> Vec<PathBuf> {
    let found = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = found.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    found.sort();
    assert!(found.len() > 2, "{folder} holds policies");
    found
}

fn all() -> Vec<PathBuf> {
    policies("runbooks").into_iter().chain(policies("examples")).collect()
}

fn lint(path: &Path) -> Parsed {
    parse(&Source::read(path).unwrap_or_else(|_| panic!("{} is readable", path.display())), &Overlay::none())
}

fn policy(path: &str) -> Policy {
    lint(Path::new(path)).policy.unwrap_or_else(|| panic!("{path} is a policy"))
}

#[test]
fn every_policy_is_without_errors_and_warnings() {
    for path in all() {
        let parsed = lint(&path);
        assert!(parsed.diagnostics.is_empty(), "{}", render::text(&parsed.diagnostics, &parsed.sources, false));
        assert!(parsed.policy.is_some() || !parsed.each.is_empty(), "{}", path.display());
    }
}

#[test]
fn every_policy_can_be_planned_as_far_as_it_goes() {
    for path in all() {
        let parsed = lint(&path);
        for policy in parsed.policy.iter() {
            let missing: Vec<&str> = missing_blocks(policy).iter().map(|block| block.name).collect();
            assert!(missing.is_empty(), "{} lacks {missing:?}", path.display());
        }
    }
}

#[test]
fn every_policy_matches_the_published_schema() {
    let schema = schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for path in all() {
        let text = fs::read_to_string(&path).unwrap();
        if text.contains("for_each") || text.contains("\nuse:") {
            continue; // Rows and shared blocks are put in before anything is judged.
        }
        let instance: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        let problems: Vec<String> = validator.iter_errors(&instance).map(|error| error.to_string()).collect();
        assert!(problems.is_empty(), "{}: {problems:?}", path.display());
    }
}

#[test]
fn the_quickstart_fits_into_its_minute() {
    for path in ["runbooks/quickstart.yaml", "runbooks/provider-quickstart.yaml"] {
        let policy = policy(path);
        let timing = policy.timing.unwrap();
        let drain = match timing.drain_window.unwrap() {
            Window::Of(period) => period.as_millis(),
            Window::Word(_) => panic!("{path}: the drain window is written"),
        };
        let consumers = policy.consumers.unwrap();
        let slowest = consumers.listed().iter().filter_map(|c| c.cadence.every()).map(|p| p.as_millis()).max().unwrap();
        assert!(drain > slowest, "{path}: a drain of {drain} ms says nothing about a consumer that calls every {slowest} ms");
        // Waits that must pass, forward; with as much again for looks, scans, and a slow machine it is still far from a minute.
        let waits = drain + slowest + timing.soak.unwrap().as_millis();
        assert!(waits * 2 < 30_000, "{path}: {waits} ms of waiting");
        assert!(timing.call_timeout.unwrap().as_millis() <= 5_000);
    }
}

#[test]
fn the_readme_names_what_exists() {
    let readme = fs::read_to_string("README.md").unwrap();
    assert!(readme.lines().count() <= 250, "a README is read, so it is short");
    assert!(readme.contains("cargo run --release -- run runbooks/quickstart.yaml") && readme.contains("./tests/run.sh"));
    let mut pages = vec!["README.md".to_owned()];
    pages.extend(fs::read_dir("runbooks").unwrap().map(|e| format!("runbooks/{}", e.unwrap().file_name().to_string_lossy())));
    pages.retain(|page| page.ends_with(".md"));
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        let folder = Path::new(&page).parent().unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(target.contains("://") || folder.join(target).exists(), "{page} refers to {target}, which does not exist");
        }
    }
}

#[test]
fn the_readme_lists_every_exit_code() {
    // The help text is where the program itself says its codes.
    let help = keyroll_help();
    let readme = fs::read_to_string("README.md").unwrap();
    let (_, codes) = help.split_once("Exit codes:").unwrap();
    let numbers = codes.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty());
    let mut seen = 0;
    for number in numbers {
        assert!(readme.contains(&format!("\n| {number} | ")), "exit code {number} is not in the README's table");
        seen += 1;
    }
    assert!(seen >= 13, "{codes}");
}

#[test]
fn the_readme_refuses_exactly_what_the_build_refuses() {
    let readme = fs::read_to_string("README.md").unwrap();
    let row = |name: &str| readme.lines().find(|line| line.starts_with(&format!("| {name} | "))).unwrap().to_owned();
    let of =
        |kind: &str| schema().pointer(&format!("/$defs/{kind}/oneOf")).and_then(|v| v.as_array()).map(|v| names(v)).unwrap_or_default();
    for (kind, name) in [("Gateway", "gateways"), ("Slot", "slots")] {
        let (row, words) = (row(name), of(kind));
        assert!(words.len() > 5, "{kind}: {words:?}");
        for word in words {
            assert!(row.contains(&format!("`{word}`")), "`{word}` of {kind} is not in the README's row {row}");
        }
    }
}

fn names(variants: &[serde_json::Value]) -> Vec<String> {
    variants.iter().filter_map(|v| v.pointer("/required/0")?.as_str()).map(str::to_owned).collect()
}

fn keyroll_help() -> String {
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_keyroll")).arg("--help").output().unwrap();
    assert!(out.status.success());
    // Wrapped lines are joined, so that no number is cut in two.
    String::from_utf8(out.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}
