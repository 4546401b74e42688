//! Azure Key Vault as the store contract wants it.

use crate::azure::{Azure, NOBODY, OWNER, READER};
use crate::proxy::Tap;
use crate::stores::{NEW, OLD, OTHER, THIRD, TestSlot, World, look, no, ok, run, value};
use crate::wait;
use keyroll::adapters::reference::References;
use keyroll::adapters::secrets::AzureStore;
use keyroll::policy::model::slot::AzureSlot;
use keyroll::ports::{PortError, Retire, SecretStore as _};
use keyroll::secret::{FingerprintKey, Scrubber};
use serde_json::json;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// A vault.
pub(crate) struct Vault {
    azure: Rc<Azure>,
    tap: Rc<Tap>,
    dir: Rc<tempfile::TempDir>,
    count: Cell<u32>,
}

/// One of its secrets.
pub(crate) struct Secret {
    azure: Rc<Azure>,
    tap: Rc<Tap>,
    dir: Rc<tempfile::TempDir>,
    name: String,
    key: Rc<FingerprintKey>,
}

impl Vault {
    pub(crate) fn new() -> Self {
        let azure = Rc::new(Azure::start());
        let tap = Rc::new(Tap::before(azure.port()));
        Self { azure, tap, dir: Rc::new(tempfile::tempdir().unwrap()), count: Cell::new(0) }
    }
}

impl World for Vault {
    type Slot = Secret;

    async fn slot(&self) -> Secret {
        self.count.set(self.count.get() + 1);
        let name = format!("router-key-{}", self.count.get());
        let tags = BTreeMap::from([("team".to_owned(), OTHER[0].to_owned())]);
        self.azure.world().put(&name, OLD, tags, json!({ "contentType": "text/plain", "attributes": { "exp": 4_000_000_000_u64 } }));
        let key = Rc::new(FingerprintKey::from_bytes(&[7; 32]).unwrap());
        Secret { azure: self.azure.clone(), tap: self.tap.clone(), dir: self.dir.clone(), name, key }
    }

    fn secrets(&self) -> Vec<String> {
        [OWNER, READER, NOBODY].map(String::from).to_vec()
    }
}

impl Secret {
    fn open_at(&self, port: u16, token: &str) -> AzureStore {
        let file = self.dir.path().join(token);
        std::fs::write(&file, token).unwrap();
        let slot = json!({ "vault": format!("http://127.0.0.1:{port}"), "secret": self.name, "token": { "file": file } });
        let slot: AzureSlot = serde_json::from_value(slot).unwrap();
        let references = Rc::new(References { withhold: Vec::new(), scrubber: Scrubber::new(), ask: None });
        AzureStore::new(slot, references, self.key.clone(), Duration::from_secs(5)).unwrap()
    }

    fn states(&self, name: &str) -> Vec<(String, bool)> {
        self.azure.world().secrets[name].versions.iter().map(|v| (v.value.clone(), v.enabled)).collect()
    }
}

impl TestSlot for Secret {
    type Store = AzureStore;

    fn open(&self) -> AzureStore {
        self.open_at(self.azure.port(), OWNER)
    }

    fn key(&self) -> Rc<FingerprintKey> {
        self.key.clone()
    }

    fn open_tapped(&self) -> Option<(AzureStore, &Tap)> {
        Some((self.open_at(self.tap.port, OWNER), &self.tap))
    }

    async fn powerless(&self) -> Vec<(&'static str, AzureStore)> {
        [("reader", READER), ("nobody", NOBODY), ("ended", "eyJ-ended")].map(|(n, t)| (n, self.open_at(self.azure.port(), t))).into()
    }

    async fn consumer(&self) -> Option<String> {
        self.azure.newest(&self.name).map(|v| v.value)
    }

    async fn other(&self) -> Option<String> {
        self.azure.newest(&self.name)?.tags.get("team").cloned()
    }

    async fn stranger_writes_ours(&self, value: &str) {
        let tags = self.azure.newest(&self.name).unwrap().tags;
        self.azure.world().put(&self.name, value, tags, json!({}));
    }

    async fn stranger_writes_other(&self, value: &str) -> bool {
        self.azure.world().tag(&self.name, "team", value);
        true
    }

    async fn stranger_deletes(&self) {
        self.azure.world().secrets.get_mut(&self.name).unwrap().deleted = true;
    }
}

#[test]
fn type_and_end_go_along_and_only_what_is_ours_is_disabled() {
    wait(async {
        let vault = Vault::new();
        let slot = vault.slot().await;
        // A history before keyroll.
        let tags = slot.azure.newest(&slot.name).unwrap().tags;
        slot.azure.world().secrets.get_mut(&slot.name).unwrap().versions[0].value = "sk-from-last-year-0001".into();
        slot.azure.world().put(&slot.name, OLD, tags, json!({ "contentType": "text/plain", "attributes": { "exp": 4_000_000_000_u64 } }));
        let store = slot.open();
        let (_, staged) = ok(store.stage(&run("r1"), &value(NEW)).await);
        ok(store.promote(&run("r1"), &staged.guard).await);
        let newest = slot.azure.newest(&slot.name).unwrap();
        assert_eq!(
            (newest.rest["contentType"].as_str(), newest.rest["attributes"]["exp"].as_u64()),
            (Some("text/plain"), Some(4_000_000_000))
        );
        let seen = ok(store.retire(&run("r1"), Retire::Destroy).await);
        assert!(seen.warnings.iter().any(|w| w.contains("cannot delete one version")), "{:?}", seen.warnings);
        assert_eq!(slot.states(&slot.name), [("sk-from-last-year-0001".into(), true), (OLD.into(), false), (NEW.into(), true)]);
        // After a way back the value that was current for a while is disabled with the pending one.
        let (_, staged) = ok(store.stage(&run("r2"), &value(THIRD)).await);
        let promoted = ok(store.promote(&run("r2"), &staged.guard).await);
        ok(store.demote(&run("r2"), &promoted.guard, &value(NEW)).await);
        ok(store.drop_pending(&run("r2")).await);
        assert!(!slot.states(&slot.name).contains(&(THIRD.into(), true)), "{:?}", slot.states(&slot.name));
        assert_eq!(slot.states(&format!("{}-pending", slot.name)), [(NEW.into(), false), (THIRD.into(), false)]);
        assert_eq!(slot.consumer().await.as_deref(), Some(NEW));
    });
}

#[test]
fn a_pending_secret_that_somebody_deleted_or_changed_is_said() {
    wait(async {
        let vault = Vault::new();
        let slot = vault.slot().await;
        let store = slot.open();
        let (_, staged) = ok(store.stage(&run("r1"), &value(NEW)).await);
        let pending = format!("{}-pending", slot.name);
        let tags = slot.azure.newest(&pending).unwrap().tags;
        slot.azure.world().put(&pending, THIRD, tags, json!({}));
        assert!(matches!(no(&vault, store.promote(&run("r1"), &staged.guard).await), PortError::Conflict { .. }));
        slot.azure.world().secrets.get_mut(&pending).unwrap().deleted = true;
        assert!(look(&vault, &store).await.pending.is_none());
        let e = no(&vault, store.stage(&run("r1"), &value(NEW)).await);
        assert!(matches!(&e, PortError::Refused { why, .. } if why.contains("purge")), "{e:?}");
    });
}
