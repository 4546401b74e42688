//! The shape of the code, read from the code: who may import whom, who may print, who may know the time.
//!
//! The table is in `architecture/table.rs`, the rules in `architecture/rules.rs`, and the reading of Rust text (comments, strings, and
//! test code taken out) in `architecture/text.rs`. Each finding says the file, the line, and the rule. A change of the table is a
//! decision: it goes together with a record in `runbooks/decisions`.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, unreachable_pub, reason = "a test may")]

#[path = "architecture/paths.rs"]
mod paths;
#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/self_tests.rs"]
mod self_tests;
#[path = "architecture/table.rs"]
mod table;
#[path = "architecture/text.rs"]
mod text;
#[path = "architecture/tree.rs"]
mod tree;

use tree::Tree;

fn check(rule: fn(&Tree) -> Vec<String>) {
    let tree = Tree::of_this_project();
    assert!(tree.files.len() > 20, "the source was not found: {} files", tree.files.len());
    let found = rule(&tree);
    assert!(found.is_empty(), "\n{}\n\n{} in all; the table is in tests/architecture/table.rs", found.join("\n"), found.len());
}

#[test]
fn modules_import_only_what_their_level_allows() {
    check(rules::imports);
}

#[test]
fn every_module_has_a_place_in_the_table() {
    check(rules::placed);
}

#[test]
fn the_map_holds_no_code() {
    check(rules::map_without_code);
}

#[test]
fn only_the_command_line_prints() {
    check(rules::printing);
}

#[test]
fn pure_modules_know_no_time_and_no_input_or_output() {
    check(rules::purity);
}

#[test]
fn clocks_are_read_in_few_places() {
    check(rules::clocks);
}

#[test]
fn the_library_never_panics_by_its_own_word() {
    check(rules::panics);
}

#[test]
fn children_are_started_in_one_place() {
    check(rules::children);
}

#[test]
fn http_clients_are_built_in_one_place() {
    check(rules::clients);
}

#[test]
fn the_practice_gateway_is_known_to_its_adapter_only() {
    check(rules::practice_gateway);
}

#[test]
fn matches_on_phases_effects_and_outcomes_name_every_case() {
    check(rules::wildcards);
}

#[test]
fn files_stay_small() {
    check(rules::sizes);
}

#[test]
fn every_file_says_what_it_is() {
    check(rules::documented);
}

#[test]
fn lints_are_lifted_with_a_reason_and_only_while_needed() {
    check(rules::lifted_lints);
}
