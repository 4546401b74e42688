//! Gateways that only a policy describes: whole rotations through the binary, against doubles of several shapes.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

#[path = "doubles/http_gateways/mod.rs"]
mod http_gateways;

use http_gateways::world::{Key, hold};
use http_gateways::{Place, Shape};

/// A whole rotation; the old and the new key.
fn rotate(shape: Shape) -> (Place, Key, Key) {
    let place = Place::new(shape);
    place.run().ends(0);
    place.rotated();
    assert_eq!((place.count("mint"), place.count("delete")), (1, 1));
    let world = hold(&place.world);
    let new = world.live().last().unwrap().clone();
    let old = world.keys.iter().find(|k| k.id == place.old).unwrap().clone();
    drop(world);
    (place, old, new)
}

#[test]
fn cookie_login_cursor_pages_and_hashes_as_ids() {
    let (place, old, new) = rotate(Shape::Cookies);
    assert_eq!(new.limits["ips"], old.limits["ips"]);
    assert_eq!(new.limits["rpm"], old.limits["rpm"]);
    assert_eq!(new.limits["models"], old.limits["models"]);
    assert_eq!(new.note, "keyroll:live");
    assert!(hold(&place.world).logins > 1, "the session ran out and nobody noticed");
}

#[test]
fn disable_by_expiry_with_clear_values_and_a_marker_in_the_name() {
    let (_place, old, new) = rotate(Shape::Expiry);
    assert_eq!(new.limits["quota"], old.limits["quota"]);
    assert!(new.name.starts_with("app 2") && new.name.ends_with(" #keyroll:live"), "{}", new.name);
    assert!(old.expires.is_some());
}

#[test]
fn a_chosen_value_no_switch_and_bindings_of_the_old_key() {
    let (_place, old, new) = rotate(Shape::Chosen);
    assert_eq!((&new.limits, &new.groups), (&old.limits, &old.groups));
    assert_eq!(new.note, "keyroll.live");
}

#[test]
fn linked_pages_and_an_unproven_binding() {
    let (_place, _old, new) = rotate(Shape::Linked);
    assert_eq!(new.note, "keyroll:live");
}

/// Every answer to a change is lost once, after the change was done.
fn lose(shape: Shape, what: &[&'static str]) -> Place {
    let place = Place::new(shape);
    hold(&place.world).lose.extend(what);
    // A session that ran out may be told with status 200, too.
    hold(&place.world).faults.insert("denies_with_200");
    place.run().ends(0);
    place.rotated();
    assert_eq!(hold(&place.world).lost.len(), what.len(), "some call was never made");
    place
}

#[test]
fn lost_answers_leave_no_second_key_behind_a_login() {
    let place = lose(Shape::Cookies, &["mint", "disable", "delete", "mark"]);
    // The value of the first one was lost with its answer: that key was found by its marker and removed.
    assert_eq!((place.count("mint"), place.count("delete")), (2, 2));
}

#[test]
fn lost_answers_leave_no_second_key_where_a_second_call_shows_the_value() {
    let place = lose(Shape::Expiry, &["reveal", "disable", "delete", "mark"]);
    assert_eq!(place.count("mint"), 2);
}

#[test]
fn a_chosen_value_survives_the_lost_answer_but_what_the_key_lacks_is_seen() {
    let place = Place::new(Shape::Chosen);
    hold(&place.world).lose.insert("mint");
    // The key is there with our value; its limits and groups are not.
    place.run().ends(21).says("differ between old and new key: groups, limits");
    place.unchanged();
    assert_eq!(place.count("mint"), 1);
}

#[test]
fn a_replica_that_serves_a_disabled_key_keeps_it_from_being_deleted() {
    let place = Place::new(Shape::Linked);
    hold(&place.world).faults.insert("replica_serves_disabled");
    let said = place.run();
    assert!([Some(10), Some(11)].contains(&said.code), "{:?} {}", said.code, said.err);
    assert_eq!(place.count("delete"), 0);
    let text = serde_json::to_string(&place.records()).unwrap();
    assert!(text.contains("was accepted at"), "{text}");
    assert!(!hold(&place.world).keys.iter().any(|k| k.deleted));
}

#[test]
fn a_key_that_revives_after_its_deletion_is_never_called_gone() {
    let place = Place::new(Shape::Linked);
    hold(&place.world).faults.insert("revives");
    place.run().ends(22).says("was deleted and yet");
}

#[test]
fn a_switch_that_is_answered_with_success_and_ignored_is_not_believed() {
    let place = Place::new(Shape::Linked);
    hold(&place.world).faults.insert("switch_ignored");
    let said = place.run();
    assert!([Some(10), Some(11)].contains(&said.code), "{:?} {}", said.code, said.err);
    let text = serde_json::to_string(&place.records()).unwrap();
    assert!(text.contains("gateway.http.disable.flag.off") && text.contains("the listing does not show that the key is refused"), "{text}");
    assert_eq!(place.count("delete"), 0);
}

#[test]
fn success_false_is_no_success() {
    let place = Place::new(Shape::Cookies);
    hold(&place.world).faults.insert("mint_refuses");
    place.run().ends(10).says("the status says success, but `/success` does not");
    place.unchanged();
    assert_eq!(place.count("mint"), 0);
}

#[test]
fn a_deletion_that_failed_with_status_200_is_not_done() {
    let place = Place::new(Shape::Cookies);
    hold(&place.world).faults.insert("delete_fails");
    let said = place.run();
    assert_ne!(said.code, Some(0));
    assert!(hold(&place.world).live().any(|k| k.id == place.old));
    assert!(!said.err.contains("is gone"), "{}", said.err);
}

#[test]
fn an_answer_that_repeats_the_old_key_mints_nothing() {
    let place = Place::new(Shape::Cookies);
    hold(&place.world).faults.insert("mint_returns_old");
    assert_ne!(place.run().code, Some(0));
    place.unchanged();
}

#[test]
fn a_dropped_restriction_fails_prepare() {
    let place = Place::new(Shape::Cookies);
    hold(&place.world).faults.insert("scope_dropped");
    place.run().ends(21).says("differ between old and new key: ips");
    place.unchanged();
}

#[test]
fn listings_that_are_not_complete_are_refused() {
    for (shape, fault, says) in [
        (Shape::Cookies, "cursor_ignored", "shows only keys that were shown before"),
        (Shape::Chosen, "paging_ignored", "shows only keys that were shown before"),
        (Shape::Linked, "elsewhere", "on another host"),
    ] {
        let place = Place::new(shape);
        hold(&place.world).faults.insert(fault);
        let said = place.run();
        assert_ne!(said.code, Some(0));
        said.says(says).says("gateway.http.list.request");
        assert_eq!(place.count("mint"), 0);
        place.unchanged();
    }
}

#[test]
fn a_page_that_is_visibly_not_all_is_refused() {
    for (shape, from, to, says) in [
        (Shape::Linked, ", paging: { link: {} }", "", "`Link` header to a next page"),
        (Shape::Chosen, "      paging: { page: { query: page } }\n      total: /total\n", "", "`total` is more than it shows"),
        (Shape::Cookies, "      paging: { cursor: { query: after, at: /data/next } }\n", "", "has `next`, so there are more pages"),
        (Shape::Cookies, "at: /data/next }", "at: /data/cursor }", "has `next`, so there are more pages"),
        (Shape::Chosen, "      paging: { page: { query: page } }\n", "      paging: { none: {} }\n", "there are 6 keys and shows 2"),
    ] {
        let place = Place::with(shape, |text| {
            assert!(text.contains(from));
            text.replace(from, to)
        });
        let said = place.run();
        assert_ne!(said.code, Some(0));
        said.says(says).says("gateway.http.list.request");
        place.unchanged();
    }
}

#[test]
fn two_keys_of_one_name_are_not_one_key() {
    let place = Place::new(Shape::Linked);
    hold(&place.world).make("app", "", None);
    place.run().ends(40).says("is not one key but 2");
    assert_eq!(place.count("mint"), 0);
}

#[test]
fn a_wrong_pointer_names_its_field_and_the_structure_of_the_answer_and_no_key_is_left() {
    let place = Place::with(Shape::Linked, |text| text.replace("secret: /secret", "secret: /data/value"));
    place.run().ends(21);
    let text = serde_json::to_string(&place.records()).unwrap();
    assert!(text.contains("`gateway.http.mint.secret: /data/value` leads to nothing usable"), "{text}");
    assert!(text.contains("`secret` (a text)"), "{text}");
    place.unchanged();
}

#[test]
fn without_any_usage_the_plan_asks_for_words_and_the_run_for_waivers() {
    let cut = |text: &str| {
        let (head, rest) = text.split_once("usage:\n").unwrap();
        let (_, rest) = rest.split_once("probes:").unwrap();
        format!("{head}usage: [{{ gateway_log: {{}} }}]\nprobes:{rest}")
    };
    let place = Place::with(Shape::Linked, |text| cut(&text));
    place.run().ends(40).says("unobserved_log").says("refused_callers_not_observable");
    let place = Place::with(Shape::Linked, |text| {
        cut(&text).replace("unproven_binding]", "unproven_binding, unobserved_log, refused_callers_not_observable]")
    });
    let policy = place.policy();
    place.keyroll(&["--timeout", "30s", "run", policy.to_str().unwrap()]).ends(10).says("not observable");
    let run = place.run_id();
    // Each check that only a log could answer parks the run until somebody waives it by name. A waiver goes on with the run at once.
    for point in ["drained", "before_disable"] {
        for check in ["drain", "coverage", "unknown_callers"] {
            let waiver = format!("{point}/{check}");
            place.keyroll(&["--timeout", "1s", "amend", &run, "--waive", &waiver, "--reason", "nothing here can show it"]);
        }
    }
    // Nothing showed the calls' owner either.
    let evidence = ["amend", &run, "--waive", "complete/evidence", "--reason", "nothing here can show it"];
    place.keyroll(&evidence).ends(0);
    assert!(place.records().iter().any(|r| r.get("finished").is_some() || r.to_string().contains("finished")), "the run is not over");
    place.rotated();
}

#[test]
fn a_marker_that_nobody_can_replace_is_settled_by_the_journal() {
    let place = Place::with(Shape::Linked, |text| {
        text.replace("    mark: { path: \"/keys/{{id}}\", body: { description: \"{{marker}}\" } }\n", "    marker_stays: true\n")
    });
    place.run().ends(0);
    place.rotated();
    assert_eq!(place.count("mark"), 0);
    let first = place.slot();
    // The key that the first run left carries that run's marker, and is the old key of the second.
    place.run().ends(0);
    assert_ne!(place.slot(), first);
    assert_eq!((place.count("mint"), place.count("delete")), (2, 2));
}

#[test]
fn published_descriptions_are_without_a_problem() {
    use keyroll::policy::{Overlay, Source, parse, render};
    let mut texts = Vec::new();
    for entry in std::fs::read_dir("examples/gateways").unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("UNTESTED"), "{} was run by nobody and does not say so", path.display());
        texts.push((path, text));
    }
    assert!(texts.len() >= 3);
    let page = std::fs::read_to_string("runbooks/declarative-gateway.md").unwrap();
    for block in page.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap()).filter(|block| block.contains("rotation:"))
    {
        texts.push(("runbooks/declarative-gateway.md".into(), block.to_owned()));
    }
    for (path, text) in texts {
        let parsed = parse(&Source::from_bytes(&path, text.into_bytes()).unwrap(), &Overlay::none());
        assert!(parsed.diagnostics.is_empty(), "{}", render::text(&parsed.diagnostics, &parsed.sources, false));
        assert!(parsed.policy.is_some());
    }
}
