//! What other processes tell a run, live or parked: one file per message, whole or absent.
//!
//! A reader looks ([`Inbox::peek`]), writes what it made of a message into the journal, and only then puts the message aside
//! ([`Inbox::consume`]). After a crash in between it sees the message again, so acting on one twice must be harmless: an answer is bound to
//! an attempt and a head, a turned run stays turned.

use super::shared::{Beat, Shared};
use super::{Lease, StateDir, StateError, fs};
use crate::ports::Answer;
use crate::rotation::{Phase, Proof, RunId, Time};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

const LIMIT: u64 = 64 * 1024;
const SUFFIX: &str = ".json";
const DONE: &str = "done";

/// Something a person wants of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Message {
    /// Yes or no to one question.
    Answer(Reply),
    /// Turn back.
    Turn {
        /// Who.
        by: String,
        /// Why.
        why: String,
    },
    /// Stop at the next safe point and park. Meant for the process that runs now.
    Stop,
}

/// An answer, bound to the question it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// To which phase.
    pub phase: Phase,
    /// To which attempt at it.
    pub attempt: u32,
    /// The head in the question.
    pub head: String,
    /// Who.
    pub by: String,
    /// Yes.
    pub yes: bool,
    /// Why not, or a remark.
    pub why: String,
    /// How the name is known.
    pub proof: Proof,
}

impl Reply {
    /// As the engine's type.
    pub fn answer(&self) -> Answer {
        Answer { by: self.by.clone(), yes: self.yes, why: self.why.clone(), proof: self.proof.clone() }
    }
}

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Its file's name; sorts by time of sending.
    pub name: String,
    /// What it says.
    pub message: Message,
}

/// What waits, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InboxView {
    /// Messages.
    pub messages: Vec<Delivered>,
    /// Names of files that are no messages; they are left where they are.
    pub unreadable: Vec<String>,
}

/// The inbox of one run.
#[derive(Debug, Clone)]
pub struct Inbox {
    dir: PathBuf,
    shared: Option<(Arc<Shared>, RunId)>,
    /// Fetched beside the run, so that looking costs nothing.
    fetched: Option<Arc<Beat>>,
}

impl Inbox {
    /// The inbox of a run that exists.
    ///
    /// # Errors
    /// When there is no such run.
    pub fn of(state: &StateDir, run: &RunId) -> Result<Self, StateError> {
        StateDir::check(run)?;
        state.pull(run)?;
        if !state.journal_path(run).exists() {
            return Err(StateError::NoSuchRun { given: run.to_string(), path: state.root().to_owned() });
        }
        let shared = state.shared().map(|shared| (shared.clone(), run.clone()));
        Ok(Self { dir: state.inbox_dir(run), shared, fetched: None })
    }

    /// As seen by the process that executes the run.
    #[must_use]
    pub(super) fn fetched(mut self, lease: &Lease) -> Self {
        self.fetched = lease.beat().cloned();
        self
    }

    /// Leaves a message. It is safe on disk when this returns.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn put(&self, message: &Message, at: Time) -> Result<String, StateError> {
        let failed = |e: &std::io::Error| StateError::io("write", &self.dir, e);
        std::fs::create_dir_all(self.dir.join(DONE)).map_err(|e| failed(&e))?;
        let text = serde_json::to_vec(message).map_err(|e| failed(&e.into()))?;
        // Several messages in one millisecond keep their order as far as one process can know it.
        for n in 0..10_000u32 {
            let name = format!("{:015}-{n:04}{SUFFIX}", at.0.max(0));
            if let Some((shared, run)) = &self.shared {
                if shared.post(run, &name, &text)? {
                    return Ok(name);
                }
                continue;
            }
            if self.dir.join(DONE).join(&name).exists() {
                continue;
            }
            match fs::write_new(&self.dir.join(&name), &text) {
                Ok(()) => return Ok(name),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(failed(&e)),
            }
        }
        Err(StateError::Busy { path: self.dir.clone() })
    }

    /// What waits, without taking it.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn peek(&self) -> Result<InboxView, StateError> {
        let mut view = InboxView::default();
        if let Some((shared, run)) = &self.shared {
            let waiting = match &self.fetched {
                Some(beat) => beat.messages(),
                None => shared.posted(run)?,
            };
            for (name, bytes) in waiting {
                match serde_json::from_slice(&bytes) {
                    Ok(message) => view.messages.push(Delivered { name, message }),
                    Err(_) => view.unreadable.push(name),
                }
            }
            return Ok(view);
        }
        let names = fs::names(&self.dir).map_err(|e| StateError::io("read", &self.dir, &e))?;
        for name in names.into_iter().filter(|n| n.ends_with(SUFFIX)) {
            match fs::read(&self.dir.join(&name), LIMIT) {
                // Somebody else consumed it meanwhile.
                Ok(None) => {}
                Ok(Some(bytes)) => match serde_json::from_slice(&bytes) {
                    Ok(message) => view.messages.push(Delivered { name, message }),
                    Err(_) => view.unreadable.push(name),
                },
                Err(_) => view.unreadable.push(name),
            }
        }
        Ok(view)
    }

    /// Puts a message aside, after what came of it is in the journal. It is kept in `done/`.
    ///
    /// # Errors
    /// When it cannot be moved. One that was put aside before is no error.
    pub fn consume(&self, name: &str) -> Result<(), StateError> {
        if name.contains('/') {
            return Ok(());
        }
        if let Some((shared, run)) = &self.shared {
            if let Some(beat) = &self.fetched {
                beat.forget(name);
            }
            return shared.consume(run, name);
        }
        let (from, to) = (self.dir.join(name), self.dir.join(DONE).join(name));
        match std::fs::rename(&from, &to) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(StateError::io("move", &from, &e)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Takes everything that waits, oldest first. For messages whose loss in a crash is harmless.
    ///
    /// # Errors
    /// When the folder cannot be read or changed.
    pub fn take_all_sorted(&self) -> Result<Vec<Delivered>, StateError> {
        let messages = self.peek()?.messages;
        messages.iter().try_for_each(|m| self.consume(&m.name))?;
        Ok(messages)
    }

    /// The oldest answer to exactly this question.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn answer_to(&self, phase: Phase, attempt: u32, head: &str) -> Result<Option<(String, Reply)>, StateError> {
        let fits = |r: &Reply| r.phase == phase && r.attempt == attempt && r.head == head;
        Ok(self.peek()?.messages.into_iter().find_map(|d| match d.message {
            Message::Answer(reply) if fits(&reply) => Some((d.name, reply)),
            Message::Answer(_) | Message::Turn { .. } | Message::Stop => None,
        }))
    }
}

#[cfg(test)]
#[path = "inbox_tests.rs"]
mod tests;
