//! Processes by number: whether one that an earlier run started still lives, and how to end its group.
//!
//! A process number is used again after a while, and from the start after a reboot. So a process is known by its number,
//! its start time and the machine's start together.

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, setrlimit, test_kill_process_group};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use thiserror::Error;

use super::clock;

/// How long a group may take to end by itself after being asked.
const GRACE: Duration = Duration::from_secs(2);
/// How often its state is looked at.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A process, known well enough to be recognised by a later run. It leads a group of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Process number, also the number of its group.
    pub pid: u32,
    /// When it started, in the system's own count; absent where the system does not tell.
    pub start: Option<u64>,
    /// The machine's start, by [`clock::boot_id`].
    pub boot: String,
}

impl Started {
    /// Describes a process that is running now.
    pub fn now(pid: u32) -> Self {
        Self { pid, start: process_start(pid), boot: clock::boot_id() }
    }
}

/// Whether the process, or any process of the group it led, still runs. When in doubt: yes.
pub fn alive(process: &Started) -> bool {
    if process.boot != clock::boot_id() {
        return false;
    }
    match (look(process.pid), process.start) {
        (Some(seen), Some(start)) if seen.start != start => false,
        (Some(seen), _) if !seen.ended => true,
        // The leader has ended. Its number is not given away while its group has members.
        _ => group_members_run(process),
    }
}

/// Ends the process and its whole group: asks first, then forces. Returns whether there was anything to end.
///
/// Blocks for up to four seconds; a run calls it before it does anything else.
pub fn end_group(process: &Started) -> Result<bool, NotEnded> {
    if !alive(process) {
        return Ok(false);
    }
    let refused = || NotEnded { pid: process.pid };
    let group = group_of(process.pid).ok_or_else(refused)?;
    let _ = kill_process_group(group, Signal::TERM);
    if !ended_within(process, GRACE) {
        let _ = kill_process_group(group, Signal::KILL);
        if !ended_within(process, GRACE) {
            return Err(refused());
        }
    }
    Ok(true)
}

/// Switches core dumps off for this process and its children: a dump holds every secret.
pub fn no_core_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // Lowering one's own limit is always allowed; where it is not, there is nothing else to do.
    let _ = setrlimit(Resource::Core, none);
}

/// When a process started, in the system's own count. None if there is no such process.
pub fn process_start(pid: u32) -> Option<u64> {
    look(pid).map(|seen| seen.start)
}

/// The group number that signals to a group take. Never 0 or 1, which would mean our own group or everything.
pub(super) fn group_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().filter(|pid| *pid > 1).and_then(Pid::from_raw)
}

/// Whether the process has ended and only its number is left.
pub(super) fn has_ended(pid: u32) -> bool {
    look(pid).is_none_or(|seen| seen.ended)
}

fn ended_within(process: &Started, time: Duration) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < time {
        if !alive(process) {
            return true;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    false
}

struct Seen {
    start: u64,
    /// A zombie: ended, but nobody has asked for its status yet.
    ended: bool,
    group: u32,
}

#[cfg(target_os = "linux")]
fn look(pid: u32) -> Option<Seen> {
    // The name in brackets may hold anything, blanks and brackets too; what follows the last bracket is fixed.
    let line = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let line = String::from_utf8_lossy(&line).into_owned();
    let (_, fixed) = line.rsplit_once(')')?;
    let fields: Vec<&str> = fixed.split_ascii_whitespace().collect();
    // Field 3 of the manual is the first here; field 22 is the start.
    let start = fields.get(19)?.parse().ok()?;
    let group = fields.get(2)?.parse().ok()?;
    Some(Seen { start, ended: matches!(*fields.first()?, "Z" | "X" | "x"), group })
}

#[cfg(target_os = "linux")]
fn group_members_run(process: &Started) -> bool {
    if group_of(process.pid).is_none_or(|group| test_kill_process_group(group).is_err()) {
        return false;
    }
    let Ok(all) = std::fs::read_dir("/proc") else {
        return true;
    };
    all.flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(look)
        .any(|seen| seen.group == process.pid && !seen.ended && process.start.is_none_or(|start| seen.start >= start))
}

#[cfg(not(target_os = "linux"))]
fn look(pid: u32) -> Option<Seen> {
    let asked = std::process::Command::new("ps").args(["-o", "stat=,pgid=,lstart=", "-p", &pid.to_string()]).output();
    let text = String::from_utf8_lossy(&asked.ok()?.stdout).into_owned();
    let mut words = text.split_ascii_whitespace();
    let ended = words.next()?.starts_with('Z');
    let group = words.next()?.parse().ok()?;
    let when: Vec<&str> = words.collect();
    let start = chrono::NaiveDateTime::parse_from_str(&when.join(" "), "%a %b %e %H:%M:%S %Y").ok()?;
    Some(Seen { start: u64::try_from(start.and_utc().timestamp()).ok()?, ended, group })
}

#[cfg(not(target_os = "linux"))]
fn group_members_run(process: &Started) -> bool {
    let Some(group) = group_of(process.pid) else {
        return false;
    };
    let leader_is_ours = look(process.pid).is_none_or(|seen| seen.group == process.pid);
    leader_is_ours && test_kill_process_group(group).is_ok()
}

/// A process of an earlier run does not end.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("end process group {pid} of an earlier run: it is still there; look at it with `ps -g {pid}`, end it by hand and resume")]
pub struct NotEnded {
    /// The number of the group.
    pub pid: u32,
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn shell(script: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]).process_group(0).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    #[test]
    fn we_are_alive_and_a_double_of_us_is_not() {
        let ours = Started::now(std::process::id());
        assert!(ours.start.is_some() && alive(&ours));
        assert!(!alive(&Started { start: ours.start.map(|start| start + 1), ..ours.clone() }), "the number was used again");
        assert!(!alive(&Started { boot: "another".to_owned(), ..ours }), "the machine was started again");
        assert_eq!(process_start(u32::MAX), None);
    }

    #[test]
    fn the_whole_group_is_ended_even_if_its_leader_is_gone() {
        let mut leader = shell("sleep 60 & echo up; exit 0");
        let known = Started::now(leader.id());
        let mut line = [0; 3];
        std::io::Read::read_exact(leader.stdout.as_mut().unwrap(), &mut line).unwrap();
        leader.wait().unwrap();
        assert!(alive(&known), "the sleeper lives on");
        assert_eq!(end_group(&known), Ok(true));
        assert!(!alive(&known));
        assert_eq!(end_group(&known), Ok(false), "nothing is left to end");
    }

    #[test]
    fn one_that_does_not_listen_is_forced() {
        let mut stubborn = shell("trap '' TERM; echo up; while :; do sleep 1; done");
        let known = Started::now(stubborn.id());
        let mut line = [0; 3];
        std::io::Read::read_exact(stubborn.stdout.as_mut().unwrap(), &mut line).unwrap();
        assert_eq!(end_group(&known), Ok(true));
        stubborn.wait().unwrap();
        assert!(!alive(&known));
    }

    #[test]
    fn groups_that_would_be_ours_or_everybodys_have_no_number() {
        assert!([0, 1, u32::MAX].into_iter().all(|pid| group_of(pid).is_none()));
    }
}
