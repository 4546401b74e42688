//! Whole rotations of a key in a file and in GitHub, whose workflows read it there.

use crate::common::Said;
use crate::consumers::{Fleet, Source};
use crate::github::{Github, OWNER};
use crate::whole::{Whole, began};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const NAME: &str = "ROUTER_KEY";

enum Reader {
    /// A workflow gets the value when it starts.
    Workflow(Arc<Github>),
    File(PathBuf),
}

impl Source for Reader {
    async fn read(&self) -> Option<String> {
        match self {
            Self::Workflow(github) => github.workflow(NAME),
            Self::File(path) => std::fs::read_to_string(path).ok().filter(|t| !t.is_empty()),
        }
    }
}

/// Nobody can show whose value a secret holds that cannot be read.
fn accept_unproven(whole: &Whole) {
    let path = whole.dir.path().join("policy.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, text.replace("accept: [local_state]", "accept: [local_state, unproven_binding]")).unwrap();
}

struct Stage {
    github: Arc<Github>,
    whole: Whole,
    old: String,
    file: PathBuf,
    fleet: Option<Fleet>,
}

impl Stage {
    fn new() -> Self {
        let (github, whole) = (Arc::new(Github::start()), Whole::new());
        let (old, file, token) = (whole.first_value(), whole.dir.path().join("app.key"), whole.dir.path().join("github.token"));
        github.by_hand(NAME, &old);
        std::fs::write(&file, &old).unwrap();
        std::fs::write(&token, OWNER).unwrap();
        let slot = json!({ "github": { "repository": "example/chat", "secret": NAME, "token": { "file": token }, "url": format!("http://127.0.0.1:{}", github.port()) } });
        whole.policy(&format!("{slot}, {}", json!({ "file": { "path": file } })));
        accept_unproven(&whole);
        let (next, ours, path) = (AtomicUsize::new(0), github.clone(), file.clone());
        let fleet = Fleet::start(&whole.data(), move || match next.fetch_add(1, Ordering::SeqCst) % 2 {
            0 => Reader::Workflow(ours.clone()),
            _ => Reader::File(path.clone()),
        });
        std::thread::sleep(Duration::from_millis(3500));
        Self { github, whole, old, file, fleet: Some(fleet) }
    }

    fn judge(&mut self, forward: bool, said: &[&Said]) {
        let file = std::fs::read_to_string(&self.file).unwrap();
        assert_eq!(self.github.workflow(NAME).as_deref(), Some(file.as_str()), "the two places differ");
        assert_eq!(file != self.old, forward);
        assert_eq!(self.github.workflow("ROUTER_KEY_PENDING"), None, "the pending secret is left");
        assert_eq!(self.whole.orphans(), Vec::<Value>::new());
        let mut values = self.fleet.take().unwrap().none_was_refused();
        assert_eq!(self.whole.refused(), Vec::<String>::new());
        values.push(OWNER.to_owned());
        self.whole.holds_none(&values, said);
    }
}

#[test]
fn forward_and_what_cannot_be_verified_is_said() {
    let mut stage = Stage::new();
    let said = Said::of(stage.whole.run().output().unwrap());
    said.ends(0);
    let plan = &stage.whole.records()[0]["planned"]["plan"];
    let gaps = plan["gaps"].to_string();
    assert!(gaps.contains("gives no value back") && gaps.contains("not atomic"), "{gaps}");
    assert!(plan["warnings"].to_string().contains("let hold outlast them"), "{}", plan["warnings"]);
    stage.judge(true, &[&said]);
}

/// The process that staged is gone before its promote: the value comes from the other slot.
#[test]
fn killed_between_stage_and_promote_and_back_from_hold() {
    let mut stage = Stage::new();
    let mut run = stage.whole.run().spawn().unwrap();
    assert!(stage.whole.wait_for(&mut run, |r| r["moved"]["to"] == "canary"));
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(!stage.whole.records().iter().any(|r| began(r, "promote")));
    let mut run = stage.whole.command(&["resume", "--timeout", "60s"]).spawn().unwrap();
    assert!(stage.whole.wait_for(&mut run, |r| r["moved"]["to"] == "hold"));
    run.kill().unwrap();
    run.wait().unwrap();
    assert_ne!(stage.github.workflow(NAME).as_deref(), Some(stage.old.as_str()));
    let said = stage.whole.keyroll(&["rollback", "--reason", "test"]);
    said.ends(0);
    stage.judge(false, &[&said]);
}

#[test]
fn a_policy_without_a_way_back_is_refused() {
    let github = Github::start();
    let whole = Whole::new();
    github.by_hand(NAME, &whole.first_value());
    let token = whole.dir.path().join("github.token");
    std::fs::write(&token, OWNER).unwrap();
    let slot = json!({ "github": { "repository": "example/chat", "secret": NAME, "token": { "file": token }, "url": format!("http://127.0.0.1:{}", github.port()) } });
    whole.policy(&slot.to_string());
    accept_unproven(&whole);
    let said = Said::of(whole.run().output().unwrap());
    assert!(said.code == Some(40) && said.err.contains("no slot gives a value back"), "{:?} {}", said.code, said.err);
}
