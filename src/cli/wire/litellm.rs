//! From the policy's `gateway: { litellm: … }` to its admin side, its data side, and its spend log.

use super::gateway::{Connected, OwnLog, Tools};
use crate::adapters::gateway::{Access, AnyGateway, AnyProber, LITELLM_CACHE, LiteLlmGateway, LiteLlmProber};
use crate::adapters::usage::{AnyUsage, LITELLM_LAG, LiteLlmSettings, LiteLlmUsage};
use crate::cli::fault::{Fault, exit};
use crate::policy::model::gateway::LiteLlm;
use crate::policy::scalar::Period;
use crate::rotation::{Endpoint, EndpointFacts, Span};
use crate::support::own_call;
use crate::usage::Ours;
use std::rc::Rc;

/// Nothing is contacted; the admin credential is read from where its reference points.
pub(super) async fn connect(tools: &Tools<'_>, written: &LiteLlm) -> Result<Connected, Fault> {
    if written.provider_key.is_some() {
        let said = "rotate a provider key: on LiteLLM this build rotates virtual keys only";
        return Err(Fault::new(exit::REFUSED, said).hint("name the virtual key under `key:`, or leave it out"));
    }
    let admin = tools.admin(&written.admin).await?;
    let timeout = tools.call_timeout(written.call_timeout);
    let ca_pem = match &written.ca_file {
        Some(path) => Some(std::fs::read(path).map_err(|e| Fault::usage(format!("read the certificate authority {path}: {e}")))?),
        None => None,
    };
    let or = |own: Option<Period>, usual: Span| own.map_or(usual, |p| Span(p.as_millis()));
    let base = written.url.as_str().trim_end_matches('/').to_owned();
    let addresses = if written.replicas.is_empty() { vec![&written.url] } else { written.replicas.iter().collect() };
    let places: Vec<String> = addresses.iter().map(|url| url.as_str().trim_end_matches('/').to_owned()).collect();
    let endpoints: Vec<Endpoint> = places.iter().map(Endpoint::new).collect();
    let facts = endpoints.iter().zip(&places).map(|(e, place)| EndpointFacts { endpoint: e.clone(), shard: Some(place.clone()) });
    let access = Access { base: base.clone(), admin: admin.duplicate(), call_timeout: timeout, ca_pem: ca_pem.clone() };
    let gateway = LiteLlmGateway::new(access, facts.collect(), or(written.cache_ttl, LITELLM_CACHE)).map_err(unusable)?;
    let key = tools.fingerprints.clone();
    let usage = LiteLlmUsage::new(LiteLlmSettings {
        base,
        admin: admin.duplicate(),
        call_timeout: timeout,
        ca_pem: ca_pem.clone(),
        places,
        lag: or(written.log_lag, LITELLM_LAG),
        caller: written.caller,
        ours: Ours(Rc::new(move |id| own_call::is_ours(&key, id))),
    })
    .map_err(unusable)?;
    Ok(Connected {
        gateway: AnyGateway::LiteLlm(gateway),
        prober: AnyProber::LiteLlm(LiteLlmProber::new(endpoints, timeout, ca_pem)),
        admin: Some(admin),
        log: OwnLog::Source(Box::new(AnyUsage::LiteLlm(Box::new(usage)))),
        timeout,
        place: None,
        sandbox: None,
    })
}

fn unusable(problem: crate::support::http::HttpProblem) -> Fault {
    Fault::usage(problem.to_string())
}
