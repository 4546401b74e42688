//! Gateways of several shapes, strict about what they are sent, each with a description in YAML beside it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

pub(crate) mod chosen;
pub(crate) mod cookies;
pub(crate) mod expiry;
pub(crate) mod linked;
pub(crate) mod server;
pub(crate) mod world;

use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use world::{Consumers, Shared, World, fill, hold, value};

const PASSWORD: &str = "correct-horse-battery-staple-7";

/// Which gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    Cookies,
    Expiry,
    Chosen,
    Linked,
}

impl Shape {
    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::Cookies => include_str!("cookies.yaml"),
            Self::Expiry => include_str!("expiry.yaml"),
            Self::Chosen => include_str!("chosen.yaml"),
            Self::Linked => include_str!("linked.yaml"),
        }
    }

    fn header(self) -> &'static str {
        if self == Self::Chosen { "x-api-key" } else { "authorization" }
    }

    /// What this gateway cannot do, accepted in words.
    fn accept(self) -> &'static str {
        match self {
            Self::Cookies | Self::Expiry => "",
            Self::Chosen => ", one_way_revoke",
            Self::Linked => ", unproven_binding",
        }
    }

    /// How a refusal stands in the log.
    fn refused_status(self) -> u16 {
        match self {
            Self::Cookies | Self::Linked => 401,
            Self::Expiry => 500,
            Self::Chosen => 403,
        }
    }
}

/// A gateway, its consumers, and a policy for it.
pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) world: Shared,
    pub(crate) consumers: Consumers,
    pub(crate) old: String,
    pub(crate) shape: Shape,
}

impl Place {
    pub(crate) fn new(shape: Shape) -> Self {
        Self::with(shape, |text| text)
    }

    /// With a change of the policy's text.
    pub(crate) fn with(shape: Shape, change: impl FnOnce(String) -> String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log.jsonl");
        let world: Shared = Arc::new(Mutex::new(World::new(log)));
        let old = {
            let mut world = hold(&world);
            world.id_of = match shape {
                Shape::Cookies => |key| keyroll::secret::sha256_hex(key.secret.as_bytes()),
                Shape::Expiry => |key| key.id.trim_start_matches('k').to_owned(),
                Shape::Chosen | Shape::Linked => |key| key.id.clone(),
            };
            for name in ["other-1", "app", "other-2", "other-3", "app-2"] {
                let key = world.make(name, if shape == Shape::Chosen { "" } else { "mine" }, None);
                key.limits = match shape {
                    Shape::Expiry => json!({"quota": 500}),
                    Shape::Cookies | Shape::Chosen | Shape::Linked => json!({"models": ["small"], "rpm": 10, "ips": ["10.0.0.0/8"]}),
                };
                key.groups = vec!["g1".into(), "g 2/x".into()];
            }
            // A key of another run on another machine, and one that a person copied a marker to: neither is ours to touch.
            world.make("someone", "keyroll:live", None);
            // The slot's key is the second one.
            world.keys[1].clone()
        };
        let slot = dir.path().join(".env");
        fill(&slot, &old.secret);
        fs::write(dir.path().join("admin"), PASSWORD).unwrap();
        let (replicas, header) = (2, shape.header());
        let (admin, data) = match shape {
            Shape::Cookies => (cookies::admin(&world, PASSWORD), world::data_plane(&world, replicas, header, cookies::wording)),
            Shape::Expiry => (expiry::admin(&world, PASSWORD), world::data_plane(&world, replicas, header, expiry::wording)),
            Shape::Chosen => (chosen::admin(&world, PASSWORD), world::data_plane(&world, replicas, header, chosen::wording)),
            Shape::Linked => (linked::admin(&world, PASSWORD), world::data_plane(&world, replicas, header, linked::wording)),
        };
        let text = format!("{}{}", include_str!("policy.yaml"), shape.description());
        let text = text
            .replace("$REFUSED", &shape.refused_status().to_string())
            .replace("$OWNER", if shape == Shape::Cookies { ", owner: /owner" } else { "" })
            .replace("$ACCEPT", shape.accept())
            .replace("$ADMIN", &admin)
            .replace("$DATA", &data.join(", "))
            .replace("$DIR", dir.path().to_str().unwrap());
        fs::write(dir.path().join("policy.yaml"), change(text)).unwrap();
        let consumers = Consumers::start(&slot, &data, header);
        thread::sleep(Duration::from_millis(600));
        Self { dir, world, consumers, old: old.id, shape }
    }

    pub(crate) fn slot(&self) -> String {
        value(&self.dir.path().join(".env"))
    }

    pub(crate) fn policy(&self) -> PathBuf {
        self.dir.path().join("policy.yaml")
    }

    pub(crate) fn keyroll(&self, args: &[&str]) -> Said {
        let mut command = Command::new(std::env::var_os("KEYROLL_BIN").map_or_else(|| env!("CARGO_BIN_EXE_keyroll").into(), PathBuf::from));
        command.arg("--state").arg(self.dir.path().join("state")).args(args);
        Said::of(command.current_dir(self.dir.path()).stdin(Stdio::null()).output().unwrap())
    }

    /// A run, from its plan to wherever it gets.
    pub(crate) fn run(&self) -> Said {
        self.keyroll(&["run", self.policy().to_str().unwrap()])
    }

    /// Everything the state folder holds, as text: no secret may be in it.
    pub(crate) fn written(&self) -> String {
        let mut all = String::new();
        let mut folders = vec![self.dir.path().join("state")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                } else {
                    all.push_str(&String::from_utf8_lossy(&fs::read(entry.path()).unwrap()));
                }
            }
        }
        all
    }

    /// The records of the only run.
    pub(crate) fn records(&self) -> Vec<Value> {
        let Ok(mut runs) = fs::read_dir(self.dir.path().join("state/runs")) else { return Vec::new() };
        let Some(Ok(run)) = runs.next() else { return Vec::new() };
        let text = fs::read_to_string(run.path().join("journal.jsonl")).unwrap_or_default();
        text.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok()).map(|mut l| l["record"].take()).collect()
    }

    pub(crate) fn run_id(&self) -> String {
        let mut runs = fs::read_dir(self.dir.path().join("state/runs")).unwrap();
        runs.next().unwrap().unwrap().file_name().into_string().unwrap()
    }

    /// The old key is as it was, and no other key is there that was not there before.
    pub(crate) fn unchanged(&self) {
        let world = hold(&self.world);
        let old = world.keys.iter().find(|k| k.id == self.old).unwrap();
        assert!(!old.deleted && old.on && old.expires.is_none() && old.secret == self.slot());
        assert_eq!(world.live().count(), 6, "{:?}", world.live().map(|k| (&k.name, &k.note)).collect::<Vec<_>>());
        drop(world);
        assert_eq!(self.consumers.refused.load(Ordering::Relaxed), 0, "refused consumers");
        self.leaks_nothing();
    }

    /// How often each mutation was done.
    pub(crate) fn count(&self, what: &str) -> usize {
        hold(&self.world).done.iter().filter(|d| *d == what).count()
    }

    /// Nobody was refused, the slot holds a live key, the old one is gone, and every other key is as it was.
    pub(crate) fn rotated(&self) {
        assert_eq!(self.consumers.refused.load(Ordering::Relaxed), 0, "refused consumers");
        assert!(self.consumers.calls.load(Ordering::Relaxed) > 20);
        let world = hold(&self.world);
        let slot = self.slot();
        let new = world.live().find(|k| k.secret == slot).unwrap();
        assert_ne!(new.id, self.old);
        assert!(world.live().all(|k| k.id != self.old), "the old key is still there");
        assert_eq!(world.live().count(), 6, "{:?}", world.live().map(|k| (&k.name, &k.note)).collect::<Vec<_>>());
        let old = world.keys.iter().find(|k| k.id == self.old).unwrap();
        assert_eq!((&new.owner, &new.groups), (&old.owner, if self.shape == Shape::Chosen { &old.groups } else { &new.groups }));
        drop(world);
        self.leaks_nothing();
    }

    /// Neither messages nor state repeat a value of any key, or the admin credential.
    pub(crate) fn leaks_nothing(&self) {
        let written = self.written();
        let secrets: Vec<String> = hold(&self.world).keys.iter().map(|k| k.secret.clone()).chain([PASSWORD.to_owned()]).collect();
        for secret in secrets {
            assert!(!written.contains(&secret), "a secret is in the state folder");
        }
    }
}

/// What a command said.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        let text = |b: Vec<u8>| String::from_utf8_lossy(&b).into_owned();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    pub(crate) fn ends(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    pub(crate) fn says(&self, text: &str) -> &Self {
        assert!(self.out.contains(text) || self.err.contains(text), "{text:?} is missing\nstdout: {}\nstderr: {}", self.out, self.err);
        self
    }
}
