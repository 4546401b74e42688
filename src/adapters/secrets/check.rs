//! What a person should know of any slot before a rotation needs it. A store that can tell more has a check of its own.

use super::AnyStore;
use crate::ports::{About, Finding, Place, SecretStore};
use crate::rotation::Time;

impl AnyStore {
    /// Looks at everything that a rotation of this slot will need, as far as that is possible without changing anything.
    pub async fn check(&self, now: Time) -> Vec<Finding> {
        #[cfg(feature = "vault")]
        if let Self::Vault(store) = self {
            return store.check(now).await;
        }
        #[cfg(feature = "aws")]
        if let Self::Aws(store) = self {
            return store.check(now).await;
        }
        #[cfg(feature = "kubernetes")]
        if let Self::Kubernetes(store) = self {
            return store.check(now).await;
        }
        general(self).await
    }
}

/// What the port of every store can tell: a look refuses in its own words, for example where a controller owns the object.
async fn general<S: SecretStore>(store: &S) -> Vec<Finding> {
    let seen = match store.observe().await {
        Ok(seen) => seen,
        Err(e) => return vec![Finding::of(&e)],
    };
    let mut found = vec![Finding::good(About::Reach, "it can be read")];
    // For example a controller that would undo every change.
    if let Some(why) = &seen.unusable {
        let (what, fix) = why.rsplit_once("; ").unwrap_or((why.as_str(), "rotate it where its value comes from"));
        found.push(Finding::bad(About::Place, what, fix));
    }
    found.push(match (seen.current.is_some(), store.caps().read_back) {
        (true, true) => match store.read(Place::Current).await {
            Ok(Some(_)) => Finding::good(About::Place, "it holds a value there"),
            Ok(None) => Finding::bad(About::Place, "its value cannot be read back", "check the name of the field"),
            Err(e) => Finding::of(&e),
        },
        (true, false) => Finding::note(About::Place, "it holds a value that cannot be read back, so nothing shows which one"),
        (false, _) => Finding::bad(
            About::Place,
            "there is no value: the place, the variable, or the field does not exist",
            "correct the path and the name in the policy, or put the present value there",
        ),
    });
    let others = seen.warnings.into_iter().filter(|w| Some(w) != seen.unusable.as_ref());
    found.extend(others.map(|warning| Finding::note(About::Place, warning)));
    if let Some(run) = seen.pending_run {
        found.push(
            Finding::note(About::Place, format!("a pending value of run {run} waits there")).fix("`keyroll orphans` tells whose it is"),
        );
    }
    found.push(Finding::note(About::Permission, "writing cannot be tried without changing something"));
    found
}
