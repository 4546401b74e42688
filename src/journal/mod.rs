//! A run's memory on disk, and who may touch what.
//!
//! | file | idea |
//! |---|---|
//! | `line` | one line of a journal, and the chain that ties it to the line before; pure |
//! | `file` | the journal file: append under a fence, sync, torn tail |
//! | `head` | number and hash of the last line, kept outside the run's folder |
//! | `store` | the state folder: create, resume, list, load |
//! | `claim` | durable: which run may touch a resource |
//! | `lease` | which process executes a run now |
//! | `inbox` | what other processes tell a run |
//! | `freeze` | an incident stops everything |
//! | `shared` | the same among many machines, in a bucket |
//! | `open_lock` | all of it as the engine's [`Lock`](crate::ports::Lock) |
//! | `error` | what can go wrong, for a person |
//!
//! ```text
//! .keyroll/
//!   lock                        held for moments, around every change of claims
//!   freeze.json                 while an incident freeze is on
//!   claims/<sha256>.json        one per resource, named by the hash of its canonical text
//!   heads/<run>                 number and hash of the run's last line
//!   runs/<run>/journal.jsonl    the records
//!   runs/<run>/lease            flock by the process that executes the run
//!   runs/<run>/inbox/           messages from other processes; done/ keeps those that were used
//!   runs/<run>/fingerprint.key  where the organisation has none
//!   runs/<run>/bundle/          the evidence
//! ```
//!
//! The head lies beside the claims and not in the run's folder: putting back an old copy of a run must not put back the proof that
//! it is old. What is not fenced: a restore of the *whole* state folder looks consistent from here; only the look at the world finds it.

mod claim;
mod error;
mod file;
mod freeze;
mod fs;
mod head;
mod inbox;
mod lease;
mod line;
mod open_lock;
mod shared;
mod store;
#[cfg(test)]
mod testing;

pub use claim::{Claim, Claimed, Claims};
pub use error::{JournalError, StateError};
pub use file::JournalFile;
pub use freeze::Freeze;
pub use head::Head;
pub use inbox::{Delivered, Inbox, InboxView, Message, Reply};
pub use lease::{Held, Lease, Taker};
pub use line::{Chain, FORMAT, Line, Parsed, ROOT};
pub use open_lock::OpenLock;
pub use store::{Loaded, Opened, RunEntry, StateDir, Unlock};
