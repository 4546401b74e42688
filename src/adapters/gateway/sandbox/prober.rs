//! The data side of the sandbox. Every call has a connection of its own, so that no kept connection speaks for a replica.

use super::Keys;
use super::rows::WhoAmI;
use crate::adapters::gateway::probe::{self, Dialect};
use crate::adapters::gateway::wire::{Call, Http, Reply};
use crate::ports::{CallAnswer, PortError, Prober, Result};
use crate::rotation::{CallClass, Endpoint, KeyId, Probe, RequestId, Span};
use crate::secret::SecretText;
use crate::support::http::{self, Calls, HttpProblem};
use reqwest::Method;
use serde_json::Value;

const ROUTER: Dialect = Dialect {
    refused_status: 401,
    refused_types: &["invalid_api_key"],
    refused_codes: &["key_disabled", "key_unknown", "key_expired"],
    upstream_types: &["upstream_error"],
};

const PROVIDER: Dialect =
    Dialect { refused_status: 401, refused_types: &["invalid_api_key"], refused_codes: &["invalid_api_key"], upstream_types: &[] };

/// Calls the data plane with a credential.
pub struct SandboxProber {
    endpoints: Vec<Endpoint>,
    keys: Keys,
    http: Http,
}

impl SandboxProber {
    /// For keys that applications present. The endpoints are those that identify a credential, tried in order.
    pub fn router(endpoints: Vec<Endpoint>, call_timeout: Span) -> Self {
        Self { endpoints, keys: Keys::Router, http: Http::new(call_timeout, None) }
    }

    /// For keys that the gateway presents upstream: the provider itself is called.
    pub fn provider(endpoints: Vec<Endpoint>, call_timeout: Span) -> Self {
        Self { endpoints, keys: Keys::Provider, http: Http::new(call_timeout, None) }
    }

    async fn send(
        &self,
        endpoint: &Endpoint,
        method: Method,
        path: &[&str],
        secret: &SecretText,
        request: &RequestId,
        body: Option<&Value>,
    ) -> std::result::Result<Reply, HttpProblem> {
        let base = http::address(endpoint.as_str())?;
        let prefix: &[&str] = match self.keys {
            Keys::Router => &["v1"],
            Keys::Provider => &["upstream", "v1"],
        };
        let url = http::join(&base, &[prefix, path].concat())?;
        let headers = [("x-request-id", request.as_str()), ("x-keyroll-purpose", "probe"), ("x-client-app", "keyroll")];
        self.http.send(Call { calls: Calls::Changing, method, url, bearer: Some(secret), headers: &headers, body }).await
    }
}

impl Prober for SandboxProber {
    async fn call(&self, endpoint: &Endpoint, probe: &Probe, secret: &SecretText, request: &RequestId) -> CallAnswer {
        let Some((path, body)) = probe::request(probe) else { return CallAnswer { class: CallClass::Unknown, status: 0 } };
        let dialect = match self.keys {
            Keys::Router => ROUTER,
            Keys::Provider => PROVIDER,
        };
        match self.send(endpoint, Method::POST, path, secret, request, Some(&body)).await {
            Ok(reply) => CallAnswer { class: probe::judge(probe, &reply, &dialect), status: reply.status },
            Err(problem) => probe::unanswered(&problem),
        }
    }

    async fn identify(&self, secret: &SecretText, request: &RequestId) -> Result<Option<KeyId>> {
        // The provider does not say whose key a value is.
        let (Keys::Router, Some(endpoint)) = (self.keys, self.endpoints.first()) else { return Ok(None) };
        let system = format!("sandbox data plane at {endpoint}");
        let unreachable = |why: String| PortError::Unreachable { system: system.clone(), why, may_have_happened: false };
        let sent = self.send(endpoint, Method::GET, &["whoami"], secret, request, None).await;
        let reply = sent.map_err(|e| unreachable(e.to_string()))?;
        if reply.status == ROUTER.refused_status {
            // A refused credential belongs to nobody, as far as this gateway tells.
            return Ok(None);
        }
        if !reply.is_success() {
            return Err(unreachable(format!("status {} when asked whose key a value is", reply.status)));
        }
        let row: WhoAmI = serde_json::from_slice(&reply.body)
            .map_err(|_| PortError::Unreadable { system: system.clone(), why: "it does not say whose key a value is".into() })?;
        if KeyId::is_safe(&row.key_id) {
            Ok(Some(KeyId::new(row.key_id)))
        } else {
            Err(PortError::Unreadable { system: system.clone(), why: "an id has a shape that cannot be used in a path".into() })
        }
    }
}
