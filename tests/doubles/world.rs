//! AWS Secrets Manager as the store contract wants it: the strict stand-in, or a server that imitates AWS.
#![allow(dead_code, clippy::allow_attributes, clippy::unwrap_used, reason = "each test binary uses a part of this")]

use crate::aws::{Double, EXPIRED, NOBODY, OWNER, READER};
use crate::proxy::{Counts, Tap};
use crate::stores::{OLD, OTHER, TestSlot, World};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{Credentials, SharedCredentialsProvider};
use keyroll::adapters::secrets::AwsStore;
use keyroll::policy::model::reference::AwsPlace;
use keyroll::secret::FingerprintKey;
use std::cell::Cell;
use std::rc::Rc;

/// The secret half of every access key in these tests.
pub(crate) const ACCESS: &str = "secret-access-key-4f0b1d6a9c37";
/// Where everything is.
pub(crate) const REGION: &str = "eu-central-1";

/// One service.
pub(crate) struct Service {
    /// Where it listens on loopback.
    pub(crate) port: u16,
    /// The stand-in, when it is that.
    pub(crate) double: Option<Double>,
    /// A field of a document, or the whole secret.
    pub(crate) field: bool,
    client: Client,
    count: Cell<u32>,
    run: u32,
}

/// One secret in it.
pub(crate) struct Slot {
    pub(crate) name: String,
    pub(crate) port: u16,
    /// As any application has it.
    pub(crate) client: Client,
    field: bool,
    strict: bool,
    tap: Tap,
    key: Rc<FingerprintKey>,
}

/// A login without the usual chain.
pub(crate) fn login(id: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(REGION))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(id, ACCESS, None, None, "test")))
        .build()
}

/// A client as any application has it.
pub(crate) fn client(port: u16) -> Client {
    let config = aws_sdk_secretsmanager::config::Builder::from(&login(OWNER)).endpoint_url(format!("http://127.0.0.1:{port}")).build();
    Client::from_conf(config)
}

impl Service {
    /// The strict stand-in.
    pub(crate) fn strict(field: bool) -> Self {
        let double = Double::start();
        Self { port: double.port, client: client(double.port), double: Some(double), field, count: Cell::new(0), run: 0 }
    }

    /// A server on this port.
    pub(crate) fn at(port: u16, field: bool) -> Self {
        Self { port, client: client(port), double: None, field, count: Cell::new(0), run: std::process::id() }
    }
}

impl World for Service {
    type Slot = Slot;

    async fn slot(&self) -> Slot {
        self.count.set(self.count.get() + 1);
        let name = format!("ai/router-{}-{}-{}", self.run, u8::from(self.field), self.count.get());
        let text = if self.field { document(OLD, OTHER[0]) } else { OLD.to_owned() };
        self.client.create_secret().name(&name).secret_string(text).send().await.unwrap();
        Slot {
            name,
            port: self.port,
            client: self.client.clone(),
            field: self.field,
            strict: self.double.is_some(),
            tap: Tap::before(self.port),
            key: Rc::new(FingerprintKey::from_bytes(&[7; 32]).unwrap()),
        }
    }

    fn secrets(&self) -> Vec<String> {
        vec![ACCESS.into()]
    }

    fn merges(&self) -> bool {
        // A promote moves a label between whole documents, so it refuses.
        false
    }
}

fn document(key: &str, db: &str) -> String {
    format!("{{\n  \"db\": \"{db}\",\n  \"api_key\": \"{key}\"\n}}")
}

impl Slot {
    /// A handle of somebody, through a port.
    pub(crate) fn handle(&self, id: &str, port: u16) -> AwsStore {
        let place = AwsPlace {
            secret: self.name.clone(),
            region: None,
            field: self.field.then(|| "api_key".into()),
            endpoint: Some(serde_json::from_value(serde_json::json!(format!("http://127.0.0.1:{port}"))).unwrap()),
        };
        AwsStore::with_config(place, self.key.clone(), login(id))
    }

    /// A handle whose secret nobody made.
    pub(crate) fn elsewhere(&self) -> AwsStore {
        let endpoint = Some(serde_json::from_value(serde_json::json!(format!("http://127.0.0.1:{}", self.port))).unwrap());
        let place = AwsPlace { secret: format!("{}-not-there", self.name), region: None, field: Some("api_key".into()), endpoint };
        AwsStore::with_config(place, self.key.clone(), login(OWNER))
    }

    async fn text(&self) -> Option<String> {
        let told = self.client.get_secret_value().secret_id(&self.name).version_stage("AWSCURRENT").send().await.ok()?;
        told.secret_string
    }

    fn part(text: &str, name: &str) -> String {
        serde_json::from_str::<serde_json::Value>(text).ok().and_then(|v| v.get(name)?.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// What a person does who knows nothing of keyroll.
    async fn write(&self, text: String) {
        let client = &self.client;
        let put = client.put_secret_value().secret_id(&self.name).secret_string(text);
        if self.strict {
            put.send().await.unwrap();
            return;
        }
        // One of the imitations leaves `AWSCURRENT` on two versions when it was moved before and is now put: there, it is moved again.
        let made = put.version_stages("BY_A_PERSON").send().await.unwrap();
        let now = client.get_secret_value().secret_id(&self.name).version_stage("AWSCURRENT").send().await.unwrap();
        let there = client.update_secret_version_stage().secret_id(&self.name).version_stage("AWSCURRENT");
        there.move_to_version_id(made.version_id().unwrap()).remove_from_version_id(now.version_id().unwrap()).send().await.unwrap();
    }
}

impl TestSlot for Slot {
    type Store = AwsStore;

    fn open(&self) -> AwsStore {
        self.handle(OWNER, self.port)
    }

    fn key(&self) -> Rc<FingerprintKey> {
        self.key.clone()
    }

    fn open_tapped(&self) -> Option<(AwsStore, &Tap)> {
        Some((self.handle(OWNER, self.tap.port), &self.tap))
    }

    fn changing(&self) -> Counts {
        |head| ["PutSecretValue", "UpdateSecretVersionStage"].iter().any(|call| head.contains(&format!("secretsmanager.{call}")))
    }

    async fn powerless(&self) -> Vec<(&'static str, AwsStore)> {
        if !self.strict {
            // The imitations ask nobody for permission.
            return Vec::new();
        }
        [("may only read", READER), ("may do nothing", NOBODY), ("has expired", EXPIRED), ("is unknown", "AKIASTRANGER00000001")]
            .map(|(name, id)| (name, self.handle(id, self.port)))
            .into()
    }

    async fn consumer(&self) -> Option<String> {
        let text = self.text().await?;
        Some(if self.field { Self::part(&text, "api_key") } else { text })
    }

    async fn other(&self) -> Option<String> {
        if !self.field {
            return None;
        }
        Some(Self::part(&self.text().await?, "db"))
    }

    async fn stranger_writes_ours(&self, value: &str) {
        let text = if self.field { document(value, &self.other().await.unwrap()) } else { value.to_owned() };
        self.write(text).await;
    }

    async fn stranger_writes_other(&self, value: &str) -> bool {
        if self.field {
            self.write(document(&self.consumer().await.unwrap(), value)).await;
        }
        self.field
    }

    async fn stranger_deletes(&self) {
        self.client.delete_secret().secret_id(&self.name).recovery_window_in_days(7).send().await.unwrap();
    }
}
