//! Where the API server is and how one logs in there: a context of the kubeconfig, or the service account of the pod we run in.
//!
//! A login program of the kubeconfig (`exec`) is started like every other child: with almost no environment, bounded, and with what it
//! prints treated as secret. The library would hand it our whole environment and put its output into an error.

use crate::secret::Scrubber;
use crate::support::child::{self, Child};
use crate::support::http;
use crate::support::text::clean_to;
use kube::Config;
use kube::config::{AuthInfo, ExecConfig, KubeConfigOptions, Kubeconfig};
use reqwest::Url;
use serde::Deserialize;
use std::path::Path;
use std::time::Duration;

/// Which cluster is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// A context of the kubeconfig.
    pub context: Option<String>,
    /// The uid of its namespace `kube-system`, or the address of its API server.
    pub cluster: Option<String>,
}

impl Wanted {
    /// The address that the cluster must have, where the policy gives one.
    pub(super) fn address(&self) -> Option<Url> {
        self.cluster.as_deref().filter(|c| c.contains("://")).and_then(|c| http::address(c).ok())
    }

    /// The uid that the cluster must have, where the policy gives one.
    pub(super) fn uid(&self) -> Option<&str> {
        self.cluster.as_deref().filter(|c| !c.contains("://"))
    }
}

/// Where the login is written down.
pub(super) enum Source {
    /// A context of this kubeconfig.
    File(Box<Kubeconfig>, String),
    /// The service account of this pod.
    Pod,
}

/// A way in that was found, and where it leads; nobody was asked yet.
pub(super) struct Login {
    pub(super) source: Source,
    /// The API server.
    pub(super) server: Url,
}

/// What a login program gave, as an API server takes it.
#[derive(Deserialize)]
struct Credential {
    status: Option<Given>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Given {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    expiration_timestamp: Option<String>,
}

/// What every login program gets besides PATH, HOME and LANG: names of files and profiles, no credentials.
const PASSED: [&str; 9] = [
    "KUBECONFIG",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AZURE_CONFIG_DIR",
    "CLOUDSDK_CONFIG",
    "GOOGLE_APPLICATION_CREDENTIALS",
];

/// A login program that takes longer is ended.
const PATIENCE: Duration = Duration::from_secs(60);

impl Login {
    /// Finds the way in. Reads the kubeconfig, asks nobody.
    pub(super) fn find(wanted: &Wanted, given: Option<Kubeconfig>) -> Result<Self, String> {
        if wanted.context.is_none() && wanted.cluster.is_none() {
            return Err("it names no cluster; write `context:` (a name in the kubeconfig) or `cluster:` (the uid of its namespace \
                        kube-system, or the address of its API server)"
                .into());
        }
        if wanted.cluster.as_deref().is_some_and(|c| c.contains("://")) && wanted.address().is_none() {
            return Err("its `cluster` is no address of an API server".into());
        }
        let inside = variable("KUBERNETES_SERVICE_HOST");
        let login = match (given, inside) {
            (Some(config), _) => of_kubeconfig(config, wanted)?,
            (None, Some(host)) if wanted.context.is_none() && !kubeconfig_exists() => {
                let port = variable("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".into());
                let host = if host.contains(':') { format!("[{host}]") } else { host };
                let server =
                    http::address(&format!("https://{host}:{port}")).map_err(|_| "the pod's API server has no address".to_owned())?;
                Self { source: Source::Pod, server }
            }
            (None, _) => {
                // The library's own words repeat what stands in the file.
                let config = Kubeconfig::read().map_err(|_| {
                    "the kubeconfig cannot be read, or is none; set KUBECONFIG, or log in with the tool of your cluster".to_owned()
                })?;
                of_kubeconfig(config, wanted)?
            }
        };
        match wanted.address() {
            Some(address) if !same_server(&address, &login.server) => Err(format!(
                "the login leads to {}, and the policy names another cluster ({}); nothing was asked there",
                origin(&login.server),
                origin(&address)
            )),
            Some(_) | None => Ok(login),
        }
    }

    /// The settings of a client, with what the login program gives now; and when that ends, in milliseconds since 1970.
    pub(super) async fn settings(&self, withhold: &[String], scrubber: &Scrubber) -> Result<(Config, Option<i64>), String> {
        let unusable = |_| "its settings cannot be used; check server, certificate authority and user of the context".to_owned();
        let Source::File(config, context) = &self.source else {
            return Config::incluster().map(|c| (c, None)).map_err(|_| "the pod's service account cannot be read".to_owned());
        };
        let mut config = (**config).clone();
        let options = KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
        let user = config.contexts.iter().find(|c| c.name == *context).and_then(|c| c.context.as_ref()?.user.clone());
        let mut until = None;
        let info = config.auth_infos.iter_mut().filter(|u| Some(&u.name) == user.as_ref()).find_map(|u| u.auth_info.as_mut());
        if let Some(info) = info {
            if info.auth_provider.is_some() {
                return Err("its user logs in by `auth-provider`, which Kubernetes has given up; use `exec`".into());
            }
            if let Some(exec) = info.exec.take() {
                until = run(&exec, info, withhold, scrubber).await?;
            }
        }
        let mut settings = Config::from_custom_kubeconfig(config, &options).await.map_err(unusable)?;
        let exceptions = variable("NO_PROXY").or_else(|| variable("no_proxy")).unwrap_or_default();
        if http::is_loopback(&self.server) || is_excepted(self.server.host_str().unwrap_or_default(), &exceptions) {
            settings.proxy_url = None;
        }
        Ok((settings, until))
    }
}

fn of_kubeconfig(config: Kubeconfig, wanted: &Wanted) -> Result<Login, String> {
    let server_of = |context: &str| {
        let cluster = config.contexts.iter().find(|c| c.name == context)?.context.as_ref()?.cluster.clone();
        let cluster = config.clusters.iter().find(|c| c.name == cluster)?.cluster.as_ref()?;
        http::address(cluster.server.as_deref()?).ok()
    };
    let context = match (&wanted.context, wanted.address()) {
        (Some(context), _) => context.clone(),
        (None, Some(address)) => {
            let leads = |name: &str| server_of(name).is_some_and(|server| same_server(&server, &address));
            let current = config.current_context.clone().filter(|name| leads(name));
            let any = || config.contexts.iter().map(|c| c.name.clone()).find(|name| leads(name));
            current.or_else(any).ok_or_else(|| format!("no context of the kubeconfig leads to {}", origin(&address)))?
        }
        (None, None) => config.current_context.clone().ok_or("the kubeconfig has no current context; write `context:`")?,
    };
    let named = clean_to(&context, 80);
    if !config.contexts.iter().any(|c| c.name == context) {
        return Err(format!("the kubeconfig has no context {named}"));
    }
    let server = server_of(&context).ok_or_else(|| format!("the context {named} leads to no API server"))?;
    Ok(Login { source: Source::File(Box::new(config), context), server })
}

async fn run(exec: &ExecConfig, info: &mut AuthInfo, withhold: &[String], scrubber: &Scrubber) -> Result<Option<i64>, String> {
    let program = exec.command.as_deref().ok_or("its login program has no command")?;
    let failed = |why: &str| format!("its login program {} {why}", clean_to(program, 80));
    let mut command = Child::new(program, exec.args.clone().unwrap_or_default());
    command.withhold = withhold.to_vec();
    command.time = PATIENCE;
    command.pass = PASSED.map(str::to_owned).to_vec();
    let version = exec.api_version.as_deref().unwrap_or("client.authentication.k8s.io/v1");
    let asked = serde_json::json!({ "apiVersion": version, "kind": "ExecCredential", "spec": { "interactive": false } });
    let pairs = exec.env.iter().flatten().filter_map(|pair| Some((pair.get("name")?.clone(), pair.get("value")?.clone())));
    command.set = pairs.chain([("KUBERNETES_EXEC_INFO".to_owned(), asked.to_string())]).collect();
    let finished = child::run(&command, scrubber, |_| Ok(())).await.map_err(|_| failed("cannot be started, or takes too long"))?;
    if !finished.succeeded() {
        // What it complained about may hold what it was given.
        return Err(failed("failed; run it by hand to see why"));
    }
    let given = serde_json::from_slice::<Credential>(finished.output()).ok().and_then(|c| c.status);
    let given = given.ok_or_else(|| failed("printed no credential"))?;
    if given.token.is_none() && (given.client_certificate_data.is_none() || given.client_key_data.is_none()) {
        return Err(failed("printed neither a token nor a certificate with its key"));
    }
    if let Some(token) = given.token {
        scrubber.add("kubernetes token", &crate::secret::SecretText::new(token.as_str()));
        info.token = Some(token.into());
    }
    // The program gives PEM, the kubeconfig holds it in base64.
    let packed = |pem: String| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pem);
    info.client_certificate_data = given.client_certificate_data.map(packed).or_else(|| info.client_certificate_data.take());
    info.client_key_data = given.client_key_data.map(|pem| packed(pem).into()).or_else(|| info.client_key_data.take());
    Ok(given.expiration_timestamp.and_then(|at| crate::rotation::Time::parse(&at)).map(|t| t.0))
}

/// Whether a host is reached without a proxy; the library asks this about the proxy instead of the host.
fn is_excepted(host: &str, exceptions: &str) -> bool {
    exceptions.split(',').map(|e| e.trim().trim_start_matches('.')).filter(|e| !e.is_empty()).any(|except| {
        let below = host.strip_suffix(except).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        except == "*" || below
    })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

fn kubeconfig_exists() -> bool {
    variable("KUBECONFIG").is_some() || variable("HOME").is_some_and(|home| Path::new(&home).join(".kube/config").exists())
}

pub(super) fn same_server(a: &Url, b: &Url) -> bool {
    origin(a) == origin(b) && a.path().trim_end_matches('/') == b.path().trim_end_matches('/')
}

/// Scheme, host and port.
pub(super) fn origin(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or_default();
    clean_to(&format!("{}://{}:{port}", url.scheme(), url.host_str().unwrap_or_default()), 300)
}

#[cfg(test)]
#[path = "login_tests.rs"]
mod tests;
