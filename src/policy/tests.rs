//! Hostile and damaged files, and the warnings.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "a test may")]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use super::{Code, MAX_BYTES, Overlay, Parsed, Source, parse, render};

fn source(text: &str) -> Source {
    Source::from_bytes("policy.yaml", text.as_bytes().to_vec()).unwrap()
}

fn shown(parsed: &Parsed) -> String {
    render::text(&parsed.diagnostics, &parsed.sources, false)
}

#[test]
fn hostile_files_are_refused_quickly() {
    let begin = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let big = folder.path().join("big.yaml");
    fs::write(&big, "a: [".repeat(10 * 1024 * 1024 / 4)).unwrap();
    assert_eq!(Source::read(&big).unwrap_err().diagnostic().code, Code::TooLarge);
    let fits = MAX_BYTES - 1;
    let texts = [
        "[".repeat(fits),
        "a: ".repeat(fits / 3),
        "{a: ".repeat(fits / 4),
        "- ".repeat(fits / 2),
        "x\n".repeat(fits / 2),
        "\"".to_owned() + &"x".repeat(fits - 1),
        "a: &a ".repeat(fits / 6),
        "? ".repeat(fits / 2),
        "#\n".repeat(fits / 2),
        "a:\n".repeat(fits / 3),
        (0..fits / 12).map(|n| format!("f{n:07}: 1\n")).collect(),
        format!("rotation:\n{}", (0..15_000).map(|n| format!("  f{n:07}: 1\n")).collect::<String>()),
        format!("k: {}", "a".repeat(fits - 3)),
        format!("rotation: {{ owner: {} }}", "sk-abcdefgh1234 ".repeat(fits / 20)),
    ];
    for text in texts {
        let one = Instant::now();
        let parsed = parse(&source(&text), &Overlay::none());
        assert!(parsed.has_errors());
        let rendered = shown(&parsed);
        assert!(rendered.len() < 200_000);
        // Generous for a debug build on a busy machine; a release build takes a fraction.
        let start: String = text.chars().take(12).collect();
        assert!(one.elapsed() < Duration::from_secs(10), "{start}: {:?}", one.elapsed());
    }
    assert!(begin.elapsed() < Duration::from_secs(60));
}

/// A small generator with a fixed seed: the same damage on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

#[test]
fn damaged_policies_are_always_explained() {
    let values = [
        "",
        "~",
        "''",
        "0",
        "-1",
        "5",
        "1.5",
        "true",
        "[]",
        "{}",
        "[a]",
        "{ a: b }",
        "x",
        "auto",
        "5m",
        "0s",
        "99w",
        "https://x",
        "\"401\"",
        "{ env: A }",
        "PLANTED0123456789abcdefXYZ",
        "*a",
        "&a x",
        "!t x",
        "- y",
        "[",
        "'",
        ": :",
    ];
    let text = fs::read_to_string(Path::new("tests/policies/good/full.yaml")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut dice = Dice(0x5eed_1234_9876_abcd);
    let mut refused = 0;
    for _ in 0..400 {
        let mut damaged: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        for _ in 0..=dice.below(2) {
            let at = dice.below(damaged.len());
            let line = damaged[at].clone();
            damaged[at] = match (dice.below(4), line.find(": ")) {
                (0, _) => String::new(),
                (1, _) => format!("  {line}"),
                (2, _) => line.chars().filter(|c| dice.below(12) > 0 || *c == ' ').collect(),
                (_, Some(colon)) => {
                    format!("{}: {}", &line[..colon], values[dice.below(values.len())])
                }
                (_, None) => format!("{line}{}", values[dice.below(values.len())]),
            };
        }
        let damaged = damaged.join("\n");
        let parsed = parse(&source(&damaged), &Overlay::none());
        let all = shown(&parsed);
        assert!(!all.contains("PLANTED"), "{damaged}\n{all}");
        // The walk against the schema and the types must agree: this text is for a mistake of ours.
        assert!(!all.contains("mistake in keyroll"), "{damaged}\n{all}");
        assert_eq!(parsed.policy.is_none(), parsed.has_errors(), "{damaged}\n{all}");
        refused += usize::from(parsed.has_errors());
    }
    assert!(refused > 200, "only {refused} of 400 were refused");
}

#[test]
fn a_flood_of_problems_is_bounded() {
    let text: String = (0..500).map(|n| format!("f{n}: 1\n")).collect();
    let parsed = parse(&source(&text), &Overlay::none());
    assert_eq!(parsed.diagnostics.len(), 101);
    assert_eq!(parsed.diagnostics[100].code, Code::TooManyProblems);
    assert!(parsed.diagnostics[100].message.starts_with("401 more"));
}

#[test]
fn warnings_do_not_refuse() {
    let text = "rotation: { credential: k, owner: o, environment: test, scope: { apps: [a] } }
gateway: { litellm: { url: http://gateway.internal:4000, admin: { env: A } } }
slots: [{ aws: { secret: s, field: k, endpoint: http://aws.internal:4566 } }]
consumers:
  - { app: a, cadence: 1h, reload: { by: hand } }
  - { app: b, cadence: 1h, reload: { by: hand } }
gates: { canary: [{ rate: { id: r, of: { key: new }, bad: { status: [5xx] }, limit: 5% } }] }
";
    let parsed = parse(&source(text), &Overlay::none());
    let codes: Vec<Code> = parsed.diagnostics.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, [Code::InsecureUrl, Code::InsecureUrl, Code::OutsideScope, Code::LaterBuild]);
    assert!(parsed.policy.is_some() && !parsed.has_errors());
    assert!(shown(&parsed).contains("warning[KR092]"));
}

fn codes_of(more: &str) -> Vec<Code> {
    let text = format!("rotation: {{ credential: k, owner: o, environment: test }}\n{more}\n");
    parse(&source(&text), &Overlay::none()).diagnostics.iter().map(|problem| problem.code).collect()
}

#[test]
fn one_aws_secret_is_one_place_however_it_is_written() {
    let slots = |a: &str, b: &str| codes_of(&format!("slots: [{{ aws: {{ {a} }} }}, {{ aws: {{ {b} }} }}]"));
    let name = "secret: ai/router, region: eu-central-1, field: api_key";
    let arn = "secret: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:ai/router-AbCdEf'";
    assert_eq!(slots(name, &format!("{arn}, field: api_key")), [Code::DuplicateSlot]);
    // Labels move between whole documents, so two fields of one secret cannot be changed by one run.
    assert_eq!(slots(name, &format!("{arn}, field: other_key")), [Code::DuplicateSlot]);
    assert_eq!(slots(name, "secret: ai/router, region: us-east-1, field: api_key"), []);
    assert_eq!(slots(name, "secret: ai/other, region: eu-central-1, field: api_key"), []);
}

#[test]
fn a_template_names_only_what_a_notice_has() {
    let hook = |template: &str| codes_of(&format!("notify: [{{ webhook: {{ url: {{ env: HOOK }}, template: '{template}' }} }}]"));
    assert_eq!(hook("{credential} is {state}"), [Code::UnknownPlaceholder]);
    assert_eq!(hook("{credential}: {event}, {text} ({run}) { and } so on {"), [Code::UnknownPlaceholder]);
    assert_eq!(hook("{credential}: {event}, {text} ({run})"), []);
    assert_eq!(codes_of("notify: [{ webhook: { url: { env: HOOK }, events: [done] } }]"), [Code::UnknownWord]);
}

#[test]
fn a_place_in_a_very_long_line_is_shown_cut() {
    let filler = "word ".repeat(600);
    let text = format!("rotation: {{ credential: k, owner: {filler}, environment: test, oops: 1, ticket: {filler} }}\n");
    let parsed = parse(&source(&text), &Overlay::none());
    let all = shown(&parsed);
    assert!(all.contains("policy.yaml:1:"), "{all}");
    assert!(all.contains("oops") && all.len() < 1500, "{all}");
}
