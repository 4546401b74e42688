//! Whole rotations of a slot in OpenBao, killed before and after every write to it, with every write's answer lost, and with the server,
//! the token and people against it.
#![cfg(feature = "vault")]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::indexing_slicing, reason = "a test may")]

#[path = "stores/bao_stage.rs"]
mod bao_stage;
mod common;
#[path = "stores/consumers.rs"]
mod consumers;
#[path = "stores/openbao.rs"]
mod openbao;
#[path = "servers/proxy.rs"]
mod proxy;
#[expect(unreachable_pub, reason = "shared by test binaries")]
mod servers;
mod stores;
#[path = "stores/whole.rs"]
mod whole;

use bao_stage::Stage;
use common::Said;
use openbao::Bao;
use proxy::Fault;
use reqwest::Method;
use serde_json::{Value, json};
use std::process::Child;
use std::time::{Duration, Instant};
use stores::TestSlot as _;
use whole::ended;

/// Writes to the store of a run that goes forward: stage, promote, and in retire the pending document and the old version.
const FORWARD: usize = 4;
/// And of the way back from the hold: demote, and the pending document.
const BACK: usize = 2;

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A rotation whose calls to the store go through the tap.
async fn tapped() -> Stage {
    let stage = Stage::new(Bao::plain().await).await;
    let (_, tap) = stage.slot.open_tapped().unwrap();
    stage.policy(&format!("http://127.0.0.1:{}", tap.port));
    stage
}

fn tap(stage: &Stage) -> &proxy::Tap {
    stage.slot.open_tapped().unwrap().1
}

/// Waits until the armed fault has happened.
fn fired(stage: &Stage, running: &mut Child) -> bool {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        if tap(stage).fired() {
            return true;
        }
        if running.try_wait().unwrap().is_some() {
            return tap(stage).fired();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("the fault never happened: {:?}", tap(stage).seen());
}

/// Goes on until the run is over.
fn to_the_end(stage: &Stage, what: &str) {
    for _ in 0..5 {
        if stage.whole.records().iter().any(|r| !r["finished"].is_null()) {
            return;
        }
        let said = stage.whole.keyroll(&["resume", "--timeout", "60s"]);
        assert!(matches!(said.code, Some(0 | 10 | 21)), "{what}: {:?} {}", said.code, said.err);
    }
    panic!("{what}: not over after five resumes");
}

/// Enters the hold and ends the process there.
fn to_the_hold(stage: &Stage) {
    let mut run = stage.whole.run().spawn().unwrap();
    assert!(stage.whole.wait_for(&mut run, |r| r["moved"]["to"] == "hold"));
    run.kill().unwrap();
    run.wait().unwrap();
}

/// Each write forward, killed there, and gone on with.
async fn killed_forward(fault: Fault) {
    let mut stage = tapped().await;
    let counts = stage.slot.changing();
    for nth in 1..=FORWARD {
        let what = format!("{fault:?} write {nth}");
        stage.old = stage.slot.consumer().await.unwrap();
        tap(&stage).arm(fault, nth, counts);
        let mut run = stage.whole.run().spawn().unwrap();
        assert!(fired(&stage, &mut run), "{what}: the run ended first: {}", Said::of(run.wait_with_output().unwrap()).err);
        run.kill().unwrap();
        run.wait().unwrap();
        to_the_end(&stage, &what);
        assert_ne!(stage.slot.consumer().await.unwrap(), stage.old, "{what}");
        println!("killed: {what}");
    }
    // Nobody was refused in all of it, and nothing is left.
    stage.old = stage.first.clone();
    stage.judge(true, &[]).await;
}

#[test]
fn killed_before_every_write_forward() {
    wait(killed_forward(Fault::FrozenBefore));
}

#[test]
fn killed_after_every_write_forward() {
    wait(killed_forward(Fault::FrozenAfter));
}

#[test]
fn killed_before_and_after_every_write_back() {
    wait(async {
        let mut stage = tapped().await;
        let counts = stage.slot.changing();
        for nth in 1..=BACK {
            for fault in [Fault::FrozenBefore, Fault::FrozenAfter] {
                let what = format!("{fault:?} write {nth} of the way back");
                to_the_hold(&stage);
                tap(&stage).arm(fault, nth, counts);
                let mut back = stage.whole.command(&["rollback", "--reason", "test"]).spawn().unwrap();
                assert!(fired(&stage, &mut back), "{what}: it ended first: {}", Said::of(back.wait_with_output().unwrap()).err);
                back.kill().unwrap();
                back.wait().unwrap();
                to_the_end(&stage, &what);
                assert_eq!(stage.slot.consumer().await.unwrap(), stage.old, "{what}");
                println!("killed: {what}");
            }
        }
        stage.judge(false, &[]).await;
    });
}

/// A run that meets these faults, one run each, and gets to its end by itself.
async fn met(faults: [(usize, Fault); FORWARD]) {
    let mut stage = tapped().await;
    let counts = stage.slot.changing();
    for (nth, fault) in faults {
        let what = format!("{fault:?} at write {nth}");
        let before = stage.slot.consumer().await.unwrap();
        tap(&stage).arm(fault, nth, counts);
        let said = Said::of(stage.whole.run().output().unwrap());
        assert!(tap(&stage).fired(), "{what}");
        assert_eq!(said.code, Some(0), "{what}: {}", said.err);
        assert_ne!(stage.slot.consumer().await.unwrap(), before, "{what}");
        println!("met: {what}");
    }
    stage.old = stage.first.clone();
    stage.judge(true, &[]).await;
}

#[test]
fn every_write_with_its_answer_lost() {
    wait(met([1, 2, 3, 4].map(|nth| (nth, Fault::LostAnswer))));
}

#[test]
fn writes_that_never_arrive_or_are_put_off() {
    wait(met([(1, Fault::HangUp), (2, Fault::Status(503)), (2, Fault::Status(429)), (3, Fault::HangUp)]));
}

/// F5: the promote that is still on its way when the run has long gone on never lands.
#[test]
fn a_late_promote_never_lands() {
    wait(async {
        let mut stage = tapped().await;
        let counts = stage.slot.changing();
        tap(&stage).arm(Fault::Late, 2, counts);
        let said = Said::of(stage.whole.run().output().unwrap());
        said.ends(0);
        assert!(stage.whole.records().iter().any(|r| ended(r, "fence")), "nothing was fenced");
        let now = stage.slot.consumer().await.unwrap();
        let status = tap(&stage).release();
        assert!(!(200..300).contains(&status), "a late promote landed");
        assert_eq!(stage.slot.consumer().await.unwrap(), now);
        stage.judge(true, &[&said]).await;
    });
}

#[test]
fn a_person_who_writes_in_between_is_not_overwritten() {
    wait(async {
        let stage = tapped().await;
        let counts = stage.slot.changing();
        tap(&stage).arm(Fault::FrozenBefore, 2, counts);
        let mut run = stage.whole.run().spawn().unwrap();
        assert!(fired(&stage, &mut run));
        run.kill().unwrap();
        run.wait().unwrap();
        stage.slot.stranger_writes_ours("sk-of-a-person-0123456789").await;
        let said = stage.whole.keyroll(&["resume", "--timeout", "20s"]);
        assert!(!matches!(said.code, Some(0)), "{}", said.err);
        assert!(said.err.contains("slot"), "the conflict is named: {}", said.err);
        assert_eq!(stage.slot.consumer().await.as_deref(), Some("sk-of-a-person-0123456789"));
        println!("{:?}: {}", said.code, said.err);
    });
}

#[test]
fn a_deleted_secret_stops_the_run_and_is_not_made_again() {
    wait(async {
        let stage = tapped().await;
        to_the_hold(&stage);
        stage.bao.call(Method::DELETE, &format!("secret/metadata/{}", stage.slot.path), Value::Null).await;
        for verb in [&["resume", "--timeout", "10s"][..], &["rollback", "--reason", "test"][..]] {
            let said = stage.whole.keyroll(verb);
            assert!(!matches!(said.code, Some(0)), "{}", said.err);
            assert!(said.err.contains("slot"), "the conflict is named: {}", said.err);
            println!("{:?}: {}", said.code, said.err);
        }
        assert_eq!(stage.slot.document().await, None);
    });
}

#[test]
fn a_token_that_ends_and_a_sealed_server_are_waited_out() {
    wait(async {
        let mut stage = tapped().await;
        let log = std::fs::read_to_string(stage.bao.dir.path().join("openbao.log")).unwrap();
        let unseal = log.lines().find_map(|l| l.split_once("Unseal Key: ")).expect("the dev server tells its key").1.trim().to_owned();
        to_the_hold(&stage);
        // The token ends: the run stops and says so; with a new one in the same file it goes on.
        let ended = stage.bao.token("keyroll", "1h").await;
        stage.bao.token_file("keyroll.token", &ended);
        stage.bao.call(Method::POST, "auth/token/revoke", json!({ "token": ended })).await;
        let said = stage.whole.keyroll(&["resume", "--timeout", "10s"]);
        assert!(!matches!(said.code, Some(0)), "{}", said.err);
        assert!(said.err.contains("token"), "{}", said.err);
        let fresh = stage.bao.token("keyroll", "1h").await;
        stage.bao.token_file("keyroll.token", &fresh);
        // The server is sealed for a while.
        stage.bao.call(Method::PUT, "sys/seal", json!({})).await;
        let sealed = stage.whole.keyroll(&["resume", "--timeout", "5s"]);
        assert!(!matches!(sealed.code, Some(0)), "{}", sealed.err);
        assert!(sealed.err.contains("sealed"), "{}", sealed.err);
        stage.bao.call(Method::PUT, "sys/unseal", json!({ "key": unseal })).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        to_the_end(&stage, "after the seal");
        stage.judge(true, &[&said, &sealed]).await;
    });
}
