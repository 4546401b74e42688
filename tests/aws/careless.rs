//! Adapters that do it wrong, each in one way that a person could. The contract on the strict stand-in must not let one through.

use crate::aws::OWNER;
use crate::stores::{TestSlot, World};
use crate::world::{Service, Slot, client};
use aws_sdk_secretsmanager::Client;
use keyroll::adapters::secrets::AwsStore;
use keyroll::ports::{Place, PortError, Result, Retire, SecretStore};
use keyroll::rotation::{RunId, Snapshot, StoreCaps, VersionId};
use keyroll::secret::{FingerprintKey, SecretText};
use std::rc::Rc;

/// What is done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// None: the frame itself passes.
    None,
    /// A put without labels: it is the flip.
    PutWithoutLabels,
    /// One token for every value of a run.
    OneToken,
    /// The label is moved from wherever it is now, whatever the guard says.
    PromoteWithoutGuard,
    /// A call without an answer is a failure, and certainly did not happen.
    LostIsRefused,
    /// Retiring leaves `AWSPREVIOUS`, and the label that leads back.
    RetireDoesNothing,
    /// Another run's pending version is taken away.
    DropsEverybodys,
}

/// A service whose slots are opened with a careless adapter.
pub(crate) struct Careless {
    service: Service,
    mistake: Mistake,
}

/// A slot of it.
pub(crate) struct CarelessSlot {
    slot: Slot,
    mistake: Mistake,
}

/// The adapter, right but for one thing.
pub(crate) struct CarelessStore {
    right: AwsStore,
    client: Client,
    name: String,
    mistake: Mistake,
}

impl Careless {
    pub(crate) fn new(mistake: Mistake) -> Self {
        Self { service: Service::strict(true), mistake }
    }
}

impl World for Careless {
    type Slot = CarelessSlot;

    async fn slot(&self) -> CarelessSlot {
        CarelessSlot { slot: self.service.slot().await, mistake: self.mistake }
    }

    fn secrets(&self) -> Vec<String> {
        self.service.secrets()
    }

    fn merges(&self) -> bool {
        false
    }
}

impl CarelessSlot {
    fn store(&self, port: u16) -> CarelessStore {
        CarelessStore { right: self.slot.handle(OWNER, port), client: client(port), name: self.slot.name.clone(), mistake: self.mistake }
    }
}

impl TestSlot for CarelessSlot {
    type Store = CarelessStore;

    fn open(&self) -> CarelessStore {
        self.store(self.slot.port)
    }

    fn key(&self) -> Rc<FingerprintKey> {
        self.slot.key()
    }

    fn open_tapped(&self) -> Option<(CarelessStore, &crate::proxy::Tap)> {
        let (_, tap) = self.slot.open_tapped()?;
        Some((self.store(tap.port), tap))
    }

    fn changing(&self) -> crate::proxy::Counts {
        self.slot.changing()
    }

    async fn consumer(&self) -> Option<String> {
        self.slot.consumer().await
    }

    async fn other(&self) -> Option<String> {
        self.slot.other().await
    }

    async fn stranger_writes_ours(&self, value: &str) {
        self.slot.stranger_writes_ours(value).await;
    }

    async fn stranger_writes_other(&self, value: &str) -> bool {
        self.slot.stranger_writes_other(value).await
    }

    async fn stranger_deletes(&self) {
        self.slot.stranger_deletes().await;
    }
}

impl CarelessStore {
    async fn put(&self, token: String, value: &SecretText, labels: Option<Vec<String>>) -> Result<()> {
        let text = serde_json::json!({ "api_key": value.expose(), "db": crate::stores::OTHER[0] }).to_string();
        let call = self.client.put_secret_value().secret_id(&self.name).client_request_token(token).secret_string(text);
        let conflict = |_| PortError::Conflict { system: "x".into(), action: "stage".into(), why: "refused".into() };
        call.set_version_stages(labels).send().await.map(drop).map_err(conflict)
    }

    async fn staged(&self) -> Result<(Option<VersionId>, Snapshot)> {
        let seen = self.right.observe().await?;
        Ok((seen.pending.clone(), seen))
    }

    fn certain(&self, result: Result<Snapshot>) -> Result<Snapshot> {
        result.map_err(|error| match (self.mistake, error) {
            (Mistake::LostIsRefused, PortError::Unreachable { system, why, .. }) => {
                PortError::Unreachable { system, why, may_have_happened: false }
            }
            (_, error) => error,
        })
    }
}

impl SecretStore for CarelessStore {
    fn caps(&self) -> StoreCaps {
        self.right.caps()
    }

    async fn observe(&self) -> Result<Snapshot> {
        self.right.observe().await
    }

    async fn stage(&self, run: &RunId, value: &SecretText) -> Result<(Option<VersionId>, Snapshot)> {
        match self.mistake {
            Mistake::PutWithoutLabels => {
                self.put(format!("keyroll-{run}-0123456789abcdef0123456789abcdef"), value, None).await?;
                self.staged().await
            }
            Mistake::OneToken => {
                self.put(format!("keyroll-{run}-0123456789abcdef0123456789abcdef"), value, Some(vec!["KEYROLL_PENDING".into()])).await?;
                self.staged().await
            }
            _ => self.right.stage(run, value).await,
        }
    }

    async fn promote(&self, run: &RunId, guard: &str) -> Result<Snapshot> {
        if self.mistake == Mistake::PromoteWithoutGuard {
            let now = self.right.observe().await?.guard;
            return self.right.promote(run, &now).await;
        }
        self.certain(self.right.promote(run, guard).await)
    }

    async fn demote(&self, run: &RunId, guard: &str, old: &SecretText) -> Result<Snapshot> {
        self.right.demote(run, guard, old).await
    }

    async fn fence(&self, guard: &str) -> Result<Snapshot> {
        self.right.fence(guard).await
    }

    async fn drop_pending(&self, run: &RunId) -> Result<Snapshot> {
        if self.mistake == Mistake::DropsEverybodys
            && let Some(owner) = self.right.observe().await?.pending_run
        {
            return self.right.drop_pending(&RunId::new(owner)).await;
        }
        self.right.drop_pending(run).await
    }

    async fn retire(&self, run: &RunId, level: Retire) -> Result<Snapshot> {
        if self.mistake == Mistake::RetireDoesNothing {
            return self.right.observe().await;
        }
        self.right.retire(run, level).await
    }

    async fn read(&self, place: Place) -> Result<Option<SecretText>> {
        self.right.read(place).await
    }
}
