//! Messages: whole, in order, kept until used.
#![expect(clippy::unwrap_used, reason = "a test may")]

use super::*;
use crate::journal::testing::{begin, run, state};

fn turn(why: &str) -> Message {
    Message::Turn { by: "ann".into(), why: why.into() }
}

fn reply(head: &str, attempt: u32) -> Reply {
    Reply {
        phase: Phase::Revoke,
        attempt,
        head: head.into(),
        by: "bob".into(),
        yes: true,
        why: String::new(),
        proof: Proof::Signed { signature: "-----BEGIN SSH SIGNATURE-----\nx".into(), principal: "bob@example.com".into() },
    }
}

fn waiting(inbox: &Inbox) -> Vec<Message> {
    inbox.peek().unwrap().messages.into_iter().map(|d| d.message).collect()
}

#[test]
fn messages_come_in_the_order_they_were_sent_also_within_one_millisecond() {
    let (_dir, state) = state();
    drop(begin(&state, "r1", &["k"]).unwrap());
    let inbox = Inbox::of(&state, &run("r1")).unwrap();
    for (why, at) in [("later", 2_000_000_000_000), ("first", 900), ("second", 900)] {
        inbox.put(&turn(why), Time(at)).unwrap();
    }
    assert_eq!(waiting(&inbox), [turn("first"), turn("second"), turn("later")]);
    assert_eq!(waiting(&inbox).len(), 3, "looking takes nothing");
    assert_eq!(inbox.take_all_sorted().unwrap().len(), 3);
    assert!(waiting(&inbox).is_empty());
}

#[test]
fn an_answer_is_found_by_its_question_and_kept_after_use() {
    let (_dir, state) = state();
    drop(begin(&state, "r1", &["k"]).unwrap());
    let inbox = Inbox::of(&state, &run("r1")).unwrap();
    for r in [reply("h1", 1), reply("h2", 1), reply("h2", 2)] {
        inbox.put(&Message::Answer(r), Time(5)).unwrap();
    }
    assert!(inbox.answer_to(Phase::Flip, 1, "h2").unwrap().is_none());
    assert!(inbox.answer_to(Phase::Revoke, 3, "h2").unwrap().is_none());
    let (name, found) = inbox.answer_to(Phase::Revoke, 2, "h2").unwrap().unwrap();
    assert_eq!(found, reply("h2", 2));
    assert_eq!(found.answer().by, "bob");
    inbox.consume(&name).unwrap();
    inbox.consume(&name).unwrap();
    assert!(inbox.answer_to(Phase::Revoke, 2, "h2").unwrap().is_none());
    assert!(state.inbox_dir(&run("r1")).join("done").join(&name).is_file());
    // A new message does not take the name of one that was used.
    assert_ne!(inbox.put(&turn("w"), Time(5)).unwrap(), name);
}

#[test]
fn a_file_that_is_no_message_blocks_nothing_and_is_named() {
    let (_dir, state) = state();
    drop(begin(&state, "r1", &["k"]).unwrap());
    let inbox = Inbox::of(&state, &run("r1")).unwrap();
    let dir = state.inbox_dir(&run("r1"));
    std::fs::write(dir.join("0.json"), b"{\"turn\":{\"by\":\"x\"}}").unwrap();
    std::fs::write(dir.join("1.json"), vec![b' '; 100_000]).unwrap();
    std::fs::write(dir.join(".new-abc.json"), b"half").unwrap();
    inbox.put(&Message::Stop, Time(1)).unwrap();
    let view = inbox.peek().unwrap();
    assert_eq!(view.unreadable, ["0.json", "1.json"]);
    assert_eq!(view.messages.len(), 1);
}

#[test]
fn a_name_leads_nowhere_else_and_an_unknown_run_has_no_inbox() {
    let (_dir, state) = state();
    let (_lease, _journal) = begin(&state, "r1", &["k"]).unwrap();
    let inbox = Inbox::of(&state, &run("r1")).unwrap();
    inbox.consume("../journal.jsonl").unwrap();
    assert!(state.journal_path(&run("r1")).is_file());
    assert!(matches!(Inbox::of(&state, &run("r2")), Err(StateError::NoSuchRun { .. })));
    assert_eq!(Inbox::of(&state, &run("../x")).unwrap_err(), StateError::UnsafeRun);
}
