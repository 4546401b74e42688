//! Stored is not live: each process of the gateway says by itself how far it is.

use crate::adapters::gateway::wire::{Call, Http, Reply};
use crate::ports::{PortError, Result};
use crate::rotation::{Endpoint, Span, Time};
use crate::support::clock;
use crate::support::http::{self, Calls, HttpProblem};
use reqwest::{Method, Url};
use serde::Deserialize;
use std::time::Duration;

/// A process that is behind is asked again after this long.
const AGAIN: Duration = Duration::from_millis(60);

/// A file that is refused for so long, in milliseconds, is not one that is just being read.
const GRACE: u64 = 1000;

/// One process.
pub(super) struct Replica {
    /// Its proxy listener.
    pub(super) endpoint: Endpoint,
    status: Url,
}

/// All processes of a gateway.
pub(super) struct Replicas {
    pub(super) all: Vec<Replica>,
    http: Http,
    within: Span,
}

/// What a process says of itself.
#[derive(Deserialize)]
pub(super) struct Status {
    #[serde(default)]
    pub(super) state: String,
    pub(super) source: Source,
    pub(super) applied: Option<Applied>,
    #[serde(default)]
    pub(super) rejected: Vec<Rejected>,
}

#[derive(Deserialize)]
pub(super) struct Source {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) connected: bool,
}

#[derive(Deserialize)]
pub(super) struct Applied {
    #[serde(default)]
    pub(super) applied_revision: i64,
    #[serde(default)]
    pub(super) config_hash: String,
    #[serde(default)]
    pub(super) resource_counts: std::collections::BTreeMap<String, u64>,
}

#[derive(Deserialize)]
pub(super) struct Rejected {
    #[serde(default)]
    resource_kind: String,
    #[serde(default)]
    resource_id: String,
    #[serde(default)]
    last_error_kind: String,
}

/// What a process must have taken.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Landed {
    /// Everything up to this count of etcd.
    Revision(i64),
    /// A file with this digest.
    File(String),
}

impl Status {
    /// It has taken this, and takes what comes.
    pub(super) fn has(&self, landed: &Landed) -> bool {
        let Some(applied) = &self.applied else { return false };
        match landed {
            Landed::Revision(revision) => self.source.connected && applied.applied_revision >= *revision,
            Landed::File(hash) => applied.config_hash == *hash,
        }
    }

    /// It does not serve this document, and why, in one word.
    pub(super) fn rejects(&self, kind: &str, id: &str) -> Option<String> {
        let item = self.rejected.iter().find(|r| r.resource_kind == kind && r.resource_id == id)?;
        let word = item.last_error_kind.as_str();
        let plain = !word.is_empty() && word.len() <= 40 && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        Some(if plain { word.to_owned() } else { "for a reason of its own".into() })
    }
}

impl Replicas {
    /// Proxy and status address of each.
    pub(super) fn new(places: &[(String, String)], within: Span, http: Http) -> std::result::Result<Self, HttpProblem> {
        let replica = |(proxy, status): &(String, String)| Ok(Replica { endpoint: Endpoint::new(proxy), status: http::address(status)? });
        Ok(Self { all: places.iter().map(replica).collect::<std::result::Result<_, HttpProblem>>()?, http, within })
    }

    fn system(replica: &Replica) -> String {
        format!("the status of the gateway at {}", replica.endpoint)
    }

    async fn get(&self, replica: &Replica, path: &[&str]) -> Result<Reply> {
        let away = |why: String| PortError::Unreachable { system: Self::system(replica), why, may_have_happened: false };
        let url = http::join(&replica.status, path).map_err(|e| away(e.to_string()))?;
        let call = Call { calls: Calls::Reading, method: Method::GET, url, bearer: None, headers: &[], body: None };
        let reply = self.http.send(call).await.map_err(|e| away(e.to_string()))?;
        if reply.is_success() { Ok(reply) } else { Err(away(format!("status {}; is this its listener for metrics?", reply.status))) }
    }

    /// What one process says.
    pub(super) async fn status(&self, replica: &Replica) -> Result<Status> {
        let reply = self.get(replica, &["status", "config"]).await?;
        serde_json::from_slice(&reply.body)
            .map_err(|_| PortError::Unreadable { system: Self::system(replica), why: "not the expected document".into() })
    }

    /// The gateway's clock: the one that its log is written by.
    pub(super) async fn now(&self) -> Result<Time> {
        let Some(first) = self.all.first() else {
            return Err(PortError::Unsupported { system: "the gateway".into(), action: "read its clock".into() });
        };
        let reply = self.get(first, &["status", "config"]).await?;
        reply.date.ok_or_else(|| PortError::Unreadable { system: Self::system(first), why: "it tells no time".into() })
    }

    /// Waits until every process has taken this and serves these documents. What was written stays written when they do not.
    pub(super) async fn wait(&self, landed: &Landed, wrote: &[(&str, &str)]) -> Result<()> {
        let began = clock::boot_millis();
        for replica in &self.all {
            loop {
                let why = match self.status(replica).await {
                    Ok(status) if status.has(landed) => match wrote.iter().find_map(|(kind, id)| status.rejects(kind, id)) {
                        None => break,
                        Some(why) => return Err(stored(replica, &format!("it does not serve the document as it is now ({why})"))),
                    },
                    Ok(status) if refuses(landed, &status) && clock::boot_millis().saturating_sub(began) >= GRACE => {
                        return Err(PortError::Refused {
                            system: format!("the gateway at {}", replica.endpoint),
                            action: "take the file".into(),
                            why: "it goes on with the one before".into(),
                        });
                    }
                    Ok(status) if !status.source.connected => "it is not connected to its store".to_owned(),
                    Ok(_) => "it has not taken the change".to_owned(),
                    Err(error) => error.to_string(),
                };
                if clock::boot_millis().saturating_sub(began) >= self.within.0 {
                    return Err(stored(replica, &format!("{why} within {}", self.within)));
                }
                clock::pause(AGAIN).await;
            }
        }
        Ok(())
    }
}

/// The whole file is refused.
fn refuses(landed: &Landed, status: &Status) -> bool {
    matches!(landed, Landed::File(_)) && status.state == "out_of_sync"
}

/// The change is in the store, and not everywhere in force.
fn stored(replica: &Replica, why: &str) -> PortError {
    PortError::Unreachable {
        system: format!("the gateway at {}", replica.endpoint),
        why: format!("the change is stored and not live there: {why}"),
        may_have_happened: true,
    }
}
