//! Why a sandbox could not start or keep its state.

use std::net::SocketAddr;
use std::path::PathBuf;

/// What went wrong in the sandbox itself; each message reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The address would let other machines in.
    #[error("listen on {address}: the sandbox serves loopback only; use 127.0.0.1:0")]
    NotLoopback {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// An option has a value that makes no sense.
    #[error("use the option {option}: {why}")]
    Option {
        /// The name of the option.
        option: &'static str,
        /// What is wrong with it, and what would be right.
        why: String,
    },
    /// A second process wants the same folder.
    #[error("use {}: another sandbox runs there; stop it or choose another folder", dir.display())]
    FolderTaken {
        /// The folder.
        dir: PathBuf,
    },
    /// A file or folder could not be read or written.
    #[error("{action} {}: {why}; check its permissions and the free space", path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The reason the system gave.
        why: String,
    },
    /// The saved state is not ours or is damaged.
    #[error("read {}: {why}; remove the folder to start afresh", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A fault was named that does not exist, or with wrong arguments.
    #[error("switch the fault: {why}")]
    Fault {
        /// What is wrong, with the names that exist.
        why: String,
    },
    /// A socket, thread or runtime could not be had.
    #[error("{action}: {why}")]
    System {
        /// What was tried, as a verb.
        action: &'static str,
        /// The reason the system gave.
        why: String,
    },
}

impl SandboxError {
    /// A file problem, from what was tried and what the system said.
    pub(super) fn file(action: &'static str, path: &std::path::Path, why: &std::io::Error) -> Self {
        Self::File { action, path: path.to_path_buf(), why: why.to_string() }
    }

    /// A problem with a socket, a thread or the runtime.
    pub(super) fn system(action: &'static str, why: &dyn std::fmt::Display) -> Self {
        Self::System { action, why: why.to_string() }
    }
}
