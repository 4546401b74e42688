//! The fold, record by record: what each changes, and what it leaves alone.

use super::fixture::*;
use super::tale::{Tale, judged, opened, reading, refused};
use crate::rotation::*;
use std::collections::BTreeSet;

/// A run in revoke that has everything a record could undo: agreement, a judged gate, passed gates, a look.
fn full() -> Tale {
    let mut tale = Tale::of(with_approval());
    tale.until("disable_old");
    assert!(tale.run.approved.is_some() && tale.run.looked && tale.run.gate.is_some() && !tale.run.passed.is_empty());
    tale
}

fn points(run: &Run) -> BTreeSet<String> {
    run.passed.iter().map(super::tale::point_words).collect()
}

#[test]
fn a_session_begins_with_nothing_taken_on_trust() {
    let mut tale = full();
    tale.run.disables = 2;
    tale.run.value_at_hand = true;
    tale.run.passed.insert(Point::OldAccepted);
    tale.run.passed.insert(Point::BeforeDelete);
    tale.say(Record::Parked { why: "time".into(), wake_at: Some(at(9)), person: false });
    tale.say(Record::Stuck { why: "s".into(), steps: vec!["do".into()] });
    tale.run.failed = Some(Failed { effect: Effect::Scan, why: String::new(), times: 3, how: Failure::NotDone });
    tale.run.drift = vec![Drift::OldGone];
    assert_eq!(tale.run.parked.as_ref().map(|p| (p.why.as_str(), p.wake_at, p.person)), Some(("time", Some(at(9)), false)));
    assert_eq!(tale.run.stuck, Some(("s".into(), vec!["do".into()])));
    let kept = (tale.run.approved.clone(), tale.run.gate.clone());
    tale.open();
    let run = &tale.run;
    assert!(!run.looked && !run.session_looked && !run.value_at_hand);
    assert_eq!((run.disables, run.parked.as_ref(), run.stuck.as_ref(), run.failed.as_ref()), (0, None, None, None));
    assert!(run.drift.is_empty());
    // What must be fresh at an irreversible step is judged again; what was shown once stays shown.
    assert_eq!(points(run), ["bound", "drained", "flipped", "prepared", "reloaded api", "reloaded web"].map(String::from).into());
    assert_eq!((run.approved.clone(), run.gate.clone()), kept);
    assert_eq!(tale.next(), "look");
}

#[test]
fn a_gate_that_failed_or_is_judged_by_other_rules_begins_again() {
    let with = |verdict, semantics: u32, planned: u32| {
        let mut tale = Tale::at("judge drained");
        tale.judges(Point::Drained, &[("drain", verdict)]);
        tale.plan_mut().gate_semantics = planned;
        let mut record = opened(tale.now);
        if let Record::Opened { gate_semantics, .. } = &mut record {
            *gate_semantics = semantics;
        }
        tale.say(record);
        tale.run.gate.is_some()
    };
    assert!(with(Verdict::Inconclusive, GATE_SEMANTICS, GATE_SEMANTICS));
    assert!(!with(Verdict::Fail, GATE_SEMANTICS, GATE_SEMANTICS));
    assert!(!with(Verdict::Inconclusive, GATE_SEMANTICS + 1, GATE_SEMANTICS));
    assert!(!with(Verdict::Inconclusive, GATE_SEMANTICS, GATE_SEMANTICS + 1));
    assert!(!with(Verdict::Inconclusive, GATE_SEMANTICS + 1, GATE_SEMANTICS + 1));
}

#[test]
fn an_open_intent_of_a_dead_session_is_unresolved_and_remembers_that_it_was_taken_over() {
    let mut tale = Tale::at("mint");
    tale.begins(Effect::Scan);
    assert!(tale.run.open.as_ref().is_some_and(|o| !o.unresolved && !o.taken_over));
    for (now, ever) in [(false, false), (true, true), (true, true), (false, true)] {
        let mut record = opened(tale.now);
        if let Record::Opened { taken_over, .. } = &mut record {
            *taken_over = now;
        }
        tale.say(record);
        assert!(tale.run.open.as_ref().is_some_and(|o| o.unresolved && o.taken_over == ever));
    }
}

#[test]
fn a_look_takes_in_guards_drift_and_slower_gateways() {
    let mut tale = Tale::planned(plan());
    tale.open();
    let mut slower = caps();
    slower.settles_in = Span::seconds(99);
    let guards = vec![(slot(1), "moved".to_owned()), (slot(9), "nowhere".to_owned())];
    tale.say(Record::Looked { drift: vec![], guards, weaker: Some(Box::new(slower.clone())) });
    assert_eq!(tale.run.caps, slower);
    assert_eq!(tale.run.slots.iter().map(|s| s.guard.as_str()).collect::<Vec<_>>(), ["g0", "moved"]);
    assert!(tale.run.looked && tale.run.session_looked);
    tale.drifts(&[Drift::OldGone]);
    assert!(!tale.run.looked && tale.run.session_looked && tale.run.drift == [Drift::OldGone]);
    assert_eq!(tale.run.caps, slower);
    tale.look();
    assert!(tale.run.looked && tale.run.drift.is_empty());
}

#[test]
fn records_that_cannot_follow_are_refused() {
    let mut tale = Tale::at("mint");
    let began = |n| Record::Began { n, effect: Effect::Scan, stamp: stamp(50), send_before: at(60) };
    let ended = |n| Record::Ended { n, kind: EffectKind::Scan, outcome: Outcome::Done(Done::Plain), by: By::Answer, stamp: stamp(51) };
    let spawned = |n| Record::Spawned { n, child: Child { pid: 7, start: None } };
    tale.refuses(&ended(1), "an outcome without its intent");
    tale.refuses(&spawned(1), "a child of no open effect");
    tale.say(began(1));
    tale.refuses(&began(2), "an effect began while another was open");
    tale.refuses(&ended(2), "an outcome without its intent");
    tale.refuses(&spawned(2), "a child of no open effect");
    tale.refuses(&Record::Finished { end: End::Done, took: Span::ZERO }, "an end with an open effect");
    tale.say(spawned(1));
    assert_eq!(tale.run.open.as_ref().and_then(|o| o.child.clone()), Some(Child { pid: 7, start: None }));
    tale.say(ended(1));
    assert_eq!((tale.run.open.as_ref(), tale.run.effects), (None, 1));
}

#[test]
fn behind_the_point_of_no_return_nothing_turns_back() {
    let turned = Record::Turned { why: "w".into(), by: Some("ann".into()) };
    let mut tale = Tale::at("delete_old");
    let mut before = Tale::at("delete_old");
    before.say(turned.clone());
    assert_eq!(before.run.course, Course::Undo);
    tale.begins(Effect::Delete { key: Which::Old, id: KeyId::new("old") });
    assert_eq!(tale.run.old, OldKey::DeleteIntended);
    tale.refuses(&turned, "a way back after the point of no return");
    tale.ends(Outcome::Done(Done::Plain), By::Look);
    assert_eq!(tale.run.old, OldKey::Gone);
    tale.refuses(&turned, "a way back after the point of no return");
}

#[test]
fn entering_a_phase_forgets_the_gate_and_hold_begins_its_window() {
    let mut tale = full();
    let hold = tale.run.since.hold.clone();
    tale.say(Record::Moved { to: Phase::Archive });
    assert_eq!((tale.run.phase, tale.run.gate.as_ref()), (Phase::Archive, None));
    assert!(hold.is_some() && tale.run.since.hold == hold && tale.run.approved.is_some());
    tale.say(Record::Moved { to: Phase::Hold });
    assert_eq!(tale.run.since.hold, tale.run.stamp);
    assert_ne!(tale.run.since.hold, hold);
}

#[test]
fn turning_back_ends_agreement_gates_failure_and_look() {
    let mut tale = full();
    tale.tries(Effect::Disable { key: Which::Old, id: KeyId::new("old"), approval: None }, refused());
    tale.run.asked = Some(Asked { phase: Phase::Revoke, attempt: 1, role: String::new(), head: String::new() });
    tale.run.approved = Some(Approval { record: 1, phase: Phase::Revoke, attempt: 1, by: String::new(), proof: Proof::Asserted });
    tale.look().turns(None);
    let run = &tale.run;
    assert_eq!((run.course, run.flip, run.attempt, run.turned_in), (Course::Undo, 2, 1, Some(Phase::Revoke)));
    assert_eq!(run.turned, Some(("enough".into(), false)));
    assert!(run.passed.is_empty() && run.gate.is_none() && run.asked.is_none() && run.approved.is_none() && run.failed.is_none());
    assert!(!run.looked && run.session_looked);
    assert!(Tale::new().turns(Some("ann")).run.turned.as_ref().is_some_and(|(_, asked)| *asked));
}

#[test]
fn a_reopen_returns_to_hold_with_a_new_attempt_and_fresh_gates() {
    let mut tale = Tale::at("judge soaked");
    let reopened = |unknown| Record::Reopened { why: "w".into(), callers: vec![App::new("web")], unknown };
    tale.judges(Point::Soaked, &[("soak", Verdict::Fail)]);
    tale.say(reopened(true));
    let run = &tale.run;
    assert_eq!((run.phase, run.attempt, run.old, run.course), (Phase::Hold, 2, OldKey::DisabledByUs, Course::Forward));
    assert!(run.passed.is_empty() && run.gate.is_none() && !run.looked && run.reopened_by_unknown);
    assert_eq!(run.since.hold, run.stamp);
    tale.say(reopened(false));
    assert!(!tale.run.reopened_by_unknown && tale.run.attempt == 3);
}

#[test]
fn only_the_answer_to_the_open_question_counts() {
    let answered = |phase, attempt, head: &str, yes| Record::Answered {
        phase,
        attempt,
        head: head.into(),
        by: "ann".into(),
        yes,
        why: "not today".into(),
        proof: Proof::Asserted,
    };
    let mut tale = Tale::of(with_approval());
    tale.until("wait for owner");
    let asked = Asked { phase: Phase::Revoke, attempt: 1, role: "owner".into(), head: "h".into() };
    assert_eq!(tale.run.asked, Some(asked.clone()));
    for (phase, attempt, head) in [(Phase::Flip, 1, "h"), (Phase::Revoke, 2, "h"), (Phase::Revoke, 1, "x")] {
        tale.say(answered(phase, attempt, head, true));
        assert_eq!((tale.run.asked.as_ref(), tale.run.approved.as_ref()), (Some(&asked), None));
    }
    tale.say(answered(Phase::Revoke, 1, "h", true));
    let record = tale.run.records;
    let approval = Approval { record, phase: Phase::Revoke, attempt: 1, by: "ann".into(), proof: Proof::Asserted };
    assert_eq!((tale.run.asked.as_ref(), tale.run.approved.as_ref(), tale.run.rejected.as_ref()), (None, Some(&approval), None));

    let mut no = Tale::of(with_approval());
    no.until("wait for owner");
    no.say(answered(Phase::Revoke, 1, "h", false));
    assert_eq!((no.run.approved.as_ref(), no.run.rejected.as_deref()), (None, Some("ann: not today")));
    // Asked again, the old no is no answer.
    no.say(Record::Asked { phase: Phase::Revoke, attempt: 1, role: "owner".into(), head: "h".into() });
    assert_eq!(no.run.rejected, None);
}

#[test]
fn what_voids_an_agreement() {
    type Deed = fn(&mut Tale);
    let judge = |tale: &mut Tale, verdict, void: bool| {
        let mut checks = tale.checks(&Point::BeforeDisable, &[("drain", verdict)]);
        if void {
            checks[0].counts.insert("voids_approval".into(), 1);
        }
        let stamp = stamp(tale.now + 1);
        tale.say(Record::Judged { point: Point::BeforeDisable, reading: Box::new(reading(stamp)), checks });
        tale.run.approved.is_some()
    };
    for (verdict, void, kept) in [
        (Verdict::Pass, false, true),
        (Verdict::Pass, true, false),
        (Verdict::Inconclusive, false, true),
        (Verdict::Inconclusive, true, false),
        (Verdict::NoData, false, true),
        (Verdict::Fail, false, false),
    ] {
        let mut tale = full();
        tale.run.asked = Some(Asked { phase: Phase::Revoke, attempt: 1, role: String::new(), head: String::new() });
        assert_eq!(judge(&mut tale, verdict, void), kept, "{verdict:?} {void}");
        assert_eq!(tale.run.asked.is_some(), kept);
    }
    let deeds: [(bool, Deed); 9] = [
        (false, |t| {
            t.begins(Effect::Disable { key: Which::Old, id: KeyId::new("old"), approval: None });
        }),
        (false, |t| {
            t.amends(&[]);
        }),
        (false, |t| {
            t.say(Record::Reopened { why: String::new(), callers: vec![], unknown: false });
        }),
        (true, |t| {
            t.begins(Effect::Disable { key: Which::New, id: KeyId::new("new"), approval: None });
        }),
        (true, |t| {
            t.open().look();
        }),
        (true, |t| {
            t.say(Record::Parked { why: String::new(), wake_at: None, person: true });
        }),
        (true, |t| {
            t.say(Record::Noted { what: "n".into() });
        }),
        (false, |t| {
            t.drifts(&[Drift::OldGone]);
        }),
        (true, |t| {
            t.say(Record::Waived { point: Point::Drained, check: "drain".into(), by: "a".into(), why: "w".into(), until: at(5) });
        }),
    ];
    for (i, (kept, deed)) in deeds.into_iter().enumerate() {
        let mut tale = full();
        deed(&mut tale);
        assert_eq!(tale.run.approved.is_some(), kept, "deed {i}");
    }
}

#[test]
fn a_jump_of_the_wall_clock_restarts_every_window() {
    let jumped = |by: i64| {
        let mut tale = full();
        tale.run.since.disabled = Some(stamp(1));
        tale.run.since.enabled = Some(stamp(1));
        let mut now = stamp(tale.now + 1);
        now.at = Time(now.at.0 + by);
        tale.say(Record::Opened { holder: Holder::default(), stamp: now.clone(), taken_over: false, gate_semantics: GATE_SEMANTICS });
        (tale, now)
    };
    for by in [CLOCK_TOLERANCE, -CLOCK_TOLERANCE, 0] {
        let (tale, now) = jumped(by);
        assert!(tale.run.clock_broke.is_none() && tale.run.approved.is_some() && tale.run.gate.is_some(), "{by}");
        assert_eq!((tale.run.stamp, tale.run.since.disabled), (Some(now), Some(stamp(1))));
    }
    for by in [CLOCK_TOLERANCE + 1, -CLOCK_TOLERANCE - 1, 259_200_000] {
        let (tale, now) = jumped(by);
        let run = &tale.run;
        assert_eq!((run.clock_broke.as_ref(), run.approved.as_ref(), run.gate.as_ref()), (Some(&now), None, None), "{by}");
        for since in [&run.since.hold, &run.since.disabled, &run.since.enabled] {
            assert_eq!(since.as_ref(), Some(&now));
        }
        // What had not begun does not begin now; and what is no window stays.
        assert_eq!((run.since.back.as_ref(), run.since.start.as_ref()), (None, Some(&stamp(1))));
        assert!(run.since.minted.is_some() && run.since.minted != Some(now));
    }
    // What a jump moved is remembered where refusals count from, whatever jumps come after it.
    let (mut tale, first) = jumped(259_200_000);
    let hold = full().run.since.hold;
    assert_eq!(tale.run.since.unmoved(tale.run.clock_broke.as_ref()), [hold.as_ref(), None, Some(&stamp(1))]);
    tale.run.since.back = Some(stamp(2));
    let second = Stamp { at: Time(first.at.0 - 259_200_000), mono: first.mono + 5, ..first };
    tale.say(Record::Opened { holder: Holder::default(), stamp: second.clone(), taken_over: false, gate_semantics: GATE_SEMANTICS });
    assert_eq!((tale.run.since.hold.as_ref(), tale.run.since.back.as_ref()), (Some(&second), Some(&second)));
    assert_eq!(tale.run.since.unmoved(tale.run.clock_broke.as_ref()), [hold.as_ref(), Some(&stamp(2)), Some(&stamp(1))]);
    // A new beginning is what it is.
    tale.run.since.hold = Some(stamp(3));
    assert_eq!(tale.run.since.unmoved(tale.run.clock_broke.as_ref()), [Some(&stamp(3)), Some(&stamp(2)), Some(&stamp(1))]);
    assert_eq!(Since { hold: Some(stamp(3)), ..Since::default() }.unmoved(None), [Some(&stamp(3)), None, None]);
    let (mut tale, _) = jumped(0);
    tale.run.since.back = Some(stamp(1));
    let far = Stamp { mono: 0, ..stamp(100_000) };
    let judged = vec![judged("drain", Verdict::Pass)];
    tale.say(Record::Judged { point: Point::Drained, reading: Box::new(reading(far.clone())), checks: judged });
    assert_eq!((tale.run.clock_broke, tale.run.since.back), (Some(far.clone()), Some(far)));
}

#[test]
fn a_gate_counts_its_looks_in_a_row_and_passes_only_when_everything_advances() {
    let mut tale = Tale::at("judge drained");
    let gate = |tale: &Tale| tale.run.gate.clone().map(|g| (g.point, g.times, g.first.at, g.last.at)).unwrap();
    tale.judges(Point::Drained, &[("drain", Verdict::NoData)]);
    let first = at(tale.now);
    tale.judges(Point::Drained, &[("coverage", Verdict::Error)]);
    assert_eq!(gate(&tale), (Point::Drained, 2, first, at(tale.now)));
    tale.judges(Point::BeforeDisable, &[("drain", Verdict::Inconclusive)]);
    assert_eq!(gate(&tale), (Point::BeforeDisable, 1, at(tale.now), at(tale.now)));
    assert!(!tale.run.passed.contains(&Point::Drained) && !tale.run.looked);
    for (verdict, emergency, passes) in [
        (Verdict::Pass, false, true),
        (Verdict::Waived, false, true),
        (Verdict::Skipped, false, false),
        (Verdict::Skipped, true, true),
        (Verdict::Fail, true, false),
        (Verdict::Inconclusive, true, false),
        (Verdict::NoData, true, false),
        (Verdict::Error, true, false),
    ] {
        let mut tale = Tale::at("judge drained");
        if emergency {
            tale.say(Record::Emergency { by: "ann".into(), why: "leaked".into(), breaks: vec![] });
            assert_eq!((tale.run.emergency.clone(), tale.run.gate.clone()), (Some(("ann".into(), "leaked".into())), None));
        }
        tale.judges(Point::Drained, &[("drain", verdict)]);
        assert_eq!(tale.run.passed.contains(&Point::Drained), passes, "{verdict:?} {emergency}");
        assert_eq!(tale.run.verdicts.get(&(Point::Drained, "drain".into())), Some(&verdict));
    }
    let mut empty = Tale::at("judge drained");
    empty.say(Record::Judged { point: Point::Drained, reading: Box::new(reading(stamp(9))), checks: vec![] });
    assert!(!empty.run.passed.contains(&Point::Drained), "a gate without checks shows nothing");
}

#[test]
fn an_emergency_forgets_the_gate_that_was_judged_without_it() {
    let mut tale = Tale::at("judge drained");
    tale.judges(Point::Drained, &[("drain", Verdict::Inconclusive)]);
    tale.say(Record::Emergency { by: "ann".into(), why: "leaked".into(), breaks: vec![] });
    assert_eq!(tale.run.gate, None);
}

#[test]
fn calls_are_remembered_as_ours_as_controls_and_as_what_was_tested() {
    let call = |key, class| CallFacts {
        request: RequestId::new("kr-1"),
        endpoint: Endpoint::new("r1"),
        family: "chat".into(),
        key,
        class,
        status: 200,
        at: at(5),
    };
    let mut tale = Tale::at("judge soaked");
    tale.say(Record::Calls { ids: vec![(RequestId::new("kr-1"), Which::Old), (RequestId::new("kr-2"), Which::New)] });
    assert_eq!(tale.run.own.get(&RequestId::new("kr-2")), Some(&Which::New));
    let mut read = reading(stamp(tale.now + 1));
    read.calls = vec![call(Which::Old, CallClass::Refused), call(Which::New, CallClass::Accepted)];
    let checks = tale.checks(&Point::Soaked, &[]);
    tale.say(Record::Judged { point: Point::Soaked, reading: Box::new(read.clone()), checks });
    assert_eq!((tale.run.own.len(), tale.run.tested.clone()), (2, read.calls));
    assert_eq!(tale.run.control, BTreeSet::from([(Which::New, Endpoint::new("r1"))]));
    // Whatever is switched, earlier answers say nothing about it any more; other effects leave them.
    let (old, new) = (KeyId::new("old"), KeyId::new("new"));
    for key in [Which::Old, Which::New] {
        let id = || if key == Which::Old { old.clone() } else { new.clone() };
        for effect in
            [Effect::Disable { key, id: id(), approval: None }, Effect::Enable { key, id: id() }, Effect::Delete { key, id: id() }]
        {
            let mut run = tale.run.clone();
            run.apply(&Record::Began { n: 90, effect, stamp: stamp(tale.now + 2), send_before: at(0) }).unwrap();
            assert!(run.tested.is_empty() && !run.control.is_empty());
        }
    }
    tale.begins(Effect::Scan);
    assert_eq!((tale.run.tested.len(), tale.run.looked), (2, false));
}

#[test]
fn amending_absorbs_what_others_switched_and_lists_the_rest() {
    let fresh = || {
        let mut tale = full();
        tale.run.reopened_by_unknown = true;
        tale.run.rejected = Some("no".into());
        tale.run.failed = Some(Failed { effect: Effect::Scan, why: String::new(), times: 1, how: Failure::Conflict });
        tale
    };
    type Seen = (OldKey, Option<(bool, bool)>, usize, Option<bool>);
    let cases: [(Drift, Seen); 7] = [
        (Drift::OldDisabled, (OldKey::OffByOthers, Some((true, false)), 0, Some(false))),
        (Drift::OldEnabled, (OldKey::Enabled, Some((true, false)), 0, Some(true))),
        (Drift::OldGone, (OldKey::OffByOthers, Some((true, false)), 1, None)),
        (Drift::NewDisabled, (OldKey::DisabledByUs, Some((false, true)), 0, Some(false))),
        (Drift::NewGone, (OldKey::DisabledByUs, None, 0, None)),
        (Drift::NewReference { model: ModelName::new("m") }, (OldKey::DisabledByUs, Some((true, false)), 0, None)),
        (Drift::SlotCurrent { slot: slot(0), seen: "x".into(), holds: None }, (OldKey::DisabledByUs, Some((true, false)), 1, None)),
    ];
    for (drift, (old, new, listed, changed)) in cases {
        let mut tale = fresh();
        tale.run.old = OldKey::DisabledByUs;
        tale.run.changed = None;
        tale.drifts(&[drift.clone(), Drift::LostCapability { what: "x".into() }]).amends(std::slice::from_ref(&drift));
        let run = &tale.run;
        let key = run.new.as_ref().map(|n| (n.enabled, n.off_by_others));
        assert_eq!((run.old, key, run.amended.len(), run.changed.as_ref().map(|(_, e)| *e)), (old, new, listed, changed), "{drift:?}");
        assert_eq!(run.drift, [Drift::LostCapability { what: "x".into() }]);
        assert!(run.failed.is_none() && !run.reopened_by_unknown && run.rejected.is_none());
        assert!(run.passed.is_empty() && run.gate.is_none() && run.approved.is_none() && !run.looked);
        if let Some((stamp, _)) = &run.changed {
            assert_eq!(Some(stamp), run.stamp.as_ref());
        }
    }
}

#[test]
fn words_of_people_are_kept_and_change_nothing_else() {
    let mut tale = full();
    tale.say(Record::Waived { point: Point::Drained, check: "drain".into(), by: "ann".into(), why: "known".into(), until: at(500) });
    let waiver = Waiver { point: Point::Drained, check: "drain".into(), by: "ann".into(), why: "known".into(), until: at(500) };
    assert_eq!(tale.run.waiver(&Point::Drained, "drain", at(499)), Some(&waiver));
    for (point, check, now) in [(Point::Drained, "drain", 500), (Point::Drained, "x", 1), (Point::Gone, "drain", 1)] {
        assert_eq!(tale.run.waiver(&point, check, at(now)), None);
    }
    let exception = Exception { app: App::new("web"), until: at(500), owner: "o".into(), why: "w".into() };
    tale.say(Record::Excepted { exception, by: "ann".into() });
    assert!(tale.run.excepted(&App::new("web"), at(499)));
    assert!(!tale.run.excepted(&App::new("web"), at(500)) && !tale.run.excepted(&App::new("api"), at(1)));
    let before = format!("{:?}", Run { records: 0, ..tale.run.clone() });
    tale.say(Record::Noted { what: "n".into() });
    tale.say(Record::Unlocked { by: "ann".into(), why: "w".into() });
    tale.say(Record::Checkpoint { head: "h".into(), signature: "s".into() });
    assert_eq!(format!("{:?}", Run { records: 0, ..tale.run.clone() }), before);
    tale.say(Record::Finished { end: End::Done, took: Span::ZERO });
    assert_eq!((tale.run.ended.as_ref(), tale.next().as_str()), (Some(&End::Done), "over done"));
}
