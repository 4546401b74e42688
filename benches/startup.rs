//! What a command costs that needs no network: `cargo bench --bench startup`.
//!
//! Each is run 200 times, alternating with `/bin/true` in the same loop, so that a busy machine slows both. Prints medians and the
//! difference; the goal is at most 2 ms over `/bin/true`. Nothing here asserts a time.

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing, reason = "a measurement")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 200;

fn main() {
    let binary = env!("CARGO_BIN_EXE_keyroll");
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy("runbooks/quickstart.yaml", dir.path().join("policy.yaml")).unwrap();
    // The offline plan needs an inventory: it is read once from an embedded sandbox.
    let saved = Command::new(binary)
        .args(["plan", "policy.yaml", "--save-inventory", "inventory.json"])
        .current_dir(dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    println!("binary: {} bytes", std::fs::metadata(binary).unwrap().len());
    let commands: [(&str, &[&str]); 3] = [
        ("--help", &["--help"]),
        ("lint", &["lint", "policy.yaml"]),
        ("plan --inventory", &["plan", "policy.yaml", "--inventory", "inventory.json"]),
    ];
    for (name, args) in commands.iter().filter(|(name, _)| saved.success() || *name != "plan --inventory") {
        let (mut base, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            base.push(time(dir.path(), "/bin/true", &[]));
            ours.push(time(dir.path(), binary, args));
        }
        let (base, ours) = (median(base), median(ours));
        println!("{name:<18} {:.2} ms, /bin/true {:.2} ms, over it {:.2} ms", ms(ours), ms(base), ms(ours) - ms(base));
    }
}

fn time(dir: &Path, program: &str, args: &[&str]) -> Duration {
    let began = Instant::now();
    Command::new(program).args(args).current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    began.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ms(d: Duration) -> f64 {
    d.as_secs_f64() * 1000.0
}
