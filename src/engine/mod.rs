//! The only module that performs effects: it asks `rotation::next` what to do, does it through a port, and writes down what came of it.
//!
//! One loop ([`Engine::drive`]): *next* says a step; an effect is begun in the journal, performed, and ended in the journal; a gate is
//! read and judged; a wait is slept through or parked. What the engine learns reaches the run only as a record.
//!
//! | file | idea |
//! |---|---|
//! | `stop` | how driving ends |
//! | `session` | the secrets that only this process holds |
//! | `perform` | effect → port call → outcome |
//! | `recover` | an intent without outcome is resolved by looking |
//! | `look` | the world against what the journal expects; the inventory for a plan |
//! | `measure` | everything one gate needs to be judged |
//! | `people` | questions, answers, and what a person says to a run |
//!
//! No tokio type and no clock but the port: a simulator can poll it.

mod look;
mod measure;
mod people;
mod perform;
mod recover;
mod session;
mod stop;
#[cfg(test)]
mod tests;

pub use look::{Pick, Wanted, inventory};
pub use people::who_breaks;
pub use stop::Stop;

use crate::gate;
use crate::ports::{Clock, Journal, Lock, Notice, Notifier, Ports};
use crate::rotation::{End, GATE_SEMANTICS, Holder, Phase, Point, Record, Run, Span, Stamp, Step, Time, Wait, next};
use session::Session;

/// How patient a process is, and where it stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Longest time this process waits for one thing before it parks.
    pub patience: Span,
    /// Park when this phase is complete.
    pub until: Option<Phase>,
}

impl Default for Options {
    fn default() -> Self {
        Self { patience: Span::seconds(60), until: None }
    }
}

/// Who watches: every record right after it was applied, and a yes or no before each effect.
pub trait Observer {
    /// A record was written and applied.
    fn saw(&mut self, record: &Record, run: &Run);
    /// The engine waits until then, for this.
    fn waits(&mut self, run: &Run, until: Time, why: &str) {
        let _ = (run, until, why);
    }
    /// May this effect be performed? Asked before its intent is written; `--step` answers from a person.
    fn may(&mut self, run: &Run, effect: &crate::rotation::Effect) -> bool {
        let _ = (run, effect);
        true
    }
}

/// An observer that looks away.
pub struct Unwatched;

impl Observer for Unwatched {
    fn saw(&mut self, _: &Record, _: &Run) {}
}

/// One process executing one run.
pub struct Engine<'a, P: Ports, O: Observer> {
    ports: &'a mut P,
    observer: &'a mut O,
    /// What is known of the run.
    run: Run,
    session: Session,
    options: Options,
}

impl<'a, P: Ports, O: Observer> Engine<'a, P, O> {
    /// Begins a session: the process holds the lease, and the journal holds everything in `run`.
    ///
    /// # Errors
    /// When the journal refuses the first line of the session.
    pub async fn open(
        ports: &'a mut P,
        observer: &'a mut O,
        run: Run,
        options: Options,
        holder: Holder,
        taken_over: bool,
    ) -> Result<Self, Stop> {
        let mut engine = Self { ports, observer, run, session: Session::default(), options };
        let stamp = engine.stamp();
        engine.record(Record::Opened { holder, stamp, taken_over, gate_semantics: GATE_SEMANTICS }).await?;
        Ok(engine)
    }

    /// What is known of the run.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// What is known of the run, at the end of the session.
    pub fn into_run(self) -> Run {
        self.run
    }

    /// Goes on until the run ends, parks, or cannot go on.
    pub async fn drive(&mut self) -> Stop {
        loop {
            match self.step().await {
                Ok(()) => {}
                Err(stop) => return self.stopped(stop).await,
            }
        }
    }

    async fn step(&mut self) -> Result<(), Stop> {
        if let Some((by, why)) = self.ports.lock().asked_to_turn() {
            self.turn(&by, &why).await?;
        }
        if self.ports.lock().asked_to_stop() && self.run.ended.is_none() {
            return Err(Stop::parked("interrupted; nothing is in flight", None, false));
        }
        match next(&self.run) {
            Step::LookAround => self.look_around().await,
            Step::Do(effect) => self.perform(effect).await,
            Step::Resolve { not_before } => {
                self.wait_until(not_before, "a call that may still be on its way").await?;
                self.resolve().await
            }
            Step::Judge { point, not_before } => {
                if let Some(at) = not_before {
                    let why = self.gate_words(&point);
                    self.wait_until(at, &why).await?;
                }
                self.judge(point).await
            }
            Step::Move(phase) => {
                if self.options.until == Some(self.run.phase) && phase > self.run.phase {
                    return Err(Stop::parked(&format!("{} is complete, as asked by --until", self.run.phase), None, true));
                }
                self.record(Record::Moved { to: phase }).await
            }
            Step::Press { why, to } => {
                self.record(Record::Noted { what: why }).await?;
                self.record(Record::Moved { to }).await
            }
            Step::Turn { why } => self.record(Record::Turned { why, by: None }).await,
            Step::Reopen { why, callers, unknown } => self.record(Record::Reopened { why, callers, unknown }).await,
            Step::Ask { phase, role } => {
                let head = self.ports.journal().head();
                self.record(Record::Asked { phase, attempt: self.run.attempt, role, head }).await
            }
            Step::Wait(wait) => self.waiting(wait).await,
            Step::Stuck { why, steps } => {
                if self.run.stuck.is_none() {
                    self.record(Record::Stuck { why: why.clone(), steps: steps.clone() }).await?;
                }
                Err(Stop::Stuck { why, steps })
            }
            Step::Finish(end) => {
                let took = match (&self.run.since.start, self.stamp()) {
                    (Some(start), now) => now.at.since(start.at),
                    (None, _) => Span::ZERO,
                };
                self.record(Record::Finished { end, took }).await
            }
            Step::Finished(end) => {
                self.ports.lock().release();
                Err(Stop::Finished(end))
            }
        }
    }

    async fn judge(&mut self, point: Point) -> Result<(), Stop> {
        let reading = self.measure(&point).await?;
        let checks = gate::judge(&self.run, &point, &reading);
        self.record(Record::Judged { point, reading: Box::new(reading), checks }).await
    }

    async fn waiting(&mut self, wait: Wait) -> Result<(), Stop> {
        match wait {
            Wait::Approval { phase, role } => self.ask(phase, &role).await,
            Wait::Rejected { why } => {
                Err(Stop::parked(&format!("not approved by {why}; `keyroll rollback` or ask again with `keyroll amend`"), None, true))
            }
            Wait::Drift { what } => Err(Stop::parked(
                &format!("the world changed: {}; `keyroll amend` accepts it by name, `keyroll rollback` goes back", what.join("; ")),
                None,
                true,
            )),
            Wait::Effect { why } => Err(Stop::parked(&format!("{why}; put it right and `keyroll resume`"), None, true)),
            Wait::Person { why } => Err(Stop::parked(&why, None, true)),
            Wait::Stopped { why } => Err(Stop::GateFailed { why }),
            Wait::Unreachable { why } => Err(self.unreachable(&why)),
        }
    }

    /// A system is out of reach: nothing is decided, the run parks and looks again soon.
    fn unreachable(&self, why: &str) -> Stop {
        if self.run.effects == 0 {
            return Stop::Unreachable { why: why.to_owned() };
        }
        let soon = self.stamp().at.plus(self.run.plan.timing.poll.max(Span::seconds(1)));
        Stop::parked(why, Some(soon), false)
    }

    async fn stopped(&mut self, stop: Stop) -> Stop {
        if let Stop::Parked { why, wake_at, person } = &stop
            && self.run.ended.is_none()
        {
            #[cfg(feature = "bugs")]
            if crate::bugs::on(crate::bugs::Bug::ClaimDroppedOnPark) {
                self.ports.lock().release();
            }
            let record = Record::Parked { why: why.clone(), wake_at: *wake_at, person: *person };
            if let Err(worse) = self.record(record).await {
                return worse;
            }
        }
        stop
    }

    /// The one way a fact becomes part of the run: on disk first, then applied, then shown.
    async fn record(&mut self, record: Record) -> Result<(), Stop> {
        let appended = self.ports.journal().append(&record);
        #[cfg(feature = "bugs")]
        let appended = match appended {
            Err(crate::ports::AppendError::Fenced) if crate::bugs::on(crate::bugs::Bug::FenceIgnored) => Ok(0),
            other => other,
        };
        appended.map_err(Stop::from)?;
        self.run.apply(&record).map_err(|illegal| Stop::Damaged { why: illegal.to_string() })?;
        self.observer.saw(&record, &self.run);
        if let Some((event, text)) = people::news(&record, &self.run) {
            let notice = Notice { run: self.run.id.clone(), credential: self.run.plan.about.credential.clone(), event, text };
            if let Err(e) = self.ports.notifier().tell(&notice).await {
                // Telling people is never a reason to stop; that it failed is worth a line.
                let noted = Record::Noted { what: format!("a notification failed: {e}") };
                self.ports.journal().append(&noted).map_err(Stop::from)?;
                self.run.apply(&noted).map_err(|illegal| Stop::Damaged { why: illegal.to_string() })?;
            }
        }
        Ok(())
    }

    fn stamp(&self) -> Stamp {
        self.ports.clock().now()
    }

    /// Sleeps until an instant in small steps, or parks when that is further away than this process is patient.
    async fn wait_until(&mut self, at: Time, why: &str) -> Result<(), Stop> {
        let began = self.stamp();
        // A wall clock that was set back must not turn a short wait into days.
        let longest = self.run.plan.timing.poll.max(self.run.plan.timing.call_timeout).plus(self.run.plan.timing.send_before);
        let longest = longest.max(self.run.caps.settles_in.plus(self.run.caps.refusal_cache).plus(Span::seconds(1)));
        let at = at.min(began.at.plus(longest));
        let left = at.since(began.at);
        // Also where the instant has passed: looks that take longer than the pause between them must not be repeated for ever.
        if self.waited_for(&began).plus(left) > self.options.patience {
            return Err(Stop::parked(why, Some(at), false));
        }
        if left == Span::ZERO {
            return Ok(());
        }
        self.observer.waits(&self.run, at, why);
        let boot_deadline = began.mono.saturating_add(left.0);
        loop {
            let now = self.stamp();
            let awake = now.boot == began.boot && now.mono >= boot_deadline;
            if now.at >= at || awake || self.ports.lock().asked_to_stop() || self.ports.lock().asked_to_turn().is_some() {
                return Ok(());
            }
            self.ports.clock().sleep_until(at.min(now.at.plus(Span(250)))).await;
        }
    }

    /// How long the current gate has been waited for already.
    ///
    /// By the boot clock: a wall clock that is set back must not make a process patient for ever.
    fn waited_for(&self, now: &Stamp) -> Span {
        self.session.waiting_since.as_ref().map_or(Span::ZERO, |since| Span(now.mono.saturating_sub(since.mono)))
    }

    fn gate_words(&mut self, point: &Point) -> String {
        let now = self.stamp();
        let Some(gate) = self.run.gate.as_ref().filter(|g| g.point == *point) else {
            self.session.waiting_at = None;
            self.session.waiting_since = None;
            return "every node must first hear of the last change".into();
        };
        if self.session.waiting_at.as_ref() != Some(point) {
            self.session.waiting_at = Some(point.clone());
            self.session.waiting_since = Some(now);
        }
        let open: Vec<String> = gate.checks.iter().filter(|c| !c.verdict.advances()).map(|c| format!("{}: {}", c.check, c.why)).collect();
        open.join("; ")
    }

    fn ended_well(end: &End) -> bool {
        match end {
            End::Done => true,
            End::RolledBack { asked, .. } => *asked,
        }
    }

    /// The exit that an end stands for: 0 for what was asked, 21 for a rollback nobody asked for.
    pub fn exit_of(end: &End) -> u8 {
        if Self::ended_well(end) { 0 } else { 21 }
    }
}
