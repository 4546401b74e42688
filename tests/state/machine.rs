//! A machine of its own: a working folder, a mirror, and one process after the other that tries to get the run done.

use crate::bucket::Bucket;
use crate::common::{Place, Said, binary};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Of the organisation, for these machines.
pub(crate) const FINGERPRINT_KEY: &str = "8f14e45fceea167a5a36dedd4bea2543f7c3bb09a5b0c7c1d2e3f4a5b6c7d8e9";

/// A small generator: the same seed, the same disturbances.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

pub(crate) struct Machine {
    pub(crate) name: &'static str,
    dir: PathBuf,
    endpoint: String,
    policy: PathBuf,
    process: Option<Child>,
    wakes: Option<Instant>,
    not_before: Instant,
    count: usize,
    story: Vec<String>,
    pub(crate) done: bool,
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Machine {
    pub(crate) fn new(name: &'static str, dir: &Path, place: &Place, bucket: &Bucket) -> Self {
        let dir = dir.join(name);
        std::fs::create_dir_all(&dir).unwrap();
        Self {
            name,
            dir,
            endpoint: bucket.endpoint(),
            policy: place.policy(),
            process: None,
            wakes: None,
            not_before: Instant::now(),
            count: 0,
            story: Vec::new(),
            done: false,
        }
    }

    fn command(&self, state: &str, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(["--state", state]).args(args).current_dir(&self.dir).stdin(Stdio::null());
        command.env("AWS_ENDPOINT_URL_S3", &self.endpoint).env("AWS_REGION", "us-east-1").env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_ACCESS_KEY_ID", "AKIATEST").env("AWS_SECRET_ACCESS_KEY", "not-a-secret").env("AWS_CONFIG_FILE", "/dev/null");
        command.env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null").env("FINGERPRINT_KEY", FINGERPRINT_KEY);
        command
    }

    pub(crate) fn keyroll_at(&self, state: &str, args: &[&str]) -> Said {
        Said::of(self.command(state, args).output().unwrap())
    }

    pub(crate) fn keyroll(&self, args: &[&str]) -> Said {
        self.keyroll_at("s3://state-bucket/ci?lease=2s", args)
    }

    /// Sees what became of the process, wakes it when it is time, and starts another one.
    pub(crate) fn look(&mut self) {
        if self.wakes.is_some_and(|at| Instant::now() >= at) {
            self.wake();
        }
        let Some(process) = &mut self.process else {
            if !self.done && Instant::now() >= self.not_before {
                self.start();
            }
            return;
        };
        let Some(status) = process.try_wait().unwrap() else { return };
        self.process = None;
        self.story.push(status.code().map_or_else(|| "killed".to_owned(), |c| c.to_string()));
        match status.code() {
            Some(0) => self.done = true,
            // Parked, unreachable, held by the other one: later.
            None | Some(10 | 11 | 12 | 30) => self.not_before = Instant::now() + Duration::from_millis(300),
            // None is open: it has not begun, or the other one is done.
            Some(2) => self.not_before = Instant::now() + Duration::from_millis(300),
            Some(code) => {
                let said = std::fs::read_to_string(self.file(self.count, "err")).unwrap_or_default();
                assert_eq!(code, 0, "{} ended with {code}: {said}", self.name);
            }
        }
    }

    fn start(&mut self) {
        self.count += 1;
        let policy = self.policy.display().to_string();
        // Both begin at once; whoever is second goes on with what the first one began.
        let args = if self.count == 1 { vec!["--output", "json", "run", &policy] } else { vec!["--output", "json", "resume"] };
        let mut command = self.command("s3://state-bucket/ci?lease=2s", &args);
        let open = |kind| std::fs::File::create(self.file(self.count, kind)).unwrap();
        self.process = Some(command.stdout(open("out")).stderr(open("err")).spawn().unwrap());
    }

    fn file(&self, process: usize, kind: &str) -> PathBuf {
        self.dir.join(format!("{process}.{kind}"))
    }

    fn signal(&self, name: &str) {
        if let Some(process) = &self.process {
            let _ = Command::new("kill").args([name, &process.id().to_string()]).status();
        }
    }

    pub(crate) fn kill(&mut self) {
        self.wakes = None;
        if let Some(process) = &mut self.process {
            let _ = process.kill();
        }
    }

    pub(crate) fn sleep(&mut self, length: Duration) {
        if self.process.is_some() && self.wakes.is_none() {
            self.signal("-STOP");
            self.story.push(format!("sleeps {} ms", length.as_millis()));
            self.wakes = Some(Instant::now() + length);
        }
    }

    fn wake(&mut self) {
        self.wakes = None;
        self.signal("-CONT");
    }

    /// Lets the last process end by itself, or ends it.
    pub(crate) fn finish(&mut self) {
        self.wake();
        let until = Instant::now() + Duration::from_secs(20);
        if let Some(process) = &mut self.process {
            while process.try_wait().unwrap().is_none() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = process.kill();
            let _ = process.wait();
        }
        self.process = None;
    }

    pub(crate) fn story(&self) -> String {
        format!("{}: {}", self.name, self.story.join(", "))
    }

    /// Machine, process, and the records that the process says it wrote.
    pub(crate) fn said(&self) -> Vec<(&'static str, usize, Vec<Value>)> {
        let records = |process| {
            let text = std::fs::read_to_string(self.file(process, "out")).unwrap_or_default();
            // A kill may have cut the last line.
            let values = text.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok());
            values.filter(|v| v["kind"] == "record").map(|mut v| v["record"].take()).collect()
        };
        (1..=self.count).map(|process| (self.name, process, records(process))).collect()
    }
}

/// The journal in pieces, each beginning with the opening of a session.
pub(crate) fn sessions<'a>(records: &[&'a Value]) -> Vec<Vec<&'a Value>> {
    let mut sessions: Vec<Vec<&Value>> = Vec::new();
    for record in records {
        if record.get("opened").is_some() {
            sessions.push(Vec::new());
        }
        if let Some(session) = sessions.last_mut() {
            session.push(record);
        }
    }
    sessions
}
