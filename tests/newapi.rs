//! new-api in three of its versions, and the Flatkey preset: whole rotations through the binary, against a strict stand-in.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may")]

mod common;
#[path = "doubles/newapi/mod.rs"]
mod newapi;
mod rotating;

use newapi::{Build, Double, Token, Trap, USER};
use rotating::{Place, Policy, Says as _, ask};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const MODEL: &str = "small";
/// What no document promises.
const ACCEPT: &str = ", refused_callers_not_observable";

/// A gateway with some tokens of others, and the one that is rotated.
struct World {
    double: Arc<Double>,
    old: Token,
    place: Place,
}

impl World {
    fn new(build: Build) -> Self {
        Self::with(build, |_| {})
    }

    /// With the old token as it is made here.
    fn with(build: Build, shape: impl FnOnce(&mut Token)) -> Self {
        let double = Arc::new(Double::start(build, 1));
        // More tokens than a page holds.
        double.page(3);
        for name in ["one", "two", "three", "four"] {
            double.mint(name);
        }
        double.mint_for("app", USER + 1);
        let old = double.mint("app");
        double.edit(old.id, shape);
        let old = double.tokens().into_iter().find(|t| t.id == old.id).unwrap();
        double.mint("younger");
        let tokens = double.clone();
        let id_of = Arc::new(move |value: &str| tokens.tokens().into_iter().find(|t| t.secret() == value).map(|t| t.id.to_string()));
        let place = Place::new(&old.secret(), &double.access(), &double.data()[0], MODEL, id_of);
        let world = Self { double, old, place };
        world.policy("");
        thread::sleep(Duration::from_millis(300));
        world
    }

    fn policy(&self, more: &str) {
        let (console, router) = (self.double.console(), self.double.data()[0].trim_end_matches("/v1").to_owned());
        let gateway = format!(
            "{{ new_api: {{ url: \"{console}\", data: \"{router}\", admin: {{ env: ADMIN }}, user: {USER}, log_lag: 300ms, propagation: 500ms{more} }} }}"
        );
        let evidence = ", usage_owner_check: required";
        self.place.policy(&Policy { gateway: &gateway, model: MODEL, accept: ACCEPT, drain: "1500ms", evidence });
    }

    fn new_token(&self) -> Token {
        let value = self.place.slot();
        self.double.live().into_iter().find(|t| t.secret() == value).expect("the slot's token is there")
    }

    /// The new token is in the slot, the old one is gone, nobody was refused and nobody else was touched.
    fn rotated(&self) {
        self.place.nobody_was_refused();
        let new = self.new_token();
        assert_ne!(new.id, self.old.id);
        assert_eq!(self.names().len(), 6, "{:?}", self.names());
        assert!(self.double.live().iter().all(|t| t.id != self.old.id));
        assert_eq!(new.name, "app kr.live");
        // Asking for the access token replaces it.
        assert_eq!(self.double.calls("access_token"), 0);
        assert_eq!(self.double.calls("models"), 0);
        let secrets = self.double.tokens().into_iter().map(|t| t.key).collect::<Vec<_>>();
        self.place.holds_none(&secrets, &[]);
    }

    /// Everything is as before the run.
    fn as_before(&self) {
        self.place.nobody_was_refused();
        assert_eq!(self.place.slot(), self.old.secret());
        let old = self.double.live().into_iter().find(|t| t.id == self.old.id).expect("the old token is there");
        assert_eq!(old.status, 1);
        assert_eq!(self.names().len(), 6, "{:?}", self.names());
    }

    fn names(&self) -> Vec<String> {
        self.double.live().into_iter().map(|t| t.name).collect()
    }
}

fn restricted(token: &mut Token) {
    token.group = "vip".into();
    token.model_limits_enabled = true;
    token.model_limits = "small,big".into();
    token.allow_ips = "127.0.0.1\n10.0.0.0/8".into();
    token.expires = i64::try_from(token.created / 1000).unwrap() + 90 * 86_400;
    token.unlimited = false;
    token.remain = 5_000_000;
}

#[test]
fn whole_rotation_with_every_restriction() {
    let world = World::with(Build::June, |token| {
        restricted(token);
        token.cross_group_retry = true;
    });
    let said = world.place.run(30);
    assert_ne!(said.code, Some(0));
    assert!(world.place.story().contains("quota: same_as_left"), "{}", said.err);
    assert_eq!(world.double.calls("create"), 0);
    std::fs::remove_dir_all(world.place.dir.path().join("state")).unwrap();
    world.policy(", quota: same_as_left");
    world.place.plan().ends(0).says("the log of user 7 of new-api").says("model_limits");
    world.place.rotate();
    world.rotated();
    let (new, old) = (world.new_token(), &world.old);
    assert_eq!((&new.group, new.model_limits_enabled, &new.allow_ips), (&old.group, true, &old.allow_ips));
    assert_eq!((&new.model_limits, new.cross_group_retry, new.unlimited), (&old.model_limits, true, false));
    assert!(new.expires > old.expires && new.remain > 0 && new.remain <= 5_000_000, "{new:?}");
    assert_eq!((world.double.calls("create"), new.revealed), (1, 1));
}

#[test]
fn lost_answers_leave_no_second_token_and_the_name_changes_nothing_else() {
    let world = World::with(Build::Newest, restricted);
    world.policy(", quota: same_as_left");
    for trap in [Trap::EchoesSecret, Trap::SmallRowIds, Trap::OtherIsObject, Trap::SearchFuzzy] {
        world.double.trap(trap, true);
    }
    for operation in ["create", "reveal", "status", "replace", "delete"] {
        world.double.lose(operation, 1);
    }
    world.place.rotate();
    assert!(world.double.waiting().is_empty(), "{:?}", world.double.waiting());
    world.rotated();
    // The values of two were lost with an answer: both were found by their names and removed.
    assert_eq!((world.double.calls("create"), world.double.tokens().iter().filter(|t| t.deleted).count()), (3, 3));
    assert!(world.new_token().expires > world.old.expires);
}

#[test]
fn whole_rotation_on_an_old_version_with_bare_lists_and_values_in_clear() {
    let world = World::with(Build::Old, |token| token.model_limits = "small".into());
    world.place.rotate();
    world.rotated();
    assert_eq!(world.new_token().model_limits, "small");
}

#[test]
fn rollback_from_hold() {
    let world = World::new(Build::June);
    world.place.roll_back();
    world.as_before();
}

#[test]
fn a_broader_new_token_fails_prepare() {
    let cases =
        [(Trap::DropsScope, "allow_ips, group, model_limits"), (Trap::DropsQuota, "unlimited_quota"), (Trap::DropsExpiry, "expires_at")];
    let each = cases.map(|(trap, says)| {
        thread::spawn(move || {
            let world = World::with(Build::June, restricted);
            world.policy(", quota: same_as_left");
            world.double.trap(trap, true);
            world.place.run(60).ends(21).says(&format!("differ between old and new key: {says}"));
            world.as_before();
        })
    });
    for one in each {
        one.join().unwrap();
    }
}

#[test]
fn what_does_not_prove_a_refusal_or_silence_deletes_nothing() {
    let cases = [
        (Trap::ServesDisabled, "accepted"),
        (Trap::DisabledLooksLikeQuota, "prohibition"),
        (Trap::StatusStays, "\"point\":\"soaked\""),
        (Trap::LogsOff, "none of our own calls shows"),
    ];
    let each = cases.map(|(trap, says)| {
        thread::spawn(move || {
            let world = World::new(Build::June);
            if trap == Trap::LogsOff {
                // What only rows show is missing from canary on.
                world.double.trap(trap, true);
                let said = world.place.run(10);
                assert_ne!(said.code, Some(0));
                assert!(world.place.story().contains("shows in the usage yet"), "{:?}", world.place.records().last());
                assert_eq!(world.double.calls("delete"), 0);
                return;
            }
            world.double.trap(trap, true);
            world.place.flipped();
            let said = world.place.resume(12);
            assert_ne!(said.code, Some(0), "{trap:?}: {}", said.out);
            assert_eq!(world.double.calls("delete"), 0, "{trap:?}");
            assert!(world.place.story().contains(says), "{trap:?}: {}", world.place.records().last().unwrap());
            world.place.nobody_was_refused();
        })
    });
    for one in each {
        one.join().unwrap();
    }
}

#[test]
fn a_token_that_cannot_be_revealed_or_that_was_made_and_denied_is_no_orphan() {
    let each = [Trap::RevealRefused, Trap::RevealMasked, Trap::CreateSaysNo].map(|trap| {
        thread::spawn(move || {
            let world = World::new(Build::June);
            world.double.trap(trap, true);
            let said = world.place.run(40);
            assert_ne!(said.code, Some(0), "{trap:?}");
            assert!(world.double.calls("create") > 0, "{trap:?}: {}{}", said.out, said.err);
            world.as_before();
        })
    });
    for one in each {
        one.join().unwrap();
    }
}

#[test]
fn two_tokens_of_one_name_are_refused() {
    let world = World::new(Build::June);
    world.double.mint("app");
    let said = world.place.run(20);
    assert_ne!(said.code, Some(0));
    said.says("two tokens");
    assert_eq!(world.double.calls("create"), 0);
}

#[test]
fn a_straggler_is_seen_by_its_rows() {
    let world = World::new(Build::June);
    world.place.until_flip();
    let (data, old) = (world.double.data()[0].clone(), world.old.secret());
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let until = stop.clone();
    let straggler = thread::spawn(move || {
        while !until.load(std::sync::atomic::Ordering::SeqCst) {
            rotating::chat(&data, &old, MODEL, "forgotten");
            thread::sleep(Duration::from_millis(700));
        }
    });
    world.place.waive();
    let said = world.place.resume(8);
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    straggler.join().unwrap();
    assert_ne!(said.code, Some(0));
    assert!(world.place.story().contains("still in use"));
    assert_eq!(world.double.calls("status"), 0);
}

#[test]
fn pages_that_repeat_are_no_listing() {
    for build in [Build::Old, Build::June] {
        let world = World::new(build);
        world.double.trap(Trap::LoopingPages, true);
        let said = world.place.run(20);
        assert_ne!(said.code, Some(0));
        said.says("not complete");
        assert_eq!(world.double.calls("create"), 0);
    }
}

#[test]
fn flatkey_is_marked_unconfirmed_and_another_user_is_refused() {
    let world = World::new(Build::June);
    world.policy(", preset: flatkey");
    let plan = world.place.plan();
    plan.ends(0).says("flatkey: unconfirmed");
    let text = std::fs::read_to_string(world.place.file()).unwrap();
    std::fs::write(world.place.file(), text.replace("user: 7", "user: 8")).unwrap();
    assert_ne!(world.place.plan().code, Some(0));
}

#[test]
fn the_stand_in_refuses_what_the_contract_does_not_have() {
    let double = Double::start(Build::June, 1);
    let headers = format!("authorization: Bearer {}\r\nnew-api-user: {USER}\r\n", double.access());
    let tokens = format!("{}/api/token/", double.console());
    let (status, body) = ask("POST", &tokens, &headers, r#"{"name":"x","limit":5}"#);
    assert!(status == 200 && body.contains("\"success\":false"), "{body}");
    let (status, body) = ask("PUT", &format!("{tokens}?status_only=true"), &headers, r#"{"id":1,"status":2,"name":"x"}"#);
    assert!(status == 200 && body.contains("\"success\":false"), "{body}");
    assert_eq!(ask("GET", tokens.trim_end_matches('/'), &headers, "").0, 301);
    assert_eq!(ask("GET", &tokens, &headers.replace("new-api-user: 7\r\n", ""), "").0, 401);
}

#[test]
fn rollback_from_canary_by_another_process_finds_only_our_own_calls_on_the_new_key() {
    let world = World::new(Build::June);
    world.place.keyroll(&["--timeout", "60s", "run", "--wait", "--until", "canary", "policy.yaml"]).ends(11);
    world.place.keyroll(&["--timeout", "60s", "rollback", "--wait", &world.place.run_id()]).ends(0);
    world.as_before();
}
