//! The consumers of a slot: how they are made to read it again, and what they say they hold.
//!
//! `command` runs a deploy program, `http` calls an address. What either answers is no acknowledgement: that is asked separately, or
//! seen in the usage.

mod acknowledge;
mod check;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
#[cfg(test)]
mod tests;

pub use check::program;

use crate::policy::model::consumer::{Ack as WrittenAck, Consumer, Method, Reload};
use crate::ports::{Consumers, PortError, Result};
use crate::rotation::{Ack, App, Child as ChildId};
use crate::secret::Scrubber;
use crate::support::child::{self, Child};
use crate::support::http::{self, Calls};
use crate::support::process::{self, Started};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

/// A child that was started and is waited for.
type Running = Pin<Box<dyn Future<Output = std::result::Result<child::Finished, child::ChildProblem>>>>;

/// The consumers of a policy.
pub struct ConsumerSet {
    consumers: Vec<Consumer>,
    longest: Duration,
    withhold: Vec<String>,
    scrubber: Scrubber,
    running: RefCell<BTreeMap<App, Running>>,
    #[cfg(feature = "kubernetes")]
    workloads: Option<kubernetes::Workloads>,
}

impl ConsumerSet {
    /// The consumers of a policy; a reload may take `longest`, and no child sees the variables in `withhold`.
    pub fn new(consumers: Vec<Consumer>, longest: Duration, withhold: Vec<String>, scrubber: Scrubber) -> Self {
        Self {
            consumers,
            longest,
            withhold,
            scrubber,
            running: RefCell::new(BTreeMap::new()),
            #[cfg(feature = "kubernetes")]
            workloads: None,
        }
    }

    /// With a way to workloads in Kubernetes.
    #[cfg(feature = "kubernetes")]
    #[must_use]
    pub fn with_workloads(mut self, workloads: kubernetes::Workloads) -> Self {
        self.workloads = Some(workloads);
        self
    }

    fn find(&self, app: &App) -> Result<&Consumer> {
        self.consumers
            .iter()
            .find(|c| c.app.as_str() == app.as_str())
            .ok_or_else(|| PortError::Unsupported { system: format!("consumer {app}"), action: "find it in the policy".into() })
    }

    /// Starts a program and gives back what identifies it, before it has ended.
    async fn start(&self, app: &App, argv: &[String]) -> Result<ChildId> {
        let failed = |why: String| PortError::Unreachable { system: format!("consumer {app}"), why, may_have_happened: true };
        let (program, arguments) = argv.split_first().ok_or_else(|| failed("its reload command is empty".into()))?;
        let mut command = Child::new(program, arguments);
        command.withhold.clone_from(&self.withhold);
        command.time = self.longest;
        let scrubber = self.scrubber.clone();
        let started: Rc<RefCell<Option<Started>>> = Rc::default();
        let seen = started.clone();
        let mut running: Running = Box::pin(async move {
            let on_start = |s: &Started| {
                *seen.borrow_mut() = Some(s.clone());
                Ok(())
            };
            child::run(&command, &scrubber, on_start).await
        });
        // The first poll spawns the process; it is finished only later, unless it could not be started at all.
        let first = std::future::poll_fn(|cx| std::task::Poll::Ready(running.as_mut().poll(cx))).await;
        if let std::task::Poll::Ready(ended) = first {
            let finished = ended.map_err(|e| failed(e.to_string()))?;
            running = Box::pin(async move { Ok(finished) });
        }
        let id =
            started.borrow().as_ref().map(|s| ChildId { pid: s.pid, start: s.start }).ok_or_else(|| failed("it did not start".into()))?;
        self.running.borrow_mut().insert(app.clone(), running);
        Ok(id)
    }

    async fn call(&self, app: &App, url: &str, method: Method) -> Result<()> {
        let system = || format!("consumer {app}");
        let failed = |e: http::HttpProblem| PortError::Unreachable {
            system: system(),
            may_have_happened: e.may_have_happened(),
            why: e.to_string(),
        };
        let url = http::address(url).map_err(failed)?;
        let client = self.client(Calls::Changing, &url).map_err(failed)?;
        let request = match method {
            Method::Get => client.get(url),
            Method::Post => client.post(url),
            Method::Put => client.put(url),
        };
        let answer = request.send().await.map_err(|e| failed(http::HttpProblem::of(&e)))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let why = format!("its reload address answered {}", status.as_u16());
        if status.is_server_error() {
            return Err(PortError::Unreachable { system: system(), why, may_have_happened: true });
        }
        Err(PortError::Refused { system: system(), action: "reload".into(), why })
    }

    fn client(&self, calls: Calls, url: &reqwest::Url) -> std::result::Result<reqwest::Client, http::HttpProblem> {
        let mut options = http::Options::to(calls, url);
        options.total = self.longest;
        http::client(&options)
    }
}

impl Consumers for ConsumerSet {
    async fn begin_reload(&self, app: &App) -> Result<Option<ChildId>> {
        match &self.find(app)?.reload {
            Reload::Command(argv) => self.start(app, argv).await.map(Some),
            Reload::Http(_) | Reload::Dynamic(_) | Reload::By(_) => Ok(None),
            #[cfg(feature = "kubernetes")]
            Reload::Kubernetes(_) if self.workloads.is_some() => Ok(None),
            Reload::Kubernetes(_) => {
                Err(PortError::Unsupported { system: "this build".into(), action: "restart a workload in Kubernetes".into() })
            }
        }
    }

    async fn finish_reload(&self, app: &App) -> Result<()> {
        let running = self.running.borrow_mut().remove(app);
        if let Some(running) = running {
            let failed = |why: String| PortError::Unreachable { system: format!("consumer {app}"), why, may_have_happened: true };
            let finished = running.await.map_err(|e| failed(e.to_string()))?;
            let code = finished.code.map_or_else(|| "a signal".to_owned(), |c| format!("exit {c}"));
            let why = format!("its reload command ended with {code}: {}", finished.complaint);
            return if finished.succeeded() {
                Ok(())
            } else {
                Err(PortError::Refused { system: format!("consumer {app}"), action: "reload".into(), why })
            };
        }
        match &self.find(app)?.reload {
            Reload::Http(http) => self.call(app, http.url.as_str(), http.method.unwrap_or(Method::Post)).await,
            #[cfg(feature = "kubernetes")]
            Reload::Kubernetes(reload) => match &self.workloads {
                Some(workloads) => workloads.reload(app, reload).await,
                None => Ok(()),
            },
            #[cfg(not(feature = "kubernetes"))]
            Reload::Kubernetes(_) => Ok(()),
            Reload::Command(_) | Reload::Dynamic(_) | Reload::By(_) => Ok(()),
        }
    }

    async fn acknowledged(&self, app: &App) -> Result<Option<Ack>> {
        let consumer = self.find(app)?;
        #[cfg(feature = "kubernetes")]
        if let (None, Reload::Kubernetes(reload), Some(workloads)) = (&consumer.ack, &consumer.reload, &self.workloads) {
            return workloads.acknowledged(app, reload).await;
        }
        match &consumer.ack {
            Some(WrittenAck::VersionFile(path)) => acknowledge::from_file(app, path),
            Some(WrittenAck::Http(http)) => {
                let failed = |e: http::HttpProblem| PortError::Unreachable {
                    system: format!("consumer {app}"),
                    may_have_happened: false,
                    why: e.to_string(),
                };
                let url = http::address(http.url.as_str()).map_err(failed)?;
                let client = self.client(Calls::Reading, &url).map_err(failed)?;
                acknowledge::from_http(app, &client, url).await
            }
            Some(WrittenAck::FirstUse(_)) | None => Ok(None),
        }
    }

    async fn surviving(&self, child: &ChildId, end: bool) -> Result<bool> {
        let started = Started { pid: child.pid, start: child.start, boot: crate::support::clock::boot_id() };
        let running = process::alive(&started);
        if !end || !running {
            return Ok(running);
        }
        let failed = |why: String| PortError::Unreachable { system: format!("child process {}", child.pid), why, may_have_happened: false };
        if child.start.is_none() {
            return Err(failed(
                "its start time is not known, so the number may be somebody else's by now; look at it and end it by hand".into(),
            ));
        }
        process::end_group(&started).map_err(|e| failed(e.to_string()))?;
        Ok(process::alive(&started))
    }
}
