//! What a person should know of a gateway before a rotation needs it. Reads; changes nothing, and calls nothing with a key that rotates:
//! inside a drain window such a call would be a use of it.

use super::AnyGateway;
use crate::ports::{About, Finding, Gateway, PortError};
use crate::rotation::{KeyFacts, Time};
use crate::support::http::{self, Calls, HttpProblem, Options};
use crate::support::text::{clean_to, plural};
use std::time::Duration;

impl AnyGateway {
    /// Looks at the admin side, and gives back the listing where there is one.
    pub async fn check(&self, now: impl Fn() -> Time) -> (Vec<Finding>, Option<Vec<KeyFacts>>) {
        admin(self, now).await
    }
}

async fn admin<G: Gateway>(gateway: &G, now: impl Fn() -> Time) -> (Vec<Finding>, Option<Vec<KeyFacts>>) {
    let mut found = Vec::new();
    match gateway.identity().await {
        Ok(identity) => {
            found.push(Finding::good(About::Reach, format!("it answers at {}", clean_to(&identity.base, 200))));
            let who: Vec<String> =
                [identity.principal, identity.tenant].iter().filter(|w| !w.is_empty()).map(|w| clean_to(w, 100)).collect();
            if !who.is_empty() {
                found.push(Finding::good(About::Login, format!("we are {}", who.join(" of "))));
            }
            if !identity.build.is_empty() {
                found.push(Finding::good(About::Version, clean_to(&identity.build, 100)));
            }
        }
        Err(e) => {
            found.push(Finding::of(&e));
            return (found, None);
        }
    }
    match gateway.now().await {
        Ok(theirs) => found.push(Finding::clock(Some(theirs), now())),
        Err(PortError::Unreadable { .. }) => found.push(Finding::clock(None, now())),
        Err(e) => found.push(Finding::of(&e)),
    }
    if let Err(e) = gateway.capabilities().await {
        found.push(Finding::of(&e));
    }
    match gateway.list().await {
        Ok(keys) => {
            found.push(Finding::good(About::Permission, format!("it lists {}", plural(keys.len(), "key", "keys"))));
            found.push(Finding::note(About::Permission, "making, switching and deleting a key cannot be tried without changing something"));
            (found, Some(keys))
        }
        Err(e) => {
            found.push(Finding::of(&e));
            (found, None)
        }
    }
}

/// Whether anybody answers at an address of the data plane, asked without a credential, and what its clock says.
pub async fn reach(url: &str, timeout: Duration, ca_pem: Option<Vec<u8>>, now: impl Fn() -> Time) -> Vec<Finding> {
    match ask(url, timeout, ca_pem).await {
        Ok((status, _)) if matches!(status, 502..=504) => vec![Finding::bad(
            About::Reach,
            format!("what answers there is not the gateway but something before it (status {status})"),
            "start the gateway behind it, or correct the address",
        )],
        Ok((_, date)) => vec![Finding::good(About::Reach, "it answers"), Finding::clock(date.map(Time), now())],
        Err(problem) => {
            let text = problem.to_string();
            let (what, fix) = text.rsplit_once("; ").unwrap_or((text.as_str(), "check the address"));
            vec![Finding::bad(About::Reach, format!("failed to {what}"), fix)]
        }
    }
}

async fn ask(url: &str, timeout: Duration, ca_pem: Option<Vec<u8>>) -> Result<(u16, Option<i64>), HttpProblem> {
    let url = http::address(url)?;
    let mut options = Options::to(Calls::Reading, &url);
    options.connect = options.connect.min(timeout);
    options.total = timeout;
    options.ca_pem = ca_pem;
    let answer = http::client(&options)?.get(url).send().await.map_err(|e| HttpProblem::of(&e))?;
    Ok((answer.status().as_u16(), http::date_millis(answer.headers())))
}
