//! One of each: what speaks on the wire, and what encrypts it. A second copy would be a second behaviour, with settings of its own for
//! certificates, proxies and repetitions. `deny.toml` says the same for every platform; this needs nothing but cargo.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Of these there is one version.
const ONE: [&str; 5] = ["reqwest", "hyper", "rustls", "aws-lc-rs", "h2"];
/// Other ways to encrypt: another provider for rustls, or another TLS altogether.
const NONE: [&str; 9] =
    ["ring", "openssl", "openssl-sys", "native-tls", "boring", "boring-sys", "mbedtls", "rustls-graviola", "rustls-rustcrypto"];

/// Names and versions of what a build for this machine is made of.
fn tree(more: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"])
        .args(more)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    found(&String::from_utf8(output.stdout).unwrap())
}

fn found(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            found.entry(name.into()).or_default().insert(version.into());
        }
    }
    found
}

/// What is wrong with a tree.
fn wrong(tree: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let versions = |name: &str| tree.get(name).map_or(0, BTreeSet::len);
    let several = ONE.iter().filter(|name| versions(name) != 1).map(|name| format!("{} of {name}", versions(name)));
    several.chain(NONE.iter().filter(|name| versions(name) > 0).map(|name| format!("{name} is there"))).collect()
}

#[test]
fn one_client_one_tls_one_provider() {
    for features in [&["--all-features"][..], &[], &["--no-default-features"]] {
        let tree = tree(features);
        assert!(tree.len() > 50, "only {} crates were found", tree.len());
        assert!(wrong(&tree).is_empty(), "{features:?}: {:?}", wrong(&tree));
    }
}

#[test]
fn a_second_copy_is_seen() {
    let right = "reqwest v0.13.5\nhyper v1.12.0\nhyper v1.12.0 (*)\nrustls v0.23.46\naws-lc-rs v1.19.0\nh2 v0.4.20\n";
    assert!(wrong(&found(right)).is_empty());
    assert_eq!(wrong(&found(&format!("{right}hyper v0.14.32\nring v0.17.14\n"))), ["2 of hyper", "ring is there"]);
}
