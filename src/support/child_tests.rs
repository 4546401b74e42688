//! Tests of child processes, with `sh` as the child.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::cell::RefCell;
use std::time::Instant as StdInstant;

use super::super::process;
use super::*;

fn shell(script: &str) -> Child<'static> {
    Child::new("sh", ["-c", script])
}

async fn finished(child: &Child<'_>) -> Finished {
    run(child, &Scrubber::new(), |_| Ok(())).await.map_err(|problem| problem.to_string()).unwrap()
}

fn text_of(finished: &Finished) -> String {
    String::from_utf8_lossy(finished.output()).into_owned()
}

#[tokio::test]
async fn it_gets_a_short_environment_and_nothing_withheld() {
    // CARGO_MANIFEST_DIR stands for a variable of ours that holds a secret: it is set while tests run.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let mut child = shell("env");
    child.set = vec![("KEYROLL_APP".to_owned(), "chat".to_owned()), ("TOKEN".to_owned(), "x".to_owned())];
    child.withhold = vec!["TOKEN".to_owned(), "HOME".to_owned()];
    let seen = text_of(&finished(&child).await);
    assert!(seen.contains("PATH=") && seen.contains("KEYROLL_APP=chat"), "{seen}");
    for name in ["CARGO_MANIFEST_DIR", "TOKEN", "HOME="] {
        assert!(!seen.contains(name), "{name} in {seen}");
    }
    child.pass = vec!["CARGO_MANIFEST_DIR".to_owned()];
    assert!(text_of(&finished(&child).await).contains("CARGO_MANIFEST_DIR="));
}

#[tokio::test]
async fn secrets_go_in_by_input_and_come_out_as_secrets() {
    let secret = SecretText::new("sk-0123456789");
    let mut child = shell("read -r value; printf '%s\\n' \"$value\"");
    child.input = Input::Secret(&secret);
    let done = finished(&child).await;
    assert!(done.succeeded() && done.secret().unwrap().same_as(&secret));
    child.input = Input::Bytes(b"a\nb");
    assert_eq!(text_of(&finished(&child).await), "a\n");
    assert!(finished(&shell("printf 'two\\nlines\\n'")).await.secret().is_none());
    assert!(finished(&shell("true")).await.secret().is_none());
}

#[tokio::test]
async fn output_is_bounded_and_a_child_that_reads_nothing_is_no_failure() {
    let mut child = shell("i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done");
    let big = vec![b'x'; 1 << 20];
    child.input = Input::Bytes(&big);
    child.output_limit = 100;
    let done = finished(&child).await;
    assert!(done.succeeded() && done.output_cut && done.output().len() == 100);
    assert!(done.secret().is_none(), "a cut output is no secret");
}

#[tokio::test]
async fn complaints_are_scrubbed_cleaned_and_short() {
    let scrubber = Scrubber::new();
    scrubber.add("key", &SecretText::new("sk-live-0123456789"));
    let script = "printf 'bad key sk-live-0123\\033[1m456789\\n and c2stbGl2ZS0wMTIzNDU2Nzg5' >&2; exit 3";
    let done = run(&shell(script), &scrubber, |_| Ok(())).await.ok().unwrap();
    assert_eq!((done.code, done.complaint.as_str()), (Some(3), "bad key [redacted]  and [redacted]"));
    // The kept part begins in the middle of the secret; the rest of that line must not be shown.
    let script = "i=0; while [ $i -lt 1500 ]; do printf 'sk-live-0123456789'; i=$((i+1)); done >&2; echo >&2; echo end >&2";
    let done = run(&shell(script), &scrubber, |_| Ok(())).await.ok().unwrap();
    assert_eq!(done.complaint, "end");
}

#[tokio::test]
async fn a_time_out_ends_the_whole_group() {
    let known = RefCell::new(None);
    let mut child = shell("echo before >&2; sleep 300 & trap '' TERM; sleep 300");
    child.time = Duration::from_millis(300);
    let begun = StdInstant::now();
    let ended = run(&child, &Scrubber::new(), |started| {
        *known.borrow_mut() = Some(started.clone());
        Ok(())
    })
    .await;
    let said = ended.err().unwrap().to_string();
    assert!(said.starts_with("wait for sh: not done") && said.ends_with("it said: before"), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(8));
    let known = known.take().unwrap();
    assert!(known.start.is_some());
    assert_eq!(process::end_group(&known), Ok(false), "nobody of the group is left");
}

#[tokio::test]
async fn a_start_that_cannot_be_recorded_ends_it() {
    let mut known = None;
    let refused = run(&shell("sleep 300"), &Scrubber::new(), |started| {
        known = Some(started.clone());
        Err("the disk is full".to_owned())
    })
    .await;
    assert!(matches!(refused, Err(ChildProblem::NotRecorded { .. })));
    gone(&known.unwrap());
}

#[tokio::test]
async fn giving_up_the_wait_ends_the_group() {
    let known = RefCell::new(None);
    let child = shell("sleep 300 & sleep 300");
    let scrubber = Scrubber::new();
    let running = run(&child, &scrubber, |started| {
        *known.borrow_mut() = Some(started.clone());
        Ok(())
    });
    assert!(timeout(Duration::from_millis(200), running).await.is_err());
    gone(&known.take().unwrap());
}

#[tokio::test]
async fn a_background_process_does_not_hold_us_up() {
    let known = RefCell::new(None);
    let begun = StdInstant::now();
    let child = shell("echo done; sleep 300 & exit 0");
    let running = run(&child, &Scrubber::new(), |started| {
        *known.borrow_mut() = Some(started.clone());
        Ok(())
    })
    .await;
    let done = running.ok().unwrap();
    assert!(done.succeeded() && begun.elapsed() < Duration::from_secs(5));
    assert_eq!(text_of(&done), "done\n");
    assert_eq!(process::end_group(&known.take().unwrap()), Ok(true), "it lives on until somebody ends it");
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let problem = run(&Child::new("keyroll-no-such-program", ["x"]), &Scrubber::new(), |_| Ok(())).await.err().unwrap();
    assert!(problem.to_string().starts_with("start keyroll-no-such-program: "), "{problem}");
}

fn gone(known: &Started) {
    let begun = StdInstant::now();
    while process::alive(known) {
        assert!(begun.elapsed() < Duration::from_secs(5), "still alive");
        std::thread::sleep(Duration::from_millis(20));
    }
}
