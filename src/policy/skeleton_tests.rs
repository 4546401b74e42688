//! Tests of the policies to start from.
#![expect(clippy::unwrap_used, reason = "a test may")]

use super::*;

fn source(text: &str) -> Source {
    Source::from_bytes("p.yaml", text.as_bytes().to_vec()).unwrap()
}

#[test]
fn starters_are_short_and_clean() {
    for kind in [Starter::Sandbox, Starter::LiteLlm] {
        let text = starter(kind);
        assert!(text.lines().count() <= 12);
        let parsed = parse(&source(text), &Overlay::none());
        assert_eq!(parsed.diagnostics, []);
        assert_eq!(missing_blocks(&parsed.policy.unwrap()), []);
    }
}

#[test]
fn a_template_is_completed_and_keeps_its_text() {
    let template = "rotation:\n  credential: a-key\n  owner: \"Team: AI\"\n  environment: staging\n  scope: { apps: [one, two], allowed_routes: [responses, embeddings] }";
    let full = skeleton(&source(template)).unwrap();
    assert!(full.starts_with(template));
    let parsed = parse(&source(&full), &Overlay::none());
    assert_eq!(parsed.diagnostics, []);
    let policy = parsed.policy.unwrap();
    assert_eq!(missing_blocks(&policy), []);
    let consumers = policy.consumers.unwrap();
    assert_eq!(consumers.listed().len(), 2);
    assert_eq!(consumers.listed().first().unwrap().owner.as_deref(), Some("Team: AI"));
    let families: Vec<_> = policy.probes.iter().map(|probe| probe.family()).collect();
    assert_eq!(families, ["responses", "embeddings"]);
}

#[test]
fn what_cannot_be_continued_is_refused() {
    assert!(skeleton(&source("rotation: {}")).is_err());
    assert!(skeleton(&source("{ rotation: { credential: a, owner: b, environment: c } }")).is_err());
}
