//! From a run to its end: what `run`, `resume`, `tick`, `rollback`, and `amend` share.

use super::args::{Global, How};
use super::fault::{Fault, exit};
use super::live::Live;
use super::out::{Out, Tone};
use super::signals::Stop as Signal;
use super::status;
use super::wire::Wired;
use super::{clock, load};
use crate::engine::{Engine, Options, Stop};
use crate::journal::{StateDir, Taker};
use crate::policy::Policy;
use crate::ports::{Journal, Lock, Ports};
use crate::rotation::{End, Holder, Kind, Phase, Plan, Point, Record, Run, RunId, Span, Verdict};
use crate::support::clock as machine;
use std::path::PathBuf;
use std::sync::Arc;

/// A wait that is sat through without `--wait`.
const PATIENCE: Span = Span::seconds(60);

/// A runtime on this thread.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Fault> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Fault::new(exit::INTERNAL, format!("start the runtime: {e}")))
}

/// Does something in a runtime that listens for Ctrl-C and SIGTERM, from the first rotation to the last.
pub(crate) fn attended(work: impl AsyncFnOnce(&Signal) -> Result<u8, Fault>) -> Result<u8, Fault> {
    runtime()?.block_on(async {
        let signal = Signal::default();
        signal.listen();
        work(&signal).await
    })
}

/// Where state lives: the flag, else the policy, else `.keyroll`.
pub(crate) fn state_path(global: &Global, policy: Option<&Policy>) -> Result<PathBuf, Fault> {
    let named = match (&global.state, policy.and_then(|p| p.state.as_ref())) {
        (Some(path), _) => Some(path.clone()),
        (None, Some(place)) => serde_json::to_value(place).ok().and_then(|v| v.as_str().map(PathBuf::from)),
        (None, None) => None,
    };
    let Some(path) = named else { return Ok(PathBuf::from(".keyroll")) };
    match path.to_str() {
        Some(url) if url.starts_with("s3://") => Ok(path),
        Some(url) if url.starts_with("file://") => Ok(PathBuf::from(url.trim_start_matches("file://"))),
        Some(url) if url.contains("://") => {
            Err(Fault::new(exit::REFUSED, format!("keep state at {url}: this kind of shared state is not in this build"))
                .hint("s3://BUCKET/PREFIX works, and so does a folder: `state: .keyroll`, or `--state DIR`"))
        }
        Some(_) | None => Ok(path),
    }
}

/// This process, as leases and claims name it.
pub(crate) fn taker() -> Taker {
    Taker { holder: Holder { host: host(), pid: std::process::id(), user: user() }, boot: machine::boot_id(), at: clock::wall() }
}

/// The operating system's user: asserted, never proven.
pub(crate) fn user() -> String {
    let name = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|v| std::env::var(v).ok().filter(|n| !n.is_empty()));
    crate::support::text::clean_to(&name.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw())), 64)
}

fn host() -> String {
    let name = rustix::system::uname();
    crate::support::text::clean_to(&name.nodename().to_string_lossy(), 128)
}

/// What a person's command says to a run before it goes on.
pub(crate) enum Say {
    /// Nothing.
    Nothing,
    /// Emergency mode.
    Emergency(String),
    /// Turn back.
    Turn(String),
    /// Accept what differs.
    Amend(String),
    /// Waive one check.
    Waive(crate::rotation::Point, String, String, Span),
    /// Let one consumer stay.
    Except(crate::rotation::Exception),
}

/// How patient a process is.
pub(crate) fn options(how: &How, global: &Global) -> Result<Options, Fault> {
    let until = match &how.until {
        Some(name) => Some(Phase::parse(name).ok_or_else(|| {
            Fault::usage(format!("stop at phase `{name}`: there is no such phase")).hint("prepare, canary, flip, hold, revoke, archive")
        })?),
        None => None,
    };
    let patience = match (&global.timeout, how.wait) {
        (Some(text), _) => span(text)?,
        (None, true) => Span::hours(24 * 366),
        (None, false) => PATIENCE,
    };
    Ok(Options { patience, until })
}

/// A length of time from the command line.
pub(crate) fn span(text: &str) -> Result<Span, Fault> {
    crate::policy::scalar::Period::parse(text).map(|p| Span(p.as_millis())).map_err(|_| {
        Fault::usage(format!("read the duration `{}`", crate::support::text::clean_to(text, 40))).hint("like 30s, 10m, 24h, 7d")
    })
}

/// A run that this process holds, with its ports.
pub(crate) struct Held {
    /// The ports, journal and lock included.
    pub wired: Wired,
    /// The run as its journal tells it.
    pub run: Run,
    /// The lease came from another machine.
    pub taken_over: bool,
    /// Where its state is.
    pub state: StateDir,
}

/// Takes up a run from its journal.
pub(crate) async fn take_up(state: &StateDir, id: &RunId, signal: &Signal, out: &Out, how: &How) -> Result<Held, Fault> {
    let opened = super::shared::resume(state, id, signal, out).await?;
    if opened.torn {
        out.say("  · the last journal line was torn by a crash and is cut off; nothing relied on it");
    }
    let run = Run::replay(&opened.records).map_err(|e| Fault::new(exit::STUCK, e.to_string()))?;
    let policy = load::frozen(&run.plan.policy)?;
    let mut wired = Wired::connect(&policy, state, Some(&run), signal, out).await?;
    let taken_over = opened.lease.taken_over();
    wired.hold(state, opened.lease, opened.journal, signal, &run, how.bundle.as_deref())?;
    Ok(Held { wired, run, taken_over, state: state.clone() })
}

/// Begins a run of a plan: claims, lease, first record.
pub(crate) fn begin(state: &StateDir, plan: Plan, mut wired: Wired, signal: &Signal, how: &How) -> Result<Held, Fault> {
    let id = wired.run_id.clone();
    let plan_id = plan.id();
    let (lease, mut journal) = state.create_run(&id, &plan.claims, &plan.about.reason, &taker(), clock::wall)?;
    let first = Record::Planned { run: id.clone(), plan: Box::new(plan.clone()), plan_id: plan_id.clone() };
    journal.append(&first).map_err(|e| Fault::new(exit::INTERNAL, e.to_string()))?;
    let run = Run::new(id, Arc::new(plan), plan_id);
    wired.hold(state, lease, journal, signal, &run, how.bundle.as_deref())?;
    Ok(Held { wired, run, taken_over: false, state: state.clone() })
}

/// Goes on with a run until it ends or parks, and says how it stands.
pub(crate) async fn go_on(held: &mut Held, say: Say, options: Options, step: bool, out: &Out) -> (Stop, Run) {
    if let Some(end) = &held.run.ended {
        // Somebody else finished it while the lease was waited for, or a kill came between the end and the release: nothing is written
        // behind an end, else the run would be open again.
        held.wired.lock().release();
        publish(held, &held.run, out);
        return (Stop::Finished(end.clone()), held.run.clone());
    }
    let mut live = Live::new(out, step);
    let holder = taker().holder;
    let by = user();
    let opened = Engine::open(&mut held.wired, &mut live, held.run.clone(), options, holder, held.taken_over).await;
    let (stop, run) = match opened {
        Ok(mut engine) => {
            let said = match say {
                Say::Nothing => Ok(()),
                Say::Emergency(why) => engine.emergency(&by, &why).await,
                Say::Turn(why) => engine.turn(&by, &why).await,
                Say::Amend(why) => match engine.look_once().await {
                    Ok(()) => engine.amend(&by, &why).await.map(|_| ()),
                    Err(stop) => Err(stop),
                },
                Say::Waive(point, check, why, lasts) => engine.waive(point, &check, &by, &why, clock::wall().plus(lasts)).await,
                Say::Except(exception) => engine.except(exception, &by).await,
            };
            let stop = match said {
                Ok(()) => engine.drive().await,
                Err(stop) => stop,
            };
            (stop, engine.run().clone())
        }
        Err(stop) => (stop, held.run.clone()),
    };
    live.end();
    if let Stop::Finished(_) = &stop {
        publish(held, &run, out);
    }
    (stop, run)
}

/// The evidence goes to where every machine finds it.
fn publish(held: &Held, run: &Run, out: &Out) {
    let Some((_, place)) = run.sealed.as_ref().filter(|(_, place)| std::path::Path::new(place).exists()) else { return };
    if let Err(e) = held.state.publish(&run.id, std::path::Path::new(place)) {
        let words = format!("failed to {e}; the bundle is on this machine only, copy it before the machine goes");
        out.shout(&format!("  {} {words}", out.paint(Tone::Warn, "!")));
    }
}

/// The provider itself was seen to refuse the outgoing value.
fn refused_upstream(run: &Run) -> bool {
    run.verdicts.get(&(Point::Gone, "old_refused".to_owned())) == Some(&Verdict::Pass)
}

/// The end of a session on the screen, and its exit code.
pub(crate) fn conclude(stop: &Stop, run: &Run, out: &Out) -> u8 {
    let code = stop.exit();
    if out.json {
        let (wake, state) = match stop {
            Stop::Parked { wake_at, .. } => (*wake_at, "parked"),
            Stop::Finished(End::Done) => (None, "done"),
            Stop::Finished(End::RolledBack { .. }) => (None, "rolled_back"),
            Stop::Stuck { .. } => (None, "stuck"),
            Stop::GateFailed { .. }
            | Stop::Unreachable { .. }
            | Stop::Fenced
            | Stop::Storage { .. }
            | Stop::Damaged { .. }
            | Stop::Unsealed { .. } => (None, "failed"),
        };
        let bundle = run.sealed.as_ref().map(|(_, place)| place.clone());
        out.value(&serde_json::json!({
            "kind": "finished", "v": 1, "exit": code, "run": run.id, "credential": run.plan.about.credential,
            "state": state, "phase": run.phase, "why": stop.words(), "wake_at": wake, "bundle": bundle,
        }));
        return code;
    }
    let id = &run.id;
    match stop {
        Stop::Finished(End::Done) => {
            out.say(&format!(
                "{} {} now uses {}; {} is gone",
                out.paint(Tone::Good, "done."),
                run.plan.about.credential,
                run.new.as_ref().map_or("the new key", |n| n.id.as_str()),
                run.plan.old.id
            ));
            if let (Kind::Provider { .. }, false) = (&run.plan.kind, refused_upstream(run)) {
                out.say(&format!(
                    "  {} only the gateway let go of it: {} revokes it at the provider, where it may still be accepted",
                    out.paint(Tone::Warn, "!"),
                    run.plan.about.owner
                ));
            }
        }
        Stop::Finished(End::RolledBack { why, .. }) => {
            let who = if matches!(run.plan.kind, Kind::Provider { .. }) { "models" } else { "consumers" };
            out.say(&format!("{} {who} are on {} again; {why}", out.paint(Tone::Warn, "rolled back."), run.plan.old.id));
        }
        Stop::Parked { why, wake_at, person } => {
            out.say(&format!("{} {why}", out.paint(Tone::Warn, "parked.")));
            if let (Some(at), false) = (wake_at, person) {
                out.say(&format!("  next look is worth it at {}", at.rfc3339()));
            }
            out.say(&format!("  {}", out.paint(Tone::Dim, &format!("keyroll resume {id}   ·   keyroll why {id}"))));
        }
        Stop::Stuck { why, steps } => {
            out.shout(&format!("{} {why}", out.paint(Tone::Bad, "stuck.")));
            for (n, step) in steps.iter().enumerate() {
                out.shout(&format!("  {}. {step}", n + 1));
            }
        }
        Stop::GateFailed { .. }
        | Stop::Unreachable { .. }
        | Stop::Fenced
        | Stop::Storage { .. }
        | Stop::Damaged { .. }
        | Stop::Unsealed { .. } => {
            out.shout(&format!("{} {}", out.paint(Tone::Bad, "keyroll:"), stop.words()));
            out.shout(&format!("  {}", out.paint(Tone::Dim, &format!("keyroll status {id}"))));
        }
    }
    if let Some((digest, place)) = &run.sealed {
        out.say(&format!("  evidence  {place}\n  manifest  {digest}"));
    }
    code
}

/// The run that is meant: the one named, or the only open one.
pub(crate) fn which(state: &StateDir, given: Option<&str>) -> Result<RunId, Fault> {
    if let Some(given) = given {
        return Ok(state.find(given)?);
    }
    let open = open_runs(state)?;
    match open.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Fault::usage("choose a run: none is open").hint("`keyroll status` lists all runs")),
        several => Err(Fault::usage(format!("choose a run: {} are open", several.len()))
            .hint(several.iter().map(RunId::as_str).collect::<Vec<_>>().join(", "))),
    }
}

/// Every run that is not over.
pub(crate) fn open_runs(state: &StateDir) -> Result<Vec<RunId>, Fault> {
    let mut open = Vec::new();
    for entry in state.list()? {
        let (records, _) = state.load(&entry.id)?;
        if !matches!(records.last(), Some(Record::Finished { .. })) {
            open.push(entry.id);
        }
    }
    Ok(open)
}

/// A run and its records, read without the lease.
pub(crate) fn peek(state: &StateDir, id: &RunId) -> Result<(Run, Vec<Record>), Fault> {
    let (records, _) = state.load(id)?;
    let run = Run::replay(&records).map_err(|e| Fault::new(exit::STUCK, e.to_string()))?;
    Ok((run, records))
}

/// The status of a run, read without the lease.
pub(crate) fn status_of(state: &StateDir, id: &RunId) -> Result<status::Status, Fault> {
    let (run, records) = peek(state, id)?;
    let held = crate::journal::Lease::holder(state, id).is_some();
    Ok(status::status(&run, &records, held))
}
