//! From the policy's `gateway: { new_api: … }` to its admin side, its data side, and its log.

use super::gateway::{Connected, OwnLog, Tools, certificate};
use crate::adapters::gateway::{Access, AnyGateway, AnyProber, Ledger, NewApiGateway, NewApiProber, NewApiSettings};
use crate::adapters::usage::{AnyUsage, NEW_API_LAG, NewApiUsage, NewApiUsageSettings};
use crate::cli::fault::Fault;
use crate::policy::model::newapi::{NewApi, Preset, Quota};
use crate::rotation::Span;
use crate::secret::sha256_hex;
use std::rc::Rc;

/// The usual sync interval: a failed write to the cache leaves the old state there for so long.
const PROPAGATION: Span = Span::seconds(60);

/// Nothing is contacted; the admin credential is read from where its reference points.
pub(super) async fn connect(tools: &Tools<'_>, written: &NewApi) -> Result<Connected, Fault> {
    let (console, router, unconfirmed) = match written.preset {
        Some(Preset::Flatkey) => (Some("https://console.flatkey.ai"), Some("https://router.flatkey.ai"), Some("flatkey")),
        None => (None, None, None),
    };
    let given = written.url.as_ref().map(|url| url.as_str());
    let Some(base) = given.or(console) else {
        return Err(Fault::usage("reach the gateway: neither `url` nor `preset` is given").hint("`url` is the address of the console"));
    };
    let base = base.trim_end_matches('/').to_owned();
    // A console that is named stands for the router too, unless that one is named.
    let router = if given.is_some() { None } else { router };
    let data = written.data.as_ref().map(|url| url.as_str()).or(router).unwrap_or(&base).trim_end_matches('/').to_owned();
    let admin = tools.admin(&written.admin).await?;
    let timeout = tools.call_timeout(written.call_timeout);
    let ca_pem = certificate(written.ca_file.as_deref())?;
    let settings = NewApiSettings {
        user: written.user,
        data,
        propagation: written.propagation.map_or(PROPAGATION, |p| Span(p.as_millis())),
        quota_as_left: matches!(written.quota, Some(Quota::SameAsLeft)),
        unconfirmed,
    };
    let access = || Access { base: base.clone(), admin: admin.duplicate(), call_timeout: timeout, ca_pem: ca_pem.clone() };
    let unusable = |e: crate::support::http::HttpProblem| Fault::usage(e.to_string());
    let gateway = || NewApiGateway::new(access(), settings.clone()).map_err(unusable);
    let name: String = sha256_hex(base.as_bytes()).chars().take(16).collect();
    let ledger = Rc::new(Ledger::new(tools.state.root().join("calls").join(format!("{name}.jsonl"))));
    let doubt = unconfirmed.map(|product| format!("; preset {product}: unconfirmed, it is taken for a new-api")).unwrap_or_default();
    let usage = NewApiUsage::new(
        access(),
        NewApiUsageSettings {
            lister: gateway()?,
            ledger: ledger.clone(),
            user: written.user,
            lag: written.log_lag.map_or(NEW_API_LAG, |p| Span(p.as_millis())),
            source: format!("the log of user {} of new-api at {base}, by the names of tokens{doubt}", written.user),
        },
    )
    .map_err(unusable)?;
    Ok(Connected {
        gateway: AnyGateway::NewApi(Box::new(gateway()?)),
        prober: AnyProber::NewApi(Box::new(NewApiProber::new(gateway()?, timeout, ca_pem.clone(), ledger))),
        admin: Some(admin),
        log: OwnLog::Source(Box::new(AnyUsage::NewApi(Box::new(usage)))),
        timeout,
        place: None,
        sandbox: None,
    })
}
