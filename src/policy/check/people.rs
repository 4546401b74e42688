//! Consumers, scope and exceptions: is everybody named once, and nobody forgotten?

use std::collections::BTreeMap;

use super::Checks;
use crate::policy::{
    code::Code,
    mask::quoted,
    model::{
        consumer::{Consumer, Consumers, Reload},
        process::{Notify, Webhook},
    },
    suggest,
};

pub(super) fn check(checks: &mut Checks<'_>) {
    let policy = checks.policy;
    templates(checks, &policy.notify);
    let Some(consumers) = &policy.consumers else {
        return;
    };
    let listed = consumers.listed();
    duplicates(checks, listed);
    canaries(checks, listed);
    workloads(checks, listed);
    // Discovered consumers are known only to the plan; what is said about names waits until then.
    if matches!(consumers, Consumers::Listed(_)) {
        scope(checks, listed);
        exceptions(checks, listed);
    }
}

/// What a notice does not have would stay in the message as it is written.
fn templates(checks: &mut Checks<'_>, places: &[Notify]) {
    for (index, place) in places.iter().enumerate() {
        let Notify::Webhook(hook) = place else { continue };
        if let Some(name) = hook.unknown_placeholder() {
            checks.say(
                Code::UnknownPlaceholder,
                &format!("notify[{index}].webhook.template"),
                format!("a notice has no {}", quoted(name)),
                format!("it has {}", Webhook::PLACEHOLDERS.map(|name| format!("`{{{name}}}`")).join(", ")),
            );
        }
    }
}

fn duplicates(checks: &mut Checks<'_>, consumers: &[Consumer]) {
    let mut apps: BTreeMap<&str, usize> = BTreeMap::new();
    let mut signs: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (index, consumer) in consumers.iter().enumerate() {
        if let Some(first) = apps.insert(consumer.app.as_str(), index) {
            checks.say_with(
                Code::DuplicateApp,
                &format!("consumers[{index}].app"),
                (&format!("consumers[{first}].app"), "listed first here"),
                format!("{} is listed twice", quoted(consumer.app.as_str())),
                "remove one of the two, or give them different names if they are two programs",
            );
        }
        let Some(seen) = &consumer.seen_as else {
            continue;
        };
        if let Some(first) = signs.insert((&seen.field, &seen.equals), index) {
            checks.say_with(
                Code::DuplicateIdentity,
                &format!("consumers[{index}].seen_as"),
                (&format!("consumers[{first}].seen_as"), "the same sign is used here"),
                "two consumers would be recognised by the same sign: one of them on the new key would make both look moved",
                "give each consumer a sign of its own, or list them as one consumer",
            );
        }
    }
}

fn canaries(checks: &mut Checks<'_>, consumers: &[Consumer]) {
    let mut marked = consumers.iter().enumerate().filter(|(_, consumer)| consumer.canary == Some(true)).map(|(index, _)| index);
    if let (Some(first), Some(second)) = (marked.next(), marked.next()) {
        checks.say_with(
            Code::SeveralCanaries,
            &format!("consumers[{second}].canary"),
            (&format!("consumers[{first}].canary"), "the first canary is here"),
            "more than one consumer is the canary",
            "keep `canary: true` at one consumer; the others follow after it has shown that the key works",
        );
    }
}

fn workloads(checks: &mut Checks<'_>, consumers: &[Consumer]) {
    for (index, consumer) in consumers.iter().enumerate() {
        let Reload::Kubernetes(reload) = &consumer.reload else {
            continue;
        };
        let at = |field: &str| format!("consumers[{index}].reload.kubernetes{field}");
        let ways: Vec<&str> = reload.named().map(|(way, _)| way).collect();
        if ways.len() != 1 {
            checks.say(
                Code::OneKindOnly,
                &at(""),
                "a workload in Kubernetes must be named in exactly one way",
                "write one of `deployment`, `statefulset`, `daemonset`, `cronjob` and `selector`",
            );
        }
        if reload.cronjob.is_some() && reload.restart == Some(true) {
            checks.say(
                Code::OneKindOnly,
                &at(".restart"),
                "a CronJob is not restarted: its next run reads the new value",
                "remove `restart`; the drain waits for the next run",
            );
        }
        if reload.through.as_ref().is_some_and(|t| t.copies()) && reload.reads.is_none() {
            checks.say(
                Code::OneKindOnly,
                &at(".through"),
                "something copies the value into a Secret, and the policy does not say into which",
                "add `reads: { secret: …, key: … }` with the Secret that the pods read",
            );
        }
    }
}

fn scope(checks: &mut Checks<'_>, consumers: &[Consumer]) {
    let Some(scope) = &checks.policy.rotation.scope else {
        return;
    };
    if scope.apps.is_empty() {
        return;
    }
    for (index, app) in scope.apps.iter().enumerate() {
        if consumers.iter().all(|consumer| consumer.app != *app) {
            checks.say(
                Code::AppWithoutConsumer,
                &format!("rotation.scope.apps[{index}]"),
                format!("{} is in scope, but not among the consumers", quoted(app.as_str())),
                "add it under `consumers:` with its cadence and reload: a consumer nobody watches is cut off at revoke",
            );
        }
    }
    for (index, consumer) in consumers.iter().enumerate() {
        if !scope.apps.contains(&consumer.app) {
            checks.say(
                Code::OutsideScope,
                &format!("consumers[{index}].app"),
                format!("{} is a consumer, but not in the scope", quoted(consumer.app.as_str())),
                "add it to `rotation.scope.apps`, so that ticket and policy say the same",
            );
        }
    }
}

fn exceptions(checks: &mut Checks<'_>, consumers: &[Consumer]) {
    for (index, exception) in checks.policy.exceptions.iter().enumerate() {
        if consumers.iter().any(|consumer| consumer.app == exception.app) {
            continue;
        }
        let near = suggest::nearest(exception.app.as_str(), consumers.iter().map(|consumer| consumer.app.as_str()));
        checks.say(
            Code::UnknownApp,
            &format!("exceptions[{index}].app"),
            format!("{} is excepted, but is no consumer of this policy", quoted(exception.app.as_str())),
            near.map_or_else(
                || "name a consumer, or use `unclaimed:` for a caller that is none".to_owned(),
                |near| format!("did you mean `{near}`?"),
            ),
        );
    }
}
