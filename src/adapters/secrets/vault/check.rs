//! What a person should know of a slot before a rotation needs it. Reads and asks; changes nothing.

use super::VaultStore;
use super::api::Reply;
use crate::policy::model::reference::VaultAuth;
use crate::ports::{About, Finding, PortError};
use crate::rotation::{Span, Time};
use crate::support::text::clean_to;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use vaultrs::api::token::requests::LookupTokenSelfRequest;

/// A token with less time than this may end in the middle of a run.
const SOON: u64 = 3600;
/// So many names of fields are told.
const NAMES: usize = 12;

/// What the server says of itself.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Health {
    version: String,
    sealed: bool,
    standby: bool,
}

impl VaultStore {
    /// Looks at everything that a rotation of this slot will need.
    pub async fn check(&self, now: Time) -> Vec<Finding> {
        let mut found = Vec::new();
        match self.api.health().await {
            Ok(reply) => healthy(&reply, now, &mut found),
            Err(e) => {
                found.push(Finding::of(&e));
                return found;
            }
        }
        if self.permissions(&mut found).await {
            self.document(&mut found).await;
        }
        found
    }

    /// The login, and what it may do; false when there is none and nothing more can be asked.
    async fn permissions(&self, found: &mut Vec<Finding>) -> bool {
        let needed = self.needed();
        let paths: Vec<String> = needed.iter().map(|(path, _)| path.clone()).collect();
        let asked = match self.api.capabilities(&self.references, &paths).await {
            Ok(asked) => asked,
            Err(e) => {
                found.push(Finding::of(&e));
                return false;
            }
        };
        let who = self.api.get(&self.references, LookupTokenSelfRequest {}).await.ok().filter(Reply::is_success);
        if who.is_none() && asked.status == 403 {
            found.push(Finding::bad(
                About::Login,
                "the token is not accepted: it has ended, was revoked, or belongs to another namespace",
                self.new_login(),
            ));
            return false;
        }
        found.push(who.map_or_else(
            || Finding::good(About::Login, "the token is accepted; its policy does not let it look itself up"),
            |reply| self.token(&reply),
        ));
        let Some(may) = asked.is_success().then(|| asked.parsed::<Value>("").ok()).flatten() else {
            let all: Vec<String> = needed.iter().map(|(path, may)| format!("{} on {path}", may.join(", "))).collect();
            let said = "its permissions cannot be asked (sys/capabilities-self)";
            found.push(Finding::note(About::Permission, said).fix(format!("its policy must allow: {}", all.join("; "))));
            return true;
        };
        let mut all = true;
        for (path, wanted) in &needed {
            let has = granted(&may, path);
            let missing: Vec<&str> = wanted.iter().copied().filter(|w| !has.iter().any(|h| h == w || h == "root")).collect();
            if !missing.is_empty() {
                all = false;
                found.push(Finding::bad(
                    About::Permission,
                    format!("the token may not {} {path}", missing.join(", ")),
                    format!(
                        "add to its policy: path \"{path}\" {{ capabilities = [{}] }}; or correct `mount`, `path`, or the namespace",
                        quoted(wanted)
                    ),
                ));
            }
        }
        if all {
            found.push(Finding::good(About::Permission, "the token may do all that a rotation does"));
        }
        true
    }

    /// Whether the document is there, with our field.
    async fn document(&self, found: &mut Vec<Finding>) {
        let place = &self.place;
        let version = match self.api.read(&self.references, &place.path, None).await {
            Ok(Some(version)) => version,
            Ok(None) => {
                found.push(Finding::bad(
                    About::Place,
                    format!("there is no document at {}/{}", place.mount, place.path),
                    "correct `path:` or `mount:`, or make the document with the present value",
                ));
                return;
            }
            // That it may not be read was told with the permissions.
            Err(PortError::Refused { .. }) if found.iter().any(|f| f.about == About::Permission && f.fix.is_some()) => return,
            Err(e) => {
                found.push(Finding { about: About::Place, ..Finding::of(&e) });
                return;
            }
        };
        let Some(document) = version.document else {
            found.push(Finding::bad(About::Place, "its current version is deleted", "undelete it, or write the present value again"));
            return;
        };
        match self.api.value(&document) {
            Ok(Some(_)) => found.push(Finding::good(About::Place, format!("the document has the field, at version {}", version.number))),
            Ok(None) => {
                let names: Vec<String> = document.names().into_iter().take(NAMES).map(|n| clean_to(n, 60)).collect();
                found.push(Finding::bad(
                    About::Place,
                    format!("the document has no field `{}`, or it is empty; it has {}", clean_to(&place.field, 60), names.join(", ")),
                    "write the name of the field that consumers read into `field:`",
                ));
            }
            Err(e) => found.push(Finding { about: About::Place, ..Finding::of(&e) }),
        }
        if let Ok(Some(history)) = self.api.history(&self.references, &place.path, version.number).await {
            // Who we are was told with the login.
            let told = self.warnings(&history).await.into_iter().filter(|w| !w.starts_with("versions are written as"));
            found.extend(told.map(|warning| Finding::note(About::Place, warning)));
        }
        if let Ok(Some(run)) = self.pending_run().await {
            let told = Finding::note(About::Place, format!("a pending value of run {run} waits there"));
            found.push(told.fix("`keyroll orphans` tells whose it is"));
        }
    }

    /// Path, and what must be allowed there: nothing that no verb of ours calls.
    fn needed(&self) -> Vec<(String, Vec<&'static str>)> {
        let (mount, path, pending) = (&self.place.mount, &self.place.path, self.place.pending());
        vec![
            (format!("{mount}/data/{path}"), vec!["read", "update"]),
            (format!("{mount}/data/{pending}"), vec!["create", "read", "update"]),
            (format!("{mount}/metadata/{path}"), vec!["read"]),
            (format!("{mount}/metadata/{pending}"), vec!["delete"]),
            (format!("{mount}/delete/{path}"), vec!["update"]),
        ]
    }

    fn token(&self, reply: &Reply) -> Finding {
        let data = reply.parsed::<Value>("").ok().and_then(|mut v| v.get_mut("data").map(Value::take)).unwrap_or_default();
        let text = |name: &str| data.get(name).and_then(Value::as_str).map(|t| clean_to(t, 120)).unwrap_or_default();
        let ttl = data.get("ttl").and_then(Value::as_u64).unwrap_or(0);
        let renewable = data.get("renewable").and_then(Value::as_bool).unwrap_or(false);
        let name = text("display_name");
        if ttl > 0 && ttl < SOON && !self.api.logs_in() && !renewable {
            let said = format!("the login is {name}; its token ends in {}, and a run may last longer", Span::seconds(ttl));
            return Finding::note(About::Login, said).fix("give it a longer time, make it renewable, or use a login such as `approle`");
        }
        Finding::good(About::Login, format!("the login is {name}"))
    }

    /// Where a new credential would have to go.
    fn new_login(&self) -> String {
        match self.api.auth() {
            None => "make a new token and put it into VAULT_TOKEN".into(),
            Some(VaultAuth::Token(reference)) => format!(
                "make a new token and put it into {}; a login such as `approle` gets its own each time",
                clean_to(&reference.describe(), 200)
            ),
            Some(VaultAuth::AppRole(_) | VaultAuth::Kubernetes(_) | VaultAuth::Jwt(_) | VaultAuth::Aws(_)) => {
                "check the policies and the namespace of its role".into()
            }
        }
    }
}

/// What the answer about the server's own state means.
fn healthy(reply: &Reply, now: Time, found: &mut Vec<Finding>) {
    let health: Health = reply.parsed("").unwrap_or_default();
    let version = clean_to(&health.version, 60);
    if health.sealed || reply.status == 503 {
        found.push(Finding::bad(About::Reach, "the server is sealed", "unseal it"));
    } else if reply.status == 501 {
        found.push(Finding::bad(About::Reach, "the server is not initialised", "initialise it, or correct the address"));
    } else if version.is_empty() {
        found.push(Finding::bad(
            About::Reach,
            format!("something answers there (status {}), and it is no Vault or OpenBao", reply.status),
            "correct `address:`, or take what stands in between away",
        ));
    } else {
        found.push(Finding::good(About::Reach, "it answers, and is unsealed"));
        if health.standby {
            found.push(Finding::note(About::Reach, "it is a standby and may answer with an older state").fix("name the active node"));
        }
    }
    if !version.is_empty() {
        found.push(Finding::good(About::Version, version));
    }
    found.push(Finding::clock(reply.date.map(Time), now));
}

/// What may be done at a path, by the answer; some servers put it under `data` only.
fn granted(answer: &Value, path: &str) -> Vec<String> {
    let at = |value: &Value| serde_json::from_value::<BTreeMap<String, Value>>(value.clone()).ok().and_then(|m| m.get(path).cloned());
    let list = answer.get("data").and_then(at).or_else(|| at(answer));
    list.and_then(|l| serde_json::from_value(l).ok()).unwrap_or_default()
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(", ")
}
