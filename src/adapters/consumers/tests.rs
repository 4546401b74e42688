//! Consumers that are programs, addresses, files and people.
#![expect(clippy::unwrap_used, reason = "a test may")]

use super::*;
use crate::rotation::Time;
use crate::sandbox::{self, Options};
use crate::support::clock;
use serde_json::{Value, json};

/// One consumer named `web`, written as a policy would write it.
fn one(reload: Value, ack: Option<Value>) -> ConsumerSet {
    within(reload, ack, Duration::from_secs(10))
}

fn within(reload: Value, ack: Option<Value>, longest: Duration) -> ConsumerSet {
    let mut written = json!({"app": "web", "reload": reload, "cadence": "continuous"});
    if let (Some(ack), Some(fields)) = (ack, written.as_object_mut()) {
        fields.insert("ack".into(), ack);
    }
    ConsumerSet::new(vec![serde_json::from_value(written).unwrap()], longest, vec!["HOME".into()], Scrubber::new())
}

fn shell(script: &str) -> Value {
    json!({"command": ["sh", "-c", script]})
}

fn dynamic() -> Value {
    json!({"dynamic": {"ttl": "1m"}})
}

fn app() -> App {
    App::new("web")
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn reload(list: &ConsumerSet) -> Result<Option<ChildId>> {
    wait(async {
        let child = list.begin_reload(&app()).await?;
        list.finish_reload(&app()).await.map(|()| child)
    })
}

#[test]
fn a_program_is_named_while_it_runs_and_its_end_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("done");
    let consumers = one(shell(&format!("sleep 0.3; echo \"$HOME\" > {}", file.display())), None);
    wait(async {
        let child = consumers.begin_reload(&app()).await.unwrap().unwrap();
        assert!(!file.exists() && child.start.is_some());
        assert_eq!(consumers.surviving(&child, false).await, Ok(true));
        consumers.finish_reload(&app()).await.unwrap();
        assert_eq!(consumers.surviving(&child, false).await, Ok(false));
    });
    assert_eq!(std::fs::read_to_string(file).unwrap(), "\n", "what a reference names is withheld");
    assert!(reload(&one(shell("exit 0"), None)).unwrap().is_some());
}

#[test]
fn a_program_that_fails_hangs_or_is_not_there_is_told_apart() {
    let failed = reload(&one(shell("echo cannot reach web >&2; exit 7"), None)).unwrap_err();
    assert!(matches!(&failed, PortError::Refused { why, .. } if why.contains("exit 7: cannot reach web")), "{failed}");
    let slow = within(shell("sleep 30"), None, Duration::from_millis(200));
    assert!(matches!(reload(&slow), Err(PortError::Unreachable { may_have_happened: true, .. })));
    let missing = one(json!({"command": ["/no/such/program"]}), None);
    assert!(wait(missing.begin_reload(&app())).is_err());
    assert!(matches!(wait(missing.begin_reload(&App::new("nobody"))), Err(PortError::Unsupported { .. })));
}

#[test]
fn a_child_that_outlived_us_is_ended_with_its_group_and_never_on_a_guess() {
    use std::os::unix::process::CommandExt as _;
    let mut child = std::process::Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
    let known = ChildId { pid: child.id(), start: process::process_start(child.id()) };
    let consumers = one(dynamic(), None);
    let guess = ChildId { start: None, ..known.clone() };
    assert!(wait(consumers.surviving(&guess, true)).is_err());
    assert_eq!(wait(consumers.surviving(&known, false)), Ok(true));
    assert_eq!(wait(consumers.surviving(&known, true)), Ok(false));
    child.wait().unwrap();
}

#[test]
fn who_reads_by_itself_and_who_is_reloaded_by_hand_need_no_call() {
    for quiet in [dynamic(), json!({"by": "hand"})] {
        assert_eq!(reload(&one(quiet, None)), Ok(None));
    }
    assert_eq!(wait(one(dynamic(), None).acknowledged(&app())), Ok(None));
}

#[test]
fn an_address_reloads_and_tells_the_key_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let running = sandbox::start(Options { rate: 0.1, ..Options::new(folder.path()) }).unwrap();
    let url = format!("{}/consumers/batch", running.urls.control);
    let told = json!({"http": {"url": format!("{url}/reload")}});
    let consumers = one(told, Some(json!({"http": {"url": url}})));
    let before = Time(clock::wall_millis());
    assert_eq!(reload(&consumers), Ok(None));
    let ack = wait(consumers.acknowledged(&app())).unwrap().unwrap();
    assert!(ack.loaded_at >= before && ack.key.is_some_and(|k| k.as_str().starts_with("key_")));
    let wrong = one(json!({"http": {"url": format!("{url}-nobody/reload")}}), Some(json!({"http": {"url": format!("{url}-nobody")}})));
    assert!(matches!(reload(&wrong), Err(PortError::Refused { .. })));
    assert!(wait(wrong.acknowledged(&app())).is_err());
    running.stop().unwrap();
    assert!(matches!(reload(&consumers), Err(PortError::Unreachable { may_have_happened: false, .. })));
}

#[test]
fn a_version_file_acknowledges() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("version");
    let consumers = one(dynamic(), Some(json!({"version_file": file})));
    assert_eq!(wait(consumers.acknowledged(&app())), Ok(None));
    std::fs::write(&file, "{\"loaded_at\":\"2027-01-15T08:00:00Z\"}").unwrap();
    assert_eq!(wait(consumers.acknowledged(&app())).unwrap().unwrap().loaded_at, Time(1_800_000_000_000));
    std::fs::write(&file, "v7").unwrap();
    assert!(matches!(wait(consumers.acknowledged(&app())), Err(PortError::Unreadable { .. })));
}
