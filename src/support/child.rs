//! The one way to start another program.
//!
//! A child starts from an empty environment plus a short list, because ours holds every secret that a reference names.
//! Secrets reach it on standard input only. It leads a process group of its own, so that a time-out ends all of it, and
//! what identifies it is handed out before it is waited for, so that a run that dies can be followed by one that knows.
//! Its standard error is treated as secret: bounded, scrubbed, and given back as a short cleaned tail.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout};
use zeroize::Zeroizing;

use super::process::{LOOK_EVERY, Started, alive, group_of, has_ended};
use super::text;
use crate::secret::{Scrubber, SecretText};

/// Variables that every child gets, if we have them.
const ALWAYS: [&str; 3] = ["PATH", "HOME", "LANG"];
/// How long a group may take to end by itself after a time-out.
const GRACE: Duration = Duration::from_secs(2);
/// How long output is awaited after the child itself has ended; a background process may hold it open for ever.
const LAST_OUTPUT: Duration = Duration::from_millis(500);
/// So much of standard error is kept before it is cleaned.
const STDERR_KEPT: usize = 16 * 1024;
/// So many characters of it are given back.
const STDERR_SHOWN: usize = 600;

/// What a child gets on standard input.
#[derive(Clone, Copy)]
pub enum Input<'a> {
    /// Nothing: it reads an end at once.
    Nothing,
    /// A secret and a line end.
    Secret(&'a SecretText),
    /// These bytes.
    Bytes(&'a [u8]),
}

/// A program to be run. Nothing in it may be a secret except the input.
pub struct Child<'a> {
    /// The program, searched in PATH.
    pub program: OsString,
    /// Its arguments, which everyone on the machine can read.
    pub arguments: Vec<OsString>,
    /// Names of our own variables that it gets, beside PATH, HOME and LANG.
    pub pass: Vec<String>,
    /// Names that it never gets, whatever the other lists say: those that a reference to a secret names.
    pub withhold: Vec<String>,
    /// Variables set for it.
    pub set: Vec<(String, String)>,
    /// Its working folder; ours if absent.
    pub folder: Option<PathBuf>,
    /// Its standard input.
    pub input: Input<'a>,
    /// It and its group are ended after this time.
    pub time: Duration,
    /// So many bytes of its standard output are kept.
    pub output_limit: usize,
}

impl Child<'_> {
    /// A program with its arguments: no input, one minute, 64 KiB of output.
    pub fn new(program: impl Into<OsString>, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            pass: Vec::new(),
            withhold: Vec::new(),
            set: Vec::new(),
            folder: None,
            input: Input::Nothing,
            time: Duration::from_secs(60),
            output_limit: 64 * 1024,
        }
    }

    fn name(&self) -> String {
        text::clean_to(&self.program.to_string_lossy(), 200)
    }

    fn command(&self) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.program);
        command.args(&self.arguments).env_clear().process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let passed = ALWAYS.into_iter().chain(self.pass.iter().map(String::as_str));
        for name in passed.filter(|name| !self.is_withheld(name)) {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        for (name, value) in self.set.iter().filter(|(name, _)| !self.is_withheld(name)) {
            command.env(name, value);
        }
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }

    fn is_withheld(&self, name: &str) -> bool {
        self.withhold.iter().any(|withheld| withheld == name)
    }
}

/// What a child left. Not printable: its output may be a secret.
pub struct Finished {
    /// The exit code; absent if a signal ended it.
    pub code: Option<i32>,
    /// The end of its standard error, scrubbed and cleaned: one line that may be shown.
    pub complaint: String,
    /// Whether it wrote more than was kept.
    pub output_cut: bool,
    output: Zeroizing<Vec<u8>>,
}

impl Finished {
    /// Whether it ended with code 0.
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }

    /// Its standard output.
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// Its standard output as a secret, without the line end; none if it is empty, cut, no text or more than a line.
    pub fn secret(&self) -> Option<SecretText> {
        let text = std::str::from_utf8(&self.output).ok()?;
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        (!self.output_cut && !line.is_empty() && !line.contains(['\n', '\r', '\0'])).then(|| SecretText::new(line))
    }
}

/// Runs a child to its end. `on_start` gets what identifies it, before it gets its input and is waited for; if it refuses
/// (the journal cannot be written), the child is ended at once.
///
/// Dropping the future ends the whole group. A process that the child itself left running after a normal end lives on.
pub async fn run(
    child: &Child<'_>,
    scrubber: &Scrubber,
    on_start: impl FnOnce(&Started) -> Result<(), String>,
) -> Result<Finished, ChildProblem> {
    let name = child.name();
    let failed = |source| ChildProblem::Start { program: child.name(), source };
    let mut process = child.command().spawn().map_err(failed)?;
    let pid = process.id().unwrap_or(0);
    let mut guard = Guard { pid: Some(pid) };
    let started = Started::now(pid);
    if let Err(why) = on_start(&started) {
        return Err(ChildProblem::NotRecorded { program: name, why });
    }
    let mut output = Kept::first(child.output_limit);
    let mut complaint = Kept::last(STDERR_KEPT);
    let (mut stdin, stdout, stderr) = (process.stdin.take(), process.stdout.take(), process.stderr.take());
    let begun = Instant::now();
    let write = async move {
        if let Some(pipe) = &mut stdin {
            // A child that does not read its input is no failure; its exit code tells.
            let _ = match child.input {
                Input::Nothing => Ok(()),
                Input::Bytes(bytes) => pipe.write_all(bytes).await,
                Input::Secret(secret) => match pipe.write_all(secret.expose().as_bytes()).await {
                    Ok(()) => pipe.write_all(b"\n").await,
                    refused => refused,
                },
            };
            let _ = pipe.flush().await;
        }
        drop(stdin);
    };
    let status = {
        let talk = async {
            tokio::join!(write, output.fill(stdout), complaint.fill(stderr));
        };
        tokio::pin!(talk);
        let mut talked = false;
        let ended = async {
            tokio::select! {
                status = process.wait() => status,
                () = &mut talk => {
                    talked = true;
                    process.wait().await
                }
            }
        };
        let status = timeout(child.time, ended).await;
        if status.is_ok() && !talked {
            let _ = timeout(LAST_OUTPUT, &mut talk).await;
        }
        status
    };
    let complaint = complaint.told(scrubber);
    match status {
        Ok(Ok(status)) => {
            guard.pid = None;
            Ok(Finished { code: status.code(), complaint, output_cut: output.cut, output: output.bytes })
        }
        Ok(Err(source)) => Err(ChildProblem::Wait { program: name, source }),
        Err(_) => {
            end(pid).await;
            // The status is collected only now: until then the number stays taken and the signals reached nobody else.
            let _ = timeout(GRACE, process.wait()).await;
            guard.pid = None;
            // The others of the group need a moment to be gone, and what follows may rely on it.
            let forced = Instant::now();
            while alive(&started) && forced.elapsed() < GRACE {
                sleep(LOOK_EVERY).await;
            }
            Err(ChildProblem::TimedOut { program: name, after: begun.elapsed().as_secs(), complaint })
        }
    }
}

/// Asks a group to end, then forces it.
async fn end(pid: u32) {
    let Some(group) = group_of(pid) else { return };
    let _ = rustix::process::kill_process_group(group, rustix::process::Signal::TERM);
    let begun = Instant::now();
    while begun.elapsed() < GRACE && !has_ended(pid) {
        sleep(LOOK_EVERY).await;
    }
    // Also when the leader has ended: others of the group may not have.
    let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
}

/// Ends the group if the wait for it is given up.
struct Guard {
    pid: Option<u32>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(group) = self.pid.and_then(group_of) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// A bounded part of what a child writes. All of it is read, so that the child never waits for us.
struct Kept {
    bytes: Zeroizing<Vec<u8>>,
    limit: usize,
    cut: bool,
    from_the_end: bool,
}

impl Kept {
    /// The first bytes. Room for all is made at once: a vector that grows leaves copies of secrets behind.
    fn first(limit: usize) -> Self {
        Self { bytes: Zeroizing::new(Vec::with_capacity(limit)), limit, cut: false, from_the_end: false }
    }

    /// The last bytes.
    fn last(limit: usize) -> Self {
        Self { bytes: Zeroizing::new(Vec::with_capacity(limit + CHUNK)), limit, cut: false, from_the_end: true }
    }

    async fn fill(&mut self, pipe: Option<impl AsyncRead + Unpin>) {
        let Some(mut pipe) = pipe else { return };
        let mut chunk = Zeroizing::new([0_u8; CHUNK]);
        while let Ok(count @ 1..) = pipe.read(chunk.as_mut_slice()).await {
            self.take(chunk.get(..count).unwrap_or_default());
        }
    }

    fn take(&mut self, chunk: &[u8]) {
        if self.from_the_end {
            self.bytes.extend_from_slice(chunk);
            let surplus = self.bytes.len().saturating_sub(self.limit);
            self.cut |= surplus > 0;
            self.bytes.drain(..surplus);
        } else {
            let room = self.limit - self.bytes.len();
            self.cut |= chunk.len() > room;
            self.bytes.extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
        }
    }

    /// The end of it as one line that may be shown.
    fn told(&self, scrubber: &Scrubber) -> String {
        let mut bytes = self.bytes.as_slice();
        if self.cut {
            // The first line may begin in the middle of a secret.
            let line_end = bytes.iter().position(|byte| *byte == b'\n');
            bytes = line_end.and_then(|at| bytes.get(at + 1..)).unwrap_or(b"(one long line, not shown)");
        }
        let scrubbed = scrubber.scrub(&String::from_utf8_lossy(bytes));
        // Cleaning can bring the halves of a split secret together.
        let line = scrubber.scrub(&text::clean_to(scrubbed.trim(), usize::MAX));
        let surplus = line.chars().count().saturating_sub(STDERR_SHOWN);
        if surplus == 0 { line } else { line.chars().skip(surplus).collect() }
    }
}

const CHUNK: usize = 8 * 1024;

/// Why a child did not run to its end. Shows what it said only scrubbed.
#[derive(Debug, Error)]
pub enum ChildProblem {
    /// It could not be started.
    #[error("start {program}: {source}; check that it is installed, executable and in PATH")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// Its start could not be recorded, so it was ended.
    #[error("record the start of {program}: {why}; it was ended at once and may have begun its work")]
    NotRecorded {
        /// The program.
        program: String,
        /// Why not.
        why: String,
    },
    /// It could not be waited for.
    #[error("wait for {program}: {source}; it was ended and may have done part of its work")]
    Wait {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// It took too long.
    #[error(
        "wait for {program}: not done after {after} s, so it and its group were ended and may have done part of its work; allow more time or look at it by hand{}",
        said(complaint)
    )]
    TimedOut {
        /// The program.
        program: String,
        /// Seconds it was given.
        after: u64,
        /// The end of its standard error, scrubbed.
        complaint: String,
    },
}

fn said(complaint: &str) -> String {
    if complaint.is_empty() { String::new() } else { format!("; it said: {complaint}") }
}

#[cfg(test)]
#[path = "child_tests.rs"]
mod tests;
