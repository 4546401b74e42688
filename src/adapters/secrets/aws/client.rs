//! The calls, and who makes them. Reads may be repeated by the library; a call that changes something leaves once.
//!
//! Clients are made when the first call needs them: the credential chain may read files, start a program, or ask the network.

use super::document::Document;
use super::problem::Problem;
use super::versions::{Own, Versions};
use crate::policy::model::reference::AwsPlace;
use crate::support::text::clean_to;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_sdk_secretsmanager as sm;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::OnceCell;

type Result<T> = std::result::Result<T, Problem>;

/// Time for name, connection and TLS.
const CONNECT: Duration = Duration::from_secs(5);
/// Time for one call; a recovery waits about as long before it looks.
const CALL: Duration = Duration::from_secs(10);
/// Time for the question who we are: in some networks nobody answers it.
const ASK: Duration = Duration::from_secs(5);
/// Time for a read with its repetitions.
const READ: Duration = Duration::from_secs(25);

/// Keeps the `Date` header of the last answer.
#[derive(Debug, Clone, Default)]
struct DateOfAnswer(Arc<Mutex<Option<i64>>>);

impl sm::config::Intercept for DateOfAnswer {
    fn name(&self) -> &'static str {
        "DateOfAnswer"
    }

    fn read_before_deserialization(
        &self,
        context: &sm::config::interceptors::BeforeDeserializationInterceptorContextRef<'_>,
        _: &sm::config::RuntimeComponents,
        _: &mut sm::config::ConfigBag,
    ) -> std::result::Result<(), aws_sdk_secretsmanager::error::BoxError> {
        let date = context.response().headers().get("date").and_then(crate::support::http::date_text_millis);
        if let Ok(mut kept) = self.0.lock() {
            *kept = date;
        }
        Ok(())
    }
}

/// One secret at AWS.
pub(super) struct Remote {
    place: AwsPlace,
    given: Option<SdkConfig>,
    made: OnceCell<Clients>,
    caller: OnceCell<String>,
}

struct Clients {
    reads: sm::Client,
    changes: sm::Client,
    asks: aws_sdk_sts::Client,
}

impl Remote {
    pub(super) fn new(place: AwsPlace, given: Option<SdkConfig>) -> Self {
        Self { place, given, made: OnceCell::new(), caller: OnceCell::new() }
    }

    async fn clients(&self) -> &Clients {
        self.made
            .get_or_init(|| async {
                let shared = match &self.given {
                    Some(given) => given.clone(),
                    None => self.chain().await,
                };
                let times = |whole: Duration| {
                    TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(CALL).operation_timeout(whole).build()
                };
                let service = |retries: RetryConfig, whole: Duration| {
                    let mut builder = sm::config::Builder::from(&shared).retry_config(retries).timeout_config(times(whole));
                    // What the policy names wins over the environment.
                    builder.set_region(super::place::region(&self.place).map(|r| Region::new(r.to_owned())).or(shared.region().cloned()));
                    if let Some(endpoint) = &self.place.endpoint {
                        builder = builder.endpoint_url(endpoint.as_str());
                    }
                    sm::Client::from_conf(builder.build())
                };
                let reads = service(RetryConfig::standard().with_max_attempts(3), READ);
                let changes = service(RetryConfig::disabled(), CALL);
                let mut asks = aws_sdk_sts::config::Builder::from(&shared).retry_config(RetryConfig::disabled()).timeout_config(times(ASK));
                asks.set_region(super::place::region(&self.place).map(|r| Region::new(r.to_owned())).or(shared.region().cloned()));
                if let Some(endpoint) = &self.place.endpoint {
                    asks = asks.endpoint_url(endpoint.as_str());
                }
                Clients { reads, changes, asks: aws_sdk_sts::Client::from_conf(asks.build()) }
            })
            .await
    }

    /// The whole chain: environment, profile with SSO and programs, web identity, container, machine; and the endpoints that the
    /// environment or the profile names.
    async fn chain(&self) -> SdkConfig {
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
        if let Some(region) = super::place::region(&self.place) {
            loader = loader.region(Region::new(region.to_owned()));
        }
        if let Ok(name) = AppName::new("keyroll") {
            loader = loader.app_name(name);
        }
        loader.load().await
    }

    /// Who signs the calls, in words, asked once. It is for people; without an answer everything still works.
    pub(super) async fn caller(&self) -> &str {
        let ask = || async {
            match self.clients().await.asks.get_caller_identity().send().await {
                Ok(told) => format!("calls are signed by {}", clean_to(told.arn().unwrap_or("an identity without a name"), 200)),
                Err(_) => "who signs the calls could not be asked (sts:GetCallerIdentity)".into(),
            }
        };
        self.caller.get_or_init(ask).await
    }

    /// What the service's clock says, in milliseconds since 1970, from the answer to a read; and the read's own result.
    pub(super) async fn clock(&self) -> (Option<i64>, Result<()>) {
        let date = DateOfAnswer::default();
        let call = self.clients().await.reads.describe_secret().secret_id(&self.place.secret);
        let answer = call.customize().interceptor(date.clone()).send().await;
        let date = date.0.lock().map_or(None, |date| *date);
        (date, answer.map(drop).map_err(|e| Problem::of("DescribeSecret", &e)))
    }

    /// Everything but the values.
    pub(super) async fn describe(&self) -> Result<Versions> {
        let answer = self.clients().await.reads.describe_secret().secret_id(&self.place.secret).send().await;
        let told = answer.map_err(|e| Problem::of("DescribeSecret", &e))?;
        let mut versions = Versions { deleted: told.deleted_date().is_some(), ..Versions::default() };
        versions.managed = told.rotation_enabled() == Some(true);
        versions.owner = told.owning_service().filter(|o| !o.is_empty()).map(|o| clean_to(o, 64));
        // The original says its own region here, a copy says another one.
        let here = told.arn().and_then(|arn| arn.split(':').nth(3)).unwrap_or_default();
        versions.copy_of = told.primary_region().filter(|r| !r.is_empty() && *r != here).map(|r| clean_to(r, 32));
        for copy in told.replication_status() {
            if copy.status() != Some(&sm::types::StatusType::InSync) {
                let state = copy.status().map_or("unknown", |s| s.as_str());
                versions.behind.push((clean_to(copy.region().unwrap_or("?"), 32), clean_to(state, 32)));
            }
        }
        for (id, labels) in told.version_ids_to_stages().into_iter().flatten() {
            // Some servers list versions that have no label; AWS does not.
            if !labels.is_empty() {
                versions.labels.insert(id.clone(), labels.clone());
            }
        }
        Ok(versions)
    }

    /// The value that carries a label, and the version it belongs to. A read without a label is never made: it means different things.
    pub(super) async fn get(&self, label: &str, version: Option<&str>) -> Result<(String, Option<Document>)> {
        let call = self.clients().await.reads.get_secret_value().secret_id(&self.place.secret).version_stage(label);
        let answer = call.set_version_id(version.map(str::to_owned)).send().await;
        let told = answer.map_err(|e| Problem::of("GetSecretValue", &e))?;
        let id = told.version_id().unwrap_or_default().to_owned();
        Ok((id, told.secret_string.map(Document::new)))
    }

    /// Makes a version. It always carries a label of ours: without one AWS makes it the current version.
    pub(super) async fn put(&self, token: &str, document: &Document, label: Own) -> Result<()> {
        let call = self.clients().await.changes.put_secret_value().secret_id(&self.place.secret);
        let call = call.client_request_token(token).secret_string(document.text()).version_stages(label.label());
        call.send().await.map(drop).map_err(|e| Problem::of("PutSecretValue", &e))
    }

    /// Moves a label. AWS refuses when it is not where it is moved from: that is the compare-and-set.
    pub(super) async fn relabel(&self, label: &str, from: Option<&str>, to: Option<&str>) -> Result<()> {
        let call = self.clients().await.changes.update_secret_version_stage().secret_id(&self.place.secret).version_stage(label);
        let call = call.set_remove_from_version_id(from.map(str::to_owned)).set_move_to_version_id(to.map(str::to_owned));
        call.send().await.map(drop).map_err(|e| Problem::of("UpdateSecretVersionStage", &e))
    }
}
