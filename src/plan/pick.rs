//! Which key is meant: by id, by name, or by what the slot holds.

use crate::policy::model::gateway::Gateway;
use crate::rotation::{KeyFacts, KeyId, Marker, undated};

/// How the policy names the outgoing key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector {
    /// Its id.
    pub id: Option<String>,
    /// Its name or alias.
    pub name: Option<String>,
}

impl Selector {
    /// What a policy's gateway block says.
    pub fn of(gateway: &Gateway) -> Self {
        match (gateway.key(), gateway.provider_key()) {
            (Some(key), _) => Self { id: key.id.clone(), name: key.alias.clone().or_else(|| key.name.clone()) },
            (None, Some(provider)) => Self { id: provider.id.clone(), name: provider.name.clone() },
            (None, None) => Self::default(),
        }
    }

    /// In words, for messages.
    pub fn words(&self) -> String {
        match (&self.id, &self.name) {
            (Some(id), _) => format!("the key with id {id}"),
            (None, Some(name)) => format!("the key named {name}"),
            (None, None) => "the key that the slot holds".into(),
        }
    }
}

/// The one key that is meant, or why there is not exactly one.
///
/// After a rotation the name belongs to the key that replaced the old one, so a name is looked for among the live keys; where several
/// share it, the one that the slots hold decides. Keys of a run that is not over never count.
///
/// # Errors
/// A sentence that says what was found instead of one key.
pub fn pick(selector: &Selector, keys: &[KeyFacts], held: &[Option<KeyId>]) -> Result<KeyId, String> {
    let settled: Vec<&KeyFacts> = keys.iter().filter(|k| Marker::run(&k.marker).is_none()).collect();
    let matches: Vec<&KeyFacts> = match (&selector.id, &selector.name) {
        (Some(id), _) => settled.iter().filter(|k| k.id.as_str() == id).copied().collect(),
        (None, Some(name)) => {
            // A replacement carries the name with a date: the name goes on meaning whichever key lives under it.
            settled.iter().filter(|k| (k.name == *name || undated(&k.name) == name) && k.enabled).copied().collect()
        }
        (None, None) => held_ones(&settled, held),
    };
    match matches.as_slice() {
        [one] => Ok(one.id.clone()),
        [] => Err(format!("{} was not found among {} keys", selector.words(), keys.len())),
        several => {
            let held_now: Vec<&&KeyFacts> = several.iter().filter(|k| held.iter().flatten().any(|h| *h == k.id)).collect();
            match held_now.as_slice() {
                [one] => Ok(one.id.clone()),
                [] | [_, ..] => Err(format!(
                    "{} is not one key but {}: {}; select it by `id`",
                    selector.words(),
                    several.len(),
                    several.iter().map(|k| k.id.as_str()).collect::<Vec<_>>().join(", ")
                )),
            }
        }
    }
}

fn held_ones<'a>(keys: &[&'a KeyFacts], held: &[Option<KeyId>]) -> Vec<&'a KeyFacts> {
    keys.iter().filter(|k| held.iter().flatten().any(|h| *h == k.id)).copied().collect()
}
