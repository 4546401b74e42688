//! From a path to a policy: read once, every problem shown at once.

use super::fault::Fault;
use super::out::Out;
use crate::policy::{self, Overlay, Policy, Source};
use crate::rotation::FrozenPolicy;
use std::path::Path;

/// A policy and what is frozen of it.
pub(crate) struct LoadedPolicy {
    /// The policy.
    pub policy: Policy,
    /// Its text and digest.
    pub frozen: FrozenPolicy,
}

/// Reads a policy that must be one rotation.
pub(crate) fn policy(path: &Path, env: Option<&str>, out: &Out) -> Result<LoadedPolicy, Fault> {
    let mut all = policies(path, env, out)?;
    match (all.len(), all.pop()) {
        (1, Some(one)) => Ok(one),
        (n, _) => Err(Fault::usage(format!("use {} here: it stands for {n} rotations", path.display()))
            .hint("`keyroll run` takes it; other verbs want one policy")),
    }
}

/// Reads a policy, or the many that `for_each` makes of it.
pub(crate) fn policies(path: &Path, env: Option<&str>, out: &Out) -> Result<Vec<LoadedPolicy>, Fault> {
    let source = Source::read(path).map_err(|problem| {
        let diagnostic = problem.diagnostic();
        Fault::usage(diagnostic.message.clone()).hint(diagnostic.help.clone())
    })?;
    let parsed = policy::parse(&source, &env.map_or_else(Overlay::none, Overlay::env));
    if !parsed.diagnostics.is_empty() && (parsed.has_errors() || !out.quiet) {
        out.shout(&policy::render::text(&parsed.diagnostics, &parsed.sources, out.colour));
    }
    if parsed.has_errors() {
        return Err(Fault::shown(super::fault::exit::USAGE));
    }
    let frozen = |policy: &Policy| FrozenPolicy {
        file: source.shown_path(),
        sha256: source.sha256.clone(),
        text: source.text.clone(),
        effective: serde_json::to_string(policy).unwrap_or_default(),
    };
    let mut all: Vec<LoadedPolicy> =
        parsed.each.into_iter().map(|e| LoadedPolicy { frozen: frozen(&e.policy), policy: e.policy }).collect();
    if let (true, Some(policy)) = (all.is_empty(), parsed.policy) {
        all.push(LoadedPolicy { frozen: frozen(&policy), policy });
    }
    Ok(all)
}

/// The policy that a plan froze.
pub(crate) fn frozen(frozen: &FrozenPolicy) -> Result<Policy, Fault> {
    serde_json::from_str(&frozen.effective)
        .map_err(|e| Fault::new(super::fault::exit::INTERNAL, format!("read the policy inside the plan: line {}", e.line())))
}
