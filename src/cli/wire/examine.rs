//! From a policy to what `doctor` looks at: each part by itself, so that one that cannot be set up hides no other.

use super::gateway::{self, Connected, Tools};
use super::{credentials, store, usage};
use crate::adapters::consumers::{self, ConsumerSet};
use crate::adapters::reference::{self, References};
use crate::cli::clock;
use crate::cli::fault::{Fault, exit};
use crate::cli::out::Out;
use crate::journal::{StateDir, StateError};
use crate::plan::{self, Selector};
use crate::policy::Policy;
use crate::policy::model::gateway::Gateway;
use crate::policy::model::process::Notify;
use crate::policy::model::reference::Ref;
use crate::policy::model::slot::Slot;
use crate::ports::{About, Finding, Health, UsageSource};
use crate::rotation::{KeyFacts, UsageKind};
use crate::secret::{FingerprintKey, Scrubber};
use crate::support::text::clean_to;
use serde::Serialize;
use std::rc::Rc;

/// One system, and what was found there.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct System {
    /// `state`, `slot`, `gateway`, `endpoint`, `usage`, `consumer`, `notify`, `reference`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl System {
    fn new(kind: &'static str, name: impl Into<String>, findings: Vec<Finding>) -> Self {
        Self { kind, name: name.into(), findings }
    }

    /// Where runs are kept. `keyless`: it is shared, and no fingerprint key of the organisation is named.
    pub(crate) fn state(place: &std::path::Path, checked: Result<String, StateError>, keyless: bool) -> Self {
        let mut findings = vec![match checked {
            Ok(said) => Finding::good(About::Reach, said),
            Err(e) => of_fault(&Fault::from(e)),
        }];
        if keyless {
            findings.push(Finding::bad(
                About::Setup,
                "state that several machines share needs a fingerprint key of the organisation: values could not be compared",
                "name one: `evidence_out: { fingerprint_key: { env: NAME } }`",
            ));
        }
        Self::new("state", clean_to(&place.display().to_string(), 200), findings)
    }

    /// The worst of it.
    pub(crate) fn health(&self) -> Health {
        self.findings.iter().map(|f| f.health).max().unwrap_or(Health::Good)
    }
}

/// Looks at everything that a policy names.
pub(crate) async fn examine(policy: &Policy, state: &StateDir, out: &Out) -> Result<Vec<System>, Fault> {
    let mut withheld = reference::variables(credentials::references_of(policy));
    withheld.extend(credentials::variables_of_slots(policy));
    let scrubber = Scrubber::new();
    let references = Rc::new(References { withhold: withheld.clone(), scrubber: scrubber.clone(), ask: credentials::ask(out) });
    // Nothing that is made here is kept or compared with anything from before: a key of the moment will do.
    let drawn = crate::secret::random_id(32).map_err(|e| Fault::new(exit::INTERNAL, e.to_string()))?;
    let key = FingerprintKey::from_bytes(crate::secret::sha256_hex(drawn.as_bytes()).as_bytes())
        .map_err(|e| Fault::new(exit::INTERNAL, e.to_string()))?;
    let fingerprints = Rc::new(key);
    let tools = Tools { policy, references: &references, scrubber: &scrubber, state, fingerprints: &fingerprints };
    let mut systems = Vec::new();
    for (i, slot) in policy.slots.iter().enumerate() {
        systems.push(one_slot(i, slot, &tools).await);
    }
    match gateway::connect(&tools).await {
        Ok(mut connected) => {
            // One that was started here serves until its consumers were looked at, too.
            let _sandbox = connected.sandbox.take();
            let listed = policy.consumers.iter().flat_map(|c| c.listed()).cloned().map(|c| connected.place(c)).collect();
            let longest = connected.timeout.std();
            let usage = examine_gateway(policy, connected, &fingerprints, &mut systems).await;
            systems.push(usage);
            let set = ConsumerSet::new(listed, longest, withheld, scrubber.clone());
            #[cfg(feature = "kubernetes")]
            let set = set.with_workloads(super::kubernetes::workloads(&tools, &Rc::default(), &crate::cli::signals::Stop::default()));
            systems.extend(set.check().await.into_iter().map(|(app, found)| System::new("consumer", app, found)));
        }
        Err(fault) => systems.push(System::new("gateway", policy.gateway.as_ref().map_or("none", |g| g.kind()), vec![of_fault(&fault)])),
    }
    for (what, reference) in others(policy) {
        let found = match references.resolve(reference).await {
            Ok(_) => Finding::good(About::Setup, "it can be read"),
            Err(e) => Finding { about: About::Setup, ..Finding::of(&e) },
        };
        systems.push(System::new("reference", format!("{what}: {}", clean_to(&reference.describe(), 120)), vec![found]));
    }
    for place in &policy.notify {
        match place {
            Notify::Command(argv) => {
                let name = argv.first().map_or("", String::as_str);
                systems.push(System::new("notify", clean_to(name, 120), vec![consumers::program(name)]));
            }
            // It is not called: people would be told of nothing.
            Notify::Webhook(hook) => {
                let found = match references.resolve(&hook.url).await {
                    Ok(value) if crate::support::http::address(value.expose()).is_err() => {
                        Finding::bad(About::Setup, "what is kept there is no address", "put the webhook's address there, with https://")
                    }
                    Ok(_) => Finding::good(About::Setup, "its address can be read; it is not called"),
                    Err(e) => Finding { about: About::Setup, ..Finding::of(&e) },
                };
                systems.push(System::new("notify", format!("webhook in {}", clean_to(&hook.url.describe(), 120)), vec![found]));
            }
            Notify::Stderr(_) | Notify::GithubSummary(_) => {}
        }
    }
    Ok(systems)
}

async fn one_slot(i: usize, slot: &Slot, tools: &Tools<'_>) -> System {
    match store::store(slot, tools) {
        Ok(Some(store)) => System::new("slot", store.name(), store.check(clock::wall()).await),
        Ok(None) => System::new(
            "slot",
            format!("{} {}", i + 1, slot.kind()),
            vec![Finding::bad(
                About::Setup,
                format!("this build cannot change a `{}` slot", slot.kind()),
                "`plan` names what works instead",
            )],
        ),
        Err(fault) => System::new("slot", format!("{} {}", i + 1, slot.kind()), vec![of_fault(&fault)]),
    }
}

/// The admin side, the addresses of the data plane, and the log.
async fn examine_gateway(policy: &Policy, connected: Connected, fingerprints: &Rc<FingerprintKey>, systems: &mut Vec<System>) -> System {
    let (mut found, keys) = connected.gateway.check(clock::wall).await;
    if let (Some(keys), Some(named)) = (&keys, &policy.gateway) {
        found.extend(selected(named, keys));
    }
    let kind = policy.gateway.as_ref().map_or("none", |g| g.kind());
    let reached = found.iter().all(|f| f.about != About::Reach || f.health != Health::Bad);
    systems.push(System::new("gateway", kind, found));
    if reached {
        let ca_pem = authority(policy);
        for facts in connected.gateway.endpoints().await.unwrap_or_default() {
            let url = facts.endpoint.as_str();
            let found = crate::adapters::gateway::reach(url, connected.timeout.std(), ca_pem.clone(), clock::wall).await;
            systems.push(System::new("endpoint", clean_to(url, 200), found));
        }
    }
    let usage = match usage::usage(policy, connected.log, fingerprints) {
        Ok(usage) => usage,
        Err(fault) => return System::new("usage", "usage", vec![of_fault(&fault)]),
    };
    match usage.describe().await {
        Ok(told) => {
            let mut found = vec![match told.kind {
                UsageKind::None => Finding::bad(
                    About::Setup,
                    "nobody can see who uses the key",
                    "name a log under `usage:`; without one silence cannot be shown",
                ),
                UsageKind::Rows | UsageKind::Counters | UsageKind::Spend => Finding::good(About::Reach, "it can be read"),
            }];
            if told.kind != UsageKind::None {
                found.push(match told.reaches {
                    Some(at) => Finding::good(About::Place, format!("it reaches back to {}", at.rfc3339())),
                    None => Finding::note(About::Place, "it holds no row yet").fix("check its path, and that the gateway writes it"),
                });
            }
            if !told.sees_refused {
                found.push(Finding::note(About::Setup, "refused calls leave no row, so nobody who is refused can be seen in the soak"));
            }
            if !told.names_caller {
                found.push(Finding::note(About::Setup, "rows do not name the caller, so consumers cannot be told apart"));
            }
            System::new("usage", clean_to(&told.source, 120), found)
        }
        Err(e) => System::new("usage", "usage", vec![Finding::of(&e)]),
    }
}

/// Whether the key that the policy names is there; where it names none, the slot decides, and that is asked by `plan`.
fn selected(gateway: &Gateway, keys: &[KeyFacts]) -> Option<Finding> {
    let selector = Selector::of(gateway);
    if selector == Selector::default() {
        return Some(Finding::note(About::Place, "no key is named: `plan` finds it by the value that the slot holds"));
    }
    Some(match plan::pick(&selector, keys, &[]) {
        Ok(id) => match keys.iter().find(|k| k.id == id) {
            Some(key) if !key.enabled => {
                Finding::bad(About::Place, format!("{} is disabled", selector.words()), "enable it, or name the key in use")
            }
            Some(_) | None => Finding::good(About::Place, format!("{} is {id}", selector.words())),
        },
        Err(why) => Finding::bad(About::Place, clean_to(&why, 300), "correct `key:`; `keyroll keys POLICY` lists all"),
    })
}

/// The private authority of the gateway's addresses.
fn authority(policy: &Policy) -> Option<Vec<u8>> {
    let path = match policy.gateway.as_ref()? {
        Gateway::LiteLlm(gateway) => gateway.ca_file.as_ref(),
        Gateway::Http(gateway) => gateway.ca_file.as_ref(),
        Gateway::Sandbox(_)
        | Gateway::Aisix(_)
        | Gateway::LlmGateway(_)
        | Gateway::OpenRouter(_)
        | Gateway::ARouter(_)
        | Gateway::NewApi(_)
        | Gateway::Manual(_) => None,
    };
    std::fs::read(path?).ok()
}

/// References that no other part resolves.
fn others(policy: &Policy) -> Vec<(&'static str, &Ref)> {
    let mut found = Vec::new();
    if let Some(out) = &policy.evidence_out {
        found.extend(out.fingerprint_key.as_ref().map(|r| ("the fingerprint key", r)));
        found.extend(out.sign.as_ref().map(|s| ("the signing key", &s.key)));
    }
    if let Some(key) = policy.gateway.as_ref().and_then(|g| g.key()) {
        found.extend(key.secret.as_ref().map(|r| ("the outgoing key", r)));
    }
    found.into_iter().filter(|(_, reference)| !matches!(reference, Ref::Prompt(_) | Ref::Command(_))).collect()
}

fn of_fault(fault: &Fault) -> Finding {
    let hints = fault.hints.iter().filter(|h| *h != "nothing was changed").cloned().collect::<Vec<_>>().join("; ");
    let (what, rest) = fault.what.rsplit_once("; ").unwrap_or((fault.what.as_str(), ""));
    let fix = [hints.as_str(), rest].into_iter().find(|t| !t.is_empty()).unwrap_or("check what the policy says about it");
    Finding::bad(About::Setup, format!("failed to {what}"), fix)
}
