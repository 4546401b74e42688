//! One call of the program: sparing environment, limited time, and an exit code that means something.

use super::CommandStore;
use super::note::{Left, Noted};
use crate::policy::mask;
use crate::ports::{PortError, Result};
use crate::secret::SecretText;
use crate::support::child::{self, Child, ChildProblem, Finished, Input};
use crate::support::process::{self, Started};
use std::cell::RefCell;
use std::time::Duration;

/// A program that takes longer is ended, where the policy says nothing.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest answer.
const OUTPUT: usize = 256 * 1024;

/// What a program is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Observe,
    Read,
    Stage,
    Promote,
    Demote,
    Fence,
    DropPending,
    Retire,
}

impl Verb {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Read => "read",
            Self::Stage => "stage",
            Self::Promote => "promote",
            Self::Demote => "demote",
            Self::Fence => "fence",
            Self::DropPending => "drop-pending",
            Self::Retire => "retire",
        }
    }

    fn changes(self) -> bool {
        match self {
            Self::Observe | Self::Read => false,
            Self::Stage | Self::Promote | Self::Demote | Self::Fence | Self::DropPending | Self::Retire => true,
        }
    }
}

impl CommandStore {
    /// Runs the program once. What it left running is ended, also after a good end.
    pub(super) async fn call(&self, verb: Verb, arguments: &[&str], value: Option<&SecretText>) -> Result<Finished> {
        self.settle(verb)?;
        if let Some(value) = value {
            self.scrubber.add("a value of a slot", value);
        }
        let Some((program, first)) = self.slot.run.split_first() else { return Err(self.refused(verb, "the policy names no program")) };
        let mut all: Vec<&str> = first.iter().map(String::as_str).collect();
        all.push(verb.word());
        all.extend(arguments);
        let mut child = Child::new(program, all);
        child.pass = self.slot.pass.iter().map(|name| name.as_str().to_owned()).collect();
        child.withhold.clone_from(&self.withhold);
        child.input = value.map_or(Input::Nothing, Input::Secret);
        child.time = self.slot.call_timeout.map_or(PATIENCE, |t| Duration::from_millis(t.as_millis()));
        child.output_limit = OUTPUT;
        let started: RefCell<Option<(Started, Option<Noted>)>> = RefCell::new(None);
        let on_start = |new: &Started| {
            let noted = if verb.changes() { Some(self.notes.write(new)?) } else { None };
            *started.borrow_mut() = Some((new.clone(), noted));
            Ok(())
        };
        let finished = child::run(&child, &self.scrubber, on_start).await;
        if let Some((started, _)) = started.borrow().as_ref() {
            // Its leader has ended; others of its group may go on, and could still change something.
            let _looked_at_by_the_next_call = process::end_group(started);
        }
        match finished {
            Ok(finished) => self.meaning(verb, finished),
            Err(problem) => Err(self.problem(verb, &problem)),
        }
    }

    /// Nothing is looked at or done while something of an earlier process may still change the slot.
    fn settle(&self, verb: Verb) -> Result<()> {
        let (number, why) = match self.notes.settle() {
            Left::Nothing => return Ok(()),
            // A look beside a run that is at work is harmless.
            Left::AtWork(_) if !verb.changes() => return Ok(()),
            Left::AtWork(number) => (number, "is at work there; wait for it, or end it"),
            Left::Stuck(number) => (number, "was left by an earlier run and does not end; end it by hand"),
        };
        Err(self.away(format!("process {number} {why}"), false))
    }

    fn meaning(&self, verb: Verb, finished: Finished) -> Result<Finished> {
        let said = self.said(&finished.complaint);
        match finished.code {
            Some(0) if finished.output_cut && !verb.changes() => Err(self.unreadable(&format!("longer than {OUTPUT} bytes"))),
            Some(0) => Ok(finished),
            Some(3) => Err(self.conflict(verb, &format!("it is not in the state that was relied on (exit 3){said}"))),
            Some(4) => Err(PortError::Unsupported { system: self.name(), action: format!("{} (exit 4){said}", verb.word()) }),
            Some(5) => Err(self.away(format!("not now (exit 5){said}; try again later"), false)),
            Some(6) => Err(self.refused(verb, &format!("not allowed (exit 6){said}; check the credentials that it is given with `pass`"))),
            code => {
                let how = code.map_or_else(|| "a signal".to_owned(), |code| format!("exit {code}"));
                let look = if verb.changes() { "; the change may have happened, so look" } else { "" };
                Err(self.away(format!("`{}` ended with {how}{said}{look}", verb.word()), verb.changes()))
            }
        }
    }

    fn problem(&self, verb: Verb, problem: &ChildProblem) -> PortError {
        match problem {
            ChildProblem::Start { .. } => self.refused(verb, &problem.to_string()),
            ChildProblem::TimedOut { program, after, complaint } => {
                let said = self.said(complaint);
                let why = format!("{program} was not done with `{}` after {after} s, so it and its group were ended{said}", verb.word());
                self.away(why, verb.changes())
            }
            ChildProblem::NotRecorded { .. } | ChildProblem::Wait { .. } => self.away(problem.to_string(), verb.changes()),
        }
    }

    /// The end of standard error. It was scrubbed of every value that is known; what merely looks like one is hidden too.
    fn said(&self, complaint: &str) -> String {
        if complaint.is_empty() { String::new() } else { format!("; it said: {}", mask::masked(&self.scrubber.scrub(complaint), &[])) }
    }

    pub(super) fn refused(&self, verb: Verb, why: &str) -> PortError {
        PortError::Refused { system: self.name(), action: verb.word().to_owned(), why: why.to_owned() }
    }

    pub(super) fn conflict(&self, verb: Verb, why: &str) -> PortError {
        PortError::Conflict { system: self.name(), action: verb.word().to_owned(), why: why.to_owned() }
    }

    pub(super) fn unreadable(&self, why: &str) -> PortError {
        PortError::Unreadable { system: self.name(), why: why.to_owned() }
    }

    pub(super) fn away(&self, why: String, may_have_happened: bool) -> PortError {
        PortError::Unreachable { system: self.name(), why, may_have_happened }
    }
}
