//! A whole rotation of a slot in OpenBao: the server, the slot, the sandbox, the consumers, and the judgement.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses a part of this")]

use crate::common::Said;
use crate::consumers::{Fleet, Source};
use crate::openbao::{Bao, BaoSlot};
use crate::stores::{self, TestSlot as _};
use crate::whole::Whole;
use serde_json::{Value, json};
use std::rc::Rc;
use std::time::Duration;

/// A consumer's own way to the secret: the server's API, with a token that may only read.
struct Reader {
    client: reqwest::Client,
    url: String,
    token: String,
    namespace: Option<String>,
}

impl Source for Reader {
    async fn read(&self) -> Option<String> {
        let mut request = self.client.get(&self.url).header("x-vault-token", &self.token);
        if let Some(namespace) = &self.namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        let answer: Value = request.send().await.ok()?.json().await.ok()?;
        answer["data"]["data"]["api_key"].as_str().map(str::to_owned)
    }
}

/// A rotation of a slot in OpenBao, with consumers that read it there.
pub(crate) struct Stage {
    pub(crate) bao: Rc<Bao>,
    pub(crate) slot: BaoSlot,
    pub(crate) whole: Whole,
    /// What the slot held at the start of all.
    pub(crate) first: String,
    /// What it held before the run in question.
    pub(crate) old: String,
    fleet: Option<Fleet>,
}

impl Stage {
    /// Everything in place, the consumers calling.
    pub(crate) async fn new(bao: Bao) -> Self {
        let bao = Rc::new(bao);
        let whole = Whole::new();
        let old = whole.first_value();
        let slot = bao.slot_with(json!({ "api_key": old, "db_password": "monday-db-password-71", "port": 5432 })).await;
        let address = bao.address.clone();
        let mut stage = Self { bao, slot, whole, first: old.clone(), old, fleet: None };
        stage.policy(&address);
        stage.callers().await;
        stage
    }

    /// The policy, with the store at this address.
    pub(crate) fn policy(&self, address: &str) {
        let place = self.bao.place(address, &self.slot.path, self.bao.auth.clone());
        self.whole.policy(&serde_json::to_string(&json!({ "vault": place })).unwrap());
    }

    async fn callers(&mut self) {
        let token = self.bao.token("reader", "1h").await;
        let (url, namespace) = (format!("{}/v1/secret/data/{}", self.bao.address, self.slot.path), self.bao.namespace.clone());
        let ca = self.bao.ca_file.as_ref().map(|f| std::fs::read(f).unwrap());
        self.fleet = Some(Fleet::start(&self.whole.data(), move || {
            let mut client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5));
            if let Some(pem) = &ca {
                client = client.tls_certs_merge(reqwest::Certificate::from_pem_bundle(pem).unwrap());
            }
            Reader { client: client.build().unwrap(), url: url.clone(), token: token.clone(), namespace: namespace.clone() }
        }));
        // Their first calls must be in the log before the first plan is made.
        tokio::time::sleep(Duration::from_millis(3500)).await;
    }

    /// After all is over: nobody was refused, nothing is left behind, nothing leaked, other fields are as they were.
    pub(crate) async fn judge(&mut self, forward: bool, said: &[&Said]) {
        let current = self.slot.consumer().await.unwrap();
        assert_eq!(current != self.old, forward, "the slot holds the wrong value");
        let document = self.slot.document().await.unwrap();
        assert_eq!((document["db_password"].as_str(), document["port"].as_u64()), (Some("monday-db-password-71"), Some(5432)));
        assert_eq!(document.as_object().unwrap().len(), 3, "nothing of ours is left in the document");
        let pending = format!("secret/data/{}.pending", self.slot.path);
        let (status, _) = self.bao.try_call(reqwest::Method::GET, &pending, Value::Null).await;
        assert_eq!(status, 404, "the pending document is left");
        assert_eq!(self.whole.orphans(), Vec::<Value>::new());
        let values = self.fleet.take().unwrap().none_was_refused();
        assert_eq!(self.whole.refused(), Vec::<String>::new());
        assert_eq!(values.first(), Some(&self.first));
        let mut secrets = stores::World::secrets(&self.bao);
        secrets.extend(values);
        self.whole.holds_none(&secrets, said);
    }

    /// Forward, to the end.
    pub(crate) async fn rotates(mut self) {
        let said = Said::of(self.whole.run().output().unwrap());
        said.ends(0);
        // The old value cannot be read from the history any more.
        let (status, _) = self.bao.try_call(reqwest::Method::GET, &format!("secret/data/{}?version=1", self.slot.path), Value::Null).await;
        assert_eq!(status, 404, "the old version is still readable");
        self.judge(true, &[&said]).await;
    }

    /// To the hold, and back.
    pub(crate) async fn goes_back_from_hold(mut self) {
        let mut run = self.whole.run().spawn().unwrap();
        assert!(self.whole.wait_for(&mut run, |r| r["moved"]["to"] == "hold"));
        run.kill().unwrap();
        run.wait().unwrap();
        // While the run holds, a person changes another field: the way back must not undo that (F17).
        let mut document = self.slot.document().await.unwrap();
        document["note"] = "written while the run held".into();
        self.slot.write(document).await;
        let said = self.whole.keyroll(&["rollback", "--reason", "test"]);
        said.ends(0);
        let mut document = self.slot.document().await.unwrap();
        let note = document.as_object_mut().unwrap().remove("note");
        assert_eq!(note, Some("written while the run held".into()));
        self.slot.write(document).await;
        self.judge(false, &[&said]).await;
    }
}
