//! An address that is told. The address itself is a secret: whoever has it can write there.

use super::template::render;
use crate::adapters::reference::References;
use crate::policy::model::process::{Webhook, WebhookFormat};
use crate::ports::{Notice, PortError, Result};
use crate::secret::SecretText;
use crate::support::http::{self, Calls, HttpProblem, Options};
use std::time::Duration;

/// A message that nobody takes for so long is given up.
const LONGEST: Duration = Duration::from_secs(10);
/// What a message says where the policy has no words of its own.
const USUAL: &str = "{credential}: {text} ({event}, run {run})";

/// One address.
pub(super) struct Hook {
    written: Webhook,
}

impl Hook {
    pub(super) fn new(written: Webhook) -> Self {
        Self { written }
    }

    /// Tells it once. No redirect is followed, and nothing is sent again.
    pub(super) async fn tell(&self, notice: &Notice, references: &References) -> Result<()> {
        if !self.written.events.is_empty() && !self.written.events.iter().any(|e| e.word() == notice.event) {
            return Ok(());
        }
        let address = references.resolve(&self.written.url).await?;
        let failed =
            |e: &HttpProblem| PortError::Unreachable { system: self.name(), why: e.to_string(), may_have_happened: e.may_have_happened() };
        let url = http::address(address.expose()).map_err(|e| failed(&e))?;
        // What is before the path is no secret, and is found in every log.
        let secret = format!("{}{}", url.path(), url.query().map(|q| format!("?{q}")).unwrap_or_default());
        references.scrubber.add("webhook address", &SecretText::new(secret));
        let mut options = Options::to(Calls::Changing, &url);
        (options.connect, options.total) = (LONGEST / 2, LONGEST);
        let client = http::client(&options).map_err(|e| failed(&e))?;
        let answer = client.post(url).json(&self.body(notice)).send().await.map_err(|e| failed(&HttpProblem::of(&e)))?;
        let status = answer.status().as_u16();
        match status {
            200..=299 => Ok(()),
            300..=399 => Err(self.refused("it redirects, and redirects are not followed; give its own address")),
            429 => Err(self.refused("too many messages (status 429)")),
            _ => Err(self.refused(&format!("status {status}; check the address"))),
        }
    }

    fn body(&self, notice: &Notice) -> serde_json::Value {
        let template = self.written.template.as_deref().unwrap_or(USUAL);
        match self.written.format.unwrap_or(WebhookFormat::Generic) {
            WebhookFormat::Slack => serde_json::json!({ "text": render(template, notice, slack) }),
            WebhookFormat::Generic => serde_json::json!({
                "v": 1, "run": notice.run, "credential": notice.credential, "event": notice.event,
                "text": match &self.written.template {
                    Some(template) => render(template, notice, str::to_owned),
                    None => crate::support::text::clean_to(&notice.text, 2000),
                },
            }),
        }
    }

    fn refused(&self, why: &str) -> PortError {
        PortError::Refused { system: self.name(), action: "tell people".into(), why: why.to_owned() }
    }

    fn name(&self) -> String {
        format!("the webhook in {}", self.written.url.describe())
    }
}

/// The three characters that mean something there: a text must not become a mention or a link.
fn slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
