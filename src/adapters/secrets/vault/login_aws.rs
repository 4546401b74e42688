//! A login by AWS identity: a question to AWS (who am I?), signed here and asked by the server. The signature holds for a quarter of an hour
//! and for this question alone.

use crate::policy::model::reference::AwsLogin;
use crate::secret::SecretText;
use crate::support::clock;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

const QUESTION: &str = "Action=GetCallerIdentity&Version=2011-06-15";
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
const SERVER_ID: &str = "X-Vault-AWS-IAM-Server-ID";

/// What the login sends, signed with the usual chain's credentials.
pub(super) async fn fields(login: &AwsLogin) -> Result<Vec<(&'static str, SecretText)>, String> {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
    if let Some(region) = &login.region {
        loader = loader.region(Region::new(region.clone()));
    }
    let shared = loader.load().await;
    let missing = || "no usable AWS credentials were found; log in, or set AWS_PROFILE".to_owned();
    let provider = shared.credentials_provider().ok_or_else(missing)?;
    // Credentials come from many places, and what those say may hold them.
    let credentials = provider.provide_credentials().await.map_err(|_| missing())?;
    signed(login, credentials, u64::try_from(clock::wall_millis()).unwrap_or(0))
}

fn signed(login: &AwsLogin, credentials: Credentials, now: u64) -> Result<Vec<(&'static str, SecretText)>, String> {
    let unsigned = || "the question to AWS cannot be signed; check the region and the server id".to_owned();
    let (host, region) = match &login.region {
        Some(region) => (format!("sts.{region}.amazonaws.com"), region.as_str()),
        None => ("sts.amazonaws.com".to_owned(), "us-east-1"),
    };
    let url = format!("https://{host}/");
    let mut headers = vec![("Content-Type", FORM.to_owned()), ("Host", host)];
    headers.extend(login.server_id.iter().map(|id| (SERVER_ID, id.clone())));
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("sts")
        .time(UNIX_EPOCH + Duration::from_millis(now))
        .settings(SigningSettings::default())
        .build()
        .map_err(|_| unsigned())?
        .into();
    let named = headers.iter().map(|(name, value)| (*name, value.as_str()));
    let request = SignableRequest::new("POST", url.as_str(), named, SignableBody::Bytes(QUESTION.as_bytes()));
    let done = request.and_then(|request| sign(request, &parameters)).map_err(|_| unsigned())?;
    let mut all: BTreeMap<String, Vec<String>> = headers.into_iter().map(|(name, value)| (name.to_owned(), vec![value])).collect();
    for header in done.into_parts().0.into_parts().0 {
        all.insert(header.name().to_owned(), vec![header.value().to_owned()]);
    }
    let headers = serde_json::to_string(&all).map_err(|_| unsigned())?;
    Ok(vec![
        ("role", SecretText::new(login.role.as_str())),
        ("iam_http_request_method", SecretText::new("POST")),
        ("iam_request_url", SecretText::new(STANDARD.encode(url))),
        ("iam_request_body", SecretText::new(STANDARD.encode(QUESTION))),
        ("iam_request_headers", SecretText::new(STANDARD.encode(headers))),
    ])
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]
mod tests {
    use super::*;

    fn headers(region: Option<&str>, server_id: Option<&str>) -> (String, serde_json::Value) {
        let text = |t: &str| t.to_owned();
        let login = AwsLogin { role: "rotator".into(), region: region.map(text), server_id: server_id.map(text), mount: None };
        let credentials = Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI-not-a-key", Some("session-token".into()), None, "test");
        let fields = signed(&login, credentials, 1_767_323_045_678).unwrap();
        let decoded = |name: &str| {
            let (_, value) = fields.iter().find(|(n, _)| *n == name).unwrap();
            String::from_utf8(STANDARD.decode(value.expose()).unwrap()).unwrap()
        };
        assert_eq!(decoded("iam_request_body"), QUESTION);
        (decoded("iam_request_url"), serde_json::from_str(&decoded("iam_request_headers")).unwrap())
    }

    #[test]
    fn the_question_is_signed_for_one_host_and_one_server() {
        let (url, headers) = headers(Some("eu-central-1"), Some("vault.example.com"));
        assert_eq!(url, "https://sts.eu-central-1.amazonaws.com/");
        let signature = headers["authorization"][0].as_str().unwrap();
        assert!(signature.contains("Credential=AKIDEXAMPLE/20260102/eu-central-1/sts/aws4_request"), "{signature}");
        let names = signature.split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap();
        for name in ["content-type", "host", "x-amz-date", "x-amz-security-token", "x-vault-aws-iam-server-id"] {
            assert!(names.split(';').any(|n| n == name), "{name} is not signed: {names}");
        }
        assert_eq!(headers["Host"][0], "sts.eu-central-1.amazonaws.com");
        assert_eq!(headers[SERVER_ID][0], "vault.example.com");
        assert!(!headers.to_string().contains("wJalr"), "the secret half left");
    }

    #[test]
    fn without_a_region_the_global_service_is_asked() {
        let (url, headers) = headers(None, None);
        assert_eq!(url, "https://sts.amazonaws.com/");
        assert!(headers["authorization"][0].as_str().unwrap().contains("/us-east-1/sts/"));
        assert!(headers.get(SERVER_ID).is_none());
    }
}
