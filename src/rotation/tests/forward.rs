//! The way forward up to hold: keys whose value is lost, the key that the mint killed, and gates that are judged again.

use super::fixture::*;
use super::tale::{Tale, minted};
use crate::rotation::*;

/// The next mint is found by a look: nobody has its value.
fn mints_a_stray(tale: &mut Tale, id: &str) {
    tale.until("mint");
    let marker = tale.run.next_marker();
    tale.begins(Effect::Mint { marker }).ends(Outcome::Done(minted(id, None)), By::Look);
}

#[test]
fn a_stray_is_discarded_after_a_look_and_after_three_nothing_more_is_minted() {
    let mut tale = Tale::new();
    for (i, id) in ["x", "y", "z"].into_iter().enumerate() {
        mints_a_stray(&mut tale, id);
        assert_eq!(tale.next(), "look");
        tale.look();
        assert_eq!(tale.next(), format!("discard {id} keyroll:run:{}", i + 1));
        tale.goes();
    }
    assert_eq!(tale.next(), "turn: three keys were minted and none could be kept");
    tale.plan_mut().on_fail = OnFail::Stop;
    assert_eq!(tale.next(), "wait, stopped: three keys were minted and none could be kept");
}

#[test]
fn a_third_key_that_is_kept_goes_on() {
    let mut tale = Tale::new();
    for id in ["x", "y"] {
        mints_a_stray(&mut tale, id);
        tale.until("discard");
        tale.goes();
    }
    assert_eq!(tale.until("judge canary").last().map(String::as_str), Some("move canary"));
    assert_eq!(tale.run.mints, 3);
}

#[test]
fn a_key_whose_value_died_with_its_process_is_discarded_and_minted_anew() {
    let mut tale = Tale::at("stage 0");
    tale.open().look();
    assert!(tale.run.value_lost());
    assert_eq!(tale.next(), "discard new keyroll:run:1");
    tale.goes();
    // Whatever was shown about that key is judged again.
    assert_eq!(tale.until("stage 0"), ["judge bound", "look", "mint keyroll:run:2"]);
}

#[test]
fn a_value_is_lost_only_where_nobody_can_read_it() {
    type Change = fn(&mut Tale);
    let cases: [(bool, Change); 9] = [
        (true, |_| {}),
        (false, |t| t.run.value_at_hand = true),
        (false, |t| t.run.slots[1].staged = Some((None, print("b")))),
        (false, |t| t.run.slots[1].current = Which::New),
        (true, |t| {
            t.run.slots[1].staged = Some((None, print("b")));
            t.plan_mut().slots[1].caps.read_back = false;
        }),
        (false, |t| t.plan_mut().gateway.caps.mint = Mint::Supplied),
        (false, |t| t.run.slots[0].was_promoted = true),
        (false, |t| t.run.since.flip = Some(stamp(9))),
        (false, |t| t.run.new = None),
    ];
    for (i, (lost, change)) in cases.into_iter().enumerate() {
        let mut tale = Tale::at("stage 0");
        tale.run.value_at_hand = false;
        change(&mut tale);
        assert_eq!(tale.run.value_lost(), lost, "case {i}");
    }
}

#[test]
fn only_a_mint_that_alone_killed_the_old_key_presses_on() {
    let judged = |but: &[(&str, Verdict)]| {
        let mut tale = Tale::at("judge prepared");
        tale.judges(Point::Prepared, but);
        tale
    };
    let killed = judged(&[("old_accepted", Verdict::Fail)]);
    assert_eq!(killed.next(), "press canary");
    let mut stops = killed;
    stops.plan_mut().on_fail = OnFail::Stop;
    assert_eq!(stops.next(), "press canary");
    for but in [
        &[("old_accepted", Verdict::Fail), ("new_accepted", Verdict::Fail)][..],
        &[("old_accepted", Verdict::Fail), ("new_accepted", Verdict::Inconclusive)],
        &[("old_accepted", Verdict::Fail), ("new_accepted", Verdict::Waived)],
        &[("old_accepted", Verdict::Fail), ("scope", Verdict::Fail)],
        &[("new_accepted", Verdict::Fail)],
        &[("scope", Verdict::Fail)],
    ] {
        assert!(judged(but).next().starts_with("turn: "), "{but:?}");
    }
    assert_eq!(judged(&[("old_accepted", Verdict::Inconclusive)]).next(), "judge prepared");
    // The verdicts are those of this gate, whatever an earlier one was called.
    let mut tale = Tale::at("judge prepared");
    tale.judges(Point::Prepared, &[("old_accepted", Verdict::Fail)]);
    tale.run.gate = tale.run.gate.clone().map(|g| GateState { point: Point::Bound, ..g });
    assert_eq!(tale.next(), "judge prepared");
}

#[test]
fn nobody_is_sent_to_a_key_that_was_not_seen_to_work_since_the_last_amendment() {
    let mut tale = Tale::at("promote 1");
    tale.amends(&[]);
    assert_eq!(tale.until("promote 1"), ["judge canary", "look"]);
    tale.goes();
    tale.amends(&[]);
    assert_eq!(tale.next(), "reload web 1");

    let mut provider = Tale::of(super::fixture::provider());
    provider.until("repoint m2");
    provider.amends(&[]);
    assert_eq!(provider.until("repoint m2"), ["judge canary", "look"]);
    provider.goes();
    provider.amends(&[]);
    assert_eq!(provider.next(), "judge flipped");
}

#[test]
fn a_session_sends_nobody_to_a_key_that_only_an_earlier_one_saw_work() {
    for from in ["promote 0", "promote 1"] {
        let mut tale = Tale::at(from);
        tale.open();
        assert_eq!(tale.until(from), ["look", "judge canary", "look"]);
    }
    // A value that died with the process that asked for it can be tried by nobody: its canary stands.
    let mut issued = super::fixture::provider();
    issued.gateway.caps.mint = Mint::Issued;
    let slots = std::mem::take(&mut issued.slots);
    let mut once = Tale::of(issued.clone());
    once.until("repoint m2");
    once.open();
    assert_eq!(once.until("repoint m2"), ["look"]);
    // Where a slot keeps it, it can be tried again; and so can one that the issuer tells again.
    let kept = |mint, slots| {
        let mut plan = issued.clone();
        (plan.gateway.caps.mint, plan.slots) = (mint, slots);
        let mut tale = Tale::of(plan);
        tale.until("repoint m2");
        tale.open();
        tale.until("repoint m2")
    };
    assert_eq!(kept(Mint::Supplied, vec![]), ["look", "judge canary", "look"]);
    assert_eq!(kept(Mint::Issued, slots), ["look", "judge canary", "look"]);
    // Once nothing is left to be moved there is nothing to see.
    let mut tale = Tale::at("reload web");
    tale.open().look();
    assert_eq!(tale.next(), "reload web 1");
}

#[test]
fn consumers_come_one_after_the_other_each_seen_before_the_next() {
    let mut tale = Tale::at("judge reloaded web");
    tale.judges(Point::Reloaded(App::new("web")), &[("acknowledged", Verdict::NoData)]);
    assert_eq!(tale.next(), "judge reloaded web");
    tale.judges(Point::Reloaded(App::new("web")), &[]);
    assert_eq!(tale.next(), "reload api 1");
    let mut by_hand = plan();
    by_hand.consumers[0].reload = Reload::ByHand;
    by_hand.consumers[2].reload = Reload::Dynamic { ttl: Span::seconds(1) };
    let mut tale = Tale::of(by_hand);
    tale.until("reload");
    assert_eq!(tale.until("move hold"), ["reload web 1", "judge reloaded web", "judge flipped"]);
}
