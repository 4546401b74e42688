//! A strict stand-in for AWS Secrets Manager, in process, on loopback: what AWS documents, also where the installable imitations differ.
//!
//! It is no proof of what AWS does; it is the documented behaviour written down as code, so that an adapter that relies on less is caught:
//! a token names one value for ever and coming again changes nothing, a label sits on one version, a move names where it moves from,
//! `AWSCURRENT` always has a home, versions without a label are not listed, sizes and counts have limits, a secret that is being deleted
//! takes no change, and a call may be turned away because there were too many. Signatures are not checked; the name of the access key says
//! what its holder may do.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses a part of this")]

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// May do everything.
pub(crate) const OWNER: &str = "AKIAOWNER00000000001";
/// May read and change nothing.
pub(crate) const READER: &str = "AKIAREADER0000000001";
/// May do nothing.
pub(crate) const NOBODY: &str = "AKIANOBODY0000000001";
/// Was somebody until yesterday.
pub(crate) const EXPIRED: &str = "AKIAEXPIRED000000001";

/// Bytes of a value.
const LARGEST: usize = 65_536;
/// Labels of one version.
const MOST_LABELS: usize = 20;
/// Versions of one secret; those without a label go first, but not on the day they were made.
const MOST_VERSIONS: usize = 100;
const DAY: u64 = 24 * 3600;

/// One version.
#[derive(Clone)]
pub(crate) struct Version {
    pub(crate) id: String,
    pub(crate) value: String,
    pub(crate) labels: Vec<String>,
    /// Seconds of the stand-in's own clock.
    pub(crate) made: u64,
}

/// One secret.
#[derive(Clone, Default)]
pub(crate) struct Secret {
    pub(crate) versions: Vec<Version>,
    pub(crate) deleted: bool,
    pub(crate) managed: bool,
    pub(crate) owner: Option<String>,
    pub(crate) primary: Option<String>,
    /// Region and state of each copy.
    pub(crate) copies: Vec<(String, String)>,
}

#[derive(Default)]
struct World {
    secrets: BTreeMap<String, Secret>,
    calls: Vec<String>,
    throttle: usize,
    now: u64,
}

/// The stand-in; it stops when dropped.
pub(crate) struct Double {
    world: Arc<Mutex<World>>,
    stop: Arc<AtomicBool>,
    /// Where it listens on loopback.
    pub(crate) port: u16,
}

impl Drop for Double {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _wakes_the_listener = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Double {
    /// Starts it.
    ///
    /// # Panics
    /// When loopback has no port.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|e| panic!("no port: {e}"));
        let port = listener.local_addr().unwrap_or_else(|e| panic!("no address: {e}")).port();
        let double = Self { world: Arc::default(), stop: Arc::default(), port };
        let (world, stop) = (double.world.clone(), double.stop.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let world = world.clone();
                std::thread::spawn(move || answer(&world, client));
            }
        });
        double
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Looks at a secret, or changes it behind everybody's back.
    ///
    /// # Panics
    /// When there is none of this name.
    pub(crate) fn edit<T>(&self, name: &str, change: impl FnOnce(&mut Secret) -> T) -> T {
        change(self.world().secrets.get_mut(name).unwrap_or_else(|| panic!("no secret {name}")))
    }

    /// The operations asked for since the last call of this.
    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.world().calls)
    }

    /// Turns the next calls away.
    pub(crate) fn throttle(&self, calls: usize) {
        self.world().throttle = calls;
    }

    /// Lets time pass.
    pub(crate) fn later(&self, seconds: u64) {
        self.world().now += seconds;
    }
}

type Answer = Result<Value, (&'static str, String)>;

fn no(code: &'static str, why: impl Into<String>) -> Answer {
    Err((code, why.into()))
}

fn answer(world: &Mutex<World>, client: TcpStream) {
    let _a_hung_client_ends = client.set_read_timeout(Some(Duration::from_secs(30)));
    let Ok(write) = client.try_clone() else { return };
    let (mut reader, mut write) = (BufReader::new(client), write);
    let (mut length, mut target, mut key) = (0usize, String::new(), String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let Some((name, value)) = line.trim_end().split_once(':') else {
            if line.trim_end().is_empty() {
                break;
            }
            continue;
        };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap_or(0),
            "x-amz-target" => target = value.trim_start_matches("secretsmanager.").to_owned(),
            "authorization" => key = value.split("Credential=").nth(1).and_then(|c| c.split('/').next()).unwrap_or_default().to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length.min(1 << 20)];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let (status, kind, said) = if target.is_empty() {
        (
            200,
            "text/xml",
            format!(
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>arn:aws:iam::111122223333:user/{key}</Arn><UserId>x</UserId><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
            ),
        )
    } else {
        let mut world = world.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let asked = serde_json::from_slice(&body).unwrap_or(Value::Null);
        match world.call(&key, &target, &asked) {
            Ok(said) => (200, "application/x-amz-json-1.1", said.to_string()),
            Err((code, why)) => (400, "application/x-amz-json-1.1", json!({ "__type": code, "message": why }).to_string()),
        }
    };
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nx-amzn-requestid: 00000000-double\r\nconnection: close\r\n\r\n",
        said.len()
    );
    let _the_client_may_be_gone = write.write_all(head.as_bytes()).and_then(|()| write.write_all(said.as_bytes()));
}

impl World {
    fn call(&mut self, key: &str, operation: &str, asked: &Value) -> Answer {
        self.calls.push(operation.to_owned());
        self.now += 1;
        let reads = matches!(operation, "DescribeSecret" | "GetSecretValue" | "ListSecretVersionIds");
        match key {
            OWNER => {}
            READER if reads => {}
            EXPIRED => return no("ExpiredTokenException", "The security token included in the request is expired"),
            READER | NOBODY => return no("AccessDeniedException", format!("not authorized to perform secretsmanager:{operation}")),
            _ => return no("UnrecognizedClientException", "The security token included in the request is invalid."),
        }
        if self.throttle > 0 {
            self.throttle -= 1;
            return no("ThrottlingException", "Rate exceeded");
        }
        let text = |name: &str| asked[name].as_str();
        if operation == "CreateSecret" {
            return self.create(text("Name").unwrap_or_default(), text("SecretString"), text("ClientRequestToken"));
        }
        let now = self.now;
        let name = short(text("SecretId").unwrap_or_default());
        let gone = || ("ResourceNotFoundException", "Secrets Manager can't find the specified secret.".to_owned());
        if operation == "DeleteSecret" && asked["ForceDeleteWithoutRecovery"] == true {
            return self.secrets.remove(&name).map(|_| json!({ "Name": name })).ok_or_else(gone);
        }
        let secret = self.secrets.get_mut(&name).ok_or_else(gone)?;
        if secret.deleted && !matches!(operation, "DescribeSecret" | "RestoreSecret" | "DeleteSecret") {
            return no("InvalidRequestException", "this secret was marked for deletion");
        }
        match operation {
            "DescribeSecret" => Ok(secret.describe(&name)),
            "GetSecretValue" => secret.get(&name, text("VersionId"), text("VersionStage")),
            "PutSecretValue" => {
                if let Some(owner) = &secret.owner {
                    return no("InvalidRequestException", format!("managed by {owner}"));
                }
                let labels = asked["VersionStages"].as_array().map(|l| l.iter().filter_map(Value::as_str).map(str::to_owned).collect());
                secret.put(&name, text("ClientRequestToken"), text("SecretString"), labels, now)
            }
            "UpdateSecretVersionStage" => {
                secret.relabel(text("VersionStage").unwrap_or_default(), text("RemoveFromVersionId"), text("MoveToVersionId"))?;
                Ok(json!({ "ARN": arn(&name), "Name": name }))
            }
            "DeleteSecret" => {
                let window = asked["RecoveryWindowInDays"].as_u64().unwrap_or(30);
                if !(7..=30).contains(&window) {
                    return no("InvalidParameterException", "the recovery window is 7 to 30 days");
                }
                secret.deleted = true;
                Ok(json!({ "ARN": arn(&name), "Name": name }))
            }
            "RestoreSecret" => {
                secret.deleted = false;
                Ok(json!({ "ARN": arn(&name), "Name": name }))
            }
            // `UpdateSecret` writes a current version, and nobody here should.
            other => no("InvalidRequestException", format!("{other} is not for this test")),
        }
    }

    fn create(&mut self, name: &str, value: Option<&str>, token: Option<&str>) -> Answer {
        let token = fit(token)?;
        if let Some(there) = self.secrets.get(name) {
            let same = there.versions.iter().any(|v| v.id == token && Some(v.value.as_str()) == value);
            return if same { Ok(json!({ "Name": name })) } else { no("ResourceExistsException", "the secret exists") };
        }
        let mut secret = Secret::default();
        if let Some(value) = value {
            secret.versions.push(Version { id: token, value: value.into(), labels: vec!["AWSCURRENT".into()], made: self.now });
        }
        self.secrets.insert(name.into(), secret);
        Ok(json!({ "ARN": arn(name), "Name": name }))
    }
}

/// A token has 32 to 64 characters; the libraries always send one.
fn fit(token: Option<&str>) -> Result<String, (&'static str, String)> {
    match token {
        Some(token) if (32..=64).contains(&token.len()) => Ok(token.to_owned()),
        Some(_) | None => Err(("InvalidParameterException", "ClientRequestToken must be 32 to 64 characters long".into())),
    }
}

fn short(id: &str) -> String {
    id.strip_prefix("arn:aws:secretsmanager:eu-central-1:111122223333:secret:")
        .and_then(|n| n.rsplit_once('-').map(|(n, _)| n))
        .unwrap_or(id)
        .to_owned()
}

fn arn(name: &str) -> String {
    format!("arn:aws:secretsmanager:eu-central-1:111122223333:secret:{name}-AbCdEf")
}

impl Secret {
    /// The version that carries a label.
    pub(crate) fn at(&self, label: &str) -> Option<&Version> {
        self.versions.iter().find(|v| v.labels.iter().any(|l| l == label))
    }

    fn describe(&self, name: &str) -> Value {
        let labels: BTreeMap<&str, &Vec<String>> =
            self.versions.iter().filter(|v| !v.labels.is_empty()).map(|v| (v.id.as_str(), &v.labels)).collect();
        let mut told = json!({ "ARN": arn(name), "Name": name, "VersionIdsToStages": labels, "RotationEnabled": self.managed });
        if self.deleted {
            told["DeletedDate"] = json!(1_700_000_000);
        }
        if let Some(owner) = &self.owner {
            told["OwningService"] = json!(owner);
        }
        if let Some(primary) = &self.primary {
            told["PrimaryRegion"] = json!(primary);
        }
        if !self.copies.is_empty() {
            told["ReplicationStatus"] = self.copies.iter().map(|(r, s)| json!({ "Region": r, "Status": s })).collect();
        }
        told
    }

    fn get(&self, name: &str, id: Option<&str>, label: Option<&str>) -> Answer {
        let label = label.or(if id.is_none() { Some("AWSCURRENT") } else { None });
        let found = match (id, label) {
            (Some(id), _) => self.versions.iter().find(|v| v.id == id),
            (None, label) => self.at(label.unwrap_or_default()),
        };
        let Some(found) = found else { return no("ResourceNotFoundException", "can't find the specified secret value") };
        if label.is_some_and(|label| !found.labels.iter().any(|l| l == label)) {
            return no("InvalidRequestException", "the version id and the stage do not belong together");
        }
        Ok(json!({ "ARN": arn(name), "Name": name, "VersionId": found.id, "SecretString": found.value, "VersionStages": found.labels }))
    }

    fn put(&mut self, name: &str, token: Option<&str>, value: Option<&str>, labels: Option<Vec<String>>, now: u64) -> Answer {
        let (token, Some(value)) = (fit(token)?, value) else { return no("InvalidParameterException", "no value") };
        if value.len() > LARGEST {
            return no("InvalidParameterException", "the value is longer than 65536 bytes");
        }
        let mut labels = labels.unwrap_or_else(|| vec!["AWSCURRENT".into()]);
        if labels.is_empty() || labels.len() > MOST_LABELS {
            return no("InvalidParameterException", "one to twenty labels");
        }
        if let Some(there) = self.versions.iter().find(|v| v.id == token) {
            // The same again changes nothing, labels included; the same token for something else is refused.
            return if there.value == value {
                Ok(json!({ "ARN": arn(name), "Name": name, "VersionId": token, "VersionStages": there.labels }))
            } else {
                no("ResourceExistsException", "this token was used with another value")
            };
        }
        if self.versions.len() >= MOST_VERSIONS {
            let old = self.versions.iter().position(|v| v.labels.is_empty() && v.made + DAY < now);
            let Some(old) = old else { return no("LimitExceededException", "too many versions") };
            self.versions.remove(old);
        }
        if self.at("AWSCURRENT").is_none() && !labels.iter().any(|l| l == "AWSCURRENT") {
            labels.push("AWSCURRENT".into());
        }
        self.versions.push(Version { id: token.clone(), value: value.into(), labels: Vec::new(), made: now });
        for label in &labels {
            self.give(label, &token);
        }
        Ok(json!({ "ARN": arn(name), "Name": name, "VersionId": token, "VersionStages": labels }))
    }

    /// A label has one place; what `AWSCURRENT` leaves becomes `AWSPREVIOUS`.
    fn give(&mut self, label: &str, to: &str) {
        let from = self.at(label).map(|v| v.id.clone()).filter(|from| from != to);
        for version in &mut self.versions {
            version.labels.retain(|l| l != label);
            if version.id == to {
                version.labels.push(label.to_owned());
            }
        }
        if let ("AWSCURRENT", Some(from)) = (label, from) {
            self.give("AWSPREVIOUS", &from);
        }
    }

    fn relabel(&mut self, label: &str, from: Option<&str>, to: Option<&str>) -> Result<(), (&'static str, String)> {
        let refused = |why: &str| Err(("InvalidParameterException", why.to_owned()));
        let at = self.at(label).map(|v| v.id.clone());
        if label.is_empty() || label.len() > 256 || (from.is_none() && to.is_none()) {
            return refused("a label, and where it goes or comes from");
        }
        if let Some(from) = from
            && at.as_deref() != Some(from)
        {
            return refused("the label is not attached to RemoveFromVersionId");
        }
        let Some(to) = to else {
            if label == "AWSCURRENT" {
                return refused("AWSCURRENT needs a version");
            }
            self.versions.iter_mut().for_each(|v| v.labels.retain(|l| l != label));
            return Ok(());
        };
        let Some(target) = self.versions.iter().find(|v| v.id == to) else {
            return Err(("ResourceNotFoundException", "no such version".into()));
        };
        if target.labels.len() >= MOST_LABELS && at.as_deref() != Some(to) {
            return Err(("LimitExceededException", "a version has at most 20 labels".into()));
        }
        if from.is_none() && at.as_deref().is_some_and(|at| at != to) {
            return refused("the label is attached to another version; name it in RemoveFromVersionId");
        }
        self.give(label, to);
        Ok(())
    }
}
