//! What brings a value from the slot into the Secret that pods read: how it is made to hurry, and how people are told to help.

use crate::adapters::secrets::kubernetes::{Cluster, Problem, is_subdomain};
use crate::policy::model::consumer::Delivery;
use crate::support::clock;
use serde_json::json;
use zeroize::Zeroizing;

/// Asks for a copy now, where that can be asked; it says nothing about when the copy is there.
pub(super) async fn hurry(cluster: &Cluster, namespace: &str, through: &Delivery) -> Result<(), Problem> {
    let Delivery::ExternalSecret(copied) = through else { return Ok(()) };
    if !is_subdomain(&copied.name) {
        return Err(Problem::Refused("the ExternalSecret has no name of Kubernetes".into()));
    }
    let note = json!({ "metadata": { "annotations": { "force-sync": clock::wall_millis().to_string() } } }).to_string();
    // Older installations know the older version of the same object only.
    for version in ["v1", "v1beta1"] {
        let path = format!("/apis/external-secrets.io/{version}/namespaces/{namespace}/externalsecrets/{}", copied.name);
        match cluster.patch(&path, Zeroizing::new(note.clone().into_bytes())).await {
            Ok(_) => return Ok(()),
            Err(Problem::Missing) => return Err(Problem::Refused(format!("there is no ExternalSecret {}", copied.name))),
            Err(e @ (Problem::Stale | Problem::Login)) => return Err(e),
            // Without the right to ask, or when the answer was lost, it comes with the next refresh.
            Err(Problem::Refused(_) | Problem::Lost(_) | Problem::Unreadable(_) | Problem::NotSent(_)) => {}
        }
    }
    Ok(())
}

/// Who brings it, and how often.
pub(super) fn words(through: &Delivery) -> String {
    let every = through.refresh();
    match through {
        Delivery::ExternalSecret(c) => {
            format!("ExternalSecret {} copies it every {every} and was asked to do so at once; look at its conditions", c.name)
        }
        Delivery::VaultStaticSecret(c) => format!("VaultStaticSecret {} copies it every {every}; look at its conditions", c.name),
        Delivery::VaultAgent(_) => format!("the Vault Agent of each pod fetches it every {every}"),
        Delivery::Csi(_) => format!("the CSI driver mounts it anew every {every}"),
        Delivery::Reloader(_) => format!("Reloader restarts the workload within {every}"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    #[test]
    fn each_way_is_named_with_its_time() {
        let of = |text: &str| serde_json::from_str::<Delivery>(text).unwrap();
        let copied = of(r#"{"external_secret":{"name":"router","refresh":"1h"}}"#);
        assert!(copied.copies() && !copied.fetches() && words(&copied).contains("ExternalSecret router copies it every 1h"));
        let operator = of(r#"{"vault_static_secret":{"name":"router","refresh":"5m"}}"#);
        assert!(operator.copies() && words(&operator).contains("5m"));
        for fetched in [of(r#"{"vault_agent":{"refresh":"5m"}}"#), of(r#"{"csi":{"refresh":"5m"}}"#)] {
            assert!(fetched.fetches() && !fetched.copies() && words(&fetched).contains("5m"));
        }
        let reloader = of(r#"{"reloader":{"refresh":"1m"}}"#);
        assert!(!reloader.fetches() && !reloader.copies() && words(&reloader).contains("Reloader"));
    }
}
