//! Checks of meaning: what the schema cannot say. All of them run; each says what to do.

mod gates;
mod http;
mod people;
mod places;
mod times;

use std::collections::BTreeMap;

use super::{
    code::Code,
    diagnostic::{Diagnostic, Span},
    model::Policy,
    tree::Node,
};

/// What the checks need: the policy, where its parts are written, and a place for what they find.
pub(crate) struct Checks<'a> {
    pub(crate) policy: &'a Policy,
    positions: BTreeMap<String, Span>,
    whole: Span,
    found: Vec<Diagnostic>,
}

/// Runs every check.
pub(crate) fn check(policy: &Policy, root: &Node) -> Vec<Diagnostic> {
    let mut positions = BTreeMap::new();
    root.positions("", &mut positions);
    let mut checks = Checks { policy, positions, whole: root.span, found: Vec::new() };
    checks.version();
    checks.rotation();
    places::check(&mut checks);
    people::check(&mut checks);
    gates::check(&mut checks);
    times::check(&mut checks);
    checks.found
}

impl Checks<'_> {
    /// Where a field is written, or the nearest block around it.
    pub(crate) fn spot(&self, path: &str) -> Span {
        let mut path = path;
        loop {
            if let Some(span) = self.positions.get(path) {
                return *span;
            }
            match path.rfind(['.', '[']) {
                Some(at) => path = path.get(..at).unwrap_or_default(),
                None => return self.whole,
            }
        }
    }

    pub(crate) fn say(&mut self, code: Code, path: &str, message: impl Into<String>, help: impl Into<String>) {
        let span = self.spot(path);
        self.found.push(Diagnostic::at(code, span, message, help));
    }

    /// As [`Checks::say`], with the place of what it contradicts.
    pub(crate) fn say_with(&mut self, code: Code, path: &str, other: (&str, &str), message: impl Into<String>, help: impl Into<String>) {
        let (span, first) = (self.spot(path), self.spot(other.0));
        self.found.push(Diagnostic::at(code, span, message, help).with_related(first, other.1));
    }

    fn version(&mut self) {
        if self.policy.version.is_some_and(|version| version != 1) {
            self.say(
                Code::VersionUnsupported,
                "version",
                "this version of the policy language is not known to this build",
                "write `version: 1`, or use a newer keyroll",
            );
        }
    }

    fn rotation(&mut self) {
        let Some(cutover) = &self.policy.rotation.cutover else {
            return;
        };
        if cutover.revoke_old_key_after_old_key_traffic_zero == Some(false) {
            self.say(
                Code::RevokeWithoutDrain,
                "rotation.cutover.revoke_old_key_after_old_key_traffic_zero",
                "the old key is revoked only when evidence shows that nothing uses it any more; this cannot be switched off",
                "write `true`; for a key that must go at once, run with `--emergency --reason TEXT`",
            );
        }
    }
}
