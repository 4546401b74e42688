//! Gateways, slots and references: do the addresses and names fit together?

use super::Checks;
use crate::policy::{
    code::Code,
    model::{
        Policy,
        gateway::{Gateway, KeySelector, ProviderKey, Sandbox},
        reference::{AwsPlace, Ref, VaultPlace},
        slot::{FileFormat, Slot},
    },
    scalar::Url,
};

pub(super) fn check(checks: &mut Checks<'_>) {
    let policy = checks.policy;
    if let Some(gateway) = &policy.gateway {
        let path = format!("gateway.{}", gateway.kind());
        keys(checks, gateway, &path);
        if let Gateway::Sandbox(sandbox) = gateway {
            self::sandbox(checks, sandbox, &path);
        }
        if let Gateway::Http(described) = gateway {
            super::http::check(checks, described, &path);
        }
        if !gateway.in_this_build() {
            checks.say(
                Code::NotInThisBuild,
                &path,
                format!("this build cannot drive a `{}` gateway yet; its settings are kept unchecked", gateway.kind()),
                "`plan` will refuse this policy; `keyroll gateways` lists what can be driven",
            );
        }
    }
    slots(checks, &policy.slots);
    admin_elsewhere(checks, policy);
    insecure(checks, policy);
}

fn keys(checks: &mut Checks<'_>, gateway: &Gateway, path: &str) {
    if let Some(key) = gateway.key() {
        selector(checks, key, &format!("{path}.key"));
    }
    if let Some(key) = gateway.provider_key() {
        provider_key(checks, key, &format!("{path}.provider_key"));
    }
    if gateway.key().is_some() && gateway.provider_key().is_some() {
        checks.say_with(
            Code::KeyAndProviderKey,
            &format!("{path}.provider_key"),
            (&format!("{path}.key"), "the router key is named here"),
            "both a router key and a provider key are named",
            "keep one: a router key and a provider key are two rotations, so two policies",
        );
    }
}

fn selector(checks: &mut Checks<'_>, key: &KeySelector, path: &str) {
    let names = [&key.alias, &key.id, &key.name].into_iter().flatten().count();
    if names > 1 {
        checks.say(
            Code::KeySelector,
            path,
            "the key is named in more than one way",
            "keep one of `alias`, `id` and `name`; if they ever disagree the wrong key would be rotated",
        );
    } else if names == 0 && key.secret.is_none() {
        checks.say(
            Code::KeySelector,
            path,
            "`key` names no key",
            "write one of `alias`, `id` and `name`, or leave `key` out: then the key is found by the value in the slot",
        );
    }
}

fn provider_key(checks: &mut Checks<'_>, key: &ProviderKey, path: &str) {
    if key.name.is_some() == key.id.is_some() {
        checks.say(Code::KeySelector, path, "the provider key must be named in exactly one way", "write either `name` or `id`");
    }
}

fn sandbox(checks: &mut Checks<'_>, sandbox: &Sandbox, path: &str) {
    let embedded = sandbox.embedded == Some(true);
    let addresses = [
        ("admin", sandbox.admin.is_some()),
        ("data", !sandbox.data.is_empty()),
        ("control", sandbox.control.is_some()),
        ("admin_key", sandbox.admin_key.is_some()),
    ];
    if embedded {
        if let Some((name, _)) = addresses.iter().find(|(_, written)| *written) {
            checks.say_with(
                Code::AddressContradiction,
                &format!("{path}.{name}"),
                (&format!("{path}.embedded"), "embedded is chosen here"),
                "an embedded gateway chooses its addresses and its admin key itself",
                format!("remove `{name}`, or remove `embedded: true` to use a gateway that runs already"),
            );
        }
    } else if sandbox.admin.is_none() || sandbox.data.is_empty() || sandbox.admin_key.is_none() {
        checks.say(
            Code::AddressContradiction,
            path,
            "a gateway that runs already needs `admin`, `data` and `admin_key`",
            "write `embedded: true`, or copy the addresses that `keyroll sandbox serve` prints",
        );
    }
}

fn slots(checks: &mut Checks<'_>, slots: &[Slot]) {
    let mut seen: Vec<(String, usize)> = Vec::new();
    for (index, slot) in slots.iter().enumerate() {
        let path = format!("slots[{index}]");
        if let Slot::File(file) = slot {
            let format = file.format();
            if format == FileFormat::Dotenv && file.name.is_none() {
                checks.say(
                    Code::SlotFormat,
                    &format!("{path}.file.format"),
                    "a `.env` file needs the name of the variable",
                    "add `name:` with the variable that holds the key",
                );
            } else if format == FileFormat::Plain && file.name.is_some() {
                checks.say(
                    Code::SlotFormat,
                    &format!("{path}.file.name"),
                    "a plain file is the value itself and has no variables",
                    "remove `name`, or write `format: dotenv`",
                );
            }
        }
        if let (Slot::Aws(place), Some(first)) = (slot, same_secret(slots, index)) {
            let two_fields = !matches!(slots.get(first), Some(Slot::Aws(other)) if other.field == place.field);
            if two_fields {
                checks.say_with(
                    Code::DuplicateSlot,
                    &path,
                    (&format!("slots[{first}]"), "the same secret, another field"),
                    "two fields of one AWS secret cannot be changed by one run: its labels move between whole documents",
                    "give one of the two a secret of its own, or rotate them one after the other, with a policy for each",
                );
            }
        }
        let Some(place) = place_of(slot) else {
            continue;
        };
        if let Some((_, first)) = seen.iter().find(|(other, _)| *other == place) {
            checks.say_with(
                Code::DuplicateSlot,
                &path,
                (&format!("slots[{first}]"), "listed first here"),
                "this slot is listed twice",
                "remove one of the two",
            );
        } else {
            seen.push((place, index));
        }
    }
}

/// The first slot in the same AWS secret, before this one.
fn same_secret(slots: &[Slot], index: usize) -> Option<usize> {
    let secret = |slot: &Slot| if let Slot::Aws(place) = slot { Some(aws(&AwsPlace { field: None, ..place.clone() })) } else { None };
    let this = slots.get(index).and_then(secret)?;
    slots.iter().take(index).position(|slot| secret(slot).as_deref() == Some(this.as_str()))
}

/// A text that is equal for two slots exactly when they are the same place.
fn place_of(slot: &Slot) -> Option<String> {
    match slot {
        Slot::File(file) => Some(format!("file {} {}", tidy(&file.path), file.name.as_ref().map_or("", |name| name.as_str()))),
        Slot::Vault(place) => Some(vault(place)),
        Slot::Aws(place) => Some(aws(place)),
        Slot::Kubernetes(slot) => {
            let cluster = slot.cluster.as_deref().or(slot.context.as_deref()).unwrap_or_default();
            Some(format!("kubernetes {cluster} {} {} {}", slot.namespace, slot.secret, slot.key))
        }
        Slot::Command(slot) => Some(format!("command {}", slot.name)),
        Slot::Github(slot) => {
            let place = format!("{} {} {}", slot.repository, slot.environment.as_deref().unwrap_or_default(), slot.secret);
            Some(format!("github {}", place.to_ascii_lowercase()))
        }
        Slot::Azure(slot) => Some(format!("azure {} {}", slot.vault.origin(), slot.secret.to_ascii_lowercase())),
        Slot::Gcp(slot) => Some(format!("gcp {} {} {}", slot.project, slot.secret, slot.alias)),
        Slot::Vercel(slot) => Some(format!("vercel {} {} {:?}", slot.project, slot.name, slot.target)),
    }
}

fn vault(place: &VaultPlace) -> String {
    let address = place.address.as_ref().map_or("", Url::as_str).trim_end_matches('/');
    let namespace = place.namespace.as_deref().unwrap_or_default();
    format!("vault {address} {namespace} {}/{} {}", place.mount.trim_matches('/'), place.path.trim_matches('/'), place.field)
}

/// A secret by its name and by its full name (ARN) is one secret: the region is in the one, and beside the other.
fn aws(place: &AwsPlace) -> String {
    let mut parts = place.secret.splitn(7, ':');
    let arn = match (parts.next(), parts.nth(1), parts.next(), parts.nth(1), parts.next()) {
        (Some("arn"), Some("secretsmanager"), Some(region), Some("secret"), Some(full)) => {
            // AWS adds six characters to the name.
            let name = full.rsplit_once('-').filter(|(name, random)| random.len() == 6 && !name.is_empty()).map_or(full, |(name, _)| name);
            Some((region, name))
        }
        _ => None,
    };
    let (region, name) = arn.unwrap_or((place.region.as_deref().unwrap_or_default(), place.secret.as_str()));
    let endpoint = place.endpoint.as_ref().map_or("", Url::as_str).trim_end_matches('/');
    format!("aws {endpoint} {region} {name} {}", place.field.as_deref().unwrap_or_default())
}

fn tidy(path: &str) -> &str {
    let mut path = path;
    while let Some(rest) = path.strip_prefix("./") {
        path = rest;
    }
    path
}

/// The admin credential may not come from the place that is being rotated.
fn admin_elsewhere(checks: &mut Checks<'_>, policy: &Policy) {
    let Some(gateway) = &policy.gateway else {
        return;
    };
    let Some(admin) = gateway.admin() else { return };
    let field = if matches!(gateway, Gateway::Sandbox(_)) { "admin_key" } else { "admin" };
    let path = format!("gateway.{}.{field}", gateway.kind());
    let help = "use an admin credential of its own: otherwise revoking the old key would lock us out half-way";
    if gateway.key().and_then(|key| key.secret.as_ref()).is_some_and(|secret| secret == admin) {
        checks.say(Code::AdminIsRotated, &path, "the admin credential is the key that is being rotated", help);
        return;
    }
    let same = |slot: &Slot| match (slot, admin) {
        (Slot::File(file), Ref::File(path)) => tidy(&file.path) == tidy(path),
        (Slot::Vault(slot), Ref::Vault(place)) => vault(slot) == vault(place),
        (Slot::Aws(slot), Ref::Aws(place)) => aws(slot) == aws(place),
        _ => false,
    };
    if let Some(index) = policy.slots.iter().position(same) {
        let slot = format!("slots[{index}]");
        checks.say_with(
            Code::AdminIsRotated,
            &path,
            (&slot, "this slot is rotated"),
            "the admin credential is read from a slot that is being rotated",
            help,
        );
    }
}

/// Addresses that receive a credential without encryption.
fn insecure(checks: &mut Checks<'_>, policy: &Policy) {
    let mut urls: Vec<(String, &Url)> = Vec::new();
    match &policy.gateway {
        Some(Gateway::LiteLlm(gateway)) => {
            urls.push(("gateway.litellm.url".to_owned(), &gateway.url));
            urls.extend(gateway.replicas.iter().enumerate().map(|(index, url)| (format!("gateway.litellm.replicas[{index}]"), url)));
        }
        Some(Gateway::Http(gateway)) => {
            urls.push(("gateway.http.url".to_owned(), &gateway.url));
            urls.extend(gateway.data.urls.iter().enumerate().map(|(index, url)| (format!("gateway.http.data.urls[{index}]"), url)));
        }
        Some(named @ (Gateway::OpenRouter(gateway) | Gateway::ARouter(gateway))) => {
            urls.extend(gateway.url.as_ref().map(|url| (format!("gateway.{}.url", named.kind()), url)));
        }
        Some(Gateway::NewApi(gateway)) => {
            let written = [("url", &gateway.url), ("data", &gateway.data)];
            urls.extend(written.iter().filter_map(|(name, url)| Some((format!("gateway.new_api.{name}"), url.as_ref()?))));
        }
        Some(Gateway::Aisix(gateway)) => urls.extend(gateway.urls()),
        Some(Gateway::Sandbox(_)) | None => {}
        Some(other) => {
            if let Gateway::LlmGateway(gateway) | Gateway::Manual(gateway) = other {
                urls.extend(gateway.url.as_ref().map(|url| (format!("gateway.{}.url", other.kind()), url)));
            }
        }
    }
    for (index, slot) in policy.slots.iter().enumerate() {
        let (field, url) = match slot {
            Slot::Vault(place) => ("address", place.address.as_ref()),
            Slot::Aws(place) => ("endpoint", place.endpoint.as_ref()),
            Slot::Azure(place) => ("vault", Some(&place.vault)),
            Slot::Github(place) => ("url", place.url.as_ref()),
            Slot::Gcp(place) => ("url", place.url.as_ref()),
            Slot::Vercel(place) => ("url", place.url.as_ref()),
            Slot::File(_) | Slot::Kubernetes(_) | Slot::Command(_) => continue,
        };
        urls.extend(url.map(|url| (format!("slots[{index}].{}.{field}", slot.kind()), url)));
    }
    for (path, url) in urls {
        if url.is_insecure() {
            checks.say(
                Code::InsecureUrl,
                &path,
                "keys would travel unencrypted to this address",
                "use https, unless every machine in between is yours",
            );
        }
    }
}
