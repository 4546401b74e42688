//! What the run expects of the world against what a look saw.

use super::{Course, Disable, GatewayCaps, GatewayIdentity, KeyFacts, KeyId, Kind, ModelName, OldKey, Run, Scope, SlotNo, Snapshot, Which};
use crate::secret::Fingerprint;
use serde::{Deserialize, Serialize};

/// One difference that matters. It blocks until a person amends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drift {
    /// The admin API is another one, or we are another principal.
    OtherGateway {
        /// What it was and is.
        seen: String,
    },
    /// Something the plan relied on can no longer be done.
    LostCapability {
        /// Which.
        what: String,
    },
    /// Somebody disabled the old key.
    OldDisabled,
    /// Somebody enabled the old key that we had disabled.
    OldEnabled,
    /// Somebody deleted the old key.
    OldGone,
    /// The old key's permissions changed.
    OldScope {
        /// Which fields.
        fields: Vec<String>,
    },
    /// Somebody disabled the new key.
    NewDisabled,
    /// Somebody deleted the new key.
    NewGone,
    /// The new key may do what the old one may not.
    NewScope {
        /// Which fields.
        fields: Vec<String>,
    },
    /// More keys carry this run's marker than it made.
    Twins {
        /// The unexpected ones.
        ids: Vec<KeyId>,
    },
    /// A slot's current value is not what this run left there.
    SlotCurrent {
        /// Which slot.
        slot: SlotNo,
        /// In words, without the value.
        seen: String,
        /// Which of the two keys it is, if it is one of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        holds: Option<Which>,
    },
    /// What waits in a slot is not this run's.
    SlotPending {
        /// Which slot.
        slot: SlotNo,
        /// In words, without the value.
        seen: String,
    },
    /// A model points where this run did not point it.
    Model {
        /// Which model.
        model: ModelName,
        /// At which key.
        seen: String,
    },
    /// A model references the key that goes and is named by no plan or list: it is taken along where the policy follows references.
    NewReference {
        /// Which model.
        model: ModelName,
    },
}

/// One look at the world, without secrets.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Who answers.
    pub identity: GatewayIdentity,
    /// What it can do now.
    pub caps: GatewayCaps,
    /// The complete listing.
    pub keys: Vec<KeyFacts>,
    /// Each slot, in the plan's order.
    pub slots: Vec<Snapshot>,
    /// Where each model points; for provider keys.
    pub models: Vec<(ModelName, KeyId)>,
    /// Fingerprint of the old value.
    pub old_value: Option<Fingerprint>,
}

impl Drift {
    /// In words.
    pub fn words(&self) -> String {
        match self {
            Self::OtherGateway { seen } => format!("the admin API answers as {seen}"),
            Self::LostCapability { what } => format!("the gateway can no longer {what}"),
            Self::OldDisabled => "somebody disabled the old key".into(),
            Self::OldEnabled => "somebody enabled the old key again".into(),
            Self::OldGone => "somebody deleted the old key".into(),
            Self::OldScope { fields } => format!("the old key's permissions changed: {}", fields.join(", ")),
            Self::NewDisabled => "somebody disabled the new key".into(),
            Self::NewGone => "somebody deleted the new key".into(),
            Self::NewScope { fields } => format!("the new key differs from the old one: {}", fields.join(", ")),
            Self::Twins { ids } => {
                format!("unexpected keys carry this run's marker: {}", ids.iter().map(KeyId::as_str).collect::<Vec<_>>().join(", "))
            }
            Self::SlotCurrent { slot, seen, .. } => format!("slot {} holds {seen}", slot.0 + 1),
            Self::SlotPending { slot, seen } => format!("the pending version of slot {} is {seen}", slot.0 + 1),
            Self::Model { model, seen } => format!("model {model} points at {seen}"),
            Self::NewReference { model } => format!("model {model} appeared on the key that goes"),
        }
    }
}

/// Every difference that matters, those already accepted left out.
pub fn drift(run: &Run, seen: &Seen) -> Vec<Drift> {
    let mut found = Vec::new();
    identity(run, seen, &mut found);
    old_key(run, seen, &mut found);
    new_key(run, seen, &mut found);
    slots(run, seen, &mut found);
    models(run, seen, &mut found);
    #[cfg(feature = "bugs")]
    if crate::bugs::on(crate::bugs::Bug::DriftIgnored) {
        found.clear();
    }
    #[cfg(feature = "bugs")]
    if crate::bugs::on(crate::bugs::Bug::ParityNotRechecked) {
        found.retain(|d| !matches!(d, Drift::NewScope { .. } | Drift::OldScope { .. }));
    }
    found.retain(|d| !run.amended.contains(d));
    found
}

fn identity(run: &Run, seen: &Seen, found: &mut Vec<Drift>) {
    let plan = &run.plan.gateway;
    if plan.identity.tenant != seen.identity.tenant || plan.identity.base != seen.identity.base {
        found.push(Drift::OtherGateway { seen: format!("{} at {}", seen.identity.tenant, seen.identity.base) });
    }
    if plan.identity.principal != seen.identity.principal {
        found.push(Drift::OtherGateway { seen: format!("principal {}", seen.identity.principal) });
    }
    let could = |d: Disable| match d {
        Disable::Reversible | Disable::ByExpiry => true,
        Disable::Irreversible | Disable::None => false,
    };
    if could(plan.caps.disable) && !could(seen.caps.disable) {
        found.push(Drift::LostCapability { what: "disable a key and enable it again".into() });
    }
}

fn old_key(run: &Run, seen: &Seen, found: &mut Vec<Drift>) {
    let now = seen.keys.iter().find(|k| k.id == run.plan.old.id);
    match (run.old, now) {
        (OldKey::Gone | OldKey::DeleteIntended, _) => {}
        (OldKey::Enabled | OldKey::DisabledByUs | OldKey::OffByOthers, None) => found.push(Drift::OldGone),
        (OldKey::Enabled, Some(k)) if !k.enabled => found.push(Drift::OldDisabled),
        (OldKey::DisabledByUs, Some(k)) if k.enabled => found.push(Drift::OldEnabled),
        (OldKey::Enabled | OldKey::DisabledByUs | OldKey::OffByOthers, Some(k)) => {
            let fields = differing(&run.plan.old.scope, &k.scope, &[]);
            if !fields.is_empty() {
                found.push(Drift::OldScope { fields });
            }
        }
    }
}

fn new_key(run: &Run, seen: &Seen, found: &mut Vec<Drift>) {
    let ours: Vec<&KeyFacts> = seen
        .keys
        .iter()
        .filter(|k| super::Marker::run(&k.marker).as_ref() == Some(&run.id) && !run.plan.known_ids.contains(&k.id))
        .collect();
    let expected = |id: &KeyId| run.new.as_ref().is_some_and(|n| n.id == *id) || run.strays.iter().any(|(s, _)| s == id);
    let twins: Vec<KeyId> = ours.iter().filter(|k| !expected(&k.id)).map(|k| k.id.clone()).collect();
    if !twins.is_empty() {
        found.push(Drift::Twins { ids: twins });
    }
    let Some(new) = &run.new else { return };
    match seen.keys.iter().find(|k| k.id == new.id) {
        None => found.push(Drift::NewGone),
        Some(k) => {
            if new.enabled && !k.enabled {
                found.push(Drift::NewDisabled);
            }
            let fields = differing(&run.plan.old.scope, &k.scope, &["expires_at".to_owned()]);
            if !fields.is_empty() && run.course == Course::Forward {
                found.push(Drift::NewScope { fields });
            }
        }
    }
}

fn slots(run: &Run, seen: &Seen, found: &mut Vec<Drift>) {
    for (i, (state, shown)) in run.slots.iter().zip(&seen.slots).enumerate() {
        let slot = SlotNo(u16::try_from(i).unwrap_or(u16::MAX));
        let readable = run.plan.slots.get(i).is_some_and(|s| s.caps.read_back);
        if !readable {
            continue;
        }
        let should = match state.current {
            Which::Old => seen.old_value.as_ref().or_else(|| run.plan.slots.get(i).and_then(|s| s.current_is.as_ref())),
            Which::New => run.new.as_ref().map(|n| &n.value),
        };
        match (&shown.current_is, should) {
            (Some(is), Some(should)) if is == should && !run.is_left(i) => {}
            (None, _) => found.push(Drift::SlotCurrent { slot, seen: "nothing readable".into(), holds: None }),
            (Some(is), _) => {
                let old = seen.old_value.as_ref().or_else(|| run.plan.slots.get(i).and_then(|s| s.current_is.as_ref()));
                let (holds, what) = if run.is_left(i) && should == Some(is) {
                    (Some(state.current), "what this run had left there, and was left to its owner meanwhile")
                } else if run.new.as_ref().is_some_and(|n| n.value == *is) {
                    (Some(Which::New), "the new key although this run had not put it there, or had put it back")
                } else if old == Some(is) {
                    (Some(Which::Old), "the old key although this run had moved it on")
                } else {
                    (None, "a value that is neither the old key nor the new one")
                };
                found.push(Drift::SlotCurrent { slot, seen: what.into(), holds });
            }
        }
        if let (Some((_, value)), Some(pending)) = (&state.staged, &shown.pending_is)
            && value != pending
        {
            found.push(Drift::SlotPending { slot, seen: "a value of somebody else".into() });
        }
    }
}

fn models(run: &Run, seen: &Seen, found: &mut Vec<Drift>) {
    let Kind::Provider { .. } = &run.plan.kind else { return };
    // A model on the key that stays is where it should be.
    let going = run.outgoing();
    let id = |which: Which| match which {
        Which::Old => Some(&run.plan.old.id),
        Which::New => run.new.as_ref().map(|n| &n.id),
    };
    for (model, at) in &seen.models {
        match run.models.get(model) {
            Some(which) if id(*which) == Some(at) => {}
            Some(_) => found.push(Drift::Model { model: model.clone(), seen: at.to_string() }),
            None if id(going) == Some(at) => found.push(Drift::NewReference { model: model.clone() }),
            None => {}
        }
    }
    let gone = run.models.keys().filter(|model| !seen.models.iter().any(|(m, _)| m == *model));
    found.extend(gone.map(|model| Drift::Model { model: model.clone(), seen: "nothing, it is not listed any more".into() }));
}

/// Names of the fields in which two scopes differ, allowed ones left out.
pub fn differing(old: &Scope, new: &Scope, allow: &[String]) -> Vec<String> {
    let mut fields: Vec<String> =
        old.keys().chain(new.keys()).filter(|f| !allow.contains(f) && old.get(*f) != new.get(*f)).cloned().collect();
    fields.sort();
    fields.dedup();
    fields
}
