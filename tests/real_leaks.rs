//! One rotation over a file, OpenBao, and AWS at once, with everything that keyroll can be asked about it; then every byte that came out of
//! it is searched for every secret that went in, in every form that leaks in practice. A planted one must be found by the same search.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::indexing_slicing, unreachable_pub, reason = "a test may")]

#[path = "doubles/aws.rs"]
mod aws;
mod common;
#[path = "stores/consumers.rs"]
mod consumers;
#[path = "stores/openbao.rs"]
mod openbao;
#[path = "servers/proxy.rs"]
mod proxy;
mod servers;
mod stores;
#[path = "stores/whole.rs"]
mod whole;
#[path = "doubles/world.rs"]
mod world;

use base64::Engine as _;
use common::Said;
use consumers::{Fleet, Source};
use keyroll::policy::model::reference::{Ref, VaultAuth};
use keyroll::secret::{Scrubber, SecretText};
use openbao::Bao;
use reqwest::Method;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use stores::{OTHER, World};
use whole::Whole;

const HOOK: &str = "/services/T012/B345/hook-7d20c41e99ab";

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A consumer that reads the line of the `.env` file.
struct Line(PathBuf);

impl Source for Line {
    async fn read(&self) -> Option<String> {
        let text = std::fs::read_to_string(&self.0).ok()?;
        text.lines().find_map(|l| l.strip_prefix("GATEWAY_API_KEY=")).map(str::to_owned)
    }
}

/// Takes every message, and keeps what it was sent.
fn hook() -> (u16, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let kept = Arc::<Mutex<Vec<u8>>>::default();
    let keeps = kept.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream);
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
                    break;
                }
                if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = n.trim().parse().unwrap_or(0);
                }
            }
            let mut body = vec![0; length];
            if reader.read_exact(&mut body).is_ok() {
                keeps.lock().unwrap().extend_from_slice(&body);
            }
            let _the_client_may_be_gone = reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    (port, kept)
}

/// Where a secret is, in any known form or as a piece of sixteen characters under layers of encoding.
fn search(texts: &[(String, Vec<u8>)], secrets: &[(&str, String)]) -> Vec<String> {
    let scrubber = Scrubber::new();
    for (label, secret) in secrets {
        assert!(scrubber.add(label, &SecretText::new(secret)), "{label} is too short to be looked for");
    }
    let mut hits = Vec::new();
    for (name, bytes) in texts {
        for hit in scrubber.find(bytes).into_iter().chain(scrubber.deep_find(bytes)) {
            hits.push(format!("{name}: {} ({}) near byte {}", hit.label, hit.encoding, hit.offset));
        }
    }
    hits
}

fn walk(dir: &Path, texts: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, texts);
        } else if path.file_name().is_some_and(|n| n != "fingerprint.key") {
            texts.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

#[test]
fn nothing_that_comes_out_of_a_rotation_holds_what_went_in() {
    let mut whole = Whole::new();
    let bao = Rc::new(wait(Bao::plain()));
    let (moto, port) = (servers::install("moto"), servers::free_port());
    let mut command = Command::new(moto);
    command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    let _moto = servers::Server::start(&mut command, whole.dir.path(), "moto", port, || servers::http_status(port, "/moto-api/").is_some());
    let old = whole.first_value();
    let env = whole.dir.path().join("sandbox/store/.env");
    wait(async {
        let document = json!({ "data": { "api_key": old, "db_password": OTHER[0] } });
        bao.call(Method::POST, "secret/data/apps/leaks", document).await;
        let text = json!({ "api_key": old, "db": OTHER[1] }).to_string();
        world::client(port).create_secret().name("ai/leaks").secret_string(text).send().await.unwrap();
    });
    let VaultAuth::Token(token) = &bao.auth else { panic!("a token") };
    let Ref::File(token) = token.as_ref() else { panic!("in a file") };
    let (hook_port, messages) = hook();
    let at = |name: &str| whole.dir.path().join(name).display().to_string();
    std::fs::write(at("hook"), format!("http://127.0.0.1:{hook_port}{HOOK}\n")).unwrap();
    whole.policy(&format!(
        "{{ file: {{ path: {}, name: GATEWAY_API_KEY }} }}, \
         {{ vault: {{ address: \"{}\", mount: secret, path: apps/leaks, field: api_key, auth: {{ token: {{ file: {token} }} }} }} }}, \
         {{ aws: {{ secret: ai/leaks, field: api_key }} }}",
        env.display(),
        bao.address
    ));
    let policy = at("policy.yaml");
    let text = std::fs::read_to_string(&policy).unwrap();
    let notify = format!("notify: [{{ webhook: {{ url: {{ file: {} }}, format: slack }} }}, {{ github_summary: {{}} }}]\n", at("hook"));
    std::fs::write(&policy, text + &notify).unwrap();
    let summary = at("summary.md");
    let export = at("export");
    for (name, value) in [
        ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
        ("AWS_REGION", world::REGION.into()),
        ("AWS_ACCESS_KEY_ID", aws::OWNER.into()),
        ("AWS_SECRET_ACCESS_KEY", world::ACCESS.into()),
        ("AWS_EC2_METADATA_DISABLED", "true".into()),
        ("AWS_CONFIG_FILE", "/dev/null".into()),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".into()),
        ("GITHUB_STEP_SUMMARY", summary.clone()),
        // Whatever a library would tell of itself.
        ("RUST_LOG", "trace".into()),
        ("RUST_BACKTRACE", "full".into()),
    ] {
        whole.set(name, &value);
    }
    let fleet = {
        let env = env.clone();
        Fleet::start(&whole.data(), move || Line(env.clone()))
    };
    // The consumers' first calls must be in the log before the first plan is made; one of them calls every three seconds.
    std::thread::sleep(std::time::Duration::from_millis(3500));
    let mut texts: Vec<(String, Vec<u8>)> = Vec::new();
    let mut ask = |args: &[&str], code: i32| {
        let said: Said = whole.keyroll(args);
        said.ends(code);
        texts.push((format!("{args:?} stdout"), said.out.clone().into_bytes()));
        texts.push((format!("{args:?} stderr"), said.err.clone().into_bytes()));
        said
    };
    ask(&["plan", &policy], 0);
    ask(&["doctor", &policy], 0);
    ask(&["--output", "json", "doctor", &policy], 0);
    ask(&["keys", &policy], 0);
    ask(&["--output", "json", "run", &policy, "--wait"], 0);
    ask(&["status"], 0);
    ask(&["--output", "json", "report"], 0);
    ask(&["report"], 0);
    let shown: Value = serde_json::from_str(&ask(&["--output", "json", "evidence", "show"], 0).out).unwrap();
    ask(&["evidence", "export", shown["run"].as_str().unwrap(), &export], 0);
    ask(&["--output", "json", "evidence", "verify", &export], 0);
    ask(&["orphans", &policy], 0);
    // Errors too: a store that is gone, a token that is none.
    std::fs::write(token, "s.not-the-token-any-more-51aa\n").unwrap();
    ask(&["doctor", &policy], 40);
    ask(&["plan", &policy], 12);
    fleet.none_was_refused();
    walk(&whole.dir.path().join("state"), &mut texts);
    walk(Path::new(&export), &mut texts);
    texts.push(("messages".into(), messages.lock().unwrap().clone()));
    texts.push(("job summary".into(), std::fs::read(&summary).unwrap()));
    let new = wait(Line(env).read()).unwrap();
    assert_ne!(new, old);
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap().trim().to_owned();
    let mut secrets = vec![
        ("old key", old),
        ("new key", new),
        ("admin key", read(whole.dir.path().join("sandbox/admin.key"))),
        ("fingerprint key", read(whole.dir.path().join("state/fingerprint.key"))),
        ("AWS secret", world::ACCESS.to_owned()),
        ("webhook", HOOK.to_owned()),
        ("a field of others", OTHER[0].to_owned()),
        ("another field of others", OTHER[1].to_owned()),
        ("a token that is none", "s.not-the-token-any-more-51aa".to_owned()),
    ];
    secrets.extend(bao.secrets().into_iter().map(|token| ("vault token", token)));
    assert!(texts.len() > 60 && texts.iter().filter(|(_, bytes)| !bytes.is_empty()).count() > 50, "{} texts", texts.len());
    assert!(texts.iter().any(|(name, bytes)| name == "messages" && bytes.len() > 60), "nobody was told");
    println!("{} texts, {} bytes, {} secrets", texts.len(), texts.iter().map(|t| t.1.len()).sum::<usize>(), secrets.len());
    assert_eq!(search(&texts, &secrets), Vec::<String>::new());
    // What the program looked for by itself, before it sealed.
    let redaction: Value = serde_json::from_slice(&std::fs::read(Path::new(&export).join("redaction.json")).unwrap()).unwrap_or_default();
    let loaded: Vec<&str> = redaction["loaded"].as_array().map(|l| l.iter().filter_map(Value::as_str).collect()).unwrap_or_default();
    for label in ["old", "new", "admin", "vault token", "webhook address"] {
        assert!(loaded.contains(&label), "{label} was not looked for: {loaded:?}");
    }
    // The search can fail: each secret, in each of these forms, in one text at a time.
    for (label, secret) in &secrets {
        let hex: String = secret.bytes().map(|b| format!("{b:02x}")).collect();
        let percent: String = secret.bytes().map(|b| format!("%{b:02X}")).collect();
        let base64 = base64::engine::general_purpose::STANDARD.encode(format!("user:{secret}"));
        for form in [secret.clone(), hex, percent, base64] {
            let (name, bytes) = &texts[form.len() % texts.len()];
            let planted = [bytes.as_slice(), b" ", form.as_bytes(), b"\n"].concat();
            assert!(!search(&[(name.clone(), planted)], &[(label, secret.clone())]).is_empty(), "{label} planted in {name} was not found");
        }
    }
}
