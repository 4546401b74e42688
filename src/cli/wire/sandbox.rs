//! The sandbox as a policy names it: one that runs, or one that is started here.

use crate::cli::fault::{Fault, exit};
use crate::policy::model::gateway::Sandbox;
use crate::policy::model::reference::Ref;
use crate::sandbox;

/// Stands in a policy for an address that is known only once the embedded sandbox runs; no host of that name is ever contacted.
pub(crate) const STAND_IN: &str = "http://sandbox";

/// Where the sandbox is, written in the policy or just started.
pub(super) struct Place {
    pub(super) admin: String,
    pub(super) data: Vec<String>,
    control: String,
    pub(super) log: String,
    pub(super) admin_key: Ref,
}

impl Place {
    pub(super) fn of(written: &Sandbox) -> Result<(Self, Option<sandbox::Running>), Fault> {
        if written.embedded.unwrap_or(written.admin.is_none()) {
            let dir = written.dir.clone().unwrap_or_else(|| ".keyroll/sandbox".into());
            let mut options = sandbox::Options::new(&dir);
            for fault in &written.faults {
                options.faults.push(fault.as_str().parse().map_err(|e| Fault::usage(format!("switch a fault on: {e}")))?);
            }
            // Enough calls in a few seconds that silence on the old key means something.
            options.rate = 2.0;
            let running = sandbox::start(options).map_err(|e| Fault::new(exit::UNREACHABLE, e.to_string()))?;
            let urls = running.urls.clone();
            let key = running.admin_key_file.display().to_string();
            let place = Self {
                admin: urls.admin,
                data: urls.data,
                control: urls.control,
                log: urls.log.display().to_string(),
                admin_key: Ref::File(key),
            };
            return Ok((place, Some(running)));
        }
        let need = |what: &str| {
            Fault::usage(format!("reach the sandbox: `{what}` is missing"))
                .hint("`keyroll sandbox serve` prints its addresses; or `embedded: true`")
        };
        let url = |u: &Option<crate::policy::scalar::Url>, what: &str| u.as_ref().map(|u| u.as_str().to_owned()).ok_or_else(|| need(what));
        Ok((
            Self {
                admin: url(&written.admin, "admin")?,
                data: written.data.iter().map(|u| u.as_str().to_owned()).collect(),
                control: written.control.as_ref().map(|u| u.as_str().to_owned()).unwrap_or_default(),
                log: written.log.clone().ok_or_else(|| need("log"))?,
                admin_key: written.admin_key.clone().ok_or_else(|| need("admin_key"))?,
            },
            None,
        ))
    }

    /// The host name `sandbox` in a consumer's addresses stands for the control address of the embedded sandbox.
    pub(super) fn rewrite(&self, mut consumer: crate::policy::model::consumer::Consumer) -> crate::policy::model::consumer::Consumer {
        use crate::policy::model::consumer::{Ack, Reload};
        let put = |url: &mut crate::policy::scalar::Url| {
            if let Some(path) = url.as_str().strip_prefix(STAND_IN).and_then(|rest| rest.strip_prefix('/'))
                && let Ok(new) = crate::policy::scalar::Url::parse(&format!("{}/{path}", self.control.trim_end_matches('/')))
            {
                *url = new;
            }
        };
        if let Reload::Http(http) = &mut consumer.reload {
            put(&mut http.url);
        }
        if let Some(Ack::Http(http)) = &mut consumer.ack {
            put(&mut http.url);
        }
        consumer
    }
}
