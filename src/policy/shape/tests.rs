//! The walk, by example: one small mistake and the code it gets.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use crate::policy::{Code, Overlay, Source, parse};

const BASE: &str = "rotation: { credential: k, owner: o, environment: test }\n";

fn parsed(rest: &str) -> crate::policy::Parsed {
    let text = format!("{BASE}{rest}\n");
    parse(&Source::from_bytes("p.yaml", text.into_bytes()).unwrap(), &Overlay::none())
}

#[test]
fn one_mistake_one_code() {
    let cases = [
        ("usage: [{ jsonl: { paths: [], format: litellm } }]", Code::EmptyList),
        ("usage: [{ jsonl: { paths: [a], format: 5 } }]", Code::WrongType),
        ("usage: [{ jsonl: { paths: a.jsonl, format: litellm } }]", Code::WrongType),
        ("usage: [{ gateway_log: { extra: 1 } }]", Code::UnknownField),
        ("usage: [gateway_log]", Code::WrongType),
        ("usage: [{}]", Code::OneKindOnly),
        ("usage: [{ gateway_log: }]", Code::EmptyValue),
        ("for_each: { csv: '' }", Code::EmptyText),
        ("gates: car", Code::UnknownWord),
        ("gates: [x]", Code::WrongType),
        ("gates: { cannary: [] }", Code::UnknownField),
        ("gates: { canary: [{ accept: { id: a, times: 0 } }] }", Code::OutOfRange),
        ("gates: { canary: [{ accept: { id: a, times: -1 } }] }", Code::OutOfRange),
        ("gates: { canary: [{ accept: { id: a, times: 1.5 } }] }", Code::WrongType),
        ("gates: { canary: [{ rate: { id: a, of: {}, bad: { key: new }, limit: 5%, alpha: 0.9 } }] }", Code::OutOfRange),
        ("gates: { canary: [{ invariant: { id: a, never: { status: [401] } } }] }", Code::WrongType),
        ("gates: { canary: [{ invariant: { id: a, never: { key: odl } } }] }", Code::UnknownWord),
        ("gates: { canary: [{ human: { id: a, role: r, question: q, on: x } }] }", Code::UnknownField),
        ("timing: { soak: 24 }", Code::BadDuration),
        ("timing: { repeats: 5000000000 }", Code::OutOfRange),
        ("accept: one_way_revoke", Code::WrongType),
        ("accept: [one_way]", Code::UnknownWord),
        ("by: { delete: foot }", Code::UnknownWord),
        ("by: { explode: hand }", Code::UnknownField),
        ("approvals: { revoke: { role: r, not_requester: 'yes' } }", Code::WrongType),
        ("consumers: { discover: {} }", Code::OneKindOnly),
        ("consumers: { discover: { kubernetes: some } }", Code::UnknownWord),
        ("consumers: [{ app: a, cadence: sometimes, reload: { by: hand } }]", Code::BadDuration),
        ("consumers: [{ app: a, cadence: 1h, reload: { by: hand }, ack: first_use }]", Code::WrongType),
        ("consumers: [{ app: a, cadence: 1h, reload: { by: hand }, replicas: two }]", Code::WrongType),
        ("gateway: { litellm: { url: 'https://x', admin: { env: A }, replicas: [x] } }", Code::BadUrl),
        ("gateway: { litellm: { url: 'https://x', admin: { envv: A } } }", Code::UnknownKind),
        ("gateway: { litellm: { url: 'https://x', admin: 5 } }", Code::SecretNotReference),
        ("gateway: { litellm: { url: 'https://x', admin: [A] } }", Code::WrongType),
        ("gateway: { litellm: { url: 'https://x', admin: { command: ./x } } }", Code::WrongType),
        ("gateway: litellm", Code::WrongType),
        ("gateway:", Code::EmptyValue),
        ("overlays: { staging: { rotation: { owner: x } } }", Code::UnknownField),
        ("overlays: { staging: { accept: [local_state] } }", Code::OverlayLoosens),
        ("overlays: { staging: }", Code::EmptyValue),
        ("version: one", Code::WrongType),
        ("use: [a]", Code::WrongType),
        ("ticket: CHG-1", Code::UnknownField),
    ];
    for (rest, code) in cases {
        let parsed = parsed(rest);
        let Some(first) = parsed.diagnostics.first() else { panic!("{rest}: clean") };
        assert_eq!(first.code, code, "{rest}: {}", first.message);
        assert_eq!(parsed.diagnostics.len(), 1, "{rest}: {:?}", parsed.diagnostics);
        assert!(parsed.policy.is_none());
    }
}

#[test]
fn help_names_the_way_out() {
    let cases = [
        ("ticket: CHG-1", "belongs under `rotation:`"),
        ("timing: { gates: auto }", "top level"),
        ("on_fial: stop", "did you mean `on_fail`"),
        ("approvals: { revoke: { role: r, not_requester: 'yes' } }", "without quotes"),
        ("rotations: {}", "already written"),
        ("consumers: [{ app: a, cadence: 1h, reload: { by: hand }, ack: first_use }]", "{ first_use:"),
        ("gateway: { sandbox: }", "sandbox: {}"),
        ("usage: { gateway_log: {} }", "- "),
        ("consumers: [{ app: a, cadence: 1h, reload: { by: hand }, replicas: '4' }]", "whole number"),
        ("gates: { canary: [{ invariant: { id: a, never: { status: [401] } } }] }", "quotes"),
        ("gateway: { llm_gateway: { key: { alias: a, alais: b } } }", "already written"),
    ];
    for (rest, part) in cases {
        let parsed = parsed(rest);
        let first = parsed.diagnostics.first().unwrap();
        assert!(first.help.contains(part), "{rest}: {}", first.help);
    }
}

#[test]
fn settings_of_unknown_vendors_are_kept() {
    let parsed = parsed("gateway: { llm_gateway: { url: 'https://x', etcd: { hosts: [a, b] } } }");
    let codes: Vec<Code> = parsed.diagnostics.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, [Code::NotInThisBuild]);
    let text = serde_json::to_string(&parsed.policy.unwrap().gateway).unwrap();
    assert!(text.contains("\"hosts\":[\"a\",\"b\"]"));
}
