//! What a person should know of a slot before a rotation needs it. Reads; changes nothing.

use super::AwsStore;
use super::problem::{Kind, Problem};
use super::versions::{CURRENT, Own, Versions, run_of};
use crate::ports::{About, Finding};
use crate::rotation::Time;
use crate::support::text::clean_to;

/// So many names of fields are told.
const NAMES: usize = 12;
/// What cannot be tried: each of these calls changes something.
const WRITES: &str = "secretsmanager:PutSecretValue and secretsmanager:UpdateSecretVersionStage";

impl AwsStore {
    /// Looks at everything that a rotation of this slot will need.
    pub async fn check(&self, now: Time) -> Vec<Finding> {
        let mut found = Vec::new();
        let (date, described) = self.remote.clock().await;
        if let Err(problem) = described {
            let reached = problem.kind != Kind::NotSent && problem.kind != Kind::Lost;
            if reached {
                found.push(Finding::good(About::Reach, "it answers"));
                found.push(Finding::clock(date.map(Time), now));
            }
            found.push(self.finding(problem, "secretsmanager:DescribeSecret"));
            return found;
        }
        found.push(Finding::good(About::Reach, "it answers"));
        found.push(Finding::clock(date.map(Time), now));
        let who = self.remote.caller().await;
        found.push(if who.starts_with("calls are signed") {
            Finding::good(About::Login, who)
        } else {
            Finding::note(About::Login, who).fix("allow sts:GetCallerIdentity, so that the evidence can name who wrote")
        });
        match self.remote.describe().await {
            Ok(versions) => self.state(&versions, &mut found),
            Err(problem) => found.push(self.finding(problem, "secretsmanager:DescribeSecret")),
        }
        self.content(&mut found).await;
        found.push(
            Finding::note(About::Permission, format!("{WRITES} cannot be tried without changing something"))
                .fix("allow both on this secret, and the KMS key's use where it has its own"),
        );
        found
    }

    /// What stands in the way although everything may be read.
    fn state(&self, versions: &Versions, found: &mut Vec<Finding>) {
        for why in [versions.unusable(), versions.lagging()].into_iter().flatten() {
            let (what, fix) = why.split_once([';', ',']).unwrap_or((why.as_str(), "leave it to whoever owns it"));
            found.push(Finding::bad(About::Place, what, fix.trim()));
        }
        if let Ok(Some(id)) = versions.at(Own::Pending.label())
            && let Some(run) = run_of(id)
        {
            found.push(
                Finding::note(About::Place, format!("a pending value of run {} waits there", clean_to(run, 64)))
                    .fix("`keyroll orphans` tells whose it is"),
            );
        }
    }

    /// Whether it may be read, and has our field.
    async fn content(&self, found: &mut Vec<Finding>) {
        let document = match self.remote.get(CURRENT, None).await {
            Ok((_, Some(document))) => document,
            Ok((_, None)) => {
                found.push(Finding::bad(About::Place, "it holds bytes and no text", "store the key as text (SecretString)"));
                return;
            }
            Err(problem) => {
                found.push(self.finding(problem, "secretsmanager:GetSecretValue"));
                return;
            }
        };
        found.push(Finding::good(About::Permission, "it may be described and read"));
        match self.part.value(&document) {
            Ok(Some(_)) => found.push(Finding::good(About::Place, "it holds a value there")),
            Ok(None) => {
                let names: Vec<String> = document.names().into_iter().take(NAMES).map(|n| clean_to(&n, 60)).collect();
                let field = self
                    .place
                    .field
                    .as_deref()
                    .map_or_else(|| "it is empty".to_owned(), |f| format!("it has no field `{}`", clean_to(f, 60)));
                let has = if names.is_empty() { String::new() } else { format!("; it has {}", names.join(", ")) };
                found.push(Finding::bad(
                    About::Place,
                    format!("{field}{has}"),
                    "write the name of the field that consumers read into `field:`",
                ));
            }
            Err(why) => {
                found.push(Finding::bad(About::Place, why, "name the `field` of its JSON document, or leave `field` out for a plain text"))
            }
        }
    }

    fn finding(&self, problem: Problem, action: &str) -> Finding {
        let kind = problem.kind;
        let denied = problem.is_denied();
        let finding = Finding::of(&self.failed("look", problem));
        match kind {
            Kind::Missing => {
                Finding { about: About::Place, ..finding }.fix("correct `secret:`, `region:`, or the account that is logged in")
            }
            Kind::Refused if denied => Finding { about: About::Permission, ..finding }.fix(format!("allow {action} on this secret")),
            Kind::State => Finding { about: About::Place, ..finding },
            Kind::NotSent | Kind::Lost | Kind::Refused => finding,
        }
    }
}
