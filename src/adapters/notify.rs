//! Telling people: a command with the notice on standard input, an address, the summary of a GitHub job. What standard error shows is the
//! command line's.
//!
//! Nothing here may hold a run up or decide anything about it: the first failure is reported, after every place was tried, and becomes a
//! record.

mod summary;
mod template;
mod webhook;

use crate::adapters::reference::References;
use crate::policy::model::process::Notify as Written;
use crate::ports::{Notice, Notifier, PortError, Result};
use crate::support::child::{self, Child, Input};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use webhook::Hook;

/// A command that takes longer is ended.
const LONGEST: Duration = Duration::from_secs(30);

/// One place where people are told.
enum Place {
    Command(Vec<String>),
    Webhook(Box<Hook>),
    Summary(PathBuf),
}

/// Every place where people are told.
pub struct Notices {
    places: Vec<Place>,
    references: Rc<References>,
}

impl Notices {
    /// What the policy asks for. Nothing is resolved or contacted yet.
    pub fn new(written: &[Written], references: Rc<References>) -> Self {
        let mut places = Vec::new();
        for place in written {
            match place {
                Written::Command(argv) => places.push(Place::Command(argv.clone())),
                Written::Webhook(hook) => places.push(Place::Webhook(Box::new(Hook::new(hook.as_ref().clone())))),
                // Outside of such a job there is no summary, and nothing is wrong.
                Written::GithubSummary(_) => places.extend(summary::file().map(Place::Summary)),
                Written::Stderr(_) => {}
            }
        }
        Self { places, references }
    }

    async fn command(&self, argv: &[String], notice: &Notice) -> Result<()> {
        let Some((program, arguments)) = argv.split_first() else { return Ok(()) };
        let body = serde_json::json!({
            "v": 1, "run": notice.run, "credential": notice.credential, "event": notice.event, "text": notice.text,
        });
        let body = format!("{body}\n");
        let mut child = Child::new(program, arguments);
        child.withhold.clone_from(&self.references.withhold);
        child.time = LONGEST;
        child.input = Input::Bytes(body.as_bytes());
        let failed = |why: String| PortError::Unreachable { system: format!("notify command {program}"), why, may_have_happened: true };
        let finished = child::run(&child, &self.references.scrubber, |_| Ok(())).await.map_err(|e| failed(e.to_string()))?;
        if finished.succeeded() { Ok(()) } else { Err(failed(finished.complaint)) }
    }
}

impl Notifier for Notices {
    async fn tell(&self, notice: &Notice) -> Result<()> {
        let clean = |text: &str| self.references.scrubber.scrub(text);
        let notice = Notice { text: clean(&notice.text), credential: clean(&notice.credential), ..notice.clone() };
        let mut first = None;
        for place in &self.places {
            let told = match place {
                Place::Command(argv) => self.command(argv, &notice).await,
                Place::Webhook(hook) => hook.tell(&notice, &self.references).await,
                Place::Summary(path) => summary::tell(path, &notice),
            };
            if let Err(e) = told {
                first.get_or_insert(e);
            }
        }
        first.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests;
