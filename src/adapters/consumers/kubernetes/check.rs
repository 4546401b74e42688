//! What a person should know of workloads before they are restarted. Nothing is.

use super::{Sort, Target, Way, Workload, Workloads};
use crate::policy::model::consumer::KubernetesReload;
use crate::ports::{About, Finding, Health};
use crate::rotation::{App, Time};
use crate::support::clock;

impl Workloads {
    /// Looks at everything that a reload of this consumer will need.
    pub async fn check(&self, app: &App, reload: &KubernetesReload) -> Vec<Finding> {
        let target = match self.target(app, reload) {
            Ok(target) => target,
            Err(e) => return vec![Finding { about: About::Setup, ..Finding::of(&e) }],
        };
        let mut found = Vec::new();
        if !target.cluster.check(&target.system, Time(clock::wall_millis()), &mut found).await {
            return found;
        }
        // What is as it should be was said of the slot already.
        found.retain(|f| f.health != Health::Good);
        match self.workloads(&target).await {
            Ok(workloads) => {
                for (sort, workload) in &workloads {
                    one(&target, *sort, workload, &mut found).await;
                }
            }
            Err(e) => found.push(Finding { about: About::Place, ..Finding::of(&e) }),
        }
        // What pods fetch themselves lies in the slot, which is looked at by itself.
        if let (true, Err(e)) = (target.reads.is_some(), self.last_hop(&target).await) {
            found.push(Finding { about: About::Place, ..Finding::of(&e) });
        }
        let pods = target.cluster.allowed(&reload.namespace, "list", ("", "pods"), "").await;
        found.extend(Some(pods).filter(|f| f.health != Health::Good));
        found
    }
}

async fn one(target: &Target<'_>, sort: Sort, workload: &Workload, found: &mut Vec<Finding>) {
    let named = format!("{} {}", sort.word(), workload.name());
    let ways = target.reads.as_ref().map(|(secret, key)| workload.ways(secret, Some(key)));
    let reads = match &ways {
        None => "fetches the value when it starts".to_owned(),
        Some(ways) if ways.iter().all(|w| *w == Way::Pull) => {
            let fix = "correct `reads:`, or list the programs that ask the API with another reload";
            found.push(Finding::bad(About::Place, format!("{named} does not read the Secret"), fix));
            return;
        }
        Some(ways) => format!("reads it as {}", ways.iter().map(|w| w.word()).collect::<Vec<_>>().join(" and ")),
    };
    found.push(Finding::good(About::Place, format!("{named} {reads}")));
    if !target.reload.restarts() {
        return;
    }
    if let Some(why) = workload.stuck() {
        let (what, fix) = why.split_once("; ").unwrap_or((why, "let it end first"));
        found.push(Finding::bad(About::Setup, format!("{named}: {what}"), fix));
    }
    if workload.is_single() {
        let what = format!("{named} has one pod: depending on its strategy, its restart is a pause");
        found.push(Finding::note(About::Setup, what).fix("run two, or let the new pod start before the old one ends"));
    }
    let kind = format!("{}s", sort.word());
    let allowed = target.cluster.allowed(&target.reload.namespace, "patch", ("apps", &kind), &workload.name()).await;
    found.extend(Some(allowed).filter(|f| f.health != Health::Good));
}
