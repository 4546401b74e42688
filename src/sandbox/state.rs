//! What survives the sandbox's process: one JSON file, replaced as a whole on every change.
//!
//! It survives `kill -9`, not a power cut: nothing is synced to the disk. The secrets in it are demo values that open
//! nothing but this sandbox, which is why they are plain text here and nowhere else in the program.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::SandboxError;
use super::faults::Faults;
use super::ids;
use super::tables::{Key, Model, ProviderKey, Scope, Tables};

/// The variable of the slot file that holds the key.
pub(super) const SLOT_VARIABLE: &str = "GATEWAY_API_KEY";

/// The files of one sandbox.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    dir: PathBuf,
}

impl Paths {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_path_buf() }
    }
    pub(super) fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }
    pub(super) fn state(&self) -> PathBuf {
        self.dir.join("state.json")
    }
    pub(super) fn ports(&self) -> PathBuf {
        self.dir.join("ports.json")
    }
    pub(super) fn admin_key(&self) -> PathBuf {
        self.dir.join("admin.key")
    }
    pub(super) fn log_dir(&self) -> PathBuf {
        self.dir.join("log")
    }
    pub(super) fn log(&self, replica: usize) -> PathBuf {
        self.log_dir().join(format!("replica-{replica}.jsonl"))
    }
    pub(super) fn upstream_log(&self) -> PathBuf {
        self.dir.join("upstream.jsonl")
    }
    pub(super) fn consumers(&self) -> PathBuf {
        self.dir.join("consumers.jsonl")
    }
    pub(super) fn store_dir(&self) -> PathBuf {
        self.dir.join("store")
    }
    pub(super) fn slot(&self) -> PathBuf {
        self.store_dir().join(".env")
    }
}

/// What a consumer remembers between its calls.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Memory {
    /// The key it holds: a demo value.
    pub(super) value: Option<String>,
    /// When it last read the slot.
    pub(super) loaded_at: Option<i64>,
    /// How often what it holds has changed or was re-read on request.
    pub(super) generation: u64,
    /// False after `stop`.
    pub(super) stopped: bool,
}

/// A credential of the fake provider.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct UpstreamKey {
    pub(super) id: String,
    pub(super) seq: u64,
    pub(super) name: String,
    /// A demo value.
    pub(super) secret: String,
    pub(super) enabled: bool,
    pub(super) created_at: i64,
}

/// Everything that is saved.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) version: u32,
    pub(super) gateway_id: String,
    pub(super) admin_key: String,
    pub(super) seq: u64,
    pub(super) tables: Tables,
    pub(super) upstream: BTreeMap<String, UpstreamKey>,
    pub(super) faults: Faults,
    pub(super) consumers: BTreeMap<String, Memory>,
    pub(super) skew_ms: i64,
}

impl State {
    /// The saved state, or the first one.
    pub(super) fn open(paths: &Paths) -> Result<Self, SandboxError> {
        let path = paths.state();
        match fs::read(&path) {
            Ok(bytes) => {
                let state: Self = serde_json::from_slice(&bytes).map_err(|why| SandboxError::State {
                    path: path.clone(),
                    why: format!("line {} is not what a sandbox wrote", why.line()),
                })?;
                if state.version != 1 {
                    return Err(SandboxError::State { path, why: format!("version {} is newer than this program", state.version) });
                }
                Ok(state)
            }
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => {
                let state = Self::first()?;
                state.save(paths)?;
                Ok(state)
            }
            Err(why) => Err(SandboxError::file("read", &path, &why)),
        }
    }

    /// Replaces the file.
    pub(super) fn save(&self, paths: &Paths) -> Result<(), SandboxError> {
        let bytes = serde_json::to_vec(self).map_err(|why| SandboxError::system("write state", &why))?;
        replace(&paths.state(), &bytes)
    }

    /// The next number in the order of creation.
    pub(super) fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    /// The key that the slot file starts with.
    pub(super) fn first_secret(&self) -> Option<&str> {
        let keys = self.tables.sorted();
        keys.first().map(|key| key.secret.as_str())
    }

    fn first() -> Result<Self, SandboxError> {
        let now = ids::wall_ms();
        let upstream = UpstreamKey {
            id: ids::random("upk_", 8)?,
            seq: 1,
            name: "upstream-2025".to_owned(),
            secret: ids::random("ups-", 20)?,
            enabled: true,
            created_at: now,
        };
        let provider = ProviderKey {
            id: ids::random("prov_", 8)?,
            seq: 2,
            name: "upstream-main".to_owned(),
            provider: "sandbox-upstream".to_owned(),
            marker: None,
            value: upstream.secret.clone(),
            enabled: true,
            created_at: now,
        };
        let app = first_key(
            3,
            now,
            "demo-app-key",
            "platform-ai",
            json!({
                "models": ["demo-small", "demo-embed"],
                "routes": ["chat-completions", "responses", "embeddings"],
                "budget_usd": 5000.0, "budget_window": "30d", "rpm": 60_000, "tpm": null,
                "tags": ["team:platform-ai"],
            }),
        )?;
        // A key that no rotation touches: the sentinel that proves a listing complete.
        let other =
            first_key(4, now, "reporting-key", "team-data", json!({"models": ["demo-small"], "routes": ["chat-completions"], "rpm": 60}))?;
        let models = ["demo-small", "demo-embed"].map(|name| Model {
            name: name.to_owned(),
            provider: provider.provider.clone(),
            provider_key_id: provider.id.clone(),
        });
        Ok(Self {
            version: 1,
            gateway_id: ids::random("sbx-", 8)?,
            admin_key: ids::random("sbxadm-", 20)?,
            seq: 4,
            tables: Tables {
                keys: [app, other].map(|key| (key.id.clone(), key)).into(),
                provider_keys: [(provider.id.clone(), provider)].into(),
                models: models.map(|model| (model.name.clone(), model)).into(),
            },
            upstream: [(upstream.id.clone(), upstream)].into(),
            faults: Faults::default(),
            consumers: BTreeMap::new(),
            skew_ms: 0,
        })
    }
}

fn first_key(seq: u64, now: i64, name: &str, owner: &str, scope: serde_json::Value) -> Result<Key, SandboxError> {
    let serde_json::Value::Object(scope) = scope else {
        return Err(SandboxError::system("build the first key", &"no scope"));
    };
    Ok(Key {
        id: ids::random("key_", 8)?,
        seq,
        name: name.to_owned(),
        marker: None,
        owner: Some(owner.to_owned()),
        secret: ids::random("sbx-", 20)?,
        enabled: true,
        created_at: now,
        expires_at: None,
        scope: Scope(scope),
        deleted: false,
        dead_from: None,
        seeded: true,
    })
}

/// Writes a private file beside the target and renames it over it, so that a reader never sees half of it.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), SandboxError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".tmp");
    let beside = PathBuf::from(beside);
    let write = || -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        fs::rename(&beside, path)
    };
    write().map_err(|why| SandboxError::file("write", path, &why))
}

/// The value of the slot file's key variable; other lines are of no interest to a consumer.
pub(super) fn slot_value(text: &str) -> Option<String> {
    text.lines().rev().find_map(|line| {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let value = line.strip_prefix(SLOT_VARIABLE)?.trim_start();
        let value = value.strip_prefix('=')?.trim();
        let value = value.trim_matches(|sign| sign == '"' || sign == '\'');
        (!value.is_empty()).then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may")]
    use super::*;

    #[test]
    fn the_slot_file_is_read_as_shells_write_it() {
        assert_eq!(slot_value("A=1\nGATEWAY_API_KEY=abc\nB=2").as_deref(), Some("abc"));
        assert_eq!(slot_value("export GATEWAY_API_KEY = \"a b\"").as_deref(), Some("a b"));
        assert_eq!(slot_value("GATEWAY_API_KEY="), None);
        assert_eq!(slot_value("GATEWAY_API_KEY_OLD=x"), None);
        assert_eq!(slot_value("GATEWAY_API_KEY=a\nGATEWAY_API_KEY=b").as_deref(), Some("b"));
    }

    #[test]
    fn the_first_state_is_saved_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path());
        let first = State::open(&paths).unwrap();
        let again = State::open(&paths).unwrap();
        assert_eq!(first.gateway_id, again.gateway_id);
        assert_eq!(first.first_secret(), again.first_secret());
        assert!(first.first_secret().unwrap().len() >= 32);
        fs::write(paths.state(), "{}").unwrap();
        assert!(matches!(State::open(&paths), Err(SandboxError::State { .. })));
    }
}
