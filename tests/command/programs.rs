//! Programs that do not keep to the protocol, and what each of them gets to see.

use crate::folder::{FolderSlot, Folders};
use crate::stores::{NEW, OLD, THIRD, quiet, run, value};
use crate::wait;
use keyroll::adapters::secrets::CommandStore;
use keyroll::ports::{Place, PortError, SecretStore as _};
use serde_json::json;
use std::time::Instant;

/// A slot with a program in one line; `$D` is its folder, `$1` the verb.
fn with(script: &str) -> (FolderSlot, CommandStore) {
    let slot = FolderSlot::new(OLD, true);
    let script = script.replace("$D", slot.dir.path().to_str().unwrap());
    let store =
        slot.store(&["sh", "-c", &script, "store"], &json!({ "call_timeout": "1s", "pass": ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME"] }));
    (slot, store)
}

fn observe(script: &str) -> PortError {
    let (_slot, store) = with(script);
    let e = wait(store.observe()).unwrap_err();
    quiet(&Folders { compare_and_set: true }, &e);
    println!("{e}");
    e
}

fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[test]
fn garbage_is_not_repeated() {
    for script in [
        format!("echo {OLD}"),
        format!("printf '{{\"v\":1,\"guard\":\"{OLD}\",\"current\":{{\"version\":\"1\",\"value\":\"{OLD}\"}}}}'"),
        format!("printf '{{\"v\":1,\"guard\":\"1\",\"current\":{{\"version\":\"{OLD}\",\"value\":\"{OLD}\"}}}}'"),
        format!("printf '{{\"v\":1,\"guard\":\"1\",\"current\":{OLD}'"),
        "exit 0".to_owned(),
        "head -c 400000 /dev/zero".to_owned(),
        "printf '\\377\\376'".to_owned(),
    ] {
        assert!(matches!(observe(&script), PortError::Unreadable { .. }), "{script}");
    }
}

#[test]
fn complaints_are_told_without_what_looks_like_a_key() {
    let e = observe(&format!("set -x; : {THIRD}; echo the vault is sealed >&2; exit 1"));
    assert!(e.to_string().contains("the vault is sealed") && e.to_string().contains("exit 1"), "{e}");
    // Values that went in are scrubbed whatever they look like.
    let (_slot, store) = with(
        r#"case $1 in observe) echo '{"v":1,"guard":"1","current":{"version":"1","value":"plain words"}}' ;;
        *) read -r v; echo "got $v" >&2; exit 1 ;; esac"#,
    );
    let e = wait(store.stage(&run("r1"), &value("correct horse"))).unwrap_err().to_string();
    assert!(e.contains("got") && !e.contains("correct horse"), "{e}");
}

#[test]
fn exit_codes_mean_what_the_protocol_says() {
    let unreachable = |e: &PortError| matches!(e, PortError::Unreachable { may_have_happened: false, .. });
    assert!(matches!(observe("exit 3"), PortError::Conflict { .. }));
    assert!(matches!(observe("exit 4"), PortError::Unsupported { .. }));
    assert!(unreachable(&observe("exit 5")));
    assert!(matches!(observe("exit 6"), PortError::Refused { .. }));
    assert!(unreachable(&observe("exit 1")) && unreachable(&observe("kill -9 $$")));
}

#[test]
fn one_that_hangs_is_ended_with_all_that_it_started() {
    let (slot, store) = with("sleep 100 & echo $! > $D/pid; sleep 100");
    let began = Instant::now();
    let e = wait(store.observe()).unwrap_err();
    assert!(matches!(&e, PortError::Unreachable { may_have_happened: false, .. }), "{e:?}");
    assert!(began.elapsed().as_secs() < 8);
    assert!(!alive(&slot.text("pid").unwrap()));
}

#[test]
fn what_it_leaves_running_is_ended_after_a_good_end_too() {
    let (slot, store) = with(r#"sleep 100 > /dev/null 2>&1 & echo $! > $D/pid; echo '{"v":1,"guard":"1"}'"#);
    assert_eq!(wait(store.observe()).unwrap().current, None);
    assert!(!alive(&slot.text("pid").unwrap()));
}

#[test]
fn it_sees_no_more_than_it_must() {
    let (slot, store) = with(
        r#"env > $D/env-$1; echo "$@" > $D/args-$1; read -r v; [ "$1" = observe ] || { printf %s "$v" > $D/new; exit 0; }
        if [ -f $D/new ]; then p=",\"pending\":{\"version\":\"2\",\"run\":\"r1\",\"value\":\"$(cat $D/new)\"}"; fi
        echo "{\"v\":1,\"guard\":\"1\",\"current\":{\"version\":\"1\",\"value\":\"demo-value-1\"}$p}""#,
    );
    wait(store.stage(&run("r1"), &value(NEW))).unwrap();
    assert_eq!(slot.text("args-stage").as_deref(), Some("stage r1\n"));
    assert_eq!(slot.text("new").as_deref(), Some(NEW));
    let env = slot.text("env-stage").unwrap();
    // What the shell makes itself is not ours.
    let mut names: Vec<&str> =
        env.lines().filter_map(|l| l.split_once('=').map(|(n, _)| n)).filter(|n| !["PWD", "OLDPWD", "_", "SHLVL"].contains(n)).collect();
    names.retain(|n| !["HOME", "LANG", "PATH"].contains(n));
    // One that is named by a reference reaches no child, whatever `pass` says.
    assert_eq!(names, ["CARGO_MANIFEST_DIR"]);
    assert!(!env.contains(NEW));
}

#[test]
fn values_that_are_read_one_by_one_belong_to_their_versions() {
    let read = |n: &str| {
        format!(
            r#"case $1 in observe) echo '{{"v":1,"guard":"1","current":{{"version":"1"}}}}' ;; read) echo '{{"version":"{n}","value":"demo-value-1"}}' ;; esac"#
        )
    };
    let (_slot, store) = with(&read("1"));
    assert_eq!(wait(store.read(Place::Current)).unwrap().unwrap().expose(), "demo-value-1");
    let (_slot, store) = with(&read("2"));
    assert!(matches!(wait(store.observe()), Err(PortError::Unreadable { .. })));
    // A store that cannot be read back is not asked for values.
    let slot = FolderSlot::new(OLD, false);
    let store = slot.store(
        &["sh", "-c", r#"[ $1 = observe ] && echo '{"v":1,"guard":"1","current":{"version":"1"}}'"#, "store"],
        &json!({ "read_back": false }),
    );
    let seen = wait(store.observe()).unwrap();
    assert!(seen.current.is_some() && seen.current_is.is_none() && !store.caps().read_back);
    assert!(wait(store.read(Place::Current)).unwrap().is_none());
}
