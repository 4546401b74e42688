//! Who else keeps a Secret as it is, and would undo what we write there: named, with the place where the value has to be changed.

use super::object::{Meta, Owner};
use crate::support::text::clean_to;

/// Kinds that own the Secrets they make, and where their values come from.
const KINDS: [(&str, &str); 9] = [
    ("ExternalSecret", "change the value in the store that it reads, and let External Secrets sync"),
    ("ClusterExternalSecret", "change the value in the store that it reads, and let External Secrets sync"),
    ("SealedSecret", "seal the new value and apply the SealedSecret"),
    ("VaultStaticSecret", "change the value in Vault, and let the operator sync"),
    ("VaultDynamicSecret", "the operator leases it from Vault; rotate it there"),
    ("VaultPKISecret", "the operator leases it from Vault; rotate it there"),
    ("OnePasswordItem", "change the item in 1Password"),
    ("InfisicalSecret", "change the value in Infisical"),
    ("DopplerSecret", "change the value in Doppler"),
];

/// Programs that write Secrets over and over, as the server's record names them.
const MANAGERS: [(&str, &str, &str); 8] = [
    ("external-secrets", "External Secrets", "change the value in the store that it reads, and let it sync"),
    ("vault-secrets-operator", "the Vault Secrets Operator", "change the value in Vault, and let it sync"),
    ("secrets-store-csi-driver", "the secrets store CSI driver", "change the value in the store that it mounts"),
    ("sealed-secrets", "Sealed Secrets", "seal the new value and apply the SealedSecret"),
    ("argocd", "Argo CD", "change the value in its repository, or take the Secret out of the application"),
    ("kustomize-controller", "Flux", "change the value in its repository, or take the Secret out of the kustomization"),
    ("helm-controller", "Flux", "change the value of the release"),
    ("helm", "Helm", "change the value of the release, or let the chart use a Secret that exists"),
];

/// Why a value written there would not stay; none when nobody else writes it.
pub(super) fn undoes(meta: &Meta) -> Option<String> {
    let known = |owner: &Owner| KINDS.iter().find(|(kind, _)| *kind == owner.kind).map(|(_, instead)| *instead);
    let owner = meta.owners.iter().find(|o| known(o).is_some() || o.controller == Some(true));
    if let Some(owner) = owner {
        let instead = known(owner).unwrap_or("rotate it where that gets its value");
        let (kind, name) = (clean_to(&owner.kind, 60), clean_to(&owner.name, 120));
        return Some(format!("{kind} {name} owns it and would undo the change; {instead}"));
    }
    let writer = meta.writers.iter().filter(|w| w.ours).find_map(|w| program(&w.manager));
    let by = writer.or_else(|| label(meta)).or_else(|| annotation(meta));
    by.map(|(name, instead)| format!("{name} writes it and would undo the change; {instead}"))
}

fn program(name: &str) -> Option<(&'static str, &'static str)> {
    let name = name.to_ascii_lowercase();
    MANAGERS.iter().find(|(prefix, ..)| name.starts_with(prefix)).map(|(_, shown, instead)| (*shown, *instead))
}

fn label(meta: &Meta) -> Option<(&'static str, &'static str)> {
    let managed = meta.labels.get("app.kubernetes.io/managed-by").map(String::as_str);
    let by = match managed {
        Some("hashicorp-vso") => program("vault-secrets-operator"),
        Some("secrets-store.csi.k8s.io") => program("secrets-store-csi-driver"),
        Some(other) => program(other),
        None => None,
    };
    let has = |name: &str| meta.labels.contains_key(name);
    by.or_else(|| has("secrets-store.csi.k8s.io/managed").then(|| program("secrets-store-csi-driver")).flatten())
        .or_else(|| has("reconcile.external-secrets.io/managed").then(|| program("external-secrets")).flatten())
        .or_else(|| has("kustomize.toolkit.fluxcd.io/name").then(|| program("kustomize-controller")).flatten())
        .or_else(|| has("helm.toolkit.fluxcd.io/name").then(|| program("helm-controller")).flatten())
        .or_else(|| has("argocd.argoproj.io/instance").then(|| program("argocd")).flatten())
}

fn annotation(meta: &Meta) -> Option<(&'static str, &'static str)> {
    let has = |name: &str| meta.annotations.iter().any(|a| a == name);
    if has("argocd.argoproj.io/tracking-id") {
        return program("argocd");
    }
    has("meta.helm.sh/release-name").then(|| program("helm")).flatten()
}

/// What a person should know who writes there all the same.
pub(super) fn notice(meta: &Meta) -> Option<String> {
    let applied = meta.annotations.iter().any(|a| a == "kubectl.kubernetes.io/last-applied-configuration");
    applied.then(|| {
        "it was made by `kubectl apply`: an annotation keeps a copy of the values of that day, and the next apply of that file would put \
         the old value back"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::super::object::Writer;
    use super::*;

    fn owned(kind: &str, controller: Option<bool>) -> Meta {
        Meta { owners: vec![Owner { kind: kind.into(), name: "x".into(), controller }], ..Meta::default() }
    }

    fn labelled(name: &str, value: &str) -> Meta {
        Meta { labels: [(name.to_owned(), value.to_owned())].into(), ..Meta::default() }
    }

    fn written(manager: &str, ours: bool) -> Meta {
        Meta { writers: vec![Writer { manager: manager.into(), at: None, ours }], ..Meta::default() }
    }

    fn by(meta: &Meta) -> String {
        undoes(meta).unwrap_or_default()
    }

    #[test]
    fn each_controller_is_named_with_the_place_to_write_to() {
        assert!(by(&owned("ExternalSecret", Some(true))).contains("ExternalSecret x owns it"));
        assert!(by(&owned("SealedSecret", None)).contains("seal the new value"));
        assert!(by(&owned("VaultStaticSecret", None)).contains("in Vault"));
        assert!(by(&owned("SomeOperator", Some(true))).contains("SomeOperator x"));
        assert!(by(&labelled("app.kubernetes.io/managed-by", "Helm")).contains("Helm writes it"));
        assert!(by(&labelled("app.kubernetes.io/managed-by", "hashicorp-vso")).contains("Vault Secrets Operator"));
        assert!(by(&labelled("reconcile.external-secrets.io/managed", "true")).contains("External Secrets"));
        assert!(by(&labelled("kustomize.toolkit.fluxcd.io/name", "apps")).contains("Flux"));
        assert!(by(&written("argocd-controller", true)).contains("Argo CD"));
        assert!(by(&written("external-secrets", true)).contains("External Secrets"));
        let tracked = Meta { annotations: vec!["argocd.argoproj.io/tracking-id".into()], ..Meta::default() };
        assert!(by(&tracked).contains("Argo CD"));
    }

    #[test]
    fn people_and_writers_of_other_keys_undo_nothing() {
        for meta in [
            Meta::default(),
            owned("ConfigMap", None),
            written("kubectl-edit", true),
            written("keyroll", true),
            written("external-secrets", false),
            labelled("app.kubernetes.io/managed-by", "terraform-by-hand"),
        ] {
            assert_eq!(undoes(&meta), None, "{meta:?}");
        }
    }

    #[test]
    fn a_file_that_would_be_applied_again_is_worth_a_word() {
        let applied = Meta { annotations: vec!["kubectl.kubernetes.io/last-applied-configuration".into()], ..Meta::default() };
        assert!(undoes(&applied).is_none());
        assert!(notice(&applied).is_some_and(|n| n.contains("kubectl apply")));
    }
}
