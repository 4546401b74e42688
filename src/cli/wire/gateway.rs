//! From the policy's `gateway:` to its admin side, its data side, and its own log.

use super::sandbox::Place;
use crate::adapters::gateway::{self, Access, AnyGateway, AnyProber, SandboxGateway, SandboxProber};
use crate::adapters::reference::References;
use crate::adapters::usage::{AnyUsage, NoUsage};
use crate::cli::fault::{Fault, exit};
use crate::cli::session;
use crate::journal::StateDir;
use crate::policy::Policy;
use crate::policy::model::consumer::Consumer;
use crate::policy::model::gateway::{Gateway, Sandbox};
use crate::policy::model::http_gateway::HttpGateway;
use crate::rotation::{End, Endpoint, KeyId, Span};
use crate::sandbox;
use crate::secret::{FingerprintKey, Scrubber, SecretText};
use crate::usage::Mapping;
use std::collections::BTreeSet;
use std::rc::Rc;

/// What every driver may need to be made.
pub(super) struct Tools<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// Resolves the admin credential.
    pub references: &'a Rc<References>,
    /// Learns every credential that is resolved.
    pub scrubber: &'a Scrubber,
    /// Where runs are kept.
    pub state: &'a StateDir,
    /// Fingerprints of values, and the mark of our own calls.
    pub fingerprints: &'a Rc<FingerprintKey>,
}

/// Longest time for one call, where neither gateway nor policy says one.
pub(super) const CALL: Span = Span::seconds(10);

impl Tools<'_> {
    /// The admin credential, known to the scrubber from here on.
    pub(super) async fn admin(&self, reference: &crate::policy::model::reference::Ref) -> Result<SecretText, Fault> {
        let value = self.references.resolve(reference).await?;
        self.scrubber.add("admin", &value);
        Ok(value)
    }

    /// Longest time for one call: the gateway's own word, else the policy's.
    pub(super) fn call_timeout(&self, own: Option<crate::policy::scalar::Period>) -> Span {
        own.or_else(|| self.policy.timing.as_ref().and_then(|t| t.call_timeout)).map_or(CALL, |p| Span(p.as_millis()))
    }
}

/// A gateway that a policy names, ready to be asked. Nothing was contacted yet.
pub(super) struct Connected {
    /// Admin side.
    pub gateway: AnyGateway,
    /// Data side.
    pub prober: AnyProber,
    /// The admin credential; none where a person acts.
    pub admin: Option<SecretText>,
    /// What `gateway_log` means.
    pub log: OwnLog,
    /// Longest time for one call.
    pub timeout: Span,
    /// The sandbox's addresses, where it is one.
    pub place: Option<Place>,
    /// The sandbox that was started here.
    pub sandbox: Option<sandbox::Running>,
}

/// Where a gateway's own record of use is.
pub(super) enum OwnLog {
    /// In files of this shape.
    Files(Vec<String>, Box<Mapping>),
    /// Behind its API.
    Source(Box<AnyUsage>),
}

impl Connected {
    /// A consumer with the addresses that stand for this gateway's own put in.
    pub(super) fn place(&self, consumer: Consumer) -> Consumer {
        match &self.place {
            Some(place) => place.rewrite(consumer),
            None => consumer,
        }
    }
}

/// Makes the driver that a policy names. An embedded sandbox is started; nothing else is contacted.
pub(super) async fn connect(tools: &Tools<'_>) -> Result<Connected, Fault> {
    match &tools.policy.gateway {
        Some(Gateway::Sandbox(written)) => own(tools, written).await,
        Some(Gateway::LiteLlm(written)) => super::litellm::connect(tools, written).await,
        Some(Gateway::Aisix(written)) => super::aisix::connect(tools, written).await,
        Some(Gateway::Http(written)) => described(tools, written).await,
        Some(Gateway::OpenRouter(written)) => super::openrouter::connect(tools, super::openrouter::Product::OpenRouter, written).await,
        Some(Gateway::ARouter(written)) => super::openrouter::connect(tools, super::openrouter::Product::ARouter, written).await,
        Some(Gateway::NewApi(written)) => super::newapi::connect(tools, written).await,
        Some(other @ (Gateway::LlmGateway(_) | Gateway::Manual(_))) => Err(absent(other.kind())),
        None => Err(absent("no gateway")),
    }
}

fn absent(named: &str) -> Fault {
    Fault::new(exit::REFUSED, format!("reach the gateway: {named} is not in this build")).hint("`gateway: { sandbox: … }` is")
}

/// The certificate of a private authority.
pub(super) fn certificate(path: Option<&str>) -> Result<Option<Vec<u8>>, Fault> {
    let read = |path: &str| std::fs::read(path).map_err(|e| Fault::usage(format!("read the certificate authority {path}: {e}")));
    path.map(read).transpose()
}

/// Keys of runs that are over: where a marker cannot be replaced, only their journals say so.
pub(super) fn settled(state: &StateDir) -> Result<BTreeSet<KeyId>, Fault> {
    let runs = state.list()?.into_iter().filter_map(|entry| session::peek(state, &entry.id).ok());
    let done = runs.filter(|(run, _)| matches!(run.ended, Some(End::Done)));
    Ok(done.filter_map(|(run, _)| run.new.map(|new| new.id)).collect())
}

/// The gateway that the policy describes. It has no log that could be found without the policy naming it.
async fn described(tools: &Tools<'_>, written: &HttpGateway) -> Result<Connected, Fault> {
    let admin = tools.admin(&written.admin).await?;
    let timeout = tools.call_timeout(written.call_timeout);
    let ca_pem = certificate(written.ca_file.as_deref())?;
    let known = if written.marker_stays == Some(true) { settled(tools.state)? } else { BTreeSet::new() };
    let made = gateway::described(written, admin.duplicate(), timeout, ca_pem, known);
    let (gateway, prober) = made.map_err(|e| Fault::usage(e.to_string()))?;
    Ok(Connected {
        gateway: AnyGateway::Http(gateway),
        prober: AnyProber::Http(prober),
        admin: Some(admin),
        log: OwnLog::Source(Box::new(AnyUsage::Nothing(NoUsage))),
        timeout,
        place: None,
        sandbox: None,
    })
}

async fn own(tools: &Tools<'_>, written: &Sandbox) -> Result<Connected, Fault> {
    let (place, sandbox) = Place::of(written)?;
    let admin = tools.admin(&place.admin_key).await?;
    let timeout = tools.call_timeout(written.call_timeout);
    let access = Access { base: place.admin.clone(), admin: admin.duplicate(), call_timeout: timeout, ca_pem: None };
    let endpoints = place.data.iter().map(|url| Endpoint::new(url.trim_end_matches('/'))).collect();
    let (gateway, prober, mapping) = match written.provider_key {
        Some(_) => (SandboxGateway::provider(access), SandboxProber::provider(endpoints, timeout), Mapping::sandbox_provider()),
        None => (SandboxGateway::router(access), SandboxProber::router(endpoints, timeout), Mapping::sandbox()),
    };
    Ok(Connected {
        gateway: AnyGateway::Sandbox(gateway.map_err(|e| Fault::usage(e.to_string()))?),
        prober: AnyProber::Sandbox(prober),
        admin: Some(admin),
        log: OwnLog::Files(vec![format!("{}/*.jsonl", place.log)], Box::new(mapping)),
        timeout,
        place: Some(place),
        sandbox,
    })
}
