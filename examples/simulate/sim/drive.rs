//! One run: a session, its death, the next session; an operator at his script; and a rival that takes over.

use super::death::{Crash, Death};
use super::judge::Violation;
use super::ports::SimPorts;
use super::scenarios::{Prepared, Scenario, Wild};
use super::world::{CALL, EPOCH, World};
use keyroll::engine::{Engine, Options, Stop, Unwatched};
use keyroll::journal::Chain;
use keyroll::rotation::{App, Effect, EffectKind, End, Exception, Holder, Record, Run, Span, Time};
use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// So many sessions are tried before a run counts as parked.
const SESSIONS: usize = 12;
/// And for so long, in virtual time.
const LONG: i64 = 30_000;

/// What is special about one run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spec {
    pub(crate) seed: u64,
    pub(crate) deaths: Vec<u32>,
    pub(crate) torn: bool,
    pub(crate) wild: Wild,
    /// The first session stops at this boundary for long, and another machine takes over.
    pub(crate) pause: Option<u32>,
    /// At the second session the journal is as it was so many lines ago.
    pub(crate) restore: Option<usize>,
    /// A process waits this long for one thing before it parks.
    pub(crate) patience: u64,
    /// After the first and after the second session chance goes on differently in each branch.
    pub(crate) branch: [u64; 2],
    pub(crate) story: bool,
}

/// How a run was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Left {
    Done,
    RolledBack,
    Parked,
    Stuck,
}

impl Left {
    pub(crate) const ALL: [Self; 4] = [Self::Done, Self::RolledBack, Self::Parked, Self::Stuck];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::RolledBack => "rolled back",
            Self::Parked => "parked",
            Self::Stuck => "stuck",
        }
    }
}

/// What came of one run.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) left: Left,
    pub(crate) why: String,
    pub(crate) violations: Vec<(i64, Violation)>,
    pub(crate) died: Vec<(Option<EffectKind>, Crash)>,
    /// Boundaries of each session.
    pub(crate) boundaries: Vec<u32>,
    pub(crate) strangers_refused: u32,
    pub(crate) reopened: u32,
    pub(crate) story: Vec<String>,
}

/// What a person does with a run before it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Go,
    Amend,
    Emergency,
}

/// A run after some of its sessions: from here it can go on in many ways.
pub(crate) struct Begun {
    world: Rc<RefCell<World>>,
    /// How the last session ended; none when it died.
    stop: Option<Stop>,
    word: Word,
    boundaries: Vec<u32>,
    /// How the run was left, once it was.
    over: Option<(Left, String)>,
}

impl Begun {
    /// The same run in a world of its own.
    pub(crate) fn fork(&self) -> Self {
        Self {
            world: Rc::new(RefCell::new(self.world.borrow().clone())),
            stop: self.stop.clone(),
            word: self.word,
            boundaries: self.boundaries.clone(),
            over: self.over.clone(),
        }
    }

    /// Boundaries of the first session.
    pub(crate) fn boundaries(&self) -> u32 {
        self.boundaries.first().copied().unwrap_or(0)
    }

    /// The sessions so far did not end the run.
    pub(crate) fn goes_on(&self) -> bool {
        self.over.is_none() && !matches!(self.stop, Some(Stop::Finished(_)))
    }
}

/// The first session of a run.
pub(crate) fn begin(prepared: &Prepared, spec: &Spec) -> Begun {
    let death = Death { planned: spec.deaths.clone(), torn: spec.torn, pause: spec.pause, ..Death::default() };
    let mut world = prepared.world(spec.seed, death, spec.wild);
    if spec.story {
        world.story = Some(Vec::new());
    }
    let word = if prepared.scenario == Scenario::Emergency { Word::Emergency } else { Word::Go };
    let world = Rc::new(RefCell::new(world));
    let mut begun = Begun { world, stop: None, word, boundaries: Vec::new(), over: None };
    one(prepared, spec, &mut begun);
    begun
}

/// What comes between two sessions. False when the run is over.
fn between(spec: &Spec, begun: &mut Begun) -> bool {
    let sessions = begun.boundaries.len();
    let shared = Rc::clone(&begun.world);
    let world = &mut *shared.borrow_mut();
    world.death.planned.clone_from(&spec.deaths);
    if let Some(branch) = sessions.checked_sub(1).and_then(|s| spec.branch.get(s)).filter(|b| **b > 0) {
        world.rng = super::rng::Rng::new(world.rng.next().wrapping_add(branch.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    }
    match begun.stop.take() {
        None => {
            let gap = world.rng.span(10, 300);
            world.advance(world.now + gap);
        }
        Some(stop) => {
            world.tell(|| format!("session {sessions} ends: {}", stop.words()));
            if let Next::Over(left, why) = after(world, stop, &mut begun.word) {
                begun.over = Some((left, why));
                return false;
            }
        }
    }
    if sessions >= SESSIONS || world.now > EPOCH + LONG {
        begun.over = Some((Left::Parked, "it was tried often enough".into()));
        return false;
    }
    if let (1, Some(back)) = (sessions, spec.restore) {
        restore(world, back);
    }
    true
}

/// The next session. False when the run is over without it.
pub(crate) fn further(prepared: &Prepared, spec: &Spec, begun: &mut Begun) -> bool {
    let goes_on = between(spec, begun);
    if goes_on {
        one(prepared, spec, begun);
    }
    goes_on
}

/// One session in a world.
fn one(prepared: &Prepared, spec: &Spec, begun: &mut Begun) {
    let me = {
        let world = &mut *begun.world.borrow_mut();
        world.death.reborn();
        world.youngest + 1
    };
    begun.stop = session(prepared, &begun.world, me, spec.patience, false, begun.word);
    let world = begun.world.borrow();
    let unsaid = begun.word == Word::Emergency && !world.trail.emergency;
    begun.word = if unsaid { Word::Emergency } else { Word::Go };
    begun.boundaries.push(world.death.count);
}

/// Runs one run to its end, or until nothing moves it any more.
pub(crate) fn run(prepared: &Prepared, spec: &Spec) -> Report {
    go_on(prepared, spec, begin(prepared, spec))
}

/// The same beginning, going on to the end.
pub(crate) fn go_on(prepared: &Prepared, spec: &Spec, mut begun: Begun) -> Report {
    while begun.over.is_none() && further(prepared, spec, &mut begun) {}
    let (left, why) = begun.over.unwrap_or((Left::Parked, String::new()));
    let world = &mut *begun.world.borrow_mut();
    super::verdict::at_the_end(prepared, world, left, &why);
    Report {
        left,
        why,
        violations: std::mem::take(&mut world.judge.violations),
        died: std::mem::take(&mut world.death.happened),
        boundaries: begun.boundaries,
        strangers_refused: world.judge.strangers_refused,
        reopened: world.judge.reopened,
        story: world.story.take().unwrap_or_default(),
    }
}

enum Next {
    Again,
    Over(Left, String),
}

/// What the operator makes of a stop.
fn after(w: &mut World, stop: Stop, word: &mut Word) -> Next {
    match stop {
        Stop::Finished(End::Done) => Next::Over(Left::Done, String::new()),
        Stop::Finished(End::RolledBack { why, .. }) => Next::Over(Left::RolledBack, why),
        Stop::Parked { wake_at: Some(at), person: false, .. } => {
            let to = (at.0 - w.wall).clamp(w.now + 10, w.now + 3_000);
            w.advance(to);
            Next::Again
        }
        Stop::Parked { person: false, .. } | Stop::Unreachable { .. } => {
            w.advance(w.now + 400);
            Next::Again
        }
        Stop::Parked { why, person: true, .. } | Stop::GateFailed { why } => {
            w.advance(w.now + 500);
            w.person_decides(&why, word)
        }
        Stop::Stuck { why, .. } => {
            // Somebody may put things right; the next session says whether that was it.
            w.advance(w.now + 700);
            if w.rng.chance(300) { Next::Again } else { Next::Over(Left::Stuck, why) }
        }
        Stop::Fenced => Next::Again,
        Stop::Storage { why } => Next::Over(Left::Parked, why),
        Stop::Damaged { why } => {
            w.judge.broken(w.now, 3, "the journal was called damaged");
            Next::Over(Left::Stuck, why)
        }
        Stop::Unsealed { why, .. } => Next::Over(Left::Parked, why),
    }
}

impl World {
    fn person_decides(&mut self, why: &str, word: &mut Word) -> Next {
        // A calm world has a helpful operator.
        let what = if self.calm { 0 } else { self.rng.below(10) };
        if why.contains("must approve") {
            self.approver = Some(self.now);
            return Next::Again;
        }
        if what < 5 {
            *word = Word::Amend;
            Next::Again
        } else if what < 7 && !self.trail.undo {
            self.turn_at = Some(self.now);
            Next::Again
        } else if what < 9 {
            Next::Again
        } else {
            Next::Over(Left::Parked, why.to_owned())
        }
    }
}

/// One process, from open to its end; none when it died.
fn session(prepared: &Prepared, world: &Rc<RefCell<World>>, me: u32, patience: u64, taken_over: bool, word: Word) -> Option<Stop> {
    let run = match load(prepared, &mut world.borrow_mut()) {
        Ok(run) => run,
        Err(why) => return Some(Stop::Damaged { why }),
    };
    let mut ports = SimPorts::new(prepared, world, me);
    let holder = Holder { host: "sim".into(), pid: me, user: "ops".into() };
    let options = Options { patience: Span(patience), until: None };
    let mut nobody = Unwatched;
    let opened = poll(Engine::open(&mut ports, &mut nobody, run, options, holder, taken_over));
    let mut engine = match opened {
        Some(Ok(engine)) => engine,
        Some(Err(stop)) => return if world.borrow().death.dead { None } else { Some(stop) },
        None => return None,
    };
    let stop = poll(async {
        let said = match word {
            Word::Go => Ok(()),
            Word::Emergency => engine.emergency("ops", "leaked").await,
            Word::Amend => amend(&mut engine, world).await,
        };
        match said {
            Ok(()) => engine.drive().await,
            Err(stop) => stop,
        }
    });
    let run = engine.into_run();
    let w = &mut *world.borrow_mut();
    // A process knows what the journal says only as long as it was the last to write.
    if run.records == w.journal.end.seq() {
        w.fold = Some(run);
    }
    if w.death.dead { None } else { stop }
}

async fn amend(engine: &mut Engine<'_, SimPorts<'_>, Unwatched>, world: &Rc<RefCell<World>>) -> Result<(), Stop> {
    let waiting = engine.run().reopened_by_unknown;
    if waiting {
        let until = Time(world.borrow().now + 86_400_000);
        let exception = Exception { app: App::new("stranger"), until, owner: "team".into(), why: "found".into() };
        engine.except(exception, "ops").await?;
    }
    engine.look_once().await?;
    if !truthful(engine.run(), &world.borrow()) {
        return Ok(());
    }
    engine.amend("ops", "seen").await.map(|_| ())
}

/// A person accepts only what is so.
fn truthful(run: &Run, world: &World) -> bool {
    use super::gateway::{Hand, State};
    use keyroll::rotation::Drift;
    let gone = |id: &keyroll::rotation::KeyId| world.gateway.find(id).is_none_or(|k| world.gateway.keys[k].state() == State::Gone);
    run.drift.iter().all(|d| match d {
        Drift::OtherGateway { .. } => false,
        Drift::OldGone => gone(&run.plan.old.id),
        Drift::NewGone => run.new.as_ref().is_none_or(|n| gone(&n.id)),
        // Only its owner can say of a third value that it stays.
        Drift::SlotCurrent { slot, holds: None, .. } => world.slots[usize::from(slot.0)].current_by == Hand::Person,
        Drift::LostCapability { .. }
        | Drift::OldDisabled
        | Drift::OldEnabled
        | Drift::OldScope { .. }
        | Drift::NewDisabled
        | Drift::NewScope { .. }
        | Drift::Twins { .. }
        | Drift::SlotCurrent { .. }
        | Drift::SlotPending { .. }
        | Drift::Model { .. }
        | Drift::NewReference { .. } => true,
    })
}

/// Everything is ready at once, so one poll is enough; what is not ready is dead.
fn poll<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// The run as the journal has it; a torn line at the end is cut off.
pub(crate) fn load(prepared: &Prepared, w: &mut World) -> Result<Run, String> {
    if w.journal.ends.len() == 1 && w.journal.bytes.len() == w.journal.ends[0] {
        let plan = std::sync::Arc::clone(&prepared.plan);
        return Ok(Run::new(prepared.run.clone(), plan, keyroll::rotation::PlanId::new("plan")));
    }
    let chosen = w.rng.chance(30);
    let read = w.story.is_some() || chosen;
    let intact = w.journal.ends.last().copied().unwrap_or(0);
    // Most sessions go on with what the last process knew, if it knew every line; the others read it from the bytes.
    if let (Some(fold), false) = (w.fold.take().filter(|f| f.records == w.journal.end.seq()), read) {
        w.journal.bytes.truncate(intact);
        return Ok(fold);
    }
    let parsed = Chain::parse(&w.journal.bytes).map_err(|e| e.to_string())?;
    w.journal.bytes.truncate(parsed.intact);
    w.journal.end = parsed.chain;
    Run::replay(parsed.lines.iter().map(|l| &l.record)).map_err(|e| e.to_string())
}

/// A restore that goes back to the first intent to mint is written as so many lines.
pub(crate) const TO_MINT: usize = 1_000;

/// The line of the first intent to mint.
fn mint_intent(bytes: &[u8]) -> Option<usize> {
    let lines = Chain::parse(bytes).ok()?.lines;
    lines.iter().position(|l| matches!(&l.record, Record::Began { effect: Effect::Mint { .. }, .. })).map(|i| i + 1)
}

/// Somebody puts back an older copy of the journal, and of its head.
fn restore(w: &mut World, back: usize) {
    let intent = if back >= TO_MINT { mint_intent(&w.journal.bytes) } else { None };
    let keep = intent.unwrap_or_else(|| w.journal.ends.len().saturating_sub(back % TO_MINT).max(1));
    w.fold = None;
    w.restored_at = Some(w.now);
    w.journal.ends.truncate(keep);
    let length = w.journal.ends.last().copied().unwrap_or(0);
    w.journal.bytes.truncate(length);
    w.tell(|| format!("the journal is restored to line {keep}"));
    if let Ok(parsed) = Chain::parse(&w.journal.bytes) {
        w.journal.end = parsed.chain;
        let mut trail = super::trail::Trail::of(w.trail.asked_once);
        for line in &parsed.lines {
            let _ = trail.take(&line.record, w.now, true);
        }
        if parsed.lines.iter().any(|l| matches!(l.record, Record::Finished { .. })) {
            trail.finished = true;
        }
        w.trail = trail;
    }
}

/// Another machine takes over a process that seems to be gone, and lets the run go on; then the first one wakes up.
pub(crate) fn rival(world: &Rc<RefCell<World>>, prepared: &Prepared) {
    let planned = {
        let w = &mut *world.borrow_mut();
        w.tell(|| "the process is paused; another takes over".into());
        w.advance(w.now + 1_000 + 200 + CALL);
        std::mem::take(&mut w.death.planned)
    };
    let me = world.borrow().youngest + 1000;
    let stop = session(prepared, world, me, 30_000, true, Word::Go);
    let w = &mut *world.borrow_mut();
    w.tell(|| format!("the other one ends: {}; the first wakes up", stop.map_or_else(String::new, |s| s.words())));
    w.death.planned = planned;
}
