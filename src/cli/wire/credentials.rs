//! keyroll's own credentials: how references are resolved, and the key that fingerprints are made with.

use crate::adapters::reference::{self, References};
use crate::cli::fault::{Fault, exit};
use crate::cli::out::Out;
use crate::journal::StateDir;
use crate::policy::Policy;
use crate::policy::model::process::Notify;
use crate::policy::model::reference::Ref;
use crate::policy::model::slot::Slot;
use crate::rotation::Run;
use crate::secret::FingerprintKey;

/// Every reference of a policy: variables that they name reach no child.
pub(super) fn references_of(policy: &Policy) -> Vec<&Ref> {
    let mut found: Vec<&Ref> = Vec::new();
    if let Some(gateway) = &policy.gateway {
        found.extend(gateway.admin());
        found.extend(gateway.key().and_then(|k| k.secret.as_ref()));
        found.extend(gateway.provider_key().map(|p| &p.issuer));
        found.extend(gateway.provider_key().and_then(|p| p.secret.as_ref()));
    }
    found.extend(policy.notify.iter().filter_map(|place| if let Notify::Webhook(hook) = place { Some(&hook.url) } else { None }));
    if let Some(out) = &policy.evidence_out {
        found.extend(out.fingerprint_key.as_ref());
        found.extend(out.sign.as_ref().map(|s| &s.key));
    }
    found
}

/// The variables that the slots' logins rest on.
pub(super) fn variables_of_slots(policy: &Policy) -> Vec<String> {
    let behind = |slot: &Slot| match slot {
        Slot::Vault(place) => reference::behind_vault(place),
        Slot::Github(place) => reference::variables([&place.token]),
        Slot::Gcp(place) => reference::variables([&place.token]),
        Slot::Azure(place) => reference::variables([&place.token]),
        Slot::Vercel(place) => reference::variables([&place.token]),
        Slot::File(_) | Slot::Aws(_) | Slot::Kubernetes(_) | Slot::Command(_) => Vec::new(),
    };
    policy.slots.iter().flat_map(behind).collect()
}

/// The fingerprint key: the organisation's where the policy names one, else one file for the whole state folder, made on first use.
pub(super) async fn fingerprint_key(
    policy: &Policy,
    state: &StateDir,
    run: Option<&Run>,
    references: &References,
) -> Result<FingerprintKey, Fault> {
    let failed = |e: crate::secret::KeyProblem| {
        Fault::new(exit::STUCK, e.to_string()).hint("without its fingerprint key no value can be compared; nothing was done")
    };
    let key = match policy.evidence_out.as_ref().and_then(|o| o.fingerprint_key.as_ref()) {
        Some(reference) => FingerprintKey::from_bytes(references.resolve(reference).await?.expose().as_bytes()).map_err(failed)?,
        None if state.is_shared() => {
            let what = "keep state that several machines share: without a fingerprint key of the organisation they could compare no value";
            return Err(Fault::new(exit::REFUSED, what)
                .hint("name one: `evidence_out: { fingerprint_key: { env: NAME } }`; `openssl rand -hex 32` makes one"));
        }
        None => {
            let path = state.root().join("fingerprint.key");
            if !path.exists() && run.is_none() {
                // Another process may make it at the same moment: whoever comes second reads the first one's.
                let _ = FingerprintKey::create_file(&path);
            }
            FingerprintKey::from_file(&path).map_err(failed)?
        }
    };
    match run {
        Some(run) if key.check_value() != run.plan.fingerprint_check => {
            Err(Fault::new(exit::STUCK, format!("go on with run {}: the fingerprint key is another one than when it was planned", run.id))
                .hint("nothing was done"))
        }
        Some(_) | None => Ok(key),
    }
}

/// How a person is asked for a secret; none where nobody sits at a terminal.
pub(super) fn ask(out: &Out) -> Option<Box<reference::Ask>> {
    out.terminal.then(|| {
        let ask: Box<reference::Ask> =
            Box::new(|question: &str| dialoguer::Password::new().with_prompt(question.to_owned()).interact().ok());
        ask
    })
}
