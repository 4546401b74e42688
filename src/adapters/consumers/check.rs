//! What a person should know of the consumers before a rotation needs them. No reload is begun.

use super::ConsumerSet;
use crate::policy::model::consumer::{Ack, Consumer, Reload};
use crate::ports::{About, Consumers, Finding};
use crate::rotation::App;
use crate::support::http;
use crate::support::text::clean_to;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Time for one connection.
const CONNECT: Duration = Duration::from_secs(5);

impl ConsumerSet {
    /// Looks at how each consumer is reloaded and how it acknowledges.
    pub async fn check(&self) -> Vec<(String, Vec<Finding>)> {
        let mut all = Vec::new();
        for consumer in &self.consumers {
            let mut found = self.reload(consumer).await;
            found.extend(self.acknowledgement(consumer).await);
            all.push((consumer.app.as_str().to_owned(), found));
        }
        all
    }

    async fn reload(&self, consumer: &Consumer) -> Vec<Finding> {
        #[cfg(feature = "kubernetes")]
        if let (Reload::Kubernetes(written), Some(workloads)) = (&consumer.reload, &self.workloads) {
            return workloads.check(&App::new(consumer.app.as_str()), written).await;
        }
        vec![reload(consumer)]
    }

    async fn acknowledgement(&self, consumer: &Consumer) -> Option<Finding> {
        let said = match &consumer.ack {
            None | Some(Ack::FirstUse(_)) => return None,
            Some(Ack::VersionFile(_) | Ack::Http(_)) => self.acknowledged(&App::new(consumer.app.as_str())).await,
        };
        Some(match said {
            Ok(Some(ack)) if ack.holds.is_none() && ack.key.is_none() => Finding::bad(
                About::Setup,
                "its acknowledgement does not say which value it holds",
                "let it add `holds` (the fingerprint) or `key_id`",
            ),
            Ok(Some(_)) => Finding::good(About::Setup, "it says what it holds"),
            Ok(None) => Finding::note(About::Setup, "it has not said yet what it holds"),
            Err(e) => Finding::of(&e),
        })
    }
}

fn reload(consumer: &Consumer) -> Finding {
    match &consumer.reload {
        Reload::Command(argv) => program(argv.first().map_or("", String::as_str)),
        Reload::Http(hook) => listens(hook.url.as_str()),
        Reload::Dynamic(_) => Finding::good(About::Setup, "it reads the slot by itself"),
        Reload::By(_) => Finding::note(About::Setup, "a person reloads it, and the run waits for that"),
        Reload::Kubernetes(_) => Finding::note(About::Setup, "its workload is looked at when it is restarted"),
    }
}

/// Whether a program can be started from here.
pub fn program(name: &str) -> Finding {
    let places: Vec<PathBuf> = if name.contains('/') {
        vec![PathBuf::from(name)]
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|dir| dir.join(name)).collect()
    };
    let shown = clean_to(name, 200);
    if places.iter().any(|place| is_program(place)) {
        return Finding::good(About::Setup, format!("the program {shown} is there"));
    }
    let why = if places.iter().any(|p| p.is_file()) { "is there and may not be executed" } else { "was not found" };
    Finding::bad(About::Setup, format!("the program {shown} {why}"), "correct its path, or install it on the machine that runs keyroll")
}

fn is_program(place: &Path) -> bool {
    std::fs::metadata(place).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// Whether somebody takes connections at an address. Nothing is sent: a hook may act on any request.
fn listens(url: &str) -> Finding {
    let Ok(url) = http::address(url) else { return Finding::bad(About::Setup, "its reload address is none", "correct it") };
    let (host, port) = (url.host_str().unwrap_or_default().trim_matches(['[', ']']), url.port_or_known_default().unwrap_or(443));
    let reached =
        (host, port).to_socket_addrs().is_ok_and(|mut places| places.any(|place| TcpStream::connect_timeout(&place, CONNECT).is_ok()));
    if reached {
        return Finding::good(About::Reach, "its reload address takes connections");
    }
    if std::env::var_os("HTTPS_PROXY").or_else(|| std::env::var_os("https_proxy")).is_some() && !http::is_loopback(&url) {
        return Finding::note(About::Reach, "its reload address takes no direct connection; a proxy may lead there");
    }
    Finding::bad(
        About::Reach,
        format!("nobody takes connections at {}:{port}", clean_to(host, 200)),
        "start it, or correct the reload address",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Health;

    #[test]
    fn a_program_is_looked_for_as_a_shell_would() {
        assert_eq!(program("sh").health, Health::Good);
        assert_eq!(program("/bin/sh").health, Health::Good);
        let missing = program("no-such-program-anywhere");
        assert!(missing.health == Health::Bad && missing.what.contains("not found"), "{missing:?}");
        let plain = program("/etc/hostname\u{1b}[31m");
        assert!(!plain.what.contains('\u{1b}'), "{plain:?}");
    }
}
