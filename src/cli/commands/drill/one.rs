//! One rotation against one fault, with a sandbox, a state folder, and a policy of its own.

use super::faults::Meant;
use crate::cli::commands::plan as planning;
use crate::cli::fault::{Fault, exit};
use crate::cli::load::LoadedPolicy;
use crate::cli::out::Out;
use crate::cli::session::{self, Held};
use crate::cli::signals::Stop as Signal;
use crate::cli::wire::Wired;
use crate::engine::{Engine, Observer, Options, Stop};
use crate::journal::StateDir;
use crate::policy::{self, Overlay, Source};
use crate::ports::{Gateway, Ports};
use crate::rotation::{By, Done, End, FrozenPolicy, Judged, KeyFacts, Marker, Outcome, Phase, Point, Record, Run, Span, Verdict};
use crate::sandbox;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

const POLICY: &str = include_str!("policy.yaml");
/// A gate that has not moved for this long parks.
const PATIENCE: Span = Span::seconds(9);

/// How a drill ended.
pub(crate) struct Ended {
    /// Every verdict that did not let the run pass, in order.
    pub(super) blocked: Vec<Blocked>,
    /// How it ended while the fault was there.
    pub(super) end: &'static str,
    /// How it ended after the fault was cured, where it had not ended before.
    pub(super) cured: Option<&'static str>,
    /// Why it stands there, in words.
    pub(super) words: String,
    /// Consumers that are refused at the end, and keys that no open run accounts for.
    pub(super) left: Vec<String>,
    /// A lost answer was resolved by a look.
    pub(super) looked: bool,
    /// What a look found to be different from what the journal expected.
    pub(super) drift: Vec<String>,
}

/// One verdict of the journal that did not let the run pass.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Blocked {
    pub(super) gate: String,
    pub(super) check: String,
    pub(super) verdict: Verdict,
    /// The run came to rest with this verdict open.
    pub(super) stopped: bool,
}

impl Blocked {
    /// Gate, check, verdict, with spaces where a narrow table may break the line.
    pub(super) fn words(&self) -> String {
        format!("{}: {} {}", self.gate, self.check, word(self.verdict))
    }
}

impl Ended {
    /// The verdict that was expected, if the journal has it. What is not decided yet blocks only where the run came to rest with it: every
    /// healthy rotation waits a little.
    pub(super) fn saw(&self, check: &str, verdict: Verdict) -> Option<&Blocked> {
        let decided = verdict == Verdict::Fail;
        self.blocked.iter().find(|b| b.check == check && b.verdict == verdict && (b.stopped || decided))
    }

    /// How it ended, before and after the cure.
    pub(super) fn story(&self) -> String {
        let mut story = match self.cured {
            Some(cured) if cured == self.end => format!("{} for a person", self.end),
            Some(cured) => format!("{}; cured: {cured}", self.end),
            None => self.end.to_owned(),
        };
        for left in &self.left {
            story.push_str("; ");
            story.push_str(left);
        }
        story
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Inconclusive => "inconclusive",
        Verdict::NoData => "no data",
        Verdict::Error => "error",
        Verdict::Waived => "waived",
        Verdict::Skipped => "skipped",
    }
}

/// Runs one drill.
pub(crate) fn run(fault: &Meant, without: bool) -> Result<Ended, Fault> {
    let dir = tempfile::tempdir().map_err(|e| Fault::new(exit::INTERNAL, format!("make a folder: {e}")))?;
    let mut options = sandbox::Options::new(dir.path().join("sandbox"));
    options.replicas = 2;
    let sandbox = sandbox::start(options).map_err(|e| Fault::new(exit::UNREACHABLE, e.to_string()))?;
    let quiet = Out { json: false, colour: false, quiet: true, terminal: false };
    // The consumers' first calls belong to the look-back.
    std::thread::sleep(Duration::from_millis(1200));
    let loaded = load(&sandbox, dir.path())?;
    let ended = session::runtime()?.block_on(rotate(fault, without, &loaded, &sandbox, dir.path(), &quiet));
    drop(sandbox.stop());
    ended
}

async fn rotate(
    fault: &Meant,
    without: bool,
    loaded: &LoadedPolicy,
    sandbox: &sandbox::Running,
    dir: &Path,
    out: &Out,
) -> Result<Ended, Fault> {
    let state = StateDir::make(dir.join("state"))?;
    let signal = Signal::default();
    let wired = Wired::connect(&loaded.policy, &state, None, &signal, out).await?;
    let inventory = planning::inventory(&wired, &loaded.policy).await?;
    let mut plan = planning::make(loaded, &inventory, true)?;
    if without {
        for gate in &mut plan.gates {
            if gate.checks.len() > 1 {
                gate.checks.retain(|c| c.id != fault.check());
            }
        }
    }
    let how = crate::cli::args::How { wait: false, until: None, step: false, bundle: None };
    let mut held = session::begin(&state, plan, wired, &signal, &how)?;
    let mut drill =
        Drilling { fault, control: sandbox.urls.control.clone(), blocked: Vec::new(), drift: Vec::new(), looked: false, on: false };
    if fault.at == Phase::Prepare {
        drill.switch(true);
    }
    let (stop, run) = drive(&mut held, &mut drill).await;
    let end = end_of(&stop);
    drill.switch(false);
    let mut ended = Ended {
        blocked: std::mem::take(&mut drill.blocked),
        end,
        cured: None,
        words: stop.words(),
        left: Vec::new(),
        looked: drill.looked,
        drift: std::mem::take(&mut drill.drift),
    };
    if let Some(gate) = run.gate.as_ref().filter(|_| end != "done") {
        // What is still open where the run came to rest is what stopped it; the rest was waited for.
        for blocked in &mut ended.blocked {
            let open = |c: &Judged| c.check == blocked.check && c.verdict == blocked.verdict;
            blocked.stopped = blocked.gate == crate::cli::status::point_name(&gate.point) && gate.checks.iter().any(open);
        }
    }
    held.run = run;
    if end == "parked" {
        drill.on = true;
        let (stop, run) = drive(&mut held, &mut drill).await;
        held.run = run;
        ended.cured = Some(end_of(&stop));
        ended.words = stop.words();
    }
    ended.left = left(&held, sandbox).await;
    Ok(ended)
}

async fn drive(held: &mut Held, drill: &mut Drilling<'_>) -> (Stop, Run) {
    let options = Options { patience: PATIENCE, until: None };
    match Engine::open(&mut held.wired, drill, held.run.clone(), options, session::taker().holder, false).await {
        Ok(mut engine) => {
            let stop = engine.drive().await;
            let run = engine.run().clone();
            (stop, run)
        }
        Err(stop) => (stop, held.run.clone()),
    }
}

fn end_of(stop: &Stop) -> &'static str {
    match stop {
        Stop::Finished(End::Done) => "done",
        Stop::Finished(End::RolledBack { .. }) => "rolled back",
        Stop::Parked { .. } => "parked",
        Stop::Stuck { .. } => "stuck",
        Stop::GateFailed { .. } => "stopped",
        Stop::Unreachable { .. } => "unreachable",
        Stop::Fenced | Stop::Storage { .. } | Stop::Damaged { .. } | Stop::Unsealed { .. } => "failed",
    }
}

/// Consumers whose last call was refused after each had time to call again, and keys with a run's marker.
async fn left(held: &Held, sandbox: &sandbox::Running) -> Vec<String> {
    let mut left = Vec::new();
    let pause = held.wired.clock();
    let now = crate::ports::Clock::now(pause).at;
    crate::ports::Clock::sleep_until(pause, now.plus(Span(3500))).await;
    let consumers = get(&format!("{}/consumers", sandbox.urls.control)).unwrap_or_default();
    let rows = consumers.get("consumers").and_then(Value::as_array).or_else(|| consumers.as_array()).cloned().unwrap_or_default();
    if rows.is_empty() {
        left.push("the consumers could not be asked".into());
    }
    for row in rows {
        let status = row.get("last_status").and_then(Value::as_u64).unwrap_or(0);
        if status == 401 || status == 403 {
            left.push(format!("{} is refused", row.get("app").and_then(Value::as_str).unwrap_or("a consumer")));
        }
    }
    match held.wired.gateway().list().await {
        Ok(keys) => left.extend(keys.iter().filter(|k| orphaned(k, &held.run)).map(|k| format!("key {} is left", k.id))),
        Err(e) => left.push(e.to_string()),
    }
    left
}

/// A key with a marker is an orphan unless the run that made it is open.
fn orphaned(key: &KeyFacts, run: &Run) -> bool {
    Marker::run(&key.marker).is_some_and(|made_by| made_by != run.id || run.ended.is_some())
}

/// Watches the records, and switches the fault on when its phase begins.
struct Drilling<'a> {
    fault: &'a Meant,
    control: String,
    blocked: Vec<Blocked>,
    drift: Vec<String>,
    looked: bool,
    on: bool,
}

impl Drilling<'_> {
    fn switch(&mut self, on: bool) {
        self.on = true;
        let args: Value = serde_json::from_str(self.fault.args).unwrap_or_default();
        let body = serde_json::json!({ "name": self.fault.name, "on": on, "args": args }).to_string();
        let _ = post(&format!("{}/faults", self.control), &body);
    }

    fn judged(&mut self, point: &Point, checks: &[Judged]) {
        for check in checks.iter().filter(|c| !c.verdict.advances()) {
            let gate = crate::cli::status::point_name(point);
            let row = Blocked { gate, check: check.check.clone(), verdict: check.verdict, stopped: false };
            if !self.blocked.contains(&row) {
                self.blocked.push(row);
            }
        }
    }
}

impl Observer for Drilling<'_> {
    fn saw(&mut self, record: &Record, _: &Run) {
        match record {
            Record::Moved { to } if *to == self.fault.at && !self.on => self.switch(true),
            Record::Judged { point, checks, .. } => self.judged(point, checks),
            Record::Looked { drift, .. } => self.drift.extend(drift.iter().map(crate::rotation::Drift::words)),
            Record::Ended { outcome: Outcome::Done(Done::Minted { value: None, .. }), by: By::Look, .. } => self.looked = true,
            _ => {}
        }
    }
}

fn load(sandbox: &sandbox::Running, dir: &Path) -> Result<LoadedPolicy, Fault> {
    let urls = &sandbox.urls;
    let text = POLICY
        .replace("$ADMIN_KEY", &sandbox.admin_key_file.display().to_string())
        .replace("$ADMIN", &urls.admin)
        .replace("$DATA", &urls.data.join(", "))
        .replace("$CONTROL", &urls.control)
        .replace("$LOG", &urls.log.display().to_string())
        .replace("$STORE", &urls.store.display().to_string());
    let source = Source::from_bytes(dir.join("drill.yaml"), text.clone().into_bytes())
        .map_err(|p| Fault::new(exit::INTERNAL, p.diagnostic().message))?;
    let parsed = policy::parse(&source, &Overlay::none());
    let Some(policy) = parsed.policy else {
        return Err(Fault::new(exit::INTERNAL, policy::render::text(&parsed.diagnostics, &parsed.sources, false)));
    };
    let effective = serde_json::to_string(&policy).unwrap_or_default();
    Ok(LoadedPolicy { frozen: FrozenPolicy { file: "drill.yaml".into(), sha256: source.sha256, text, effective }, policy })
}

/// One small request on loopback, without the runtime: an observer may not wait for a task.
fn request(method: &str, url: &str, body: &str) -> std::io::Result<String> {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let length = body.len();
    write!(
        stream,
        "{method} /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.take(1 << 20).read_to_string(&mut answer)?;
    Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

fn post(url: &str, body: &str) -> std::io::Result<String> {
    request("POST", url, body)
}

fn get(url: &str) -> Option<Value> {
    serde_json::from_str(&request("GET", url, "").ok()?).ok()
}
