//! What a bad day does to a run: each is said clearly, with the right exit code, and nothing is lost.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

mod common;

use common::{Place, Said, binary, keyroll};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

fn moved_to(phase: &str) -> impl Fn(&serde_json::Value) -> bool {
    move |r| r["moved"]["to"] == phase
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// The end of a process that must not take longer than this.
fn ends_within(mut child: Child, seconds: u64) -> Said {
    for _ in 0..seconds * 20 {
        if child.try_wait().unwrap().is_some() {
            return Said::of(child.wait_with_output().unwrap());
        }
        sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    let said = Said::of(child.wait_with_output().unwrap());
    unreachable!("it went on for more than {seconds} s: {}", said.err)
}

/// Whatever happened, the rotation can be brought to its end, and no consumer was refused.
fn nothing_is_lost(place: &Place) {
    place.keyroll(&["resume", "--timeout", "40s"]).ends(0);
    assert_eq!(place.refused(), Vec::<String>::new());
    assert!(place.marked().is_empty());
    let done = place.records().iter().any(|r| r["finished"]["end"] == "done");
    assert!(done, "{:?}", place.records().last());
}

/// A file system of its own, where this user may mount one.
struct Mount(PathBuf);

impl Mount {
    fn small(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m,mode=700", "none"]).arg(at).stderr(Stdio::null()).status();
        mounted.is_ok_and(|s| s.success()).then(|| Self(at.to_owned()))
    }

    fn remount(&self, how: &str) {
        assert!(Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_stops_the_run_in_words_and_room_lets_it_go_on() {
    let place = Place::new();
    let Some(_mount) = Mount::small(&place.dir.path().join("state")) else { return };
    let run = place.run(&[]).spawn().unwrap();
    place.wait_for(moved_to("hold"));
    let junk = place.dir.path().join("state/junk");
    // Filled to the last byte: a record that does not fit is cut off again, and nothing follows it.
    let filled = Command::new("dd").args(["if=/dev/zero", "bs=512"]).arg(format!("of={}", junk.display())).stderr(Stdio::null()).status();
    assert!(!filled.unwrap().success(), "the disk is full");
    let said = ends_within(run, 30);
    said.ends(1);
    assert!(said.err.contains("no space is left on the device") && said.err.contains("keyroll resume"), "{}", said.err);
    // While it is full, every try says so, and looking still works.
    let again = place.keyroll(&["resume"]);
    again.ends(1);
    assert!(again.err.contains("no space is left"), "{}", again.err);
    place.keyroll(&["status"]).ends(0);
    fs::remove_file(&junk).unwrap();
    nothing_is_lost(&place);
}

#[test]
fn a_limit_on_file_sizes_is_an_error_and_no_death() {
    let place = Place::new();
    let run = place.run(&[]).spawn().unwrap();
    place.wait_for(moved_to("flip"));
    let journal = fs::read_dir(place.dir.path().join("state/runs")).unwrap().next().unwrap().unwrap().path().join("journal.jsonl");
    let limit = fs::metadata(&journal).unwrap().len() + 700;
    let set = Command::new("prlimit").args([format!("--pid={}", run.id()), format!("--fsize={limit}:{limit}")]).status();
    assert!(set.unwrap().success());
    let said = ends_within(run, 30);
    said.ends(1);
    assert!(said.err.contains("ulimit -f") && said.err.contains("keyroll resume"), "{}", said.err);
    nothing_is_lost(&place);
}

#[test]
fn a_read_only_state_folder_can_be_looked_at_and_nothing_else() {
    let place = Place::new();
    let Some(mount) = Mount::small(&place.dir.path().join("state")) else { return };
    place.run(&["--until", "canary"]).output().map(Said::of).unwrap().ends(11);
    mount.remount("ro");
    for verb in [&["resume"][..], &["rollback"], &["freeze", "--reason", "x"]] {
        let said = place.keyroll(verb);
        said.ends(1);
        assert!(said.err.contains("read-only") && said.err.contains("writable"), "{verb:?}: {}", said.err);
    }
    place.keyroll(&["status"]).ends(0);
    place.keyroll(&["why"]).ends(0);
    mount.remount("rw");
    nothing_is_lost(&place);
}

#[test]
fn a_state_folder_that_cannot_be_made_is_said_before_anything_is_asked() {
    let place = Place::new();
    let policy = place.policy();
    let said = Said::of(Command::new(binary()).args(["run", "--state", "/proc/nowhere"]).arg(&policy).output().unwrap());
    said.ends(1);
    assert!(said.err.contains("/proc/nowhere") && said.err.contains("state folder"), "{}", said.err);
    assert!(place.marked().is_empty());
}

/// Parked, or, where the way back needs what went away, stuck with its steps: said in either case with how to go on.
fn stopped_in_words(said: &Said) {
    assert!(matches!(said.code, Some(10..=12 | 22)), "{:?}: {}", said.code, said.err);
    let word = if said.code == Some(22) { "stuck." } else { "parked" };
    assert!(said.err.contains(word) && said.err.contains("keyroll resume"), "{}", said.err);
}

#[test]
fn a_sandbox_folder_that_goes_away_during_the_run_stops_it_and_its_return_lets_it_end() {
    for phase in ["flip", "hold"] {
        let place = Place::new();
        let run = place.run(&["--timeout", "4s"]).spawn().unwrap();
        place.wait_for(moved_to(phase));
        let (here, away) = (place.dir.path().join("sandbox"), place.dir.path().join("away"));
        fs::rename(&here, &away).unwrap();
        stopped_in_words(&ends_within(run, 90));
        // The gateway may have made the folder anew; what was there comes back.
        let _ = fs::remove_dir_all(&here);
        fs::rename(&away, &here).unwrap();
        sleep(Duration::from_secs(1));
        // A write that failed may have turned the run: then its end is the way back, and the old key is the one that works.
        let said = place.keyroll(&["resume", "--timeout", "40s"]);
        assert!(matches!(said.code, Some(0 | 21)), "{:?}: {}", said.code, said.err);
        assert_eq!(place.refused(), Vec::<String>::new());
        assert!(place.marked().is_empty());
        assert_eq!(place.tries(&place.slot()), vec![200, 200]);
    }
}

#[test]
fn a_sandbox_folder_that_is_deleted_leaves_a_run_that_can_be_read() {
    let place = Place::new();
    let run = place.run(&["--timeout", "4s"]).spawn().unwrap();
    place.wait_for(moved_to("hold"));
    // Its server writes while it is deleted, so a part may be left for a second try.
    for _ in 0..20 {
        if fs::remove_dir_all(place.dir.path().join("sandbox")).is_ok() {
            break;
        }
    }
    stopped_in_words(&ends_within(run, 90));
    let records = place.records();
    assert!(!records.iter().any(|r| r["began"]["kind"] == "disable_old"), "nothing was revoked without a log: {records:?}");
    // The state folder is another one: what was done is still told, and so is what is missing.
    place.keyroll(&["status"]).ends(0);
    let why = place.keyroll(&["why"]);
    why.ends(0);
    assert!(!why.out.is_empty());
    // The admin key was in that folder.
    let said = place.keyroll(&["resume", "--timeout", "2s"]);
    assert!(matches!(said.code, Some(10..=12)), "{:?}: {}", said.code, said.err);
    assert!(said.err.contains("no such file; put it back") && said.err.contains("nothing was changed"), "{}", said.err);
}

#[test]
fn the_first_signal_parks_and_the_second_ends_at_once() {
    for name in ["-INT", "-TERM"] {
        let place = Place::new();
        let run = place.run(&[]).spawn().unwrap();
        place.wait_for(moved_to("hold"));
        signal(&run, name);
        let said = ends_within(run, 20);
        said.ends(10);
        assert!(said.err.contains("interrupted") && said.err.contains("keyroll resume"), "{}", said.err);
        // A gateway that does not answer: the first signal waits for the call, the second does not.
        let text = fs::read_to_string(place.policy()).unwrap();
        assert!(text.contains("call_timeout"));
        let resumed = place.command(&["resume"]).spawn().unwrap();
        sleep(Duration::from_millis(400));
        place.pause();
        sleep(Duration::from_millis(200));
        signal(&resumed, name);
        sleep(Duration::from_millis(30));
        signal(&resumed, name);
        let said = ends_within(resumed, 20);
        place.go_on();
        assert!(matches!(said.code, Some(130)), "{:?} {}", said.code, said.err);
        nothing_is_lost(&place);
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_printing_and_nothing_else() {
    let place = Place::new();
    let mut run = place.run(&["--output", "json"]).stderr(Stdio::piped()).spawn().unwrap();
    // As `| head -1` does: one line, then the pipe is closed.
    let mut out = run.stdout.take().unwrap();
    let mut first = [0u8; 16];
    out.read_exact(&mut first).unwrap();
    drop(out);
    drop(run.stderr.take());
    assert_eq!(ends_within(run, 90).code, Some(0));
    let dir = place.dir.path();
    for verb in [&["--help"][..], &["schema"], &["completions", "bash"], &["man"], &["lint", "policy.yaml"], &["drill", "--help"]] {
        let mut child = Command::new(binary()).args(verb).current_dir(dir).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let said = Said::of(child.wait_with_output().unwrap());
        assert!(said.code == Some(0) && !said.err.contains("panicked"), "{verb:?}: {:?} {}", said.code, said.err);
    }
    keyroll(&["lint", "policy.yaml"], dir).ends(0);
}

/// A wall clock for one process, ahead or behind by what a file says.
struct FalseClock {
    library: PathBuf,
    offset: PathBuf,
}

impl FalseClock {
    /// The compiler is there wherever Rust links.
    fn new(dir: &Path) -> Self {
        let (source, library, offset) = (dir.join("clock.c"), dir.join("clock.so"), dir.join("offset"));
        fs::write(&source, include_str!("faults/clock.c")).unwrap();
        fs::write(&offset, "0").unwrap();
        let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).arg("-ldl").status();
        assert!(built.is_ok_and(|s| s.success()), "compile the clock shim: needs `cc`");
        Self { library, offset }
    }

    fn wears(&self, command: &mut Command) -> Child {
        command.env("LD_PRELOAD", &self.library).env("FALSE_CLOCK", &self.offset).spawn().unwrap()
    }

    fn jump(&self, seconds: i64) {
        // Replaced in one step: a reader never sees half of it.
        let new = self.offset.with_extension("new");
        fs::write(&new, seconds.to_string()).unwrap();
        fs::rename(&new, &self.offset).unwrap();
    }
}

#[test]
fn a_clock_that_jumps_three_days_delays_and_decides_nothing() {
    for jump in [3 * 86_400, -3 * 86_400] {
        let place = Place::new();
        let clock = FalseClock::new(place.dir.path());
        // Longer than the wait that a clock set back can make of a short one: the look after it must see the two clocks apart.
        let run = clock.wears(&mut place.run(&["--timeout", "14s"]));
        place.wait_for(moved_to("hold"));
        let before = place.records().len();
        clock.jump(jump);
        let said = ends_within(run, 90);
        let disabled = |r: &serde_json::Value| r["ended"]["kind"] == "disable_old";
        let since = place.records().split_off(before);
        assert_eq!(said.code, Some(10), "{jump}: {}", said.err);
        assert!(!since.iter().any(disabled), "a window of three days that lasted seconds shows nothing");
        assert!(said.err.contains("clock"), "{jump}: what is wrong is not said: {}", said.err);
        // Without the false clock, which looks like a jump back.
        nothing_is_lost(&place);
    }
}
