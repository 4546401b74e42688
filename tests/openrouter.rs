//! OpenRouter and ARouter in both its dialects: whole rotations through the binary, against a strict stand-in.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may")]

mod common;
#[path = "doubles/openrouter/mod.rs"]
mod openrouter;
mod rotating;

use openrouter::{Dialect, Double, Key, Trap};
use rotating::{Place, Policy, Says as _, ask};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const MODEL: &str = "openai/small";

/// A gateway with some keys of others, and the one that is rotated.
struct World {
    double: Arc<Double>,
    dialect: Dialect,
    old: Key,
    place: Place,
}

/// What no document promises, and no usage shows.
const ACCEPT: &str = ", unobserved_log, refused_callers_not_observable";

impl World {
    fn new(dialect: Dialect) -> Self {
        Self::with(dialect, |_| {})
    }

    /// With the old key as it is made here.
    fn with(dialect: Dialect, shape: impl FnOnce(&mut Key)) -> Self {
        let double = Arc::new(Double::start(dialect, 1));
        // More keys than a page holds, one of them disabled.
        double.page(3);
        for name in ["one", "two", "three", "four"] {
            double.mint(name);
        }
        let off = double.mint("off");
        double.edit(&off.id, |key| key.disabled = true);
        let old = double.mint("app");
        double.edit(&old.id, shape);
        let old = double.keys().into_iter().find(|k| k.id == old.id).unwrap();
        double.mint("younger");
        let keys = double.clone();
        let id_of = Arc::new(move |value: &str| keys.keys().into_iter().find(|k| k.secret == value).map(|k| k.id));
        let place = Place::new(&old.secret, &double.management, &double.data()[0], MODEL, id_of);
        let world = Self { double, dialect, old, place };
        world.policy("", ACCEPT);
        std::thread::sleep(Duration::from_millis(300));
        world
    }

    fn gateway(&self, more: &str) -> String {
        let (name, base, dialect) = match self.dialect {
            Dialect::OpenRouter => ("openrouter", format!("{}/api/v1", self.double.url(0)), ""),
            Dialect::ARouter => ("arouter", self.double.url(0), ""),
            Dialect::ARouterLegacy => ("arouter", self.double.url(0), ", dialect: legacy"),
        };
        format!("{{ {name}: {{ url: \"{base}\", admin: {{ env: ADMIN }}, usage_lag: 300ms, propagation: 500ms{dialect}{more} }} }}")
    }

    fn policy(&self, more: &str, accept: &str) {
        self.place.policy(&Policy { gateway: &self.gateway(more), model: MODEL, accept, drain: "1500ms", evidence: "" });
    }

    fn new_key(&self) -> Key {
        let value = self.place.slot();
        self.double.live().into_iter().find(|k| k.secret == value).expect("the slot's key is there")
    }

    /// The new key is in the slot, the old one is gone, nobody was refused and nobody else was touched.
    fn rotated(&self) {
        self.place.nobody_was_refused();
        let new = self.new_key();
        assert_ne!(new.id, self.old.id);
        assert_eq!(self.double.live().len(), 7, "{:?}", self.double.live().iter().map(|k| &k.name).collect::<Vec<_>>());
        assert!(self.double.live().iter().all(|k| k.id != self.old.id));
        let secrets = self.double.keys().into_iter().map(|k| k.secret).collect::<Vec<_>>();
        self.place.holds_none(&secrets, &[]);
    }

    /// Everything is as before the run.
    fn as_before(&self) {
        self.place.nobody_was_refused();
        assert_eq!(self.place.slot(), self.old.secret);
        let old = self.double.live().into_iter().find(|k| k.id == self.old.id).expect("the old key is there");
        assert!(!old.disabled);
        assert_eq!(self.double.live().len(), 7, "{:?}", self.double.live().iter().map(|k| &k.name).collect::<Vec<_>>());
    }
}

fn restricted(key: &mut Key) {
    key.limit = Some(500.0);
    key.limit_reset = Some("monthly".into());
    key.expires = Some(key.created + 90 * 86_400_000);
}

#[test]
fn whole_rotation_on_openrouter_with_its_guardrail() {
    let world = World::with(Dialect::OpenRouter, |key| {
        restricted(key);
        key.include_byok_in_limit = true;
        key.creator = Some("user_7".into());
    });
    let guardrail = world.double.guardrail("small models", &[MODEL]);
    world.double.edit(&world.old.id, |key| key.guardrail = Some(guardrail.clone()));
    let plan = world.place.plan();
    plan.ends(0).says("guardrails").says("counters of dollars").says("lag of");
    world.place.rotate();
    world.rotated();
    let new = world.new_key();
    assert_eq!((new.limit, new.limit_reset.as_deref(), new.include_byok_in_limit), (Some(500.0), Some("monthly"), true));
    assert_eq!((new.guardrail, new.creator.as_deref()), (Some(guardrail), Some("user_7")));
    assert!(new.expires > world.old.expires, "it has the length of the old one's life, not its end");
    assert_eq!((new.name.as_str(), world.double.calls("create")), (format!("app {} keyroll:live", today()).as_str(), 1));
    // Never as a proof: it answers to anybody.
    assert_eq!(world.double.calls("models"), 0);
    assert!(world.double.calls("generation") > 0, "no record of a call of ours was looked up");
}

fn today() -> String {
    chrono::Utc::now().format("%Y-%m-%d").to_string()
}

#[test]
fn lost_answers_on_openrouter_leave_no_second_key() {
    let world = World::new(Dialect::OpenRouter);
    let guardrail = world.double.guardrail("small models", &[MODEL]);
    world.double.edit(&world.old.id, |key| key.guardrail = Some(guardrail.clone()));
    world.double.trap(Trap::EchoesSecret, true);
    for operation in ["create", "assign", "update", "delete"] {
        world.double.lose(operation, 1);
    }
    world.place.rotate();
    assert!(world.double.waiting().is_empty(), "{:?}", world.double.waiting());
    world.rotated();
    assert_eq!(world.new_key().guardrail, Some(guardrail));
    // One value was lost with its answer, one key stood without its guardrail: both were found by their marker and removed.
    assert_eq!((world.double.calls("create"), world.double.keys().iter().filter(|k| k.deleted).count()), (3, 3));
}

#[test]
fn whole_rotation_on_arouter_where_answers_are_lost_and_written_otherwise() {
    let world = World::with(Dialect::ARouter, |key| {
        restricted(key);
        key.providers = Some(vec!["openai".into(), "anthropic".into()]);
        key.models = Some(vec![MODEL.into()]);
    });
    for trap in [Trap::FlatErrors, Trap::KeyInfoAtV1, Trap::DeleteWithoutBody, Trap::NoGetByHash, Trap::NoUsageApi, Trap::LastUsed] {
        world.double.trap(trap, true);
    }
    for operation in ["create", "update", "delete"] {
        world.double.lose(operation, 1);
    }
    world.place.rotate();
    assert!(world.double.waiting().is_empty(), "{:?}", world.double.waiting());
    world.rotated();
    let new = world.new_key();
    assert_eq!((&new.models, new.limit), (&world.old.models, Some(500.0)));
    assert_eq!(new.providers, Some(vec!["anthropic".into(), "openai".into()]));
    assert_eq!(new.limit_reset, world.old.limit_reset);
    assert_eq!(world.double.calls("create"), 2);
}

#[test]
fn whole_rotation_on_the_legacy_api_which_can_only_delete() {
    let world = World::with(Dialect::ARouterLegacy, |key| {
        key.limit = Some(500.0);
        key.providers = Some(vec!["openai".into()]);
    });
    let refused = world.place.plan();
    refused.ends(40).says("one_way_revoke").says("select the key by `id`");
    world.policy(", key: { name: app }", &format!("{ACCEPT}, one_way_revoke, unproven_binding"));
    world.double.lose("create", 1);
    world.double.lose("delete", 1);
    world.place.rotate();
    world.rotated();
    let new = world.new_key();
    assert_eq!((new.limit, &new.providers), (Some(500.0), &world.old.providers));
    // Its name cannot be changed: the journal says that its run is over.
    assert!(new.name.contains(" keyroll:"), "{}", new.name);
    world.place.keyroll(&["orphans", "policy.yaml"]).ends(0);
}

#[test]
fn rollback_from_hold() {
    let world = World::new(Dialect::OpenRouter);
    world.place.roll_back();
    world.as_before();
}

#[test]
fn a_broader_new_key_fails_prepare() {
    let cases = [
        (Dialect::ARouter, Trap::DropsScope, "allowed_models, allowed_providers"),
        (Dialect::ARouter, Trap::DropsLimit, "limit, limit_reset"),
        (Dialect::OpenRouter, Trap::DropsExpiry, "expires_at"),
        (Dialect::OpenRouter, Trap::AssignsNothing, "guardrails"),
    ];
    let each = cases.map(|(dialect, trap, says)| {
        thread::spawn(move || {
            let world = World::with(dialect, |key| {
                restricted(key);
                if dialect == Dialect::ARouter {
                    key.providers = Some(vec!["openai".into()]);
                    key.models = Some(vec![MODEL.into()]);
                }
            });
            if dialect == Dialect::OpenRouter {
                let guardrail = world.double.guardrail("small models", &[MODEL]);
                world.double.edit(&world.old.id, |key| key.guardrail = Some(guardrail));
            }
            world.double.trap(trap, true);
            world.place.run(60).ends(21).says(&format!("differ between old and new key: {says}"));
            world.as_before();
        })
    });
    for one in each {
        one.join().unwrap();
    }
}

/// What must keep the old key from being deleted, and what the run says of it.
#[test]
fn what_does_not_prove_a_refusal_or_silence_deletes_nothing() {
    let cases = [
        (Trap::ServesDisabled, "accepted"),
        (Trap::DisabledLooksLikeQuota, "forbidden"),
        (Trap::CountersStand, "under neither key"),
        (Trap::ReadsSpend, "still in use"),
    ];
    let each = cases.map(|(trap, says)| {
        thread::spawn(move || {
            let world = World::new(Dialect::OpenRouter);
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
fn a_straggler_that_moves_the_old_counter_is_seen() {
    let world = World::new(Dialect::OpenRouter);
    world.place.until_flip();
    let data = world.double.data()[0].clone();
    let old = world.old.secret.clone();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let until = stop.clone();
    let straggler = thread::spawn(move || {
        while !until.load(std::sync::atomic::Ordering::SeqCst) {
            rotating::chat(&data, &old, MODEL, "forgotten");
            thread::sleep(Duration::from_millis(700));
        }
    });
    world.place.waive();
    let said = world.place.resume(10);
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    straggler.join().unwrap();
    assert_ne!(said.code, Some(0));
    assert!(world.place.story().contains("still in use"));
    assert!(!world.double.live().iter().any(|k| k.id == world.old.id && k.disabled));
    // Once it stops, a new process knows how the counter stood before.
    world.place.resume(60).ends(0);
    world.rotated();
}

#[test]
fn a_listing_that_is_not_complete_is_refused_and_disabled_keys_are_in_it() {
    let world = World::new(Dialect::ARouter);
    let said = world.place.keyroll(&["keys", "policy.yaml"]);
    said.ends(0).says("disabled").says("8 keys");
    world.double.trap(Trap::LoopingCursor, true);
    let said = world.place.run(20);
    assert_ne!(said.code, Some(0));
    said.says("shows only keys that were shown before");
    assert_eq!(world.double.calls("create"), 0);
}

#[test]
fn an_ordinary_key_is_no_admin_credential() {
    let world = World::new(Dialect::OpenRouter);
    let other = world.double.live()[0].clone();
    let text = std::fs::read_to_string(world.place.file()).unwrap();
    std::fs::write(world.place.dir.path().join("admin"), &other.secret).unwrap();
    std::fs::write(world.place.file(), text.replace("{ env: ADMIN }", "{ file: admin }")).unwrap();
    let said = world.place.plan();
    assert_ne!(said.code, Some(0));
    said.says("a management key is needed");
}

#[test]
fn another_dialect_is_not_guessed() {
    let world = World::new(Dialect::ARouter);
    let text = std::fs::read_to_string(world.place.file()).unwrap();
    std::fs::write(world.place.file(), text.replace("propagation: 500ms", "propagation: 500ms, dialect: legacy")).unwrap();
    assert_ne!(world.place.run(20).code, Some(0));
    assert_eq!(world.double.calls("create"), 0);
}

#[test]
fn the_stand_in_refuses_what_the_contract_does_not_have() {
    let double = Double::start(Dialect::OpenRouter, 1);
    let bearer = format!("authorization: Bearer {}\r\n", double.management);
    let keys = format!("{}/api/v1/keys", double.url(0));
    for (method, url, body) in [
        ("POST", keys.clone(), r#"{"name":"x","spending_limit":5}"#),
        ("POST", keys.clone(), r#"{"limit":5}"#),
        ("GET", format!("{keys}?page=2"), ""),
        ("PATCH", format!("{keys}/{}", double.mint("x").id), r#"{"expires_at":"2027-01-01T00:00:00Z"}"#),
    ] {
        assert_eq!(ask(method, &url, &bearer, body).0, 400, "{method} {url} {body}");
    }
    assert_eq!(ask("GET", &keys, "authorization: Bearer sk-or-v1-none\r\n", "").0, 401);
}

#[test]
fn rollback_from_canary_by_another_process_finds_only_our_own_calls_on_the_new_key() {
    let world = World::new(Dialect::OpenRouter);
    world.place.keyroll(&["--timeout", "60s", "run", "--wait", "--until", "canary", "policy.yaml"]).ends(11);
    world.place.keyroll(&["--timeout", "60s", "rollback", "--wait", &world.place.run_id()]).ends(0);
    world.as_before();
}
