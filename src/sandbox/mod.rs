//! The embedded gateway: real HTTP on loopback, its consumers, and its faults.
//!
//! For newcomers, who can run a whole rotation with nothing installed, and for tests, which can make it misbehave. It
//! is not the proof that an adapter works: that is the real software.
//!
//! Where to read: [`Options`] → `boot` (folder, lock, ports, thread) → `server` (HTTP) → `admin` with `keys` and
//! `models`, `data` with `replies` and `upstream`, `control` with `people` → `world` (everything that changes, behind
//! one lock) → `state` (what is saved), `tables` (keys, models), `replica` (what each replica knows), `log` (rows and
//! counters). `consumers` are its callers, `faults` its switches.
//!
//! All secrets here are demo values of the sandbox's own making; they open nothing else.
#![doc = include_str!("CONTRACT.md")]

mod admin;
mod boot;
mod consumers;
mod control;
mod data;
mod error;
mod faults;
mod ids;
mod keys;
mod log;
mod models;
mod people;
mod replica;
mod replies;
mod server;
mod state;
mod tables;
mod upstream;
mod world;

#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub use error::SandboxError;
pub use faults::{FaultDoc, FaultName, FaultSpec};

/// How a sandbox is to be run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where its files live; made when missing, gone on with when there.
    pub dir: PathBuf,
    /// The address of the admin API; port 0 means the same as last time, or any. The others lie on the same address.
    pub listen: SocketAddr,
    /// How many replicas the data plane has.
    pub replicas: usize,
    /// Whether the five consumers call.
    pub consumers: bool,
    /// A factor on how often they call.
    pub rate: f64,
    /// Faults to switch at the start, besides those that were left on.
    pub faults: Vec<FaultSpec>,
    /// Whether the caller of a mint may choose the secret.
    pub caller_chosen: bool,
    /// How long a change takes until the last replica sees it; documented by the gateway.
    pub settles_in_ms: u64,
    /// How long replicas remember a refusal; documented by the gateway. The fault of that name overrides it silently.
    pub refusal_cache_ms: u64,
}

impl Options {
    /// Three replicas on any ports of 127.0.0.1, with consumers and without faults.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            replicas: 3,
            consumers: true,
            rate: 1.0,
            faults: Vec::new(),
            caller_chosen: false,
            settles_in_ms: 150,
            refusal_cache_ms: 0,
        }
    }
}

/// Where a running sandbox is; the one line that `sandbox serve` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Urls {
    /// Base address of the admin API.
    pub admin: String,
    /// Base address of each replica of the data plane, in order.
    pub data: Vec<String>,
    /// Base address of the control API.
    pub control: String,
    /// The folder of the request log, one file per replica.
    pub log: PathBuf,
    /// The slot file that consumers read.
    pub store: PathBuf,
}

/// A sandbox on a thread of its own. Dropping it stops it.
#[derive(Debug)]
pub struct Running {
    /// Where it is.
    pub urls: Urls,
    /// The file with the admin key.
    pub admin_key_file: PathBuf,
    stop: watch::Sender<bool>,
    finished: watch::Receiver<bool>,
    thread: Option<JoinHandle<Result<(), SandboxError>>>,
}

impl Running {
    /// Ends consumers, servers and logs in that order, and waits for it: a few seconds at most.
    pub fn stop(mut self) -> Result<(), SandboxError> {
        self.end()
    }

    /// Resolves when the sandbox has ended by itself, as after `POST /quit`. Call [`Running::stop`] then, too.
    pub async fn finished(&self) {
        let mut finished = self.finished.clone();
        // An error means that the thread is gone, which is an end as well.
        let _either_way_it_is_over = finished.wait_for(|done| *done).await;
    }

    fn end(&mut self) -> Result<(), SandboxError> {
        self.stop.send_replace(true);
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err(SandboxError::system("end the sandbox", &"its thread broke")),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _nobody_is_left_to_tell = self.end();
    }
}

/// Starts a sandbox on a thread and a runtime of its own: a caller that blocks does not stall it. Returns when every
/// address accepts connections.
pub fn start(options: Options) -> Result<Running, SandboxError> {
    boot::start(options)
}

/// The name under which the command line knows [`start`]: there the process does nothing else.
pub use self::start as serve;
