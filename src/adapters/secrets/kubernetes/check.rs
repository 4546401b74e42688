//! What a person should know of a slot before a rotation needs it. Reads and asks; changes nothing.

use super::place::Helper;
use super::store::unusable;
use super::{Cluster, KubernetesStore, Object, Problem, owner, parse};
use crate::ports::{About, Finding};
use crate::rotation::Time;
use crate::support::text::clean_to;
use serde::Deserialize;

/// What the server says of itself.
#[derive(Deserialize)]
struct Version {
    #[serde(rename = "gitVersion")]
    name: String,
}

impl Cluster {
    /// Whether the API server answers, as which version, with which clock, and to whom; false when nothing more can be asked.
    pub(crate) async fn check(&self, system: &str, now: Time, found: &mut Vec<Finding>) -> bool {
        let answer = match self.get("/version").await {
            Ok(answer) => answer,
            Err(problem) => {
                found.push(Finding::of(&problem.into_port(system, "ask the API server", false)));
                return false;
            }
        };
        found.push(Finding::good(About::Reach, format!("{} answers, and is the cluster that the policy names", self.server())));
        if let Ok(version) = parse::<Version>(&answer.body) {
            found.push(Finding::good(About::Version, clean_to(&version.name, 60)));
        }
        found.push(Finding::clock(answer.date.map(Time), now));
        found.push(Finding::good(About::Login, self.who().await));
        true
    }

    /// Whether we may do this there, with the rule that would allow it.
    pub(crate) async fn allowed(&self, namespace: &str, verb: &str, resource: (&str, &str), name: &str) -> Finding {
        let (group, kind) = resource;
        let what = format!("{verb} {kind} {name}").trim_end().to_owned();
        match self.may(namespace, verb, group, kind, name).await {
            Some(true) => Finding::good(About::Permission, format!("it may {what}")),
            Some(false) => {
                let named = if name.is_empty() { String::new() } else { format!(", resourceNames: [{name}]") };
                let rule = format!("{{ apiGroups: [\"{group}\"], resources: [{kind}], verbs: [{verb}]{named} }}");
                Finding::bad(About::Permission, format!("it may not {what}"), format!("add to its role in {namespace}: {rule}"))
            }
            None => Finding::note(About::Permission, format!("whether it may {what} could not be asked")),
        }
    }
}

impl KubernetesStore {
    /// Looks at everything that a rotation of this slot will need.
    pub async fn check(&self, now: Time) -> Vec<Finding> {
        let mut found = Vec::new();
        if !self.cluster.check(&self.name(), now, &mut found).await {
            return found;
        }
        let (pending, previous) = (self.place.helper(Helper::Pending), self.place.helper(Helper::Previous));
        for (verb, name) in [
            ("get", self.place.secret.as_str()),
            ("patch", self.place.secret.as_str()),
            ("create", ""),
            ("get", &pending),
            ("patch", &pending),
            ("delete", &pending),
            ("get", &previous),
            ("patch", &previous),
            ("delete", &previous),
        ] {
            let allowed = self.cluster.allowed(&self.place.namespace, verb, ("", "secrets"), name).await;
            // Nine good answers in a row say no more than one.
            if allowed.health != crate::ports::Health::Good {
                found.push(allowed);
            }
        }
        if !found.iter().any(|f| f.about == About::Permission) {
            found.push(Finding::good(About::Permission, "it may do all that a rotation does with this Secret"));
        }
        self.place_found(&mut found).await;
        found
    }

    async fn place_found(&self, found: &mut Vec<Finding>) {
        let object = match self.cluster.find(&self.place.path()).await {
            Ok(Some(answer)) => Object::parse(&answer.body, &self.place.key),
            Ok(None) => {
                let what = format!("there is no Secret {} in {}", self.place.secret, self.place.namespace);
                found.push(Finding::bad(About::Place, what, "correct `secret:` or `namespace:`, or make it with the present value"));
                return;
            }
            Err(problem) => Err(problem),
        };
        match object {
            Ok(object) => self.content(&object, found).await,
            Err(Problem::Refused(_)) => {}
            Err(problem) => found.push(Finding::of(&problem.into_port(&self.name(), "read", false))),
        }
    }

    async fn content(&self, object: &Object, found: &mut Vec<Finding>) {
        if let Some(why) = unusable(object) {
            let (what, fix) = why.split_once("; ").unwrap_or((why.as_str(), "leave it to whoever owns it"));
            found.push(Finding::bad(About::Place, what, fix));
        }
        found.push(match object.value {
            Some(_) => Finding::good(About::Place, "it holds a value there"),
            None => Finding::bad(
                About::Place,
                format!("the Secret has no key {}, or an empty one", self.place.key),
                "correct `key:`, or put the present value there",
            ),
        });
        found.extend(owner::notice(&object.meta).map(|notice| Finding::note(About::Place, notice)));
        if let Ok(Some(pending)) = self.cluster.find(&self.place.helper_path(Helper::Pending)).await
            && let Ok(pending) = Object::parse(&pending.body, &self.place.key)
        {
            let whose = pending.meta.notes.get("keyroll/run").cloned().unwrap_or_else(|| "nobody that is known".into());
            let what = format!("a pending value of run {whose} waits there");
            found.push(Finding::note(About::Place, what).fix("`keyroll orphans` tells whose it is"));
        }
    }
}
