//! What is different about the plan of a provider key.

use super::refuse::Refusal;
use crate::policy::Policy;
use crate::policy::model::gateway::{Gateway, Models, ProviderKey};
use crate::policy::model::reference::Ref;
use crate::policy::model::rotation::Need;
use crate::rotation::{GatewayCaps, Inventory, KeyFacts, Kind, Mint, ModelName};

/// Router key or provider key; for the latter, which models move.
pub(super) fn kind(gateway: &Gateway, inventory: &Inventory, old: Option<&KeyFacts>, no: &mut Vec<Refusal>) -> Kind {
    let Some(provider) = gateway.provider_key() else { return Kind::Router };
    let referencing: Vec<ModelName> =
        inventory.models.iter().filter(|(_, at)| old.is_some_and(|o| o.id == *at)).map(|(m, _)| m.clone()).collect();
    if old.is_some() && referencing.is_empty() {
        no.push(Refusal::new(
            "a model that references the key",
            "no model of this gateway does, so there is nothing to move and nothing that could show the new key to work",
            "remove the key at the gateway by hand, and revoke it at the provider",
        ));
    }
    let (models, all) = match &provider.models {
        Models::All(_) => (referencing, true),
        Models::Listed(names) => {
            let listed: Vec<ModelName> = names.iter().map(ModelName::new).collect();
            let missing: Vec<&str> = listed.iter().filter(|m| !referencing.contains(m)).map(ModelName::as_str).collect();
            if !missing.is_empty() {
                no.push(Refusal::new(
                    "models that reference the key",
                    format!("{} do not reference it", missing.join(", ")),
                    "`models: all-referencing`, or only models that do",
                ));
            }
            let left: Vec<&str> = referencing.iter().filter(|m| !listed.contains(m)).map(ModelName::as_str).collect();
            if !left.is_empty() {
                no.push(Refusal::new(
                    "every model that references the key",
                    format!("{} would be left dangling", left.join(", ")),
                    "`models: all-referencing`",
                ));
            }
            (listed, false)
        }
    };
    Kind::Provider { models, all }
}

/// The gateway's capabilities; whether an issuer can be asked again is the policy's word.
pub(super) fn caps(gateway: &Gateway, seen: &GatewayCaps) -> GatewayCaps {
    let mut caps = seen.clone();
    if caps.mint == Mint::Supplied && gateway.provider_key().is_some_and(asked_once) {
        caps.mint = Mint::Issued;
    }
    caps
}

/// A command may make a new key each time it runs, and a person does not type a value twice.
fn asked_once(provider: &ProviderKey) -> bool {
    match provider.issuer {
        Ref::Command(_) | Ref::Prompt(_) => true,
        Ref::Env(_) | Ref::File(_) | Ref::Vault(_) | Ref::Aws(_) => false,
    }
}

/// The policy leads to the outgoing value.
pub(super) fn knows_old(gateway: &Gateway) -> bool {
    gateway.provider_key().is_some_and(|p| p.secret.is_some())
}

/// The evidence that is asked for where the policy names none.
pub(super) fn evidence(known: bool) -> Vec<String> {
    let mut wanted = vec!["auth_error_check".to_owned()];
    if known {
        wanted.push("old_key_negative_test".to_owned());
    }
    wanted
}

/// What the rotation of a provider key cannot show.
pub(super) fn gaps(gateway: &Gateway, policy: &Policy) -> Vec<String> {
    let Some(provider) = gateway.provider_key() else { return Vec::new() };
    let owner = policy.rotation.owner.as_str();
    let known = provider.secret.is_some();
    let mut gaps = vec![
        "only this gateway's use was observed: whoever presents the same upstream key elsewhere is not seen here".to_owned(),
        "that the log would show a call refused for the old provider key is not proven by one of our own: the soak rests on the models' references, on what replicas serve, and on consumers' rows".to_owned(),
    ];
    if !known {
        gaps.push(format!(
            "the outgoing value is not known here, so the provider is not asked about it: the end is dereferenced-upstream-alive, and {owner} revokes it at the provider"
        ));
    }
    if asked_once(provider) {
        gaps.push(
            "the issuer is asked once: if the process that holds the new value ends early, nobody can read it again, and neither the provider nor the evidence is searched with it after that".to_owned(),
        );
    }
    let wanted = policy.rotation.evidence.as_ref();
    let required = |need: Option<Need>| need == Some(Need::Required);
    if !known && wanted.is_some_and(|e| required(e.old_key_negative_test)) {
        gaps.push(
            "old_key_negative_test is required and the outgoing value is not known: name `provider_key.secret`, or waive `complete/evidence` by name before archive".to_owned(),
        );
    }
    if wanted.is_some_and(|e| required(e.usage_owner_check)) {
        gaps.push(
            "usage_owner_check is required and a provider key has no owner in the gateway's log: waive `complete/evidence` by name before archive".to_owned(),
        );
    }
    gaps
}
