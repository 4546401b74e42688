//! Objects in an S3 bucket.
//!
//! The calls are made and signed here and not by AWS's own crate for S3, which is forty crates' worth of things that are not needed.
//! Nothing is retried; what an unclear answer means is for the caller, who can look.

mod list;
mod worker;

pub use worker::S3;

use super::http::{self, Calls, HttpProblem, Options};
use super::objects::{Object, ObjectProblem, Place, When};
use super::{clock, text};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use reqwest::{Method, Url};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// No object of ours is larger.
const LARGEST: usize = 16 << 20;
/// Which session wrote an object.
const SESSION: &str = "x-amz-meta-keyroll-session";
/// Time for one call.
const CALL: Duration = Duration::from_secs(10);

/// One bucket, seen from one session.
pub struct Bucket {
    place: Place,
    base: Url,
    region: String,
    credentials: SharedCredentialsProvider,
    client: reqwest::Client,
    session: String,
}

impl Bucket {
    /// A bucket by the usual chain: credentials, region, and endpoint as the environment or the profile says.
    ///
    /// # Errors
    /// When there are no credentials, no region, or no address that can be meant.
    pub async fn connect(place: Place, session: String) -> Result<Self, ObjectProblem> {
        let refused = |why: &str| ObjectProblem::Refused { why: why.to_owned() };
        let shared = aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12()).load().await;
        let credentials =
            shared.credentials_provider().ok_or_else(|| refused("no AWS credentials were found; log in, or set AWS_PROFILE"))?;
        let variable = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        let endpoint = variable("AWS_ENDPOINT_URL_S3").or_else(|| shared.endpoint_url().map(str::to_owned));
        let region = shared.region().map(|r| r.as_ref().to_owned());
        let region = match (&endpoint, region) {
            (_, Some(region)) => region,
            // Servers that are not AWS rarely ask for one.
            (Some(_), None) => "us-east-1".to_owned(),
            (None, None) => return Err(refused("no AWS region is set; set AWS_REGION")),
        };
        let address = match endpoint {
            Some(endpoint) => format!("{}/{}/", endpoint.trim_end_matches('/'), place.bucket),
            // A dot in the name would not fit the certificate.
            None if place.bucket.contains('.') => format!("https://s3.{region}.amazonaws.com/{}/", place.bucket),
            None => format!("https://{}.s3.{region}.amazonaws.com/", place.bucket),
        };
        let base = http::address(&address).map_err(|e| ObjectProblem::Refused { why: e.to_string() })?;
        let mut options = Options::to(Calls::Reading, &base);
        options.connect = Duration::from_secs(5);
        options.total = CALL;
        let client = http::client(&options).map_err(|e| ObjectProblem::Refused { why: e.to_string() })?;
        Ok(Self { place, base, region, credentials, client, session })
    }

    /// Writes an object, and gives back what it can be compared with later.
    ///
    /// # Errors
    /// [`ObjectProblem::Condition`] when the condition does not hold.
    pub async fn put(&self, key: &str, body: Vec<u8>, when: &When) -> Result<String, ObjectProblem> {
        let mut headers = vec![("content-type", "application/json".to_owned()), (SESSION, self.session.clone())];
        match when {
            When::Absent => headers.push(("if-none-match", "*".into())),
            When::Is(etag) => headers.push(("if-match", etag.clone())),
            When::Always => {}
        }
        let answer = self.call(Method::PUT, Some(key), "", &headers, body).await?;
        match answer.status {
            200..=299 => answer.etag.ok_or_else(|| ObjectProblem::Unclear { why: "the answer to a write names no version".into() }),
            412 => Err(ObjectProblem::Condition),
            // A concurrent write, or none of this name to compare with: either way it is looked at again.
            404 if matches!(when, When::Is(_)) && answer.code == "NoSuchKey" => Err(ObjectProblem::Condition),
            409 => Err(ObjectProblem::Unclear { why: "another write came at the same moment".into() }),
            _ => Err(answer.problem()),
        }
    }

    /// Reads an object; none when there is none.
    ///
    /// # Errors
    /// When it cannot be known.
    pub async fn get(&self, key: &str) -> Result<Option<Object>, ObjectProblem> {
        let answer = self.call(Method::GET, Some(key), "", &[], Vec::new()).await?;
        match answer.status {
            200 => {
                let age = match (answer.date, answer.modified) {
                    (Some(now), Some(then)) => u64::try_from(now.saturating_sub(then)).ok(),
                    (None, _) | (_, None) => None,
                };
                let etag = answer.etag.ok_or_else(|| ObjectProblem::Unclear { why: "the answer to a read names no version".into() })?;
                Ok(Some(Object { bytes: answer.body, etag, session: answer.session, age }))
            }
            404 if answer.code != "NoSuchBucket" => Ok(None),
            _ => Err(answer.problem()),
        }
    }

    /// Removes an object; success when there is none.
    ///
    /// # Errors
    /// When it cannot be known.
    pub async fn remove(&self, key: &str) -> Result<(), ObjectProblem> {
        let answer = self.call(Method::DELETE, Some(key), "", &[], Vec::new()).await?;
        if (200..300).contains(&answer.status) || answer.status == 404 { Ok(()) } else { Err(answer.problem()) }
    }

    /// The names below `folder`, sorted, after `after`; with `folders`, the names of the folders there instead.
    ///
    /// # Errors
    /// When the listing is not complete.
    pub async fn list(&self, folder: &str, after: Option<&str>, folders: bool) -> Result<Vec<String>, ObjectProblem> {
        let prefix = format!("{}{folder}", self.place.prefix);
        let mut names = Vec::new();
        let mut token: Option<String> = None;
        // A thousand names a page: more pages than this are no state of ours.
        for _ in 0..1000 {
            let mut query = Url::parse("http://x/").map_err(|_| ObjectProblem::Refused { why: "make a query".into() })?;
            {
                let mut pairs = query.query_pairs_mut();
                if let Some(token) = &token {
                    pairs.append_pair("continuation-token", token);
                }
                if folders {
                    pairs.append_pair("delimiter", "/");
                }
                pairs.append_pair("list-type", "2").append_pair("prefix", &prefix);
                if let Some(after) = after {
                    pairs.append_pair("start-after", &format!("{prefix}{after}"));
                }
            }
            // A form writes a blank as plus, which a signature reads as a plus.
            let query = query.query().unwrap_or_default().replace('+', "%20");
            let answer = self.call(Method::GET, None, &query, &[], Vec::new()).await?;
            if answer.status != 200 {
                return Err(answer.problem());
            }
            let page = list::page(&String::from_utf8_lossy(&answer.body), folders)
                .ok_or_else(|| ObjectProblem::Unclear { why: "the listing cannot be understood".into() })?;
            names.extend(page.names.iter().filter_map(|n| n.strip_prefix(&prefix)).map(|n| n.trim_end_matches('/').to_owned()));
            match page.next {
                Some(next) => token = Some(next),
                None => {
                    names.sort();
                    return Ok(names);
                }
            }
        }
        Err(ObjectProblem::Refused { why: "the listing does not end".into() })
    }

    async fn call(
        &self,
        method: Method,
        key: Option<&str>,
        query: &str,
        headers: &[(&str, String)],
        body: Vec<u8>,
    ) -> Result<Answer, ObjectProblem> {
        let refused = |why: &str| ObjectProblem::Refused { why: why.to_owned() };
        let mut url = self.base.clone();
        if let Some(key) = key {
            let path = format!("{}{key}", self.place.prefix);
            let segments: Vec<&str> = path.split('/').collect();
            url = http::join(&url, &segments).map_err(|e| ObjectProblem::Refused { why: e.to_string() })?;
        }
        url.set_query((!query.is_empty()).then_some(query));
        let credentials = self
            .credentials
            .provide_credentials()
            .await
            // Credentials come from many places, and what those say may hold them.
            .map_err(|_| refused("the AWS credentials cannot be had or have expired; log in again"))?;
        let identity = credentials.into();
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(now())
            .settings(settings)
            .build()
            .map_err(|_| refused("a request cannot be signed"))?
            .into();
        let named = headers.iter().map(|(name, value)| (*name, value.as_str()));
        let request = SignableRequest::new(method.as_str(), url.as_str(), named, SignableBody::Bytes(&body));
        let signed = request.and_then(|request| sign(request, &parameters)).map_err(|_| refused("a request cannot be signed"))?;
        let mut request = self.client.request(method, url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        for header in signed.into_parts().0.into_parts().0 {
            let mut value = reqwest::header::HeaderValue::from_str(header.value()).map_err(|_| refused("a request cannot be signed"))?;
            value.set_sensitive(true);
            request = request.header(header.name(), value);
        }
        if !body.is_empty() {
            request = request.body(body);
        }
        let response = request.send().await.map_err(|e| of(&HttpProblem::of(&e)))?;
        let status = response.status().as_u16();
        let text = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let (etag, session) = (text("etag"), text(SESSION).unwrap_or_default());
        let (date, modified) = (http::date_millis(response.headers()), text("last-modified").and_then(|t| http::date_text_millis(&t)));
        let body = http::read_bounded(response, LARGEST).await.map_err(|e| of(&e))?.to_vec();
        let code = if status >= 300 { list::code(&String::from_utf8_lossy(&body)) } else { String::new() };
        Ok(Answer { status, etag, session, date, modified, body, code })
    }
}

/// One answer.
struct Answer {
    status: u16,
    etag: Option<String>,
    session: String,
    date: Option<i64>,
    modified: Option<i64>,
    body: Vec<u8>,
    code: String,
}

impl Answer {
    fn problem(&self) -> ObjectProblem {
        let hint = match (self.status, self.code.as_str()) {
            (408 | 429 | 500 | 502..=599, _) => {
                return ObjectProblem::Unclear { why: format!("the object store answered {} {}", self.status, self.code) };
            }
            (404, "NoSuchBucket") => "there is no such bucket; make it, or correct the address and the region",
            (_, "RequestTimeTooSkewed") => "this machine's clock is wrong by more than a quarter of an hour; set it",
            (_, "ExpiredToken") => "the login has expired; log in again",
            (301 | 307 | 400, _) => "the bucket is elsewhere; set AWS_REGION to its region",
            (401 | 403, _) => "allow s3:GetObject, s3:PutObject, s3:DeleteObject on the prefix, and s3:ListBucket on the bucket",
            (501, _) => "the object store knows no conditional writes; use one that does",
            (_, _) => "check the address of the state",
        };
        ObjectProblem::Refused { why: format!("the object store answered {} {}; {hint}", self.status, text::clean_to(&self.code, 60)) }
    }
}

fn of(problem: &HttpProblem) -> ObjectProblem {
    // Whether it left or not: the caller looks before it trusts either.
    ObjectProblem::Unclear { why: format!("failed to {problem}") }
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(clock::wall_millis()).unwrap_or(0))
}
