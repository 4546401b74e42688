//! The API server: who it is, and one call at a time.
//!
//! Nothing is sent to a cluster before it has shown to be the one that the policy names. A call leaves once: the library's own repeats
//! are off, and no connection is used twice. An answer is read to a bound and leaves memory when dropped.

use super::login::{Login, Wanted, origin};
use super::problem::Problem;
use crate::secret::Scrubber;
use crate::support::clock;
use crate::support::text::clean_to;
use http_body_util::BodyExt as _;
use hyper::{Method, Request};
use kube::Client;
use kube::client::{Body, ClientBuilder};
use kube::config::Kubeconfig;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::cell::{Cell, OnceCell, RefCell};
use std::io::ErrorKind;
use std::time::Duration;
use zeroize::Zeroizing;

/// No answer is longer: a page of objects is bounded by the number asked for.
const LONGEST: usize = 32 * 1024 * 1024;
/// Objects of one page.
const PAGE: usize = 200;
/// No listing has more pages.
const PAGES: usize = 500;
/// A login is renewed this long before it ends.
const EARLY: i64 = 60_000;
/// Merges maps, and removes what is null.
const MERGE: &str = "application/merge-patch+json";

/// One cluster.
pub struct Cluster {
    wanted: Wanted,
    login: Login,
    timeout: Duration,
    withhold: Vec<String>,
    scrubber: Scrubber,
    client: RefCell<Option<(Client, Option<i64>)>>,
    confirmed: Cell<bool>,
    who: OnceCell<String>,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) body: Zeroizing<Vec<u8>>,
    /// The server's clock, in milliseconds since 1970, to the second.
    pub(crate) date: Option<i64>,
}

/// The parts of a page that every listing has.
#[derive(Deserialize)]
struct Page<T> {
    #[serde(default = "Vec::new")]
    items: Vec<T>,
    #[serde(default)]
    metadata: PageMeta,
}

#[derive(Deserialize, Default)]
struct PageMeta {
    #[serde(default, rename = "continue")]
    more: Option<String>,
}

impl Cluster {
    /// A cluster; nobody is asked yet. `given` stands for the kubeconfig of the environment.
    ///
    /// # Errors
    /// When no way in is found, or the way in leads to another cluster.
    pub fn new(
        wanted: Wanted,
        given: Option<Kubeconfig>,
        timeout: Duration,
        withhold: Vec<String>,
        scrubber: Scrubber,
    ) -> Result<Self, String> {
        let login = Login::find(&wanted, given)?;
        let (client, confirmed, who) = (RefCell::new(None), Cell::new(false), OnceCell::new());
        Ok(Self { wanted, login, timeout, withhold, scrubber, client, confirmed, who })
    }

    /// Scheme, host and port of the API server.
    pub fn server(&self) -> String {
        origin(&self.login.server)
    }

    async fn client(&self) -> Result<Client, Problem> {
        let fresh = |until: &Option<i64>| until.is_none_or(|at| clock::wall_millis() < at.saturating_sub(EARLY));
        if let Some((client, until)) = &*self.client.borrow()
            && fresh(until)
        {
            return Ok(client.clone());
        }
        let (mut config, until) = self.login.settings(&self.withhold, &self.scrubber).await.map_err(Problem::Refused)?;
        config.default_retry = false;
        config.connect_timeout = Some(self.timeout);
        config.read_timeout = Some(self.timeout);
        config.write_timeout = Some(self.timeout);
        // The library's words may hold what the kubeconfig holds.
        let unusable = |_| Problem::Refused("the login's settings make no client; check certificates and proxy of the context".into());
        let client = ClientBuilder::try_from(config).map_err(unusable)?.build();
        *self.client.borrow_mut() = Some((client.clone(), until));
        Ok(client)
    }

    /// Makes sure that this is the cluster that the policy names.
    async fn confirm(&self) -> Result<(), Problem> {
        let Some(uid) = self.wanted.uid().filter(|_| !self.confirmed.get()) else { return Ok(()) };
        #[derive(Deserialize)]
        struct Namespace {
            metadata: Meta,
        }
        #[derive(Deserialize)]
        struct Meta {
            uid: String,
        }
        let answer = self.once(Method::GET, "/api/v1/namespaces/kube-system", None, None).await.map_err(|e| match e {
            Problem::Refused(why) => Problem::Refused(format!(
                "which cluster this is could not be asked (namespace kube-system): {why}; or name it by its address"
            )),
            Problem::Missing | Problem::Stale => Problem::Unreadable("it has no namespace kube-system".into()),
            other @ (Problem::NotSent(_) | Problem::Lost(_) | Problem::Login | Problem::Unreadable(_)) => other,
        })?;
        let there: Namespace = parse(&answer.body)?;
        if there.metadata.uid != uid {
            let why = format!(
                "this is cluster {}, and the policy names {}; nothing was changed there",
                clean_to(&there.metadata.uid, 64),
                clean_to(uid, 64)
            );
            return Err(Problem::Refused(why));
        }
        self.confirmed.set(true);
        Ok(())
    }

    /// Reads one thing.
    pub(crate) async fn get(&self, path: &str) -> Result<Answer, Problem> {
        match self.confirm().await {
            Err(Problem::Login) => {
                self.client.borrow_mut().take();
                self.confirm().await?;
            }
            other => other?,
        }
        match self.once(Method::GET, path, None, None).await {
            // The login may have ended early: a read may be repeated with a new one.
            Err(Problem::Login) => {
                self.client.borrow_mut().take();
                self.once(Method::GET, path, None, None).await
            }
            other => other,
        }
    }

    /// Reads one thing that may not be there.
    pub(crate) async fn find(&self, path: &str) -> Result<Option<Answer>, Problem> {
        match self.get(path).await {
            Ok(answer) => Ok(Some(answer)),
            Err(Problem::Missing) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Reads one thing into a type.
    pub(crate) async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        parse(&self.get(path).await?.body)
    }

    /// All pages of a listing, and the server's clock.
    pub(crate) async fn list<T: DeserializeOwned>(&self, path: &str, selector: &str) -> Result<(Vec<T>, Option<i64>), Problem> {
        let (mut all, mut more, mut date) = (Vec::new(), String::new(), None);
        for _ in 0..PAGES {
            let mut url = format!("{path}?limit={PAGE}");
            for (name, value) in [("labelSelector", selector), ("continue", more.as_str())] {
                if !value.is_empty() {
                    url.push_str(&format!("&{name}={}", escaped(value)));
                }
            }
            let answer = self.get(&url).await?;
            date = answer.date.or(date);
            let page: Page<T> = parse(&answer.body)?;
            all.extend(page.items);
            more = page.metadata.more.unwrap_or_default();
            if more.is_empty() {
                return Ok((all, date));
            }
        }
        Err(Problem::Unreadable("a listing has no end".into()))
    }

    /// Makes one thing. Sent once.
    pub(crate) async fn create(&self, path: &str, body: Zeroizing<Vec<u8>>) -> Result<Answer, Problem> {
        self.confirm().await?;
        let path = format!("{path}?fieldManager=keyroll");
        self.once(Method::POST, &path, Some("application/json"), Some(body)).await
    }

    /// Changes parts of one thing. Sent once.
    pub(crate) async fn patch(&self, path: &str, body: Zeroizing<Vec<u8>>) -> Result<Answer, Problem> {
        self.confirm().await?;
        let path = format!("{path}?fieldManager=keyroll");
        self.once(Method::PATCH, &path, Some(MERGE), Some(body)).await
    }

    /// Removes one thing, if it is still this one. Sent once.
    pub(crate) async fn delete(&self, path: &str, uid: &str, version: &str) -> Result<(), Problem> {
        self.confirm().await?;
        let body = serde_json::json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": { "uid": uid, "resourceVersion": version },
        });
        let body = Zeroizing::new(body.to_string().into_bytes());
        self.once(Method::DELETE, path, Some("application/json"), Some(body)).await.map(drop)
    }

    /// Who we are there, in words, asked once. It is for people; without an answer everything still works.
    pub(crate) async fn who(&self) -> &str {
        if let Some(who) = self.who.get() {
            return who;
        }
        let body = serde_json::json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" });
        let asked = self.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", Zeroizing::new(body.to_string().into_bytes())).await;
        let name = asked.ok().and_then(|a| serde_json::from_slice::<serde_json::Value>(&a.body).ok());
        let name = name.as_ref().and_then(|v| v.pointer("/status/userInfo/username")?.as_str());
        let said = name.map_or_else(|| "who writes could not be asked".to_owned(), |n| format!("written as {}", clean_to(n, 160)));
        self.who.get_or_init(|| said)
    }

    /// Whether we may do this there; none when that could not be asked.
    pub(crate) async fn may(&self, namespace: &str, verb: &str, group: &str, resource: &str, name: &str) -> Option<bool> {
        let body = serde_json::json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": { "namespace": namespace, "verb": verb, "group": group, "resource": resource, "name": name } },
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer = self.create(path, Zeroizing::new(body.to_string().into_bytes())).await.ok()?;
        let answer: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
        answer.pointer("/status/allowed")?.as_bool()
    }

    /// One call. Its state lies on the heap: it is large, and every verb holds several.
    async fn once(&self, method: Method, path: &str, kind: Option<&str>, body: Option<Zeroizing<Vec<u8>>>) -> Result<Answer, Problem> {
        Box::pin(self.call(method, path, kind, body)).await
    }

    async fn call(&self, method: Method, path: &str, kind: Option<&str>, body: Option<Zeroizing<Vec<u8>>>) -> Result<Answer, Problem> {
        let client = self.client().await?;
        let makes = method == Method::POST;
        let doing = format!("{} {}", method.as_str().to_ascii_lowercase(), path.split('?').next().unwrap_or_default());
        let mut request = Request::builder().method(method).uri(path);
        // A connection of its own for each call: none is found closed, and nothing is sent again.
        request = request.header("accept", "application/json").header("connection", "close");
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let body = body.map_or_else(Body::empty, |b| Body::from(b.to_vec()));
        let request = request.body(body).map_err(|_| Problem::Refused("the call cannot be written".into()))?;
        let answer = client.send(request).await.map_err(|e| of_library(&e))?;
        let status = answer.status().as_u16();
        let date = answer.headers().get("date").and_then(|d| d.to_str().ok()).and_then(http_date);
        let body = bounded(answer.into_body()).await;
        match status {
            200..=299 => Ok(Answer { body: body?, date }),
            404 if makes => Err(Problem::Refused("the API server knows no such place; is the namespace there?".into())),
            // Absence counts only in the words of an API server about this very thing.
            404 if !body.is_ok_and(|b| says_not_found(&b, path)) => {
                Err(Problem::Unreadable("the answer 404 is not an API server's; check the address".into()))
            }
            _ => Err(Problem::of_status(status, &clean_to(&doing, 200))),
        }
    }
}

/// Reads an answer into a type. The error repeats nothing of it.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|_| Problem::Unreadable("the answer is not what the API promises".into()))
}

async fn bounded(mut body: Body) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let mut whole = Zeroizing::new(Vec::with_capacity(64 * 1024));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::Lost("the connection ended within the answer".into()))?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > LONGEST.saturating_sub(whole.len()) {
            return Err(Problem::Lost(format!("the answer is longer than {LONGEST} bytes")));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole)
}

fn says_not_found(body: &[u8], path: &str) -> bool {
    let Ok(said) = serde_json::from_slice::<serde_json::Value>(body) else { return false };
    let text = |at: &str| said.pointer(at).and_then(serde_json::Value::as_str);
    let last = path.split('?').next().and_then(|p| p.rsplit('/').next());
    text("/kind") == Some("Status") && text("/reason") == Some("NotFound") && text("/details/name") == last
}

/// By what the library failed on; its own words may hold a token or a program's output.
fn of_library(error: &kube::Error) -> Problem {
    if let kube::Error::Auth(_) = error {
        return Problem::Refused("the login cannot be used; log in again".into());
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    // Chains are short; a bound costs nothing.
    for _ in 0..16 {
        let Some(now) = cause else { break };
        if now.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(hyper_util::client::legacy::Error::is_connect) {
            return Problem::NotSent(
                "no connection; check the address of the API server, the network and the certificate authority".into(),
            );
        }
        if let Some(io) = now.downcast_ref::<std::io::Error>()
            && io.kind() == ErrorKind::ConnectionRefused
        {
            return Problem::NotSent("no connection; nobody listens at the address of the API server".into());
        }
        cause = now.source();
    }
    Problem::Lost("the connection ended before the answer, or it did not come in time".into())
}

/// `Tue, 15 Nov 1994 08:12:31 GMT`.
fn http_date(text: &str) -> Option<i64> {
    let text = text.trim().strip_suffix(" GMT")?;
    chrono::NaiveDateTime::parse_from_str(text, "%a, %d %b %Y %H:%M:%S").ok().map(|t| t.and_utc().timestamp_millis())
}

fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    #[test]
    fn absence_is_an_api_servers_own_word_about_this_very_thing() {
        let said = |name: &str, reason: &str| {
            serde_json::json!({ "kind": "Status", "reason": reason, "details": { "name": name } }).to_string().into_bytes()
        };
        let path = "/api/v1/namespaces/chat/secrets/router-key?fieldManager=keyroll";
        assert!(says_not_found(&said("router-key", "NotFound"), path));
        assert!(!says_not_found(&said("other", "NotFound"), path));
        assert!(!says_not_found(&said("router-key", "Gone"), path));
        assert!(!says_not_found(b"404 page not found", path));
    }

    #[test]
    fn the_servers_clock_is_read() {
        assert_eq!(http_date("Fri, 15 Jan 2027 08:00:00 GMT"), Some(1_800_000_000_000));
        assert_eq!(http_date("yesterday"), None);
        assert_eq!(escaped("app in (a,b)"), "app%20in%20%28a%2Cb%29");
    }

    #[test]
    fn an_error_of_the_library_is_not_repeated() {
        let io = std::io::Error::other("token abc");
        let Problem::Lost(why) = of_library(&kube::Error::Service(Box::new(io))) else { unreachable!() };
        assert!(!why.contains("abc"));
        let none: Result<u8, _> = parse(b"\"secret-text\"");
        assert!(!format!("{:?}", none.unwrap_err()).contains("secret-text"));
    }
}
