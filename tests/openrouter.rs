//! OpenRouter and ARouter in both its dialects: whole rotations through the binary, against a strict stand-in.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may")]

mod common;
#[path = "doubles/openrouter/mod.rs"]
mod openrouter;
mod rotating;

use openrouter::{Dialect, Double, Key, Trap};
use rotating::{Place, Policy};
use std::sync::Arc;
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
        self.place.policy(&Policy { gateway: &self.gateway(more), model: MODEL, accept, drain: "1500ms" });
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
        assert_eq!(self.double.calls("create"), 1);
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

#[test]
fn whole_rotation_on_openrouter() {
    let world = World::with(Dialect::OpenRouter, |key| {
        key.limit = Some(500.0);
        key.limit_reset = Some("monthly".into());
        key.include_byok_in_limit = true;
        key.workspace = Some("ws_default".into());
        key.creator = Some("user_7".into());
    });
    let guardrail = world.double.guardrail("small models", &[MODEL]);
    world.double.edit(&world.old.id, |key| key.guardrail = Some(guardrail.clone()));
    let plan = world.place.plan();
    plan.ends(0);
    println!("{}", plan.out);
    let said = world.place.until("hold");
    println!("{}\n{}", said.out, said.err);
    let said = world.place.finish();
    println!("{}\n{}\n{}", said.out, said.err, world.place.story());
    said.ends(0);
    world.rotated();
    let new = world.new_key();
    assert_eq!((new.limit, new.limit_reset.as_deref(), new.include_byok_in_limit), (Some(500.0), Some("monthly"), true));
    assert_eq!((new.guardrail, new.creator.as_deref()), (Some(guardrail), Some("user_7")));
}
