//! HTTP clients that do exactly one thing per call: no redirects (a credential would follow them), no retries (a lost
//! answer may hide a made key), bounded bodies, and errors that repeat no address.
//!
//! Making a client loads the machine's TLS roots, so it happens when the first call needs it and not before.

use std::cell::OnceCell;
use std::time::Duration;

use reqwest::{Certificate, Client, Response, Url};
use thiserror::Error;
use zeroize::Zeroizing;

/// Most answers that hold a secret are shorter than this.
const USUAL_BODY: usize = 64 * 1024;

/// What a client is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// Reads; connections are used again for a short while.
    Reading,
    /// Changes something outside. Every call has a connection of its own: a library may send a request again when a kept
    /// connection turns out to be closed.
    Changing,
}

/// How a client is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// What it is for.
    pub calls: Calls,
    /// Time for name, connection and TLS.
    pub connect: Duration,
    /// Time for the whole call, the body included.
    pub total: Duration,
    /// A private certificate authority as PEM, trusted beside the machine's own.
    pub ca_pem: Option<Vec<u8>>,
    /// Whether `HTTPS_PROXY` and its like apply.
    pub proxy: bool,
    /// Whether the machine's TLS roots are loaded, which takes a while.
    pub roots: bool,
}

impl Options {
    /// Ten seconds to connect, thirty in all, proxies as the environment says.
    pub fn new(calls: Calls) -> Self {
        Self { calls, connect: Duration::from_secs(10), total: Duration::from_secs(30), ca_pem: None, proxy: true, roots: true }
    }

    /// For calls to this address: no proxy reaches our own loopback, and what needs no TLS there needs no roots.
    pub fn to(calls: Calls, url: &Url) -> Self {
        let near = is_loopback(url);
        Self { proxy: !near, roots: !near || url.scheme() != "http", ..Self::new(calls) }
    }
}

/// Two clients to one system, for reading and for changing, each made when the first call needs it.
pub struct Clients {
    timeout: Duration,
    ca_pem: Option<Vec<u8>>,
    /// Without TLS, on this machine.
    plain: Pair,
    /// On this machine: no proxy reaches our own loopback.
    near: Pair,
    far: Pair,
}

#[derive(Default)]
struct Pair {
    reading: OnceCell<Client>,
    changing: OnceCell<Client>,
}

impl Clients {
    /// With one limit for every call.
    pub fn new(timeout: Duration, ca_pem: Option<Vec<u8>>) -> Self {
        Self { timeout, ca_pem, plain: Pair::default(), near: Pair::default(), far: Pair::default() }
    }

    /// The client for such calls to this address.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn get(&self, calls: Calls, url: &Url) -> Result<&Client, HttpProblem> {
        let mut options = Options::to(calls, url);
        let pair = match (options.proxy, options.roots) {
            (true, _) => &self.far,
            (false, true) => &self.near,
            (false, false) => &self.plain,
        };
        let cell = match calls {
            Calls::Reading => &pair.reading,
            Calls::Changing => &pair.changing,
        };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        options.connect = options.connect.min(self.timeout);
        options.total = self.timeout;
        options.ca_pem.clone_from(&self.ca_pem);
        let client = client(&options)?;
        Ok(cell.get_or_init(|| client))
    }
}

/// An address of this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        None => false,
    }
}

/// Makes a client.
pub fn client(options: &Options) -> Result<Client, HttpProblem> {
    let mut builder = Client::builder()
        .user_agent(concat!("keyroll/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(options.connect)
        .timeout(options.total);
    builder = match options.calls {
        Calls::Reading => builder.pool_idle_timeout(Duration::from_secs(5)).pool_max_idle_per_host(2),
        Calls::Changing => builder.pool_max_idle_per_host(0).http1_only(),
    };
    if let Some(pem) = &options.ca_pem {
        let roots = Certificate::from_pem_bundle(pem).map_err(|_| HttpProblem::Authority)?;
        if roots.is_empty() {
            return Err(HttpProblem::Authority);
        }
        builder = builder.tls_certs_merge(roots);
    }
    if !options.roots {
        builder = builder.tls_certs_only(Vec::new());
    }
    if !options.proxy {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| HttpProblem::Client { why: why(&error) })
}

/// What the `Date` header of an answer says, in milliseconds since 1970: the middle of the second that it names.
pub fn date_millis(headers: &reqwest::header::HeaderMap) -> Option<i64> {
    date_text_millis(headers.get("date")?.to_str().ok()?)
}

/// The same for the header's text.
pub fn date_text_millis(text: &str) -> Option<i64> {
    chrono::DateTime::parse_from_rfc2822(text).ok()?.timestamp_millis().checked_add(500)
}

/// Reads an address of a service: http or https, with a host, and without a user or password in it.
pub fn address(text: &str) -> Result<Url, HttpProblem> {
    let url = Url::parse(text).map_err(|_| HttpProblem::Address)?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(HttpProblem::Address);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(HttpProblem::Credentials);
    }
    Ok(url)
}

/// Whether an id from a gateway may be used at all: in an address, a marker, a file name.
pub fn is_plain_id(id: &str) -> bool {
    (1..=256).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:@-".contains(&byte))
        && id.bytes().any(|byte| byte != b'.')
}

/// `base` with more path segments. Each is encoded as one, so that no id can lead elsewhere; `.` and `..` are refused.
pub fn join(base: &Url, segments: &[&str]) -> Result<Url, HttpProblem> {
    let mut url = base.clone();
    if segments.iter().any(|segment| segment.is_empty() || segment.bytes().all(|byte| byte == b'.')) {
        return Err(HttpProblem::Segment);
    }
    url.path_segments_mut().map_err(|()| HttpProblem::Address)?.pop_if_empty().extend(segments);
    Ok(url)
}

/// The body, if it is no longer than `limit` bytes after unpacking. It may hold a secret, so it leaves memory when dropped.
pub async fn read_bounded(mut response: Response, limit: usize) -> Result<Zeroizing<Vec<u8>>, HttpProblem> {
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(HttpProblem::TooLarge { limit });
    }
    // Room for a usual answer at once: a vector that grows leaves copies behind.
    let mut body = Zeroizing::new(Vec::with_capacity(limit.min(USUAL_BODY)));
    while let Some(chunk) = response.chunk().await.map_err(|error| HttpProblem::of(&error))? {
        if chunk.len() > limit - body.len() {
            return Err(HttpProblem::TooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Why a call gave no answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HttpProblem {
    /// Not an address of a service.
    #[error("read the address: expected http:// or https:// and a host")]
    Address,
    /// A secret in an address ends up in logs.
    #[error("accept the address: it holds a user or password; give credentials as a reference")]
    Credentials,
    /// A part of a path that would lead elsewhere.
    #[error("build the address: a part of its path is empty or only dots; check the name it comes from")]
    Segment,
    /// No certificate authority.
    #[error("read the private certificate authority: no PEM certificate in it; give the file of the authority, not of the server")]
    Authority,
    /// The client could not be made.
    #[error("prepare TLS: {why}; check the machine's certificate store")]
    Client {
        /// What the library said.
        why: String,
    },
    /// Too long an answer.
    #[error("read the answer: it is longer than {limit} bytes; check that the address is the service's own")]
    TooLarge {
        /// What was allowed.
        limit: usize,
    },
    /// No connection, so nothing was sent.
    #[error("connect: {why}; check the address, the network and the certificate")]
    NotSent {
        /// What went wrong.
        why: String,
    },
    /// The request may have arrived and been acted on.
    #[error("get an answer: {why}; the request may have taken effect, look before trying again")]
    NoAnswer {
        /// What went wrong.
        why: String,
    },
}

impl HttpProblem {
    /// Sorts a failed call by what it means for the outside.
    pub fn of(error: &reqwest::Error) -> Self {
        if error.is_connect() || error.is_builder() { Self::NotSent { why: why(error) } } else { Self::NoAnswer { why: why(error) } }
    }

    /// Whether a changing call may have taken effect although it failed. When in doubt: yes.
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::TooLarge { .. } | Self::NoAnswer { .. } => true,
            Self::Address | Self::Credentials | Self::Segment | Self::Authority | Self::Client { .. } | Self::NotSent { .. } => false,
        }
    }
}

/// The innermost cause, which says most and holds no address; the outer texts of the library repeat it.
fn why(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "timed out".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = if cause.downcast_ref::<reqwest::Error>().is_some() {
        // The library's own text ends with the address; say the kind only.
        if error.is_decode() { "the body cannot be decoded".to_owned() } else { "the request failed".to_owned() }
    } else {
        cause.to_string()
    };
    super::text::clean_to(&text, 200)
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
