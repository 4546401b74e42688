//! A real etcd of one member.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses a part of this")]

use super::servers::{Server, free_port, http_status, install};
use std::process::Command;

/// It ends, and its data go, when this is dropped.
pub struct EtcdServer {
    server: Server,
    /// Where clients reach it.
    pub url: String,
    dir: tempfile::TempDir,
}

impl EtcdServer {
    /// Installs it if need be, and starts it.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start() -> Self {
        let binary = install("etcd");
        let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("no folder: {e}"));
        let (port, peers) = (free_port(), free_port());
        let (url, peers) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peers}"));
        let mut command = Command::new(binary);
        command.arg("--data-dir").arg(dir.path().join("data")).args(["--log-level", "error", "--unsafe-no-fsync"]);
        command.args(["--listen-client-urls", &url, "--advertise-client-urls", &url]);
        command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
        command.args(["--initial-cluster", &format!("default={peers}")]);
        let server = Server::start(&mut command, dir.path(), "etcd", port, || http_status(port, "/health") == Some(200));
        Self { server, url, dir }
    }
}
