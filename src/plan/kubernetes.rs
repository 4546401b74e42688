//! Workloads in Kubernetes: who restarts them, whether they can say what they hold, and what is refused.

use super::refuse::Refusal;
use crate::policy::Policy;
use crate::policy::model::consumer::{self, Consumer, KubernetesReload};
use crate::policy::model::slot::{KubernetesSlot, Slot};
use crate::rotation::{Reload, Span};

/// Without a word in the policy a mounted file is renewed within this time.
const FILES: Span = Span::minutes(2);

/// How a workload comes to the new value. What we do not restart is waited for; a CronJob reads it in its next run.
pub(super) fn reload(k: &KubernetesReload, cadence: Span) -> Reload {
    if k.restarts() {
        let (way, name) = k.named().next().unwrap_or(("workload", ""));
        return Reload::Told { how: format!("restart {way} {name} in namespace {}", k.namespace) };
    }
    let refresh = k.through.as_ref().map(|t| Span(t.refresh().as_millis()));
    let ttl = if k.cronjob.is_some() { cadence.max(refresh.unwrap_or(Span::ZERO)) } else { refresh.unwrap_or(FILES) };
    Reload::Dynamic { ttl }
}

/// Its pods can be asked since when they run and what they read.
pub(super) fn acknowledges(c: &Consumer, policy: &Policy) -> bool {
    let consumer::Reload::Kubernetes(k) = &c.reload else { return false };
    // Who fetches the value itself shows it only by a start that we asked for.
    let fetches = k.through.as_ref().is_some_and(consumer::Delivery::fetches);
    if fetches { k.restarts() } else { k.reads.is_some() || slots(policy).any(|s| s.namespace == k.namespace) }
}

/// What a workload needs and the policy does not say.
pub(super) fn refusals(policy: &Policy, no: &mut Vec<Refusal>) {
    for c in policy.consumers.iter().flat_map(|c| c.listed()) {
        let consumer::Reload::Kubernetes(k) = &c.reload else { continue };
        if !cfg!(feature = "kubernetes") {
            no.push(Refusal::new("this reload", "workloads in Kubernetes are not in this build", "`reload: { command: … }`"));
            continue;
        }
        if k.context.is_none() && k.cluster.is_none() && slots(policy).next().is_none() {
            no.push(Refusal::new(
                "a cluster by name",
                format!("{} is a workload, and the policy does not say in which cluster", c.app.as_str()),
                "`context:` (a name in the kubeconfig) or `cluster:` (the uid of its namespace kube-system, or its address)",
            ));
        }
        let fetches = k.through.as_ref().is_some_and(consumer::Delivery::fetches);
        if k.restarts() && !fetches && k.reads.is_none() && !slots(policy).any(|s| s.namespace == k.namespace) {
            no.push(Refusal::new(
                "the Secret that pods read",
                format!(
                    "{} is restarted, and nothing says which Secret its pods read: a restart may pick up the old value",
                    c.app.as_str()
                ),
                "`reads: { secret: …, key: … }`, or `through: { vault_agent: … }` where pods fetch the value themselves",
            ));
        }
    }
}

fn slots(policy: &Policy) -> impl Iterator<Item = &KubernetesSlot> {
    policy.slots.iter().filter_map(|slot| if let Slot::Kubernetes(slot) = slot { Some(slot) } else { None })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    fn of(text: &str) -> KubernetesReload {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_nightly_job_is_waited_for_and_never_restarted() {
        let nightly = of(r#"{"namespace":"chat","cronjob":"nightly"}"#);
        assert_eq!(reload(&nightly, Span::hours(24)), Reload::Dynamic { ttl: Span::hours(24) });
        let behind = of(r#"{"namespace":"chat","cronjob":"often","through":{"external_secret":{"name":"x","refresh":"1h"}}}"#);
        assert_eq!(reload(&behind, Span::minutes(5)), Reload::Dynamic { ttl: Span::hours(1) }, "the longer of run and copy");
    }

    #[test]
    fn who_is_watched_reads_within_the_time_of_its_chain() {
        assert_eq!(reload(&of(r#"{"namespace":"chat","deployment":"web"}"#), Span::ZERO), Reload::Dynamic { ttl: FILES });
        let reloader = of(r#"{"namespace":"chat","deployment":"web","through":{"reloader":{"refresh":"5m"}}}"#);
        assert_eq!(reload(&reloader, Span::ZERO), Reload::Dynamic { ttl: Span::minutes(5) });
        let restarted = of(r#"{"namespace":"chat","selector":"app=chat","restart":true}"#);
        assert!(matches!(reload(&restarted, Span::ZERO), Reload::Told { how } if how == "restart selector app=chat in namespace chat"));
    }

    fn refused(slots: &serde_json::Value, how: &serde_json::Value) -> Vec<&'static str> {
        let policy: Policy = serde_json::from_value(serde_json::json!({
            "rotation": { "credential": "chat", "owner": "team", "environment": "development" },
            "slots": slots,
            "consumers": [{ "app": "web", "cadence": "continuous", "reload": { "kubernetes": how } }],
        }))
        .unwrap();
        let mut no = Vec::new();
        refusals(&policy, &mut no);
        no.iter().map(|r| r.lacks).collect()
    }

    #[test]
    fn a_restart_needs_a_cluster_and_something_to_read() {
        let slot = serde_json::json!([{ "kubernetes": { "context": "c", "namespace": "chat", "secret": "s", "key": "k" } }]);
        let none = serde_json::json!([]);
        let how = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let bare = how(r#"{"namespace":"chat","deployment":"web","restart":true}"#);
        assert_eq!(refused(&slot, &bare), Vec::<&str>::new());
        assert_eq!(refused(&none, &bare), ["a cluster by name", "the Secret that pods read"]);
        let elsewhere = how(r#"{"namespace":"other","deployment":"web","restart":true}"#);
        assert_eq!(refused(&slot, &elsewhere), ["the Secret that pods read"]);
        for fine in [
            r#"{"context":"c","namespace":"other","deployment":"web","restart":true,"reads":{"secret":"s","key":"k"}}"#,
            r#"{"context":"c","namespace":"other","deployment":"web","restart":true,"through":{"vault_agent":{"refresh":"5m"}}}"#,
            r#"{"context":"c","namespace":"other","deployment":"web"}"#,
        ] {
            assert_eq!(refused(&none, &how(fine)), Vec::<&str>::new(), "{fine}");
        }
    }

    #[test]
    fn who_can_be_asked() {
        let said = |slots: &str, how: &str| {
            let text = format!(
                r#"{{"rotation":{{"credential":"c","owner":"o","environment":"e"}},"slots":{slots},
                "consumers":[{{"app":"web","cadence":"continuous","reload":{{"kubernetes":{how}}}}}]}}"#
            );
            let policy: Policy = serde_json::from_str(&text).unwrap();
            let listed = policy.consumers.as_ref().unwrap().listed().to_vec();
            acknowledges(listed.first().unwrap(), &policy)
        };
        let slot = r#"[{"kubernetes":{"context":"c","namespace":"chat","secret":"s","key":"k"}}]"#;
        assert!(said(slot, r#"{"namespace":"chat","cronjob":"nightly"}"#));
        assert!(!said("[]", r#"{"namespace":"chat","cronjob":"nightly"}"#), "nothing says what it reads");
        assert!(said("[]", r#"{"namespace":"chat","deployment":"web","reads":{"secret":"s","key":"k"}}"#));
        let fetched = r#""through":{"csi":{"refresh":"5m"}}}"#;
        assert!(said("[]", &format!(r#"{{"namespace":"chat","deployment":"web","restart":true,{fetched}"#)));
        assert!(!said("[]", &format!(r#"{{"namespace":"chat","deployment":"web",{fetched}"#)), "only a restart by us shows it");
    }
}
