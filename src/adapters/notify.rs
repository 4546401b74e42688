//! Telling people: a command with the notice on standard input. What standard error shows is the command line's.

use crate::policy::model::process::Notify as Written;
use crate::ports::{Notice, Notifier, PortError, Result};
use crate::secret::Scrubber;
use crate::support::child::{self, Child, Input};
use std::time::Duration;

/// A command that takes longer is ended.
const LONGEST: Duration = Duration::from_secs(30);

/// Every place where people are told. The first failure is reported after all were tried.
pub struct Notices {
    commands: Vec<Vec<String>>,
    webhooks: usize,
    withhold: Vec<String>,
    scrubber: Scrubber,
}

impl Notices {
    /// What the policy asks for. `withhold` names the variables that hold secrets.
    pub fn new(written: &[Written], withhold: Vec<String>, scrubber: Scrubber) -> Self {
        let mut commands = Vec::new();
        let mut webhooks = 0;
        for place in written {
            match place {
                Written::Command(argv) => commands.push(argv.clone()),
                Written::Webhook(_) => webhooks += 1,
                Written::Stderr(_) => {}
            }
        }
        Self { commands, webhooks, withhold, scrubber }
    }

    async fn command(&self, argv: &[String], body: &str) -> Result<()> {
        let Some((program, arguments)) = argv.split_first() else { return Ok(()) };
        let mut child = Child::new(program, arguments);
        child.withhold.clone_from(&self.withhold);
        child.time = LONGEST;
        child.input = Input::Bytes(body.as_bytes());
        let failed = |why: String| PortError::Unreachable { system: format!("notify command {program}"), why, may_have_happened: true };
        let finished = child::run(&child, &self.scrubber, |_| Ok(())).await.map_err(|e| failed(e.to_string()))?;
        if finished.succeeded() { Ok(()) } else { Err(failed(finished.complaint)) }
    }
}

impl Notifier for Notices {
    async fn tell(&self, notice: &Notice) -> Result<()> {
        let body = serde_json::json!({
            "v": 1, "run": notice.run, "credential": notice.credential, "event": notice.event, "text": self.scrubber.scrub(&notice.text),
        });
        let body = format!("{body}\n");
        let mut first = None;
        for argv in &self.commands {
            if let Err(e) = self.command(argv, &body).await {
                first.get_or_insert(e);
            }
        }
        if self.webhooks > 0 {
            first.get_or_insert(PortError::Unsupported { system: "this build".into(), action: "call a webhook".into() });
        }
        first.map_or(Ok(()), Err)
    }
}
