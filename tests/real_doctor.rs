//! `keyroll doctor` on a real store: mistakes that people make are named, each with what to do, and nothing is changed.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::indexing_slicing, unreachable_pub, reason = "a test may")]

mod common;
#[path = "stores/openbao.rs"]
mod openbao;
#[path = "servers/proxy.rs"]
mod proxy;
mod servers;
#[path = "doctor/skewed.rs"]
mod skewed;
mod stores;
#[path = "stores/whole.rs"]
mod whole;

use keyroll::policy::model::reference::{Ref, VaultAuth};
use openbao::Bao;
use reqwest::Method;
use serde_json::{Value, json};
use skewed::Skewed;
use std::rc::Rc;
use stores::World;
use whole::Whole;

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// The file of a token.
fn file(auth: &VaultAuth) -> String {
    let VaultAuth::Token(reference) = auth else { panic!("no token") };
    let Ref::File(path) = reference.as_ref() else { panic!("no file") };
    path.clone()
}

fn slot(address: &str, path: &str, field: &str, token: &str) -> String {
    format!(
        "{{ vault: {{ address: \"{address}\", mount: secret, path: {path}, field: {field}, auth: {{ token: {{ file: {token} }} }} }} }}"
    )
}

/// What is bad, as `NAME: WHAT → FIX`.
fn bad(answer: &Value) -> Vec<String> {
    let mut bad = Vec::new();
    for system in answer["systems"].as_array().unwrap() {
        for finding in system["findings"].as_array().unwrap() {
            if finding["health"] == "bad" {
                let text = |v: &Value| v.as_str().unwrap().to_owned();
                bad.push(format!("{}: {} → {}", text(&system["name"]), text(&finding["what"]), text(&finding["fix"])));
            }
        }
    }
    bad
}

#[test]
fn each_mistake_is_named_with_its_fix_and_nothing_is_changed() {
    let whole = Whole::new();
    let bao = Rc::new(wait(Bao::plain()));
    let key = whole.first_value();
    wait(async {
        for path in ["chat", "batch"] {
            let document = json!({ "data": { "api_key": key, "hostile\u{1b}[31m": "x" } });
            bao.call(Method::POST, &format!("secret/data/apps/{path}"), document).await;
        }
    });
    let good = file(&bao.auth);
    let reader = file(&bao.token_file("reader.token", &wait(bao.token("reader", "2h"))));
    let short = file(&bao.token_file("short.token", &wait(bao.token("keyroll", "1s"))));
    let port = bao.address.rsplit_once(':').unwrap().1.parse().unwrap();
    let skewed = Skewed::before(port, 605);
    let address = &bao.address;
    let slots = [
        slot(address, "apps/nobody-made-this", "api_key", &good),
        slot(address, "apps/chat", "api_key", &reader),
        slot(address, "apps/batch", "api_key", &short),
        slot(&format!("http://127.0.0.1:{}", skewed.port), "apps/chat", "api_key", &good),
        slot(address, "apps/chat", "apikey", &good),
        format!("{{ file: {{ path: {}, name: GATEWAY_API_KEYS }} }}", whole.dir.path().join("sandbox/store/.env").display()),
    ];
    whole.policy(&slots.join(", "));
    let policy = whole.dir.path().join("policy.yaml");
    let policy = policy.to_str().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let before = wait(bao.call(Method::GET, "secret/metadata/apps/chat", Value::Null));
    let said = whole.keyroll(&["--output", "json", "doctor", policy]);
    said.ends(40);
    let answer: Value = serde_json::from_str(&said.out).unwrap();
    let found = bad(&answer);
    for (name, what, fix) in [
        ("apps/nobody-made-this", "there is no document", "correct `path:`"),
        ("apps/chat", "may not update secret/data/apps/chat", "path \"secret/data/apps/chat\" { capabilities = [\"read\", \"update\"] }"),
        ("apps/batch", "token is not accepted", "make a new token and put it into file"),
        ("apps/chat", "its clock is 10m ", "set the clock"),
        ("field apikey", "no field `apikey`, or it is empty; it has api_key", "into `field:`"),
        ("GATEWAY_API_KEYS", "there is no value", "correct the path and the name"),
    ] {
        let fits =
            |line: &&String| line.contains(name) && line.contains(what) && line.split_once(" → ").is_some_and(|(_, f)| f.contains(fix));
        assert!(found.iter().any(|line| fits(&line)), "{name}, {what}, {fix}: not among {found:#?}");
    }
    // Nothing else is bad: four of the reader's permissions are missing, all other mistakes are one finding each.
    let others = found.iter().filter(|l| !l.contains("the token may not")).count();
    assert_eq!((found.len(), others), (9, 5), "{found:#?}");
    let after = wait(bao.call(Method::GET, "secret/metadata/apps/chat", Value::Null));
    assert_eq!(before["data"], after["data"], "it wrote something");
    let mut secrets = bao.secrets();
    secrets.push(key);
    // For people: narrow and wide, and nothing in it steers their terminal.
    for columns in ["80", "140"] {
        let shown = common::Said::of(whole.command(&["doctor", policy]).env("COLUMNS", columns).output().unwrap());
        shown.ends(40);
        let widest = shown.out.lines().map(|l| l.chars().count()).max().unwrap();
        assert!(widest <= columns.parse().unwrap(), "{widest} of {columns}:\n{}", shown.out);
        assert!(shown.out.contains("✗ clock") && !shown.out.contains('\u{1b}'), "{}", shown.out);
        assert!(shown.err.contains("not ready: 9 things"), "{}", shown.err);
        for secret in &secrets {
            assert!(!shown.out.contains(secret) && !shown.err.contains(secret) && !said.out.contains(secret));
        }
        println!("{}", shown.out);
    }
}

#[test]
fn a_policy_in_order_is_ready() {
    let whole = Whole::new();
    let bao = wait(Bao::plain());
    wait(bao.call(Method::POST, "secret/data/apps/chat", json!({ "data": { "api_key": whole.first_value() } })));
    whole.policy(&slot(&bao.address, "apps/chat", "api_key", &file(&bao.auth)));
    let policy = whole.dir.path().join("policy.yaml");
    let said = whole.keyroll(&["--output", "json", "doctor", policy.to_str().unwrap()]);
    said.ends(0);
    let answer: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(bad(&answer), Vec::<String>::new());
    assert_eq!((answer["v"].as_u64(), answer["exit"].as_u64(), answer["bad"].as_u64()), (Some(1), Some(0), Some(0)));
    let kinds: Vec<&str> = answer["systems"].as_array().unwrap().iter().map(|s| s["kind"].as_str().unwrap()).collect();
    for kind in ["slot", "gateway", "endpoint", "usage", "consumer"] {
        assert!(kinds.contains(&kind), "{kind} is not in {kinds:?}");
    }
}
