//! From the policy's `gateway: { aisix: … }` to its admin side, its data side, and where its use can be seen.

use super::gateway::{Connected, OwnLog, Tools};
use crate::adapters::gateway::{
    AISIX_LIVE_WITHIN, AdminAccess, AisixOwnCalls, AisixSettings, AisixStore, AnyGateway, AnyProber, EtcdAccess, FileAccess, aisix,
};
use crate::adapters::usage::{AisixUsage, AisixWatches, AnyUsage, JsonlUsage};
use crate::cli::fault::{Fault, exit};
use crate::policy::model::aisix::{Aisix, CallerOf, Resources};
use crate::policy::scalar::Period;
use crate::rotation::Span;
use crate::secret::{SecretText, sha256_hex};
use crate::support::own_call;
use crate::usage::{AisixCaller, Mapping, Ours, Settings, Shape};
use std::path::PathBuf;
use std::rc::Rc;

/// A line is written when its request has ended, with a time in whole seconds.
const LAG: Span = Span(1500);

/// Nothing is contacted; credentials are read from where their references point.
pub(super) async fn connect(tools: &Tools<'_>, written: &Aisix) -> Result<Connected, Fault> {
    let timeout = tools.call_timeout(written.call_timeout);
    let ca_pem = match &written.ca_file {
        Some(path) => Some(std::fs::read(path).map_err(|e| Fault::usage(format!("read the certificate authority {path}: {e}")))?),
        None => None,
    };
    let admin = match written.admin() {
        Some(reference) => Some(tools.admin(reference).await?),
        None => None,
    };
    let store = store(tools, written, admin.as_ref())?;
    let plain = |url: &str| url.trim_end_matches('/').to_owned();
    let replicas: Vec<(String, String, Option<String>)> =
        written.replicas.iter().map(|r| (plain(r.proxy.as_str()), plain(r.status.as_str()), r.log.clone())).collect();
    let span = |period: Period| Span(period.as_millis());
    let own = AisixOwnCalls::default();
    let log = log(tools, written, &replicas, &own, timeout, ca_pem.clone())?;
    let (gateway, prober) = aisix(AisixSettings {
        store,
        replicas,
        provider: written.provider_key.as_ref().map(|key| (key.id.clone(), key.name.clone())),
        provider_url: written.provider_url.as_ref().map(|url| url.as_str().to_owned()),
        lifetime: written.lifetime.map(span),
        live_within: written.live_within.map_or(AISIX_LIVE_WITHIN, span),
        call_timeout: timeout,
        ca_pem,
        fingerprints: tools.fingerprints.clone(),
        own,
    })
    .map_err(|e| Fault::usage(e.to_string()))?;
    Ok(Connected {
        gateway: AnyGateway::Aisix(gateway),
        prober: AnyProber::Aisix(prober),
        admin,
        log: OwnLog::Source(Box::new(log)),
        timeout,
        place: None,
        sandbox: None,
    })
}

fn store(tools: &Tools<'_>, written: &Aisix, admin: Option<&SecretText>) -> Result<AisixStore, Fault> {
    match &written.resources {
        Resources::Etcd(etcd) => {
            let login = match (&etcd.user, admin) {
                (Some(user), Some(password)) => Some((user.clone(), password.duplicate())),
                (None, None) => None,
                (Some(_), None) | (None, Some(_)) => {
                    return Err(Fault::usage("log in to etcd: `user` and `password` belong together"));
                }
            };
            let prefix = etcd.prefix.clone().unwrap_or_else(|| "/aisix".to_owned());
            Ok(AisixStore::Etcd(EtcdAccess { url: etcd.url.as_str().to_owned(), prefix, login }))
        }
        Resources::AdminApi(api) => {
            let Some(key) = admin else { return Err(Fault::usage("reach the admin API of AISIX: it has no key")) };
            if written.provider_key.is_none() && api.no_hidden_fields != Some(true) {
                let said = "change a caller key through the admin API: it hides display name, team and user, and a change removes them";
                return Err(Fault::new(exit::REFUSED, said)
                    .hint("`resources: { etcd: … }` sees everything; `no_hidden_fields: true` says that no key has any of them"));
            }
            Ok(AisixStore::Admin(AdminAccess { url: api.url.as_str().to_owned(), key: key.duplicate() }))
        }
        Resources::File(file) => Ok(AisixStore::File(FileAccess {
            path: PathBuf::from(&file.path),
            reload: file.reload.clone(),
            withhold: tools.references.withhold.clone(),
            scrubber: tools.scrubber.clone(),
        })),
    }
}

/// Where use is seen: in the access logs of all processes, else in their counters, which are kept in the state folder from one process of
/// ours to the next.
fn log(
    tools: &Tools<'_>,
    written: &Aisix,
    replicas: &[(String, String, Option<String>)],
    own: &AisixOwnCalls,
    timeout: Span,
    ca_pem: Option<Vec<u8>>,
) -> Result<AnyUsage, Fault> {
    let logs: Vec<String> = replicas.iter().filter_map(|(_, _, log)| log.clone()).collect();
    // Up to 0.8.2 a request has the gateway's id and not ours, so a line of ours is not told from others.
    let ids = !matches!(written.resources, Resources::AdminApi(_));
    if written.provider_key.is_none() && ids && logs.len() == replicas.len() {
        return access_log(tools, written, logs);
    }
    let watches = match (&written.provider_key, &written.caller) {
        (Some(_), _) => AisixWatches::Provider,
        (None, Some(CallerOf::Always(app))) => AisixWatches::Caller(Some(app.as_str().to_owned())),
        (None, Some(CallerOf::RequestId) | None) => AisixWatches::Caller(None),
    };
    let processes: Vec<(String, String)> = replicas.iter().map(|(proxy, status, _)| (proxy.clone(), status.clone())).collect();
    let name = sha256_hex(processes.iter().map(|(_, status)| status.as_str()).collect::<Vec<_>>().join(" ").as_bytes());
    let memory = tools.state.root().join(format!("counters-{}.json", name.get(..12).unwrap_or(&name)));
    let usage = AisixUsage::new(&processes, watches, own.clone(), memory, (timeout, ca_pem)).map_err(|e| Fault::usage(e.to_string()))?;
    Ok(AnyUsage::Aisix(Box::new(usage)))
}

fn access_log(tools: &Tools<'_>, written: &Aisix, paths: Vec<String>) -> Result<AnyUsage, Fault> {
    let mut settings = Settings::new(paths, Mapping::generic());
    settings.shape = Shape::Aisix(match &written.caller {
        None => AisixCaller::Unknown,
        Some(CallerOf::RequestId) => AisixCaller::RequestId,
        Some(CallerOf::Always(app)) => AisixCaller::Always(app.as_str().to_owned()),
    });
    settings.lag = LAG;
    settings.sees_refused = Some(written.sees_refused.unwrap_or(true));
    let key = tools.fingerprints.clone();
    settings.ours = Ours(Rc::new(move |id| own_call::is_ours(&key, id)));
    JsonlUsage::new(settings).map(|source| AnyUsage::Jsonl(Box::new(source))).map_err(|e| Fault::usage(e.to_string()))
}
